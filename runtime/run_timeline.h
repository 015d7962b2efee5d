/* SPDX-License-Identifier: Apache-2.0 */
/* Where the time of one run went: stamps on CLOCK_MONOTONIC, taken whether anybody looks or not (one costs 30 ns). */
#ifndef RUNTIME_RUN_TIMELINE_H
#define RUNTIME_RUN_TIMELINE_H

#include <stdint.h>
#include <stdio.h>

/** What is stamped, in the order in which it happens. */
enum run_timeline_point {
    RUN_TIMELINE_START,        /**< main() of hull */
    RUN_TIMELINE_IMAGE_OPENED, /**< the image is there and open */
    RUN_TIMELINE_DISK_MADE,    /**< directory, socket and writable disk are there */
    RUN_TIMELINE_VMM_SPAWNED,  /**< hull-vmm has been started */
    RUN_TIMELINE_GUEST_HELLO,  /**< vminitd has connected and said HELLO */
    RUN_TIMELINE_STARTED,      /**< the container's program runs */
    RUN_TIMELINE_EXITED,       /**< it ended, and its output is written */
    RUN_TIMELINE_VMM_GONE,     /**< hull-vmm has ended and been reaped */
    RUN_TIMELINE_POINTS,
};

/** Zero-initialise. */
struct run_timeline {
    uint64_t stamps[RUN_TIMELINE_POINTS]; /**< nanoseconds of CLOCK_MONOTONIC; 0 = did not happen */
    uint64_t guest_hello_ns;              /**< what the guest says of its own clock; for display only */
    uint64_t guest_started_ns;
};

/** Stamps a point, the first time it is reached. NULL is fine. */
void run_timeline_mark(struct run_timeline *timeline, enum run_timeline_point point);

/** Prints a table: each point, when it was reached, and how long it took since the one before. */
void run_timeline_print(const struct run_timeline *timeline, FILE *out);

#endif
