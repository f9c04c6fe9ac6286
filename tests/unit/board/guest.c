/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/board/guest.h"

#include <criterion/criterion.h>
#include <linux/pci_regs.h>

#include "stopcopy/dma_device.h"

void guest_start(struct guest *guest)
{
    struct board_wishes wishes = {
        .memory_size = 16ull << 20, .vcpus = 1, .wanted[WORKLOAD_CPU] = true, .peers = guest->peers};

    guest->vfio[0] = &guest->fake[0].vfio;
    guest->vfio[1] = &guest->fake[1].vfio;
    cr_assert_eq(board_describe(&wishes, guest->vfio, 2, &guest->board, &guest->error), 0, "%s", guest->error.text);
    guest->machine = machine_new(&guest->board, guest->vfio, NULL, &guest->error);
    cr_assert(guest->machine, "%s", guest->error.text);
    guest->vm = machine_vm(guest->machine);
}

void guest_stop(struct guest *guest)
{
    machine_free(guest->machine);
}

uint32_t guest_mmio_read(struct guest *guest, uint64_t address, size_t size)
{
    uint32_t value = 0;

    guest->vm->config.bus.mmio_read(guest->vm->config.bus_context, address, &value, size);
    return value;
}

void guest_mmio_write(struct guest *guest, uint64_t address, uint32_t value, size_t size)
{
    guest->vm->config.bus.mmio_write(guest->vm->config.bus_context, address, &value, size);
}

uint32_t guest_port_read(struct guest *guest, uint16_t port, size_t size)
{
    uint32_t value = 0;

    guest->vm->config.bus.port_read(guest->vm->config.bus_context, port, &value, size);
    return value;
}

void guest_port_write(struct guest *guest, uint16_t port, uint32_t value, size_t size)
{
    guest->vm->config.bus.port_write(guest->vm->config.bus_context, port, &value, size);
}

static uint64_t ecam(unsigned int slot, unsigned int offset)
{
    return BOARD_ECAM_START + (slot << 15) + offset;
}

uint32_t guest_config_read(struct guest *guest, unsigned int slot, unsigned int offset, size_t size)
{
    return guest_mmio_read(guest, ecam(slot, offset), size);
}

void guest_config_write(struct guest *guest, unsigned int slot, unsigned int offset, uint32_t value, size_t size)
{
    guest_mmio_write(guest, ecam(slot, offset), value, size);
}

void guest_enable(struct guest *guest)
{
    guest_config_write(guest, 1, PCI_COMMAND, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER, 2);
    guest_config_write(guest, 1, FAKE_MSIX_CAPABILITY + PCI_MSIX_FLAGS, PCI_MSIX_FLAGS_ENABLE, 2);
}

void guest_set_vector(struct guest *guest, unsigned int vector, uint32_t data, bool masked)
{
    uint64_t entry = guest->board.device[0].bar[DMA_BAR_MSIX].address + DMA_MSIX_TABLE_OFFSET + 16 * vector;

    guest_mmio_write(guest, entry, 0xfee00000, 4);
    guest_mmio_write(guest, entry + 4, 0, 4);
    guest_mmio_write(guest, entry + 8, data, 4);
    guest_mmio_write(guest, entry + 12, masked, 4);
}

uint32_t guest_pending(struct guest *guest, unsigned int first)
{
    uint64_t pba = guest->board.device[0].bar[DMA_BAR_MSIX].address + DMA_MSIX_PBA_OFFSET;

    return guest_mmio_read(guest, pba + first / 8, 4);
}

bool guest_event(struct guest *guest, struct machine_event *event)
{
    return machine_wait(guest->machine, deadline_in_ns(0), event) == 1;
}
