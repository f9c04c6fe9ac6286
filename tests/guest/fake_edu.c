/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/guest/fake_edu.h"

#include <criterion/criterion.h>
#include <string.h>

void fake_edu_open(struct fake_edu *edu)
{
    *edu = (struct fake_edu){.identification = 0x010000ed};
}

void fake_edu_raise(struct fake_edu *edu, uint32_t causes)
{
    edu->interrupt_status |= causes;
    if (edu->interrupt_status && !edu->silent)
        edu->interrupts++;
}

static uint8_t *in_ram(struct fake_edu *edu, uint64_t address, uint64_t count)
{
    cr_assert(address >= FAKE_EDU_RAM && address - FAKE_EDU_RAM + count <= sizeof(edu->ram));
    return edu->ram + (address - FAKE_EDU_RAM);
}

static uint8_t *in_buffer(struct fake_edu *edu, uint64_t address, uint64_t count)
{
    cr_assert(address >= EDU_BUFFER && address - EDU_BUFFER + count < sizeof(edu->buffer));
    return edu->buffer + (address - EDU_BUFFER);
}

bool fake_edu_transfer(struct fake_edu *edu)
{
    if (!(edu->command & EDU_DMA_RUN))
        return false;
    if (edu->command & EDU_DMA_TO_RAM)
        memcpy(in_ram(edu, edu->destination, edu->count), in_buffer(edu, edu->source, edu->count), edu->count);
    else
        memcpy(in_buffer(edu, edu->destination, edu->count), in_ram(edu, edu->source, edu->count), edu->count);
    edu->command &= ~(uint64_t)EDU_DMA_RUN;
    if (edu->command & EDU_DMA_INTERRUPT)
        fake_edu_raise(edu, EDU_INTERRUPT_DMA);
    return true;
}

bool fake_edu_compute(struct fake_edu *edu)
{
    uint32_t n = edu->factorial;

    if (!(edu->status & EDU_STATUS_COMPUTING))
        return false;
    for (edu->factorial = 1; n > 0; n--)
        edu->factorial *= n;
    edu->status &= ~EDU_STATUS_COMPUTING;
    if (edu->status & EDU_STATUS_INTERRUPT)
        fake_edu_raise(edu, EDU_INTERRUPT_FACTORIAL);
    return true;
}

static uint64_t *dma_register(struct fake_edu *edu, uint64_t offset)
{
    switch (offset) {
    case EDU_REG_DMA_SOURCE:
        return &edu->source;
    case EDU_REG_DMA_DESTINATION:
        return &edu->destination;
    case EDU_REG_DMA_COUNT:
        return &edu->count;
    case EDU_REG_DMA_COMMAND:
        return &edu->command;
    default:
        cr_assert_fail("no register at 0x%llx", (unsigned long long)offset);
        return NULL;
    }
}

static uint32_t read32(void *context, unsigned int bar, uint64_t offset)
{
    struct fake_edu *edu = context;

    cr_assert_eq(bar, EDU_BAR);
    switch (offset) {
    case EDU_REG_IDENTIFICATION:
        return edu->identification;
    case EDU_REG_LIVENESS:
        return edu->liveness;
    case EDU_REG_FACTORIAL:
        return edu->factorial;
    case EDU_REG_STATUS:
        return edu->status;
    case EDU_REG_INTERRUPT_STATUS:
        return edu->interrupt_status;
    default:
        return (uint32_t)*dma_register(edu, offset);
    }
}

static void write_dma(struct fake_edu *edu, uint64_t offset, uint32_t value)
{
    cr_assert(!(edu->command & EDU_DMA_RUN), "a write to 0x%llx while a transfer runs", (unsigned long long)offset);
    if (offset != EDU_REG_DMA_COMMAND || (value & EDU_DMA_RUN))
        *dma_register(edu, offset) = value;
}

static void write32(void *context, unsigned int bar, uint64_t offset, uint32_t value)
{
    struct fake_edu *edu = context;

    cr_assert_eq(bar, EDU_BAR);
    switch (offset) {
    case EDU_REG_LIVENESS:
        edu->liveness = ~value;
        return;
    case EDU_REG_FACTORIAL:
        cr_assert(!(edu->status & EDU_STATUS_COMPUTING), "a factorial while one is computed");
        edu->factorial = value;
        edu->status |= EDU_STATUS_COMPUTING;
        return;
    case EDU_REG_STATUS:
        edu->status = (edu->status & ~EDU_STATUS_INTERRUPT) | (value & EDU_STATUS_INTERRUPT);
        return;
    case EDU_REG_INTERRUPT_ACKNOWLEDGE:
        edu->interrupt_status &= ~value;
        return;
    default:
        write_dma(edu, offset, value);
    }
}

static void *allocate(void *context, size_t size, uint64_t *address)
{
    struct fake_edu *edu = context;
    void *memory = edu->ram + edu->allocated;

    cr_assert_leq(size, sizeof(edu->ram) - edu->allocated);
    *address = FAKE_EDU_RAM + edu->allocated;
    edu->allocated += size;
    return memory;
}

static uint64_t interrupts(void *context, unsigned int vector)
{
    cr_assert_eq(vector, 0);
    return ((struct fake_edu *)context)->interrupts;
}

static void interrupt_end(void *context)
{
    ((struct fake_edu *)context)->ends++;
}

const struct device_ops fake_edu_ops = {
    .read32 = read32,
    .write32 = write32,
    .allocate = allocate,
    .interrupts = interrupts,
    .interrupt_end = interrupt_end,
};
