/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/error.h"
#include "tools/hull/age.h"

enum { NOW = 1800000000 };

static void durations(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t seconds;
    } good[] = {{"0", 0}, {"90s", 90}, {"10m", 600}, {"24h", 86400}, {"7d", 604800}, {"2w", 1209600}, {"1h30m", 5400}};
    static const char *const bad[] = {
        "", "7", "h", "1x", "-1h", "1h ", " 1h", "1.5h", "99999999999999999999s", "9223372036854775807w"};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        uint64_t seconds = 1;
        assert_int_equal(age_parse_duration(good[i].text, &seconds, NULL), 0);
        assert_int_equal(seconds, good[i].seconds);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        uint64_t seconds = 77;
        struct error err = {0};
        assert_int_equal(age_parse_duration(bad[i], &seconds, &err), -EINVAL);
        assert_int_equal(seconds, 77);
    }
}

static void points_in_time(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t when;
    } good[] = {{"24h", NOW - 86400},
                {"1700000000", 1700000000},
                {"2023-11-14T22:13:20Z", 1700000000},
                {"2023-11-14T22:13:20", 1700000000},
                {"2023-11-14T22:13", 1699999980},
                {"2023-11-14", 1699920000},
                {"999999999999h", 0}};
    static const char *const bad[] = {"", "yesterday", "2023-13-01", "2023-11-14T22:13:20+01:00", "2023-11-14x"};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        int64_t when = 1;
        assert_int_equal(age_parse_until(good[i].text, NOW, &when, NULL), 0);
        assert_int_equal(when, good[i].when);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        int64_t when;
        assert_int_equal(age_parse_until(bad[i], NOW, &when, NULL), -EINVAL);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(durations), cmocka_unit_test(points_in_time)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
