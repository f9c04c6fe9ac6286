/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "guest/workloads/vcpu.h"
#include "guest/base/processor.h"
#include "guest/guest.h"
#include "guest/workloads/device_work.h"

#define START_TRIES 5
#define START_TRY_MS 1000
#define POLL_MS 5

static struct vcpu *make_vcpu(struct guest *guest, uint32_t index)
{
    struct vcpu *vcpu = ram_allocate_zeroed(&guest->ram, sizeof(*vcpu));

    if (!vcpu)
        guest_fail(guest, "guest/boot", sizeof(*vcpu), 0, "no RAM for vCPU %u", index);
    vcpu->guest = guest;
    vcpu->index = index;
    vcpu->apic_id = guest->config.apic_id[index];
    vcpu->next_vector = GATE_DEVICE_VECTOR_FIRST;
    guest->vcpu[index] = vcpu;
    return vcpu;
}

/* Where another vCPU enters CPL 3. */
static _Noreturn void enter(struct vcpu *vcpu)
{
    struct guest *guest = vcpu->guest;

    __atomic_store_n(&vcpu->online, true, __ATOMIC_RELEASE);
    while (!__atomic_load_n(&guest->running, __ATOMIC_ACQUIRE)) {
        if (__atomic_load_n(&guest->stopped, __ATOMIC_ACQUIRE))
            guest_halt();
        processor_pause();
    }
    vcpu_work(vcpu);
}

static bool wait_online(struct vcpu *vcpu)
{
    uint64_t deadline = tsc_read() + scale(START_TRY_MS, vcpu->guest->config.tsc_hz, 1000);

    while (tsc_read() < deadline) {
        if (__atomic_load_n(&vcpu->online, __ATOMIC_ACQUIRE))
            return true;
        processor_pause();
    }
    return false;
}

static void start_vcpu(struct guest *guest, struct vcpu *vcpu)
{
    uint8_t *stack = ram_allocate(&guest->ram, VCPU_STACK_SIZE);
    struct gate_vcpu start = {
        .index = vcpu->index,
        .apic_id = vcpu->apic_id,
        .rip = (uint64_t)enter,
        .rsp = (uint64_t)stack + VCPU_STACK_SIZE - 8,
        .argument = (uint64_t)vcpu,
        .interrupts = (uint64_t *)(uintptr_t)vcpu->interrupts,
    };

    if (!stack)
        guest_fail(guest, "guest/boot", VCPU_STACK_SIZE, 0, "no RAM for the stack of vCPU %u", vcpu->index);
    for (unsigned int i = 0; i < START_TRIES; i++) {
        gate_call(GATE_START_VCPU, (uint64_t)&start, 0, 0);
        if (wait_online(vcpu))
            return;
    }
    guest_fail(guest, "guest/boot", 1, 0, "vCPU %u with APIC id %u does not start", vcpu->index, vcpu->apic_id);
}

void vcpus_open(struct guest *guest)
{
    for (uint32_t i = 0; i < guest->config.vcpus; i++)
        make_vcpu(guest, i);
    gate_call(GATE_SET_VCPU, (uint64_t)guest->vcpu[0], (uint64_t)guest->vcpu[0]->interrupts, 0);
    for (uint32_t i = 1; i < guest->config.vcpus; i++)
        start_vcpu(guest, guest->vcpu[i]);
}

/* Between any two steps. */
static void between_steps(struct vcpu *vcpu)
{
    clock_sample(vcpu);
    if (__atomic_load_n(&vcpu->guest->stopped, __ATOMIC_RELAXED))
        guest_halt();
}

static bool step_devices(struct vcpu *vcpu)
{
    bool busy = false;

    for (struct device_work *work = vcpu->work; work; work = work->next) {
        busy |= work->workload->step(vcpu, work);
        between_steps(vcpu);
    }
    return busy;
}

static bool step_all(struct vcpu *vcpu)
{
    bool busy = step_devices(vcpu);

    busy |= memory_step(vcpu);
    between_steps(vcpu);
    busy |= cpu_step(vcpu);
    between_steps(vcpu);
    return busy;
}

static void poll_request(struct vcpu *vcpu)
{
    struct guest *guest = vcpu->guest;

    if (vcpu->index != 0 || vcpu->clock.last_tsc < vcpu->poll_at)
        return;
    vcpu->poll_at = vcpu->clock.last_tsc + scale(POLL_MS, guest->config.tsc_hz, 1000);
    if (guest_asked_to_finish(guest))
        __atomic_store_n(&guest->finishing, true, __ATOMIC_RELEASE);
}

static bool is_drained(struct vcpu *vcpu)
{
    for (const struct device_work *work = vcpu->work; work; work = work->next) {
        if (!work->workload->is_drained(work))
            return false;
    }
    return true;
}

static void finish(struct vcpu *vcpu)
{
    struct guest *guest = vcpu->guest;

    while (!is_drained(vcpu))
        step_devices(vcpu);
    while (memory_verify(vcpu))
        between_steps(vcpu);
    for (struct device_work *work = vcpu->work; work; work = work->next) {
        if (work->workload->finish)
            work->workload->finish(work);
    }
    clock_finish(vcpu);
    __atomic_add_fetch(&guest->vcpus_finished, 1, __ATOMIC_ACQ_REL);
    if (vcpu->index != 0)
        guest_halt();
    while (__atomic_load_n(&guest->vcpus_finished, __ATOMIC_ACQUIRE) != guest->config.vcpus) {
        between_steps(vcpu);
        processor_pause();
    }
}

_Noreturn void vcpu_work(struct vcpu *vcpu)
{
    struct guest *guest = vcpu->guest;

    cpu_start(vcpu);
    clock_start(vcpu);
    while (!__atomic_load_n(&guest->finishing, __ATOMIC_ACQUIRE)) {
        if (!step_all(vcpu))
            processor_pause();
        poll_request(vcpu);
    }
    finish(vcpu);
    for (struct device_work *work = guest->work; work; work = work->next_of_all) {
        if (work->workload->close)
            work->workload->close(work);
    }
    guest_done(guest);
}
