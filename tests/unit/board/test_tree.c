/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The board's device tree: there and back, and from hostile hands. */
#include <criterion/criterion.h>
#include <libfdt.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/board/fake_device.h"
#include "vmm/board/board_layout.h"

static struct board board, back;
static struct buffer tree;
static struct error error;

static void set_up(void)
{
    static struct fake_device fake[3];
    struct vfio_device *vfio[3];
    struct board_wishes wishes = {
        .memory_size = 4ull << 30,
        .vcpus = 3,
        .seed = 0x1122334455667788,
        .ops = 1000000,
        .wanted[WORKLOAD_DMA] = true,
        .dma_depth = 32,
        .wanted[WORKLOAD_EDU] = true,
        .wanted[WORKLOAD_MEMORY] = true,
        .workload_memory_size = 64ull << 20,
        .workload_memory_rate = 100000000,
        .wanted[WORKLOAD_CPU] = true,
        .wanted[WORKLOAD_CLOCK] = true,
    };

    for (int i = 0; i < 3; i++) {
        fake_device_init(&fake[i]);
        vfio[i] = &fake[i].vfio;
    }
    cr_assert_eq(board_describe(&wishes, vfio, 3, &board, &error), 0, "%s", error.text);
    cr_assert_eq(board_to_tree(&board, &tree, &error), 0, "%s", error.text);
}

static void tear_down(void)
{
    buffer_free(&tree);
}

TestSuite(tree, .init = set_up, .fini = tear_down);

static void expect_same_board(void)
{
    cr_assert_eq(back.vcpus, board.vcpus);
    cr_assert_eq(back.progress, board.progress);
    cr_assert_eq(memcmp(back.ram, board.ram, sizeof(board.ram)), 0);
    cr_assert_eq(back.window64.start, board.window64.start);
    cr_assert_eq(back.window64.size, board.window64.size);
    cr_assert_eq(back.features.tsc_hz, board.features.tsc_hz);
    cr_assert_eq(back.features.apic_timer_hz, board.features.apic_timer_hz);
    cr_assert_eq(back.features.avx2, board.features.avx2);
    cr_assert_eq(back.features.kvmclock, board.features.kvmclock);
    cr_assert_eq(back.features.physical_address_bits, board.features.physical_address_bits);
    cr_assert_eq(back.wishes.memory_size, board.wishes.memory_size);
    cr_assert_eq(back.wishes.seed, board.wishes.seed);
    cr_assert_eq(back.wishes.ops, board.wishes.ops);
    cr_assert_eq(back.wishes.dma_depth, board.wishes.dma_depth);
    cr_assert_eq(back.wishes.workload_memory_size, board.wishes.workload_memory_size);
    cr_assert_eq(back.wishes.workload_memory_rate, board.wishes.workload_memory_rate);
    cr_assert(back.wishes.wanted[WORKLOAD_EDU] && !back.wishes.wanted[WORKLOAD_UART]);
    cr_assert(back.wishes.wanted[WORKLOAD_DMA] && back.wishes.wanted[WORKLOAD_MEMORY] &&
              back.wishes.wanted[WORKLOAD_CPU] && back.wishes.wanted[WORKLOAD_CLOCK]);
    cr_assert_eq(back.device_count, board.device_count);
    for (size_t i = 0; i < board.device_count; i++) {
        const struct board_device *a = &back.device[i], *b = &board.device[i];

        cr_assert(a->slot == b->slot && a->vendor == b->vendor && a->device == b->device);
        cr_assert(a->subsystem_vendor == b->subsystem_vendor && a->subsystem == b->subsystem);
        cr_assert_eq(a->class_revision, b->class_revision);
        cr_assert_eq(a->msix_vectors, b->msix_vectors);
        cr_assert(a->msix.capability == b->msix.capability && a->msix.pba_offset == b->msix.pba_offset);
        cr_assert(a->msix.table_bar == b->msix.table_bar && a->msix.pba_bar == b->msix.pba_bar);
        cr_assert_eq(a->express.device_capabilities, b->express.device_capabilities);
        for (int j = 0; j < BOARD_BARS; j++) {
            cr_assert(a->bar[j].address == b->bar[j].address && a->bar[j].size == b->bar[j].size);
            cr_assert(a->bar[j].io == b->bar[j].io && a->bar[j].wide == b->bar[j].wide);
            cr_assert_eq(a->bar[j].prefetchable, b->bar[j].prefetchable);
        }
    }
}

Test(tree, comes_back_as_it_went)
{
    cr_assert_eq(board_from_tree(tree.data, tree.size, &back, &error), 0, "%s", error.text);
    expect_same_board();
}

Test(tree, is_read_where_it_is_not_aligned)
{
    uint8_t *moved = malloc(tree.size + 1);

    memcpy(moved + 1, tree.data, tree.size);
    cr_assert_eq(board_from_tree(moved + 1, tree.size, &back, &error), 0, "%s", error.text);
    expect_same_board();
    free(moved);
}

Test(tree, gives_the_guest_its_memory_without_the_reserved_end)
{
    int node = fdt_subnode_offset(tree.data, 0, "memory@0"), size;
    const fdt64_t *reg = fdt_getprop(tree.data, node, "reg", &size);

    cr_assert_eq(size, 32);
    cr_assert_eq(fdt64_ld(reg + 1), (3ull << 30) - BOARD_RESERVED_SIZE);
    cr_assert_eq(fdt64_ld(reg + 2), 4ull << 30);
    cr_assert_eq(fdt64_ld(reg + 3), 1ull << 30);
}

/* The limits in the test's own words. */
static void expect_limits(const struct board *b)
{
    uint64_t top = 1ull << b->features.physical_address_bits;

    cr_assert(b->vcpus >= 1 && b->vcpus <= VM_VCPUS_MAX);
    cr_assert(b->features.physical_address_bits <= 52);
    cr_assert(b->ram_ranges >= 1 && b->ram_ranges <= BOARD_RAM_RANGES_MAX);
    cr_assert(b->ram[0].start == 0 && b->ram[0].size >= BOARD_MEMORY_MIN && b->ram[0].size <= BOARD_LOW_RAM_MAX);
    cr_assert(b->ram[0].size % 4096 == 0 && b->progress + BOARD_RESERVED_SIZE == b->ram[0].size);
    if (b->ram_ranges == 2)
        cr_assert(b->ram[1].start == BOARD_HIGH_RAM_START && b->ram[1].size <= top - b->ram[1].start &&
                  b->ram[1].size % 4096 == 0);
    cr_assert_leq(b->device_count, BOARD_DEVICES_MAX);
    for (size_t i = 0; i < b->device_count; i++) {
        cr_assert(b->device[i].slot >= 1 && b->device[i].slot <= 31);
        cr_assert_leq(b->device[i].msix_vectors, 2048);
        for (int j = 0; j < BOARD_BARS; j++) {
            const struct board_bar *bar = &b->device[i].bar[j];

            if (!bar->size)
                continue;
            cr_assert(bar->address + bar->size > bar->address && bar->address + bar->size <= top);
            if (bar->io)
                cr_assert(bar->address >= 0x1000 && bar->address + bar->size <= 0xf000);
            else if (bar->address < 4ull << 30)
                cr_assert(bar->address >= 0xc1000000 && bar->address + bar->size <= 0xfec00000);
            else
                cr_assert(bar->wide &&
                          bar->address >= b->ram[b->ram_ranges - 1].start + b->ram[b->ram_ranges - 1].size);
        }
    }
}

Test(tree, changed_anywhere_never_leaves_the_limits)
{
    static const uint8_t changes[] = {0x01, 0x04, 0x80, 0xff};
    unsigned int accepted = 0, refused = 0;

    for (size_t at = 0; at < tree.size; at++) {
        for (size_t i = 0; i < sizeof(changes); i++) {
            tree.data[at] ^= changes[i];
            if (board_from_tree(tree.data, tree.size, &back, &error)) {
                cr_assert(error.text[0]);
                refused++;
            } else {
                expect_limits(&back);
                accepted++;
            }
            tree.data[at] ^= changes[i];
        }
    }
    cr_assert(accepted && refused);
}

Test(tree, cut_off_anywhere_is_refused)
{
    for (size_t size = 0; size < tree.size; size++) {
        uint8_t *cut = malloc(size + 1);

        memcpy(cut, tree.data, size);
        cr_assert_eq(board_from_tree(cut, size, &back, &error), -1);
        free(cut);
    }
}

static void expect_refused(void *changed, const char *words)
{
    fdt_pack(changed);
    cr_assert_eq(board_from_tree(changed, fdt_totalsize(changed), &back, &error), -1);
    cr_assert(strstr(error.text, words), "%s", error.text);
}

static void *open_tree(void)
{
    void *changed = calloc(1, tree.size + 8192);

    cr_assert_eq(fdt_open_into(tree.data, changed, (int)tree.size + 8192), 0);
    return changed;
}

Test(tree, what_is_missing_is_named)
{
    void *changed = open_tree();

    fdt_delprop(changed, fdt_path_offset(changed, "/chosen"), "stopcopy,seed");
    expect_refused(changed, "stopcopy,seed");
    free(changed);
}

Test(tree, what_is_not_known_is_refused)
{
    void *changed = open_tree();

    fdt_add_subnode(changed, fdt_path_offset(changed, "/workloads"), "mine");
    expect_refused(changed, "workload");
    free(changed);

    changed = open_tree();
    fdt_setprop_string(changed, 0, "stopcopy,irqchip", "none");
    expect_refused(changed, "irqchip");
    free(changed);

    changed = open_tree();
    fdt_appendprop_string(changed, fdt_path_offset(changed, "/cpus"), "stopcopy,features", "avx9000");
    expect_refused(changed, "stopcopy,features");
    free(changed);
}

Test(tree, a_bar_over_another_is_refused)
{
    void *changed = open_tree();
    int first = fdt_path_offset(changed, "/pcie@c0000000/device@1"), size;
    fdt32_t bars[24];

    memcpy(bars, fdt_getprop(changed, first, "stopcopy,bars", &size), sizeof(bars));
    cr_assert_eq(size, sizeof(bars));
    fdt_setprop(changed, fdt_path_offset(changed, "/pcie@c0000000/device@2"), "stopcopy,bars", bars, size);
    expect_refused(changed, "overlaps");
    free(changed);
}
