/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "config.h"

#include "tests/unit/kvm/fixture.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define PML4_ADDRESS 0x1000u
#define PDPT_ADDRESS 0x2000u
#define PD_ADDRESS 0x3000u
#define PAGE_PRESENT_WRITE_USER 7u
#define PAGE_LARGE 0x80u

extern const uint8_t guest_code_end[], guest_ap_code[], guest_ap_code_end[];

void need_kvm(void)
{
    const char *required = getenv("STOPCOPY_REQUIRE_KVM");

    if (access("/dev/kvm", R_OK | W_OK) == 0)
        return;
    if (required && !strcmp(required, "1"))
        cr_assert_fail("/dev/kvm is not there, and STOPCOPY_REQUIRE_KVM=1");
    cr_skip_test("/dev/kvm is not there");
}

static void note(struct machine *machine, const char *kind, uint64_t address, size_t size, const void *data)
{
    struct access *access;

    if (machine->access_count == ACCESSES_MAX)
        return;
    access = &machine->access[machine->access_count++];
    *access = (struct access){.address = address, .size = size};
    memcpy(access->kind, kind, sizeof(access->kind));
    if (data)
        memcpy(&access->value, data, size);
}

static void wait_held(struct machine *machine, const char *kind)
{
    while (machine->hold && !strcmp(machine->hold, kind)) {
        machine->held = true;
        pthread_cond_broadcast(&machine->changed);
        pthread_cond_wait(&machine->changed, &machine->lock);
    }
}

static void on_mmio_read(void *context, uint64_t address, void *data, size_t size)
{
    struct machine *machine = context;
    uint8_t *bytes = data;

    pthread_mutex_lock(&machine->lock);
    wait_held(machine, "mr");
    note(machine, "mr", address, size, NULL);
    for (size_t i = 0; i < size; i++)
        bytes[i] = (uint8_t)(address + i);
    if (address == MMIO_ADDRESS && size == sizeof(machine->last_count)) {
        machine->lost_count |= ++machine->read_count != machine->last_count;
        memcpy(data, &machine->last_count, size);
    }
    pthread_mutex_unlock(&machine->lock);
}

static void on_mmio_write(void *context, uint64_t address, const void *data, size_t size)
{
    struct machine *machine = context;

    pthread_mutex_lock(&machine->lock);
    note(machine, "mw", address, size, data);
    pthread_mutex_unlock(&machine->lock);
}

static void on_port_read(void *context, uint16_t port, void *data, size_t size)
{
    struct machine *machine = context;

    pthread_mutex_lock(&machine->lock);
    note(machine, "pr", port, size, NULL);
    if (port == PORT_DATA)
        memset(data, (int)(0xa0 + machine->access_count), size);
    pthread_mutex_unlock(&machine->lock);
}

static void on_port_write(void *context, uint16_t port, const void *data, size_t size)
{
    struct machine *machine = context;
    uint32_t value = 0;

    memcpy(&value, data, size);
    pthread_mutex_lock(&machine->lock);
    wait_held(machine, "pw");
    note(machine, "pw", port, size, data);
    if (port == PORT_DONE)
        machine->done = true;
    if (port == PORT_DATA && size == sizeof(value)) {
        machine->lost_count |= value != machine->last_count + 1;
        machine->last_count = value;
    }
    pthread_cond_broadcast(&machine->changed);
    pthread_mutex_unlock(&machine->lock);
}

static void on_failure(void *context, unsigned int vcpu, const struct error *error)
{
    struct machine *machine = context;

    (void)vcpu;
    pthread_mutex_lock(&machine->lock);
    machine->failures++;
    machine->failure = *error;
    pthread_cond_broadcast(&machine->changed);
    pthread_mutex_unlock(&machine->lock);
}

/* The first 4 GiB mapped to themselves, for CPL 3 too. */
static void write_page_tables(uint8_t *ram)
{
    uint64_t *pml4 = (uint64_t *)(ram + PML4_ADDRESS);
    uint64_t *pdpt = (uint64_t *)(ram + PDPT_ADDRESS);
    uint64_t *pd = (uint64_t *)(ram + PD_ADDRESS);

    pml4[0] = PDPT_ADDRESS | PAGE_PRESENT_WRITE_USER;
    for (uint64_t i = 0; i < 4; i++)
        pdpt[i] = (PD_ADDRESS + i * 0x1000) | PAGE_PRESENT_WRITE_USER;
    for (uint64_t i = 0; i < 4 * 512; i++)
        pd[i] = i << 21 | PAGE_LARGE | PAGE_PRESENT_WRITE_USER;
}

void machine_start(struct machine *machine, unsigned int vcpus, enum vm_irqchip irqchip, const uint8_t *guest)
{
    struct vm_config config = {
        .vcpus = vcpus,
        .irqchip = irqchip,
        .bus = {on_mmio_read, on_mmio_write, on_port_read, on_port_write, on_failure},
        .bus_context = machine,
    };
    struct error error = ERROR_INIT;

    memset(machine, 0, sizeof(*machine));
    pthread_mutex_init(&machine->lock, NULL);
    pthread_cond_init(&machine->changed, NULL);
    machine->vm = vm_new(&config, &error);
    cr_assert(machine->vm, "%s", error.text);
    machine->ram = mmap(NULL, RAM_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    cr_assert(machine->ram != MAP_FAILED);
    machine->shared = (volatile struct shared *)(machine->ram + SHARED_ADDRESS);
    cr_assert(vm_map_memory(machine->vm, 0, RAM_SIZE, machine->ram, false, &error) >= 0, "%s", error.text);
    vm_get_features(machine->vm, &machine->features);
    if (!guest) {
        cr_assert(vm_expect_state(machine->vm, &error) == 0, "%s", error.text);
        for (size_t i = 0; i < RAM_SIZE; i += sizeof(uint64_t))
            cr_assert(*(uint64_t *)(machine->ram + i) == 0, "the first entry wrote to guest memory");
        return;
    }
    write_page_tables(machine->ram);
    memcpy(machine->ram + CODE_ADDRESS, guest_code, (size_t)(guest_code_end - guest_code));
    memcpy(machine->ram + AP_CODE_ADDRESS, guest_ap_code, (size_t)(guest_ap_code_end - guest_ap_code));
    machine->shared->avx = machine->features.avx2;
    cr_assert(vm_set_entry(machine->vm, CODE_ADDRESS + (uint64_t)(guest - guest_code), 0, PML4_ADDRESS, &error) == 0,
              "%s", error.text);
}

void machine_end(struct machine *machine)
{
    vm_free(machine->vm);
    munmap(machine->ram, RAM_SIZE);
    pthread_cond_destroy(&machine->changed);
    pthread_mutex_destroy(&machine->lock);
}

void machine_run(struct machine *machine)
{
    struct error error = ERROR_INIT;

    cr_assert(vm_resume(machine->vm, &error) == 0, "%s", error.text);
}

void machine_stop(struct machine *machine)
{
    struct error error = ERROR_INIT;

    cr_assert(vm_pause(machine->vm, deadline_in_ms(PATIENCE_MS), &error) == 0, "%s", error.text);
}

static struct timespec patience(void)
{
    struct timespec at;

    clock_gettime(CLOCK_MONOTONIC, &at);
    at.tv_sec += PATIENCE_MS / 1000;
    return at;
}

void machine_wait_done(struct machine *machine)
{
    struct timespec at = patience();
    int number = 0;

    pthread_mutex_lock(&machine->lock);
    while (!machine->done && !machine->failures && number != ETIMEDOUT)
        number = pthread_cond_clockwait(&machine->changed, &machine->lock, CLOCK_MONOTONIC, &at);
    pthread_mutex_unlock(&machine->lock);
    cr_assert(machine->done, "the guest did not end: fault %d, %s", (int)machine->shared->fault, machine->failure.text);
}

void machine_hold(struct machine *machine, const char *kind)
{
    struct timespec at = patience();
    int number = 0;

    pthread_mutex_lock(&machine->lock);
    machine->hold = kind;
    machine->held = false;
    while (!machine->held && number != ETIMEDOUT)
        number = pthread_cond_clockwait(&machine->changed, &machine->lock, CLOCK_MONOTONIC, &at);
    pthread_mutex_unlock(&machine->lock);
    cr_assert(machine->held, "the guest makes no such access");
}

void machine_release(struct machine *machine)
{
    pthread_mutex_lock(&machine->lock);
    machine->hold = NULL;
    pthread_cond_broadcast(&machine->changed);
    pthread_mutex_unlock(&machine->lock);
}

void machine_stop_in_access(struct machine *machine, const char *kind)
{
    struct error error = ERROR_INIT;

    machine_hold(machine, kind);
    cr_assert(vm_pause(machine->vm, deadline_in_ms(1), &error) == -1, "paused in the middle of an access");
    machine_release(machine);
    machine_stop(machine);
}

void machine_wait_failure(struct machine *machine)
{
    struct timespec at = patience();
    int number = 0;

    pthread_mutex_lock(&machine->lock);
    while (!machine->failures && number != ETIMEDOUT)
        number = pthread_cond_clockwait(&machine->changed, &machine->lock, CLOCK_MONOTONIC, &at);
    pthread_mutex_unlock(&machine->lock);
    cr_assert(machine->failures, "no vCPU failed");
}

/* What the guest does in its own memory gives the test no event to wait for. */
static void wait_more(struct machine *machine, struct deadline deadline)
{
    sched_yield();
    pthread_mutex_lock(&machine->lock);
    cr_assert(!machine->failures, "%s", machine->failure.text);
    pthread_mutex_unlock(&machine->lock);
    cr_assert(!deadline_expired(deadline), "the guest does not come as far as was waited for; fault %d",
              (int)machine->shared->fault);
}

void wait_counter(struct machine *machine, volatile uint64_t *counter, uint64_t value)
{
    struct deadline deadline = deadline_in_ms(PATIENCE_MS);

    while (*counter < value)
        wait_more(machine, deadline);
}

void wait_counter32(struct machine *machine, volatile uint32_t *counter, uint32_t value)
{
    struct deadline deadline = deadline_in_ms(PATIENCE_MS);

    while (*counter < value)
        wait_more(machine, deadline);
}

void machine_save(struct machine *machine, unsigned int vcpus, struct record *record)
{
    struct error error = ERROR_INIT;

    memset(record, 0, sizeof(*record));
    cr_assert(vm_get_state(machine->vm, &record->vm, &error) == 0, "%s", error.text);
    for (unsigned int i = 0; i < vcpus; i++)
        cr_assert(vm_vcpu_get_state(machine->vm, i, &record->vcpu[i], &error) == 0, "%s", error.text);
}

void machine_load(struct machine *machine, unsigned int vcpus, const struct record *record)
{
    struct error error = ERROR_INIT;
    struct buffer ignored = BUFFER_INIT;

    cr_assert(vm_put_state(machine->vm, record->vm.data, record->vm.size, &ignored, &error) == 0, "%s", error.text);
    for (unsigned int i = 0; i < vcpus; i++)
        cr_assert(vm_vcpu_put_state(machine->vm, i, record->vcpu[i].data, record->vcpu[i].size, &ignored, &error) == 0,
                  "%s", error.text);
    cr_assert(ignored.size == 0, "on one host nothing is ignored: %.*s", (int)ignored.size, (char *)ignored.data);
    buffer_free(&ignored);
}

void record_free(struct record *record)
{
    buffer_free(&record->vm);
    for (unsigned int i = 0; i < VM_VCPUS_MAX; i++)
        buffer_free(&record->vcpu[i]);
}

uint64_t machine_move(struct machine *from, struct machine *to, unsigned int vcpus, enum vm_irqchip irqchip)
{
    struct record record;
    uint64_t paused;

    machine_stop(from);
    paused = clock_now_ns();
    machine_start(to, vcpus, irqchip, NULL);
    to->last_count = from->last_count;
    to->read_count = from->read_count;
    to->lost_count = from->lost_count;
    machine_save(from, vcpus, &record);
    memcpy(to->ram, from->ram, RAM_SIZE);
    machine_load(to, vcpus, &record);
    cr_assert(!memcmp(to->ram, from->ram, RAM_SIZE), "putting state wrote to guest memory");
    machine_end(from);
    record_free(&record);
    return clock_now_ns() - paused;
}

void machine_migrate(struct machine *from, struct machine *to, unsigned int vcpus, enum vm_irqchip irqchip)
{
    machine_move(from, to, vcpus, irqchip);
    machine_run(to);
}
