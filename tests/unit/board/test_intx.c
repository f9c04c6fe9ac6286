/* SPDX-License-Identifier: GPL-2.0-or-later */
/* INTx and MSI: from the device to the guest, and over a migration. */
#include <criterion/criterion.h>
#include <linux/pci_regs.h>
#include <string.h>
#include <sys/eventfd.h>

#include "tests/unit/board/guest.h"

#define PIN 16

static struct guest guest, destination;

static void start(struct guest *whose, bool msi, bool no_unmask_fd)
{
    for (unsigned int i = 0; i < 2; i++)
        fake_device_init(&whose->fake[i]);
    fake_device_take_msix(&whose->fake[0], msi);
    whose->fake[0].no_unmask_fd = no_unmask_fd;
    guest_start(whose);
}

static void set_up(bool msi, bool no_unmask_fd)
{
    start(&guest, msi, no_unmask_fd);
    start(&destination, msi, no_unmask_fd);
    cr_assert_eq(machine_bind_interrupts(guest.machine, &guest.error), 0, "%s", guest.error.text);
}

static void tear_down(void)
{
    guest_stop(&guest);
    guest_stop(&destination);
}

static void assert_level(void)
{
    cr_assert_eq(eventfd_write(guest.fake[0].intx_fd, 1), 0);
}

/* Over to the destination, which is bound. */
static void migrate(void)
{
    struct buffer state = BUFFER_INIT;

    cr_assert_eq(machine_unbind_interrupts(guest.machine, &guest.error), 0, "%s", guest.error.text);
    cr_assert_eq(machine_get_device_state(guest.machine, 0, &state, &guest.error), 0, "%s", guest.error.text);
    cr_assert_eq(machine_put_device_state(destination.machine, 0, state.data, state.size, &destination.error), 0, "%s",
                 destination.error.text);
    cr_assert_eq(machine_bind_interrupts(destination.machine, &destination.error), 0, "%s", destination.error.text);
    buffer_free(&state);
}

Test(intx, a_function_with_nothing_else_has_a_pin, .fini = tear_down)
{
    set_up(false, false);
    cr_assert_eq(guest.board.irqchip, VM_IRQCHIP_FULL);
    cr_assert_eq(guest.board.device[0].intx_pin, PIN);
    cr_assert_eq(guest.board.device[1].intx_pin, 0);
    cr_assert_eq(guest_config_read(&guest, 1, PCI_INTERRUPT_LINE, 2), 1 << 8 | PIN);
    cr_assert(guest.fake[0].intx_fd != -1 && guest.fake[0].unmask_fd != -1);
}

Test(intx, the_level_reaches_the_pin_and_the_end_of_interrupt_the_device, .fini = tear_down)
{
    eventfd_t count;

    set_up(false, false);
    assert_level();
    fake_vm_run(guest.vm);
    cr_assert(guest.vm->pin[PIN].line);
    fake_vm_eoi(guest.vm, PIN);
    cr_assert_eq(eventfd_read(guest.fake[0].unmask_fd, &count), 0);
    cr_assert_eq(guest.fake[0].unmasks, 0);
}

Test(intx, a_device_without_an_unmask_eventfd_is_unmasked_before_it_is_accessed, .fini = tear_down)
{
    struct machine_event event;

    set_up(false, true);
    assert_level();
    fake_vm_run(guest.vm);
    guest_config_write(&guest, 1, PCI_COMMAND, PCI_COMMAND_IO, 2);
    guest_port_write(&guest, (uint16_t)guest.board.device[0].bar[5].address, 1, 1);
    cr_assert_eq(guest.fake[0].unmasks, 0, "not before the end of the interrupt");
    fake_vm_eoi(guest.vm, PIN);
    guest_port_write(&guest, (uint16_t)guest.board.device[0].bar[5].address, 1, 1);
    cr_assert_eq(guest.fake[0].unmasks, 1);
    fake_vm_eoi(guest.vm, PIN);
    cr_assert_not(guest_event(&guest, &event));
    cr_assert_eq(guest.fake[0].unmasks, 2, "whoever waits for events does it too");
}

/* FAULTS: a level that is pending at the stop is in no device's stream where the device does as mtty. */
Test(intx, a_level_that_is_asserted_at_the_stop_is_asserted_there, .fini = tear_down)
{
    set_up(false, true);
    assert_level();
    fake_vm_run(guest.vm);
    migrate();
    cr_assert(destination.vm->pin[PIN].line);
    cr_assert_eq(destination.vm->pin[PIN].raised, 1);
}

Test(intx, a_signal_on_its_way_at_the_stop_is_not_lost, .fini = tear_down)
{
    set_up(false, true);
    assert_level();
    migrate();
    cr_assert(destination.vm->pin[PIN].line);
}

Test(intx, nothing_is_asserted_where_nothing_was, .fini = tear_down)
{
    set_up(false, true);
    assert_level();
    fake_vm_run(guest.vm);
    fake_vm_eoi(guest.vm, PIN);
    /* The destination's device was signalled by somebody before the guest came. */
    cr_assert_eq(eventfd_write(destination.fake[0].intx_fd, 1), 0);
    migrate();
    cr_assert_not(destination.vm->pin[PIN].line);
}

Test(intx, a_source_that_goes_on_asserts_it_again, .fini = tear_down)
{
    set_up(false, true);
    assert_level();
    cr_assert_eq(machine_unbind_interrupts(guest.machine, &guest.error), 0, "%s", guest.error.text);
    cr_assert_eq(machine_bind_interrupts(guest.machine, &guest.error), 0, "%s", guest.error.text);
    cr_assert(guest.vm->pin[PIN].line);
}

Test(intx, a_malformed_state_is_refused, .fini = tear_down)
{
    struct buffer state = BUFFER_INIT;

    set_up(false, false);
    cr_assert_eq(machine_get_device_state(guest.machine, 0, &state, &guest.error), 0);
    ((uint8_t *)state.data)[state.size - 1] = 2;
    cr_assert_eq(machine_put_device_state(destination.machine, 0, state.data, state.size, &destination.error), -1);
    cr_assert(strstr(destination.error.text, "INTx"), "%s", destination.error.text);
    cr_assert_eq(machine_put_device_state(destination.machine, 0, state.data, state.size - 1, &destination.error), -1);
    buffer_free(&state);
}

Test(intx, the_tree_carries_the_pin, .fini = tear_down)
{
    struct buffer tree = BUFFER_INIT;
    static struct board back;

    set_up(false, false);
    cr_assert_eq(board_to_tree(&guest.board, &tree, &guest.error), 0, "%s", guest.error.text);
    cr_assert_eq(board_from_tree(tree.data, tree.size, &back, &guest.error), 0, "%s", guest.error.text);
    cr_assert_eq(back.device[0].intx_pin, PIN);
    cr_assert_eq(back.irqchip, VM_IRQCHIP_FULL);
    fake_device_take_msix(&guest.fake[0], true);
    cr_assert_eq(board_match(&back, guest.vfio, 2, &guest.error), -1);
    buffer_free(&tree);
}

static void write_msi(unsigned int data, bool enabled)
{
    guest_config_write(&guest, 1, FAKE_MSIX_CAPABILITY + PCI_MSI_ADDRESS_LO, 0xfee00000, 4);
    guest_config_write(&guest, 1, FAKE_MSIX_CAPABILITY + PCI_MSI_DATA_64, data, 2);
    guest_config_write(&guest, 1, FAKE_MSIX_CAPABILITY + PCI_MSI_FLAGS, enabled, 2);
}

Test(msi, a_message_is_delivered_and_follows_its_capability, .fini = tear_down)
{
    set_up(true, false);
    cr_assert_eq(guest.board.irqchip, VM_IRQCHIP_SPLIT);
    write_msi(0x41, true);
    cr_assert(fake_device_raise(&guest.fake[0], 0));
    fake_vm_run(guest.vm);
    cr_assert_eq(guest.vm->interrupts[0x41], 1);
    write_msi(0x42, true);
    cr_assert(fake_device_raise(&guest.fake[0], 0));
    fake_vm_run(guest.vm);
    cr_assert_eq(guest.vm->interrupts[0x42], 1);
    write_msi(0x42, false);
    cr_assert_not(fake_device_raise(&guest.fake[0], 0));
}

Test(msi, a_message_on_its_way_at_the_stop_is_not_lost, .fini = tear_down)
{
    set_up(true, false);
    write_msi(0x41, true);
    migrate();
    cr_assert_eq(destination.vm->interrupts[0x41], 0);
    cr_assert(fake_device_raise(&destination.fake[0], 0));
    fake_vm_run(destination.vm);
    cr_assert_eq(destination.vm->interrupts[0x41], 1);
}

static void keep_line(void *context, const char *text)
{
    char *lines = context;

    strncat(lines, text, 2048 - strlen(lines) - 2);
    strcat(lines, "\n");
}

Test(intx, tells_where_a_level_stands, .fini = tear_down)
{
    char lines[2048] = "";

    start(&guest, false, false);
    assert_level();
    machine_describe_interrupts(guest.machine, keep_line, lines);
    cr_expect(strstr(lines, "INTx is held back, pin 16; signals not taken: 1 of the device, 0 to unmask it"), "%s",
              lines);
    cr_assert_eq(machine_bind_interrupts(guest.machine, &guest.error), 0, "%s", guest.error.text);
    lines[0] = '\0';
    machine_describe_interrupts(guest.machine, keep_line, lines);
    cr_expect(strstr(lines, "INTx is given to KVM"), "%s", lines);
    cr_expect(strstr(lines, "MSI-X"), "the other device: %s", lines);
    cr_expect(strstr(lines, "vCPU 0"), "%s", lines);
}
