/* SPDX-License-Identifier: Apache-2.0 */
/* What the fuzz targets of both sides of the wire protocol have in common. */
#ifndef TESTS_FUZZ_PROTOCOL_H
#define TESTS_FUZZ_PROTOCOL_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "initd/protocol.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What was decoded and is encoded again must be the bytes that came: nothing is lost, invented or ambiguous. */
static void check_round_trip(const struct protocol_message *message, const uint8_t *frame, size_t size)
{
    struct buffer again = BUFFER_INIT(2 * PROTOCOL_TO_GUEST_MAX);
    if (protocol_encode(&again, message, NULL) < 0 || again.length != size || memcmp(again.bytes, frame, size) != 0)
        abort();
    buffer_done(&again);
}

/* Takes frames off the input until one is refused or cut short, as a channel does. */
static void fuzz_protocol(const uint8_t *data, size_t size, enum protocol_receiver receiver)
{
    while (size >= PROTOCOL_HEADER_SIZE) {
        uint32_t length;
        struct protocol_message message;
        int type = protocol_decode_header(data, receiver, &length, NULL);
        if (type < 0 || length > size - PROTOCOL_HEADER_SIZE)
            return;
        /* A copy of its exact size, so that a read past its end is seen. */
        uint8_t *payload = malloc(length ? length : 1);
        if (!payload)
            return;
        memcpy(payload, data + PROTOCOL_HEADER_SIZE, length);
        int rc = protocol_decode(&message, (enum protocol_type)type, payload, length, NULL);
        if (rc == 0) {
            check_round_trip(&message, data, PROTOCOL_HEADER_SIZE + length);
            protocol_message_done(&message);
        }
        free(payload);
        if (rc < 0)
            return;
        data += PROTOCOL_HEADER_SIZE + length;
        size -= PROTOCOL_HEADER_SIZE + length;
    }
}

#endif
