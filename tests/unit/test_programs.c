/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/programs.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/error.h"

static int setup(void **state)
{
    (void)state;
    unsetenv("HULL_VMM");
    unsetenv("HULL_KERNEL");
    unsetenv("HULL_INITRAMFS");
    return 0;
}

/* A path beside this test's own executable. */
static void beside(char path[static PATH_MAX], const char *name)
{
    char own[PATH_MAX];
    ssize_t length = readlink("/proc/self/exe", own, sizeof own - 1);
    assert_true(length > 0);
    own[length] = 0;
    *strrchr(own, '/') = 0;
    assert_true(snprintf(path, PATH_MAX, "%s/%s", own, name) < PATH_MAX);
}

static void an_override_counts(void **state)
{
    (void)state;
    char path[PATH_MAX] = "untouched";
    struct error err = {0};
    setenv("HULL_VMM", "/bin/sh", 1);
    assert_int_equal(program_find(PROGRAM_VMM, path, NULL), 0);
    assert_string_equal(path, "/bin/sh");
    /* What is named must be there: nothing else is taken instead. */
    setenv("HULL_KERNEL", "/no/such/vmlinux", 1);
    assert_int_equal(program_find(PROGRAM_KERNEL, path, &err), -ENOENT);
    assert_string_equal(path, "/bin/sh");
    assert_non_null(strstr(err.text, "HULL_KERNEL names '/no/such/vmlinux'"));
}

static void beside_the_executable(void **state)
{
    (void)state;
    char expected[PATH_MAX];
    char path[PATH_MAX];
    struct error err = {0};
    beside(expected, "initramfs.cpio");
    (void)unlink(expected);
    assert_int_equal(program_find(PROGRAM_INITRAMFS, path, &err), -ENOENT);
    assert_non_null(strstr(err.text, "HULL_INITRAMFS"));
    FILE *file = fopen(expected, "we");
    assert_non_null(file);
    if (file)
        fclose(file);
    assert_int_equal(program_find(PROGRAM_INITRAMFS, path, NULL), 0);
    assert_string_equal(path, expected);
    assert_int_equal(unlink(expected), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(an_override_counts, setup),
        cmocka_unit_test_setup(beside_the_executable, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
