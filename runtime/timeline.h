/* SPDX-License-Identifier: Apache-2.0 */
/* Where the time of one run went: stamps on CLOCK_MONOTONIC, taken whether anybody looks or not (one costs 30 ns). */
#ifndef RUNTIME_TIMELINE_H
#define RUNTIME_TIMELINE_H

#include <stdint.h>
#include <stdio.h>

/** What is stamped, in the order in which it happens. */
enum timeline_point {
    TIMELINE_START,        /**< main() of hull */
    TIMELINE_IMAGE_OPENED, /**< the image is there and open */
    TIMELINE_DISK_MADE,    /**< directory, socket and writable disk are there */
    TIMELINE_VMM_SPAWNED,  /**< hull-vmm has been started */
    TIMELINE_GUEST_HELLO,  /**< vminitd has connected and said HELLO */
    TIMELINE_STARTED,      /**< the container's program runs */
    TIMELINE_EXITED,       /**< it ended, and its output is written */
    TIMELINE_VMM_GONE,     /**< hull-vmm has ended and been reaped */
    TIMELINE_POINTS,
};

/** Zero-initialise. */
struct timeline {
    uint64_t stamps[TIMELINE_POINTS]; /**< nanoseconds of CLOCK_MONOTONIC; 0 = did not happen */
    uint64_t guest_hello_ns;          /**< what the guest says of its own clock; for display only */
    uint64_t guest_started_ns;
};

/** Stamps a point, the first time it is reached. NULL is fine. */
void timeline_mark(struct timeline *timeline, enum timeline_point point);

/** Prints a table: each point, when it was reached, and how long it took since the one before. */
void timeline_print(const struct timeline *timeline, FILE *out);

#endif
