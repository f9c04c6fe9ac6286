/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A log of DMA that is wrong: pages missing, in the wrong place, never forgotten, or no log at all. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "devices/faults/command.h"

#define HEAD_SIZE sizeof(struct vfio_device_feature)
#define GIB (1ull << 30)
#define LAST_WORD 64u

enum what {
    PAGE_MISSING,
    EMPTY,
    HIGH_SHIFTED,
    FIRST_RANGE_ONLY,
    PAGES_OF_4K,
    NEVER_CLEARED,
    EARLIER_LOST,
    END_LOST,
    SECOND_START,
    STOP_WITHOUT_START,
};

/* VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT as vfio-user has it: the bitmap follows these. */
struct report {
    uint64_t iova;
    uint64_t length;
    uint64_t page_size;
};

/* What was reported of a range before. */
struct remembered {
    struct remembered *next;
    struct report report;
    size_t size;
    uint8_t bits[];
};

struct log_fault {
    struct device_layer layer;
    enum what what;
    bool started;
    bool mapped_later; /* something was mapped after the start */
    struct fault_trigger trigger;
    struct remembered *remembered;
};

static void forget(struct log_fault *fault)
{
    while (fault->remembered) {
        struct remembered *next = fault->remembered->next;

        free(fault->remembered);
        fault->remembered = next;
    }
}

static void miss_pages(struct log_fault *fault, uint8_t *bits, size_t size)
{
    for (size_t bit = 0; bit < size * 8; bit++)
        if (bits[bit / 8] >> bit % 8 & 1 && fault_trigger_strikes(&fault->trigger))
            bits[bit / 8] &= (uint8_t) ~(1u << bit % 8);
}

/* Everything that was ever reported is reported again. */
static void remember(struct log_fault *fault, const struct report *report, uint8_t *bits, size_t size)
{
    struct remembered *one = fault->remembered;

    while (one && (memcmp(&one->report, report, sizeof(*report)) || one->size != size))
        one = one->next;
    if (!one) {
        one = calloc(1, sizeof(*one) + size);
        if (!one)
            return;
        *one = (struct remembered){.next = fault->remembered, .report = *report, .size = size};
        fault->remembered = one;
    }
    for (size_t i = 0; i < size; i++)
        bits[i] |= one->bits[i];
    memcpy(one->bits, bits, size);
}

/* Bit n stands for the nth 4 KiB, whatever page size was asked for. */
static void count_in_4k(const struct report *report, uint8_t *bits, size_t size)
{
    uint64_t factor = report->page_size / 4096u;
    uint64_t count = size * 8;

    if (factor <= 1)
        return;
    for (uint64_t bit = count; bit-- > 0;) {
        bool set = bits[bit / 8] >> bit % 8 & 1;

        bits[bit / 8] &= (uint8_t) ~(1u << bit % 8);
        if (set && bit * factor < count)
            bits[bit * factor / 8] |= (uint8_t)(1u << bit * factor % 8);
    }
}

/* One page too high: the offset of what is above the hole at 3 GiB is taken wrongly. */
static void shift(const struct report *report, uint8_t *bits, size_t size)
{
    if (report->iova < 3 * GIB || !size)
        return;
    memmove(bits + 1, bits, size - 1);
    bits[0] = 0;
}

/* The last pages of a range that is not a multiple of 64 of them, or that does not begin at one, are lost. */
static void lose_end(const struct report *report, uint8_t *bits, size_t size)
{
    uint64_t pages = report->length / report->page_size;
    uint64_t whole = pages / LAST_WORD * LAST_WORD;

    for (uint64_t bit = whole; bit < pages && bit / 8 < size; bit++)
        bits[bit / 8] &= (uint8_t) ~(1u << bit % 8);
}

static void falsify(struct log_fault *fault, const struct report *report, uint8_t *bits, size_t size)
{
    switch (fault->what) {
    case PAGE_MISSING:
        miss_pages(fault, bits, size);
        break;
    case EARLIER_LOST:
        if (fault->mapped_later)
            break;
        memset(bits, 0, size);
        break;
    case EMPTY:
        memset(bits, 0, size);
        break;
    case HIGH_SHIFTED:
        shift(report, bits, size);
        break;
    case PAGES_OF_4K:
        count_in_4k(report, bits, size);
        break;
    case NEVER_CLEARED:
        remember(fault, report, bits, size);
        break;
    case END_LOST:
        lose_end(report, bits, size);
        break;
    default:
        break;
    }
}

static int report_log(struct log_fault *fault, struct device_command *command)
{
    int failed = device_command(fault->layer.device.next, command);
    struct report report;

    if (failed || command->reply->failed || command->reply->size <= HEAD_SIZE + sizeof(report))
        return failed;
    memcpy(&report, command->payload + HEAD_SIZE, sizeof(report));
    falsify(fault, &report, command->reply->data + HEAD_SIZE + sizeof(report),
            command->reply->size - HEAD_SIZE - sizeof(report));
    return 0;
}

/* Bits of a report that lie in a range after the first of START are lost: START is given the first alone. */
static int start_log(struct log_fault *fault, struct device_command *command)
{
    const uint32_t one = 1;
    size_t size = command->size;
    uint32_t count;
    int failed;

    if (command->size >= HEAD_SIZE + 16)
        memcpy(&count, command->payload + HEAD_SIZE + 8, sizeof(count));
    else
        count = 0;
    if (fault->what == SECOND_START && fault->started)
        return command_accept(command);
    if (fault->what == FIRST_RANGE_ONLY && count > 1) {
        memcpy(command->payload + HEAD_SIZE + 8, &one, sizeof(one));
        command->size = HEAD_SIZE + 16 + sizeof(struct vfio_device_feature_dma_logging_range);
    }
    failed = device_command(fault->layer.device.next, command);
    if (command->size != size) {
        /* The answer is about all of them. */
        memcpy(command->payload + HEAD_SIZE + 8, &count, sizeof(count));
        command->size = size;
        failed = failed ? failed : command_accept(command);
    }
    if (!failed) {
        fault->started = true;
        fault->mapped_later = false;
        forget(fault);
    }
    return failed;
}

static int command(struct device *device, struct device_command *command)
{
    struct log_fault *fault = (struct log_fault *)device;
    int failed;

    if (command_is_feature(command, VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT, VFIO_DEVICE_FEATURE_GET))
        return report_log(fault, command);
    if (command_is_feature(command, VFIO_DEVICE_FEATURE_DMA_LOGGING_START, VFIO_DEVICE_FEATURE_SET))
        return start_log(fault, command);
    fault->mapped_later |= command->number == VFIO_USER_DMA_MAP && fault->started;
    failed = device_command(device->next, command);
    if (command_is_feature(command, VFIO_DEVICE_FEATURE_DMA_LOGGING_STOP, VFIO_DEVICE_FEATURE_SET)) {
        if (failed && fault->what == STOP_WITHOUT_START)
            return command_accept(command);
        fault->started = false;
    }
    return failed;
}

static void destroy(struct device *device)
{
    forget((struct log_fault *)device);
    fault_layer_destroy(device);
}

static const struct device_ops down = {.destroy = destroy, .command = command};
static const struct device_host_ops up = {.dma_read = NULL};

static struct device_layer *create(const struct fault_request *request, struct error *error)
{
    struct log_fault *fault = fault_layer_new(sizeof(*fault), &down, &up, error);

    if (!fault)
        return NULL;
    fault->what = (enum what)request->kind->variant;
    fault->trigger = fault_trigger_from(request, 0);
    if (!request->has_at && !request->one_in)
        fault->trigger.one_in = 2;
    return &fault->layer;
}

const struct fault_kind fault_log_kinds[] = {
    {"log-page-missing", create, PAGE_MISSING},
    {"log-empty", create, EMPTY},
    {"log-shifted-above-3g", create, HIGH_SHIFTED},
    {"log-first-range-only", create, FIRST_RANGE_ONLY},
    {"log-pages-of-4k", create, PAGES_OF_4K},
    {"log-not-cleared", create, NEVER_CLEARED},
    {"log-earlier-mappings-lost", create, EARLIER_LOST},
    {"log-end-lost", create, END_LOST},
    {"log-second-start-accepted", create, SECOND_START},
    {"log-stop-accepted", create, STOP_WITHOUT_START},
    {0},
};
