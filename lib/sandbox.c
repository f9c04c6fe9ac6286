/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "lib/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/ioctl.h>
#include <linux/kvm.h>
#include <linux/vfio.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/sandbox_table.h"

struct rules {
    scmp_filter_ctx filter;
    const pid_t *processes;
    size_t count;
};

bool sandbox_possible(const char **why)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    *why = "this build's sanitizers need system calls of their own";
    return false;
#else
    *why = NULL;
    return true;
#endif
}

static int allow_own(const struct rules *rules, int call)
{
    int result = 0;

    for (size_t i = 0; i < rules->count && result == 0; i++)
        if (rules->processes[i] > 0)
            result = seccomp_rule_add(rules->filter, SCMP_ACT_ALLOW, call, 1,
                                      SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)rules->processes[i]));
    return result;
}

/* KVM's and the devices', which are many, and a few of terminals: none that puts words into a user's terminal. */
static int allow_ioctl(const struct rules *rules, int call)
{
    static const scmp_datum_t types[] = {KVMIO << 8, VFIO_TYPE << 8};
    static const scmp_datum_t others[] = {TCGETS, TIOCGWINSZ, TIOCGPGRP, FIONREAD, FIONBIO};
    int result = 0;

    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]) && result == 0; i++)
        result =
            seccomp_rule_add(rules->filter, SCMP_ACT_ALLOW, call, 1, SCMP_A1(SCMP_CMP_MASKED_EQ, 0xff00, types[i]));
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]) && result == 0; i++)
        result = seccomp_rule_add(rules->filter, SCMP_ACT_ALLOW, call, 1,
                                  SCMP_A1(SCMP_CMP_MASKED_EQ, 0xffffffff, others[i]));
    return result;
}

static int allow(const struct rules *rules, const struct sandbox_row *row)
{
    scmp_filter_ctx filter = rules->filter;

    switch (row->limit) {
    case LIMIT_NONE:
        return seccomp_rule_add(filter, SCMP_ACT_ALLOW, row->call, 0);
    case LIMIT_IOCTL:
        return allow_ioctl(rules, row->call);
    case LIMIT_SELF:
        return seccomp_rule_add(filter, SCMP_ACT_ALLOW, row->call, 1, SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)getpid()));
    case LIMIT_OWN:
        return allow_own(rules, row->call);
    case LIMIT_THREAD:
        return seccomp_rule_add(filter, SCMP_ACT_ALLOW, row->call, 1,
                                SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD | CLONE_NEWUSER, CLONE_THREAD));
    case LIMIT_NO_CODE:
        return seccomp_rule_add(filter, SCMP_ACT_ALLOW, row->call, 1, SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
    case LIMIT_QUERY:
        return seccomp_rule_add(filter, SCMP_ACT_ALLOW, row->call, 2, SCMP_A0(SCMP_CMP_EQ, 0), SCMP_A2(SCMP_CMP_EQ, 0));
    case LIMIT_SOCKETPAIR:
        return seccomp_rule_add(filter, SCMP_ACT_ALLOW, row->call, 1, SCMP_A0(SCMP_CMP_EQ, AF_UNIX));
    case LIMIT_NAME:
        return seccomp_rule_add(filter, SCMP_ACT_ALLOW, row->call, 1, SCMP_A0(SCMP_CMP_EQ, PR_SET_NAME));
    case LIMIT_SEND_TIME:
        return seccomp_rule_add(filter, SCMP_ACT_ALLOW, row->call, 2, SCMP_A1(SCMP_CMP_EQ, SOL_SOCKET),
                                SCMP_A2(SCMP_CMP_EQ, SO_SNDTIMEO));
    case LIMIT_READ_ONLY:
        return seccomp_rule_add(filter, SCMP_ACT_ALLOW, row->call, 1,
                                SCMP_A2(SCMP_CMP_MASKED_EQ, O_ACCMODE | O_CREAT | O_TRUNC, O_RDONLY));
    case LIMIT_NO_PATH:
        return seccomp_rule_add(filter, SCMP_ACT_ALLOW, row->call, 1,
                                SCMP_A3(SCMP_CMP_MASKED_EQ, AT_EMPTY_PATH, AT_EMPTY_PATH));
    }
    return -EINVAL;
}

static int add_rules(const struct rules *rules, unsigned int parts)
{
    /* Its flags are in memory, where a filter does not see them: libc takes clone in its place. */
    int result = seccomp_rule_add(rules->filter, SCMP_ACT_ERRNO(ENOSYS), __NR_clone3, 0);

    for (const struct sandbox_row *row = sandbox_rows; row->call >= 0 && result == 0; row++)
        if (row->parts & parts)
            result = allow(rules, row);
    for (const int *call = sandbox_deadly; *call >= 0 && result == 0; call++)
        result = seccomp_rule_add(rules->filter, SCMP_ACT_KILL_PROCESS, *call, 0);
    return result;
}

int sandbox_enter(unsigned int parts, const pid_t *processes, size_t count, struct error *error)
{
    struct rules rules = {.filter = seccomp_init(SCMP_ACT_ERRNO(EPERM)), .processes = processes, .count = count};
    int result;

    if (!rules.filter)
        return error_set(error, ENOMEM, "the sandbox");
    /* Calls by another machine's numbers (i386) are nobody's here. */
    result = seccomp_attr_set(rules.filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
    if (result == 0)
        result = seccomp_attr_set(rules.filter, SCMP_FLTATR_CTL_TSYNC, 1);
    if (result == 0)
        result = seccomp_attr_set(rules.filter, SCMP_FLTATR_CTL_OPTIMIZE, 2);
    /* Nothing that runs here is compiled at run time: no need to slow all of it down. */
    if (result == 0)
        result = seccomp_attr_set(rules.filter, SCMP_FLTATR_CTL_SSB, 1);
    if (result == 0)
        result = add_rules(&rules, parts);
    if (result == 0)
        result = seccomp_load(rules.filter);
    seccomp_release(rules.filter);
    if (result == 0)
        return 0;
    return error_set(error, -result, "entering the sandbox (seccomp); --no-sandbox goes without");
}
