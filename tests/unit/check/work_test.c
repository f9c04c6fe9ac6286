/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Work for a device without a guest, on real stopcopy-device processes. */
#include <criterion/criterion.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "stopcopy/dma_device.h"
#include "vmm/check/work.h"
#include "vmm/cmd/device_spec.h"
#include "vmm/vfio/migration.h"

#define TIMEOUT_NS 10000000000u

struct site {
    struct opened_device opened;
    struct bench bench;
    struct work *work;
};

static struct site open_site(const char *text)
{
    struct site site;
    struct device_spec spec;
    struct error error = ERROR_INIT;
    char program[4096];
    const char *build = getenv("top_builddir");

    snprintf(program, sizeof(program), "%s/stopcopy-device", build ? build : ".");
    cr_assert_eq(device_spec_parse(text, &spec, &error), 0, "%s", error.text);
    cr_assert_eq(device_open(&spec, program, TIMEOUT_NS, &site.opened, &error), 0, "%s", error.text);
    device_spec_free(&spec);
    return site;
}

static void begin_work(struct site *site, uint64_t seed)
{
    struct error error = ERROR_INIT;
    const struct work_kind *kind = work_find(site->opened.device);

    cr_assert_eq(bench_open(&site->bench, site->opened.device, &error), 0, "%s", error.text);
    cr_assert_not_null(kind);
    site->work = work_open(kind, &site->bench, seed, &error);
    cr_assert_not_null(site->work, "%s", error.text);
}

static void close_site(struct site *site)
{
    struct error error = ERROR_INIT;

    work_close(site->work);
    bench_close(&site->bench);
    cr_assert_eq(device_close(&site->opened, &error), 0, "%s", error.text);
}

static void set_state(struct site *site, unsigned int state)
{
    struct error error = ERROR_INIT;

    cr_assert_eq(migration_set_state(site->opened.device, state, &error), 0, "%s", error.text);
}

Test(work, every_model_with_a_driver_works)
{
    static const char *const devices[] = {"test",
                                          "test:dma=message",
                                          "test:queues=1,memory=0,window=0",
                                          "test:queues=6,vectors=9",
                                          "test:model=uart",
                                          "test:model=uart,vectors=1"};

    for (size_t i = 0; i < sizeof(devices) / sizeof(devices[0]); i++) {
        struct site site = open_site(devices[i]);
        struct error error = ERROR_INIT;

        begin_work(&site, i);
        cr_assert_eq(work_run(site.work, 600, &error), 0, "%s: %s", devices[i], error.text);
        cr_assert_eq(work_drain(site.work, &error), 0, "%s: %s", devices[i], error.text);
        cr_assert_eq(work_in_flight(site.work), 0);
        cr_assert_geq(site.work->completed, 600);
        if (site.work->kind == &work_dma)
            cr_assert_eq(site.work->spurious, 0, "%s", devices[i]);
        close_site(&site);
    }
}

Test(work, a_device_that_no_driver_knows_has_no_work)
{
    struct site site = open_site("test:model=tally");

    cr_assert_null(work_find(site.opened.device));
    device_close(&site.opened, NULL);
}

Test(work, memory_lies_below_and_above_4_GiB_and_all_of_it_is_written)
{
    struct site site = open_site("test:queues=4");
    struct error error = ERROR_INIT;

    begin_work(&site, 3);
    cr_assert_eq(site.bench.range_count, BENCH_RANGES_MAX);
    cr_assert_lt(site.bench.range[0].iova, UINT64_C(1) << 32);
    cr_assert_geq(site.bench.range[BENCH_RANGES_MAX - 1].iova, UINT64_C(1) << 32);
    cr_assert_eq(work_run(site.work, 2000, &error), 0, "%s", error.text);
    for (unsigned int i = 0; i < BENCH_RANGES_MAX; i++) {
        uint64_t any = 0;

        for (size_t word = 0; word < BENCH_RANGE_SIZE / BENCH_PAGE / 64; word++)
            any |= site.bench.range[i].written[word];
        cr_assert_neq(any, 0, "range %u", i);
    }
    close_site(&site);
}

Test(work, operations_are_in_flight_when_it_stops_and_complete_afterwards)
{
    struct site site = open_site("test:latency=1ms");
    struct error error = ERROR_INIT;
    uint64_t in_flight;

    begin_work(&site, 5);
    cr_assert_eq(work_submit(site.work, &error), 0, "%s", error.text);
    set_state(&site, VFIO_DEVICE_STATE_STOP);
    in_flight = work_in_flight(site.work);
    cr_assert_gt(in_flight, 0);
    cr_assert_eq(work_in_flight(site.work), in_flight);
    set_state(&site, VFIO_DEVICE_STATE_RUNNING);
    cr_assert_eq(work_drain(site.work, &error), 0, "%s", error.text);
    close_site(&site);
}

Test(work, data_that_changed_is_found)
{
    struct site site = open_site("test:latency=1ms");
    struct error error = ERROR_INIT;

    begin_work(&site, 7);
    cr_assert_eq(work_submit(site.work, &error), 0, "%s", error.text);
    set_state(&site, VFIO_DEVICE_STATE_STOP);
    /* Nobody takes what has completed so far: the first slot of each queue was written, or will be. */
    for (unsigned int i = 0; i < site.bench.range_count; i++)
        for (uint64_t at = 0; at < site.bench.range[i].used; at += BENCH_PAGE)
            if (site.bench.range[i].host[at + BENCH_PAGE - 1] == 0x5a)
                site.bench.range[i].host[at + BENCH_PAGE - 1] = 0x5b;
    set_state(&site, VFIO_DEVICE_STATE_RUNNING);
    cr_assert_eq(work_drain(site.work, &error), -1);
    cr_assert_str_eq(error.rule, "guest/data");
    close_site(&site);
}

Test(work, an_interrupt_that_is_lost_is_found)
{
    struct site site = open_site("test:latency=1ms");
    struct error error = ERROR_INIT;

    begin_work(&site, 7);
    cr_assert_eq(work_submit(site.work, &error), 0, "%s", error.text);
    set_state(&site, VFIO_DEVICE_STATE_STOP);
    bench_count_all_interrupts(&site.bench);
    cr_assert_eq(bench_unbind_interrupts(&site.bench, &error), 0, "%s", error.text);
    set_state(&site, VFIO_DEVICE_STATE_RUNNING);
    cr_assert_eq(work_drain(site.work, &error), -1);
    cr_assert_str_eq(error.rule, "guest/interrupt-lost", "%s", error.text);
    close_site(&site);
}

Test(work, a_register_that_cannot_be_read_is_the_cause)
{
    struct site site = open_site("test");
    struct error error = ERROR_INIT;

    begin_work(&site, 7);
    kill(site.opened.server, SIGKILL);
    cr_assert_eq(work_run(site.work, 1, &error), -1);
    cr_assert(error.number == EPIPE || error.number == ECONNRESET, "%s", error.text);
    work_close(site.work);
    bench_close(&site.bench);
    device_close(&site.opened, NULL);
}
