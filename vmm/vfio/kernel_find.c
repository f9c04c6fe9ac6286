/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/vfio/kernel_find.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fnmatch.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#include "lib/options.h"

#define UUID_LENGTH 36

static bool is_bdf(const char *text)
{
    static const char form[] = "hhhh:hh:hh.o";

    if (strlen(text) != sizeof(form) - 1)
        return false;
    for (size_t i = 0; form[i]; i++) {
        if (form[i] == 'h'   ? !isxdigit((unsigned char)text[i])
            : form[i] == 'o' ? text[i] < '0' || text[i] > '7'
                             : text[i] != form[i])
            return false;
    }
    return true;
}

static bool is_uuid(const char *text)
{
    if (strlen(text) != UUID_LENGTH)
        return false;
    for (size_t i = 0; i < UUID_LENGTH; i++) {
        bool dash = i == 8 || i == 13 || i == 18 || i == 23;

        if (dash ? text[i] != '-' : !isxdigit((unsigned char)text[i]))
            return false;
    }
    return true;
}

static void lower(char *text)
{
    for (; *text; text++)
        *text = (char)tolower((unsigned char)*text);
}

static void join(char path[KERNEL_PATH_MAX], const char *folder, const char *name)
{
    snprintf(path, KERNEL_PATH_MAX, "%.127s/%.64s", folder, name);
}

/* The parent and the type that a new mdev could be made of, or words for them. */
static void find_mdev_type(const struct kernel_host *host, char path[KERNEL_PATH_MAX])
{
    char parent[KERNEL_NAME_MAX], type[KERNEL_NAME_MAX], folder[KERNEL_PATH_MAX];

    snprintf(path, KERNEL_PATH_MAX, "/sys/class/mdev_bus/PARENT/mdev_supported_types/TYPE/create");
    if (!kernel_host_entry(host, "/sys/class/mdev_bus", "", parent, sizeof(parent)))
        return;
    snprintf(folder, sizeof(folder), "/sys/class/mdev_bus/%s/mdev_supported_types", parent);
    if (kernel_host_entry(host, folder, "", type, sizeof(type)))
        snprintf(path, KERNEL_PATH_MAX, "/sys/class/mdev_bus/%s/mdev_supported_types/%s/create", parent, type);
}

static int no_such_device(const struct kernel_host *host, const struct kernel_place *place, struct error *error)
{
    char create[KERNEL_PATH_MAX];

    if (!place->mdev)
        return error_set(error, 0, "this host has no PCI device %s: lspci -D lists those that there are", place->name);
    find_mdev_type(host, create);
    return error_set(error, 0, "this host has no mediated device %s: make it by: echo %s > %s", place->name,
                     place->name, create);
}

static bool is_vfio_driver(const char *driver)
{
    return strstr(driver, "vfio") != NULL;
}

static void read_place(const struct kernel_host *host, struct kernel_place *place)
{
    char path[KERNEL_PATH_MAX], text[KERNEL_NAME_MAX];

    join(path, place->sysfs, "driver");
    kernel_host_link(host, path, place->driver, sizeof(place->driver));
    join(path, place->sysfs, "iommu_group");
    place->group = kernel_host_link(host, path, text, sizeof(text)) ? atoi(text) : -1;
    join(path, place->sysfs, "vfio-dev");
    kernel_host_entry(host, path, "vfio", place->vfio_name, sizeof(place->vfio_name));
    if (place->vfio_name[0] && strlen(place->vfio_name) < 32) {
        snprintf(path, sizeof(path), "/dev/vfio/devices/%.32s", place->vfio_name);
        if (kernel_host_exists(host, path))
            snprintf(place->cdev, sizeof(place->cdev), "/dev/vfio/devices/%.32s", place->vfio_name);
    }
    join(path, place->sysfs, "numa_node");
    kernel_host_read(host, path, place->numa_node, sizeof(place->numa_node));
    join(path, place->sysfs, "reset_method");
    kernel_host_read(host, path, place->reset_method, sizeof(place->reset_method));
}

/* "echo X > driver_override; ...": what gives the device to a driver. */
static void say_bind(const struct kernel_place *place, const char *driver, char *text, size_t size)
{
    int used = snprintf(text, size, "echo %s > %s/driver_override", driver, place->sysfs);

    if (place->driver[0] && used > 0 && (size_t)used < size)
        used += snprintf(text + used, size - (size_t)used, "; echo %s > %s/driver/unbind", place->name, place->sysfs);
    if (used > 0 && (size_t)used < size)
        snprintf(text + used, size - (size_t)used, "; echo %s > /sys/bus/pci/drivers_probe", place->name);
}

static int check_driver(const struct kernel_place *place, struct error *error)
{
    char commands[ERROR_TEXT_MAX / 2];

    if (place->vfio_name[0] || is_vfio_driver(place->driver))
        return 0;
    if (place->mdev)
        return error_set(error, 0, "the mediated device %s has %s%s: its parent's driver serves no VFIO", place->name,
                         place->driver[0] ? "the driver " : "no driver", place->driver);
    say_bind(place, "vfio-pci", commands, sizeof(commands));
    if (place->driver[0])
        return error_set(error, 0, "%s belongs to the host's driver %s: give it to VFIO by: modprobe vfio-pci; %s",
                         place->name, place->driver, commands);
    return error_set(error, 0, "%s has no driver: give it to VFIO by: modprobe vfio-pci; %s", place->name, commands);
}

static int check_group(const struct kernel_place *place, struct error *error)
{
    if (place->group >= 0)
        return 0;
    return error_set(error, 0,
                     "%s is in no IOMMU group: switch the IOMMU on in the firmware's setup, and by intel_iommu=on or "
                     "amd_iommu=on on the kernel's command line",
                     place->name);
}

/* Where the name is on its bus, and all that sysfs tells of it. */
static int look_at(const struct kernel_host *host, struct kernel_place *place, struct error *error)
{
    place->mdev = is_uuid(place->name);
    lower(place->name);
    snprintf(place->sysfs, sizeof(place->sysfs), "/sys/bus/%s/devices/%s", place->mdev ? "mdev" : "pci", place->name);
    if (!kernel_host_exists(host, place->sysfs))
        return no_such_device(host, place, error);
    read_place(host, place);
    return check_driver(place, error) || check_group(place, error) ? -1 : 0;
}

/* /dev/vfio/devices/vfioN */
static int find_cdev(const struct kernel_host *host, const char *name, struct kernel_place *place, struct error *error)
{
    char path[KERNEL_PATH_MAX];

    snprintf(path, sizeof(path), "/sys/class/vfio-dev/%.64s/device", name);
    place->cdev_asked = true;
    if (strchr(name, '/') || !kernel_host_link(host, path, place->name, sizeof(place->name)))
        return error_set(error, 0,
                         "this host has no VFIO device %.64s: ls -l /sys/class/vfio-dev/*/device shows which device "
                         "is which",
                         name);
    return look_at(host, place, error);
}

/* /dev/vfio/GROUP,NAME */
static int find_in_group(const struct kernel_host *host, const char *word, struct kernel_place *place,
                         struct error *error)
{
    const char *comma = strchr(word, ',');
    char digits[16] = "";
    uint64_t group;

    if (comma && comma - word < (ptrdiff_t)sizeof(digits))
        memcpy(digits, word, (size_t)(comma - word));
    if (!comma || (!is_bdf(comma + 1) && !is_uuid(comma + 1)) ||
        option_parse_number(digits, "the group", 0, INT_MAX, &group, NULL) < 0)
        return error_set(error, 0, "a group is named as /dev/vfio/GROUP,DEVICE: /dev/vfio/7,0000:01:00.0");
    place->group_asked = true;
    strcpy(place->name, comma + 1);
    if (look_at(host, place, error) < 0)
        return -1;
    if (place->group != (int)group)
        return error_set(error, 0, "%s is in the IOMMU group %d, not in %d: name it as /dev/vfio/%d,%s", place->name,
                         place->group, (int)group, place->group, place->name);
    return 0;
}

int kernel_find(const struct kernel_host *host, const char *word, struct kernel_place *place, struct error *error)
{
    static const char devices[] = "/dev/vfio/devices/", groups[] = "/dev/vfio/";

    *place = (struct kernel_place){.group = -1};
    if (!strncmp(word, devices, strlen(devices)))
        return find_cdev(host, word + strlen(devices), place, error);
    if (!strncmp(word, groups, strlen(groups)))
        return find_in_group(host, word + strlen(groups), place, error);
    if (strlen(word) == strlen("01:00.0"))
        snprintf(place->name, sizeof(place->name), "0000:%s", word);
    else
        snprintf(place->name, sizeof(place->name), "%.63s", word);
    if (strlen(word) >= sizeof(place->name) || (!is_bdf(place->name) && !is_uuid(place->name)))
        return error_set(error, 0,
                         "'%.64s' is none of a PCI address (0000:01:00.0), an mdev's UUID, /dev/vfio/devices/vfioN and "
                         "/dev/vfio/GROUP,DEVICE",
                         word);
    return look_at(host, place, error);
}

/* A bridge's own driver, and these stubs, leave a group viable. */
static bool harmless(const char *driver)
{
    return !driver[0] || is_vfio_driver(driver) || !strcmp(driver, "pcieport") || !strcmp(driver, "pci-stub");
}

static void read_member(const struct kernel_host *host, const char *folder, const char *name,
                        struct kernel_member *member)
{
    char path[PATH_MAX], vfio[KERNEL_NAME_MAX];

    snprintf(member->name, sizeof(member->name), "%.63s", name);
    snprintf(path, sizeof(path), "%s/%s/driver", folder, name);
    kernel_host_link(host, path, member->driver, sizeof(member->driver));
    snprintf(path, sizeof(path), "%s/%s/vfio-dev", folder, name);
    member->in_the_way = !harmless(member->driver) && !kernel_host_entry(host, path, "vfio", vfio, sizeof(vfio));
}

unsigned int kernel_find_members(const struct kernel_host *host, const struct kernel_place *place,
                                 struct kernel_member members[KERNEL_MEMBERS_MAX])
{
    char folder[KERNEL_PATH_MAX], full[PATH_MAX];
    struct dirent **entries = NULL;
    unsigned int found = 0;
    int count;

    snprintf(folder, sizeof(folder), "/sys/kernel/iommu_groups/%d/devices", place->group);
    snprintf(full, sizeof(full), "%s%s", host->root, folder);
    count = scandir(full, &entries, NULL, alphasort);
    for (int i = 0; i < count; i++) {
        if (entries[i]->d_name[0] != '.' && found < KERNEL_MEMBERS_MAX)
            read_member(host, folder, entries[i]->d_name, &members[found++]);
        free(entries[i]);
    }
    free(entries);
    return found;
}

int kernel_find_not_viable(const struct kernel_host *host, const struct kernel_place *place, struct error *error)
{
    struct kernel_member members[KERNEL_MEMBERS_MAX];
    unsigned int count = kernel_find_members(host, place, members);

    for (unsigned int i = 0; i < count; i++) {
        struct kernel_place other = {.group = place->group};
        char commands[ERROR_TEXT_MAX / 2];

        if (!members[i].in_the_way)
            continue;
        strcpy(other.name, members[i].name);
        strcpy(other.driver, members[i].driver);
        snprintf(other.sysfs, sizeof(other.sysfs), "/sys/bus/pci/devices/%s", other.name);
        say_bind(&other, "vfio-pci", commands, sizeof(commands));
        return error_set(error, 0,
                         "%s: its IOMMU group %d is not viable, because %s in it belongs to the host's driver %s: give "
                         "that to VFIO too: %s",
                         place->name, place->group, other.name, other.driver, commands);
    }
    return error_set(error, 0,
                     "%s: its IOMMU group %d is not viable: a device in it belongs to a driver of the host; ls -l "
                     "/sys/kernel/iommu_groups/%d/devices/*/driver shows which",
                     place->name, place->group, place->group);
}

/* An alias line, "alias vfio_pci:v0000...d... MODULE", that is for this modalias. */
static bool alias_is_for(char *line, const char *modalias, const char **module)
{
    static const char head[] = "alias vfio_pci:";
    char *pattern = line + strlen(head) - 1, *end;

    if (strncmp(line, head, strlen(head)))
        return false;
    end = strchr(pattern, ' ');
    if (!end)
        return false;
    *end = '\0';
    *module = end + 1;
    end[1 + strcspn(end + 1, " \n")] = '\0';
    /* Both from the colon on. */
    return fnmatch(pattern, modalias, 0) == 0;
}

bool kernel_find_variant(const struct kernel_host *host, const struct kernel_place *place, char *module, size_t size)
{
    char path[KERNEL_PATH_MAX], full[PATH_MAX], modalias[256], line[512];
    struct utsname name;
    const char *colon, *found;
    FILE *file;

    module[0] = '\0';
    join(path, place->sysfs, "modalias");
    if (place->mdev || uname(&name) || !kernel_host_read(host, path, modalias, sizeof(modalias)))
        return false;
    colon = strchr(modalias, ':');
    snprintf(full, sizeof(full), "%s/lib/modules/%s/modules.alias", host->root, name.release);
    file = colon ? fopen(full, "re") : NULL;
    while (file && !module[0] && fgets(line, sizeof(line), file))
        if (alias_is_for(line, colon, &found) && strcmp(found, "vfio_pci") && strlen(found) < size)
            strcpy(module, found);
    if (file)
        fclose(file);
    return module[0] && strcmp(module, place->driver);
}

void kernel_find_no_migration(const struct kernel_host *host, const struct kernel_place *place, bool v1, char *text,
                              size_t size)
{
    char module[KERNEL_NAME_MAX];

    if (v1) {
        snprintf(text, size,
                 "its driver %s offers migration by a region of type 3, subtype 1: the protocol of before Linux 5.18, "
                 "which was removed; look for a version of the driver with VFIO_DEVICE_FEATURE_MIGRATION (version 2)",
                 place->driver);
    } else if (kernel_find_variant(host, place, module, sizeof(module))) {
        snprintf(text, size,
                 "it is bound to %s, and this kernel has the variant driver %s for it: modprobe %s; basename "
                 "/sys/module/%s/drivers/pci:* | cut -d: -f2 > %s/driver_override; echo %s > %s/driver/unbind; echo %s "
                 "> /sys/bus/pci/drivers_probe",
                 place->driver, module, module, module, place->sysfs, place->name, place->sysfs, place->name);
    } else if (!strcmp(place->driver, "vfio-pci")) {
        snprintf(text, size,
                 "it is bound to vfio-pci, which has no migration, and grep vfio_pci: /lib/modules/$(uname "
                 "-r)/modules.alias names no variant driver for it: one must be installed, or be bound by "
                 "%s/driver_override",
                 place->sysfs);
    } else {
        snprintf(text, size, "its driver %s has no migration", place->driver);
    }
}
