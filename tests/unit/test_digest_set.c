/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "image/digest_set.h"

enum { MANY = 5000 };

static struct digest digest_number(unsigned number, enum digest_algorithm algorithm)
{
    struct digest digest = {.algorithm = algorithm};
    memcpy(digest.bytes, &number, sizeof number);
    return digest;
}

static void an_empty_set_has_nothing(void **state)
{
    (void)state;
    struct digest_set set = {0};
    struct digest digest = digest_number(1, DIGEST_SHA256);
    assert_false(digest_set_contains(&set, &digest));
    digest_set_done(&set);
}

static void what_was_added_is_there_and_nothing_else(void **state)
{
    (void)state;
    struct digest_set set = {0};
    for (unsigned i = 0; i < MANY; i++) {
        struct digest digest = digest_number(i, i % 3 ? DIGEST_SHA256 : DIGEST_SHA512);
        assert_int_equal(digest_set_add(&set, &digest, NULL), 1);
        assert_int_equal(digest_set_add(&set, &digest, NULL), 0);
    }
    assert_int_equal(set.count, MANY);
    for (unsigned i = 0; i < MANY; i++) {
        struct digest digest = digest_number(i, i % 3 ? DIGEST_SHA256 : DIGEST_SHA512);
        struct digest other = digest_number(i, i % 3 ? DIGEST_SHA512 : DIGEST_SHA256);
        assert_true(digest_set_contains(&set, &digest));
        assert_false(digest_set_contains(&set, &other));
        digest = digest_number(i + MANY, DIGEST_SHA256);
        assert_false(digest_set_contains(&set, &digest));
    }
    digest_set_done(&set);
    assert_int_equal(set.count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_set_has_nothing),
        cmocka_unit_test(what_was_added_is_there_and_nothing_else),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
