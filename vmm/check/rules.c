/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <string.h>

#include "vmm/check/groups.h"

/* In the order in which they run: what others rest on first, what may hurt the device last. */
const struct check_group *const check_groups[] = {
    &check_discovery_group, &check_fsm_group,   &check_data_group,   &check_precopy_group, &check_roles_group,
    &check_reset_group,     &check_load_group,  &check_server_group, &check_stop_group,    &check_p2p_group,
    &check_dirty_group,     &check_guest_group, &check_race_group,   &check_nomem_group,   &check_device_group,
};
const size_t check_group_count = sizeof(check_groups) / sizeof(check_groups[0]);

const struct check_rule *check_rule_at(size_t number)
{
    for (size_t i = 0; i < check_group_count; i++) {
        if (number < check_groups[i]->count)
            return &check_groups[i]->rules[number];
        number -= check_groups[i]->count;
    }
    return NULL;
}

const struct check_rule *check_rule_find(const char *name)
{
    const struct check_rule *rule;

    for (size_t i = 0; (rule = check_rule_at(i)); i++)
        if (!strcmp(rule->name, name))
            return rule;
    return NULL;
}
