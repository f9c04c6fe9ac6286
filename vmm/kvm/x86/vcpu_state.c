/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The state of a vCPU. The sections carry the structures of asm/kvm.h, whose layout is the ABI, with their padding zero
 * (and refused where it is not); XCR0, the MSRs, the TSC and the MP state have layouts of their own.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>

#include "vmm/kvm/state_record.h"
#include "vmm/kvm/x86/x86_private.h"

#define VCPU_RECORD_MAGIC 0x50435643u /* "CVCP" */

#define XSAVE_XMM3 (160 + 3 * 16)
#define XSAVE_XSTATE_BV 512
#define XSAVE_XCOMP_BV 520
#define XSAVE_HEADER_END 576
#define APIC_SPURIOUS 0xf0
#define APIC_SOFTWARE_ENABLED (1u << 8)
#define EFER_LMA (1u << 10)
#define APIC_BASE_ADDRESS 0xfee00000ull
#define APIC_BASE_ADDRESS_MASK 0xfffffffffffff000ull

enum vcpu_section {
    SECTION_REGS,
    SECTION_SREGS,
    SECTION_XCR0,
    SECTION_XSAVE,
    SECTION_DEBUGREGS,
    SECTION_MSRS,
    SECTION_TSC,
    SECTION_LAPIC,
    SECTION_EVENTS,
    SECTION_MP_STATE,
    SECTIONS,
};

static const struct state_section_kind kinds[SECTIONS] = {
    [SECTION_REGS] = {"regs", sizeof(struct kvm_regs), sizeof(struct kvm_regs), false},
    [SECTION_SREGS] = {"sregs", sizeof(struct kvm_sregs2), sizeof(struct kvm_sregs2), false},
    [SECTION_XCR0] = {"xcr0", sizeof(uint64_t), sizeof(uint64_t), true},
    [SECTION_XSAVE] = {"xsave", sizeof(struct kvm_xsave), 1u << 20, false},
    [SECTION_DEBUGREGS] = {"debugregs", sizeof(struct kvm_debugregs), sizeof(struct kvm_debugregs), false},
    [SECTION_MSRS] = {"msrs", 0, X86_MSRS_MAX * sizeof(struct kvm_msr_entry), false},
    [SECTION_TSC] = {"tsc", sizeof(struct x86_tsc_state), sizeof(struct x86_tsc_state), false},
    [SECTION_LAPIC] = {"lapic", sizeof(struct kvm_lapic_state), sizeof(struct kvm_lapic_state), false},
    [SECTION_EVENTS] = {"events", sizeof(struct kvm_vcpu_events), sizeof(struct kvm_vcpu_events), false},
    [SECTION_MP_STATE] = {"mp_state", sizeof(struct kvm_mp_state), sizeof(struct kvm_mp_state), false},
};

/* A vCPU's state, but for what lies in vcpu->arch: XSAVE and MSRs. */
struct vcpu_state {
    struct kvm_regs regs;
    struct kvm_sregs2 sregs;
    struct kvm_xcrs xcrs;
    struct kvm_debugregs debugregs;
    struct x86_tsc_state tsc;
    struct kvm_lapic_state lapic;
    struct kvm_vcpu_events events;
    struct kvm_mp_state mp_state;
    uint64_t xcr0;
    bool has_xcr0;
    size_t xsave_size;
    uint64_t tsc_deadline;
};

static int vcpu_ioctl(struct vcpu *vcpu, unsigned long request, void *argument, const char *name, struct error *error)
{
    if (ioctl(vcpu->fd, request, argument) < 0)
        return error_set(error, errno, "%s", name);
    return 0;
}
#define VCPU_IOCTL(vcpu, request, argument, error) vcpu_ioctl(vcpu, request, argument, #request, error)

/* struct kvm_sregs2 begins as struct kvm_sregs does; what differs comes after apic_base. */
#define SREGS_COMMON offsetof(struct kvm_sregs2, flags)
_Static_assert(offsetof(struct kvm_sregs, interrupt_bitmap) == SREGS_COMMON, "sregs and sregs2 begin alike");

static int get_sregs(struct vcpu *vcpu, struct kvm_sregs2 *sregs2, struct error *error)
{
    struct kvm_sregs sregs;

    if (vcpu->vm->arch->has_sregs2)
        return VCPU_IOCTL(vcpu, KVM_GET_SREGS2, sregs2, error);
    if (VCPU_IOCTL(vcpu, KVM_GET_SREGS, &sregs, error) < 0)
        return -1;
    memcpy(sregs2, &sregs, SREGS_COMMON);
    return 0;
}

static int put_sregs(struct vcpu *vcpu, struct kvm_sregs2 *sregs2, struct error *error)
{
    struct kvm_sregs sregs = {.cr0 = 0};

    if (vcpu->vm->arch->has_sregs2)
        return VCPU_IOCTL(vcpu, KVM_SET_SREGS2, sregs2, error);
    /* An interrupt that is being injected goes with the events. */
    memcpy(&sregs, sregs2, SREGS_COMMON);
    return VCPU_IOCTL(vcpu, KVM_SET_SREGS, &sregs, error);
}

static int get_xsave(struct vcpu *vcpu, struct error *error)
{
    size_t size = vcpu->vm->arch->xsave_size;

    if (size > sizeof(struct kvm_xsave))
        return VCPU_IOCTL(vcpu, KVM_GET_XSAVE2, vcpu->arch->xsave, error);
    return VCPU_IOCTL(vcpu, KVM_GET_XSAVE, vcpu->arch->xsave, error);
}

static int get_xcr0(struct vcpu *vcpu, struct vcpu_state *state, struct error *error)
{
    if (!vcpu->vm->arch->has_xcrs)
        return 0;
    if (VCPU_IOCTL(vcpu, KVM_GET_XCRS, &state->xcrs, error) < 0)
        return -1;
    state->has_xcr0 = state->xcrs.nr_xcrs == 1 && state->xcrs.xcrs[0].xcr == 0;
    state->xcr0 = state->xcrs.xcrs[0].value;
    return 0;
}

/*
 * Are the registers that KVM stored when the vCPU parked still its own? An INIT that came later resets them, and turns the
 * local APIC off, which is how it shows. The PDPTRs of PAE paging are in sregs2 alone.
 */
static bool registers_are_synced(const struct vcpu *vcpu, const struct kvm_lapic_state *lapic)
{
    const struct kvm_sregs *sregs = &vcpu->run->s.regs.sregs;
    uint32_t spurious;

    memcpy(&spurious, lapic->regs + APIC_SPURIOUS, sizeof(spurious));
    return vcpu->arch->synced && spurious & APIC_SOFTWARE_ENABLED && sregs->efer & EFER_LMA;
}

static int get_registers(struct vcpu *vcpu, struct vcpu_state *state, struct error *error)
{
    const struct kvm_run *run = vcpu->run;

    if (registers_are_synced(vcpu, &state->lapic)) {
        state->regs = run->s.regs.regs;
        memcpy(&state->sregs, &run->s.regs.sregs, SREGS_COMMON);
        return 0;
    }
    if (get_sregs(vcpu, &state->sregs, error) < 0)
        return -1;
    /* What was put and waits for the next entry is the vCPU's state just as well. */
    if (run->kvm_dirty_regs & KVM_SYNC_X86_REGS)
        state->regs = run->s.regs.regs;
    else
        return VCPU_IOCTL(vcpu, KVM_GET_REGS, &state->regs, error);
    return 0;
}

/* KVM_GET_MP_STATE takes a pending INIT or SIPI, and KVM_GET_VCPU_EVENTS a pending NMI, so they come before the rest.
 */
static int get_all(struct vcpu *vcpu, struct vcpu_state *state, struct error *error)
{
    if (VCPU_IOCTL(vcpu, KVM_GET_MP_STATE, &state->mp_state, error) < 0 ||
        VCPU_IOCTL(vcpu, KVM_GET_VCPU_EVENTS, &state->events, error) < 0 ||
        VCPU_IOCTL(vcpu, KVM_GET_LAPIC, &state->lapic, error) < 0 || get_registers(vcpu, state, error) < 0 ||
        get_xcr0(vcpu, state, error) < 0 || get_xsave(vcpu, error) < 0 ||
        VCPU_IOCTL(vcpu, KVM_GET_DEBUGREGS, &state->debugregs, error) < 0 || x86_msrs_get(vcpu, error) < 0)
        return -1;
    return x86_tsc_get(vcpu, &state->tsc, error);
}

static struct kvm_segment *segment_of(struct kvm_sregs2 *sregs, unsigned int i)
{
    struct kvm_segment *segments[] = {&sregs->cs, &sregs->ds, &sregs->es, &sregs->fs,
                                      &sregs->gs, &sregs->ss, &sregs->tr, &sregs->ldt};

    return i < sizeof(segments) / sizeof(segments[0]) ? segments[i] : NULL;
}

static void clear_padding(struct vcpu_state *state)
{
    struct kvm_segment *segment;

    for (unsigned int i = 0; (segment = segment_of(&state->sregs, i)); i++)
        segment->padding = 0;
    memset(state->sregs.gdt.padding, 0, sizeof(state->sregs.gdt.padding));
    memset(state->sregs.idt.padding, 0, sizeof(state->sregs.idt.padding));
    memset(state->debugregs.reserved, 0, sizeof(state->debugregs.reserved));
    memset(state->events.reserved, 0, sizeof(state->events.reserved));
    state->events.nmi.pad = 0;
}

static void write_record(struct vcpu *vcpu, const struct vcpu_state *state, struct state_writer *writer)
{
    const struct x86_msrs *msrs = &vcpu->arch->msrs;

    state_record_add(writer, SECTION_REGS, &state->regs, sizeof(state->regs));
    state_record_add(writer, SECTION_SREGS, &state->sregs, sizeof(state->sregs));
    if (state->has_xcr0)
        state_record_add(writer, SECTION_XCR0, &state->xcr0, sizeof(state->xcr0));
    state_record_add(writer, SECTION_XSAVE, vcpu->arch->xsave, vcpu->vm->arch->xsave_size);
    state_record_add(writer, SECTION_DEBUGREGS, &state->debugregs, sizeof(state->debugregs));
    state_record_add(writer, SECTION_MSRS, msrs->entries, msrs->header.nmsrs * sizeof(msrs->entries[0]));
    state_record_add(writer, SECTION_TSC, &state->tsc, sizeof(state->tsc));
    state_record_add(writer, SECTION_LAPIC, &state->lapic, sizeof(state->lapic));
    state_record_add(writer, SECTION_EVENTS, &state->events, sizeof(state->events));
    state_record_add(writer, SECTION_MP_STATE, &state->mp_state, sizeof(state->mp_state));
}

static struct vcpu *paused_vcpu(struct vm *vm, unsigned int index, struct error *error)
{
    if (index >= vm->vcpu_count) {
        error_set(error, EINVAL, "vCPU %u, and there are %u", index, vm->vcpu_count);
        return NULL;
    }
    return vm_check_paused(vm, error) < 0 ? NULL : &vm->vcpu[index];
}

int vm_vcpu_get_state(struct vm *vm, unsigned int index, struct buffer *record, struct error *error)
{
    struct vcpu *vcpu = paused_vcpu(vm, index, error);
    struct vcpu_state state = {.has_xcr0 = false};
    struct state_writer writer;

    if (!vcpu)
        return -1;
    if (get_all(vcpu, &state, error) < 0)
        return error_prefix(error, "vCPU %u: reading its state", index);
    clear_padding(&state);
    state_record_begin(&writer, record, VCPU_RECORD_MAGIC, index,
                       sizeof(state) + vm->arch->xsave_size + sizeof(struct x86_msrs) + STATE_RECORD_HEADER_SIZE +
                           SECTIONS * STATE_SECTION_HEADER_SIZE);
    write_record(vcpu, &state, &writer);
    return state_record_end(&writer, error);
}

static bool all_zero(const void *data, size_t size)
{
    const uint8_t *bytes = data;

    for (size_t i = 0; i < size; i++)
        if (bytes[i])
            return false;
    return true;
}

static int bad(struct error *error, enum vcpu_section section, const char *what)
{
    return error_set(error, EINVAL, "section '%s': %s", kinds[section].name, what);
}

static int check_sregs(struct vcpu_state *state, struct error *error)
{
    const struct kvm_sregs2 *sregs = &state->sregs;
    const struct kvm_segment *s;

    for (unsigned int i = 0; (s = segment_of(&state->sregs, i)); i++)
        if (s->type > 15 || s->dpl > 3 || s->present > 1 || s->db > 1 || s->s > 1 || s->l > 1 || s->g > 1 ||
            s->avl > 1 || s->unusable > 1 || s->padding)
            return bad(error, SECTION_SREGS, "a segment's attribute is out of range");
    if (!all_zero(sregs->gdt.padding, sizeof(sregs->gdt.padding)) ||
        !all_zero(sregs->idt.padding, sizeof(sregs->idt.padding)))
        return bad(error, SECTION_SREGS, "padding that is not zero");
    if (sregs->cr8 > 15)
        return bad(error, SECTION_SREGS, "CR8 is out of range");
    if (sregs->flags & ~(uint64_t)KVM_SREGS2_FLAGS_PDPTRS_VALID)
        return bad(error, SECTION_SREGS, "unknown flags");
    if ((sregs->apic_base & APIC_BASE_ADDRESS_MASK) != APIC_BASE_ADDRESS)
        return bad(error, SECTION_SREGS, "the local APIC is not at 0xfee00000");
    return 0;
}

static int check_events(const struct vcpu_state *state, struct error *error)
{
    const struct kvm_vcpu_events *events = &state->events;
    const uint32_t known = KVM_VCPUEVENT_VALID_NMI_PENDING | KVM_VCPUEVENT_VALID_SIPI_VECTOR |
                           KVM_VCPUEVENT_VALID_SHADOW | KVM_VCPUEVENT_VALID_SMM | KVM_VCPUEVENT_VALID_PAYLOAD |
                           KVM_VCPUEVENT_VALID_TRIPLE_FAULT;

    if (events->flags & ~known || !all_zero(events->reserved, sizeof(events->reserved)) || events->nmi.pad)
        return bad(error, SECTION_EVENTS, "unknown flags or reserved bytes");
    if (events->exception.injected > 1 || events->exception.pending > 1 || events->exception.has_error_code > 1 ||
        events->exception.nr > 31 || events->exception_has_payload > 1)
        return bad(error, SECTION_EVENTS, "an exception is out of range");
    if (events->interrupt.injected > 1 || events->interrupt.soft > 1 ||
        events->interrupt.shadow & ~(KVM_X86_SHADOW_INT_MOV_SS | KVM_X86_SHADOW_INT_STI))
        return bad(error, SECTION_EVENTS, "an interrupt is out of range");
    if (events->nmi.injected > 1 || events->nmi.masked > 1 || events->sipi_vector > 0xff ||
        events->triple_fault.pending > 1)
        return bad(error, SECTION_EVENTS, "an NMI, SIPI or triple fault is out of range");
    return 0;
}

static int check_xsave(const struct vcpu *vcpu, const struct state_section *section, struct error *error)
{
    const uint8_t *data = section->data;

    if (section->size > vcpu->vm->arch->xsave_size)
        return error_set(error, EINVAL, "section 'xsave': %zu bytes, and this host's vCPUs have %zu", section->size,
                         vcpu->vm->arch->xsave_size);
    if (!all_zero(data + XSAVE_XCOMP_BV, XSAVE_HEADER_END - XSAVE_XCOMP_BV))
        return bad(error, SECTION_XSAVE, "its header is not that of the standard format");
    return 0;
}

static int check_rest(struct vcpu *vcpu, const struct vcpu_state *state, struct error *error)
{
    if (state->mp_state.mp_state > KVM_MP_STATE_SIPI_RECEIVED)
        return bad(error, SECTION_MP_STATE, "no state of an x86 vCPU");
    if (state->has_xcr0 && !(state->xcr0 & XCR0_X87))
        return bad(error, SECTION_XCR0, "bit 0 is clear");
    if (state->has_xcr0 && !vcpu->vm->arch->has_xcrs)
        return bad(error, SECTION_XCR0, "this host has no XSAVE");
    if (state->debugregs.flags || !all_zero(state->debugregs.reserved, sizeof(state->debugregs.reserved)))
        return bad(error, SECTION_DEBUGREGS, "unknown flags or reserved bytes");
    if (x86_tsc_check(&state->tsc, error) < 0)
        return error_prefix(error, "section '%s'", kinds[SECTION_TSC].name);
    return 0;
}

static int check_msrs(struct vcpu *vcpu, const struct state_section *section, struct x86_msrs *pending,
                      uint64_t *tsc_deadline, struct error *error)
{
    struct kvm_msr_entry entries[X86_MSRS_MAX];
    size_t count = section->size / sizeof(entries[0]);

    if (section->size % sizeof(entries[0]))
        return bad(error, SECTION_MSRS, "its size is no multiple of an entry's");
    memcpy(entries, section->data, section->size);
    for (size_t i = 0; i < count; i++)
        if (entries[i].reserved)
            return bad(error, SECTION_MSRS, "a reserved field is not zero");
    if (x86_msrs_check(vcpu, entries, count, pending, tsc_deadline, error) < 0)
        return error_prefix(error, "section '%s'", kinds[SECTION_MSRS].name);
    return 0;
}

static void copy_sections(const struct state_section *sections, struct vcpu_state *state)
{
    memcpy(&state->regs, sections[SECTION_REGS].data, sizeof(state->regs));
    memcpy(&state->sregs, sections[SECTION_SREGS].data, sizeof(state->sregs));
    state->has_xcr0 = sections[SECTION_XCR0].data;
    if (state->has_xcr0)
        memcpy(&state->xcr0, sections[SECTION_XCR0].data, sizeof(state->xcr0));
    memcpy(&state->debugregs, sections[SECTION_DEBUGREGS].data, sizeof(state->debugregs));
    memcpy(&state->tsc, sections[SECTION_TSC].data, sizeof(state->tsc));
    memcpy(&state->lapic, sections[SECTION_LAPIC].data, sizeof(state->lapic));
    memcpy(&state->events, sections[SECTION_EVENTS].data, sizeof(state->events));
    memcpy(&state->mp_state, sections[SECTION_MP_STATE].data, sizeof(state->mp_state));
}

/* The general registers cannot be refused, so they can go with the next entry. One that waits to be started is given its
 * registers when it is, and must not get these then. */
static int put_regs(struct vcpu *vcpu, const struct vcpu_state *state, struct error *error)
{
    struct kvm_run *run = vcpu->run;
    struct kvm_regs regs = state->regs;

    vcpu->arch->synced = false;
    run->kvm_dirty_regs = 0;
    if (!vcpu->vm->arch->has_sync_regs || state->mp_state.mp_state != KVM_MP_STATE_RUNNABLE)
        return VCPU_IOCTL(vcpu, KVM_SET_REGS, &regs, error);
    run->s.regs.regs = regs;
    run->kvm_dirty_regs = KVM_SYNC_X86_REGS;
    return 0;
}

static int put_xcr0(struct vcpu *vcpu, struct vcpu_state *state, struct error *error)
{
    const struct x86_known *known = &vcpu->arch->known;

    state->xcrs = (struct kvm_xcrs){.nr_xcrs = 1, .xcrs = {{.xcr = 0, .value = state->xcr0}}};
    if (!state->has_xcr0 || (known->known && known->xcr0 == state->xcr0))
        return 0;
    return VCPU_IOCTL(vcpu, KVM_SET_XCRS, &state->xcrs, error);
}

static int put_msrs(struct vcpu *vcpu, struct error *error)
{
    if (vcpu->arch->known.known)
        x86_msrs_leave_out(&vcpu->arch->msrs, &vcpu->arch->known.msrs);
    return x86_msrs_set(vcpu, &vcpu->arch->msrs, error);
}

static int put_debugregs(struct vcpu *vcpu, struct vcpu_state *state, struct error *error)
{
    const struct x86_known *known = &vcpu->arch->known;

    if (known->known && !memcmp(&known->debugregs, &state->debugregs, sizeof(state->debugregs)))
        return 0;
    return VCPU_IOCTL(vcpu, KVM_SET_DEBUGREGS, &state->debugregs, error);
}

static int put_mp_state(struct vcpu *vcpu, struct vcpu_state *state, struct error *error)
{
    const struct x86_known *known = &vcpu->arch->known;

    if (known->known && known->mp_state.mp_state == state->mp_state.mp_state)
        return 0;
    return VCPU_IOCTL(vcpu, KVM_SET_MP_STATE, &state->mp_state, error);
}

/* The order matters: paging and XCR0 before what depends on them, the local APIC after its base and before its
 * deadline, events and the MP state last. */
static int put_all(struct vcpu *vcpu, struct vcpu_state *state, struct buffer *ignored, struct error *error)
{
    if (put_sregs(vcpu, &state->sregs, error) < 0 || put_xcr0(vcpu, state, error) < 0 ||
        VCPU_IOCTL(vcpu, KVM_SET_XSAVE, vcpu->arch->xsave, error) < 0 || put_regs(vcpu, state, error) < 0 ||
        put_debugregs(vcpu, state, error) < 0 || x86_tsc_put(vcpu, &state->tsc, ignored, error) < 0 ||
        put_msrs(vcpu, error) < 0 || VCPU_IOCTL(vcpu, KVM_SET_LAPIC, &state->lapic, error) < 0)
        return -1;
    if (state->tsc_deadline && x86_msr_set_one(vcpu, MSR_IA32_TSC_DEADLINE, state->tsc_deadline, error) < 0)
        return -1;
    if (VCPU_IOCTL(vcpu, KVM_SET_VCPU_EVENTS, &state->events, error) < 0 || put_mp_state(vcpu, state, error) < 0)
        return -1;
    /* It is not what it was. */
    vcpu->arch->known.known = false;
    return 0;
}

static int expect_state(struct vcpu *vcpu, struct error *error)
{
    struct x86_known *known = &vcpu->arch->known;
    struct vcpu_state state = {.has_xcr0 = false};

    known->known = false;
    if (get_all(vcpu, &state, error) < 0)
        return error_prefix(error, "vCPU %u: reading its state", vcpu->index);
    clear_padding(&state);
    known->debugregs = state.debugregs;
    known->mp_state = state.mp_state;
    known->xcr0 = state.has_xcr0 ? state.xcr0 : 0;
    known->msrs = vcpu->arch->msrs;
    known->known = true;
    return 0;
}

int arch_expect_state(struct vm *vm, struct error *error)
{
    for (unsigned int i = 0; i < vm->vcpu_count; i++)
        if (expect_state(&vm->vcpu[i], error) < 0)
            return -1;
    vm_honours_tsc_offset(vm);
    return 0;
}

int vm_vcpu_put_state(struct vm *vm, unsigned int index, const void *record, size_t size, struct buffer *ignored,
                      struct error *error)
{
    struct vcpu *vcpu = paused_vcpu(vm, index, error);
    struct state_section sections[SECTIONS];
    struct vcpu_state state = {.has_xcr0 = false};
    struct x86_msrs pending;
    char what[32];

    if (!vcpu)
        return -1;
    snprintf(what, sizeof(what), "the state of vCPU %u", index);
    if (state_record_parse(record, size, VCPU_RECORD_MAGIC, index, what, kinds, SECTIONS, sections, error) < 0)
        return -1;
    copy_sections(sections, &state);
    if (check_sregs(&state, error) < 0 || check_events(&state, error) < 0 ||
        check_xsave(vcpu, &sections[SECTION_XSAVE], error) < 0 || check_rest(vcpu, &state, error) < 0 ||
        check_msrs(vcpu, &sections[SECTION_MSRS], &pending, &state.tsc_deadline, error) < 0)
        return error_prefix(error, "%s", what);
    memset(vcpu->arch->xsave, 0, vm->arch->xsave_size);
    memcpy(vcpu->arch->xsave, sections[SECTION_XSAVE].data, sections[SECTION_XSAVE].size);
    if (put_all(vcpu, &state, ignored, error) < 0)
        return error_prefix(error, "%s: setting it", what);
    vcpu->arch->deferred = pending;
    return 0;
}

int vm_vcpu_state_change_register(void *record, size_t size, unsigned int index, struct error *error)
{
    struct state_section sections[SECTIONS];
    uint8_t *xsave;

    if (state_record_parse(record, size, VCPU_RECORD_MAGIC, index, "vCPU", kinds, SECTIONS, sections, error) < 0)
        return -1;
    xsave = (uint8_t *)record + ((const uint8_t *)sections[SECTION_XSAVE].data - (const uint8_t *)record);
    xsave[XSAVE_XMM3] ^= 1;
    /* Where the SSE registers are said to be in their initial state, their bytes do not count. */
    xsave[XSAVE_XSTATE_BV] |= XCR0_SSE;
    return 0;
}
