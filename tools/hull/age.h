/* SPDX-License-Identifier: Apache-2.0 */
/* Durations and points in time as users write them. */
#ifndef HULL_AGE_H
#define HULL_AGE_H

#include <stdint.h>

struct error;

/** Reads "90s", "10m", "24h", "7d", sums such as "1h30m", and "0". @return 0 with *seconds, or -EINVAL */
int age_parse_duration(const char *text, uint64_t *seconds, struct error *err);

/**
 * Reads what docker takes after `--filter until=`: a duration before @p now, seconds since 1970, or a date and time
 * (2026-01-31, 2026-01-31T12:00:00, with Z or in UTC without).
 * @return 0 with *when in seconds since 1970, or -EINVAL
 */
int age_parse_until(const char *text, int64_t now, int64_t *when, struct error *err);

#endif
