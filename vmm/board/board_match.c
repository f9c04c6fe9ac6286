/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Describing, matching and planning: what is read from the devices themselves. */
#include <errno.h>
#include <string.h>

#include "stopcopy/dma_device.h"
#include "stopcopy/uart_device.h"
#include "vmm/board/board_layout.h"
#include "vmm/board/pci_probe.h"
#include "vmm/proof/workload.h"

static void ignore_read(void *context, uint64_t address, void *data, size_t size)
{
    (void)context;
    (void)address;
    memset(data, 0xff, size);
}

static void ignore_write(void *context, uint64_t address, const void *data, size_t size)
{
    (void)context;
    (void)address;
    (void)data;
    (void)size;
}

static void ignore_port_read(void *context, uint16_t port, void *data, size_t size)
{
    ignore_read(context, port, data, size);
}

static void ignore_port_write(void *context, uint16_t port, const void *data, size_t size)
{
    ignore_write(context, port, data, size);
}

static void ignore_failure(void *context, unsigned int vcpu, const struct error *error)
{
    (void)context;
    (void)vcpu;
    (void)error;
}

/* The features are found out by trying, on a VM that is made for it. */
static int find_features(struct vm_features *features, struct error *error)
{
    struct vm_config config = {
        .vcpus = 1,
        .irqchip = VM_IRQCHIP_SPLIT,
        .bus = {.mmio_read = ignore_read,
                .mmio_write = ignore_write,
                .port_read = ignore_port_read,
                .port_write = ignore_port_write,
                .vcpu_failed = ignore_failure},
    };
    struct vm *vm = vm_new(&config, error);

    if (!vm)
        return -1;
    memset(features, 0, sizeof(*features));
    vm_get_features(vm, features);
    vm_free(vm);
    return 0;
}

/* A reference DMA device with a window that the others can reach, or, with *trapped, one that they cannot. */
static int find_window(struct vfio_device *device, const struct board_device *description, unsigned int *windows,
                       bool *trapped, struct error *error)
{
    const struct board_bar *bar = &description->bar[DMA_BAR_WINDOW];
    struct vfio_region region;

    if (description->vendor != DMA_DEVICE_VENDOR_ID || description->device != DMA_DEVICE_DEVICE_ID || !bar->size)
        return 0;
    memset(&region, 0, sizeof(region));
    if (device->ops->get_region(device, VFIO_PCI_BAR0_REGION_INDEX + DMA_BAR_WINDOW, &region, error))
        return -1;
    *trapped |= !(region.flags & VFIO_REGION_INFO_FLAG_MMAP) || region.mmap_fd == -1 || region.area_count != 1 ||
                region.area[0].size != bar->size;
    ++*windows;
    return 0;
}

/* Turns peer-to-peer operations off where they cannot be, or refuses where they were asked for. */
static int settle_p2p(struct board_wishes *wishes, struct vfio_device *const *devices,
                      const struct board_device *descriptions, size_t count, struct error *error)
{
    unsigned int windows = 0;
    bool trapped = false;
    const char *reason;

    for (size_t i = 0; wishes->wanted[WORKLOAD_DMA] && wishes->dma_p2p != BOARD_P2P_OFF && i < count; i++)
        if (find_window(devices[i], &descriptions[i], &windows, &trapped, error))
            return -1;
    if (!wishes->wanted[WORKLOAD_DMA] || !wishes->peers)
        reason = wishes->wanted[WORKLOAD_DMA] ? "--no-p2p keeps the devices apart" : "there is no dma workload";
    else if (windows < 2)
        reason = "it takes two reference DMA devices that have a window";
    else
        reason = trapped ? "the window of one of the devices cannot be mapped" : NULL;
    if (reason && wishes->dma_p2p == BOARD_P2P_REQUIRED)
        return error_set(error, EINVAL, "workload dma, p2p=on: %s", reason);
    if (reason)
        wishes->dma_p2p = BOARD_P2P_OFF;
    return 0;
}

int board_describe(const struct board_wishes *wishes, struct vfio_device *const *devices, size_t count,
                   struct board *board, struct error *error)
{
    struct board_device descriptions[BOARD_DEVICES_MAX];
    struct board_wishes settled = *wishes;
    struct vm_features features;

    if (count > BOARD_DEVICES_MAX)
        return error_set(error, EINVAL, "%zu devices: the board has slots for %d", count, BOARD_DEVICES_MAX);
    for (size_t i = 0; i < count; i++) {
        if (pci_probe(devices[i], &descriptions[i], error))
            return error_prefix(error, "device %zu", i);
    }
    if (settle_p2p(&settled, devices, descriptions, count, error) || find_features(&features, error))
        return -1;
    return board_lay_out(&settled, &features, descriptions, count, board, error);
}

struct property {
    const char *name;
    uint64_t wanted, found;
};

static void compare(const struct property *properties, size_t count, board_difference differs, void *context)
{
    for (size_t i = 0; i < count; i++)
        if (properties[i].wanted != properties[i].found)
            differs(context, properties[i].name, properties[i].wanted, properties[i].found);
}

static void compare_bars(const struct board_device *wanted, const struct board_device *found, board_difference differs,
                         void *context)
{
    static const char *const names[BOARD_BARS][4] = {
#define BAR(n) {"BAR " #n " size", "BAR " #n " I/O bit", "BAR " #n " 64-bit type", "BAR " #n " prefetchable bit"}
        BAR(0), BAR(1), BAR(2), BAR(3), BAR(4), BAR(5),
#undef BAR
    };

    for (unsigned int i = 0; i < BOARD_BARS; i++) {
        const struct board_bar *w = &wanted->bar[i], *f = &found->bar[i];
        const struct property properties[] = {
            {names[i][0], w->size, f->size},
            {names[i][1], w->io, f->io},
            {names[i][2], w->wide, f->wide},
            {names[i][3], w->prefetchable, f->prefetchable},
        };

        compare(properties, sizeof(properties) / sizeof(properties[0]), differs, context);
    }
}

void board_compare(const struct board_device *wanted, const struct board_device *found, board_difference differs,
                   void *context)
{
    const struct property properties[] = {
        {"vendor", wanted->vendor, found->vendor},
        {"device ID", wanted->device, found->device},
        {"subsystem vendor", wanted->subsystem_vendor, found->subsystem_vendor},
        {"subsystem ID", wanted->subsystem, found->subsystem},
        {"class and revision", wanted->class_revision, found->class_revision},
        {"number of MSI-X vectors", wanted->msix_vectors, found->msix_vectors},
        {"MSI-X capability's offset", wanted->msix.capability, found->msix.capability},
        {"MSI-X table's BAR", wanted->msix.table_bar, found->msix.table_bar},
        {"MSI-X table's offset", wanted->msix.table_offset, found->msix.table_offset},
        {"MSI-X PBA's BAR", wanted->msix.pba_bar, found->msix.pba_bar},
        {"MSI-X PBA's offset", wanted->msix.pba_offset, found->msix.pba_offset},
        {"MSI capability's offset", wanted->msi.capability, found->msi.capability},
        {"MSI address width", wanted->msi.wide, found->msi.wide},
        {"interrupt by INTx alone", wanted->intx_pin != 0, found->intx_pin != 0},
        {"PCI Express capability's offset", wanted->express.capability, found->express.capability},
        {"PCI Express capability's version", wanted->express.version, found->express.version},
        {"PCI Express device capabilities", wanted->express.device_capabilities, found->express.device_capabilities},
    };

    compare(properties, sizeof(properties) / sizeof(properties[0]), differs, context);
    compare_bars(wanted, found, differs, context);
}

/* One device's first difference, as an error. */
struct mismatch {
    unsigned int number;
    const char *name;
    bool found;
    struct error *error;
};

static void refuse(void *context, const char *property, uint64_t wanted, uint64_t found)
{
    struct mismatch *mismatch = context;

    if (!mismatch->found)
        error_set(mismatch->error, EINVAL,
                  "device %u (%s) is not what the board describes: its %s is 0x%llx, the board has 0x%llx",
                  mismatch->number, mismatch->name, property, (unsigned long long)found, (unsigned long long)wanted);
    mismatch->found = true;
}

int board_match(const struct board *board, struct vfio_device *const *devices, size_t count, struct error *error)
{
    if (count != board->device_count)
        return error_set(error, EINVAL, "the board has %zu devices, %zu are given", board->device_count, count);
    for (unsigned int i = 0; i < count; i++) {
        struct mismatch mismatch = {.number = i, .name = devices[i]->name, .error = error};
        struct board_device found;

        if (pci_probe(devices[i], &found, error))
            return error_prefix(error, "device %u", i);
        board_compare(&board->device[i], &found, refuse, &mismatch);
        if (mismatch.found)
            return -1;
    }
    return 0;
}

static int read_register(struct vfio_device *device, uint64_t offset, uint32_t *value, struct error *error)
{
    return device->ops->region_read(device, VFIO_PCI_BAR0_REGION_INDEX + DMA_BAR_REGISTERS, offset, value,
                                    sizeof(*value), error);
}

static int plan_dma(const struct board_device *description, struct vfio_device *device, struct proof_device *plan,
                    struct error *error)
{
    uint32_t magic, queues, memory_low, memory_high, window;

    if (description->bar[DMA_BAR_REGISTERS].size < DMA_BAR_REGISTERS_SIZE)
        return error_set(error, EINVAL, "its BAR %d is too small to be a reference DMA device's", DMA_BAR_REGISTERS);
    if (read_register(device, DMA_REG_MAGIC, &magic, error) || read_register(device, DMA_REG_QUEUES, &queues, error) ||
        read_register(device, DMA_REG_MEMORY_SIZE_LOW, &memory_low, error) ||
        read_register(device, DMA_REG_MEMORY_SIZE_HIGH, &memory_high, error) ||
        read_register(device, DMA_REG_WINDOW_SIZE, &window, error))
        return error_prefix(error, "reading its registers");
    if (magic != DMA_MAGIC)
        return error_set(error, EINVAL, "its magic is 0x%08x, a reference DMA device has 0x%08x", magic, DMA_MAGIC);
    if (queues < 1 || queues > DMA_QUEUES_MAX)
        return error_set(error, EINVAL, "it says that it has %u queues, a reference DMA device has 1 to %u", queues,
                         DMA_QUEUES_MAX);
    if (window > description->bar[DMA_BAR_WINDOW].size)
        return error_set(error, EINVAL, "it says that its window has 0x%x bytes, its BAR %d has 0x%llx", window,
                         DMA_BAR_WINDOW, (unsigned long long)description->bar[DMA_BAR_WINDOW].size);
    *plan = (struct proof_device){
        .slot = description->slot,
        .chains = queues,
        .memory_size = (uint64_t)memory_high << 32 | memory_low,
        .window_size = window,
    };
    return 0;
}

static bool is_port(const struct board_bar *bar)
{
    return bar->io && bar->size == UART_BAR_SIZE;
}

static uint32_t count_ports(const struct board_device *description)
{
    uint32_t ports = 0;

    while (ports < UART_PORTS_MAX && is_port(&description->bar[ports]))
        ports++;
    return ports;
}

/* A device that no workload knows of is none of the plan's. */
static int add_to_plan(const struct board_device *description, struct vfio_device *device, uint16_t index,
                       struct proof_plan *plan, struct error *error)
{
    const struct proof_workload *workload = proof_workload_of(description->vendor, description->device);
    struct proof_device *planned = &plan->device[plan->device_count];

    if (!workload)
        return 0;
    *planned = (struct proof_device){.slot = description->slot, .chains = 1};
    if (workload->id == WORKLOAD_UART)
        planned->chains = count_ports(description);
    if (workload->id == WORKLOAD_DMA && plan_dma(description, device, planned, error))
        return -1;
    planned->workload = workload->id;
    planned->index = index;
    plan->device_count++;
    return 0;
}

int board_plan(const struct board *board, struct vfio_device *const *devices, struct proof_plan *plan,
               struct error *error)
{
    const struct board_wishes *wishes = &board->wishes;

    *plan = (struct proof_plan){
        .seed = wishes->seed,
        .operations = wishes->ops,
        .vcpus = board->vcpus,
        .dma_depth = wishes->dma_depth,
        .dma_p2p = wishes->dma_p2p != BOARD_P2P_OFF,
        .dma_p2p_required = wishes->dma_p2p == BOARD_P2P_REQUIRED,
        .avx2 = board->features.avx2,
        .memory_size = wishes->workload_memory_size,
    };
    memcpy(plan->wanted, wishes->wanted, sizeof(plan->wanted));
    for (size_t i = 0; i < board->device_count; i++) {
        if (add_to_plan(&board->device[i], devices[i], (uint16_t)i, plan, error))
            return error_prefix(error, "device %zu (%s)", i, devices[i]->name);
    }
    return 0;
}
