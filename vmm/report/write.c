/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Where reports go. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vmm/report/report.h"

#define NAMES_TRIED 100

static int print_json(json_t *report, FILE *file)
{
    if (json_dumpf(report, file, JSON_INDENT(2)) < 0 || fputc('\n', file) == EOF)
        return -1;
    return 0;
}

static const struct report_format {
    const char *name;
    report_printer print;
} formats[] = {
    {"text", report_print_text},   {"json", print_json},          {"tap", report_print_tap},
    {"junit", report_print_junit}, {"trace", report_print_trace}, {"html", report_print_html},
};

static const struct report_format *find_format(const char *name)
{
    for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
        if (strcmp(formats[i].name, name) == 0)
            return &formats[i];
    }
    return NULL;
}

int report_parse_target(const char *text, struct report_target *target, struct error *error)
{
    size_t length = strcspn(text, ":");
    const char *file = text[length] ? text + length + 1 : "";

    memset(target, 0, sizeof(*target));
    if (length >= sizeof(target->format))
        return error_set(error, EINVAL, "--report %s: the formats are text, json, tap, junit, trace and html", text);
    memcpy(target->format, text, length);
    if (!find_format(target->format))
        return error_set(error, EINVAL, "--report %s: the formats are text, json, tap, junit, trace and html", text);
    if (text[length] && !*file)
        return error_set(error, EINVAL, "--report %s: no file after the colon", text);
    if (strlen(file) >= sizeof(target->file))
        return error_set(error, ENAMETOOLONG, "--report %s", target->format);
    strcpy(target->file, file);
    return 0;
}

static int print_and_close(json_t *report, report_printer print, int fd, bool sync, const char *name,
                           struct error *error)
{
    FILE *file = fdopen(fd, "w");
    int result;

    if (!file) {
        close(fd);
        return error_set(error, errno, "writing the report to %s", name);
    }
    result = print(report, file);
    if (fflush(file) != 0 || (sync && fsync(fd) != 0))
        result = -1;
    if (result < 0)
        error_set(error, errno, "writing the report to %s", name);
    if (fclose(file) != 0 && result == 0)
        result = error_set(error, errno, "writing the report to %s", name);
    return result;
}

/* A name beside the file that nobody has. */
static int create_beside(const char *name, char *other, size_t size, struct error *error)
{
    for (int i = 0; i < NAMES_TRIED; i++) {
        int fd;

        if ((size_t)snprintf(other, size, "%s.%d-%d", name, (int)getpid(), i) >= size)
            return error_set(error, ENAMETOOLONG, "writing the report to %s", name);
        fd = open(other, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (fd >= 0)
            return fd;
        if (errno != EEXIST)
            return error_set(error, errno, "creating %s, to write the report to %s", other, name);
    }
    return error_set(error, EEXIST, "%s", other);
}

static int replace_file(json_t *report, report_printer print, const char *name, struct error *error)
{
    char other[PATH_MAX];
    int fd = create_beside(name, other, sizeof(other), error);

    if (fd < 0)
        return -1;
    if (print_and_close(report, print, fd, true, name, error) < 0)
        goto remove;
    if (rename(other, name) == 0)
        return 0;
    error_set(error, errno, "renaming %s to %s", other, name);
remove:
    unlink(other);
    return -1;
}

static int write_file(json_t *report, report_printer print, const char *name, struct error *error)
{
    char *target = realpath(name, NULL); /* a link is followed, not replaced */
    struct stat status;
    int result, fd;

    if (target && stat(target, &status) == 0 && !S_ISREG(status.st_mode)) {
        /* A pipe without a reader is not waited for. */
        fd = open(target, O_WRONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
        if (fd >= 0)
            fcntl(fd, F_SETFL, 0);
        result = fd < 0 ? error_set(error, errno, "opening %s to write the report", name)
                        : print_and_close(report, print, fd, false, name, error);
    } else {
        result = replace_file(report, print, target ? target : name, error);
    }
    free(target);
    return result;
}

int report_write_by(json_t *report, report_printer print, const char *file, struct error *error)
{
    if (file[0])
        return write_file(report, print, file, error);
    if (print(report, stdout) < 0 || fflush(stdout) != 0)
        return error_set(error, errno, "writing the report to standard output");
    return 0;
}

int report_write(json_t *report, const struct report_target *target, struct error *error)
{
    const struct report_format *format = find_format(target->format);

    if (!report)
        return error_set(error, ENOMEM, "making the report");
    if (!format)
        return error_set(error, EINVAL, "a report of the format \"%s\"", target->format);
    return report_write_by(report, format->print, target->file, error);
}

int report_print(json_t *report, const struct report_target *target, FILE *file, struct error *error)
{
    const struct report_format *format = find_format(target->format);

    if (!report || !format || format->print(report, file) < 0)
        return error_set(error, errno, "making the report in the format \"%s\"", target->format);
    return 0;
}
