/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Channels: addresses as users write them, sockets as they are left behind. */
#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vmm/migrate/channel.h"

static struct channel_address unix_address(const char *directory)
{
    struct channel_address address;
    struct error error = ERROR_INIT;
    char text[256];

    snprintf(text, sizeof(text), "unix:%s/socket", directory);
    cr_assert_eq(channel_parse(text, &address, &error), 0, "%s", error.text);
    return address;
}

static void make_directory(char *directory)
{
    strcpy(directory, "/tmp/stopcopy-test-XXXXXX");
    cr_assert(mkdtemp(directory));
}

Test(channel, addresses)
{
    static const char *const bad[] = {"",         "unix:",       "tcp:", "tcp:host", "tcp::1", "tcp:host:port",
                                      "tcp:h:-1", "tcp:h:65536", "fd:",  "fd:x",     "pipe:x", "file:"};
    struct channel_address address;
    struct error error = ERROR_INIT;
    char text[400];

    cr_expect_eq(channel_parse("tcp:[::1]:80", &address, &error), 0);
    cr_expect_str_eq(address.host, "::1");
    cr_expect_str_eq(address.port, "80");
    cr_expect_eq(channel_parse("fd:7", &address, &error), 0);
    cr_expect_eq(address.fd, 7);
    cr_expect_eq(channel_parse("file:/a/b", &address, &error), 0);
    cr_expect_str_eq(address.path, "/a/b");
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        cr_expect_eq(channel_parse(bad[i], &address, &error), -1, "%s", bad[i]);
    snprintf(text, sizeof(text), "unix:/%0200d", 0);
    cr_expect_eq(channel_parse(text, &address, &error), -1);
    snprintf(text, sizeof(text), "unix:/%0350d", 0);
    cr_expect_eq(channel_parse(text, &address, &error), -1);
}

Test(channel, nobody_listens)
{
    char directory[64];
    struct channel_address address;
    struct error error = ERROR_INIT;

    make_directory(directory);
    address = unix_address(directory);
    cr_expect_eq(channel_connect(&address, deadline_in_ms(50), &error), -1);
    cr_expect(strstr(error.text, "no destination") && strstr(error.text, address.path), "%s", error.text);
    rmdir(directory);
}

Test(channel, nobody_connects)
{
    char directory[64];
    struct channel_address address;
    struct error error = ERROR_INIT;
    struct stat status;
    int listener;

    make_directory(directory);
    address = unix_address(directory);
    listener = channel_listen(&address, &error);
    cr_assert_geq(listener, 0, "%s", error.text);
    cr_assert_eq(stat(address.path, &status), 0);
    cr_expect_eq(status.st_mode & 0777, 0600u);
    cr_expect_eq(channel_accept(&address, listener, deadline_in_ms(10), &error), -1);
    cr_expect_eq(error.number, ETIMEDOUT);
    /* The file is gone: an empty directory can be removed. */
    cr_expect_eq(rmdir(directory), 0);
}

Test(channel, a_dead_socket_is_replaced_and_a_live_one_is_not)
{
    char directory[64];
    struct channel_address address;
    struct error error = ERROR_INIT;
    int first, second;

    make_directory(directory);
    address = unix_address(directory);
    first = channel_listen(&address, &error);
    cr_assert_geq(first, 0, "%s", error.text);
    cr_expect_eq(channel_listen(&address, &error), -1);
    cr_expect_eq(error.number, EADDRINUSE);
    close(first);
    second = channel_listen(&address, &error);
    cr_assert_geq(second, 0, "%s", error.text);
    close(second);
    unlink(address.path);
    rmdir(directory);
}

Test(channel, a_file_is_never_replaced)
{
    char directory[64];
    struct channel_address address;
    struct error error = ERROR_INIT;
    FILE *file;

    make_directory(directory);
    address = unix_address(directory);
    file = fopen(address.path, "w");
    cr_assert(file);
    fclose(file);
    cr_expect_eq(channel_listen(&address, &error), -1);
    cr_expect(strstr(error.text, "not a socket"), "%s", error.text);
    cr_expect_eq(access(address.path, F_OK), 0);
    unlink(address.path);
    rmdir(directory);
}

Test(channel, a_descriptor_that_was_given_is_taken_over)
{
    struct channel_address address;
    struct error error = ERROR_INIT;
    char text[32];
    int pair[2], pipe_fds[2], datagram;

    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    cr_assert_eq(pipe(pipe_fds), 0);
    datagram = socket(AF_UNIX, SOCK_DGRAM, 0);
    snprintf(text, sizeof(text), "fd:%d", pair[0]);
    cr_assert_eq(channel_parse(text, &address, &error), 0);
    cr_expect_eq(channel_connect(&address, deadline_in_ms(0), &error), pair[0], "%s", error.text);
    cr_expect(fcntl(pair[0], F_GETFD) & FD_CLOEXEC);
    snprintf(text, sizeof(text), "fd:%d", pipe_fds[1]);
    cr_assert_eq(channel_parse(text, &address, &error), 0);
    cr_expect_eq(channel_connect(&address, deadline_in_ms(0), &error), -1);
    cr_expect(strstr(error.text, "not a socket"), "%s", error.text);
    snprintf(text, sizeof(text), "fd:%d", datagram);
    cr_assert_eq(channel_parse(text, &address, &error), 0);
    cr_expect_eq(channel_listen(&address, &error), -1);
    cr_expect(strstr(error.text, "stream socket"), "%s", error.text);
}

static int entries(const char *directory)
{
    DIR *folder = opendir(directory);
    int count = 0;

    for (struct dirent *entry; folder && (entry = readdir(folder));)
        count += strcmp(entry->d_name, ".") && strcmp(entry->d_name, "..");
    closedir(folder);
    return count;
}

Test(channel, a_file_has_its_name_when_it_is_whole)
{
    struct channel_file file;
    struct error error = ERROR_INIT;
    struct stat status;
    char directory[64], path[96];
    bool kept;

    make_directory(directory);
    snprintf(path, sizeof(path), "%s/guest", directory);
    umask(0);
    cr_assert_eq(channel_file_create(&file, path, &error), 0, "%s", error.text);
    cr_assert_eq(write(file.fd, "state", 5), 5);
    cr_expect_eq(access(path, F_OK), -1);
    channel_file_close(&file);
    cr_expect_eq(entries(directory), 0, "one that was not kept is gone");
    cr_assert_eq(channel_file_create(&file, path, &error), 0, "%s", error.text);
    cr_assert_eq(write(file.fd, "state", 5), 5);
    cr_expect_eq(channel_file_keep(&file, &kept, &error), 0, "%s", error.text);
    cr_expect(kept);
    channel_file_close(&file);
    cr_assert_eq(stat(path, &status), 0);
    cr_expect_eq(status.st_mode & 0777, 0600u);
    cr_expect(status.st_size == 5 && entries(directory) == 1);
    unlink(path);
    rmdir(directory);
}

Test(channel, a_saved_guest_is_never_replaced)
{
    struct channel_file file;
    struct error error = ERROR_INIT;
    struct stat status;
    char directory[64], path[96];
    bool kept = true;
    int fd;

    make_directory(directory);
    snprintf(path, sizeof(path), "%s/guest", directory);
    cr_assert_eq(channel_file_create(&file, path, &error), 0, "%s", error.text);
    cr_assert_eq(write(file.fd, "state", 5), 5);
    fd = open(path, O_CREAT | O_EXCL | O_WRONLY, 0600);
    close(fd);
    cr_expect_eq(channel_file_keep(&file, &kept, &error), -1);
    cr_expect(!kept && error.number == EEXIST, "%s", error.text);
    channel_file_close(&file);
    cr_expect(stat(path, &status) == 0 && status.st_size == 0);
    cr_expect_eq(channel_file_create(&file, path, &error), -1);
    cr_expect(error.number == EEXIST && entries(directory) == 1);
    cr_expect_eq(channel_file_create(&file, directory, &error), -1);
    cr_expect_eq(channel_file_create(&file, "/nowhere/guest", &error), -1);
    cr_expect_eq(channel_file_open("/dev/null", &error), -1);
    cr_expect(strstr(error.text, "regular file"), "%s", error.text);
    unlink(path);
    rmdir(directory);
}
