/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/check/bench.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/io.h"

/*
 * The IOVAs: one that no large page is aligned to, one in the middle of what 32 bits reach, one above that, and one that
 * needs more than 36 bits. All are within 39 bits and clear of the addresses of interrupts at 0xfee00000.
 */
static const uint64_t range_iova[BENCH_RANGES_MAX] = {0x00101000, 0x80000000, 0x140200000, 0x2000001000};
#define PEER_IOVA UINT64_C(0x70000000)
#define MAPPED_SIZE ((BENCH_RANGES_MAX + 1) * (size_t)BENCH_RANGE_SIZE) /* with the peer's, which is the last */

static int make_memory(struct bench *bench, struct error *error)
{
    bench->memory_size = (size_t)BENCH_RANGES_MAX * BENCH_RANGE_SIZE;
    bench->memory_fd = memfd_create("stopcopy-check", MFD_CLOEXEC);
    if (bench->memory_fd < 0 || ftruncate(bench->memory_fd, MAPPED_SIZE) < 0)
        return error_set(error, errno, "memory of %zu bytes for the device", MAPPED_SIZE);
    bench->memory = mmap(NULL, MAPPED_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, bench->memory_fd, 0);
    if (bench->memory == MAP_FAILED) {
        bench->memory = NULL;
        return error_set(error, errno, "memory of %zu bytes for the device", MAPPED_SIZE);
    }
    return 0;
}

static int map_range(struct bench *bench, struct bench_range *range, struct error *error)
{
    const struct vfio_device_ops *ops = bench->device->ops;

    if (range->mapped)
        return 0;
    if (ops->dma_map(bench->device, range->iova, range->size, range->host, bench->memory_fd, range->offset, true,
                     error) < 0)
        return -1;
    range->mapped = true;
    return 0;
}

/* A range that cannot be mapped is one that this IOMMU does not have. */
static int map_ranges(struct bench *bench, struct error *error)
{
    for (unsigned int i = 0; i < BENCH_RANGES_MAX; i++) {
        struct bench_range *range = &bench->range[bench->range_count];
        struct error cause = ERROR_INIT;

        *range = (struct bench_range){.iova = range_iova[i],
                                      .size = BENCH_RANGE_SIZE,
                                      .host = bench->memory + (size_t)i * BENCH_RANGE_SIZE,
                                      .offset = (uint64_t)i * BENCH_RANGE_SIZE};
        if (map_range(bench, range, &cause) == 0) {
            bench->range_count++;
        } else if (i == 0) {
            if (error)
                *error = cause;
            return -1;
        }
    }
    return 0;
}

int bench_map(struct bench *bench, struct error *error)
{
    for (unsigned int i = 0; i < bench->range_count; i++)
        if (map_range(bench, &bench->range[i], error) < 0)
            return -1;
    return 0;
}

int bench_unmap(struct bench *bench, struct error *error)
{
    int result = 0;

    for (unsigned int i = 0; i < bench->range_count; i++) {
        struct bench_range *range = &bench->range[i];

        if (!range->mapped)
            continue;
        if (bench->device->ops->dma_unmap(bench->device, range->iova, range->size, result < 0 ? NULL : error) < 0)
            result = -1;
        else
            range->mapped = false;
    }
    return result;
}

int bench_map_peer(struct bench *bench, bool told, struct error *error)
{
    const struct vfio_device_ops *ops = bench->device->ops;
    struct bench_range *peer = &bench->peer;

    *peer = (struct bench_range){.iova = PEER_IOVA,
                                 .size = BENCH_RANGE_SIZE,
                                 .host = bench->memory + bench->memory_size,
                                 .offset = bench->memory_size};
    if ((told ? ops->dma_map_peer : ops->dma_map)(bench->device, peer->iova, peer->size, peer->host, bench->memory_fd,
                                                  peer->offset, true, error) < 0)
        return -1;
    peer->mapped = true;
    return 0;
}

void *bench_allocate_peer(struct bench *bench, size_t size, uint64_t *iova)
{
    struct bench_range *peer = &bench->peer;

    if (peer->size - peer->used < size)
        return NULL;
    *iova = peer->iova + peer->used;
    peer->used += size;
    return peer->host + (*iova - peer->iova);
}

struct bench_range *bench_range_of(struct bench *bench, uint64_t iova)
{
    for (unsigned int i = 0; i < bench->range_count; i++)
        if (iova >= bench->range[i].iova && iova - bench->range[i].iova < bench->range[i].size)
            return &bench->range[i];
    return NULL;
}

/* By turns, so that what belongs together lies in several ranges. */
void *bench_allocate(struct bench *bench, size_t size, uint64_t *iova)
{
    size = (size + BENCH_PAGE - 1) & ~(size_t)(BENCH_PAGE - 1);
    for (unsigned int i = 0; i < bench->range_count; i++) {
        struct bench_range *range = &bench->range[bench->next_range];

        bench->next_range = (bench->next_range + 1) % bench->range_count;
        if (range->size - range->used < size)
            continue;
        *iova = range->iova + range->used;
        range->used += size;
        return range->host + (*iova - range->iova);
    }
    return NULL;
}

void bench_mark_written(struct bench *bench, uint64_t iova, uint64_t size)
{
    struct bench_range *range = bench_range_of(bench, iova);

    if (!range || !size)
        return;
    for (uint64_t page = (iova - range->iova) / BENCH_PAGE;
         page <= (iova + size - 1 - range->iova) / BENCH_PAGE && page < range->size / BENCH_PAGE; page++)
        range->written[page / 64] |= UINT64_C(1) << page % 64;
}

void bench_clear_written(struct bench *bench)
{
    for (unsigned int i = 0; i < bench->range_count; i++)
        memset(bench->range[i].written, 0, sizeof(bench->range[i].written));
}

/* The operations for drivers. What fails reads as all ones, as on a bus. */
static void keep_error(struct bench *bench, const struct error *error)
{
    if (!bench->error.text[0])
        bench->error = *error;
}

static void access_read(struct bench *bench, unsigned int bar, uint64_t offset, void *data, size_t size)
{
    struct error error = ERROR_INIT;

    if (bar < BENCH_BARS && offset < bench->bar[bar].size && bench->bar[bar].size - offset >= size &&
        bench->device->ops->region_read(bench->device, VFIO_PCI_BAR0_REGION_INDEX + bar, offset, data, size, &error) ==
            0)
        return;
    memset(data, 0xff, size);
    if (!error.text[0])
        error_set(&error, EINVAL, "%s: a read of %zu bytes at 0x%" PRIx64 " of BAR %u, which has no such place",
                  bench->device->name, size, offset, bar);
    keep_error(bench, &error);
}

static void access_write(struct bench *bench, unsigned int bar, uint64_t offset, const void *data, size_t size)
{
    struct error error = ERROR_INIT;

    if (bar < BENCH_BARS && offset < bench->bar[bar].size && bench->bar[bar].size - offset >= size &&
        bench->device->ops->region_write(bench->device, VFIO_PCI_BAR0_REGION_INDEX + bar, offset, data, size, &error) ==
            0)
        return;
    if (!error.text[0])
        error_set(&error, EINVAL, "%s: a write of %zu bytes at 0x%" PRIx64 " of BAR %u, which has no such place",
                  bench->device->name, size, offset, bar);
    keep_error(bench, &error);
}

static uint32_t read32(void *context, unsigned int bar, uint64_t offset)
{
    uint32_t value;

    access_read(context, bar, offset, &value, sizeof(value));
    return value;
}

static void write32(void *context, unsigned int bar, uint64_t offset, uint32_t value)
{
    access_write(context, bar, offset, &value, sizeof(value));
}

static uint8_t read8(void *context, unsigned int bar, uint64_t offset)
{
    uint8_t value;

    access_read(context, bar, offset, &value, sizeof(value));
    return value;
}

static void write8(void *context, unsigned int bar, uint64_t offset, uint8_t value)
{
    access_write(context, bar, offset, &value, sizeof(value));
}

static uint64_t read64(void *context, unsigned int bar, uint64_t offset)
{
    uint64_t value;

    access_read(context, bar, offset, &value, sizeof(value));
    return value;
}

static void write64(void *context, unsigned int bar, uint64_t offset, uint64_t value)
{
    access_write(context, bar, offset, &value, sizeof(value));
}

static void *allocate(void *context, size_t size, uint64_t *address)
{
    return bench_allocate(context, size, address);
}

static uint64_t interrupts(void *context, unsigned int vector)
{
    return bench_count_interrupts(context, vector);
}

static void set_level_mask(struct bench *bench, bool masked)
{
    struct error error = ERROR_INIT;

    if (bench->irq_index == VFIO_PCI_INTX_IRQ_INDEX && bench->vectors &&
        bench_mask_interrupts(bench, masked, &error) < 0)
        keep_error(bench, &error);
}

static void interrupt_end(void *context)
{
    set_level_mask(context, false);
}

static void interrupt_mask(void *context, bool masked)
{
    set_level_mask(context, masked);
}

struct device_access bench_access(struct bench *bench)
{
    static const struct device_ops ops = {.read32 = read32,
                                          .write32 = write32,
                                          .read8 = read8,
                                          .write8 = write8,
                                          .read64 = read64,
                                          .write64 = write64,
                                          .allocate = allocate,
                                          .interrupts = interrupts,
                                          .interrupt_end = interrupt_end,
                                          .interrupt_mask = interrupt_mask};

    return (struct device_access){.ops = &ops, .context = bench};
}

int bench_check(const struct bench *bench, struct error *error)
{
    if (!bench->error.text[0])
        return 0;
    if (error)
        *error = bench->error;
    return -1;
}

int bench_open(struct bench *bench, struct vfio_device *device, struct error *error)
{
    *bench = (struct bench){.device = device, .memory_fd = -1};
    for (unsigned int i = 0; i < BENCH_VECTORS_MAX; i++)
        bench->eventfd[i] = -1;
    if (make_memory(bench, error) < 0 || map_ranges(bench, error) < 0 || bench_program(bench, error) < 0 ||
        bench_make_interrupts(bench, error) < 0)
        return -1;
    return bench_bind_interrupts(bench, error);
}

void bench_close(struct bench *bench)
{
    bench_unbind_interrupts(bench, NULL);
    bench_unmap(bench, NULL);
    if (bench->peer.mapped)
        bench->device->ops->dma_unmap(bench->device, bench->peer.iova, bench->peer.size, NULL);
    bench_free(bench);
}

void bench_free(struct bench *bench)
{
    for (unsigned int i = 0; i < BENCH_VECTORS_MAX; i++)
        io_close(&bench->eventfd[i]);
    if (bench->memory)
        munmap(bench->memory, MAPPED_SIZE);
    bench->memory = NULL;
    io_close(&bench->memory_fd);
}
