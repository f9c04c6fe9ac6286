/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Work for QEMU's edu: an operation takes data from memory into the device's buffer and back to another place, and has a
 * factorial computed meanwhile. Each transfer takes some 100 ms.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "guest/drivers/edu_driver.h"
#include "vmm/check/work.h"

#define FACTORIAL_MAX 12u
#define LENGTH_MAX 2048u
#define UNTOUCHED 0x5a

struct edu_work {
    struct work work;
    struct edu_device device;
    uint64_t random;
    uint8_t *source, *destination; /* a page each */
    uint64_t source_iova, destination_iova;
    struct edu_transfer transfer; /* of the operation that is under way */
    uint32_t factorial_of;
};

static uint64_t next_random(struct edu_work *edu)
{
    edu->random = edu->random * 6364136223846793005u + 1442695040888963407u;
    return edu->random >> 33;
}

static void choose_operation(struct edu_work *edu)
{
    struct edu_transfer *transfer = &edu->transfer;

    *transfer = (struct edu_transfer){.length = 1 + (uint32_t)(next_random(edu) % LENGTH_MAX)};
    transfer->place = (uint32_t)(next_random(edu) % (EDU_BUFFER_SIZE - LENGTH_MAX));
    transfer->address = edu->source_iova + next_random(edu) % (BENCH_PAGE - LENGTH_MAX);
    for (unsigned int i = 0; i < BENCH_PAGE; i++)
        edu->source[i] = (uint8_t)next_random(edu);
    memset(edu->destination, UNTOUCHED, BENCH_PAGE);
    edu->factorial_of = (uint32_t)(next_random(edu) % (FACTORIAL_MAX + 1));
}

static int submit(struct work *work, struct error *error)
{
    struct edu_work *edu = (struct edu_work *)work;
    struct driver_fault fault;

    if (work->submitted != work->completed)
        return 0;
    choose_operation(edu);
    work->submitted++;
    edu_factorial_begin(&edu->device, edu->factorial_of);
    if (edu_transfer_begin(&edu->device, &edu->transfer, &fault) < 0)
        return work_fault(work, &fault, error);
    return 0;
}

static int verify_factorial(struct edu_work *edu, struct error *error)
{
    uint32_t expected = 1;

    for (uint32_t i = 2; i <= edu->factorial_of; i++)
        expected *= i;
    if (edu->device.factorial == expected)
        return 0;
    return error_rule(error, "guest/data", 0, "%s: %u!: expected %u, seen %u", edu->work.bench->device->name,
                      edu->factorial_of, expected, edu->device.factorial);
}

static int verify(struct edu_work *edu, struct error *error)
{
    const struct edu_transfer *back = &edu->device.transfer;
    uint64_t begin = back->address - edu->destination_iova, from = edu->transfer.address - edu->source_iova;

    for (uint64_t i = 0; i < BENCH_PAGE; i++) {
        bool inside = i >= begin && i - begin < back->length;
        uint8_t expected = inside ? edu->source[from + i - begin] : UNTOUCHED;

        if (edu->destination[i] != expected)
            return error_rule(error, "guest/data", 0,
                              "%s: the byte at IOVA 0x%llx, %s the data that went through its buffer: expected 0x%02x, "
                              "seen 0x%02x",
                              edu->work.bench->device->name, (unsigned long long)(edu->destination_iova + i),
                              inside ? "of" : "outside of", expected, edu->destination[i]);
    }
    bench_mark_written(edu->work.bench, back->address, back->length);
    return verify_factorial(edu, error);
}

static int step(struct work *work, uint64_t now, struct error *error)
{
    struct edu_work *edu = (struct edu_work *)work;
    uint64_t spurious = edu->device.spurious;
    struct edu_transfer back = edu->transfer;
    struct driver_fault fault;
    int over;

    if (work->submitted == work->completed)
        return 0;
    over = edu_poll(&edu->device, now, &fault);
    work->spurious += edu->device.spurious - spurious;
    if (over < 0)
        return work_fault(work, &fault, error);
    if (!over)
        return 0;
    if (edu->device.transfer.to_ram) {
        work->completed++;
        return verify(edu, error);
    }
    back.to_ram = true;
    back.address = edu->destination_iova + edu->transfer.address % BENCH_PAGE;
    if (edu_transfer_begin(&edu->device, &back, &fault) < 0)
        return work_fault(work, &fault, error);
    return 0;
}

static uint64_t in_flight(const struct work *work)
{
    return work->submitted - work->completed;
}

static int check_idle(struct work *work, struct error *error)
{
    (void)work, (void)error;
    return 0;
}

static void close_work(struct work *work)
{
    free(work);
}

/* Where its 28 bits reach. */
static uint8_t *allocate_page(struct bench *bench, uint64_t *iova)
{
    for (unsigned int i = 0; i < BENCH_RANGES_MAX; i++) {
        uint8_t *page = bench_allocate(bench, BENCH_PAGE, iova);

        if (page && *iova + BENCH_PAGE <= EDU_ADDRESS_LIMIT)
            return page;
    }
    return NULL;
}

static int prepare(struct edu_work *edu, struct error *error)
{
    struct bench *bench = edu->work.bench;
    struct driver_fault fault;

    if (!bench->vectors || bench->bar[EDU_BAR].size < EDU_BUFFER)
        return error_set(error, ENODEV, "%s has no interrupt, or no registers, that its driver could use",
                         bench->device->name);
    edu->source = allocate_page(bench, &edu->source_iova);
    edu->destination = allocate_page(bench, &edu->destination_iova);
    if (!edu->source || !edu->destination)
        return error_set(error, ENOMEM, "memory that the 28 bits of %s reach", bench->device->name);
    if (edu_device_open(&edu->device, bench_access(bench), &fault) < 0)
        return work_fault(&edu->work, &fault, error);
    return 0;
}

static struct work *open_work(struct bench *bench, uint64_t seed, struct error *error)
{
    struct edu_work *edu = calloc(1, sizeof(*edu));

    if (!edu) {
        error_set(error, ENOMEM, "the work for a device");
        return NULL;
    }
    edu->work = (struct work){.kind = &work_edu, .bench = bench};
    edu->random = seed;
    if (prepare(edu, error) == 0)
        return &edu->work;
    bench_check(bench, error);
    free(edu);
    return NULL;
}

const struct work_kind work_edu = {
    .name = "QEMU's edu",
    .vendor = EDU_DEVICE_VENDOR_ID,
    .device = EDU_DEVICE_DEVICE_ID,
    .dma = true,
    .few = 1,
    .many = 2,
    .open = open_work,
    .close = close_work,
    .submit = submit,
    .step = step,
    .in_flight = in_flight,
    .check_idle = check_idle,
};
