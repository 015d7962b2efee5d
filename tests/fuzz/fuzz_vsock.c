/* SPDX-License-Identifier: Apache-2.0 */
/*
 * virtio-vsock between a hostile guest and host programs that come, write, read and go. Steps besides those of
 * virtio_script.h, with C one of a few host sockets:
 *
 *   'C' C n bytes       connect (if it is not) and write bytes: lines, or the stream's contents
 *   'R' C               read what is there, taking descriptors that come along as the next socket
 *   'H' C               shut down writing
 *   'K' C               close
 *   'p' op ports n flags credit    a packet to CID 2 with n bytes, well-formed but for what its fields say
 *   'b'                 offer all receive buffers
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/fd.h"
#include "devices/virtio/vsock.h"
#include "devices/virtio/vsock_packet.h"
#include "tests/support/virtio_script.h"

enum { CID = 3, SOCKETS = 6, RX = 0x4000, RX_SIZE = 0x400, RX_BUFFERS = SCRIPT_QUEUE_SIZE, TX = 0x8000 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct virtio_driver driver;
static int sockets[SOCKETS];

/* The listening socket of all inputs, at an address that the kernel chose (unix(7): autobind). */
static int listener = -1;
static struct sockaddr_un address;
static socklen_t address_length;

static void require(bool true_here, const char *what)
{
    if (true_here)
        return;
    fprintf(stderr, "fuzz_vsock: %s\n", what);
    abort();
}

static void make_listener(void)
{
    address.sun_family = AF_UNIX;
    address_length = sizeof address;
    listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    require(listener >= 0 && bind(listener, (struct sockaddr *)&address, sizeof(sa_family_t)) == 0 &&
                getsockname(listener, (struct sockaddr *)&address, &address_length) == 0 && listen(listener, 16) == 0,
            "no listening socket");
}

static int *pick(struct reader *script)
{
    return &sockets[reader_u8(script) % SOCKETS];
}

static void host_write(struct reader *script)
{
    int *fd = pick(script);
    uint8_t length = reader_u8(script);
    const void *bytes = reader_take(script, length);
    if (*fd < 0) {
        *fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (connect(*fd, (struct sockaddr *)&address, address_length) < 0)
            fd_close(fd);
    }
    if (bytes && *fd >= 0)
        (void)send(*fd, bytes, length, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void host_read(struct reader *script)
{
    int *fd = pick(script);
    char bytes[4096];
    int passed = -1;
    if (*fd < 0)
        return;
    (void)fd_set_nonblocking(*fd, 1);
    (void)fd_receive(*fd, bytes, sizeof bytes, &passed);
    int *next = &sockets[(fd - sockets + 1) % SOCKETS];
    if (passed >= 0) {
        fd_close(next);
        *next = passed;
    }
}

static void host_shutdown(struct reader *script)
{
    const int *fd = pick(script);
    if (*fd >= 0)
        (void)shutdown(*fd, SHUT_WR);
}

static void host_close(struct reader *script)
{
    fd_close(pick(script));
}

static void send_packet(struct reader *script)
{
    uint8_t op = reader_u8(script);
    uint8_t guest_port = reader_u8(script);
    uint8_t host_port = reader_u8(script);
    uint16_t length = reader_le16(script) & 0x3fff;
    uint8_t flags = reader_u8(script);
    uint8_t credit = reader_u8(script);
    struct vsock_header header = {
        .src_cid = le64_from(CID),
        .dst_cid = le64_from(VSOCK_CID_HOST),
        .src_port = le32_from(guest_port),
        /* Half of them ports that the host was given when it connected. */
        .dst_port = le32_from(host_port & 0x80 ? (1u << 30) + (host_port & 0x7fu) : host_port),
        .len = le32_from(length),
        .type = le16_from(VSOCK_TYPE_STREAM),
        .op = le16_from(op),
        .flags = le32_from(flags),
        .buf_alloc = le32_from(credit * 64u),
        .fwd_cnt = le32_from(flags >> 2),
    };
    if (driver.queues[VSOCK_QUEUE_TX].size == 0)
        return;
    memcpy(driver.ram + TX, &header, sizeof header);
    driver_submit(&driver, VSOCK_QUEUE_TX,
                  &(struct driver_span){DRIVER_RAM_BASE + TX, (uint32_t)sizeof header + length, false}, 1);
    driver_kick(&driver, VSOCK_QUEUE_TX);
}

static void offer_buffers(struct reader *script)
{
    (void)script;
    for (uint16_t i = 0; i < RX_BUFFERS && driver.queues[VSOCK_QUEUE_RX].size; i++) {
        driver_descriptor(&driver, VSOCK_QUEUE_RX, i, DRIVER_RAM_BASE + RX + i * RX_SIZE, RX_SIZE, DESC_WRITE, 0);
        driver_offer(&driver, VSOCK_QUEUE_RX, i);
    }
    driver_write(&driver, MMIO_QUEUE_NOTIFY, VSOCK_QUEUE_RX);
}

static void (*const steps[UINT8_MAX + 1])(struct reader *script) = {
    ['C'] = host_write, ['R'] = host_read,   ['H'] = host_shutdown,
    ['K'] = host_close, ['p'] = send_packet, ['b'] = offer_buffers,
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (listener < 0)
        make_listener();
    for (unsigned i = 0; i < SOCKETS; i++)
        sockets[i] = -1;
    void *device = NULL;
    driver_init_sized(&driver, SCRIPT_RAM);
    require(virtio_vsock_new(&device, CID, dup(listener), driver.loop, NULL) == 0, "no device");
    driver_attach(&driver, &virtio_vsock_ops, device);
    driver_start(&driver, UINT64_MAX, SCRIPT_QUEUE_SIZE);
    struct reader script = reader_over(data, size);
    while (script.left && !script.failed) {
        uint8_t what = reader_u8(&script);
        if (steps[what])
            steps[what](&script);
        else
            (void)script_step(&driver, what, &script);
    }
    driver_run(&driver);
    /* Readers first: the device waits for those at its end. */
    for (unsigned i = 0; i < SOCKETS; i++)
        fd_close(&sockets[i]);
    driver_done(&driver);
    for (int fd; (fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC)) >= 0;)
        close(fd);
    return 0;
}
