/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the user asked for at the steps of a migration: a command (--at), a stop (--hold-at); and a command for each finding
 * (--on-finding). docs/by-hand.md has the commands' environment.
 */
#ifndef STOPCOPY_CMD_STEP_ACTIONS_H
#define STOPCOPY_CMD_STEP_ACTIONS_H

#include "vmm/board/machine.h"
#include "vmm/cmd/user_command.h"
#include "vmm/migrate/step.h"
#include "vmm/report/event_log.h"

#define STEP_ACTIONS_MAX 32
#define FINDING_COMMANDS_MAX 16
#define STEP_COMMAND_LIMIT_NS 10000000000u
#define STEP_HOLD_LIMIT_NS 600000000000u

struct step_action {
    uint32_t steps;      /* a bit for each that it belongs to */
    const char *command; /* NULL: a stop */
};

/* As the command line has it. */
struct step_plan {
    struct step_action action[STEP_ACTIONS_MAX];
    unsigned int count;
    uint64_t command_limit_ns; /* of each command, --on-finding's as well */
    uint64_t hold_limit_ns;    /* of each stop */
    const char *on_finding;    /* NULL: none */
};

/* STEP:COMMAND; STEP may be "all". */
int step_plan_add_command(struct step_plan *plan, const char *text, struct error *error);
int step_plan_add_hold(struct step_plan *plan, const char *name, struct error *error);
/* No step may keep the other end longer than it waits: STEP_HOLD_MAX_S for each end. */
int step_plan_check(const struct step_plan *plan, struct error *error);
/* --list-steps */
void step_plan_list(void);

/* A VMM process and the servers of its devices, 0 where there is none. */
struct step_process {
    pid_t vmm;
    pid_t server[BOARD_DEVICES_MAX];
};

/* Process N of a chain of migrations is entry N % STEP_PROCESSES: enough for those that are there at a time. */
#define STEP_PROCESSES 4

/* One VMM process's part. */
struct step_actions {
    const struct step_plan *plan;
    struct event_log *log;
    const struct step_process *processes; /* STEP_PROCESSES of them; NULL where they are not known */
    void (*meanwhile)(void *context);     /* called about once a second while a step waits */
    void *meanwhile_context;
    int continue_fd; /* SIGCONT, -1 where nothing is held */
};

/* Before any thread is started: SIGCONT is blocked for all of them where something is to be held. */
void step_actions_open(struct step_actions *actions, const struct step_plan *plan, struct event_log *log);
/* The watcher for one end: destination or source. actions must live as long. */
struct step_watcher step_actions_watcher(struct step_actions *actions, bool destination);
void step_actions_close(struct step_actions *actions);

/* Commands for findings, which are not waited for until the end. */
struct finding_commands {
    const struct step_plan *plan;
    pid_t running[FINDING_COMMANDS_MAX];
    unsigned int count;
};

/* From now on each finding of the log starts the command, FINDING_COMMANDS_MAX times at most. */
void finding_commands_open(struct finding_commands *commands, const struct step_plan *plan, struct event_log *log);
/* Waits for them. What failed is said on standard error. */
void finding_commands_close(struct finding_commands *commands);

#endif
