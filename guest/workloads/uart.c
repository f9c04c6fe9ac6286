/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "guest/drivers/uart_driver.h"
#include "guest/guest.h"
#include "guest/workloads/arithmetic.h"
#include "guest/workloads/device_workloads.h"

#define SCRATCH_EVERY 16u

struct uart_card {
    struct device_work work; /* first */
    struct pci_access access;
    struct uart_device device;
    bool level; /* its interrupt is one */
    struct chain chain[UART_PORTS_MAX];
    unsigned int turn; /* the port of the transfer, or of the next one */
    bool under_way;
    struct uart_transfer transfer;
};

static _Noreturn void fail_card(struct guest *guest, struct uart_card *card, const struct driver_fault *fault)
{
    guest_fail(guest, fault->rule, fault->expected, fault->seen, "device %u port %u operation %lu: %s",
               card->access.device.slot, card->turn, card->chain[card->turn].operations, fault->text);
}

static void open_card(struct guest *guest, const struct pci_device *found, struct vcpu *vcpu)
{
    struct uart_card *card = ram_allocate_zeroed(&guest->ram, sizeof(*card));
    unsigned int ports = 0;
    struct driver_fault fault;

    if (!card)
        guest_fail(guest, "guest/boot", sizeof(*card), 0, "no RAM for device %u", found->slot);
    device_work_enable(guest, &card->access, found);
    card->level = card->access.device.pin && card->access.device.revision != UART_DEVICE_REVISION_MTTY;
    while (ports < UART_PORTS_MAX && card->access.device.bar[ports].size == UART_BAR_SIZE)
        ports++;
    if (!ports)
        guest_fail(guest, "guest/driver", UART_BAR_SIZE, card->access.device.bar[0].size,
                   "device %u: the size of its BAR 0", found->slot);
    device_work_route(guest, &card->access, 0, vcpu);
    if (uart_device_open(&card->device, pci_access(&card->access), ports, &fault) < 0)
        fail_card(guest, card, &fault);
    for (unsigned int port = 0; port < ports; port++)
        chain_open(&card->chain[port], guest, WORKLOAD_UART, (uint16_t)found->slot, (uint16_t)port, 0);
    device_work_add(guest, vcpu, &card->work, &uart_workload);
}

static enum uart_transfer_kind kind_of(uint64_t random)
{
    if ((random & 15) < 10)
        return UART_TRANSFER_RECEIVE;
    return (random & 15) < 15 ? UART_TRANSFER_TRANSMIT : UART_TRANSFER_OVERRUN;
}

/* Describes operation number `operation` of the port. */
static void describe(struct uart_card *card, unsigned int port, uint64_t operation)
{
    uint64_t random = workload_mix(card->chain[port].seed + WORKLOAD_GOLDEN * (operation + 1));
    struct uart_transfer *transfer = &card->transfer;

    *transfer = (struct uart_transfer){
        .kind = kind_of(random),
        .port = port,
        .length = 1 + (random >> 8) % 8,
        .hold = card->level && (random >> 16) % 4 == 0,
    };
    if (transfer->kind == UART_TRANSFER_OVERRUN)
        transfer->length = UART_TRANSFER_MAX;
    for (unsigned int i = 0; i < transfer->length; i++)
        transfer->byte[i] = (uint8_t)workload_mix(random + i + 1);
}

static uint64_t check_scratch(struct uart_card *card, uint64_t operation)
{
    struct chain *chain = &card->chain[card->turn];
    uint8_t expected =
        operation >= SCRATCH_EVERY ? (uint8_t)workload_mix(chain->seed ^ (operation - SCRATCH_EVERY)) : 0;
    uint8_t seen = uart_scratch_read(&card->device, card->turn);

    if (seen != expected)
        guest_fail(chain->guest, "guest/data", expected, seen, "device %u port %u operation %lu: the register SCR",
                   card->access.device.slot, card->turn, operation);
    uart_scratch_write(&card->device, card->turn, (uint8_t)workload_mix(chain->seed ^ operation));
    return seen;
}

/* What was received is what was sent: the driver has compared it. */
static uint64_t value_of(struct uart_card *card, uint64_t operation)
{
    const struct uart_transfer *transfer = &card->transfer;
    uint64_t value = operation;

    for (unsigned int i = 0; i < transfer->length; i++)
        value = workload_digest_word(transfer->byte[i], value);
    if (transfer->kind == UART_TRANSFER_OVERRUN)
        value = 0;
    if (operation % SCRATCH_EVERY == SCRATCH_EVERY - 1)
        value ^= check_scratch(card, operation);
    return value;
}

static bool end(struct vcpu *vcpu, struct uart_card *card)
{
    struct chain *chain = &card->chain[card->turn];
    struct driver_fault fault;
    int status = uart_transfer_poll(&card->device, &card->transfer, clock_observed_ns(&vcpu->clock), &fault);

    if (status < 0)
        fail_card(vcpu->guest, card, &fault);
    if (status == 0)
        return false;
    chain->published->interrupts++;
    chain_enter(chain, value_of(card, chain->operations));
    chain_publish(chain);
    card->under_way = false;
    card->turn = (card->turn + 1) % card->device.ports;
    return true;
}

static bool begin(struct vcpu *vcpu, struct uart_card *card)
{
    struct driver_fault fault;

    for (unsigned int tries = 0; tries < card->device.ports; tries++) {
        struct chain *chain = &card->chain[card->turn];

        if (chain_wants(chain, chain->operations)) {
            describe(card, card->turn, chain->operations);
            card->under_way = true;
            chain_publish_submitted(chain, chain->operations + 1);
            if (uart_transfer_begin(&card->device, &card->transfer, &fault) < 0)
                fail_card(vcpu->guest, card, &fault);
            return true;
        }
        card->turn = (card->turn + 1) % card->device.ports;
    }
    return false;
}

static bool step(struct vcpu *vcpu, struct device_work *work)
{
    struct uart_card *card = (struct uart_card *)work;
    bool ended = card->under_way && end(vcpu, card);

    return (!card->under_way && begin(vcpu, card)) || ended;
}

static bool is_drained(const struct device_work *work)
{
    return !((const struct uart_card *)work)->under_way;
}

static void print(struct device_work *work)
{
    const struct uart_card *card = (struct uart_card *)work;

    if (card->device.spurious)
        console_print(&card->chain[0].guest->console, "device %u: %lu interrupts with nothing new",
                      card->access.device.slot, card->device.spurious);
}

const struct device_workload uart_workload = {
    .id = WORKLOAD_UART,
    .vendor = UART_DEVICE_VENDOR_ID,
    .device = UART_DEVICE_DEVICE_ID,
    .open = open_card,
    .step = step,
    .is_drained = is_drained,
    .print = print,
};
