/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "config.h"

#include "client.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define ARGUMENTS_MAX 32

static void init(struct client *client, int socket)
{
    *client = (struct client){.socket = socket, .twin = -1, .memory_fd = -1};
}

void client_start(struct client *client, const char *const *arguments)
{
    const char *build = getenv("top_builddir");
    const char *argv[ARGUMENTS_MAX] = {"stopcopy-device", "--fd", "3"};
    char path[4096];
    int pair[2];
    int count = 3;

    for (; *arguments && count < ARGUMENTS_MAX - 1; arguments++)
        argv[count++] = *arguments;
    snprintf(path, sizeof(path), "%s/stopcopy-device", build ? build : ".");
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    init(client, pair[0]);
    client->process = fork();
    cr_assert_geq(client->process, 0);
    if (client->process == 0) {
        /* From elsewhere, so that dup2 takes close-on-exec away even where the pair has 3 itself. */
        dup2(fcntl(pair[1], F_DUPFD, 10), 3);
        execv(path, (char **)(uintptr_t)argv);
        _exit(127);
    }
    close(pair[1]);
}

void client_adopt(struct client *client, int socket)
{
    init(client, socket);
}

static void close_all(struct client *client)
{
    if (client->memory)
        munmap(client->memory, CLIENT_MEMORY_SIZE);
    if (client->memory_fd >= 0)
        close(client->memory_fd);
    if (client->twin >= 0)
        close(client->twin);
    if (client->socket >= 0)
        close(client->socket);
    client->socket = -1;
}

static int wait_process(struct client *client)
{
    int status = 0;

    close_all(client);
    if (client->process)
        cr_assert_eq(waitpid(client->process, &status, 0), client->process);
    return status;
}

void client_stop(struct client *client)
{
    int status;

    /* A completion is seen before the device is done with it: let it ask for what it still needs. */
    if (client->served)
        client_read32(client, 0, DMA_REG_STATUS);
    status = wait_process(client);

    cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0, "the device ended with status 0x%x", status);
}

void client_abandon(struct client *client)
{
    int status = wait_process(client);

    cr_assert(WIFEXITED(status), "the device died: status 0x%x", status);
}

int client_negotiate_json(struct client *client, const char *json, struct client_reply *reply)
{
    uint8_t payload[4096] = {VFIO_USER_MAJOR, 0, VFIO_USER_MINOR, 0};
    size_t length = json ? strlen(json) + 1 : 0;

    cr_assert_leq(length, sizeof(payload) - 4);
    if (json)
        memcpy(payload + 4, json, length);
    return client_call(client, VFIO_USER_VERSION, payload, 4 + length, NULL, 0, reply);
}

void client_negotiate(struct client *client)
{
    cr_assert_eq(client_negotiate_json(client,
                                       "{\"capabilities\":{\"max_msg_fds\":16,\"write_multiple\":true,"
                                       "\"stopcopy\":{\"version\":1}}}",
                                       NULL),
                 0);
}

void client_negotiate_plain(struct client *client)
{
    cr_assert_eq(client_negotiate_json(client, NULL, NULL), 0);
}
