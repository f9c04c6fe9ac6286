/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/cmd/campaign_run.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "lib/options.h"
#include "vmm/campaign/report.h"
#include "vmm/campaign/runner.h"
#include "vmm/cmd/cmd.h"
#include "vmm/cmd/command_error.h"
#include "vmm/report/baseline.h"
#include "vmm/report/builder.h"

#define STATUS_BISECT_SKIP 125
#define PLAN_TEMPLATE "/tmp/stopcopy-plan-XXXXXX"

static void take_report(struct argp_state *state, const char *argument, struct campaign_options *options)
{
    struct error error = ERROR_INIT;

    if (options->report_count == CAMPAIGN_REPORTS_MAX)
        argp_error(state, "--report more than %d times", CAMPAIGN_REPORTS_MAX);
    if (report_parse_target(argument, &options->report[options->report_count], &error) < 0)
        argp_error(state, "%s", error.text);
    options->report_count++;
}

static void take_skip_status(struct argp_state *state, const char *argument, struct campaign_options *options)
{
    struct error error = ERROR_INIT;
    uint64_t status;

    if (options->skip_statuses == CAMPAIGN_SKIP_STATUSES_MAX)
        argp_error(state, "--skip-status more than %d times", CAMPAIGN_SKIP_STATUSES_MAX);
    if (option_parse_number(argument, "--skip-status", 1, 255, &status, &error) < 0)
        argp_error(state, "%s", error.text);
    options->skip_status[options->skip_statuses++] = (int)status;
}

bool campaign_parse_option(int key, char *argument, struct argp_state *state, struct campaign_options *options)
{
    struct error error = ERROR_INIT;

    switch (key) {
    case CAMPAIGN_OPTION_PLAN:
        options->plan = true;
        return true;
    case CAMPAIGN_OPTION_FOLDER:
        options->folder = argument;
        return true;
    case CAMPAIGN_OPTION_RESUME:
        options->resume = argument;
        return true;
    case CAMPAIGN_OPTION_STEP_LIMIT:
        if (option_parse_time(argument, "--step-limit", &options->step_limit_ns, &error) < 0)
            argp_error(state, "%s", error.text);
        return true;
    case CAMPAIGN_OPTION_REPORT:
        take_report(state, argument, options);
        return true;
    case CAMPAIGN_OPTION_BASELINE:
        options->baseline = argument;
        return true;
    case CAMPAIGN_OPTION_SKIP_STATUS:
        take_skip_status(state, argument, options);
        return true;
    default:
        return false;
    }
}

int campaign_resume_words(struct campaign_options *options, int *argc, char ***argv)
{
    struct error error = ERROR_INIT;
    size_t count;

    options->words = journal_command(options->resume, &error);
    if (!options->words)
        return command_error(options->command, &error);
    count = json_array_size(options->words);
    options->word = calloc(count + 1, sizeof(*options->word));
    for (size_t i = 0; options->word && i < count; i++)
        options->word[i] = (char *)json_string_value(json_array_get(options->words, i));
    if (!options->word || strcmp(options->word[0], options->command) != 0) {
        error_set(&error, 0, "%s is not the folder of a %s", options->resume, options->command);
        return command_error(options->command, &error);
    }
    *argc = (int)count;
    *argv = options->word;
    return STATUS_INTACT;
}

void campaign_resume_options(struct campaign_options *options, const struct campaign_options *now)
{
    options->resume = now->resume;
    options->words = now->words;
    options->word = now->word;
    options->plan = false;
    if (now->step_limit_ns != (struct campaign_options)CAMPAIGN_OPTIONS_INIT("").step_limit_ns)
        options->step_limit_ns = now->step_limit_ns;
    if (now->baseline)
        options->baseline = now->baseline;
    if (now->skip_statuses) {
        options->skip_statuses = now->skip_statuses;
        memcpy(options->skip_status, now->skip_status, sizeof(options->skip_status));
    }
    if (now->report_count) {
        options->report_count = now->report_count;
        memcpy(options->report, now->report, sizeof(options->report));
    }
}

static int name_folder(struct campaign_options *options, struct error *error)
{
    time_t now = time(NULL);
    struct tm local;
    char at[32];

    if (options->folder)
        return 0;
    if (!localtime_r(&now, &local) || !strftime(at, sizeof(at), "%Y%m%d-%H%M%S", &local))
        return error_set(error, errno, "naming a folder for the time");
    snprintf(options->made, sizeof(options->made), "%s-%s", options->command, at);
    options->folder = options->made;
    return 0;
}

static void find_terminal(struct campaign_options *options)
{
    const char *no_color = getenv("NO_COLOR"), *terminal = getenv("TERM");

    options->on_terminal = isatty(STDOUT_FILENO) && terminal && strcmp(terminal, "dumb") != 0;
    options->coloured = options->on_terminal && !(no_color && *no_color);
}

int campaign_open(struct campaign *campaign, struct campaign_options *options, int argc, char **argv,
                  struct error *error)
{
    const char *folder;

    find_terminal(options);
    if (options->baseline && !(options->baseline_report = baseline_read(options->baseline, error)))
        return command_error(options->command, error);
    campaign->step_limit_ns = options->step_limit_ns;
    campaign->manifest = report_manifest(options->command, argc, argv, options->seed);
    if (options->resume)
        options->folder = options->resume;
    if (name_folder(options, error) < 0)
        return command_error(options->command, error);
    folder = options->folder;
    if (strlen(folder) >= CAMPAIGN_FOLDER_MAX) {
        error_set(error, ENAMETOOLONG, "the folder's name");
        return command_error(options->command, error);
    }
    if (options->plan) {
        strcpy(options->planned, PLAN_TEMPLATE);
        if (!mkdtemp(options->planned) || rmdir(options->planned) < 0) {
            options->planned[0] = '\0';
            error_set(error, errno, "making a folder for the plan's probe");
            return command_error(options->command, error);
        }
        folder = options->planned;
    }
    snprintf(campaign->folder, sizeof(campaign->folder), "%s", folder);
    if (options->resume ? journal_open(&options->journal, folder, error) < 0
                        : journal_create(&options->journal, folder, argc, argv, error) < 0)
        return command_error(options->command, error);
    return STATUS_INTACT;
}

/* What --plan's probe has written, and the folder itself. */
static void remove_planned(const char *folder)
{
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *files = fd < 0 ? NULL : fdopendir(fd);
    struct dirent *entry;

    while (files && (entry = readdir(files)))
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            unlinkat(fd, entry->d_name, 0);
    if (files)
        closedir(files);
    rmdir(folder);
}

void campaign_close(struct campaign *campaign, struct campaign_options *options)
{
    journal_close(&options->journal);
    if (options->planned[0])
        remove_planned(options->planned);
    campaign_free(campaign);
    free(options->word);
    json_decref(options->words);
    json_decref(options->baseline_report);
}

/* Text for a person goes to standard output as it happens, where nothing else was asked for. */
static bool is_live(const struct campaign_options *options)
{
    return !options->report_count && !options->plan;
}

static const char *colour_of(const struct campaign_step *step)
{
    switch (step->result) {
    case STEP_PASSED:
        return "\033[32m";
    case STEP_FAILED:
    case STEP_HUNG:
        return "\033[31m";
    default:
        return "\033[33m";
    }
}

static void show_begin(void *context, const struct campaign *campaign, const struct campaign_step *step)
{
    const struct campaign_options *options = context;
    size_t number = (size_t)(step - campaign->step) + 1;

    if (!is_live(options) || !options->on_terminal)
        return;
    printf("\r\033[K[%zu/%zu] %s: %s ...", number, campaign->steps, step->name, step->text);
    fflush(stdout);
}

static void show_end(void *context, const struct campaign *campaign, const struct campaign_step *step)
{
    const struct campaign_options *options = context;
    json_t *object;

    if (!is_live(options))
        return;
    object = campaign_report_step(campaign, step);
    if (options->on_terminal)
        fputs("\r\033[K", stdout);
    if (options->coloured)
        fputs(colour_of(step), stdout);
    campaign_print_step(object, stdout);
    if (options->coloured)
        fputs("\033[0m", stdout);
    fflush(stdout);
    json_decref(object);
}

static int run_steps(struct campaign *campaign, struct campaign_options *options, struct error *error)
{
    const struct runner_watch watch = {.begins = show_begin, .ended = show_end, .context = options};

    return runner_run(campaign, &options->journal, &watch, error);
}

/* In the folder always, and where the user wants it. */
static int write_reports(const struct campaign *campaign, struct campaign_options *options, json_t *report,
                         struct error *error)
{
    static const char *const formats[] = {"json", "html"};
    int result = 0;

    for (size_t i = 0; i < 2; i++) {
        struct report_target target = {.file = ""};

        strcpy(target.format, formats[i]);
        snprintf(target.file, sizeof(target.file), "%.2047s/report.%s", campaign->folder, formats[i]);
        if (campaign_write(campaign, report, &target, error) < 0)
            result = command_error(options->command, error);
    }
    for (size_t i = 0; i < options->report_count; i++)
        if (campaign_write(campaign, report, &options->report[i], error) < 0)
            result = command_error(options->command, error);
    if (is_live(options) && (campaign_print_conclusion(report, stdout) < 0 || fflush(stdout) != 0))
        result = STATUS_USAGE;
    return result;
}

static int conclude(struct campaign *campaign, struct campaign_options *options, struct error *error)
{
    json_t *report = campaign_report(campaign);
    int written = 0;
    int status = report ? (int)report_number(report, "status") : STATUS_INCOMPLETE;

    if (report && options->baseline_report &&
        baseline_add(report, options->baseline_report, options->baseline, error) < 0)
        written = command_error(options->command, error);
    written |= write_reports(campaign, options, report, error);
    json_decref(report);
    if (status == STATUS_INTACT)
        status = written;
    for (size_t i = 0; i < options->skip_statuses; i++)
        if (status == options->skip_status[i])
            return STATUS_BISECT_SKIP;
    return status;
}

static void say_plan(const struct campaign *campaign, const struct campaign_options *options)
{
    if (!is_live(options))
        return;
    printf("\nThe plan, with reports in %s:\n\n", campaign->folder);
    campaign_print_plan(campaign, false, stdout);
    putchar('\n');
    fflush(stdout);
}

int campaign_carry_out(struct campaign *campaign, struct campaign_options *options,
                       void (*rest)(struct campaign *campaign, void *context), void *context, struct error *error)
{
    int result = 0;

    if (options->resume && journal_replay(campaign, error) < 0)
        return command_error(options->command, error);
    if (rest) {
        bool known;

        result = run_steps(campaign, options, error);
        known = campaign->step[campaign->steps - 1].result == STEP_PASSED;
        campaign->device = json_incref(campaign->step[0].report);
        if (options->plan)
            snprintf(campaign->folder, sizeof(campaign->folder), "%s", options->folder);
        if (known)
            rest(campaign, context);
        if (!known && options->plan) {
            error_set(error, 0, "nothing can be planned: %s", campaign->step[0].said ? campaign->step[0].said : "");
            return command_error(options->command, error);
        }
    }
    if (options->plan) {
        campaign_print_plan(campaign, true, stdout);
        return STATUS_INTACT;
    }
    if (options->resume && journal_replay(campaign, error) < 0)
        return command_error(options->command, error);
    say_plan(campaign, options);
    if (result == 0)
        result = run_steps(campaign, options, error);
    if (result < 0)
        command_error(options->command, error);
    return conclude(campaign, options, error);
}
