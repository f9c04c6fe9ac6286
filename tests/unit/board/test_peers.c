/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A device's BARs in the DMA space of the other one, wherever the guest has them. */
#include <criterion/criterion.h>
#include <linux/pci_regs.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/unit/board/guest.h"

#define WINDOW 2
#define WINDOW_SIZE 0x10000u

static struct guest guest;
static int window_fd[2];

static void make_window(unsigned int number)
{
    struct vfio_region *region = &guest.fake[number].region[WINDOW];

    window_fd[number] = memfd_create("window", 0);
    cr_assert_eq(ftruncate(window_fd[number], WINDOW_SIZE + 0x1000), 0);
    region->flags |= VFIO_REGION_INFO_FLAG_MMAP;
    region->mmap_fd = window_fd[number];
    region->mmap_offset = 0x1000;
    region->area_count = 1;
    region->area[0] = (struct vfio_area){.offset = 0, .size = WINDOW_SIZE};
}

static void set_up(void)
{
    memset(&guest, 0, sizeof(guest));
    for (unsigned int number = 0; number < 2; number++) {
        fake_device_init(&guest.fake[number]);
        make_window(number);
    }
    guest.peers = true;
}

static void tear_down(void)
{
    if (guest.machine)
        guest_stop(&guest);
    close(window_fd[0]);
    close(window_fd[1]);
}

TestSuite(peers, .init = set_up, .fini = tear_down);

static void set_command(unsigned int number, uint16_t command)
{
    guest_config_write(&guest, number + 1, PCI_COMMAND, command, 2);
}

static uint64_t window_address(unsigned int number)
{
    return guest.board.device[number].bar[WINDOW].address;
}

static void expect_mapped(unsigned int number, uint64_t address, unsigned int owner)
{
    const struct fake_device *device = &guest.fake[number];

    cr_assert_eq(device->peer_maps, 1);
    cr_expect_eq(device->peer[0].iova, address);
    cr_expect_eq(device->peer[0].size, WINDOW_SIZE);
    cr_expect_eq(device->peer[0].offset, 0x1000);
    cr_expect_eq(device->peer[0].fd, window_fd[owner]);
}

Test(peers, are_mapped_while_the_guest_decodes_them)
{
    guest_start(&guest);
    cr_expect_eq(guest.fake[1].peer_maps, 0);
    set_command(0, PCI_COMMAND_MEMORY);
    expect_mapped(1, window_address(0), 0);
    cr_expect_eq(guest.fake[0].peer_maps, 0, "a device is not its own peer");
    set_command(1, PCI_COMMAND_MEMORY);
    expect_mapped(0, window_address(1), 1);
    set_command(0, 0);
    cr_expect_eq(guest.fake[1].peer_maps, 0);
    expect_mapped(0, window_address(1), 1);
}

Test(peers, follow_a_bar_that_moves)
{
    uint64_t address;

    guest_start(&guest);
    set_command(0, PCI_COMMAND_MEMORY);
    address = guest.board.window64.start + guest.board.window64.size - WINDOW_SIZE;
    cr_assert_neq(address, window_address(0));
    guest_config_write(&guest, 1, PCI_BASE_ADDRESS_2, (uint32_t)address, 4);
    guest_config_write(&guest, 1, PCI_BASE_ADDRESS_3, (uint32_t)(address >> 32), 4);
    expect_mapped(1, address, 0);
    /* Where nothing may be, nothing is. */
    guest_config_write(&guest, 1, PCI_BASE_ADDRESS_2, 0, 4);
    guest_config_write(&guest, 1, PCI_BASE_ADDRESS_3, 0, 4);
    cr_expect_eq(guest.fake[1].peer_maps, 0);
}

Test(peers, go_with_the_machine)
{
    guest_start(&guest);
    set_command(0, PCI_COMMAND_MEMORY);
    guest_stop(&guest);
    guest.machine = NULL;
    cr_expect_eq(guest.fake[1].peer_maps, 0);
    cr_expect_eq(guest.fake[1].dma_maps, 0);
}

Test(peers, are_mapped_where_the_state_of_the_source_has_them)
{
    struct buffer state = BUFFER_INIT;
    struct guest source;
    uint64_t address;

    guest_start(&guest);
    address = guest.board.window64.start + guest.board.window64.size - WINDOW_SIZE;
    guest_config_write(&guest, 1, PCI_BASE_ADDRESS_2, (uint32_t)address, 4);
    guest_config_write(&guest, 1, PCI_BASE_ADDRESS_3, (uint32_t)(address >> 32), 4);
    set_command(0, PCI_COMMAND_MEMORY);
    cr_assert_eq(machine_get_device_state(guest.machine, 0, &state, &guest.error), 0);
    source = guest;
    guest_start(&guest);
    guest.fake[1].peer_maps = 0;
    cr_assert_eq(machine_put_device_state(guest.machine, 0, state.data, state.size, &guest.error), 0, "%s",
                 guest.error.text);
    expect_mapped(1, address, 0);
    guest_stop(&guest);
    guest.machine = source.machine;
    buffer_free(&state);
}

Test(peers, stay_apart_where_the_user_wants_it)
{
    guest.peers = false;
    guest_start(&guest);
    set_command(0, PCI_COMMAND_MEMORY);
    set_command(1, PCI_COMMAND_MEMORY);
    cr_expect_eq(guest.fake[0].peer_maps + guest.fake[1].peer_maps, 0);
}

Test(peers, a_refusal_is_said_once_and_is_no_failure)
{
    struct machine_event event;

    guest.fake[1].refuses_peers = true;
    guest_start(&guest);
    set_command(0, PCI_COMMAND_MEMORY);
    cr_assert(guest_event(&guest, &event));
    cr_expect_eq(event.kind, MACHINE_PEER_MISSING);
    cr_expect_eq(event.device, 1);
    cr_expect(strstr(event.text, "BAR 2 of device 0"), "%s", event.text);
    set_command(0, 0);
    set_command(0, PCI_COMMAND_MEMORY);
    cr_expect_not(guest_event(&guest, &event), "%s", event.text);
    cr_expect_eq(guest.vm->slot[0].used, true);
}

Test(peers, a_device_out_of_reach_is_said)
{
    struct machine_event event;

    guest.fake[0].region[WINDOW].flags &= ~VFIO_REGION_INFO_FLAG_MMAP;
    guest_start(&guest);
    set_command(0, PCI_COMMAND_MEMORY);
    cr_expect_eq(guest.fake[1].peer_maps, 0);
    cr_assert(guest_event(&guest, &event));
    cr_expect_eq(event.kind, MACHINE_PEER_MISSING);
    cr_expect_eq(event.device, 0);
    cr_expect_not(guest_event(&guest, &event));
}
