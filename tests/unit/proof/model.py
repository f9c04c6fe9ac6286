#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The workloads of include/stopcopy/workload.h, acted out slowly with real buffers, and written from its text alone.

Prints the digests that tests/unit/proof/golden.h has. To make it anew: model.py > golden.h
"""
import math


M64 = (1 << 64) - 1
GOLDEN = 0x9E3779B97F4A7C15
MULTIPLIER = 0x9FB21C651E98DF25
MODULUS = 2147483647
DMA, MEMORY, CPU, UART, EDU, TALLY = 1, 2, 3, 5, 6, 7


def mix(x):
    x &= M64
    x ^= x >> 30
    x = x * 0xBF58476D1CE4E5B9 & M64
    x ^= x >> 27
    x = x * 0x94D049BB133111EB & M64
    x ^= x >> 31
    return x


def digest(words, h):
    for w in words:
        h = (h ^ w) * MULTIPLIER & M64
        h ^= h >> 32
    return h


def chain_seed(seed, workload, device, index):
    return mix(mix(seed + workload * GOLDEN) ^ (device << 32 | index))


def enter(chain, v):
    return (mix(chain ^ v) + GOLDEN) & M64


def words_of(data):
    return [int.from_bytes(data[i : i + 8], "little") for i in range(0, len(data), 8)]


def crc32c(data):
    """Bit by bit, reflected."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def dma(seed, slot_number, queue, queues, depth, memory_size, window_size, peer_window, counts):
    s = chain = chain_seed(seed, DMA, slot_number, queue)
    stride = memory_size // (queues * depth) // 4096 * 4096
    source = [bytearray(4096) for _ in range(depth)]
    destination = [bytearray(4096) for _ in range(depth)]
    memory = bytearray(memory_size)
    window = [0] * (window_size // 8)
    words = (window_size // 2 if peer_window else window_size) // 8 // queues
    span = min(4096, peer_window // 2 // (queues * depth * 2) // 8 * 8)
    peer = bytearray(peer_window)
    out = {0: chain}
    for i in range(max(counts)):
        r = mix(s + GOLDEN * (i + 1))
        length = 8 * (1 + (r >> 8) % 512)
        base = mix(r)
        slot = i % depth
        kind = ["nop"] + ["copy"] * 4 + ["fill"] * 2 + ["crc32c"] * 2 + ["digest"] * 2 + ["store"] * 3 + ["load"] * 2
        kind = kind[r & 15]
        if stride == 0:
            kind = {"store": "copy", "load": "fill"}.get(kind, kind)
        at = lambda area: peer_window // 2 + ((queue * depth + slot) * 2 + area) * span
        area = r >> 24 & 1
        from_peer = span > 0 and kind in ("copy", "crc32c", "digest", "store") and (r >> 20) % 4 == 0
        to_peer = span > 0 and kind in ("copy", "fill", "load") and (r >> 22) % 4 == 0
        if from_peer or to_peer:
            length = min(length, span)
        real_source, real_destination = source[slot], destination[slot]
        if from_peer:
            source[slot] = peer[at(1 - area) : at(1 - area) + span]
        elif kind in ("copy", "crc32c", "digest", "store"):
            for j in range(length // 8):
                source[slot][8 * j : 8 * j + 8] = ((base + j * GOLDEN) & M64).to_bytes(8, "little")
        if to_peer:
            destination[slot] = peer[at(area) : at(area) + span]
        region = (queue * depth + slot) * stride
        v = 0
        if kind == "copy":
            destination[slot][:length] = source[slot][:length]
        elif kind == "fill":
            destination[slot][:length] = mix(r ^ 1).to_bytes(8, "little") * (length // 8)
        elif kind == "crc32c":
            v = crc32c(source[slot][:length])
        elif kind == "digest":
            v = digest(words_of(source[slot][:length]), r)
        elif kind == "store":
            memory[region : region + length] = source[slot][:length]
        elif kind == "load":
            destination[slot][:length] = memory[region : region + length]
        if kind in ("copy", "fill", "load"):
            v = digest(words_of(destination[slot][:length]), i)
        if to_peer:
            peer[at(area) : at(area) + span] = destination[slot]
        source[slot], destination[slot] = real_source, real_destination
        if words != 0 and (i & 63) == 63:
            at = queue * words + (i >> 6) % words
            v ^= window[at]
            window[at] = mix(s ^ i)
        chain = enter(chain, v)
        out[i + 1] = chain
    return [out[n] for n in counts]


def memory(seed, vcpu, pages, counts):
    s = chain = chain_seed(seed, MEMORY, 0, vcpu)
    held = [None] * pages
    out = {0: chain}
    for i in range(max(counts)):
        p, generation = i % pages, i // pages
        v = 0
        if generation > 0:
            v = digest(held[p], i)
        chain = enter(chain, v)
        base = mix(s + ((generation + 1) << 32) + p)
        held[p] = [(base + j * GOLDEN) & M64 for j in range(512)]
        out[i + 1] = chain
    return [out[n] for n in counts]


def cpu(seed, vcpu, avx2, counts):
    s = chain_seed(seed, CPU, 0, vcpu)
    g = [mix(s + 1 + k) for k in range(6)]
    x = [[mix(s + 0x100 + 2 * k + l) for l in range(2)] for k in range(7)]
    y = [[mix(s + 0x200 + 4 * k + l) for l in range(4)] for k in range(7)]
    f = [mix(s + 0x300 + k) % MODULUS for k in range(4)]

    def value():
        words = list(g)
        for register in x:
            words += register
        if avx2:
            for register in y:
                words += register
        return digest(words + f, s)

    out = {0: s}
    for n in range(max(counts)):
        for _ in range(16):
            for k in range(6):
                g[k] = (g[k] + g[(k + 1) % 6]) & M64
                g[k] = (g[k] << (7 + k) | g[k] >> (64 - 7 - k)) & M64
            for k in range(7):
                for lane in range(2):
                    x[k][lane] = (x[k][lane] + x[(k + 1) % 7][lane]) & M64
                    x[k][lane] ^= x[k][lane] >> 11
            if avx2:
                for k in range(7):
                    for lane in range(4):
                        y[k][lane] = (y[k][lane] + y[(k + 1) % 7][lane]) & M64
                        y[k][lane] ^= y[k][lane] >> 9
            f[0] = (f[0] * 48271 + f[1]) % MODULUS
            for other in (1, 2, 3):
                f[0], f[other] = f[other], f[0]
        out[n + 1] = value()
    return [out[n] for n in counts]


def uart(seed, slot_number, port, counts):
    s = chain = chain_seed(seed, UART, slot_number, port)
    kept = 0
    out = {0: chain}
    for i in range(max(counts)):
        r = mix((s + GOLDEN * (i + 1)) & M64)
        received = [mix((r + j + 1) & M64) & 0xFF for j in range(1 + (r >> 8) % 8)]
        v = 0 if r & 15 == 15 else digest(received, i)
        if i & 15 == 15:
            v ^= kept
            kept = mix(s ^ i) & 0xFF
        chain = enter(chain, v)
        out[i + 1] = chain
    return [out[n] for n in counts]


def edu(seed, slot_number, counts):
    s = chain = chain_seed(seed, EDU, slot_number, 0)
    live = 0
    out = {0: chain}
    for i in range(max(counts)):
        r = mix((s + GOLDEN * (i + 1)) & M64)
        base = mix(r)
        words = [i + 1] + [(base + j * GOLDEN) & M64 for j in range(1, 2 + (r >> 8) % 254)]
        fact = math.factorial((r >> 40) % 34) % 2**32 if r & 3 else 0
        v = digest(words + [fact], i)
        if i & 3 == 3:
            v ^= live
            live = mix(s ^ i) & 0xFFFFFFFF
        chain = enter(chain, v)
        out[i + 1] = chain
    return [out[n] for n in counts]


def tally(seed, slot_number, counts):
    s = chain = chain_seed(seed, TALLY, slot_number, 0)
    held, additions = 0, 0
    out = {0: chain}
    for i in range(max(counts)):
        r = mix((s + GOLDEN * (i + 1)) & M64)
        count = 1 + (r >> 8) % 8
        numbers = [mix((r + j + 1) & M64) >> 40 for j in range(count)]
        threshold = held + sum(numbers[: (r >> 16) % count + 1])
        held += sum(numbers)
        additions += count
        chain = enter(chain, digest([held, threshold, additions], i))
        out[i + 1] = chain
    return [out[n] for n in counts]


COUNTS = [0, 1, 64, 257, 700]

# workload, seed, device, index, parameter, avx2, queues, memory_size, window_size
CASES = [
    # Internal memory and a window whose words of a queue are gone around.
    (DMA, 1, 2, 0, 16, 0, 2, 2 * 16 * 4096, 64, 0),
    (DMA, 1, 2, 1, 16, 0, 2, 2 * 16 * 4096, 64, 0),
    # A region a little too small for a second page of each slot, an odd number of queues, a larger window.
    (DMA, 0xDEADBEEFCAFEF00D, 31, 2, 5, 0, 3, 3 * 5 * 8192 - 1, 4096, 0),
    # No internal memory to speak of: store is copy, load is fill. No window.
    (DMA, 7, 4, 0, 8, 0, 1, 8 * 4096 - 1, 0, 0),
    # A window too small for the queues.
    (DMA, 7, 5, 1, 8, 0, 4, 0, 24, 0),
    (MEMORY, 1, 0, 0, 1, 0, 0, 0, 0, 0),
    (MEMORY, M64, 0, 3, 100, 0, 0, 0, 0, 0),
    (CPU, 1, 0, 0, 0, 0, 0, 0, 0, 0),
    (CPU, 1, 0, 0, 1, 1, 0, 0, 0, 0),
    (CPU, 42, 0, 63, 1, 1, 0, 0, 0, 0),
    (UART, 1, 1, 0, 0, 0, 0, 0, 0, 0),
    (UART, 0xDEADBEEFCAFEF00D, 31, 1, 0, 0, 0, 0, 0, 0),
    (EDU, 1, 1, 0, 0, 0, 0, 0, 0, 0),
    (EDU, 0xDEADBEEFCAFEF00D, 31, 0, 0, 0, 0, 0, 0, 0),
    (TALLY, 1, 1, 0, 0, 0, 0, 0, 0, 0),
    (TALLY, 0xDEADBEEFCAFEF00D, 31, 0, 0, 0, 0, 0, 0, 0),
    # A peer: areas of 32 bytes, of a page each, and a window with no room for any.
    (DMA, 1, 1, 1, 8, 0, 2, 2 * 8 * 4096, 2048, 2048),
    (DMA, 3, 2, 0, 4, 0, 1, 0, 4096, 1 << 20),
    (DMA, 3, 2, 0, 16, 0, 2, 2 * 16 * 4096, 65536, 0x10000 + 8),
    (DMA, 3, 2, 0, 16, 0, 2, 2 * 16 * 4096, 65536, 1016),
]


def digests(case):
    workload, seed, device, index, parameter, avx2, queues, memory_size, window_size, peer_window = case
    if workload == DMA:
        return dma(seed, device, index, queues, parameter, memory_size, window_size, peer_window, COUNTS)
    if workload == MEMORY:
        return memory(seed, index, parameter, COUNTS)
    if workload == EDU:
        return edu(seed, device, COUNTS)
    if workload == TALLY:
        return tally(seed, device, COUNTS)
    if workload == UART:
        return uart(seed, device, index, COUNTS)
    return cpu(seed, index, avx2, COUNTS)


def main():
    assert crc32c(b"123456789") == 0xE3069283  # the check value of CRC-32C
    print("/* SPDX-License-Identifier: GPL-2.0-or-later */")
    print("/* Made by tests/unit/proof/model.py. */")
    print("/* clang-format off */")
    print("static const uint64_t golden_counts[] = {%s};" % ", ".join(map(str, COUNTS)))
    print("static const struct golden {")
    print("    uint32_t workload; uint64_t seed; uint16_t device; uint16_t index; uint32_t parameter; bool avx2;")
    print("    uint32_t queues; uint64_t memory_size; uint64_t window_size; uint64_t peer_window;"
          " uint64_t digest[%d];" % len(COUNTS))
    print("} golden[] = {")
    for case in CASES:
        workload, seed, device, index, parameter, avx2, queues, memory_size, window_size, peer_window = case
        print("    {%d, 0x%xull, %d, %d, %d, %s, %d, %d, %d, %d," % (workload, seed, device, index, parameter,
              "true" if avx2 else "false", queues, memory_size, window_size, peer_window))
        print("     {%s}}," % ", ".join("0x%016xull" % d for d in digests(case)))
    print("};")


if __name__ == "__main__":
    main()
