/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Prints the report of the sample: sample_report text|json. With a second word the run goes wrong first: "fail",
 * "incomplete", "empty". */
#include <string.h>

#include "tests/unit/report/sample.h"
#include "vmm/report/event_log.h"
#include "vmm/report/report.h"

static json_t *change(json_t *events, const char *how)
{
    struct event_log *log = event_log_new("destination", -1);
    json_t *more;

    if (strcmp(how, "fail") == 0)
        event_finding(log, "device/dma-after-stop", "the device wrote to 0x1000 after STOP");
    else if (strcmp(how, "incomplete") == 0)
        event_not_proven(log, true, "the interrupts of the device were not counted");
    more = event_log_events(log);
    if (strcmp(how, "empty") == 0)
        json_array_clear(events);
    json_array_extend(events, more);
    json_decref(more);
    event_log_free(log);
    return events;
}

int main(int argc, char **argv)
{
    struct report_target target;
    struct error error;
    json_t *events, *report;
    int result;

    if (argc < 2 || report_parse_target(argv[1], &target, &error) < 0)
        return 2;
    events = change(sample_events(), argc > 2 ? argv[2] : "");
    report = report_build(events);
    result = report_write(report, &target, &error);
    json_decref(report);
    json_decref(events);
    return result < 0;
}
