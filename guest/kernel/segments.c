/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "guest/kernel/kernel.h"

/* Ports that CPL 3 uses: the serial port, the test-control port, PCI's CF8 to CFF, the PIT's second counter. IOPL alone
 * does not let CPL 3 at a port on every host. */
#define BITMAP_SIZE (0xd00 / 8)

struct tss {
    uint32_t reserved0;
    uint64_t rsp[3];
    uint64_t reserved1;
    uint64_t ist[7];
    uint64_t reserved2;
    uint16_t reserved3;
    uint16_t bitmap_offset;
    uint8_t bitmap[BITMAP_SIZE];
    uint8_t bitmap_end;
} __attribute__((packed));

_Static_assert(offsetof(struct tss, bitmap) == 104, "AMD64 APM volume 2, 12.2.5");

/* Filled in by the compiler, but for RSP0. */
static struct tss tss[KERNEL_VCPUS_MAX] KERNEL_DATA __attribute__((aligned(16))) = {
    [0 ... KERNEL_VCPUS_MAX - 1] =
        {
            .bitmap_offset = offsetof(struct tss, bitmap),
            .bitmap =
                {
                    [0 ... 7] = 0xff,
                    [0x40 / 8] = 0xf0,
                    [9 ... 11] = 0xff,
                    [0x60 / 8] = 0xfd,
                    [13 ... 126] = 0xff,
                    [0x3f8 / 8] = 0,
                    [128 ... 191] = 0xff,
                    [0x600 / 8] = 0,
                    [193 ... 414] = 0xff,
                    [0xcf8 / 8] = 0,
                },
            .bitmap_end = 0xff,
        },
};

extern uint64_t kernel_gdt[];
extern const uint8_t kernel_gdt_pointer[], kernel_idt_pointer[];

void segments_load(struct kernel_vcpu *vcpu)
{
    struct tss *mine = &tss[vcpu->index];
    uint64_t base = (uint64_t)mine;
    uint64_t selector = SELECTOR_TSS + 16ull * vcpu->index;

    mine->rsp[0] = (uint64_t)vcpu + KERNEL_STACK_SIZE;
    /* Available 64-bit TSS, present. */
    kernel_gdt[selector / 8] = (sizeof(*mine) - 1) | (base & 0xffffff) << 16 | 0x89ull << 40 | (base >> 24) << 56;
    kernel_gdt[selector / 8 + 1] = base >> 32;
    __asm__ volatile("ltr %w0" : : "r"(selector) : "memory");
    __asm__ volatile("lidt (%0)" : : "r"(kernel_idt_pointer) : "memory");
}
