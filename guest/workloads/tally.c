/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The example of docs/writing-a-guest-driver.md: the driver of the tally (stopcopy/tally_device.h) and its workload
 * (stopcopy/workload.h), in one file. An operation sets a threshold and adds up numbers until it is reached and beyond.
 */
#include "guest/guest.h"
#include "guest/workloads/arithmetic.h"
#include "guest/workloads/device_workloads.h"
#include "stopcopy/tally_device.h"

#define NUMBERS_MAX 8u
#define INTERRUPT_LOST_NS 6000000000ull /* of the time in which the vCPU was seen to run */

struct tally {
    struct device_work work; /* first */
    struct pci_access access;
    struct device_access device;
    struct chain chain;
    uint64_t sum, threshold, count; /* what the device must have */
    /* The operation. */
    bool under_way;
    uint64_t random;
    uint32_t numbers, added;
    uint64_t interrupts; /* taken when it began */
    bool waiting;
    uint64_t waiting_since;
    uint64_t spurious; /* interrupts beyond one for each operation */
};

static uint64_t read_register(struct tally *tally, uint64_t offset)
{
    return tally->device.ops->read64(tally->device.context, TALLY_BAR, offset);
}

static void write_register(struct tally *tally, uint64_t offset, uint64_t value)
{
    tally->device.ops->write64(tally->device.context, TALLY_BAR, offset, value);
}

static uint64_t interrupts_taken(struct tally *tally)
{
    return tally->device.ops->interrupts(tally->device.context, 0);
}

/* A register must read as what the guest worked out for itself. */
static uint64_t check_register(struct tally *tally, uint64_t offset, uint64_t expected, const char *name)
{
    uint64_t seen = read_register(tally, offset);

    if (seen != expected)
        guest_fail(tally->chain.guest, "guest/data", expected, seen, "device %u operation %lu: the register %s",
                   tally->access.device.slot, tally->chain.operations, name);
    return seen;
}

static void open(struct guest *guest, const struct pci_device *found, struct vcpu *vcpu)
{
    struct tally *tally = ram_allocate_zeroed(&guest->ram, sizeof(*tally));

    if (!tally)
        guest_fail(guest, "guest/boot", sizeof(*tally), 0, "no RAM for device %u", found->slot);
    chain_open(&tally->chain, guest, WORKLOAD_TALLY, (uint16_t)found->slot, 0, 0);
    device_work_enable(guest, &tally->access, found);
    device_work_route(guest, &tally->access, 0, vcpu);
    tally->device = pci_access(&tally->access);
    check_register(tally, TALLY_REG_TALLY, 0, "TALLY of a device that nobody has used");
    check_register(tally, TALLY_REG_COUNT, 0, "COUNT of a device that nobody has used");
    device_work_add(guest, vcpu, &tally->work, &tally_workload);
}

static uint64_t number(const struct tally *tally, uint32_t j)
{
    return workload_mix(tally->random + j + 1) >> 40;
}

static bool begin(struct tally *tally)
{
    struct chain *chain = &tally->chain;
    uint32_t last;

    if (!chain_wants(chain, chain->operations))
        return false;
    tally->random = workload_mix(chain->seed + WORKLOAD_GOLDEN * (chain->operations + 1));
    tally->numbers = (uint32_t)(1 + (tally->random >> 8) % NUMBERS_MAX);
    last = (uint32_t)((tally->random >> 16) % tally->numbers);
    tally->threshold = tally->sum;
    for (uint32_t j = 0; j <= last; j++)
        tally->threshold += number(tally, j);
    tally->added = 0;
    tally->waiting = false;
    tally->under_way = true;
    tally->interrupts = interrupts_taken(tally);
    chain_publish_submitted(chain, chain->operations + 1);
    write_register(tally, TALLY_REG_THRESHOLD, tally->threshold);
    return true;
}

/* One number in a step, so that a stop finds sums that are not complete. */
static void add(struct tally *tally)
{
    uint64_t value = number(tally, tally->added++);

    tally->sum += value;
    tally->count++;
    write_register(tally, TALLY_REG_ADD, value);
}

/* What the registers have when all was added: the digest of it. */
static uint64_t check_registers(struct tally *tally)
{
    uint64_t value = tally->chain.operations;

    value = workload_digest_word(check_register(tally, TALLY_REG_TALLY, tally->sum, "TALLY"), value);
    value = workload_digest_word(check_register(tally, TALLY_REG_THRESHOLD, tally->threshold, "THRESHOLD"), value);
    return workload_digest_word(check_register(tally, TALLY_REG_COUNT, tally->count, "COUNT"), value);
}

/* A tally that is wrong may never reach the threshold: that is told then, and not the interrupt which it is short of. */
static void watch(struct tally *tally, uint64_t now)
{
    if (!tally->waiting) {
        tally->waiting = true;
        tally->waiting_since = now;
    }
    if (now - tally->waiting_since < INTERRUPT_LOST_NS)
        return;
    check_registers(tally);
    guest_fail(tally->chain.guest, "guest/interrupt-lost", 1, 0,
               "device %u operation %lu: the threshold was reached for 6 s, with no interrupt",
               tally->access.device.slot, tally->chain.operations);
}

static void end(struct tally *tally, uint64_t taken)
{
    uint64_t value = check_registers(tally);

    tally->chain.published->interrupts += taken;
    tally->spurious += taken - 1;
    tally->under_way = false;
    chain_enter(&tally->chain, value);
    chain_publish(&tally->chain);
}

static bool step(struct vcpu *vcpu, struct device_work *work)
{
    struct tally *tally = (struct tally *)work;
    uint64_t taken;

    if (!tally->under_way)
        return begin(tally);
    if (tally->added < tally->numbers) {
        add(tally);
        return true;
    }
    taken = interrupts_taken(tally) - tally->interrupts;
    if (!taken) {
        watch(tally, clock_observed_ns(&vcpu->clock));
        return false;
    }
    end(tally, taken);
    begin(tally); /* at once: a stop should find something under way */
    return true;
}

static bool is_drained(const struct device_work *work)
{
    return !((const struct tally *)work)->under_way;
}

static void print(struct device_work *work)
{
    struct tally *tally = (struct tally *)work;

    if (tally->spurious)
        console_print(&tally->chain.guest->console, "device %u: %lu interrupts with nothing new",
                      tally->access.device.slot, tally->spurious);
}

const struct device_workload tally_workload = {
    .id = WORKLOAD_TALLY,
    .vendor = TALLY_DEVICE_VENDOR_ID,
    .device = TALLY_DEVICE_DEVICE_ID,
    .open = open,
    .step = step,
    .is_drained = is_drained,
    .print = print,
};
