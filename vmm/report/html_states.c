/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The state machine of linux/vfio.h as a picture, with the arcs that a device was led through. */
#include <stdbool.h>
#include <string.h>

#include "vmm/report/builder.h"
#include "vmm/report/html.h"
#include "vmm/report/units.h"

#define NODE_WIDTH 130
#define NODE_HEIGHT 34
#define TAKEN_MAX 64

struct node {
    const char *state;
    double x, y; /* of the middle */
};

static const struct node nodes[] = {
    {"RUNNING", 85, 70},   {"RUNNING_P2P", 285, 70},   {"STOP", 485, 70},       {"RESUMING", 685, 70},
    {"PRE_COPY", 85, 210}, {"PRE_COPY_P2P", 285, 210}, {"STOP_COPY", 485, 210}, {"ERROR", 685, 210},
};

/* The arcs that the uAPI has, once for both ways; a device may lack the optional states. */
static const struct {
    const char *from, *to;
} arcs[] = {
    {"RUNNING", "RUNNING_P2P"},   {"RUNNING_P2P", "STOP"},       {"STOP", "RESUMING"},
    {"STOP", "STOP_COPY"},        {"RUNNING", "PRE_COPY"},       {"RUNNING_P2P", "PRE_COPY_P2P"},
    {"PRE_COPY", "PRE_COPY_P2P"}, {"PRE_COPY_P2P", "STOP_COPY"},
};

static const struct node *find_node(const char *state)
{
    for (size_t i = 0; i < sizeof(nodes) / sizeof(nodes[0]); i++) {
        if (strcmp(nodes[i].state, state) == 0)
            return &nodes[i];
    }
    return NULL;
}

static void print_arcs(FILE *file)
{
    for (size_t i = 0; i < sizeof(arcs) / sizeof(arcs[0]); i++) {
        const struct node *from = find_node(arcs[i].from), *to = find_node(arcs[i].to);

        fprintf(file, "<line class=\"possible\" x1=\"%.0f\" y1=\"%.0f\" x2=\"%.0f\" y2=\"%.0f\"/>\n", from->x, from->y,
                to->x, to->y);
    }
}

static bool is_taken(const json_t *device, const char *state)
{
    json_t *arc;
    size_t i;

    json_array_foreach (json_object_get(device, "arcs"), i, arc) {
        if (strcmp(report_text(arc, "from"), state) == 0 || strcmp(report_text(arc, "to"), state) == 0)
            return true;
    }
    return false;
}

static void print_nodes(const json_t *device, FILE *file)
{
    for (size_t i = 0; i < sizeof(nodes) / sizeof(nodes[0]); i++)
        fprintf(file,
                "<rect class=\"state%s\" x=\"%.0f\" y=\"%.0f\" width=\"%d\" height=\"%d\" rx=\"6\"/><text x=\"%.0f\" "
                "y=\"%.0f\" text-anchor=\"middle\">%s</text>\n",
                is_taken(device, nodes[i].state) ? " taken" : "", nodes[i].x - NODE_WIDTH / 2.0,
                nodes[i].y - NODE_HEIGHT / 2.0, NODE_WIDTH, NODE_HEIGHT, nodes[i].x, nodes[i].y + 5, nodes[i].state);
}

/* A bow beside the straight line, to the right of the way that it goes, so that the two ways do not cover each other. */
static void print_taken(const json_t *arc, unsigned int number, FILE *file)
{
    const struct node *from = find_node(report_text(arc, "from")), *to = find_node(report_text(arc, "to"));
    bool destination = strcmp(report_text(arc, "role"), "destination") == 0;
    double bow, x, y;

    if (!from || !to || from == to)
        return;
    /* Over the length of the line: short ones bow by 40, those that pass other states by more. */
    bow = 0.2;
    x = (from->x + to->x) / 2 - (to->y - from->y) * bow;
    y = (from->y + to->y) / 2 + (to->x - from->x) * bow * (from->y == to->y && from->y < 100 ? -0.4 : 1);
    fprintf(file, "<path class=\"%s\" d=\"M %.0f %.0f Q %.0f %.0f %.0f %.0f\"/>\n",
            destination ? "destination" : "source", from->x, from->y, x, y, to->x, to->y);
    x = (from->x + 2 * x + to->x) / 4;
    y = (from->y + 2 * y + to->y) / 4;
    fprintf(file,
            "<circle class=\"%s\" cx=\"%.0f\" cy=\"%.0f\" r=\"10\"/><text class=\"number\" x=\"%.0f\" y=\"%.0f\" "
            "text-anchor=\"middle\">%u</text>\n",
            destination ? "destination" : "source", x, y, x, y + 4, number);
}

static void print_list(const json_t *device, FILE *file)
{
    char text[UNITS_TEXT_MAX];
    json_t *arc;
    size_t i;

    fputs("<div class=\"wide\"><table><tr><th></th><th>arc</th><th>where</th><th>time</th></tr>\n", file);
    json_array_foreach (json_object_get(device, "arcs"), i, arc) {
        fprintf(file, "<tr><td>%zu</td><td>", i + 1);
        html_text(file, report_text(arc, "from"));
        fputs(" \xe2\x86\x92 ", file);
        html_text(file, report_text(arc, "to"));
        fputs("</td><td>", file);
        html_text(file, report_text(arc, "role"));
        fprintf(file, "</td><td>%s</td></tr>\n", units_time_of(arc, "ns", text));
    }
    fputs("</table></div>\n", file);
}

void html_print_states(const json_t *device, FILE *file)
{
    json_t *arc;
    size_t i;

    fputs("<svg class=\"states\" viewBox=\"0 0 770 290\" role=\"img\" aria-label=\"The migration states, and the arcs "
          "that "
          "the device was led through\">\n",
          file);
    print_arcs(file);
    json_array_foreach (json_object_get(device, "arcs"), i, arc) {
        if (i < TAKEN_MAX)
            print_taken(arc, (unsigned int)i + 1, file);
    }
    print_nodes(device, file);
    fputs("</svg>\n", file);
    print_list(device, file);
}
