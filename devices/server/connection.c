/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "config.h"

#include "devices/server/connection.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "lib/io.h"

#define EVENTS_MAX 16

int connection_fail(struct connection *connection, int number, const char *format, ...)
{
    va_list arguments;
    char text[ERROR_TEXT_MAX / 2];

    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    if (!connection->gone)
        error_set(&connection->error, number, "%s", text);
    connection->gone = true;
    return -1;
}

static unsigned int host_irq_count_of(struct device_host *host, unsigned int index)
{
    return ((struct connection *)host)->irqs.index[index].triggers;
}

static bool raise_irq(struct device_host *host, unsigned int index, unsigned int vector)
{
    return irqs_raise(&((struct connection *)host)->irqs, index, vector);
}

static void set_level(struct device_host *host, bool asserted)
{
    struct connection *connection = (struct connection *)host;

    if (connection->irqs.index[VFIO_PCI_INTX_IRQ_INDEX].vectors)
        irqs_set_level(&connection->irqs, asserted);
}

static void set_timer(struct device_host *host, uint64_t at_ns)
{
    struct connection *connection = (struct connection *)host;
    struct itimerspec when = {
        .it_value = {.tv_sec = (time_t)(at_ns / 1000000000u), .tv_nsec = (long)(at_ns % 1000000000u)}};

    if (connection->timer_at_ns == at_ns)
        return;
    connection->timer_at_ns = at_ns;
    if (connection->timer >= 0)
        timerfd_settime(connection->timer, TFD_TIMER_ABSTIME, &when, NULL);
}

static void was_reset(struct device_host *host)
{
    ((struct connection *)host)->migration_state = VFIO_DEVICE_STATE_RUNNING;
}

static void state_changed(struct device_host *host, unsigned int state)
{
    ((struct connection *)host)->migration_state = state;
}

static const struct device_host_ops host_ops = {
    .dma_read = connection_dma_read,
    .dma_reaches_peer = connection_dma_reaches_peer,
    .dma_write = connection_dma_write,
    .irq_count = host_irq_count_of,
    .irq_raise = raise_irq,
    .irq_level = set_level,
    .set_timer = set_timer,
    .was_reset = was_reset,
    .state_changed = state_changed,
};

void connection_init(struct connection *connection)
{
    *connection = (struct connection){
        .host = {.ops = &host_ops},
        .socket = -1,
        .twin = -1,
        .epoll = -1,
        .timer = -1,
        .client_fds_max = VFIO_USER_DEFAULT_MAX_MSG_FDS,
        .client_data_max = VFIO_USER_DEFAULT_MAX_DATA_XFER_SIZE,
        .migration_state = VFIO_DEVICE_STATE_RUNNING,
    };
    connection->deferred_end = &connection->deferred;
    for (size_t i = 0; i < DOORBELLS_MAX; i++)
        connection->doorbell_fd[i] = -1;
}

int connection_watch(struct connection *connection, int fd, uint64_t what)
{
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = what};

    return epoll_ctl(connection->epoll, EPOLL_CTL_ADD, fd, &event) < 0 ? errno : 0;
}

void connection_unwatch(struct connection *connection, int fd)
{
    if (fd >= 0)
        epoll_ctl(connection->epoll, EPOLL_CTL_DEL, fd, NULL);
}

/* What the device asked for before there was a timer. */
static void arm_timer_again(struct connection *connection)
{
    uint64_t at_ns = connection->timer_at_ns;

    connection->timer_at_ns = 0;
    set_timer(&connection->host, at_ns);
}

static int open_loop(struct connection *connection, int socket, int stop_fd, struct device *device, struct error *error)
{
    connection->socket = socket;
    connection->device = device;
    if (irqs_init(&connection->irqs, device))
        return error_set(error, ENOMEM, "interrupts");
    connection->doorbell_count = device_get_doorbells(device, connection->doorbell, DOORBELLS_MAX);
    connection->epoll = epoll_create1(EPOLL_CLOEXEC);
    connection->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    if (connection->epoll < 0 || connection->timer < 0)
        return error_set(error, errno, "epoll and timerfd");
    if (connection_watch(connection, socket, WATCH_SOCKET) ||
        connection_watch(connection, connection->timer, WATCH_TIMER) ||
        connection_watch(connection, stop_fd, WATCH_STOP))
        return error_set(error, errno, "epoll");
    arm_timer_again(connection);
    return 0;
}

static void close_loop(struct connection *connection)
{
    receiver_free(&connection->receiver);
    receiver_free(&connection->twin_receiver);
    while (connection->deferred) {
        struct message *message = connection->deferred;

        connection->deferred = message->next;
        message_free(message);
    }
    dma_table_clear(&connection->dma);
    dirty_log_free(&connection->log);
    irqs_free(&connection->irqs);
    for (size_t i = 0; i < DOORBELLS_MAX; i++)
        io_close(&connection->doorbell_fd[i]);
    io_close(&connection->twin);
    io_close(&connection->timer);
    io_close(&connection->epoll);
}

static void on_message(struct connection *connection)
{
    struct message *message;
    int came = receiver_poll(&connection->receiver, connection->socket, &message, &connection->error);

    if (came < 0)
        connection->gone = true;
    else if (came > 0)
        dispatch(connection, message);
}

static struct message *take_deferred(struct connection *connection)
{
    struct message *message = connection->deferred;

    connection->deferred = message->next;
    if (!connection->deferred)
        connection->deferred_end = &connection->deferred;
    connection->deferred_count--;
    connection->deferred_bytes -= message->size;
    return message;
}

static void on_doorbell(struct connection *connection, size_t number)
{
    uint64_t count;

    if (number >= connection->doorbell_count ||
        read(connection->doorbell_fd[number], &count, sizeof(count)) != sizeof(count))
        return;
    if (!connection->doorbells_shared)
        device_doorbell(connection->device, number);
    for (size_t i = 0; connection->doorbells_shared && i < connection->doorbell_count; i++)
        device_doorbell(connection->device, i);
}

static void on_timer(struct connection *connection)
{
    uint64_t count;

    if (read(connection->timer, &count, sizeof(count)) != sizeof(count))
        return;
    connection->timer_at_ns = 0;
    device_timer(connection->device);
}

/* Every reply is waited for, so what comes here at any other time is the end, or nothing that was asked for. */
static void on_twin(struct connection *connection)
{
    uint8_t byte;

    if (recv(connection->twin, &byte, sizeof(byte), MSG_DONTWAIT | MSG_PEEK) == 0)
        connection_fail(connection, 0, "the client closed the twin socket");
    else
        connection_fail(connection, EPROTO, "something came on the twin socket that was not asked for");
}

static void on_event(struct connection *connection, uint64_t what)
{
    switch (what) {
    case WATCH_SOCKET:
        on_message(connection);
        break;
    case WATCH_TWIN:
        on_twin(connection);
        break;
    case WATCH_TIMER:
        on_timer(connection);
        break;
    case WATCH_STOP:
        connection->stop = true;
        break;
    case WATCH_MASK:
        irqs_mask_event(&connection->irqs);
        break;
    case WATCH_UNMASK:
        irqs_unmask_event(&connection->irqs);
        device_irqs_changed(connection->device);
        break;
    default:
        on_doorbell(connection, what - WATCH_DOORBELL);
        break;
    }
}

static void wait_for_events(struct connection *connection)
{
    struct epoll_event events[EVENTS_MAX];
    bool half = receiver_in_message(&connection->receiver);
    int count =
        epoll_wait(connection->epoll, events, EVENTS_MAX, half ? deadline_poll_ms(connection->receiver.stalled) : -1);

    if (count < 0 && errno != EINTR)
        connection_fail(connection, errno, "epoll_wait");
    for (int i = 0; i < count && !connection->gone; i++) {
        on_event(connection, events[i].data.u64);
        /* What came while we waited for the client comes before what is still in the socket. */
        while (connection->deferred && !connection->gone)
            dispatch(connection, take_deferred(connection));
    }
    if (receiver_in_message(&connection->receiver) && deadline_expired(connection->receiver.stalled))
        connection_fail(connection, ETIMEDOUT, "the rest of a message did not come");
}

int connection_serve(int socket, int stop_fd, struct device *device, struct connection *connection, struct error *error)
{
    int result = 0;

    if (open_loop(connection, socket, stop_fd, device, error) < 0) {
        close_loop(connection);
        return -1;
    }
    while (!connection->gone && !connection->stop)
        wait_for_events(connection);
    if (connection->gone && connection->error.number) {
        *error = connection->error;
        result = -1;
    }
    close_loop(connection);
    return result;
}
