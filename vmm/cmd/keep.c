/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/cmd/keep.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/deadline.h"
#include "vmm/cmd/user_command.h"
#include "vmm/report/builder.h"
#include "vmm/report/report.h"

#define TAR_MS 120000

static const char template[] = "stopcopy-keep-XXXXXX";

int keep_open(struct keep *keep, struct kernel_log *kernel_log, struct error *error)
{
    const char *temporary = getenv("TMPDIR");
    int fd;

    keep->folder_fd = -1;
    if (!keep->file)
        return 0;
    if (!temporary || !*temporary)
        temporary = "/tmp";
    if (strlen(temporary) + sizeof(template) >= sizeof(keep->folder))
        return error_set(error, ENAMETOOLONG, "--keep-on-fail: TMPDIR");
    snprintf(keep->folder, sizeof(keep->folder), "%s/%s", temporary, template);
    if (!mkdtemp(keep->folder)) {
        keep->folder[0] = '\0';
        return error_set(error, errno, "--keep-on-fail: making a folder in %s", temporary);
    }
    keep->folder_fd = open(keep->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    fd = keep->folder_fd < 0 ? -1 : openat(keep->folder_fd, "kernel.log", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    kernel_log->copy = fd < 0 ? NULL : fdopen(fd, "w");
    return kernel_log->copy ? 0 : error_set(error, errno, "--keep-on-fail: writing in %s", keep->folder);
}

int keep_uapi_log(const struct keep *keep, struct error *error)
{
    int fd = openat(keep->folder_fd, "uapi.jsonl", O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);

    return fd < 0 ? error_set(error, errno, "--keep-on-fail: writing in %s", keep->folder) : fd;
}

static FILE *make(const struct keep *keep, const char *name)
{
    int fd = openat(keep->folder_fd, name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

    return fd < 0 ? NULL : fdopen(fd, "w");
}

/* The events as lines, as the processes wrote them. */
static void save_events(const struct keep *keep, const json_t *events)
{
    FILE *file = make(keep, "events.jsonl");
    json_t *event;
    size_t i;

    json_array_foreach (events, i, event)
        if (file && json_dumpf(event, file, JSON_COMPACT) == 0)
            fputc('\n', file);
    if (file)
        fclose(file);
}

static void save_console(const struct keep *keep, const json_t *report)
{
    FILE *file = make(keep, "console.txt");
    json_t *line;
    size_t i;

    json_array_foreach (json_object_get(report, "console"), i, line)
        if (file)
            fprintf(file, "%s\n", json_string_value(line));
    if (file)
        fclose(file);
}

static int save_report(const struct keep *keep, json_t *report, struct error *error)
{
    static const char *const formats[] = {"json", "text", "html"};

    for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
        struct report_target target = {.file = ""};

        strcpy(target.format, formats[i]);
        snprintf(target.file, sizeof(target.file), "%s/report.%s", keep->folder,
                 strcmp(formats[i], "text") != 0 ? formats[i] : "txt");
        if (report_write(report, &target, error) < 0)
            return -1;
    }
    return 0;
}

/* tar(1) is on every system that builds programs; its words are a list, and no shell has a part in it. */
static int write_tar(const struct keep *keep, struct error *error)
{
    char *const words[] = {"tar", "--format=ustar", "-C", (char *)keep->folder, "-cf", (char *)keep->file, ".", NULL};
    posix_spawnattr_t attributes;
    pid_t child;
    int number;

    if (keep->file[0] == '-')
        return error_set(error, 0, "--keep-on-fail: '%s' is no file's name: begin it with ./", keep->file);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setpgroup(&attributes, 0);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP);
    number = posix_spawnp(&child, words[0], NULL, &attributes, words, environ);
    posix_spawnattr_destroy(&attributes);
    if (number)
        return error_set(error, number, "--keep-on-fail: running tar");
    if (user_command_wait(child, deadline_in_ms(TAR_MS), NULL, NULL, error) < 0)
        return error_prefix(error, "--keep-on-fail: tar -cf %s", keep->file);
    return 0;
}

int keep_save(const struct keep *keep, json_t *report, json_t *events, struct error *error)
{
    if (!keep->file || strcmp(report_text(report, "verdict"), "fail") != 0)
        return 0;
    json_array_append_new(json_object_get(report, "notes"),
                          json_sprintf("what this run leaves to be looked into is kept in %s", keep->file));
    save_events(keep, events);
    save_console(keep, report);
    if (save_report(keep, report, error) < 0)
        return -1;
    return write_tar(keep, error);
}

void keep_close(struct keep *keep, struct kernel_log *kernel_log)
{
    DIR *files = keep->folder_fd < 0 || !keep->folder[0] ? NULL : fdopendir(keep->folder_fd);
    struct dirent *entry;

    if (kernel_log->copy)
        fclose(kernel_log->copy);
    kernel_log->copy = NULL;
    while (files && (entry = readdir(files)))
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            unlinkat(dirfd(files), entry->d_name, 0);
    if (files)
        closedir(files);
    if (keep->folder[0])
        rmdir(keep->folder);
    keep->folder_fd = -1;
}
