/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A device's dirty log, of a device that is a table of operations in this process. */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "vmm/vfio/dirty_log.h"

#define GIB (UINT64_C(1) << 30)
#define PAGES_OF_GIB (GIB / 4096)

struct fake {
    struct vfio_device device;
    int probe_error;  /* errno of every PROBE, 0: all are there */
    uint32_t missing; /* the one feature that is not */
    int start_error;
    unsigned int starts, stops, reports;
    struct vfio_device_feature_dma_logging_range range[4];
    uint32_t range_count;
    uint64_t report_length[8], report_iova[8];
    uint64_t own_pages; /* bits that take_own_dirty sets in the first word */
};

static int start(struct fake *fake, const struct vfio_device_feature_dma_logging_control *control, struct error *error)
{
    if (fake->start_error)
        return error_set(error, fake->start_error, "no");
    cr_assert(control->page_size == 4096 && control->num_ranges <= 4);
    fake->starts++;
    fake->range_count = control->num_ranges;
    memcpy(fake->range, (void *)(uintptr_t)control->ranges, control->num_ranges * sizeof(fake->range[0]));
    return 0;
}

/* The first page of each report is dirty. */
static int report(struct fake *fake, const struct vfio_device_feature_dma_logging_report *report)
{
    cr_assert(report->page_size == 4096 && fake->reports < 8);
    fake->report_iova[fake->reports] = report->iova;
    fake->report_length[fake->reports++] = report->length;
    *(uint64_t *)(uintptr_t)report->bitmap |= 1;
    return 0;
}

static int feature(struct vfio_device *device, uint32_t flags, void *data, size_t size, struct error *error)
{
    struct fake *fake = (struct fake *)device;
    uint32_t number = flags & VFIO_DEVICE_FEATURE_MASK;

    (void)size;
    if (flags & VFIO_DEVICE_FEATURE_PROBE) {
        if (fake->probe_error || number == fake->missing)
            return error_set(error, fake->probe_error ? fake->probe_error : ENOTTY, "no such feature");
        return 0;
    }
    switch (number) {
    case VFIO_DEVICE_FEATURE_DMA_LOGGING_START:
        cr_assert(flags & VFIO_DEVICE_FEATURE_SET);
        return start(fake, data, error);
    case VFIO_DEVICE_FEATURE_DMA_LOGGING_STOP:
        cr_assert(flags & VFIO_DEVICE_FEATURE_SET);
        fake->stops++;
        return 0;
    default:
        cr_assert(number == VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT && flags & VFIO_DEVICE_FEATURE_GET);
        return report(fake, data);
    }
}

static int take_own(struct vfio_device *device, uint64_t iova, uint64_t size, uint64_t page_size, uint64_t *bitmap,
                    struct error *error)
{
    (void)iova, (void)size, (void)error;
    cr_assert(page_size == 4096);
    bitmap[0] |= ((struct fake *)device)->own_pages;
    return 0;
}

static const struct vfio_device_ops ops = {.feature = feature};
static const struct vfio_device_ops ops_with_own = {.feature = feature, .take_own_dirty = take_own};

Test(device_log, is_there_where_all_three_features_are)
{
    static const uint32_t needed[] = {VFIO_DEVICE_FEATURE_DMA_LOGGING_START, VFIO_DEVICE_FEATURE_DMA_LOGGING_STOP,
                                      VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT};
    struct fake fake = {.device = {.ops = &ops}};
    struct error error = ERROR_INIT;

    cr_expect(device_log_probe(&fake.device, &error) == 1);
    for (size_t i = 0; i < 3; i++) {
        fake.missing = needed[i];
        cr_expect(device_log_probe(&fake.device, &error) == 0, "%u", needed[i]);
    }
}

Test(device_log, that_cannot_be_asked_for_is_an_error_and_not_absent)
{
    struct fake fake = {.device = {.ops = &ops}, .probe_error = ETIMEDOUT};
    struct error error = ERROR_INIT;

    cr_expect(device_log_probe(&fake.device, &error) == -1 && error.number == ETIMEDOUT);
    fake.probe_error = EOPNOTSUPP;
    cr_expect(device_log_probe(&fake.device, &error) == 0);
}

Test(device_log, starts_with_all_ranges)
{
    const struct vfio_area ranges[] = {{0, 3 * GIB}, {4 * GIB, GIB}};
    struct fake fake = {.device = {.ops = &ops}};
    struct error error = ERROR_INIT;

    cr_assert(device_log_start(&fake.device, ranges, 2, &error) == 0, "%s", error.text);
    cr_expect(fake.range_count == 2 && fake.range[1].iova == 4 * GIB && fake.range[1].length == GIB);
    cr_assert(device_log_stop(&fake.device, &error) == 0 && fake.stops == 1);
    fake.start_error = ENOMEM;
    cr_expect(device_log_start(&fake.device, ranges, 2, &error) == -1 && error.number == ENOMEM);
}

Test(device_log, reports_are_of_a_bounded_size_and_add_to_the_bitmap)
{
    static uint64_t bitmap[3 * PAGES_OF_GIB / 64];
    struct fake fake = {.device = {.ops = &ops}};
    struct error error = ERROR_INIT;

    bitmap[0] = 0x10;
    cr_assert(device_log_report(&fake.device, 4 * GIB, 2 * GIB + 8192, bitmap, &error) == 0, "%s", error.text);
    cr_expect(fake.reports == 3 && fake.report_iova[1] == 5 * GIB && fake.report_length[2] == 8192);
    cr_expect(bitmap[0] == 0x11 && bitmap[PAGES_OF_GIB / 64] == 1 && bitmap[2 * PAGES_OF_GIB / 64] == 1);
    cr_expect(bitmap[1] == 0);
}

Test(device_log, of_the_vmm_is_joined_where_the_backend_has_one)
{
    struct fake fake = {.device = {.ops = &ops}, .own_pages = 0x4};
    struct error error = ERROR_INIT;
    uint64_t bitmap[1] = {1};

    cr_expect(device_log_take_own(&fake.device, 0, 64 * 4096, bitmap, &error) == 0 && bitmap[0] == 1);
    fake.device.ops = &ops_with_own;
    cr_expect(device_log_take_own(&fake.device, 0, 64 * 4096, bitmap, &error) == 0 && bitmap[0] == 5);
}

static bool iommu_exact(struct vfio_device *device)
{
    (void)device;
    return true;
}

static int iommu_log(struct vfio_device *device, bool on, struct error *error)
{
    (void)device, (void)on, (void)error;
    return 0;
}

Test(dirty_log, auto_takes_the_devices_then_the_iommus_own_then_all_pages)
{
    static const struct vfio_device_ops ops_exact = {
        .feature = feature, .iommu_log = iommu_log, .iommu_log_is_exact = iommu_exact};
    static const struct vfio_device_ops ops_vague = {.feature = feature, .iommu_log = iommu_log};
    struct fake fake = {.device = {.ops = &ops_exact}};
    enum dirty_log chosen;

    cr_expect(dirty_log_choose(&fake.device, DIRTY_LOG_AUTO, &chosen, NULL) == 0 && chosen == DIRTY_LOG_DEVICE);
    fake.probe_error = ENOTTY;
    cr_expect(dirty_log_choose(&fake.device, DIRTY_LOG_AUTO, &chosen, NULL) == 0 && chosen == DIRTY_LOG_IOMMU);
    fake.device.ops = &ops_vague;
    cr_expect(dirty_log_choose(&fake.device, DIRTY_LOG_AUTO, &chosen, NULL) == 0 && chosen == DIRTY_LOG_ALL_PAGES);
    cr_expect(dirty_log_choose(&fake.device, DIRTY_LOG_IOMMU, &chosen, NULL) == 0 && chosen == DIRTY_LOG_IOMMU);
}

Test(dirty_log, one_that_was_wished_for_and_is_not_there_is_refused)
{
    struct fake fake = {.device = {.ops = &ops}, .probe_error = ENOTTY};
    struct error error = ERROR_INIT;
    enum dirty_log chosen;

    cr_expect(dirty_log_choose(&fake.device, DIRTY_LOG_DEVICE, &chosen, &error) == -1);
    cr_expect(strstr(error.text, "no log of its DMA"), "%s", error.text);
    cr_expect(dirty_log_choose(&fake.device, DIRTY_LOG_IOMMU, &chosen, &error) == -1);
    cr_expect(strstr(error.text, "no IOMMU"), "%s", error.text);
    cr_expect(dirty_log_choose(&fake.device, DIRTY_LOG_NONE, &chosen, &error) == 0 && chosen == DIRTY_LOG_NONE);
    fake.probe_error = ETIMEDOUT;
    cr_expect(dirty_log_choose(&fake.device, DIRTY_LOG_AUTO, &chosen, &error) == -1 && error.number == ETIMEDOUT);
}

Test(dirty_log, is_chosen_by_its_name)
{
    struct error error = ERROR_INIT;
    enum dirty_log log;

    for (unsigned int i = DIRTY_LOG_AUTO; i <= DIRTY_LOG_NONE; i++)
        cr_expect(dirty_log_parse(dirty_log_name((enum dirty_log)i), &log, &error) == 0 && log == (enum dirty_log)i);
    cr_expect(dirty_log_parse("kvm", &log, &error) == -1);
    cr_expect(strstr(error.text, "auto, device, iommu, all-pages and none"), "%s", error.text);
}
