/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * inject PID CALL...: has the process make system calls as one would who has taken it over, and prints what each came to:
 * "CALL: 0", "CALL: EPERM", "CALL: killed by SIGSYS". The process goes on afterwards where it was. Status 77 where it may
 * not be traced.
 */
#include <asm/unistd.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#define RED_ZONE 256
#define TRIES 1000

/* 'p' in an argument's place stands for the path. */
#define PATH UINT64_MAX

static const struct attempt {
    const char *name;
    int number;
    const char *path;
    uint64_t arguments[6];
} attempts[] = {
    {"open", __NR_openat, "/etc/passwd", {(uint64_t)AT_FDCWD, PATH, O_RDONLY}},
    {"create", __NR_openat, "/tmp/taken-over", {(uint64_t)AT_FDCWD, PATH, O_WRONLY | O_CREAT, 0600}},
    {"open-old", __NR_open, "/etc/passwd", {PATH, O_RDONLY}},
    {"unlink", __NR_unlinkat, "/tmp/nothing", {(uint64_t)AT_FDCWD, PATH, 0}},
    {"rename", __NR_rename, "/tmp/nothing", {PATH, PATH}},
    {"chmod", __NR_chmod, "/tmp", {PATH, 0777}},
    {"chdir", __NR_chdir, "/", {PATH}},
    {"socket", __NR_socket, NULL, {AF_INET, SOCK_STREAM, 0}},
    {"unix-socket", __NR_socket, NULL, {AF_UNIX, SOCK_STREAM, 0}},
    {"fork", __NR_clone, NULL, {SIGCHLD}},
    {"vfork", __NR_vfork, NULL, {0}},
    {"signal", __NR_kill, NULL, {1, 0}},
    {"code", __NR_mmap, NULL, {0, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, (uint64_t)-1}},
    {"terminal", __NR_ioctl, "x", {0, TIOCSTI, PATH}},
    {"privileges", __NR_prctl, NULL, {4 /* PR_SET_DUMPABLE */, 1}},
    {"exec", __NR_execve, "/bin/true", {PATH, 0, 0}},
    {"trace", __NR_ptrace, NULL, {PTRACE_ATTACH, 1}},
    {"memory", __NR_process_vm_readv, NULL, {1, 0, 0, 0, 0, 0}},
    {"user-id", __NR_setuid, NULL, {0}},
};

static _Noreturn void fail(const char *what)
{
    perror(what);
    exit(2);
}

/* Waits for the next stop; false where the process has ended, with the signal or status printed. */
static bool stopped(pid_t pid, const char *name)
{
    int status;

    if (waitpid(pid, &status, __WALL) < 0)
        fail("inject: waitpid");
    if (WIFSTOPPED(status))
        return true;
    if (WIFSIGNALED(status))
        printf("%s: killed by SIG%s\n", name, sigabbrev_np(WTERMSIG(status)));
    else
        printf("%s: ended with status %d\n", name, WEXITSTATUS(status));
    return false;
}

/* To where it has just made a system call, so that there is an instruction to make another by. */
static bool at_call(pid_t pid, struct user_regs_struct *registers)
{
    if (ptrace(PTRACE_GETREGS, pid, 0, registers) < 0)
        fail("inject: PTRACE_GETREGS");
    errno = 0;
    return (ptrace(PTRACE_PEEKTEXT, pid, registers->rip - 2, 0) & 0xffff) == 0x050f && errno == 0;
}

static void make_call(pid_t pid, const struct user_regs_struct *registers, const struct attempt *attempt)
{
    struct user_regs_struct call = *registers;
    uint64_t path = (registers->rsp - RED_ZONE - 256) & ~15ull;
    unsigned long long *places[] = {&call.rdi, &call.rsi, &call.rdx, &call.r10, &call.r8, &call.r9};
    char text[64] = "";
    struct iovec here = {text, sizeof(text)}, there = {(void *)path, sizeof(text)};

    if (attempt->path)
        snprintf(text, sizeof(text), "%s", attempt->path);
    if (process_vm_writev(pid, &here, 1, &there, 1, 0) < 0)
        fail("inject: process_vm_writev");
    for (int i = 0; i < 6; i++)
        *places[i] = attempt->arguments[i] == PATH && attempt->path ? path : attempt->arguments[i];
    call.rax = (unsigned long long)attempt->number;
    call.orig_rax = (unsigned long long)-1;
    call.rip -= 2;
    if (ptrace(PTRACE_SETREGS, pid, 0, &call) < 0 || ptrace(PTRACE_SINGLESTEP, pid, 0, 0) < 0)
        fail("inject: making a call");
}

/* false where the process has ended. */
static bool attempt_call(pid_t pid, const struct user_regs_struct *registers, const struct attempt *attempt)
{
    struct user_regs_struct after;
    long result;

    make_call(pid, registers, attempt);
    if (!stopped(pid, attempt->name))
        return false;
    if (ptrace(PTRACE_GETREGS, pid, 0, &after) < 0)
        fail("inject: PTRACE_GETREGS");
    result = (long)after.rax;
    if (result < 0 && result > -4096)
        printf("%s: %s\n", attempt->name, strerrorname_np((int)-result));
    else
        printf("%s: %ld\n", attempt->name, result);
    return true;
}

/* As if nothing had been: a call that was interrupted is made again. */
static void put_back(pid_t pid, struct user_regs_struct *registers)
{
    long result = (long)registers->rax;

    if (registers->orig_rax != (unsigned long long)-1 && result <= -512 && result >= -516) {
        registers->rax = registers->orig_rax;
        registers->rip -= 2;
    }
    registers->orig_rax = (unsigned long long)-1;
    if (ptrace(PTRACE_SETREGS, pid, 0, registers) < 0 || ptrace(PTRACE_DETACH, pid, 0, 0) < 0)
        fail("inject: leaving the process");
}

int main(int argc, char **argv)
{
    pid_t pid = argc > 2 ? (pid_t)atoi(argv[1]) : 0;
    struct user_regs_struct registers;

    if (pid <= 0) {
        fprintf(stderr, "inject PID CALL...\n");
        return 2;
    }
    if (ptrace(PTRACE_SEIZE, pid, 0, PTRACE_O_EXITKILL) < 0) {
        perror("inject: PTRACE_SEIZE");
        return errno == EPERM ? 77 : 2;
    }
    /* It goes on after us. */
    ptrace(PTRACE_SETOPTIONS, pid, 0, 0);
    if (ptrace(PTRACE_INTERRUPT, pid, 0, 0) < 0 || !stopped(pid, "start"))
        fail("inject: PTRACE_INTERRUPT");
    for (int i = 0; !at_call(pid, &registers); i++)
        if (i == TRIES || ptrace(PTRACE_SYSCALL, pid, 0, 0) < 0 || !stopped(pid, "start"))
            fail("inject: finding a system call");
    for (int i = 2; i < argc; i++) {
        const struct attempt *attempt = attempts;

        while (attempt < attempts + sizeof(attempts) / sizeof(attempts[0]) && strcmp(attempt->name, argv[i]))
            attempt++;
        if (attempt == attempts + sizeof(attempts) / sizeof(attempts[0])) {
            fprintf(stderr, "inject: there is no call '%s'\n", argv[i]);
            return 2;
        }
        if (!attempt_call(pid, &registers, attempt))
            return 0;
    }
    put_back(pid, &registers);
    return 0;
}
