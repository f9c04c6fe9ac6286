/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/vfio/migration.h"

#include <errno.h>

int migration_get_flags(struct vfio_device *device, uint64_t *flags, struct error *error)
{
    struct vfio_device_feature_migration migration = {.flags = 0};
    struct error cause = ERROR_INIT;

    *flags = 0;
    if (device->ops->feature(device, VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_MIGRATION, &migration,
                             sizeof(migration), &cause) == 0) {
        *flags = migration.flags;
        return 0;
    }
    if (cause.number == ENOTTY || cause.number == EINVAL || cause.number == EOPNOTSUPP)
        return 0;
    if (error)
        *error = cause;
    return -1;
}

int migration_get_state(struct vfio_device *device, unsigned int *state, struct error *error)
{
    struct vfio_device_feature_mig_state mig_state = {.data_fd = -1};

    if (device->ops->feature(device, VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE, &mig_state,
                             sizeof(mig_state), error) < 0)
        return -1;
    *state = mig_state.device_state;
    return 0;
}

int migration_set_state(struct vfio_device *device, unsigned int state, struct error *error)
{
    struct vfio_device_feature_mig_state mig_state = {.device_state = state, .data_fd = -1};

    return device->ops->feature(device, VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE, &mig_state,
                                sizeof(mig_state), error);
}

bool migration_use_precopy_info_v2(struct vfio_device *device)
{
    return device->ops->feature(device, VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_MIG_PRECOPY_INFOv2, NULL, 0,
                                NULL) == 0;
}

int migration_get_data_size(struct vfio_device *device, uint64_t *bytes, struct error *error)
{
    struct vfio_device_feature_mig_data_size size = {.stop_copy_length = 0};
    struct error cause = ERROR_INIT;

    if (device->ops->feature(device, VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_MIG_DATA_SIZE, &size, sizeof(size),
                             &cause) == 0) {
        *bytes = size.stop_copy_length;
        return 0;
    }
    /* Older kernels and other servers have as many ways to say that they do not know a feature. */
    if (cause.number == EINVAL || cause.number == EOPNOTSUPP)
        cause.number = ENOTTY;
    if (error)
        *error = cause;
    return -1;
}

int migration_read_failed(struct vfio_data_session *session, uint64_t bytes, struct error *error)
{
    struct error cause = error ? *error : (struct error)ERROR_INIT;

    error_rule(error, cause.rule[0] ? cause.rule : "device/read-failed", 0,
               "%s: reading its state failed after %llu bytes: %s", session->device->name, (unsigned long long)bytes,
               cause.text);
    if (error)
        error->number = cause.number;
    return -1;
}

int migration_check_end(struct vfio_data_session *session, void *buffer, size_t buffer_size, uint64_t bytes,
                        struct error *error)
{
    size_t count = 0;
    enum vfio_data_result result = session->device->ops->session_read(session, buffer, buffer_size, &count, error);

    if (result == VFIO_DATA_ERROR)
        return migration_read_failed(session, bytes, error);
    if (result == VFIO_DATA_END && !count)
        return 0;
    return error_rule(error, "device/data-after-end", 0,
                      "%s: its stream came to its end after %llu bytes, and then went on: a read in the middle was "
                      "short",
                      session->device->name, (unsigned long long)bytes);
}

int migration_read_to_end(struct vfio_data_session *session, void *buffer, size_t buffer_size, migration_sink sink,
                          void *context, uint64_t *bytes, struct error *error)
{
    const struct vfio_device_ops *ops = session->device->ops;

    *bytes = 0;
    for (;;) {
        size_t count;
        enum vfio_data_result result = ops->session_read(session, buffer, buffer_size, &count, error);

        if (result == VFIO_DATA_ERROR)
            return migration_read_failed(session, *bytes, error);
        if (result == VFIO_DATA_AGAIN)
            return error_rule(
                error, "device/enomsg-in-stop-copy", ENOMSG,
                "%s: the stream has an end for the time being where it must have its end, after %llu bytes",
                session->device->name, (unsigned long long)*bytes);
        if (count && sink(context, buffer, count, error) < 0)
            return -1;
        *bytes += count;
        if (result == VFIO_DATA_END)
            return 0;
    }
}

int migration_read_all(struct vfio_data_session *session, void *buffer, size_t buffer_size, migration_sink sink,
                       void *context, uint64_t *bytes, struct error *error)
{
    if (migration_read_to_end(session, buffer, buffer_size, sink, context, bytes, error) < 0)
        return -1;
    return migration_check_end(session, buffer, buffer_size, *bytes, error);
}

int migration_write_all(struct vfio_data_session *session, const void *data, size_t size, struct error *error)
{
    const struct vfio_device_ops *ops = session->device->ops;

    for (size_t done = 0; done < size;) {
        ssize_t count = ops->session_write(session, (const char *)data + done, size - done, error);

        if (count < 0)
            return -1;
        done += (size_t)count;
    }
    return 0;
}
