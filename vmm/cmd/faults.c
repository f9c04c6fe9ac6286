/* SPDX-License-Identifier: GPL-2.0-or-later */
/* stopcopy faults: the table, for a person, for docs/faults.md and for the tests. */
#include <argp.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "lib/fault_table.h"
#include "vmm/cmd/cmd.h"

static const char *place_name(enum fault_place place)
{
    static const char *const names[] = {
        [FAULT_VMM] = "VMM",
        [FAULT_SOURCE] = "source's device",
        [FAULT_DESTINATION] = "destination's device",
        [FAULT_BOTH] = "device",
    };

    return names[place];
}

static void print_text(void)
{
    for (const struct fault_row *row = fault_table(); row->name; row++)
        printf("%s%s%s (%s)\n    %s\n    stopcopy %s: %s\n", row->name, *row->options ? "," : "", row->options,
               place_name(row->place), row->text, row->command, row->finding);
}

static int print_json(void)
{
    json_t *list = json_array();

    for (const struct fault_row *row = fault_table(); row->name; row++)
        json_array_append_new(list, json_pack("{s:s,s:s,s:s,s:s,s:s,s:s,s:s,s:s,s:i}", "name", row->name, "place",
                                              place_name(row->place), "bugs", row->bugs, "options", row->options,
                                              "text", row->text, "command", row->command, "finding", row->finding,
                                              "also", row->also, "status", row->status));
    json_dumpf(list, stdout, JSON_INDENT(1));
    putchar('\n');
    json_decref(list);
    return STATUS_INTACT;
}

/* Text in a cell of a table. */
static void print_cell(const char *text)
{
    for (; *text; text++) {
        if (*text == '|')
            putchar('\\');
        putchar(*text);
    }
}

static void print_row(const struct fault_row *row)
{
    printf("| `%s", row->name);
    if (*row->options)
        printf("[,");
    print_cell(row->options);
    printf("%s` | %s | ", *row->options ? "]" : "", place_name(row->place));
    print_cell(row->text);
    printf(" | `%s` | `%s` | %s |\n", row->command, row->finding, row->bugs);
}

/* The faults that stand for a bug, or why there is none. */
static void print_bug(const struct known_bug *bug)
{
    bool any = false;

    printf("| %u | %s | ", bug->number, bug->who);
    print_cell(bug->text);
    printf(" | ");
    for (const struct fault_row *row = fault_table(); row->name; row++) {
        if (!fault_row_has_bug(row, bug->number))
            continue;
        printf("%s`%s`", any ? ", " : "", row->name);
        any = true;
    }
    if (*bug->why_no_fault)
        printf("none: %s", bug->why_no_fault);
    else if (!any)
        printf("none yet");
    printf(" |\n");
}

static void print_markdown(void)
{
    printf("<!-- SPDX-License-Identifier: GPL-2.0-or-later -->\n"
           "<!-- Made by: stopcopy faults --markdown -->\n"
           "# Faults on purpose\n\n"
           "A tool that judges is judged itself: `--fault NAME[,KEY=VALUE...]` puts a fault in, of the VMM or of a "
           "`test` device, and the finding must come out by which the fault is known. `make check` holds that for "
           "every row. A device's fault is put in at the end of the last migration that the table names; "
           "`check` takes it as `test:...,fault=NAME`; `--device test:fault=NAME[:KEY=VALUE...]` and `stopcopy-device "
           "--fault` put it into a device wherever it "
           "is.\n\n"
           "Options: `at=N` strikes at the Nth occasion, `one-in=N,seed=S` at each by chance, the same each time for a "
           "seed; `arc=STATE` and `from=STATE` name an arc, `byte=N` a byte of the stream.\n\n"
           "| fault | where | what it does | found by `stopcopy ...` | finding | known bugs |\n"
           "|---|---|---|---|---|---|\n");
    for (const struct fault_row *row = fault_table(); row->name; row++)
        print_row(row);
    printf("\n## The known bugs\n\n"
           "What people met in devices and their drivers (D), in VMMs (V) and in endpoints of the protocol (P).\n\n"
           "| | who | what goes wrong | faults |\n|---|---|---|---|\n");
    for (const struct known_bug *bug = fault_known_bugs(); bug->number; bug++)
        print_bug(bug);
}

enum form {
    FORM_TEXT,
    FORM_JSON = 0x100,
    FORM_MARKDOWN,
};

static const struct argp_option options[] = {
    {"json", FORM_JSON, NULL, 0, "Print a JSON array instead of text", 0},
    {"markdown", FORM_MARKDOWN, NULL, 0, "Print the page docs/faults.md instead of text", 0},
    {0},
};

static error_t parse_option(int key, char *argument, struct argp_state *state)
{
    enum form *form = state->input;

    switch (key) {
    case FORM_JSON:
    case FORM_MARKDOWN:
        *form = (enum form)key;
        return 0;
    case ARGP_KEY_ARG:
        argp_error(state, "'%s' is not an option", argument);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp argp = {
    .options = options,
    .parser = parse_option,
    .doc = "Lists the faults that can be put in on purpose, and the finding that each must lead to.\v"
           "Examples:\n"
           "  stopcopy faults\n"
           "  stopcopy migrate --device test --fault page-not-sent\n"
           "  stopcopy check test:fault=truncated-accepted",
};

int cmd_faults(int argc, char **argv)
{
    static char name[] = "stopcopy faults";
    enum form form = FORM_TEXT;

    argv[0] = name;
    argp_err_exit_status = STATUS_USAGE;
    if (argp_parse(&argp, argc, argv, 0, NULL, &form))
        return STATUS_USAGE;
    if (form == FORM_JSON)
        return print_json();
    if (form == FORM_MARKDOWN)
        print_markdown();
    else
        print_text();
    return STATUS_INTACT;
}
