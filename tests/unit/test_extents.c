/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "image/extents.h"

static void append(struct extents *extents, uint32_t logical, uint32_t count, uint64_t physical)
{
    assert_int_equal(extents_append(extents, (struct extent){logical, count, physical}), 0);
}

static void test_one_run_needs_no_memory(void **state)
{
    (void)state;
    struct extents extents = {0};
    assert_int_equal(extents_blocks(&extents), 0);
    append(&extents, 0, 5, 100);
    append(&extents, 5, 10, 105);
    assert_int_equal(extents.count, 1);
    assert_int_equal(extents.capacity, 0);
    assert_int_equal(extents_runs(&extents)[0].count, 15);
    assert_int_equal(extents_blocks(&extents), 15);
    extents_done(&extents);
    assert_int_equal(extents.count, 0);
}

static void test_only_what_continues_is_joined(void **state)
{
    (void)state;
    struct extents extents = {0};
    append(&extents, 0, 5, 100);
    append(&extents, 6, 1, 105); /* a hole in between */
    append(&extents, 7, 1, 107); /* elsewhere on the disk */
    append(&extents, 8, 2, 108);
    assert_int_equal(extents.count, 3);
    assert_int_equal(extents_runs(&extents)[2].logical, 7);
    assert_int_equal(extents_runs(&extents)[2].count, 3);
    assert_int_equal(extents_blocks(&extents), 9);
    extents_done(&extents);
}

static void test_runs_do_not_overflow(void **state)
{
    (void)state;
    struct extents extents = {0};
    append(&extents, 0, UINT32_MAX - 1, 0);
    append(&extents, UINT32_MAX - 1, 2, UINT32_MAX - 1);
    assert_int_equal(extents.count, 2);
    assert_int_equal(extents_blocks(&extents), (uint64_t)UINT32_MAX + 1);
    extents_done(&extents);
}

static void test_many_runs(void **state)
{
    (void)state;
    struct extents extents = {0};
    for (uint32_t i = 0; i < 1000; i++)
        append(&extents, 2 * i, 1, 5000 - 3 * i);
    assert_int_equal(extents.count, 1000);
    for (uint32_t i = 0; i < 1000; i++)
        assert_int_equal(extents_runs(&extents)[i].physical, 5000 - 3 * i);
    extents_done(&extents);
    extents_done(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_run_needs_no_memory),
        cmocka_unit_test(test_only_what_continues_is_joined),
        cmocka_unit_test(test_runs_do_not_overflow),
        cmocka_unit_test(test_many_runs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
