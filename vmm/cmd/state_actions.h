/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What stopcopy state does to a device, one word and its argument each. */
#ifndef STOPCOPY_CMD_STATE_ACTIONS_H
#define STOPCOPY_CMD_STATE_ACTIONS_H

#include <jansson.h>

#include "vmm/vfio/vfio_device.h"

/* The device, and the session that it gave last. */
struct by_hand {
    struct vfio_device *device;
    struct vfio_data_session *session;
    bool stay;
    json_t *answers; /* what the action under way said, NULL: it is printed as text */
};

struct state_action {
    const char *name;
    const char *argument; /* what must follow, NULL for nothing */
    int (*execute)(struct by_hand *by_hand, const char *argument, struct error *error);
    int (*check)(const char *argument,
                 struct error *error); /* of the argument, before anything is done; NULL: any will do */
};

/* NULL where there is none of that name. */
const struct state_action *state_action_find(const char *name);

/* What an action has to say: an object, taken over, or a line of text. */
void state_say(struct by_hand *by_hand, json_t *members, const char *format, ...) __attribute__((format(printf, 3, 4)));

#endif
