/* SPDX-License-Identifier: Apache-2.0 */
/* File systems made of what is not an image: a directory, or one tar file. The same input gives the same bytes. */
#ifndef IMAGE_MKFS_H
#define IMAGE_MKFS_H

#include <stdint.h>

struct error;

enum { MKFS_SIZE_MIN = 1 << 20 }; /**< bytes */

/**
 * Writes a directory's contents: types, owners, permissions, times of modification, extended attributes, hard links
 * and holes as they are; other file systems mounted below are included.
 *
 * @param path    must not end with a slash unless it is "/"
 * @param out_fd  an empty regular file, readable and writable; on failure its contents are undefined
 * @param size    bytes that the file system is to have, rounded down to whole blocks; 0 = as many as it needs
 * @return 0; -ENOSPC when @p size is too small; -EINVAL for one out of range; or -errno
 */
int mkfs_from_directory(const char *path, int out_fd, uint64_t size, struct error *err);

/**
 * Writes the contents of a tar file, bare or packed by gzip or zstd, as if it were a layer (image/layer.h).
 * @param tar_fd  a regular file, read from its start
 * @return as mkfs_from_directory(); -EBADMSG for a damaged or hostile archive
 */
int mkfs_from_tar(int tar_fd, int out_fd, uint64_t size, struct error *err);

#endif
