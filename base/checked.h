/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Arithmetic on sizes that come from outside (guest, registry, archive, command line). Each function returns false and
 * leaves *result alone when the true result does not fit.
 */
#ifndef BASE_CHECKED_H
#define BASE_CHECKED_H

#include <stdbool.h>
#include <stdint.h>

/** *result = a + b. */
__attribute__((warn_unused_result)) static inline bool checked_add_u64(uint64_t a, uint64_t b, uint64_t *result)
{
    uint64_t sum;
    if (__builtin_add_overflow(a, b, &sum))
        return false;
    *result = sum;
    return true;
}

/** *result = a * b. */
__attribute__((warn_unused_result)) static inline bool checked_mul_u64(uint64_t a, uint64_t b, uint64_t *result)
{
    uint64_t product;
    if (__builtin_mul_overflow(a, b, &product))
        return false;
    *result = product;
    return true;
}

/** *result = value rounded up to a multiple of @p alignment, a power of two. */
__attribute__((warn_unused_result)) static inline bool checked_align_up_u64(uint64_t value, uint64_t alignment,
                                                                            uint64_t *result)
{
    uint64_t sum;
    if (!checked_add_u64(value, alignment - 1, &sum))
        return false;
    *result = sum & ~(alignment - 1);
    return true;
}

/** Whether [offset, offset + length) lies inside [0, size). True for an empty range at or below the end. */
static inline bool checked_range_within(uint64_t offset, uint64_t length, uint64_t size)
{
    return offset <= size && length <= size - offset;
}

/** value / divisor, rounded up; cannot overflow. @p divisor is not 0. */
static inline uint64_t divide_round_up_u64(uint64_t value, uint64_t divisor)
{
    return value / divisor + (value % divisor != 0);
}

#endif
