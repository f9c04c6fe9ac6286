/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The sending half from the inside: source.c has the order and the handover, source_send.c what is sent after the stop. */
#ifndef STOPCOPY_SOURCE_PRIVATE_H
#define STOPCOPY_SOURCE_PRIVATE_H

#include "vmm/migrate/handover.h"

struct source {
    struct source_config config;
    struct device_set set;
    struct steps steps;
    struct stream stream;
    struct buffer state; /* one record at a time */
    void *data;          /* a piece of a device's stream */
    struct ram_sender ram;
    /* Of the devices in STOP_COPY, whose streams were read to their ends, with the bytes read. */
    struct vfio_data_session *session[BOARD_DEVICES_MAX];
    uint64_t session_bytes[BOARD_DEVICES_MAX];
    struct precopy *precopy; /* NULL: everything goes after the stop */
    uint64_t start_ns;       /* of the migration: the first round, or the pause */
    bool digests;            /* the destination wants them */
    bool paused;
    struct ram_digests at_stop; /* shared RAM: taken while nobody runs; empty where the destination wants none */
    uint64_t pause_start_ns;
    uint64_t alive_ns; /* when the destination heard last */
    /* The destination's clock less ours, known to within the error. */
    int64_t clock_offset_ns;
    uint64_t clock_error_ns;
};

static inline struct deadline source_deadline(const struct source *source)
{
    return deadline_in_ns(source->config.timeout_ns);
}

int source_send_record(struct source *source, enum stream_type type, uint32_t instance, const void *data, size_t size,
                       struct error *error);
/* Sends what source->state holds. */
int source_send_state(struct source *source, enum stream_type type, uint32_t instance, struct error *error);
/* What is left of RAM, vCPUs, board, devices, and the end record: the guest and its devices are stopped. */
int source_send_everything(struct source *source, struct error *error);
/*
 * While the destination loads: what is still to be found out of the stopped guest and its devices. The ends of their streams
 * are ends, and nobody accessed a BAR.
 */
int source_settle(struct source *source, struct error *error);
/* Closes the devices' sessions that are left. */
void source_end_sessions(struct source *source);

#endif
