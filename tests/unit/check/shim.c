/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/check/shim.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <linux/pci_regs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#define TIMEOUT_NS 10000000000u
/* Where the real device has no capability: only its registers' place is made up. */
#define POWER_CAPABILITY 0xe0u

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

/* Brings the real device into a state, past the user. */
static void go(struct shim *shim, unsigned int state)
{
    struct vfio_device_feature_mig_state set = {.device_state = state, .data_fd = -1};
    struct error error = ERROR_INIT;

    cr_assert_eq(shim->real.device->ops->feature(shim->real.device,
                                                 VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE, &set,
                                                 sizeof(set), &error),
                 0, "%s", error.text);
    shim->state = state;
}

static unsigned int find_express(struct shim *shim)
{
    uint8_t config[256];
    struct error error = ERROR_INIT;
    unsigned int at;

    cr_assert_eq(shim->real.device->ops->region_read(shim->real.device, VFIO_PCI_CONFIG_REGION_INDEX, 0, config,
                                                     sizeof(config), &error),
                 0, "%s", error.text);
    for (at = config[PCI_CAPABILITY_LIST]; at && config[at] != PCI_CAP_ID_EXP; at = config[at + PCI_CAP_LIST_NEXT])
        ;
    cr_assert_neq(at, 0);
    return at;
}

/* A capability of power management before those that the real device has. */
static void show_power(const struct shim *shim, uint64_t offset, uint8_t *data, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        switch (offset + i) {
        case PCI_CAPABILITY_LIST:
            if (data[i] != POWER_CAPABILITY && count > POWER_CAPABILITY + PCI_PM_CTRL) {
                data[POWER_CAPABILITY - offset] = PCI_CAP_ID_PM;
                data[POWER_CAPABILITY + PCI_CAP_LIST_NEXT - offset] = data[i];
            }
            data[i] = POWER_CAPABILITY;
            break;
        case POWER_CAPABILITY + PCI_PM_CTRL:
            data[i] = shim->power;
            break;
        default:
            break;
        }
    }
}

static int region_read(struct vfio_device *device, uint32_t region, uint64_t offset, void *data, size_t count,
                       struct error *error)
{
    struct shim *shim = shim_of(device);
    bool any_config = region == VFIO_PCI_CONFIG_REGION_INDEX, config = any_config && stopped(shim);

    if (config && shim->config_in_stop)
        return error_set(error, EIO, "the shim");
    if (real_of(device)->ops->region_read(real_of(device), region, offset, data, count, error) < 0)
        return -1;
    if (config && shim->config_changes && offset <= PCI_BASE_ADDRESS_0 && offset + count > PCI_BASE_ADDRESS_0 + 3)
        ((uint8_t *)data)[PCI_BASE_ADDRESS_0 + 3 - offset] ^= 0x10;
    if (any_config && shim->needs_d0)
        show_power(shim, offset, data, count);
    return 0;
}

/* A guest's writes of what some defects are about. */
static void note_config(struct shim *shim, uint64_t offset, const uint8_t *data, size_t count)
{
    unsigned int flr = shim->flr_stops ? find_express(shim) + PCI_EXP_DEVCTL + 1 : 0;

    if (offset == PCI_COMMAND && count >= sizeof(shim->command))
        memcpy(&shim->command, data, sizeof(shim->command));
    if (offset == POWER_CAPABILITY + PCI_PM_CTRL)
        shim->power = data[0] & PCI_PM_CTRL_STATE_MASK;
    if (flr && offset <= flr && offset + count > flr && data[flr - offset] & PCI_EXP_DEVCTL_BCR_FLR >> 8)
        go(shim, VFIO_DEVICE_STATE_STOP);
}

static int region_write(struct vfio_device *device, uint32_t region, uint64_t offset, const void *data, size_t count,
                        struct error *error)
{
    struct shim *shim = shim_of(device);

    if (real_of(device)->ops->region_write(real_of(device), region, offset, data, count, error) < 0)
        return -1;
    if (region == VFIO_PCI_CONFIG_REGION_INDEX)
        note_config(shim, offset, data, count);
    else
        shim->driven = true;
    return 0;
}

static int set_irqs(struct vfio_device *device, uint32_t flags, uint32_t index, uint32_t start, uint32_t count,
                    const void *data, size_t data_size, struct error *error)
{
    struct shim *shim = shim_of(device);

    if (shim->set_irqs_in_stop && stopped(shim))
        return error_set(error, EINVAL, "the shim");
    if (flags & VFIO_IRQ_SET_DATA_EVENTFD && !start)
        shim->trigger = ((const int *)data)[0];
    if (shim->unmask_forgotten && flags & VFIO_IRQ_SET_ACTION_UNMASK)
        return 0;
    return real_of(device)->ops->set_irqs(real_of(device), flags, index, start, count, data, data_size, error);
}

static int dma_map(struct vfio_device *device, uint64_t iova, uint64_t size, void *host, int fd, uint64_t offset,
                   bool writable, struct error *error)
{
    if (!shim_of(device)->memory)
        shim_of(device)->memory = (uint8_t *)host + size - 1;
    return real_of(device)->ops->dma_map(real_of(device), iova, size, host, fd, offset, writable, error);
}

static int dma_map_peer(struct vfio_device *device, uint64_t iova, uint64_t size, void *host, int fd, uint64_t offset,
                        bool writable, struct error *error)
{
    shim_of(device)->peer = host;
    return real_of(device)->ops->dma_map_peer(real_of(device), iova, size, host, fd, offset, writable, error);
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
    struct shim *shim = shim_of(device);
    unsigned int from;
    int status;

    /* Who asks in a loop leaves others their turn. */
    if (shim->like_the_kernel)
        usleep(100);
    pthread_mutex_lock(&shim->lock);
    from = shim->state;
    status = real_of(device)->ops->reset(real_of(device), error);
    shim->state = VFIO_DEVICE_STATE_RUNNING;
    shim->driven = false;
    if (shim->reset_stops && from != VFIO_DEVICE_STATE_RUNNING)
        go(shim, VFIO_DEVICE_STATE_STOP);
    shim->broken |= shim->reset_breaks && !pthread_equal(shim->owner, pthread_self());
    pthread_mutex_unlock(&shim->lock);
    return status;
}

/* After the stop: the write comes in the middle of the time for which the device is watched. */
static void *write_late(void *context)
{
    struct shim *shim = context;

    while (!atomic_load(&shim->end_late)) {
        usleep(1000);
        if (shim->write_in_stop)
            (*shim->memory)++;
        else
            (*shim->peer)++;
    }
    return NULL;
}

static void begin_late(struct shim *shim)
{
    if ((shim->state == VFIO_DEVICE_STATE_RUNNING_P2P ? !shim->writes_to_peer || !shim->peer : !shim->write_in_stop) ||
        shim->late_runs)
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

static bool cannot_be_saved(const struct shim *shim, unsigned int wanted)
{
    if (wanted != VFIO_DEVICE_STATE_STOP_COPY)
        return false;
    return (shim->needs_driver && !shim->driven) || (shim->needs_d0 && shim->power) ||
           (shim->needs_decoding && !(shim->command & PCI_COMMAND_MEMORY)) ||
           (shim->needs_master && !(shim->command & PCI_COMMAND_MASTER));
}

static int set_state(struct shim *shim, uint32_t flags, struct vfio_device_feature_mig_state *state, size_t size,
                     struct error *error)
{
    unsigned int wanted = state->device_state;

    if (shim->broken || cannot_be_saved(shim, wanted))
        return error_set(error, EIO, "the shim");
    if (shim->runs_on && wanted == VFIO_DEVICE_STATE_STOP) {
        shim->state = wanted;
        return 0;
    }
    if (shim->real.device->ops->feature(shim->real.device, flags, state, size, error) < 0)
        return -1;
    shim->state = wanted;
    shim->ended = false;
    shim->broken |= shim->session_breaks && shim->descriptor_given;
    end_late(shim);
    if (wanted == VFIO_DEVICE_STATE_RUNNING_P2P) {
        begin_late(shim);
    } else if (stopped(shim)) {
        begin_late(shim);
        begin_interrupts(shim);
    } else if (wanted == VFIO_DEVICE_STATE_RUNNING && shim->loses_work) {
        uint32_t zero = 0;

        /* Queue 0 is not enabled any more: what was in flight is dropped. */
        shim->real.device->ops->region_write(shim->real.device, 0, 0x420, &zero, sizeof(zero), error);
    }
    return 0;
}

static int get_state(struct shim *shim, uint32_t flags, struct vfio_device_feature_mig_state *state, size_t size,
                     struct error *error)
{
    if (shim->real.device->ops->feature(shim->real.device, flags, state, size, error) < 0)
        return -1;
    if (shim->broken)
        state->device_state = VFIO_DEVICE_STATE_ERROR;
    else if (shim->runs_on)
        state->device_state = shim->state;
    return 0;
}

static int start(struct shim *shim, uint32_t flags, void *data, size_t size, struct error *error)
{
    const struct vfio_device_feature_dma_logging_control *control = data;

    if (shim->start_anything || (shim->start_twice && shim->logging)) {
        shim->logging = true;
        return 0;
    }
    if (shim->real.device->ops->feature(shim->real.device, flags, data, size, error) < 0)
        return -1;
    shim->logging = true;
    memcpy(&shim->logged, (const void *)(uintptr_t)control->ranges, sizeof(shim->logged));
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
    struct vfio_device_feature_dma_logging_report asked = *(struct vfio_device_feature_dma_logging_report *)data;
    struct error refusal = ERROR_INIT;

    if (shim->outside_clears && asked.iova - shim->logged.iova >= shim->logged.length) {
        asked.iova = shim->logged.iova;
        data = &asked;
    }
    if (shim->real.device->ops->feature(shim->real.device, flags, data, size, &refusal) == 0) {
        falsify(shim, data);
        return 0;
    }
    if (shim->report_unstarted)
        return 0;
    *error = refusal;
    return -1;
}

static int ask(struct shim *shim, uint32_t flags, void *data, size_t size, struct error *error)
{
    switch (flags) {
    case VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE:
        return get_state(shim, flags, data, size, error);
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

static int feature(struct vfio_device *device, uint32_t flags, void *data, size_t size, struct error *error)
{
    struct shim *shim = shim_of(device);
    int status;

    pthread_mutex_lock(&shim->lock);
    status = ask(shim, flags, data, size, error);
    pthread_mutex_unlock(&shim->lock);
    return status;
}

struct shim_session {
    struct vfio_data_session session; /* first */
    struct vfio_data_session *real;
    int fd; /* its descriptor, -1: it has none */
};

static struct vfio_data_session *real_session(struct vfio_data_session *session)
{
    return ((struct shim_session *)session)->real;
}

/* What stands for data_fd: nothing to be read from it, or the state for ever. */
static int open_descriptor(const struct shim *shim)
{
    static const char state[] = "the state";
    int fd = shim->descriptor_kept ? memfd_create("state", MFD_CLOEXEC) : eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

    cr_assert(fd >= 0);
    if (shim->descriptor_kept)
        cr_assert(pwrite(fd, state, sizeof(state), 0) == sizeof(state));
    return fd;
}

static struct vfio_data_session *take_session(struct vfio_device *device)
{
    struct shim *shim = shim_of(device);
    struct shim_session *session = calloc(1, sizeof(*session));

    cr_assert_not_null(session);
    session->session.device = device;
    session->fd = shim->like_the_kernel ? open_descriptor(shim) : -1;
    pthread_mutex_lock(&shim->lock);
    session->real = real_of(device)->ops->take_session(real_of(device));
    pthread_mutex_unlock(&shim->lock);
    if (session->real)
        return &session->session;
    if (session->fd >= 0)
        close(session->fd);
    free(session);
    return NULL;
}

static enum vfio_data_result session_read(struct vfio_data_session *session, void *data, size_t size, size_t *count,
                                          struct error *error)
{
    enum vfio_data_result result =
        real_of(session->device)->ops->session_read(real_session(session), data, size, count, error);

    shim_of(session->device)->ended |= result == VFIO_DATA_END;
    return result;
}

static ssize_t session_write(struct vfio_data_session *session, const void *data, size_t size, struct error *error)
{
    return real_of(session->device)->ops->session_write(real_session(session), data, size, error);
}

static int session_precopy_info(struct vfio_data_session *session, struct vfio_precopy_info *info, struct error *error)
{
    return real_of(session->device)->ops->session_precopy_info(real_session(session), info, error);
}

static void session_close(struct vfio_data_session *session)
{
    struct shim *shim = shim_of(session->device);

    pthread_mutex_lock(&shim->lock);
    real_of(session->device)->ops->session_close(real_session(session));
    shim->broken |= shim->session_closed && !shim->ended;
    shim->descriptor_given = false;
    pthread_mutex_unlock(&shim->lock);
    if (((struct shim_session *)session)->fd >= 0)
        close(((struct shim_session *)session)->fd);
    free(session);
}

static int session_descriptor(const struct vfio_data_session *session)
{
    shim_of(session->device)->descriptor_given = true;
    return ((const struct shim_session *)session)->fd;
}

static int gone_fd(struct vfio_device *device)
{
    return shim_of(device)->like_the_kernel ? -1 : real_of(device)->ops->gone_fd(real_of(device));
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
    .dma_map_peer = dma_map_peer,
    .dma_unmap = dma_unmap,
    .take_own_dirty = take_own_dirty,
    .reset = reset,
    .feature = feature,
    .take_session = take_session,
    .session_read = session_read,
    .session_write = session_write,
    .session_precopy_info = session_precopy_info,
    .session_close = session_close,
    .session_descriptor = session_descriptor,
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
    shim->logging = shim->driven = shim->broken = false;
    shim->command = 0;
    shim->power = 0;
    shim->peer = shim->memory = NULL;
}

void shim_open(struct shim *shim, const char *text)
{
    *shim = (struct shim){.device = {.ops = &ops}, .lock = PTHREAD_MUTEX_INITIALIZER, .owner = pthread_self()};
    snprintf(shim->device.name, sizeof(shim->device.name), "%s", text);
    open_real(shim);
}

void shim_reopen(struct shim *shim)
{
    unsigned int state = shim->state;

    shim_close(shim);
    open_real(shim);
    if (shim->close_forgotten && state != VFIO_DEVICE_STATE_RUNNING)
        go(shim, VFIO_DEVICE_STATE_STOP);
}

void shim_close(struct shim *shim)
{
    struct error error = ERROR_INIT;

    end_late(shim);
    cr_assert_eq(device_close(&shim->real, &error), 0, "%s", error.text);
}
