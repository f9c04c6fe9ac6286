/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The vCPU threads. Each is parked, or in its run loop. To pause, vm->run is cleared, immediate_exit set, and the
 * thread sent a signal that it has blocked but for the time inside of KVM_RUN (KVM_SET_SIGNAL_MASK). Whether that meets
 * the thread inside or on its way there, KVM_RUN completes the exit under way and answers EINTR, so no wakeup is lost;
 * the signal needs no handler, and no system call of a bus access is interrupted by it.
 */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>

#include "vmm/kvm/vm_private.h"

#define VCPU_KICK_SIGNAL SIGUSR1
/* What a pause waits past its deadline, once. */
#define GRACE_MS 500
#define KICK_TIMEOUT_MS 1000u
#define THROTTLE_SLICE_NS 10000000u

/* The kernel's sigset_t, not the C library's. */
struct kick_mask {
    struct kvm_signal_mask header;
    uint8_t bits[8];
};

static struct timespec deadline_time(struct deadline deadline)
{
    return (struct timespec){
        .tv_sec = (time_t)(deadline.at_ns / 1000000000u),
        .tv_nsec = (long)(deadline.at_ns % 1000000000u),
    };
}

static int allow_kick_in_guest(struct vcpu *vcpu)
{
    uint64_t blocked = ~(1ull << (VCPU_KICK_SIGNAL - 1));
    struct kick_mask mask = {.header.len = sizeof(mask.bits)};

    memcpy((uint8_t *)&mask + offsetof(struct kvm_signal_mask, sigset), &blocked, sizeof(blocked));
    return ioctl(vcpu->fd, KVM_SET_SIGNAL_MASK, &mask);
}

/* Takes the kick off the thread's pending signals, else KVM_RUN would answer EINTR for ever. */
static void take_kick(void)
{
    struct timespec now = {0};
    sigset_t kick;

    sigemptyset(&kick);
    sigaddset(&kick, VCPU_KICK_SIGNAL);
    sigtimedwait(&kick, NULL, &now);
}

static void set_phase(struct vcpu *vcpu, enum vcpu_phase phase)
{
    vcpu->phase = phase;
    pthread_cond_broadcast(&vcpu->vm->changed);
}

/* Parks the vCPU unless it shall run. Asking and parking are one step, so that no vm_resume falls between. */
static bool park_if_asked(struct vcpu *vcpu)
{
    struct vm *vm = vcpu->vm;
    bool asked;

    pthread_mutex_lock(&vm->lock);
    asked = !vm->run || vm->stop;
    if (asked)
        arch_vcpu_parked(vcpu);
    if (asked)
        set_phase(vcpu, VCPU_PARKED);
    pthread_mutex_unlock(&vm->lock);
    return asked;
}

/* String instructions come as several elements at once; each is one access. */
static void dispatch_port(struct vcpu *vcpu)
{
    const struct vm_config *config = &vcpu->vm->config;
    struct kvm_run *run = vcpu->run;
    uint8_t *data = (uint8_t *)run + run->io.data_offset;

    for (uint32_t i = 0; i < run->io.count; i++, data += run->io.size) {
        if (run->io.direction == KVM_EXIT_IO_OUT) {
            config->bus.port_write(config->bus_context, run->io.port, data, run->io.size);
        } else {
            memset(data, 0xff, run->io.size);
            config->bus.port_read(config->bus_context, run->io.port, data, run->io.size);
        }
    }
}

/* KVM gives an access of more than eight bytes in pieces, one exit each. */
static void dispatch_mmio(struct vcpu *vcpu)
{
    const struct vm_config *config = &vcpu->vm->config;
    struct kvm_run *run = vcpu->run;
    size_t size = run->mmio.len <= sizeof(run->mmio.data) ? run->mmio.len : sizeof(run->mmio.data);

    if (run->mmio.is_write) {
        config->bus.mmio_write(config->bus_context, run->mmio.phys_addr, run->mmio.data, size);
    } else {
        memset(run->mmio.data, 0xff, sizeof(run->mmio.data));
        config->bus.mmio_read(config->bus_context, run->mmio.phys_addr, run->mmio.data, size);
    }
}

static int exit_failed(struct vcpu *vcpu, int number, const char *what, struct error *error)
{
    char where[256];

    arch_vcpu_describe(vcpu, where, sizeof(where));
    return error_set(error, number, "vCPU %u: %s (%s)", vcpu->index, what, where);
}

static int handle_exit(struct vcpu *vcpu, struct error *error)
{
    struct kvm_run *run = vcpu->run;
    char text[160];
    int handled;

    switch (run->exit_reason) {
    case KVM_EXIT_IO:
        dispatch_port(vcpu);
        return 0;
    case KVM_EXIT_MMIO:
        dispatch_mmio(vcpu);
        return 0;
    case KVM_EXIT_INTR:
        return 0;
    case KVM_EXIT_SHUTDOWN:
        return exit_failed(vcpu, 0, "the guest shut down: a triple fault", error);
    case KVM_EXIT_FAIL_ENTRY:
        snprintf(text, sizeof(text), "KVM_EXIT_FAIL_ENTRY: the processor refused to enter the guest, reason %#" PRIx64,
                 (uint64_t)run->fail_entry.hardware_entry_failure_reason);
        return exit_failed(vcpu, 0, text, error);
    case KVM_EXIT_INTERNAL_ERROR:
        snprintf(text, sizeof(text), "KVM_EXIT_INTERNAL_ERROR, suberror %" PRIu32 "%s", run->internal.suberror,
                 run->internal.suberror == KVM_INTERNAL_ERROR_EMULATION
                     ? ": KVM could not emulate the guest's instruction"
                     : "");
        return exit_failed(vcpu, 0, text, error);
    default:
        handled = arch_vcpu_exit(vcpu, error);
        if (handled)
            return handled < 0 ? -1 : 0;
        snprintf(text, sizeof(text), "exit reason %" PRIu32 ", which stopcopy does not know", run->exit_reason);
        return exit_failed(vcpu, 0, text, error);
    }
}

/* Kicks this thread once the guest has had its share of time. */
static void arm_throttle(struct vcpu *vcpu)
{
    struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = VCPU_KICK_SIGNAL};
    struct itimerspec slice = {.it_value = {.tv_nsec = THROTTLE_SLICE_NS}};

    event._sigev_un._tid = gettid();
    if (!vcpu->has_throttle_timer && timer_create(CLOCK_MONOTONIC, &event, &vcpu->throttle_timer) < 0)
        return;
    vcpu->has_throttle_timer = true;
    timer_settime(vcpu->throttle_timer, 0, &slice, NULL);
}

/* Outside of the guest: stands still for the vCPU's share of that, unless it is asked to pause. */
static void stand_still(struct vcpu *vcpu)
{
    struct vm *vm = vcpu->vm;
    unsigned int percent;

    pthread_mutex_lock(&vm->lock);
    percent = vm->throttle;
    if (percent) {
        struct timespec until = deadline_time(deadline_in_ns(THROTTLE_SLICE_NS / (100 - percent) * percent));

        while (vm->throttle && vm->run && !vm->stop &&
               pthread_cond_clockwait(&vm->changed, &vm->lock, CLOCK_MONOTONIC, &until) != ETIMEDOUT)
            ;
    }
    pthread_mutex_unlock(&vm->lock);
    if (percent)
        arm_throttle(vcpu);
}

/* Returns 0 when the vCPU was asked to pause and is parked, with no exit under way; -1 when it failed. */
static int run_until_parked(struct vcpu *vcpu, struct error *error)
{
    if (arch_vcpu_before_run(vcpu, error) < 0)
        return error_prefix(error, "vCPU %u", vcpu->index);
    atomic_store(&vcpu->entered_ns, clock_now_ns());
    for (;;) {
        if (ioctl(vcpu->fd, KVM_RUN, 0) == 0) {
            if (handle_exit(vcpu, error) < 0)
                return -1;
            continue;
        }
        /* EAGAIN: a vCPU that waits for INIT or SIPI was woken. */
        if (errno == EAGAIN)
            continue;
        if (errno != EINTR)
            return exit_failed(vcpu, errno, "KVM_RUN", error);
        take_kick();
        if (park_if_asked(vcpu))
            return 0;
        stand_still(vcpu);
    }
}

/* Waits until the vCPU shall run, or be warmed (true), or its thread shall end (false). */
static bool wait_parked(struct vcpu *vcpu, enum vcpu_phase *phase)
{
    struct vm *vm = vcpu->vm;
    bool stop;

    pthread_mutex_lock(&vm->lock);
    while (!vm->stop && vcpu->phase != VCPU_RUNNING && vcpu->phase != VCPU_WARMING)
        pthread_cond_wait(&vm->changed, &vm->lock);
    stop = vm->stop;
    *phase = vcpu->phase;
    pthread_mutex_unlock(&vm->lock);
    return !stop;
}

static void park(struct vcpu *vcpu, enum vcpu_phase phase)
{
    pthread_mutex_lock(&vcpu->vm->lock);
    set_phase(vcpu, phase);
    pthread_mutex_unlock(&vcpu->vm->lock);
}

static void *vcpu_thread(void *argument)
{
    struct vcpu *vcpu = argument;
    struct vm *vm = vcpu->vm;
    enum vcpu_phase phase;
    char name[16];

    snprintf(name, sizeof(name), "vcpu%u", vcpu->index);
    pthread_setname_np(pthread_self(), name);
    while (wait_parked(vcpu, &phase)) {
        struct error error = ERROR_INIT;

        if (phase == VCPU_WARMING) {
            vcpu_warm(vcpu);
            park(vcpu, VCPU_PARKED);
            continue;
        }
        if (run_until_parked(vcpu, &error) == 0)
            continue;
        vm->config.bus.vcpu_failed(vm->config.bus_context, vcpu->index, &error);
        park(vcpu, VCPU_FAILED);
    }
    if (vcpu->has_throttle_timer)
        timer_delete(vcpu->throttle_timer);
    return NULL;
}

/* The thread takes no signals but its own faults': those of the program go to its other threads. */
int vcpu_start(struct vcpu *vcpu, struct error *error)
{
    static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP};
    sigset_t blocked, previous;
    int number;

    if (allow_kick_in_guest(vcpu) < 0)
        return error_set(error, errno, "vCPU %u: KVM_SET_SIGNAL_MASK", vcpu->index);
    sigfillset(&blocked);
    for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++)
        sigdelset(&blocked, faults[i]);
    pthread_sigmask(SIG_SETMASK, &blocked, &previous);
    number = pthread_create(&vcpu->thread, NULL, vcpu_thread, vcpu);
    pthread_sigmask(SIG_SETMASK, &previous, NULL);
    if (number)
        return error_set(error, number, "vCPU %u: making a thread", vcpu->index);
    vcpu->thread_started = true;
    return 0;
}

void vm_throttle(struct vm *vm, unsigned int percent)
{
    pthread_mutex_lock(&vm->lock);
    vm->throttle = percent < VM_THROTTLE_MAX ? percent : VM_THROTTLE_MAX;
    /* Those in the guest come out and stand still from now on; those that do go on where they need not any more. */
    for (unsigned int i = 0; vm->throttle && i < vm->vcpu_count; i++)
        if (vm->vcpu[i].thread_started && vm->vcpu[i].phase == VCPU_RUNNING)
            pthread_kill(vm->vcpu[i].thread, VCPU_KICK_SIGNAL);
    pthread_cond_broadcast(&vm->changed);
    pthread_mutex_unlock(&vm->lock);
}

/* With vm->lock held. */
static void kick_all(struct vm *vm)
{
    for (unsigned int i = 0; i < vm->vcpu_count; i++) {
        struct vcpu *vcpu = &vm->vcpu[i];

        if (!vcpu->thread_started || (vcpu->phase != VCPU_RUNNING && vcpu->phase != VCPU_WARMING))
            continue;
        arch_vcpu_before_pause(vcpu);
        __atomic_store_n(&vcpu->run->immediate_exit, 1, __ATOMIC_SEQ_CST);
        pthread_kill(vcpu->thread, VCPU_KICK_SIGNAL);
    }
    /* Those that stand still. */
    pthread_cond_broadcast(&vm->changed);
}

void vcpu_stop_all(struct vm *vm)
{
    pthread_mutex_lock(&vm->lock);
    vm->stop = true;
    kick_all(vm);
    pthread_cond_broadcast(&vm->changed);
    pthread_mutex_unlock(&vm->lock);
    for (unsigned int i = 0; i < vm->vcpu_count; i++)
        if (vm->vcpu[i].thread_started)
            pthread_join(vm->vcpu[i].thread, NULL);
}

static struct vcpu *find_phase(struct vm *vm, enum vcpu_phase phase)
{
    for (unsigned int i = 0; i < vm->vcpu_count; i++)
        if (vm->vcpu[i].phase == phase)
            return &vm->vcpu[i];
    return NULL;
}

int vm_resume(struct vm *vm, struct error *error)
{
    struct vcpu *failed;

    pthread_mutex_lock(&vm->lock);
    failed = find_phase(vm, VCPU_FAILED);
    if (!failed) {
        for (unsigned int i = 0; i < vm->vcpu_count; i++) {
            arch_vcpu_resumed(&vm->vcpu[i]);
            atomic_store(&vm->vcpu[i].entered_ns, 0);
            __atomic_store_n(&vm->vcpu[i].run->immediate_exit, 0, __ATOMIC_SEQ_CST);
        }
        vm->run = true;
        /* Marked here and not by the threads, so that a pause right after waits for those that have not woken yet. */
        for (unsigned int i = 0; i < vm->vcpu_count; i++)
            vm->vcpu[i].phase = VCPU_RUNNING;
        pthread_cond_broadcast(&vm->changed);
    }
    pthread_mutex_unlock(&vm->lock);
    return failed ? error_set(error, EIO, "vCPU %u has failed and cannot be resumed", failed->index) : 0;
}

uint64_t vm_entered_ns(struct vm *vm, struct deadline deadline)
{
    uint64_t last = 0;

    for (unsigned int i = 0; i < vm->vcpu_count;) {
        uint64_t entered = atomic_load(&vm->vcpu[i].entered_ns);

        if (!entered && deadline_expired(deadline))
            return 0;
        if (!entered) {
            sched_yield();
            continue;
        }
        last = entered > last ? entered : last;
        i++;
    }
    return last;
}

/* With the lock held. Waits until no vCPU is in that phase, or returns one that still is at the deadline. */
static struct vcpu *wait_phase(struct vm *vm, enum vcpu_phase phase, struct deadline deadline)
{
    struct timespec at = deadline_time(deadline);
    struct vcpu *vcpu;
    bool late = false;
    int number = 0;

    while ((vcpu = find_phase(vm, phase)) && !(late && number == ETIMEDOUT)) {
        /* Where the whole process was stopped over the deadline, its vCPU threads had no time either. */
        if (number == ETIMEDOUT) {
            late = true;
            at = deadline_time(deadline_in_ms(GRACE_MS));
        }
        number = pthread_cond_clockwait(&vm->changed, &vm->lock, CLOCK_MONOTONIC, &at);
    }
    return vcpu;
}

int vcpu_run_phase(struct vm *vm, enum vcpu_phase phase, struct deadline deadline, struct error *error)
{
    struct vcpu *late;

    pthread_mutex_lock(&vm->lock);
    for (unsigned int i = 0; i < vm->vcpu_count; i++)
        vm->vcpu[i].phase = phase;
    pthread_cond_broadcast(&vm->changed);
    late = wait_phase(vm, phase, deadline);
    if (late) {
        kick_all(vm);
        late = wait_phase(vm, phase, deadline_in_ms(KICK_TIMEOUT_MS));
    }
    pthread_mutex_unlock(&vm->lock);
    return late ? error_set(error, ETIMEDOUT, "vCPU %u does not come back from KVM_RUN", late->index) : 0;
}

int vm_pause(struct vm *vm, struct deadline deadline, struct error *error)
{
    struct vcpu *running;

    pthread_mutex_lock(&vm->lock);
    vm->run = false;
    kick_all(vm);
    running = wait_phase(vm, VCPU_RUNNING, deadline);
    pthread_mutex_unlock(&vm->lock);
    if (running)
        return error_set(error, ETIMEDOUT,
                         "vCPU %u did not pause in time; it is inside of KVM_RUN or of a device access (exit reason "
                         "%" PRIu32 ")",
                         running->index, __atomic_load_n(&running->run->exit_reason, __ATOMIC_RELAXED));
    return 0;
}

int vm_check_paused(struct vm *vm, struct error *error)
{
    struct vcpu *running;

    pthread_mutex_lock(&vm->lock);
    running = find_phase(vm, VCPU_RUNNING);
    pthread_mutex_unlock(&vm->lock);
    return running ? error_set(error, EBUSY, "vCPU %u is running: pause it before its state is read or written",
                               running->index)
                   : 0;
}
