/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/board/pci_bar.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "vmm/board/board_layout.h"
#include "vmm/board/pci_device.h"

struct span {
    uint64_t start, end;
};

static struct span msix_table_span(const struct board_device *description)
{
    uint64_t start = description->msix.table_offset;

    return (struct span){start, start + (uint64_t)description->msix_vectors * MSIX_ENTRY_SIZE};
}

static struct span msix_pba_span(const struct board_device *description)
{
    uint64_t start = description->msix.pba_offset;

    return (struct span){start, start + (description->msix_vectors + 63ull) / 64 * 8};
}

static int map_area(struct pci_bar *bar, const struct vfio_region *region, struct span span, struct error *error)
{
    int protection = (region->flags & VFIO_REGION_INFO_FLAG_READ ? PROT_READ : 0) |
                     (region->flags & VFIO_REGION_INFO_FLAG_WRITE ? PROT_WRITE : 0);
    struct pci_bar_area *area;
    void *host;

    if (bar->area_count == PCI_BAR_AREAS_MAX)
        return 0; /* stays trapped */
    host = mmap(NULL, span.end - span.start, protection, MAP_SHARED, region->mmap_fd,
                (off_t)(region->mmap_offset + span.start));
    if (host == MAP_FAILED)
        return error_set(error, errno, "mapping 0x%llx bytes at 0x%llx of BAR %u",
                         (unsigned long long)(span.end - span.start), (unsigned long long)span.start, bar->index);
    area = &bar->area[bar->area_count++];
    *area = (struct pci_bar_area){.offset = span.start,
                                  .size = span.end - span.start,
                                  .host = host,
                                  .fd = region->mmap_fd,
                                  .fd_offset = region->mmap_offset + span.start,
                                  .slot = -1};
    return 0;
}

/* Maps whole pages of [span], without the pages of the holes. */
static int map_around(struct pci_bar *bar, const struct vfio_region *region, struct span span, const struct span *holes,
                      unsigned int hole_count, struct error *error)
{
    span.start = (span.start + BOARD_PAGE_SIZE - 1) & ~(BOARD_PAGE_SIZE - 1);
    span.end &= ~(BOARD_PAGE_SIZE - 1);
    if (span.start >= span.end)
        return 0;
    if (hole_count == 0)
        return map_area(bar, region, span, error);
    if (holes->start >= span.end || holes->end <= span.start)
        return map_around(bar, region, span, holes + 1, hole_count - 1, error);
    if (map_around(bar, region, (struct span){span.start, holes->start}, holes + 1, hole_count - 1, error))
        return -1;
    return map_around(bar, region, (struct span){holes->end, span.end}, holes + 1, hole_count - 1, error);
}

static int map_areas(struct pci_bar *bar, const struct vfio_region *region, struct error *error)
{
    const struct board_device *description = bar->device->description;
    unsigned int hole_count = 0;
    struct span holes[2];

    if (!(region->flags & VFIO_REGION_INFO_FLAG_MMAP) || !(region->flags & VFIO_REGION_INFO_FLAG_READ) ||
        region->mmap_fd == -1 || region->size < BOARD_PAGE_SIZE)
        return 0;
    if (description->msix_vectors && description->msix.table_bar == bar->index)
        holes[hole_count++] = msix_table_span(description);
    if (description->msix_vectors && description->msix.pba_bar == bar->index)
        holes[hole_count++] = msix_pba_span(description);
    for (unsigned int i = 0; i < region->area_count && i < VFIO_SPARSE_MAX; i++) {
        const struct vfio_area *area = &region->area[i];

        if (area->size > region->size || area->offset > region->size - area->size)
            return error_set(error, EINVAL, "area %u that may be mapped of BAR %u is outside of the region", i,
                             bar->index);
        if (map_around(bar, region, (struct span){area->offset, area->offset + area->size}, holes, hole_count, error))
            return -1;
    }
    return 0;
}

static int get_doorbells(struct pci_bar *bar, struct error *error)
{
    struct vfio_device *vfio = bar->device->vfio;
    uint32_t region = VFIO_PCI_BAR0_REGION_INDEX + bar->index;
    int count = vfio->ops->get_doorbells(vfio, region, bar->doorbell, VFIO_DOORBELLS_MAX, error);

    if (count < 0 || count > VFIO_DOORBELLS_MAX)
        return count < 0 ? -1 : error_set(error, EINVAL, "BAR %u has %d doorbells", bar->index, count);
    for (int i = 0; i < count; i++) {
        const struct vfio_doorbell *doorbell = &bar->doorbell[i];

        if (doorbell->size > bar->description->size || doorbell->offset > bar->description->size - doorbell->size)
            return error_set(error, EINVAL, "doorbell %d of BAR %u, at 0x%llx, is outside of the BAR", i, bar->index,
                             (unsigned long long)doorbell->offset);
    }
    bar->doorbell_count = (unsigned int)count;
    return 0;
}

int pci_bar_init(struct pci_bar *bar, struct pci_device *device, unsigned int index, struct error *error)
{
    struct vfio_region region;

    memset(bar, 0, sizeof(*bar));
    bar->device = device;
    bar->index = index;
    bar->description = &device->description->bar[index];
    if (!bar->description->size || bar->description->io)
        return 0;
    memset(&region, 0, sizeof(region));
    if (device->vfio->ops->get_region(device->vfio, VFIO_PCI_BAR0_REGION_INDEX + index, &region, error))
        return -1;
    if (region.size != bar->description->size)
        return error_set(error, EINVAL, "BAR %u changed its size", index);
    bar->readonly = !(region.flags & VFIO_REGION_INFO_FLAG_WRITE);
    if (map_areas(bar, &region, error) || get_doorbells(bar, error)) {
        pci_bar_destroy(bar);
        return -1;
    }
    return 0;
}

void pci_bar_destroy(struct pci_bar *bar)
{
    if (bar->area_count)
        peers_unmap(bar->device->environment->peers, bar);
    for (unsigned int i = 0; i < bar->area_count; i++)
        munmap(bar->area[i].host, bar->area[i].size);
    bar->area_count = 0;
}

/* Where in the span the access is: the offset, or UINT64_MAX where it is not wholly in it. */
static uint64_t offset_in(struct span span, uint64_t offset, size_t size)
{
    return offset >= span.start && offset < span.end && size <= span.end - offset ? offset - span.start : UINT64_MAX;
}

enum trapped {
    TRAPPED_REGION,
    TRAPPED_TABLE,
    TRAPPED_PBA,
};

static enum trapped who_answers(const struct pci_bar *bar, uint64_t *offset, size_t size)
{
    const struct board_device *description = bar->device->description;
    uint64_t inner;

    if (!description->msix_vectors)
        return TRAPPED_REGION;
    inner = offset_in(msix_table_span(description), *offset, size);
    if (description->msix.table_bar == bar->index && inner != UINT64_MAX) {
        *offset = inner;
        return TRAPPED_TABLE;
    }
    inner = offset_in(msix_pba_span(description), *offset, size);
    if (description->msix.pba_bar == bar->index && inner != UINT64_MAX) {
        *offset = inner;
        return TRAPPED_PBA;
    }
    return TRAPPED_REGION;
}

static void report_access(struct pci_bar *bar, const char *what, uint64_t offset, size_t size, struct error *error)
{
    const struct pci_environment *environment = bar->device->environment;

    error_prefix(error, "%s: %s %zu bytes at 0x%llx of BAR %u", bar->device->vfio->name, what, size,
                 (unsigned long long)offset, bar->index);
    environment->report(environment->context, bar->device->number, error);
}

/* What the guest EOIed before this access is unmasked before it: intx.h. */
static void resample(struct pci_bar *bar)
{
    const struct pci_environment *environment = bar->device->environment;
    struct error error = ERROR_INIT;

    if (intx_resample(&bar->device->intx, &error)) {
        error_prefix(&error, "%s", bar->device->vfio->name);
        environment->report(environment->context, bar->device->number, &error);
    }
}

static void bar_read(void *context, uint64_t offset, void *data, size_t size)
{
    struct pci_bar *bar = context;
    struct vfio_device *vfio = bar->device->vfio;
    struct error error = ERROR_INIT;
    uint64_t inner = offset;

    resample(bar);
    switch (who_answers(bar, &inner, size)) {
    case TRAPPED_REGION:
        if (vfio->ops->region_read(vfio, VFIO_PCI_BAR0_REGION_INDEX + bar->index, offset, data, size, &error)) {
            memset(data, 0xff, size);
            report_access(bar, "reading", offset, size, &error);
        }
        break;
    case TRAPPED_TABLE:
        pthread_mutex_lock(bar->device->environment->lock);
        msix_read_table(&bar->device->msix, inner, data, size);
        pthread_mutex_unlock(bar->device->environment->lock);
        break;
    case TRAPPED_PBA:
        pthread_mutex_lock(bar->device->environment->lock);
        msix_read_pba(&bar->device->msix, inner, data, size);
        pthread_mutex_unlock(bar->device->environment->lock);
        break;
    }
}

static void bar_write(void *context, uint64_t offset, const void *data, size_t size)
{
    struct pci_bar *bar = context;
    struct vfio_device *vfio = bar->device->vfio;
    struct error error = ERROR_INIT;
    uint64_t inner = offset;
    int status = 0;

    resample(bar);
    switch (who_answers(bar, &inner, size)) {
    case TRAPPED_REGION:
        status = vfio->ops->region_write(vfio, VFIO_PCI_BAR0_REGION_INDEX + bar->index, offset, data, size, &error);
        break;
    case TRAPPED_TABLE:
        pthread_mutex_lock(bar->device->environment->lock);
        status = msix_write_table(&bar->device->msix, inner, data, size, &error);
        pthread_mutex_unlock(bar->device->environment->lock);
        break;
    case TRAPPED_PBA:
        break;
    }
    if (status)
        report_access(bar, "writing", offset, size, &error);
}

static const struct bus_ops bar_ops = {.read = bar_read, .write = bar_write};

static struct bus *bus_of(const struct pci_bar *bar)
{
    return bar->description->io ? bar->device->environment->ports : bar->device->environment->memory;
}

static int ring_by_kvm(struct pci_bar *bar, bool by_kvm, struct error *error)
{
    struct vm *vm = bar->device->environment->vm;

    if (bar->rung_by_kvm == by_kvm)
        return 0;
    for (unsigned int i = 0; i < bar->doorbell_count; i++) {
        const struct vfio_doorbell *doorbell = &bar->doorbell[i];

        if (vm_ioeventfd(vm, by_kvm, bar->address + doorbell->offset, doorbell->size, doorbell->fd, doorbell->match,
                         doorbell->datamatch, error)) {
            for (unsigned int j = 0; by_kvm && j < i; j++)
                vm_ioeventfd(vm, false, bar->address + bar->doorbell[j].offset, bar->doorbell[j].size,
                             bar->doorbell[j].fd, bar->doorbell[j].match, bar->doorbell[j].datamatch, NULL);
            return error_prefix(error, "doorbell %u of BAR %u", i, bar->index);
        }
    }
    bar->rung_by_kvm = by_kvm;
    return 0;
}

static int remove_slots(struct pci_bar *bar, struct error *error)
{
    for (unsigned int i = 0; i < bar->area_count; i++) {
        struct pci_bar_area *area = &bar->area[i];

        if (area->slot == -1)
            continue;
        if (vm_unmap_memory(bar->device->environment->vm, area->slot, error))
            return error_prefix(error, "BAR %u", bar->index);
        area->slot = -1;
    }
    return 0;
}

static int add_slots(struct pci_bar *bar, struct error *error)
{
    if (bar->address % BOARD_PAGE_SIZE)
        return 0;
    for (unsigned int i = 0; i < bar->area_count; i++) {
        struct pci_bar_area *area = &bar->area[i];

        area->slot = vm_map_memory(bar->device->environment->vm, bar->address + area->offset, area->size, area->host,
                                   bar->readonly, error);
        if (area->slot == -1)
            return error_prefix(error, "BAR %u", bar->index);
    }
    return 0;
}

int pci_bar_map(struct pci_bar *bar, uint64_t address, struct error *error)
{
    if (!board_bar_fits(bar->device->environment->board, bar->description, address) ||
        !bus_add(bus_of(bar), address, bar->description->size, &bar_ops, bar))
        return 0;
    bar->decoded = true;
    bar->address = address;
    if (add_slots(bar, error) || (bar->bound && ring_by_kvm(bar, true, error))) {
        pci_bar_unmap(bar, NULL);
        return -1;
    }
    peers_map(bar->device->environment->peers, bar);
    return 1;
}

int pci_bar_unmap(struct pci_bar *bar, struct error *error)
{
    if (!bar->decoded)
        return 0;
    peers_unmap(bar->device->environment->peers, bar);
    if (ring_by_kvm(bar, false, error) || remove_slots(bar, error))
        return -1;
    bus_remove(bus_of(bar), bar->address);
    bar->decoded = false;
    return 0;
}

int pci_bar_bind(struct pci_bar *bar, bool bound, struct error *error)
{
    bar->bound = bound;
    return bar->decoded ? ring_by_kvm(bar, bound, error) : 0;
}
