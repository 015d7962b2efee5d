/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/vsock_steps.h"

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
struct vsock_guest guest;

int vsock_setup(void **state)
{
    (void)state;
    vsock_guest_init(&guest, GUEST_RX_BUFFERS);
    return 0;
}

int vsock_setup_without_buffers(void **state)
{
    (void)state;
    vsock_guest_init(&guest, 0);
    return 0;
}

int vsock_teardown(void **state)
{
    (void)state;
    vsock_guest_done(&guest);
    return 0;
}

void run_device(void)
{
    driver_run(&guest.driver);
}

void write_text(int fd, const char *text)
{
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
}

void assert_text(int fd, const char *expected)
{
    char text[256] = "";
    assert_int_equal(read(fd, text, strlen(expected)), strlen(expected)); /* what follows may carry a descriptor */
    assert_string_equal(text, expected);
}

void assert_end(int fd)
{
    char byte;
    assert_int_equal(read(fd, &byte, 1), 0);
}

void assert_nothing(int fd)
{
    char byte;
    assert_int_equal(recv(fd, &byte, 1, MSG_DONTWAIT), -1);
    assert_int_equal(errno, EAGAIN);
}

struct vsock_guest_packet expect(enum vsock_op op)
{
    struct vsock_guest_packet packet;
    if (!vsock_guest_receive(&guest, &packet, false))
        fail_msg("no packet, but %d was expected", op);
    assert_int_equal(packet.op, op);
    return packet;
}

void expect_nothing(void)
{
    struct vsock_guest_packet packet;
    if (vsock_guest_receive(&guest, &packet, false))
        fail_msg("unexpected packet %d", packet.op);
}

void expect_data(const char *expected)
{
    struct vsock_guest_packet packet = expect(VSOCK_OP_RW);
    assert_int_equal(packet.length, strlen(expected));
    assert_memory_equal(packet.payload, expected, packet.length);
}

void send_op(enum vsock_op op, uint32_t host_port)
{
    vsock_guest_send(&guest, op, GUEST_PORT, host_port, 0, NULL, 0);
}

void send_text(const char *text)
{
    vsock_guest_send(&guest, VSOCK_OP_RW, GUEST_PORT, HOST_PORT, 0, text, (uint32_t)strlen(text));
}

void send_shutdown(uint32_t host_port, uint32_t flags)
{
    vsock_guest_send(&guest, VSOCK_OP_SHUTDOWN, GUEST_PORT, host_port, flags, NULL, 0);
}

int listen_on(uint32_t port)
{
    int fd = vsock_guest_host_connect(&guest);
    char line[64];
    snprintf(line, sizeof line, "LISTEN %u\n", port);
    write_text(fd, line);
    run_device();
    snprintf(line, sizeof line, "OK %u\n", port);
    assert_text(fd, line);
    return fd;
}

int take_stream(int listener, uint32_t guest_port)
{
    uint8_t bytes[4];
    int stream = -1;
    assert_int_equal(fd_receive(listener, bytes, sizeof bytes, &stream), 4);
    assert_int_equal(load_le32(bytes), guest_port);
    assert_true(stream >= 0);
    return stream;
}

int guest_connects(int *listener)
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

int host_connects(uint32_t *host_port)
{
    int fd = vsock_guest_host_connect(&guest);
    char line[64];
    snprintf(line, sizeof line, "CONNECT %d\n", GUEST_PORT);
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

uint8_t pattern(uint64_t position)
{
    return (uint8_t)(position * 7 + position / 251);
}
