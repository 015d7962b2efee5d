/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A 16550A UART on eight ports (National Semiconductor PC16550D): what Linux's 8250 driver needs to find one and use it
 * as a console. Baud rates mean nothing here; bytes leave at once.
 *
 * The guest never waits for whoever reads its console. Output goes out without blocking; what the reader does not take
 * in time waits in a buffer of SERIAL_OUTPUT_MAX bytes, and what does not fit is dropped and counted.
 */
#ifndef DEVICES_SERIAL_H
#define DEVICES_SERIAL_H

#include <stdint.h>

#include "devices/bus_device.h"

struct error;
struct event_loop;
struct serial;

enum {
    SERIAL_PORT = 0x3f8, /**< COM1 */
    SERIAL_WINDOW = 8,
    SERIAL_OUTPUT_MAX = 64 * 1024,
};

/** The UART on the machine's bus; the `device` argument is the struct serial. */
extern const struct bus_device_ops serial_bus_ops;

/**
 * Makes a UART. The process must ignore SIGPIPE.
 *
 * @param serial  set to the UART, owned by the caller
 * @param in_fd   what the guest reads: borrowed, outlives the UART; -1 for nothing. What cannot be watched (a regular
 *                file, /dev/null) counts as empty.
 * @param out_fd  what the guest writes: borrowed, needed during this call only. Terminals and pipes are opened anew
 *                through /proc/self/fd, so that the caller's standard output does not become non-blocking; where that
 *                is impossible (a socket) the caller's descriptor does.
 * @param irq_fd  an eventfd that raises the interrupt line when written; borrowed
 * @param loop    where the descriptors are watched; borrowed, outlives the UART
 * @return 0 or -errno
 */
int serial_new(struct serial **serial, int in_fd, int out_fd, int irq_fd, struct event_loop *loop, struct error *err);

/** Writes what the reader takes now of what is buffered, and frees. The loop must not be running. NULL is fine. */
void serial_free(struct serial *serial);

/** How many bytes of output were dropped. */
uint64_t serial_dropped(struct serial *serial);

#endif
