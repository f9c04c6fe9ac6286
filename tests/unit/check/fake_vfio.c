/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/check/fake_vfio.h"

#include <errno.h>
#include <fcntl.h>
#include <isa-l/crc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "vmm/vfio/fsm.h"

#define STATE(name) VFIO_DEVICE_STATE_##name
#define CONTENT 64u
#define HEADER 8u
#define LENGTH (HEADER + CONTENT + 4u)
#define INITIAL 40u /* of it in PRE_COPY */
#define LEAKS_MAX 256
#define TIRES_AFTER 100

struct fake {
    struct vfio_device device;
    struct fake_source *source;
    enum defect defect;
    unsigned int state;
    unsigned int shown; /* once, in place of it */
    bool shows;
    uint64_t generation; /* of the session */
    bool pending;
    uint8_t content[CONTENT];
    uint8_t stream[LENGTH];
    size_t position;
    size_t dropped; /* where STOP_COPY begins, with a defect */
    uint8_t received[2 * LENGTH + 8192];
    size_t received_size;
    bool refused;
    bool hangs;
    bool saved; /* once */
    bool refuses_all;
    unsigned int sets, loads, saves, gets, resets;
    int gone;
    int leak[LEAKS_MAX];
    unsigned int leaks;
};

struct fake_session {
    struct vfio_data_session session;
    uint64_t generation;
};

static struct fake *fake_of(struct vfio_device *device)
{
    return (struct fake *)device;
}

static bool is_saving(unsigned int state)
{
    return state == STATE(PRE_COPY) || state == STATE(PRE_COPY_P2P) || state == STATE(STOP_COPY);
}

static uint32_t checksum(const uint8_t *data, size_t size)
{
    return ~crc32_iscsi((unsigned char *)data, (int)size, ~0u);
}

static void make_stream(struct fake *fake)
{
    uint32_t length = LENGTH;
    uint32_t sum;

    memcpy(fake->stream, "FAKE", 4);
    memcpy(fake->stream + 4, &length, 4);
    memcpy(fake->stream + HEADER, fake->content, CONTENT);
    if (fake->defect == DEFECT_COUNTER_IN_STREAM)
        fake->stream[HEADER] = (uint8_t)++fake->saves;
    sum = checksum(fake->stream, HEADER + CONTENT);
    memcpy(fake->stream + HEADER + CONTENT, &sum, 4);
}

static bool is_good(const struct fake *fake)
{
    const uint8_t *data = fake->received;
    size_t size = fake->received_size;
    uint32_t sum;

    if (fake->defect == DEFECT_EMPTY_TAKEN && !size)
        return true;
    if (fake->defect == DEFECT_TRUNCATED_TAKEN && size)
        return true;
    if (fake->defect == DEFECT_FOREIGN_TAKEN && size >= 4 && memcmp(data, "FAKE", 4))
        return true;
    if (size != LENGTH && !(fake->defect == DEFECT_EXTENDED_TAKEN && size > LENGTH))
        return false;
    sum = checksum(data, HEADER + CONTENT);
    return fake->defect == DEFECT_CHANGED_TAKEN || fake->defect == DEFECT_CHANGED_HANGS ||
           (!memcmp(data, "FAKE", 4) && !memcmp(data + HEADER + CONTENT, &sum, 4));
}

/* RESUMING to STOP. */
static int finish_load(struct fake *fake)
{
    uint32_t sum = checksum(fake->received, HEADER + CONTENT);
    bool refused = fake->refused && fake->defect != DEFECT_REFUSAL_FORGOTTEN;

    if (fake->defect == DEFECT_DIES && !fake->received_size)
        eventfd_write(fake->gone, 1);
    if (refused || (!is_good(fake) && !(fake->refused && fake->defect == DEFECT_REFUSAL_FORGOTTEN)) ||
        (fake->defect == DEFECT_LOADS_ONCE && fake->loads) || (fake->defect == DEFECT_RESET_HURTS && fake->resets))
        return EINVAL;
    fake->loads++;
    memcpy(fake->content, fake->received + HEADER, CONTENT);
    if (fake->defect == DEFECT_LOAD_LOSES_BYTE)
        fake->content[5] = 0;
    fake->hangs = fake->defect == DEFECT_CHANGED_HANGS && memcmp(fake->received + HEADER + CONTENT, &sum, 4);
    return 0;
}

static void leave_session(struct fake *fake)
{
    fake->generation++;
    fake->pending = false;
}

static void open_session(struct fake *fake, unsigned int to)
{
    fake->generation++;
    fake->pending = true;
    if (fake->defect != DEFECT_REST_KEPT || to != STATE(RESUMING))
        fake->received_size = 0;
    fake->refused = false;
    if (fake->defect != DEFECT_CANCEL_GOES_ON || !fake->position || fake->position == LENGTH)
        fake->position = 0;
    make_stream(fake);
    if (fake->defect == DEFECT_LEAK && fake->leaks < LEAKS_MAX)
        fake->leak[fake->leaks++] = eventfd(0, EFD_CLOEXEC);
}

static int go(struct fake *fake, unsigned int to)
{
    struct fsm_path path = fsm_find_path(fake->source->flags, fake->state, to);
    unsigned int from = fake->state;

    if (from == STATE(RESUMING) && to != from) {
        int failed = finish_load(fake);

        if (failed) {
            if (fake->defect == DEFECT_REFUSED_IN_STOP)
                fake->state = STATE(STOP);
            if (fake->defect == DEFECT_ERROR_LEFT)
                fake->state = STATE(ERROR);
            return failed;
        }
        fake->state = STATE(STOP);
    }
    if (is_saving(from) && is_saving(to) && from != STATE(STOP_COPY) && to == STATE(STOP_COPY) &&
        fake->defect == DEFECT_EARLY_DROPS && fake->position < INITIAL)
        fake->position = INITIAL;
    if ((is_saving(from) && !is_saving(to)) || (from == STATE(RESUMING) && to != from))
        leave_session(fake);
    if (path.opens_session || (fake->defect == DEFECT_SESSION_AGAIN && is_saving(from) && is_saving(to) && from != to))
        open_session(fake, to);
    fake->shows = fake->defect == DEFECT_STATE_LATE;
    fake->shown = from;
    fake->state = to;
    fake->gets = 0;
    return 0;
}

/* What a defect makes of a request that has no path, or that has one. 0: as it should be. */
static int spoil(struct fake *fake, unsigned int to, bool *taken)
{
    *taken = (fake->defect == DEFECT_ERROR_TAKEN && to == STATE(ERROR)) ||
             (fake->defect == DEFECT_PAST_LAST_TAKEN && to >= MIGRATION_STATES) ||
             (fake->defect == DEFECT_OPTIONAL_TAKEN && to < MIGRATION_STATES && to != STATE(ERROR) &&
              !fsm_state_offered(fake->source->flags, to)) ||
             (fake->defect == DEFECT_BACK_TO_PRE_COPY && fake->state == STATE(STOP_COPY) && to == STATE(PRE_COPY)) ||
             (fake->defect == DEFECT_ERROR_LEFT && fake->state == STATE(ERROR) && to == STATE(STOP));
    if (fake->defect == DEFECT_NO_WAY_BACK && fake->state == STATE(STOP) && to == STATE(RUNNING))
        return EINVAL;
    if (fake->defect == DEFECT_SAME_STATE_REFUSED && fake->state == to)
        return EINVAL;
    if ((fake->defect == DEFECT_SAVED_NO_LOAD && fake->saved && to == STATE(RESUMING)) ||
        (fake->defect == DEFECT_LOADED_NO_SAVE && fake->loads && to == STATE(STOP_COPY)))
        return EINVAL;
    fake->saved |= to == STATE(STOP_COPY);
    if (fake->defect == DEFECT_TIRES && ++fake->sets % TIRES_AFTER == 0)
        return EINVAL;
    return fake->hangs && to == STATE(RUNNING) ? EIO : 0;
}

static int set_state(struct fake *fake, unsigned int to)
{
    bool taken;
    int failed = spoil(fake, to, &taken);

    if (failed)
        return failed;
    if (taken) {
        if (to < MIGRATION_STATES && to != STATE(ERROR))
            fake->state = to;
        return 0;
    }
    if (!fsm_find_path(fake->source->flags, fake->state, to).allowed) {
        if (fake->defect == DEFECT_REFUSAL_MOVES && fake->state == STATE(RUNNING))
            fake->state = STATE(STOP);
        return EINVAL;
    }
    return go(fake, to);
}

static unsigned int get_state(struct fake *fake)
{
    if (fake->defect == DEFECT_ASYNCHRONOUS && fake->state == STATE(STOP_COPY) && ++fake->gets > 2)
        fake->state = STATE(STOP);
    if (!fake->shows)
        return fake->state;
    fake->shows = false;
    return fake->shown;
}

static int execute(struct fake *fake, uint32_t flags, void *data, size_t size)
{
    struct vfio_device_feature_mig_state *state = data;
    bool set = flags & VFIO_DEVICE_FEATURE_SET;
    uint64_t value;

    switch (flags & VFIO_DEVICE_FEATURE_MASK) {
    case VFIO_DEVICE_FEATURE_MIGRATION:
        if (!set && (flags & VFIO_DEVICE_FEATURE_GET))
            memcpy(data, &fake->source->flags, size < 8 ? size : 8);
        return 0;
    case VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE:
        if (size < sizeof(*state))
            return 0;
        if (set && !(flags & VFIO_DEVICE_FEATURE_GET))
            return set_state(fake, state->device_state);
        state->device_state = get_state(fake);
        return 0;
    case VFIO_DEVICE_FEATURE_MIG_DATA_SIZE:
        value = fake->defect == DEFECT_SIZE_ZERO ? 0 : LENGTH;
        memcpy(data, &value, sizeof(value));
        return 0;
    default:
        return fake->defect == DEFECT_UNKNOWN_FEATURE || fake->defect == DEFECT_PROBE_OF_ALL ? 0 : ENOTTY;
    }
}

/* The methods of a feature. 0: there is none such. */
static uint32_t methods_of(uint32_t feature)
{
    switch (feature) {
    case VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE:
        return VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_SET;
    case VFIO_DEVICE_FEATURE_MIGRATION:
    case VFIO_DEVICE_FEATURE_MIG_DATA_SIZE:
        return VFIO_DEVICE_FEATURE_GET;
    default:
        return 0;
    }
}

static int probe(const struct fake *fake, uint32_t feature, uint32_t methods, size_t size)
{
    if (fake->defect == DEFECT_PROBE_OF_ALL)
        return 0;
    if (fake->defect == DEFECT_PROBE_FAILS || (fake->defect == DEFECT_PROBE_WANTS_DATA && !size))
        return EINVAL;
    return methods_of(feature) && !(methods & ~methods_of(feature)) ? 0 : ENOTTY;
}

static int check_request(const struct fake *fake, uint32_t flags, size_t size)
{
    const uint32_t both = VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_SET;
    uint32_t methods = flags & both;
    uint32_t feature = flags & VFIO_DEVICE_FEATURE_MASK;

    if (flags & ~(VFIO_DEVICE_FEATURE_MASK | both | VFIO_DEVICE_FEATURE_PROBE) && fake->defect != DEFECT_UNKNOWN_FLAGS)
        return EINVAL;
    if ((!methods && fake->defect != DEFECT_NO_METHOD) || (methods == both && fake->defect != DEFECT_GET_AND_SET))
        return EINVAL;
    if (methods_of(feature) && methods & ~methods_of(feature) && methods != both && fake->defect != DEFECT_SET_OF_FLAGS)
        return EINVAL;
    return size < 8 && fake->defect != DEFECT_ARGSZ ? EINVAL : 0;
}

static int feature(struct vfio_device *device, uint32_t flags, void *data, size_t size, struct error *error)
{
    struct fake *fake = fake_of(device);
    uint32_t methods = flags & (VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_SET);
    int failed;

    if (flags & VFIO_DEVICE_FEATURE_PROBE)
        failed = probe(fake, flags & VFIO_DEVICE_FEATURE_MASK, methods, size);
    else
        failed = check_request(fake, flags, size);
    if (!failed && !(flags & VFIO_DEVICE_FEATURE_PROBE))
        failed = execute(fake, flags, data, size);
    return failed ? error_set(error, failed, "fake: flags 0x%x", flags) : 0;
}

static struct vfio_data_session *take_session(struct vfio_device *device)
{
    struct fake *fake = fake_of(device);
    struct fake_session *session;

    if (!fake->pending)
        return NULL;
    fake->pending = false;
    session = calloc(1, sizeof(*session));
    session->session.device = device;
    session->generation = fake->generation;
    return &session->session;
}

static void session_close(struct vfio_data_session *session)
{
    free(session);
}

static bool has_ended(const struct vfio_data_session *session)
{
    const struct fake *fake = fake_of(session->device);
    bool kept = fake->defect == DEFECT_OLD_SESSION || (fake->defect == DEFECT_RESET_KEEPS_SESSION && fake->resets);

    return ((const struct fake_session *)session)->generation != fake->generation && !kept;
}

static enum vfio_data_result at_limit(const struct fake *fake)
{
    if (fake->state == STATE(PRE_COPY) || fake->state == STATE(PRE_COPY_P2P))
        return fake->defect == DEFECT_END_IN_PRE_COPY ? VFIO_DATA_END : VFIO_DATA_AGAIN;
    return fake->defect == DEFECT_ENOMSG_IN_STOP_COPY ? VFIO_DATA_AGAIN : VFIO_DATA_END;
}

static enum vfio_data_result session_read(struct vfio_data_session *session, void *data, size_t size, size_t *count,
                                          struct error *error)
{
    struct fake *fake = fake_of(session->device);
    bool pre_copy = fake->state == STATE(PRE_COPY) || fake->state == STATE(PRE_COPY_P2P);
    size_t limit = pre_copy ? INITIAL : LENGTH;
    size_t left = fake->position < limit ? limit - fake->position : 0;
    size_t part = size < left ? size : left;

    *count = 0;
    if (has_ended(session)) {
        error_set(error, ENODEV, "fake: the session has ended");
        return VFIO_DATA_ERROR;
    }
    if (fake->defect == DEFECT_OLD_SESSION && fake->state != STATE(STOP_COPY))
        left = part = 1;
    if (!left && fake->defect == DEFECT_DATA_AFTER_END && fake->state == STATE(STOP_COPY) && fake->sets++ % 2)
        left = part = 1;
    if (!left)
        return at_limit(fake);
    memcpy(data, fake->stream + fake->position % LENGTH,
           part < LENGTH - fake->position % LENGTH ? part : LENGTH - fake->position % LENGTH);
    *count = part;
    fake->position += fake->defect == DEFECT_READ_DROPS && part == 7 ? 8 : part;
    return VFIO_DATA_DATA;
}

static ssize_t session_write(struct vfio_data_session *session, const void *data, size_t size, struct error *error)
{
    struct fake *fake = fake_of(session->device);
    size_t room = sizeof(fake->received) - fake->received_size;

    if (has_ended(session))
        return error_set(error, ENODEV, "fake: the session has ended");
    if (fake->state != STATE(RESUMING))
        return fake->defect == DEFECT_OLD_SESSION || fake->defect == DEFECT_RESET_KEEPS_SESSION
                   ? 1
                   : error_set(error, EINVAL, "fake: not in RESUMING");
    if (fake->defect == DEFECT_EMPTY_WRITE && !size)
        fake->refuses_all = true;
    if (fake->refuses_all)
        return error_set(error, EIO, "fake: broken by an empty write");
    if (fake->defect == DEFECT_WRITE_WANTS_HEADER && !fake->received_size && size < HEADER)
        return error_set(error, EINVAL, "fake: no header");
    if (fake->defect == DEFECT_REFUSAL_FORGOTTEN && !fake->received_size && size >= 4 && memcmp(data, "FAKE", 4)) {
        fake->refused = true;
        return error_set(error, EINVAL, "fake: no magic");
    }
    memcpy(fake->received + fake->received_size, data, size < room ? size : room);
    fake->received_size += size < room ? size : room;
    return (ssize_t)size;
}

static int precopy_info(struct vfio_data_session *session, struct vfio_precopy_info *info, struct error *error)
{
    struct fake *fake = fake_of(session->device);
    bool pre_copy = fake->state == STATE(PRE_COPY) || fake->state == STATE(PRE_COPY_P2P);

    if (fake->defect == DEFECT_NO_INFO)
        return error_set(error, ENOTTY, "fake: no PRECOPY_INFO");
    if (has_ended(session) || (!pre_copy && fake->defect != DEFECT_INFO_ANYWHERE))
        return error_set(error, EINVAL, "fake: not in PRE_COPY");
    info->flags = 0;
    info->initial_bytes =
        fake->defect == DEFECT_INITIAL_ZERO || fake->position > INITIAL ? 0 : INITIAL - fake->position;
    info->dirty_bytes = fake->defect == DEFECT_DIRTY_AT_FIRST || (fake->defect == DEFECT_ALWAYS_LEFT && fake->position);
    return 0;
}

static int reset(struct vfio_device *device, struct error *error)
{
    struct fake *fake = fake_of(device);

    (void)error;
    fake->resets++;
    fake->saved = false;
    fake->hangs = false;
    fake->position = 0;
    leave_session(fake);
    if (fake->defect == DEFECT_RESET_STAYS && fake->state == STATE(STOP))
        return 0;
    fake->state = STATE(RUNNING);
    return 0;
}

static int get_info(struct vfio_device *device, struct vfio_device_info_summary *info, struct error *error)
{
    bool unsaid = fake_of(device)->defect == DEFECT_RESET_UNSAID;

    (void)error;
    *info = (struct vfio_device_info_summary){.flags = unsaid ? 0 : VFIO_DEVICE_FLAGS_RESET};
    return 0;
}

static int no_region(struct vfio_device *device, uint32_t region, uint64_t offset, void *data, size_t count,
                     struct error *error)
{
    (void)device, (void)offset, (void)data, (void)count;
    return error_set(error, EINVAL, "fake: no region %u", region);
}

static int gone_fd(struct vfio_device *device)
{
    return fake_of(device)->gone;
}

static void close_fake(struct vfio_device *device)
{
    struct fake *fake = fake_of(device);

    for (unsigned int i = 0; i < fake->leaks; i++)
        close(fake->leak[i]);
    close(fake->gone);
    fake->source->kept_state = fake->defect == DEFECT_STATE_KEPT ? STATE(STOP) : STATE(RUNNING);
    free(fake);
}

static const struct vfio_device_ops ops = {
    .name = "fake",
    .close = close_fake,
    .get_info = get_info,
    .region_read = no_region,
    .reset = reset,
    .feature = feature,
    .take_session = take_session,
    .session_read = session_read,
    .session_write = session_write,
    .session_precopy_info = precopy_info,
    .session_close = session_close,
    .gone_fd = gone_fd,
};

static struct vfio_device *open_fake(void *opaque, struct error *error)
{
    struct fake_source *source = opaque;
    struct fake *fake = calloc(1, sizeof(*fake));

    (void)error;
    fake->device.ops = &ops;
    strcpy(fake->device.name, "fake");
    fake->source = source;
    fake->defect = source->defect;
    fake->state = source->opened++ ? source->kept_state : STATE(RUNNING);
    fake->gone = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    for (unsigned int i = 0; i < CONTENT; i++)
        fake->content[i] = (uint8_t)(i + 1);
    return &fake->device;
}

static void close_by_opener(void *opaque, struct vfio_device *device)
{
    (void)opaque;
    vfio_device_close(device);
}

static int foreign_image(void *opaque, struct buffer *image, struct error *error)
{
    (void)opaque, (void)error;
    buffer_put(image, "another device's stream, which is long enough to have all that this one wants to see in it", 90);
    return 0;
}

struct check_opener fake_opener(struct fake_source *source)
{
    return (struct check_opener){
        .opaque = source, .open = open_fake, .close = close_by_opener, .foreign_image = foreign_image};
}
