/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/vfio/dirty_log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Bytes of IOVAs in one report: a bitmap of 32 KiB, which every backend and server takes. */
#define REPORT_SIZE (UINT64_C(1) << 30)

/* The ways in which kernels and servers say that they do not know a feature. */
static bool unknown_feature(const struct error *error)
{
    return error->number == ENOTTY || error->number == EINVAL || error->number == EOPNOTSUPP;
}

static const char *const log_names[] = {
    [DIRTY_LOG_AUTO] = "auto",           [DIRTY_LOG_DEVICE] = "device", [DIRTY_LOG_IOMMU] = "iommu",
    [DIRTY_LOG_ALL_PAGES] = "all-pages", [DIRTY_LOG_NONE] = "none",
};

const char *dirty_log_name(enum dirty_log log)
{
    return log_names[log];
}

int dirty_log_parse(const char *text, enum dirty_log *log, struct error *error)
{
    for (unsigned int i = 0; i < sizeof(log_names) / sizeof(log_names[0]); i++) {
        if (!strcmp(text, log_names[i])) {
            *log = (enum dirty_log)i;
            return 0;
        }
    }
    return error_set(error, 0, "'%s' is none of auto, device, iommu, all-pages and none", text);
}

static bool iommu_is_exact(struct vfio_device *device)
{
    return device->ops->iommu_log_is_exact && device->ops->iommu_log_is_exact(device);
}

int dirty_log_choose(struct vfio_device *device, enum dirty_log wish, enum dirty_log *chosen, struct error *error)
{
    int own = 0;

    *chosen = wish;
    if (wish == DIRTY_LOG_AUTO || wish == DIRTY_LOG_DEVICE)
        own = device_log_probe(device, error);
    if (own < 0)
        return -1;
    if (wish == DIRTY_LOG_AUTO)
        *chosen = own ? DIRTY_LOG_DEVICE : iommu_is_exact(device) ? DIRTY_LOG_IOMMU : DIRTY_LOG_ALL_PAGES;
    else if (wish == DIRTY_LOG_DEVICE && !own)
        return error_set(error, EOPNOTSUPP,
                         "%s: it has no log of its DMA (VFIO_DEVICE_FEATURE_DMA_LOGGING_START), and --dirty-log device "
                         "was given",
                         device->name);
    else if (wish == DIRTY_LOG_IOMMU && !device->ops->iommu_log)
        return error_set(error, EOPNOTSUPP, "%s: there is no IOMMU before it, and --dirty-log iommu was given",
                         device->name);
    return 0;
}

int device_log_probe(struct vfio_device *device, struct error *error)
{
    static const uint32_t needed[] = {
        VFIO_DEVICE_FEATURE_PROBE | VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_DMA_LOGGING_START,
        VFIO_DEVICE_FEATURE_PROBE | VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_DMA_LOGGING_STOP,
        VFIO_DEVICE_FEATURE_PROBE | VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT,
    };

    for (size_t i = 0; i < sizeof(needed) / sizeof(needed[0]); i++) {
        struct error cause = ERROR_INIT;

        if (device->ops->feature(device, needed[i], NULL, 0, &cause) == 0)
            continue;
        if (unknown_feature(&cause))
            return 0;
        if (error)
            *error = cause;
        return -1;
    }
    return 1;
}

int device_log_start(struct vfio_device *device, const struct vfio_area *ranges, size_t count, struct error *error)
{
    struct vfio_device_feature_dma_logging_range *list = calloc(count, sizeof(*list));
    struct vfio_device_feature_dma_logging_control control = {
        .page_size = DEVICE_LOG_PAGE_SIZE, .num_ranges = (uint32_t)count, .ranges = (uintptr_t)list};
    int result;

    if (!list)
        return error_set(error, ENOMEM, "%s: DMA_LOGGING_START", device->name);
    for (size_t i = 0; i < count; i++) {
        list[i].iova = ranges[i].offset;
        list[i].length = ranges[i].size;
    }
    result = device->ops->feature(device, VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_DMA_LOGGING_START, &control,
                                  sizeof(control), error);
    free(list);
    return result;
}

bool device_log_runs(struct vfio_device *device)
{
    uint64_t word = 0;
    struct vfio_device_feature_dma_logging_report report = {
        .iova = 0, .length = DEVICE_LOG_PAGE_SIZE, .page_size = DEVICE_LOG_PAGE_SIZE, .bitmap = (uintptr_t)&word};

    return device->ops->feature(device, VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT, &report,
                                sizeof(report), NULL) == 0;
}

int device_log_stop(struct vfio_device *device, struct error *error)
{
    return device->ops->feature(device, VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_DMA_LOGGING_STOP, NULL, 0, error);
}

static int report_failed(const struct vfio_device *device, struct error *error)
{
    struct error cause = error ? *error : (struct error)ERROR_INIT;

    error_rule(error, cause.rule[0] ? cause.rule : "device/log-refused", 0, "%s: its log of DMA cannot be read: %s",
               device->name, cause.text);
    if (error)
        error->number = cause.number;
    return -1;
}

int device_log_report(struct vfio_device *device, uint64_t iova, uint64_t size, uint64_t *bitmap, struct error *error)
{
    for (uint64_t done = 0; done < size; done += REPORT_SIZE) {
        struct vfio_device_feature_dma_logging_report report = {
            .iova = iova + done,
            .length = size - done < REPORT_SIZE ? size - done : REPORT_SIZE,
            .page_size = DEVICE_LOG_PAGE_SIZE,
            .bitmap = (uintptr_t)(bitmap + done / DEVICE_LOG_PAGE_SIZE / 64),
        };

        if (device->ops->feature(device, VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT, &report,
                                 sizeof(report), error) < 0)
            return report_failed(device, error);
    }
    return 0;
}

int device_log_take_own(struct vfio_device *device, uint64_t iova, uint64_t size, uint64_t *bitmap, struct error *error)
{
    if (!device->ops->take_own_dirty)
        return 0;
    return device->ops->take_own_dirty(device, iova, size, DEVICE_LOG_PAGE_SIZE, bitmap, error);
}
