/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * stopcopy migrate: a chain of VMM processes, each a process of its own. The first boots the guest, each sends it to the
 * next, the last runs it to its end. This process starts them, gathers their events, and judges.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/io.h"
#include "vmm/cmd/conclude.h"
#include "vmm/cmd/device_list.h"
#include "vmm/cmd/vmm_process.h"
#include "vmm/report/kernel_log.h"

/* A process that has the guest, and one that waits for it. */
#define CHILDREN_MAX 2
#define END_TIMEOUT_MS 20000u
#define END_PERIOD_MS 1
#define LINE_MAX_BYTES (1u << 20)

struct child {
    pid_t pid;  /* 0: none */
    int events; /* its event log, a line of JSON each */
    int reason; /* why it failed, one text */
    char *line; /* what of the next line has come */
    size_t length;
    unsigned int number;
};

struct chain {
    struct options options;
    struct event_log *log;
    struct snapshot_store store;
    struct kernel_log kernel_log;
    struct finding_commands on_finding;
    struct step_process *processes; /* shared with all VMM processes */
    struct child child[CHILDREN_MAX];
    unsigned int started;                        /* processes so far, of repeat + 1 */
    unsigned int running;                        /* of these */
    struct tls_credentials *receiving, *sending; /* NULL: the stream is plain */
    int next_from;            /* the receiving end for the next process, or the file that the guest is saved in */
    struct channel_file file; /* --same-device: of the process that is being started */
    bool broken;              /* a process ended otherwise than by passing the guest on: no more are started */
    bool silenced;            /* processes that said nothing were ended once */
    enum status status;
    /* Of the processes that failed the first in the chain: what the others say, status and text, follows from it. */
    unsigned int failed_number;
    char failure[ERROR_TEXT_MAX + 64];
};

static int tcp_pair(int pair[2], struct error *error)
{
    struct sockaddr_in name = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(name);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    pair[0] = pair[1] = -1;
    if (listener < 0 || bind(listener, (struct sockaddr *)&name, size) < 0 || listen(listener, 1) < 0 ||
        getsockname(listener, (struct sockaddr *)&name, &size) < 0)
        goto fail;
    pair[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (pair[0] < 0 || connect(pair[0], (struct sockaddr *)&name, size) < 0)
        goto fail;
    pair[1] = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    if (pair[1] < 0)
        goto fail;
    close(listener);
    return 0;
fail:
    error_set(error, errno, "making a TCP connection on the loopback address");
    io_close(&listener);
    io_close(&pair[0]);
    io_close(&pair[1]);
    return -1;
}

/* --same-device: what one process writes the next one reads, once the first is gone. */
static int open_file(struct chain *chain, int pair[2], struct error *error)
{
    const char *folder = getenv("TMPDIR");

    if (channel_file_create_unnamed(&chain->file, folder && *folder ? folder : "/tmp", error) < 0)
        return -1;
    pair[0] = fcntl(chain->file.fd, F_DUPFD_CLOEXEC, 3);
    pair[1] = fcntl(chain->file.fd, F_DUPFD_CLOEXEC, 3);
    if (pair[0] >= 0 && pair[1] >= 0)
        return 0;
    error_set(error, errno, "the file that the guest is to be saved in");
    io_close(&pair[0]);
    io_close(&pair[1]);
    channel_file_close(&chain->file);
    return -1;
}

static int channel_pair(struct chain *chain, int pair[2], struct error *error)
{
    if (chain->options.same_device)
        return open_file(chain, pair, error);
    if (!strcmp(chain->options.channel_name, "tcp")) {
        if (tcp_pair(pair, error) < 0)
            return -1;
    } else if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0) {
        return error_set(error, errno, "making a pair of sockets");
    }
    channel_tune(pair[0]);
    channel_tune(pair[1]);
    return 0;
}

/* The rest of a VMM process's life. */
static _Noreturn void child_main(struct chain *chain, unsigned int number, int from, int to, int events, int reason,
                                 pid_t parent)
{
    struct proof_plan plan = {0};
    struct error error = ERROR_INIT;
    struct vmm_process_config config = {.options = &chain->options,
                                        .sink = {.put = snapshot_store_put, .context = &chain->store},
                                        .from = from,
                                        .from_name = chain->options.same_device ? "its file" : "the source",
                                        .from_saved = chain->options.same_device,
                                        .to = to,
                                        .to_name = chain->options.same_device ? "a file" : "the destination",
                                        .to_file = chain->options.same_device && to >= 0 ? &chain->file : NULL,
                                        .from_tls = chain->receiving,
                                        .to_tls = chain->sending,
                                        .alive = events,
                                        .leg = number ? number - 1 : 0,
                                        .other_side = !chain->options.same_device && number % 2,
                                        .faults = number == chain->options.repeat,
                                        .source_faults = number + 1 == chain->options.repeat,
                                        .processes = chain->processes,
                                        .plan = &plan};
    enum status status;

    /* Nothing of a run outlives it, however it ends. */
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(STATUS_NO_GUEST);
    config.log = event_log_new(number ? "destination" : "source", events);
    if (!config.log)
        _exit(STATUS_NO_GUEST);
    status = vmm_process_run(&config, &error);
    if (plan.vcpus)
        snapshot_store_put_plan(&chain->store, &plan, NULL);
    if (status != STATUS_INTACT)
        io_write_full(reason, error.text, strlen(error.text), deadline_in_ms(1000), "the parent", NULL);
    event_log_free(config.log);
    exit((int)status);
}

static struct child *free_child(struct chain *chain)
{
    for (size_t i = 0; i < CHILDREN_MAX; i++)
        if (!chain->child[i].pid)
            return &chain->child[i];
    return NULL;
}

/*
 * --same-device: the process before has ended well, and its devices are closed. Was the guest saved, or did it come to its end
 * first, as that process has said?
 */
static bool is_saved(struct chain *chain)
{
    struct error error = ERROR_INIT;

    if (lseek(chain->next_from, 0, SEEK_SET) == 0 && stream_check_saved(chain->next_from, "its file", &error) == 0)
        return true;
    event_note(chain->log, "the guest was not saved, and nothing is loaded: %s", error.text);
    return false;
}

/* Starts the next process of the chain: it receives from the one before, and sends to the one after. */
static int start_next(struct chain *chain, struct error *error)
{
    struct child *child = free_child(chain);
    unsigned int number = chain->started;
    int channel[2] = {-1, -1}, events[2] = {-1, -1}, reason[2] = {-1, -1};
    pid_t parent = getpid();
    pid_t pid;

    if (!child)
        return error_set(error, EAGAIN, "more than %d VMM processes at once", CHILDREN_MAX);
    if (number && chain->options.same_device && !is_saved(chain)) {
        chain->broken = true;
        return 0;
    }
    if (number < chain->options.repeat && channel_pair(chain, channel, error) < 0)
        return -1;
    if (pipe2(events, O_CLOEXEC) < 0 || pipe2(reason, O_CLOEXEC) < 0) {
        error_set(error, errno, "making a pipe");
        goto fail;
    }
    fflush(NULL);
    pid = fork();
    if (pid < 0) {
        error_set(error, errno, "starting a VMM process");
        goto fail;
    }
    if (pid == 0) {
        io_close(&channel[1]);
        io_close(&events[0]);
        io_close(&reason[0]);
        child_main(chain, number, chain->next_from, channel[0], events[1], reason[1], parent);
    }
    io_close(&events[1]);
    io_close(&reason[1]);
    io_close(&channel[0]);
    channel_file_close(&chain->file);
    io_close(&chain->next_from);
    chain->next_from = channel[1];
    chain->started++;
    chain->running++;
    *child = (struct child){.pid = pid, .events = events[0], .reason = reason[0], .number = number};
    return 0;
fail:
    io_close(&events[0]);
    io_close(&events[1]);
    io_close(&reason[0]);
    io_close(&reason[1]);
    io_close(&channel[0]);
    io_close(&channel[1]);
    channel_file_close(&chain->file);
    return -1;
}

static void take_line(struct chain *chain, const char *line, size_t length)
{
    struct error error = ERROR_INIT;

    /* An empty line only shows that the process lives. */
    if (!length)
        return;
    if (event_log_merge_line(chain->log, line, length, &error) < 0)
        event_note(chain->log, "an event of a VMM process was left out: %s", error.text);
}

/* Reads what a process has logged. Returns false when it has closed its log. */
static bool read_events(struct chain *chain, struct child *child)
{
    char *end;
    ssize_t count;

    if (!child->line)
        child->line = malloc(LINE_MAX_BYTES);
    if (!child->line)
        return false;
    count = read(child->events, child->line + child->length, LINE_MAX_BYTES - child->length);
    if (count < 0 && errno == EINTR)
        return true;
    if (count <= 0)
        return false;
    child->length += (size_t)count;
    while ((end = memchr(child->line, '\n', child->length)) != NULL) {
        size_t length = (size_t)(end - child->line);

        take_line(chain, child->line, length);
        child->length -= length + 1;
        memmove(child->line, end + 1, child->length);
    }
    return child->length < LINE_MAX_BYTES;
}

/* A process has failed: its reason is the user's, unless one before it in the chain has failed as well. */
static void keep_failure(struct chain *chain, const struct child *child, enum status status, int result)
{
    char text[ERROR_TEXT_MAX] = "";
    ssize_t count;

    if (chain->failure[0] && child->number > chain->failed_number)
        return;
    if (WIFSIGNALED(result)) {
        snprintf(text, sizeof(text), "VMM process %u was ended by signal %d (%s)", child->number, WTERMSIG(result),
                 strsignal(WTERMSIG(result)));
    } else {
        count = read(child->reason, text, sizeof(text) - 1);
        text[count > 0 ? count : 0] = '\0';
    }
    chain->failed_number = child->number;
    chain->status = status;
    if (chain->options.repeat == 1)
        snprintf(chain->failure, sizeof(chain->failure), "%s: %s", child->number ? "destination" : "source", text);
    else
        snprintf(chain->failure, sizeof(chain->failure), "VMM process %u: %s", child->number, text);
}

/* Waits for the end of a process that has closed its log. One that is stuck in the kernel does not end even if killed. */
static bool wait_end(pid_t pid, int *result)
{
    struct deadline deadline = deadline_in_ms(END_TIMEOUT_MS);

    for (;;) {
        pid_t ended = waitpid(pid, result, WNOHANG);

        if (ended == pid)
            return true;
        if (ended < 0 && errno != EINTR)
            return false;
        if (deadline_expired(deadline))
            return false;
        poll(NULL, 0, END_PERIOD_MS);
    }
}

/* A process has ended: what came of it. */
static void reap(struct chain *chain, struct child *child)
{
    int result = 0;
    enum status status = STATUS_NO_GUEST;

    if (!wait_end(child->pid, &result))
        event_outcome(
            chain->log, "none", STATUS_NO_GUEST,
            "VMM process %u (pid %ld) has let go of its log and does not end: it is stuck in the kernel and is "
            "left behind",
            child->number, (long)child->pid);
    else if (WIFEXITED(result))
        status = (enum status)WEXITSTATUS(result);
    else if (WIFSIGNALED(result))
        event_outcome(chain->log, "none", STATUS_NO_GUEST, "VMM process %u was ended by signal %d (%s)", child->number,
                      WTERMSIG(result), strsignal(WTERMSIG(result)));
    if (status != STATUS_INTACT)
        keep_failure(chain, child, status, result);
    chain->broken |= status != STATUS_INTACT;
    io_close(&child->events);
    io_close(&child->reason);
    free(child->line);
    *child = (struct child){.events = -1, .reason = -1};
    chain->running--;
}

/*
 * Every wait of a VMM process has a deadline, and one whose guest works says so each second: longer than this, and none
 * of them is able to speak.
 */
static uint64_t silence_ns(const struct chain *chain)
{
    const struct options *options = &chain->options;
    uint64_t most = (uint64_t)INT_MAX * 1000000u;
    uint64_t sum = 10000000000u;

    sum += options->timeout_ns < most ? options->timeout_ns : most;
    sum += options->arc_timeout_ns < most ? options->arc_timeout_ns : most;
    return sum < most ? sum : most;
}

/* Processes that are stopped, or stuck in the kernel, end here. */
static void end_silent(struct chain *chain)
{
    for (size_t i = 0; i < CHILDREN_MAX; i++) {
        if (!chain->child[i].pid)
            continue;
        event_note(chain->log, "VMM process %u said nothing for %" PRIu64 " s and was ended", chain->child[i].number,
                   silence_ns(chain) / 1000000000u);
        kill(chain->child[i].pid, SIGKILL);
    }
}

/* One round: waits until some process says something or ends. Returns false when none is left. */
static bool attend(struct chain *chain)
{
    struct pollfd poll_fd[CHILDREN_MAX];
    bool any = false;
    int count;

    for (size_t i = 0; i < CHILDREN_MAX; i++) {
        poll_fd[i] = (struct pollfd){.fd = chain->child[i].pid ? chain->child[i].events : -1, .events = POLLIN};
        any |= chain->child[i].pid != 0;
    }
    if (!any)
        return false;
    count = poll(poll_fd, CHILDREN_MAX, (int)(silence_ns(chain) / 1000000u));
    if (count < 0)
        return errno == EINTR;
    if (count == 0) {
        bool again = chain->silenced;

        end_silent(chain);
        chain->silenced = true;
        return !again;
    }
    for (size_t i = 0; i < CHILDREN_MAX; i++)
        if (poll_fd[i].fd >= 0 && poll_fd[i].revents && !read_events(chain, &chain->child[i]))
            reap(chain, &chain->child[i]);
    return true;
}

static int run_chain(struct chain *chain, struct error *error)
{
    /* Two at a time: the one that has the guest, and the one that waits for it. One device alone has one user. */
    unsigned int most = chain->options.same_device ? 1 : 2;

    do {
        while (!chain->broken && chain->started <= chain->options.repeat && chain->running < most)
            if (start_next(chain, error) < 0)
                return -1;
    } while (attend(chain));
    return 0;
}

/* Every process of the chain has the same, for either role. */
static int read_credentials(struct chain *chain, struct error *error)
{
    const struct tls_options *options = &chain->options.tls;

    if (!tls_wanted(options))
        return 0;
    chain->receiving = tls_credentials_read(options, TLS_SERVER, NULL, error);
    if (chain->receiving)
        chain->sending = tls_credentials_read(options, TLS_CLIENT, "127.0.0.1", error);
    if (chain->sending)
        return 0;
    tls_credentials_free(chain->receiving);
    return -1;
}

int cmd_migrate(int argc, char **argv)
{
    struct chain chain = {.store = {.fd = -1}, .next_from = -1, .file = {.fd = -1, .folder = -1}};
    struct error error = ERROR_INIT;
    int status =
        options_parse(argc, argv, OPTIONS_GUEST | OPTIONS_MIGRATE | OPTIONS_TRANSFER,
                      "Boots a guest in one VMM process, migrates it to a second one while it works, and proves "
                      "that its work went on intact.\v"
                      "Examples:\n  stopcopy migrate --device test\n"
                      "  stopcopy migrate --device test:features=stop-copy+p2p+pre-copy --mode pre-copy\n"
                      "  stopcopy migrate --device test --repeat 10 --report html:report.html\n"
                      "  stopcopy migrate --device vfio-user:/run/a.sock,to=vfio-user:/run/b.sock\n"
                      "  stopcopy migrate --device vfio:0000:3b:00.2,to=vfio:0000:3b:00.3\n"
                      "  stopcopy migrate --same-device --device vfio:0000:3b:00.2",
                      &chain.options);

    if (status)
        return status;
    if (device_list_check_ends(&chain.options, &error) < 0 || read_credentials(&chain, &error) < 0) {
        fprintf(stderr, "stopcopy: %s\n", error.text);
        return STATUS_USAGE;
    }
    chain.log = event_log_new("migrate", -1);
    if (!chain.log || snapshot_store_open(&chain.store, &error) < 0) {
        fprintf(stderr, "stopcopy: %s\n", error.text);
        event_log_free(chain.log);
        return STATUS_USAGE;
    }
    finding_commands_open(&chain.on_finding, &chain.options.steps, chain.log);
    chain.processes = mmap(NULL, STEP_PROCESSES * sizeof(*chain.processes), PROT_READ | PROT_WRITE,
                           MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (chain.processes == MAP_FAILED)
        chain.processes = NULL;
    kernel_log_open(&chain.kernel_log, chain.log);
    if (keep_begin(&chain.options, &chain.kernel_log, &error) < 0) {
        fprintf(stderr, "stopcopy: %s\n", error.text);
        return STATUS_USAGE;
    }
    log_manifest(chain.log, argc, argv, chain.options.wishes.seed);
    event_expect(chain.log, &(struct event_expectation){.guest = true,
                                                        .migrations = chain.options.repeat,
                                                        .devices = (unsigned int)chain.options.device_count});
    for (size_t i = 0; i < CHILDREN_MAX; i++)
        chain.child[i].events = chain.child[i].reason = -1;
    if (run_chain(&chain, &error) < 0) {
        fprintf(stderr, "stopcopy: %s\n", error.text);
        event_error(chain.log, &error);
        chain.status = STATUS_NO_GUEST;
    }
    for (size_t i = 0; i < CHILDREN_MAX; i++) {
        if (!chain.child[i].pid)
            continue;
        kill(chain.child[i].pid, SIGKILL);
        reap(&chain, &chain.child[i]);
    }
    io_close(&chain.next_from);
    if (chain.failure[0])
        fprintf(stderr, "stopcopy: %s\n", chain.failure);
    kernel_log_collect(&chain.kernel_log, chain.log);
    kernel_log_close(&chain.kernel_log);
    status =
        (int)conclude(&chain.options, chain.log, &chain.store, &(struct report_writer){.socket = -1}, chain.status);
    keep_close(&chain.options.keep, &chain.kernel_log);
    finding_commands_close(&chain.on_finding);
    if (chain.processes)
        munmap(chain.processes, STEP_PROCESSES * sizeof(*chain.processes));
    event_log_free(chain.log);
    snapshot_store_close(&chain.store);
    tls_credentials_free(chain.receiving);
    tls_credentials_free(chain.sending);
    return status;
}
