/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Region access, interrupts, and DMA by message with the messages that cross. */
#include <criterion/criterion.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/io.h"
#include "tests/unit/vfio/fake_server.h"

/* What waits in vain is ended. */
TestSuite(vfio_user_dma, .timeout = 120);
TestSuite(vfio_user_irqs, .timeout = 120);
TestSuite(vfio_user_region, .timeout = 120);

#define MEGABYTE (1u << 20)

/* A region of bytes, served by messages of up to 64 bytes. */
static void small_transfers(struct fake_server *server)
{
    uint8_t *memory = server->argument;

    fake_version(server, "{\"capabilities\":{\"max_data_xfer_size\":64}}");
    while (fake_receive(server)) {
        struct vfio_user_region_access access;
        uint8_t reply[sizeof(access) + 64];
        bool read = server->message.header.command == VFIO_USER_REGION_READ;

        memcpy(&access, server->message.payload, sizeof(access));
        cr_assert_eq(access.region, 1);
        cr_assert_leq(access.count, 64);
        cr_assert_leq(access.offset + access.count, 256);
        memcpy(reply, &access, sizeof(access));
        if (read)
            memcpy(reply + sizeof(access), memory + access.offset, access.count);
        else
            memcpy(memory + access.offset, server->message.payload + sizeof(access), access.count);
        fake_reply(server, reply, sizeof(access) + (read ? access.count : 0));
    }
}

Test(vfio_user_region, large_accesses_are_split)
{
    uint8_t memory[256] = {0};
    uint8_t data[200];
    struct error error = ERROR_INIT;
    struct fake_server server;
    struct vfio_device *device = fake_open_good(&server, small_transfers, memory, FAKE_TIMEOUT_NS);

    for (size_t i = 0; i < sizeof(data); i++)
        data[i] = (uint8_t)(i * 7 + 1);
    cr_assert_eq(device->ops->region_write(device, 1, 50, data, sizeof(data), &error), 0, "%s", error.text);
    cr_assert_eq(memcmp(memory + 50, data, sizeof(data)), 0);
    cr_assert_eq(memory[49], 0);
    memset(data, 0, sizeof(data));
    cr_assert_eq(device->ops->region_read(device, 1, 50, data, sizeof(data), &error), 0, "%s", error.text);
    cr_assert_eq(memcmp(memory + 50, data, sizeof(data)), 0);
    fake_close(&server, device);
}

static void wrong_access(struct fake_server *server)
{
    struct vfio_user_region_access reply = *(struct vfio_user_region_access *)server->argument;
    uint8_t bytes[sizeof(reply) + 4] = {0};

    fake_version(server, NULL);
    cr_assert(fake_receive(server));
    memcpy(bytes, &reply, sizeof(reply));
    fake_reply(server, bytes, server->message.header.command == VFIO_USER_REGION_READ ? sizeof(bytes) : sizeof(reply));
    fake_drain(server);
}

Test(vfio_user_region, a_reply_about_another_access_is_refused)
{
    struct vfio_user_region_access replies[] = {
        {.offset = 8, .region = 1, .count = 4}, {.offset = 0, .region = 2, .count = 4}, {.offset = 0, .region = 1}};

    for (size_t i = 0; i < 6; i++) {
        struct error error = ERROR_INIT;
        struct fake_server server;
        struct vfio_device *device = fake_open_good(&server, wrong_access, &replies[i / 2], FAKE_TIMEOUT_NS);
        uint32_t value = 0;
        int status = i % 2 ? device->ops->region_read(device, 1, 0, &value, 4, &error)
                           : device->ops->region_write(device, 1, 0, &value, 4, &error);

        cr_assert_eq(status, -1);
        cr_assert_eq(error.number, EPROTO);
        fake_close(&server, device);
    }
}

/* Notes each SET_IRQS as "start+count/descriptors". */
static void note_irqs(struct fake_server *server)
{
    char *notes = server->argument;

    fake_version(server, "{\"capabilities\":{\"max_msg_fds\":3}}");
    while (fake_receive(server)) {
        struct vfio_irq_set set;

        memcpy(&set, server->message.payload, sizeof(set));
        cr_assert_eq(set.argsz, server->message.size);
        sprintf(notes + strlen(notes), "%u+%u/%zu ", set.start, set.count, server->message.fd_count);
        fake_reply(server, NULL, 0);
    }
}

Test(vfio_user_irqs, are_split_by_the_descriptors_that_a_message_may_carry)
{
    char notes[256] = "";
    struct error error = ERROR_INIT;
    struct fake_server server;
    struct vfio_device *device = fake_open_good(&server, note_irqs, notes, FAKE_TIMEOUT_NS);
    int fd = eventfd(0, EFD_CLOEXEC);
    int32_t fds[] = {fd, fd, fd, fd, -1, -1, -1, -1, fd};
    uint32_t flags = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER;

    cr_assert_eq(device->ops->set_irqs(device, flags, 2, 10, 9, fds, sizeof(fds), &error), 0, "%s", error.text);
    cr_assert_eq(
        device->ops->set_irqs(device, VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_TRIGGER, 2, 0, 0, NULL, 0, &error),
        0);
    cr_assert_eq(device->ops->set_irqs(device, flags, 2, 0, 9, fds, 4, &error), -1);
    fake_close(&server, device);
    close(fd);
    cr_assert_str_eq(notes, "10+3/3 13+1/1 14+4/0 18+1/1 0+0/0 ");
}

/* DMA. Memory is two adjoining mappings, the second of which the device may only read. */
struct dma_test {
    uint8_t *memory;
    bool twin;
    int ready; /* eventfd: the script may go on */
    int done;  /* eventfd: the script is done */
};

#define IOVA 0x10000000u
#define WRITABLE 0x2000u
#define READ_ONLY 0x1000u

static void signal_event(int fd)
{
    cr_assert_eq(eventfd_write(fd, 1), 0);
}

static void await_event(int fd)
{
    struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
    eventfd_t count;

    cr_assert_eq(poll(&poll_fd, 1, 10000), 1, "waited in vain");
    eventfd_read(fd, &count);
}

static int dma_version(struct fake_server *server)
{
    const struct dma_test *test = server->argument;
    const char payload[] = "\0\0\1\0{\"capabilities\":{\"twin_socket\":{\"supported\":true,\"fd_index\":0}}}";
    int pair[2];

    if (!test->twin) {
        fake_version(server, NULL);
        return server->socket;
    }
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    fake_expect(server, VFIO_USER_VERSION);
    fake_reply_fds(server, payload, sizeof(payload), pair, 1);
    io_close(&pair[0]);
    server->twin = pair[1];
    return server->twin;
}

static void take_mappings(struct fake_server *server)
{
    for (int i = 0; i < 2; i++) {
        struct vfio_user_dma_map map;

        fake_expect(server, VFIO_USER_DMA_MAP);
        memcpy(&map, server->message.payload, sizeof(map));
        cr_assert_eq(map.address, i ? IOVA + WRITABLE : IOVA);
        cr_assert_eq(map.flags, i ? VFIO_USER_DMA_MAP_READ : VFIO_USER_DMA_MAP_READ | VFIO_USER_DMA_MAP_WRITE);
        cr_assert_eq(server->message.fd_count, 0);
        fake_reply(server, NULL, 0);
    }
}

static void map_memory(struct vfio_device *device, struct dma_test *test)
{
    struct error error = ERROR_INIT;

    cr_assert_eq(device->ops->dma_map(device, IOVA, WRITABLE, test->memory, -1, 0, true, &error), 0, "%s", error.text);
    cr_assert_eq(
        device->ops->dma_map(device, IOVA + WRITABLE, READ_ONLY, test->memory + WRITABLE, -1, 0, false, &error), 0,
        "%s", error.text);
}

/* Every kind of access, allowed or not. */
static void try_accesses(struct fake_server *server, int socket, struct dma_test *test)
{
    uint64_t value = 0x1122334455667788;
    static uint8_t large[0x3000];
    static uint8_t too_large[5 << 20];

    cr_assert_eq(fake_dma(server, socket, VFIO_USER_DMA_WRITE, IOVA + 0x1ff8, &value, 8), 0);
    cr_assert_eq(memcmp(test->memory + 0x1ff8, &value, 8), 0);
    value = 0;
    cr_assert_eq(fake_dma(server, socket, VFIO_USER_DMA_READ, IOVA + 0x1ff8, &value, 8), 0);
    cr_assert_eq(value, 0x1122334455667788);
    /* Over the border of two mappings. */
    cr_assert_eq(fake_dma(server, socket, VFIO_USER_DMA_READ, IOVA, large, 0x3000), 0);
    cr_assert_eq(memcmp(test->memory, large, 0x3000), 0);
    cr_assert_eq(fake_dma(server, socket, VFIO_USER_DMA_READ, IOVA, large, 0), 0);
    /* Nothing of what is not allowed as a whole is written. */
    cr_assert_eq(fake_dma(server, socket, VFIO_USER_DMA_WRITE, IOVA + 0x1ffc, "\0\0\0\0\0\0\0", 8), EACCES);
    cr_assert_eq(memcmp(test->memory + 0x1ff8, &value, 8), 0);
    cr_assert_eq(fake_dma(server, socket, VFIO_USER_DMA_WRITE, IOVA + 0x2000, &value, 8), EACCES);
    cr_assert_eq(fake_dma(server, socket, VFIO_USER_DMA_READ, IOVA - 1, &value, 8), EFAULT);
    cr_assert_eq(fake_dma(server, socket, VFIO_USER_DMA_READ, IOVA + 0x2ffc, &value, 8), EFAULT);
    cr_assert_eq(fake_dma(server, socket, VFIO_USER_DMA_READ, IOVA + 0x3000, &value, 8), EFAULT);
    cr_assert_eq(fake_dma(server, socket, VFIO_USER_DMA_READ, UINT64_MAX, &value, 8), EFAULT);
    cr_assert_eq(fake_dma(server, socket, VFIO_USER_DMA_READ, IOVA, too_large, UINT64_MAX), EINVAL);
    cr_assert_eq(fake_dma(server, socket, VFIO_USER_DMA_READ, IOVA, too_large, sizeof(too_large)), EINVAL);
    cr_assert_eq(fake_dma(server, socket, VFIO_USER_DMA_READ, IOVA, too_large, 4 << 20), EFAULT);
    cr_assert_eq(fake_dma(server, socket, 77, IOVA, &value, 8), ENOSYS);
}

static void dma_while_idle(struct fake_server *server)
{
    struct dma_test *test = server->argument;
    int socket = dma_version(server);

    take_mappings(server);
    await_event(test->ready);
    try_accesses(server, socket, test);
    signal_event(test->done);
    fake_drain(server);
}

static void dma_in_roundtrip(struct fake_server *server)
{
    struct dma_test *test = server->argument;
    int socket = dma_version(server);

    take_mappings(server);
    fake_expect(server, VFIO_USER_DEVICE_RESET);
    try_accesses(server, socket, test);
    fake_reply(server, NULL, 0);
    fake_drain(server);
}

static struct dma_test new_dma_test(bool twin)
{
    struct dma_test test = {.twin = twin, .ready = eventfd(0, EFD_CLOEXEC), .done = eventfd(0, EFD_CLOEXEC)};

    test.memory = mmap(NULL, 8 * MEGABYTE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    for (size_t i = 0; i < WRITABLE + READ_ONLY; i++)
        test.memory[i] = (uint8_t)(i * 31 >> 3);
    return test;
}

Test(vfio_user_dma, is_served_while_nothing_else_goes_on)
{
    for (int twin = 0; twin < 2; twin++) {
        struct dma_test test = new_dma_test(twin);
        struct fake_server server;
        struct vfio_device *device = fake_open_good(&server, dma_while_idle, &test, FAKE_TIMEOUT_NS);

        map_memory(device, &test);
        signal_event(test.ready);
        await_event(test.done);
        fake_close(&server, device);
    }
}

Test(vfio_user_dma, is_served_while_a_reply_is_waited_for)
{
    for (int twin = 0; twin < 2; twin++) {
        struct dma_test test = new_dma_test(twin);
        struct error error = ERROR_INIT;
        struct fake_server server;
        struct vfio_device *device = fake_open_good(&server, dma_in_roundtrip, &test, FAKE_TIMEOUT_NS);

        map_memory(device, &test);
        cr_assert_eq(device->ops->reset(device, &error), 0, "%s", error.text);
        fake_close(&server, device);
    }
}

/* Writes a megabyte and waits for the answer before it reads a byte of what the client sends. */
static void dma_across(struct fake_server *server)
{
    struct vfio_user_region_access access;
    static uint8_t data[MEGABYTE];
    struct vfio_user_header header;
    char byte;

    fake_version(server, NULL);
    fake_expect(server, VFIO_USER_DMA_MAP);
    fake_reply(server, NULL, 0);
    cr_assert_eq(recv(server->socket, &byte, 1, MSG_PEEK), 1);
    memset(data, 0x5a, sizeof(data));
    for (int i = 0; i < 12; i++)
        fake_dma_send(server->socket, VFIO_USER_DMA_WRITE, IOVA, data, sizeof(data));
    fake_expect(server, VFIO_USER_REGION_WRITE);
    memcpy(&access, server->message.payload, sizeof(access));
    header = server->message.header;
    /* The answers come after the command, whole and in order. */
    for (int i = 0; i < 12; i++) {
        cr_assert(fake_receive(server));
        cr_assert_eq(server->message.header.command, VFIO_USER_DMA_WRITE);
        cr_assert_eq(server->message.header.error_number, 0);
    }
    server->message.header = header;
    fake_reply(server, &access, sizeof(access));
    fake_drain(server);
}

Test(vfio_user_dma, large_messages_that_cross_do_not_deadlock)
{
    static uint8_t data[MEGABYTE];
    struct dma_test test = new_dma_test(false);
    struct error error = ERROR_INIT;
    struct fake_server server;
    struct vfio_device *device = fake_open_good(&server, dma_across, &test, FAKE_TIMEOUT_NS);

    cr_assert_eq(device->ops->dma_map(device, IOVA, MEGABYTE, test.memory, -1, 0, true, &error), 0, "%s", error.text);
    cr_assert_eq(device->ops->region_write(device, 0, 0, data, sizeof(data), &error), 0, "%s", error.text);
    cr_assert_eq(test.memory[MEGABYTE - 1], 0x5a);
    fake_close(&server, device);
}

/* Sends commands without end, and never the reply. */
static void flood(struct fake_server *server)
{
    uint64_t value = 0;
    struct vfio_user_dma_access access = {.address = IOVA, .count = 8};
    struct vfio_user_header header = {.command = VFIO_USER_DMA_WRITE,
                                      .size = sizeof(header) + sizeof(access) + sizeof(value),
                                      .flags = VFIO_USER_FLAG_NO_REPLY};
    struct iovec vector[3];

    fake_version(server, NULL);
    fake_expect(server, VFIO_USER_DEVICE_RESET);
    do {
        vector[0] = (struct iovec){&header, sizeof(header)};
        vector[1] = (struct iovec){&access, sizeof(access)};
        vector[2] = (struct iovec){&value, sizeof(value)};
    } while (io_send(server->socket, vector, 3, NULL, 0, deadline_in_ms(5000), "client", NULL) == 0);
}

Test(vfio_user_dma, commands_do_not_put_the_deadline_off)
{
    struct error error = ERROR_INIT;
    struct fake_server server;
    struct vfio_device *device = fake_open_good(&server, flood, NULL, FAKE_TIMEOUT_NS);

    device->ops->set_timeout(device, FAKE_SHORT_TIMEOUT_NS);
    cr_assert_eq(device->ops->reset(device, &error), -1);
    cr_assert_eq(error.number, ETIMEDOUT, "%s", error.text);
    fake_close(&server, device);
}

static void answer_reset(struct fake_server *server)
{
    fake_version(server, NULL);
    fake_expect(server, VFIO_USER_DEVICE_RESET);
    fake_reply(server, NULL, 0);
    fake_drain(server);
}

/* As where this process is stopped over its deadline. */
Test(vfio_user_dma, an_answer_that_is_there_is_taken_after_the_deadline)
{
    struct error error = ERROR_INIT;
    struct fake_server server;
    struct vfio_device *device = fake_open_good(&server, answer_reset, NULL, FAKE_TIMEOUT_NS);

    device->ops->set_timeout(device, 1);
    cr_assert_eq(device->ops->reset(device, &error), 0, "%s", error.text);
    fake_close(&server, device);
}

static void bad_command(struct fake_server *server)
{
    struct vfio_user_header header = *(struct vfio_user_header *)server->argument;

    fake_version(server, NULL);
    fake_send(server, &header, NULL, 0, NULL, 0);
    fake_drain(server);
}

Test(vfio_user_dma, a_command_that_cannot_be_framed_ends_the_connection)
{
    struct vfio_user_header headers[] = {
        {.command = VFIO_USER_DMA_WRITE, .size = 3},
        {.command = VFIO_USER_DMA_WRITE, .size = 0xffffffff},
        {.command = VFIO_USER_DMA_WRITE, .size = 16 + 16 + (4 << 20) + 1},
        {.command = VFIO_USER_DMA_READ, .size = 32, .flags = 3},
    };

    for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]); i++) {
        struct error error = ERROR_INIT;
        struct fake_server server;
        struct vfio_device *device = fake_open_good(&server, bad_command, &headers[i], FAKE_TIMEOUT_NS);
        struct pollfd gone = {.fd = device->ops->gone_fd(device), .events = POLLIN};

        /* Noticed by the thread, though nobody is in a roundtrip and no memory is given by message. */
        cr_assert_eq(poll(&gone, 1, 5000), 1);
        cr_assert_eq(device->ops->reset(device, &error), -1);
        cr_assert_eq(error.number, EPROTO, "%s", error.text);
        fake_close(&server, device);
    }
}

/* Answers what it has only begun to read. */
static void answer_early(struct fake_server *server)
{
    struct vfio_user_region_access access = {.count = MEGABYTE};
    struct vfio_user_header *header = &server->message.header;

    fake_version(server, NULL);
    cr_assert_eq(recv(server->socket, header, sizeof(*header), MSG_PEEK | MSG_WAITALL), sizeof(*header));
    fake_reply(server, &access, sizeof(access));
    cr_assert(fake_receive(server) == 0);
}

Test(vfio_user_region, a_reply_before_the_command_is_whole_is_refused)
{
    static uint8_t data[MEGABYTE];
    struct error error = ERROR_INIT;
    struct fake_server server;
    struct vfio_device *device = fake_open_good(&server, answer_early, NULL, FAKE_TIMEOUT_NS);

    /* Until this the server reads nothing: the socket does not take a megabyte. */
    cr_assert_eq(device->ops->region_write(device, 0, 0, data, sizeof(data), &error), -1);
    cr_assert_eq(error.number, EPROTO, "%s", error.text);
    fake_close(&server, device);
}

/* Answers maps and unmaps; the third unmap is refused, the fourth answered about another range. */
static void unmaps(struct fake_server *server)
{
    unsigned int count = 0;

    fake_version(server, "{\"capabilities\":{\"max_dma_maps\":2}}");
    while (fake_receive(server)) {
        struct vfio_user_dma_unmap unmap;

        if (server->message.header.command == VFIO_USER_DMA_MAP) {
            fake_reply(server, NULL, 0);
            continue;
        }
        memcpy(&unmap, server->message.payload, sizeof(unmap));
        count++;
        if (count == 3) {
            fake_reply_error(server, EBUSY);
            continue;
        }
        unmap.size += count == 4 ? 4096 : 0;
        fake_reply(server, &unmap, count == 1 ? 0 : sizeof(unmap));
    }
}

Test(vfio_user_dma, mappings_are_kept_in_step_with_the_server)
{
    static uint8_t memory[0x3000];
    struct error error = ERROR_INIT;
    struct fake_server server;
    struct vfio_device *device = fake_open_good(&server, unmaps, NULL, FAKE_TIMEOUT_NS);
    const struct vfio_device_ops *ops = device->ops;

    cr_assert_eq(ops->dma_map(device, 0x1000, 0x1000, memory, -1, 0, true, &error), 0);
    cr_assert_eq(ops->dma_map(device, 0, 0x2000, memory, -1, 0, true, &error), -1);
    cr_assert_eq(error.number, EEXIST, "%s", error.text);
    cr_assert_eq(ops->dma_map(device, 0x2800, 0x1000, memory, -1, 0, true, &error), -1);
    cr_assert_eq(error.number, EINVAL);
    cr_assert_eq(ops->dma_map(device, 0x2000, 0, memory, -1, 0, true, &error), -1);
    cr_assert_eq(ops->dma_map(device, UINT64_MAX - 0xfff, 0x2000, memory, -1, 0, true, &error), -1);
    cr_assert_eq(ops->dma_map(device, 0x2000, 0x1000, memory, -1, 0, true, &error), 0);
    cr_assert_eq(ops->dma_map(device, 0x4000, 0x1000, memory, -1, 0, true, &error), -1);
    cr_assert_eq(error.number, ENOSPC, "%s", error.text);
    cr_assert_eq(ops->dma_unmap(device, 0x1000, 0x2000, &error), -1);
    cr_assert_eq(error.number, ENOENT);
    cr_assert_eq(ops->dma_unmap(device, 0x1000, 0x1000, &error), 0, "%s", error.text);
    cr_assert_eq(ops->dma_unmap(device, 0x2000, 0x1000, &error), 0);
    cr_assert_eq(ops->dma_map(device, 0x2000, 0x1000, memory, -1, 0, true, &error), 0);
    cr_assert_eq(ops->dma_unmap(device, 0x2000, 0x1000, &error), -1);
    cr_assert_eq(error.number, EBUSY);
    /* A refused unmap leaves it mapped. */
    cr_assert_eq(ops->dma_map(device, 0x2000, 0x1000, memory, -1, 0, true, &error), -1);
    cr_assert_eq(error.number, EEXIST);
    cr_assert_eq(ops->dma_unmap(device, 0x2000, 0x1000, &error), -1);
    cr_assert_eq(error.number, EPROTO);
    fake_close(&server, device);
}

static void write_pages(struct fake_server *server)
{
    struct dma_test *test = server->argument;
    static uint8_t data[0x1001];
    int socket = dma_version(server);

    fake_expect(server, VFIO_USER_DMA_MAP);
    fake_reply(server, NULL, 0);
    cr_assert_eq(fake_dma(server, socket, VFIO_USER_DMA_WRITE, IOVA + 0x1fff, data, 0x1001), 0);
    cr_assert_eq(fake_dma(server, socket, VFIO_USER_DMA_WRITE, IOVA + 0x43000, data, 1), 0);
    cr_assert_eq(fake_dma(server, socket, VFIO_USER_DMA_WRITE, IOVA + 0xc3000, data, 1), 0);
    cr_assert_eq(fake_dma(server, socket, VFIO_USER_DMA_READ, IOVA + 0x10000, data, 8), 0);
    signal_event(test->done);
    fake_drain(server);
}

Test(vfio_user_dma, pages_written_for_the_device_are_logged)
{
    struct dma_test test = new_dma_test(false);
    struct error error = ERROR_INIT;
    struct fake_server server;
    struct vfio_device *device = fake_open_good(&server, write_pages, &test, FAKE_TIMEOUT_NS);
    uint64_t bitmap[4] = {0};

    cr_assert_eq(device->ops->dma_map(device, IOVA, MEGABYTE, test.memory, -1, 0, true, &error), 0, "%s", error.text);
    await_event(test.done);
    cr_assert_eq(device->ops->take_own_dirty(device, IOVA, MEGABYTE, 4097, bitmap, &error), -1);
    /* A part, by larger pages; then the rest. */
    cr_assert_eq(device->ops->take_own_dirty(device, IOVA + 0x40000, 0x10000, 0x2000, bitmap, &error), 0);
    cr_assert_eq(bitmap[0], UINT64_C(1) << 1);
    /* Half a page is reported, and stays for the other half. */
    bitmap[0] = 0;
    cr_assert_eq(device->ops->take_own_dirty(device, IOVA + 0xc3000, 0x800, 0x800, bitmap, &error), 0);
    cr_assert_eq(bitmap[0], 1);
    bitmap[0] = 0;
    cr_assert_eq(device->ops->take_own_dirty(device, IOVA + 0x40000, MEGABYTE - 0x40000, 4096, bitmap, &error), 0);
    cr_assert_eq(bitmap[0] | bitmap[1], 0);
    cr_assert_eq(bitmap[2], 8);
    bitmap[2] = 0;
    bitmap[0] = UINT64_C(1) << 63;
    cr_assert_eq(device->ops->take_own_dirty(device, IOVA, MEGABYTE, 4096, bitmap, &error), 0);
    cr_assert_eq(bitmap[0], UINT64_C(1) << 63 | 6, "%lx", bitmap[0]);
    cr_assert_eq(bitmap[1] | bitmap[2] | bitmap[3], 0);
    memset(bitmap, 0, sizeof(bitmap));
    cr_assert_eq(device->ops->take_own_dirty(device, IOVA, MEGABYTE, 4096, bitmap, &error), 0);
    cr_assert_eq(bitmap[0], 0);
    fake_close(&server, device);
}
