/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/error.h"
#include "image/mirror.h"

static struct reference mirrors[MIRRORS_MAX];

static int list(const char *text, const char *name, struct error *err)
{
    struct reference reference;
    assert_int_equal(reference_parse(&reference, name, NULL), 0);
    return mirror_list(text, &reference, mirrors, err);
}

static void expect_name(size_t index, const char *wanted)
{
    char text[REFERENCE_TEXT_MAX];
    reference_format(&mirrors[index], text);
    assert_string_equal(text, wanted);
}

static void no_list_is_no_mirror(void **state)
{
    (void)state;
    assert_int_equal(list(NULL, "busybox", NULL), 0);
    assert_int_equal(list("", "busybox", NULL), 0);
    assert_int_equal(list(" , ", "busybox", NULL), 0);
    assert_int_equal(list("quay.io=m.example", "busybox", NULL), 0);
    assert_int_equal(list("docker.io.evil=m.example", "busybox", NULL), 0);
}

static void mirrors_keep_their_order(void **state)
{
    (void)state;
    static const char text[] = "docker.io=m.example:5000, quay.io=q.example,Docker.IO=c.example/hub/x";
    assert_int_equal(list(text, "busybox:1.2", NULL), 2);
    expect_name(0, "m.example:5000/library/busybox:1.2");
    expect_name(1, "c.example/hub/x/library/busybox:1.2");
    assert_int_equal(list(text, "quay.io/a/b", NULL), 1);
    expect_name(0, "q.example/a/b:latest");
    assert_int_equal(list("r.example:1=localhost:2", "r.example:1/a", NULL), 1);
    expect_name(0, "localhost:2/a:latest");
}

static void digests_stay(void **state)
{
    (void)state;
    static const char digest[] = "@sha256:0123456789012345678901234567890123456789012345678901234567890123";
    char name[REFERENCE_TEXT_MAX] = "busybox";
    strcat(name, digest);
    assert_int_equal(list("docker.io=m.example", name, NULL), 1);
    assert_true(reference_has_digest(&mirrors[0]));
    assert_string_equal(mirrors[0].tag, "");
}

static void nonsense_is_named(void **state)
{
    (void)state;
    static const struct {
        const char *text, *says;
    } cases[] = {
        {"m.example", "'m.example' is not REGISTRY=MIRROR"},
        {"docker.io=", "names no registry"},
        {"docker.io=mirror", "names no registry"},
        {"docker.io=m.example/", "names no registry"},
        {"docker.io=https://m.example", "names no registry"},
        {"docker.io=M.example/UPPER", "names no registry"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct error err = {0};
        assert_int_equal(list(cases[i].text, "busybox", &err), -EINVAL);
        assert_non_null(strstr(err.text, cases[i].says));
    }
    assert_int_equal(list("docker.io=a.b,docker.io=a.b,docker.io=a.b,docker.io=a.b,docker.io=a.b,docker.io=a.b,"
                          "docker.io=a.b,docker.io=a.b,docker.io=a.b",
                          "busybox", NULL),
                     -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_list_is_no_mirror),
        cmocka_unit_test(mirrors_keep_their_order),
        cmocka_unit_test(digests_stay),
        cmocka_unit_test(nonsense_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
