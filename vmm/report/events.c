/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The shorthands: one function for each kind of event, so that its members are written in one place. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>

#include "config.h"
#include "vmm/proof/proof.h"
#include "vmm/report/event_form.h"
#include "vmm/report/event_log.h"

static json_t *format_text(const char *format, va_list arguments)
{
    char text[EVENT_TEXT_MAX];

    if (vsnprintf(text, sizeof(text), format, arguments) < 0)
        text[0] = '\0';
    return event_text(text);
}

void event_phase(struct event_log *log, const char *name, uint64_t start_ns, uint64_t end_ns, uint64_t bytes)
{
    event_log_add(log, "phase",
                  json_pack("{s:o, s:o, s:o, s:o}", "name", event_text(name), "start_ns", event_number(start_ns),
                            "end_ns", event_number(end_ns), "bytes", event_number(bytes)));
}

void event_arc(struct event_log *log, unsigned int device, const char *from, const char *to, uint64_t start_ns,
               uint64_t end_ns)
{
    uint64_t ns = end_ns > start_ns ? end_ns - start_ns : 0;

    event_log_add(log, "arc",
                  json_pack("{s:o, s:o, s:o, s:o, s:o}", "device", event_number(device), "from", event_text(from), "to",
                            event_text(to), "start_ns", event_number(start_ns), "ns", event_number(ns)));
}

void event_finding(struct event_log *log, const char *rule, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    event_log_add(log, "finding",
                  json_pack("{s:o, s:o}", "rule", event_text(rule), "text", format_text(format, arguments)));
    va_end(arguments);
}

void event_finding_of_leg(struct event_log *log, unsigned int leg, const char *rule, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    event_log_add(log, "finding",
                  json_pack("{s:o, s:o, s:o}", "leg", event_number(leg), "rule", event_text(rule), "text",
                            format_text(format, arguments)));
    va_end(arguments);
}

void event_note(struct event_log *log, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    event_log_add(log, "note", json_pack("{s:o}", "text", format_text(format, arguments)));
    va_end(arguments);
}

void event_not_proven(struct event_log *log, bool about_device, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    event_log_add(log, "not-proven",
                  json_pack("{s:o, s:b}", "text", format_text(format, arguments), "about_device", about_device));
    va_end(arguments);
}

void event_outcome(struct event_log *log, const char *who, int status, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    event_log_add(
        log, "outcome",
        json_pack("{s:o, s:i, s:o}", "who", event_text(who), "status", status, "text", format_text(format, arguments)));
    va_end(arguments);
}

void event_fact(struct event_log *log, const char *name, uint64_t value)
{
    event_log_add(log, "fact", json_pack("{s:o, s:o}", "name", event_text(name), "value", event_number(value)));
}

void event_error(struct event_log *log, const struct error *error)
{
    if (error->rule[0])
        event_finding(log, error->rule, "%s", error->text);
    else
        event_note(log, "%s", error->text);
}

void event_check(struct event_log *log, const char *rule, const char *result, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    event_log_add(log, "check",
                  json_pack("{s:o, s:o, s:o}", "rule", event_text(rule), "result", event_text(result), "text",
                            format_text(format, arguments)));
    va_end(arguments);
}

void event_expect(struct event_log *log, const struct event_expectation *expectation)
{
    event_log_add(log, "expect",
                  json_pack("{s:b, s:o, s:o}", "guest", expectation->guest, "migrations",
                            event_number(expectation->migrations), "devices", event_number(expectation->devices)));
}

/* The first "model name" of /proc/cpuinfo. */
static void read_cpu_name(char *name, size_t size)
{
    FILE *file = fopen("/proc/cpuinfo", "re");
    char line[256];

    snprintf(name, size, "unknown");
    if (!file)
        return;
    while (fgets(line, sizeof(line), file)) {
        char *value = strchr(line, ':');

        if (strncmp(line, "model name", 10) != 0 || !value)
            continue;
        line[strcspn(line, "\n")] = '\0';
        snprintf(name, size, "%s", value + 1 + strspn(value + 1, " "));
        break;
    }
    fclose(file);
}

void event_manifest(struct event_log *log, int argc, char *const argv[], uint64_t seed)
{
    struct utsname system;
    char kernel[sizeof(system.release) + sizeof(system.version) + sizeof(system.machine) + 3] = "unknown";
    char cpu[256], when[32] = "";
    json_t *command = json_array();
    time_t now = time(NULL);
    struct tm utc;

    if (uname(&system) == 0)
        snprintf(kernel, sizeof(kernel), "%s %s %s", system.release, system.version, system.machine);
    read_cpu_name(cpu, sizeof(cpu));
    if (gmtime_r(&now, &utc))
        strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%SZ", &utc);
    for (int i = 0; i < argc; i++)
        json_array_append_new(command, event_text(argv[i]));
    event_log_add(log, "manifest",
                  json_pack("{s:s, s:o, s:o, s:o, s:o, s:s}", "version", PACKAGE_VERSION, "kernel", event_text(kernel),
                            "cpu", event_text(cpu), "command", command, "seed", event_hex(seed), "time", when));
}

static void set_if_known(json_t *object, const char *name, uint64_t value)
{
    if (value != EVENT_UNKNOWN)
        json_object_set_new(object, name, event_number(value));
}

void event_device(struct event_log *log, unsigned int leg, unsigned int index, const char *name,
                  const struct event_device_numbers *numbers)
{
    json_t *members = json_pack("{s:o, s:o}", "leg", event_number(leg), "index", event_number(index));

    if (name)
        json_object_set_new(members, "name", event_text(name));
    set_if_known(members, "state_bytes", numbers->state_bytes);
    set_if_known(members, "ops_before", numbers->ops_before);
    set_if_known(members, "ops_after", numbers->ops_after);
    set_if_known(members, "in_flight_at_stop", numbers->in_flight_at_stop);
    event_log_add(log, "device", members);
}

void event_chain(struct event_log *log, unsigned int leg, const char *when, const struct proof_chain *chain,
                 const uint64_t *expected)
{
    json_t *members = json_pack("{s:o, s:o, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "leg", event_number(leg), "when",
                                event_text(when), "workload", proof_workload_name(chain->workload), "device",
                                event_number(chain->device), "index", event_number(chain->index), "parameter",
                                event_number(chain->parameter), "operations", event_number(chain->operations), "digest",
                                event_hex(chain->digest), "submitted", event_number(chain->submitted), "interrupts",
                                event_number(chain->interrupts));

    if (expected)
        json_object_set_new(members, "expected", event_hex(*expected));
    if (chain->workload == WORKLOAD_EDU)
        json_object_set_new(members, "repeats", event_number(chain->repeats));
    event_log_add(log, "chain", members);
}
