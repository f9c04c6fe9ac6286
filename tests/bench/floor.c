/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The floor of a switchover: two processes with the same machine, the same RAM and the same devices as `stopcopy migrate --ram
 * share` has, and between the pause and the resume the ioctls and the device messages that must be, in a straight line, and
 * nothing else. No stream, no checks, no report. The machines are built by the same library before the clock starts.
 *
 *     floor [--memory MIB] [--vcpus N] [--runs N] [--at-ops N] [--device SPEC] --image FILE --device-program FILE
 *
 * Writes a line "downtime_ns blackout_ns" for each run, and why where a run fails.
 */
#include <errno.h>
#include <getopt.h>
#include <linux/futex.h>
#include <linux/kvm.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "lib/deadline.h"
#include "lib/io.h"
#include "vmm/board/machine.h"
#include "vmm/cmd/device_spec.h"
#include "vmm/kvm/x86/x86_private.h"
#include "vmm/vfio/migration.h"

#define KICK SIGUSR1
#define TIMEOUT_MS 20000u
#define XSAVE_MAX 8192
#define DEVICE_DATA_MAX (64u << 20)

struct options {
    uint64_t memory_mib, vcpus, runs, at_ops;
    const char *device, *image, *device_program;
};

_Noreturn static void die(const char *what)
{
    fprintf(stderr, "floor: %s: %s\n", what, strerror(errno));
    _exit(1);
}

_Noreturn static void die_of(const struct error *error)
{
    fprintf(stderr, "floor: %s\n", error->text);
    _exit(1);
}

static void must(int result, const char *what)
{
    if (result < 0)
        die(what);
}

/* One vCPU and the thread that runs it. */
enum lane_state {
    LANE_PARKED,
    LANE_WARMS,
    LANE_RUNS,
};

struct lane {
    struct vcpu *vcpu;
    pthread_t thread;
    atomic_int state;
    _Atomic uint64_t entered_ns;
    struct x86_msrs late; /* set by the thread before it enters */
};

static void lane_wait(struct lane *lane, int value)
{
    syscall(SYS_futex, &lane->state, FUTEX_WAIT_PRIVATE, value, NULL, NULL, 0);
}

static void lane_set(struct lane *lane, int value)
{
    atomic_store(&lane->state, value);
    syscall(SYS_futex, &lane->state, FUTEX_WAKE_PRIVATE, INT32_MAX, NULL, NULL, 0);
}

static void dispatch(struct vcpu *vcpu)
{
    const struct vm_config *config = &vcpu->vm->config;
    struct kvm_run *run = vcpu->run;

    if (run->exit_reason == KVM_EXIT_MMIO && run->mmio.is_write)
        config->bus.mmio_write(config->bus_context, run->mmio.phys_addr, run->mmio.data, run->mmio.len);
    else if (run->exit_reason == KVM_EXIT_MMIO)
        config->bus.mmio_read(config->bus_context, run->mmio.phys_addr, run->mmio.data, run->mmio.len);
    else if (run->exit_reason == KVM_EXIT_IO)
        for (uint32_t i = 0; i < run->io.count; i++) {
            uint8_t *data = (uint8_t *)run + run->io.data_offset + i * run->io.size;

            if (run->io.direction == KVM_EXIT_IO_OUT)
                config->bus.port_write(config->bus_context, run->io.port, data, run->io.size);
            else
                config->bus.port_read(config->bus_context, run->io.port, data, run->io.size);
        }
    else if (run->exit_reason != KVM_EXIT_INTR && run->exit_reason != KVM_EXIT_IOAPIC_EOI)
        die("an exit that nobody expects");
}

static void take_kick(void)
{
    struct timespec now = {0};
    sigset_t kick;

    sigemptyset(&kick);
    sigaddset(&kick, KICK);
    sigtimedwait(&kick, NULL, &now);
}

static void run_until_kicked(struct lane *lane)
{
    if (lane->late.header.nmsrs)
        must(ioctl(lane->vcpu->fd, KVM_SET_MSRS, &lane->late), "KVM_SET_MSRS");
    lane->late.header.nmsrs = 0;
    atomic_store(&lane->entered_ns, clock_now_ns());
    for (;;) {
        if (ioctl(lane->vcpu->fd, KVM_RUN, 0) == 0)
            dispatch(lane->vcpu);
        else if (errno == EINTR)
            break;
        else if (errno != EAGAIN)
            die("KVM_RUN");
    }
    take_kick();
}

static void *lane_main(void *argument)
{
    struct lane *lane = argument;

    for (;;) {
        int state = atomic_load(&lane->state);

        if (state == LANE_PARKED) {
            lane_wait(lane, LANE_PARKED);
            continue;
        }
        if (state == LANE_WARMS)
            vcpu_warm(lane->vcpu);
        else
            run_until_kicked(lane);
        lane_set(lane, LANE_PARKED);
    }
    return NULL;
}

static void start_lanes(struct lane *lanes, struct vm *vm)
{
    sigset_t all, before;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    for (unsigned int i = 0; i < vm->vcpu_count; i++) {
        lanes[i] = (struct lane){.vcpu = &vm->vcpu[i]};
        if (pthread_create(&lanes[i].thread, NULL, lane_main, &lanes[i]))
            die("a vCPU's thread");
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

/* As vm_expect_state, by the threads that will run the vCPUs. */
static void warm_lanes(struct lane *lanes, struct vm *vm)
{
    void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    struct error error = ERROR_INIT;
    uint64_t gpa;
    int slot;

    arch_warm_code(page, &gpa);
    slot = vm_map_memory(vm, gpa, 4096, page, false, &error);
    if (slot < 0)
        die_of(&error);
    for (unsigned int i = 0; i < vm->vcpu_count; i++) {
        if (arch_warm_begin(lanes[i].vcpu, &error) < 0)
            die_of(&error);
        lane_set(&lanes[i], LANE_WARMS);
    }
    for (unsigned int i = 0; i < vm->vcpu_count; i++) {
        while (atomic_load(&lanes[i].state) != LANE_PARKED)
            lane_wait(&lanes[i], LANE_WARMS);
        if (arch_warm_end(lanes[i].vcpu, &error) < 0)
            die_of(&error);
    }
    if (vm_unmap_memory(vm, slot, &error) < 0 || arch_expect_state(vm, &error) < 0)
        die_of(&error);
}

static void pause_lanes(struct lane *lanes, unsigned int count)
{
    for (unsigned int i = 0; i < count; i++) {
        arch_vcpu_before_pause(lanes[i].vcpu);
        __atomic_store_n(&lanes[i].vcpu->run->immediate_exit, 1, __ATOMIC_SEQ_CST);
        pthread_kill(lanes[i].thread, KICK);
    }
    for (unsigned int i = 0; i < count; i++)
        while (atomic_load(&lanes[i].state) == LANE_RUNS)
            lane_wait(&lanes[i], LANE_RUNS);
}

/* What goes over for a vCPU. */
struct vcpu_image {
    struct kvm_regs regs;
    struct kvm_sregs sregs;
    struct kvm_mp_state mp_state;
    struct kvm_vcpu_events events;
    struct kvm_lapic_state lapic;
    struct kvm_xcrs xcrs;
    struct kvm_debugregs debugregs;
    struct x86_msrs msrs;
    uint8_t xsave[XSAVE_MAX];
};

static void get_vcpu(struct vcpu *vcpu, struct vcpu_image *image)
{
    uint64_t offset;
    struct kvm_device_attr attribute = {
        .group = KVM_VCPU_TSC_CTRL, .attr = KVM_VCPU_TSC_OFFSET, .addr = (uintptr_t)&offset};

    must(ioctl(vcpu->fd, KVM_GET_MP_STATE, &image->mp_state), "KVM_GET_MP_STATE");
    must(ioctl(vcpu->fd, KVM_GET_VCPU_EVENTS, &image->events), "KVM_GET_VCPU_EVENTS");
    must(ioctl(vcpu->fd, KVM_GET_LAPIC, &image->lapic), "KVM_GET_LAPIC");
    image->regs = vcpu->run->s.regs.regs;
    image->sregs = vcpu->run->s.regs.sregs;
    if (!image->sregs.apic_base) {
        must(ioctl(vcpu->fd, KVM_GET_REGS, &image->regs), "KVM_GET_REGS");
        must(ioctl(vcpu->fd, KVM_GET_SREGS, &image->sregs), "KVM_GET_SREGS");
    }
    must(ioctl(vcpu->fd, KVM_GET_XCRS, &image->xcrs), "KVM_GET_XCRS");
    must(ioctl(vcpu->fd, vcpu->vm->arch->xsave_size > sizeof(struct kvm_xsave) ? KVM_GET_XSAVE2 : KVM_GET_XSAVE,
               image->xsave),
         "KVM_GET_XSAVE");
    must(ioctl(vcpu->fd, KVM_GET_DEBUGREGS, &image->debugregs), "KVM_GET_DEBUGREGS");
    image->msrs = vcpu->vm->arch->msrs;
    must(ioctl(vcpu->fd, KVM_GET_MSRS, &image->msrs), "KVM_GET_MSRS");
    ioctl(vcpu->fd, KVM_GET_DEVICE_ATTR, &attribute);
}

/* Those that name guest memory are for the thread that enters. */
static void split_msrs(struct vcpu *vcpu, struct x86_msrs *msrs, struct x86_msrs *late)
{
    uint32_t left = 0;

    x86_msrs_leave_out(msrs, &vcpu->arch->known.msrs);
    late->header.nmsrs = 0;
    for (uint32_t i = 0; i < msrs->header.nmsrs; i++)
        if (msrs->entries[i].index >> 8 == 0x4b564d && msrs->entries[i].data & 1)
            late->entries[late->header.nmsrs++] = msrs->entries[i];
        else
            msrs->entries[left++] = msrs->entries[i];
    msrs->header.nmsrs = left;
}

static void put_vcpu(struct lane *lane, struct vcpu_image *image)
{
    struct vcpu *vcpu = lane->vcpu;
    struct kvm_sregs2 sregs = {.cr0 = 0};

    memcpy(&sregs, &image->sregs, offsetof(struct kvm_sregs2, flags));
    must(ioctl(vcpu->fd, KVM_SET_SREGS2, &sregs), "KVM_SET_SREGS2");
    must(ioctl(vcpu->fd, KVM_SET_XSAVE, image->xsave), "KVM_SET_XSAVE");
    if (image->mp_state.mp_state == KVM_MP_STATE_RUNNABLE) {
        vcpu->run->s.regs.regs = image->regs;
        vcpu->run->kvm_dirty_regs = KVM_SYNC_X86_REGS;
    } else {
        must(ioctl(vcpu->fd, KVM_SET_REGS, &image->regs), "KVM_SET_REGS");
    }
    split_msrs(vcpu, &image->msrs, &lane->late);
    if (image->msrs.header.nmsrs)
        must(ioctl(vcpu->fd, KVM_SET_MSRS, &image->msrs), "KVM_SET_MSRS");
    must(ioctl(vcpu->fd, KVM_SET_LAPIC, &image->lapic), "KVM_SET_LAPIC");
    must(ioctl(vcpu->fd, KVM_SET_VCPU_EVENTS, &image->events), "KVM_SET_VCPU_EVENTS");
    if (image->mp_state.mp_state != vcpu->arch->known.mp_state.mp_state)
        must(ioctl(vcpu->fd, KVM_SET_MP_STATE, &image->mp_state), "KVM_SET_MP_STATE");
}

static void put(int socket, const void *data, size_t size)
{
    while (size) {
        ssize_t count = write(socket, data, size);

        if (count <= 0)
            die("the other process");
        data = (const char *)data + count;
        size -= (size_t)count;
    }
}

static void take(int socket, void *data, size_t size)
{
    while (size) {
        ssize_t count = read(socket, data, size);

        if (count <= 0)
            die("the other process");
        data = (char *)data + count;
        size -= (size_t)count;
    }
}

/* One process's half. */
struct half {
    const struct options *options;
    int socket;
    struct opened_device opened;
    struct vfio_device *device; /* NULL: none */
    struct machine *machine;
    struct vm *vm;
    struct lane lane[VM_VCPUS_MAX];
    struct vfio_data_session *session;
    void *data;
};

static void open_device(struct half *half)
{
    const struct options *options = half->options;
    struct error error = ERROR_INIT;
    struct device_spec spec;

    if (!options->device)
        return;
    if (device_spec_parse(options->device, &spec, &error) < 0 ||
        device_open(&spec, options->device_program, 20000000000u, &half->opened, &error) < 0)
        die_of(&error);
    device_spec_free(&spec);
    half->device = half->opened.device;
    half->data = malloc(DEVICE_DATA_MAX);
}

static void arc(struct half *half, unsigned int state)
{
    struct error error = ERROR_INIT;

    if (half->device && migration_set_state(half->device, state, &error) < 0)
        die_of(&error);
}

static void build(struct half *half, const struct board *board, const int *fds)
{
    struct error error = ERROR_INIT;

    half->machine = machine_new(board, &half->device, fds, &error);
    if (!half->machine)
        die_of(&error);
    half->vm = machine_vm(half->machine);
    start_lanes(half->lane, half->vm);
}

static void run(struct half *half)
{
    for (unsigned int i = 0; i < half->vm->vcpu_count; i++)
        lane_set(&half->lane[i], LANE_RUNS);
}

static void progress(struct half *half, struct proof_snapshot *snapshot)
{
    if (machine_progress(half->machine, snapshot, NULL) < 0)
        memset(snapshot, 0, sizeof(*snapshot));
}

static void wait_for_work(struct half *half)
{
    struct proof_snapshot *now = malloc(sizeof(*now));
    uint64_t least;

    do {
        poll(NULL, 0, 1);
        progress(half, now);
        least = now->chain_count ? UINT64_MAX : 0;
        for (size_t i = 0; i < now->chain_count; i++)
            least = now->chain[i].operations < least ? now->chain[i].operations : least;
    } while (least < half->options->at_ops);
    free(now);
}

static void boot(struct half *half, struct board *board)
{
    const struct options *options = half->options;
    struct board_wishes wishes = {.memory_size = options->memory_mib << 20,
                                  .vcpus = (unsigned int)options->vcpus,
                                  .seed = 1,
                                  .dma_depth = 16,
                                  .workload_memory_size = 16u << 20,
                                  .workload_memory_rate = 100u << 20};
    struct error error = ERROR_INIT;

    wishes.wanted[WORKLOAD_CLOCK] = true;
    wishes.wanted[WORKLOAD_DMA] = half->device;
    if (board_describe(&wishes, &half->device, half->device ? 1 : 0, board, &error) < 0)
        die_of(&error);
    build(half, board, NULL);
    if (machine_load(half->machine, options->image, &error) < 0 || machine_bind_interrupts(half->machine, &error) < 0)
        die_of(&error);
}

static void send_ram(struct half *half, const struct board *board)
{
    int fds[BOARD_RAM_RANGES_MAX];
    struct iovec part = {(void *)board, sizeof(*board)};
    struct error error = ERROR_INIT;

    for (unsigned int i = 0; i < board->ram_ranges; i++)
        fds[i] = machine_ram_fd(half->machine, i);
    if (io_send(half->socket, &part, 1, fds, board->ram_ranges, deadline_in_ms(TIMEOUT_MS), "the destination", &error) <
        0)
        die_of(&error);
}

/* The device's data goes in the pieces in which it comes, each after its size; 0 ends it. */
static void send_device(struct half *half)
{
    struct error error = ERROR_INIT;
    struct buffer state = BUFFER_INIT;
    enum vfio_data_result result;
    size_t count;

    if (!half->device)
        return;
    half->session = half->device->ops->take_session(half->device);
    do {
        result = half->device->ops->session_read(half->session, half->data, 1u << 20, &count, &error);
        if (result == VFIO_DATA_ERROR)
            die_of(&error);
        if (count) {
            put(half->socket, &count, sizeof(count));
            put(half->socket, half->data, count);
        }
    } while (result == VFIO_DATA_DATA);
    if (machine_get_device_state(half->machine, 0, &state, &error) < 0)
        die_of(&error);
    put(half->socket, &(size_t){0}, sizeof(size_t));
    put(half->socket, &state.size, sizeof(state.size));
    put(half->socket, state.data, state.size);
    buffer_free(&state);
}

static void take_device(struct half *half)
{
    struct error error = ERROR_INIT;
    size_t count;

    if (!half->device)
        return;
    for (;;) {
        take(half->socket, &count, sizeof(count));
        if (!count)
            break;
        take(half->socket, half->data, count);
        if (migration_write_all(half->session, half->data, count, &error) < 0)
            die_of(&error);
    }
    take(half->socket, &count, sizeof(count));
    take(half->socket, half->data, count);
    half->device->ops->session_close(half->session);
    arc(half, VFIO_DEVICE_STATE_STOP);
    if (machine_put_device_state(half->machine, 0, half->data, count, &error) < 0)
        die_of(&error);
}

static void source(struct half *half)
{
    struct board board;
    struct vcpu_image *image = calloc(half->options->vcpus, sizeof(*image));
    struct kvm_clock_data clock = {.flags = 0};
    struct error error = ERROR_INIT;
    uint64_t start;
    char word;

    open_device(half);
    boot(half, &board);
    run(half);
    wait_for_work(half);
    send_ram(half, &board);
    take(half->socket, &word, 1);
    poll(NULL, 0, 20);
    start = clock_now_ns();
    pause_lanes(half->lane, half->vm->vcpu_count);
    arc(half, VFIO_DEVICE_STATE_RUNNING_P2P);
    arc(half, VFIO_DEVICE_STATE_STOP_COPY);
    if (machine_unbind_interrupts(half->machine, &error) < 0)
        die_of(&error);
    must(ioctl(half->vm->fd, KVM_GET_CLOCK, &clock), "KVM_GET_CLOCK");
    for (unsigned int i = 0; i < half->vm->vcpu_count; i++)
        get_vcpu(&half->vm->vcpu[i], &image[i]);
    put(half->socket, &clock, sizeof(clock));
    put(half->socket, image, half->vm->vcpu_count * sizeof(*image));
    send_device(half);
    take(half->socket, &word, 1);
    put(half->socket, "C", 1);
    put(half->socket, &start, sizeof(start));
    take(half->socket, &word, 1);
    _exit(0);
}

static void take_ram(struct half *half)
{
    int fds[BOARD_RAM_RANGES_MAX];
    size_t count = BOARD_RAM_RANGES_MAX;
    struct error error = ERROR_INIT;
    struct board board;
    ssize_t size =
        io_receive(half->socket, &board, sizeof(board), fds, &count, deadline_in_ms(TIMEOUT_MS), "the source", &error);

    if (size < 0)
        die_of(&error);
    take(half->socket, (char *)&board + size, sizeof(board) - (size_t)size);
    build(half, &board, fds);
}

static uint64_t last_entered(const struct half *half)
{
    uint64_t last = 0;

    for (unsigned int i = 0; i < half->vm->vcpu_count; i++) {
        uint64_t entered;

        while ((entered = atomic_load(&half->lane[i].entered_ns)) == 0)
            sched_yield();
        last = entered > last ? entered : last;
    }
    return last;
}

static uint64_t blackout(struct half *half, const struct proof_snapshot *paused)
{
    struct proof_snapshot *now = calloc(1, sizeof(*now));
    struct proof_resume resume = {{0}};
    struct deadline deadline = deadline_in_ms(1000);
    uint64_t ns = 0;

    while (!ns && !deadline_expired(deadline)) {
        nanosleep(&(struct timespec){.tv_nsec = 200000}, NULL);
        progress(half, now);
        if (proof_resume_watch(&resume, paused, now))
            ns = proof_blackout_ns(paused, now);
    }
    free(now);
    return ns;
}

static void destination(struct half *half)
{
    struct vcpu_image *image = calloc(half->options->vcpus, sizeof(*image));
    struct proof_snapshot *paused = calloc(1, sizeof(*paused));
    struct kvm_clock_data clock;
    struct error error = ERROR_INIT;
    uint64_t start, entered;
    char word;

    open_device(half);
    take_ram(half);
    warm_lanes(half->lane, half->vm);
    arc(half, VFIO_DEVICE_STATE_RESUMING);
    if (half->device)
        half->session = half->device->ops->take_session(half->device);
    put(half->socket, "P", 1);
    take(half->socket, &clock, sizeof(clock));
    clock.flags &= KVM_CLOCK_REALTIME;
    must(ioctl(half->vm->fd, KVM_SET_CLOCK, &clock), "KVM_SET_CLOCK");
    take(half->socket, image, half->vm->vcpu_count * sizeof(*image));
    for (unsigned int i = 0; i < half->vm->vcpu_count; i++)
        put_vcpu(&half->lane[i], &image[i]);
    take_device(half);
    put(half->socket, "R", 1);
    progress(half, paused);
    take(half->socket, &word, 1);
    if (machine_bind_interrupts(half->machine, &error) < 0)
        die_of(&error);
    arc(half, VFIO_DEVICE_STATE_RUNNING_P2P);
    arc(half, VFIO_DEVICE_STATE_RUNNING);
    run(half);
    entered = last_entered(half);
    take(half->socket, &start, sizeof(start));
    printf("%llu %llu\n", (unsigned long long)(entered - start), (unsigned long long)blackout(half, paused));
    fflush(stdout);
    put(half->socket, "R", 1);
    _exit(0);
}

static int run_once(const struct options *options)
{
    struct half half[2] = {{.options = options}, {.options = options}};
    int pair[2], failed = 0;
    pid_t process[2];

    must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), "a pair of sockets");
    for (int i = 0; i < 2; i++) {
        process[i] = fork();
        must(process[i], "fork");
        if (process[i] == 0) {
            close(pair[!i]);
            half[i].socket = pair[i];
            alarm(TIMEOUT_MS / 1000);
            if (i)
                destination(&half[i]);
            source(&half[i]);
        }
    }
    close(pair[0]);
    close(pair[1]);
    for (int i = 0; i < 2; i++) {
        int status = 0;

        waitpid(process[i], &status, 0);
        failed |= status != 0;
    }
    return failed;
}

int main(int argc, char **argv)
{
    static const struct option known[] = {
        {"memory", required_argument, NULL, 'm'},         {"vcpus", required_argument, NULL, 'v'},
        {"runs", required_argument, NULL, 'r'},           {"at-ops", required_argument, NULL, 'a'},
        {"device", required_argument, NULL, 'd'},         {"image", required_argument, NULL, 'i'},
        {"device-program", required_argument, NULL, 'p'}, {0}};
    struct options options = {.memory_mib = 256, .vcpus = 1, .runs = 1, .at_ops = 200};
    int key, failed = 0;

    while ((key = getopt_long(argc, argv, "", known, NULL)) != -1) {
        switch (key) {
        case 'm':
            options.memory_mib = strtoull(optarg, NULL, 0);
            break;
        case 'v':
            options.vcpus = strtoull(optarg, NULL, 0);
            break;
        case 'r':
            options.runs = strtoull(optarg, NULL, 0);
            break;
        case 'a':
            options.at_ops = strtoull(optarg, NULL, 0);
            break;
        case 'd':
            options.device = optarg;
            break;
        case 'i':
            options.image = optarg;
            break;
        case 'p':
            options.device_program = optarg;
            break;
        default:
            return 2;
        }
    }
    if (!options.image || options.vcpus < 1 || options.vcpus > VM_VCPUS_MAX)
        return 2;
    for (uint64_t i = 0; i < options.runs; i++)
        failed |= run_once(&options);
    return failed;
}
