/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/x86/mptable.h"

#include <errno.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "base/error.h"
#include "vmm/x86/layout.h"

enum { ROOM = (int)(LAYOUT_MPTABLE_END - LAYOUT_MPTABLE), ENTRY_TYPES = 5, ENTRIES_MAX = 96 };

/* The table, taken apart by another hand than that which wrote it. */
struct parsed {
    unsigned counts[ENTRY_TYPES];
    const uint8_t *entries[ENTRY_TYPES][ENTRIES_MAX];
    const uint8_t *header;
};

static uint8_t sum(const uint8_t *bytes, size_t length)
{
    unsigned total = 0;
    while (length--)
        total += *bytes++;
    return (uint8_t)total;
}

static struct parsed parse(const uint8_t *bytes)
{
    struct parsed parsed = {0};
    assert_memory_equal(bytes, "_MP_", 4);
    assert_int_equal(bytes[8], 1);
    assert_int_equal(bytes[9], 4);
    assert_int_equal(sum(bytes, 16), 0);
    assert_int_equal(bytes[11], 0);
    uint32_t address = load_le32(bytes + 4);
    assert_int_equal(address, LAYOUT_MPTABLE + 16);
    const uint8_t *header = bytes + (address - LAYOUT_MPTABLE);
    uint16_t length = load_le16(header + 4);
    assert_memory_equal(header, "PCMP", 4);
    assert_true(16u + length <= ROOM);
    assert_int_equal(sum(header, length), 0);
    assert_int_equal(load_le32(header + 36), 0xfee00000);
    parsed.header = header;
    const uint8_t *next = header + 44;
    for (unsigned i = 0; i < load_le16(header + 34); i++) {
        uint8_t type = *next;
        assert_true(type < ENTRY_TYPES);
        assert_true(parsed.counts[type] < ENTRIES_MAX);
        parsed.entries[type][parsed.counts[type]++] = next;
        next += type == 0 ? 20 : 8;
    }
    assert_ptr_equal(next, header + length);
    return parsed;
}

static void the_largest_machine_fits(void **state)
{
    (void)state;
    uint8_t bytes[ROOM + 8];
    struct error err = {0};
    memset(bytes, 0x55, sizeof bytes);
    uint32_t lines = 0xffffffff;
    assert_int_equal(mptable_write(bytes, ROOM, LAYOUT_MPTABLE, LAYOUT_VCPUS_MAX, lines, &err), 0);
    struct parsed parsed = parse(bytes);
    assert_int_equal(parsed.counts[0], LAYOUT_VCPUS_MAX);
    assert_int_equal(parsed.counts[3], LAYOUT_IRQ_COUNT);
    for (unsigned i = 0; i < 8; i++)
        assert_int_equal(bytes[ROOM + i], 0x55);
}

static void processors_are_numbered_from_0(void **state)
{
    (void)state;
    uint8_t bytes[ROOM];
    struct error err = {0};
    assert_int_equal(mptable_write(bytes, ROOM, LAYOUT_MPTABLE, 3, 1 << 5, &err), 0);
    struct parsed parsed = parse(bytes);
    assert_int_equal(parsed.counts[0], 3);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(parsed.entries[0][i][1], i);
        assert_int_equal(parsed.entries[0][i][3], i == 0 ? 3 : 1); /* enabled; the first one boots */
    }
    assert_int_equal(parsed.counts[1], 1);
    assert_memory_equal(parsed.entries[1][0] + 2, "ISA   ", 6);
    assert_int_equal(parsed.counts[2], 1);
    assert_int_equal(parsed.entries[2][0][1], 3); /* an id that no processor has */
    assert_int_equal(load_le32(parsed.entries[2][0] + 4), 0xfec00000);
    assert_int_equal(parsed.counts[4], 2);
}

static void used_lines_are_edge_triggered(void **state)
{
    (void)state;
    uint8_t bytes[ROOM];
    struct error err = {0};
    assert_int_equal(mptable_write(bytes, ROOM, LAYOUT_MPTABLE, 1, 1 << 4 | 1 << 5 | 1 << 23, &err), 0);
    struct parsed parsed = parse(bytes);
    static const uint8_t lines[] = {4, 5, 23};
    assert_int_equal(parsed.counts[3], 3);
    for (unsigned i = 0; i < 3; i++) {
        const uint8_t *entry = parsed.entries[3][i];
        assert_int_equal(entry[1], 0);
        assert_int_equal(load_le16(entry + 2), 1 | 1 << 2); /* active high, edge */
        assert_int_equal(entry[5], lines[i]);
        assert_int_equal(entry[6], 1);
        assert_int_equal(entry[7], lines[i]);
    }
}

static void there_is_always_a_line(void **state)
{
    (void)state;
    uint8_t bytes[ROOM];
    struct error err = {0};
    assert_int_equal(mptable_write(bytes, ROOM, LAYOUT_MPTABLE, 1, 0, &err), 0);
    assert_int_equal(parse(bytes).counts[3], 1);
}

static void too_little_room_is_told(void **state)
{
    (void)state;
    uint8_t bytes[ROOM];
    struct error err = {0};
    for (size_t room = 0; room < 200; room++) {
        uint8_t copy[256];
        memset(copy, 0x55, sizeof copy);
        assert_int_equal(mptable_write(copy, room, LAYOUT_MPTABLE, 8, 1 << 5, &err), -E2BIG);
        for (size_t i = room; i < sizeof copy; i++)
            assert_int_equal(copy[i], 0x55);
    }
    assert_int_equal(mptable_write(bytes, ROOM, LAYOUT_MPTABLE, 200, 1, &err), -E2BIG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_largest_machine_fits),      cmocka_unit_test(processors_are_numbered_from_0),
        cmocka_unit_test(used_lines_are_edge_triggered), cmocka_unit_test(there_is_always_a_line),
        cmocka_unit_test(too_little_room_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
