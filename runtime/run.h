/* SPDX-License-Identifier: Apache-2.0 */
/* Running one container in the foreground, from an open image to nothing left. */
#ifndef RUNTIME_RUN_H
#define RUNTIME_RUN_H

#include <stdbool.h>
#include <stdint.h>

#include "runtime/monitor.h"
#include "runtime/process_spec.h"

struct error;
struct image;
struct run_timeline;

/** What a machine gets when nobody says, and the least that it boots with. */
#define RUN_MEMORY_DEFAULT (UINT64_C(512) << 20)
#define RUN_MEMORY_MIN     (UINT64_C(64) << 20)
enum { RUN_CPUS_DEFAULT = 1, RUN_CPUS_MAX = 32 };

/** What to run. All borrowed. */
struct run_request {
    const struct image *image;
    struct process_overrides overrides;
    const char *name;   /**< NULL = none */
    const char *kernel; /**< path of a vmlinux; NULL = hull's own */
    int tmp_dir;        /**< where the writable disk is kept (store_tmp_dir()) */
    uint64_t memory;    /**< bytes */
    uint32_t cpus;
    bool interactive;              /**< connect standard input */
    bool console;                  /**< show the guest kernel's console on standard error */
    struct run_timeline *timeline; /**< may be NULL */
};

/**
 * Whether a machine may have this size: what a caller asks before it fetches an image for it.
 * @param memory  bytes, at least RUN_MEMORY_MIN
 * @param cpus    1 to RUN_CPUS_MAX
 * @return 0 or -EINVAL
 */
int run_check_size(uint64_t memory, uint32_t cpus, struct error *err);

/**
 * Runs it. Its writable disk is thrown away at the end: what it wrote is gone.
 * @return 0 with @p outcome filled, or -errno when hull itself failed; nothing is left in either case
 */
int run_container(const struct run_request *request, struct monitor_outcome *outcome, struct error *err);

#endif
