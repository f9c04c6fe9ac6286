/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The groups of rules, one file each. */
#ifndef STOPCOPY_CHECK_GROUPS_H
#define STOPCOPY_CHECK_GROUPS_H

#include "vmm/check/rule.h"

extern const struct check_group check_discovery_group;
extern const struct check_group check_fsm_group;
extern const struct check_group check_data_group;
extern const struct check_group check_precopy_group;
extern const struct check_group check_load_group;
extern const struct check_group check_reset_group;
extern const struct check_group check_device_group;
extern const struct check_group check_roles_group;
extern const struct check_group check_server_group;
extern const struct check_group check_stop_group;
extern const struct check_group check_p2p_group;
extern const struct check_group check_dirty_group;
extern const struct check_group check_guest_group;
extern const struct check_group check_race_group;
extern const struct check_group check_nomem_group;

#endif
