/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One device's way in: RESUMING before the guest is stopped, its data, which may come while RAM does and with other devices'
 * in turn, STOP when all devices' streams have ended, and then what the VMM keeps of it.
 */
#ifndef STOPCOPY_DEVICE_LOAD_H
#define STOPCOPY_DEVICE_LOAD_H

#include "vmm/migrate/device_set.h"
#include "vmm/migrate/stream.h"

struct device_load {
    struct vfio_data_session *session; /* in RESUMING */
    bool begun;
    bool ended;
    bool cut; /* a fault put in on purpose: one write takes a part, and is not continued */
    uint64_t bytes;
    uint64_t written;    /* of them, to the device */
    uint64_t start_ns;   /* of the first data */
    struct buffer state; /* what the VMM keeps of it, until the device is in STOP */
};

/*
 * RESUMING, where the device is not in it yet, and the data transfer session that it gave: rule "device/no-session" where it gave
 * none. Called by the first data where it was not before.
 */
int device_load_begin(struct device_load *load, struct device_set *set, uint32_t index, struct error *error);

/*
 * STREAM_DEVICE_DATA: the device takes it, or refuses it by the rule "device/state-refused". Rule
 * "stream/device-data-order" where it does not go on where the one before ended.
 */
int device_load_data(struct device_load *load, struct device_set *set, const struct stream_record *record,
                     struct error *error);
/*
 * STREAM_DEVICE_END: the session ends (by QEMU's order it stays), and the device can go to STOP, which is where it must refuse a
 * bad stream. Rules "stream/device-size" where the source counts otherwise, "device/write-not-continued" where the device was
 * not given all that came.
 */
int device_load_end(struct device_load *load, struct device_set *set, const struct stream_record *record,
                    struct error *error);
/* STREAM_DEVICE_STATE: kept, until all devices have come so far. */
int device_load_keep(struct device_load *load, const struct stream_record *record, struct error *error);
/* Closes the session where there is one, and lets go of what is kept. */
void device_load_close(struct device_load *load);

#endif
