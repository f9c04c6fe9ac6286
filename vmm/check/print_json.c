/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/check/print.h"
#include "vmm/cmd/cmd.h"
#include "vmm/vfio/fsm.h"

/* As reports have it (docs/report.md): what breaks no `must`, or is accepted, must not make a pipeline red. */
static const char *result_name(const struct check_entry *entry)
{
    if (entry->result.outcome == CHECK_OK)
        return "pass";
    return check_entry_is_finding(entry) && entry->level == CHECK_MUST ? "fail" : "skip";
}

static const char *outcome_name(const struct check_entry *entry)
{
    static const char *const names[] = {
        [CHECK_OK] = "held",
        [CHECK_BROKEN] = "broken",
        [CHECK_NOT_APPLICABLE] = "not-applicable",
        [CHECK_NOT_TRIED] = "not-tried",
    };

    return entry->known && entry->result.outcome == CHECK_BROKEN ? "known" : names[entry->result.outcome];
}

/* The first finding, or the reason of a skip, in one line. */
static json_t *build_text(const struct check_entry *entry)
{
    const struct check_result *result = &entry->result;

    if (result->outcome != CHECK_BROKEN)
        return json_string(result->reason);
    return json_sprintf("%s%s; seen: %s",
                        entry->known                 ? "known; expected: "
                        : entry->level == CHECK_MUST ? "expected: "
                                                     : "breaks no must; expected: ",
                        result->finding[0].expected, result->finding[0].seen);
}

static json_t *build_details(const struct check_result *result)
{
    json_t *details = json_array();

    for (size_t i = 0; i < result->finding_count; i++)
        json_array_append_new(
            details, json_pack("{s:s, s:s}", "expected", result->finding[i].expected, "seen", result->finding[i].seen));
    return details;
}

static json_t *build_notes(const struct check_result *result)
{
    json_t *notes = json_array();

    for (size_t i = 0; i < result->note_count; i++)
        json_array_append_new(notes, json_string(result->note[i]));
    return notes;
}

static json_t *build_check(const struct check_entry *entry)
{
    const struct check_rule *rule = entry->rule;
    const struct check_result *result = &entry->result;
    json_t *check =
        json_pack("{s:s, s:s, s:s, s:s, s:o, s:s, s:s, s:o, s:I, s:o, s:I, s:I, s:I}", "rule", rule->name, "result",
                  result_name(entry), "outcome", outcome_name(entry), "level", check_level_name(entry->level), "text",
                  build_text(entry), "basis", rule->basis, "causes", rule->causes, "details", build_details(result),
                  "details_more", (json_int_t)result->findings_more, "notes", build_notes(result), "tried",
                  (json_int_t)result->tried, "possible", (json_int_t)result->possible, "ns", (json_int_t)result->ns);

    if (check && entry->known)
        json_object_set_new(check, "known", json_string(entry->known));
    return check;
}

static json_t *build_checks(const struct check_run *run)
{
    json_t *checks = json_array();

    for (size_t i = 0; i < run->count; i++)
        json_array_append_new(checks, build_check(&run->entry[i]));
    return checks;
}

static json_t *build_findings(const struct check_run *run)
{
    json_t *findings = json_array();

    for (size_t i = 0; i < run->count; i++)
        if (check_entry_is_finding(&run->entry[i]) && run->entry[i].level == CHECK_MUST)
            json_array_append_new(findings, json_pack("{s:s, s:o}", "rule", run->entry[i].rule->name, "text",
                                                      build_text(&run->entry[i])));
    return findings;
}

static json_t *build_incomplete(const struct check_run *run)
{
    json_t *reasons = json_array();

    if (!fsm_flags_defined(run->flags))
        json_array_append_new(reasons,
                              json_string("the device has no migration, or flags that the uAPI does not define"));
    for (size_t i = 0; i < run->count; i++)
        if (check_entry_is_incomplete(&run->entry[i]))
            json_array_append_new(
                reasons, json_sprintf("%s was not tried: %s", run->entry[i].rule->name, run->entry[i].result.reason));
    return reasons;
}

json_t *check_build_json(const struct check_run *run)
{
    int status = check_run_status(run);
    const char *verdict = status == STATUS_BROKEN ? "fail" : status == STATUS_INCOMPLETE ? "incomplete" : "pass";
    json_t *flags = json_sprintf("0x%016llx", (unsigned long long)run->flags);
    json_t *seed = json_sprintf("0x%016llx", (unsigned long long)run->seed);

    return json_pack("{s:s, s:s, s:i, s:s, s:s, s:o, s:o, s:i, s:I, s:s, s:I, s:o, s:o, s:o}", "format",
                     "stopcopy-check-1", "verdict", verdict, "status", status, "device", run->device, "backend",
                     run->backend, "migration_flags", flags, "seed", seed, "declares", (int)run->declares,
                     "stream_bytes", (json_int_t)run->image_size, "unusable", run->unusable, "total_ns",
                     (json_int_t)run->ns, "checks", build_checks(run), "findings", build_findings(run),
                     "incomplete_because", build_incomplete(run));
}
