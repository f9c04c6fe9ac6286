/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The serial port, the test port, the events and shared RAM. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "stopcopy/guest_abi.h"
#include "tests/unit/board/guest.h"
#include "vmm/board/serial.h"

static struct guest guest;

static void set_up(void)
{
    fake_device_init(&guest.fake[0]);
    fake_device_init(&guest.fake[1]);
    guest.fake[1].gone_fd = eventfd(0, 0);
    guest_start(&guest);
}

static void tear_down(void)
{
    guest_stop(&guest);
    close(guest.fake[1].gone_fd);
}

TestSuite(ports, .init = set_up, .fini = tear_down);

static void print(const char *text)
{
    while (*text)
        guest_port_write(&guest, GUEST_SERIAL_PORT, (uint8_t)*text++, 1);
}

static bool event_waits(void)
{
    struct pollfd poller = {.fd = machine_event_fd(guest.machine), .events = POLLIN};

    return poll(&poller, 1, 0) == 1;
}

Test(ports, the_console_has_what_was_transmitted)
{
    char *text;

    cr_assert_eq(guest_port_read(&guest, GUEST_SERIAL_PORT + 5, 1) & 0x60, 0x60);
    guest_port_write(&guest, GUEST_SERIAL_PORT + 3, 0x80, 1);
    guest_port_write(&guest, GUEST_SERIAL_PORT, 1, 1);
    guest_port_write(&guest, GUEST_SERIAL_PORT + 3, 3, 1);
    print("a line\n\033[2J");
    guest_port_write(&guest, GUEST_SERIAL_PORT, 0, 1);
    text = machine_console(guest.machine);
    cr_assert_str_eq(text, "a line\n?[2J?");
    free(text);
}

Test(ports, the_console_keeps_the_last_64_kib)
{
    char *text;

    for (unsigned int i = 0; i < SERIAL_CONSOLE_SIZE; i++)
        print("x");
    print("end");
    text = machine_console(guest.machine);
    cr_assert_eq(strlen(text), SERIAL_CONSOLE_SIZE);
    cr_assert_str_eq(text + SERIAL_CONSOLE_SIZE - 4, "xend");
    free(text);
}

Test(ports, commands_are_events_in_order_and_not_twice)
{
    struct machine_event event;

    cr_assert_not(event_waits());
    guest_port_write(&guest, GUEST_TEST_PORT, GUEST_TEST_READY, 4);
    guest_port_write(&guest, GUEST_TEST_PORT, GUEST_TEST_READY, 4);
    guest_port_write(&guest, GUEST_TEST_PORT, 99, 4);
    guest_port_write(&guest, GUEST_TEST_PORT, GUEST_TEST_DONE, 2);
    guest_port_write(&guest, GUEST_TEST_PORT, GUEST_TEST_FAILED, 4);
    guest_port_write(&guest, GUEST_TEST_PORT, GUEST_TEST_DONE, 4);
    cr_assert(event_waits());
    cr_assert(guest_event(&guest, &event) && event.kind == MACHINE_READY);
    cr_assert(guest_event(&guest, &event) && event.kind == MACHINE_FAILED);
    cr_assert(guest_event(&guest, &event) && event.kind == MACHINE_DONE);
    cr_assert_not(guest_event(&guest, &event));
    cr_assert_not(event_waits());
    guest_port_write(&guest, GUEST_TEST_PORT, GUEST_TEST_READY, 4);
    cr_assert(guest_event(&guest, &event) && event.kind == MACHINE_READY);
}

Test(ports, the_finish_request_is_read)
{
    cr_assert_eq(guest_port_read(&guest, GUEST_TEST_PORT + GUEST_TEST_REQUEST, 4), 0);
    machine_request_finish(guest.machine);
    cr_assert_eq(guest_port_read(&guest, GUEST_TEST_PORT + GUEST_TEST_REQUEST, 4), GUEST_REQUEST_FINISH);
    cr_assert_eq(guest_port_read(&guest, GUEST_TEST_PORT + 8, 4), UINT32_MAX);
}

Test(ports, a_gone_device_is_told_once)
{
    struct machine_event event;

    cr_assert_eq(eventfd_write(guest.fake[1].gone_fd, 1), 0);
    cr_assert(event_waits());
    cr_assert(guest_event(&guest, &event));
    cr_assert_eq(event.kind, MACHINE_DEVICE_GONE);
    cr_assert_eq(event.device, 1);
    cr_assert_not(guest_event(&guest, &event));
    cr_assert_not(event_waits());
}

Test(ports, a_stopped_vcpu_is_told)
{
    struct error why = {.text = "triple fault"};
    struct machine_event event;

    guest.vm->config.bus.vcpu_failed(guest.vm->config.bus_context, 0, &why);
    cr_assert(guest_event(&guest, &event));
    cr_assert_eq(event.kind, MACHINE_VCPU_FAILED);
    cr_assert_str_eq(event.text, "triple fault");
}

Test(ports, board_state_that_is_cut_off_is_refused)
{
    struct buffer state = BUFFER_INIT;

    cr_assert_eq(machine_get_board_state(guest.machine, &state, &guest.error), 0);
    for (size_t size = 0; size < state.size; size++)
        cr_assert_eq(machine_put_board_state(guest.machine, state.data, size, &guest.error), -1);
    buffer_put_u8(&state, 0);
    cr_assert_eq(machine_put_board_state(guest.machine, state.data, state.size, &guest.error), -1);
    buffer_free(&state);
}

Test(ports, ram_is_shared_by_its_memfd)
{
    int fd = dup(machine_ram_fd(guest.machine, 0));
    struct machine *other;

    strcpy(machine_ram(guest.machine, 0x100000, 16), "hello");
    other = machine_new(&guest.board, guest.vfio, &fd, &guest.error);
    cr_assert(other, "%s", guest.error.text);
    cr_assert_str_eq(machine_ram(other, 0x100000, 16), "hello");
    cr_assert_null(machine_ram(other, guest.board.ram[0].size - 8, 16));
    cr_assert_null(machine_ram(other, UINT64_MAX - 8, 16));
    machine_free(other);
    cr_assert_eq(fcntl(fd, F_GETFD), -1, "taken over");
}

Test(ports, shared_ram_that_could_shrink_is_refused)
{
    int fd = memfd_create("unsealed", MFD_ALLOW_SEALING);

    cr_assert_eq(ftruncate(fd, (off_t)guest.board.ram[0].size), 0);
    cr_assert_null(machine_new(&guest.board, guest.vfio, &fd, &guest.error));
    cr_assert(strstr(guest.error.text, "sealed"), "%s", guest.error.text);
    cr_assert_eq(fcntl(fd, F_GETFD), -1, "taken over");
}
