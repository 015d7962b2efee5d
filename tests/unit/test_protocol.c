/* SPDX-License-Identifier: Apache-2.0 */
#include "initd/protocol.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/buffer.h"
#include "base/bytes.h"
#include "base/error.h"

/* Room for one frame beyond the largest. */
enum { FRAME_ROOM = PROTOCOL_TO_GUEST_MAX + 1024 };

static struct buffer encode(const struct protocol_message *message)
{
    struct buffer out = BUFFER_INIT(FRAME_ROOM);
    struct error err = {0};
    assert_int_equal(protocol_encode(&out, message, &err), 0);
    return out;
}

/* Decodes one frame as @p receiver would, and expects it to be refused. */
static void refuse(const struct buffer *frame, enum protocol_receiver receiver)
{
    struct error err = {0};
    struct protocol_message message = {0};
    uint32_t length;
    int type = protocol_decode_header(frame->bytes, receiver, &length, &err);
    assert_true(type > 0);
    /* A copy of its exact size, so that the sanitizer sees a read past its end. */
    uint8_t *payload = malloc(length);
    assert_non_null(payload);
    memcpy(payload, frame->bytes + PROTOCOL_HEADER_SIZE, length);
    assert_int_equal(protocol_decode(&message, (enum protocol_type)type, payload, length, &err), -EPROTO);
    assert_int_equal(err.code, EPROTO);
    free(payload);
}

static const char *const some_argv[] = {"sh", "-c", "", "exit 7", NULL};

static struct protocol_message some_start(void)
{
    return (struct protocol_message){
        .type = PROTOCOL_START,
        .start = {.process = 1,
                  .umask = 022,
                  .stdin_port = 1025,
                  .stdout_port = 1026,
                  .stderr_port = UINT32_MAX,
                  .cwd = "/srv/ü",
                  .user = "daemon:adm",
                  .argv = {(const char **)(uintptr_t)some_argv, 4}},
    };
}

static void round_trip_start(void **state)
{
    (void)state;
    struct protocol_message sent = some_start();
    struct protocol_message got = {0};
    struct buffer frame = encode(&sent);
    uint32_t length;
    assert_int_equal(protocol_decode_header(frame.bytes, PROTOCOL_RECEIVER_GUEST, &length, NULL), PROTOCOL_START);
    assert_int_equal(protocol_decode(&got, PROTOCOL_START, frame.bytes + PROTOCOL_HEADER_SIZE, length, NULL), 0);
    assert_int_equal(got.start.process, 1);
    assert_int_equal(got.start.umask, 022);
    assert_int_equal(got.start.stderr_port, UINT32_MAX);
    assert_string_equal(got.start.cwd, "/srv/ü");
    assert_string_equal(got.start.user, "daemon:adm");
    assert_int_equal(got.start.argv.count, 4);
    for (int i = 0; i < 4; i++)
        assert_string_equal(got.start.argv.items[i], some_argv[i]);
    assert_null(got.start.argv.items[4]);
    assert_int_equal(got.start.env.count, 0);
    assert_non_null(got.start.env.items);
    assert_null(got.start.env.items[0]);
    protocol_message_done(&got);
    protocol_message_done(&got); /* twice is fine */
    buffer_done(&frame);
}

static void round_trip_configure(void **state)
{
    (void)state;
    const uint8_t entropy[] = {0, 1, 2, 0};
    struct protocol_mount mounts[] = {
        {"/dev/vda", "/lower", "ext4", 1, "noload"},
        {"overlay", "/root", "overlay", UINT64_MAX, ""},
    };
    struct protocol_file files[] = {{"/etc/hosts", {(const uint8_t *)"a\0b", 3}}};
    struct protocol_message sent = {
        .type = PROTOCOL_CONFIGURE,
        .configure = {.realtime_ns = UINT64_C(0x0102030405060708),
                      .entropy = {entropy, sizeof entropy},
                      .hostname = "box",
                      .mounts = {mounts, 2},
                      .root = "/root",
                      .files = {files, 1}},
    };
    struct protocol_message got = {0};
    struct buffer frame = encode(&sent);
    assert_int_equal(protocol_decode(&got, PROTOCOL_CONFIGURE, frame.bytes + PROTOCOL_HEADER_SIZE,
                                     (uint32_t)frame.length - PROTOCOL_HEADER_SIZE, NULL),
                     0);
    assert_true(got.configure.realtime_ns == UINT64_C(0x0102030405060708));
    assert_int_equal(got.configure.entropy.length, 4);
    assert_memory_equal(got.configure.entropy.bytes, entropy, 4);
    assert_string_equal(got.configure.hostname, "box");
    assert_int_equal(got.configure.mounts.count, 2);
    assert_string_equal(got.configure.mounts.items[0].data, "noload");
    assert_true(got.configure.mounts.items[1].flags == UINT64_MAX);
    assert_string_equal(got.configure.mounts.items[1].fstype, "overlay");
    assert_int_equal(got.configure.files.items[0].contents.length, 3);
    assert_memory_equal(got.configure.files.items[0].contents.bytes, "a\0b", 3);
    protocol_message_done(&got);
    buffer_done(&frame);
}

/* The bytes of a frame are fixed: guest and host may be of different builds. */
static void layout_is_fixed(void **state)
{
    (void)state;
    struct buffer frame =
        encode(&(struct protocol_message){.type = PROTOCOL_START_FAILED, .start_failed = {0x01020304, 2, 13, "no"}});
    static const uint8_t expected[] = {
        19, 0, 0, 0, 5,   0,   0, 0, /* length, type */
        4,  3, 2, 1,                 /* process */
        2,  0, 0, 0, 13,  0,   0, 0, /* reason, code */
        2,  0, 0, 0, 'n', 'o', 0,    /* text */
    };
    assert_int_equal(frame.length, sizeof expected);
    assert_memory_equal(frame.bytes, expected, sizeof expected);
    buffer_done(&frame);
}

/* Every message that the table knows survives being cut at every byte, and being followed by one more. */
static void wrong_lengths_are_refused(void **state)
{
    (void)state;
    struct protocol_message start = some_start();
    struct buffer frame = encode(&start);
    uint32_t whole = (uint32_t)frame.length - PROTOCOL_HEADER_SIZE;
    for (uint32_t length = 0; length <= whole + 1; length++) {
        uint8_t *payload = calloc(1, length + 1);
        assert_non_null(payload);
        memcpy(payload, frame.bytes + PROTOCOL_HEADER_SIZE, length < whole ? length : whole);
        struct protocol_message got = {0};
        int rc = protocol_decode(&got, PROTOCOL_START, payload, length, NULL);
        assert_int_equal(rc, length == whole ? 0 : -EPROTO);
        protocol_message_done(&got);
        free(payload);
    }
    buffer_done(&frame);
}

static void texts_with_zeros_are_refused(void **state)
{
    (void)state;
    struct buffer frame =
        encode(&(struct protocol_message){.type = PROTOCOL_ERROR, .error = {.code = 5, .text = "abc"}});
    frame.bytes[frame.length - 3] = 0; /* inside */
    refuse(&frame, PROTOCOL_RECEIVER_HOST);
    frame.bytes[frame.length - 3] = 'b';
    frame.bytes[frame.length - 1] = 'x'; /* not terminated */
    refuse(&frame, PROTOCOL_RECEIVER_HOST);
    buffer_done(&frame);
}

static void the_wrong_side_gets_nothing(void **state)
{
    (void)state;
    uint32_t length;
    for (uint32_t type = 0; type < PROTOCOL_TYPES_END + 3; type++) {
        uint8_t header[PROTOCOL_HEADER_SIZE];
        store_le32(header, 0);
        store_le32(header + 4, type);
        int host = protocol_decode_header(header, PROTOCOL_RECEIVER_HOST, &length, NULL);
        int guest = protocol_decode_header(header, PROTOCOL_RECEIVER_GUEST, &length, NULL);
        bool known = type >= PROTOCOL_HELLO && type < PROTOCOL_TYPES_END;
        /* Exactly one side takes a message that there is. */
        assert_int_equal((host >= 0) + (guest >= 0), known ? 1 : 0);
        assert_true(host == (int)type || host == -EPROTO);
        assert_true(guest == (int)type || guest == -EPROTO);
    }
}

static void frame_limits(void **state)
{
    (void)state;
    uint8_t header[PROTOCOL_HEADER_SIZE];
    uint32_t length = 77;
    store_le32(header + 4, PROTOCOL_EXITED);
    store_le32(header, PROTOCOL_TO_HOST_MAX);
    assert_int_equal(protocol_decode_header(header, PROTOCOL_RECEIVER_HOST, &length, NULL), PROTOCOL_EXITED);
    assert_int_equal(length, PROTOCOL_TO_HOST_MAX);
    store_le32(header, PROTOCOL_TO_HOST_MAX + 1);
    assert_int_equal(protocol_decode_header(header, PROTOCOL_RECEIVER_HOST, &length, NULL), -EPROTO);
    store_le32(header, UINT32_MAX);
    assert_int_equal(protocol_decode_header(header, PROTOCOL_RECEIVER_HOST, &length, NULL), -EPROTO);
    store_le32(header + 4, PROTOCOL_START);
    store_le32(header, PROTOCOL_TO_GUEST_MAX);
    assert_int_equal(protocol_decode_header(header, PROTOCOL_RECEIVER_GUEST, &length, NULL), PROTOCOL_START);
    store_le32(header, PROTOCOL_TO_GUEST_MAX + 1);
    assert_int_equal(protocol_decode_header(header, PROTOCOL_RECEIVER_GUEST, &length, NULL), -EPROTO);
}

static char *text_of(size_t length)
{
    char *text = malloc(length + 1);
    assert_non_null(text);
    memset(text, 'x', length);
    text[length] = 0;
    return text;
}

/* A text at its limit, one over, and far over: for the encoder, and for a decoder that is sent it anyway. */
static void text_limits(void **state)
{
    (void)state;
    const size_t lengths[] = {PROTOCOL_USER_MAX, PROTOCOL_USER_MAX + 1, (size_t)PROTOCOL_TO_GUEST_MAX * 2};
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        char *text = text_of(lengths[i]);
        struct protocol_message message = some_start();
        message.start.user = text;
        struct buffer out = BUFFER_INIT(FRAME_ROOM);
        int rc = protocol_encode(&out, &message, NULL);
        assert_int_equal(rc, i == 0 ? 0 : -E2BIG);
        assert_int_equal(out.length > 0, i == 0);
        assert_false(out.failed);
        buffer_done(&out);
        free(text);
    }
    struct buffer frame =
        encode(&(struct protocol_message){.type = PROTOCOL_ERROR, .error = {.code = 5, .text = "abc"}});
    store_le32(frame.bytes + PROTOCOL_HEADER_SIZE + 4, PROTOCOL_TEXT_MAX + 1);
    refuse(&frame, PROTOCOL_RECEIVER_HOST);
    store_le32(frame.bytes + PROTOCOL_HEADER_SIZE + 4, UINT32_MAX);
    refuse(&frame, PROTOCOL_RECEIVER_HOST);
    buffer_done(&frame);
}

/* A START that consists of its fixed part, empty texts, and a count of arguments that is not true. */
static void array_limits(void **state)
{
    (void)state;
    const uint32_t counts[] = {1, PROTOCOL_ARGUMENTS_MAX, PROTOCOL_ARGUMENTS_MAX + 1, UINT32_MAX};
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        struct buffer payload = BUFFER_INIT(256);
        for (int word = 0; word < 6; word++)
            buffer_append_le32(&payload, 0);
        for (int text = 0; text < 2; text++) {
            buffer_append_le32(&payload, 0);
            buffer_append_u8(&payload, 0);
        }
        buffer_append_le32(&payload, counts[i]);
        buffer_append_le32(&payload, 0); /* too short for even one */
        struct protocol_message got = {0};
        assert_int_equal(protocol_decode(&got, PROTOCOL_START, payload.bytes, (uint32_t)payload.length, NULL), -EPROTO);
        buffer_done(&payload);
    }
}

/* As many arguments as there may be, and one more. */
static void many_arguments(void **state)
{
    (void)state;
    const char **items = calloc(PROTOCOL_ARGUMENTS_MAX + 2, sizeof *items);
    assert_non_null(items);
    for (uint32_t i = 0; i <= PROTOCOL_ARGUMENTS_MAX; i++)
        items[i] = "a";
    struct protocol_message message = some_start();
    message.start.argv = (struct protocol_texts){items, PROTOCOL_ARGUMENTS_MAX};
    struct buffer frame = encode(&message);
    struct protocol_message got = {0};
    assert_int_equal(protocol_decode(&got, PROTOCOL_START, frame.bytes + PROTOCOL_HEADER_SIZE,
                                     (uint32_t)frame.length - PROTOCOL_HEADER_SIZE, NULL),
                     0);
    assert_int_equal(got.start.argv.count, PROTOCOL_ARGUMENTS_MAX);
    assert_string_equal(got.start.argv.items[PROTOCOL_ARGUMENTS_MAX - 1], "a");
    protocol_message_done(&got);
    buffer_clear(&frame);
    message.start.argv.count++;
    assert_int_equal(protocol_encode(&frame, &message, NULL), -E2BIG);
    assert_int_equal(frame.length, 0);
    buffer_done(&frame);
    free(items);
}

/* Every field within its limit, the frame above its own. */
static void a_frame_that_is_too_long(void **state)
{
    (void)state;
    char *text = text_of(PROTOCOL_ARGUMENT_MAX);
    const char *items[20];
    for (size_t i = 0; i < 20; i++)
        items[i] = text;
    struct protocol_message message = some_start();
    message.start.env = (struct protocol_texts){items, 20};
    struct buffer out = BUFFER_INIT(16 << 20);
    buffer_append_u8(&out, 1);
    struct error err = {0};
    assert_int_equal(protocol_encode(&out, &message, &err), -E2BIG);
    assert_int_equal(err.code, E2BIG);
    assert_int_equal(out.length, 1); /* what was there before stays */
    buffer_done(&out);
    free(text);
}

static void a_full_buffer(void **state)
{
    (void)state;
    struct buffer out = BUFFER_INIT(20);
    struct protocol_message message = {.type = PROTOCOL_SIGNAL, .signal = {1, 15}};
    assert_int_equal(protocol_encode(&out, &message, NULL), 0);
    assert_int_equal(protocol_encode(&out, &message, NULL), -E2BIG);
    assert_int_equal(out.length, 16);
    buffer_done(&out);
}

static void names(void **state)
{
    (void)state;
    assert_string_equal(protocol_type_name(PROTOCOL_HELLO), "HELLO");
    assert_string_equal(protocol_type_name(0), "?");
    assert_string_equal(protocol_type_name(UINT32_MAX), "?");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(round_trip_start),
        cmocka_unit_test(round_trip_configure),
        cmocka_unit_test(layout_is_fixed),
        cmocka_unit_test(wrong_lengths_are_refused),
        cmocka_unit_test(texts_with_zeros_are_refused),
        cmocka_unit_test(the_wrong_side_gets_nothing),
        cmocka_unit_test(frame_limits),
        cmocka_unit_test(text_limits),
        cmocka_unit_test(array_limits),
        cmocka_unit_test(many_arguments),
        cmocka_unit_test(a_frame_that_is_too_long),
        cmocka_unit_test(a_full_buffer),
        cmocka_unit_test(names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
