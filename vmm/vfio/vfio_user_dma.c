/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/vfio/vfio_user_dma.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

int vfio_user_dma_init(struct vfio_user_dma *dma, uint64_t access_max, struct error *error)
{
    int number;

    memset(dma, 0, sizeof(*dma));
    dma->access_max = access_max;
    number = pthread_mutex_init(&dma->lock, NULL);
    if (number)
        return error_set(error, number, "a lock for DMA mappings");
    return 0;
}

void vfio_user_dma_free(struct vfio_user_dma *dma)
{
    for (size_t i = 0; i < dma->count; i++)
        free(dma->mappings[i].written);
    free(dma->mappings);
    pthread_mutex_destroy(&dma->lock);
}

/* The first mapping that ends after iova. */
static size_t find_index(const struct vfio_user_dma *dma, uint64_t iova)
{
    size_t low = 0;
    size_t high = dma->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct vfio_user_mapping *mapping = &dma->mappings[middle];

        if (mapping->iova + (mapping->size - 1) < iova)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static int insert(struct vfio_user_dma *dma, const struct vfio_user_mapping *mapping, size_t maximum)
{
    size_t index = find_index(dma, mapping->iova);

    if (index < dma->count && dma->mappings[index].iova <= mapping->iova + (mapping->size - 1))
        return EEXIST;
    if (dma->count >= maximum)
        return ENOSPC;
    if (dma->count == dma->room) {
        size_t room = dma->room ? 2 * dma->room : 8;
        struct vfio_user_mapping *mappings = reallocarray(dma->mappings, room, sizeof(*mappings));

        if (!mappings)
            return ENOMEM;
        dma->mappings = mappings;
        dma->room = room;
    }
    memmove(dma->mappings + index + 1, dma->mappings + index, (dma->count - index) * sizeof(*mapping));
    dma->mappings[index] = *mapping;
    dma->count++;
    return 0;
}

int vfio_user_dma_add(struct vfio_user_dma *dma, uint64_t iova, uint64_t size, void *host, bool writable,
                      size_t maximum, struct error *error)
{
    struct vfio_user_mapping mapping = {.iova = iova, .size = size, .host = host, .writable = writable};
    int number = EINVAL;

    if (size && iova + (size - 1) >= iova) {
        mapping.written = calloc(size / VFIO_USER_DMA_LOG_PAGE / 64 + 1, sizeof(uint64_t));
        number = ENOMEM;
    }
    if (mapping.written) {
        pthread_mutex_lock(&dma->lock);
        number = insert(dma, &mapping, maximum);
        pthread_mutex_unlock(&dma->lock);
    }
    if (number) {
        free(mapping.written);
        return error_set(error, number, "the mapping of %" PRIu64 " bytes at IOVA 0x%" PRIx64, size, iova);
    }
    return 0;
}

static struct vfio_user_mapping *find_exact(struct vfio_user_dma *dma, uint64_t iova, uint64_t size)
{
    size_t index = find_index(dma, iova);

    if (index == dma->count || dma->mappings[index].iova != iova || dma->mappings[index].size != size)
        return NULL;
    return &dma->mappings[index];
}

bool vfio_user_dma_has(struct vfio_user_dma *dma, uint64_t iova, uint64_t size)
{
    bool has;

    pthread_mutex_lock(&dma->lock);
    has = find_exact(dma, iova, size) != NULL;
    pthread_mutex_unlock(&dma->lock);
    return has;
}

void vfio_user_dma_remove(struct vfio_user_dma *dma, uint64_t iova, uint64_t size)
{
    struct vfio_user_mapping *mapping;

    pthread_mutex_lock(&dma->lock);
    mapping = find_exact(dma, iova, size);
    if (mapping) {
        free(mapping->written);
        dma->count--;
        memmove(mapping, mapping + 1, (dma->count - (size_t)(mapping - dma->mappings)) * sizeof(*mapping));
    }
    pthread_mutex_unlock(&dma->lock);
}

/* first and last are offsets into the mapping, both within. */
static void log_written(struct vfio_user_mapping *mapping, uint64_t first, uint64_t last)
{
    for (uint64_t page = first / VFIO_USER_DMA_LOG_PAGE; page <= last / VFIO_USER_DMA_LOG_PAGE; page++)
        mapping->written[page / 64] |= UINT64_C(1) << page % 64;
}

/* What of a mapping is asked for, as offsets into it, and where it is reported. */
struct log_report {
    uint64_t begin;
    uint64_t end;  /* the last byte */
    uint64_t base; /* of the bitmap: the offset of its first bit, which may be "negative" */
    uint64_t page_size;
    uint64_t *bitmap;
};

static void take_page(struct vfio_user_mapping *mapping, uint64_t page, const struct log_report *report)
{
    uint64_t page_first = page * VFIO_USER_DMA_LOG_PAGE;
    uint64_t page_last = page_first + (VFIO_USER_DMA_LOG_PAGE - 1);
    uint64_t first = page_first < report->begin ? report->begin : page_first;
    uint64_t last = page_last > report->end ? report->end : page_last;

    for (uint64_t bit = (first - report->base) / report->page_size; bit <= (last - report->base) / report->page_size;
         bit++)
        report->bitmap[bit / 64] |= UINT64_C(1) << bit % 64;
    /* The rest of a page that is only partly asked for stays logged. */
    if (first == page_first && (last == page_last || last == mapping->size - 1))
        mapping->written[page / 64] &= ~(UINT64_C(1) << page % 64);
}

/* Reports and clears the pages of one mapping that [iova, last], which meets it, has some of. */
static void take_mapping_log(struct vfio_user_mapping *mapping, uint64_t iova, uint64_t last, uint64_t page_size,
                             uint64_t *bitmap)
{
    struct log_report report = {
        .begin = iova > mapping->iova ? iova - mapping->iova : 0,
        .end = last - mapping->iova < mapping->size ? last - mapping->iova : mapping->size - 1,
        .base = iova - mapping->iova,
        .page_size = page_size,
        .bitmap = bitmap,
    };
    uint64_t last_page = report.end / VFIO_USER_DMA_LOG_PAGE;

    for (uint64_t page = report.begin / VFIO_USER_DMA_LOG_PAGE; page <= last_page; page++) {
        /* Most words are empty, and this is done while the guest is paused. */
        if (!mapping->written[page / 64])
            page |= 63;
        else if (mapping->written[page / 64] >> page % 64 & 1)
            take_page(mapping, page, &report);
    }
}

void vfio_user_dma_settle(struct vfio_user_dma *dma)
{
    pthread_mutex_lock(&dma->lock);
    pthread_mutex_unlock(&dma->lock);
}

void vfio_user_dma_take_log(struct vfio_user_dma *dma, uint64_t iova, uint64_t length, uint64_t page_size,
                            uint64_t *bitmap)
{
    uint64_t last = iova + (length - 1);

    if (!length || last < iova)
        return;
    pthread_mutex_lock(&dma->lock);
    for (size_t i = find_index(dma, iova); i < dma->count && dma->mappings[i].iova <= last; i++)
        take_mapping_log(&dma->mappings[i], iova, last, page_size, bitmap);
    pthread_mutex_unlock(&dma->lock);
}

/* Is all of it mapped, and writable where it must be? 0 or an errno. Mappings that adjoin count as one. */
static int check_range(const struct vfio_user_dma *dma, uint64_t iova, uint64_t count, bool write)
{
    size_t index = find_index(dma, iova);
    uint64_t last = iova + (count - 1);

    if (!count)
        return 0;
    if (last < iova)
        return EFAULT;
    for (uint64_t next = iova;; index++) {
        const struct vfio_user_mapping *mapping;
        uint64_t end;

        if (index >= dma->count || dma->mappings[index].iova > next)
            return EFAULT;
        mapping = &dma->mappings[index];
        if (write && !mapping->writable)
            return EACCES;
        end = mapping->iova + (mapping->size - 1);
        if (end >= last)
            return 0;
        next = end + 1;
    }
}

/* The range was checked. data goes to the memory where to_memory, else comes from it. */
static void copy_range(struct vfio_user_dma *dma, uint64_t iova, uint64_t count, uint8_t *data, bool to_memory)
{
    for (size_t index = find_index(dma, iova); count; index++) {
        struct vfio_user_mapping *mapping = &dma->mappings[index];
        uint64_t offset = iova - mapping->iova;
        uint64_t part = mapping->size - offset < count ? mapping->size - offset : count;

        if (to_memory) {
            memcpy(mapping->host + offset, data, part);
            log_written(mapping, offset, offset + part - 1);
        } else {
            memcpy(data, mapping->host + offset, part);
        }
        data += part;
        iova += part;
        count -= part;
    }
}

/* Adds the reply's header and returns where its payload goes, NULL where memory ran out. */
static uint8_t *add_reply(const struct vfio_user_header *command, size_t payload, int number, struct buffer *answers)
{
    struct vfio_user_header header = {
        .message_id = command->message_id,
        .command = command->command,
        .size = (uint32_t)(sizeof(header) + payload),
        .flags = VFIO_USER_FLAG_TYPE_REPLY | (number ? VFIO_USER_FLAG_ERROR : 0),
        .error_number = (uint32_t)number,
    };
    uint8_t *reply = buffer_extend(answers, header.size);

    if (!reply)
        return NULL;
    memcpy(reply, &header, sizeof(header));
    return reply + sizeof(header);
}

/* Gets the address and count of a command that is well formed and allowed. 0 or an errno. */
static int check_command(const struct vfio_user_dma *dma, const struct vfio_user_command_in *command,
                         struct vfio_user_dma_access *access)
{
    bool write = command->header.command == VFIO_USER_DMA_WRITE;

    if (!write && command->header.command != VFIO_USER_DMA_READ)
        return ENOSYS;
    if (command->has_fds || command->size < sizeof(*access))
        return EINVAL;
    memcpy(access, command->payload, sizeof(*access));
    if (access->count > dma->access_max || command->size != sizeof(*access) + (write ? access->count : 0))
        return EINVAL;
    return check_range(dma, access->address, access->count, write);
}

static void execute(struct vfio_user_dma *dma, const struct vfio_user_command_in *command, struct buffer *answers)
{
    bool write = command->header.command == VFIO_USER_DMA_WRITE;
    struct vfio_user_dma_access access = {.count = 0};
    int number = check_command(dma, command, &access);
    uint8_t *reply = NULL;

    if (!(command->header.flags & VFIO_USER_FLAG_NO_REPLY))
        reply = add_reply(&command->header, number ? 0 : sizeof(access) + (write ? 0 : access.count), number, answers);
    if (number)
        return;
    if (write)
        copy_range(dma, access.address, access.count, (uint8_t *)command->payload + sizeof(access), true);
    if (!reply)
        return;
    memcpy(reply, &access, sizeof(access));
    if (!write)
        copy_range(dma, access.address, access.count, reply + sizeof(access), false);
}

void vfio_user_dma_serve(void *context, const struct vfio_user_command_in *command, struct buffer *answers)
{
    struct vfio_user_dma *dma = context;

    pthread_mutex_lock(&dma->lock);
    execute(dma, command, answers);
    pthread_mutex_unlock(&dma->lock);
}
