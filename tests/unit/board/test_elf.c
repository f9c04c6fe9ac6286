/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Guest images, good and bad. */
#include <criterion/criterion.h>
#include <elf.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/board/board_layout.h"
#include "vmm/board/elf_loader.h"

#define MEMORY (16ull << 20)
#define RESERVED_START (MEMORY - BOARD_RESERVED_SIZE)

static struct {
    Elf64_Ehdr header;
    Elf64_Phdr segment[3];
    uint8_t bytes[64];
} image;
static struct ram ram;
static uint64_t entry;
static struct error error;

static void set_up(void)
{
    struct board board = {.ram_ranges = 1, .ram = {{.start = 0, .size = MEMORY}}};

    cr_assert_eq(ram_init(&ram, &board, NULL, &error), 0, "%s", error.text);
    memset(&image, 0, sizeof(image));
    memcpy(image.header.e_ident, ELFMAG, SELFMAG);
    image.header.e_ident[EI_CLASS] = ELFCLASS64;
    image.header.e_ident[EI_DATA] = ELFDATA2LSB;
    image.header.e_ident[EI_VERSION] = EV_CURRENT;
    image.header.e_type = ET_EXEC;
    image.header.e_machine = EM_X86_64;
    image.header.e_version = EV_CURRENT;
    image.header.e_phoff = sizeof(image.header);
    image.header.e_phentsize = sizeof(Elf64_Phdr);
    image.header.e_phnum = 3;
    image.header.e_entry = 0x100010;
    image.segment[0] = (Elf64_Phdr){.p_type = PT_LOAD, .p_flags = PF_R | PF_X, .p_paddr = 0x100000};
    image.segment[0].p_offset = offsetof(typeof(image), bytes);
    image.segment[0].p_filesz = sizeof(image.bytes);
    image.segment[0].p_memsz = 0x1000;
    image.segment[1] = image.segment[0];
    image.segment[1].p_flags = PF_R | PF_W;
    image.segment[1].p_paddr = 0x101000;
    image.segment[1].p_filesz = 0;
    image.segment[2].p_type = PT_NOTE;
    memset(image.bytes, 0x5a, sizeof(image.bytes));
}

static void tear_down(void)
{
    ram_destroy(&ram);
}

TestSuite(elf, .init = set_up, .fini = tear_down);

static int load(const void *data, size_t size)
{
    struct board_ram reserved = {.start = RESERVED_START, .size = BOARD_RESERVED_SIZE};

    return elf_load(data, size, &ram, reserved, &entry, &error);
}

static void expect_refused(const char *words)
{
    cr_assert_eq(load(&image, sizeof(image)), -1);
    cr_assert(strstr(error.text, words), "%s", error.text);
}

Test(elf, is_put_where_it_says)
{
    uint8_t *memory = ram_at(&ram, 0x100000, 0x2000);

    memset(memory, 0xff, 0x2000);
    cr_assert_eq(load(&image, sizeof(image)), 0, "%s", error.text);
    cr_assert_eq(entry, 0x100010);
    cr_assert_eq(memory[0], 0x5a);
    cr_assert_eq(memory[63], 0x5a);
    cr_assert_eq(memory[64], 0);
    cr_assert_eq(memory[0x1fff], 0);
}

Test(elf, cut_off_anywhere_is_refused)
{
    for (size_t size = 0; size < sizeof(image); size++) {
        void *cut = malloc(size + 1);

        memcpy(cut, &image, size);
        cr_assert_eq(load(cut, size), -1, "%zu", size);
        free(cut);
    }
}

Test(elf, what_is_no_elf_image_is_said_to_be_none)
{
    image.header.e_ident[0] = '#';
    expect_refused("not an ELF image");
}

Test(elf, for_another_machine)
{
    image.header.e_machine = EM_AARCH64;
    expect_refused("not for x86-64");
    image.header.e_machine = EM_X86_64;
    image.header.e_ident[EI_CLASS] = ELFCLASS32;
    expect_refused("64-bit");
    image.header.e_ident[EI_CLASS] = ELFCLASS64;
    image.header.e_type = ET_REL;
    expect_refused("not an executable");
}

Test(elf, program_headers_outside_of_the_file)
{
    image.header.e_phoff = UINT64_MAX - 8;
    expect_refused("within its program headers");
    image.header.e_phoff = sizeof(image.header);
    image.header.e_phnum = UINT16_MAX;
    expect_refused("program headers");
    image.header.e_phnum = 0;
    expect_refused("program headers");
    image.header.e_phnum = 3;
    image.header.e_phentsize = 55;
    expect_refused("55 bytes");
}

Test(elf, segments_outside_of_memory)
{
    image.segment[1].p_paddr = MEMORY - 0x800;
    expect_refused("not in the guest's memory");
    image.segment[1].p_paddr = UINT64_MAX - 0x800;
    expect_refused("not in the guest's memory");
    image.segment[1].p_paddr = 0x101000;
    image.segment[1].p_memsz = UINT64_MAX;
    expect_refused("not in the guest's memory");
}

Test(elf, segments_over_the_reserved_end)
{
    image.segment[1].p_paddr = RESERVED_START - 0x800;
    expect_refused("device tree");
}

Test(elf, segments_over_each_other)
{
    image.segment[1].p_paddr = 0x100fff;
    expect_refused("overlaps");
}

Test(elf, segments_outside_of_the_file)
{
    image.segment[0].p_offset = UINT64_MAX - 16;
    expect_refused("within segment 0");
    image.segment[0].p_offset = sizeof(image) - 8;
    expect_refused("within segment 0");
    image.segment[0].p_filesz = 0x2000;
    expect_refused("more bytes in the file");
}

Test(elf, entry_points_outside_of_code)
{
    image.header.e_entry = 0x101000;
    expect_refused("entry point");
}

Test(elf, changed_anywhere_never_leaves_memory)
{
    uint8_t *bytes = (uint8_t *)&image;

    for (size_t at = 0; at < offsetof(typeof(image), bytes); at++) {
        for (unsigned int bit = 0; bit < 8; bit++) {
            bytes[at] ^= (uint8_t)(1u << bit);
            if (load(&image, sizeof(image)) == 0)
                cr_assert(ram_at(&ram, entry, 1));
            bytes[at] ^= (uint8_t)(1u << bit);
        }
    }
}

Test(elf, files_that_are_none)
{
    struct board_ram reserved = {.start = RESERVED_START, .size = BOARD_RESERVED_SIZE};

    cr_assert_eq(elf_load_file("/nonexistent/image", &ram, reserved, &entry, &error), -1);
    cr_assert(strstr(error.text, "/nonexistent/image"), "%s", error.text);
    cr_assert_eq(elf_load_file("/", &ram, reserved, &entry, &error), -1);
    cr_assert_eq(elf_load_file("/dev/zero", &ram, reserved, &entry, &error), -1);
    cr_assert(strstr(error.text, "not a file"), "%s", error.text);
}
