/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The options that run, migrate, source and dest share. */
#ifndef STOPCOPY_CMD_OPTIONS_H
#define STOPCOPY_CMD_OPTIONS_H

#include <argp.h>
#include <stdbool.h>

#include "vmm/board/machine.h"
#include "vmm/cmd/keep.h"
#include "vmm/cmd/step_actions.h"
#include "vmm/migrate/channel.h"
#include "vmm/migrate/handover.h"
#include "vmm/report/report.h"
#include "vmm/vfio/kernel.h"

#define OPTIONS_REPORTS_MAX 8
#define OPTIONS_FAULTS_MAX 8

struct options {
    struct board_wishes wishes;
    const char *image; /* NULL: the installed one */
    bool full_irqchip;
    size_t device_count;
    const char *device[BOARD_DEVICES_MAX]; /* DEVICE arguments as given */
    enum kernel_way way;                   /* of the kernel's devices */
    size_t report_count;
    struct report_target report[OPTIONS_REPORTS_MAX];
    struct fault_plan faults;
    size_t device_fault_count;
    const char *device_fault[OPTIONS_FAULTS_MAX]; /* for the last destination's test devices */
    bool any_fault;
    enum verify_mode verify;
    bool no_p2p;
    enum device_order order; /* of the destination */
    bool share_ram;
    bool pre_copy;
    struct precopy_limits precopy; /* of that */
    bool at_ops_given;
    uint64_t at_ops; /* operations of the leading workload before each migration, and after the last */
    unsigned int repeat;
    const char *channel_name; /* migrate: "unix" or "tcp" */
    bool same_device;         /* migrate: save the guest, close its devices, open them again, load it */
    const char *channel;      /* source, dest: --to, --from */
    struct tls_options tls;   /* of the stream */
    bool no_sandbox;
    bool reset_on_error;
    bool insecure; /* TCP beyond this host without TLS */
    uint64_t timeout_ns;
    uint64_t message_timeout_ns;
    uint64_t arc_timeout_ns;
    uint64_t stop_hold_ns;
    uint64_t limit_downtime_ns; /* 0: none */
    struct step_plan steps;     /* --at, --hold-at, --on-finding */
    const char *uapi_log;       /* NULL: none */
    int uapi_log_fd;
    bool console;
    struct keep keep;     /* --keep-on-fail */
    const char *baseline; /* NULL: none */
    json_t *baseline_report;
};

/* Which of the options a command takes. */
#define OPTIONS_GUEST 1u   /* the guest and its workloads */
#define OPTIONS_MIGRATE 2u /* what migrate alone has */
#define OPTIONS_TO 4u
#define OPTIONS_FROM 8u
#define OPTIONS_TRANSFER 16u /* verification, time limits of a migration */

/*
 * Parses a subcommand's words. text is its --help. Returns STATUS_INTACT, or the status to exit with after a message
 * on standard error. The options point into argv.
 */
int options_parse(int argc, char **argv, unsigned int which, const char *text, struct options *options);

#endif
