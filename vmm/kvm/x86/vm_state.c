/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The state of the VM outside of its vCPUs: the clock and, with the full irqchip, both PICs, the IOAPIC and the PIT. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/ioctl.h>

#include "vmm/kvm/state_record.h"
#include "vmm/kvm/x86/x86_private.h"

#define VM_RECORD_MAGIC 0x534d5643u /* "CVMS" */
#define IOAPIC_ADDRESS 0xfec00000ull
#define PIT_COUNT_MAX 65536u
#define PIT_MODE_RESET 0xff /* of a channel that was never set up */

enum vm_section {
    SECTION_CLOCK,
    SECTION_PIC_MASTER,
    SECTION_PIC_SLAVE,
    SECTION_IOAPIC,
    SECTION_PIT,
    SECTIONS,
};

static const struct state_section_kind kinds[SECTIONS] = {
    [SECTION_CLOCK] = {"clock", sizeof(struct x86_clock_state), sizeof(struct x86_clock_state), false},
    [SECTION_PIC_MASTER] = {"pic_master", sizeof(struct kvm_pic_state), sizeof(struct kvm_pic_state), true},
    [SECTION_PIC_SLAVE] = {"pic_slave", sizeof(struct kvm_pic_state), sizeof(struct kvm_pic_state), true},
    [SECTION_IOAPIC] = {"ioapic", sizeof(struct kvm_ioapic_state), sizeof(struct kvm_ioapic_state), true},
    [SECTION_PIT] = {"pit", sizeof(struct kvm_pit_state2), sizeof(struct kvm_pit_state2), true},
};

static bool is_full(const struct vm *vm)
{
    return vm->config.irqchip == VM_IRQCHIP_FULL;
}

static int get_chip(struct vm *vm, uint32_t id, struct kvm_irqchip *chip, struct error *error)
{
    *chip = (struct kvm_irqchip){.chip_id = id};
    if (ioctl(vm->fd, KVM_GET_IRQCHIP, chip) < 0)
        return error_set(error, errno, "KVM_GET_IRQCHIP of chip %" PRIu32, id);
    return 0;
}

int arch_pin_asserted(struct vm *vm, unsigned int pin, bool *asserted, struct error *error)
{
    struct kvm_irqchip chip;

    if (get_chip(vm, KVM_IRQCHIP_IOAPIC, &chip, error) < 0)
        return -1;
    *asserted = chip.chip.ioapic.irr >> pin & 1 || chip.chip.ioapic.redirtbl[pin].fields.remote_irr;
    return 0;
}

static int add_chips(struct vm *vm, struct state_writer *writer, struct error *error)
{
    struct kvm_irqchip chip;

    if (get_chip(vm, KVM_IRQCHIP_PIC_MASTER, &chip, error) < 0)
        return -1;
    state_record_add(writer, SECTION_PIC_MASTER, &chip.chip.pic, sizeof(chip.chip.pic));
    if (get_chip(vm, KVM_IRQCHIP_PIC_SLAVE, &chip, error) < 0)
        return -1;
    state_record_add(writer, SECTION_PIC_SLAVE, &chip.chip.pic, sizeof(chip.chip.pic));
    if (get_chip(vm, KVM_IRQCHIP_IOAPIC, &chip, error) < 0)
        return -1;
    chip.chip.ioapic.pad = 0;
    state_record_add(writer, SECTION_IOAPIC, &chip.chip.ioapic, sizeof(chip.chip.ioapic));
    return 0;
}

/* The time at which a channel was loaded is of the host's monotonic clock: what is shipped is how long ago that was. */
static int add_pit(struct vm *vm, struct state_writer *writer, struct error *error)
{
    struct kvm_pit_state2 pit = {.flags = 0};
    int64_t now = (int64_t)clock_now_ns();

    if (ioctl(vm->fd, KVM_GET_PIT2, &pit) < 0)
        return error_set(error, errno, "KVM_GET_PIT2");
    for (size_t i = 0; i < 3; i++)
        pit.channels[i].count_load_time =
            pit.channels[i].count_load_time < now ? now - pit.channels[i].count_load_time : 0;
    memset(pit.reserved, 0, sizeof(pit.reserved));
    state_record_add(writer, SECTION_PIT, &pit, sizeof(pit));
    return 0;
}

int vm_get_state(struct vm *vm, struct buffer *record, struct error *error)
{
    struct x86_clock_state clock;
    struct state_writer writer;

    if (vm_check_paused(vm, error) < 0)
        return -1;
    if (x86_clock_get(vm, &clock, error) < 0)
        return error_prefix(error, "reading the VM's state");
    state_record_begin(&writer, record, VM_RECORD_MAGIC, 0, 1024);
    state_record_add(&writer, SECTION_CLOCK, &clock, sizeof(clock));
    if (is_full(vm) && (add_chips(vm, &writer, error) < 0 || add_pit(vm, &writer, error) < 0))
        return error_prefix(error, "reading the VM's state");
    return state_record_end(&writer, error);
}

static int bad(struct error *error, enum vm_section section, const char *what)
{
    return error_set(error, EINVAL, "section '%s': %s", kinds[section].name, what);
}

static int check_pit(const struct kvm_pit_state2 *pit, struct error *error)
{
    for (size_t i = 0; i < 3; i++) {
        const struct kvm_pit_channel_state *c = &pit->channels[i];

        if (c->count > PIT_COUNT_MAX || c->count_latched > 4 || c->status_latched > 1 || c->read_state > 4 ||
            c->write_state > 4 || c->rw_mode > 4 || (c->mode > 7 && c->mode != PIT_MODE_RESET) || c->bcd > 1 ||
            c->gate > 1 || c->count_load_time < 0)
            return bad(error, SECTION_PIT, "a channel is out of range");
    }
    for (size_t i = 0; i < sizeof(pit->reserved) / sizeof(pit->reserved[0]); i++)
        if (pit->reserved[i])
            return bad(error, SECTION_PIT, "a reserved field is not zero");
    if (pit->flags & ~(uint32_t)(KVM_PIT_FLAGS_HPET_LEGACY | KVM_PIT_FLAGS_SPEAKER_DATA_ON))
        return bad(error, SECTION_PIT, "unknown flags");
    return 0;
}

static int check_pic(const struct kvm_pic_state *pic, enum vm_section section, struct error *error)
{
    if (pic->priority_add > 7 || pic->read_reg_select > 1 || pic->poll > 1 || pic->special_mask > 1 ||
        pic->init_state > 3 || pic->auto_eoi > 1 || pic->rotate_on_auto_eoi > 1 || pic->special_fully_nested_mode > 1 ||
        pic->init4 > 1)
        return bad(error, section, "a field is out of range");
    return 0;
}

static int check_ioapic(const struct kvm_ioapic_state *ioapic, struct error *error)
{
    if (ioapic->base_address != IOAPIC_ADDRESS)
        return bad(error, SECTION_IOAPIC, "it is not at 0xfec00000");
    if (ioapic->irr >> VM_IOAPIC_PINS || ioapic->ioregsel > 0xff || ioapic->id > 0xf || ioapic->pad)
        return bad(error, SECTION_IOAPIC, "a field is out of range");
    return 0;
}

struct vm_state {
    struct x86_clock_state clock;
    struct kvm_irqchip pic_master, pic_slave, ioapic;
    struct kvm_pit_state2 pit;
};

static int copy_chips(const struct state_section *sections, struct vm_state *state, struct error *error)
{
    state->pic_master.chip_id = KVM_IRQCHIP_PIC_MASTER;
    memcpy(&state->pic_master.chip.pic, sections[SECTION_PIC_MASTER].data, sizeof(struct kvm_pic_state));
    state->pic_slave.chip_id = KVM_IRQCHIP_PIC_SLAVE;
    memcpy(&state->pic_slave.chip.pic, sections[SECTION_PIC_SLAVE].data, sizeof(struct kvm_pic_state));
    state->ioapic.chip_id = KVM_IRQCHIP_IOAPIC;
    memcpy(&state->ioapic.chip.ioapic, sections[SECTION_IOAPIC].data, sizeof(struct kvm_ioapic_state));
    memcpy(&state->pit, sections[SECTION_PIT].data, sizeof(state->pit));
    if (check_pic(&state->pic_master.chip.pic, SECTION_PIC_MASTER, error) < 0 ||
        check_pic(&state->pic_slave.chip.pic, SECTION_PIC_SLAVE, error) < 0 ||
        check_ioapic(&state->ioapic.chip.ioapic, error) < 0)
        return -1;
    return check_pit(&state->pit, error);
}

static int check_state(struct vm *vm, const struct state_section *sections, struct vm_state *state, struct error *error)
{
    for (unsigned int i = SECTION_PIC_MASTER; i < SECTIONS; i++) {
        if (is_full(vm) && !sections[i].data)
            return bad(error, i, "missing, and this machine has the full irqchip");
        if (!is_full(vm) && sections[i].data)
            return bad(error, i, "unexpected: this machine has the split irqchip");
    }
    memcpy(&state->clock, sections[SECTION_CLOCK].data, sizeof(state->clock));
    if (x86_clock_check(&state->clock, error) < 0)
        return error_prefix(error, "section '%s'", kinds[SECTION_CLOCK].name);
    return is_full(vm) ? copy_chips(sections, state, error) : 0;
}

static int put_chips(struct vm *vm, struct vm_state *state, struct error *error)
{
    int64_t now = (int64_t)clock_now_ns();

    if (ioctl(vm->fd, KVM_SET_IRQCHIP, &state->pic_master) < 0 ||
        ioctl(vm->fd, KVM_SET_IRQCHIP, &state->pic_slave) < 0 || ioctl(vm->fd, KVM_SET_IRQCHIP, &state->ioapic) < 0)
        return error_set(error, errno, "KVM_SET_IRQCHIP");
    for (size_t i = 0; i < 3; i++)
        state->pit.channels[i].count_load_time = now - state->pit.channels[i].count_load_time;
    if (ioctl(vm->fd, KVM_SET_PIT2, &state->pit) < 0)
        return error_set(error, errno, "KVM_SET_PIT2");
    return 0;
}

int vm_put_state(struct vm *vm, const void *record, size_t size, struct buffer *ignored, struct error *error)
{
    static const char what[] = "the VM's state";
    struct state_section sections[SECTIONS];
    struct vm_state state = {.clock = {0}};

    if (vm_check_paused(vm, error) < 0 ||
        state_record_parse(record, size, VM_RECORD_MAGIC, 0, what, kinds, SECTIONS, sections, error) < 0)
        return -1;
    if (check_state(vm, sections, &state, error) < 0)
        return error_prefix(error, "%s", what);
    if (x86_clock_put(vm, &state.clock, ignored, error) < 0)
        return error_prefix(error, "%s: setting it", what);
    if (is_full(vm) && put_chips(vm, &state, error) < 0)
        return error_prefix(error, "%s: setting it", what);
    return 0;
}
