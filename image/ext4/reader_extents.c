/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Walking a file's extent tree (Documentation/filesystems/ext4/ifork.rst). What a block maps has to lie between what
 * its entry says and the next one, and no block may be empty: so no block can be met twice, whatever the tree claims.
 */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "base/bytes.h"
#include "base/checked.h"
#include "base/error.h"
#include "image/ext4/checksum.h"
#include "image/ext4/reader.h"

enum {
    MAGIC = 0xf30a,
    DEPTH_MAX = 5,
    HEADER_SIZE = 12,
    ENTRY_SIZE = 12,
    ROOT_ENTRIES = (EXT4_EXTENT_ROOT_SIZE - HEADER_SIZE) / ENTRY_SIZE,
    BLOCK_ENTRIES = (EXT4_BLOCK_SIZE - HEADER_SIZE) / ENTRY_SIZE,
    CHECKSUM_OFFSET = HEADER_SIZE + BLOCK_ENTRIES * ENTRY_SIZE,
    RUN_BLOCKS_MAX = 32768, /* more means that the run is unwritten */
};

struct walk {
    const struct ext4_reader *reader;
    const struct ext4_file *file;
    ext4_mapping_visitor *visitor;
    void *context;
    uint64_t blocks; /* mapped so far */
    struct error *err;
};

static int damaged(const struct walk *walk)
{
    return error_set(walk->err, EBADMSG, "the extent tree of inode %u is damaged", walk->file->number);
}

static int visit_leaf_entry(struct walk *walk, const uint8_t *entry, uint64_t low, uint64_t high, uint64_t *end)
{
    struct ext4_mapping mapping = {
        .logical = load_le32(entry),
        .count = load_le16(entry + 4),
        .physical = (uint64_t)load_le16(entry + 6) << 32 | load_le32(entry + 8),
    };
    if (mapping.count > RUN_BLOCKS_MAX) {
        mapping.count -= RUN_BLOCKS_MAX;
        mapping.unwritten = true;
    }
    *end = (uint64_t)mapping.logical + mapping.count;
    walk->blocks += mapping.count;
    uint64_t blocks = walk->reader->geometry.blocks;
    if (mapping.count == 0 || mapping.logical < low || *end > high || mapping.physical == 0 ||
        !checked_range_within(mapping.physical, mapping.count, blocks) || walk->blocks > blocks)
        return damaged(walk);
    return walk->visitor(walk->context, &mapping, walk->err);
}

static int walk_node(struct walk *walk, const uint8_t *node, unsigned entries_max, int depth, uint64_t low,
                     uint64_t high);

static int visit_index_entry(struct walk *walk, const uint8_t *entry, int depth, uint64_t high)
{
    uint8_t block[EXT4_BLOCK_SIZE];
    struct ext4_mapping mapping = {
        .physical = (uint64_t)load_le16(entry + 8) << 32 | load_le32(entry + 4),
        .count = 1,
        .metadata = true,
    };
    int rc = ext4_reader_block(walk->reader, mapping.physical, block, walk->err);
    if (rc < 0)
        return rc;
    if (ext4_checksum(walk->file->checksum_seed, block, CHECKSUM_OFFSET) != load_le32(block + CHECKSUM_OFFSET))
        return damaged(walk);
    rc = walk->visitor(walk->context, &mapping, walk->err);
    return rc ? rc : walk_node(walk, block, BLOCK_ENTRIES, depth - 1, load_le32(entry), high);
}

/* Entries of one node, which map logical blocks in [low, high). At most DEPTH_MAX of these run inside each other. */
static int walk_node(struct walk *walk, const uint8_t *node, unsigned entries_max, int depth, uint64_t low,
                     uint64_t high)
{
    unsigned entries = load_le16(node + 2);
    bool is_root = entries_max == ROOT_ENTRIES;
    if (load_le16(node) != MAGIC || load_le16(node + 4) != entries_max || load_le16(node + 6) != depth ||
        entries > entries_max || (entries == 0 && !is_root))
        return damaged(walk);
    for (unsigned i = 0; i < entries; i++) {
        const uint8_t *entry = node + HEADER_SIZE + (size_t)i * ENTRY_SIZE;
        uint64_t start = load_le32(entry);
        uint64_t end = i + 1 < entries ? load_le32(entry + ENTRY_SIZE) : high;
        if (start < low || end <= start || end > high)
            return damaged(walk);
        int rc = depth ? visit_index_entry(walk, entry, depth, end) : visit_leaf_entry(walk, entry, low, end, &low);
        if (rc)
            return rc;
    }
    return 0;
}

int ext4_reader_walk(const struct ext4_reader *reader, const struct ext4_file *file, ext4_mapping_visitor *visitor,
                     void *context, struct error *err)
{
    struct walk walk = {.reader = reader, .file = file, .visitor = visitor, .context = context, .err = err};
    if (!(file->flags & EXT4_FILE_EXTENTS))
        return S_ISREG(file->mode) || S_ISDIR(file->mode) ? damaged(&walk) : 0;
    int depth = load_le16(file->block + 6);
    if (depth > DEPTH_MAX)
        return damaged(&walk);
    return walk_node(&walk, file->block, ROOT_ENTRIES, depth, 0, 1ULL << 32);
}

/* ---- contents ---------------------------------------------------------------------------------------------------- */

struct copy {
    const struct ext4_reader *reader;
    uint64_t size, done;
    ext4_bytes_sink *sink;
    void *context;
};

/* Hands out bytes up to @p end: those of a block, or zeros. */
static int hand_out(struct copy *copy, const uint8_t *bytes, uint64_t end, struct error *err)
{
    if (end > copy->size)
        end = copy->size;
    while (copy->done < end) {
        uint64_t left = end - copy->done;
        size_t piece = left < EXT4_BLOCK_SIZE ? (size_t)left : EXT4_BLOCK_SIZE;
        int rc = copy->sink(copy->context, bytes, piece, err);
        if (rc < 0)
            return rc;
        copy->done += piece;
    }
    return 0;
}

static const uint8_t zeros[EXT4_BLOCK_SIZE];

static int copy_mapping(void *context, const struct ext4_mapping *mapping, struct error *err)
{
    struct copy *copy = context;
    uint8_t block[EXT4_BLOCK_SIZE];
    if (mapping->metadata || mapping->unwritten)
        return 0;
    uint64_t offset = (uint64_t)mapping->logical << EXT4_BLOCK_BITS;
    int rc = hand_out(copy, zeros, offset, err);
    for (uint32_t i = 0; i < mapping->count && rc == 0 && copy->done < copy->size; i++) {
        offset += EXT4_BLOCK_SIZE;
        rc = ext4_reader_block(copy->reader, mapping->physical + i, block, err);
        if (rc == 0)
            rc = hand_out(copy, block, offset, err);
    }
    return rc;
}

int ext4_reader_contents(const struct ext4_reader *reader, const struct ext4_file *file, ext4_bytes_sink *sink,
                         void *context, struct error *err)
{
    struct copy copy = {.reader = reader, .size = file->size, .sink = sink, .context = context};
    int rc = ext4_reader_walk(reader, file, copy_mapping, &copy, err);
    return rc < 0 ? rc : hand_out(&copy, zeros, file->size, err);
}

/* ---- symbolic links ---------------------------------------------------------------------------------------------- */

struct target {
    char *next;
};

static int append(void *context, const void *bytes, size_t length, struct error *err)
{
    (void)err;
    struct target *target = context;
    memcpy(target->next, bytes, length);
    target->next += length;
    return 0;
}

int ext4_reader_target(const struct ext4_reader *reader, const struct ext4_file *file, char target[static 4096],
                       struct error *err)
{
    bool fast = !(file->flags & EXT4_FILE_EXTENTS);
    if (file->size == 0 || file->size >= (fast ? EXT4_EXTENT_ROOT_SIZE : 4096))
        return error_set(err, EBADMSG, "inode %u is a symbolic link of %llu bytes", file->number,
                         (unsigned long long)file->size);
    struct target end = {.next = target};
    int rc = fast ? append(&end, file->block, (size_t)file->size, err)
                  : ext4_reader_contents(reader, file, append, &end, err);
    if (rc < 0)
        return rc;
    *end.next = '\0';
    return strlen(target) == file->size
               ? 0
               : error_set(err, EBADMSG, "the target of the symbolic link at inode %u has a NUL in it", file->number);
}
