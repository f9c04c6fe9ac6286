/* SPDX-License-Identifier: GPL-2.0-or-later */
/* MSI-X: from the guest's table to the device and to the interrupt controller, and over a migration. */
#include <criterion/criterion.h>
#include <linux/pci_regs.h>
#include <string.h>

#include "stopcopy/dma_device.h"
#include "tests/unit/board/guest.h"

static struct guest guest, destination;

static void set_up(void)
{
    fake_device_init(&guest.fake[0]);
    fake_device_init(&guest.fake[1]);
    guest_start(&guest);
    fake_device_init(&destination.fake[0]);
    fake_device_init(&destination.fake[1]);
    guest_start(&destination);
    cr_assert_eq(machine_bind_interrupts(guest.machine, &guest.error), 0, "%s", guest.error.text);
}

static void tear_down(void)
{
    guest_stop(&guest);
    guest_stop(&destination);
}

TestSuite(msix, .init = set_up, .fini = tear_down);

static void set_control(uint16_t control)
{
    guest_config_write(&guest, 1, FAKE_MSIX_CAPABILITY + PCI_MSIX_FLAGS, control, 2);
}

static void unbind(void)
{
    cr_assert_eq(machine_unbind_interrupts(guest.machine, &guest.error), 0, "%s", guest.error.text);
}

static void bind(struct guest *whose)
{
    cr_assert_eq(machine_bind_interrupts(whose->machine, &whose->error), 0, "%s", whose->error.text);
}

static void raise_and_run(unsigned int vector)
{
    cr_assert(fake_device_raise(&guest.fake[0], vector));
    fake_vm_run(guest.vm);
}

Test(msix, the_table_reads_as_written)
{
    uint64_t entry = guest.board.device[0].bar[DMA_BAR_MSIX].address + 16 * 69;

    guest_config_write(&guest, 1, PCI_COMMAND, PCI_COMMAND_MEMORY, 2);
    cr_assert_eq(guest_mmio_read(&guest, entry + 12, 4), 1, "masked after reset");
    guest_set_vector(&guest, 69, 0x77, false);
    cr_assert_eq(guest_mmio_read(&guest, entry, 4), 0xfee00000);
    cr_assert_eq(guest_mmio_read(&guest, entry + 8, 4), 0x77);
    cr_assert_eq(guest_mmio_read(&guest, entry + 12, 4), 0);
    cr_assert_eq(guest.fake[0].set_irqs_calls, 0, "MSI-X is off");
}

Test(msix, enabling_is_one_set_irqs_for_all_vectors_in_use)
{
    guest_config_write(&guest, 1, PCI_COMMAND, PCI_COMMAND_MEMORY, 2);
    guest_set_vector(&guest, 0, 0x30, false);
    guest_set_vector(&guest, 3, 0x33, true);
    guest_enable(&guest);
    cr_assert_eq(guest.fake[0].set_irqs_calls, 1);
    cr_assert_eq(guest.fake[0].irq_flags, VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER);
    cr_assert_eq(guest.fake[0].irq_start, 0);
    cr_assert_eq(guest.fake[0].irq_count, 4);
    cr_assert_neq(guest.fake[0].trigger[0], -1);
    cr_assert_eq(guest.fake[0].trigger[1], -1);
    cr_assert_neq(guest.fake[0].trigger[3], -1);
    cr_assert_eq(guest.fake[0].config[FAKE_MSIX_CAPABILITY + 3] & 0x80, 0x80, "the device's own enable bit");
    raise_and_run(0);
    cr_assert_eq(guest.vm->interrupts[0x30], 1);
}

Test(msix, without_resizing_all_vectors_are_enabled_at_once)
{
    guest_stop(&guest);
    guest.fake[0].msix.flags |= VFIO_IRQ_INFO_NORESIZE;
    guest_start(&guest);
    bind(&guest);
    guest_enable(&guest);
    cr_assert_eq(guest.fake[0].irq_count, FAKE_VECTORS);
}

Test(msix, a_vector_that_comes_later_is_set_alone)
{
    guest_enable(&guest);
    cr_assert_eq(guest.fake[0].set_irqs_calls, 1);
    guest_set_vector(&guest, 5, 0x35, false);
    cr_assert_eq(guest.fake[0].set_irqs_calls, 2);
    cr_assert_eq(guest.fake[0].irq_start, 5);
    cr_assert_eq(guest.fake[0].irq_count, 1);
    raise_and_run(5);
    cr_assert_eq(guest.vm->interrupts[0x35], 1);
    guest_set_vector(&guest, 5, 0x36, false);
    cr_assert_eq(guest.fake[0].set_irqs_calls, 2, "a new message is no matter of the device");
    raise_and_run(5);
    cr_assert_eq(guest.vm->interrupts[0x36], 1);
}

Test(msix, masked_vectors_are_pending_and_delivered_once_when_unmasked)
{
    guest_enable(&guest);
    guest_set_vector(&guest, 2, 0x32, false);
    guest_set_vector(&guest, 2, 0x32, true);
    raise_and_run(2);
    raise_and_run(2);
    cr_assert_eq(guest.vm->interrupts[0x32], 0);
    cr_assert_eq(guest_pending(&guest, 0), 1u << 2);
    guest_set_vector(&guest, 2, 0x32, false);
    fake_vm_run(guest.vm);
    cr_assert_eq(guest.vm->interrupts[0x32], 1);
    cr_assert_eq(guest_pending(&guest, 0), 0);
}

Test(msix, the_function_mask_holds_all_vectors)
{
    guest_enable(&guest);
    guest_set_vector(&guest, 66, 0x42, false);
    set_control(PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL);
    raise_and_run(66);
    cr_assert_eq(guest.vm->interrupts[0x42], 0);
    cr_assert_eq(guest_pending(&guest, 64), 1u << 2);
    set_control(PCI_MSIX_FLAGS_ENABLE);
    fake_vm_run(guest.vm);
    cr_assert_eq(guest.vm->interrupts[0x42], 1);
}

Test(msix, disabling_takes_the_eventfds_away)
{
    guest_set_vector(&guest, 0, 0x30, false);
    guest_enable(&guest);
    set_control(0);
    cr_assert_eq(guest.fake[0].irq_flags, VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_TRIGGER);
    cr_assert_eq(guest.fake[0].irq_count, 0);
    cr_assert_not(fake_device_raise(&guest.fake[0], 0));
    set_control(PCI_MSIX_FLAGS_ENABLE);
    guest_set_vector(&guest, 0, 0x30, false);
    raise_and_run(0);
    cr_assert_eq(guest.vm->interrupts[0x30], 1);
}

Test(msix, unbinding_loses_nothing)
{
    guest_enable(&guest);
    guest_set_vector(&guest, 0, 0x30, false);
    guest_set_vector(&guest, 1, 0x31, true);
    cr_assert(fake_device_raise(&guest.fake[0], 0));
    cr_assert(fake_device_raise(&guest.fake[0], 1));
    unbind();
    cr_assert_eq(guest.vm->interrupts[0x30], 1, "flushed into the interrupt controller");
    cr_assert_eq(guest_pending(&guest, 0), 1u << 1, "kept here");
    cr_assert(fake_device_raise(&guest.fake[0], 0));
    fake_vm_run(guest.vm);
    cr_assert_eq(guest.vm->interrupts[0x30], 1);
    bind(&guest);
    fake_vm_run(guest.vm);
    cr_assert_eq(guest.vm->interrupts[0x30], 2, "raised while unbound");
    cr_assert_eq(guest_pending(&guest, 0), 1u << 1);
    guest_set_vector(&guest, 1, 0x31, false);
    cr_assert_eq(guest.vm->interrupts[0x31], 1);
}

Test(msix, a_dropped_interrupt_is_lost_and_the_next_is_not)
{
    struct machine_event event;

    guest_enable(&guest);
    guest_set_vector(&guest, 0, 0x30, false);
    guest_set_vector(&guest, 1, 0x31, false);
    unbind();
    machine_drop_interrupt(guest.machine);
    bind(&guest);
    raise_and_run(1);
    cr_assert_not(guest_event(&guest, &event));
    fake_vm_run(guest.vm);
    cr_assert_eq(guest.vm->interrupts[0x31], 0);
    raise_and_run(1);
    raise_and_run(0);
    cr_assert_eq(guest.vm->interrupts[0x31], 1);
    cr_assert_eq(guest.vm->interrupts[0x30], 1);
}

Test(msix, an_interrupt_that_waited_for_the_binding_is_the_one_dropped)
{
    guest_enable(&guest);
    guest_set_vector(&guest, 0, 0x30, false);
    unbind();
    cr_assert(fake_device_raise(&guest.fake[0], 0));
    machine_drop_interrupt(guest.machine);
    bind(&guest);
    fake_vm_run(guest.vm);
    cr_assert_eq(guest.vm->interrupts[0x30], 0);
    raise_and_run(0);
    cr_assert_eq(guest.vm->interrupts[0x30], 1);
}

static void migrate(void)
{
    struct buffer board = BUFFER_INIT, device = BUFFER_INIT;

    unbind();
    cr_assert_eq(machine_get_board_state(guest.machine, &board, &guest.error), 0);
    cr_assert_eq(machine_get_device_state(guest.machine, 0, &device, &guest.error), 0);
    cr_assert_eq(machine_put_board_state(destination.machine, board.data, board.size, &destination.error), 0, "%s",
                 destination.error.text);
    cr_assert_eq(machine_put_device_state(destination.machine, 0, device.data, device.size, &destination.error), 0,
                 "%s", destination.error.text);
    buffer_free(&board);
    buffer_free(&device);
}

Test(msix, state_goes_over_with_one_set_irqs)
{
    guest_enable(&guest);
    guest_set_vector(&guest, 0, 0x30, false);
    guest_set_vector(&guest, 1, 0x31, true);
    guest_set_vector(&guest, 2, 0x32, false);
    guest_config_write(&guest, 1, PCI_BASE_ADDRESS_0, 0xd0000000, 4);
    guest_port_write(&guest, 0x3ff, 0x5a, 1);
    guest_port_write(&guest, 0xcf8, 0x80000800, 4);
    machine_request_finish(guest.machine);
    cr_assert(fake_device_raise(&guest.fake[0], 1));
    migrate();

    cr_assert_eq(destination.fake[0].set_irqs_calls, 1);
    cr_assert_eq(destination.fake[0].irq_count, 3);
    cr_assert_eq(fake_device_command(&destination.fake[0]), PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
    cr_assert_eq(destination.vm->commits, 1, "all routes at once");
    cr_assert_eq(guest_mmio_read(&destination, 0xd0000000, 4), DMA_MAGIC);
    cr_assert_eq(guest_port_read(&destination, 0x3ff, 1), 0x5a);
    cr_assert_eq(guest_port_read(&destination, 0xcfc, 4), 0x00015343);
    cr_assert_eq(guest_port_read(&destination, 0x604, 4), 1);

    cr_assert(fake_device_raise(&destination.fake[0], 2));
    fake_vm_run(destination.vm);
    cr_assert_eq(destination.vm->interrupts[0x32], 0, "not bound yet");
    bind(&destination);
    fake_vm_run(destination.vm);
    cr_assert_eq(destination.vm->interrupts[0x32], 1);
    cr_assert_eq(destination.vm->interrupts[0x31], 0);
    cr_assert_eq(guest_pending(&destination, 0), 1u << 1);
    guest_set_vector(&destination, 1, 0x31, false);
    cr_assert_eq(destination.vm->interrupts[0x31], 1);
}

Test(msix, an_interrupt_raised_after_the_flush_goes_over)
{
    guest_enable(&guest);
    guest_set_vector(&guest, 0, 0x30, false);
    unbind();
    cr_assert(fake_device_raise(&guest.fake[0], 0));
    migrate();
    bind(&destination);
    cr_assert_eq(destination.vm->interrupts[0x30], 1);
}

Test(msix, hostile_state_is_refused)
{
    struct buffer state = BUFFER_INIT;

    guest_enable(&guest);
    guest_set_vector(&guest, 0, 0x30, false);
    unbind();
    cr_assert_eq(machine_get_device_state(guest.machine, 0, &state, &guest.error), 0);
    for (size_t size = 0; size < state.size; size++)
        cr_assert_eq(machine_put_device_state(destination.machine, 0, state.data, size, &destination.error), -1);
    for (size_t at = 0; at < state.size; at++) {
        uint8_t change = (uint8_t)(1u << at % 8);

        state.data[at] ^= change;
        if (machine_put_device_state(destination.machine, 0, state.data, state.size, &destination.error))
            cr_assert(destination.error.text[0]);
        state.data[at] ^= change;
    }
    cr_assert_eq(machine_put_device_state(destination.machine, 2, state.data, state.size, &destination.error), -1);

    state.data[12 + PCI_VENDOR_ID] ^= 1;
    cr_assert_eq(machine_put_device_state(destination.machine, 0, state.data, state.size, &destination.error), -1);
    cr_assert(strstr(destination.error.text, "differs at offset 0x0"), "%s", destination.error.text);
    buffer_free(&state);
}

Test(msix, a_bar_over_ram_in_the_state_is_refused)
{
    struct buffer state = BUFFER_INIT;

    guest_enable(&guest);
    cr_assert_eq(machine_get_device_state(guest.machine, 0, &state, &guest.error), 0);
    memcpy(state.data + 12 + PCI_BASE_ADDRESS_0, (uint8_t[]){0, 0, 0x10, 0}, 4);
    cr_assert_eq(machine_put_device_state(destination.machine, 0, state.data, state.size, &destination.error), -1);
    cr_assert(strstr(destination.error.text, "cannot be at 0x100000"), "%s", destination.error.text);
    buffer_free(&state);
}
