/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The report as trace events: the JSON form of Chrome's trace format, which Perfetto reads. Times are microseconds from the
 * first event on. Where source and destination are two hosts the trace says how far their clocks may be apart.
 */
#include <stdbool.h>
#include <string.h>

#include "vmm/report/builder.h"
#include "vmm/report/report.h"

/* Tracks: threads of one process, in the order in which they are shown. */
enum track {
    TRACK_SOURCE = 1,
    TRACK_DESTINATION = 2,
    TRACK_GUEST = 3,
    TRACK_OTHER = 4,
    TRACK_DEVICES = 10, /* two for each device: the source's, the destination's */
};

struct trace {
    json_t *events;
    int process;
    json_int_t start_ns;
    bool full; /* no memory */
};

static enum track track_of_role(const char *role)
{
    if (strcmp(role, "source") == 0)
        return TRACK_SOURCE;
    return strcmp(role, "destination") == 0 ? TRACK_DESTINATION : TRACK_OTHER;
}

static void append(struct trace *trace, json_t *event)
{
    if (json_array_append_new(trace->events, event) < 0)
        trace->full = true;
}

static double microseconds(json_int_t ns)
{
    return (double)ns / 1000;
}

static void name_track(struct trace *trace, json_int_t track, const char *name)
{
    append(trace, json_pack("{s:s, s:s, s:i, s:I, s:{s:s}}", "name", "thread_name", "ph", "M", "pid", trace->process,
                            "tid", track, "args", "name", name));
    append(trace, json_pack("{s:s, s:s, s:i, s:I, s:{s:I}}", "name", "thread_sort_index", "ph", "M", "pid",
                            trace->process, "tid", track, "args", "sort_index", track));
}

/* A step with its duration. args is taken over. */
static void add_span(struct trace *trace, json_int_t track, const char *name, json_int_t start_ns, json_int_t ns,
                     json_t *args)
{
    append(trace, json_pack("{s:s, s:s, s:i, s:I, s:f, s:f, s:o}", "name", name, "ph", "X", "pid", trace->process,
                            "tid", track, "ts", microseconds(start_ns - trace->start_ns), "dur",
                            microseconds(ns < 0 ? 0 : ns), "args", args));
}

static void add_phases(struct trace *trace, const json_t *leg)
{
    json_int_t paused_ns = 0;
    json_t *phase;
    size_t i;

    json_array_foreach (json_object_get(leg, "phases"), i, phase) {
        json_int_t start = report_number(phase, "start_ns");

        add_span(trace, track_of_role(report_text(phase, "role")), report_text(phase, "name"), start,
                 report_number(phase, "end_ns") - start,
                 json_pack("{s:I, s:I}", "migration", report_number(leg, "leg") + 1, "bytes",
                           report_number(phase, "bytes")));
        if (strcmp(report_text(phase, "name"), "pause") == 0 && strcmp(report_text(phase, "role"), "source") == 0)
            paused_ns = start;
    }
    if (paused_ns && report_knows(leg, "downtime_ns"))
        add_span(trace, TRACK_GUEST, "paused", paused_ns, report_number(leg, "downtime_ns"),
                 json_pack("{s:I, s:O?}", "migration", report_number(leg, "leg") + 1, "blackout_ns",
                           json_object_get(leg, "blackout_ns")));
}

static void add_arcs(struct trace *trace, const json_t *leg)
{
    json_t *device, *arc;
    size_t i, j;

    json_array_foreach (json_object_get(leg, "devices"), i, device) {
        json_array_foreach (json_object_get(device, "arcs"), j, arc) {
            bool destination = track_of_role(report_text(arc, "role")) == TRACK_DESTINATION;
            char name[96];

            snprintf(name, sizeof(name), "%.40s -> %.40s", report_text(arc, "from"), report_text(arc, "to"));
            add_span(trace, TRACK_DEVICES + 2 * report_number(device, "index") + destination, name,
                     report_number(arc, "start_ns"), report_number(arc, "ns"),
                     json_pack("{s:I}", "migration", report_number(leg, "leg") + 1));
        }
    }
}

static void name_devices(struct trace *trace, const json_t *leg)
{
    json_t *device;
    size_t i;

    json_array_foreach (json_object_get(leg, "devices"), i, device) {
        json_int_t track = TRACK_DEVICES + 2 * report_number(device, "index");
        char name[192];

        snprintf(name, sizeof(name), "device %d of the source: %.128s", (int)report_number(device, "index"),
                 report_text(device, "name"));
        name_track(trace, track, name);
        snprintf(name, sizeof(name), "device %d of the destination", (int)report_number(device, "index"));
        name_track(trace, track + 1, name);
    }
}

static void add_findings(struct trace *trace, const json_t *report)
{
    json_t *finding;
    size_t i;

    json_array_foreach (json_object_get(report, "findings"), i, finding) {
        json_int_t time_ns = report_number(finding, "time_ns");

        append(trace,
               json_pack("{s:s, s:s, s:s, s:i, s:i, s:f, s:{s:s}}", "name", report_text(finding, "rule"), "ph", "i",
                         "s", "p", "pid", trace->process, "tid", (int)track_of_role(report_text(finding, "role")), "ts",
                         time_ns ? microseconds(time_ns - trace->start_ns) : 0.0, "args", "text",
                         report_text(finding, "text")));
    }
}

static void name_tracks(struct trace *trace, const json_t *report, const char *name)
{
    append(trace, json_pack("{s:s, s:s, s:i, s:{s:s}}", "name", "process_name", "ph", "M", "pid", trace->process,
                            "args", "name", name));
    name_track(trace, TRACK_SOURCE, "source");
    name_track(trace, TRACK_DESTINATION, "destination");
    name_track(trace, TRACK_GUEST, "guest");
    name_track(trace, TRACK_OTHER, "stopcopy");
    name_devices(trace, json_array_size(json_object_get(report, "legs"))
                            ? json_array_get(json_object_get(report, "legs"), 0)
                            : report);
}

int report_trace_add(json_t *events, const json_t *report, int process, const char *name, json_int_t start_ns)
{
    struct trace trace = {.events = events, .process = process, .start_ns = start_ns};
    json_t *legs = json_object_get(report, "legs"), *leg;
    size_t i;

    name_tracks(&trace, report, name);
    json_array_foreach (legs, i, leg) {
        add_phases(&trace, leg);
        add_arcs(&trace, leg);
    }
    if (json_array_size(legs) == 0) {
        add_phases(&trace, report);
        add_arcs(&trace, report);
    }
    add_findings(&trace, report);
    return trace.full ? -1 : 0;
}

int report_trace_write(json_t *events, const char *verdict, json_int_t clock_error_ns, FILE *file)
{
    json_t *whole = json_pack("{s:o, s:s, s:{s:s, s:I}}", "traceEvents", events, "displayTimeUnit", "ms", "otherData",
                              "verdict", verdict, "clock_error_ns", clock_error_ns);
    int result = whole ? json_dumpf(whole, file, JSON_INDENT(1) | JSON_REAL_PRECISION(15)) : -1;

    json_decref(whole);
    return result < 0 || fputc('\n', file) == EOF || ferror(file) ? -1 : 0;
}

int report_print_trace(json_t *report, FILE *file)
{
    json_t *events = json_array();

    if (report_trace_add(events, report, 1, "stopcopy", report_number(report, "start_ns")) < 0) {
        json_decref(events);
        return -1;
    }
    return report_trace_write(events, report_text(report, "verdict"),
                              report_number(json_object_get(report, "facts"), "downtime_error_ns"), file);
}
