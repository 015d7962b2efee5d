/* SPDX-License-Identifier: Apache-2.0 */
/* A directory of a test's own. */
#ifndef TESTS_SUPPORT_TEMP_DIR_H
#define TESTS_SUPPORT_TEMP_DIR_H

#include <stddef.h>

enum { TEMP_DIR_PATH_MAX = 256 };

/** Makes a directory under $TMPDIR or /tmp and gives its path. @return 0 or -errno */
int temp_dir_new(char path[static TEMP_DIR_PATH_MAX]);

/** Removes a directory and all in it. */
void temp_dir_remove(const char *path);

/** The number of files (not directories) under a directory, at any depth; -1 when it can't be read. */
int temp_dir_count_files(const char *path);

#endif
