/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/error.h"

static void test_set_and_context(void **state)
{
    (void)state;
    struct error err = {0};
    int rc = error_set(&err, ENOENT, "no kernel '%s'", "vmlinux");
    assert_int_equal(rc, -ENOENT);
    assert_int_equal(err.code, ENOENT);
    assert_string_equal(err.text, "no kernel 'vmlinux'");
    assert_int_equal(error_context(&err, rc, "machine '%s'", "m1"), -ENOENT);
    assert_string_equal(err.text, "machine 'm1': no kernel 'vmlinux'");
    assert_int_equal(err.code, ENOENT);

    /* A layer may know better what the failure means to its caller. */
    assert_int_equal(error_context(&err, -EBADMSG, "store"), -EBADMSG);
    assert_int_equal(err.code, EBADMSG);
}

static void test_errno_words(void **state)
{
    (void)state;
    struct error err = {0};
    assert_int_equal(error_set_errno(&err, EACCES, "cannot open '%s'", "x"), -EACCES);
    assert_string_equal(err.text, "cannot open 'x': Permission denied");
}

static void test_failure_never_looks_like_success(void **state)
{
    (void)state;
    struct error err = {0};
    assert_int_equal(error_set(&err, 0, "?"), -EIO);
    assert_int_equal(error_set(&err, -5, "?"), -EIO);
    assert_int_equal(err.code, EIO);
}

static void test_nobody_wants_to_know(void **state)
{
    (void)state;
    assert_int_equal(error_set(NULL, EINVAL, "%s", "x"), -EINVAL);
    assert_int_equal(error_set_errno(NULL, EINVAL, "%s", "x"), -EINVAL);
    assert_int_equal(error_context(NULL, -EINVAL, "%s", "x"), -EINVAL);
}

static void test_outside_bytes_are_made_printable(void **state)
{
    (void)state;
    struct error err = {0};
    (void)error_set(&err, EINVAL, "name '%s'", "a\n\x1b[2Jb\x7f");
    assert_string_equal(err.text, "name 'a??[2Jb?'");
    (void)error_context(&err, -EINVAL, "in\n'%s'", "\r");
    assert_string_equal(err.text, "in?'?': name 'a??[2Jb?'");
}

static void test_long_text_is_cut(void **state)
{
    (void)state;
    struct error err = {0};
    char name[2 * ERROR_TEXT_MAX];
    memset(name, 'x', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    (void)error_set_errno(&err, EINVAL, "%s", name);
    assert_int_equal(strlen(err.text), ERROR_TEXT_MAX - 1);
    (void)error_context(&err, -EINVAL, "%s", name);
    assert_int_equal(strlen(err.text), ERROR_TEXT_MAX - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_set_and_context),
        cmocka_unit_test(test_errno_words),
        cmocka_unit_test(test_failure_never_looks_like_success),
        cmocka_unit_test(test_nobody_wants_to_know),
        cmocka_unit_test(test_outside_bytes_are_made_printable),
        cmocka_unit_test(test_long_text_is_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
