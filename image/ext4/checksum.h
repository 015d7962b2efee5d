/* SPDX-License-Identifier: Apache-2.0 */
/* CRC-32C as EXT4's metadata checksums use it (Documentation/filesystems/ext4/checksums.rst): neither end inverted. */
#ifndef IMAGE_EXT4_CHECKSUM_H
#define IMAGE_EXT4_CHECKSUM_H

#include <stddef.h>
#include <stdint.h>

/** Continues @p checksum, ~0 at the start, over @p length bytes; with the CPU's instruction where there is one. */
uint32_t ext4_checksum(uint32_t checksum, const void *bytes, size_t length);

/** The same without special instructions; for other CPUs and for comparing. */
uint32_t ext4_checksum_portable(uint32_t checksum, const void *bytes, size_t length);

/** Continues over a number as it lies on the disk. */
uint32_t ext4_checksum_le32(uint32_t checksum, uint32_t number);

/** Where the checksums of all that belongs to one inode start: its number and its generation, which is always 0. */
uint32_t ext4_checksum_of_inode(uint32_t filesystem_seed, uint32_t inode_number);

#endif
