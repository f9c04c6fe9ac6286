/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A campaign's report in any format. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/deadline.h"
#include "vmm/campaign/report.h"
#include "vmm/report/builder.h"

#define STEPS_PROCESS 1
#define TRACKS_MAX 16
#define CLOCKS_APART_S 2

/* A track for the steps that ran one after the other; of those that ran beside each other the next ones. */
struct tracks {
    uint64_t free_at[TRACKS_MAX];
};

static int find_track(struct tracks *tracks, const struct campaign_step *step)
{
    int track = 0;

    while (track < TRACKS_MAX - 1 && tracks->free_at[track] > step->start_ns)
        track++;
    tracks->free_at[track] = step->start_ns + step->ns;
    return track + 1;
}

/* One that was done before the host went down and came up again has times of another clock. */
static bool has_times_of_this_boot(const struct campaign_step *step)
{
    int64_t boot = (int64_t)time(NULL) - (int64_t)(clock_now_ns() / 1000000000u);
    int64_t own = (int64_t)step->started_at - (int64_t)(step->start_ns / 1000000000u);

    return step->ns && (!step->kept || (boot - own <= CLOCKS_APART_S && own - boot <= CLOCKS_APART_S));
}

static int add_step(json_t *events, const struct campaign *campaign, const struct campaign_step *step, int track,
                    uint64_t start)
{
    int process = (int)(step - campaign->step) + 1 + STEPS_PROCESS;

    json_array_append_new(events,
                          json_pack("{s:s, s:s, s:i, s:i, s:f, s:f, s:{s:s, s:s}}", "name", step->name, "ph", "X",
                                    "pid", STEPS_PROCESS, "tid", track, "ts", (double)(step->start_ns - start) / 1000,
                                    "dur", (double)step->ns / 1000, "args", "result", step_result_name(step->result),
                                    "said", step->said ? step->said : ""));
    if (!json_array_size(json_object_get(step->report, "phases")))
        return 0;
    return report_trace_add(events, step->report, process, step->name, (json_int_t)start);
}

static void name_tracks(json_t *events, const char *subject)
{
    json_array_append_new(events, json_pack("{s:s, s:s, s:i, s:{s:s}}", "name", "process_name", "ph", "M", "pid",
                                            STEPS_PROCESS, "args", "name", subject));
    for (int track = 1; track <= TRACKS_MAX; track++)
        json_array_append_new(events, json_pack("{s:s, s:s, s:i, s:i, s:{s:s}}", "name", "thread_name", "ph", "M",
                                                "pid", STEPS_PROCESS, "tid", track, "args", "name", "steps"));
}

/* The steps as tracks, and each step's own events as a process of its own. */
int campaign_print_trace(const struct campaign *campaign, json_t *report, FILE *file)
{
    json_t *events = json_array();
    struct tracks tracks = {{0}};
    uint64_t start = UINT64_MAX;

    for (size_t i = 0; i < campaign->steps; i++)
        if (has_times_of_this_boot(&campaign->step[i]) && campaign->step[i].start_ns < start)
            start = campaign->step[i].start_ns;
    name_tracks(events, campaign->subject);
    for (size_t i = 0; i < campaign->steps; i++) {
        const struct campaign_step *step = &campaign->step[i];

        if (!has_times_of_this_boot(step))
            continue;
        if (add_step(events, campaign, step, find_track(&tracks, step), start) < 0) {
            json_decref(events);
            return -1;
        }
    }
    return report_trace_write(events, report_text(report, "verdict"), 0, file);
}

static int print_string(json_t *text, FILE *file)
{
    return fputs(json_string_value(text), file) == EOF ? -1 : 0;
}

/* A trace needs more than the report: it is printed into memory, to be written as any other. */
static int write_trace(const struct campaign *campaign, json_t *report, const char *file, struct error *error)
{
    char *text = NULL;
    size_t size;
    FILE *memory = open_memstream(&text, &size);
    int printed = memory ? campaign_print_trace(campaign, report, memory) : -1;
    json_t *string = memory && fclose(memory) == 0 && printed == 0 ? json_string(text) : NULL;
    int result =
        string ? report_write_by(string, print_string, file, error) : error_set(error, ENOMEM, "making the trace");

    json_decref(string);
    free(text);
    return result;
}

int campaign_write(const struct campaign *campaign, json_t *report, const struct report_target *target,
                   struct error *error)
{
    if (!report)
        return error_set(error, ENOMEM, "making the report");
    if (!strcmp(target->format, "text"))
        return report_write_by(report, campaign_print_text, target->file, error);
    if (!strcmp(target->format, "html"))
        return report_write_by(report, campaign_print_html, target->file, error);
    if (!strcmp(target->format, "trace"))
        return write_trace(campaign, report, target->file, error);
    return report_write(report, target, error);
}
