/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/check/shim.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <linux/pci_regs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TIMEOUT_NS 10000000000u

static struct shim *shim_of(struct vfio_device *device)
{
    return (struct shim *)device;
}

static struct vfio_device *real_of(struct vfio_device *device)
{
    return shim_of(device)->real.device;
}

static bool stopped(const struct shim *shim)
{
    return shim->state == VFIO_DEVICE_STATE_STOP || shim->state == VFIO_DEVICE_STATE_STOP_COPY;
}

static int get_info(struct vfio_device *device, struct vfio_device_info_summary *info, struct error *error)
{
    return real_of(device)->ops->get_info(real_of(device), info, error);
}

static int get_region(struct vfio_device *device, uint32_t index, struct vfio_region *region, struct error *error)
{
    return real_of(device)->ops->get_region(real_of(device), index, region, error);
}

static int get_irq(struct vfio_device *device, uint32_t index, struct vfio_irq *irq, struct error *error)
{
    return real_of(device)->ops->get_irq(real_of(device), index, irq, error);
}

static int region_read(struct vfio_device *device, uint32_t region, uint64_t offset, void *data, size_t count,
                       struct error *error)
{
    struct shim *shim = shim_of(device);
    bool config = region == VFIO_PCI_CONFIG_REGION_INDEX && stopped(shim);

    if (config && shim->config_in_stop)
        return error_set(error, EIO, "the shim");
    if (real_of(device)->ops->region_read(real_of(device), region, offset, data, count, error) < 0)
        return -1;
    if (config && shim->config_changes && offset <= PCI_BASE_ADDRESS_0 && offset + count > PCI_BASE_ADDRESS_0 + 3)
        ((uint8_t *)data)[PCI_BASE_ADDRESS_0 + 3 - offset] ^= 0x10;
    return 0;
}

static int region_write(struct vfio_device *device, uint32_t region, uint64_t offset, const void *data, size_t count,
                        struct error *error)
{
    return real_of(device)->ops->region_write(real_of(device), region, offset, data, count, error);
}

static int set_irqs(struct vfio_device *device, uint32_t flags, uint32_t index, uint32_t start, uint32_t count,
                    const void *data, size_t data_size, struct error *error)
{
    struct shim *shim = shim_of(device);

    if (shim->set_irqs_in_stop && stopped(shim))
        return error_set(error, EINVAL, "the shim");
    if (flags & VFIO_IRQ_SET_DATA_EVENTFD && !start)
        shim->trigger = ((const int *)data)[0];
    return real_of(device)->ops->set_irqs(real_of(device), flags, index, start, count, data, data_size, error);
}

static int dma_map(struct vfio_device *device, uint64_t iova, uint64_t size, void *host, int fd, uint64_t offset,
                   bool writable, struct error *error)
{
    if (!shim_of(device)->memory)
        shim_of(device)->memory = (uint8_t *)host + size - 1;
    return real_of(device)->ops->dma_map(real_of(device), iova, size, host, fd, offset, writable, error);
}

static int dma_unmap(struct vfio_device *device, uint64_t iova, uint64_t size, struct error *error)
{
    return real_of(device)->ops->dma_unmap(real_of(device), iova, size, error);
}

static int take_own_dirty(struct vfio_device *device, uint64_t iova, uint64_t size, uint64_t page_size,
                          uint64_t *bitmap, struct error *error)
{
    return real_of(device)->ops->take_own_dirty(real_of(device), iova, size, page_size, bitmap, error);
}

static int reset(struct vfio_device *device, struct error *error)
{
    shim_of(device)->state = VFIO_DEVICE_STATE_RUNNING;
    return real_of(device)->ops->reset(real_of(device), error);
}

/* After the stop: the write comes in the middle of the time for which the device is watched. */
static void *write_late(void *context)
{
    struct shim *shim = context;

    while (!atomic_load(&shim->end_late)) {
        usleep(1000);
        (*shim->memory)++;
    }
    return NULL;
}

static void begin_late(struct shim *shim)
{
    if (!shim->write_in_stop || shim->late_runs)
        return;
    atomic_store(&shim->end_late, false);
    cr_assert_eq(pthread_create(&shim->late, NULL, write_late, shim), 0);
    shim->late_runs = true;
}

static void end_late(struct shim *shim)
{
    if (!shim->late_runs)
        return;
    atomic_store(&shim->end_late, true);
    pthread_join(shim->late, NULL);
    shim->late_runs = false;
}

static void *interrupt_late(void *context)
{
    struct shim *shim = context;
    const uint64_t one = 1;

    while (!atomic_load(&shim->end_late)) {
        usleep(1000);
        cr_assert_eq(write(shim->trigger, &one, sizeof(one)), sizeof(one));
    }
    return NULL;
}

static void begin_interrupts(struct shim *shim)
{
    if (!shim->interrupt_in_stop || shim->late_runs)
        return;
    atomic_store(&shim->end_late, false);
    cr_assert_eq(pthread_create(&shim->late, NULL, interrupt_late, shim), 0);
    shim->late_runs = true;
}

static int set_state(struct shim *shim, uint32_t flags, struct vfio_device_feature_mig_state *state, size_t size,
                     struct error *error)
{
    unsigned int wanted = state->device_state;

    if (shim->real.device->ops->feature(shim->real.device, flags, state, size, error) < 0)
        return -1;
    shim->state = wanted;
    end_late(shim);
    if (stopped(shim)) {
        begin_late(shim);
        begin_interrupts(shim);
    } else if (wanted == VFIO_DEVICE_STATE_RUNNING && shim->loses_work) {
        uint32_t zero = 0;

        /* Queue 0 is not enabled any more: what was in flight is dropped. */
        shim->real.device->ops->region_write(shim->real.device, 0, 0x420, &zero, sizeof(zero), error);
    }
    return 0;
}

static int start(struct shim *shim, uint32_t flags, void *data, size_t size, struct error *error)
{
    if (shim->start_anything || (shim->start_twice && shim->logging)) {
        shim->logging = true;
        return 0;
    }
    if (shim->real.device->ops->feature(shim->real.device, flags, data, size, error) < 0)
        return -1;
    shim->logging = true;
    return 0;
}

static int stop(struct shim *shim, uint32_t flags, void *data, size_t size, struct error *error)
{
    struct error refusal = ERROR_INIT;
    int status = shim->real.device->ops->feature(shim->real.device, flags, data, size, &refusal);

    shim->logging = false;
    if (status < 0 && (shim->stop_unstarted || shim->start_anything))
        return 0;
    if (status < 0)
        *error = refusal;
    return status;
}

static void falsify(struct shim *shim, const struct vfio_device_feature_dma_logging_report *report)
{
    uint64_t *bitmap = (uint64_t *)(uintptr_t)report->bitmap;
    uint64_t pages = report->length / report->page_size;

    for (uint64_t i = 0; i < pages; i++) {
        if (shim->report_full)
            bitmap[i / 64] |= UINT64_C(1) << i % 64;
        if (shim->report_drops && bitmap[i / 64] >> i % 64 & 1 && ++shim->bits % shim->report_drops == 0)
            bitmap[i / 64] &= ~(UINT64_C(1) << i % 64);
    }
    if (shim->report_keeps)
        bitmap[0] |= 1;
}

static int report(struct shim *shim, uint32_t flags, void *data, size_t size, struct error *error)
{
    struct error refusal = ERROR_INIT;

    if (shim->real.device->ops->feature(shim->real.device, flags, data, size, &refusal) == 0) {
        falsify(shim, data);
        return 0;
    }
    if (shim->report_unstarted)
        return 0;
    *error = refusal;
    return -1;
}

static int feature(struct vfio_device *device, uint32_t flags, void *data, size_t size, struct error *error)
{
    struct shim *shim = shim_of(device);

    switch (flags) {
    case VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE:
        return set_state(shim, flags, data, size, error);
    case VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_DMA_LOGGING_START:
        return start(shim, flags, data, size, error);
    case VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_DMA_LOGGING_STOP:
        return stop(shim, flags, data, size, error);
    case VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT:
        return report(shim, flags, data, size, error);
    default:
        return shim->real.device->ops->feature(shim->real.device, flags, data, size, error);
    }
}

/* The session is the real device's, and so are the operations on it. */
static struct vfio_data_session *take_session(struct vfio_device *device)
{
    return real_of(device)->ops->take_session(real_of(device));
}

static enum vfio_data_result session_read(struct vfio_data_session *session, void *data, size_t size, size_t *count,
                                          struct error *error)
{
    return session->device->ops->session_read(session, data, size, count, error);
}

static ssize_t session_write(struct vfio_data_session *session, const void *data, size_t size, struct error *error)
{
    return session->device->ops->session_write(session, data, size, error);
}

static int session_precopy_info(struct vfio_data_session *session, struct vfio_precopy_info *info, struct error *error)
{
    return session->device->ops->session_precopy_info(session, info, error);
}

static void session_close(struct vfio_data_session *session)
{
    session->device->ops->session_close(session);
}

static int gone_fd(struct vfio_device *device)
{
    return real_of(device)->ops->gone_fd(real_of(device));
}

static const struct vfio_device_ops ops = {
    .name = "shim",
    .get_info = get_info,
    .get_region = get_region,
    .get_irq = get_irq,
    .region_read = region_read,
    .region_write = region_write,
    .set_irqs = set_irqs,
    .dma_map = dma_map,
    .dma_unmap = dma_unmap,
    .take_own_dirty = take_own_dirty,
    .reset = reset,
    .feature = feature,
    .take_session = take_session,
    .session_read = session_read,
    .session_write = session_write,
    .session_precopy_info = session_precopy_info,
    .session_close = session_close,
    .gone_fd = gone_fd,
};

static void open_real(struct shim *shim)
{
    struct device_spec spec;
    struct error error = ERROR_INIT;
    char program[4096];
    const char *build = getenv("top_builddir");

    snprintf(program, sizeof(program), "%s/stopcopy-device", build ? build : ".");
    cr_assert_eq(device_spec_parse(shim->device.name, &spec, &error), 0, "%s", error.text);
    cr_assert_eq(device_open(&spec, program, TIMEOUT_NS, &shim->real, &error), 0, "%s", error.text);
    device_spec_free(&spec);
    shim->state = VFIO_DEVICE_STATE_RUNNING;
    shim->logging = false;
}

void shim_open(struct shim *shim, const char *text)
{
    *shim = (struct shim){.device = {.ops = &ops}};
    snprintf(shim->device.name, sizeof(shim->device.name), "%s", text);
    open_real(shim);
}

void shim_reopen(struct shim *shim)
{
    shim_close(shim);
    open_real(shim);
}

void shim_close(struct shim *shim)
{
    struct error error = ERROR_INIT;

    end_late(shim);
    cr_assert_eq(device_close(&shim->real, &error), 0, "%s", error.text);
}
