/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/cmd/report_writer.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/io.h"

#define SIZE_MAX_BYTES (1ull << 30)
#define TIMEOUT_MS 60000u

struct request {
    uint64_t index;
    uint64_t size; /* of the report, which follows */
};

static int print_bytes(json_t *report, FILE *file)
{
    size_t size = json_string_length(report);

    return fwrite(json_string_value(report), 1, size, file) == size ? 0 : -1;
}

/* Takes one report and writes it. What came is checked: it is of a process that somebody may have taken over. */
static int take_one(const struct options *options, int socket, const struct request *request, struct error *error)
{
    json_t *report;
    char *data;
    int result;

    if (request->index >= options->report_count || request->size > SIZE_MAX_BYTES)
        return error_set(error, EINVAL, "a report that nobody asked for");
    data = malloc(request->size + 1);
    if (!data)
        return error_set(error, ENOMEM, "a report of %llu bytes", (unsigned long long)request->size);
    result = io_read_full(socket, data, request->size, deadline_in_ms(TIMEOUT_MS), "the VMM", error);
    report = result == 0 ? json_stringn_nocheck(data, request->size) : NULL;
    free(data);
    if (result == 0)
        result = report ? report_write_by(report, print_bytes, options->report[request->index].file, error)
                        : error_set(error, ENOMEM, "a report");
    json_decref(report);
    return result;
}

static _Noreturn void write_all(const struct options *options, int socket, pid_t parent)
{
    struct request request;
    bool ended = false;

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(1);
    /* The connection above all: a VMM that is killed has to let go of it, or the other end takes it for one that lives. */
    if (socket > STDERR_FILENO + 1)
        close_range(STDERR_FILENO + 1, (unsigned int)socket - 1, 0);
    close_range((unsigned int)socket + 1, ~0u, 0);
    /* A Ctrl-C is for the VMM, whose report is still to come. */
    setpgid(0, 0);
    for (;;) {
        struct error error = ERROR_INIT;

        /* The VMM takes the time that it takes, and its end is seen. */
        if (io_read_full_or_end(socket, &request, sizeof(request), deadline_in_ns(UINT64_MAX / 2), "the VMM", &ended,
                                NULL) < 0 ||
            ended)
            _exit(0);
        if (take_one(options, socket, &request, &error) == 0)
            error.text[0] = '\0';
        else if (!error.text[0])
            error_set(&error, 0, "the report could not be written");
        if (io_write_full(socket, &error, sizeof(error), deadline_in_ms(TIMEOUT_MS), "the VMM", NULL) < 0)
            _exit(1);
    }
}

int report_writer_open(struct report_writer *writer, const struct options *options, struct error *error)
{
    pid_t parent = getpid();
    bool any = false;
    int pair[2];

    *writer = (struct report_writer){.socket = -1};
    for (size_t i = 0; i < options->report_count; i++)
        any |= options->report[i].file[0] != '\0';
    if (!any)
        return 0;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
        return error_set(error, errno, "making a pair of sockets");
    fflush(NULL);
    writer->process = fork();
    if (writer->process == 0) {
        close(pair[0]);
        write_all(options, pair[1], parent);
    }
    close(pair[1]);
    writer->socket = pair[0];
    if (writer->process > 0)
        return 0;
    writer->process = 0;
    error_set(error, errno, "starting the process that writes reports");
    io_close(&writer->socket);
    return -1;
}

static int send_report(struct report_writer *writer, size_t index, const char *data, size_t size, struct error *error)
{
    struct request request = {.index = index, .size = size};
    struct iovec parts[2] = {{&request, sizeof(request)}, {(void *)data, size}};
    struct error answer;

    if (io_send(writer->socket, parts, 2, NULL, 0, deadline_in_ms(TIMEOUT_MS), "the writer of reports", error) < 0 ||
        io_read_full(writer->socket, &answer, sizeof(answer), deadline_in_ms(TIMEOUT_MS), "the writer of reports",
                     error) < 0)
        return -1;
    answer.text[sizeof(answer.text) - 1] = '\0';
    return answer.text[0] ? error_set(error, 0, "%s", answer.text) : 0;
}

int report_writer_write(struct report_writer *writer, const struct options *options, size_t index, json_t *report,
                        struct error *error)
{
    const struct report_target *target = &options->report[index];
    char *data = NULL;
    size_t size = 0;
    FILE *memory;
    int result;

    if (writer->socket < 0 || !target->file[0])
        return report_write(report, target, error);
    memory = open_memstream(&data, &size);
    if (!memory)
        return error_set(error, ENOMEM, "making the report");
    result = report_print(report, target, memory, error);
    if (fclose(memory) != 0 && result == 0)
        result = error_set(error, ENOMEM, "making the report");
    if (result == 0)
        result = send_report(writer, index, data, size, error);
    free(data);
    return result;
}

void report_writer_close(struct report_writer *writer)
{
    io_close(&writer->socket);
    if (writer->process > 0)
        while (waitpid(writer->process, NULL, 0) < 0 && errno == EINTR)
            ;
    writer->process = 0;
}
