/* SPDX-License-Identifier: Apache-2.0 */
/* virtio-vsock: a guest that breaks the rules, floods or has no room, and resets. */
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
/* ---- receive buffers ---- */

static void test_no_receive_buffers(void **state)
{
    (void)state;
    int listener = listen_on(HOST_PORT);
    send_op(VSOCK_OP_REQUEST, HOST_PORT);
    int stream = take_stream(listener, GUEST_PORT);
    write_text(stream, "waits");
    run_device(); /* driver_run() fails the test if this spins */
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
    run_device();
    assert_true(driver_read(&guest.driver, MMIO_STATUS) & STATUS_NEEDS_RESET);
}

/* ---- packets that break the rules ---- */

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
    run_device();
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
    run_device();
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
        run_device();
    }
    assert_nothing(fds[VSOCK_CLIENTS_MAX - 1]);
    assert_end(fds[VSOCK_CLIENTS_MAX]); /* one too many */
    for (unsigned i = 0; i <= VSOCK_CLIENTS_MAX; i++)
        close(fds[i]);
    run_device();
    close(listen_on(HOST_PORT));
}

/* ---- reset ---- */

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
    run_device();
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

#define CASE(test) cmocka_unit_test_setup_teardown(test, vsock_setup, vsock_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_no_receive_buffers, vsock_setup_without_buffers, vsock_teardown),
        CASE(test_connections_share_receive_buffers),
        cmocka_unit_test_setup_teardown(test_tiny_receive_buffer_needs_reset, vsock_setup_without_buffers,
                                        vsock_teardown),
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
        cmocka_unit_test_setup_teardown(test_packets_while_a_reset_waits, vsock_setup_without_buffers, vsock_teardown),
        CASE(test_credit_overrun),
        CASE(test_flood_of_connections),
        cmocka_unit_test_setup_teardown(test_flood_of_refusals_without_buffers, vsock_setup_without_buffers,
                                        vsock_teardown),
        CASE(test_flood_of_clients),
        CASE(test_reset_with_connections),
        cmocka_unit_test(test_new_refuses_bad_addresses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
