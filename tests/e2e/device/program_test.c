/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The program itself: its command line, its socket, one client after another, how it ends. */
#include "config.h"

#include <criterion/criterion.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client.h"

struct program {
    pid_t process;
    int output; /* its stdout */
};

static void run(struct program *program, const char *const *arguments)
{
    const char *build = getenv("top_builddir");
    const char *argv[16] = {"stopcopy-device"};
    char path[4096];
    int pipes[2];

    for (int i = 0; arguments[i]; i++)
        argv[1 + i] = arguments[i];
    snprintf(path, sizeof(path), "%s/stopcopy-device", build ? build : ".");
    cr_assert_eq(pipe(pipes), 0);
    program->process = fork();
    cr_assert_geq(program->process, 0);
    if (program->process == 0) {
        dup2(pipes[1], STDOUT_FILENO);
        close(STDERR_FILENO);
        close(pipes[0]);
        close(pipes[1]);
        execv(path, (char **)(uintptr_t)argv);
        _exit(127);
    }
    close(pipes[1]);
    program->output = pipes[0];
}

/* Its output up to size bytes, or to the end, or with a newline where line is set. */
static void read_output(const struct program *program, char *text, size_t size, bool line)
{
    size_t count = 0;

    memset(text, 0, size);
    while (count < size - 1) {
        struct pollfd poll_fd = {.fd = program->output, .events = POLLIN};
        ssize_t got;

        cr_assert_eq(poll(&poll_fd, 1, CLIENT_TIMEOUT_MS), 1, "the program says nothing");
        got = read(program->output, text + count, line ? 1 : size - 1 - count);
        if (got <= 0 || (line && text[count] == '\n'))
            break;
        count += (size_t)got;
    }
}

static int wait_end(struct program *program)
{
    int status;

    cr_assert_eq(waitpid(program->process, &status, 0), program->process);
    close(program->output);
    cr_assert(WIFEXITED(status), "it died: 0x%x", status);
    return WEXITSTATUS(status);
}

static int exit_of(const char *const *arguments)
{
    struct program program;

    run(&program, arguments);
    return wait_end(&program);
}

static char directory[] = "/tmp/stopcopy-device-XXXXXX";
static char path[128];

static void make_path(void)
{
    cr_assert_not_null(mkdtemp(directory));
    snprintf(path, sizeof(path), "%s/s", directory);
}

static void remove_path(void)
{
    unlink(path);
    cr_expect_eq(rmdir(directory), 0);
}

TestSuite(program, .init = make_path, .fini = remove_path);

static void connect_to(struct client *client)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    strcpy(address.sun_path, path);
    cr_assert_eq(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    client_adopt(client, fd);
}

static void start_server(struct program *program, const char *more)
{
    const char *const arguments[] = {"--socket", path, more, NULL};
    char line[256], expected[256];

    run(program, arguments);
    read_output(program, line, sizeof(line), true);
    snprintf(expected, sizeof(expected), "listening on %s\n", path);
    cr_assert_str_eq(line, expected);
}

Test(program, a_socket_for_its_owner_and_a_clean_end)
{
    struct program program;
    struct stat status;

    start_server(&program, NULL);
    cr_assert_eq(stat(path, &status), 0);
    cr_expect_eq(status.st_mode & 0777, 0600);
    kill(program.process, SIGTERM);
    cr_expect_eq(wait_end(&program), 0);
    cr_expect_neq(stat(path, &status), 0, "the socket is left behind");
}

Test(program, each_client_has_a_device_of_its_own)
{
    struct program program;

    start_server(&program, NULL);
    for (int i = 0; i < 3; i++) {
        struct client client;

        connect_to(&client);
        client_negotiate(&client);
        cr_expect_eq(client_read32(&client, 0, DMA_REG_SCRATCH), 0);
        client_write32(&client, 0, DMA_REG_SCRATCH, 1);
        cr_assert_eq(client_set_state(&client, VFIO_DEVICE_STATE_STOP), 0);
        client_abandon(&client);
    }
    kill(program.process, SIGTERM);
    cr_expect_eq(wait_end(&program), 0);
}

Test(program, a_client_that_misbehaves_costs_nobody_else)
{
    struct program program;
    struct client client;
    uint8_t garbage[64];

    start_server(&program, NULL);
    memset(garbage, 0xff, sizeof(garbage));
    connect_to(&client);
    client_send_raw(&client, garbage, sizeof(garbage));
    client_expect_closed(&client);
    client_abandon(&client);
    connect_to(&client);
    client_negotiate(&client);
    client_abandon(&client);
    kill(program.process, SIGTERM);
    cr_expect_eq(wait_end(&program), 0);
}

Test(program, ends_while_a_client_is_there)
{
    struct program program;
    struct client client;

    start_server(&program, NULL);
    connect_to(&client);
    client_negotiate(&client);
    kill(program.process, SIGTERM);
    cr_expect_eq(wait_end(&program), 0);
    client_abandon(&client);
}

Test(program, once)
{
    struct program program;
    struct client client;

    start_server(&program, "--once");
    connect_to(&client);
    client_negotiate(&client);
    client_abandon(&client);
    cr_expect_eq(wait_end(&program), 0);
}

Test(program, takes_the_place_of_a_dead_server_and_of_nothing_else)
{
    struct program program, second;
    const char *const arguments[] = {"--socket", path, NULL};
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    FILE *file;

    strcpy(address.sun_path, path);
    cr_assert_eq(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    close(fd);
    start_server(&program, NULL);
    run(&second, arguments);
    cr_expect_eq(wait_end(&second), 1, "two servers on one socket");
    kill(program.process, SIGTERM);
    cr_expect_eq(wait_end(&program), 0);
    file = fopen(path, "w");
    cr_assert_not_null(file);
    fclose(file);
    cr_expect_eq(exit_of(arguments), 1);
    cr_expect_eq(access(path, F_OK), 0, "a file that is no socket is gone");
}

Test(program, lists)
{
    struct program program;
    char text[4096];

    run(&program, (const char *const[]){"--list", NULL});
    read_output(&program, text, sizeof(text), false);
    cr_expect_not_null(strstr(text, "dma"));
    cr_expect_eq(wait_end(&program), 0);
    run(&program, (const char *const[]){"--list-faults", NULL});
    read_output(&program, text, sizeof(text), false);
    cr_expect_not_null(strstr(text, "completion-repeated"));
    cr_expect_not_null(strstr(text, "device-byte-changed"));
    cr_expect_eq(wait_end(&program), 0);
}

Test(program, command_lines_that_are_wrong)
{
    static const char *const cases[][5] = {
        {NULL},
        {"--socket", "/tmp/x", "--fd", "0"},
        {"--fd", "77"},
        {"--fd", "0"},
        {"--fd", "-1"},
        {"--socket", "/tmp/x", "--queues", "0"},
        {"--socket", "/tmp/x", "--queues", "17"},
        {"--socket", "/tmp/x", "--vectors", "2049"},
        {"--socket", "/tmp/x", "--memory", "17G"},
        {"--socket", "/tmp/x", "--memory", "4097"},
        {"--socket", "/tmp/x", "--memory", "lots"},
        {"--socket", "/tmp/x", "--window", "5000"},
        {"--socket", "/tmp/x", "--window", "4K,mapped"},
        {"--socket", "/tmp/x", "--latency", "1h"},
        {"--socket", "/tmp/x", "--features", "p2p"},
        {"--socket", "/tmp/x", "--features", "stop-copy+"},
        {"--socket", "/tmp/x", "--fault", "none-such"},
        {"--socket", "/tmp/x", "--model", "abacus"},
        {"--no-such-option"},
        {"--socket", "/tmp/x", "more"},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        cr_expect_eq(exit_of(cases[i]), 2, "case %zu", i);
}

/* The faults by the command line, in the running program. */
Test(program, a_fault_is_put_in)
{
    static const char *const arguments[] = {"--fault", "completion-repeated,at=2", NULL};
    struct client client;
    struct client_queue queue;

    client_start(&client, arguments);
    client_negotiate(&client);
    client_map(&client, false);
    client_bus_master(&client, true);
    client_queue_start(&queue, &client, 0, 8, 0);
    client_run(&queue, (struct dma_descriptor){.opcode = DMA_OP_NOP});
    cr_expect_eq(client_queue_shared(&queue)->completed, 1);
    client_run(&queue, (struct dma_descriptor){.opcode = DMA_OP_NOP});
    client_read32(&client, 0, DMA_REG_STATUS);
    cr_expect_eq(client_queue_shared(&queue)->completed, 3);
    client_stop(&client);
}
