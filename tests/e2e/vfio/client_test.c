/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The vfio-user client against stopcopy-device in a process of its own. */
#include <criterion/criterion.h>
#include <errno.h>
#include <linux/pci_regs.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/buffer.h"
#include "stopcopy/dma_device.h"
#include "vmm/cmd/device_facts.h"
#include "vmm/cmd/device_spec.h"
#include "vmm/vfio/fsm.h"
#include "vmm/vfio/migration.h"
#include "vmm/vfio/vfio_user.h"

#define TIMEOUT_NS 10000000000u
#define ALL "test:features=stop-copy+p2p+pre-copy"

static struct opened_device open_device(const char *text)
{
    struct opened_device opened;
    struct device_spec spec;
    struct error error = ERROR_INIT;
    char program[4096];
    const char *build = getenv("top_builddir");

    snprintf(program, sizeof(program), "%s/stopcopy-device", build ? build : ".");
    cr_assert_eq(device_spec_parse(text, &spec, &error), 0, "%s", error.text);
    cr_assert_eq(device_open(&spec, program, TIMEOUT_NS, &opened, &error), 0, "%s", error.text);
    device_spec_free(&spec);
    return opened;
}

static void close_device(struct opened_device *opened)
{
    struct error error = ERROR_INIT;

    cr_assert_eq(device_close(opened, &error), 0, "%s", error.text);
}

static void set_state(struct vfio_device *device, unsigned int state)
{
    struct error error = ERROR_INIT;

    cr_assert_eq(migration_set_state(device, state, &error), 0, "%s", error.text);
}

static unsigned int get_state(struct vfio_device *device)
{
    struct error error = ERROR_INIT;
    unsigned int state;

    cr_assert_eq(migration_get_state(device, &state, &error), 0, "%s", error.text);
    return state;
}

static void reset(struct vfio_device *device)
{
    struct error error = ERROR_INIT;

    cr_assert_eq(device->ops->reset(device, &error), 0, "%s", error.text);
}

Test(client, everything_about_the_device_can_be_read)
{
    struct opened_device opened = open_device("test:queues=3,vectors=5,window=128K,memory=1M");
    struct device_facts facts;
    struct error error = ERROR_INIT;

    cr_assert_eq(device_facts_collect(opened.device, &facts, &error), 0, "%s", error.text);
    cr_assert_eq(device_facts_config16(&facts, PCI_VENDOR_ID), DMA_DEVICE_VENDOR_ID);
    cr_assert_eq(device_facts_config16(&facts, PCI_DEVICE_ID), DMA_DEVICE_DEVICE_ID);
    cr_assert(facts.capability_count > 0 && !facts.capabilities_broken);
    cr_assert_eq(facts.regions[DMA_BAR_WINDOW].size, 128 << 10);
    cr_assert_eq(facts.regions[DMA_BAR_WINDOW].area_count, 1);
    cr_assert_eq(facts.doorbell_counts[DMA_BAR_REGISTERS], 3);
    cr_assert_eq(facts.irqs[VFIO_PCI_MSIX_IRQ_INDEX].count, 5);
    cr_assert_eq(facts.migration_flags, VFIO_MIGRATION_STOP_COPY | VFIO_MIGRATION_P2P);
    cr_assert_eq(facts.state, VFIO_DEVICE_STATE_RUNNING);
    cr_assert(facts.data_size_known && facts.dma_logging);
    cr_assert(vfio_user_get_agreement(opened.device)->stopcopy);
    close_device(&opened);
}

/* Brings the device to from, tries to, and compares with the rules. */
static void try_arc(struct vfio_device *device, uint64_t flags, unsigned int from, unsigned int to)
{
    struct fsm_path path = fsm_find_path(flags, from, to);
    struct vfio_data_session *session;
    struct error error = ERROR_INIT;
    bool allowed;

    reset(device);
    set_state(device, from);
    session = device->ops->take_session(device);
    if (session)
        device->ops->session_close(session);
    allowed = migration_set_state(device, to, &error) == 0;
    /* No data was written, and so RESUMING cannot be left for a running state. */
    if (from == VFIO_DEVICE_STATE_RESUMING && to != from && path.allowed) {
        cr_assert_not(allowed);
        cr_assert_eq(get_state(device), VFIO_DEVICE_STATE_RESUMING);
        return;
    }
    cr_assert_eq(allowed, path.allowed, "flags %d, %u to %u: %s", (int)flags, from, to, error.text);
    cr_assert_eq(get_state(device), allowed ? to : from);
    if (!allowed)
        cr_assert_eq(error.number, EINVAL, "%s", error.text);
    session = device->ops->take_session(device);
    cr_assert_eq(session != NULL, allowed && path.opens_session, "flags %d, %u to %u: session", (int)flags, from, to);
    if (session)
        device->ops->session_close(session);
}

Test(client, every_arc_of_the_device_is_as_the_rules_have_it)
{
    static const char *const devices[] = {"test:memory=64K,features=stop-copy",
                                          "test:memory=64K,features=stop-copy+p2p",
                                          "test:memory=64K,features=stop-copy+pre-copy", ALL ",memory=64K"};

    for (size_t i = 0; i < 4; i++) {
        struct opened_device opened = open_device(devices[i]);
        struct error error = ERROR_INIT;
        uint64_t flags;

        cr_assert_eq(migration_get_flags(opened.device, &flags, &error), 0, "%s", error.text);
        for (unsigned int from = 1; from < MIGRATION_STATES; from++)
            for (unsigned int to = 0; to < MIGRATION_STATES + 2; to++)
                if (fsm_state_offered(flags, from))
                    try_arc(opened.device, flags, from, to);
        close_device(&opened);
    }
}

Test(client, a_device_without_migration_has_no_flags)
{
    struct opened_device opened = open_device("test:features=none");
    struct error error = ERROR_INIT;
    uint64_t flags = 1;

    cr_assert_eq(migration_get_flags(opened.device, &flags, &error), 0, "%s", error.text);
    cr_assert_eq(flags, 0);
    close_device(&opened);
}

static int collect(void *context, const void *data, size_t size, struct error *error)
{
    (void)error;
    buffer_put(context, data, size);
    return 0;
}

static struct buffer save(struct vfio_device *device)
{
    struct buffer stream = BUFFER_INIT;
    struct vfio_data_session *session;
    struct error error = ERROR_INIT;
    uint64_t bytes;
    char *buffer = malloc(10000);

    set_state(device, VFIO_DEVICE_STATE_STOP_COPY);
    session = device->ops->take_session(device);
    cr_assert_not_null(session);
    cr_assert_eq(migration_read_all(session, buffer, 10000, collect, &stream, &bytes, &error), 0, "%s", error.text);
    cr_assert_eq(bytes, stream.size);
    device->ops->session_close(session);
    free(buffer);
    return stream;
}

/* Writes size bytes of the stream and ends the session; returns what the arc to STOP did. */
static int load(struct vfio_device *device, const struct buffer *stream, size_t size)
{
    struct vfio_data_session *session;
    struct error error = ERROR_INIT;

    set_state(device, VFIO_DEVICE_STATE_RESUMING);
    session = device->ops->take_session(device);
    cr_assert_not_null(session);
    /* In two parts, and bytes that were not written so. */
    cr_assert_eq(migration_write_all(session, stream->data, size / 3, &error), 0, "%s", error.text);
    cr_assert_eq(migration_write_all(session, stream->data + size / 3, size - size / 3, &error), 0, "%s", error.text);
    device->ops->session_close(session);
    return migration_set_state(device, VFIO_DEVICE_STATE_STOP, &error);
}

static uint32_t read_register(struct vfio_device *device, uint64_t offset)
{
    struct error error = ERROR_INIT;
    uint32_t value;

    cr_assert_eq(device->ops->region_read(device, DMA_BAR_REGISTERS, offset, &value, 4, &error), 0, "%s", error.text);
    return value;
}

static void write_register(struct vfio_device *device, uint64_t offset, uint32_t value)
{
    struct error error = ERROR_INIT;

    cr_assert_eq(device->ops->region_write(device, DMA_BAR_REGISTERS, offset, &value, 4, &error), 0, "%s", error.text);
}

Test(client, state_saved_from_one_process_is_loaded_into_another)
{
    struct opened_device source = open_device("test:window=4M");
    struct opened_device destination = open_device("test:window=4M");
    size_t size = 4 << 20;
    uint8_t *window = malloc(size);
    uint8_t *loaded = calloc(1, size);
    struct error error = ERROR_INIT;
    struct buffer stream;

    for (size_t i = 0; i < size; i++)
        window[i] = (uint8_t)(i * 2654435761u >> 13);
    write_register(source.device, DMA_REG_SCRATCH, 0x12345678);
    /* More than one message may carry. */
    cr_assert_eq(source.device->ops->region_write(source.device, DMA_BAR_WINDOW, 0, window, size, &error), 0, "%s",
                 error.text);
    stream = save(source.device);
    cr_assert_gt(stream.size, size);
    cr_assert_eq(load(destination.device, &stream, stream.size), 0);
    set_state(destination.device, VFIO_DEVICE_STATE_RUNNING);
    cr_assert_eq(read_register(destination.device, DMA_REG_SCRATCH), 0x12345678);
    cr_assert_eq(destination.device->ops->region_read(destination.device, DMA_BAR_WINDOW, 0, loaded, size, &error), 0);
    cr_assert_eq(memcmp(window, loaded, size), 0);
    /* And back: the source, which stayed as it was, goes on. */
    set_state(source.device, VFIO_DEVICE_STATE_RUNNING);
    cr_assert_eq(read_register(source.device, DMA_REG_SCRATCH), 0x12345678);
    buffer_free(&stream);
    free(window);
    free(loaded);
    close_device(&source);
    close_device(&destination);
}

Test(client, a_stream_that_is_cut_off_is_refused_and_a_reset_recovers)
{
    struct opened_device source = open_device("test");
    struct opened_device destination = open_device("test");
    struct buffer stream = save(source.device);

    cr_assert_eq(load(destination.device, &stream, stream.size - 1), -1);
    cr_assert_neq(get_state(destination.device), VFIO_DEVICE_STATE_STOP);
    reset(destination.device);
    cr_assert_eq(get_state(destination.device), VFIO_DEVICE_STATE_RUNNING);
    cr_assert_eq(load(destination.device, &stream, stream.size), 0);
    buffer_free(&stream);
    close_device(&source);
    close_device(&destination);
}

Test(client, pre_copy_ends_for_the_time_being_and_stop_copy_for_good)
{
    struct opened_device source = open_device(ALL ",window=1M");
    struct opened_device destination = open_device(ALL ",window=1M");
    struct vfio_device *device = source.device;
    struct vfio_precopy_info info = {.argsz = sizeof(info)};
    struct vfio_data_session *session;
    struct buffer stream = BUFFER_INIT;
    struct error error = ERROR_INIT;
    enum vfio_data_result result;
    static char part[7000];
    uint64_t bytes;
    size_t count;

    set_state(device, VFIO_DEVICE_STATE_PRE_COPY);
    session = device->ops->take_session(device);
    cr_assert_eq(device->ops->session_precopy_info(session, &info, &error), 0, "%s", error.text);
    cr_assert_gt(info.initial_bytes, 0);
    while ((result = device->ops->session_read(session, part, sizeof(part), &count, &error)) == VFIO_DATA_DATA)
        buffer_put(&stream, part, count);
    cr_assert_eq(result, VFIO_DATA_AGAIN, "%s", error.text);
    cr_assert_eq(count, 0);
    write_register(device, DMA_REG_SCRATCH, 77);
    set_state(device, VFIO_DEVICE_STATE_PRE_COPY_P2P);
    set_state(device, VFIO_DEVICE_STATE_STOP_COPY);
    cr_assert_null(device->ops->take_session(device));
    cr_assert_eq(migration_read_all(session, part, sizeof(part), collect, &stream, &bytes, &error), 0, "%s",
                 error.text);
    cr_assert_gt(bytes, 0);
    device->ops->session_close(session);
    cr_assert_eq(load(destination.device, &stream, stream.size), 0);
    set_state(destination.device, VFIO_DEVICE_STATE_RUNNING);
    cr_assert_eq(read_register(destination.device, DMA_REG_SCRATCH), 77);
    buffer_free(&stream);
    close_device(&source);
    close_device(&destination);
}

/* One operation by queue 0 and vector 0. Memory: ring, completions, shared record, source, destination, a page each. */
#define IOVA 0x100000u
#define PAGES 16u
#define RING 0x0000u
#define COMPLETIONS 0x1000u
#define SHARED 0x2000u
#define SOURCE 0x3000u
#define DESTINATION 0x8000u
#define LENGTH 0x1800u

struct machine {
    struct opened_device opened;
    struct vfio_device *device;
    int memory_fd;
    uint8_t *memory;
    int interrupt;
};

static struct machine start_machine(const char *text)
{
    struct machine machine = {.opened = open_device(text), .interrupt = eventfd(0, EFD_CLOEXEC)};
    uint16_t command = PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER;
    struct error error = ERROR_INIT;

    machine.device = machine.opened.device;
    machine.memory_fd = memfd_create("memory", MFD_CLOEXEC);
    cr_assert_eq(ftruncate(machine.memory_fd, PAGES * 4096), 0);
    machine.memory = mmap(NULL, PAGES * 4096, PROT_READ | PROT_WRITE, MAP_SHARED, machine.memory_fd, 0);
    cr_assert_neq(machine.memory, MAP_FAILED);
    cr_assert_eq(machine.device->ops->dma_map(machine.device, IOVA, PAGES * 4096, machine.memory, machine.memory_fd, 0,
                                              true, &error),
                 0, "%s", error.text);
    cr_assert_eq(machine.device->ops->region_write(machine.device, VFIO_PCI_CONFIG_REGION_INDEX, PCI_COMMAND, &command,
                                                   sizeof(command), &error),
                 0, "%s", error.text);
    cr_assert_eq(machine.device->ops->set_irqs(machine.device, VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER,
                                               VFIO_PCI_MSIX_IRQ_INDEX, 0, 1, &machine.interrupt,
                                               sizeof(machine.interrupt), &error),
                 0, "%s", error.text);
    return machine;
}

static void stop_machine(struct machine *machine)
{
    close_device(&machine->opened);
    munmap(machine->memory, PAGES * 4096);
    close(machine->memory_fd);
    close(machine->interrupt);
}

static void enable_queue(struct machine *machine)
{
    struct vfio_device *device = machine->device;
    uint32_t queue = DMA_REG_QUEUE(0);

    write_register(device, queue + DMA_QUEUE_REG_RING_LOW, IOVA + RING);
    write_register(device, queue + DMA_QUEUE_REG_COMPLETIONS_LOW, IOVA + COMPLETIONS);
    write_register(device, queue + DMA_QUEUE_REG_SHARED_LOW, IOVA + SHARED);
    write_register(device, queue + DMA_QUEUE_REG_ENTRIES, 4);
    write_register(device, queue + DMA_QUEUE_REG_VECTOR, 0);
    write_register(device, queue + DMA_QUEUE_REG_ENABLE, 1);
    cr_assert_eq(read_register(device, queue + DMA_QUEUE_REG_ERROR), DMA_QUEUE_ERROR_NONE);
}

/* Submits a copy; the doorbell is still to be rung. */
static void submit_copy(struct machine *machine)
{
    struct dma_descriptor *descriptor = (void *)(machine->memory + RING);
    struct dma_queue_shared *shared = (void *)(machine->memory + SHARED);

    for (size_t i = 0; i < LENGTH; i++)
        machine->memory[SOURCE + i] = (uint8_t)(i * 7 + 3);
    *descriptor = (struct dma_descriptor){.opcode = DMA_OP_COPY,
                                          .length = LENGTH,
                                          .sequence = 42,
                                          .source = IOVA + SOURCE,
                                          .destination = IOVA + DESTINATION};
    __atomic_store_n(&shared->tail, 1, __ATOMIC_RELEASE);
}

static void await_completion(struct machine *machine)
{
    struct dma_completion *completion = (void *)(machine->memory + COMPLETIONS);
    struct dma_queue_shared *shared = (void *)(machine->memory + SHARED);
    struct pollfd poll_fd = {.fd = machine->interrupt, .events = POLLIN};

    cr_assert_eq(poll(&poll_fd, 1, 10000), 1, "no interrupt");
    cr_assert_eq(__atomic_load_n(&shared->completed, __ATOMIC_ACQUIRE), 1);
    cr_assert_eq(completion->sequence, 42);
    cr_assert_eq(completion->status, DMA_STATUS_OK);
    cr_assert_eq(memcmp(machine->memory + SOURCE, machine->memory + DESTINATION, LENGTH), 0);
}

static const uint64_t pages_written = 1 << 1 | 1 << 2 | 3 << 8; /* completions, shared record, destination */

Test(client, the_device_reaches_memory_by_descriptor_and_by_message)
{
    static const char *const devices[] = {"test", "test:dma=message"};

    for (size_t i = 0; i < 2; i++) {
        struct machine machine = start_machine(devices[i]);
        struct error error = ERROR_INIT;
        uint64_t own = 0;

        enable_queue(&machine);
        submit_copy(&machine);
        write_register(machine.device, DMA_PAGE_DOORBELLS, 1);
        await_completion(&machine);
        /* What we wrote on its behalf is in our own log. */
        cr_assert_eq(machine.device->ops->take_own_dirty(machine.device, IOVA, PAGES * 4096, 4096, &own, &error), 0);
        cr_assert_eq(own, i ? pages_written : 0, "0x%lx", own);
        stop_machine(&machine);
    }
}

Test(client, a_doorbell_by_eventfd_works_the_device)
{
    struct machine machine = start_machine("test:queues=2");
    struct vfio_doorbell doorbells[2];
    struct error error = ERROR_INIT;
    uint64_t one = 1;

    cr_assert_eq(machine.device->ops->get_doorbells(machine.device, DMA_BAR_REGISTERS, doorbells, 2, &error), 2, "%s",
                 error.text);
    cr_assert_eq(doorbells[0].offset, DMA_PAGE_DOORBELLS);
    enable_queue(&machine);
    submit_copy(&machine);
    cr_assert_eq(write(doorbells[0].fd, &one, sizeof(one)), sizeof(one));
    await_completion(&machine);
    stop_machine(&machine);
}

Test(client, the_devices_log_has_what_it_wrote)
{
    static const char *const devices[] = {"test", "test:dma=message"};

    for (size_t i = 0; i < 2; i++) {
        struct machine machine = start_machine(devices[i]);
        struct vfio_device *device = machine.device;
        struct vfio_device_feature_dma_logging_range range = {.iova = IOVA, .length = PAGES * 4096};
        struct vfio_device_feature_dma_logging_control control = {
            .page_size = 4096, .num_ranges = 1, .ranges = (uintptr_t)&range};
        uint64_t bitmap = 0;
        struct vfio_device_feature_dma_logging_report report = {
            .iova = IOVA, .length = PAGES * 4096, .page_size = 4096, .bitmap = (uintptr_t)&bitmap};
        struct error error = ERROR_INIT;

        cr_assert_eq(device->ops->feature(device, VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_DMA_LOGGING_START,
                                          &control, sizeof(control), &error),
                     0, "%s", error.text);
        enable_queue(&machine);
        submit_copy(&machine);
        write_register(device, DMA_PAGE_DOORBELLS, 1);
        await_completion(&machine);
        cr_assert_eq(device->ops->feature(device, VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT,
                                          &report, sizeof(report), &error),
                     0, "%s", error.text);
        cr_assert_eq(bitmap, pages_written, "0x%lx", bitmap);
        cr_assert_eq(device->ops->feature(device, VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_DMA_LOGGING_STOP, NULL,
                                          0, &error),
                     0, "%s", error.text);
        stop_machine(&machine);
    }
}

Test(client, a_server_that_dies_is_noticed_and_named)
{
    struct opened_device opened = open_device("test");
    struct pollfd gone = {.fd = opened.device->ops->gone_fd(opened.device), .events = POLLIN};
    struct vfio_device_info_summary info;
    struct error error = ERROR_INIT;

    cr_assert_eq(poll(&gone, 1, 0), 0);
    cr_assert_eq(kill(opened.server, SIGKILL), 0);
    cr_assert_eq(poll(&gone, 1, 10000), 1);
    cr_assert_eq(opened.device->ops->get_info(opened.device, &info, &error), -1);
    cr_assert(error.number == EPIPE || error.number == ECONNRESET, "%s", error.text);
    cr_assert_eq(device_close(&opened, &error), -1);
    cr_assert_not_null(strstr(error.text, "signal 9"), "%s", error.text);
}

Test(client, a_server_that_is_stopped_runs_into_the_deadline)
{
    struct opened_device opened = open_device("test");
    struct error error = ERROR_INIT;
    unsigned int state;

    cr_assert_eq(kill(opened.server, SIGSTOP), 0);
    opened.device->ops->set_timeout(opened.device, 50000000);
    cr_assert_eq(migration_get_state(opened.device, &state, &error), -1);
    cr_assert_eq(error.number, ETIMEDOUT);
    cr_assert_str_eq(error.text, "test: DEVICE_FEATURE GET MIG_DEVICE_STATE: no answer within 50 ms");
    cr_assert_eq(kill(opened.server, SIGCONT), 0);
    /* It may say that it could not send its answer; it need not be killed. */
    error = (struct error)ERROR_INIT;
    device_close(&opened, &error);
    cr_assert_null(strstr(error.text, "killed"), "%s", error.text);
}
