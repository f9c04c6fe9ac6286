/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the host knows of a device of the kernel's VFIO, and what it could do for its migration, for probe to print. */
#ifndef STOPCOPY_CMD_HOST_FACTS_H
#define STOPCOPY_CMD_HOST_FACTS_H

#include "vmm/vfio/kernel.h"

#define HOST_ADVICE_MAX 4

struct host_facts {
    const struct kernel_place *place; /* NULL: the device is not the kernel's, and all else is empty */
    unsigned int member_count;
    struct kernel_member member[KERNEL_MEMBERS_MAX]; /* of its IOMMU group */
    char debugfs_state[32]; /* the kernel's own word for its migration state, "" where not readable */
    /* Extended capabilities that the guest does not see. */
    bool ats, pri, pasid;
    /* What is missing for migration, with the exact commands that would mend it. */
    unsigned int advice_count;
    char advice[HOST_ADVICE_MAX][ERROR_TEXT_MAX];
};

/* migrates: the device has migration. */
void host_facts_collect(struct vfio_device *device, bool migrates, struct host_facts *facts);

#endif
