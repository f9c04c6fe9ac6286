/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What came of a step: from how its process ended, and from what it wrote. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/io.h"
#include "vmm/campaign/campaign.h"
#include "vmm/cmd/cmd.h"

#define REPORT_MAX_BYTES (64 << 20)
#define TAIL_BYTES 4096
#define READ_MS 10000

static json_t *read_report(const char *path)
{
    struct stat status;
    json_t *report;

    if (stat(path, &status) < 0 || !S_ISREG(status.st_mode) || status.st_size > REPORT_MAX_BYTES)
        return NULL;
    report = json_load_file(path, JSON_REJECT_DUPLICATES, NULL);
    if (json_is_object(report))
        return report;
    json_decref(report);
    return NULL;
}

/* The last line of a file that says something, NULL where there is none. */
static char *last_line(const char *path)
{
    char text[TAIL_BYTES + 1];
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat status;
    ssize_t size;
    char *line;

    if (fd < 0 || fstat(fd, &status) < 0 || !S_ISREG(status.st_mode)) {
        io_close(&fd);
        return NULL;
    }
    size = pread(fd, text, TAIL_BYTES, status.st_size > TAIL_BYTES ? status.st_size - TAIL_BYTES : 0);
    io_close(&fd);
    while (size > 0 && (text[size - 1] == '\n' || text[size - 1] == ' '))
        size--;
    if (size <= 0)
        return NULL;
    text[size] = '\0';
    line = strrchr(text, '\n');
    return strdup(line ? line + 1 : text);
}

static void say(struct campaign_step *step, char *text)
{
    free(step->said);
    step->said = text;
}

static void __attribute__((format(printf, 2, 3))) say_format(struct campaign_step *step, const char *format, ...)
{
    va_list arguments;
    char *text;

    va_start(arguments, format);
    if (vasprintf(&text, format, arguments) < 0)
        text = NULL;
    va_end(arguments);
    say(step, text);
}

/* What it wrote as its last line, on standard output or else on standard error. */
static void say_its_words(const struct campaign *campaign, struct campaign_step *step)
{
    char path[CAMPAIGN_PATH_MAX];
    char *line = NULL;

    if (step->output != STEP_OUTPUT_JSON) {
        campaign_file(campaign, step, ".txt", path, sizeof(path));
        line = last_line(path);
    }
    if (!line) {
        campaign_file(campaign, step, ".err", path, sizeof(path));
        line = last_line(path);
    }
    say(step, line);
}

static const char *text_of(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));

    return text ? text : "";
}

/* A finding by this rule; rule "": any. NULL where there is none. */
static const json_t *find_finding(const struct campaign_step *step, const char *rule)
{
    json_t *finding;
    size_t i;

    json_array_foreach (json_object_get(step->report, "findings"), i, finding)
        if (!*rule || !strcmp(text_of(finding, "rule"), rule))
            return finding;
    return NULL;
}

/* It ended as was due, which is not with 0. */
static enum step_result judge_due_failure(struct campaign_step *step)
{
    const json_t *finding;

    if (!step->report) {
        say_format(step, "it ended with status %d, as is due, and left no report", step->due_status);
        return STEP_INCOMPLETE;
    }
    finding = find_finding(step, step->due_finding);
    if (*step->due_finding && !finding) {
        say_format(step, "the fault was not found: there is no finding %s", step->due_finding);
        return STEP_FAILED;
    }
    if (*step->due_finding) {
        say_format(step, "found, as is due: %s: %s", step->due_finding, text_of(finding, "text"));
        return STEP_PASSED;
    }
    if (finding) {
        say_format(step, "%s: %s", text_of(finding, "rule"), text_of(finding, "text"));
        return STEP_FAILED;
    }
    say_format(step, "as is due: %s", text_of(step->report, "outcome_text"));
    return STEP_PASSED;
}

static enum step_result judge_status(const struct campaign *campaign, struct campaign_step *step)
{
    say_its_words(campaign, step);
    if (step->end_number == step->due_status && step->due_status == STATUS_INTACT)
        return STEP_PASSED;
    if (step->end_number == step->due_status)
        return judge_due_failure(step);
    if (step->end_number == STATUS_INCOMPLETE)
        return STEP_INCOMPLETE;
    if (step->end_number == STATUS_USAGE || step->end_number == STATUS_CANNOT)
        return STEP_CANNOT;
    if (step->due_status != STATUS_INTACT)
        say_format(step, "it ended with status %d where %d is due%s%s", step->end_number, step->due_status,
                   step->said ? ": " : "", step->said ? step->said : "");
    return STEP_FAILED;
}

void campaign_judge_step(const struct campaign *campaign, struct campaign_step *step)
{
    char path[CAMPAIGN_PATH_MAX];

    campaign_file(campaign, step, ".json", path, sizeof(path));
    json_decref(step->report);
    step->report = read_report(path);
    switch (step->end) {
    case STEP_END_STATUS:
        step->result = judge_status(campaign, step);
        break;
    case STEP_END_SIGNAL:
        step->result = STEP_FAILED;
        say_format(step, "it was ended by signal %d (%s)", step->end_number, strsignal(step->end_number));
        break;
    case STEP_END_LIMIT:
        step->result = STEP_HUNG;
        campaign_file(campaign, step, ".hung", path, sizeof(path));
        say(step, last_line(path));
        break;
    case STEP_END_LOST:
        step->result = STEP_HUNG;
        say(step, strdup("it had begun when the campaign itself came to its end: the host went down or hung"));
        break;
    case STEP_END_INTERRUPTED:
        step->result = STEP_INTERRUPTED;
        say(step, strdup("the user ended it"));
        break;
    }
}
