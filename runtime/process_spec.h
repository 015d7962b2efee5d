/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What to start in a container: the image's configuration (OCI image-spec, config.md) and what the caller wants
 * otherwise, joined by docker's rules.
 */
#ifndef RUNTIME_PROCESS_SPEC_H
#define RUNTIME_PROCESS_SPEC_H

#include <stddef.h>

#include "runtime/strings.h"

struct error;
struct image_config;

/** What docker gives a process whose image sets no PATH. */
#define PROCESS_SPEC_PATH "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

/** What the caller wants instead of what the image says. NULL = as the image says. */
struct process_overrides {
    const char *entrypoint; /**< one word; "" = none at all. The image's Cmd does not apply then */
    char *const *arguments; /**< in place of the image's Cmd; argument_count of them, may be none */
    size_t argument_count;
    const char *const *env; /**< NAME=value; a NAME alone takes hull's own variable, or removes it if there is none */
    size_t env_count;
    const char *working_dir;
    const char *user;
};

/** A process to be. Zero-initialise; release with process_spec_done(). */
struct process_spec {
    struct strings argv; /**< at least one */
    struct strings env;
    char *working_dir; /**< absolute */
    char *user;        /**< as in the image's configuration; "" = root */
};

/**
 * Joins the two.
 * @param hostname  becomes the variable HOSTNAME
 * @return 0; -EINVAL when there is nothing to run or a value makes no sense; -ENOMEM. Then there is nothing to release
 */
int process_spec_make(struct process_spec *spec, const struct image_config *image,
                      const struct process_overrides *overrides, const char *hostname, struct error *err);

/** Releases what it holds. */
void process_spec_done(struct process_spec *spec);

#endif
