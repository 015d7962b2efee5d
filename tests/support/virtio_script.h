/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A string of bytes taken as a guest's doings: what fuzz targets feed to the devices. Each step is one byte that says
 * what to do and the bytes that it needs. Addresses lie in RAM mostly, and at its edges or nowhere sometimes, because a
 * random 64-bit number would never get past the first check.
 *
 *   'w' address n bytes      write n bytes of RAM
 *   'd' queue number address length flags next    write a descriptor of a queue
 *   't' address number address length flags next  write a descriptor of a table in RAM
 *   'o' queue head           make a chain available
 *   'i' queue index          set the available index
 *   'n' queue                notify
 *   'r' offset number        write a register
 *   'c' offset width bytes   write, then read, the configuration space
 *   's' features             start again: reset, features, queues, DRIVER_OK
 *   'x'                      reset
 *   'l'                      let the loop work
 */
#ifndef TESTS_SUPPORT_VIRTIO_SCRIPT_H
#define TESTS_SUPPORT_VIRTIO_SCRIPT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/reader.h"
#include "tests/support/virtio_driver.h"

enum { SCRIPT_RAM = 0x10000, SCRIPT_QUEUE_SIZE = 8 };

/** The next address (2 bytes), length (2 bytes) or queue (1 byte) of a script. */
uint64_t script_address(struct reader *script);
uint32_t script_length(struct reader *script);
uint16_t script_queue(const struct virtio_driver *driver, struct reader *script);

/** Does one step of the kind @p what. @return false when there is no such kind: it may be the target's own */
bool script_step(struct virtio_driver *driver, uint8_t what, struct reader *script);

#endif
