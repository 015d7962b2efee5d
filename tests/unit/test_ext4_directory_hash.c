/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "image/ext4/directory_hash.h"
#include "tests/support/e2fs.h"

static const uint32_t seed[4] = {0x67452301, 0x89abcdef, 0x01234567, 0xdeadbeef};

/* What debugfs's dx_hash says: the seed is a UUID whose bytes are the words in little-endian order. */
static void ask_debugfs(const char *name, uint32_t *major, uint32_t *minor)
{
    char request[512];
    snprintf(request, sizeof request, "dx_hash -h half_md4 -s 01234567-efcd-ab89-6745-2301efbeadde \"%s\"", name);
    int fd = e2fs_new_file();
    char *output = e2fs_debug(fd, request);
    const char *hash = strstr(output, "is 0x"), *rest = strstr(output, "(minor 0x");
    if (!hash || !rest) {
        fail_msg("debugfs says: %s", output);
        return;
    }
    *major = (uint32_t)strtoul(hash + strlen("is "), NULL, 16);
    *minor = (uint32_t)strtoul(rest + strlen("(minor "), NULL, 16);
    free(output);
    close(fd);
}

static void test_agrees_with_debugfs(void **state)
{
    (void)state;
    char long_name[256];
    memset(long_name, 'q', 255);
    long_name[255] = '\0';
    const char *const names[] = {"a",
                                 "abc",
                                 "abcd",
                                 "file-17.txt",
                                 "exactly-thirty-two-bytes-long-ab",
                                 "thirty-three-bytes-are-one-more-x",
                                 "a name of more than sixty-four bytes, so that it takes three pieces of 32",
                                 long_name};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        uint32_t major = 0, minor = 0;
        ask_debugfs(names[i], &major, &minor);
        struct ext4_directory_hash hash = ext4_directory_hash(seed, names[i], strlen(names[i]));
        assert_int_equal(hash.major, major);
        assert_int_equal(hash.minor, minor);
    }
}

static void test_no_seed_means_the_algorithms_own(void **state)
{
    (void)state;
    static const uint32_t zeros[4], own[4] = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476};
    struct ext4_directory_hash a = ext4_directory_hash(zeros, "name", 4), b = ext4_directory_hash(own, "name", 4);
    assert_int_equal(a.major, b.major);
    assert_int_equal(a.minor, b.minor);
}

static void test_hashes_are_positions(void **state)
{
    (void)state;
    char name[16];
    for (int i = 0; i < 10000; i++) {
        snprintf(name, sizeof name, "%d", i);
        struct ext4_directory_hash hash = ext4_directory_hash(seed, name, strlen(name));
        assert_int_equal(hash.major & 1, 0);
        assert_true(hash.major != 0xfffffffe);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_agrees_with_debugfs),
        cmocka_unit_test(test_no_seed_means_the_algorithms_own),
        cmocka_unit_test(test_hashes_are_positions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
