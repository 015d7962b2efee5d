/* SPDX-License-Identifier: Apache-2.0 */
/* When each stage of a machine's life was reached, on CLOCK_MONOTONIC, so that other processes' marks compare. */
#ifndef VMM_TIMELINE_H
#define VMM_TIMELINE_H

#include <stdint.h>

enum timeline_stage {
    TIMELINE_STARTED,    /**< main() was entered */
    TIMELINE_CONFIGURED, /**< options and configuration are read */
    TIMELINE_OPENED,     /**< files and sockets are open */
    TIMELINE_VM,         /**< KVM has made the virtual machine */
    TIMELINE_MEMORY,     /**< guest memory is there */
    TIMELINE_KERNEL,     /**< kernel and initramfs are in it */
    TIMELINE_DEVICES,    /**< devices are on their buses */
    TIMELINE_VCPUS,      /**< vCPUs are made and set up */
    TIMELINE_CONFINED,   /**< every thread wears its filter; vCPUs enter the guest */
    TIMELINE_REQUESTED,  /**< the guest (or a signal) asked for the end */
    TIMELINE_STOPPED,    /**< all threads have ended */
    TIMELINE_STAGES,
};

/** Nanoseconds for each stage; 0 = not reached. Zero-initialise. */
struct timeline {
    uint64_t nanoseconds[TIMELINE_STAGES];
};

/** Notes that a stage is reached now; the first time counts. Each stage is marked by one thread. NULL is fine. */
void timeline_mark(struct timeline *timeline, enum timeline_stage stage);

/** What a stage is called in reports. */
const char *timeline_stage_name(enum timeline_stage stage);

#endif
