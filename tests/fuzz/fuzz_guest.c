/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A hostile guest at the machine's registers: accesses of u8 kind and width, u24 where, u32 value, to configuration space
 * by ECAM and by ports, BARs with MSI-X table and PBA, I/O ports, and anywhere. Behind them are two functions in memory, and
 * no KVM.
 */
#include <stdlib.h>
#include <string.h>

#include "tests/fuzz/fuzz.h"
#include "tests/unit/board/fake_device.h"
#include "tests/unit/board/fake_vm.h"
#include "vmm/board/machine.h"

#define ACCESSES_MAX 512

static uint64_t place(const struct board *board, unsigned int kind, uint64_t where)
{
    const struct board_device *device = &board->device[where & 1];

    switch (kind) {
    case 0: /* configuration space of the functions, and past them */
        return BOARD_ECAM_START + (where & 0x1ffff);
    case 1: /* a BAR where the board put it */
        return device->bar[where >> 1 & 5].address + (where >> 4 & 0x1ffff);
    case 2: /* the MSI-X table and the PBA */
        return device->bar[4].address + (where >> 1 & 0x7fff);
    default: /* anywhere */
        return (where << 8 | where >> 16) * 0x101;
    }
}

static void access(struct vm *vm, const struct board *board, struct fuzz_input *input)
{
    uint8_t what = (uint8_t)fuzz_number(input, 1);
    uint64_t where = fuzz_number(input, 3);
    uint64_t value = fuzz_number(input, 4);
    size_t width = (size_t)1 << (what & 3);
    unsigned int kind = what >> 3 & 7;
    void *context = vm->config.bus_context;

    if (kind < 4) {
        if (what & 4)
            vm->config.bus.mmio_write(context, place(board, kind, where), &value, width);
        else
            vm->config.bus.mmio_read(context, place(board, kind, where), &value, width);
        return;
    }
    if (width == 8)
        width = 4;
    /* The two ports by which configuration space is reached more often than by chance. */
    if (kind == 4)
        where = 0xcf8 + (where & 7);
    if (what & 4)
        vm->config.bus.port_write(context, (uint16_t)where, &value, width);
    else
        vm->config.bus.port_read(context, (uint16_t)where, &value, width);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input input = {data, size};
    struct fake_device *fake = calloc(2, sizeof(*fake));
    struct vfio_device *devices[2] = {&fake[0].vfio, &fake[1].vfio};
    struct board_wishes wishes = {.memory_size = 16ull << 20, .vcpus = 1, .wanted[WORKLOAD_CPU] = true};
    struct error error = ERROR_INIT;
    struct machine *machine;
    struct board board;
    struct buffer state = BUFFER_INIT;

    for (int i = 0; i < 2; i++)
        fake_device_init(&fake[i]);
    wishes.peers = fuzz_number(&input, 1) & 1;
    fuzz_assert(board_describe(&wishes, devices, 2, &board, &error) == 0, error.text);
    machine = machine_new(&board, devices, NULL, &error);
    fuzz_assert(machine != NULL, error.text);
    for (int i = 0; i < ACCESSES_MAX && input.size; i++)
        access(machine_vm(machine), &board, &input);
    fake_vm_run(machine_vm(machine));
    machine_free(machine);
    buffer_free(&state);
    free(fake);
    return 0;
}
