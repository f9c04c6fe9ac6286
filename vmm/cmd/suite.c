/* SPDX-License-Identifier: GPL-2.0-or-later */
/* stopcopy suite: the steps that a suite file describes, beside each other where their devices allow it, with one report. */
#include <argp.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/io.h"
#include "lib/options.h"
#include "vmm/campaign/runner.h"
#include "vmm/campaign/suite_file.h"
#include "vmm/cmd/campaign_run.h"
#include "vmm/cmd/cmd.h"
#include "vmm/cmd/command_error.h"

#define COPY_NAME "suite.yaml" /* in the folder: what is taken up again is what was begun */
#define FILE_MS 10000

struct suite_options {
    struct campaign_options common;
    const char *file;
    uint64_t jobs; /* 0: as the file says */
};

enum {
    OPTION_JOBS = CAMPAIGN_OPTION_NEXT,
};

static const struct argp_option options[] = {
    CAMPAIGN_OPTIONS,
    {"jobs", OPTION_JOBS, "N", 0, "Steps at a time (default: as the file says, else 1)", 1},
    {NULL, 0, NULL, 0, NULL, 0},
};

static error_t parse_option(int key, char *argument, struct argp_state *state)
{
    struct suite_options *parsed = state->input;
    struct error error = ERROR_INIT;

    if (campaign_parse_option(key, argument, state, &parsed->common))
        return 0;
    switch (key) {
    case OPTION_JOBS:
        if (option_parse_number(argument, "--jobs", 1, RUNNER_JOBS_MAX, &parsed->jobs, &error) < 0)
            argp_error(state, "%s", error.text);
        return 0;
    case ARGP_KEY_ARG:
        if (parsed->file)
            argp_error(state, "one FILE only");
        parsed->file = argument;
        return 0;
    case ARGP_KEY_END:
        if (!parsed->file && !parsed->common.resume)
            argp_error(state, "a FILE is missing");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp argp = {
    .options = options,
    .parser = parse_option,
    .args_doc = "FILE",
    .doc =
        "Runs every combination of the devices, modes, workloads, faults and other options that a file lists "
        "(docs/suite.md), "
        "each in a process of its own, and ends with one report.\v"
        "Exit status: that of the first step that failed, 7 where one was incomplete, 2 or 77 where one could not be "
        "tried.\n\n"
        "Examples:\n"
        "  stopcopy suite nightly.yaml --report junit:nightly.xml\n"
        "  stopcopy suite nightly.yaml --plan\n"
        "  git bisect run stopcopy suite regression.yaml --skip-status 2 --skip-status 77",
};

static int parse(int argc, char **argv, struct suite_options *parsed)
{
    static char name[] = "stopcopy suite";
    char *first = argv[0];
    int result;

    argv[0] = name;
    argp_err_exit_status = STATUS_USAGE;
    result = argp_parse(&argp, argc, argv, 0, NULL, parsed);
    argv[0] = first;
    return result ? STATUS_USAGE : STATUS_INTACT;
}

/* All of the file, to be freed by the caller. NULL with error. */
static char *read_suite(const char *name, size_t *size, struct error *error)
{
    int fd = open(name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat status;
    char *text = NULL;

    if (fd < 0 || fstat(fd, &status) < 0) {
        error_set(error, errno, "%s", name);
    } else if (!S_ISREG(status.st_mode) || status.st_size > SUITE_BYTES_MAX) {
        error_set(error, 0, "%s: it is no file of %u bytes at most", name, SUITE_BYTES_MAX);
    } else if (!(text = calloc(1, (size_t)status.st_size + 1))) {
        error_set(error, ENOMEM, "%s", name);
    } else if (io_read_full(fd, text, (size_t)status.st_size, deadline_in_ms(FILE_MS), name, error) < 0) {
        free(text);
        text = NULL;
    }
    *size = text ? (size_t)status.st_size : 0;
    io_close(&fd);
    return text;
}

static int keep_copy(const char *folder, const char *text, size_t size, struct error *error)
{
    char path[CAMPAIGN_PATH_MAX];
    int fd, result;

    snprintf(path, sizeof(path), "%.2047s/" COPY_NAME, folder);
    fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    result = fd < 0 ? error_set(error, errno, "%s", path)
                    : io_write_full(fd, text, size, deadline_in_ms(FILE_MS), path, error);
    io_close(&fd);
    return result;
}

static int run(struct suite_options *parsed, int argc, char **argv)
{
    struct error error = ERROR_INIT;
    struct campaign campaign;
    char copy[CAMPAIGN_PATH_MAX];
    size_t size;
    char *text;
    int status;

    if (parsed->common.resume) {
        snprintf(copy, sizeof(copy), "%.2047s/" COPY_NAME, parsed->common.resume);
        parsed->file = copy;
    }
    text = read_suite(parsed->file, &size, &error);
    if (!text)
        return command_error("suite", &error);
    if (campaign_init(&campaign, "suite", parsed->file, &error) < 0) {
        free(text);
        return command_error("suite", &error);
    }
    if (suite_parse(&campaign, text, size, parsed->file, &error) < 0) {
        status = command_error("suite", &error);
        goto out;
    }
    if (parsed->jobs)
        campaign.jobs = (unsigned int)parsed->jobs;
    status = campaign_open(&campaign, &parsed->common, argc, argv, &error);
    if (status == STATUS_INTACT && !parsed->common.resume && keep_copy(campaign.folder, text, size, &error) < 0)
        status = command_error("suite", &error);
    if (status == STATUS_INTACT)
        status = campaign_carry_out(&campaign, &parsed->common, NULL, NULL, &error);
out:
    campaign_close(&campaign, &parsed->common);
    free(text);
    return status;
}

int cmd_suite(int argc, char **argv)
{
    struct suite_options parsed = {.common = CAMPAIGN_OPTIONS_INIT("suite")};
    int status = parse(argc, argv, &parsed);

    if (status)
        return status;
    if (parsed.common.resume) {
        struct campaign_options now = parsed.common;
        uint64_t jobs = parsed.jobs;

        status = campaign_resume_words(&now, &argc, &argv);
        if (status)
            return status;
        parsed = (struct suite_options){.common = CAMPAIGN_OPTIONS_INIT("suite")};
        status = parse(argc, argv, &parsed);
        if (status)
            return status;
        campaign_resume_options(&parsed.common, &now);
        if (jobs)
            parsed.jobs = jobs;
    }
    return run(&parsed, argc, argv);
}
