/* SPDX-License-Identifier: Apache-2.0 */
/* Small steps on file systems that several parts of vminitd take. */
#ifndef INITD_FILES_H
#define INITD_FILES_H

#include <sys/types.h>

struct error;

/** Makes a directory and those above it that are missing, with @p mode. @return 0 or -errno */
int files_make_directories(const char *path, mode_t mode, struct error *err);

/** Makes the directories above @p path. @return 0 or -errno */
int files_make_parents(const char *path, mode_t mode, struct error *err);

#endif
