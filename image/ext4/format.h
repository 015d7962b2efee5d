/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The numbers of the EXT4 format that several of its parts need, as far as this writer chooses them
 * (Linux Documentation/filesystems/ext4). Each on-disk structure is declared in the file that fills it.
 */
#ifndef IMAGE_EXT4_FORMAT_H
#define IMAGE_EXT4_FORMAT_H

#include <stdint.h>

enum {
    EXT4_BLOCK_BITS = 12,
    EXT4_BLOCK_SIZE = 1 << EXT4_BLOCK_BITS,
    EXT4_BLOCKS_PER_GROUP = 8 * EXT4_BLOCK_SIZE, /**< what one bitmap block can tell */
    EXT4_INODE_SIZE = 256,
    EXT4_INODES_PER_BLOCK = EXT4_BLOCK_SIZE / EXT4_INODE_SIZE,
    EXT4_INODES_PER_GROUP_MAX = 8 * EXT4_BLOCK_SIZE,
    EXT4_DESCRIPTOR_SIZE = 64,
    EXT4_DESCRIPTORS_PER_BLOCK = EXT4_BLOCK_SIZE / EXT4_DESCRIPTOR_SIZE,
    EXT4_ROOT_INODE = 2,
    EXT4_FIRST_INODE = 11, /**< the first that is not reserved */
    EXT4_LINKS_MAX = 65000,
    EXT4_UUID_SIZE = 16,
};

/** Blocks that a file system may have: 16 TiB, so that a block number still fits 32 bits. */
#define EXT4_BLOCKS_MAX (1ULL << 32)

/** Bytes that a file may have: its logical block numbers are 32 bits wide and the last one is reserved. */
#define EXT4_FILE_SIZE_MAX ((uint64_t)UINT32_MAX << EXT4_BLOCK_BITS)

/** What distinguishes one file system from another, and seeds its checksums and hashes. */
struct ext4_identity {
    uint8_t uuid[EXT4_UUID_SIZE];
    uint32_t hash_seed[4];  /**< of directory hashes */
    uint32_t checksum_seed; /**< crc32c of the UUID */
};

#endif
