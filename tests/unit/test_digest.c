/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/error.h"
#include "image/digest.h"

/* FIPS 180-4 example values. */
static const char abc_256[] = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
static const char empty_256[] = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
static const char abc_512[] = "sha512:ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
                              "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f";

static void test_parse_and_format_round_trip(void **state)
{
    (void)state;
    static const char *const texts[] = {abc_256, empty_256, abc_512};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct digest digest;
        char text[DIGEST_TEXT_MAX];
        assert_int_equal(digest_parse(&digest, texts[i], NULL), 0);
        digest_format(&digest, text);
        assert_string_equal(text, texts[i]);
        digest_format_hex(&digest, text);
        assert_string_equal(text, texts[i] + strlen("sha256:"));
    }
}

static void test_parse_refuses(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",
        "sha256:",
        "sha256",
        "md5:d41d8cd98f00b204e9800998ecf8427e",
        "sha256:BA7816BF8F01CFEA414140DE5DAE2223B00361A396177A9CB410FF61F20015AD",
        "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015a",
        "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad0",
        "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad ",
        "sha256:ga7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
        "sha512:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
        " sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct error err = {0};
        struct digest digest = {.bytes = {7}};
        assert_int_equal(digest_parse(&digest, texts[i], &err), -22);
        assert_non_null(strstr(err.text, texts[i]));
        assert_int_equal(digest.bytes[0], 7);
    }
}

static void check_hash(enum digest_algorithm algorithm, const char *input, size_t piece, const char *expected)
{
    struct hasher *hasher = NULL;
    struct digest digest;
    char text[DIGEST_TEXT_MAX];
    assert_int_equal(hasher_new(&hasher, algorithm, NULL), 0);
    for (int round = 0; round < 2; round++) { /* a finished hasher starts anew */
        for (size_t at = 0; at < strlen(input); at += piece)
            hasher_update(hasher, input + at, strlen(input) - at < piece ? strlen(input) - at : piece);
        assert_int_equal(hasher_finish(hasher, &digest, NULL), 0);
        digest_format(&digest, text);
        assert_string_equal(text, expected);
    }
    hasher_free(hasher);
}

static void test_hash_known_answers(void **state)
{
    (void)state;
    check_hash(DIGEST_SHA256, "abc", 3, abc_256);
    check_hash(DIGEST_SHA256, "abc", 1, abc_256);
    check_hash(DIGEST_SHA256, "", 1, empty_256);
    check_hash(DIGEST_SHA512, "abc", 2, abc_512);
}

static void test_unknown_algorithm(void **state)
{
    (void)state;
    struct hasher *hasher = NULL;
    struct error err = {0};
    assert_int_equal(hasher_new(&hasher, (enum digest_algorithm)0, &err), -22);
    assert_int_equal(hasher_new(&hasher, (enum digest_algorithm)9, &err), -22);
    assert_null(hasher);
    hasher_free(NULL);
}

static void test_equal(void **state)
{
    (void)state;
    struct digest a, b, none = {0};
    assert_int_equal(digest_parse(&a, abc_256, NULL), 0);
    assert_int_equal(digest_parse(&b, abc_256, NULL), 0);
    assert_true(digest_equal(&a, &b));
    b.bytes[31] ^= 1;
    assert_false(digest_equal(&a, &b));
    assert_false(digest_equal(&a, &none));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse_and_format_round_trip),
        cmocka_unit_test(test_parse_refuses),
        cmocka_unit_test(test_hash_known_answers),
        cmocka_unit_test(test_unknown_algorithm),
        cmocka_unit_test(test_equal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
