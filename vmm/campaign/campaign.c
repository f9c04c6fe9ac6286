/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/campaign/campaign.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int campaign_init(struct campaign *campaign, const char *kind, const char *subject, struct error *error)
{
    *campaign = (struct campaign){.kind = kind, .jobs = 1};
    campaign->subject = strdup(subject);
    campaign->step = calloc(CAMPAIGN_STEPS_MAX, sizeof(*campaign->step));
    campaign->not_proven = json_array();
    if (campaign->subject && campaign->step && campaign->not_proven)
        return 0;
    campaign_free(campaign);
    return error_set(error, ENOMEM, "planning the steps");
}

void campaign_free(struct campaign *campaign)
{
    for (size_t i = 0; i < campaign->steps; i++) {
        struct campaign_step *step = &campaign->step[i];

        for (size_t word = 0; word < step->words; word++)
            free(step->word[word]);
        for (size_t device = 0; device < step->devices; device++)
            free(step->device[device]);
        free(step->text);
        free(step->said);
        json_decref(step->report);
    }
    free(campaign->step);
    free(campaign->subject);
    json_decref(campaign->manifest);
    json_decref(campaign->device);
    json_decref(campaign->not_proven);
    *campaign = (struct campaign){.steps = 0};
}

static struct campaign_step *step_at(struct campaign *campaign, int number)
{
    return number >= 0 && (size_t)number < campaign->steps ? &campaign->step[number] : NULL;
}

static void take_word(struct campaign *campaign, struct campaign_step *step, char *word)
{
    if (!word || step->words == CAMPAIGN_WORDS_MAX) {
        campaign->full = true;
        free(word);
        return;
    }
    step->word[step->words++] = word;
}

void campaign_add_word(struct campaign *campaign, int number, const char *format, ...)
{
    struct campaign_step *step = step_at(campaign, number);
    va_list arguments;
    char *word = NULL;

    if (!step)
        return;
    va_start(arguments, format);
    if (vasprintf(&word, format, arguments) < 0)
        word = NULL;
    va_end(arguments);
    take_word(campaign, step, word);
}

void campaign_add_words(struct campaign *campaign, int number, const char *words)
{
    struct campaign_step *step = step_at(campaign, number);

    while (step && *words) {
        size_t length = strcspn(words, " ");

        if (length)
            take_word(campaign, step, strndup(words, length));
        words += length + strspn(words + length, " ");
    }
}

int campaign_add(struct campaign *campaign, const char *name, const char *text, const char *command, int needs)
{
    struct campaign_step *step;

    if (campaign->steps == CAMPAIGN_STEPS_MAX) {
        campaign->full = true;
        return -1;
    }
    step = &campaign->step[campaign->steps++];
    *step = (struct campaign_step){.needs = needs, .text = strdup(text)};
    if (!step->text)
        campaign->full = true;
    snprintf(step->name, sizeof(step->name), "%s", name);
    campaign_add_words(campaign, (int)campaign->steps - 1, command);
    return (int)campaign->steps - 1;
}

void campaign_add_device(struct campaign *campaign, int number, const char *device)
{
    struct campaign_step *step = step_at(campaign, number);

    if (!step || !strcmp(device, "test") || !strncmp(device, "test:", 5))
        return;
    if (step->devices == CAMPAIGN_DEVICES_MAX || !(step->device[step->devices] = strdup(device))) {
        campaign->full = true;
        return;
    }
    step->devices++;
}

struct campaign_step *campaign_find(struct campaign *campaign, const char *name)
{
    for (size_t i = 0; i < campaign->steps; i++)
        if (!strcmp(campaign->step[i].name, name))
            return &campaign->step[i];
    return NULL;
}

void campaign_not_proven(struct campaign *campaign, const char *format, ...)
{
    char text[1024];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    json_array_append_new(campaign->not_proven, json_string(text));
}

const char *step_result_name(enum step_result result)
{
    static const char *const names[] = {
        [STEP_WAITING] = "waiting", [STEP_RUNNING] = "running",
        [STEP_PASSED] = "pass",     [STEP_INCOMPLETE] = "incomplete",
        [STEP_FAILED] = "fail",     [STEP_CANNOT] = "cannot",
        [STEP_HUNG] = "hung",       [STEP_INTERRUPTED] = "interrupted",
        [STEP_SKIPPED] = "skip",
    };

    return names[result];
}

const char *step_end_name(enum step_end end)
{
    static const char *const names[] = {
        [STEP_END_STATUS] = "status", [STEP_END_SIGNAL] = "signal",           [STEP_END_LIMIT] = "limit",
        [STEP_END_LOST] = "lost",     [STEP_END_INTERRUPTED] = "interrupted",
    };

    return names[end];
}

bool step_is_done(const struct campaign_step *step)
{
    return step->result >= STEP_PASSED && step->result <= STEP_HUNG;
}

void campaign_file(const struct campaign *campaign, const struct campaign_step *step, const char *suffix, char *path,
                   size_t size)
{
    snprintf(path, size, "%s/%02zu-%s%s", campaign->folder, (size_t)(step - campaign->step) + 1, step->name, suffix);
}

void campaign_words_free(char **words)
{
    for (size_t i = 0; words && words[i]; i++)
        free(words[i]);
    free(words);
}

static bool add_report(const struct campaign *campaign, const struct campaign_step *step, const char *format,
                       char **words, size_t *count)
{
    char path[CAMPAIGN_PATH_MAX], suffix[16];

    snprintf(suffix, sizeof(suffix), ".%s", format);
    campaign_file(campaign, step, suffix, path, sizeof(path));
    words[*count] = strdup("--report");
    if (!words[*count])
        return false;
    (*count)++;
    if (!strcmp(format, "text"))
        words[*count] = strdup(format); /* its standard output */
    else if (asprintf(&words[*count], "%s:%s", format, path) < 0)
        words[*count] = NULL;
    return words[(*count)++] != NULL;
}

/* What is left of a step that fails; of one that has to, nobody wants it. */
static bool add_keep(const struct campaign *campaign, const struct campaign_step *step, char **words, size_t *count)
{
    char path[CAMPAIGN_PATH_MAX];

    campaign_file(campaign, step, ".tar", path, sizeof(path));
    if (asprintf(&words[*count], "--keep-on-fail=%s%s", *path == '-' ? "./" : "", path) < 0)
        words[*count] = NULL;
    return words[(*count)++] != NULL;
}

char **campaign_words(const struct campaign *campaign, const struct campaign_step *step)
{
    static const char *const formats[] = {"text", "json", "html"};
    size_t count = 0, reports = step->output == STEP_OUTPUT_REPORT ? 3 : step->output == STEP_OUTPUT_CHECK ? 2 : 0;
    char **words = calloc(step->words + 2 * reports + 3, sizeof(*words));
    bool whole = words && (words[count++] = strdup("stopcopy")) != NULL;

    for (size_t i = 0; whole && i < step->words; i++)
        whole = (words[count++] = strdup(step->word[i])) != NULL;
    for (size_t i = 0; whole && i < reports; i++)
        whole = add_report(campaign, step, formats[i], words, &count);
    if (whole && step->output == STEP_OUTPUT_REPORT && !step->due_status)
        whole = add_keep(campaign, step, words, &count);
    if (whole)
        return words;
    campaign_words_free(words);
    return NULL;
}

static void print_words(const struct campaign_step *step, FILE *file)
{
    fputs("stopcopy", file);
    for (size_t i = 0; i < step->words; i++)
        fprintf(file, strpbrk(step->word[i], " $;*\"") ? " '%s'" : " %s", step->word[i]);
}

void campaign_print_plan(const struct campaign *campaign, bool with_commands, FILE *file)
{
    json_t *text;
    size_t i;

    for (i = 0; i < campaign->steps; i++) {
        const struct campaign_step *step = &campaign->step[i];

        fprintf(file, "%3zu. %-22s %s\n", i + 1, step->name, step->text);
        if (!with_commands)
            continue;
        fputs("     ", file);
        print_words(step, file);
        fputc('\n', file);
        if (step->due_status)
            fprintf(file, "     has to end with status %d%s%s\n", step->due_status,
                    *step->due_finding ? " and the finding " : "", step->due_finding);
    }
    json_array_foreach (campaign->not_proven, i, text)
        fprintf(file, "%s  - %s\n", i ? "" : "\nNot part of it\n", json_string_value(text));
}
