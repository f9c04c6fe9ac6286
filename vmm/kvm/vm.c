/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "lib/io.h"
#include "vmm/kvm/vm_private.h"

struct need {
    unsigned long capability;
    const char *name;
};

int vm_open_kvm(struct error *error)
{
    int fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);

    if (fd >= 0)
        return fd;
    if (errno == ENOENT)
        return error_set(error, ENOENT,
                         "cannot open /dev/kvm; load the module (modprobe kvm_intel, or kvm_amd) and see that "
                         "virtualization is turned on in the firmware, or in the hypervisor that runs this host");
    if (errno == EACCES || errno == EPERM)
        return error_set(error, errno,
                         "cannot open /dev/kvm; run as root, or let the user join the group that owns it "
                         "(usermod -aG kvm USER, then log in again)");
    return error_set(error, errno, "cannot open /dev/kvm");
}

static int check_needs(struct vm *vm, const struct need *needs, size_t count, struct error *error)
{
    for (size_t i = 0; i < count; i++)
        if (vm_extension(vm, needs[i].capability) <= 0)
            return error_set(error, EOPNOTSUPP, "this host's KVM has no %s, which stopcopy needs", needs[i].name);
    return 0;
}

static int check_capabilities(struct vm *vm, struct error *error)
{
    static const struct need common[] = {
        {KVM_CAP_USER_MEMORY, "KVM_CAP_USER_MEMORY"},       {KVM_CAP_IRQCHIP, "KVM_CAP_IRQCHIP"},
        {KVM_CAP_IRQ_ROUTING, "KVM_CAP_IRQ_ROUTING"},       {KVM_CAP_IRQFD, "KVM_CAP_IRQFD"},
        {KVM_CAP_IOEVENTFD, "KVM_CAP_IOEVENTFD"},           {KVM_CAP_SIGNAL_MSI, "KVM_CAP_SIGNAL_MSI"},
        {KVM_CAP_IMMEDIATE_EXIT, "KVM_CAP_IMMEDIATE_EXIT"}, {KVM_CAP_MP_STATE, "KVM_CAP_MP_STATE"},
    };
    int vcpus_max;

    if (check_needs(vm, common, sizeof(common) / sizeof(common[0]), error) < 0)
        return -1;
    vcpus_max = vm_extension(vm, KVM_CAP_MAX_VCPUS);
    if (vcpus_max > 0 && vm->config.vcpus > (unsigned int)vcpus_max)
        return error_set(error, EINVAL, "%u vCPUs were asked for, and this host's KVM has room for %d",
                         vm->config.vcpus, vcpus_max);
    return 0;
}

static int create_vm(struct vm *vm, struct error *error)
{
    int version = ioctl(vm->kvm_fd, KVM_GET_API_VERSION, 0);

    if (version != KVM_API_VERSION)
        return error_set(error, EOPNOTSUPP, "/dev/kvm has API version %d; this program knows %d", version,
                         KVM_API_VERSION);
    do
        vm->fd = ioctl(vm->kvm_fd, KVM_CREATE_VM, 0);
    while (vm->fd < 0 && errno == EINTR);
    if (vm->fd < 0 && errno == EBUSY)
        return error_set(error, EBUSY, "KVM_CREATE_VM; does another hypervisor hold the processor's virtualization?");
    if (vm->fd < 0)
        return error_set(error, errno, "KVM_CREATE_VM");
    return check_capabilities(vm, error);
}

static int create_vcpu(struct vm *vm, unsigned int index, struct error *error)
{
    struct vcpu *vcpu = &vm->vcpu[index];

    *vcpu = (struct vcpu){.vm = vm, .index = index, .fd = -1, .run = MAP_FAILED};
    vm->vcpu_count = index + 1;
    vcpu->fd = ioctl(vm->fd, KVM_CREATE_VCPU, (unsigned long)index);
    if (vcpu->fd < 0)
        return error_set(error, errno, "vCPU %u: KVM_CREATE_VCPU", index);
    vcpu->run = mmap(NULL, vm->run_size, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu->fd, 0);
    if (vcpu->run == MAP_FAILED)
        return error_set(error, errno, "vCPU %u: mapping struct kvm_run", index);
    if (arch_vcpu_init(vcpu, error) < 0)
        return error_prefix(error, "vCPU %u", index);
    return vcpu_start(vcpu, error);
}

static int allocate_routes(struct vm *vm, struct error *error)
{
    int limit = vm_extension(vm, KVM_CAP_IRQ_ROUTING);

    if (limit > VM_ROUTES_MAX)
        limit = VM_ROUTES_MAX;
    if (limit <= VM_PIN_ROUTES_MAX)
        return error_set(error, EOPNOTSUPP, "this host's KVM has room for %d interrupt routes only", limit);
    /* Both the GSIs and the entries are bounded by the limit. */
    vm->route_limit = (unsigned int)limit - VM_PIN_ROUTES_MAX;
    vm->route = calloc(vm->route_limit, sizeof(*vm->route));
    vm->routing = calloc(1, sizeof(*vm->routing) + (size_t)limit * sizeof(vm->routing->entries[0]));
    if (!vm->route || !vm->routing)
        return error_set(error, ENOMEM, "a table of %d interrupt routes", limit);
    return 0;
}

static int build(struct vm *vm, struct error *error)
{
    int run_size;

    if (vm->config.kvm_fd > 0) {
        vm->kvm_fd = fcntl(vm->config.kvm_fd, F_DUPFD_CLOEXEC, 3);
        if (vm->kvm_fd < 0)
            error_set(error, errno, "/dev/kvm");
    } else {
        vm->kvm_fd = vm_open_kvm(error);
    }
    if (vm->kvm_fd < 0 || create_vm(vm, error) < 0)
        return -1;
    run_size = ioctl(vm->kvm_fd, KVM_GET_VCPU_MMAP_SIZE, 0);
    if (run_size < (int)sizeof(struct kvm_run))
        return error_set(error, run_size < 0 ? errno : EINVAL, "KVM_GET_VCPU_MMAP_SIZE is %d", run_size);
    vm->run_size = (size_t)run_size;
    if (allocate_routes(vm, error) < 0 || arch_vm_init(vm, error) < 0)
        return -1;
    for (unsigned int i = 0; i < vm->config.vcpus; i++)
        if (create_vcpu(vm, i, error) < 0)
            return -1;
    return 0;
}

struct vm *vm_new(const struct vm_config *config, struct error *error)
{
    struct vm *vm;

    if (config->vcpus < 1 || config->vcpus > VM_VCPUS_MAX) {
        error_set(error, EINVAL, "%u vCPUs: there can be 1 to %d", config->vcpus, VM_VCPUS_MAX);
        return NULL;
    }
    vm = calloc(1, sizeof(*vm));
    if (!vm) {
        error_set(error, ENOMEM, "a VM");
        return NULL;
    }
    vm->config = *config;
    vm->kvm_fd = -1;
    vm->fd = -1;
    vm->vfio_fd = -1;
    for (unsigned int pin = 0; pin < VM_IOAPIC_PINS; pin++)
        vm->holder[pin] = (struct vm_line_holder){.eventfd = -1, .resample = -1};
    pthread_mutex_init(&vm->lock, NULL);
    pthread_mutex_init(&vm->slots_lock, NULL);
    pthread_mutex_init(&vm->routes_lock, NULL);
    pthread_cond_init(&vm->changed, NULL);
    if (build(vm, error) == 0)
        return vm;
    vm_free(vm);
    return NULL;
}

void vm_free(struct vm *vm)
{
    if (!vm)
        return;
    vcpu_stop_all(vm);
    for (unsigned int i = 0; i < vm->vcpu_count; i++) {
        struct vcpu *vcpu = &vm->vcpu[i];

        arch_vcpu_free(vcpu);
        if (vcpu->run != MAP_FAILED)
            munmap(vcpu->run, vm->run_size);
        io_close(&vcpu->fd);
    }
    for (unsigned int pin = 0; pin < VM_IOAPIC_PINS; pin++) {
        io_close(&vm->holder[pin].eventfd);
        io_close(&vm->holder[pin].resample);
    }
    arch_vm_free(vm);
    io_close(&vm->vfio_fd);
    io_close(&vm->fd);
    io_close(&vm->kvm_fd);
    free(vm->route);
    free(vm->routing);
    pthread_cond_destroy(&vm->changed);
    pthread_mutex_destroy(&vm->routes_lock);
    pthread_mutex_destroy(&vm->slots_lock);
    pthread_mutex_destroy(&vm->lock);
    free(vm);
}

int vm_extension(struct vm *vm, unsigned long capability)
{
    int value = ioctl(vm->fd, KVM_CHECK_EXTENSION, capability);

    return value < 0 ? 0 : value;
}
