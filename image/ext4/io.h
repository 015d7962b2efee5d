/* SPDX-License-Identifier: Apache-2.0 */
/* Where a file system is written to: a file, or what a test puts in its place. */
#ifndef IMAGE_EXT4_IO_H
#define IMAGE_EXT4_IO_H

#include <stddef.h>
#include <stdint.h>

struct error;

/** Each operation returns 0 or -errno. Bytes that were never written read as zeros. */
struct ext4_io {
    int (*write)(void *context, const void *bytes, size_t length, uint64_t offset);
    /** Makes bytes read as zeros again, giving back their room if possible. */
    int (*discard)(void *context, uint64_t offset, uint64_t length);
    int (*resize)(void *context, uint64_t size);
    void *context;
};

/** Over an empty regular file; the pointed-to descriptor is borrowed and must outlive the result. */
struct ext4_io ext4_io_file(const int *fd);

#endif
