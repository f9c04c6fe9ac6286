/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The backends of the kernel's VFIO against a kernel that is played: a device, its group, a container, an iommufd. */
#include <criterion/criterion.h>
#include <errno.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "stopcopy/iommufd_compat.h"
#include "vmm/vfio/kernel_device.h"
#include "vmm/vfio/migration.h"

#define BAR_SIZE 0x4000u
#define HWPT 77u
#define IOAS 5u

struct fake {
    struct kernel_host host;
    char root[64];
    int memory; /* stands for every file that is opened */
    unsigned int groups_opened, devices_given, maps, unmaps;
    bool info_asked;
    bool not_viable;
    bool no_hwpt;
    bool has_v1;
    uint32_t capability_next; /* of the first capability of BAR 0 */
    int map_errno;
    int open_errno; /* of a group or cdev */
    uint32_t attached;
    bool log_on;
    uint32_t feature_argsz;
    char device_name[128];
    /* SET of a state */
    int data_fd;
    int set_errno;
    bool hang;
    sem_t release;
    /* read of the data */
    int read_errno;
    const char *read_data;
};

static struct fake fake;

static int fake_open(const struct kernel_host *host, const char *path, int flags)
{
    bool device = strstr(path, "/dev/vfio/7") || strstr(path, "/dev/vfio/devices/");

    (void)host, (void)flags;
    if (device && fake.open_errno) {
        errno = fake.open_errno;
        return -1;
    }
    fake.groups_opened += strstr(path, "/dev/vfio/7") != NULL;
    return dup(fake.memory);
}

static void give_region(struct vfio_region_info *info)
{
    struct {
        struct vfio_region_info_cap_sparse_mmap head;
        struct vfio_region_sparse_mmap_area area[3];
    } sparse = {.head = {.header = {.id = VFIO_REGION_INFO_CAP_SPARSE_MMAP, .version = 1, .next = fake.capability_next},
                         .nr_areas = 3},
                .area = {{.offset = 0, .size = 0x1000},
                         {.offset = 0x3000, .size = 0x2000},
                         {.offset = 0x2000, .size = 0x1000}}};
    struct vfio_region_info_cap_type type = {
        .header = {.id = VFIO_REGION_INFO_CAP_TYPE, .version = 1}, .type = 3, .subtype = 1};
    bool bar = info->index == 0, extra = info->index == 9;

    info->flags = VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE | (bar ? VFIO_REGION_INFO_FLAG_MMAP : 0);
    info->offset = (uint64_t)info->index << 16;
    info->size = bar ? BAR_SIZE : info->index == VFIO_PCI_CONFIG_REGION_INDEX ? 256 : 0;
    if (!bar && !(extra && fake.has_v1))
        return;
    info->flags |= VFIO_REGION_INFO_FLAG_CAPS;
    if (info->argsz < sizeof(*info) + sizeof(sparse)) {
        info->argsz = sizeof(*info) + sizeof(sparse);
        info->cap_offset = 0;
        return;
    }
    info->cap_offset = sizeof(*info);
    memcpy(info + 1, bar ? (void *)&sparse : (void *)&type, bar ? sizeof(sparse) : sizeof(type));
}

static int give_iommu_info(struct vfio_iommu_type1_info *info)
{
    struct {
        struct vfio_iommu_type1_info_cap_iova_range head;
        struct vfio_iova_range range[2];
    } ranges = {.head = {.header = {.id = VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE, .version = 1}, .nr_iovas = 2},
                .range = {{0, 0xfedfffff}, {0xfef00000, 0x7fffffffff}}};

    info->flags = VFIO_IOMMU_INFO_PGSIZES | VFIO_IOMMU_INFO_CAPS;
    info->iova_pgsizes = 0x201000;
    if (info->argsz >= sizeof(*info) + sizeof(ranges)) {
        info->cap_offset = sizeof(*info);
        memcpy(info + 1, &ranges, sizeof(ranges));
    }
    info->argsz = sizeof(*info) + sizeof(ranges);
    return 0;
}

static int refuse(int number)
{
    errno = number;
    return -1;
}

static int fake_feature(struct vfio_device_feature *feature)
{
    struct vfio_device_feature_mig_state *state = (void *)feature->data;
    struct vfio_device_feature_migration *migration = (void *)feature->data;

    fake.feature_argsz = feature->argsz;
    if (feature->flags == (VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_MIGRATION)) {
        migration->flags = VFIO_MIGRATION_STOP_COPY;
        return 0;
    }
    if (feature->flags != (VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE))
        return refuse(ENOTTY);
    if (fake.hang)
        sem_wait(&fake.release);
    state->data_fd = fake.data_fd;
    return fake.set_errno ? refuse(fake.set_errno) : 0;
}

static int fake_ioctl(const struct kernel_host *host, int fd, unsigned long request, void *argument)
{
    (void)host, (void)fd;
    switch (request) {
    case VFIO_GROUP_GET_STATUS:
        ((struct vfio_group_status *)argument)->flags = fake.not_viable ? 0 : VFIO_GROUP_FLAGS_VIABLE;
        return 0;
    case VFIO_CHECK_EXTENSION:
        return 1;
    case VFIO_GROUP_SET_CONTAINER:
    case VFIO_SET_IOMMU:
        return 0;
    case VFIO_IOMMU_GET_INFO:
        return give_iommu_info(argument);
    case VFIO_GROUP_GET_DEVICE_FD:
        fake.devices_given++;
        snprintf(fake.device_name, sizeof(fake.device_name), "%s", (char *)argument);
        return dup(fake.memory);
    case VFIO_IOMMU_MAP_DMA:
    case IOMMU_IOAS_MAP:
        fake.maps++;
        return fake.map_errno ? refuse(fake.map_errno) : 0;
    case VFIO_IOMMU_UNMAP_DMA:
    case IOMMU_IOAS_UNMAP:
        fake.unmaps++;
        return 0;
    case IOMMU_IOAS_ALLOC:
        ((struct iommu_ioas_alloc *)argument)->out_ioas_id = IOAS;
        return 0;
    case VFIO_DEVICE_BIND_IOMMUFD:
        ((struct vfio_bind_iommufd_argument *)argument)->out_devid = 3;
        return fake.not_viable ? refuse(EBUSY) : 0;
    case IOMMU_HWPT_ALLOC:
        ((struct iommu_hwpt_alloc *)argument)->out_hwpt_id = HWPT;
        return fake.no_hwpt ? refuse(EOPNOTSUPP) : 0;
    case VFIO_DEVICE_ATTACH_IOMMUFD_PT:
        fake.attached = ((struct vfio_device_attach_iommufd_pt *)argument)->pt_id;
        return 0;
    case IOMMU_HWPT_SET_DIRTY_TRACKING:
        fake.log_on = ((struct iommu_hwpt_set_dirty_tracking *)argument)->flags & IOMMU_HWPT_DIRTY_TRACKING_ENABLE;
        return 0;
    case VFIO_DEVICE_GET_INFO:
        fake.info_asked = true;
        ((struct vfio_device_info *)argument)->num_regions = 10;
        ((struct vfio_device_info *)argument)->num_irqs = 5;
        return 0;
    case VFIO_DEVICE_GET_REGION_INFO:
        give_region(argument);
        return 0;
    case VFIO_DEVICE_GET_IRQ_INFO:
        ((struct vfio_irq_info *)argument)->count = 1;
        return 0;
    case VFIO_DEVICE_SET_IRQS:
        return fake.info_asked ? 0 : refuse(EINVAL);
    case VFIO_DEVICE_FEATURE:
        return fake_feature(argument);
    default:
        return refuse(ENOTTY);
    }
}

static ssize_t fake_read(const struct kernel_host *host, int fd, void *data, size_t size)
{
    size_t length;

    (void)host, (void)fd;
    if (fake.read_errno)
        return refuse(fake.read_errno);
    length = fake.read_data ? strlen(fake.read_data) : 0;
    length = length < size ? length : size;
    memcpy(data, fake.read_data, length);
    fake.read_data = fake.read_data ? fake.read_data + length : NULL;
    return (ssize_t)length;
}

static void add(const char *format, const char *name)
{
    char command[512], filled[256];

    snprintf(filled, sizeof(filled), format, name);
    snprintf(command, sizeof(command), "cd %s && %s", fake.root, filled);
    cr_assert_eq(system(command), 0, "%s", command);
}

static void add_function(const char *name, const char *vfio)
{
    char folder[128], format[256];

    snprintf(folder, sizeof(folder), "sys/bus/pci/devices/%s", name);
    snprintf(format, sizeof(format), "mkdir -p %%s/vfio-dev/%s && touch dev/vfio/devices/%s", vfio, vfio);
    add(format, folder);
    add("ln -s ../../drivers/vfio-pci %s/driver", folder);
    add("ln -s ../../../kernel/iommu_groups/7 %s/iommu_group", folder);
}

static void setup(void)
{
    memset(&fake, 0, sizeof(fake));
    strcpy(fake.root, "/tmp/kernel_device_XXXXXX");
    cr_assert_not_null(mkdtemp(fake.root));
    add("mkdir -p dev/vfio/devices && touch dev/%s", "iommu");
    add_function("0000:0a:00.0", "vfio0");
    add_function("0000:0a:00.1", "vfio1");
    fake.memory = memfd_create("fake", MFD_CLOEXEC);
    cr_assert_eq(ftruncate(fake.memory, 10 << 16), 0);
    fake.data_fd = -1;
    sem_init(&fake.release, 0, 0);
    fake.host = (struct kernel_host){.root = fake.root, .open = fake_open, .ioctl = fake_ioctl, .read = fake_read};
}

static void teardown(void)
{
    add("rm -rf %s", fake.root);
    close(fake.memory);
}

TestSuite(kernel_device, .init = setup, .fini = teardown);

static struct vfio_device *open_with(const char *word, const struct kernel_options *options,
                                     struct vfio_device *const *peers, size_t peer_count, struct error *error)
{
    return kernel_open(&fake.host, "vfio:x", word, options, peers, peer_count, 50000000u, error);
}

static struct vfio_device *open_by(enum kernel_way way)
{
    struct kernel_options options = {.way = way, .fd = -1};
    struct error error = ERROR_INIT;
    struct vfio_device *device = open_with("0a:00.0", &options, NULL, 0, &error);

    cr_assert_not_null(device, "%s", error.text);
    return device;
}

static void expect_refused(enum kernel_way way, const char *words)
{
    struct kernel_options options = {.way = way, .fd = -1};
    struct error error = ERROR_INIT;

    cr_expect_null(open_with("0a:00.0", &options, NULL, 0, &error));
    cr_expect(strstr(error.text, words), "'%s' is not in '%s'", words, error.text);
    cr_expect_null(strchr(error.text, '\n'));
}

Test(kernel_device, the_way_in_is_the_cdev_unless_something_speaks_against_it)
{
    struct kernel_options options = {.way = KERNEL_WAY_AUTO, .fd = -1};
    struct vfio_device *device = open_by(KERNEL_WAY_AUTO);

    cr_expect_str_eq(device->ops->name, "vfio-cdev");
    vfio_device_close(device);
    options.peers_reach = true;
    device = open_with("0a:00.0", &options, NULL, 0, NULL);
    cr_expect_str_eq(device->ops->name, "vfio-group");
    vfio_device_close(device);
    add("rm dev/%s", "iommu");
    device = open_by(KERNEL_WAY_AUTO);
    cr_expect_str_eq(device->ops->name, "vfio-group");
    vfio_device_close(device);
}

Test(kernel_device, info_is_asked_for_before_interrupts_are_set)
{
    struct vfio_device *device = open_by(KERNEL_WAY_GROUP);
    struct error error = ERROR_INIT;
    int32_t fd = -1;

    cr_expect_eq(device->ops->set_irqs(device, VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER, 0, 0, 1, &fd,
                                       sizeof(fd), &error),
                 0, "%s", error.text);
    vfio_device_close(device);
}

Test(kernel_device, what_may_be_mapped_is_what_the_sparse_capability_says_and_is_in_the_region)
{
    struct vfio_device *device = open_by(KERNEL_WAY_GROUP);
    struct vfio_region region;

    cr_assert_eq(device->ops->get_region(device, 0, &region, NULL), 0);
    cr_assert_eq(region.area_count, 2);
    cr_expect_eq(region.area[0].size, 0x1000);
    cr_expect_eq(region.area[1].offset, 0x2000);
    cr_expect_geq(region.mmap_fd, 0);
    vfio_device_close(device);
}

Test(kernel_device, a_list_of_capabilities_that_goes_astray_ends)
{
    static const uint32_t nexts[] = {1, 32, 40, 0xfffffff0u, 0xffffffffu};

    for (size_t i = 0; i < sizeof(nexts) / sizeof(nexts[0]); i++) {
        fake.capability_next = nexts[i];
        vfio_device_close(open_by(KERNEL_WAY_GROUP));
    }
}

Test(kernel_device, a_region_can_be_kept_from_being_mapped)
{
    struct kernel_options options = {.way = KERNEL_WAY_GROUP, .fd = -1, .no_mmap = true};
    struct vfio_device *device = open_with("0a:00.0", &options, NULL, 0, NULL);
    struct vfio_region region;

    cr_assert_eq(device->ops->get_region(device, 0, &region, NULL), 0);
    cr_expect_eq(region.mmap_fd, -1);
    cr_expect_eq(region.area_count, 0);
    cr_expect_not(region.flags & VFIO_REGION_INFO_FLAG_MMAP);
    vfio_device_close(device);
}

Test(kernel_device, accesses_go_to_the_regions_offset_and_stay_inside)
{
    struct vfio_device *device = open_by(KERNEL_WAY_GROUP);
    uint32_t value = 0x12345678, seen = 0;

    cr_assert_eq(pwrite(fake.memory, &value, 4, (VFIO_PCI_CONFIG_REGION_INDEX << 16) + 8), 4);
    cr_expect_eq(device->ops->region_read(device, VFIO_PCI_CONFIG_REGION_INDEX, 8, &seen, 4, NULL), 0);
    cr_expect_eq(seen, value);
    cr_expect_eq(device->ops->region_read(device, VFIO_PCI_CONFIG_REGION_INDEX, 253, &seen, 4, NULL), -1);
    cr_expect_eq(device->ops->region_read(device, VFIO_PCI_CONFIG_REGION_INDEX, UINT64_MAX - 1, &seen, 4, NULL), -1);
    cr_expect_eq(device->ops->region_write(device, 3, 0, &seen, 1, NULL), -1);
    cr_expect_eq(device->ops->region_read(device, 15, 0, &seen, 1, NULL), -1);
    cr_expect_eq(device->ops->region_read(device, 99, 0, &seen, 1, NULL), -1);
    vfio_device_close(device);
}

Test(kernel_device, two_functions_of_a_group_share_it_and_their_mappings)
{
    struct kernel_options options = {.way = KERNEL_WAY_GROUP, .fd = -1};
    struct vfio_device *first = open_by(KERNEL_WAY_GROUP);
    struct vfio_device *second = open_with("0a:00.1", &options, &first, 1, NULL);
    static char memory[4096] __attribute__((aligned(4096)));

    cr_assert_not_null(second);
    cr_expect_eq(fake.groups_opened, 1);
    cr_expect_eq(fake.devices_given, 2);
    cr_expect_eq(first->ops->dma_map(first, 0x1000, 4096, memory, -1, 0, true, NULL), 0);
    cr_expect_eq(second->ops->dma_map(second, 0x1000, 4096, memory, -1, 0, true, NULL), 0);
    cr_expect_eq(fake.maps, 1);
    cr_expect_eq(first->ops->dma_unmap(first, 0x1000, 4096, NULL), 0);
    cr_expect_eq(fake.unmaps, 0);
    vfio_device_close(first);
    cr_expect_eq(second->ops->dma_unmap(second, 0x1000, 4096, NULL), 0);
    cr_expect_eq(fake.unmaps, 1);
    cr_expect_eq(second->ops->dma_unmap(second, 0x1000, 4096, NULL), -1);
    vfio_device_close(second);
}

Test(kernel_device, a_mapping_that_cannot_be_says_what_to_do)
{
    static char memory[8192] __attribute__((aligned(4096)));
    struct vfio_device *device = open_by(KERNEL_WAY_GROUP);
    struct rlimit limit = {.rlim_cur = 65536, .rlim_max = 65536};
    struct error error = ERROR_INIT;

    cr_expect_eq(device->ops->dma_map(device, 0xfee00000, 4096, memory, -1, 0, true, &error), -1);
    cr_expect(strstr(error.text, "(0x0 to 0xfedfffff, 0xfef00000 to 0x7fffffffff): give the guest less --memory"), "%s",
              error.text);
    cr_expect_eq(device->ops->dma_map(device, 0xfedff000, 8192, memory, -1, 0, true, &error), -1);
    cr_expect_eq(device->ops->dma_map(device, 0x1000, 2048, memory, -1, 0, true, &error), -1);
    cr_expect(strstr(error.text, "smallest page is 4 KiB"), "%s", error.text);
    cr_expect_eq(device->ops->dma_map(device, UINT64_MAX - 4095, 8192, memory, -1, 0, true, &error), -1);
    cr_expect_eq(fake.maps, 0);
    setrlimit(RLIMIT_MEMLOCK, &limit);
    fake.map_errno = ENOMEM;
    cr_expect_eq(device->ops->dma_map(device, 0x1000, 4096, memory, -1, 0, true, &error), -1);
    cr_expect(strstr(error.text, "the limit of locked memory is 64 KiB"), "%s", error.text);
    cr_expect(strstr(error.text, "ulimit -l unlimited"), "%s", error.text);
    vfio_device_close(device);
}

Test(kernel_device, what_keeps_it_from_being_opened_is_said)
{
    fake.open_errno = EACCES;
    expect_refused(KERNEL_WAY_GROUP, "/dev/vfio/7: run as root, or allow it by: chown $USER /dev/vfio/7");
    expect_refused(KERNEL_WAY_CDEV, "chown $USER /dev/vfio/devices/vfio0");
    fake.open_errno = EBUSY;
    expect_refused(KERNEL_WAY_GROUP, "another process has it: fuser /dev/vfio/7");
    fake.open_errno = 0;
    fake.not_viable = true;
    expect_refused(KERNEL_WAY_GROUP, "its IOMMU group 7 is not viable");
    expect_refused(KERNEL_WAY_CDEV, "its IOMMU group 7 is not viable");
    fake.not_viable = false;
    add("rm -r dev/vfio/%s", "devices");
    expect_refused(KERNEL_WAY_CDEV, "this kernel lacks CONFIG_VFIO_DEVICE_CDEV");
}

Test(kernel_device, a_vf_tells_the_token_of_its_pf)
{
    struct kernel_options options = {.way = KERNEL_WAY_GROUP, .fd = -1, .has_token = true, .token = {0x12, 0x34}};
    struct vfio_device *device = open_with("0a:00.0", &options, NULL, 0, NULL);

    cr_assert_not_null(device);
    cr_expect_str_eq(fake.device_name, "0000:0a:00.0 vf_token=12340000-0000-0000-0000-000000000000");
    vfio_device_close(device);
}

Test(kernel_device, an_iommu_with_a_dirty_log_gets_a_page_table_of_our_own)
{
    struct vfio_device *device = open_by(KERNEL_WAY_CDEV);
    struct error error = ERROR_INIT;

    cr_expect_eq(fake.attached, HWPT);
    cr_expect(device->ops->iommu_log_is_exact(device));
    cr_expect_eq(device->ops->iommu_log(device, true, NULL), 0);
    cr_expect(fake.log_on);
    cr_expect_eq(device->ops->iommu_log(device, false, NULL), 0);
    cr_expect_not(fake.log_on);
    vfio_device_close(device);
    fake.no_hwpt = true;
    device = open_by(KERNEL_WAY_CDEV);
    cr_expect_eq(fake.attached, IOAS);
    cr_expect_not(device->ops->iommu_log_is_exact(device));
    cr_expect_eq(device->ops->iommu_log(device, true, &error), -1);
    cr_expect_eq(error.number, EOPNOTSUPP);
    vfio_device_close(device);
}

Test(kernel_device, a_feature_is_asked_for_with_its_size)
{
    struct vfio_device *device = open_by(KERNEL_WAY_GROUP);
    struct error error = ERROR_INIT;
    uint64_t flags;

    cr_expect_eq(migration_get_flags(device, &flags, NULL), 0);
    cr_expect_eq(flags, VFIO_MIGRATION_STOP_COPY);
    cr_expect_eq(fake.feature_argsz, sizeof(struct vfio_device_feature) + 8);
    cr_expect_eq(device->ops->feature(device, VFIO_DEVICE_FEATURE_PROBE | 6, NULL, 0, &error), -1);
    cr_expect_eq(error.number, ENOTTY);
    cr_expect_eq(fake.feature_argsz, sizeof(struct vfio_device_feature));
    vfio_device_close(device);
}

Test(kernel_device, the_session_is_the_data_fd_with_the_kernels_ends)
{
    struct vfio_device *device = open_by(KERNEL_WAY_GROUP);
    struct vfio_data_session *session;
    char data[8];
    size_t count;

    cr_assert_eq(migration_set_state(device, VFIO_DEVICE_STATE_STOP, NULL), 0);
    cr_expect_null(device->ops->take_session(device));
    fake.data_fd = dup(fake.memory);
    cr_assert_eq(migration_set_state(device, VFIO_DEVICE_STATE_STOP_COPY, NULL), 0);
    session = device->ops->take_session(device);
    cr_assert_not_null(session);
    cr_expect_null(device->ops->take_session(device));
    fake.read_data = "abcdefghij";
    cr_expect_eq(device->ops->session_read(session, data, sizeof(data), &count, NULL), VFIO_DATA_DATA);
    cr_expect_eq(count, 8);
    cr_expect_eq(device->ops->session_read(session, data, sizeof(data), &count, NULL), VFIO_DATA_DATA);
    cr_expect_eq(count, 2);
    cr_expect_eq(device->ops->session_read(session, data, sizeof(data), &count, NULL), VFIO_DATA_END);
    fake.read_errno = ENOMSG;
    cr_expect_eq(device->ops->session_read(session, data, sizeof(data), &count, NULL), VFIO_DATA_AGAIN);
    fake.read_errno = EAGAIN;
    cr_expect_eq(device->ops->session_read(session, data, sizeof(data), &count, NULL), VFIO_DATA_ERROR);
    fake.read_errno = EIO;
    cr_expect_eq(device->ops->session_read(session, data, sizeof(data), &count, NULL), VFIO_DATA_ERROR);
    device->ops->session_close(session);
    vfio_device_close(device);
}

Test(kernel_device, a_refused_state_carries_the_kernels_errno_and_its_name)
{
    struct vfio_device *device = open_by(KERNEL_WAY_GROUP);
    struct error error = ERROR_INIT;

    fake.set_errno = EINVAL;
    cr_expect_eq(migration_set_state(device, VFIO_DEVICE_STATE_PRE_COPY, &error), -1);
    cr_expect_eq(error.number, EINVAL);
    cr_expect(strstr(error.text, "DEVICE_FEATURE SET PRE_COPY"), "%s", error.text);
    vfio_device_close(device);
}

Test(kernel_device, a_change_of_state_that_does_not_return_is_left_behind)
{
    struct vfio_device *device = open_by(KERNEL_WAY_GROUP);
    struct error error = ERROR_INIT;

    fake.hang = true;
    cr_expect_eq(migration_set_state(device, VFIO_DEVICE_STATE_STOP, &error), -1);
    cr_expect_eq(error.number, ETIMEDOUT);
    cr_expect_str_eq(error.rule, "device/call-hangs");
    cr_expect(strstr(error.text, "SET STOP did not return in 50 ms"), "%s", error.text);
    cr_expect_eq(migration_set_state(device, VFIO_DEVICE_STATE_RUNNING, &error), -1);
    cr_expect(strstr(error.text, "an earlier call has not returned"), "%s", error.text);
    sem_post(&fake.release);
    vfio_device_close(device);
}

Test(kernel_device, the_removed_protocol_is_recognised)
{
    struct vfio_device *device = open_by(KERNEL_WAY_GROUP);
    char text[512];

    device->ops->explain_no_migration(device, text, sizeof(text));
    cr_expect_null(strstr(text, "subtype 1"));
    vfio_device_close(device);
    fake.has_v1 = true;
    device = open_by(KERNEL_WAY_GROUP);
    device->ops->explain_no_migration(device, text, sizeof(text));
    cr_expect(strstr(text, "type 3, subtype 1"), "%s", text);
    vfio_device_close(device);
}
