/* SPDX-License-Identifier: Apache-2.0 */
#include "image/ext4/check.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/bytes.h"
#include "base/error.h"
#include "image/ext4/checksum.h"
#include "image/ext4/directory.h"
#include "image/ext4/layout.h"
#include "image/ext4/reader.h"

enum { XATTR_CHECKSUM_OFFSET = 16, XATTR_MAGIC = (int)0xea020000 };

/* What is known of an inode. */
struct known {
    uint32_t names;     /* that lead to it; of a directory, without `.` and `..` */
    uint32_t links;     /* that it says it has */
    uint32_t children;  /* directories in it */
    uint16_t mode;      /* 0: not met yet */
    uint8_t named_type; /* file type of its names */
};

struct check {
    const struct ext4_reader *reader;
    struct ext4_check_summary summary;
    uint8_t *used;       /* a bit for each block */
    struct known *known; /* by inode number */
    uint32_t *queue;     /* inodes with names that are still to be looked at */
    size_t queued, queue_capacity;
    uint32_t directory; /* being listed */
};

/* ---- blocks ------------------------------------------------------------------------------------------------------ */

static bool is_used(const struct check *check, uint64_t block)
{
    return check->used[block / 8] >> block % 8 & 1;
}

static int claim(struct check *check, uint64_t start, uint64_t count, struct error *err)
{
    for (uint64_t block = start; block < start + count; block++) {
        if (block >= check->reader->geometry.blocks)
            return error_set(err, EBADMSG, "block %llu is past the end", (unsigned long long)block);
        if (is_used(check, block))
            return error_set(err, EBADMSG, "block %llu is used twice", (unsigned long long)block);
        check->used[block / 8] |= (uint8_t)(1 << block % 8);
    }
    check->summary.used_blocks += count;
    return 0;
}

/* The superblock and the descriptors, also those of meta_bg in the first, second and last group of those they tell of.
 */
static int claim_head(struct check *check, struct error *err)
{
    const struct ext4_geometry *geometry = &check->reader->geometry;
    uint32_t descriptors = (geometry->group_count + EXT4_DESCRIPTORS_PER_BLOCK - 1) / EXT4_DESCRIPTORS_PER_BLOCK;
    uint32_t first = descriptors < geometry->first_meta_bg ? descriptors : geometry->first_meta_bg;
    int rc = claim(check, 0, 1 + (uint64_t)first, err);
    for (uint32_t i = first; i < descriptors && rc == 0; i++) {
        static const uint32_t copies[] = {0, 1, EXT4_DESCRIPTORS_PER_BLOCK - 1};
        for (size_t j = 0; j < sizeof copies / sizeof copies[0] && rc == 0; j++) {
            uint64_t group = (uint64_t)i * EXT4_DESCRIPTORS_PER_BLOCK + copies[j];
            if (group < geometry->group_count)
                rc = claim(check, group * EXT4_BLOCKS_PER_GROUP, 1, err);
        }
    }
    return rc;
}

static int claim_groups(struct check *check, struct error *err)
{
    const struct ext4_geometry *geometry = &check->reader->geometry;
    int rc = 0;
    for (uint32_t i = 0; i < geometry->group_count && rc == 0; i++) {
        struct ext4_group group;
        rc = ext4_reader_group(check->reader, i, &group, err);
        if (rc == 0)
            rc = claim(check, group.block_bitmap, 1, err);
        if (rc == 0)
            rc = claim(check, group.inode_bitmap, 1, err);
        if (rc == 0)
            rc = claim(check, group.inode_table, geometry->inodes_per_group / EXT4_INODES_PER_BLOCK, err);
        if (rc < 0)
            return error_context(err, rc, "group %u", i);
    }
    return rc;
}

/* ---- files ------------------------------------------------------------------------------------------------------- */

static int enqueue(struct check *check, uint32_t inode, struct error *err)
{
    if (check->queued == check->queue_capacity) {
        size_t capacity = check->queue_capacity ? 2 * check->queue_capacity : 256;
        uint32_t *queue = realloc(check->queue, capacity * sizeof queue[0]);
        if (!queue)
            return error_set(err, ENOMEM, "out of memory");
        check->queue = queue;
        check->queue_capacity = capacity;
    }
    check->queue[check->queued++] = inode;
    return 0;
}

static int note_name(void *context, const struct ext4_name *name, struct error *err)
{
    enum { TYPE_DIRECTORY = 2 };
    struct check *check = context;
    uint32_t inodes = check->reader->geometry.inodes;
    if (name->inode > inodes || (name->inode < EXT4_FIRST_INODE && name->inode != EXT4_ROOT_INODE))
        return error_set(err, EBADMSG, "'%.*s' is inode %u, which cannot be", (int)name->length, name->name,
                         name->inode);
    bool is_dot = name->length == 1 && name->name[0] == '.';
    if (is_dot && name->inode != check->directory)
        return error_set(err, EBADMSG, "'.' is another directory");
    if (is_dot || (name->length == 2 && memcmp(name->name, "..", 2) == 0))
        return 0;
    struct known *known = &check->known[name->inode];
    if (name->file_type == TYPE_DIRECTORY && (known->names > 0 || name->inode == EXT4_ROOT_INODE))
        return error_set(err, EBADMSG, "'%.*s' is the second name of a directory", (int)name->length, name->name);
    if (known->names++ > 0 && known->named_type != name->file_type)
        return error_set(err, EBADMSG, "'%.*s' is of another type than inode %u", (int)name->length, name->name,
                         name->inode);
    known->named_type = name->file_type;
    check->known[check->directory].children += name->file_type == TYPE_DIRECTORY;
    return known->names == 1 ? enqueue(check, name->inode, err) : 0;
}

static int claim_mapping(void *context, const struct ext4_mapping *mapping, struct error *err)
{
    return claim(context, mapping->physical, mapping->count, err);
}

static int check_xattr_block(struct check *check, uint64_t number, struct error *err)
{
    uint8_t block[EXT4_BLOCK_SIZE];
    int rc = ext4_reader_block(check->reader, number, block, err);
    if (rc < 0)
        return rc;
    uint32_t stored = load_le32(block + XATTR_CHECKSUM_OFFSET);
    store_le32(block + XATTR_CHECKSUM_OFFSET, 0);
    le64 place = le64_from(number);
    uint32_t checksum = ext4_checksum(check->reader->geometry.checksum_seed, &place, sizeof place);
    checksum = ext4_checksum(checksum, block, sizeof block);
    if (load_le32(block) != (uint32_t)XATTR_MAGIC || checksum != stored)
        return error_set(err, EBADMSG, "its block of extended attributes is damaged");
    return claim(check, number, 1, err);
}

static int check_contents(struct check *check, const struct ext4_file *file, struct error *err)
{
    char target[4096];
    int rc = ext4_reader_walk(check->reader, file, claim_mapping, check, err);
    if (rc == 0 && file->xattr_block)
        rc = check_xattr_block(check, file->xattr_block, err);
    if (rc == 0 && S_ISLNK(file->mode))
        rc = ext4_reader_target(check->reader, file, target, err);
    check->directory = file->number;
    if (rc == 0 && S_ISDIR(file->mode))
        rc = ext4_reader_list(check->reader, file, note_name, check, err);
    return rc;
}

static int check_file(struct check *check, uint32_t number, struct error *err)
{
    struct ext4_file file;
    struct known *known = &check->known[number];
    int rc = ext4_reader_inode(check->reader, number, &file, err);
    if (rc < 0)
        return rc;
    known->mode = file.mode;
    known->links = file.links;
    if (number != EXT4_ROOT_INODE && ext4_directory_file_type(file.mode) != known->named_type)
        return error_set(err, EBADMSG, "inode %u is of another type than its name says", number);
    if (number == EXT4_ROOT_INODE && !S_ISDIR(file.mode))
        return error_set(err, EBADMSG, "the root is no directory");
    if (S_ISDIR(file.mode))
        check->summary.directories++;
    else
        check->summary.files++;
    rc = check_contents(check, &file, err);
    return rc < 0 ? error_context(err, rc, "inode %u", number) : 0;
}

static int check_tree(struct check *check, struct error *err)
{
    int rc = enqueue(check, EXT4_ROOT_INODE, err);
    while (check->queued > 0 && rc == 0)
        rc = check_file(check, check->queue[--check->queued], err);
    return rc;
}

/* ---- what has no name -------------------------------------------------------------------------------------------- */

static int check_nameless(struct check *check, uint32_t number, struct error *err)
{
    struct ext4_file file;
    int rc = ext4_reader_inode(check->reader, number, &file, err);
    if (rc < 0 || file.mode == 0 || file.links == 0)
        return rc;
    if (!check->reader->geometry.value_inodes || !(file.flags & EXT4_FILE_VALUE))
        return error_set(err, EBADMSG, "inode %u has no name", number);
    check->known[number] = (struct known){.mode = file.mode, .names = 1, .links = 1};
    rc = check_contents(check, &file, err);
    return rc < 0 ? error_context(err, rc, "inode %u", number) : 0;
}

static int check_links(const struct known *known, uint32_t number, struct error *err)
{
    uint32_t expected = known->names;
    if (S_ISDIR(known->mode))
        expected = known->children + 2 > EXT4_LINKS_MAX || known->links == 1 ? 1 : known->children + 2;
    if (known->links == expected)
        return 0;
    return error_set(err, EBADMSG, "inode %u says that it has %u links, there are %u", number, known->links, expected);
}

static int check_inodes_of_group(struct check *check, uint32_t number, const struct ext4_group *group,
                                 struct error *err)
{
    uint32_t per_group = check->reader->geometry.inodes_per_group;
    uint32_t first = number * per_group + 1;
    uint32_t used = group->unused_inodes > per_group ? 0 : per_group - group->unused_inodes;
    if (group->flags & EXT4_GROUP_INODE_UNINIT)
        used = 0;
    for (uint32_t inode = first; inode < first + per_group; inode++) {
        int rc = 0;
        if (check->known[inode].mode)
            rc = check_links(&check->known[inode], inode, err);
        else if (inode >= EXT4_FIRST_INODE && inode < first + used)
            rc = check_nameless(check, inode, err);
        if (rc < 0)
            return rc;
    }
    return 0;
}

/* ---- bitmaps ----------------------------------------------------------------------------------------------------- */

static int check_block_bitmap(struct check *check, uint32_t number, const struct ext4_group *group, struct error *err)
{
    const struct ext4_geometry *geometry = &check->reader->geometry;
    uint64_t first = (uint64_t)number * EXT4_BLOCKS_PER_GROUP;
    uint64_t left = geometry->blocks - first;
    uint32_t blocks = left < EXT4_BLOCKS_PER_GROUP ? (uint32_t)left : EXT4_BLOCKS_PER_GROUP;
    bool is_there = !(group->flags & EXT4_GROUP_BLOCK_UNINIT);
    uint8_t bitmap[EXT4_BLOCK_SIZE];
    uint32_t used = 0;
    if (is_there) {
        int rc = ext4_reader_block(check->reader, group->block_bitmap, bitmap, err);
        if (rc < 0)
            return rc;
        if (ext4_checksum(geometry->checksum_seed, bitmap, sizeof bitmap) != group->block_bitmap_checksum)
            return error_set(err, EBADMSG, "the block bitmap is damaged");
    }
    for (uint32_t i = 0; i < blocks; i++) {
        bool is_marked = is_there ? bitmap[i / 8] >> i % 8 & 1 : is_used(check, first + i);
        if (is_marked != is_used(check, first + i))
            return error_set(err, EBADMSG, "block %llu is %s", (unsigned long long)(first + i),
                             is_marked ? "marked as used and nobody's" : "used and marked as free");
        used += is_marked;
    }
    if (blocks - used != group->free_blocks)
        return error_set(err, EBADMSG, "%u blocks are free, the descriptor says %u", blocks - used, group->free_blocks);
    return 0;
}

static int check_inode_bitmap(struct check *check, uint32_t number, const struct ext4_group *group, struct error *err)
{
    uint32_t per_group = check->reader->geometry.inodes_per_group, used = 0;
    bool is_there = !(group->flags & EXT4_GROUP_INODE_UNINIT);
    uint8_t bitmap[EXT4_BLOCK_SIZE] = {0};
    if (is_there) {
        int rc = ext4_reader_block(check->reader, group->inode_bitmap, bitmap, err);
        if (rc < 0)
            return rc;
        if (ext4_checksum(check->reader->geometry.checksum_seed, bitmap, per_group / 8) != group->inode_bitmap_checksum)
            return error_set(err, EBADMSG, "the inode bitmap is damaged");
        /* What the checksum leaves out has one bit for each inode that there could be and is not. */
        for (uint32_t i = per_group / 8; i < EXT4_INODES_PER_GROUP_MAX / 8; i++)
            if (bitmap[i] != 0xff)
                return error_set(err, EBADMSG, "the inode bitmap is damaged behind its end");
    }
    for (uint32_t i = 0; i < per_group; i++) {
        uint32_t inode = number * per_group + i + 1;
        bool is_marked = bitmap[i / 8] >> i % 8 & 1;
        if (is_marked != (inode < EXT4_FIRST_INODE || check->known[inode].mode))
            return error_set(err, EBADMSG, "inode %u is marked as %s, which it is not", inode,
                             is_marked ? "used" : "free");
        used += is_marked;
    }
    if (per_group - used != group->free_inodes)
        return error_set(err, EBADMSG, "%u inodes are free, the descriptor says %u", per_group - used,
                         group->free_inodes);
    return 0;
}

static int check_groups(struct check *check,
                        int (*check_group)(struct check *, uint32_t, const struct ext4_group *, struct error *),
                        struct error *err)
{
    for (uint32_t i = 0; i < check->reader->geometry.group_count; i++) {
        struct ext4_group group;
        int rc = ext4_reader_group(check->reader, i, &group, err);
        if (rc == 0)
            rc = check_group(check, i, &group, err);
        if (rc < 0)
            return error_context(err, rc, "group %u", i);
    }
    return 0;
}

/* ---- the whole --------------------------------------------------------------------------------------------------- */

static int run(struct check *check, struct error *err)
{
    int rc = claim_head(check, err);
    if (rc == 0)
        rc = claim_groups(check, err);
    if (rc == 0)
        rc = check_tree(check, err);
    if (rc == 0)
        rc = check_groups(check, check_inodes_of_group, err);
    if (rc == 0)
        rc = check_groups(check, check_block_bitmap, err);
    if (rc == 0)
        rc = check_groups(check, check_inode_bitmap, err);
    return rc;
}

int ext4_check(const struct ext4_reader *reader, struct ext4_check_summary *summary, struct error *err)
{
    const struct ext4_geometry *geometry = &reader->geometry;
    if (geometry->blocks > EXT4_CHECK_BLOCKS_MAX || geometry->inodes > EXT4_CHECK_INODES_MAX)
        return error_set(err, EFBIG, "the file system has %llu blocks and %u inodes; up to %d and %d can be checked",
                         (unsigned long long)geometry->blocks, geometry->inodes, EXT4_CHECK_BLOCKS_MAX,
                         EXT4_CHECK_INODES_MAX);
    struct check check = {
        .reader = reader,
        .used = calloc(geometry->blocks / 8 + 1, 1),
        .known = calloc((size_t)geometry->inodes + 1, sizeof(struct known)),
    };
    int rc = check.used && check.known ? run(&check, err) : error_set(err, ENOMEM, "out of memory");
    free(check.used);
    free(check.known);
    free(check.queue);
    if (rc == 0)
        *summary = check.summary;
    return rc;
}
