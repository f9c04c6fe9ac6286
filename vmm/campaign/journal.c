/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/campaign/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "lib/io.h"

#define FILE_NAME "journal.jsonl"
#define FORMAT "stopcopy-journal-1"
#define LINE_MAX_BYTES 65536
#define LINES_MAX (4 * CAMPAIGN_STEPS_MAX)
#define WRITE_MS 10000

static void name_file(const char *folder, char *path, size_t size)
{
    snprintf(path, size, "%s/" FILE_NAME, folder);
}

/* line is taken over. */
static int write_line(struct journal *journal, json_t *line, struct error *error)
{
    char *text = json_dumps(line, JSON_COMPACT);
    int result = -1;

    json_decref(line);
    if (!text)
        return error_set(error, ENOMEM, "writing the journal");
    if (io_write_full(journal->fd, text, strlen(text), deadline_in_ms(WRITE_MS), "the journal", error) == 0 &&
        io_write_full(journal->fd, "\n", 1, deadline_in_ms(WRITE_MS), "the journal", error) == 0)
        result = fdatasync(journal->fd) < 0 ? error_set(error, errno, "writing the journal to the disk") : 0;
    free(text);
    return result;
}

int journal_create(struct journal *journal, const char *folder, int words, char *const word[], struct error *error)
{
    char path[CAMPAIGN_PATH_MAX];
    json_t *command = json_array();

    journal->fd = -1;
    for (int i = 0; i < words; i++)
        json_array_append_new(command, json_string(word[i]));
    if (!command || json_array_size(command) != (size_t)words) {
        json_decref(command);
        return error_set(error, EINVAL, "the command line has words that are no UTF-8");
    }
    if (mkdir(folder, 0777) < 0) {
        json_decref(command);
        return error_set(error, errno, "making the folder %s for the reports (an earlier one is taken up by --resume)",
                         folder);
    }
    name_file(folder, path, sizeof(path));
    journal->fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0666);
    if (journal->fd < 0) {
        json_decref(command);
        return error_set(error, errno, "making %s", path);
    }
    return write_line(journal, json_pack("{s:s, s:s, s:o}", "kind", "campaign", "format", FORMAT, "command", command),
                      error);
}

int journal_open(struct journal *journal, const char *folder, struct error *error)
{
    char path[CAMPAIGN_PATH_MAX];

    name_file(folder, path, sizeof(path));
    journal->fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
    if (journal->fd < 0)
        return error_set(error, errno, "opening %s", path);
    /* A line that was cut off where the host went down is ended. */
    return io_write_full(journal->fd, "\n", 1, deadline_in_ms(WRITE_MS), path, error);
}

void journal_close(struct journal *journal)
{
    io_close(&journal->fd);
}

int journal_begin(struct journal *journal, const struct campaign_step *step, struct error *error)
{
    return write_line(
        journal, json_pack("{s:s, s:s, s:I}", "kind", "begin", "step", step->name, "at", (json_int_t)step->started_at),
        error);
}

int journal_end(struct journal *journal, const struct campaign_step *step, struct error *error)
{
    return write_line(journal,
                      json_pack("{s:s, s:s, s:s, s:i, s:I, s:I}", "kind", "end", "step", step->name, "end",
                                step_end_name(step->end), "number", step->end_number, "start_ns",
                                (json_int_t)step->start_ns, "ns", (json_int_t)step->ns),
                      error);
}

/* Called with each line; -1 ends the reading. */
typedef int (*line_taker)(void *context, const json_t *line, struct error *error);

static int read_lines(const char *folder, line_taker take, void *context, struct error *error)
{
    char path[CAMPAIGN_PATH_MAX];
    char *text = malloc(LINE_MAX_BYTES);
    FILE *file;
    unsigned int number = 0;
    int result = 0;

    name_file(folder, path, sizeof(path));
    file = text ? fopen(path, "re") : NULL;
    if (!file) {
        error_set(error, text ? errno : ENOMEM, "opening %s: is it the folder of a campaign?", path);
        free(text);
        return -1;
    }
    while (result == 0 && fgets(text, LINE_MAX_BYTES, file)) {
        bool whole = strchr(text, '\n') != NULL;
        json_t *line;

        if (++number > LINES_MAX || (!whole && !feof(file))) {
            result = error_set(error, 0, "%s: line %u is too long, or one too many", path, number);
            break;
        }
        if (text[strspn(text, " \n")] == '\0')
            continue;
        line = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
        /* The last line may have been cut off with the host, and was ended by who took it up: it says nothing. */
        if (line)
            result = take(context, line, error);
        else if (number == 1)
            result = error_set(error, 0, "%s is no journal of stopcopy", path);
        json_decref(line);
    }
    fclose(file);
    free(text);
    return result;
}

static int take_command(void *context, const json_t *line, struct error *error)
{
    json_t **command = context;
    json_t *words = json_object_get(line, "command"), *word;
    const char *format = json_string_value(json_object_get(line, "format"));
    size_t i;

    if (*command)
        return 0;
    if (!format || strcmp(format, FORMAT) || json_array_size(words) < 1 || json_array_size(words) > CAMPAIGN_WORDS_MAX)
        return error_set(error, 0, "the journal does not begin with a command of this version");
    json_array_foreach (words, i, word)
        if (!json_is_string(word))
            return error_set(error, 0, "the journal's command has a word that is no text");
    *command = json_incref(words);
    return 0;
}

json_t *journal_command(const char *folder, struct error *error)
{
    json_t *command = NULL;

    if (read_lines(folder, take_command, &command, error) < 0) {
        json_decref(command);
        return NULL;
    }
    if (!command)
        error_set(error, 0, "%s/" FILE_NAME " is empty", folder);
    return command;
}

static bool find_end(const char *name, enum step_end *end)
{
    for (unsigned int i = STEP_END_STATUS; name && i <= STEP_END_INTERRUPTED; i++) {
        if (strcmp(name, step_end_name((enum step_end)i)))
            continue;
        *end = (enum step_end)i;
        return true;
    }
    return false;
}

static int take_event(void *context, const json_t *line, struct error *error)
{
    struct campaign *campaign = context;
    const char *kind = json_string_value(json_object_get(line, "kind"));
    const char *name = json_string_value(json_object_get(line, "step"));
    struct campaign_step *step = name ? campaign_find(campaign, name) : NULL;

    (void)error;
    if (!kind || !step || (step->result != STEP_WAITING && !step->kept))
        return 0;
    if (!strcmp(kind, "begin")) {
        step->result = STEP_RUNNING;
        step->kept = true;
        step->end = STEP_END_LOST;
        step->started_at = (uint64_t)json_integer_value(json_object_get(line, "at"));
    } else if (!strcmp(kind, "end") && step->kept &&
               find_end(json_string_value(json_object_get(line, "end")), &step->end)) {
        step->end_number = (int)json_integer_value(json_object_get(line, "number"));
        step->start_ns = (uint64_t)json_integer_value(json_object_get(line, "start_ns"));
        step->ns = (uint64_t)json_integer_value(json_object_get(line, "ns"));
        step->result = STEP_RUNNING;
    }
    return 0;
}

int journal_replay(struct campaign *campaign, struct error *error)
{
    if (read_lines(campaign->folder, take_event, campaign, error) < 0)
        return -1;
    for (size_t i = 0; i < campaign->steps; i++) {
        struct campaign_step *step = &campaign->step[i];

        if (!step->kept || step->result != STEP_RUNNING)
            continue;
        campaign_judge_step(campaign, step);
        if (step->result == STEP_INTERRUPTED) {
            step->result = STEP_WAITING;
            step->kept = false;
        }
    }
    return 0;
}
