/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/report/sample.h"
#include "vmm/report/report.h"

static json_t *report;
static char directory[64];
static struct report_target target;
static struct error error;

static void set_up(void)
{
    json_t *events = sample_events();

    report = report_build(events);
    json_decref(events);
    strcpy(directory, "/tmp/stopcopy-report-XXXXXX");
    cr_assert(mkdtemp(directory));
}

static void tear_down(void)
{
    char command[128];

    json_decref(report);
    snprintf(command, sizeof(command), "rm -r %s", directory);
    cr_expect_eq(system(command), 0);
}

TestSuite(write, .init = set_up, .fini = tear_down);

static void choose(const char *format, const char *name)
{
    char text[256];

    snprintf(text, sizeof(text), "%s:%s/%s", format, directory, name);
    cr_assert_eq(report_parse_target(text, &target, &error), 0);
}

static int count_files(void)
{
    DIR *dir = opendir(directory);
    int count = 0;

    for (struct dirent *entry = readdir(dir); entry; entry = readdir(dir))
        count += entry->d_name[0] != '.';
    closedir(dir);
    return count;
}

Test(write, targets_are_a_format_and_a_file)
{
    cr_expect_eq(report_parse_target("text", &target, &error), 0);
    cr_expect_str_eq(target.format, "text");
    cr_expect_str_eq(target.file, "");
    cr_expect_eq(report_parse_target("json:a:b", &target, &error), 0);
    cr_expect_str_eq(target.format, "json");
    cr_expect_str_eq(target.file, "a:b");
}

Test(write, bad_targets_are_refused)
{
    static const char *const bad[] = {"", ":", "xml", "xml:f", "jsonjsonjsonjsonjson", "json:", "JSON", "tex"};
    static char name[5000] = "json:";

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        cr_expect_eq(report_parse_target(bad[i], &target, &error), -1, "%s", bad[i]);
    memset(name + 5, 'x', sizeof(name) - 6);
    cr_expect_eq(report_parse_target(name, &target, &error), -1);
}

Test(write, a_json_file_can_be_read_back)
{
    struct stat status;
    json_t *read;
    mode_t mask = umask(022);

    choose("json", "report.json");
    cr_assert_eq(report_write(report, &target, &error), 0, "%s", error.text);
    read = json_load_file(target.file, 0, NULL);
    cr_expect(json_equal(read, report));
    json_decref(read);
    cr_expect_eq(count_files(), 1);
    cr_assert_eq(stat(target.file, &status), 0);
    cr_expect_eq(status.st_mode & 0777, 0644);
    umask(mask);
}

Test(write, a_file_is_replaced_whole)
{
    struct stat before, after;

    choose("text", "report.txt");
    cr_assert_eq(report_write(report, &target, &error), 0);
    cr_assert_eq(stat(target.file, &before), 0);
    cr_assert_eq(report_write(report, &target, &error), 0);
    cr_assert_eq(stat(target.file, &after), 0);
    cr_expect_neq(before.st_ino, after.st_ino); /* another file took its name */
    cr_expect_eq(before.st_size, after.st_size);
    cr_expect_eq(count_files(), 1);
}

Test(write, a_link_is_followed)
{
    char link[128], file[128];
    struct stat status;

    snprintf(link, sizeof(link), "%s/link", directory);
    snprintf(file, sizeof(file), "%s/file", directory);
    fclose(fopen(file, "w"));
    cr_assert_eq(symlink("file", link), 0);
    choose("json", "link");
    cr_assert_eq(report_write(report, &target, &error), 0);
    cr_assert_eq(lstat(link, &status), 0);
    cr_expect(S_ISLNK(status.st_mode));
    cr_assert_eq(stat(file, &status), 0);
    cr_expect_gt(status.st_size, 0);
}

/* No device is used here: a program that replaced it would do harm. */
Test(write, a_pipe_is_not_replaced)
{
    char text[65536], name[128];
    struct stat status;
    ssize_t length;
    int fd;

    snprintf(name, sizeof(name), "%s/pipe", directory);
    cr_assert_eq(mkfifo(name, 0600), 0);
    fd = open(name, O_RDONLY | O_NONBLOCK);
    choose("json", "pipe");
    cr_assert_eq(report_write(report, &target, &error), 0, "%s", error.text);
    cr_assert_eq(stat(name, &status), 0);
    cr_expect(S_ISFIFO(status.st_mode));
    length = read(fd, text, sizeof(text));
    cr_assert_gt(length, 0);
    cr_expect_eq(text[length - 2], '}');
    close(fd);
}

Test(write, a_pipe_that_nobody_reads_is_not_waited_for)
{
    char name[128];

    snprintf(name, sizeof(name), "%s/pipe", directory);
    cr_assert_eq(mkfifo(name, 0600), 0);
    choose("json", "pipe");
    cr_expect_eq(report_write(report, &target, &error), -1);
    cr_expect_eq(error.number, ENXIO);
}

Test(write, a_failure_leaves_nothing_and_says_where)
{
    choose("json", "no/such/report.json");
    cr_expect_eq(report_write(report, &target, &error), -1);
    cr_expect(strstr(error.text, "no/such/report.json"), "%s", error.text);
    cr_expect_eq(count_files(), 0);
    cr_expect_eq(report_write(NULL, &target, &error), -1);
}

Test(write, a_file_that_cannot_be_written_whole_is_left_as_it_was)
{
    struct rlimit limit = {.rlim_cur = 100, .rlim_max = RLIM_INFINITY};
    struct stat before, after;

    choose("text", "report");
    cr_assert_eq(report_write(report, &target, &error), 0);
    cr_assert_eq(stat(target.file, &before), 0);
    signal(SIGXFSZ, SIG_IGN);
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    cr_expect_eq(report_write(report, &target, &error), -1);
    cr_expect_eq(error.number, EFBIG);
    limit.rlim_cur = RLIM_INFINITY;
    setrlimit(RLIMIT_FSIZE, &limit);
    cr_assert_eq(stat(target.file, &after), 0);
    cr_expect_eq(after.st_ino, before.st_ino);
    cr_expect_eq(after.st_size, before.st_size);
    cr_expect_eq(count_files(), 1);
}
