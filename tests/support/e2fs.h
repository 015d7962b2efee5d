/* SPDX-License-Identifier: Apache-2.0 */
/* The judges of file systems: e2fsprogs' programs run over a descriptor, and an output that fails on command. */
#ifndef TESTS_SUPPORT_E2FS_H
#define TESTS_SUPPORT_E2FS_H

#include <stdbool.h>
#include <stddef.h>

#include "image/ext4/io.h"

enum { E2FS_OUTPUT_MAX = 64 << 10 };

/** An empty file without a name. Aborts on failure. */
int e2fs_new_file(void);

/** Whether `e2fsck -fn` exits with 0 and says nothing but its passes and the summary; prints what it says otherwise. */
bool e2fs_is_clean(int fd);

/**
 * Runs one request of debugfs(8), such as `stat /x`.
 * @return its output, terminated; free() it
 */
char *e2fs_debug(int fd, const char *request);

/** Whether debugfs's answer to @p request contains @p expected; prints the answer otherwise. */
bool e2fs_says(int fd, const char *request, const char *expected);

/** Whether the contents of a file are these @p length bytes. */
bool e2fs_holds(int fd, const char *path, const void *bytes, size_t length);

/** Writes through to a file until operation number @p fail_at (from 0 on) fails with @p code; so do all after it. */
struct e2fs_faulty {
    int fd;
    unsigned operations; /**< done so far */
    unsigned fail_at;
    int code; /**< positive errno value */
};

struct ext4_io e2fs_faulty_io(struct e2fs_faulty *faulty);

#endif
