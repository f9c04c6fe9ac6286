/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/board/board_layout.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "stopcopy/dma_device.h"
#include "vmm/board/pci_probe.h"

#define WINDOW64_GRAIN (1ull << 30)
#define PHYSICAL_BITS_MIN 32u
#define PHYSICAL_BITS_MAX 52u
#define FREQUENCY_MAX (1ull << 40)

static uint64_t align_up(uint64_t value, uint64_t alignment)
{
    return (value + alignment - 1) & ~(alignment - 1);
}

/* Also what a BAR must be aligned to: a BAR smaller than a page has its page for itself. */
static uint64_t bar_span(const struct board_bar *bar)
{
    return bar->io || bar->size >= BOARD_PAGE_SIZE ? bar->size : BOARD_PAGE_SIZE;
}

static uint64_t ram_end(const struct board *board)
{
    const struct board_ram *last = &board->ram[board->ram_ranges - 1];

    return last->start + last->size;
}

static uint64_t physical_end(const struct board *board)
{
    return 1ull << board->features.physical_address_bits;
}

static int check_wishes(const struct board_wishes *wishes, struct error *error)
{
    if (wishes->memory_size < BOARD_MEMORY_MIN || wishes->memory_size % BOARD_PAGE_SIZE)
        return error_set(error, EINVAL, "%llu bytes of memory: it must be a multiple of 4 KiB and at least 16 MiB",
                         (unsigned long long)wishes->memory_size);
    if (wishes->memory_size >= 1ull << PHYSICAL_BITS_MAX)
        return error_set(error, EINVAL, "%llu bytes of memory: more than a processor can address",
                         (unsigned long long)wishes->memory_size);
    if (wishes->vcpus < 1 || wishes->vcpus > VM_VCPUS_MAX)
        return error_set(error, EINVAL, "%u vCPUs: it must be 1 to %d", wishes->vcpus, VM_VCPUS_MAX);
    if (wishes->wanted[WORKLOAD_DMA] && (wishes->dma_depth < 1 || wishes->dma_depth > DMA_RING_ENTRIES_MAX))
        return error_set(error, EINVAL, "workload dma, depth %u: it must be 1 to %u", wishes->dma_depth,
                         DMA_RING_ENTRIES_MAX);
    if (wishes->wanted[WORKLOAD_MEMORY] &&
        (wishes->workload_memory_size < BOARD_PAGE_SIZE || wishes->workload_memory_size > wishes->memory_size))
        return error_set(error, EINVAL,
                         "workload memory, size %llu: it must be at least 4 KiB and no more than the guest's memory",
                         (unsigned long long)wishes->workload_memory_size);
    return 0;
}

static void lay_out_ram(struct board *board)
{
    uint64_t size = board->wishes.memory_size;
    uint64_t low = size < BOARD_LOW_RAM_MAX ? size : BOARD_LOW_RAM_MAX;

    board->ram[0] = (struct board_ram){.start = 0, .size = low};
    board->ram_ranges = 1;
    if (size > low)
        board->ram[board->ram_ranges++] = (struct board_ram){.start = BOARD_HIGH_RAM_START, .size = size - low};
    board->progress = low - BOARD_RESERVED_SIZE;
}

struct placement {
    struct board_bar *bar;
    unsigned int device, index;
};

/* Biggest first, so that none leaves a gap but before the first; then in the order of devices and BARs. */
static int compare_placements(const void *left, const void *right)
{
    const struct placement *a = left, *b = right;

    if (a->bar->size != b->bar->size)
        return a->bar->size < b->bar->size ? 1 : -1;
    if (a->device != b->device)
        return a->device < b->device ? -1 : 1;
    return a->index < b->index ? -1 : 1;
}

static size_t collect_bars(struct board *board, bool io, bool wide, struct placement *placements)
{
    size_t count = 0;

    for (unsigned int d = 0; d < board->device_count; d++) {
        for (unsigned int i = 0; i < BOARD_BARS; i++) {
            struct board_bar *bar = &board->device[d].bar[i];

            if (bar->size && bar->io == io && bar->wide == wide)
                placements[count++] = (struct placement){.bar = bar, .device = d, .index = i};
        }
    }
    qsort(placements, count, sizeof(placements[0]), compare_placements);
    return count;
}

/* Places BARs of one kind from start; *end is where the last ends. */
static int place_bars(struct board *board, bool io, bool wide, uint64_t start, uint64_t limit, const char *window,
                      uint64_t *end, struct error *error)
{
    struct placement placements[BOARD_DEVICES_MAX * BOARD_BARS] = {{0}};
    size_t count = collect_bars(board, io, wide, placements);

    *end = start;
    for (size_t i = 0; i < count; i++) {
        uint64_t span = bar_span(placements[i].bar);
        uint64_t address = align_up(*end, span);

        if (address > limit || span > limit - address)
            return error_set(error, ENOSPC,
                             "BAR %u of device %u (0x%llx bytes) does not fit into the %s window, 0x%llx to 0x%llx, "
                             "with the other devices' BARs",
                             placements[i].index, placements[i].device, (unsigned long long)placements[i].bar->size,
                             window, (unsigned long long)start, (unsigned long long)limit);
        placements[i].bar->address = address;
        *end = address + span;
    }
    return 0;
}

static int lay_out_bars(struct board *board, struct error *error)
{
    uint64_t start = align_up(ram_end(board), WINDOW64_GRAIN);
    uint64_t end;

    if (start < BOARD_HIGH_RAM_START)
        start = BOARD_HIGH_RAM_START;
    if (place_bars(board, true, false, BOARD_IO_WINDOW_START, BOARD_IO_WINDOW_END, "I/O", &end, error) ||
        place_bars(board, false, false, BOARD_WINDOW32_START, BOARD_WINDOW32_END, "32-bit", &end, error) ||
        place_bars(board, false, true, start, physical_end(board), "64-bit", &end, error))
        return -1;
    end = align_up(end, WINDOW64_GRAIN);
    if (end > start)
        board->window64 = (struct board_ram){.start = start, .size = end - start};
    return 0;
}

/* A pin for each function that has INTx alone, for which there must be an IOAPIC. */
static int lay_out_intx(struct board *board, struct error *error)
{
    unsigned int used = 0;

    for (size_t i = 0; i < board->device_count; i++) {
        if (!board->device[i].intx_pin)
            continue;
        if (used == BOARD_INTX_PINS)
            return error_set(error, ENOSPC, "device %zu has INTx alone, and the board has pins for %u such devices", i,
                             BOARD_INTX_PINS);
        board->device[i].intx_pin = (uint8_t)(BOARD_INTX_PIN_FIRST + used++);
        board->irqchip = VM_IRQCHIP_FULL;
    }
    return 0;
}

int board_lay_out(const struct board_wishes *wishes, const struct vm_features *features,
                  const struct board_device *devices, size_t count, struct board *board, struct error *error)
{
    memset(board, 0, sizeof(*board));
    if (check_wishes(wishes, error))
        return -1;
    if (count > BOARD_DEVICES_MAX)
        return error_set(error, EINVAL, "%zu devices: the board has slots for %d", count, BOARD_DEVICES_MAX);
    if (features->physical_address_bits < PHYSICAL_BITS_MIN || features->physical_address_bits > PHYSICAL_BITS_MAX)
        return error_set(error, EINVAL, "the processor says that it has %u physical address bits",
                         features->physical_address_bits);
    board->wishes = *wishes;
    board->vcpus = wishes->vcpus;
    board->irqchip = VM_IRQCHIP_SPLIT;
    board->features = *features;
    board->device_count = count;
    for (size_t i = 0; i < count; i++) {
        board->device[i] = devices[i];
        board->device[i].slot = (uint16_t)(i + 1);
    }
    lay_out_ram(board);
    if (ram_end(board) > physical_end(board))
        return error_set(error, EINVAL, "%llu bytes of memory do not fit into %u physical address bits",
                         (unsigned long long)wishes->memory_size, features->physical_address_bits);
    if (lay_out_bars(board, error) || lay_out_intx(board, error))
        return -1;
    return board_check(board, error);
}

bool board_bar_fits(const struct board *board, const struct board_bar *bar, uint64_t address)
{
    uint64_t start = BOARD_WINDOW32_START, end = BOARD_WINDOW32_END;

    if (!bar->size || address & (bar->size - 1))
        return false;
    if (bar->io) {
        start = BOARD_IO_WINDOW_START;
        end = BOARD_IO_WINDOW_END;
    } else if (bar->wide && address >= BOARD_HIGH_RAM_START) {
        start = board->window64.start;
        end = start + board->window64.size;
    }
    return address >= start && address < end && bar->size <= end - address;
}

static int check_ram(const struct board *board, struct error *error)
{
    struct board expected = {.wishes = board->wishes};

    lay_out_ram(&expected);
    if (board->ram_ranges != expected.ram_ranges || board->progress != expected.progress)
        return error_set(error, EINVAL, "the board's memory is not laid out as this program does it");
    for (unsigned int i = 0; i < board->ram_ranges; i++) {
        if (board->ram[i].start != expected.ram[i].start || board->ram[i].size != expected.ram[i].size)
            return error_set(error, EINVAL, "the board's memory is not laid out as this program does it");
    }
    if (ram_end(board) > physical_end(board))
        return error_set(error, EINVAL, "the board's memory does not fit into %u physical address bits",
                         board->features.physical_address_bits);
    return 0;
}

static int check_window64(const struct board *board, struct error *error)
{
    const struct board_ram *window = &board->window64;
    uint64_t end = physical_end(board);

    if (!window->size && !window->start)
        return 0;
    if (window->start < BOARD_HIGH_RAM_START || window->start < ram_end(board) || !window->size ||
        window->start > end || window->size > end - window->start || window->start % WINDOW64_GRAIN ||
        window->size % WINDOW64_GRAIN)
        return error_set(error, EINVAL, "the 64-bit window, 0x%llx bytes at 0x%llx, is not above RAM and below 0x%llx",
                         (unsigned long long)window->size, (unsigned long long)window->start, (unsigned long long)end);
    return 0;
}

static bool bars_overlap(const struct board_bar *a, const struct board_bar *b)
{
    return a->size && b->size && a->io == b->io && a->address < b->address + bar_span(b) &&
           b->address < a->address + bar_span(a);
}

/* BARs before BAR index of device number in the board's order. */
static int check_bar_overlap(const struct board *board, unsigned int number, unsigned int index, struct error *error)
{
    const struct board_bar *bar = &board->device[number].bar[index];

    for (unsigned int d = 0; d <= number; d++) {
        for (unsigned int i = 0; i < (d == number ? index : BOARD_BARS); i++) {
            if (bars_overlap(bar, &board->device[d].bar[i]))
                return error_set(error, EINVAL, "BAR %u of device %u overlaps BAR %u of device %u", index, number, i,
                                 d);
        }
    }
    return 0;
}

/* The pins of functions before this one in the board's order. */
static int check_intx(const struct board *board, unsigned int number, struct error *error)
{
    uint8_t pin = board->device[number].intx_pin;

    if (pin && board->irqchip != VM_IRQCHIP_FULL)
        return error_set(error, EINVAL, "device %u has INTx and the board no IOAPIC (irqchip split)", number);
    for (unsigned int i = 0; pin && i < number; i++)
        if (board->device[i].intx_pin == pin)
            return error_set(error, EINVAL, "devices %u and %u share pin %u of the IOAPIC", i, number, pin);
    return 0;
}

static int check_devices(const struct board *board, struct error *error)
{
    for (unsigned int d = 0; d < board->device_count; d++) {
        const struct board_device *device = &board->device[d];

        if (device->slot != d + 1)
            return error_set(error, EINVAL, "device %u is in slot %u", d, device->slot);
        if (pci_description_check(device, error))
            return error_prefix(error, "device %u", d);
        if (check_intx(board, d, error))
            return -1;
        for (unsigned int i = 0; i < BOARD_BARS; i++) {
            const struct board_bar *bar = &device->bar[i];

            if (!bar->size)
                continue;
            if (!board_bar_fits(board, bar, bar->address) || bar->address & (bar_span(bar) - 1))
                return error_set(error, EINVAL,
                                 "BAR %u of device %u, 0x%llx bytes at 0x%llx, is in none of the windows", i, d,
                                 (unsigned long long)bar->size, (unsigned long long)bar->address);
            if (check_bar_overlap(board, d, i, error))
                return -1;
        }
    }
    return 0;
}

int board_check(const struct board *board, struct error *error)
{
    if (check_wishes(&board->wishes, error))
        return -1;
    if (board->vcpus != board->wishes.vcpus)
        return error_set(error, EINVAL, "the board says %u vCPUs and %u", board->vcpus, board->wishes.vcpus);
    if (board->features.physical_address_bits < PHYSICAL_BITS_MIN ||
        board->features.physical_address_bits > PHYSICAL_BITS_MAX)
        return error_set(error, EINVAL, "the board has %u physical address bits",
                         board->features.physical_address_bits);
    if (board->features.tsc_hz > FREQUENCY_MAX || board->features.apic_timer_hz > FREQUENCY_MAX)
        return error_set(error, EINVAL, "the board's TSC or local APIC timer runs at an impossible rate");
    if (board->device_count > BOARD_DEVICES_MAX)
        return error_set(error, EINVAL, "the board has %zu devices, more than %d", board->device_count,
                         BOARD_DEVICES_MAX);
    if (check_ram(board, error) || check_window64(board, error))
        return -1;
    return check_devices(board, error);
}
