/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the lab's client and its agent say to each other over one virtio-serial port.
 *
 * A port outlives the commands that use it, and whoever was cut off may have left half a frame in it. So frames are
 * delimited as in SLIP (RFC 1055): END before and after, END and ESC inside a frame are escaped. Whatever was left
 * ends at the next END. A frame is one type byte and its payload; an empty frame is nothing.
 *
 *     client                                  agent
 *     HELLO nonce, time                  ->       (whatever ran here before is killed)
 *                                        <-   READY nonce            what came before it was for somebody else
 *     DIRECTORY ENV* ARGUMENT+ [TERMINAL] START
 *     STDIN* (the empty one is the end)  ->
 *     SIGNAL, RESIZE at any time         ->
 *                                        <-   STDOUT* STDERR*
 *                                        <-   EXIT status
 *
 * When the client hangs up before EXIT, everything that the command started is killed.
 */
#ifndef HULL_TOOLS_LAB_FRAME_H
#define HULL_TOOLS_LAB_FRAME_H

#include "base/buffer.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum frame_type {
    FRAME_HELLO = 'H',     /**< NONCE_LENGTH bytes, then le64: nanoseconds since 1970 */
    FRAME_READY = 'R',     /**< the nonce of the HELLO that it answers */
    FRAME_DIRECTORY = 'D', /**< working directory */
    FRAME_ENV = 'V',       /**< NAME=VALUE */
    FRAME_ARGUMENT = 'A',
    FRAME_TERMINAL = 'T', /**< run on a terminal; payload as RESIZE */
    FRAME_START = 'S',    /**< no payload */
    FRAME_STDIN = 'i',
    FRAME_STDOUT = 'o',
    FRAME_STDERR = 'e',
    FRAME_SIGNAL = 'K', /**< one byte, for the command's process group */
    FRAME_RESIZE = 'W', /**< le16 rows, le16 columns */
    FRAME_EXIT = 'X',   /**< one byte: the status as a shell tells it, 128+N for signal N */
};

enum {
    NONCE_LENGTH = 16,
    HELLO_LENGTH = NONCE_LENGTH + 8,
    WINDOW_LENGTH = 4,
    FRAME_MAX = 256 * 1024,      /**< type and payload; one argument of execve(2) has half of that at most */
    FRAME_DATA_MAX = 32 * 1024,  /**< of a stream in one frame; also what one write to a port takes */
    STREAM_HIGH = 128 * 1024,    /**< no more is read from a source while so much waits to be written */
    WIRE_MAX = 16 * 1024 * 1024, /**< bytes waiting for the wire: a whole request, or what two full pipes hold */
};

/** Appends one frame to what waits for the wire. On failure `wire->failed` is set. */
void frame_append(struct buffer *wire, enum frame_type type, const void *payload, size_t length);

/** Takes frames out of a stream of bytes. Initialise with FRAME_DECODER_INIT, release with frame_decoder_done(). */
struct frame_decoder {
    struct buffer frame; /**< type byte and payload, of the last call or so far */
    bool escaped;        /**< the last byte was ESC */
    bool complete;       /**< the caller has seen `frame`; the next byte starts a new one */
};

#define FRAME_DECODER_INIT                                                                                             \
    (struct frame_decoder)                                                                                             \
    {                                                                                                                  \
        .frame = BUFFER_INIT(FRAME_MAX)                                                                                \
    }

void frame_decoder_done(struct frame_decoder *decoder);

/**
 * Decodes up to the end of one frame.
 * @param used  set to how many of the bytes were taken
 * @return true when decoder->frame holds a whole frame (at least one byte), until the next call. A frame that is too
 *         long is dropped.
 */
bool frame_decode(struct frame_decoder *decoder, const uint8_t *bytes, size_t length, size_t *used);

#endif
