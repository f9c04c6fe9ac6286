/* SPDX-License-Identifier: GPL-2.0-or-later */
/* State records that are not as they should be. */
#include <criterion/criterion.h>
#include <endian.h>
#include <linux/kvm.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/kvm/fixture.h"
#include "vmm/kvm/state_record.h"

static struct machine machine;
static struct record record;

/* A paused machine with its records; what is put goes to the same machine. */
static void start(enum vm_irqchip irqchip)
{
    machine_start(&machine, 1, irqchip, guest_compute);
    machine_run(&machine);
    wait_counter(&machine, &machine.shared->count, 1);
    machine_stop(&machine);
    machine_save(&machine, 1, &record);
}

static void end(void)
{
    record_free(&record);
    machine_end(&machine);
}

static int put_vm(const void *data, size_t size, struct error *error)
{
    return vm_put_state(machine.vm, data, size, NULL, error);
}

static int put_vcpu(const void *data, size_t size, struct error *error)
{
    return vm_vcpu_put_state(machine.vm, 0, data, size, NULL, error);
}

typedef int put_function(const void *data, size_t size, struct error *error);

static uint32_t word(const uint8_t *data, size_t offset)
{
    uint32_t value;

    memcpy(&value, data + offset, sizeof(value));
    return le32toh(value);
}

/* Every length, in memory of just that size, so that a sanitizer sees a read past it. */
static void refuse_every_cut(const struct buffer *whole, put_function *put)
{
    for (size_t size = 0; size < whole->size; size++) {
        struct error error = ERROR_INIT;
        uint8_t *cut = malloc(size ? size : 1);

        memcpy(cut, whole->data, size);
        cr_expect(put(cut, size, &error) == -1, "cut to %zu bytes", size);
        cr_expect(error.text[0]);
        free(cut);
    }
}

static void refuse_changed_bytes(const struct buffer *whole, put_function *put, size_t at, size_t size)
{
    static const uint8_t flips[] = {0x01, 0x02, 0x10, 0x80, 0xff};

    for (size_t i = 0; i < size * sizeof(flips); i++) {
        struct error error = ERROR_INIT;
        uint8_t *byte = &whole->data[at + i / sizeof(flips)];

        *byte ^= flips[i % sizeof(flips)];
        cr_expect(put(whole->data, whole->size, &error) == -1, "byte %zu", at + i / sizeof(flips));
        *byte ^= flips[i % sizeof(flips)];
    }
}

static void refuse_changed_framing(const struct buffer *whole, put_function *put)
{
    size_t at = STATE_RECORD_HEADER_SIZE;

    refuse_changed_bytes(whole, put, 0, at);
    while (at < whole->size) {
        refuse_changed_bytes(whole, put, at, STATE_SECTION_HEADER_SIZE);
        at += STATE_SECTION_HEADER_SIZE + word(whole->data, at + 4);
    }
}

/* Any byte: refused or taken, and never a crash. What was taken is a state that the machine can have. */
static void survive_changed_bytes(const struct buffer *whole, put_function *put, size_t step)
{
    for (size_t at = 0; at < whole->size; at += step) {
        struct error error = ERROR_INIT;

        whole->data[at] ^= 0xff;
        cr_expect(put(whole->data, whole->size, &error) == 0 || error.text[0]);
        whole->data[at] ^= 0xff;
    }
}

static void check_record(const struct buffer *whole, put_function *put)
{
    struct error error = ERROR_INIT;

    cr_assert(put(whole->data, whole->size, &error) == 0, "%s", error.text);
    refuse_every_cut(whole, put);
    refuse_changed_framing(whole, put);
    survive_changed_bytes(whole, put, 7);
    cr_assert(put(whole->data, whole->size, &error) == 0, "%s", error.text);
}

Test(record, a_vcpus_is_checked)
{
    need_kvm();
    start(VM_IRQCHIP_SPLIT);
    check_record(&record.vcpu[0], put_vcpu);
    end();
}

Test(record, a_vms_is_checked)
{
    need_kvm();
    start(VM_IRQCHIP_SPLIT);
    check_record(&record.vm, put_vm);
    end();
}

Test(record, a_vms_with_the_full_irqchip_is_checked)
{
    need_kvm();
    start(VM_IRQCHIP_FULL);
    check_record(&record.vm, put_vm);
    check_record(&record.vcpu[0], put_vcpu);
    end();
}

Test(record, another_kind_is_refused)
{
    struct error error = ERROR_INIT;
    struct machine other;

    need_kvm();
    start(VM_IRQCHIP_SPLIT);
    cr_expect(put_vcpu(record.vm.data, record.vm.size, &error) == -1);
    cr_expect(put_vm(record.vcpu[0].data, record.vcpu[0].size, &error) == -1);
    machine_start(&other, 2, VM_IRQCHIP_FULL, NULL);
    cr_expect(vm_put_state(other.vm, record.vm.data, record.vm.size, NULL, &error) == -1);
    cr_expect(strstr(error.text, "pic_master") && strstr(error.text, "irqchip"), "%s", error.text);
    cr_expect(vm_vcpu_put_state(other.vm, 1, record.vcpu[0].data, record.vcpu[0].size, NULL, &error) == -1);
    cr_expect(vm_vcpu_put_state(other.vm, 7, record.vcpu[0].data, record.vcpu[0].size, NULL, &error) == -1);
    machine_end(&other);
    end();
}

/* Where section tag begins, past its header. */
static uint8_t *section(const struct buffer *whole, uint32_t tag, size_t *size)
{
    size_t at = STATE_RECORD_HEADER_SIZE;

    while (at < whole->size && word(whole->data, at) != tag)
        at += STATE_SECTION_HEADER_SIZE + word(whole->data, at + 4);
    cr_assert(at < whole->size, "section %u is not there", tag);
    *size = word(whole->data, at + 4);
    return whole->data + at + STATE_SECTION_HEADER_SIZE;
}

static void expect_refusal(const char *name)
{
    struct error error = ERROR_INIT;

    cr_expect(put_vcpu(record.vcpu[0].data, record.vcpu[0].size, &error) == -1, "%s", name);
    cr_expect(strstr(error.text, name), "'%s' does not name %s", error.text, name);
}

Test(record, a_section_that_is_repeated_or_missing_is_named)
{
    struct buffer changed = BUFFER_INIT;
    struct error error = ERROR_INIT;
    size_t size;
    uint8_t *regs;

    need_kvm();
    start(VM_IRQCHIP_SPLIT);
    regs = section(&record.vcpu[0], 1, &size) - STATE_SECTION_HEADER_SIZE;
    size += STATE_SECTION_HEADER_SIZE;
    buffer_put(&changed, record.vcpu[0].data, STATE_RECORD_HEADER_SIZE);
    buffer_put(&changed, regs, size);
    buffer_put(&changed, regs, size);
    changed.data[12] = 2;
    cr_expect(put_vcpu(changed.data, changed.size, &error) == -1);
    cr_expect(strstr(error.text, "'regs'"), "%s", error.text);
    changed.size -= size;
    changed.data[12] = 1;
    cr_expect(put_vcpu(changed.data, changed.size, &error) == -1);
    cr_expect(strstr(error.text, "'sregs' is missing"), "%s", error.text);
    buffer_free(&changed);
    end();
}

/* The record with section tag a byte shorter or longer, and its framing right. */
static void refuse_resized(const struct buffer *whole, uint32_t tag, put_function *put, bool longer)
{
    struct error error = ERROR_INIT;
    size_t size, before, after;
    uint8_t *data = section(whole, tag, &size), *changed;
    uint32_t new_size = htole32((uint32_t)size + (longer ? 1 : -1u));

    before = (size_t)(data - whole->data);
    after = whole->size - before - size;
    changed = malloc(whole->size + (longer ? 1 : -(size_t)1));
    memcpy(changed, whole->data, before);
    memcpy(changed + before - sizeof(new_size), &new_size, sizeof(new_size));
    memcpy(changed + before, data, size - 1);
    if (longer)
        memset(changed + before + size - 1, 0, 2);
    memcpy(changed + before + le32toh(new_size), data + size, after);
    cr_expect(put(changed, before + le32toh(new_size) + after, &error) == -1, "section %u", tag);
    cr_expect(strstr(error.text, "section '"), "%s", error.text);
    free(changed);
}

Test(record, a_section_of_a_wrong_size_is_refused)
{
    need_kvm();
    start(VM_IRQCHIP_FULL);
    for (uint32_t tag = 1; tag <= 10; tag++) {
        refuse_resized(&record.vcpu[0], tag, put_vcpu, false);
        refuse_resized(&record.vcpu[0], tag, put_vcpu, true);
    }
    for (uint32_t tag = 1; tag <= 5; tag++) {
        refuse_resized(&record.vm, tag, put_vm, false);
        refuse_resized(&record.vm, tag, put_vm, true);
    }
    end();
}

Test(record, msrs_are_checked)
{
    struct kvm_msr_entry entry;
    uint8_t *msrs;
    size_t size;

    need_kvm();
    start(VM_IRQCHIP_SPLIT);
    msrs = section(&record.vcpu[0], 6, &size);
    cr_assert(size >= 2 * sizeof(entry));
    memcpy(&entry, msrs + sizeof(entry), sizeof(entry));
    /* IA32_TSC, which is not among them; one twice; one that names memory which is not there. */
    entry.index = 0x10;
    entry.data = 1;
    memcpy(msrs, &entry, sizeof(entry));
    expect_refusal("0x10");
    memcpy(&entry, msrs + sizeof(entry), sizeof(entry));
    entry.data = 1;
    memcpy(msrs, &entry, sizeof(entry));
    expect_refusal("twice");
    if (machine.features.kvmclock) {
        entry.index = 0x4b564d01;
        entry.data = 0x7fff0001;
        for (size_t at = 0; at < size; at += sizeof(entry))
            if (word(msrs, at) == entry.index)
                memcpy(msrs + at, &entry, sizeof(entry));
        memcpy(&entry, msrs + sizeof(entry), sizeof(entry));
        entry.index = 0x3a;
        entry.data = 0;
        memcpy(msrs, &entry, sizeof(entry));
        expect_refusal("names memory");
    }
    end();
}

/* A source whose TSC is an hour ahead. A host that has offsets takes it; one that ignores them must not. */
Test(record, a_tsc_that_would_go_back_is_refused)
{
    const uint64_t hour = 3600 * (uint64_t)2500000000u;
    struct buffer ignored = BUFFER_INIT;
    struct error error = ERROR_INIT;
    uint64_t guest_tsc, host_tsc;
    uint8_t *clock, *tsc;
    size_t size;
    int result;

    need_kvm();
    start(VM_IRQCHIP_SPLIT);
    clock = section(&record.vm, 1, &size);
    memcpy(&host_tsc, clock + 16, sizeof(host_tsc));
    host_tsc += hour;
    memcpy(clock + 16, &host_tsc, sizeof(host_tsc));
    tsc = section(&record.vcpu[0], 7, &size);
    memcpy(&guest_tsc, tsc, sizeof(guest_tsc));
    guest_tsc += hour;
    memcpy(tsc, &guest_tsc, sizeof(guest_tsc));
    cr_assert(vm_put_state(machine.vm, record.vm.data, record.vm.size, &ignored, &error) == 0, "%s", error.text);
    result = vm_vcpu_put_state(machine.vm, 0, record.vcpu[0].data, record.vcpu[0].size, &ignored, &error);
    cr_expect(result == 0 || !strcmp(error.rule, "clock/tsc-behind"), "%s: %s", error.rule, error.text);
    cr_expect(ignored.size == 0);
    buffer_free(&ignored);
    end();
}

/* And one that is an hour behind: the destination goes on later, and says what it ignored. */
Test(record, an_ignored_tsc_offset_is_told)
{
    struct buffer ignored = BUFFER_INIT;
    struct error error = ERROR_INIT;
    int64_t offset, kept;
    uint8_t *tsc;
    size_t size;

    need_kvm();
    start(VM_IRQCHIP_SPLIT);
    tsc = section(&record.vcpu[0], 7, &size);
    memcpy(&offset, tsc + 8, sizeof(offset));
    offset -= 1000000000;
    memcpy(tsc + 8, &offset, sizeof(offset));
    memset(tsc, 0, 8);
    cr_assert(put_vcpu(record.vcpu[0].data, record.vcpu[0].size, &error) == 0, "%s", error.text);
    cr_assert(vm_vcpu_put_state(machine.vm, 0, record.vcpu[0].data, record.vcpu[0].size, &ignored, &error) == 0, "%s",
              error.text);
    buffer_put_u8(&ignored, 0);
    buffer_free(&record.vcpu[0]);
    cr_assert(vm_vcpu_get_state(machine.vm, 0, &record.vcpu[0], &error) == 0);
    memcpy(&kept, section(&record.vcpu[0], 7, &size) + 8, sizeof(kept));
    cr_expect((kept == offset) == !strstr((char *)ignored.data, "TSC offset"), "%s", (char *)ignored.data);
    buffer_free(&ignored);
    end();
}

/* What was got, put and got again is the same, but for the time. */
Test(record, is_the_same_when_put_and_got_again)
{
    struct record again;
    size_t size, tsc;

    need_kvm();
    start(VM_IRQCHIP_FULL);
    machine_load(&machine, 1, &record);
    machine_save(&machine, 1, &again);
    tsc = (size_t)(section(&record.vcpu[0], 7, &size) - record.vcpu[0].data);
    memset(record.vcpu[0].data + tsc, 0, size);
    memset(again.vcpu[0].data + tsc, 0, size);
    cr_expect(record.vcpu[0].size == again.vcpu[0].size);
    for (size_t i = 0; i < again.vcpu[0].size; i++)
        cr_expect(record.vcpu[0].data[i] == again.vcpu[0].data[i], "byte %zu: %#x, then %#x", i, record.vcpu[0].data[i],
                  again.vcpu[0].data[i]);
    record_free(&again);
    end();
}

/* What the proof's tests break on purpose breaks that register and nothing else. */
Test(record, a_changed_register_arrives_changed)
{
    struct error error = ERROR_INIT;
    struct machine other;
    struct record again;
    size_t size, tsc, changed = 0;

    need_kvm();
    start(VM_IRQCHIP_SPLIT);
    machine_start(&other, 1, VM_IRQCHIP_SPLIT, NULL);
    memset(&again, 0, sizeof(again));
    buffer_put(&again.vcpu[0], record.vcpu[0].data, record.vcpu[0].size);
    cr_expect(vm_vcpu_state_change_register(again.vcpu[0].data, 15, 0, &error) == -1);
    cr_assert(vm_vcpu_state_change_register(again.vcpu[0].data, again.vcpu[0].size, 0, &error) == 0, "%s", error.text);
    cr_assert(vm_vcpu_put_state(other.vm, 0, again.vcpu[0].data, again.vcpu[0].size, NULL, &error) == 0, "%s",
              error.text);
    record_free(&again);
    machine_save(&other, 1, &again);
    tsc = (size_t)(section(&record.vcpu[0], 7, &size) - record.vcpu[0].data);
    for (size_t i = 0; i < again.vcpu[0].size; i++)
        if (i < tsc || i >= tsc + size)
            changed += record.vcpu[0].data[i] != again.vcpu[0].data[i];
    cr_expect(changed == 1, "%zu bytes", changed);
    cr_expect((section(&record.vcpu[0], 4, &size)[208] ^ section(&again.vcpu[0], 4, &size)[208]) == 1);
    record_free(&again);
    machine_end(&other);
    end();
}
