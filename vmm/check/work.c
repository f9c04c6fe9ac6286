/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/check/work.h"

#include <errno.h>
#include <inttypes.h>

#define WAIT_MS 10
/* Time between two steps that counts as the device's: the rest was ours, or the device was stopped. */
#define STEP_MAX_NS UINT64_C(50000000)
/* No progress for so long: longer than the drivers' own limits, which say more. */
#define STUCK_NS UINT64_C(15000000000)

static const struct work_kind *const kinds[] = {&work_dma, &work_uart, &work_edu};

const struct work_kind *work_find(struct vfio_device *device)
{
    struct error error = ERROR_INIT;
    uint16_t id[2];

    if (device->ops->region_read(device, VFIO_PCI_CONFIG_REGION_INDEX, PCI_VENDOR_ID, id, sizeof(id), &error) < 0)
        return NULL;
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
        if (kinds[i]->vendor == id[0] && kinds[i]->device == id[1])
            return kinds[i];
    return NULL;
}

int work_fault(const struct work *work, const struct driver_fault *fault, struct error *error)
{
    return error_rule(error, fault->rule, 0, "%s: %s: expected 0x%" PRIx64 ", seen 0x%" PRIx64,
                      work->bench->device->name, fault->text, fault->expected, fault->seen);
}

struct work *work_open(const struct work_kind *kind, struct bench *bench, uint64_t seed, struct error *error)
{
    struct work *work = kind->open(bench, seed, error);

    if (!work)
        return NULL;
    work->stepped_at = clock_now_ns();
    if (work_run(work, kind->few, error) == 0 && work_drain(work, error) == 0)
        return work;
    work_close(work);
    return NULL;
}

void work_close(struct work *work)
{
    if (work)
        work->kind->close(work);
}

uint64_t work_in_flight(const struct work *work)
{
    return work->kind->in_flight(work);
}

/* A register that could not be read is the first cause of whatever the driver makes of it. */
static int check_access(struct work *work, int result, struct error *error)
{
    return bench_check(work->bench, error) < 0 ? -1 : result;
}

int work_submit(struct work *work, struct error *error)
{
    return check_access(work, work->kind->submit(work, error), error);
}

int work_step(struct work *work, struct error *error)
{
    uint64_t now = clock_now_ns(), passed = now - work->stepped_at;

    work->stepped_at = now;
    work->now += passed < STEP_MAX_NS ? passed : STEP_MAX_NS;
    return check_access(work, work->kind->step(work, work->now, error), error);
}

/* Steps until completed is at least goal; submits more on the way where it is told to. */
static int complete(struct work *work, uint64_t goal, bool submit, struct error *error)
{
    uint64_t last = work->completed, progress_at = work->now;

    while (work->completed < goal) {
        if (submit && work_submit(work, error) < 0)
            return -1;
        if (work_step(work, error) < 0)
            return -1;
        if (work->completed != last) {
            last = work->completed;
            progress_at = work->now;
        } else if (work->now - progress_at > STUCK_NS) {
            return error_rule(error, "guest/operation-stuck", ETIMEDOUT,
                              "%s: %" PRIu64 " operations of %" PRIu64 " are completed and no more come",
                              work->bench->device->name, work->completed, work->submitted);
        } else {
            bench_wait(work->bench, WAIT_MS);
        }
    }
    return 0;
}

int work_drain(struct work *work, struct error *error)
{
    if (complete(work, work->submitted, false, error) < 0)
        return -1;
    return check_access(work, work->kind->check_idle(work, error), error);
}

int work_run(struct work *work, uint64_t operations, struct error *error)
{
    return complete(work, work->completed + operations, true, error);
}
