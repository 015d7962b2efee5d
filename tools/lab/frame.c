/* SPDX-License-Identifier: Apache-2.0 */
/* SLIP framing (RFC 1055) for both ends of the lab's command channel. */
#include "tools/lab/frame.h"

enum {
    END = 0xc0,
    ESC = 0xdb,
    ESC_END = 0xdc,
    ESC_ESC = 0xdd,
};

static bool is_special(uint8_t byte)
{
    return byte == END || byte == ESC;
}

static void append_escaped(struct buffer *wire, const uint8_t *bytes, size_t length)
{
    size_t start = 0;
    for (size_t i = 0; i < length; i++) {
        if (!is_special(bytes[i]))
            continue;
        buffer_append(wire, bytes + start, i - start);
        buffer_append_u8(wire, ESC);
        buffer_append_u8(wire, bytes[i] == END ? ESC_END : ESC_ESC);
        start = i + 1;
    }
    buffer_append(wire, bytes + start, length - start);
}

void frame_append(struct buffer *wire, enum frame_type type, const void *payload, size_t length)
{
    buffer_append_u8(wire, END);
    buffer_append_u8(wire, (uint8_t)type);
    append_escaped(wire, payload, length);
    buffer_append_u8(wire, END);
}

void frame_decoder_done(struct frame_decoder *decoder)
{
    buffer_done(&decoder->frame);
}

/* Takes the run of bytes that stand for themselves; returns how many. */
static size_t take_plain(struct frame_decoder *decoder, const uint8_t *bytes, size_t length)
{
    size_t run = 0;
    while (run < length && !is_special(bytes[run]))
        run++;
    buffer_append(&decoder->frame, bytes, run);
    return run;
}

/* Takes END, or ESC, or what follows ESC; returns whether a frame is whole. */
static bool take_special(struct frame_decoder *decoder, uint8_t byte)
{
    bool escaped = decoder->escaped;
    decoder->escaped = false;
    if (byte == END) {
        decoder->complete = true;
        return !escaped && !decoder->frame.failed && decoder->frame.length > 0;
    }
    if (!escaped)
        decoder->escaped = byte == ESC;
    else if (byte == ESC_END || byte == ESC_ESC)
        buffer_append_u8(&decoder->frame, byte == ESC_END ? END : ESC);
    else
        decoder->frame.failed = true;
    return false;
}

bool frame_decode(struct frame_decoder *decoder, const uint8_t *bytes, size_t length, size_t *used)
{
    size_t i = 0;
    bool whole = false;
    while (i < length && !whole) {
        if (decoder->complete) {
            buffer_clear(&decoder->frame);
            decoder->complete = false;
        }
        if (decoder->escaped || is_special(bytes[i]))
            whole = take_special(decoder, bytes[i++]);
        else
            i += take_plain(decoder, bytes + i, length - i);
    }
    *used = i;
    return whole;
}
