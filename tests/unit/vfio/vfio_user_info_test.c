/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Regions with their capabilities, interrupts, doorbells. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/io.h"
#include "tests/unit/vfio/fake_server.h"

/* What waits in vain is ended. */
TestSuite(vfio_user_doorbells, .timeout = 120);
TestSuite(vfio_user_irq, .timeout = 120);
TestSuite(vfio_user_region, .timeout = 120);

/* The reply to GET_REGION_INFO, and what goes with it. */
struct region_script {
    union {
        struct vfio_region_info info;
        uint8_t bytes[5000];
    };
    size_t size;
    size_t fd_count;
    uint64_t file_size;
};

static void region_reply(struct fake_server *server)
{
    struct region_script *script = server->argument;
    int fds[2] = {-1, -1};

    fake_version(server, NULL);
    fake_expect(server, VFIO_USER_DEVICE_GET_REGION_INFO);
    for (size_t i = 0; i < script->fd_count; i++) {
        fds[i] = memfd_create("region", MFD_CLOEXEC);
        cr_assert_eq(ftruncate(fds[i], (off_t)script->file_size), 0);
    }
    fake_reply_fds(server, script->bytes, script->size, fds, script->fd_count);
    io_close(&fds[0]);
    io_close(&fds[1]);
    fake_drain(server);
}

static int get_region(struct region_script *script, struct vfio_region *region, struct error *error)
{
    struct fake_server server;
    struct vfio_device *device = fake_open_good(&server, region_reply, script, FAKE_TIMEOUT_NS);
    int status = device->ops->get_region(device, 2, region, error);

    fake_close(&server, device);
    return status;
}

/* Region 2 of 64 KiB, of which two pages can be mapped. */
static struct region_script sparse_region(void)
{
    struct region_script script = {
        .info = {.argsz = 80,
                 .flags = VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE | VFIO_REGION_INFO_FLAG_MMAP |
                          VFIO_REGION_INFO_FLAG_CAPS,
                 .index = 2,
                 .cap_offset = 32,
                 .size = 0x10000,
                 .offset = 0x4000},
        .size = 80,
        .fd_count = 1,
        .file_size = 0x14000,
    };
    struct vfio_region_info_cap_sparse_mmap sparse = {.header = {.id = VFIO_REGION_INFO_CAP_SPARSE_MMAP, .version = 1},
                                                      .nr_areas = 2};
    struct vfio_region_sparse_mmap_area areas[2] = {{0x1000, 0x1000}, {0xf000, 0x1000}};

    memcpy(script.bytes + 32, &sparse, sizeof(sparse));
    memcpy(script.bytes + 32 + sizeof(sparse), areas, sizeof(areas));
    return script;
}

Test(vfio_user_region, sparse_areas_are_found)
{
    struct region_script script = sparse_region();
    struct error error = ERROR_INIT;
    struct vfio_region region;

    cr_assert_eq(get_region(&script, &region, &error), 0, "%s", error.text);
    cr_assert_eq(region.size, 0x10000);
    cr_assert_eq(region.mmap_offset, 0x4000);
    cr_assert_eq(region.area_count, 2);
    cr_assert_eq(region.area[1].offset, 0xf000);
    cr_assert_geq(region.mmap_fd, 0);
}

Test(vfio_user_region, a_reply_may_be_longer_than_what_counts_of_it)
{
    struct region_script script = sparse_region();
    struct error error = ERROR_INIT;
    struct vfio_region region;

    script.size = 4096;
    cr_assert_eq(get_region(&script, &region, &error), 0, "%s", error.text);
    cr_assert_eq(region.area_count, 2);
}

Test(vfio_user_region, a_region_that_cannot_be_mapped_needs_no_descriptor)
{
    struct region_script script = sparse_region();
    struct error error = ERROR_INIT;
    struct vfio_region region;

    script.info.flags = VFIO_REGION_INFO_FLAG_READ;
    script.fd_count = 0;
    cr_assert_eq(get_region(&script, &region, &error), 0, "%s", error.text);
    cr_assert_eq(region.mmap_fd, -1);
    cr_assert_eq(region.area_count, 0);
}

Test(vfio_user_region, without_a_sparse_capability_all_of_it_may_be_mapped)
{
    struct region_script script = sparse_region();
    struct error error = ERROR_INIT;
    struct vfio_region region;

    script.info.flags &= ~(uint32_t)VFIO_REGION_INFO_FLAG_CAPS;
    cr_assert_eq(get_region(&script, &region, &error), 0, "%s", error.text);
    cr_assert_eq(region.area_count, 1);
    cr_assert_eq(region.area[0].size, 0x10000);
}

static void assert_refused(struct region_script *script, int number, const char *why)
{
    struct error error = ERROR_INIT;
    struct vfio_region region;

    cr_assert_eq(get_region(script, &region, &error), -1, "%s was taken", why);
    cr_assert_eq(error.number, number, "%s: %s", why, error.text);
}

#define REFUSE(number, change)                                                                                         \
    do {                                                                                                               \
        struct region_script script = sparse_region();                                                                 \
        struct vfio_info_cap_header *cap = (void *)(script.bytes + 32);                                                \
        uint32_t *nr_areas = (void *)(script.bytes + 40);                                                              \
        struct vfio_region_sparse_mmap_area *areas = (void *)(script.bytes + 48);                                      \
        (void)cap, (void)nr_areas, (void)areas;                                                                        \
        change;                                                                                                        \
        assert_refused(&script, number, #change);                                                                      \
    } while (0)

Test(vfio_user_region, everything_in_the_reply_is_checked)
{
    REFUSE(EPROTO, script.size = 31);
    REFUSE(EPROTO, script.size = 4097);
    REFUSE(EPROTO, script.size = 79);
    REFUSE(EPROTO, script.info.argsz = 31);
    REFUSE(E2BIG, script.info.argsz = 4097);
    REFUSE(EPROTO, script.info.index = 3);
    REFUSE(EPROTO, script.info.cap_offset = 31);
    REFUSE(EPROTO, script.info.cap_offset = 73);
    REFUSE(EPROTO, script.info.cap_offset = 0xfffffff8);
    REFUSE(EPROTO, script.info.cap_offset = 72; cap[5].id = 1; cap[5].version = 1); /* cut off */
    REFUSE(EPROTO, cap->next = 32);
    REFUSE(EPROTO, cap->id = 77; cap->next = 32);
    REFUSE(EPROTO, cap->next = 8);
    REFUSE(EPROTO, *nr_areas = 3);
    REFUSE(EPROTO, *nr_areas = 0xffffffff);
    REFUSE(EPROTO, areas[0].size = 0);
    REFUSE(EPROTO, areas[0].size = 0x10000);
    REFUSE(EPROTO, areas[0].offset = 0x10000);
    REFUSE(EPROTO, areas[0].offset = 0x1001);
    REFUSE(EPROTO, areas[1].offset = UINT64_MAX - 0xfff);
    REFUSE(EPROTO, areas[1].size = UINT64_MAX - 0xfff);
    REFUSE(EPROTO, script.info.offset = UINT64_MAX - 0xfff);
    REFUSE(EPROTO, script.info.offset = 0x4001);
    REFUSE(EPROTO, script.file_size = 0x13fff);
    REFUSE(EPROTO, script.fd_count = 0);
    REFUSE(EPROTO, script.fd_count = 2);
}

static void region_twice(struct fake_server *server)
{
    struct region_script *script = server->argument;

    fake_version(server, NULL);
    for (int i = 0; i < 2; i++) {
        int fd = memfd_create("region", MFD_CLOEXEC);

        cr_assert_eq(ftruncate(fd, (off_t)script->file_size), 0);
        fake_expect(server, VFIO_USER_DEVICE_GET_REGION_INFO);
        fake_reply_fds(server, script->bytes, script->size, &fd, 1);
        io_close(&fd);
    }
    fake_drain(server);
}

Test(vfio_user_region, asking_again_leaves_the_first_descriptor_open)
{
    struct region_script script = sparse_region();
    struct error error = ERROR_INIT;
    struct fake_server server;
    struct vfio_device *device = fake_open_good(&server, region_twice, &script, FAKE_TIMEOUT_NS);
    struct vfio_region first;
    struct vfio_region second;

    cr_assert_eq(device->ops->get_region(device, 2, &first, &error), 0, "%s", error.text);
    cr_assert_eq(device->ops->get_region(device, 2, &second, &error), 0, "%s", error.text);
    cr_assert_eq(first.mmap_fd, second.mmap_fd);
    cr_assert_neq(fcntl(first.mmap_fd, F_GETFD), -1);
    fake_close(&server, device);
    cr_assert_eq(fcntl(first.mmap_fd, F_GETFD), -1);
}

static void irq_reply(struct fake_server *server)
{
    fake_version(server, NULL);
    fake_expect(server, VFIO_USER_DEVICE_GET_IRQ_INFO);
    fake_reply(server, server->argument, sizeof(struct vfio_irq_info));
    fake_drain(server);
}

Test(vfio_user_irq, is_about_the_index_that_was_asked_for)
{
    struct vfio_irq_info infos[] = {
        {.argsz = 16, .index = 2, .flags = 9, .count = 64}, {.argsz = 16, .index = 3}, {.argsz = 8, .index = 2}};

    for (size_t i = 0; i < 3; i++) {
        struct error error = ERROR_INIT;
        struct fake_server server;
        struct vfio_device *device = fake_open_good(&server, irq_reply, &infos[i], FAKE_TIMEOUT_NS);
        struct vfio_irq irq;

        cr_assert_eq(device->ops->get_irq(device, 2, &irq, &error), i ? -1 : 0);
        if (i == 0) {
            cr_assert_eq(irq.flags, 9);
            cr_assert_eq(irq.count, 64);
        } else {
            cr_assert_eq(error.number, EPROTO);
        }
        fake_close(&server, device);
    }
}

struct doorbell_script {
    struct vfio_user_region_io_fds head;
    struct vfio_user_io_fd entries[3];
    size_t size;
    size_t fd_count;
    uint32_t error;
};

static void doorbell_reply(struct fake_server *server)
{
    struct doorbell_script *script = server->argument;
    struct vfio_region_info info = {.argsz = sizeof(info), .size = 0x4000};
    int fds[2] = {eventfd(0, EFD_CLOEXEC), eventfd(0, EFD_CLOEXEC)};

    fake_version(server, NULL);
    fake_expect(server, VFIO_USER_DEVICE_GET_REGION_INFO);
    fake_reply(server, &info, sizeof(info));
    fake_expect(server, VFIO_USER_DEVICE_GET_REGION_IO_FDS);
    if (script->error)
        fake_reply_error(server, script->error);
    else
        fake_reply_fds(server, script, script->size, fds, script->fd_count);
    io_close(&fds[0]);
    io_close(&fds[1]);
    fake_drain(server);
}

static int get_doorbells(struct doorbell_script *script, struct vfio_doorbell *doorbells, struct error *error)
{
    struct fake_server server;
    struct vfio_device *device = fake_open_good(&server, doorbell_reply, script, FAKE_TIMEOUT_NS);
    int count = device->ops->get_doorbells(device, 0, doorbells, 3, error);
    bool usable = count <= 0 || fcntl(doorbells[0].fd, F_GETFD) != -1;

    /* Asked for again, they are the same, without another message. */
    if (count > 0)
        cr_assert_eq(device->ops->get_doorbells(device, 0, doorbells, 3, error), count);
    fake_close(&server, device);
    cr_assert(usable);
    return count;
}

static struct doorbell_script two_doorbells(void)
{
    return (struct doorbell_script){
        .head = {.argsz = 16 + 3 * 40, .count = 3},
        .entries =
            {{.offset = 0x1000, .size = 4, .fd_index = 0},
             {.offset = 0x2000, .type = VFIO_USER_IO_FD_TYPE_IOREGIONFD},
             {.offset = 0x3ff8, .size = 8, .fd_index = 1, .flags = KVM_IOEVENTFD_FLAG_DATAMATCH, .datamatch = 7}},
        .size = 16 + 3 * 40,
        .fd_count = 2,
    };
}

Test(vfio_user_doorbells, eventfds_are_found_and_other_kinds_passed_over)
{
    struct doorbell_script script = two_doorbells();
    struct vfio_doorbell doorbells[3];
    struct error error = ERROR_INIT;

    cr_assert_eq(get_doorbells(&script, doorbells, &error), 2, "%s", error.text);
    cr_assert_eq(doorbells[0].offset, 0x1000);
    cr_assert_eq(doorbells[0].size, 4);
    cr_assert_not(doorbells[0].match);
    cr_assert_eq(doorbells[1].offset, 0x3ff8);
    cr_assert(doorbells[1].match);
    cr_assert_eq(doorbells[1].datamatch, 7);
    cr_assert_neq(doorbells[0].fd, doorbells[1].fd);
}

Test(vfio_user_doorbells, a_server_that_refuses_has_none)
{
    struct doorbell_script script = {.error = EINVAL};
    struct vfio_doorbell doorbells[3];

    cr_assert_eq(get_doorbells(&script, doorbells, NULL), 0);
}

#define REFUSE_DOORBELL(expected, change)                                                                              \
    do {                                                                                                               \
        struct doorbell_script script = two_doorbells();                                                               \
        struct vfio_doorbell doorbells[3];                                                                             \
        struct error error = ERROR_INIT;                                                                               \
        change;                                                                                                        \
        cr_assert_eq(get_doorbells(&script, doorbells, &error), -1, "%s was taken", #change);                          \
        cr_assert_eq(error.number, expected, "%s: %s", #change, error.text);                                           \
    } while (0)

Test(vfio_user_doorbells, everything_in_the_reply_is_checked)
{
    REFUSE_DOORBELL(EPROTO, script.head.index = 1);
    REFUSE_DOORBELL(EPROTO, script.head.argsz = 16);
    REFUSE_DOORBELL(EPROTO, script.head.count = 2);
    REFUSE_DOORBELL(E2BIG, script.head.count = 65);
    REFUSE_DOORBELL(E2BIG, script.head.count = 0xffffffff);
    REFUSE_DOORBELL(EPROTO, script.size = 8);
    REFUSE_DOORBELL(EPROTO, script.fd_count = 1);
    REFUSE_DOORBELL(EPROTO, script.entries[0].size = 3);
    REFUSE_DOORBELL(EPROTO, script.entries[0].offset = 0x3ffe);
    REFUSE_DOORBELL(EPROTO, script.entries[0].offset = UINT64_MAX);
}
