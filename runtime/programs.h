/* SPDX-License-Identifier: Apache-2.0 */
/* Finding the files that hull consists of, beside its own executable: nothing is configured and nothing is searched. */
#ifndef RUNTIME_PROGRAMS_H
#define RUNTIME_PROGRAMS_H

#include <limits.h>

struct error;

/** One file. */
enum program {
    PROGRAM_VMM,       /**< hull-vmm; HULL_VMM overrides */
    PROGRAM_KERNEL,    /**< the guest's vmlinux; HULL_KERNEL overrides */
    PROGRAM_INITRAMFS, /**< the guest's boot file system; HULL_INITRAMFS overrides */
    PROGRAM_COUNT,
};

/** What it is, for people: "the guest kernel". */
const char *program_description(enum program program);

/**
 * Finds a file: the environment's override, else beside the running executable, else ../libexec/hull from there.
 * @return 0 with @p path filled; -ENOENT with an error that says where it was looked for and how to get it; -EACCES
 * when it is there and may not be used
 */
int program_find(enum program program, char path[static PATH_MAX], struct error *err);

#endif
