/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/migrate/step.h"

#include <string.h>

_Static_assert(MIGRATION_STEPS <= 32, "a bit for each step");

static const struct step_row rows[MIGRATION_STEPS] = {
    [STEP_SOURCE_PREPARE] = {"source/prepare", false, STEP_ALWAYS, STEP_GUEST_NOBODY,
                             "the ends have met, the guest works; the board goes to the destination"},
    [STEP_SOURCE_ROUNDS] = {"source/rounds", false, STEP_PRE_COPY, STEP_GUEST_NOBODY,
                            "the destination stands, the guest works; logs on, devices to PRE_COPY, first round"},
    [STEP_SOURCE_PAUSE] = {"source/pause", false, STEP_ALWAYS, STEP_GUEST_NOBODY,
                           "the guest works; every vCPU is paused"},
    [STEP_SOURCE_DEVICES_P2P] = {"source/devices-p2p", false, STEP_ALWAYS, STEP_GUEST_NOBODY,
                                 "no vCPU runs; every device to RUNNING_P2P or PRE_COPY_P2P that has it"},
    [STEP_SOURCE_DEVICES_STOP_COPY] = {"source/devices-stop-copy", false, STEP_ALWAYS, STEP_GUEST_NOBODY,
                                       "every device is in its P2P state; every device to STOP_COPY"},
    [STEP_SOURCE_INTERRUPTS] = {"source/interrupts", false, STEP_ALWAYS, STEP_GUEST_NOBODY,
                                "every device is in STOP_COPY; interrupts on their way are flushed"},
    [STEP_SOURCE_RAM] = {"source/ram", false, STEP_ALWAYS, STEP_GUEST_NOBODY,
                         "nothing of the guest changes any more; what is left of RAM is sent"},
    [STEP_SOURCE_VCPUS] = {"source/vcpus", false, STEP_ALWAYS, STEP_GUEST_NOBODY,
                           "RAM is sent; interrupt controller, clock, vCPUs and board are"},
    [STEP_SOURCE_DEVICE_DATA] = {"source/device-data", false, STEP_ALWAYS, STEP_GUEST_NOBODY,
                                 "vCPUs and board are sent; each device's stream is read to its end and sent"},
    [STEP_SOURCE_END] = {"source/end", false, STEP_ALWAYS, STEP_GUEST_NOBODY, "every device's stream is sent; END is"},
    [STEP_SOURCE_READY_WAIT] = {"source/ready-wait", false, STEP_CONNECTED, STEP_GUEST_NOBODY,
                                "END is sent; READY is waited for"},
    [STEP_SOURCE_COMMIT] = {"source/commit", false, STEP_ALWAYS, STEP_GUEST_NOBODY,
                            "the destination is READY, or the file has all that comes before; COMMIT is sent"},
    [STEP_SOURCE_RUNNING_WAIT] = {"source/running-wait", false, STEP_CONNECTED, STEP_GUEST_DESTINATION,
                                  "COMMIT is sent, and the guest is the destination's; RUNNING is waited for"},
    [STEP_SOURCE_KEEP] = {"source/keep", false, STEP_TO_FILE, STEP_GUEST_NOBODY,
                          "the file is written and has no name; it goes to the disk and gets its name"},
    [STEP_SOURCE_FINISH] = {"source/finish", false, STEP_ALWAYS, STEP_GUEST_DESTINATION,
                            "RUNNING has come, or the file has its name; devices to STOP, digests and log are sent"},
    [STEP_SOURCE_RESUME] = {"source/resume", false, STEP_FAILURE, STEP_GUEST_NOBODY,
                            "the migration has failed, the guest is the source's; devices and vCPUs are resumed"},
    [STEP_DESTINATION_PREPARE] = {"destination/prepare", true, STEP_ALWAYS, STEP_GUEST_SOURCE,
                                  "the ends have met, the guest works; the board is waited for, the machine built"},
    [STEP_DESTINATION_ROUNDS] = {"destination/rounds", true, STEP_ALWAYS, STEP_GUEST_SOURCE,
                                 "the machine stands, the guest works; PREPARED is sent, RAM is waited for"},
    [STEP_DESTINATION_LOAD] = {"destination/load", true, STEP_ALWAYS, STEP_GUEST_SOURCE,
                               "RAM is whole; interrupt controller, vCPUs, board and devices are loaded"},
    [STEP_DESTINATION_DEVICES_STOP] = {"destination/devices-stop", true, STEP_ALWAYS, STEP_GUEST_SOURCE,
                                       "every device has all its data; they go to STOP"},
    [STEP_DESTINATION_READY] = {"destination/ready", true, STEP_ALWAYS, STEP_GUEST_SOURCE,
                                "everything is loaded and checked, every device is in STOP; READY is sent"},
    [STEP_DESTINATION_COMMIT_WAIT] = {"destination/commit-wait", true, STEP_ALWAYS, STEP_GUEST_SOURCE_OR_HELD,
                                      "READY is sent; COMMIT is waited for"},
    [STEP_DESTINATION_DIGESTS] = {"destination/digests", true, STEP_ALWAYS, STEP_GUEST_HELD,
                                  "COMMIT has come, and the guest is here; RAM is digested with --verify full"},
    [STEP_DESTINATION_INTERRUPTS] = {"destination/interrupts", true, STEP_ALWAYS, STEP_GUEST_HELD,
                                     "every device is in STOP; its interrupts are bound to the guest"},
    [STEP_DESTINATION_DEVICES_P2P] = {"destination/devices-p2p", true, STEP_ALWAYS, STEP_GUEST_HELD,
                                      "interrupts are bound; every device to RUNNING_P2P that has it"},
    [STEP_DESTINATION_DEVICES_RUN] = {"destination/devices-run", true, STEP_ALWAYS, STEP_GUEST_HELD,
                                      "every device is in RUNNING_P2P that has it; every device to RUNNING"},
    [STEP_DESTINATION_VCPUS_RUN] = {"destination/vcpus-run", true, STEP_ALWAYS, STEP_GUEST_HELD,
                                    "every device is in RUNNING; every vCPU runs"},
    [STEP_DESTINATION_RUNNING] = {"destination/running", true, STEP_ALWAYS, STEP_GUEST_HELD,
                                  "the guest runs here; RUNNING is sent"},
    [STEP_DESTINATION_VERIFY] = {"destination/verify", true, STEP_ALWAYS, STEP_GUEST_NOBODY,
                                 "the source has been told; its digests are received and compared"},
};

const struct step_row *step_row(enum migration_step step)
{
    return &rows[step];
}

const char *step_condition_text(enum step_condition condition)
{
    static const char *const texts[] = {[STEP_ALWAYS] = "",
                                        [STEP_PRE_COPY] = "with --mode pre-copy",
                                        [STEP_CONNECTED] = "not to a file",
                                        [STEP_TO_FILE] = "to a file",
                                        [STEP_FAILURE] = "after a failure"};

    return texts[condition];
}

const char *step_guest_text(enum step_guest guest)
{
    static const char *const texts[] = {[STEP_GUEST_NOBODY] = "nobody",
                                        [STEP_GUEST_SOURCE] = "source",
                                        [STEP_GUEST_DESTINATION] = "destination",
                                        [STEP_GUEST_HELD] = "held",
                                        [STEP_GUEST_SOURCE_OR_HELD] = "source-or-held"};

    return texts[guest];
}

int step_find(const char *name, struct error *error)
{
    int found = -1;

    for (int step = 0; step < MIGRATION_STEPS; step++) {
        const char *full = rows[step].name;

        if (!strcmp(full, name))
            return step;
        if (strcmp(strchr(full, '/') + 1, name))
            continue;
        if (found >= 0)
            return error_set(error, 0, "both ends have a step '%s': %s and %s", name, rows[found].name, full);
        found = step;
    }
    if (found < 0)
        return error_set(error, 0, "there is no step '%s': --list-steps has them", name);
    return found;
}

void step_reach(struct steps *steps, enum migration_step step)
{
    if (steps->reached & 1u << step)
        return;
    steps->reached |= 1u << step;
    if (steps->watcher)
        steps->watcher->reached(steps->watcher->context, step, steps->leg);
}
