/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The IOAPIC's pins that INTx of PCI functions go to (Intel 82093AA). Only a machine with such a function needs one. */
#include "guest/kernel/kernel.h"

#define IOAPIC_ENTRY_LOW(pin) (0x10 + 2 * (pin))
#define IOAPIC_ENTRY_HIGH(pin) (0x11 + 2 * (pin))

_Static_assert(IOAPIC_ENTRY_LOW(GATE_PIN_FIRST) == IOAPIC_PINS_ENTRY, "interrupt.S");
_Static_assert(GATE_PIN_VECTOR(GATE_PIN_FIRST) == VECTOR_PINS_FIRST && GATE_PINS == VECTOR_PINS, "interrupt.S");

/* Select and window belong together. Interrupts are off here, so whoever has it gives it back. */
uint32_t ioapic_busy KERNEL_BSS;

static void lock(void)
{
    while (__atomic_exchange_n(&ioapic_busy, 1, __ATOMIC_ACQUIRE))
        __asm__ volatile("pause");
}

static void unlock(void)
{
    __atomic_store_n(&ioapic_busy, 0, __ATOMIC_RELEASE);
}

static void ioapic_write(uint32_t number, uint32_t value)
{
    *(volatile uint32_t *)(uint64_t)(IOAPIC_ADDRESS + IOAPIC_SELECT) = number;
    *(volatile uint32_t *)(uint64_t)(IOAPIC_ADDRESS + IOAPIC_WINDOW) = value;
}

static bool has_pin(uint32_t pin)
{
    return pin >= GATE_PIN_FIRST && pin < GATE_PIN_FIRST + GATE_PINS;
}

bool ioapic_route(uint32_t pin, uint32_t apic_id)
{
    if (!has_pin(pin))
        return false;
    lock();
    ioapic_write(IOAPIC_ENTRY_HIGH(pin), apic_id << 24);
    ioapic_write(IOAPIC_ENTRY_LOW(pin), IOAPIC_LEVEL | (uint32_t)GATE_PIN_VECTOR(pin));
    unlock();
    return true;
}

bool ioapic_mask(uint32_t pin, bool masked)
{
    if (!has_pin(pin))
        return false;
    lock();
    ioapic_write(IOAPIC_ENTRY_LOW(pin), IOAPIC_LEVEL | (uint32_t)GATE_PIN_VECTOR(pin) | (masked ? IOAPIC_MASKED : 0));
    unlock();
    return true;
}
