/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How large the file system is and where each group's bitmaps and inode table lie. With flex_bg they may lie anywhere
 * (Documentation/filesystems/ext4/blockgroup.rst), which serves two layouts:
 *
 * packed   for a file system whose contents are written already: all of it behind the contents
 *
 *     | superblock | descriptors of 64 groups | contents ... | directories | bitmaps | inode tables |
 *
 * spread   for an empty one of a given size: each group's in the group itself, so that untouched groups need no bitmap
 *          on the disk (BLOCK_UNINIT says that it can be computed)
 *
 *     | superblock | all descriptors | bitmaps, table of group 0 | free ... | bitmaps, table of group 1 | free ... |
 *
 * There are no backups of the superblock and of the descriptors (sparse_super2 with none): images are made again from
 * their layers, writable disks live as long as their container.
 */
#ifndef IMAGE_EXT4_LAYOUT_H
#define IMAGE_EXT4_LAYOUT_H

#include <stdbool.h>
#include <stdint.h>

struct error;
struct ext4_allocator;

/** One block group: where its things lie, and what ends up in its descriptor. */
struct ext4_group {
    uint64_t block_bitmap, inode_bitmap, inode_table; /**< block numbers */
    uint32_t free_blocks, free_inodes, used_directories;
    uint32_t unused_inodes; /**< at the end of the inode table */
    uint32_t block_bitmap_checksum, inode_bitmap_checksum;
    uint16_t flags; /**< EXT4_GROUP_... */
};

enum { EXT4_GROUP_INODE_UNINIT = 1, EXT4_GROUP_BLOCK_UNINIT = 2, EXT4_GROUP_INODE_ZEROED = 4 };

/** Release with ext4_layout_done(). */
struct ext4_layout {
    uint64_t blocks;
    uint32_t group_count;
    uint32_t inodes_per_group;  /**< a multiple of EXT4_INODES_PER_BLOCK */
    uint32_t descriptor_blocks; /**< in one run behind the superblock */
    bool meta_bg;               /**< the other descriptors are spread by meta_bg */
    bool spread;
    uint64_t unwritten_from; /**< blocks from here on were never written and read as zeros */
    bool value_inodes;       /**< some extended attributes have inodes of their own (ea_inode) */
    struct ext4_group *groups;
};

/** Blocks that each group's inode table takes. */
static inline uint32_t ext4_layout_table_blocks(const struct ext4_layout *layout)
{
    return layout->inodes_per_group / 16;
}

/** Blocks in group @p group: all but the last one are full. */
uint32_t ext4_layout_group_blocks(const struct ext4_layout *layout, uint32_t group);

/**
 * Packs around what @p allocator has given out.
 * @param inodes  inodes in use, the reserved ones included
 * @param blocks  how many the file system is to have, with one inode for each 16 KiB; 0 = as many as it needs
 * @return 0; -ENOMEM; -ENOSPC when it needs more
 */
int ext4_layout_packed(struct ext4_layout *layout, struct ext4_allocator *allocator, uint32_t inodes, uint64_t blocks,
                       struct error *err);

/**
 * Spreads over @p blocks, and initialises @p allocator behind group 0's metadata.
 * @return 0; -ENOMEM; -EINVAL for a size that cannot be
 */
int ext4_layout_spread(struct ext4_layout *layout, struct ext4_allocator *allocator, uint64_t blocks,
                       struct error *err);

void ext4_layout_done(struct ext4_layout *layout);

#endif
