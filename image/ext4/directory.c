/* SPDX-License-Identifier: Apache-2.0 */
#include "image/ext4/directory.h"

#include <string.h>
#include <sys/stat.h>

#include "base/bytes.h"
#include "image/ext4/checksum.h"
#include "image/ext4/filesystem.h"
#include "image/ext4/htree.h"
#include "image/tree.h"

/* struct ext4_dir_entry_2 without the name */
struct entry {
    le32 inode;
    le16 record_length;
    uint8_t name_length;
    uint8_t file_type;
};

/* struct ext4_dir_entry_tail: looks like an unused entry */
struct tail {
    struct entry entry;
    le32 checksum;
};

enum {
    ENTRIES_SIZE = EXT4_BLOCK_SIZE - sizeof(struct tail),
    TAIL_FILE_TYPE = 0xde,
    TYPE_DIRECTORY = 2,
};

uint8_t ext4_directory_file_type(uint16_t mode)
{
    static const uint8_t types[16] = {
        [S_IFREG >> 12] = 1, [S_IFDIR >> 12] = TYPE_DIRECTORY,
        [S_IFCHR >> 12] = 3, [S_IFBLK >> 12] = 4,
        [S_IFIFO >> 12] = 5, [S_IFSOCK >> 12] = 6,
        [S_IFLNK >> 12] = 7,
    };
    return types[mode >> 12];
}

void ext4_directory_block_clear(struct ext4_directory_block *block)
{
    memset(block, 0, sizeof *block);
}

static size_t record_length(size_t name_length)
{
    return (sizeof(struct entry) + name_length + 3) & ~(size_t)3;
}

bool ext4_directory_block_add(struct ext4_directory_block *block, uint32_t inode, uint8_t file_type, const char *name,
                              size_t length)
{
    size_t record = record_length(length);
    if (block->used + record > ENTRIES_SIZE)
        return false;
    struct entry entry = {
        .inode = le32_from(inode),
        .record_length = le16_from((uint16_t)record),
        .name_length = (uint8_t)length,
        .file_type = file_type,
    };
    memcpy(block->bytes + block->used, &entry, sizeof entry);
    memcpy(block->bytes + block->used + sizeof entry, name, length);
    block->last = block->used;
    block->used += record;
    return true;
}

void ext4_directory_block_finish(struct ext4_directory_block *block, uint32_t checksum_seed)
{
    store_le16(block->bytes + block->last + offsetof(struct entry, record_length),
               (uint16_t)(ENTRIES_SIZE - block->last));
    struct tail tail = {
        .entry = {.record_length = le16_from(sizeof tail), .file_type = TAIL_FILE_TYPE},
        .checksum = le32_from(ext4_checksum(checksum_seed, block->bytes, ENTRIES_SIZE)),
    };
    memcpy(block->bytes + ENTRIES_SIZE, &tail, sizeof tail);
}

uint32_t ext4_directory_parent(const struct tree_inode *directory)
{
    const struct tree_entry *self = directory->directory.self;
    return self ? self->parent->number : directory->number;
}

bool ext4_directory_is_indexed(const struct tree_inode *directory)
{
    return directory->size > EXT4_BLOCK_SIZE;
}

/* Fills one block with all entries. @return false if they do not fit */
static bool fill_single_block(struct ext4_directory_block *block, const struct tree_inode *directory)
{
    ext4_directory_block_clear(block);
    bool fits = ext4_directory_block_add(block, directory->number, TYPE_DIRECTORY, ".", 1) &&
                ext4_directory_block_add(block, ext4_directory_parent(directory), TYPE_DIRECTORY, "..", 2);
    for (const struct tree_entry *entry = directory->directory.first; entry && fits; entry = entry->next)
        fits = ext4_directory_block_add(block, entry->inode->number, ext4_directory_file_type(entry->inode->mode),
                                        entry->name, entry->name_length);
    return fits;
}

int ext4_directory_write(struct ext4_filesystem *fs, struct tree_inode *directory, struct error *err)
{
    struct ext4_directory_block block;
    if (!fill_single_block(&block, directory))
        return ext4_htree_write(fs, directory, err);
    ext4_directory_block_finish(&block, ext4_checksum_of_inode(fs->identity.checksum_seed, directory->number));
    directory->size = EXT4_BLOCK_SIZE;
    return ext4_filesystem_put_block(fs, directory, 0, block.bytes, err);
}
