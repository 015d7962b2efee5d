/* SPDX-License-Identifier: Apache-2.0 */
/* virtio-vsock: streams both ways, half-closes, credit; and a guest that breaks the rules. */
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
#include "tests/support/vsock_guest.h"

enum { GUEST_PORT = 5000, HOST_PORT = 1024 };

static struct vsock_guest guest;

static int setup(void **state)
{
    (void)state;
    vsock_guest_init(&guest, GUEST_RX_BUFFERS);
    return 0;
}

static int setup_without_buffers(void **state)
{
    (void)state;
    vsock_guest_init(&guest, 0);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    vsock_guest_done(&guest);
    return 0;
}

/* ---- steps
 * ----------------------------------------------------------------------------------------------------------- */

static void run(void)
{
    driver_run(&guest.driver);
}

static void write_text(int fd, const char *text)
{
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
}

static void assert_text(int fd, const char *expected)
{
    char text[256] = "";
    assert_int_equal(read(fd, text, strlen(expected)), strlen(expected)); /* what follows may carry a descriptor */
    assert_string_equal(text, expected);
}

static void assert_end(int fd)
{
    char byte;
    assert_int_equal(read(fd, &byte, 1), 0);
}

static void assert_nothing(int fd)
{
    char byte;
    assert_int_equal(recv(fd, &byte, 1, MSG_DONTWAIT), -1);
    assert_int_equal(errno, EAGAIN);
}

static struct vsock_guest_packet expect(enum vsock_op op)
{
    struct vsock_guest_packet packet;
    if (!vsock_guest_receive(&guest, &packet, false))
        fail_msg("no packet, but %d was expected", op);
    assert_int_equal(packet.op, op);
    return packet;
}

static void expect_nothing(void)
{
    struct vsock_guest_packet packet;
    if (vsock_guest_receive(&guest, &packet, false))
        fail_msg("unexpected packet %d", packet.op);
}

static void expect_data(const char *expected)
{
    struct vsock_guest_packet packet = expect(VSOCK_OP_RW);
    assert_int_equal(packet.length, strlen(expected));
    assert_memory_equal(packet.payload, expected, packet.length);
}

static void send_op(enum vsock_op op, uint32_t host_port)
{
    vsock_guest_send(&guest, op, GUEST_PORT, host_port, 0, NULL, 0);
}

static void send_text(const char *text)
{
    vsock_guest_send(&guest, VSOCK_OP_RW, GUEST_PORT, HOST_PORT, 0, text, (uint32_t)strlen(text));
}

static void send_shutdown(uint32_t host_port, uint32_t flags)
{
    vsock_guest_send(&guest, VSOCK_OP_SHUTDOWN, GUEST_PORT, host_port, flags, NULL, 0);
}

static int listen_on(uint32_t port)
{
    int fd = vsock_guest_host_connect(&guest);
    char line[64];
    snprintf(line, sizeof line, "LISTEN %u\n", port);
    write_text(fd, line);
    run();
    snprintf(line, sizeof line, "OK %u\n", port);
    assert_text(fd, line);
    return fd;
}

/* What a listener is handed for one connection. */
static int take_stream(int listener, uint32_t guest_port)
{
    uint8_t bytes[4];
    int stream = -1;
    assert_int_equal(fd_receive(listener, bytes, sizeof bytes, &stream), 4);
    assert_int_equal(load_le32(bytes), guest_port);
    assert_true(stream >= 0);
    return stream;
}

/* A connection that the guest makes, established: the host's end of it. */
static int guest_connects(int *listener)
{
    *listener = listen_on(HOST_PORT);
    send_op(VSOCK_OP_REQUEST, HOST_PORT);
    struct vsock_guest_packet packet = expect(VSOCK_OP_RESPONSE);
    assert_int_equal(packet.src_cid, VSOCK_CID_HOST);
    assert_int_equal(packet.dst_cid, GUEST_CID);
    assert_int_equal(packet.src_port, HOST_PORT);
    assert_int_equal(packet.dst_port, GUEST_PORT);
    assert_int_equal(packet.type, VSOCK_TYPE_STREAM);
    assert_int_equal(packet.buf_alloc, VSOCK_BUFFER);
    return take_stream(*listener, GUEST_PORT);
}

/* A connection that a host program makes, established: its socket and the port on the host's side. */
static int host_connects(uint32_t *host_port)
{
    int fd = vsock_guest_host_connect(&guest);
    char line[64];
    snprintf(line, sizeof line, "CONNECT %u\n", GUEST_PORT);
    write_text(fd, line);
    struct vsock_guest_packet packet = expect(VSOCK_OP_REQUEST);
    assert_int_equal(packet.dst_port, GUEST_PORT);
    *host_port = packet.src_port;
    assert_nothing(fd);
    send_op(VSOCK_OP_RESPONSE, *host_port);
    snprintf(line, sizeof line, "OK %u\n", *host_port);
    assert_text(fd, line);
    return fd;
}

static uint8_t pattern(uint64_t position)
{
    return (uint8_t)(position * 7 + position / 251);
}

/* ---- streams
 * --------------------------------------------------------------------------------------------------------- */

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
        run();
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
    run();
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
        run();
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
    run();
    assert_end(second);
    close(second);
    close(first);
    run();
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
    run();
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

/* ---- ends
 * ------------------------------------------------------------------------------------------------------------ */

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

/* ---- much data, and credit
 * ------------------------------------------------------------------------------------------- */

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
            run();
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

/* ---- receive buffers
 * ------------------------------------------------------------------------------------------------- */

static void test_no_receive_buffers(void **state)
{
    (void)state;
    int listener = listen_on(HOST_PORT);
    send_op(VSOCK_OP_REQUEST, HOST_PORT);
    int stream = take_stream(listener, GUEST_PORT);
    write_text(stream, "waits");
    run(); /* driver_run() fails the test if this spins */
    expect_nothing();
    for (uint16_t i = 0; i < 2; i++)
        vsock_guest_offer(&guest, i);
    driver_kick(&guest.driver, VSOCK_QUEUE_RX);
    (void)expect(VSOCK_OP_RESPONSE);
    expect_data("waits");
    close(stream);
    close(listener);
}

static void test_connections_share_receive_buffers(void **state)
{
    (void)state;
    enum { CONNECTIONS = 4 };
    int listener = listen_on(HOST_PORT), streams[CONNECTIONS];
    for (uint32_t i = 0; i < CONNECTIONS; i++) {
        vsock_guest_send(&guest, VSOCK_OP_REQUEST, GUEST_PORT + i, HOST_PORT, 0, NULL, 0);
        (void)expect(VSOCK_OP_RESPONSE);
        streams[i] = take_stream(listener, GUEST_PORT + i);
    }
    static char much[100000];
    for (unsigned i = 0; i < CONNECTIONS; i++)
        assert_int_equal(write(streams[i], much, sizeof much), sizeof much);
    /* Before the first of them has everything, each had its turn. */
    uint32_t received[CONNECTIONS] = {0}, most = 0;
    while (most < sizeof much) {
        struct vsock_guest_packet packet = expect(VSOCK_OP_RW);
        uint32_t *one = &received[packet.dst_port - GUEST_PORT];
        *one += packet.length;
        most = *one > most ? *one : most;
    }
    for (unsigned i = 0; i < CONNECTIONS; i++) {
        assert_true(received[i] > 0);
        close(streams[i]);
    }
    close(listener);
}

static void test_tiny_receive_buffer_needs_reset(void **state)
{
    (void)state;
    driver_submit(&guest.driver, VSOCK_QUEUE_RX,
                  &(struct driver_span){guest.rx_first, sizeof(struct vsock_header), true}, 1);
    driver_kick(&guest.driver, VSOCK_QUEUE_RX);
    send_op(VSOCK_OP_REQUEST, 4242); /* the answer needs a buffer */
    run();
    assert_true(driver_read(&guest.driver, MMIO_STATUS) & STATUS_NEEDS_RESET);
}

/* ---- packets that break the rules
 * ------------------------------------------------------------------------------------ */

static void test_short_packet_needs_reset(void **state)
{
    (void)state;
    driver_submit(&guest.driver, VSOCK_QUEUE_TX,
                  &(struct driver_span){guest.tx, sizeof(struct vsock_header) - 1, false}, 1);
    driver_kick(&guest.driver, VSOCK_QUEUE_TX);
    assert_true(driver_read(&guest.driver, MMIO_STATUS) & STATUS_NEEDS_RESET);
}

static void test_wrong_sender_is_dropped(void **state)
{
    (void)state;
    static const uint64_t senders[] = {0, 1, VSOCK_CID_HOST, GUEST_CID + 1, GUEST_CID | UINT64_C(1) << 32, UINT64_MAX};
    int listener = listen_on(HOST_PORT);
    for (size_t i = 0; i < sizeof senders / sizeof senders[0]; i++) {
        struct vsock_header header = vsock_guest_header(&guest, VSOCK_OP_REQUEST, GUEST_PORT, HOST_PORT, 0);
        header.src_cid = le64_from(senders[i]);
        vsock_guest_send_raw(&guest, &header, NULL, 0);
        expect_nothing();
    }
    assert_nothing(listener);
    close(listener);
}

static void test_other_receivers_are_refused(void **state)
{
    (void)state;
    static const uint64_t receivers[] = {0, 1, 3, GUEST_CID, VSOCK_CID_HOST | UINT64_C(1) << 32, UINT64_MAX};
    int listener = listen_on(HOST_PORT);
    for (size_t i = 0; i < sizeof receivers / sizeof receivers[0]; i++) {
        struct vsock_header header = vsock_guest_header(&guest, VSOCK_OP_REQUEST, GUEST_PORT, HOST_PORT, 0);
        header.dst_cid = le64_from(receivers[i]);
        vsock_guest_send_raw(&guest, &header, NULL, 0);
        assert_true(expect(VSOCK_OP_RST).src_cid == receivers[i]);
    }
    assert_nothing(listener);
    close(listener);
}

static void test_other_types_are_refused(void **state)
{
    (void)state;
    static const uint16_t types[] = {0, 2, 3, UINT16_MAX};
    int listener = listen_on(HOST_PORT);
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        struct vsock_header header = vsock_guest_header(&guest, VSOCK_OP_REQUEST, GUEST_PORT, HOST_PORT, 0);
        header.type = le16_from(types[i]);
        vsock_guest_send_raw(&guest, &header, NULL, 0);
        assert_int_equal(expect(VSOCK_OP_RST).type, types[i]);
    }
    assert_nothing(listener);
    close(listener);
}

static void test_packets_of_no_connection(void **state)
{
    (void)state;
    for (unsigned op = 0; op < 12; op++) {
        send_op((enum vsock_op)op, HOST_PORT);
        if (op != VSOCK_OP_RST)
            (void)expect(VSOCK_OP_RST);
        expect_nothing(); /* never an answer to a RST */
    }
}

/* In an established connection, each of these ends it. */
static void assert_ends_connection(const struct vsock_header *header, const void *payload, uint32_t length)
{
    int listener, stream = guest_connects(&listener);
    vsock_guest_send_raw(&guest, header, payload, length);
    (void)expect(VSOCK_OP_RST);
    expect_nothing();
    assert_end(stream);
    close(stream);
    close(listener);
    run();
}

static void test_operations_out_of_place(void **state)
{
    (void)state;
    static const unsigned ops[] = {VSOCK_OP_INVALID, VSOCK_OP_REQUEST, VSOCK_OP_RESPONSE, 8, 100, UINT16_MAX};
    for (size_t i = 0; i < sizeof ops / sizeof ops[0]; i++) {
        struct vsock_header header = vsock_guest_header(&guest, (enum vsock_op)ops[i], GUEST_PORT, HOST_PORT, 0);
        assert_ends_connection(&header, NULL, 0);
    }
}

static void test_lengths_that_lie(void **state)
{
    (void)state;
    static const uint32_t lengths[] = {5, 0x10000, 0x10001, UINT32_MAX, UINT32_MAX - 43};
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        struct vsock_header header = vsock_guest_header(&guest, VSOCK_OP_RW, GUEST_PORT, HOST_PORT, lengths[i]);
        assert_ends_connection(&header, "four", 4);
    }
    struct vsock_header header = vsock_guest_header(&guest, VSOCK_OP_CREDIT_UPDATE, GUEST_PORT, HOST_PORT, 4);
    assert_ends_connection(&header, "four", 4); /* payload where none belongs */
}

static void test_payload_longer_than_a_packet(void **state)
{
    (void)state;
    static uint8_t bytes[VSOCK_PAYLOAD_MAX + 1];
    struct vsock_header header = vsock_guest_header(&guest, VSOCK_OP_RW, GUEST_PORT, HOST_PORT, sizeof bytes);
    assert_ends_connection(&header, bytes, sizeof bytes);
}

static void test_data_after_shutdown(void **state)
{
    (void)state;
    int listener, stream = guest_connects(&listener);
    send_shutdown(HOST_PORT, VSOCK_SHUTDOWN_SEND);
    send_text("too late");
    (void)expect(VSOCK_OP_RST);
    assert_end(stream);
    close(stream);
    close(listener);
}

static void test_data_before_the_answer(void **state)
{
    (void)state;
    int fd = vsock_guest_host_connect(&guest);
    write_text(fd, "CONNECT 5000\n");
    struct vsock_guest_packet packet = expect(VSOCK_OP_REQUEST);
    vsock_guest_send(&guest, VSOCK_OP_RW, GUEST_PORT, packet.src_port, 0, "x", 1);
    (void)expect(VSOCK_OP_RST);
    assert_end(fd);
    close(fd);
}

static void test_shutdown_before_the_answer(void **state)
{
    (void)state;
    int fd = vsock_guest_host_connect(&guest);
    write_text(fd, "CONNECT 5000\n");
    struct vsock_guest_packet packet = expect(VSOCK_OP_REQUEST);
    send_shutdown(packet.src_port, VSOCK_SHUTDOWN_SEND);
    (void)expect(VSOCK_OP_RST);
    assert_end(fd);
    close(fd);
}

/* The guest has no receive buffer for the RST that it earned, and goes on all the same: one RST answers all of it. */
static void test_packets_while_a_reset_waits(void **state)
{
    (void)state;
    int listener = listen_on(HOST_PORT);
    send_op(VSOCK_OP_REQUEST, HOST_PORT);
    int stream = take_stream(listener, GUEST_PORT);
    for (unsigned op = 0; op < 9; op++)
        if (op != VSOCK_OP_RST)
            send_op((enum vsock_op)op, HOST_PORT);
    send_text("more");
    assert_end(stream);
    vsock_guest_offer(&guest, 0);
    vsock_guest_offer(&guest, 1);
    driver_kick(&guest.driver, VSOCK_QUEUE_RX);
    (void)expect(VSOCK_OP_RST);
    expect_nothing();
    close(stream);
    close(listener);
}

static void test_credit_overrun(void **state)
{
    (void)state;
    enum { PIECE = 65536 };
    int listener, stream = guest_connects(&listener);
    static uint8_t bytes[PIECE];
    /* The host does not read. The socket takes a part, the backlog what was promised, and no byte more. */
    struct vsock_guest_packet packet = {0};
    unsigned pieces = 0;
    bool reset = false;
    while (pieces < 64 && !reset) {
        vsock_guest_send(&guest, VSOCK_OP_RW, GUEST_PORT, HOST_PORT, 0, bytes, PIECE);
        pieces++;
        while (vsock_guest_receive(&guest, &packet, false))
            reset |= packet.op == VSOCK_OP_RST;
    }
    assert_true(reset);
    assert_true(pieces > VSOCK_BUFFER / PIECE);
    uint64_t read_back = 0;
    for (ssize_t n; (n = recv(stream, bytes, sizeof bytes, MSG_DONTWAIT)) != 0;) {
        if (n < 0)
            assert_true(driver_run(&guest.driver) > 0);
        else
            read_back += (uint64_t)n;
    }
    assert_true(read_back <= (pieces - 1) * (uint64_t)PIECE);
    close(stream);
    close(listener);
}

static void test_flood_of_connections(void **state)
{
    (void)state;
    int listener = listen_on(HOST_PORT);
    static int streams[VSOCK_CONNECTIONS_MAX];
    for (uint32_t i = 0; i < VSOCK_CONNECTIONS_MAX; i++) {
        vsock_guest_send(&guest, VSOCK_OP_REQUEST, i, HOST_PORT, 0, NULL, 0);
        (void)expect(VSOCK_OP_RESPONSE);
        streams[i] = take_stream(listener, i);
    }
    for (uint32_t i = 0; i < 10; i++) {
        vsock_guest_send(&guest, VSOCK_OP_REQUEST, 100000 + i, HOST_PORT, 0, NULL, 0);
        (void)expect(VSOCK_OP_RST);
    }
    assert_nothing(listener); /* what is refused is not handed to anybody */
    int fd = vsock_guest_host_connect(&guest);
    write_text(fd, "CONNECT 5000\n");
    run();
    assert_end(fd);
    close(fd);
    vsock_guest_send(&guest, VSOCK_OP_RST, 17, HOST_PORT, 0, NULL, 0);
    vsock_guest_send(&guest, VSOCK_OP_REQUEST, 100000, HOST_PORT, 0, NULL, 0); /* there is room again */
    (void)expect(VSOCK_OP_RESPONSE);
    close(take_stream(listener, 100000));
    for (uint32_t i = 0; i < VSOCK_CONNECTIONS_MAX; i++)
        close(streams[i]);
    close(listener);
}

static void test_flood_of_refusals_without_buffers(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 10 * VSOCK_REFUSALS_MAX; i++)
        vsock_guest_send(&guest, VSOCK_OP_RW, i, HOST_PORT, 0, NULL, 0);
    unsigned answers = 0;
    struct vsock_guest_packet packet;
    for (uint16_t i = 0; i < 8; i++)
        vsock_guest_offer(&guest, i);
    driver_kick(&guest.driver, VSOCK_QUEUE_RX);
    for (; vsock_guest_receive(&guest, &packet, false); answers++)
        assert_int_equal(packet.op, VSOCK_OP_RST);
    assert_int_equal(answers, VSOCK_REFUSALS_MAX); /* the others were dropped */
}

static void test_flood_of_clients(void **state)
{
    (void)state;
    int fds[VSOCK_CLIENTS_MAX + 1];
    for (unsigned i = 0; i <= VSOCK_CLIENTS_MAX; i++) {
        fds[i] = vsock_guest_host_connect(&guest);
        run();
    }
    assert_nothing(fds[VSOCK_CLIENTS_MAX - 1]);
    assert_end(fds[VSOCK_CLIENTS_MAX]); /* one too many */
    for (unsigned i = 0; i <= VSOCK_CLIENTS_MAX; i++)
        close(fds[i]);
    run();
    close(listen_on(HOST_PORT));
}

/* ---- reset
 * ----------------------------------------------------------------------------------------------------------- */

static void test_reset_with_connections(void **state)
{
    (void)state;
    uint32_t port;
    int listener, stream = guest_connects(&listener);
    int fd = host_connects(&port);
    write_text(stream, "on its way");
    send_op(VSOCK_OP_REQUEST, 4242); /* a refusal waits, too */
    driver_write(&guest.driver, MMIO_STATUS, 0);
    assert_end(fd);
    char byte;
    assert_true(read(stream, &byte, 1) <= 0);
    run();
    /* Who listens still does when the driver is back. */
    vsock_guest_start(&guest, GUEST_RX_BUFFERS);
    expect_nothing();
    send_op(VSOCK_OP_REQUEST, HOST_PORT);
    (void)expect(VSOCK_OP_RESPONSE);
    close(take_stream(listener, GUEST_PORT));
    close(stream);
    close(fd);
    close(listener);
}

static void test_new_refuses_bad_addresses(void **state)
{
    (void)state;
    static const uint32_t cids[] = {0, 1, 2, UINT32_MAX};
    struct event_loop *loop = NULL;
    assert_int_equal(event_loop_new(&loop, NULL), 0);
    for (size_t i = 0; i < sizeof cids / sizeof cids[0]; i++) {
        void *device = NULL;
        assert_int_equal(virtio_vsock_new(&device, cids[i], dup(STDERR_FILENO), loop, NULL), -EINVAL);
        assert_null(device);
    }
    event_loop_free(loop);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

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
        cmocka_unit_test_setup_teardown(test_no_receive_buffers, setup_without_buffers, teardown),
        CASE(test_connections_share_receive_buffers),
        cmocka_unit_test_setup_teardown(test_tiny_receive_buffer_needs_reset, setup_without_buffers, teardown),
        CASE(test_short_packet_needs_reset),
        CASE(test_wrong_sender_is_dropped),
        CASE(test_other_receivers_are_refused),
        CASE(test_other_types_are_refused),
        CASE(test_packets_of_no_connection),
        CASE(test_operations_out_of_place),
        CASE(test_lengths_that_lie),
        CASE(test_payload_longer_than_a_packet),
        CASE(test_data_after_shutdown),
        CASE(test_data_before_the_answer),
        CASE(test_shutdown_before_the_answer),
        cmocka_unit_test_setup_teardown(test_packets_while_a_reset_waits, setup_without_buffers, teardown),
        CASE(test_credit_overrun),
        CASE(test_flood_of_connections),
        cmocka_unit_test_setup_teardown(test_flood_of_refusals_without_buffers, setup_without_buffers, teardown),
        CASE(test_flood_of_clients),
        CASE(test_reset_with_connections),
        cmocka_unit_test(test_new_refuses_bad_addresses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
