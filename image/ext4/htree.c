/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names are sorted by hash and fill leaves one after the other; the index over the leaves is one level in the root
 * block, or two with nodes in between. In the directory's file: the root, all leaves, the nodes.
 */
#include "image/ext4/htree.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/checked.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "image/ext4/checksum.h"
#include "image/ext4/directory.h"
#include "image/ext4/directory_hash.h"
#include "image/ext4/filesystem.h"
#include "image/tree.h"

struct index_entry {
    le32 hash;
    le32 block;
};

/* Takes the place of the first entry's hash, which needs none: nothing sorts before it. */
struct count_limit {
    le16 limit;
    le16 count;
};

struct tail {
    le32 reserved;
    le32 checksum;
};

/* struct dx_root up to its entries; hidden in the record of `..` from older readers */
struct root {
    le32 dot_inode;
    le16 dot_record_length;
    uint8_t dot_name_length, dot_file_type;
    char dot_name[4];
    le32 dotdot_inode;
    le16 dotdot_record_length;
    uint8_t dotdot_name_length, dotdot_file_type;
    char dotdot_name[4];
    le32 reserved;
    uint8_t hash_version, info_length, indirect_levels, unused_flags;
};

/* struct dx_node up to its entries; hidden as an unused entry */
struct node {
    le32 inode;
    le16 record_length;
    uint8_t name_length, file_type;
};

enum {
    ROOT_LIMIT = (EXT4_BLOCK_SIZE - sizeof(struct root) - sizeof(struct tail)) / sizeof(struct index_entry),
    NODE_LIMIT = (EXT4_BLOCK_SIZE - sizeof(struct node) - sizeof(struct tail)) / sizeof(struct index_entry),
    HASH_HALF_MD4 = 1,
    INFO_LENGTH = 8,
    TYPE_DIRECTORY = 2,
    LEAVES_MAX = ROOT_LIMIT * NODE_LIMIT,
};
_Static_assert(sizeof(struct root) == 32 && sizeof(struct node) == 8, "htree headers");
_Static_assert(sizeof(struct index_entry) == 8 && sizeof(struct count_limit) == 4, "htree entries");

/* A name to be sorted. */
struct name {
    struct ext4_directory_hash hash;
    const struct tree_entry *entry;
};

/* A block of the level below: the lowest hash in it, and where it lies in the directory's file. */
struct child {
    uint32_t hash;
    uint32_t block;
};

struct build {
    struct ext4_filesystem *fs;
    struct tree_inode *directory;
    uint32_t checksum_seed;
    struct name *names;
    size_t name_count;
    struct child *children;
    uint32_t child_count, child_capacity;
    uint32_t next_block; /* of the directory's file */
};

static int compare_names(const void *left, const void *right)
{
    const struct name *a = left, *b = right;
    if (a->hash.major != b->hash.major)
        return a->hash.major < b->hash.major ? -1 : 1;
    if (a->hash.minor != b->hash.minor)
        return a->hash.minor < b->hash.minor ? -1 : 1;
    /* Any order will do, as long as it is always the same. */
    return strcmp(a->entry->name, b->entry->name);
}

static int sort_names(struct build *build, struct error *err)
{
    build->names = calloc(build->directory->directory.children, sizeof build->names[0]);
    if (!build->names)
        return error_set(err, ENOMEM, "out of memory");
    for (const struct tree_entry *entry = build->directory->directory.first; entry; entry = entry->next) {
        struct name *name = &build->names[build->name_count++];
        name->entry = entry;
        name->hash = ext4_directory_hash(build->fs->identity.hash_seed, entry->name, entry->name_length);
    }
    qsort(build->names, build->name_count, sizeof build->names[0], compare_names);
    return 0;
}

static int add_child(struct build *build, uint32_t hash, struct error *err)
{
    if (build->child_count == LEAVES_MAX)
        return error_set(err, E2BIG, "a directory has more names than two levels of index can hold");
    if (build->child_count == build->child_capacity) {
        uint32_t capacity = build->child_capacity ? 2 * build->child_capacity : 64;
        struct child *children = realloc(build->children, capacity * sizeof *children);
        if (!children)
            return error_set(err, ENOMEM, "out of memory");
        build->children = children;
        build->child_capacity = capacity;
    }
    build->children[build->child_count++] = (struct child){.hash = hash, .block = build->next_block};
    return 0;
}

static int put_next_block(struct build *build, const uint8_t *bytes, struct error *err)
{
    return ext4_filesystem_put_block(build->fs, build->directory, build->next_block++, bytes, err);
}

/* Fills one leaf with names from @p first on. @return 0 and the first name that did not fit in *end */
static int write_leaf(struct build *build, size_t first, size_t *end, struct error *err)
{
    struct ext4_directory_block block;
    ext4_directory_block_clear(&block);
    size_t at = first;
    for (; at < build->name_count; at++) {
        const struct tree_entry *entry = build->names[at].entry;
        if (!ext4_directory_block_add(&block, entry->inode->number, ext4_directory_file_type(entry->inode->mode),
                                      entry->name, entry->name_length))
            break;
    }
    ext4_directory_block_finish(&block, build->checksum_seed);

    /* The lowest bit says that names of this hash are in the leaf before as well. */
    uint32_t hash = build->names[first].hash.major;
    uint32_t continued = first > 0 && build->names[first - 1].hash.major == hash;
    *end = at;
    int rc = add_child(build, hash | continued, err);
    return rc < 0 ? rc : put_next_block(build, block.bytes, err);
}

static int write_leaves(struct build *build, struct error *err)
{
    for (size_t at = 0; at < build->name_count;) {
        int rc = write_leaf(build, at, &at, err);
        if (rc < 0)
            return rc;
    }
    return 0;
}

/* Puts entries behind a header of @p header bytes, and the checksum behind as many as there could be. */
static void fill_index(uint8_t *block, size_t header, unsigned limit, const struct child *children, uint32_t count,
                       uint32_t checksum_seed)
{
    for (uint32_t i = 0; i < count; i++) {
        struct index_entry entry = {.hash = le32_from(children[i].hash), .block = le32_from(children[i].block)};
        memcpy(block + header + i * sizeof entry, &entry, sizeof entry);
    }
    struct count_limit count_limit = {.limit = le16_from((uint16_t)limit), .count = le16_from((uint16_t)count)};
    memcpy(block + header, &count_limit, sizeof count_limit);

    struct tail tail = {0};
    uint32_t checksum = ext4_checksum(checksum_seed, block, header + count * sizeof(struct index_entry));
    checksum = ext4_checksum(checksum, &tail, sizeof tail);
    tail.checksum = le32_from(checksum);
    memcpy(block + header + limit * sizeof(struct index_entry), &tail, sizeof tail);
}

/* Writes nodes over the leaves and makes them the root's children. */
static int write_nodes(struct build *build, struct error *err)
{
    uint32_t nodes = 0;
    for (uint32_t first = 0; first < build->child_count; first += NODE_LIMIT) {
        uint32_t left = build->child_count - first;
        uint8_t block[EXT4_BLOCK_SIZE] = {0};
        struct node node = {.record_length = le16_from(EXT4_BLOCK_SIZE)};
        memcpy(block, &node, sizeof node);
        fill_index(block, sizeof node, NODE_LIMIT, &build->children[first], left < NODE_LIMIT ? left : NODE_LIMIT,
                   build->checksum_seed);
        build->children[nodes++] = (struct child){.hash = build->children[first].hash, .block = build->next_block};
        int rc = put_next_block(build, block, err);
        if (rc < 0)
            return rc;
    }
    build->child_count = nodes;
    return 0;
}

static int write_root(struct build *build, unsigned levels, uint64_t place, struct error *err)
{
    uint8_t block[EXT4_BLOCK_SIZE] = {0};
    struct root root = {
        .dot_inode = le32_from(build->directory->number),
        .dot_record_length = le16_from(12),
        .dot_name_length = 1,
        .dot_file_type = TYPE_DIRECTORY,
        .dot_name = ".",
        .dotdot_inode = le32_from(ext4_directory_parent(build->directory)),
        .dotdot_record_length = le16_from(EXT4_BLOCK_SIZE - 12),
        .dotdot_name_length = 2,
        .dotdot_file_type = TYPE_DIRECTORY,
        .dotdot_name = "..",
        .hash_version = HASH_HALF_MD4,
        .info_length = INFO_LENGTH,
        .indirect_levels = (uint8_t)levels,
    };
    memcpy(block, &root, sizeof root);
    fill_index(block, sizeof root, ROOT_LIMIT, build->children, build->child_count, build->checksum_seed);
    return ext4_writer_put(&build->fs->writer, place, block, sizeof block, err);
}

static int write_tree(struct build *build, struct error *err)
{
    static const uint8_t nothing_yet[EXT4_BLOCK_SIZE];
    int rc = sort_names(build, err);
    if (rc == 0)
        rc = put_next_block(build, nothing_yet, err);
    if (rc < 0)
        return rc;
    uint64_t root = extents_runs(&build->directory->extents)[0].physical;

    rc = write_leaves(build, err);
    unsigned levels = build->child_count > ROOT_LIMIT;
    if (rc == 0 && levels)
        rc = write_nodes(build, err);
    if (rc == 0)
        rc = write_root(build, levels, root, err);
    build->directory->size = (uint64_t)build->next_block * EXT4_BLOCK_SIZE;
    return rc;
}

int ext4_htree_write(struct ext4_filesystem *fs, struct tree_inode *directory, struct error *err)
{
    struct build build = {
        .fs = fs,
        .directory = directory,
        .checksum_seed = ext4_checksum_of_inode(fs->identity.checksum_seed, directory->number),
    };
    int rc = write_tree(&build, err);
    free(build.names);
    free(build.children);
    return rc;
}
