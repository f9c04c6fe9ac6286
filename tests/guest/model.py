#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Checks the digests that the guest printed against a model made from stopcopy/workload.h alone.

Usage: model.py SEED MEMORY_SIZE AVX2 < CONSOLE. Exit status 1 where one differs or there is none.
"""
import math
import sys

WORD = (1 << 64) - 1
GOLDEN = 0x9E3779B97F4A7C15
MULTIPLIER = 0x9FB21C651E98DF25
MODULUS = 2147483647
WORKLOADS = {"dma": 1, "memory": 2, "cpu": 3, "clock": 4, "edu": 6}


def mix(x):
    x &= WORD
    x = ((x ^ x >> 30) * 0xBF58476D1CE4E5B9) & WORD
    x = ((x ^ x >> 27) * 0x94D049BB133111EB) & WORD
    return x ^ x >> 31


def digest(words, h):
    for word in words:
        h = ((h ^ word) * MULTIPLIER) & WORD
        h ^= h >> 32
    return h


def chain_seed(seed, workload, index):
    return mix(mix(seed + WORKLOADS[workload] * GOLDEN) ^ index)


def memory(seed, pages, operations):
    chain = seed
    for i in range(operations):
        page, generation = i % pages, i // pages
        value = 0
        if generation > 0:
            base = mix(seed + (generation << 32) + page)
            value = digest([(base + j * GOLDEN) & WORD for j in range(512)], i)
        chain = (mix(chain ^ value) + GOLDEN) & WORD
    return chain


def add_shift(lanes, registers, shift):
    for k in range(registers):
        lanes[k] = [(a + b) & WORD for a, b in zip(lanes[k], lanes[(k + 1) % registers])]
        lanes[k] = [a ^ a >> shift for a in lanes[k]]


def cpu(seed, avx2, operations):
    g = [mix(seed + 1 + k) for k in range(6)]
    x = [[mix(seed + 0x100 + 2 * k + lane) for lane in range(2)] for k in range(7)]
    y = [[mix(seed + 0x200 + 4 * k + lane) for lane in range(4)] for k in range(7)] if avx2 else []
    f = [mix(seed + 0x300 + k) % MODULUS for k in range(4)]
    if operations == 0:
        return seed
    for _ in range(operations * 16):
        for k in range(6):
            g[k] = (g[k] + g[(k + 1) % 6]) & WORD
            g[k] = (g[k] << 7 + k | g[k] >> 57 - k) & WORD
        add_shift(x, 7, 11)
        if avx2:
            add_shift(y, 7, 9)
        f[0] = (f[0] * 48271 + f[1]) % MODULUS
        for k in (1, 2, 3):
            f[0], f[k] = f[k], f[0]
    return digest(g + [lane for k in x + y for lane in k] + f, seed)


def edu(seed, operations):
    chain, live = seed, 0
    for i in range(operations):
        r = mix(seed + GOLDEN * (i + 1))
        words = [i + 1] + [(mix(r) + j * GOLDEN) & WORD for j in range(1, 2 + (r >> 8) % 254)]
        value = digest(words + [math.factorial((r >> 40) % 34) & 0xFFFFFFFF if r & 3 else 0], i)
        if i % 4 == 3:
            value ^= live
            live = mix(seed ^ i) & 0xFFFFFFFF
        chain = (mix(chain ^ value) + GOLDEN) & WORD
    return chain


def expected(workload, index, vcpus, operations, seed, size, avx2):
    if workload == "edu":
        return edu(chain_seed(seed, workload, int(index.split(".")[0]) << 32), operations)
    index = int(index)
    s = chain_seed(seed, workload, index)
    if workload == "memory":
        pages = size // 4096
        return memory(s, pages // vcpus + (index < pages % vcpus), operations)
    if workload == "cpu":
        return cpu(s, avx2, operations)
    return 0


def main():
    seed, size, avx2 = int(sys.argv[1], 0), int(sys.argv[2], 0), sys.argv[3] == "1"
    lines = [line.split() for line in sys.stdin]
    vcpus = sum(1 for line in lines if line[:1] == ["vCPU"])
    chains = [line for line in lines if line[:1] == ["chain"]]
    wrong = 0
    for _, workload, index, _, operations, _, seen in chains:
        want = expected(workload, index, vcpus, int(operations), seed, size, avx2)
        if int(seen, 0) != want:
            print(f"chain {workload} {index} after {operations} operations: {seen}, the model has {want:#x}")
            wrong += 1
    if not chains:
        print("no chain on the console")
    return 1 if wrong or not chains else 0


if __name__ == "__main__":
    sys.exit(main())
