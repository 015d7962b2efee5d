/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/vsock_guest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "devices/virtio/vsock.h"

enum { QUEUE_SIZE = 64 };
_Static_assert((int)GUEST_RX_BUFFERS <= (int)QUEUE_SIZE, "one descriptor a buffer");

static void require(bool true_here, const char *what)
{
    if (true_here)
        return;
    fprintf(stderr, "vsock_guest: %s\n", what);
    abort();
}

static struct sockaddr_un address_of(const struct vsock_guest *guest)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    memcpy(address.sun_path, guest->path, sizeof guest->path);
    return address;
}

void vsock_guest_attach(struct vsock_guest *guest)
{
    *guest = (struct vsock_guest){.buf_alloc = GUEST_BUFFER};
    char folder[] = "/tmp/hull-test-vsock-XXXXXX";
    require(mkdtemp(folder), "no temporary folder");
    (void)snprintf(guest->path, sizeof guest->path, "%s/socket", folder);
    struct sockaddr_un address = address_of(guest);
    int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    require(listener >= 0 && bind(listener, (const struct sockaddr *)&address, sizeof address) == 0 &&
                listen(listener, 128) == 0,
            "no listening socket");
    driver_init(&guest->driver);
    void *device = NULL;
    require(virtio_vsock_new(&device, GUEST_CID, listener, guest->driver.loop, NULL) == 0, "no device");
    driver_attach(&guest->driver, &virtio_vsock_ops, device);
}

void vsock_guest_start(struct vsock_guest *guest, unsigned rx_buffers)
{
    driver_start(&guest->driver, VIRTIO_F_EVENT_IDX | VIRTIO_F_INDIRECT_DESC, QUEUE_SIZE);
    if (!guest->tx) {
        guest->rx_first = driver_alloc(&guest->driver, (size_t)GUEST_RX_BUFFERS * GUEST_RX_SIZE, 4096);
        guest->tx = driver_alloc(&guest->driver, (size_t)2 * GUEST_TX_MAX, 4096);
    }
    for (unsigned i = 0; i < rx_buffers; i++)
        vsock_guest_offer(guest, (uint16_t)i);
    driver_write(&guest->driver, MMIO_QUEUE_NOTIFY, VSOCK_QUEUE_RX);
}

void vsock_guest_init(struct vsock_guest *guest, unsigned rx_buffers)
{
    vsock_guest_attach(guest);
    vsock_guest_start(guest, rx_buffers);
}

void vsock_guest_done(struct vsock_guest *guest)
{
    driver_done(&guest->driver);
    (void)unlink(guest->path);
    *strrchr(guest->path, '/') = '\0';
    (void)rmdir(guest->path);
}

void vsock_guest_offer(struct vsock_guest *guest, uint16_t number)
{
    driver_descriptor(&guest->driver, VSOCK_QUEUE_RX, number, guest->rx_first + number * (uint64_t)GUEST_RX_SIZE,
                      GUEST_RX_SIZE, DESC_WRITE, 0);
    driver_offer(&guest->driver, VSOCK_QUEUE_RX, number);
}

void vsock_guest_send_raw(struct vsock_guest *guest, const struct vsock_header *header, const void *payload,
                          uint32_t payload_length)
{
    uint8_t *bytes = driver_at(&guest->driver, guest->tx);
    memcpy(bytes, header, sizeof *header);
    if (payload_length)
        memcpy(bytes + 4096, payload, payload_length);
    const struct driver_span spans[] = {{guest->tx, sizeof *header, false}, {guest->tx + 4096, payload_length, false}};
    driver_submit(&guest->driver, VSOCK_QUEUE_TX, spans, payload_length ? 2 : 1);
    driver_kick(&guest->driver, VSOCK_QUEUE_TX);
}

struct vsock_header vsock_guest_header(const struct vsock_guest *guest, enum vsock_op op, uint32_t guest_port,
                                       uint32_t host_port, uint32_t length)
{
    return (struct vsock_header){
        .src_cid = le64_from(GUEST_CID),
        .dst_cid = le64_from(VSOCK_CID_HOST),
        .src_port = le32_from(guest_port),
        .dst_port = le32_from(host_port),
        .len = le32_from(length),
        .type = le16_from(VSOCK_TYPE_STREAM),
        .op = le16_from((uint16_t)op),
        .buf_alloc = le32_from(guest->buf_alloc),
        .fwd_cnt = le32_from(guest->fwd_cnt),
    };
}

void vsock_guest_send(struct vsock_guest *guest, enum vsock_op op, uint32_t guest_port, uint32_t host_port,
                      uint32_t flags, const void *payload, uint32_t length)
{
    struct vsock_header header = vsock_guest_header(guest, op, guest_port, host_port, length);
    header.flags = le32_from(flags);
    vsock_guest_send_raw(guest, &header, payload, length);
}

bool vsock_guest_receive(struct vsock_guest *guest, struct vsock_guest_packet *packet, bool keep)
{
    uint32_t head, length;
    driver_run(&guest->driver);
    if (!driver_used(&guest->driver, VSOCK_QUEUE_RX, &head, &length))
        return false;
    require(head < GUEST_RX_BUFFERS, "a buffer that was not offered");
    const uint8_t *bytes = driver_at(&guest->driver, guest->rx_first + head * (uint64_t)GUEST_RX_SIZE);
    struct vsock_header header;
    memcpy(&header, bytes, sizeof header);
    *packet = (struct vsock_guest_packet){
        .src_cid = le64_get(header.src_cid),
        .dst_cid = le64_get(header.dst_cid),
        .src_port = le32_get(header.src_port),
        .dst_port = le32_get(header.dst_port),
        .length = le32_get(header.len),
        .type = le16_get(header.type),
        .op = le16_get(header.op),
        .flags = le32_get(header.flags),
        .buf_alloc = le32_get(header.buf_alloc),
        .fwd_cnt = le32_get(header.fwd_cnt),
        .payload = bytes + sizeof header,
    };
    require(length == sizeof header + packet->length, "the used length is not the packet's");
    if (!keep) {
        vsock_guest_offer(guest, (uint16_t)head);
        driver_write(&guest->driver, MMIO_QUEUE_NOTIFY, VSOCK_QUEUE_RX);
    }
    return true;
}

int vsock_guest_host_connect(struct vsock_guest *guest)
{
    struct sockaddr_un address = address_of(guest);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    require(fd >= 0 && connect(fd, (const struct sockaddr *)&address, sizeof address) == 0, "cannot connect");
    return fd;
}
