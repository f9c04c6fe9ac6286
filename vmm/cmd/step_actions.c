/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/cmd/step_actions.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "lib/io.h"

#define HOLD_PERIOD_MS 1000
#define STEP_NAME_MAX 64

static int add_action(struct step_plan *plan, const char *name, const char *command, struct error *error)
{
    int step = -1;
    uint32_t steps = (1u << MIGRATION_STEPS) - 1;

    if (plan->count == STEP_ACTIONS_MAX)
        return error_set(error, 0, "more than %d commands and stops at steps", STEP_ACTIONS_MAX);
    if (strcmp(name, "all")) {
        step = step_find(name, error);
        if (step < 0)
            return -1;
        steps = 1u << step;
    }
    plan->action[plan->count++] = (struct step_action){.steps = steps, .command = command};
    return 0;
}

int step_plan_add_command(struct step_plan *plan, const char *text, struct error *error)
{
    const char *colon = strchr(text, ':');
    char name[STEP_NAME_MAX];

    if (!colon || !colon[1] || (size_t)(colon - text) >= sizeof(name))
        return error_set(error, 0, "--at '%.80s' is not STEP:COMMAND", text);
    memcpy(name, text, (size_t)(colon - text));
    name[colon - text] = '\0';
    return add_action(plan, name, colon + 1, error) < 0 ? error_prefix(error, "--at") : 0;
}

int step_plan_add_hold(struct step_plan *plan, const char *name, struct error *error)
{
    return add_action(plan, name, NULL, error) < 0 ? error_prefix(error, "--hold-at") : 0;
}

/* How long the steps of one end may take in all, in ns. */
static uint64_t longest(const struct step_plan *plan, bool destination)
{
    uint64_t sum = 0;

    for (unsigned int i = 0; i < plan->count; i++)
        for (int step = 0; step < MIGRATION_STEPS; step++)
            if (plan->action[i].steps & 1u << step && step_row((enum migration_step)step)->destination == destination)
                sum += plan->action[i].command ? plan->command_limit_ns : plan->hold_limit_ns;
    return sum;
}

int step_plan_check(const struct step_plan *plan, struct error *error)
{
    for (int destination = 0; destination < 2; destination++)
        if (longest(plan, destination) > STEP_HOLD_MAX_S * 1000000000ull)
            return error_set(error, 0,
                             "the commands and stops at the %s's steps may take %" PRIu64
                             " s, and the other end waits no longer than %u s: give a shorter --hold-limit or "
                             "--command-limit",
                             destination ? "destination" : "source", longest(plan, destination) / 1000000000u,
                             STEP_HOLD_MAX_S);
    return 0;
}

void step_plan_list(void)
{
    printf("A step is reached before what it says after the semicolon. The last column: who has the guest where the\n"
           "process of that end dies there.\n\n");
    for (int step = 0; step < MIGRATION_STEPS; step++) {
        const struct step_row *row = step_row((enum migration_step)step);
        const char *condition = step_condition_text(row->condition);

        printf("%-26s  %s%s%s%s\n%28s-> %s\n", row->name, row->text, *condition ? " (" : "", condition,
               *condition ? ")" : "", "", step_guest_text(row->after_death));
    }
}

/* The servers of a process's devices, "" where there is none. */
static void add_servers(struct user_environment *environment, const char *name, const struct step_process *process)
{
    char list[BOARD_DEVICES_MAX * 12] = "";
    size_t length = 0;

    for (size_t i = 0; i < BOARD_DEVICES_MAX; i++)
        if (process->server[i])
            length += (size_t)snprintf(list + length, sizeof(list) - length, "%s%ld", length ? " " : "",
                                       (long)process->server[i]);
    user_environment_add(environment, name, "%s", list);
}

static void add_process(struct user_environment *environment, const char *name, pid_t process)
{
    if (process)
        user_environment_add(environment, name, "%ld", (long)process);
    else
        user_environment_add(environment, name, "%s", "");
}

static void fill_environment(struct user_environment *environment, const struct step_actions *actions,
                             const struct step_row *row, unsigned int leg)
{
    static const struct step_process unknown;
    const struct step_process *all = actions->processes;
    const struct step_process *source = all ? &all[leg % STEP_PROCESSES] : &unknown;
    const struct step_process *destination = all ? &all[(leg + 1) % STEP_PROCESSES] : &unknown;

    user_environment_add(environment, "STOPCOPY_STEP", "%s", row->name);
    user_environment_add(environment, "STOPCOPY_SIDE", "%s", row->destination ? "destination" : "source");
    user_environment_add(environment, "STOPCOPY_LEG", "%u", leg);
    add_process(environment, "STOPCOPY_PID", getpid());
    add_process(environment, "STOPCOPY_SOURCE_PID", source->vmm);
    add_process(environment, "STOPCOPY_DESTINATION_PID", destination->vmm);
    add_servers(environment, "STOPCOPY_DEVICE_PIDS", row->destination ? destination : source);
    add_servers(environment, "STOPCOPY_SOURCE_DEVICE_PIDS", source);
    add_servers(environment, "STOPCOPY_DESTINATION_DEVICE_PIDS", destination);
}

static void run_command(struct step_actions *actions, const struct step_action *action, const struct step_row *row,
                        unsigned int leg)
{
    struct user_environment environment = {.count = 0};
    struct error error = ERROR_INIT;
    pid_t command;

    fill_environment(&environment, actions, row, leg);
    command = user_command_start(action->command, &environment, &error);
    user_environment_free(&environment);
    if (command < 0 || user_command_wait(command, deadline_in_ns(actions->plan->command_limit_ns), actions->meanwhile,
                                         actions->meanwhile_context, &error) < 0)
        event_note(actions->log, "at %s the command '%.200s' failed: %s", row->name, action->command, error.text);
}

/* Only the terminal's own foreground may read it: anybody else would be stopped. */
static bool may_read_terminal(void)
{
    return isatty(STDIN_FILENO) && tcgetpgrp(STDIN_FILENO) == getpgrp();
}

/* Until somebody says so: returns what it was. */
static const char *wait_held(struct step_actions *actions, struct deadline deadline)
{
    struct pollfd poll_fd[2] = {{.fd = actions->continue_fd, .events = POLLIN}, {.fd = -1, .events = POLLIN}};
    struct signalfd_siginfo info;
    char line[256];

    for (;;) {
        int left = deadline_poll_ms(deadline);

        if (!left)
            return "its limit";
        poll_fd[1].fd = may_read_terminal() ? STDIN_FILENO : -1;
        if (poll(poll_fd, 2, left < HOLD_PERIOD_MS ? left : HOLD_PERIOD_MS) > 0) {
            if (poll_fd[0].revents & POLLIN && read(actions->continue_fd, &info, sizeof(info)) > 0)
                return "SIGCONT";
            if (poll_fd[1].revents && read(STDIN_FILENO, line, sizeof(line)) >= 0)
                return "a line on the terminal";
        }
        if (actions->meanwhile)
            actions->meanwhile(actions->meanwhile_context);
    }
}

static void hold(struct step_actions *actions, const struct step_row *row)
{
    uint64_t limit = actions->plan->hold_limit_ns;

    fprintf(stderr, "stopcopy: held at %s (pid %ld): %skill -CONT %ld goes on; at most %" PRIu64 " s\n", row->name,
            (long)getpid(), may_read_terminal() ? "a line here or " : "", (long)getpid(), limit / 1000000000u);
    event_note(actions->log, "held at %s until %s", row->name, wait_held(actions, deadline_in_ns(limit)));
}

static void reached(void *context, enum migration_step step, unsigned int leg)
{
    struct step_actions *actions = context;
    const struct step_row *row = step_row(step);
    uint64_t start = clock_now_ns();
    char name[STEP_NAME_MAX];
    bool any = false;

    for (unsigned int i = 0; i < actions->plan->count; i++) {
        const struct step_action *action = &actions->plan->action[i];

        if (!(action->steps & 1u << step))
            continue;
        any = true;
        if (action->command)
            run_command(actions, action, row, leg);
        else
            hold(actions, row);
    }
    if (!any)
        return;
    snprintf(name, sizeof(name), "at %s", row->name);
    event_phase(actions->log, name, start, clock_now_ns(), 0);
}

static bool holds(const struct step_plan *plan)
{
    for (unsigned int i = 0; i < plan->count; i++)
        if (!plan->action[i].command)
            return true;
    return false;
}

void step_actions_open(struct step_actions *actions, const struct step_plan *plan, struct event_log *log)
{
    sigset_t set;

    *actions = (struct step_actions){.plan = plan, .log = log, .continue_fd = -1};
    if (!holds(plan))
        return;
    sigemptyset(&set);
    sigaddset(&set, SIGCONT);
    if (pthread_sigmask(SIG_BLOCK, &set, NULL) == 0)
        actions->continue_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

struct step_watcher step_actions_watcher(struct step_actions *actions, bool destination)
{
    return (struct step_watcher){.reached = reached,
                                 .context = actions,
                                 .hold_s =
                                     (uint32_t)((longest(actions->plan, destination) + 999999999u) / 1000000000u)};
}

void step_actions_close(struct step_actions *actions)
{
    io_close(&actions->continue_fd);
}

static void run_for_finding(void *context, const char *role, unsigned int leg, const char *rule, const char *text)
{
    struct finding_commands *commands = context;
    struct user_environment environment = {.count = 0};
    struct error error = ERROR_INIT;
    pid_t command;

    if (commands->count == FINDING_COMMANDS_MAX)
        return;
    user_environment_add(&environment, "STOPCOPY_RULE", "%s", rule);
    user_environment_add(&environment, "STOPCOPY_TEXT", "%s", text);
    user_environment_add(&environment, "STOPCOPY_ROLE", "%s", role);
    user_environment_add(&environment, "STOPCOPY_LEG", "%u", leg);
    command = user_command_start(commands->plan->on_finding, &environment, &error);
    user_environment_free(&environment);
    if (command < 0)
        fprintf(stderr, "stopcopy: --on-finding: %s\n", error.text);
    else
        commands->running[commands->count++] = command;
}

void finding_commands_open(struct finding_commands *commands, const struct step_plan *plan, struct event_log *log)
{
    *commands = (struct finding_commands){.plan = plan};
    if (plan->on_finding)
        event_log_watch_findings(log, run_for_finding, commands);
}

void finding_commands_close(struct finding_commands *commands)
{
    struct deadline deadline = deadline_in_ns(commands->plan ? commands->plan->command_limit_ns : 0);

    for (unsigned int i = 0; i < commands->count; i++) {
        struct error error = ERROR_INIT;

        if (user_command_wait(commands->running[i], deadline, NULL, NULL, &error) < 0)
            fprintf(stderr, "stopcopy: --on-finding: the command failed: %s\n", error.text);
    }
    commands->count = 0;
}
