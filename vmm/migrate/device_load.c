/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/migrate/device_load.h"

#include <errno.h>
#include <inttypes.h>

#include "vmm/vfio/migration.h"

int device_load_begin(struct device_load *load, struct device_set *set, uint32_t index, struct error *error)
{
    struct vfio_device *device = set->device[index];

    load->begun = true;
    if (set->state[index] != VFIO_DEVICE_STATE_RESUMING &&
        device_set_arc(set, index, VFIO_DEVICE_STATE_RESUMING, error) < 0)
        return -1;
    load->session = device->ops->take_session(device);
    if (!load->session)
        return error_rule(error, "device/no-session", 0,
                          "device %" PRIu32 " (%s): RESUMING gave no data transfer session (data_fd)", index,
                          device->name);
    return 0;
}

int device_load_data(struct device_load *load, struct device_set *set, const struct stream_record *record,
                     struct error *error)
{
    struct cursor cursor = cursor_over(record->data, record->size);
    uint64_t offset = cursor_get_u64(&cursor);
    const uint8_t *data = (const uint8_t *)record->data + sizeof(offset);
    size_t size = record->size - sizeof(offset);

    if (cursor.failed)
        return error_rule(error, "stream/invalid", 0, "DEVICE_DATA of device %" PRIu32 " is cut off", record->instance);
    if (offset != load->bytes)
        return error_rule(error, "stream/device-data-order", 0,
                          "the data of device %" PRIu32 " from byte %" PRIu64 " on came where that from byte %" PRIu64
                          " on was due",
                          record->instance, offset, load->bytes);
    if (!load->begun && device_load_begin(load, set, record->instance, error) < 0)
        return -1;
    if (!load->start_ns)
        load->start_ns = clock_now_ns();
    load->bytes += size;
    load->written += size;
    if (load->cut && size > 1) {
        /* A fault on purpose: as if the device had taken a part, and nobody had gone on. */
        load->cut = false;
        load->written -= size / 2;
        return migration_write_all(load->session, data, size - size / 2, error);
    }
    if (migration_write_all(load->session, data, size, error) < 0) {
        struct error cause = *error;

        return error_rule(error, cause.rule[0] ? cause.rule : "device/state-refused", 0,
                          "device %" PRIu32 " (%s): its state was refused after %" PRIu64 " bytes: %s",
                          record->instance, set->device[record->instance]->name, load->bytes, cause.text);
    }
    return 0;
}

static void close_session(struct device_load *load)
{
    if (load->session)
        load->session->device->ops->session_close(load->session);
    load->session = NULL;
}

int device_load_end(struct device_load *load, struct device_set *set, const struct stream_record *record,
                    struct error *error)
{
    struct cursor cursor = cursor_over(record->data, record->size);
    uint64_t total = cursor_get_u64(&cursor);

    if (!load->begun && device_load_begin(load, set, record->instance, error) < 0)
        return -1;
    if (!load->start_ns)
        load->start_ns = clock_now_ns();
    if (!cursor_at_end(&cursor) || total != load->bytes)
        return error_rule(error, "stream/device-size", 0,
                          "the state of device %" PRIu32 " ends after %" PRIu64 " bytes, of which %" PRIu64 " came",
                          record->instance, total, load->bytes);
    if (load->written != load->bytes)
        return error_rule(error, "device/write-not-continued", 0,
                          "device %" PRIu32 " (%s) was given %" PRIu64 " of the %" PRIu64 " bytes of its state",
                          record->instance, set->device[record->instance]->name, load->written, load->bytes);
    load->ended = true;
    if (set->order != DEVICE_ORDER_QEMU)
        close_session(load);
    return 0;
}

int device_load_keep(struct device_load *load, const struct stream_record *record, struct error *error)
{
    buffer_put(&load->state, record->data, record->size);
    return load->state.failed ? error_set(error, ENOMEM, "the state of device %" PRIu32, record->instance) : 0;
}

void device_load_close(struct device_load *load)
{
    close_session(load);
    buffer_free(&load->state);
}
