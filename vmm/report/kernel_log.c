/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/report/kernel_log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/io.h"

#define RECORD_MAX 8192
/* More than any run that is worth reading; what is over is counted. */
#define FINDINGS_MAX 32
#define LEVEL_WARNING 4

/* How trouble that a device or its driver can cause begins, or what it has in it. */
static const char *const signs[] = {
    "WARNING:",
    "BUG:",
    "Oops",
    "general protection fault",
    "KASAN",
    "UBSAN",
    "KFENCE",
    "kmemleak",
    "INFO: task",
    "possible circular locking",
    "inconsistent lock state",
    "possible recursive locking",
    "suspicious RCU usage",
    "DMAR:",
    "AMD-Vi: Event",
    "IO_PAGE_FAULT",
    "arm-smmu",
    "AER:",
    "rcu: INFO",
    "soft lockup",
    "hard LOCKUP",
};

void kernel_log_open(struct kernel_log *kernel_log, struct event_log *log)
{
    kernel_log->fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (kernel_log->fd >= 0 && lseek(kernel_log->fd, 0, SEEK_END) >= 0)
        return;
    event_not_proven(log, false, "the host's kernel log could not be watched: /dev/kmsg: %s", strerror(errno));
    io_close(&kernel_log->fd);
}

void kernel_log_close(struct kernel_log *kernel_log)
{
    io_close(&kernel_log->fd);
}

bool kernel_log_is_trouble(unsigned int level, const char *text)
{
    if (level > LEVEL_WARNING)
        return false;
    for (size_t i = 0; i < sizeof(signs) / sizeof(signs[0]); i++)
        if (strstr(text, signs[i]))
            return true;
    return false;
}

/*
 * Seen with Linux 6.18: while vCPUs that leave the guest very often ran, the scheduler gave nobody of another session a turn for
 * up to two minutes, and nothing of it came back without the grouping by session.
 */
static void advise(const char *text, struct event_log *log)
{
    FILE *setting;
    int grouped = 0;

    if (!strstr(text, "workqueue lockup") && !strstr(text, "detected stalls"))
        return;
    setting = fopen("/proc/sys/kernel/sched_autogroup_enabled", "re");
    if (setting && fscanf(setting, "%d", &grouped) == 1 && grouped)
        event_note(
            log, "this host's scheduler groups tasks by session, and some kernels then let busy vCPUs starve all else: "
                 "if a stall or a time-out comes again, try sysctl kernel.sched_autogroup_enabled=0");
    if (setting)
        fclose(setting);
}

/* "PRIORITY,SEQUENCE,MICROSECONDS,FLAGS;TEXT\n CONTINUATION..." */
static bool take_record(char *record, struct event_log *log)
{
    char *text = strchr(record, ';');
    unsigned long priority = strtoul(record, NULL, 10);
    unsigned int level = (unsigned int)(priority & 7);

    if (!text)
        return false;
    text++;
    text[strcspn(text, "\n")] = '\0';
    if (!kernel_log_is_trouble(level, text))
        return false;
    event_finding(log, "host/kernel-log", "the host's kernel said: %s", text);
    advise(text, log);
    return true;
}

void kernel_log_collect(struct kernel_log *kernel_log, struct event_log *log)
{
    char record[RECORD_MAX];
    unsigned int found = 0;

    while (kernel_log->fd >= 0) {
        ssize_t count = read(kernel_log->fd, record, sizeof(record) - 1);

        if (count < 0 && errno == EPIPE) {
            event_not_proven(log, false, "some of the host's kernel log was overwritten before it was read");
            continue;
        }
        if (count < 0 && errno == EINTR)
            continue;
        if (count <= 0)
            break;
        record[count] = '\0';
        if (kernel_log->copy)
            fputs(record, kernel_log->copy);
        if (found < FINDINGS_MAX && take_record(record, log))
            found++;
    }
    if (kernel_log->copy)
        fflush(kernel_log->copy);
}
