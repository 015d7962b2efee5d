/* SPDX-License-Identifier: Apache-2.0 */
/* What the vsock tests say in one line: the steps of a host program and of a guest, and what each of them expects. */
#ifndef TESTS_SUPPORT_VSOCK_STEPS_H
#define TESTS_SUPPORT_VSOCK_STEPS_H

#include <stdint.h>

#include "devices/virtio/vsock_packet.h"
#include "tests/support/vsock_guest.h"

enum { GUEST_PORT = 5000, HOST_PORT = 1024 };

/** The guest of the test that runs, between the set-up and the end of each. */
extern struct vsock_guest guest;

/** A device with a driver that offers GUEST_RX_BUFFERS receive buffers; for cmocka. */
int vsock_setup(void **state);

/** The same without receive buffers. */
int vsock_setup_without_buffers(void **state);

/** Ends either. */
int vsock_teardown(void **state);

/** Lets the device handle what is ready. */
void run_device(void);

/** Writes all of a text to a host program's socket. */
void write_text(int fd, const char *text);

/** The next bytes of a socket are these. */
void assert_text(int fd, const char *expected);

/** A socket is at its end. */
void assert_end(int fd);

/** Nothing has arrived on a socket. */
void assert_nothing(int fd);

/** The next packet that the guest receives has this operation. */
struct vsock_guest_packet expect(enum vsock_op op);

/** The guest receives nothing. */
void expect_nothing(void);

/** The next packet carries this text. */
void expect_data(const char *expected);

/** The guest sends an operation from GUEST_PORT. */
void send_op(enum vsock_op op, uint32_t host_port);

/** The guest sends a text from GUEST_PORT to HOST_PORT. */
void send_text(const char *text);

/** The guest sends SHUTDOWN with these flags (section 5.10.6.6). */
void send_shutdown(uint32_t host_port, uint32_t flags);

/** A host program listens on a port. @return its socket, owned by the caller */
int listen_on(uint32_t port);

/** What a listener is handed for one connection. @return the stream, owned by the caller */
int take_stream(int listener, uint32_t guest_port);

/** A connection that the guest makes, established. @return the host's end; it and *listener are the caller's */
int guest_connects(int *listener);

/** A connection that a host program makes, established. @return its socket, owned by the caller; *host_port: the port
 * on the host's side */
int host_connects(uint32_t *host_port);

/** The byte at a position of a long stream, different from its neighbours. */
uint8_t pattern(uint64_t position);

#endif
