/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "guest/guest.h"
#include "guest/workloads/device_workloads.h"
#include "guest/workloads/dma_stream.h"

#define OPERATIONS_PER_STEP 4

static _Noreturn void fail_device(struct guest *guest, const struct pci_device *device,
                                  const struct driver_fault *fault)
{
    guest_fail(guest, fault->rule, fault->expected, fault->seen, "device %u: %s", device->slot, fault->text);
}

static _Noreturn void fail_stream(struct dma_stream *stream, const struct driver_fault *fault)
{
    guest_fail(stream->chain.guest, fault->rule, fault->expected, fault->seen, "device %u queue %u operation %lu: %s",
               stream->board->access.device.slot, stream->queue.index, stream->chain.operations, fault->text);
}

/* Where two devices reach each other, half of a window is for its device and half for the one whose peer it is. */
static uint64_t own_window(const struct dma_board_device *board)
{
    return board->peer ? board->device.window_size / 2 : board->device.window_size;
}

static void open_window(struct dma_stream *stream, uint32_t index)
{
    stream->window_words = own_window(stream->board) / 8 / stream->board->device.queues;
    stream->window_start = stream->window_words * index * 8;
}

static void open_peer(struct dma_stream *stream, uint32_t index)
{
    const struct dma_board_device *board = stream->board;
    uint64_t half, span;

    if (!board->peer)
        return;
    half = board->peer->device.window_size / 2;
    span = half / ((uint64_t)board->device.queues * stream->depth * 2) / 8 * 8;
    stream->peer_span = span < WORKLOAD_DMA_BUFFER_SIZE ? (uint32_t)span : WORKLOAD_DMA_BUFFER_SIZE;
    stream->peer_start = half + (uint64_t)index * stream->depth * 2 * stream->peer_span;
}

static void open_stream(struct guest *guest, struct dma_board_device *board, struct vcpu *vcpu, uint32_t index)
{
    struct dma_stream *stream = ram_allocate_zeroed(&guest->ram, sizeof(*stream));
    uint16_t slot = (uint16_t)board->access.device.slot;
    struct driver_fault fault;

    if (!stream)
        guest_fail(guest, "guest/boot", sizeof(*stream), 0, "no RAM for device %u queue %u", slot, index);
    stream->board = board;
    stream->depth = guest->config.dma_depth;
    chain_open(&stream->chain, guest, WORKLOAD_DMA, slot, (uint16_t)index, stream->depth);
    open_window(stream, index);
    open_peer(stream, index);
    if (dma_slots_open(stream, &guest->ram, index) < 0)
        guest_fail(guest, "guest/boot", stream->depth, 0, "no RAM for the slots of device %u queue %u", slot, index);
    device_work_route(guest, &board->access, index, vcpu);
    if (dma_queue_open(&stream->queue, &board->device, index, index, stream->depth, &fault) < 0)
        fail_stream(stream, &fault);
    device_work_add(guest, vcpu, &stream->work, &dma_workload);
}

static struct dma_board_device *open_device(struct guest *guest, const struct pci_device *found)
{
    struct dma_board_device *board = ram_allocate_zeroed(&guest->ram, sizeof(*board));
    struct driver_fault fault;

    if (!board)
        guest_fail(guest, "guest/boot", sizeof(*board), 0, "no RAM for device %u", found->slot);
    device_work_enable(guest, &board->access, found);
    if (dma_device_open(&board->device, pci_access(&board->access), &fault) < 0)
        fail_device(guest, found, &fault);
    if (board->device.vectors != board->access.device.vectors)
        guest_fail(guest, "guest/driver", board->device.vectors, board->access.device.vectors,
                   "device %u: the size of its MSI-X table is not the register VECTORS", found->slot);
    return board;
}

/* All of them, in order of slots. */
static struct dma_board_device *open_devices(struct guest *guest)
{
    struct dma_board_device *first = NULL, **end = &first;

    for (uint32_t slot = 0; slot < PCI_SLOTS; slot++) {
        struct pci_device device;

        if (!pci_find(&guest->pci, slot, &device) || device.vendor != DMA_DEVICE_VENDOR_ID ||
            device.device != DMA_DEVICE_DEVICE_ID)
            continue;
        *end = open_device(guest, &device);
        end = &(*end)->next;
    }
    return first;
}

static struct dma_board_device *next_with_window(struct dma_board_device *board)
{
    while (board && !board->device.window_size)
        board = board->next;
    return board;
}

/* A ring of those that have a window; one alone has no peer. */
static void join_peers(struct dma_board_device *devices)
{
    struct dma_board_device *first = next_with_window(devices);

    for (struct dma_board_device *board = first; board; board = next_with_window(board->next)) {
        struct dma_board_device *next = next_with_window(board->next);

        board->peer = next ? next : first;
        if (board->peer == board)
            board->peer = NULL;
    }
}

static void open_all(struct guest *guest)
{
    struct dma_board_device *devices = open_devices(guest);
    uint32_t next_vcpu = 0;

    if (guest->config.dma_p2p)
        join_peers(devices);
    for (struct dma_board_device *board = devices; board; board = board->next)
        for (uint32_t i = 0; i < board->device.queues; i++)
            open_stream(guest, board, guest->vcpu[next_vcpu++ % guest->config.vcpus], i);
}

static unsigned int take_completions(struct dma_stream *stream)
{
    struct dma_completion completion;
    struct driver_fault fault;
    unsigned int taken = 0;
    int status = 0;

    while (taken < OPERATIONS_PER_STEP && (status = dma_queue_take(&stream->queue, &completion, &fault)) > 0) {
        chain_enter(&stream->chain, dma_operation_check(stream, stream->chain.operations, &completion));
        taken++;
    }
    if (status < 0)
        fail_stream(stream, &fault);
    return taken;
}

static unsigned int submit(struct dma_stream *stream)
{
    struct dma_queue *queue = &stream->queue;
    unsigned int submitted = 0;

    while (submitted < OPERATIONS_PER_STEP && queue->submitted - stream->chain.operations < stream->depth &&
           chain_wants(&stream->chain, queue->submitted)) {
        struct dma_descriptor descriptor = dma_operation_begin(stream, queue->submitted);

        dma_queue_submit(queue, &descriptor);
        submitted++;
    }
    if (submitted) {
        chain_publish_submitted(&stream->chain, queue->submitted);
        dma_queue_ring(queue);
    }
    return submitted;
}

static bool step(struct vcpu *vcpu, struct device_work *work)
{
    struct dma_stream *stream = (struct dma_stream *)work;
    struct driver_fault fault;
    int interrupt = dma_queue_interrupt(&stream->queue, &fault);
    unsigned int taken;

    if (interrupt < 0 || dma_queue_watch(&stream->queue, clock_observed_ns(&vcpu->clock), &fault) < 0)
        fail_stream(stream, &fault);
    if (interrupt)
        stream->chain.published->interrupts = stream->queue.interrupts;
    taken = take_completions(stream);
    if (taken)
        chain_publish(&stream->chain);
    return submit(stream) + taken > 0 || interrupt;
}

static bool is_drained(const struct device_work *work)
{
    const struct dma_stream *stream = (const struct dma_stream *)work;

    return stream->chain.operations == stream->queue.submitted;
}

static void finish(struct device_work *work)
{
    struct dma_stream *stream = (struct dma_stream *)work;

    dma_queue_close(&stream->queue);
    chain_publish(&stream->chain);
}

/* Once for each device. */
static void close(struct device_work *work)
{
    struct dma_stream *stream = (struct dma_stream *)work;
    struct driver_fault fault;

    if (stream->queue.index == 0 && dma_device_check(&stream->board->device, &fault) < 0)
        fail_device(stream->chain.guest, &stream->board->access.device, &fault);
}

static void print(struct device_work *work)
{
    const struct dma_stream *stream = (struct dma_stream *)work;

    if (stream->queue.spurious)
        console_print(&stream->chain.guest->console, "device %u queue %u: %lu interrupts with nothing new",
                      stream->board->access.device.slot, stream->queue.index, stream->queue.spurious);
}

const struct device_workload dma_workload = {
    .id = WORKLOAD_DMA,
    .vendor = DMA_DEVICE_VENDOR_ID,
    .device = DMA_DEVICE_DEVICE_ID,
    .open_all = open_all,
    .step = step,
    .is_drained = is_drained,
    .finish = finish,
    .close = close,
    .print = print,
};
