/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "guest/base/processor.h"
#include "guest/drivers/edu_driver.h"
#include "guest/guest.h"
#include "guest/pci/pci_access.h"
#include "guest/workloads/arithmetic.h"
#include "guest/workloads/device_workloads.h"

#define REGION_WORDS (WORKLOAD_EDU_REGION_SIZE / 8)
#define LIVENESS_EVERY 4u
#define REPEATS_MAX 8u /* of one operation: more than that is no migration */

enum pair_step {
    PAIR_NONE, /* no operation is under way */
    PAIR_TO_BUFFER,
    PAIR_TO_RAM,
};

/* One operation, as the text of workload.h has it. */
struct edu_operation {
    uint64_t number;
    uint64_t base;
    uint64_t paint;
    uint32_t words;
    uint32_t place; /* in the device's buffer, in bytes */
    uint32_t start; /* in the region, in words */
    uint32_t factorial_of;
    enum pair_step factorial_with; /* PAIR_NONE: none is asked for */
};

struct edu_board {
    struct device_work work; /* first */
    struct pci_access access;
    struct edu_device device;
    struct chain chain;
    uint64_t *source;
    uint64_t source_address;
    volatile uint64_t *regions;
    uint64_t regions_address;
    uint64_t nonce; /* of this boot: the device's buffer may hold the same operations of an earlier one */
    struct edu_operation operation;
    enum pair_step step;
    bool factorial_begun;
    unsigned int repeats; /* of this operation */
};

static _Noreturn void fail_board(struct edu_board *board, const struct driver_fault *fault)
{
    guest_fail(board->chain.guest, fault->rule, fault->expected, fault->seen, "device %u operation %lu: %s",
               board->access.device.slot, board->operation.number, fault->text);
}

static void open_memory(struct guest *guest, struct edu_board *board)
{
    struct device_access access = pci_access(&board->access);

    board->source = access.ops->allocate(access.context, WORKLOAD_EDU_REGION_SIZE, &board->source_address);
    board->regions =
        access.ops->allocate(access.context, WORKLOAD_EDU_REGIONS * WORKLOAD_EDU_REGION_SIZE, &board->regions_address);
    if (!board->source || !board->regions)
        guest_fail(guest, "guest/boot", 1, 0, "no RAM for the buffers of device %u", board->access.device.slot);
}

static void open_board(struct guest *guest, const struct pci_device *found, struct vcpu *vcpu)
{
    struct edu_board *board = ram_allocate_zeroed(&guest->ram, sizeof(*board));
    struct driver_fault fault;

    if (!board)
        guest_fail(guest, "guest/boot", sizeof(*board), 0, "no RAM for device %u", found->slot);
    device_work_enable(guest, &board->access, found);
    chain_open(&board->chain, guest, WORKLOAD_EDU, (uint16_t)found->slot, 0, 0);
    open_memory(guest, board);
    board->nonce = workload_mix(tsc_read());
    device_work_route(guest, &board->access, 0, vcpu);
    if (edu_device_open(&board->device, pci_access(&board->access), &fault) < 0)
        fail_board(board, &fault);
    device_work_add(guest, vcpu, &board->work, &edu_workload);
}

static struct edu_operation describe(uint64_t seed, uint64_t number)
{
    uint64_t random = workload_mix(seed + WORKLOAD_GOLDEN * (number + 1));
    struct edu_operation operation = {
        .number = number,
        .base = workload_mix(random),
        .paint = workload_mix(random ^ 1),
        .words = (uint32_t)(2 + (random >> 8) % 254),
        .place = (uint32_t)(8 * ((random >> 16) % 256)),
        .start = (uint32_t)((random >> 24) % 512),
        .factorial_of = (uint32_t)((random >> 40) % 34),
        .factorial_with = PAIR_NONE,
    };

    if ((random & 3) > 0)
        operation.factorial_with = (random & 3) == 1 ? PAIR_TO_BUFFER : PAIR_TO_RAM;
    return operation;
}

/* Word number `index` of those that go to the device and come back, each with the nonce on its way. */
static uint64_t word_of(const struct edu_operation *operation, uint32_t index)
{
    return index == 0 ? operation->number + 1 : operation->base + index * WORKLOAD_GOLDEN;
}

static volatile uint64_t *region_of(struct edu_board *board, const struct edu_operation *operation)
{
    return board->regions + operation->number % WORKLOAD_EDU_REGIONS * REGION_WORDS;
}

static uint64_t word_back(struct edu_board *board, const struct edu_operation *operation, uint32_t index)
{
    return region_of(board, operation)[operation->start + index] ^ board->nonce;
}

static void paint(struct edu_board *board)
{
    volatile uint64_t *region = region_of(board, &board->operation);

    for (uint32_t i = 0; i < REGION_WORDS; i++)
        region[i] = board->operation.paint;
}

static _Noreturn void fail_word(struct edu_board *board, const struct edu_operation *operation, uint32_t index,
                                uint64_t expected, uint64_t seen, const char *text)
{
    guest_fail(board->chain.guest, "guest/data", expected, seen, "device %u operation %lu: word %u of its region %s",
               board->access.device.slot, operation->number, index, text);
}

/* The words around those that came back are as they were painted. */
static void check_paint(struct edu_board *board, const struct edu_operation *operation)
{
    volatile uint64_t *region = region_of(board, operation);

    for (uint32_t i = 0; i < REGION_WORDS; i++) {
        if (i == operation->start)
            i += operation->words;
        if (region[i] != operation->paint)
            fail_word(board, operation, i, operation->paint, region[i], "was written, and is not of the transfer");
    }
}

/* How many of the words that came back are right. */
static uint32_t count_right(struct edu_board *board, const struct edu_operation *operation)
{
    uint32_t right = 0;

    for (uint32_t i = 0; i < operation->words; i++)
        right += word_back(board, operation, i) == word_of(operation, i);
    return right;
}

/* Words that are not right are those of a cut pair only if none is right, and none was left unwritten. */
static void check_cut(struct edu_board *board)
{
    const struct edu_operation *operation = &board->operation;
    uint32_t right = count_right(board, operation);

    for (uint32_t i = 0; i < operation->words; i++) {
        uint64_t expected = word_of(operation, i), seen = word_back(board, operation, i);

        if (seen == (operation->paint ^ board->nonce))
            fail_word(board, operation, operation->start + i, expected, seen, "was not written");
        if (seen != expected && right)
            fail_word(board, operation, operation->start + i, expected, seen, "is wrong, and others are right");
        if (seen != expected && board->repeats == REPEATS_MAX)
            fail_word(board, operation, operation->start + i, expected, seen, "is wrong, after all repeats");
    }
}

/* A region is left alone until it is used again: what the device wrote is still there. */
static void check_earlier(struct edu_board *board, uint64_t number)
{
    struct edu_operation operation = describe(board->chain.seed, number);

    check_paint(board, &operation);
    for (uint32_t i = 0; i < operation.words; i++) {
        uint64_t expected = word_of(&operation, i), seen = word_back(board, &operation, i);

        if (seen != expected)
            fail_word(board, &operation, operation.start + i, expected, seen, "has changed since");
    }
}

static void begin_transfer(struct edu_board *board, enum pair_step step)
{
    const struct edu_operation *operation = &board->operation;
    uint64_t offset = (operation->number % WORKLOAD_EDU_REGIONS * REGION_WORDS + operation->start) * 8;
    struct edu_transfer transfer = {
        .to_ram = step == PAIR_TO_RAM,
        .address = step == PAIR_TO_RAM ? board->regions_address + offset : board->source_address,
        .place = operation->place,
        .length = operation->words * 8,
    };
    struct driver_fault fault;

    board->step = step;
    if (edu_transfer_begin(&board->device, &transfer, &fault) < 0)
        fail_board(board, &fault);
    if (operation->factorial_with == step && !board->factorial_begun) {
        edu_factorial_begin(&board->device, operation->factorial_of);
        board->factorial_begun = true;
    }
}

static bool begin(struct edu_board *board)
{
    struct chain *chain = &board->chain;

    if (!chain_wants(chain, chain->operations))
        return false;
    if (chain->operations >= WORKLOAD_EDU_REGIONS)
        check_earlier(board, chain->operations - WORKLOAD_EDU_REGIONS);
    board->operation = describe(chain->seed, chain->operations);
    board->factorial_begun = false;
    board->repeats = 0;
    for (uint32_t i = 0; i < board->operation.words; i++)
        board->source[i] = word_of(&board->operation, i) ^ board->nonce;
    paint(board);
    chain_publish_submitted(chain, chain->operations + 1);
    begin_transfer(board, PAIR_TO_BUFFER);
    return true;
}

/* The number first: where a pause comes in between, the count is judged with it at the next one. */
static void repeat(struct edu_board *board)
{
    struct progress_chain *published = board->chain.published;

    board->repeats++;
    __atomic_store_n(&published->repeated, board->operation.number, __ATOMIC_RELEASE);
    __atomic_store_n(&published->repeats, published->repeats + 1, __ATOMIC_RELEASE);
    paint(board);
    begin_transfer(board, PAIR_TO_BUFFER);
}

static uint32_t factorial(uint32_t n)
{
    uint32_t product = 1;

    for (uint32_t i = 2; i <= n; i++)
        product *= i;
    return product;
}

static uint64_t check_factorial(struct edu_board *board)
{
    const struct edu_operation *operation = &board->operation;
    uint32_t expected = factorial(operation->factorial_of);

    if (operation->factorial_with == PAIR_NONE)
        return 0;
    if (board->device.factorial != expected)
        guest_fail(board->chain.guest, "guest/data", expected, board->device.factorial,
                   "device %u operation %lu: the factorial of %u", board->access.device.slot, operation->number,
                   operation->factorial_of);
    return board->device.factorial;
}

static uint32_t check_liveness(struct edu_board *board)
{
    struct chain *chain = &board->chain;
    uint64_t number = board->operation.number;
    uint32_t expected = number >= LIVENESS_EVERY ? (uint32_t)workload_mix(chain->seed ^ (number - LIVENESS_EVERY)) : 0;
    uint32_t seen = edu_liveness_read(&board->device);

    if (seen != expected)
        guest_fail(chain->guest, "guest/data", expected, seen, "device %u operation %lu: the liveness register",
                   board->access.device.slot, number);
    edu_liveness_write(&board->device, (uint32_t)workload_mix(chain->seed ^ number));
    return seen;
}

static void end(struct edu_board *board)
{
    const struct edu_operation *operation = &board->operation;
    uint64_t value = operation->number;

    for (uint32_t i = 0; i < operation->words; i++)
        value = workload_digest_word(word_back(board, operation, i), value);
    value = workload_digest_word(check_factorial(board), value);
    if (operation->number % LIVENESS_EVERY == LIVENESS_EVERY - 1)
        value ^= check_liveness(board);
    board->step = PAIR_NONE;
    chain_enter(&board->chain, value);
    chain_publish(&board->chain);
}

/* What was begun is over. */
static void go_on(struct edu_board *board)
{
    const struct edu_operation *operation = &board->operation;

    board->chain.published->interrupts = board->device.served;
    if (board->step == PAIR_TO_BUFFER) {
        begin_transfer(board, PAIR_TO_RAM);
        return;
    }
    check_paint(board, operation);
    if (count_right(board, operation) == operation->words) {
        end(board);
        return;
    }
    check_cut(board);
    repeat(board);
}

static bool step(struct vcpu *vcpu, struct device_work *work)
{
    struct edu_board *board = (struct edu_board *)work;
    struct driver_fault fault;
    int status;

    if (board->step == PAIR_NONE)
        return begin(board);
    status = edu_poll(&board->device, clock_observed_ns(&vcpu->clock), &fault);
    if (status < 0)
        fail_board(board, &fault);
    if (status == 0)
        return false;
    go_on(board);
    return true;
}

static bool is_drained(const struct device_work *work)
{
    return ((const struct edu_board *)work)->step == PAIR_NONE;
}

static void finish(struct device_work *work)
{
    struct edu_board *board = (struct edu_board *)work;
    uint64_t operations = board->chain.operations;

    for (uint64_t i = operations > WORKLOAD_EDU_REGIONS ? operations - WORKLOAD_EDU_REGIONS : 0; i < operations; i++)
        check_earlier(board, i);
}

static void print(struct device_work *work)
{
    const struct edu_board *board = (struct edu_board *)work;
    struct console *console = &board->chain.guest->console;

    if (board->device.spurious)
        console_print(console, "device %u: %lu interrupts with nothing new", board->access.device.slot,
                      board->device.spurious);
    if (board->chain.published->repeats)
        console_print(console, "device %u: %lu pairs were cut and repeated", board->access.device.slot,
                      board->chain.published->repeats);
}

const struct device_workload edu_workload = {
    .id = WORKLOAD_EDU,
    .vendor = EDU_DEVICE_VENDOR_ID,
    .device = EDU_DEVICE_DEVICE_ID,
    .open = open_board,
    .step = step,
    .is_drained = is_drained,
    .finish = finish,
    .print = print,
};
