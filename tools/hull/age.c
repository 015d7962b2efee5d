/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/hull/age.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "base/checked.h"
#include "base/error.h"

/* Reads digits. @return 0 and moves *at behind them, or -EINVAL */
static int take_number(const char **at, uint64_t *number)
{
    const char *digit = *at;
    uint64_t value = 0;
    for (; *digit >= '0' && *digit <= '9'; digit++)
        if (!checked_mul_u64(value, 10, &value) || !checked_add_u64(value, (uint64_t)(*digit - '0'), &value))
            return -EINVAL;
    if (digit == *at || value > INT64_MAX)
        return -EINVAL;
    *at = digit;
    *number = value;
    return 0;
}

/* The seconds that a letter stands for; 0 = none. */
static uint64_t unit_of(char letter)
{
    static const struct {
        char letter;
        uint32_t seconds;
    } units[] = {{'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}, {'w', 604800}};
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++)
        if (units[i].letter == letter)
            return units[i].seconds;
    return 0;
}

/* As age_parse_duration(), without words. */
static int parse_sum(const char *text, uint64_t *seconds)
{
    uint64_t sum = 0;
    if (strcmp(text, "0") == 0) {
        *seconds = 0;
        return 0;
    }
    do {
        uint64_t number;
        uint64_t unit;
        if (take_number(&text, &number) < 0 || !(unit = unit_of(*text)) || !checked_mul_u64(number, unit, &number) ||
            !checked_add_u64(sum, number, &sum) || sum > INT64_MAX)
            return -EINVAL;
        text++;
    } while (*text);
    *seconds = sum;
    return 0;
}

int age_parse_duration(const char *text, uint64_t *seconds, struct error *err)
{
    if (parse_sum(text, seconds) == 0)
        return 0;
    return error_set(err, EINVAL, "'%s' is no duration such as 90s, 10m, 24h or 7d", text);
}

static int parse_date(const char *text, int64_t *when)
{
    static const char *const forms[] = {"%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M", "%Y-%m-%d"};
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        struct tm date = {0};
        const char *rest = strptime(text, forms[i], &date);
        if (rest && (!*rest || strcmp(rest, "Z") == 0)) {
            *when = timegm(&date);
            return 0;
        }
    }
    return -EINVAL;
}

int age_parse_until(const char *text, int64_t now, int64_t *when, struct error *err)
{
    uint64_t number;
    const char *at = text;
    if (take_number(&at, &number) == 0 && !*at) {
        *when = (int64_t)number;
        return 0;
    }
    if (parse_sum(text, &number) == 0) {
        *when = (int64_t)number > now ? 0 : now - (int64_t)number;
        return 0;
    }
    if (parse_date(text, when) == 0)
        return 0;
    return error_set(err, EINVAL, "'%s' is neither a duration such as 24h nor a date such as 2026-01-31", text);
}
