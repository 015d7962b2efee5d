/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/error.h"
#include "image/platform.h"

static void text_round_trips(void **state)
{
    (void)state;
    static const char *const texts[] = {"linux/amd64", "linux/arm64/v8", "linux/arm/v7", "windows/amd64"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct platform platform;
        char text[PLATFORM_TEXT_MAX];
        assert_int_equal(platform_parse(&platform, texts[i], NULL), 0);
        platform_format(&platform, text);
        assert_string_equal(text, texts[i]);
    }
}

static void nonsense_is_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {"",
                                        "linux",
                                        "linux/",
                                        "/amd64",
                                        "linux/amd64/",
                                        "linux/arm/v7/x",
                                        "Linux/amd64",
                                        "linux//v7",
                                        "linux/amd 64",
                                        "linux/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct platform platform;
        struct error err = {0};
        if (platform_parse(&platform, texts[i], &err) != -EINVAL)
            fail_msg("'%s' was taken", texts[i]);
        assert_non_null(strstr(err.text, "invalid platform"));
    }
}

static void what_runs_where(void **state)
{
    (void)state;
    static const struct {
        const char *wanted, *offered;
        int distance;
    } cases[] = {
        {"linux/amd64", "linux/amd64", 0},        {"linux/amd64", "linux/arm64", -1},
        {"linux/amd64", "windows/amd64", -1},     {"linux/amd64", "unknown/unknown", -1},
        {"linux/arm64", "linux/arm64/v8", 0},     {"linux/arm64/v8", "linux/arm64", 0},
        {"linux/arm64/v8", "linux/arm64/v9", -1}, {"linux/arm64/v9", "linux/arm64/v8", 1},
        {"linux/arm/v7", "linux/arm/v7", 0},      {"linux/arm/v7", "linux/arm/v6", 1},
        {"linux/arm/v7", "linux/arm/v5", 2},      {"linux/arm/v6", "linux/arm/v7", -1},
        {"linux/arm", "linux/arm/v7", 0},         {"linux/arm/v6", "linux/arm", -1},
        {"linux/arm64", "linux/arm/v7", -1},      {"linux/arm/v7", "linux/arm/vx", -1},
        {"linux/amd64/v3", "linux/amd64", 1},     {"linux/amd64", "linux/amd64/v3", -1},
        {"linux/amd64/v3", "linux/amd64/v3", 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct platform wanted, offered;
        assert_int_equal(platform_parse(&wanted, cases[i].wanted, NULL), 0);
        assert_int_equal(platform_parse(&offered, cases[i].offered, NULL), 0);
        int distance = platform_distance(&wanted, &offered);
        if (distance != cases[i].distance)
            fail_msg("%s on %s: %d instead of %d", cases[i].offered, cases[i].wanted, distance, cases[i].distance);
    }
}

static void the_host_runs_its_own(void **state)
{
    (void)state;
    struct platform host;
    platform_host(&host);
    assert_string_equal(host.os, "linux");
    assert_int_equal(platform_distance(&host, &host), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_round_trips),
        cmocka_unit_test(nonsense_is_refused),
        cmocka_unit_test(what_runs_where),
        cmocka_unit_test(the_host_runs_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
