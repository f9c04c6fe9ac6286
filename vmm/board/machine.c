/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/board/machine.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "lib/io.h"
#include "stopcopy/guest_abi.h"
#include "vmm/board/board_layout.h"
#include "vmm/board/elf_loader.h"
#include "vmm/board/event_queue.h"
#include "vmm/board/interrupt_drop.h"
#include "vmm/board/pci_device.h"
#include "vmm/board/pci_host.h"
#include "vmm/board/ram.h"
#include "vmm/board/serial.h"
#include "vmm/board/test_control.h"
#include "vmm/board/x86_64/boot_tables.h"

/* The reserved end of low RAM, from board.progress on. */
#define RESERVED_BOOT_TABLES 0x10000u
#define RESERVED_TREE 0x20000u

_Static_assert(RESERVED_BOOT_TABLES >= PROGRESS_SIZE, "the progress area ends before the page tables");
_Static_assert(RESERVED_TREE >= RESERVED_BOOT_TABLES + BOOT_TABLES_SIZE, "the page tables end before the tree");
_Static_assert(RESERVED_TREE + BOARD_TREE_SIZE_MAX <= BOARD_RESERVED_SIZE, "the tree ends within the reserved part");

struct machine {
    struct board board;
    pthread_mutex_t lock; /* see struct pci_environment */
    struct vm *vm;
    struct ram ram;
    struct bus memory, ports;
    struct serial serial;
    struct test_control test_control;
    struct pci_host pci_host;
    struct pci_environment environment;
    struct event_queue events;
    int epoll; /* the queue's eventfd, and every device's gone_fd until it was reported */
    atomic_bool device_error_reported[BOARD_DEVICES_MAX];
    bool peer_missing_reported[BOARD_DEVICES_MAX];
    struct peers peers;
    struct interrupt_drop drop;
    size_t device_count; /* of those that were set up */
    struct vfio_device *vfio[BOARD_DEVICES_MAX];
    int gone_fd[BOARD_DEVICES_MAX];
    struct pci_device device[BOARD_DEVICES_MAX];
};

/* In epoll's data: a device's number, INTERRUPT_DROP_EPOLL with more, EPOLL_RESAMPLE with a device's number, or this. */
#define EPOLL_EVENTS UINT64_MAX
#define EPOLL_RESAMPLE (1ull << 33)

static void mmio_read(void *context, uint64_t address, void *data, size_t size)
{
    bus_read(&((struct machine *)context)->memory, address, data, size);
}

static void mmio_write(void *context, uint64_t address, const void *data, size_t size)
{
    bus_write(&((struct machine *)context)->memory, address, data, size);
}

static void port_read(void *context, uint16_t port, void *data, size_t size)
{
    bus_read(&((struct machine *)context)->ports, port, data, size);
}

static void port_write(void *context, uint16_t port, const void *data, size_t size)
{
    bus_write(&((struct machine *)context)->ports, port, data, size);
}

static void vcpu_failed(void *context, unsigned int vcpu, const struct error *error)
{
    struct machine *machine = context;

    event_queue_push(&machine->events, MACHINE_VCPU_FAILED, vcpu, error->text);
}

static void guest_command(void *context, enum guest_test_command command)
{
    struct machine *machine = context;

    switch (command) {
    case GUEST_TEST_READY:
        event_queue_push(&machine->events, MACHINE_READY, 0, NULL);
        break;
    case GUEST_TEST_DONE:
        event_queue_push(&machine->events, MACHINE_DONE, 0, NULL);
        break;
    case GUEST_TEST_FAILED:
        event_queue_push(&machine->events, MACHINE_FAILED, 0, NULL);
        break;
    }
}

/* Once for each device: what comes after the first error tells nothing more, and the guest could repeat it at will. */
static void device_error(void *context, unsigned int number, const struct error *error)
{
    struct machine *machine = context;

    if (!atomic_exchange(&machine->device_error_reported[number], true))
        event_queue_push(&machine->events, MACHINE_DEVICE_ERROR, number, error->text);
}

/* Once for each device, as well. The machine's lock is held. */
static void peer_missing(void *context, unsigned int number, const struct error *error)
{
    struct machine *machine = context;

    if (!machine->peer_missing_reported[number])
        event_queue_push(&machine->events, MACHINE_PEER_MISSING, number, error->text);
    machine->peer_missing_reported[number] = true;
}

static int check_features(const struct board *board, struct vm *vm, struct error *error)
{
    struct vm_features here;

    memset(&here, 0, sizeof(here));
    vm_get_features(vm, &here);
    if (board->features.avx2 && !here.avx2)
        return error_set(error, ENOTSUP, "the guest was told that it may use AVX2, and this host has none");
    if (board->features.kvmclock && !here.kvmclock)
        return error_set(error, ENOTSUP, "the guest was told that it may use kvmclock, and this host's KVM has none");
    if (board->features.apic_timer_hz != here.apic_timer_hz)
        return error_set(error, ENOTSUP,
                         "the guest was told that its local APIC timer runs at %llu Hz, on this host it is %llu",
                         (unsigned long long)board->features.apic_timer_hz, (unsigned long long)here.apic_timer_hz);
    if (board->features.physical_address_bits > here.physical_address_bits)
        return error_set(error, ENOTSUP, "the board is laid out for %u physical address bits, this host has %u",
                         board->features.physical_address_bits, here.physical_address_bits);
    return 0;
}

static int make_vm(struct machine *machine, struct error *error)
{
    struct vm_config config = {
        .vcpus = machine->board.vcpus,
        .irqchip = machine->board.irqchip,
        .bus = {.mmio_read = mmio_read,
                .mmio_write = mmio_write,
                .port_read = port_read,
                .port_write = port_write,
                .vcpu_failed = vcpu_failed},
        .bus_context = machine,
        .kvm_fd = machine->board.kvm_fd,
    };

    machine->vm = vm_new(&config, error);
    if (!machine->vm)
        return -1;
    if (check_features(&machine->board, machine->vm, error))
        return -1;
    for (unsigned int i = 0; i < machine->ram.count; i++) {
        const struct ram_range *range = &machine->ram.range[i];

        if (vm_map_memory(machine->vm, range->start, range->size, range->host, false, error) == -1)
            return error_prefix(error, "RAM at 0x%llx", (unsigned long long)range->start);
    }
    return 0;
}

static int watch(struct machine *machine, int fd, uint64_t number, struct error *error)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLRDHUP, .data.u64 = number};

    if (epoll_ctl(machine->epoll, EPOLL_CTL_ADD, fd, &event))
        return error_set(error, errno, "watching for the machine's events");
    return 0;
}

/* Undoes the mappings of the first ranges. */
static void unmap_dma(struct machine *machine, struct vfio_device *device, unsigned int ranges)
{
    for (unsigned int i = 0; i < ranges; i++)
        device->ops->dma_unmap(device, machine->ram.range[i].start, machine->ram.range[i].size, NULL);
}

static int map_dma(struct machine *machine, struct vfio_device *device, struct error *error)
{
    for (unsigned int i = 0; i < machine->ram.count; i++) {
        const struct ram_range *range = &machine->ram.range[i];

        if (device->ops->dma_map(device, range->start, range->size, range->host, range->fd, 0, true, error)) {
            unmap_dma(machine, device, i);
            return error_prefix(error, "%s: mapping RAM at 0x%llx for DMA", device->name,
                                (unsigned long long)range->start);
        }
    }
    return 0;
}

static int add_device(struct machine *machine, struct vfio_device *vfio, struct error *error)
{
    unsigned int number = (unsigned int)machine->device_count;
    struct pci_device *device = &machine->device[number];

    if (pci_device_init(device, number, vfio, &machine->environment, error))
        return -1;
    if (map_dma(machine, vfio, error)) {
        pci_device_destroy(device);
        return -1;
    }
    if (vfio->ops->kvm_fd && vm_add_vfio_file(machine->vm, vfio->ops->kvm_fd(vfio), error)) {
        unmap_dma(machine, vfio, machine->ram.count);
        pci_device_destroy(device);
        return error_prefix(error, "%s", vfio->name);
    }
    machine->vfio[number] = vfio;
    machine->gone_fd[number] = vfio->ops->gone_fd(vfio);
    machine->device_count++;
    pci_host_plug(&machine->pci_host, machine->board.device[number].slot, &pci_device_config_ops, device);
    if (device->intx.unmask_by_vmm && watch(machine, device->intx.resample, EPOLL_RESAMPLE | number, error))
        return -1;
    return machine->gone_fd[number] == -1 ? 0 : watch(machine, machine->gone_fd[number], number, error);
}

static int make_events(struct machine *machine, struct error *error)
{
    machine->epoll = -1;
    if (event_queue_init(&machine->events, error))
        return -1;
    machine->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (machine->epoll == -1) {
        error_set(error, errno, "making an epoll descriptor");
        event_queue_destroy(&machine->events);
        return -1;
    }
    if (watch(machine, machine->events.eventfd, EPOLL_EVENTS, error)) {
        io_close(&machine->epoll);
        event_queue_destroy(&machine->events);
        return -1;
    }
    return 0;
}

static void make_buses(struct machine *machine)
{
    bus_init(&machine->memory);
    bus_init(&machine->ports);
    serial_init(&machine->serial);
    machine->test_control.command = guest_command;
    machine->test_control.context = machine;
    pci_host_init(&machine->pci_host);
    bus_add(&machine->memory, BOARD_ECAM_START, BOARD_ECAM_SIZE, &pci_host_ecam_ops, &machine->pci_host);
    bus_add(&machine->ports, PCI_CONFIG_PORT, PCI_CONFIG_PORTS, &pci_host_port_ops, &machine->pci_host);
    bus_add(&machine->ports, GUEST_SERIAL_PORT, SERIAL_PORTS, &serial_bus_ops, &machine->serial);
    bus_add(&machine->ports, GUEST_TEST_PORT, TEST_CONTROL_PORTS, &test_control_bus_ops, &machine->test_control);
}

static bool has_memory_bar(const struct board_device *description)
{
    for (unsigned int i = 0; i < BOARD_BARS; i++)
        if (description->bar[i].size && !description->bar[i].io)
            return true;
    return false;
}

/* A device none of whose BARs can be mapped is out of the others' reach from the start. */
static void find_unreachable(struct machine *machine)
{
    for (unsigned int i = 0; machine->peers.wanted && machine->device_count > 1 && i < machine->device_count; i++) {
        struct pci_device *device = &machine->device[i];
        struct error error = ERROR_INIT;
        unsigned int areas = 0;

        for (unsigned int bar = 0; bar < BOARD_BARS; bar++)
            areas += device->bar[bar].area_count;
        if (areas || !has_memory_bar(device->description))
            continue;
        error_set(&error, 0, "none of its BARs can be mapped, so that no other device reaches it by DMA");
        peer_missing(machine, i, &error);
    }
}

static int fill(struct machine *machine, struct vfio_device *const *devices, struct error *error)
{
    if (board_match(&machine->board, devices, machine->board.device_count, error) || make_vm(machine, error))
        return -1;
    machine->peers = (struct peers){
        .wanted = machine->board.wishes.peers,
        .count = machine->board.device_count,
        .device = machine->vfio,
        .refused = peer_missing,
        .stuck = device_error,
        .context = machine,
    };
    machine->environment = (struct pci_environment){
        .vm = machine->vm,
        .board = &machine->board,
        .memory = &machine->memory,
        .ports = &machine->ports,
        .peers = &machine->peers,
        .lock = &machine->lock,
        .report = device_error,
        .context = machine,
    };
    for (size_t i = 0; i < machine->board.device_count; i++) {
        if (add_device(machine, devices[i], error))
            return -1;
    }
    find_unreachable(machine);
    return 0;
}

static void close_fds(const struct board *board, const int *fds)
{
    for (unsigned int i = 0; fds && i < board->ram_ranges; i++) {
        int fd = fds[i];

        io_close(&fd);
    }
}

struct machine *machine_new(const struct board *board, struct vfio_device *const *devices, const int *ram_fds,
                            struct error *error)
{
    struct machine *machine = calloc(1, sizeof(*machine));

    if (!machine) {
        error_set(error, ENOMEM, "making the machine");
        close_fds(board, ram_fds);
        return NULL;
    }
    if (board_check(board, error) || make_events(machine, error)) {
        close_fds(board, ram_fds);
        free(machine);
        return NULL;
    }
    machine->board = *board;
    pthread_mutex_init(&machine->lock, NULL);
    make_buses(machine);
    if (ram_init(&machine->ram, board, ram_fds, error) || fill(machine, devices, error)) {
        machine_free(machine);
        return NULL;
    }
    return machine;
}

void machine_free(struct machine *machine)
{
    if (!machine)
        return;
    if (machine->vm)
        vm_free(machine->vm);
    for (size_t i = 0; i < machine->device_count; i++) {
        pci_device_destroy(&machine->device[i]);
        unmap_dma(machine, machine->vfio[i], machine->ram.count);
    }
    ram_destroy(&machine->ram);
    serial_destroy(&machine->serial);
    bus_destroy(&machine->ports);
    bus_destroy(&machine->memory);
    io_close(&machine->epoll);
    event_queue_destroy(&machine->events);
    pthread_mutex_destroy(&machine->lock);
    free(machine);
}

int machine_load(struct machine *machine, const char *image_path, struct error *error)
{
    uint64_t base = machine->board.progress;
    struct board_ram reserved = {.start = base, .size = BOARD_RESERVED_SIZE};
    struct buffer tree = BUFFER_INIT;
    uint64_t entry;
    int status = -1;

    if (board_to_tree(&machine->board, &tree, error) ||
        elf_load_file(image_path, &machine->ram, reserved, &entry, error))
        goto out;
    memset(ram_at(&machine->ram, base, PROGRESS_SIZE), 0, PROGRESS_SIZE);
    memcpy(ram_at(&machine->ram, base + RESERVED_TREE, tree.size), tree.data, tree.size);
    boot_tables_write(ram_at(&machine->ram, base + RESERVED_BOOT_TABLES, BOOT_TABLES_SIZE),
                      base + RESERVED_BOOT_TABLES);
    status = vm_set_entry(machine->vm, entry, base + RESERVED_TREE, base + RESERVED_BOOT_TABLES, error);
out:
    buffer_free(&tree);
    return status;
}

struct vm *machine_vm(struct machine *machine)
{
    return machine->vm;
}

const struct board *machine_board(struct machine *machine)
{
    return &machine->board;
}

void *machine_ram(struct machine *machine, uint64_t gpa, uint64_t size)
{
    return ram_at(&machine->ram, gpa, size);
}

int machine_ram_fd(struct machine *machine, unsigned int range)
{
    return range < machine->ram.count ? machine->ram.range[range].fd : -1;
}

int machine_progress(struct machine *machine, struct proof_snapshot *snapshot, struct error *error)
{
    return proof_read(ram_at(&machine->ram, machine->board.progress, PROGRESS_SIZE), PROGRESS_SIZE, snapshot, error);
}

void machine_request_finish(struct machine *machine)
{
    atomic_fetch_or(&machine->test_control.request, GUEST_REQUEST_FINISH);
}

static void device_gone(struct machine *machine, unsigned int number)
{
    static const struct {
        enum machine_event_kind kind;
        const char *words;
    } told[] = {
        [VFIO_GONE_SERVER] = {MACHINE_DEVICE_GONE, "the device's server is gone"},
        [VFIO_GONE_REQUEST] = {MACHINE_DEVICE_ASKED, "the host wants the device back (VFIO_PCI_REQ_IRQ_INDEX)"},
        [VFIO_GONE_ERROR] = {MACHINE_DEVICE_AER,
                             "the device reported an error that is not recovered from (VFIO_PCI_ERR_IRQ_INDEX)"},
    };
    struct vfio_device *device = machine->vfio[number];
    enum vfio_gone reason = device->ops->gone_reason ? device->ops->gone_reason(device) : VFIO_GONE_SERVER;
    char text[ERROR_TEXT_MAX];

    epoll_ctl(machine->epoll, EPOLL_CTL_DEL, machine->gone_fd[number], NULL);
    snprintf(text, sizeof(text), "%s: %s", device->name, told[reason].words);
    event_queue_push(&machine->events, told[reason].kind, number, text);
}

static void interrupt_to_drop(struct machine *machine, uint64_t data)
{
    struct error error = ERROR_INIT;
    int status;

    pthread_mutex_lock(&machine->lock);
    status = interrupt_drop_event(&machine->drop, machine->device, machine->device_count, machine->epoll, data, &error);
    pthread_mutex_unlock(&machine->lock);
    if (status)
        device_error(machine, (unsigned int)(data >> 16 & 0xffff), &error);
}

static void resample(struct machine *machine, unsigned int number)
{
    struct error error = ERROR_INIT;

    if (intx_resample(&machine->device[number].intx, &error))
        device_error(machine, number, &error);
}

static void look_at(struct machine *machine, uint64_t data)
{
    if (data == EPOLL_EVENTS)
        return;
    if (data & EPOLL_RESAMPLE)
        resample(machine, (unsigned int)(data & 0xffff));
    else if (data & INTERRUPT_DROP_EPOLL)
        interrupt_to_drop(machine, data);
    else
        device_gone(machine, (unsigned int)data);
}

int machine_wait(struct machine *machine, struct deadline deadline, struct machine_event *event)
{
    struct epoll_event ready[1 + BOARD_DEVICES_MAX];

    for (;;) {
        bool last = deadline_expired(deadline);
        int count;

        if (event_queue_pop(&machine->events, event))
            return 1;
        count = epoll_wait(machine->epoll, ready, 1 + BOARD_DEVICES_MAX, last ? 0 : deadline_poll_ms(deadline));
        for (int i = 0; i < count; i++)
            look_at(machine, ready[i].data.u64);
        if (last && !event_queue_pop(&machine->events, event))
            return 0;
        if (last)
            return 1;
    }
}

int machine_event_fd(struct machine *machine)
{
    return machine->epoll;
}

char *machine_console(struct machine *machine)
{
    return serial_console(&machine->serial);
}

int machine_pause(struct machine *machine, struct deadline deadline, struct error *error)
{
    return vm_pause(machine->vm, deadline, error);
}

int machine_resume(struct machine *machine, struct error *error)
{
    return vm_resume(machine->vm, error);
}

int machine_bind_interrupts(struct machine *machine, struct error *error)
{
    int status = 0;

    pthread_mutex_lock(&machine->lock);
    interrupt_drop_before_bind(&machine->drop, machine->device, machine->device_count);
    for (size_t i = 0; !status && i < machine->device_count; i++)
        status = pci_device_bind(&machine->device[i], error);
    if (!status)
        status =
            interrupt_drop_after_bind(&machine->drop, machine->device, machine->device_count, machine->epoll, error);
    pthread_mutex_unlock(&machine->lock);
    return status;
}

int machine_unbind_interrupts(struct machine *machine, struct error *error)
{
    int status = 0;

    pthread_mutex_lock(&machine->lock);
    interrupt_drop_cancel(&machine->drop, machine->device, machine->device_count, machine->epoll);
    for (size_t i = 0; !status && i < machine->device_count; i++)
        status = pci_device_unbind(&machine->device[i], error);
    pthread_mutex_unlock(&machine->lock);
    return status;
}

int machine_interrupt_signalled(struct machine *machine, unsigned int device)
{
    int vector = -1;

    pthread_mutex_lock(&machine->lock);
    if (device < machine->device_count)
        vector = pci_device_signalled(&machine->device[device]);
    pthread_mutex_unlock(&machine->lock);
    return vector;
}

void machine_describe_interrupts(struct machine *machine, void (*tell)(void *context, const char *text), void *context)
{
    char text[512];

    pthread_mutex_lock(&machine->lock);
    for (size_t i = 0; i < machine->device_count; i++) {
        pci_device_describe_interrupts(&machine->device[i], text, sizeof(text));
        tell(context, text);
    }
    pthread_mutex_unlock(&machine->lock);
    for (unsigned int i = 0; i < machine->board.vcpus; i++) {
        if (vm_describe_vcpu_interrupts(machine->vm, i, text, sizeof(text)) == 0)
            tell(context, text);
    }
}

void machine_drop_interrupt(struct machine *machine)
{
    pthread_mutex_lock(&machine->lock);
    machine->drop.armed = true;
    pthread_mutex_unlock(&machine->lock);
}

void machine_lose_resample(struct machine *machine)
{
    pthread_mutex_lock(&machine->lock);
    for (size_t i = 0; i < machine->device_count; i++)
        machine->device[i].intx.lose_resample = true;
    pthread_mutex_unlock(&machine->lock);
}

void machine_forget_msix(struct machine *machine)
{
    pthread_mutex_lock(&machine->lock);
    for (size_t i = 0; i < machine->device_count; i++)
        machine->device[i].forget_msix = true;
    pthread_mutex_unlock(&machine->lock);
}

int machine_get_board_state(struct machine *machine, struct buffer *state, struct error *error)
{
    serial_get_state(&machine->serial, state);
    test_control_get_state(&machine->test_control, state);
    pci_host_get_state(&machine->pci_host, state);
    return state->failed ? error_set(error, ENOMEM, "saving the board's state") : 0;
}

int machine_put_board_state(struct machine *machine, const void *state, size_t size, struct error *error)
{
    struct cursor cursor = cursor_over(state, size);

    if (serial_put_state(&machine->serial, &cursor, error) ||
        test_control_put_state(&machine->test_control, &cursor, error) ||
        pci_host_put_state(&machine->pci_host, &cursor, error))
        return -1;
    return cursor_at_end(&cursor) ? 0 : error_set(error, EINVAL, "the board's state has the wrong size");
}

int machine_get_device_state(struct machine *machine, unsigned int device, struct buffer *state, struct error *error)
{
    if (device >= machine->device_count)
        return error_set(error, EINVAL, "the machine has no device %u", device);
    pthread_mutex_lock(&machine->lock);
    pci_device_get_state(&machine->device[device], state);
    pthread_mutex_unlock(&machine->lock);
    return state->failed ? error_set(error, ENOMEM, "saving the state of device %u", device) : 0;
}

int machine_put_device_state(struct machine *machine, unsigned int device, const void *state, size_t size,
                             struct error *error)
{
    int status;

    if (device >= machine->device_count)
        return error_set(error, EINVAL, "the machine has no device %u", device);
    pthread_mutex_lock(&machine->lock);
    status = pci_device_put_state(&machine->device[device], state, size, error);
    pthread_mutex_unlock(&machine->lock);
    return status;
}
