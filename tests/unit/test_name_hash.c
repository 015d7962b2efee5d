/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "image/name_hash.h"

/* From CPython's hash() of bytes (SipHash-1-3) with PYTHONHASHSEED=0, which means a key of zeros; folded to 32 bits. */
static void test_known_answers(void **state)
{
    (void)state;
    static const struct name_hash_key zeros;
    static const struct {
        uint64_t number;
        const char *name;
        uint32_t hash;
    } answers[] = {
        {0, "", 0xe5a732f3},
        {1, "a", 0x48a2fe0f},
        {0x123456789abcdef0, "seven77", 0xa96a0d2f},
        {2, "eight888", 0x477ee48f},
        {3, "a name of more than one word", 0xbdee6fe7},
    };
    for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++)
        assert_int_equal(name_hash(&zeros, answers[i].number, answers[i].name, strlen(answers[i].name)),
                         answers[i].hash);
}

static void test_the_key_matters(void **state)
{
    (void)state;
    static const struct name_hash_key a = {1, 2}, b = {1, 3};
    assert_int_not_equal(name_hash(&a, 0, "name", 4), name_hash(&b, 0, "name", 4));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_known_answers), cmocka_unit_test(test_the_key_matters)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
