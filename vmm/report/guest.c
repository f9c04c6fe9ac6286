/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the guest did, from the chain events. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/proof/arithmetic.h"
#include "vmm/proof/proof.h"
#include "vmm/report/builder.h"

json_t *report_find_chain(const json_t *chains, const json_t *chain)
{
    json_t *other;
    size_t i;

    json_array_foreach (chains, i, other) {
        if (strcmp(report_text(other, "workload"), report_text(chain, "workload")) == 0 &&
            report_number(other, "device") == report_number(chain, "device") &&
            report_number(other, "index") == report_number(chain, "index"))
            return other;
    }
    return NULL;
}

bool report_chain_is_right(const json_t *chain)
{
    return report_knows(chain, "expected") && strcmp(report_text(chain, "digest"), report_text(chain, "expected")) == 0;
}

bool report_chain_has_digest(const json_t *chain)
{
    return strcmp(report_text(chain, "workload"), "clock") != 0;
}

json_int_t report_sum_operations(const json_t *chains)
{
    uint64_t sum = 0;
    json_t *chain;
    size_t i;

    json_array_foreach (chains, i, chain) {
        if (report_chain_has_digest(chain))
            sum += (uint64_t)report_number(chain, "operations");
    }
    return sum > INT64_MAX ? INT64_MAX : (json_int_t)sum;
}

static void set_difference(json_t *object, const char *name, const json_t *later, const json_t *earlier)
{
    json_int_t difference = report_sum_operations(later) - report_sum_operations(earlier);

    if (json_array_size(later))
        json_object_set_new(object, name, json_integer(difference < 0 ? 0 : difference));
}

void report_leg_operations(struct report_builder *builder)
{
    const json_t *earlier = NULL;
    struct report_leg *last = report_last_leg(builder);

    for (size_t i = 0; i < builder->leg_count; i++) {
        struct report_leg *leg = &builder->leg[i];
        const json_t *later = builder->end;

        if (!leg->object || !json_array_size(leg->pause))
            continue;
        for (size_t j = builder->leg_count - 1; j > i; j--) {
            if (json_array_size(builder->leg[j].pause))
                later = builder->leg[j].pause;
        }
        set_difference(leg->object, "ops_before", leg->pause, earlier);
        set_difference(leg->object, "ops_after", later, leg->pause);
        earlier = leg->pause;
    }
    /* Without a migration all is before none. */
    if (last && !earlier)
        set_difference(last->object, "ops_before", builder->end, NULL);
}

static unsigned int workload_number(const json_t *chain)
{
    for (uint32_t workload = WORKLOAD_DMA; proof_workload_known(workload); workload++) {
        if (strcmp(proof_workload_name(workload), report_text(chain, "workload")) == 0)
            return workload;
    }
    return 0;
}

static int compare_chains(const void *first, const void *second)
{
    const json_t *a = *(json_t *const *)first, *b = *(json_t *const *)second;
    json_int_t difference =
        (json_int_t)proof_workload_rank(workload_number(a)) - (json_int_t)proof_workload_rank(workload_number(b));

    if (!difference)
        difference = report_number(a, "device") - report_number(b, "device");
    if (!difference)
        difference = report_number(a, "index") - report_number(b, "index");
    return difference < 0 ? -1 : difference > 0;
}

/* A new array in the order of workload, device and index. */
static json_t *sort_chains(const json_t *chains)
{
    size_t count = json_array_size(chains);
    json_t **order = calloc(count + 1, sizeof(json_t *));
    json_t *sorted = json_array();

    for (size_t i = 0; order && i < count; i++)
        order[i] = json_array_get(chains, i);
    if (order)
        qsort(order, count, sizeof(json_t *), compare_chains);
    for (size_t i = 0; order && i < count; i++)
        json_array_append(sorted, order[i]);
    free(order);
    return sorted;
}

/* One digest over all chains that have one (docs/report.md, guest.digest). Null where one of them has no such member.
 */
static json_t *combine(const json_t *sorted, const char *member)
{
    uint64_t h = 0;
    bool any = false;
    json_t *chain;
    size_t i;

    json_array_foreach (sorted, i, chain) {
        uint64_t words[] = {
            workload_number(chain),
            (uint64_t)report_number(chain, "device") << 32 | (uint64_t)report_number(chain, "index"),
            (uint64_t)report_number(chain, "operations"),
            strtoull(report_text(chain, member), NULL, 16),
        };

        if (!report_chain_has_digest(chain))
            continue;
        if (!report_knows(chain, member))
            return json_null();
        any = true;
        h = proof_digest_words(words, sizeof(words) / sizeof(words[0]), h);
    }
    return any ? json_sprintf("0x%016" PRIx64, h) : json_null();
}

static json_t *value_or_null(const json_t *object, const char *name)
{
    json_t *value = json_object_get(object, name);

    return value ? json_incref(value) : json_null();
}

static json_t *describe_chain(const json_t *chain, const json_t *paused)
{
    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:b, s:o, s:o, s:o*, s:o}", "workload",
                     value_or_null(chain, "workload"), "device", value_or_null(chain, "device"), "index",
                     value_or_null(chain, "index"), "parameter", value_or_null(chain, "parameter"), "ops_at_pause",
                     value_or_null(paused, "operations"), "operations", value_or_null(chain, "operations"), "digest",
                     value_or_null(chain, "digest"), "digest_expected", value_or_null(chain, "expected"), "verified",
                     report_chain_is_right(chain), "submitted", value_or_null(chain, "submitted"), "interrupts",
                     value_or_null(chain, "interrupts"), "repeats", json_incref(json_object_get(chain, "repeats")),
                     "at", value_or_null(chain, "when"));
}

/* The pause that was the last. */
static const json_t *last_pause(const struct report_builder *builder)
{
    for (size_t i = builder->leg_count; i > 0; i--) {
        if (json_array_size(builder->leg[i - 1].pause))
            return builder->leg[i - 1].pause;
    }
    return NULL;
}

json_t *report_guest(const struct report_builder *builder)
{
    const json_t *paused = last_pause(builder);
    json_t *sorted = sort_chains(json_array_size(builder->end) ? builder->end : paused);
    const struct report_leg *leg = report_last_leg(builder);
    const json_t *numbers = leg ? leg->object : NULL;
    json_t *chains = json_array(), *chain;
    json_t *guest;
    size_t i;

    json_array_foreach (sorted, i, chain)
        json_array_append_new(chains, describe_chain(chain, report_find_chain(paused, chain)));
    guest =
        json_pack("{s:o, s:o, s:o, s:o, s:o, s:o}", "blackout_ns", value_or_null(numbers, "blackout_ns"), "ops_before",
                  value_or_null(numbers, "ops_before"), "ops_after", value_or_null(numbers, "ops_after"), "digest",
                  combine(sorted, "digest"), "digest_expected", combine(sorted, "expected"), "chains", chains);
    json_decref(sorted);
    return guest;
}
