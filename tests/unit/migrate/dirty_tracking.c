/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The joined dirty logs, of a machine and of devices that are tables of operations in this process. */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vmm/migrate/dirty_tracking.h"

#define MEMORY (16u << 20)
#define PAGES (MEMORY / RAM_PAGE_SIZE)

struct fake {
    struct vfio_device device;
    bool no_log;
    int start_error, report_error;
    unsigned int started; /* without a stop since */
    uint64_t report, own; /* bits of the first word */
};

static int feature(struct vfio_device *device, uint32_t flags, void *data, size_t size, struct error *error)
{
    struct fake *fake = (struct fake *)device;
    struct vfio_device_feature_dma_logging_report *report = data;

    (void)size;
    if (flags & VFIO_DEVICE_FEATURE_PROBE)
        return fake->no_log ? error_set(error, ENOTTY, "no log") : 0;
    switch (flags & VFIO_DEVICE_FEATURE_MASK) {
    case VFIO_DEVICE_FEATURE_DMA_LOGGING_START:
        if (fake->start_error || fake->started)
            return error_set(error, fake->started ? EINVAL : fake->start_error, "no start");
        fake->started++;
        return 0;
    case VFIO_DEVICE_FEATURE_DMA_LOGGING_STOP:
        cr_assert(fake->started == 1, "stopped without a start");
        fake->started--;
        return 0;
    default:
        if (fake->report_error)
            return error_set(error, fake->report_error, "no report");
        cr_assert(fake->started, "a report without a start");
        *(uint64_t *)(uintptr_t)report->bitmap |= fake->report;
        fake->report = 0;
        return 0;
    }
}

static int take_own(struct vfio_device *device, uint64_t iova, uint64_t size, uint64_t page_size, uint64_t *bitmap,
                    struct error *error)
{
    struct fake *fake = (struct fake *)device;

    (void)error;
    cr_assert(iova == 0 && size == MEMORY && page_size == RAM_PAGE_SIZE);
    bitmap[0] |= fake->own;
    fake->own = 0;
    return 0;
}

static const struct vfio_device_ops ops = {.feature = feature, .take_own_dirty = take_own};

struct fixture {
    struct fake fake[2];
    struct vfio_device *device[2];
    struct device_set set;
    struct dirty_tracking tracking;
    struct page_set pages;
};

static void need_kvm(void)
{
    const char *required = getenv("STOPCOPY_REQUIRE_KVM");

    if (access("/dev/kvm", R_OK | W_OK) == 0)
        return;
    if (required && !strcmp(required, "1"))
        cr_assert_fail("/dev/kvm is not there, and STOPCOPY_REQUIRE_KVM=1");
    cr_skip_test("/dev/kvm is not there");
}

static void set_up(struct fixture *fixture)
{
    struct board_wishes wishes = {.memory_size = MEMORY, .vcpus = 1, .wanted[WORKLOAD_CPU] = true};
    struct error error = ERROR_INIT;
    struct board board;

    need_kvm();
    memset(fixture, 0, sizeof(*fixture));
    for (size_t i = 0; i < 2; i++) {
        fixture->fake[i].device.ops = &ops;
        fixture->device[i] = &fixture->fake[i].device;
    }
    fixture->set = (struct device_set){.device = fixture->device, .count = 2, .log = event_log_new("source", -1)};
    cr_assert(board_describe(&wishes, NULL, 0, &board, &error) == 0, "%s", error.text);
    fixture->tracking.machine = machine_new(&board, NULL, NULL, &error);
    cr_assert(fixture->tracking.machine, "%s", error.text);
    fixture->tracking.set = &fixture->set;
    cr_assert(page_set_init(&fixture->pages, fixture->tracking.machine, &error) == 0);
}

static void tear_down(struct fixture *fixture)
{
    dirty_tracking_stop(&fixture->tracking);
    cr_expect(!fixture->fake[0].started && !fixture->fake[1].started, "a log was left running");
    page_set_free(&fixture->pages);
    machine_free(fixture->tracking.machine);
    event_log_free(fixture->set.log);
}

static void start_and_take_all(struct fixture *fixture)
{
    struct error error = ERROR_INIT;

    cr_assert(dirty_tracking_start(&fixture->tracking, &error) == 0, "%s", error.text);
    cr_assert(dirty_tracking_take(&fixture->tracking, &fixture->pages, &error) == 0, "%s", error.text);
    cr_expect(page_set_count(&fixture->pages) == PAGES);
    page_set_clear(&fixture->pages);
}

Test(dirty_tracking, joins_all_logs)
{
    struct error error = ERROR_INIT;
    struct fixture fixture;

    set_up(&fixture);
    start_and_take_all(&fixture);
    fixture.fake[0].report = 1;
    fixture.fake[1].report = 2;
    fixture.fake[1].own = 4;
    cr_assert(dirty_tracking_take(&fixture.tracking, &fixture.pages, &error) == 0, "%s", error.text);
    cr_expect(page_set_count(&fixture.pages) == 3 && fixture.pages.words[0][0] == 7);
    page_set_clear(&fixture.pages);
    cr_assert(dirty_tracking_take(&fixture.tracking, &fixture.pages, &error) == 0);
    cr_expect(page_set_count(&fixture.pages) == 0);
    tear_down(&fixture);
}

Test(dirty_tracking, can_be_started_again_after_it_was_stopped)
{
    struct fixture fixture;

    set_up(&fixture);
    for (int i = 0; i < 3; i++) {
        start_and_take_all(&fixture);
        dirty_tracking_stop(&fixture.tracking);
        dirty_tracking_stop(&fixture.tracking);
    }
    tear_down(&fixture);
}

Test(dirty_tracking, that_cannot_be_started_leaves_nothing_running)
{
    struct error error = ERROR_INIT;
    struct fixture fixture;

    set_up(&fixture);
    fixture.fake[1].start_error = ENOMEM;
    cr_expect(dirty_tracking_start(&fixture.tracking, &error) == -1 && error.number == ENOMEM);
    cr_expect(strstr(error.text, "device 1"), "%s", error.text);
    cr_expect(!fixture.fake[0].started);
    fixture.fake[1].start_error = 0;
    start_and_take_all(&fixture);
    tear_down(&fixture);
}

Test(dirty_tracking, is_stopped_after_a_report_that_failed)
{
    struct error error = ERROR_INIT;
    struct fixture fixture;

    set_up(&fixture);
    start_and_take_all(&fixture);
    fixture.fake[0].report_error = EIO;
    cr_expect(dirty_tracking_take(&fixture.tracking, &fixture.pages, &error) == -1 && error.number == EIO);
    dirty_tracking_stop(&fixture.tracking);
    cr_expect(!fixture.fake[0].started && !fixture.fake[1].started);
    tear_down(&fixture);
}

Test(dirty_tracking, of_a_device_without_a_log_has_every_page_each_time)
{
    struct error error = ERROR_INIT;
    struct fixture fixture;
    json_t *events;

    set_up(&fixture);
    fixture.fake[1].no_log = true;
    for (int i = 0; i < 2; i++) {
        if (i == 0)
            start_and_take_all(&fixture);
        cr_assert(dirty_tracking_take(&fixture.tracking, &fixture.pages, &error) == 0);
        cr_expect(page_set_count(&fixture.pages) == PAGES);
        page_set_clear(&fixture.pages);
    }
    cr_expect(fixture.tracking.incomplete && !fixture.fake[0].started);
    events = event_log_events(fixture.set.log);
    cr_expect(json_array_size(events) == 1 &&
              !strcmp(json_string_value(json_object_get(json_array_get(events, 0), "kind")), "note"));
    json_decref(events);
    tear_down(&fixture);
}
