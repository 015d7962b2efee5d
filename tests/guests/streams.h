/* SPDX-License-Identifier: Apache-2.0 */
/* What streams.c in the guest and tests/programs/vsock_host.c agree on. */
#ifndef TESTS_GUESTS_STREAMS_H
#define TESTS_GUESTS_STREAMS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { HOST_PORT = 1024, GUEST_PORT = 5000, STREAM_BYTES = 8 * 1024 * 1024, PIECE = 64 * 1024, MANY = 50 };

/** The first byte of each connection to HOST_PORT. */
enum {
    STREAM_REPORT = 'r',       /**< NAME=ok or NAME=what went wrong */
    STREAM_UPLOAD = 'u',       /**< STREAM_BYTES from the guest, its half-close, "ok", the end */
    STREAM_DOWNLOAD = 'd',     /**< the guest's half-close, STREAM_BYTES from the host, the end */
    STREAM_CONNECT_BACK = 'c', /**< the host connects to GUEST_PORT; STREAM_BYTES come back */
    STREAM_ECHO_BYTE = 'e',    /**< one byte, which comes back */
    STREAM_LAST = 'l',         /**< LAST_WORDS, and the power is off */
};

#define LAST_WORDS "so long"

static inline uint8_t pattern_at(uint32_t position)
{
    return (uint8_t)(position * 7 + position / 251);
}

static inline void fill_pattern(uint8_t *bytes, size_t length, uint32_t position)
{
    for (size_t i = 0; i < length; i++)
        bytes[i] = pattern_at(position + (uint32_t)i);
}

static inline bool check_pattern(const uint8_t *bytes, size_t length, uint32_t position)
{
    for (size_t i = 0; i < length; i++)
        if (bytes[i] != pattern_at(position + (uint32_t)i))
            return false;
    return true;
}

#endif
