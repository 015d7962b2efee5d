/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/loader.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/fd.h"
#include "vmm/memory.h"

#define PAGE      UINT64_C(4096)
#define FILE_SIZE (6 * PAGE)
#define RAM       (UINT64_C(32) << 20)
#define LOAD_AT   UINT64_C(0x1000000)
#define SECOND_AT (LOAD_AT + 0x10000)

/* A small kernel: two segments, the first of three pages and a bit that can be mapped, the second with zeros after it.
 */
struct file {
    Elf64_Ehdr header;
    Elf64_Phdr programs[3];
    uint8_t rest[FILE_SIZE - sizeof(Elf64_Ehdr) - 3 * sizeof(Elf64_Phdr)];
};

static struct file good_file(void)
{
    struct file file = {
        .header =
            {
                .e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
                .e_type = ET_EXEC,
                .e_machine = EM_X86_64,
                .e_entry = LOAD_AT + 0x10,
                .e_phoff = offsetof(struct file, programs),
                .e_phentsize = sizeof(Elf64_Phdr),
                .e_phnum = 3,
            },
        .programs =
            {
                {.p_type = PT_LOAD,
                 .p_offset = 0x800,
                 .p_paddr = LOAD_AT + 0x800,
                 .p_filesz = 0x3100,
                 .p_memsz = 0x3100},
                {.p_type = PT_NOTE, .p_offset = UINT64_MAX, .p_paddr = UINT64_MAX, .p_filesz = 7, .p_memsz = 1},
                {.p_type = PT_LOAD, .p_offset = 0x4100, .p_paddr = SECOND_AT, .p_filesz = 0x1234, .p_memsz = 0x9000},
            },
    };
    file.header.e_entry = LOAD_AT + 0x810;
    for (size_t i = 0; i < sizeof file.rest; i++)
        file.rest[i] = (uint8_t)(i * 7 + i / 256 + 1);
    return file;
}

static int file_of(const void *bytes, size_t length)
{
    int fd = memfd_create("kernel", MFD_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(fd_write_full(fd, bytes, length), 0);
    return fd;
}

static int read_image(struct kernel_image *image, const void *bytes, size_t length, struct error *err)
{
    int fd = file_of(bytes, length);
    int rc = kernel_image_read(image, fd, RAM, err);
    close(fd);
    return rc;
}

static void good_kernel_is_understood(void **state)
{
    (void)state;
    struct file file = good_file();
    struct kernel_image image;
    struct error err = {0};
    assert_int_equal(read_image(&image, &file, sizeof file, &err), 0);
    assert_int_equal(image.count, 2);
    assert_int_equal(image.entry, LOAD_AT + 0x810);
    assert_int_equal(image.end, SECOND_AT + 0x9000);
}

/* Every byte of every segment is where it belongs, every other byte is zero. */
static void assert_loaded(const struct memory *memory, const struct file *file, const Elf64_Phdr *program)
{
    const uint8_t *bytes = (const uint8_t *)file;
    const uint8_t *loaded = guest_memory_at(&memory->guest, program->p_paddr, program->p_memsz);
    assert_non_null(loaded);
    assert_memory_equal(loaded, bytes + program->p_offset, program->p_filesz);
    for (uint64_t i = program->p_filesz; i < program->p_memsz; i++)
        assert_int_equal(loaded[i], 0);
}

static void segments_are_loaded(void **state)
{
    (void)state;
    struct file file = good_file();
    struct memory memory;
    struct kernel_image image;
    struct error err = {0};
    int fd = file_of(&file, sizeof file);
    assert_int_equal(memory_init(&memory, RAM, &err), 0);
    assert_int_equal(kernel_image_read(&image, fd, RAM, &err), 0);
    assert_int_equal(kernel_image_load(&image, fd, &memory, &err), 0);
    close(fd);
    assert_loaded(&memory, &file, &file.programs[0]);
    assert_loaded(&memory, &file, &file.programs[2]);
    /* Nothing before, between and after the segments, on the pages that they share with nothing. */
    const uint8_t *around = guest_memory_at(&memory.guest, LOAD_AT, SECOND_AT + 0x9000 - LOAD_AT + PAGE);
    for (uint64_t i = 0; i < 0x800; i++)
        assert_int_equal(around[i], 0);
    for (uint64_t i = 0x3900; i < SECOND_AT - LOAD_AT; i++)
        assert_int_equal(around[i], 0);
    memory_done(&memory);
}

static void guests_writes_do_not_reach_the_file(void **state)
{
    (void)state;
    struct file file = good_file();
    struct memory memory;
    struct kernel_image image;
    struct error err = {0};
    int fd = file_of(&file, sizeof file);
    assert_int_equal(memory_init(&memory, RAM, &err), 0);
    assert_int_equal(kernel_image_read(&image, fd, RAM, &err), 0);
    assert_int_equal(kernel_image_load(&image, fd, &memory, &err), 0);
    memset(guest_memory_at(&memory.guest, LOAD_AT, 0x4000), 0xee, 0x4000);
    struct file again;
    assert_int_equal(fd_pread_full(fd, &again, sizeof again, 0), sizeof again);
    assert_memory_equal(&again, &file, sizeof file);
    close(fd);
    memory_done(&memory);
}

/* ---- files that are no kernel ------------------------------------------------------------------------------------ */

struct spoiled {
    const char *name;
    void (*spoil)(struct file *file);
    int code;
    const char *words;
};

#define SPOIL(name, statement)                                                                                         \
    static void name(struct file *file)                                                                                \
    {                                                                                                                  \
        statement;                                                                                                     \
    }

SPOIL(wrong_magic, file->header.e_ident[0] = 'E')
SPOIL(wrong_class, file->header.e_ident[EI_CLASS] = ELFCLASS32)
SPOIL(wrong_order, file->header.e_ident[EI_DATA] = ELFDATA2MSB)
SPOIL(wrong_machine, file->header.e_machine = EM_AARCH64)
SPOIL(relocatable, file->header.e_type = ET_REL)
SPOIL(wrong_entry_size, file->header.e_phentsize = 55)
SPOIL(no_headers, file->header.e_phnum = 0)
SPOIL(many_headers, file->header.e_phnum = 0xffff)
SPOIL(headers_beyond_the_file, file->header.e_phoff = sizeof *file - 8)
SPOIL(headers_that_wrap, file->header.e_phoff = UINT64_MAX - 8)
SPOIL(segment_beyond_the_file, file->programs[0].p_offset = sizeof *file - 1)
SPOIL(segment_that_wraps_in_the_file, file->programs[0].p_offset = UINT64_MAX - 5)
SPOIL(more_in_the_file_than_in_memory, file->programs[0].p_memsz = 0x3000)
SPOIL(below_1_mib, file->programs[0].p_paddr = 0x1000)
SPOIL(beyond_ram, file->programs[2].p_paddr = RAM - 0x8000)
SPOIL(far_beyond_ram, file->programs[2].p_paddr = UINT64_C(1) << 63)
SPOIL(wraps_in_memory, file->programs[2].p_paddr = UINT64_MAX - 0xff)
SPOIL(enormous_in_memory, file->programs[2].p_memsz = UINT64_MAX)
SPOIL(overlapping, file->programs[2].p_paddr = LOAD_AT + 0x38ff)
SPOIL(the_same_twice, file->programs[1] = file->programs[0])
SPOIL(entry_before, file->header.e_entry = LOAD_AT + 0x7ff)
SPOIL(entry_in_zeros, file->header.e_entry = SECOND_AT + 0x2000)
SPOIL(nothing_to_load, file->programs[0].p_type = file->programs[2].p_type = PT_NULL)

#define CASE(function, code, words)                                                                                    \
    {                                                                                                                  \
#function, function, code, words                                                                               \
    }

static void spoiled_files_are_refused(void **state)
{
    (void)state;
    static const struct spoiled cases[] = {
        CASE(wrong_magic, ENOEXEC, "is not an ELF file: give the uncompressed vmlinux"),
        CASE(wrong_class, ENOEXEC, "is not a 64-bit ELF file"),
        CASE(wrong_order, ENOEXEC, "is not an x86-64 ELF file"),
        CASE(wrong_machine, ENOEXEC, "is not an x86-64 ELF file"),
        CASE(relocatable, ENOEXEC, "is not an ELF executable"),
        CASE(wrong_entry_size, ENOEXEC, "program headers of an unknown size"),
        CASE(no_headers, ENOEXEC, "has 0 ELF program headers"),
        CASE(many_headers, ENOEXEC, "has 65535 ELF program headers"),
        CASE(headers_beyond_the_file, ENOEXEC, "is truncated"),
        CASE(headers_that_wrap, ENOEXEC, "is truncated"),
        CASE(segment_beyond_the_file, ENOEXEC, "is truncated"),
        CASE(segment_that_wraps_in_the_file, ENOEXEC, "is truncated"),
        CASE(more_in_the_file_than_in_memory, ENOEXEC, "more bytes in the file than in memory"),
        CASE(below_1_mib, ENOEXEC, "below 1 MiB"),
        CASE(beyond_ram, E2BIG, "does not fit"),
        CASE(far_beyond_ram, E2BIG, "does not fit"),
        CASE(wraps_in_memory, E2BIG, "does not fit"),
        CASE(enormous_in_memory, E2BIG, "does not fit"),
        CASE(overlapping, ENOEXEC, "overlap"),
        CASE(the_same_twice, ENOEXEC, "overlap"),
        CASE(entry_before, ENOEXEC, "outside its segments"),
        CASE(entry_in_zeros, ENOEXEC, "outside its segments"),
        CASE(nothing_to_load, ENOEXEC, "outside its segments"),
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct file file = good_file();
        struct kernel_image image = {.entry = 42};
        struct error err = {0};
        cases[i].spoil(&file);
        int rc = read_image(&image, &file, sizeof file, &err);
        if (rc != -cases[i].code || !strstr(err.text, cases[i].words))
            fail_msg("%s: %d '%s'", cases[i].name, rc, err.text);
        assert_int_equal(image.entry, 42);
    }
}

static void many_segments_are_refused(void **state)
{
    (void)state;
    enum { COUNT = LOADER_SEGMENTS_MAX + 1 };
    struct {
        Elf64_Ehdr header;
        Elf64_Phdr programs[COUNT];
    } file = {.header = good_file().header};
    file.header.e_phnum = COUNT;
    for (unsigned i = 0; i < COUNT; i++)
        file.programs[i] =
            (Elf64_Phdr){.p_type = PT_LOAD, .p_paddr = LOAD_AT + i * PAGE, .p_filesz = 16, .p_memsz = 16};
    struct kernel_image image;
    struct error err = {0};
    assert_int_equal(read_image(&image, &file, sizeof file, &err), -ENOEXEC);
    assert_non_null(strstr(err.text, "more than 16"));
}

static void every_truncation_is_refused_or_harmless(void **state)
{
    (void)state;
    struct file file = good_file();
    for (size_t length = 0; length < sizeof file; length += length < 512 ? 1 : 509) {
        struct kernel_image image;
        struct error err = {0};
        /* The last segment ends at 0x5334: what is longer is whole. */
        int rc = read_image(&image, &file, length, &err);
        assert_int_equal(rc, length >= 0x5334 ? 0 : -ENOEXEC);
    }
}

static void other_boot_files_are_named(void **state)
{
    (void)state;
    static const struct {
        size_t offset;
        const char *magic;
        const char *words;
    } cases[] = {
        {0x202, "HdrS", "is a bzImage: give the uncompressed vmlinux"},
        {0, "\x1f\x8b\x08", "is gzip-compressed"},
        {0, "\x28\xb5\x2f\xfd", "is zstd-compressed"},
        {0,
         "\xfd"
         "7zXZ",
         "is xz-compressed"},
        {0, "#!/bin/sh\n", "is not an ELF file"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char bytes[1024] = "";
        memcpy(bytes + cases[i].offset, cases[i].magic, strlen(cases[i].magic));
        struct kernel_image image;
        struct error err = {0};
        assert_int_equal(read_image(&image, bytes, sizeof bytes, &err), -ENOEXEC);
        assert_non_null(strstr(err.text, cases[i].words));
    }
    struct kernel_image image;
    struct error err = {0};
    assert_int_equal(read_image(&image, "", 0, &err), -ENOEXEC);
    assert_string_equal(err.text, "is empty");
}

static void what_is_no_regular_file_is_refused(void **state)
{
    (void)state;
    struct kernel_image image;
    struct error err = {0};
    int fd = open("/dev/zero", O_RDONLY | O_CLOEXEC);
    assert_int_equal(kernel_image_read(&image, fd, RAM, &err), -EINVAL);
    close(fd);
    assert_int_equal(kernel_image_read(&image, -1, RAM, &err), -EBADF);
}

/* ---- initramfs --------------------------------------------------------------------------------------------------- */

static void initramfs_lies_at_the_top(void **state)
{
    (void)state;
    struct memory memory;
    struct initramfs initramfs;
    struct error err = {0};
    char bytes[PAGE + 100];
    memset(bytes, 'i', sizeof bytes);
    int fd = file_of(bytes, sizeof bytes);
    assert_int_equal(memory_init(&memory, RAM, &err), 0);
    assert_int_equal(initramfs_load(&initramfs, fd, &memory, LOAD_AT, &err), 0);
    assert_int_equal(initramfs.address, RAM - 2 * PAGE);
    assert_int_equal(initramfs.size, sizeof bytes);
    const char *loaded = guest_memory_at(&memory.guest, initramfs.address, 2 * PAGE);
    assert_memory_equal(loaded, bytes, sizeof bytes);
    assert_int_equal(loaded[sizeof bytes], 0);
    /* Right above the kernel there is just enough room, or one byte too little. */
    assert_int_equal(initramfs_load(&initramfs, fd, &memory, RAM - 2 * PAGE, &err), 0);
    assert_int_equal(initramfs_load(&initramfs, fd, &memory, RAM - 2 * PAGE + 1, &err), -E2BIG);
    assert_int_equal(initramfs_load(&initramfs, fd, &memory, UINT64_MAX, &err), -E2BIG);
    close(fd);
    memory_done(&memory);
}

static void initramfs_that_does_not_fit_is_refused(void **state)
{
    (void)state;
    struct memory memory;
    struct initramfs initramfs = {.size = 42};
    struct error err = {0};
    int fd = file_of("x", 1);
    assert_int_equal(ftruncate(fd, (off_t)RAM), 0);
    assert_int_equal(memory_init(&memory, RAM, &err), 0);
    assert_int_equal(initramfs_load(&initramfs, fd, &memory, LOAD_AT, &err), -E2BIG);
    assert_int_equal(ftruncate(fd, INT64_MAX), 0);
    assert_int_equal(initramfs_load(&initramfs, fd, &memory, LOAD_AT, &err), -E2BIG);
    assert_int_equal(initramfs.size, 42);
    close(fd);
    memory_done(&memory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_kernel_is_understood),
        cmocka_unit_test(segments_are_loaded),
        cmocka_unit_test(guests_writes_do_not_reach_the_file),
        cmocka_unit_test(spoiled_files_are_refused),
        cmocka_unit_test(many_segments_are_refused),
        cmocka_unit_test(every_truncation_is_refused_or_harmless),
        cmocka_unit_test(other_boot_files_are_named),
        cmocka_unit_test(what_is_no_regular_file_is_refused),
        cmocka_unit_test(initramfs_lies_at_the_top),
        cmocka_unit_test(initramfs_that_does_not_fit_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
