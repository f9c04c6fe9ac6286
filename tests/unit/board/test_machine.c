/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The machine on the host's KVM, with guests of a few instructions. Skipped where there is no KVM. */
#include <criterion/criterion.h>
#include <elf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/unit/board/fake_device.h"
#include "vmm/board/machine.h"

#define CODE_ADDRESS 0x100000
#define RESULT_ADDRESS 0x200000
#define PATIENCE deadline_in_ms(60000)

struct image {
    Elf64_Ehdr header;
    Elf64_Phdr segment;
    uint8_t code[128];
};

static struct fake_device fake;
static struct vfio_device *vfio = &fake.vfio;
static struct board board;
static struct machine *machine;
static struct error error;
static char path[] = "/tmp/stopcopy-test-XXXXXX";

static void set_up(void)
{
    struct board_wishes wishes = {.memory_size = 16ull << 20, .vcpus = 2, .wanted[WORKLOAD_CPU] = true};
    int fd;

    if (access("/dev/kvm", R_OK | W_OK) != 0)
        cr_skip_test("no access to /dev/kvm");
    fake_device_init(&fake);
    cr_assert_eq(board_describe(&wishes, &vfio, 1, &board, &error), 0, "%s", error.text);
    machine = machine_new(&board, &vfio, NULL, &error);
    cr_assert(machine, "%s", error.text);
    fd = mkstemp(path);
    cr_assert_neq(fd, -1);
    close(fd);
}

static void tear_down(void)
{
    machine_free(machine);
    unlink(path);
}

TestSuite(machine, .init = set_up, .fini = tear_down);

static void load(const uint8_t *code, size_t size)
{
    struct image image = {
        .header = {.e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
                   .e_type = ET_EXEC,
                   .e_machine = EM_X86_64,
                   .e_version = EV_CURRENT,
                   .e_entry = CODE_ADDRESS,
                   .e_phoff = offsetof(struct image, segment),
                   .e_phentsize = sizeof(Elf64_Phdr),
                   .e_phnum = 1},
        .segment = {.p_type = PT_LOAD,
                    .p_flags = PF_R | PF_X,
                    .p_offset = offsetof(struct image, code),
                    .p_paddr = CODE_ADDRESS,
                    .p_filesz = size,
                    .p_memsz = 4096},
    };
    FILE *file = fopen(path, "w");

    memcpy(image.code, code, size);
    cr_assert_eq(fwrite(&image, sizeof(image), 1, file), 1);
    fclose(file);
    cr_assert_eq(machine_load(machine, path, &error), 0, "%s", error.text);
    cr_assert_eq(machine_bind_interrupts(machine, &error), 0, "%s", error.text);
    cr_assert_eq(machine_resume(machine, &error), 0, "%s", error.text);
}

static void expect_event(enum machine_event_kind kind)
{
    struct machine_event event;

    cr_assert_eq(machine_wait(machine, PATIENCE, &event), 1, "no event");
    cr_assert_eq(event.kind, kind, "event %d: %s", event.kind, event.text);
}

Test(machine, boots_a_guest_that_finds_its_devices)
{
    static const uint8_t code[] = {
        0x66, 0xba, 0x00, 0x06,             /* mov dx, 0x600 */
        0xb8, 0x01, 0x00, 0x00, 0x00,       /* mov eax, READY */
        0xef,                               /* out dx, eax */
        0xbb, 0x00, 0x00, 0x00, 0xc0,       /* mov ebx, ECAM */
        0x8b, 0x03,                         /* mov eax, [rbx]: slot 0 */
        0x8b, 0x8b, 0x00, 0x80, 0x00, 0x00, /* mov ecx, [rbx + 0x8000]: slot 1 */
        0xbe, 0x00, 0x00, 0x20, 0x00,       /* mov esi, RESULT_ADDRESS */
        0x89, 0x06,                         /* mov [rsi], eax */
        0x89, 0x4e, 0x04,                   /* mov [rsi + 4], ecx */
        0x8b, 0x07,                         /* mov eax, [rdi]: the tree's magic */
        0x89, 0x46, 0x08,                   /* mov [rsi + 8], eax */
        0x66, 0xba, 0xf8, 0x03,             /* mov dx, 0x3f8 */
        0xb0, 0x6b,                         /* mov al, 'k' */
        0xee,                               /* out dx, al */
        0x66, 0xba, 0x00, 0x06,             /* mov dx, 0x600 */
        0xb8, 0x02, 0x00, 0x00, 0x00,       /* mov eax, DONE */
        0xef,                               /* out dx, eax */
        0xf4,                               /* hlt */
        0xeb, 0xfd,                         /* jmp to the hlt */
    };
    const uint32_t *result = machine_ram(machine, RESULT_ADDRESS, 12);
    char *text;

    load(code, sizeof(code));
    expect_event(MACHINE_READY);
    expect_event(MACHINE_DONE);
    cr_assert_eq(machine_pause(machine, PATIENCE, &error), 0, "%s", error.text);
    cr_assert_eq(result[0], 0x01005343);
    cr_assert_eq(result[1], 0x00015343);
    cr_assert_eq(result[2], 0xedfe0dd0);
    text = machine_console(machine);
    cr_assert_str_eq(text, "k");
    free(text);
}

Test(machine, says_that_a_vcpu_failed)
{
    static const uint8_t code[] = {
        0x0f, 0x01, 0x1f,       /* lidt [rdi]: the tree is no IDT */
        0x31, 0xc0,             /* xor eax, eax */
        0x0f, 0x22, 0xd8,       /* mov cr3, rax */
        0xcd, 0x03, 0xeb, 0xfe, /* int 3; jmp self */
    };

    load(code, sizeof(code));
    expect_event(MACHINE_VCPU_FAILED);
}

Test(machine, is_refused_where_the_host_has_less_than_the_board)
{
    board.features.physical_address_bits = 52;
    cr_assert_null(machine_new(&board, &vfio, NULL, &error));
    cr_assert(strstr(error.text, "physical address bits"), "%s", error.text);
}

Test(machine, boots_above_4_gib_too)
{
    struct board_wishes wishes = {.memory_size = 6ull << 30, .vcpus = 1, .wanted[WORKLOAD_CPU] = true};

    machine_free(machine);
    cr_assert_eq(board_describe(&wishes, &vfio, 1, &board, &error), 0, "%s", error.text);
    machine = machine_new(&board, &vfio, NULL, &error);
    cr_assert(machine, "%s", error.text);
    cr_assert_eq(fake.dma_maps, 2);
    cr_assert_not_null(machine_ram(machine, (7ull << 30) - 0x4000, 0x4000));
    cr_assert_null(machine_ram(machine, 3ull << 30, 1));
}
