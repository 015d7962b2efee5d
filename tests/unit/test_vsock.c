/* SPDX-License-Identifier: Apache-2.0 */
/* virtio-vsock: streams both ways, half-closes, credit. */
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

#include "base/fd.h"
#include "devices/virtio/vsock_internal.h"
#include "tests/support/vsock_steps.h"
/* ---- streams ---- */

static void test_config(void **state)
{
    (void)state;
    assert_int_equal(driver_read(&guest.driver, MMIO_CONFIG), GUEST_CID);
    assert_int_equal(driver_read(&guest.driver, MMIO_CONFIG + 4), 0);
}

static void test_guest_connects(void **state)
{
    (void)state;
    int listener, stream = guest_connects(&listener);
    assert_int_equal(recv(stream, (char[1]){0}, 1, MSG_DONTWAIT), -1); /* nothing there yet */
    send_text("from the guest");
    assert_text(stream, "from the guest");
    write_text(stream, "from the host");
    expect_data("from the host");
    assert_true(driver_interrupts(&guest.driver) > 0);
    close(stream);
    close(listener);
}

static void test_host_connects(void **state)
{
    (void)state;
    uint32_t port;
    int fd = host_connects(&port);
    vsock_guest_send(&guest, VSOCK_OP_RW, GUEST_PORT, port, 0, "hello", 5);
    assert_text(fd, "hello");
    write_text(fd, "world");
    expect_data("world");
    close(fd);
}

/* A program that does not wait for the answer before it speaks loses nothing. */
static void test_line_and_data_in_one_write(void **state)
{
    (void)state;
    int fd = vsock_guest_host_connect(&guest);
    write_text(fd, "CONNECT 5000\nearly");
    struct vsock_guest_packet packet = expect(VSOCK_OP_REQUEST);
    expect_nothing();
    send_op(VSOCK_OP_RESPONSE, packet.src_port);
    expect_data("early");
    close(fd);
}

static void test_line_in_pieces(void **state)
{
    (void)state;
    int fd = vsock_guest_host_connect(&guest);
    for (const char *c = "LISTEN 77\n"; *c; c++) {
        assert_int_equal(write(fd, c, 1), 1);
        run_device();
    }
    assert_text(fd, "OK 77\n");
    close(fd);
}

static void test_lines_sent_before_the_guest_runs(void **state)
{
    (void)state;
    vsock_guest_attach(&guest);
    int fd = vsock_guest_host_connect(&guest);
    write_text(fd, "LISTEN 1024\n");
    run_device();
    assert_nothing(fd);
    /* The request is the first thing that the device hears: the line must come before it all the same. */
    vsock_guest_start(&guest, GUEST_RX_BUFFERS);
    send_op(VSOCK_OP_REQUEST, HOST_PORT);
    (void)expect(VSOCK_OP_RESPONSE);
    assert_text(fd, "OK 1024\n");
    close(take_stream(fd, GUEST_PORT));
    close(fd);
    vsock_guest_done(&guest);
}

static void test_bad_lines(void **state)
{
    (void)state;
    static const char *const lines[] = {
        "\n",
        "HELLO 1\n",
        "CONNECT\n",
        "CONNECT \n",
        "CONNECT x\n",
        "CONNECT -1\n",
        "CONNECT 4294967295\n",
        "CONNECT 4294967296\n",
        "CONNECT 99999999999999999999\n",
        "CONNECT 1 \n",
        "connect 1\n",
        "CONNECT 11111111111111111111111111111111111111111111111111",
    };
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        int fd = vsock_guest_host_connect(&guest);
        write_text(fd, lines[i]);
        run_device();
        char byte;
        ssize_t n = read(fd, &byte, 1); /* reset when we had not read all of it */
        assert_true(n == 0 || (n < 0 && errno == ECONNRESET));
        close(fd);
    }
    expect_nothing();
}

static void test_port_that_is_taken(void **state)
{
    (void)state;
    int first = listen_on(HOST_PORT);
    int second = vsock_guest_host_connect(&guest);
    write_text(second, "LISTEN 1024\n");
    run_device();
    assert_end(second);
    close(second);
    close(first);
    run_device();
    first = listen_on(HOST_PORT); /* free again */
    close(first);
}

static void test_guest_refuses(void **state)
{
    (void)state;
    int fd = vsock_guest_host_connect(&guest);
    write_text(fd, "CONNECT 5000\n");
    struct vsock_guest_packet packet = expect(VSOCK_OP_REQUEST);
    send_op(VSOCK_OP_RST, packet.src_port);
    assert_end(fd);
    expect_nothing();
    close(fd);
}

static void test_nobody_listens(void **state)
{
    (void)state;
    send_op(VSOCK_OP_REQUEST, 4242);
    struct vsock_guest_packet packet = expect(VSOCK_OP_RST);
    assert_int_equal(packet.src_port, 4242);
    assert_int_equal(packet.dst_port, GUEST_PORT);
    int fd = listen_on(4242);
    close(fd);
    run_device();
    send_op(VSOCK_OP_REQUEST, 4242); /* not any more */
    (void)expect(VSOCK_OP_RST);
}

static void test_host_gives_up_before_the_answer(void **state)
{
    (void)state;
    int fd = vsock_guest_host_connect(&guest);
    write_text(fd, "CONNECT 5000\n");
    (void)expect(VSOCK_OP_REQUEST);
    close(fd);
    (void)expect(VSOCK_OP_RST);
}

/* ---- ends ---- */

static void test_guest_half_close(void **state)
{
    (void)state;
    int listener, stream = guest_connects(&listener);
    send_text("last words");
    send_shutdown(HOST_PORT, VSOCK_SHUTDOWN_SEND);
    assert_text(stream, "last words");
    assert_end(stream);
    write_text(stream, "answer"); /* the way back is open */
    expect_data("answer");
    close(stream);
    assert_int_equal(expect(VSOCK_OP_SHUTDOWN).flags, VSOCK_SHUTDOWN_BOTH);
    close(listener);
}

static void test_host_half_close(void **state)
{
    (void)state;
    int listener, stream = guest_connects(&listener);
    write_text(stream, "input");
    assert_int_equal(shutdown(stream, SHUT_WR), 0);
    expect_data("input");
    assert_int_equal(expect(VSOCK_OP_SHUTDOWN).flags, VSOCK_SHUTDOWN_SEND);
    expect_nothing();
    send_text("output"); /* the way back is open */
    assert_text(stream, "output");
    send_shutdown(HOST_PORT, VSOCK_SHUTDOWN_BOTH);
    (void)expect(VSOCK_OP_RST);
    assert_end(stream);
    close(stream);
    close(listener);
}

static void test_end_of_input_that_is_there_already(void **state)
{
    (void)state;
    int fd = vsock_guest_host_connect(&guest);
    write_text(fd, "CONNECT 5000\nall");
    assert_int_equal(shutdown(fd, SHUT_WR), 0);
    struct vsock_guest_packet packet = expect(VSOCK_OP_REQUEST);
    send_op(VSOCK_OP_RESPONSE, packet.src_port);
    expect_data("all");
    assert_int_equal(expect(VSOCK_OP_SHUTDOWN).flags, VSOCK_SHUTDOWN_SEND);
    close(fd);
}

static void test_guest_closes(void **state)
{
    (void)state;
    int listener, stream = guest_connects(&listener);
    send_text("last words");
    send_shutdown(HOST_PORT, VSOCK_SHUTDOWN_BOTH);
    (void)expect(VSOCK_OP_RST); /* confirms */
    assert_text(stream, "last words");
    assert_end(stream);
    send_text("after the end");
    (void)expect(VSOCK_OP_RST);
    close(stream);
    close(listener);
}

static void test_host_closes(void **state)
{
    (void)state;
    int listener, stream = guest_connects(&listener);
    write_text(stream, "unread");
    close(stream);
    expect_data("unread");
    assert_int_equal(expect(VSOCK_OP_SHUTDOWN).flags, VSOCK_SHUTDOWN_BOTH);
    send_text("to nobody"); /* was under way: no error, no RST */
    expect_nothing();
    send_op(VSOCK_OP_RST, HOST_PORT); /* as Linux answers */
    expect_nothing();
    send_text("?");
    (void)expect(VSOCK_OP_RST); /* the connection is gone */
    close(listener);
}

static void test_host_stops_reading(void **state)
{
    (void)state;
    int listener, stream = guest_connects(&listener);
    assert_int_equal(shutdown(stream, SHUT_RD), 0);
    send_text("not wanted");
    assert_int_equal(expect(VSOCK_OP_SHUTDOWN).flags, VSOCK_SHUTDOWN_RECEIVE);
    write_text(stream, "but this");
    expect_data("but this");
    close(stream);
    assert_int_equal(expect(VSOCK_OP_SHUTDOWN).flags, VSOCK_SHUTDOWN_BOTH);
    close(listener);
}

static void test_guest_stops_reading(void **state)
{
    (void)state;
    int listener, stream = guest_connects(&listener);
    send_shutdown(HOST_PORT, VSOCK_SHUTDOWN_RECEIVE);
    assert_int_equal(send(stream, "x", 1, MSG_NOSIGNAL), -1);
    assert_int_equal(errno, EPIPE);
    send_text("still");
    assert_text(stream, "still");
    close(stream);
    close(listener);
}

static void test_shutdown_flags_add_up(void **state)
{
    (void)state;
    int listener, stream = guest_connects(&listener);
    send_shutdown(HOST_PORT, VSOCK_SHUTDOWN_SEND);
    expect_nothing();
    send_shutdown(HOST_PORT, VSOCK_SHUTDOWN_RECEIVE);
    (void)expect(VSOCK_OP_RST);
    assert_end(stream);
    close(stream);
    close(listener);
}

static void test_guest_resets(void **state)
{
    (void)state;
    int listener, stream = guest_connects(&listener);
    send_text("before");
    send_op(VSOCK_OP_RST, HOST_PORT);
    assert_text(stream, "before");
    assert_end(stream);
    expect_nothing();
    close(stream);
    close(listener);
}

static void test_a_port_pair_can_be_used_again(void **state)
{
    (void)state;
    int listener, stream = guest_connects(&listener);
    for (unsigned i = 0; i < 2 * VSOCK_CONNECTIONS_MAX; i++) {
        send_shutdown(HOST_PORT, VSOCK_SHUTDOWN_BOTH);
        (void)expect(VSOCK_OP_RST);
        close(stream);
        send_op(VSOCK_OP_REQUEST, HOST_PORT);
        (void)expect(VSOCK_OP_RESPONSE);
        stream = take_stream(listener, GUEST_PORT);
    }
    close(stream);
    close(listener);
}

/* ---- much data, and credit ---- */

static void test_much_to_the_guest(void **state)
{
    (void)state;
    enum { TOTAL = 3 * 1024 * 1024 };
    int listener, stream = guest_connects(&listener);
    uint8_t bytes[8192];
    uint32_t written = 0, received = 0;
    while (received < TOTAL) {
        if (written < TOTAL) {
            for (size_t i = 0; i < sizeof bytes; i++)
                bytes[i] = pattern(written + i);
            ssize_t n = send(stream, bytes, sizeof bytes, MSG_DONTWAIT);
            written += n > 0 ? (uint32_t)n : 0;
        }
        struct vsock_guest_packet packet;
        while (vsock_guest_receive(&guest, &packet, false)) {
            if (packet.op == VSOCK_OP_CREDIT_REQUEST) {
                assert_true(received > 0);
            } else {
                assert_int_equal(packet.op, VSOCK_OP_RW);
                for (uint32_t i = 0; i < packet.length; i++)
                    if (packet.payload[i] != pattern(received + i))
                        fail_msg("byte %u is wrong", received + i);
                received += packet.length;
            }
            guest.fwd_cnt = received;
            if (received % 16 == 0)
                send_op(VSOCK_OP_CREDIT_UPDATE, HOST_PORT);
        }
        send_op(VSOCK_OP_CREDIT_UPDATE, HOST_PORT);
    }
    assert_int_equal(received, TOTAL);
    close(stream);
    close(listener);
}

static void test_much_from_the_guest(void **state)
{
    (void)state;
    enum { TOTAL = 3 * 1024 * 1024, PIECE = 60000 };
    int listener, stream = guest_connects(&listener);
    static uint8_t bytes[PIECE];
    uint32_t sent = 0, forwarded = 0, read_back = 0;
    while (read_back < TOTAL) {
        uint32_t length = TOTAL - sent < PIECE ? TOTAL - sent : PIECE;
        if (length && sent - forwarded + length <= VSOCK_BUFFER) { /* as credit allows */
            for (uint32_t i = 0; i < length; i++)
                bytes[i] = pattern(sent + i);
            vsock_guest_send(&guest, VSOCK_OP_RW, GUEST_PORT, HOST_PORT, 0, bytes, length);
            sent += length;
        } else { /* only now does the host read: what did not fit waited in the backlog */
            uint8_t got[10000];
            ssize_t n = recv(stream, got, sizeof got, MSG_DONTWAIT);
            for (ssize_t i = 0; i < n; i++)
                if (got[i] != pattern(read_back + (uint64_t)i))
                    fail_msg("byte %zu is wrong", (size_t)read_back + (size_t)i);
            read_back += n > 0 ? (uint32_t)n : 0;
            run_device();
        }
        struct vsock_guest_packet packet;
        while (vsock_guest_receive(&guest, &packet, false)) {
            assert_int_equal(packet.op, VSOCK_OP_CREDIT_UPDATE);
            forwarded = packet.fwd_cnt;
        }
    }
    assert_int_equal(read_back, TOTAL);
    close(stream);
    close(listener);
}

static void test_no_more_than_the_guest_has_room_for(void **state)
{
    (void)state;
    guest.buf_alloc = 10;
    int listener, stream = guest_connects(&listener);
    write_text(stream, "0123456789abcdef");
    expect_data("0123456789");
    (void)expect(VSOCK_OP_CREDIT_REQUEST);
    expect_nothing();                           /* asked once */
    send_op(VSOCK_OP_CREDIT_UPDATE, HOST_PORT); /* nothing new in it */
    expect_nothing();
    guest.fwd_cnt = 4;
    send_op(VSOCK_OP_CREDIT_UPDATE, HOST_PORT);
    expect_data("abcd");
    (void)expect(VSOCK_OP_CREDIT_REQUEST);
    guest.fwd_cnt = 14;
    send_text("credit comes with data, too");
    expect_data("ef");
    close(stream);
    close(listener);
}

static void test_credit_counters_wrap(void **state)
{
    (void)state;
    guest.buf_alloc = 4096;
    int listener, stream = guest_connects(&listener);
    /* Nonsense: more forwarded than was ever sent. The guest gets nothing, and nothing breaks. */
    guest.fwd_cnt = 1;
    send_op(VSOCK_OP_CREDIT_UPDATE, HOST_PORT);
    write_text(stream, "abc");
    (void)expect(VSOCK_OP_CREDIT_REQUEST);
    expect_nothing();
    guest.fwd_cnt = 0;
    send_op(VSOCK_OP_CREDIT_UPDATE, HOST_PORT);
    expect_data("abc");
    close(stream);
    close(listener);
}

static void test_credit_request_is_answered(void **state)
{
    (void)state;
    int listener, stream = guest_connects(&listener);
    send_text("12345");
    send_op(VSOCK_OP_CREDIT_REQUEST, HOST_PORT);
    struct vsock_guest_packet packet = expect(VSOCK_OP_CREDIT_UPDATE);
    assert_int_equal(packet.fwd_cnt, 5);
    assert_int_equal(packet.buf_alloc, VSOCK_BUFFER);
    close(stream);
    close(listener);
}

/* The guest ends while the host has not read: what waited is delivered, then the end. */
static void test_backlog_outlives_the_connection(void **state)
{
    (void)state;
    enum { PIECE = 65536, PIECES = 6 };
    int listener, stream = guest_connects(&listener);
    static uint8_t bytes[PIECE];
    uint32_t sent = 0, forwarded = 0;
    for (unsigned i = 0; i < PIECES; i++) {
        for (uint32_t j = 0; j < PIECE; j++)
            bytes[j] = pattern(sent + j);
        assert_true(sent - forwarded + PIECE <= VSOCK_BUFFER);
        vsock_guest_send(&guest, VSOCK_OP_RW, GUEST_PORT, HOST_PORT, 0, bytes, PIECE);
        sent += PIECE;
        struct vsock_guest_packet packet;
        while (vsock_guest_receive(&guest, &packet, false))
            forwarded = packet.fwd_cnt;
    }
    assert_true(forwarded < sent); /* or the test tests nothing */
    send_shutdown(HOST_PORT, VSOCK_SHUTDOWN_BOTH);
    (void)expect(VSOCK_OP_RST);
    driver_write(&guest.driver, MMIO_STATUS, 0); /* even a reset of the device loses none of it */
    uint64_t read_back = 0;
    for (;;) {
        ssize_t n = recv(stream, bytes, sizeof bytes, MSG_DONTWAIT);
        if (n < 0 && driver_run(&guest.driver))
            continue;
        if (n <= 0)
            break;
        for (ssize_t i = 0; i < n; i++)
            assert_int_equal(bytes[i], pattern(read_back + (uint64_t)i));
        read_back += (uint64_t)n;
    }
    assert_int_equal(read_back, sent);
    assert_end(stream);
    close(stream);
    close(listener);
}

static void test_last_packet_before_power_off_arrives(void **state)
{
    (void)state;
    vsock_guest_init(&guest, GUEST_RX_BUFFERS);
    int listener, stream = guest_connects(&listener);
    struct vsock_header header = vsock_guest_header(&guest, VSOCK_OP_RW, GUEST_PORT, HOST_PORT, 1);
    uint8_t *bytes = driver_at(&guest.driver, guest.tx);
    memcpy(bytes, &header, sizeof header);
    bytes[sizeof header] = '!';
    driver_submit(&guest.driver, VSOCK_QUEUE_TX, &(struct driver_span){guest.tx, (uint32_t)sizeof header + 1, false},
                  1);
    vsock_guest_done(&guest); /* no kick was handled */
    assert_text(stream, "!");
    assert_end(stream);
    close(stream);
    close(listener);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, vsock_setup, vsock_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_config),
        CASE(test_guest_connects),
        CASE(test_host_connects),
        CASE(test_line_and_data_in_one_write),
        CASE(test_line_in_pieces),
        cmocka_unit_test(test_lines_sent_before_the_guest_runs),
        CASE(test_bad_lines),
        CASE(test_port_that_is_taken),
        CASE(test_guest_refuses),
        CASE(test_nobody_listens),
        CASE(test_host_gives_up_before_the_answer),
        CASE(test_guest_half_close),
        CASE(test_host_half_close),
        CASE(test_end_of_input_that_is_there_already),
        CASE(test_guest_closes),
        CASE(test_host_closes),
        CASE(test_host_stops_reading),
        CASE(test_guest_stops_reading),
        CASE(test_shutdown_flags_add_up),
        CASE(test_guest_resets),
        CASE(test_a_port_pair_can_be_used_again),
        CASE(test_much_to_the_guest),
        CASE(test_much_from_the_guest),
        CASE(test_no_more_than_the_guest_has_room_for),
        CASE(test_credit_counters_wrap),
        CASE(test_credit_request_is_answered),
        CASE(test_backlog_outlives_the_connection),
        cmocka_unit_test(test_last_packet_before_power_off_arrives),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
