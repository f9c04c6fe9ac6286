/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The file of accepted deviations. */
#include <errno.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/check/runner.h"

#define KNOWN_MAX 256

/* Cuts the blanks off both ends, in place. */
static char *trim(char *text)
{
    size_t length;

    text += strspn(text, " \t\r\n");
    length = strlen(text);
    while (length && strchr(" \t\r\n", text[length - 1]))
        text[--length] = '\0';
    return text;
}

static bool fits_a_rule(const char *pattern)
{
    const struct check_rule *rule;

    for (size_t i = 0; (rule = check_rule_at(i)); i++)
        if (!fnmatch(pattern, rule->name, 0))
            return true;
    return false;
}

static int add_line(struct check_known *known, char *line, const char *where, struct error *error)
{
    char *comment = strchr(line, '#');
    struct check_known_rule *entry;
    char *name;

    if (comment)
        *comment++ = '\0';
    name = trim(line);
    comment = comment ? trim(comment) : (char *)"";
    if (!*name)
        return 0;
    if (strlen(name) >= sizeof(entry->rule) || !fits_a_rule(name))
        return error_set(error, 0, "%s: no rule has the name '%.60s' (stopcopy check --list has them)", where, name);
    if (known->count == KNOWN_MAX)
        return error_set(error, E2BIG, "%s: more than %d rules", where, KNOWN_MAX);
    entry = realloc(known->rules, (known->count + 1) * sizeof(*entry));
    if (!entry)
        return error_set(error, ENOMEM, "%s", where);
    known->rules = entry;
    entry = &known->rules[known->count++];
    memcpy(entry->rule, name, strlen(name) + 1);
    snprintf(entry->comment, sizeof(entry->comment), "%s", comment);
    return 0;
}

int check_known_read(const char *path, struct check_known *known, struct error *error)
{
    FILE *file = fopen(path, "re");
    char where[512];
    char line[1024];
    int result = 0;

    *known = (struct check_known){.count = 0};
    if (!file)
        return error_set(error, errno, "%s", path);
    for (unsigned int number = 1; result == 0 && fgets(line, sizeof(line), file); number++) {
        snprintf(where, sizeof(where), "%.480s:%u", path, number);
        if (!strchr(line, '\n') && !feof(file))
            result = error_set(error, 0, "%s: the line is too long", where);
        else
            result = add_line(known, line, where, error);
    }
    if (result == 0 && ferror(file))
        result = error_set(error, errno, "%s", path);
    fclose(file);
    if (result < 0)
        check_known_free(known);
    return result;
}

void check_known_free(struct check_known *known)
{
    free(known->rules);
    *known = (struct check_known){.count = 0};
}
