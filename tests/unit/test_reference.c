/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/error.h"
#include "image/reference.h"

#define HEX64  "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define SHA256 "sha256:" HEX64

static void assert_same(const struct reference *a, const struct reference *b)
{
    assert_string_equal(a->host, b->host);
    assert_string_equal(a->repository, b->repository);
    assert_string_equal(a->tag, b->tag);
    assert_true(digest_equal(&a->digest, &b->digest));
}

static void accepts_and_normalises(void **state)
{
    (void)state;
    static const struct {
        const char *text, *canonical, *familiar;
    } cases[] = {
        {"busybox", "docker.io/library/busybox:latest", "busybox:latest"},
        {"busybox:1.36", "docker.io/library/busybox:1.36", "busybox:1.36"},
        {"docker.io/busybox", "docker.io/library/busybox:latest", "busybox:latest"},
        {"index.docker.io/library/busybox", "docker.io/library/busybox:latest", "busybox:latest"},
        {"team/app", "docker.io/team/app:latest", "team/app:latest"},
        {"docker.io/library/a/b", "docker.io/library/a/b:latest", "library/a/b:latest"},
        {"localhost/app", "localhost/app:latest", "localhost/app:latest"},
        {"localhost:5000/app:v1", "localhost:5000/app:v1", "localhost:5000/app:v1"},
        {"localhost:5000", "docker.io/library/localhost:5000", "localhost:5000"},
        {"127.0.0.1:5000/a/b/c", "127.0.0.1:5000/a/b/c:latest", "127.0.0.1:5000/a/b/c:latest"},
        {"[::1]:5000/app", "[::1]:5000/app:latest", "[::1]:5000/app:latest"},
        {"[fe80::1]/app", "[fe80::1]/app:latest", "[fe80::1]/app:latest"},
        {"Host/app", "Host/app:latest", "Host/app:latest"},
        {"a.b-c.example:65535/x", "a.b-c.example:65535/x:latest", "a.b-c.example:65535/x:latest"},
        {"a__b/c-----d/e.f_g", "docker.io/a__b/c-----d/e.f_g:latest", "a__b/c-----d/e.f_g:latest"},
        {"app@" SHA256, "docker.io/library/app@" SHA256, "app@" SHA256},
        {"app:1@" SHA256, "docker.io/library/app:1@" SHA256, "app:1@" SHA256},
        {"app:_A.-z", "docker.io/library/app:_A.-z", "app:_A.-z"},
        {"docker.io/foo.bar/x", "docker.io/foo.bar/x:latest", "docker.io/foo.bar/x:latest"},
        {"docker.io/localhost/x", "docker.io/localhost/x:latest", "docker.io/localhost/x:latest"},
        {HEX64 ":1", "docker.io/library/" HEX64 ":1", HEX64 ":1"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct reference reference, again;
        struct error err = {0};
        char text[REFERENCE_TEXT_MAX];
        if (reference_parse(&reference, cases[i].text, &err) != 0)
            fail_msg("%s: %s", cases[i].text, err.text);
        reference_format(&reference, text);
        assert_string_equal(text, cases[i].canonical);
        assert_int_equal(reference_parse(&again, text, &err), 0);
        assert_same(&again, &reference);
        reference_format_familiar(&reference, text);
        assert_string_equal(text, cases[i].familiar);
        assert_int_equal(reference_parse(&again, text, &err), 0);
        assert_same(&again, &reference);
    }
}

static void refuses(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "",
        ":",
        "/",
        "@",
        ":latest",
        "App",
        "a/",
        "/a",
        "a//b",
        "-a",
        "a-",
        "a..b",
        "a___b",
        "a._b",
        "a b",
        "a:",
        "a:b:c",
        "a:-x",
        "a:.x",
        "a:x y",
        "a:\xc3\xa9",
        "a@",
        "a@sha256:",
        "a@sha256:abcd",
        ("a@md5:" HEX64),
        ("a@" SHA256 "0"),
        "a@sha256:0123456789ABCDEF0123456789abcdef0123456789abcdef0123456789abcdef",
        (HEX64),
        "host.:5000/a",
        ".host/a",
        "ho..st/a",
        "-h.x/a",
        "h-.x/a",
        "host.x:/a",
        "host.x:0/a",
        "host.x:65536/a",
        "host.x:123456/a",
        "host.x:5a/a",
        "[::1/a",
        "[]/a:1",
        "[::g]/a",
        "[::1]5000/a",
        "[::1]:/a",
        "localhost:5000/",
        "http://host.x/a",
        "host.x/A",
        "a\n",
        ("a@" SHA256 "@" SHA256),
        "user@host.x/a",
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct reference reference, before;
        struct error err = {0};
        memset(&reference, 0x5a, sizeof reference);
        before = reference;
        if (reference_parse(&reference, cases[i], &err) != -EINVAL)
            fail_msg("'%s' was taken", cases[i]);
        assert_memory_equal(&reference, &before, sizeof before);
        assert_int_not_equal(err.text[0], '\0');
    }
}

static void limits_are_exact(void **state)
{
    (void)state;
    struct reference reference;
    char text[1024];

    /* "docker.io/library/" is 18 bytes of the 255. */
    memset(text, 'a', sizeof text);
    text[REFERENCE_NAME_MAX - 18] = '\0';
    assert_int_equal(reference_parse(&reference, text, NULL), 0);
    text[REFERENCE_NAME_MAX - 18] = 'a';
    text[REFERENCE_NAME_MAX - 17] = '\0';
    assert_int_equal(reference_parse(&reference, text, NULL), -EINVAL);

    memset(text, 'a', sizeof text);
    text[1] = ':';
    text[2 + REFERENCE_TAG_MAX] = '\0';
    assert_int_equal(reference_parse(&reference, text, NULL), 0);
    text[2 + REFERENCE_TAG_MAX] = 'a';
    text[3 + REFERENCE_TAG_MAX] = '\0';
    assert_int_equal(reference_parse(&reference, text, NULL), -EINVAL);

    memset(text, 'a', sizeof text);
    text[sizeof text - 1] = '\0';
    assert_int_equal(reference_parse(&reference, text, NULL), -EINVAL);
}

/* The longest that there is fits the room that callers give. */
static void the_longest_formats(void **state)
{
    (void)state;
    char text[REFERENCE_TEXT_MAX] = "h.x/";
    memset(text + 4, 'r', REFERENCE_NAME_MAX - 4);
    text[REFERENCE_NAME_MAX] = ':';
    memset(text + REFERENCE_NAME_MAX + 1, 't', REFERENCE_TAG_MAX);
    size_t end = REFERENCE_NAME_MAX + 1 + REFERENCE_TAG_MAX;
    (void)snprintf(text + end, sizeof text - end, "@sha512:" HEX64 HEX64);
    assert_int_equal(strlen(text), REFERENCE_TEXT_MAX - 1);

    struct reference reference;
    struct error err = {0};
    char formatted[REFERENCE_TEXT_MAX];
    assert_int_equal(reference_parse(&reference, text, &err), 0);
    reference_format(&reference, formatted);
    assert_string_equal(formatted, text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(accepts_and_normalises),
        cmocka_unit_test(refuses),
        cmocka_unit_test(limits_are_exact),
        cmocka_unit_test(the_longest_formats),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
