/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * From a word of the command line to a device of the kernel's VFIO, by sysfs: where it is, who drives it, its IOMMU group.
 * What is wrong is said in one line, with the exact commands that would mend it; none is ever run.
 */
#ifndef STOPCOPY_VFIO_KERNEL_FIND_H
#define STOPCOPY_VFIO_KERNEL_FIND_H

#include <stdbool.h>

#include "lib/error.h"
#include "vmm/vfio/kernel_host.h"

#define KERNEL_NAME_MAX 64
#define KERNEL_MEMBERS_MAX 32

/* One device of an IOMMU group. */
struct kernel_member {
    char name[KERNEL_NAME_MAX];
    char driver[KERNEL_NAME_MAX]; /* "" where none is bound */
    bool in_the_way;              /* it has a host's driver, and so no user may have the group */
};

/* Where a device is. */
struct kernel_place {
    char name[KERNEL_NAME_MAX]; /* "0000:01:00.0", or an mdev's UUID */
    bool mdev;
    char sysfs[128]; /* "/sys/bus/pci/devices/0000:01:00.0" */
    char driver[KERNEL_NAME_MAX];
    int group;                          /* -1: none */
    char vfio_name[KERNEL_NAME_MAX];    /* "vfio0" of the class vfio-dev; "" before 6.1, or where VFIO has it not */
    char cdev[KERNEL_NAME_MAX];         /* "/dev/vfio/devices/vfio0", "" where there is none */
    bool group_asked;                   /* the word named a group: that way is meant */
    bool cdev_asked;                    /* the word named a cdev */
    char numa_node[16];                 /* "-1", "0", ...; "" where sysfs does not say */
    char reset_method[KERNEL_NAME_MAX]; /* "flr bus", "" where there is none */
};

/*
 * word: a BDF (the domain may be left out), an mdev's UUID, /dev/vfio/devices/vfioN, or /dev/vfio/GROUP,NAME. Fails where
 * there is no such device, or it is not VFIO's: ENODEV, ENOENT, or 0.
 */
int kernel_find(const struct kernel_host *host, const char *word, struct kernel_place *place, struct error *error);

/* The devices of its IOMMU group, itself among them. Returns how many. */
unsigned int kernel_find_members(const struct kernel_host *host, const struct kernel_place *place,
                                 struct kernel_member members[KERNEL_MEMBERS_MAX]);

/* Puts the first member that is in the way and the commands that mend it into the error: the group is not viable. */
int kernel_find_not_viable(const struct kernel_host *host, const struct kernel_place *place, struct error *error);

/*
 * The module that the running kernel has for the migration of this very device (modules.alias, vfio_pci:). Returns false
 * where there is none, or it is the driver that is bound.
 */
bool kernel_find_variant(const struct kernel_host *host, const struct kernel_place *place, char *module, size_t size);

/* Why a device has no migration, and the commands that may give it one. v1: it has the region of the protocol of before
 * 5.18, which newer kernels removed. */
void kernel_find_no_migration(const struct kernel_host *host, const struct kernel_place *place, bool v1, char *text,
                              size_t size);

#endif
