/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the guest's workloads do, as a function of the seed and the operation count alone: the text that the guest and
 * the VMM's model both implement, each in its own code. All arithmetic is on unsigned 64-bit numbers.
 *
 *   mix(x):    x ^= x >> 30; x *= 0xbf58476d1ce4e5b9; x ^= x >> 27; x *= 0x94d049bb133111eb; x ^= x >> 31
 *   digest(words, h):  for each word w: h = (h ^ w) * DIGEST_MULTIPLIER, then h ^= h >> 32;  the result is h
 *   chain seed:        s = mix(mix(seed + workload * GOLDEN) ^ (device << 32 | index)), with workload from enum
 *                      workload_id, device the number of the device (0 where the workload has none), index the queue
 *                      for dma, the port for uart, 0 for edu and tally, the vCPU for the others
 *   chain:             begins as s; a value v enters it by  chain = mix(chain ^ v) + GOLDEN
 *
 * Operations of a chain are numbered from 0. After n operations the chain's digest is published with n.
 *
 * dma, one chain for each queue of each device. depth slots, slot(i) = i % depth, each with a source and a destination
 * buffer of WORKLOAD_DMA_BUFFER_SIZE zeroed bytes, and, where stride > 0, a region of that size of the device's internal
 * memory (zero at first) at (queue * depth + slot) * stride, with stride = memory_size / (queues * depth) rounded down to
 * a multiple of 4096. For operation i:
 *   r = mix(s + GOLDEN * (i + 1));  length = 8 * (1 + (r >> 8) % 512);  base = mix(r)
 *   kind by r & 15:  0 nop; 1..4 copy; 5, 6 fill; 7, 8 crc32c; 9, 10 digest; 11..13 store; 14, 15 load
 *   with stride 0, store is copy and load is fill. The descriptor's sequence is i + 1.
 *   The source buffer of copy, crc32c, digest and store is first written with word j = base + j * GOLDEN.
 *   operand: fill: mix(r ^ 1); digest: r; store and load: the slot's region; else 0.
 *   v: copy, fill, load: digest(destination[0, length), i); crc32c and digest: the completion's result; nop, store: 0.
 *   Where the device has a window of which words = window_size / 8 / queues is not 0, and (i & 63) == 63: the word at
 *   queue * words + (i >> 6) % words of the window is read, v ^= what was read (0 at first), then mix(s ^ i) is
 *   written there.
 *   Then v enters the chain. A slot is used again only once its operation was checked; checks are in order of i.
 *
 *   Peer-to-peer, where it is asked for and two or more of the devices have a window: the peer of each of these is the
 *   next of them in order of slots, and of the last the first. The lower half of a window is its device's queues': above,
 *   words = window_size / 2 / 8 / queues. The upper half is that device's whose peer it is (whose queues, depth and slots
 *   these are): two areas of span zeroed bytes for each slot, of which area a of a queue's slot is at
 *   window_size / 2 + ((queue * depth + slot) * 2 + a) * span of the peer's window, with span = the peer's
 *   window_size / 2 / (queues * depth * 2) rounded down to a multiple of 8, at most WORKLOAD_DMA_BUFFER_SIZE.
 *   Where span > 0, with a = (r >> 24) & 1:
 *   (r >> 20) % 4 == 0 and copy, crc32c, digest, store: the source is area 1 - a, as it is, and not the source buffer;
 *   (r >> 22) % 4 == 0 and copy, fill, load: the destination is area a, and not the destination buffer;
 *   in either case length is at most span, and the operation is a peer-to-peer one.
 *
 * uart, one chain for each port of each dual 16550 card (uart_device.h). A card has one operation at a time, of its ports
 * in turn, and one interrupt for each operation. For operation i:
 *   r = mix(s + GOLDEN * (i + 1));  length = 1 + (r >> 8) % 8;  byte j = mix(r + j + 1) & 0xff
 *   kind by r & 15: 0..9 receive; 10..14 transmit; 15 overrun
 *   receive: the interrupt for received bytes is enabled, length bytes are sent, the interrupt is awaited, the bytes are
 *   received. transmit: length bytes are sent and received, the interrupt for the empty FIFO is enabled, and awaited.
 *   overrun: the interrupt for the line status is enabled, UART_FIFO_SIZE + 1 bytes are sent, the interrupt is awaited,
 *   and the FIFO is cleared. Until the next operation no interrupt is enabled.
 *   Where the interrupt is a level and (r >> 16) % 4 == 0 its pin is masked while the bytes are sent.
 *   v: receive, transmit: digest(the bytes received, a word each, i); overrun: 0.
 *   Where (i & 15) == 15, after the interrupt: SCR is read, v ^= what was read (0 at first), then mix(s ^ i) & 0xff is
 *   written there.
 *   Then v enters the chain.
 *
 * edu, one chain for each of QEMU's edu devices (edu_device.h), which has one operation at a time: a pair of transfers, to
 * the device's buffer and back, and with it maybe a factorial. For operation i:
 *   r = mix(s + GOLDEN * (i + 1));  words = 2 + (r >> 8) % 254;  place = 8 * ((r >> 16) % 256);  start = (r >> 24) % 512
 *   word 0 = i + 1, the operation's sequence number; word j > 0 = mix(r) + j * GOLDEN
 *   Region i % WORKLOAD_EDU_REGIONS, of WORKLOAD_EDU_REGION_SIZE bytes, is painted: all its words are mix(r ^ 1). The words
 *   are read from RAM to `place` in the buffer; then they are written from there to the region from its word `start` on.
 *   In RAM and in the buffer each word is XORed with a nonce of the guest's boot, which no digest has.
 *   Each transfer ends with an interrupt, the second is begun after that of the first.
 *   n = (r >> 40) % 34. With r & 3: 0 no factorial; 1 that of n is asked for with the pair's first transfer; 2, 3 with its
 *   second. It ends with an interrupt of its own, which is awaited too. f = n! modulo 2^32, 0 where not asked for.
 *   v: digest(words that came back, then f; i)
 *   Where (i & 3) == 3: the liveness register is read, v ^= what was read (0 at first), and it is then written so that it
 *   reads as mix(s ^ i) & 0xffffffff.
 *   Then v enters the chain. What a region holds is compared again before it is painted, and at the end.
 *   The buffer does not move with a migration. A pair that was cut brings back other words, also those that an earlier
 *   guest with the same seed left there: none of them is right, all of them were written, and no others of the region. Such a pair is painted and done again (not its factorial); it is
 *   counted, and its value is that of a pair which was not cut. At most one pair may be cut by each migration: the one
 *   that was under way at the pause.
 *
 * tally, one chain for each tally device (tally_device.h), whose tally and count are 0 at first. For operation i:
 *   r = mix(s + GOLDEN * (i + 1));  count = 1 + (r >> 8) % 8;  last = (r >> 16) % count;  number j = mix(r + j + 1) >> 40
 *   The threshold is set to the tally + number 0 + ... + number `last`. Then each number is added, in order of j < count;
 *   number `last` brings the one interrupt of the operation, which is awaited when all were added.
 *   v: digest(the tally, the threshold, the count of additions, as the device has them then; i)
 *   Then v enters the chain.
 *
 * memory, one chain for each vCPU, over `pages` pages of its own. Operation i: p = i % pages, generation = i / pages.
 *   base(p, g) = mix(s + ((g + 1) << 32) + p); the page of generation g has word j = base(p, g) + j * GOLDEN, j < 512
 *   generation > 0: all 512 words are read and compared with generation - 1, v = digest(words read, i); else v = 0
 *   v enters the chain; then the page is written with its new generation.
 *
 * cpu, one chain for each vCPU. The state is in registers: g0..g5 in general registers, x0..x6 in xmm0..xmm6 of two
 * 64-bit lanes, with AVX2 y0..y6 in ymm8..ymm14 of four, f0..f3 in x87 st0..st3. At first:
 *   g(k) = mix(s + 1 + k);  x(k) lane l = mix(s + 0x100 + 2 * k + l);  y(k) lane l = mix(s + 0x200 + 4 * k + l)
 *   f(k) = mix(s + 0x300 + k) % WORKLOAD_CPU_MODULUS
 * An iteration, each line in order of k, in place:
 *   k = 0..5:  g(k) += g((k + 1) % 6), then g(k) = rotate left(g(k), 7 + k)
 *   k = 0..6:  x(k) += x((k + 1) % 7), then x(k) ^= x(k) >> 11, lane by lane
 *   k = 0..6:  y(k) += y((k + 1) % 7), then y(k) ^= y(k) >> 9, lane by lane (only with AVX2)
 *   f0 = (f0 * 48271 + f1) % WORKLOAD_CPU_MODULUS, then f0 is exchanged with f1, with f2, with f3, in this order
 *   then the registers are held as they are for WORKLOAD_CPU_HOLD turns of an empty loop
 * An operation is WORKLOAD_CPU_ITERATIONS iterations. The chain's digest is digest(g0..g5, x0..x6, y0..y6 where there
 * is AVX2, f0..f3; s), lanes in order from the lowest; before the first operation it is s. The rest of the guest uses
 * none of these vector and x87 registers, so that they are live at whatever instant the vCPU is paused.
 *
 * clock, one chain for each vCPU, judged by invariants and not by a digest: its digest is 0.
 *
 * The leading workload is the first of dma, uart, edu, tally, memory, cpu, clock (not the order of enum workload_id) that
 * was asked for and has a chain. The operation count asked for is that of each of its chains; the others go on as long
 * as it does. When all is done, or the VMM asks for the finish, every workload checks all that it has (those of devices
 * drain what is under way) and publishes its last count and digest.
 */
#ifndef STOPCOPY_WORKLOAD_H
#define STOPCOPY_WORKLOAD_H

#define WORKLOAD_GOLDEN 0x9e3779b97f4a7c15ull
#define WORKLOAD_DIGEST_MULTIPLIER 0x9fb21c651e98df25ull
#define WORKLOAD_DMA_BUFFER_SIZE 4096u
#define WORKLOAD_EDU_REGION_SIZE 8192u
#define WORKLOAD_EDU_REGIONS 4u
#define WORKLOAD_CPU_MODULUS 2147483647u
#define WORKLOAD_CPU_MULTIPLIER 48271u
#define WORKLOAD_CPU_HOLD 1024u
#define WORKLOAD_CPU_ITERATIONS 16u

enum workload_id {
    WORKLOAD_DMA = 1,
    WORKLOAD_MEMORY = 2,
    WORKLOAD_CPU = 3,
    WORKLOAD_CLOCK = 4,
    WORKLOAD_UART = 5,
    WORKLOAD_EDU = 6,
    WORKLOAD_TALLY = 7,
    WORKLOAD_END, /* one past the last */
};

/* Their names, by enum workload_id: nodes of the device tree, words of the command line, chains of a report. */
#define WORKLOAD_NAMES                                                                                                 \
    {                                                                                                                  \
        [WORKLOAD_DMA] = "dma", [WORKLOAD_MEMORY] = "memory", [WORKLOAD_CPU] = "cpu", [WORKLOAD_CLOCK] = "clock",      \
        [WORKLOAD_UART] = "uart", [WORKLOAD_EDU] = "edu", [WORKLOAD_TALLY] = "tally",                                  \
    }

#endif
