/* SPDX-License-Identifier: Apache-2.0 */
/* Connections from the guest to the host (vsock(7)). */
#ifndef INITD_VSOCK_H
#define INITD_VSOCK_H

#include <stdint.h>

struct error;

/** Begins to connect to a port of the host. @return a non-blocking, close-on-exec socket, or -errno */
int vsock_connect_begin(uint32_t port, struct error *err);

/** Waits until the host has answered. @return 0, or -errno when it refused */
int vsock_connect_finish(int fd, struct error *err);

#endif
