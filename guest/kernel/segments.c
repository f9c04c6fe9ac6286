/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "guest/kernel/kernel.h"

#define PORTS 0x10000u
#define BITMAP_SIZE (PORTS / 8)
#define TSS_SIZE 128u /* so that none crosses a page */

struct tss {
    uint32_t reserved0;
    uint64_t rsp[3];
    uint64_t reserved1;
    uint64_t ist[7];
    uint64_t reserved2;
    uint16_t reserved3;
    uint16_t bitmap_offset;
} __attribute__((packed, aligned(TSS_SIZE)));

/*
 * One I/O bitmap for all vCPUs, which each TSS reaches by an offset of its own: IOPL alone does not let CPL 3 at a port on
 * every host. It follows the TSSs, and ends with a byte of ones (AMD64 APM volume 2, 12.2.5).
 */
struct task_state {
    struct tss tss[KERNEL_VCPUS_MAX];
    uint8_t bitmap[BITMAP_SIZE + 1];
};

_Static_assert(offsetof(struct tss, bitmap_offset) == 102, "AMD64 APM volume 2, 12.2.5");
_Static_assert(sizeof(struct task_state) <= 0x10000, "the bitmap is within reach of a 16-bit offset");

/* At first CPL 3 has the serial port, the test-control port, PCI's CF8 to CFF, and the PIT's second counter. */
static struct task_state state KERNEL_DATA __attribute__((aligned(4096))) = {
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
            [416 ... BITMAP_SIZE] = 0xff,
        },
};

extern uint64_t kernel_gdt[];
extern const uint8_t kernel_gdt_pointer[], kernel_idt_pointer[];

void segments_load(struct kernel_vcpu *vcpu)
{
    struct tss *mine = &state.tss[vcpu->index];
    uint64_t base = (uint64_t)mine, limit = (uint64_t)(&state + 1) - base - 1;
    uint64_t selector = SELECTOR_TSS + 16ull * vcpu->index;

    mine->rsp[0] = (uint64_t)vcpu + KERNEL_STACK_SIZE;
    mine->bitmap_offset = (uint16_t)((uint64_t)state.bitmap - base);
    /* Available 64-bit TSS, present. */
    kernel_gdt[selector / 8] = (limit & 0xffff) | (base & 0xffffff) << 16 | 0x89ull << 40 | (base >> 24) << 56;
    kernel_gdt[selector / 8 + 1] = base >> 32;
    __asm__ volatile("ltr %w0" : : "r"(selector) : "memory");
    __asm__ volatile("lidt (%0)" : : "r"(kernel_idt_pointer) : "memory");
}

bool segments_allow_ports(uint64_t first, uint64_t count)
{
    if (first >= PORTS || count > PORTS - first)
        return false;
    for (uint64_t port = first; port < first + count; port++)
        __atomic_and_fetch(&state.bitmap[port / 8], (uint8_t) ~(1u << port % 8), __ATOMIC_RELAXED);
    return true;
}
