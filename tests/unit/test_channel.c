/* SPDX-License-Identifier: Apache-2.0 */
#include "initd/channel.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "base/error.h"
#include "base/fd.h"

/* A monitor's and a guest's end of one connection. */
struct ends {
    struct channel host;
    struct channel guest;
};

static void connect_ends(struct ends *ends)
{
    int fds[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    channel_init(&ends->host, fds[0], PROTOCOL_RECEIVER_HOST);
    channel_init(&ends->guest, fds[1], PROTOCOL_RECEIVER_GUEST);
}

static void done(struct ends *ends)
{
    channel_done(&ends->host);
    channel_done(&ends->guest);
}

static void messages_cross(void **state)
{
    (void)state;
    struct ends ends;
    const struct protocol_message *got;
    connect_ends(&ends);
    assert_int_equal(channel_receive(&ends.host, NULL), -EAGAIN);
    assert_int_equal(channel_next(&ends.host, &got, NULL), 0);
    for (uint32_t i = 1; i <= 3; i++)
        assert_int_equal(
            channel_send(&ends.guest, &(struct protocol_message){.type = PROTOCOL_EXITED, .exited = {i, i, 0}}, NULL),
            0);
    assert_int_equal(channel_receive(&ends.host, NULL), 1);
    for (uint32_t i = 1; i <= 3; i++) {
        assert_int_equal(channel_next(&ends.host, &got, NULL), 1);
        assert_int_equal(got->type, PROTOCOL_EXITED);
        assert_int_equal(got->exited.code, i);
    }
    assert_int_equal(channel_next(&ends.host, &got, NULL), 0);
    done(&ends);
}

/* A frame that arrives byte by byte is a frame. */
static void pieces(void **state)
{
    (void)state;
    struct ends ends;
    const struct protocol_message *got = NULL;
    struct buffer frame = BUFFER_INIT(4096);
    connect_ends(&ends);
    assert_int_equal(
        protocol_encode(&frame, &(struct protocol_message){.type = PROTOCOL_ERROR, .error = {5, "no luck"}}, NULL), 0);
    for (size_t i = 0; i < frame.length; i++) {
        assert_int_equal(fd_write_full(ends.guest.fd, frame.bytes + i, 1), 0);
        assert_int_equal(channel_receive(&ends.host, NULL), 1);
        assert_int_equal(channel_next(&ends.host, &got, NULL), i + 1 == frame.length);
    }
    assert_non_null(got);
    if (got) /* the analysers do not know that the assertion leaves */
        assert_string_equal(got->error.text, "no luck");
    buffer_done(&frame);
    done(&ends);
}

/* What the socket does not take waits, all of it arrives, and nobody ever waited. */
static void backpressure(void **state)
{
    (void)state;
    struct ends ends;
    const struct protocol_message *got;
    char *text = malloc(PROTOCOL_ARGUMENT_MAX + 1);
    const char *items[8];
    connect_ends(&ends);
    assert_non_null(text);
    memset(text, 'e', PROTOCOL_ARGUMENT_MAX);
    text[PROTOCOL_ARGUMENT_MAX] = 0;
    for (int i = 0; i < 8; i++)
        items[i] = text;
    struct protocol_message start = {.type = PROTOCOL_START,
                                     .start = {.process = 1, .cwd = "/", .argv = {items, 7}, .env = {items, 8}}};
    assert_int_equal(channel_send(&ends.host, &start, NULL), 0);
    assert_true(channel_waits(&ends.host));
    int rc = 0;
    for (int turns = 0; rc == 0 && turns < 10000; turns++) {
        assert_int_equal(channel_receive(&ends.guest, NULL), 1);
        rc = channel_next(&ends.guest, &got, NULL);
        assert_int_equal(channel_flush(&ends.host, NULL), 0);
    }
    assert_int_equal(rc, 1);
    assert_int_equal(got->start.env.count, 8);
    assert_string_equal(got->start.env.items[7], text);
    assert_false(channel_waits(&ends.host));
    free(text);
    done(&ends);
}

static void hostile_bytes(void **state)
{
    (void)state;
    struct ends ends;
    const struct protocol_message *got;
    uint8_t header[PROTOCOL_HEADER_SIZE];
    struct error err = {0};
    connect_ends(&ends);
    store_le32(header, UINT32_MAX);
    store_le32(header + 4, PROTOCOL_HELLO);
    assert_int_equal(fd_write_full(ends.guest.fd, header, sizeof header), 0);
    assert_int_equal(channel_receive(&ends.host, NULL), 1);
    assert_int_equal(channel_next(&ends.host, &got, &err), -EPROTO);
    assert_int_equal(err.code, EPROTO);
    done(&ends);
}

static void the_end(void **state)
{
    (void)state;
    struct ends ends;
    const struct protocol_message *got;
    connect_ends(&ends);
    assert_int_equal(
        channel_send(&ends.guest, &(struct protocol_message){.type = PROTOCOL_EXITED, .exited = {1, 0, 9}}, NULL), 0);
    channel_done(&ends.guest);
    /* What was sent before the end is still there. */
    assert_int_equal(channel_receive(&ends.host, NULL), 1);
    assert_int_equal(channel_next(&ends.host, &got, NULL), 1);
    assert_int_equal(got->exited.signal, 9);
    assert_int_equal(channel_receive(&ends.host, NULL), 0);
    assert_true(channel_send(&ends.host, &(struct protocol_message){.type = PROTOCOL_SIGNAL, .signal = {1, 9}}, NULL) <
                0);
    done(&ends);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_cross), cmocka_unit_test(pieces),  cmocka_unit_test(backpressure),
        cmocka_unit_test(hostile_bytes),  cmocka_unit_test(the_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
