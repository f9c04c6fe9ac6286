/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Pictures of a leg over time: the steps of its switchover, and the rounds of its pre-copy. */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/report/builder.h"
#include "vmm/report/html.h"
#include "vmm/report/units.h"

#define STEPS_MAX 200
#define ROUNDS_MAX 200
#define ROW_HEIGHT 20
#define NAMES_WIDTH 270
#define BARS_WIDTH 430
#define TIMES_WIDTH 80
#define WIDTH (NAMES_WIDTH + BARS_WIDTH + TIMES_WIDTH)

struct step {
    char name[96];
    bool destination;
    bool arc;
    json_int_t start_ns;
    json_int_t ns;
};

struct timeline {
    struct step step[STEPS_MAX];
    size_t count;
    json_int_t start_ns; /* the pause */
    json_int_t ns;       /* to the last step that is shown */
};

static void add_step(struct timeline *timeline, const char *name, const char *role, bool arc, json_int_t start_ns,
                     json_int_t ns)
{
    struct step *step = &timeline->step[timeline->count];

    if (timeline->count == STEPS_MAX || start_ns < timeline->start_ns || ns < 0)
        return;
    *step = (struct step){.destination = strcmp(role, "destination") == 0, .arc = arc, .start_ns = start_ns, .ns = ns};
    snprintf(step->name, sizeof(step->name), "%s", name);
    timeline->count++;
}

static int compare_steps(const void *left, const void *right)
{
    const struct step *a = left, *b = right;

    return a->start_ns < b->start_ns ? -1 : a->start_ns > b->start_ns;
}

static void add_arcs(struct timeline *timeline, const json_t *leg)
{
    json_t *device, *arc;
    size_t i, j;

    json_array_foreach (json_object_get(leg, "devices"), i, device) {
        json_array_foreach (json_object_get(device, "arcs"), j, arc) {
            char name[96];

            snprintf(name, sizeof(name), "%d: %.32s \xe2\x86\x92 %.32s", (int)report_number(device, "index"),
                     report_text(arc, "from"), report_text(arc, "to"));
            add_step(timeline, name, report_text(arc, "role"), true, report_number(arc, "start_ns"),
                     report_number(arc, "ns"));
        }
    }
}

/* Returns false where the leg was never paused. */
static bool find_pause(struct timeline *timeline, const json_t *leg)
{
    json_t *phase;
    size_t i;

    json_array_foreach (json_object_get(leg, "phases"), i, phase) {
        if (strcmp(report_text(phase, "name"), "pause") == 0) {
            timeline->start_ns = report_number(phase, "start_ns");
            return true;
        }
    }
    return false;
}

static void fill(struct timeline *timeline, const json_t *leg)
{
    json_t *phase;
    size_t i;

    json_array_foreach (json_object_get(leg, "phases"), i, phase)
        add_step(timeline, report_text(phase, "name"), report_text(phase, "role"), false,
                 report_number(phase, "start_ns"), report_number(phase, "end_ns") - report_number(phase, "start_ns"));
    add_arcs(timeline, leg);
    qsort(timeline->step, timeline->count, sizeof(timeline->step[0]), compare_steps);
    for (i = 0; i < timeline->count; i++) {
        json_int_t end = timeline->step[i].start_ns + timeline->step[i].ns - timeline->start_ns;

        if (end > timeline->ns)
            timeline->ns = end;
    }
}

static double position(const struct timeline *timeline, json_int_t ns)
{
    return NAMES_WIDTH + (double)BARS_WIDTH * (double)ns / (double)timeline->ns;
}

static void print_step(const struct timeline *timeline, const struct step *step, size_t row, FILE *file)
{
    double x = position(timeline, step->start_ns - timeline->start_ns);
    double width = position(timeline, step->ns) - NAMES_WIDTH;
    size_t y = (row + 1) * ROW_HEIGHT;
    char text[UNITS_TEXT_MAX];

    fprintf(file, "<text x=\"%d\" y=\"%zu\" text-anchor=\"end\">", NAMES_WIDTH - 8, y + 14);
    html_text(file, step->name);
    fprintf(file, "</text><rect class=\"%s%s\" x=\"%.1f\" y=\"%zu\" width=\"%.1f\" height=\"%d\"><title>",
            step->destination ? "destination" : "source", step->arc ? " arc" : "", x, y + 3, width < 1.5 ? 1.5 : width,
            ROW_HEIGHT - 6);
    html_text(file, step->name);
    fprintf(file, ", %s, from %.1f us on</title></rect>", step->destination ? "destination" : "source",
            (double)(step->start_ns - timeline->start_ns) / 1000);
    fprintf(file, "<text x=\"%d\" y=\"%zu\" text-anchor=\"end\">%s</text>\n", WIDTH, y + 14,
            units_time(step->ns, text));
}

/* The time in which the guest stood still, behind the rows. */
static void print_downtime(const struct timeline *timeline, const json_t *leg, size_t height, FILE *file)
{
    json_int_t downtime = report_number(leg, "downtime_ns");
    char text[UNITS_TEXT_MAX];

    if (!downtime || downtime > timeline->ns)
        return;
    fprintf(
        file,
        "<rect class=\"downtime\" x=\"%d\" y=\"%d\" width=\"%.1f\" height=\"%zu\"/><text x=\"%d\" y=\"14\">downtime "
        "%s</text>\n",
        NAMES_WIDTH, ROW_HEIGHT, position(timeline, downtime) - NAMES_WIDTH, height - ROW_HEIGHT, NAMES_WIDTH,
        units_time(downtime, text));
}

void html_print_timeline(const json_t *leg, FILE *file)
{
    struct timeline *timeline = calloc(1, sizeof(*timeline));
    size_t height;

    if (!timeline || !find_pause(timeline, leg)) {
        fputs("<p>The guest was never paused.</p>\n", file);
        free(timeline);
        return;
    }
    fill(timeline, leg);
    if (timeline->ns == 0)
        timeline->ns = 1;
    height = (timeline->count + 1) * ROW_HEIGHT + 4;
    fprintf(file,
            "<div class=\"wide\"><svg class=\"timeline\" viewBox=\"0 0 %d %zu\" role=\"img\" "
            "aria-label=\"The steps of the switchover\">\n",
            WIDTH + 4, height);
    print_downtime(timeline, leg, height, file);
    for (size_t i = 0; i < timeline->count; i++)
        print_step(timeline, &timeline->step[i], i, file);
    fputs("</svg></div>\n<p class=\"legend\"><span class=\"key source\"></span> source <span class=\"key "
          "destination\"></span> destination; arcs of devices, by their number, are paler. What lies right of the "
          "downtime "
          "happened while the guest worked again.</p>\n",
          file);
    free(timeline);
}

static void print_round(const json_t *leg, const json_t *phase, FILE *file)
{
    json_int_t ns = report_number(phase, "end_ns") - report_number(phase, "start_ns");
    json_int_t bytes = report_number(phase, "bytes");
    char fact[64], text[2][UNITS_TEXT_MAX];
    const json_t *pages;

    snprintf(fact, sizeof(fact), "precopy.%.32s.pages", report_text(phase, "name"));
    if (strchr(fact, ' '))
        *strchr(fact, ' ') = '.';
    pages = json_object_get(json_object_get(leg, "facts"), fact);
    fputs("<tr><td>", file);
    html_text(file, report_text(phase, "name"));
    fprintf(file, "</td><td>%s</td><td>%s</td>", units_time(ns, text[0]), units_bytes(bytes, text[1]));
    fprintf(file, "<td>%s/s</td>", ns > 0 ? units_bytes((json_int_t)((double)bytes * 1e9 / (double)ns), text[0]) : "-");
    if (pages)
        fprintf(file, "<td>%lld pages</td></tr>\n", json_integer_value(pages));
    else
        fputs("<td></td></tr>\n", file);
}

static bool is_round(const json_t *phase)
{
    return strncmp(report_text(phase, "name"), "round ", 6) == 0;
}

/* A bar for each round: what it sent. */
static void print_bars(const json_t *leg, json_int_t most, size_t count, FILE *file)
{
    double width = 760.0 / (double)count;
    size_t i, bar = 0;
    json_t *phase;

    fputs("<svg class=\"rounds\" viewBox=\"0 0 760 120\" role=\"img\" aria-label=\"Bytes sent in each round\">\n",
          file);
    json_array_foreach (json_object_get(leg, "phases"), i, phase) {
        double height;

        if (!is_round(phase) || bar == count)
            continue;
        height = 100.0 * (double)report_number(phase, "bytes") / (double)most;
        fprintf(file, "<rect class=\"source\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\"><title>",
                (double)bar * width + 1, 110 - height, width > 3 ? width - 2 : width, height < 1 ? 1 : height);
        html_text(file, report_text(phase, "name"));
        fputs("</title></rect>\n", file);
        bar++;
    }
    fputs("</svg>\n", file);
}

void html_print_rounds(const json_t *leg, FILE *file)
{
    json_int_t most = 1;
    size_t count = 0, i;
    json_t *phase;

    json_array_foreach (json_object_get(leg, "phases"), i, phase) {
        if (!is_round(phase))
            continue;
        count++;
        if (report_number(phase, "bytes") > most)
            most = report_number(phase, "bytes");
    }
    if (!count)
        return;
    if (count > ROUNDS_MAX)
        count = ROUNDS_MAX;
    fputs("<h2>Rounds of pre-copy</h2>\n", file);
    print_bars(leg, most, count, file);
    fputs("<div class=\"wide\"><table><tr><th>round</th><th>time</th><th>sent</th><th>rate</th><th>due: written since "
          "the "
          "round before</th></tr>\n",
          file);
    json_array_foreach (json_object_get(leg, "phases"), i, phase) {
        if (is_round(phase))
            print_round(leg, phase, file);
    }
    fputs("</table></div>\n", file);
}
