/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The steps of several devices: side by side within a step, and never one step before the other is done. */
#include <criterion/criterion.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>

#include "vmm/migrate/device_set.h"

#define DEVICES 4
#define PATIENCE_S 10

/* Arcs wait for one another: an arc to `meet` ends when all devices are in it. */
struct meeting {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    unsigned int meet;
    unsigned int came;
    bool missed; /* somebody did not come in time */
    unsigned int order[64];
    unsigned int count; /* of changes of state, as they ended */
};

struct fake {
    struct vfio_device device;
    atomic_uint *asked;
    struct meeting *meeting;
    unsigned int state;
    unsigned int fails; /* the arc to this state */
};

static int change(struct fake *fake, unsigned int to, struct error *error)
{
    struct meeting *meeting = fake->meeting;
    struct timespec until;
    int result = 0;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += PATIENCE_S;
    pthread_mutex_lock(&meeting->lock);
    if (to == meeting->meet) {
        meeting->came++;
        pthread_cond_broadcast(&meeting->changed);
        while (meeting->came < DEVICES && !meeting->missed)
            meeting->missed = pthread_cond_timedwait(&meeting->changed, &meeting->lock, &until) == ETIMEDOUT;
    }
    meeting->order[meeting->count++] = to;
    pthread_mutex_unlock(&meeting->lock);
    if (to == fake->fails)
        result = error_set(error, EIO, "it does not");
    else
        fake->state = to;
    return result;
}

static int feature(struct vfio_device *device, uint32_t flags, void *data, size_t size, struct error *error)
{
    struct fake *fake = (struct fake *)device;
    struct vfio_device_feature_mig_state *state = data;

    (void)size;
    if (flags & VFIO_DEVICE_FEATURE_GET) {
        state->device_state = fake->state;
        atomic_fetch_add(fake->asked, 1);
        return 0;
    }
    return change(fake, state->device_state, error);
}

static void set_timeout(struct vfio_device *device, uint64_t ns)
{
    (void)device, (void)ns;
}

static const struct vfio_device_ops ops = {.feature = feature, .set_timeout = set_timeout};

struct fixture {
    struct meeting meeting;
    struct fake fake[DEVICES];
    struct vfio_device *device[DEVICES];
    struct device_set set;
    atomic_uint asked; /* how often a state was read */
};

static void set_up(struct fixture *fixture, unsigned int state, unsigned int meet)
{
    *fixture = (struct fixture){.meeting = {.meet = meet}};
    pthread_mutex_init(&fixture->meeting.lock, NULL);
    pthread_cond_init(&fixture->meeting.changed, NULL);
    fixture->set = (struct device_set){.device = fixture->device, .count = DEVICES};
    for (size_t i = 0; i < DEVICES; i++) {
        fixture->fake[i] = (struct fake){.device = {.ops = &ops, .name = "fake"},
                                         .meeting = &fixture->meeting,
                                         .asked = &fixture->asked,
                                         .state = state,
                                         .fails = UINT32_MAX};
        fixture->device[i] = &fixture->fake[i].device;
        fixture->set.state[i] = state;
        fixture->set.flags[i] = VFIO_MIGRATION_STOP_COPY | VFIO_MIGRATION_P2P;
    }
    cr_assert_eq(device_set_open(&fixture->set, NULL), 0);
}

static void tear_down(struct fixture *fixture)
{
    device_set_close(&fixture->set);
}

/* No device came to `later` before every one had been to `first`. */
static void expect_order(const struct fixture *fixture, unsigned int first, unsigned int later)
{
    cr_assert_eq(fixture->meeting.count, 2 * DEVICES);
    for (unsigned int i = 0; i < 2 * DEVICES; i++)
        cr_expect_eq(fixture->meeting.order[i], i < DEVICES ? first : later);
}

Test(device_set, every_step_is_taken_side_by_side_and_in_its_turn)
{
    static const unsigned int down[] = {VFIO_DEVICE_STATE_RUNNING_P2P, VFIO_DEVICE_STATE_STOP_COPY};
    static const unsigned int up[] = {VFIO_DEVICE_STATE_RUNNING_P2P, VFIO_DEVICE_STATE_RUNNING};
    struct error error = ERROR_INIT;
    struct fixture fixture;

    for (size_t i = 0; i < 2; i++) {
        bool tried = false;

        set_up(&fixture, VFIO_DEVICE_STATE_RUNNING, down[i]);
        cr_assert_eq(device_set_stop_copy(&fixture.set, true, &error), 0, "%s", error.text);
        cr_expect(!fixture.meeting.missed && fixture.meeting.came == DEVICES, "the devices went one after the other");
        expect_order(&fixture, down[0], down[1]);
        tear_down(&fixture);
        set_up(&fixture, VFIO_DEVICE_STATE_STOP, up[i]);
        cr_assert_eq(device_set_run(&fixture.set, &tried, &error), 0, "%s", error.text);
        cr_expect(!fixture.meeting.missed && fixture.meeting.came == DEVICES && tried);
        expect_order(&fixture, up[0], up[1]);
        tear_down(&fixture);
        set_up(&fixture, VFIO_DEVICE_STATE_STOP_COPY, up[i]);
        cr_assert_eq(device_set_recover(&fixture.set, &error), 0, "%s", error.text);
        cr_expect(!fixture.meeting.missed && fixture.meeting.came == DEVICES);
        expect_order(&fixture, up[0], up[1]);
        tear_down(&fixture);
    }
}

Test(device_set, where_one_fails_none_goes_further)
{
    struct error error = ERROR_INIT;
    struct fixture fixture;
    bool tried = false;

    set_up(&fixture, VFIO_DEVICE_STATE_STOP, UINT32_MAX);
    fixture.fake[1].fails = fixture.fake[3].fails = VFIO_DEVICE_STATE_RUNNING_P2P;
    cr_expect_eq(device_set_run(&fixture.set, &tried, &error), -1);
    cr_expect(tried && strstr(error.text, "device 1 (fake)"), "%s", error.text);
    cr_expect_eq(fixture.meeting.count, DEVICES);
    for (size_t i = 0; i < DEVICES; i++)
        cr_expect_eq(fixture.set.state[i], i % 2 ? VFIO_DEVICE_STATE_STOP : VFIO_DEVICE_STATE_RUNNING_P2P);
    tear_down(&fixture);
}

/* The source can have the guest back: no device was asked for anything. */
Test(device_set, nothing_was_tried_where_a_device_is_not_in_stop)
{
    struct error error = ERROR_INIT;
    struct fixture fixture;
    bool tried = false;

    set_up(&fixture, VFIO_DEVICE_STATE_STOP, UINT32_MAX);
    fixture.fake[DEVICES - 1].state = VFIO_DEVICE_STATE_ERROR;
    cr_expect_eq(device_set_run(&fixture.set, &tried, &error), -1);
    cr_expect_str_eq(error.rule, "device/state-changed");
    cr_expect(!tried && fixture.meeting.count == 0);
    tear_down(&fixture);
}

/* What was found a moment ago is not asked again while the guest waits, and a device that has changed shows before the stop. */
Test(device_set, the_states_are_asked_before_the_steps_and_not_in_them)
{
    struct error error = ERROR_INIT;
    struct fixture fixture;
    bool tried = false;

    set_up(&fixture, VFIO_DEVICE_STATE_RUNNING, UINT32_MAX);
    cr_assert_eq(device_set_check_all(&fixture.set, &error), 0, "%s", error.text);
    cr_expect_eq(fixture.asked, DEVICES);
    cr_assert_eq(device_set_stop_copy(&fixture.set, true, &error), 0, "%s", error.text);
    cr_expect_eq(fixture.asked, DEVICES, "a step asked for a state while the guest was stopped");
    fixture.fake[1].state = VFIO_DEVICE_STATE_ERROR;
    cr_expect_eq(device_set_check_all(&fixture.set, &error), -1);
    cr_expect_str_eq(error.rule, "device/state-changed");
    tear_down(&fixture);
    set_up(&fixture, VFIO_DEVICE_STATE_STOP, UINT32_MAX);
    fixture.set.checked_ns = clock_now_ns() + 3600000000000u; /* just now, whatever happens to this test's time */
    cr_assert_eq(device_set_run(&fixture.set, &tried, &error), 0, "%s", error.text);
    cr_expect_eq(fixture.asked, 0);
    tear_down(&fixture);
}

Test(device_set, nothing_was_tried_without_devices)
{
    struct error error = ERROR_INIT;
    struct fixture fixture;
    bool tried = false;

    set_up(&fixture, VFIO_DEVICE_STATE_STOP, UINT32_MAX);
    fixture.set.count = 0;
    cr_expect(device_set_run(&fixture.set, &tried, &error) == 0 && !tried);
    tear_down(&fixture);
}
