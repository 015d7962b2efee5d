/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/error.h"
#include "image/ext4/allocator.h"
#include "image/ext4/format.h"

enum { GROUP = EXT4_BLOCKS_PER_GROUP };

static struct ext4_allocator allocator;

static struct ext4_run take(uint64_t want)
{
    struct ext4_run run = {0};
    assert_int_equal(ext4_allocator_take(&allocator, want, &run, NULL), 0);
    return run;
}

static void give(uint64_t start, uint64_t count)
{
    assert_int_equal(ext4_allocator_give(&allocator, (struct ext4_run){start, count}), 0);
}

static void assert_takes(uint64_t want, uint64_t start, uint64_t count)
{
    struct ext4_run run = take(want);
    assert_int_equal(run.start, start);
    assert_int_equal(run.count, count);
}

static void test_blocks_follow_each_other(void **state)
{
    (void)state;
    ext4_allocator_init(&allocator, 2, 1000);
    assert_takes(5, 2, 5);
    assert_takes(1, 7, 1);
    assert_takes(100, 8, 100);
    ext4_allocator_done(&allocator);
}

static void test_gaps_are_used_after_settling(void **state)
{
    (void)state;
    ext4_allocator_init(&allocator, 0, 1000);
    take(100);
    give(10, 5);
    give(30, 10);
    give(15, 5);
    assert_takes(1, 100, 1);
    assert_int_equal(ext4_allocator_settle(&allocator), 0);
    assert_takes(10, 10, 10); /* the two neighbours are one */
    assert_takes(11, 101, 11);
    assert_takes(4, 30, 4);
    assert_takes(7, 112, 7);
    assert_takes(6, 34, 6);
    assert_takes(1, 119, 1);
    ext4_allocator_done(&allocator);
}

static void test_what_is_given_back_at_the_end_was_never_taken(void **state)
{
    (void)state;
    ext4_allocator_init(&allocator, 0, 1000);
    take(100);
    give(90, 10);
    give(80, 10);
    assert_int_equal(ext4_allocator_settle(&allocator), 0);
    assert_int_equal(allocator.next, 80);
    assert_int_equal(allocator.free.count, 0);
    ext4_allocator_done(&allocator);
}

/* Against a plain map of blocks, by chance. */
static void test_nothing_is_given_out_twice(void **state)
{
    (void)state;
    enum { BLOCKS = 4000, ROUNDS = 3000 };
    static uint8_t taken[BLOCKS];
    memset(taken, 0, sizeof taken);
    ext4_allocator_init(&allocator, 0, BLOCKS);
    uint32_t random = 12345;
    for (int round = 0; round < ROUNDS; round++) {
        random = random * 1664525 + 1013904223;
        struct ext4_run run;
        if (random >> 31) {
            if (ext4_allocator_take(&allocator, 1 + (random >> 8) % 20, &run, NULL) < 0)
                continue;
            for (uint64_t i = 0; i < run.count; i++)
                assert_int_equal(taken[run.start + i]++, 0);
        } else {
            uint64_t block = (random >> 8) % BLOCKS;
            if (taken[block]) {
                taken[block] = 0;
                give(block, 1);
            }
        }
        if (random % 16 == 0)
            assert_int_equal(ext4_allocator_settle(&allocator), 0);
    }
    assert_int_equal(ext4_allocator_settle(&allocator), 0);
    uint64_t free_blocks = 0;
    for (size_t i = 0; i < allocator.free.count; i++)
        for (uint64_t j = 0; j < allocator.free.runs[i].count; j++, free_blocks++)
            assert_int_equal(taken[allocator.free.runs[i].start + j], 0);
    for (uint64_t i = allocator.next; i < BLOCKS; i++, free_blocks++)
        assert_int_equal(taken[i], 0);
    uint64_t used = 0;
    for (uint64_t i = 0; i < BLOCKS; i++)
        used += taken[i];
    assert_int_equal(used + free_blocks, BLOCKS);
    ext4_allocator_done(&allocator);
}

static void test_distant_descriptors_are_stepped_over(void **state)
{
    (void)state;
    static const unsigned groups[] = {64, 65, 127, 128, 129, 191};
    for (size_t i = 0; i < sizeof groups / sizeof groups[0]; i++) {
        uint64_t place = (uint64_t)groups[i] * GROUP;
        assert_true(ext4_block_holds_descriptors(place));
        assert_false(ext4_block_holds_descriptors(place + 1));
        ext4_allocator_init(&allocator, place - 10, EXT4_BLOCKS_MAX);
        assert_takes(100, place - 10, 10);
        assert_takes(100, place + 1, 100);
        ext4_allocator_done(&allocator);
        uint64_t start;
        ext4_allocator_init(&allocator, place - 10, EXT4_BLOCKS_MAX);
        assert_int_equal(ext4_allocator_take_whole(&allocator, 11, &start, NULL), 0);
        assert_int_equal(start, place + 1);
        ext4_allocator_done(&allocator);
    }
    static const unsigned others[] = {0, 1, 63, 66, 126, 130};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        assert_false(ext4_block_holds_descriptors((uint64_t)others[i] * GROUP));
}

static void test_full(void **state)
{
    (void)state;
    struct error err = {0};
    struct ext4_run run;
    uint64_t start;
    ext4_allocator_init(&allocator, 90, 100);
    assert_int_equal(ext4_allocator_take_whole(&allocator, 11, &start, &err), -28);
    ext4_allocator_done(&allocator);
    ext4_allocator_init(&allocator, 90, 100);
    assert_takes(20, 90, 10);
    assert_int_equal(ext4_allocator_take(&allocator, 1, &run, &err), -28);
    assert_non_null(strstr(err.text, "full"));
    ext4_allocator_done(&allocator);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_blocks_follow_each_other),
        cmocka_unit_test(test_gaps_are_used_after_settling),
        cmocka_unit_test(test_what_is_given_back_at_the_end_was_never_taken),
        cmocka_unit_test(test_nothing_is_given_out_twice),
        cmocka_unit_test(test_distant_descriptors_are_stepped_over),
        cmocka_unit_test(test_full),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
