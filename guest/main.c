/* SPDX-License-Identifier: GPL-2.0-or-later */
/* From the first instruction at CPL 3 to the workloads. */
#include <libfdt.h>

#include "guest/boot/calibrate.h"
#include "guest/guest.h"
#include "guest/workloads/device_work.h"

static struct guest the_guest; /* handed on from here as a pointer */

#define TREE_HEADER_SIZE 64
#define TREE_SIZE_MAX (16u << 20)

static void read_tree(struct guest *guest, uint64_t tree)
{
    struct config *config = &guest->config;

    if (gate_call(GATE_MAP, tree, TREE_HEADER_SIZE, GATE_MAP_RAM) || fdt_totalsize((void *)tree) > TREE_SIZE_MAX ||
        gate_call(GATE_MAP, tree, fdt_totalsize((void *)tree), GATE_MAP_RAM))
        config_fail(config, "the device tree at %#lx cannot be read", tree);
    else
        config_from_tree(config, &guest->ram, (const void *)tree);
}

static void read_config(struct guest *guest, uint64_t tree, uint64_t start_info)
{
    struct config *config = &guest->config;

    /* Until it is known better: so that a failure on the way can be told. */
    console_open(&guest->console, GUEST_SERIAL_PORT);
    config->test_port = tree ? GUEST_TEST_PORT : 0;
    if (tree)
        read_tree(guest, tree);
    else
        config_from_start_info(config, &guest->ram, start_info);
    if (config->serial_port && config->serial_port != GUEST_SERIAL_PORT)
        console_open(&guest->console, config->serial_port);
    if (config->error[0] || config_check(config) < 0 || calibrate(config) < 0)
        guest_fail(guest, "guest/boot", 0, 0, "%s", config->error);
    if (config->tsc_hz < 1000000 || config->apic_timer_hz < 1000)
        guest_fail(guest, "guest/boot", config->tsc_hz, config->apic_timer_hz, "clock rates that cannot be");
}

/* Where the VMM says, or where there is room. */
static void open_progress(struct guest *guest)
{
    uint64_t address = guest->config.progress_address;
    struct progress_area *progress;

    if (!address) {
        progress = ram_allocate_zeroed(&guest->ram, PROGRESS_SIZE);
    } else {
        progress = gate_call(GATE_MAP, address, PROGRESS_SIZE, GATE_MAP_RAM) ? NULL : (struct progress_area *)address;
    }
    if (!progress)
        guest_fail(guest, "guest/boot", PROGRESS_SIZE, 0, "no RAM for the progress area");
    progress->version = PROGRESS_VERSION;
    progress->state = PROGRESS_BOOTING;
    progress->vcpus = guest->config.vcpus;
    progress->chains = 0;
    progress->tsc_hz = guest->config.tsc_hz;
    __atomic_store_n(&progress->magic, PROGRESS_MAGIC, __ATOMIC_RELEASE);
    guest->progress = progress;
}

static void open_pci(struct guest *guest)
{
    const struct config *config = &guest->config;

    guest->pci = (struct pci_host){.ecam = config->ecam, .ecam_size = config->ecam_size};
    if (config->ecam && gate_call(GATE_MAP, config->ecam, config->ecam_size, GATE_MAP_DEVICE))
        guest_fail(guest, "guest/boot", 0, config->ecam, "the ECAM cannot be mapped");
}

/* In the order in which they lead (stopcopy/workload.h), which chain_open() relies on. */
static void open_workloads(struct guest *guest)
{
    uint32_t vcpus = guest->config.vcpus;

    for (size_t i = 0; device_workloads[i]; i++)
        device_work_open(guest, device_workloads[i]);
    for (uint32_t i = 0; i < vcpus; i++)
        memory_open(guest->vcpu[i]);
    for (uint32_t i = 0; i < vcpus; i++)
        cpu_open(guest->vcpu[i]);
    for (uint32_t i = 0; i < vcpus; i++)
        clock_open(guest->vcpu[i]);
    if (guest->progress->chains == 0)
        guest_fail(guest, "guest/boot", 1, 0, "nothing to do: the workloads asked for have no device");
}

_Noreturn void user_boot(uint64_t tree, uint64_t start_info)
{
    struct guest *guest = &the_guest;

    read_config(guest, tree, start_info);
    open_progress(guest);
    vcpus_open(guest);
    open_pci(guest);
    open_workloads(guest);
    console_print(&guest->console, "stopcopy-guest: %u vCPUs, %u chains", guest->config.vcpus, guest->progress->chains);
    __atomic_store_n(&guest->progress->state, PROGRESS_RUNNING, __ATOMIC_RELEASE);
    guest_tell(guest, GUEST_TEST_READY);
    __atomic_store_n(&guest->running, true, __ATOMIC_RELEASE);
    vcpu_work(guest->vcpu[0]);
}

_Noreturn void exception_entry(void *vcpu, const struct exception_record *record)
{
    const struct vcpu *at = vcpu;

    guest_fail(&the_guest, "guest/exception", 0, record->vector,
               "vector %lu on vCPU %u at CPL %lu: rip %#lx, cr2 %#lx, error code %#lx", record->vector,
               at ? at->index : 0, record->cpl, record->rip, record->cr2, record->error_code);
}
