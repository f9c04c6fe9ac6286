/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/cmd/vmm_sandbox.h"

#include "lib/sandbox.h"

static bool has_commands(const struct step_plan *plan)
{
    bool any = plan->on_finding != NULL;

    for (unsigned int i = 0; i < plan->count; i++)
        any |= plan->action[i].command != NULL;
    return any;
}

const char *vmm_sandbox_off(const struct options *options)
{
    const char *why = NULL;

    if (options->no_sandbox)
        return "--no-sandbox";
    if (has_commands(&options->steps))
        return "the commands of --at and --on-finding could not be started in it";
    if (options->keep.file)
        return "what --keep-on-fail gathers could not be written in it";
    sandbox_possible(&why);
    return why;
}

int vmm_sandbox_enter(const struct options *options, const struct device_list *devices, bool saves,
                      struct event_log *log, struct error *error)
{
    const char *why = vmm_sandbox_off(options);
    unsigned int parts = SANDBOX_VMM | (saves ? SANDBOX_SAVES : 0);
    pid_t servers[BOARD_DEVICES_MAX];

    if (why) {
        event_note(log, "no sandbox holds the VMM: %s", why);
        return 0;
    }
    for (size_t i = 0; i < devices->count; i++) {
        servers[i] = devices->opened[i].server;
        if (devices->device[i]->ops->kvm_fd)
            parts |= SANDBOX_READS;
    }
    /* Of what no other end can guess, while it can still be read. */
    json_object_seed(0);
    return sandbox_enter(parts, servers, devices->count, error);
}
