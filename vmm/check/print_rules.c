/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The table of rules: as lines, one rule in full, and as the page docs/rules.md. */
#include <string.h>

#include "vmm/check/print.h"

static const struct {
    uint32_t bit;
    const char *name;
} need_names[] = {
    {CHECK_NEEDS_MIGRATION, "migration"},     {CHECK_NEEDS_P2P, "P2P"},
    {CHECK_NEEDS_PRE_COPY, "PRE_COPY"},       {CHECK_NEEDS_NO_PRE_COPY, "no PRE_COPY"},
    {CHECK_NEEDS_DMA_LOGGING, "DMA logging"}, {CHECK_NEEDS_RESET, "a reset"},
    {CHECK_NEEDS_TRAFFIC, "a driver for it"},
};

static const struct {
    uint32_t bit;
    const char *name;
} declaration_names[] = {
    {CHECK_DECLARES_CHECKSUM, "a checksum over its stream"},
    {CHECK_DECLARES_REPEATABLE, "that its saves repeat"},
    {CHECK_DECLARES_EXACT_SIZE, "that MIG_DATA_SIZE is exact"},
};

static void print_needs(uint32_t needs, FILE *file)
{
    const char *between = "";

    for (size_t i = 0; i < sizeof(need_names) / sizeof(need_names[0]); i++) {
        if (!(needs & need_names[i].bit))
            continue;
        fprintf(file, "%s%s", between, need_names[i].name);
        between = ", ";
    }
    if (!*between)
        fputs("nothing", file);
}

static void print_level(const struct check_rule *rule, FILE *file)
{
    fputs(check_level_name(rule->level), file);
    for (size_t i = 0; i < sizeof(declaration_names) / sizeof(declaration_names[0]); i++)
        if (rule->must_if & declaration_names[i].bit)
            fprintf(file, " (must, of a device that declares %s)", declaration_names[i].name);
}

int check_print_list(FILE *file)
{
    const struct check_rule *rule;

    for (size_t i = 0; (rule = check_rule_at(i)); i++)
        fprintf(file, "%-36s  %-8s  %-9s  %s\n", rule->name, check_level_name(rule->level),
                check_hazard_name(rule->hazard), rule->cost);
    return ferror(file) ? -1 : 0;
}

int check_print_rule(const struct check_rule *rule, FILE *file)
{
    fprintf(file, "%s\n  level:    ", rule->name);
    print_level(rule, file);
    fprintf(file, "\n  rests on: %s\n  usually:  %s\n", rule->basis, rule->causes);
    if (rule->field)
        fprintf(file, "  met as:   %s\n", rule->field);
    fputs("  needs:    ", file);
    print_needs(rule->needs, file);
    fprintf(file, "\n  hazard:   %s\n  cost:     %s\n", check_hazard_name(rule->hazard), rule->cost);
    return ferror(file) ? -1 : 0;
}

static void print_markdown_rule(const struct check_rule *rule, FILE *file)
{
    fprintf(file, "\n### %s\n\n%s.\n\n", rule->name, rule->basis);
    fputs("- level: ", file);
    print_level(rule, file);
    fputs("\n- needs: ", file);
    print_needs(rule->needs, file);
    fprintf(file, "\n- hazard: %s; cost: %s\n- usual cause: %s\n", check_hazard_name(rule->hazard), rule->cost,
            rule->causes);
    if (rule->field)
        fprintf(file, "- met as: %s\n", rule->field);
}

int check_print_markdown(FILE *file)
{
    const struct check_rule *rule;

    fputs("<!-- SPDX-License-Identifier: GPL-2.0-or-later -->\n"
          "<!-- Made by `stopcopy check --list --markdown`; a test compares it with the table. -->\n"
          "# The rules of stopcopy check\n\n"
          "docs/check.md says how to run them, and what level, hazard and needs stand for.\n\n"
          "| rule | level | hazard |\n|---|---|---|\n",
          file);
    for (size_t i = 0; (rule = check_rule_at(i)); i++)
        fprintf(file, "| [%s](#%.*s%s) | %s | %s |\n", rule->name, (int)strcspn(rule->name, "/"), rule->name,
                rule->name + strcspn(rule->name, "/") + 1, check_level_name(rule->level),
                check_hazard_name(rule->hazard));
    for (size_t i = 0; (rule = check_rule_at(i)); i++)
        print_markdown_rule(rule, file);
    return ferror(file) ? -1 : 0;
}
