/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "devices/server/irqs.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/io.h"

#define DATA_MASK (VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_DATA_BOOL | VFIO_IRQ_SET_DATA_EVENTFD)
#define ACTION_MASK (VFIO_IRQ_SET_ACTION_MASK | VFIO_IRQ_SET_ACTION_UNMASK | VFIO_IRQ_SET_ACTION_TRIGGER)

/* Adds 1 to an eventfd. It is the client's, so it may be full, or no eventfd at all: never wait. */
static void signal_fd(int fd)
{
    struct pollfd poll_fd = {.fd = fd, .events = POLLOUT};
    const uint64_t one = 1;

    if (poll(&poll_fd, 1, 0) == 1 && poll_fd.revents & POLLOUT && write(fd, &one, sizeof(one)) < 0)
        return; /* closed at its other end: nobody to tell */
}

static void drain_fd(int fd)
{
    struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
    uint64_t count;

    if (poll(&poll_fd, 1, 0) == 1 && poll_fd.revents & POLLIN && read(fd, &count, sizeof(count)) < 0)
        return; /* somebody else was faster */
}

int irqs_init(struct irqs *irqs, struct device *device)
{
    *irqs = (struct irqs){.mask_fd = -1, .unmask_fd = -1};
    for (unsigned int i = 0; i < VFIO_PCI_NUM_IRQS; i++) {
        struct irq_index *index = &irqs->index[i];

        device_get_irq(device, i, &index->info);
        index->vectors = calloc(index->info.count + 1, sizeof(*index->vectors));
        if (!index->vectors) {
            irqs_free(irqs);
            return ENOMEM;
        }
        for (unsigned int vector = 0; vector < index->info.count; vector++)
            index->vectors[vector].trigger = -1;
    }
    return 0;
}

void irqs_free(struct irqs *irqs)
{
    for (unsigned int i = 0; i < VFIO_PCI_NUM_IRQS; i++) {
        struct irq_index *index = &irqs->index[i];

        for (unsigned int vector = 0; index->vectors && vector < index->info.count; vector++)
            io_close(&index->vectors[vector].trigger);
        free(index->vectors);
        index->vectors = NULL;
    }
    io_close(&irqs->mask_fd);
    io_close(&irqs->unmask_fd);
}

/* INTx is signalled once and masks itself; when it is unmasked and still asserted it is signalled again. */
static void update_intx(struct irqs *irqs)
{
    struct irq_vector *intx = &irqs->index[VFIO_PCI_INTX_IRQ_INDEX].vectors[0];

    if (!irqs->level || !irqs->index[VFIO_PCI_INTX_IRQ_INDEX].info.count || intx->masked || intx->trigger < 0)
        return;
    intx->masked = true;
    signal_fd(intx->trigger);
}

static void count_triggers(struct irq_index *index)
{
    index->triggers = index->info.count;
    while (index->triggers && index->vectors[index->triggers - 1].trigger < 0)
        index->triggers--;
}

struct request {
    unsigned int index;
    uint32_t flags;
    uint32_t start;
    uint32_t count;
    const uint8_t *data;
    size_t data_size;
    int *fds;
    size_t fd_count;
};

/* The descriptor of the range's nth, taken over; -1 where it has none. */
static int take_fd(struct request *request, uint32_t n)
{
    size_t place = n;
    int32_t number;
    int fd;

    if (request->data_size) {
        place = 0;
        for (uint32_t i = 0; i <= n; i++) {
            memcpy(&number, request->data + 4 * i, sizeof(number));
            place += i < n && number >= 0;
        }
        if (number < 0)
            return -1;
    }
    if (place >= request->fd_count)
        return -1;
    fd = request->fds[place];
    request->fds[place] = -1;
    return fd;
}

static size_t fds_wanted(const struct request *request)
{
    size_t wanted = 0;

    for (uint32_t i = 0; i < request->data_size / 4; i++) {
        int32_t number;

        memcpy(&number, request->data + 4 * i, sizeof(number));
        wanted += number >= 0;
    }
    return wanted;
}

static int check_data(const struct request *request)
{
    uint32_t data = request->flags & DATA_MASK;

    if (data == VFIO_IRQ_SET_DATA_EVENTFD) {
        if (request->data_size)
            return request->data_size == 4ull * request->count && fds_wanted(request) == request->fd_count ? 0 : EINVAL;
        return !request->fd_count || request->fd_count == request->count ? 0 : EINVAL;
    }
    if (request->fd_count)
        return EINVAL;
    if (data == VFIO_IRQ_SET_DATA_BOOL)
        return request->data_size == request->count ? 0 : EINVAL;
    return request->data_size == 0 ? 0 : EINVAL;
}

static bool exactly_one(uint32_t bits)
{
    return bits && (bits & (bits - 1)) == 0;
}

static int check(const struct irqs *irqs, const struct request *request)
{
    const struct irq_index *index = &irqs->index[request->index];
    uint32_t action = request->flags & ACTION_MASK;

    if (request->flags & ~(uint32_t)(DATA_MASK | ACTION_MASK) || !exactly_one(request->flags & DATA_MASK) ||
        !exactly_one(action))
        return EINVAL;
    if (request->start >= index->info.count || request->count > index->info.count - request->start)
        return EINVAL;
    if (action != VFIO_IRQ_SET_ACTION_TRIGGER && !(index->info.flags & VFIO_IRQ_INFO_MASKABLE))
        return EINVAL;
    if (action != VFIO_IRQ_SET_ACTION_TRIGGER && request->flags & VFIO_IRQ_SET_DATA_EVENTFD &&
        request->index != VFIO_PCI_INTX_IRQ_INDEX)
        return EINVAL;
    /* No vectors at all: only to disable the whole index. */
    if (!request->count && request->flags != (VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_TRIGGER))
        return EINVAL;
    return check_data(request);
}

static void disable(struct irqs *irqs, const struct request *request)
{
    struct irq_index *index = &irqs->index[request->index];

    for (unsigned int vector = 0; vector < index->info.count; vector++) {
        io_close(&index->vectors[vector].trigger);
        index->vectors[vector].masked = false;
    }
    if (request->index == VFIO_PCI_INTX_IRQ_INDEX) {
        io_close(&irqs->mask_fd);
        io_close(&irqs->unmask_fd);
    }
}

static void set_mask(struct irqs *irqs, struct request *request, uint32_t n, bool masked)
{
    int *event = masked ? &irqs->mask_fd : &irqs->unmask_fd;

    if (request->flags & VFIO_IRQ_SET_DATA_EVENTFD) {
        io_close(event);
        *event = take_fd(request, n);
        return;
    }
    irqs->index[request->index].vectors[request->start + n].masked = masked;
}

static void set_trigger(struct irqs *irqs, struct request *request, uint32_t n)
{
    struct irq_vector *vector = &irqs->index[request->index].vectors[request->start + n];

    if (request->flags & VFIO_IRQ_SET_DATA_EVENTFD) {
        io_close(&vector->trigger);
        vector->trigger = take_fd(request, n);
    } else if (vector->trigger >= 0) {
        signal_fd(vector->trigger);
    }
}

static void apply(struct irqs *irqs, struct request *request)
{
    if (!request->count)
        disable(irqs, request);
    for (uint32_t n = 0; n < request->count; n++) {
        if (request->flags & VFIO_IRQ_SET_DATA_BOOL && !request->data[n])
            continue;
        if (request->flags & VFIO_IRQ_SET_ACTION_TRIGGER)
            set_trigger(irqs, request, n);
        else
            set_mask(irqs, request, n, request->flags & VFIO_IRQ_SET_ACTION_MASK);
    }
    count_triggers(&irqs->index[request->index]);
    update_intx(irqs);
}

int irqs_set(struct irqs *irqs, const void *data, size_t size, int *fds, size_t fd_count)
{
    const size_t head_size = offsetof(struct vfio_irq_set, data);
    struct vfio_irq_set head;
    struct request request;
    int failed;

    if (size < head_size)
        return EINVAL;
    memcpy(&head, data, head_size);
    if (head.argsz < head_size || head.argsz > size || head.index >= VFIO_PCI_NUM_IRQS)
        return EINVAL;
    request = (struct request){
        .index = head.index,
        .flags = head.flags,
        .start = head.start,
        .count = head.count,
        .data = (const uint8_t *)data + head_size,
        .data_size = size - head_size,
        .fds = fds,
        .fd_count = fd_count,
    };
    failed = check(irqs, &request);
    if (!failed)
        apply(irqs, &request);
    return failed;
}

bool irqs_raise(struct irqs *irqs, unsigned int index, unsigned int vector)
{
    struct irq_vector *state;

    if (index >= VFIO_PCI_NUM_IRQS || vector >= irqs->index[index].info.count)
        return false;
    state = &irqs->index[index].vectors[vector];
    if (state->trigger < 0 || state->masked)
        return false;
    signal_fd(state->trigger);
    return true;
}

void irqs_set_level(struct irqs *irqs, bool asserted)
{
    irqs->level = asserted;
    update_intx(irqs);
}

void irqs_mask_event(struct irqs *irqs)
{
    drain_fd(irqs->mask_fd);
    irqs->index[VFIO_PCI_INTX_IRQ_INDEX].vectors[0].masked = true;
}

void irqs_unmask_event(struct irqs *irqs)
{
    drain_fd(irqs->unmask_fd);
    irqs->index[VFIO_PCI_INTX_IRQ_INDEX].vectors[0].masked = false;
    update_intx(irqs);
}
