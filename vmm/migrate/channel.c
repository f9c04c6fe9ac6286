/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/migrate/channel.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/io.h"
#include "lib/options.h"

/* Large writes to a socket cost least with room for several of them. */
#define SEND_BUFFER_SIZE (4 << 20)
#define CONNECT_RETRY_MS 20
#define UNIX_PATH_SIZE sizeof(((struct sockaddr_un *)0)->sun_path)

static int parse_tcp(const char *rest, struct channel_address *address, struct error *error)
{
    const char *colon = strrchr(rest, ':');
    size_t length = colon ? (size_t)(colon - rest) : 0;
    uint64_t port;

    if (length >= 2 && rest[0] == '[' && rest[length - 1] == ']') {
        rest++;
        length -= 2;
    }
    if (!length || length >= sizeof(address->host))
        return error_set(error, EINVAL, "channel '%s': tcp wants tcp:HOST:PORT", address->text);
    if (option_parse_number(colon + 1, "the port", 0, 65535, &port, error) < 0)
        return error_prefix(error, "channel '%s'", address->text);
    memcpy(address->host, rest, length);
    address->host[length] = '\0';
    snprintf(address->port, sizeof(address->port), "%u", (unsigned int)port);
    return 0;
}

int channel_parse(const char *text, struct channel_address *address, struct error *error)
{
    uint64_t number;

    *address = (struct channel_address){.fd = -1};
    if (strlen(text) >= sizeof(address->text))
        return error_set(error, ENAMETOOLONG, "channel '%.40s...'", text);
    strcpy(address->text, text);
    if (!strncmp(text, "unix:", 5)) {
        address->kind = CHANNEL_UNIX;
        if (!text[5] || strlen(text + 5) >= UNIX_PATH_SIZE)
            return error_set(error, EINVAL, "channel '%s': the socket's path must have 1 to %zu bytes", text,
                             UNIX_PATH_SIZE - 1);
        strcpy(address->path, text + 5);
        return 0;
    }
    if (!strncmp(text, "tcp:", 4)) {
        address->kind = CHANNEL_TCP;
        return parse_tcp(text + 4, address, error);
    }
    if (!strncmp(text, "fd:", 3)) {
        address->kind = CHANNEL_FD;
        if (option_parse_number(text + 3, "the descriptor", 0, 1 << 20, &number, error) < 0)
            return error_prefix(error, "channel '%s'", text);
        address->fd = (int)number;
        return 0;
    }
    if (!strncmp(text, "file:", 5)) {
        address->kind = CHANNEL_FILE;
        if (!text[5])
            return error_set(error, EINVAL, "channel '%s': file wants file:PATH", text);
        strcpy(address->path, text + 5);
        return 0;
    }
    return error_set(error, 0, "channel '%s' is none of unix:PATH, tcp:HOST:PORT, fd:N, file:PATH", text);
}

void channel_tune(int socket)
{
    int size = SEND_BUFFER_SIZE;
    int on = 1;

    setsockopt(socket, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
    setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

static int unix_socket(const struct channel_address *address, struct sockaddr_un *name, struct error *error)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return error_set(error, errno, "making a socket for %s", address->text);
    *name = (struct sockaddr_un){.sun_family = AF_UNIX};
    strcpy(name->sun_path, address->path);
    return fd;
}

/* The addresses of HOST:PORT: to be freed with freeaddrinfo. */
static struct addrinfo *resolve(const struct channel_address *address, int flags, struct error *error)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = flags};
    struct addrinfo *found;
    int result = getaddrinfo(address->host, address->port, &hints, &found);

    if (result) {
        error_set(error, result == EAI_SYSTEM ? errno : 0, "%s: %s", address->text, gai_strerror(result));
        return NULL;
    }
    return found;
}

/* connect(2) that ends at the deadline, also to a host that does not answer. */
static int connect_until(int fd, const struct sockaddr *name, socklen_t size, struct deadline deadline)
{
    struct pollfd poll_fd = {.fd = fd, .events = POLLOUT};
    int number = 0;
    socklen_t number_size = sizeof(number);
    int count;

    if (fcntl(fd, F_SETFL, O_NONBLOCK) < 0)
        return errno;
    if (connect(fd, name, size) < 0) {
        if (errno != EINPROGRESS)
            return errno;
        do
            count = poll(&poll_fd, 1, deadline_poll_ms(deadline));
        while (count < 0 && errno == EINTR);
        if (count <= 0)
            return count < 0 ? errno : ETIMEDOUT;
        if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &number, &number_size) < 0)
            return errno;
        if (number)
            return number;
    }
    return fcntl(fd, F_SETFL, 0) < 0 ? errno : 0;
}

static bool is_local(const struct sockaddr *name)
{
    const struct sockaddr_in *in = (const struct sockaddr_in *)name;
    const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)name;

    switch (name->sa_family) {
    case AF_UNIX:
        return true;
    case AF_INET:
        return ntohl(in->sin_addr.s_addr) >> IN_CLASSA_NSHIFT == IN_LOOPBACKNET;
    case AF_INET6:
        return IN6_IS_ADDR_LOOPBACK(&in6->sin6_addr) ||
               (IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr) && in6->sin6_addr.s6_addr[12] == IN_LOOPBACKNET);
    default:
        return false;
    }
}

static int check_exposure(const struct channel_address *address, const struct sockaddr *name, struct error *error)
{
    if (address->exposed || is_local(name))
        return 0;
    return error_set(error, 0,
                     "channel %s: whoever is on the network could read and change the guest: give --tls-psk or "
                     "--tls-x509, or --insecure where the network is your own",
                     address->text);
}

static int connect_once(const struct channel_address *address, struct deadline deadline, struct error *error)
{
    struct addrinfo *addresses = NULL;
    struct sockaddr_un name;
    int number = 0;
    int fd = -1;

    if (address->kind == CHANNEL_UNIX) {
        fd = unix_socket(address, &name, error);
        if (fd < 0)
            return -1;
        number = connect_until(fd, (struct sockaddr *)&name, sizeof(name), deadline);
    } else {
        addresses = resolve(address, 0, error);
        if (!addresses)
            return -1;
        for (struct addrinfo *entry = addresses; entry; entry = entry->ai_next) {
            io_close(&fd);
            if (check_exposure(address, entry->ai_addr, error) < 0) {
                freeaddrinfo(addresses);
                return -1;
            }
            fd = socket(entry->ai_family, entry->ai_socktype | SOCK_CLOEXEC, entry->ai_protocol);
            number = fd < 0 ? errno : connect_until(fd, entry->ai_addr, entry->ai_addrlen, deadline);
            if (!number)
                break;
        }
        freeaddrinfo(addresses);
    }
    if (!number)
        return fd;
    io_close(&fd);
    error_set(error, number, "connecting to the destination at %s", address->text);
    return -1;
}

/* A descriptor that whoever started this program left open: this process's own from now on, and no child's. */
static int take_descriptor(const struct channel_address *address, struct error *error)
{
    int type = 0;
    socklen_t size = sizeof(type);
    struct sockaddr_storage name = {.ss_family = AF_UNSPEC};
    socklen_t name_size = sizeof(name);

    if (getsockopt(address->fd, SOL_SOCKET, SO_TYPE, &type, &size) < 0)
        return error_set(error, errno, "channel %s: the descriptor is not a socket that this program was given",
                         address->text);
    if (type != SOCK_STREAM)
        return error_set(error, EPROTOTYPE, "channel %s: the socket must be a stream socket", address->text);
    /* One that listens has no other end yet. */
    if (getpeername(address->fd, (struct sockaddr *)&name, &name_size) < 0) {
        name_size = sizeof(name);
        if (getsockname(address->fd, (struct sockaddr *)&name, &name_size) < 0)
            return error_set(error, errno, "channel %s", address->text);
    }
    if (check_exposure(address, (struct sockaddr *)&name, error) < 0)
        return -1;
    if (fcntl(address->fd, F_SETFD, FD_CLOEXEC) < 0)
        return error_set(error, errno, "channel %s", address->text);
    return address->fd;
}

int channel_connect(const struct channel_address *address, struct deadline deadline, struct error *error)
{
    if (address->kind == CHANNEL_FILE)
        return error_set(error, EINVAL, "channel %s: nobody answers from a file", address->text);
    if (address->kind == CHANNEL_FD)
        return take_descriptor(address, error);
    for (;;) {
        int fd = connect_once(address, deadline, error);

        if (fd >= 0) {
            channel_tune(fd);
            return fd;
        }
        /* The destination may be about to listen: both halves are often started at once. */
        if ((error->number != ECONNREFUSED && error->number != ENOENT) || deadline_expired(deadline)) {
            error_prefix(error, "no destination");
            return -1;
        }
        poll(NULL, 0, CONNECT_RETRY_MS);
    }
}

/* A socket file that a dead process left: gone. One that somebody listens on: refused. */
static int clear_stale(const struct channel_address *address, const struct sockaddr_un *name, struct error *error)
{
    struct stat status;
    int probe, result;

    if (lstat(address->path, &status) < 0)
        return 0;
    if (!S_ISSOCK(status.st_mode))
        return error_set(error, EEXIST, "listening on %s: the path is not a socket", address->text);
    probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (probe < 0)
        return error_set(error, errno, "making a socket for %s", address->text);
    result = connect(probe, (const struct sockaddr *)name, sizeof(*name));
    close(probe);
    if (result == 0 || errno != ECONNREFUSED)
        return error_set(error, EADDRINUSE, "listening on %s", address->text);
    unlink(address->path);
    return 0;
}

static int listen_unix(const struct channel_address *address, struct error *error)
{
    struct sockaddr_un name;
    mode_t mask;
    int fd = unix_socket(address, &name, error);
    int result;

    if (fd < 0)
        return -1;
    if (clear_stale(address, &name, error) < 0)
        goto fail;
    mask = umask(0177);
    result = bind(fd, (struct sockaddr *)&name, sizeof(name));
    umask(mask);
    if (result < 0 || listen(fd, 1) < 0) {
        error_set(error, errno, "listening on %s", address->text);
        goto fail;
    }
    return fd;
fail:
    close(fd);
    return -1;
}

static int listen_tcp(const struct channel_address *address, struct error *error)
{
    struct addrinfo *addresses = resolve(address, AI_PASSIVE, error);
    int on = 1;
    int fd = -1;

    if (!addresses)
        return -1;
    for (struct addrinfo *entry = addresses; entry; entry = entry->ai_next) {
        if (check_exposure(address, entry->ai_addr, error) < 0)
            break;
        fd = socket(entry->ai_family, entry->ai_socktype | SOCK_CLOEXEC, entry->ai_protocol);
        if (fd < 0)
            continue;
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
        if (bind(fd, entry->ai_addr, entry->ai_addrlen) == 0 && listen(fd, 1) == 0)
            break;
        error_set(error, errno, "listening on %s", address->text);
        io_close(&fd);
    }
    freeaddrinfo(addresses);
    return fd;
}

int channel_listen(const struct channel_address *address, struct error *error)
{
    switch (address->kind) {
    case CHANNEL_UNIX:
        return listen_unix(address, error);
    case CHANNEL_TCP:
        return listen_tcp(address, error);
    case CHANNEL_FD:
        return take_descriptor(address, error);
    case CHANNEL_FILE:
        break;
    }
    return error_set(error, EINVAL, "channel %s: nobody connects to a file", address->text);
}

int channel_accept(const struct channel_address *address, int listener, struct deadline deadline, struct error *error)
{
    struct pollfd poll_fd = {.fd = listener, .events = POLLIN};
    int fd = -1;
    int count;

    /* fd:N is connected already, unless it listens. */
    if (address->kind == CHANNEL_FD) {
        int listening = 0;
        socklen_t size = sizeof(listening);

        if (getsockopt(listener, SOL_SOCKET, SO_ACCEPTCONN, &listening, &size) < 0 || !listening)
            return listener;
    }
    do
        count = poll(&poll_fd, 1, deadline_poll_ms(deadline));
    while (count < 0 && errno == EINTR);
    if (count > 0)
        fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    if (fd < 0)
        error_set(error, count == 0 ? ETIMEDOUT : errno, "waiting for the source to connect to %s", address->text);
    else
        channel_tune(fd);
    close(listener);
    if (address->kind == CHANNEL_UNIX)
        unlink(address->path);
    return fd;
}
