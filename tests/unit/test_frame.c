/* SPDX-License-Identifier: Apache-2.0 */
/* The lab's framing: whatever bytes go in come out, in whatever pieces, and a cut-off frame harms only itself. */
#include "tools/lab/frame.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

enum { END = 0xc0, ESC = 0xdb };

/* Feeds bytes in pieces of `piece` and returns how many frames came whole; the last one stays in the decoder. */
static size_t feed(struct frame_decoder *decoder, const uint8_t *bytes, size_t length, size_t piece)
{
    size_t frames = 0;
    for (size_t at = 0; at < length;) {
        size_t left = length - at < piece ? length - at : piece;
        size_t used;
        frames += frame_decode(decoder, bytes + at, left, &used);
        assert_in_range(used, 1, left);
        at += used;
    }
    return frames;
}

static void assert_frame(const struct frame_decoder *decoder, uint8_t type, const void *payload, size_t length)
{
    assert_int_equal(decoder->frame.length, length + 1);
    assert_memory_equal(decoder->frame.bytes, &type, 1);
    assert_memory_equal(decoder->frame.bytes + 1, payload, length);
}

static void test_all_bytes_in_all_pieces(void **state)
{
    (void)state;
    uint8_t payload[1024];
    for (size_t i = 0; i < sizeof payload; i++)
        payload[i] = (uint8_t)i;
    struct buffer wire = BUFFER_INIT(WIRE_MAX);
    frame_append(&wire, FRAME_STDIN, payload, sizeof payload);
    for (size_t piece = 1; piece <= wire.length; piece++) {
        struct frame_decoder decoder = FRAME_DECODER_INIT;
        assert_int_equal(feed(&decoder, wire.bytes, wire.length, piece), 1);
        assert_frame(&decoder, FRAME_STDIN, payload, sizeof payload);
        frame_decoder_done(&decoder);
    }
    buffer_done(&wire);
}

static void test_empty_payload(void **state)
{
    (void)state;
    struct buffer wire = BUFFER_INIT(WIRE_MAX);
    frame_append(&wire, FRAME_STDIN, "", 0);
    frame_append(&wire, FRAME_STDOUT, "x", 1);
    struct frame_decoder decoder = FRAME_DECODER_INIT;
    size_t used;
    assert_true(frame_decode(&decoder, wire.bytes, wire.length, &used));
    assert_frame(&decoder, FRAME_STDIN, "", 0);
    assert_int_equal(feed(&decoder, wire.bytes + used, wire.length - used, SIZE_MAX), 1);
    assert_frame(&decoder, FRAME_STDOUT, "x", 1);
    frame_decoder_done(&decoder);
    buffer_done(&wire);
}

/* Every place at which the one before may have been cut off, an escape included. */
static void test_next_frame_survives_a_cut(void **state)
{
    (void)state;
    static const uint8_t before[] = {END, 'i', 'a', ESC, 0xdc, 'b', ESC, 0xdd, END};
    for (size_t cut = 0; cut < sizeof before; cut++) {
        struct frame_decoder decoder = FRAME_DECODER_INIT;
        struct buffer wire = BUFFER_INIT(WIRE_MAX);
        buffer_append(&wire, before, cut);
        frame_append(&wire, FRAME_HELLO, "\xc0\xdb", 2);
        assert_in_range(feed(&decoder, wire.bytes, wire.length, SIZE_MAX), 1, 2);
        assert_frame(&decoder, FRAME_HELLO, "\xc0\xdb", 2);
        buffer_done(&wire);
        frame_decoder_done(&decoder);
    }
}

static void test_wrong_escape_drops_the_frame(void **state)
{
    (void)state;
    static const uint8_t wrong[] = {END, 'i', ESC, 'x', 'y', END, END, 'o', 'k', END};
    struct frame_decoder decoder = FRAME_DECODER_INIT;
    assert_int_equal(feed(&decoder, wrong, sizeof wrong, SIZE_MAX), 1);
    assert_frame(&decoder, 'o', "k", 1);
    frame_decoder_done(&decoder);
}

/* One byte more than fits: dropped, nothing grows past the limit, and the next frame is whole. */
static void test_too_long_is_dropped(void **state)
{
    (void)state;
    uint8_t *payload = calloc(1, FRAME_MAX);
    assert_non_null(payload);
    for (size_t excess = 0; excess <= 1; excess++) {
        struct frame_decoder decoder = FRAME_DECODER_INIT;
        struct buffer wire = BUFFER_INIT(WIRE_MAX);
        frame_append(&wire, FRAME_STDOUT, payload, FRAME_MAX - 1 + excess);
        frame_append(&wire, FRAME_EXIT, "\0", 1);
        assert_int_equal(feed(&decoder, wire.bytes, wire.length, FRAME_DATA_MAX), 2 - excess);
        assert_frame(&decoder, FRAME_EXIT, "\0", 1);
        buffer_done(&wire);
        frame_decoder_done(&decoder);
    }
    free(payload);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_bytes_in_all_pieces),   cmocka_unit_test(test_empty_payload),
        cmocka_unit_test(test_next_frame_survives_a_cut), cmocka_unit_test(test_wrong_escape_drops_the_frame),
        cmocka_unit_test(test_too_long_is_dropped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
