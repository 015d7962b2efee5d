/* SPDX-License-Identifier: Apache-2.0 */
/* The hash by which indexed directories sort names: half MD4 over unsigned characters (dirhash 0x4). */
#ifndef IMAGE_EXT4_DIRECTORY_HASH_H
#define IMAGE_EXT4_DIRECTORY_HASH_H

#include <stddef.h>
#include <stdint.h>

struct ext4_directory_hash {
    uint32_t major; /**< even; never the value that means the end of a directory */
    uint32_t minor;
};

/** @param seed  the file system's; all zeros = the algorithm's own start */
struct ext4_directory_hash ext4_directory_hash(const uint32_t seed[static 4], const char *name, size_t length);

#endif
