/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/x86/boot.h"

#include <asm/bootparam.h>
#include <errno.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "base/error.h"
#include "vmm/loader.h"
#include "vmm/memory.h"
#include "vmm/x86/layout.h"
#include "vmm/x86/regs.h"

#define MIB (UINT64_C(1) << 20)
#define GIB (UINT64_C(1) << 30)

static struct memory new_memory(uint64_t size)
{
    struct memory memory;
    struct error err = {0};
    assert_int_equal(memory_init(&memory, size, &err), 0);
    return memory;
}

static const struct boot_params *zero_page(const struct memory *memory)
{
    return guest_memory_at(&memory->guest, LAYOUT_ZERO_PAGE, sizeof(struct boot_params));
}

struct range {
    uint64_t start, size;
};

static void assert_map(const struct boot_params *params, const struct range *ranges, unsigned count)
{
    assert_int_equal(params->e820_entries, count);
    for (unsigned i = 0; i < count; i++) {
        assert_int_equal(params->e820_table[i].addr, ranges[i].start);
        assert_int_equal(params->e820_table[i].size, ranges[i].size);
        assert_int_equal(params->e820_table[i].type, 1);
    }
}

static void the_memory_map_has_the_holes(void **state)
{
    (void)state;
    static const struct {
        uint64_t size;
        struct range ranges[3];
        unsigned count;
    } cases[] = {
        {64 * MIB, {{0, 0x9fc00}, {MIB, 63 * MIB}}, 2},
        {3 * GIB, {{0, 0x9fc00}, {MIB, 3 * GIB - MIB}}, 2},
        {3 * GIB + 4096, {{0, 0x9fc00}, {MIB, 3 * GIB - MIB}, {4 * GIB, 4096}}, 3},
        {6 * GIB, {{0, 0x9fc00}, {MIB, 3 * GIB - MIB}, {4 * GIB, 3 * GIB}}, 3},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct memory memory = new_memory(cases[i].size);
        struct initramfs none = {0};
        struct boot_settings settings = {.cmdline = "", .initramfs = &none};
        struct error err = {0};
        assert_int_equal(boot_write(&memory, &settings, &err), 0);
        assert_map(zero_page(&memory), cases[i].ranges, cases[i].count);
        memory_done(&memory);
    }
}

static void the_header_is_that_of_the_protocol(void **state)
{
    (void)state;
    struct memory memory = new_memory(64 * MIB);
    struct initramfs initramfs = {.address = 0x3f00000, .size = 12345};
    struct boot_settings settings = {.cmdline = "quiet reboot=k", .initramfs = &initramfs, .seed = {1, 2, 3}};
    struct error err = {0};
    assert_int_equal(boot_write(&memory, &settings, &err), 0);
    const struct boot_params *params = zero_page(&memory);
    const uint8_t *raw = (const uint8_t *)params;
    assert_int_equal(load_le16(raw + 0x1fe), 0xaa55);
    assert_memory_equal(raw + 0x202, "HdrS", 4);
    assert_true(load_le16(raw + 0x206) >= 0x20c);
    assert_int_equal(raw[0x210], 0xff);
    assert_int_equal(raw[0x211] & 1, 1);
    assert_int_equal(load_le32(raw + 0x218), 0x3f00000);
    assert_int_equal(load_le32(raw + 0x21c), 12345);
    assert_int_equal(raw[0x1ef], 0); /* the sentinel */
    assert_string_equal((char *)guest_memory_at(&memory.guest, load_le32(raw + 0x228), 64), "quiet reboot=k");

    /* The seed is a list of one. */
    const uint8_t *seed = guest_memory_at(&memory.guest, load_le64(raw + 0x250), 16 + BOOT_SEED_SIZE);
    assert_int_equal(load_le64(seed), 0);
    assert_int_equal(load_le32(seed + 8), 9);
    assert_int_equal(load_le32(seed + 12), BOOT_SEED_SIZE);
    assert_memory_equal(seed + 16, settings.seed, BOOT_SEED_SIZE);
    memory_done(&memory);
}

static void without_a_seed_none_is_announced(void **state)
{
    (void)state;
    struct memory memory = new_memory(32 * MIB);
    struct initramfs none = {0};
    struct boot_settings settings = {.cmdline = "", .initramfs = &none};
    struct error err = {0};
    assert_int_equal(boot_write(&memory, &settings, &err), 0);
    assert_int_equal(zero_page(&memory)->hdr.setup_data, 0);
    assert_int_equal(zero_page(&memory)->hdr.ramdisk_size, 0);
    memory_done(&memory);
}

static void the_command_line_has_a_limit(void **state)
{
    (void)state;
    struct memory memory = new_memory(32 * MIB);
    struct initramfs none = {0};
    char cmdline[LAYOUT_CMDLINE_SIZE + 1];
    struct boot_settings settings = {.cmdline = cmdline, .initramfs = &none};
    struct error err = {0};
    memset(cmdline, 'a', sizeof cmdline);
    cmdline[LAYOUT_CMDLINE_SIZE - 1] = '\0';
    assert_int_equal(boot_write(&memory, &settings, &err), 0);
    assert_string_equal((char *)guest_memory_at(&memory.guest, LAYOUT_CMDLINE, LAYOUT_CMDLINE_SIZE), cmdline);
    cmdline[LAYOUT_CMDLINE_SIZE - 1] = 'a';
    cmdline[LAYOUT_CMDLINE_SIZE] = '\0';
    assert_int_equal(boot_write(&memory, &settings, &err), -E2BIG);
    memory_done(&memory);
}

/* Follows the page tables as the processor would. */
static uint64_t translate(const struct memory *memory, uint64_t address)
{
    uint64_t table = LAYOUT_PML4;
    for (unsigned shift = 39;; shift -= 9) {
        const uint8_t *entries = guest_memory_at(&memory->guest, table, 4096);
        uint64_t entry = load_le64(entries + (address >> shift & 0x1ff) * 8);
        assert_int_equal(entry & 3, 3);
        if (shift == 21) {
            assert_int_equal(entry & 0x80, 0x80);
            return (entry & ~UINT64_C(0x1fffff)) | (address & 0x1fffff);
        }
        table = entry & ~UINT64_C(0xfff);
    }
}

static void the_first_4_gib_are_mapped_one_to_one(void **state)
{
    (void)state;
    struct memory memory = new_memory(32 * MIB);
    regs_write_tables(&memory);
    static const uint64_t addresses[] = {0,          0x1000,     LAYOUT_ZERO_PAGE,   0x1000000,    0x3fffffff,
                                         0x40000000, 0xbfffffff, LAYOUT_VIRTIO_MMIO, LAYOUT_LAPIC, 0xffffffff};
    for (size_t i = 0; i < sizeof addresses / sizeof addresses[0]; i++)
        assert_int_equal(translate(&memory, addresses[i]), addresses[i]);
    const uint8_t *gdt = guest_memory_at(&memory.guest, LAYOUT_GDT, 64);
    assert_int_equal(load_le64(gdt), 0);
    assert_int_equal(load_le64(gdt + 0x10), 0x00af9b000000ffff); /* 64-bit code, flat */
    assert_int_equal(load_le64(gdt + 0x18), 0x00cf93000000ffff); /* data, flat */
    memory_done(&memory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_memory_map_has_the_holes),          cmocka_unit_test(the_header_is_that_of_the_protocol),
        cmocka_unit_test(without_a_seed_none_is_announced),      cmocka_unit_test(the_command_line_has_a_limit),
        cmocka_unit_test(the_first_4_gib_are_mapped_one_to_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
