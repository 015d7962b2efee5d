/* SPDX-License-Identifier: Apache-2.0 */
#include "image/ext4/filesystem.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/error.h"
#include "image/ext4/checksum.h"
#include "image/ext4/group_table.h"
#include "image/ext4/inode.h"
#include "image/tree.h"

enum {
    FIRST_FREE_BLOCK = 2, /* behind the superblock and the descriptors of the first 64 groups */
    UUID_VERSION = 8,     /* RFC 9562: made in a way of our own */
};

/* ---- life -------------------------------------------------------------------------------------------------------- */

struct ext4_identity ext4_identity_from(const uint8_t seed[static 32])
{
    struct ext4_identity identity;
    memcpy(identity.uuid, seed, sizeof identity.uuid);
    identity.uuid[6] = (uint8_t)((identity.uuid[6] & 0x0f) | UUID_VERSION << 4);
    identity.uuid[8] = (uint8_t)((identity.uuid[8] & 0x3f) | 0x80);
    for (size_t i = 0; i < 4; i++)
        identity.hash_seed[i] = load_le32(seed + sizeof identity.uuid + 4 * i);
    identity.checksum_seed = ext4_checksum(UINT32_MAX, identity.uuid, sizeof identity.uuid);
    return identity;
}

int ext4_filesystem_init(struct ext4_filesystem *fs, struct ext4_io io, const struct ext4_identity *identity,
                         struct error *err)
{
    *fs = (struct ext4_filesystem){.identity = *identity};
    ext4_allocator_init(&fs->allocator, FIRST_FREE_BLOCK, EXT4_BLOCKS_MAX);
    return ext4_writer_init(&fs->writer, io, err);
}

void ext4_filesystem_done(struct ext4_filesystem *fs)
{
    if (!fs)
        return;
    ext4_writer_done(&fs->writer);
    ext4_allocator_done(&fs->allocator);
    ext4_layout_done(&fs->layout);
    for (uint32_t i = fs->tree_inode_count; i < fs->inode_count; i++)
        tree_inode_put(NULL, fs->inodes[i]);
    free(fs->inodes);
    *fs = (struct ext4_filesystem){0};
}

/* ---- blocks ------------------------------------------------------------------------------------------------------ */

void ext4_filesystem_release(struct ext4_filesystem *fs, const struct tree_inode *inode)
{
    const struct extent *runs = extents_runs(&inode->extents);
    for (uint32_t i = 0; i < inode->extents.count; i++) {
        int rc = ext4_allocator_give(&fs->allocator, (struct ext4_run){runs[i].physical, runs[i].count});
        if (rc < 0)
            fs->release_failed = rc;
    }
}

int ext4_filesystem_settle(struct ext4_filesystem *fs, struct error *err)
{
    if (fs->release_failed < 0 || ext4_allocator_settle(&fs->allocator) < 0)
        return error_set(err, ENOMEM, "out of memory");
    return 0;
}

int ext4_filesystem_put_block(struct ext4_filesystem *fs, struct tree_inode *inode, uint32_t logical,
                              const uint8_t bytes[static EXT4_BLOCK_SIZE], struct error *err)
{
    struct extent run = {.logical = logical, .count = 1};
    int rc = ext4_allocator_take_whole(&fs->allocator, 1, &run.physical, err);
    if (rc < 0)
        return rc;
    if (extents_append(&inode->extents, run) < 0)
        return error_set(err, ENOMEM, "out of memory");
    return ext4_writer_put(&fs->writer, run.physical, bytes, EXT4_BLOCK_SIZE, err);
}

/* ---- inodes ------------------------------------------------------------------------------------------------------ */

int ext4_filesystem_add_inode(struct ext4_filesystem *fs, struct tree_inode *inode, struct error *err)
{
    if (fs->inode_count == fs->inode_capacity) {
        uint32_t capacity = fs->inode_capacity ? 2 * fs->inode_capacity : 256;
        struct tree_inode **inodes = realloc(fs->inodes, capacity * sizeof(struct tree_inode *));
        if (!inodes)
            return error_set(err, ENOMEM, "out of memory");
        fs->inodes = inodes;
        fs->inode_capacity = capacity;
    }
    inode->number = EXT4_FIRST_INODE + fs->inode_count;
    fs->inodes[fs->inode_count++] = inode;
    return 0;
}

static int number_inodes(struct ext4_filesystem *fs, struct tree *tree, struct error *err)
{
    tree_root(tree)->number = EXT4_ROOT_INODE;
    for (struct tree_entry *entry = tree_walk(tree, NULL); entry; entry = tree_walk(tree, entry)) {
        if (entry->inode->number)
            continue;
        int rc = ext4_filesystem_add_inode(fs, entry->inode, err);
        fs->tree_inode_count = fs->inode_count;
        if (rc < 0)
            return rc;
    }
    return 0;
}

/* The first name that leads to an inode, for errors. */
static const char *name_of(const struct tree *tree, const struct tree_inode *inode)
{
    for (struct tree_entry *entry = tree_walk(tree, NULL); entry; entry = tree_walk(tree, entry))
        if (entry->inode == inode)
            return entry->name;
    return "/";
}

static int place_inodes(struct ext4_filesystem *fs, struct tree *tree, struct error *err)
{
    int rc = ext4_inode_place(fs, tree_root(tree), err);
    if (rc < 0)
        return error_context(err, rc, "'/'");
    for (uint32_t i = 0; i < fs->tree_inode_count; i++) {
        rc = ext4_inode_place(fs, fs->inodes[i], err);
        if (rc < 0)
            return error_context(err, rc, "'%s'", name_of(tree, fs->inodes[i]));
    }
    return 0;
}

static int number_and_place(struct ext4_filesystem *fs, struct tree *tree, struct error *err)
{
    int rc = number_inodes(fs, tree, err);
    return rc < 0 ? rc : place_inodes(fs, tree, err);
}

/* ---- finishing --------------------------------------------------------------------------------------------------- */

static int discard_gaps(struct ext4_filesystem *fs, struct error *err)
{
    for (size_t i = 0; i < fs->allocator.free.count; i++) {
        struct ext4_run gap = fs->allocator.free.runs[i];
        int rc = ext4_writer_discard(&fs->writer, gap.start, gap.count, err);
        if (rc < 0)
            return rc;
    }
    return 0;
}

/* What follows the last block in use may once have been written; then it is zeros again. */
static int cut_off_rest(struct ext4_filesystem *fs, struct error *err)
{
    int rc = ext4_writer_flush(&fs->writer, err);
    return rc < 0 ? rc : ext4_writer_resize(&fs->writer, fs->allocator.next, err);
}

int ext4_filesystem_finish(struct ext4_filesystem *fs, struct tree *tree, struct error *err)
{
    return ext4_filesystem_finish_sized(fs, tree, 0, err);
}

int ext4_filesystem_finish_sized(struct ext4_filesystem *fs, struct tree *tree, uint64_t blocks, struct error *err)
{
    int rc = ext4_filesystem_settle(fs, err);
    if (rc == 0)
        rc = number_and_place(fs, tree, err);
    if (rc == 0 && blocks)
        rc = cut_off_rest(fs, err);
    if (rc == 0)
        rc = ext4_layout_packed(&fs->layout, &fs->allocator, EXT4_FIRST_INODE - 1 + fs->inode_count, blocks, err);
    if (rc == 0)
        rc = ext4_filesystem_settle(fs, err);
    fs->layout.value_inodes = fs->inode_count > fs->tree_inode_count;
    if (rc == 0)
        rc = discard_gaps(fs, err);
    if (rc == 0)
        rc = ext4_writer_resize(&fs->writer, fs->layout.blocks, err);
    if (rc == 0)
        rc = ext4_groups_write(fs, tree, err);
    return rc;
}

int ext4_filesystem_finish_empty(struct ext4_filesystem *fs, struct tree *tree, uint64_t blocks, struct error *err)
{
    int rc = ext4_layout_spread(&fs->layout, &fs->allocator, blocks, err);
    if (rc == 0)
        rc = ext4_writer_resize(&fs->writer, blocks, err);
    if (rc == 0)
        rc = number_and_place(fs, tree, err);
    if (rc == 0)
        rc = ext4_groups_write(fs, tree, err);
    return rc;
}
