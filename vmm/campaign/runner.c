/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/campaign/runner.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "lib/deadline.h"
#include "lib/io.h"
#include "vmm/campaign/child.h"

struct job {
    struct child child;
    struct campaign_step *step; /* NULL: free */
    struct deadline deadline;
};

struct runner {
    struct campaign *campaign;
    struct journal *journal;
    const struct runner_watch *watch;
    struct job job[RUNNER_JOBS_MAX];
    int signals;
    sigset_t signals_before;
    bool interrupted;
    const struct campaign_step *hung;
    int result;
    struct error *error;
};

static bool uses_device(const struct campaign_step *step, const char *device)
{
    for (size_t i = 0; i < step->devices; i++)
        if (!strcmp(step->device[i], device))
            return true;
    return false;
}

static bool devices_are_free(const struct runner *runner, const struct campaign_step *step)
{
    for (size_t i = 0; i < RUNNER_JOBS_MAX; i++)
        for (size_t device = 0; runner->job[i].step && device < step->devices; device++)
            if (uses_device(runner->job[i].step, step->device[device]))
                return false;
    return true;
}

static void skip(struct campaign_step *step, const char *format, const char *name)
{
    free(step->said);
    if (asprintf(&step->said, format, name) < 0)
        step->said = NULL;
    step->result = STEP_SKIPPED;
}

/* A step waits as long as the one that it needs has not come to its end; it is skipped where that failed. */
static bool is_due(struct runner *runner, struct campaign_step *step)
{
    const struct campaign_step *needed = step->needs >= 0 ? &runner->campaign->step[step->needs] : NULL;

    if (step->result != STEP_WAITING)
        return false;
    if (needed && (needed->result == STEP_WAITING || needed->result == STEP_RUNNING))
        return false;
    if (needed && needed->result != STEP_PASSED && needed->result != STEP_INCOMPLETE) {
        skip(step, "it makes no sense without %s, which did not succeed", needed->name);
        return false;
    }
    return devices_are_free(runner, step);
}

static void tell(const struct runner *runner, const struct campaign_step *step, bool ended)
{
    void (*call)(void *, const struct campaign *, const struct campaign_step *) =
        ended ? runner->watch->ended : runner->watch->begins;

    if (call)
        call(runner->watch->context, runner->campaign, step);
}

static int begin(struct runner *runner, struct job *job, struct campaign_step *step)
{
    char out[CAMPAIGN_PATH_MAX], err[CAMPAIGN_PATH_MAX];
    char **words = campaign_words(runner->campaign, step);
    int result = -1;

    if (!words) {
        error_set(runner->error, ENOMEM, "starting %s", step->name);
        goto out;
    }
    campaign_file(runner->campaign, step, step->output == STEP_OUTPUT_JSON ? ".json" : ".txt", out, sizeof(out));
    campaign_file(runner->campaign, step, ".err", err, sizeof(err));
    step->started_at = (uint64_t)time(NULL);
    step->start_ns = clock_now_ns();
    tell(runner, step, false);
    if (journal_begin(runner->journal, step, runner->error) < 0 ||
        child_start(&job->child, words, out, err, runner->error) < 0)
        goto out;
    job->step = step;
    job->deadline = deadline_in_ns(runner->campaign->step_limit_ns);
    step->result = STEP_RUNNING;
    result = 0;
out:
    campaign_words_free(words);
    return result;
}

static void finish(struct runner *runner, struct job *job, enum step_end end, int number)
{
    struct campaign_step *step = job->step;

    step->ns = clock_now_ns() - step->start_ns;
    step->end = end;
    step->end_number = number;
    campaign_judge_step(runner->campaign, step);
    if (journal_end(runner->journal, step, runner->error) < 0)
        runner->result = -1;
    if (step->result == STEP_HUNG)
        runner->hung = step;
    job->step = NULL;
    tell(runner, step, true);
}

/* Kills a job's process; why, and where it stood, is written beside its output. */
static void stop(struct runner *runner, struct job *job, enum step_end end)
{
    char path[CAMPAIGN_PATH_MAX], where[512];
    bool gone;
    FILE *file;

    child_describe(&job->child, where, sizeof(where));
    gone = child_kill(&job->child);
    if (end == STEP_END_LIMIT) {
        campaign_file(runner->campaign, job->step, ".hung", path, sizeof(path));
        file = fopen(path, "we");
        if (file) {
            fprintf(file, "it did not end within %llu s%s; processes and where they waited: %s\n",
                    (unsigned long long)(runner->campaign->step_limit_ns / 1000000000u),
                    gone ? " and was killed"
                         : ", and not even when it was killed: it is stuck in the kernel and left behind",
                    where);
            fclose(file);
        }
    }
    finish(runner, job, end, 0);
}

static void attend(struct runner *runner, struct job *job)
{
    int status;

    if (child_ended(&job->child, &status)) {
        if (WIFSIGNALED(status))
            finish(runner, job, STEP_END_SIGNAL, WTERMSIG(status));
        else
            finish(runner, job, STEP_END_STATUS, WEXITSTATUS(status));
    } else if (deadline_expired(job->deadline)) {
        stop(runner, job, STEP_END_LIMIT);
    }
}

/* Waits until some job has ended, is over its limit, or the user ends it all. */
static void wait_for_jobs(struct runner *runner)
{
    struct pollfd poll_fd[RUNNER_JOBS_MAX + 1];
    struct signalfd_siginfo signal;
    int timeout = -1;

    for (size_t i = 0; i < RUNNER_JOBS_MAX; i++) {
        const struct job *job = &runner->job[i];
        int left = job->step ? deadline_poll_ms(job->deadline) : -1;

        poll_fd[i] = (struct pollfd){.fd = job->step ? job->child.fd : -1, .events = POLLIN};
        if (left >= 0 && (timeout < 0 || left < timeout))
            timeout = left;
    }
    poll_fd[RUNNER_JOBS_MAX] = (struct pollfd){.fd = runner->signals, .events = POLLIN};
    poll(poll_fd, RUNNER_JOBS_MAX + 1, timeout);
    if (runner->signals >= 0 && read(runner->signals, &signal, sizeof(signal)) == sizeof(signal))
        runner->interrupted = true;
    for (size_t i = 0; i < RUNNER_JOBS_MAX; i++) {
        if (!runner->job[i].step)
            continue;
        if (runner->interrupted)
            stop(runner, &runner->job[i], STEP_END_INTERRUPTED);
        else
            attend(runner, &runner->job[i]);
    }
}

/* Begins what can be begun. Returns how many are under way. */
static unsigned int begin_due(struct runner *runner)
{
    struct campaign *campaign = runner->campaign;
    unsigned int running = 0;

    for (size_t i = 0; i < RUNNER_JOBS_MAX; i++)
        running += runner->job[i].step != NULL;
    for (size_t i = 0; i < campaign->steps && running < campaign->jobs && !runner->hung && runner->result == 0; i++) {
        size_t free_job = 0;

        if (!is_due(runner, &campaign->step[i]))
            continue;
        while (runner->job[free_job].step)
            free_job++;
        if (begin(runner, &runner->job[free_job], &campaign->step[i]) < 0)
            runner->result = -1;
        else
            running++;
    }
    return running;
}

static void open_signals(struct runner *runner)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGHUP);
    sigprocmask(SIG_BLOCK, &set, &runner->signals_before);
    runner->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static void skip_the_rest(struct runner *runner)
{
    for (size_t i = 0; i < runner->campaign->steps; i++) {
        struct campaign_step *step = &runner->campaign->step[i];

        if (step->result != STEP_WAITING)
            continue;
        if (runner->hung)
            skip(step, "%s hung: look at the device before you go on", runner->hung->name);
        else
            skip(step, "%s", runner->interrupted ? "the user ended the campaign" : "the step could not be begun");
    }
}

int runner_run(struct campaign *campaign, struct journal *journal, const struct runner_watch *watch,
               struct error *error)
{
    struct runner runner = {.campaign = campaign, .journal = journal, .watch = watch, .error = error};

    if (campaign->jobs > RUNNER_JOBS_MAX)
        campaign->jobs = RUNNER_JOBS_MAX;
    open_signals(&runner);
    while (!runner.interrupted && begin_due(&runner))
        wait_for_jobs(&runner);
    for (size_t i = 0; i < RUNNER_JOBS_MAX; i++)
        if (runner.job[i].step)
            stop(&runner, &runner.job[i], STEP_END_INTERRUPTED);
    skip_the_rest(&runner);
    io_close(&runner.signals);
    sigprocmask(SIG_SETMASK, &runner.signals_before, NULL);
    return runner.result;
}
