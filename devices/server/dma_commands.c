/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <string.h>

#include "devices/server/connection.h"

int handle_dma_map(struct connection *connection, struct message *message, struct reply *reply)
{
    const uint32_t access = VFIO_USER_DMA_MAP_READ | VFIO_USER_DMA_MAP_WRITE;
    const uint32_t known = access | (connection->peers_marked ? VFIO_USER_STOPCOPY_DMA_MAP_PEER : 0);
    struct vfio_user_dma_map request;

    (void)reply;
    memcpy(&request, message->payload, sizeof(request));
    if (message->size != sizeof(request) || request.argsz < sizeof(request) || message->fd_count > 1 ||
        request.flags & ~known || !(request.flags & access))
        return EINVAL;
    return dma_table_map(&connection->dma, request.address, request.size, request.flags,
                         message->fd_count ? message->fds[0] : -1, request.offset);
}

/* The bitmap of the range that goes, behind the request in the reply. */
static int put_dirty_bitmap(struct connection *connection, const struct message *message,
                            const struct vfio_user_dma_unmap *request, struct buffer *payload)
{
    struct vfio_user_bitmap bitmap;
    size_t size;
    uint8_t *bits;

    if (message->size < sizeof(*request) + sizeof(bitmap) || !connection->log.active)
        return EINVAL;
    memcpy(&bitmap, message->payload + sizeof(*request), sizeof(bitmap));
    size = dirty_log_bitmap_size(request->address, request->size, bitmap.page_size);
    if (!size || bitmap.size < size || request->argsz < sizeof(*request) + sizeof(bitmap) + size)
        return EINVAL;
    bitmap.size = size;
    buffer_put(payload, &bitmap, sizeof(bitmap));
    bits = buffer_extend(payload, size);
    if (!bits)
        return ENOMEM;
    memset(bits, 0, size);
    return dirty_log_report(&connection->log, request->address, request->size, bitmap.page_size, bits);
}

int handle_dma_unmap(struct connection *connection, struct message *message, struct reply *reply)
{
    const uint32_t known = VFIO_USER_DMA_UNMAP_GET_DIRTY_BITMAP | VFIO_USER_DMA_UNMAP_ALL;
    struct vfio_user_dma_unmap request;
    int failed = 0;

    memcpy(&request, message->payload, sizeof(request));
    if (request.argsz < sizeof(request) || request.flags & ~known || request.flags == known || message->fd_count)
        return EINVAL;
    if (request.flags & VFIO_USER_DMA_UNMAP_ALL) {
        if (request.address || request.size)
            return EINVAL;
        dma_table_clear(&connection->dma);
        buffer_put(&reply->payload, &request, sizeof(request));
        return 0;
    }
    if (!dma_table_has(&connection->dma, request.address, request.size))
        return ENOENT;
    buffer_put(&reply->payload, &request, sizeof(request));
    if (request.flags & VFIO_USER_DMA_UNMAP_GET_DIRTY_BITMAP)
        failed = put_dirty_bitmap(connection, message, &request, &reply->payload);
    return failed ? failed : dma_table_unmap(&connection->dma, request.address, request.size);
}
