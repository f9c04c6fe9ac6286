/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Configuration space, BARs and what the guest reaches through them. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <linux/pci_regs.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "stopcopy/dma_device.h"
#include "tests/unit/board/guest.h"

#define DOORBELL_FD 1000

static struct guest guest;
static int memory_fd;

static void set_up(void)
{
    fake_device_init(&guest.fake[0]);
    fake_device_init(&guest.fake[1]);
    guest.fake[0].doorbell_count = 1;
    guest.fake[0].doorbell[0] = (struct vfio_doorbell){.offset = 0x1000, .size = 4, .fd = DOORBELL_FD};
    memory_fd = memfd_create("region", 0);
    cr_assert_eq(ftruncate(memory_fd, 0x10000), 0);
    /* BAR2 may be mapped but for a page and an odd end; BAR4, with the MSI-X table and PBA, wholly. */
    guest.fake[0].region[2].flags |= VFIO_REGION_INFO_FLAG_MMAP;
    guest.fake[0].region[2].mmap_fd = memory_fd;
    guest.fake[0].region[2].area_count = 2;
    guest.fake[0].region[2].area[0] = (struct vfio_area){.offset = 0, .size = 0x4000};
    guest.fake[0].region[2].area[1] = (struct vfio_area){.offset = 0x5000, .size = 0xa800};
    guest.fake[0].region[4].flags |= VFIO_REGION_INFO_FLAG_MMAP;
    guest.fake[0].region[4].mmap_fd = memory_fd;
    guest.fake[0].region[4].area_count = 1;
    guest.fake[0].region[4].area[0] = (struct vfio_area){.offset = 0, .size = 0x10000};
    guest_start(&guest);
}

static void tear_down(void)
{
    guest_stop(&guest);
    close(memory_fd);
}

TestSuite(config, .init = set_up, .fini = tear_down);

static uint64_t bar_address(unsigned int bar)
{
    return guest.board.device[0].bar[bar].address;
}

static void set_command(uint16_t command)
{
    guest_config_write(&guest, 1, PCI_COMMAND, command, 2);
}

static const struct fake_slot *slot_at(uint64_t gpa)
{
    for (int i = 0; i < FAKE_VM_MAX; i++) {
        if (guest.vm->slot[i].used && guest.vm->slot[i].gpa == gpa)
            return &guest.vm->slot[i];
    }
    return NULL;
}

Test(config, devices_are_found_by_ecam_and_by_ports)
{
    cr_assert_eq(guest_config_read(&guest, 0, PCI_VENDOR_ID, 4), 0x01005343);
    cr_assert_eq(guest_config_read(&guest, 0, PCI_CLASS_DEVICE, 2), 0x0600);
    cr_assert_eq(guest_config_read(&guest, 1, PCI_VENDOR_ID, 4), 0x00015343);
    cr_assert_eq(guest_config_read(&guest, 1, PCI_SUBSYSTEM_ID, 2), 2);
    cr_assert_eq(guest_config_read(&guest, 2, PCI_DEVICE_ID, 2), 1);
    cr_assert_eq(guest_config_read(&guest, 3, PCI_VENDOR_ID, 4), UINT32_MAX);
    cr_assert_eq(guest_mmio_read(&guest, BOARD_ECAM_START + (1 << 15 | 1 << 12), 4), UINT32_MAX);

    guest_port_write(&guest, 0xcf8, 0x80000000 | 2 << 11 | PCI_CLASS_REVISION, 4);
    cr_assert_eq(guest_port_read(&guest, 0xcfc, 4), DMA_DEVICE_CLASS << 8 | DMA_DEVICE_REVISION);
    cr_assert_eq(guest_port_read(&guest, 0xcff, 1), 0x08);
    guest_port_write(&guest, 0xcf8, 2 << 11, 4);
    cr_assert_eq(guest_port_read(&guest, 0xcfc, 4), UINT32_MAX);
    guest_port_write(&guest, 0xcf8, 0x80010000, 4);
    cr_assert_eq(guest_port_read(&guest, 0xcfc, 4), UINT32_MAX);
}

Test(config, capabilities_are_msix_and_express_without_flr)
{
    unsigned int at = guest_config_read(&guest, 1, PCI_CAPABILITY_LIST, 1), ids = 0;

    cr_assert(guest_config_read(&guest, 1, PCI_STATUS, 2) & PCI_STATUS_CAP_LIST);
    for (; at; at = guest_config_read(&guest, 1, at + 1, 1))
        ids |= 1u << guest_config_read(&guest, 1, at, 1);
    cr_assert_eq(ids, 1u << PCI_CAP_ID_MSIX | 1u << PCI_CAP_ID_EXP);
    cr_assert_eq(guest_config_read(&guest, 1, FAKE_MSIX_CAPABILITY + PCI_MSIX_FLAGS, 2), FAKE_VECTORS - 1);
    cr_assert_eq(guest_config_read(&guest, 1, FAKE_EXPRESS_CAPABILITY + PCI_EXP_DEVCAP, 4), PCI_EXP_DEVCAP_RBER);
    cr_assert_eq(guest_config_read(&guest, 1, 0x100, 4), 0);
}

Test(config, what_identifies_the_device_cannot_be_written)
{
    for (unsigned int offset = 0; offset < 256; offset += 4)
        guest_config_write(&guest, 2, offset, 0, 4);
    cr_assert_eq(guest_config_read(&guest, 2, PCI_VENDOR_ID, 4), 0x00015343);
    cr_assert_eq(guest_config_read(&guest, 2, FAKE_MSIX_CAPABILITY + PCI_MSIX_FLAGS, 2), FAKE_VECTORS - 1);
    cr_assert_eq(guest_config_read(&guest, 2, PCI_BASE_ADDRESS_2, 4),
                 PCI_BASE_ADDRESS_MEM_TYPE_64 | PCI_BASE_ADDRESS_MEM_PREFETCH);
}

Test(config, bars_are_sized_by_all_ones)
{
    static const uint32_t expected[BOARD_BARS] = {0xffffc000, 0, 0xffff000c, 0xffffffff, 0xffff0000, 0xffe1};

    for (unsigned int i = 0; i < BOARD_BARS; i++) {
        unsigned int at = PCI_BASE_ADDRESS_0 + 4 * i;
        uint32_t before = guest_config_read(&guest, 1, at, 4);

        guest_config_write(&guest, 1, at, UINT32_MAX, 4);
        cr_assert_eq(guest_config_read(&guest, 1, at, 4), expected[i], "BAR %u is 0x%x", i,
                     guest_config_read(&guest, 1, at, 4));
        guest_config_write(&guest, 1, at, before, 4);
        cr_assert_eq(guest_config_read(&guest, 1, at, 4), before);
    }
}

Test(config, bars_are_reached_only_while_decoded)
{
    cr_assert_eq(guest_mmio_read(&guest, bar_address(0), 4), UINT32_MAX);
    set_command(PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
    cr_assert_eq(guest_mmio_read(&guest, bar_address(0), 4), DMA_MAGIC);
    cr_assert_eq(fake_device_command(&guest.fake[0]), PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
    guest_mmio_write(&guest, bar_address(0) + DMA_REG_SCRATCH, 0x12345678, 4);
    cr_assert_eq(guest_mmio_read(&guest, bar_address(0) + DMA_REG_SCRATCH + 1, 2), 0x3456);
    cr_assert_eq(guest_port_read(&guest, (uint16_t)bar_address(5), 4), UINT32_MAX);
    set_command(PCI_COMMAND_IO);
    cr_assert_eq(guest_mmio_read(&guest, bar_address(0), 4), UINT32_MAX);
    cr_assert_eq(guest_port_read(&guest, (uint16_t)bar_address(5), 4), 0);
    cr_assert_eq(fake_device_command(&guest.fake[0]), PCI_COMMAND_IO);
}

Test(config, bars_move)
{
    uint64_t other = 0xd0000000;

    set_command(PCI_COMMAND_MEMORY);
    guest_config_write(&guest, 1, PCI_BASE_ADDRESS_0, (uint32_t)other, 4);
    cr_assert_eq(guest_mmio_read(&guest, bar_address(0), 4), UINT32_MAX);
    cr_assert_eq(guest_mmio_read(&guest, other, 4), DMA_MAGIC);
    cr_assert_eq(guest_config_read(&guest, 1, PCI_BASE_ADDRESS_0, 4), other);
}

Test(config, bars_stay_away_from_ram_the_local_apic_and_each_other)
{
    uint32_t victim = (uint32_t)guest.board.device[1].bar[0].address;
    static const uint32_t forbidden[] = {0x00100000, 0xfee00000, 0xfec00000, BOARD_ECAM_START, 0x80000000};

    set_command(PCI_COMMAND_MEMORY);
    for (size_t i = 0; i < sizeof(forbidden) / sizeof(forbidden[0]); i++) {
        guest_config_write(&guest, 1, PCI_BASE_ADDRESS_0, forbidden[i], 4);
        cr_assert_neq(guest_mmio_read(&guest, forbidden[i], 4), DMA_MAGIC);
    }
    guest_config_write(&guest, 2, PCI_COMMAND, PCI_COMMAND_MEMORY, 2);
    guest.fake[1].registers[0] = 0x11;
    guest_config_write(&guest, 1, PCI_BASE_ADDRESS_0, victim, 4);
    cr_assert_eq(guest_mmio_read(&guest, victim, 1), 0x11);
    guest_config_write(&guest, 1, PCI_BASE_ADDRESS_0, 0xd0000000, 4);
    cr_assert_eq(guest_mmio_read(&guest, 0xd0000000, 4), DMA_MAGIC);
}

Test(config, mappable_areas_are_slots_while_decoded)
{
    unsigned int slots = fake_vm_slots(guest.vm);
    const struct fake_slot *slot;

    set_command(PCI_COMMAND_MEMORY);
    cr_assert_eq(fake_vm_slots(guest.vm), slots + 4);
    slot = slot_at(bar_address(2));
    cr_assert(slot && slot->size == 0x4000);
    slot = slot_at(bar_address(2) + 0x5000);
    cr_assert(slot && slot->size == 0xa000, "whole pages only");
    /* 70 vectors are 0x460 bytes of table at 0; the PBA is at 0x8000. */
    cr_assert_null(slot_at(bar_address(4)));
    slot = slot_at(bar_address(4) + 0x1000);
    cr_assert(slot && slot->size == 0x7000);
    slot = slot_at(bar_address(4) + 0x9000);
    cr_assert(slot && slot->size == 0x7000);

    guest_config_write(&guest, 1, PCI_BASE_ADDRESS_4, 0xd0000000, 4);
    cr_assert_null(slot_at(bar_address(4) + 0x1000));
    cr_assert_not_null(slot_at(0xd0001000));
    set_command(0);
    cr_assert_eq(fake_vm_slots(guest.vm), slots);
}

Test(config, doorbells_are_ioeventfds_while_decoded_and_bound)
{
    set_command(PCI_COMMAND_MEMORY);
    cr_assert_eq(fake_vm_ioeventfds(guest.vm), 0);
    cr_assert_eq(machine_bind_interrupts(guest.machine, &guest.error), 0, "%s", guest.error.text);
    cr_assert_eq(fake_vm_ioeventfds(guest.vm), 1);
    cr_assert_eq(guest.vm->ioeventfd[0].address, bar_address(0) + 0x1000);
    cr_assert_eq(guest.vm->ioeventfd[0].fd, DOORBELL_FD);
    guest_config_write(&guest, 1, PCI_BASE_ADDRESS_0, 0xd0000000, 4);
    cr_assert_eq(fake_vm_ioeventfds(guest.vm), 1);
    cr_assert_eq(guest.vm->ioeventfd[0].address, 0xd0001000);
    set_command(0);
    cr_assert_eq(fake_vm_ioeventfds(guest.vm), 0);
    set_command(PCI_COMMAND_MEMORY);
    cr_assert_eq(fake_vm_ioeventfds(guest.vm), 1);
    cr_assert_eq(machine_unbind_interrupts(guest.machine, &guest.error), 0, "%s", guest.error.text);
    cr_assert_eq(fake_vm_ioeventfds(guest.vm), 0);
}

Test(config, a_failed_access_reads_all_ones_and_is_told_once)
{
    struct machine_event event;

    set_command(PCI_COMMAND_MEMORY);
    guest.fake[0].fails = true;
    cr_assert_eq(guest_mmio_read(&guest, bar_address(0), 4), UINT32_MAX);
    guest_mmio_write(&guest, bar_address(0), 1, 4);
    cr_assert(guest_event(&guest, &event));
    cr_assert_eq(event.kind, MACHINE_DEVICE_ERROR);
    cr_assert_eq(event.device, 0);
    cr_assert(strstr(event.text, "reading 4 bytes at 0x0 of BAR 0"), "%s", event.text);
    cr_assert_not(guest_event(&guest, &event));
}

Test(config, odd_accesses_do_no_harm)
{
    for (unsigned int size = 1; size <= 4; size++) {
        for (unsigned int offset = 0; offset < 8; offset++) {
            guest_mmio_read(&guest, BOARD_ECAM_START + 0x8000 + offset, size);
            guest_port_read(&guest, (uint16_t)(0xcf8 + offset), size);
            guest_port_write(&guest, (uint16_t)(0xcf8 + offset), UINT32_MAX, size);
            guest_mmio_write(&guest, BOARD_ECAM_START + BOARD_ECAM_SIZE - offset, 0, size);
        }
    }
    cr_assert_eq(guest_config_read(&guest, 1, PCI_VENDOR_ID, 4), 0x00015343);
}

Test(config, dma_is_mapped_while_the_machine_lives)
{
    cr_assert_eq(guest.fake[0].dma_maps, 1);
    cr_assert_eq(guest.fake[1].dma_maps, 1);
    machine_free(guest.machine);
    guest.machine = NULL;
    cr_assert_eq(guest.fake[0].dma_maps, 0);
}
