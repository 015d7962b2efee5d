/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A file system that somebody has forged: bytes of its metadata changed and all checksums computed again, so that what
 * is behind them is reached. The input is a list of changes: block (16 bits), offset (16 bits), byte.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/bytes.h"
#include "base/error.h"
#include "base/fd.h"
#include "image/ext4/check.h"
#include "image/ext4/checksum.h"
#include "image/ext4/layout.h"
#include "image/ext4/reader.h"
#include "image/tree.h"
#include "tests/support/layers.h"
#include "tests/support/tar_builder.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

enum { BLOCKS_MAX = 256, CHANGE_SIZE = 5, LARGE = 300, RUNS = 9 };

/* What a block's checksum is made of. */
enum kind { KIND_NONE, KIND_EXTENTS, KIND_NAMES, KIND_INDEX, KIND_XATTRS };

struct block {
    enum kind kind;
    uint32_t seed;
};

static struct {
    uint8_t bytes[BLOCKS_MAX * EXT4_BLOCK_SIZE];
    size_t size;
    struct ext4_reader reader;
    struct ext4_group group;
    struct block blocks[BLOCKS_MAX];
} whole;
static uint8_t forged[BLOCKS_MAX * EXT4_BLOCK_SIZE];

static int read_memory(void *context, void *bytes, size_t length, uint64_t offset)
{
    memcpy(bytes, (const uint8_t *)context + offset, length);
    return 0;
}

static struct ext4_source source_of(uint8_t *bytes)
{
    return (struct ext4_source){.read = read_memory, .context = bytes, .size = whole.size};
}

/* ---- the whole one ----------------------------------------------------------------------------------------------- */

static void add_entries(struct buffer *tar)
{
    static char value[LARGE];
    TAR_ADD(tar, .name = "dir/sub/", .type = '5');
    TAR_ADD(tar, .name = "dir/file", .content = "contents");
    TAR_ADD(tar, .name = "dir/link", .type = '2', .link = "/dir/../dir/file");
    TAR_ADD(tar, .name = "loop", .type = '2', .link = "loop");
    TAR_ADD(tar, .name = "hard", .type = '1', .link = "dir/file");
    TAR_ADD(tar, .name = "null", .type = '3', .major = 1, .minor = 3);
    TAR_ADD(tar, .name = "slow", .type = '2',
            .link = "a-target/that/is/longer/than/sixty/bytes/and/so/has/a/block/of/its/own/instead");
    TAR_ADD(tar, .name = "x", .records = {{.key = "SCHILY.xattr.user.a", .value = value, .length = sizeof value}});
    for (int i = 0; i < 200; i++) {
        char name[64];
        snprintf(name, sizeof name, "many/a-name-of-some-length-%d", i);
        TAR_ADD(tar, .name = name);
    }
}

/* A file of so many runs that its extent tree has a block of its own. */
static void add_runs(struct layers *layers)
{
    static const uint8_t block[EXT4_BLOCK_SIZE] = "run";
    struct tree_inode *inode = tree_inode_new(S_IFREG | 0600);
    if (!inode || tree_add(layers->tree, tree_root(layers->tree), "runs", 4, inode, 0, NULL, NULL) < 0)
        abort();
    inode->size = (uint64_t)RUNS * 2 * EXT4_BLOCK_SIZE;
    for (uint32_t i = 0; i < RUNS; i++)
        if (ext4_filesystem_put_block(&layers->fs, inode, 2 * i, block, NULL) < 0)
            abort();
    tree_inode_put(layers->tree, inode);
}

static int note_mapping(void *context, const struct ext4_mapping *mapping, struct error *err)
{
    (void)err;
    const struct ext4_file *file = context;
    for (uint32_t i = 0; i < mapping->count; i++) {
        struct block *block = &whole.blocks[mapping->physical + i];
        block->seed = file->checksum_seed;
        if (mapping->metadata)
            block->kind = KIND_EXTENTS;
        else if (S_ISDIR(file->mode))
            block->kind = (file->flags & EXT4_FILE_INDEXED) && mapping->logical + i == 0 ? KIND_INDEX : KIND_NAMES;
    }
    return 0;
}

static void note_blocks(void)
{
    for (uint32_t number = 1; number <= whole.reader.geometry.inodes; number++) {
        struct ext4_file file;
        if (ext4_reader_inode(&whole.reader, number, &file, NULL) < 0)
            abort();
        if (file.mode && ext4_reader_walk(&whole.reader, &file, note_mapping, &file, NULL) < 0)
            abort();
        if (file.xattr_block)
            whole.blocks[file.xattr_block] =
                (struct block){.kind = KIND_XATTRS, .seed = whole.reader.geometry.checksum_seed};
    }
}

static void make_whole(void)
{
    struct layers layers;
    struct buffer tar = TAR_BUILDER_INIT;
    struct stat status;
    layers_init(&layers);
    add_entries(&tar);
    if (layers_apply(&layers, &tar) < 0)
        abort();
    add_runs(&layers);
    if (ext4_filesystem_finish(&layers.fs, layers.tree, &layers.err) < 0 || fstat(layers.fd, &status) < 0 ||
        (size_t)status.st_size > sizeof whole.bytes)
        abort();
    whole.size = (size_t)status.st_size;
    if (fd_pread_full(layers.fd, whole.bytes, whole.size, 0) != (ssize_t)whole.size ||
        ext4_reader_open(&whole.reader, source_of(whole.bytes), NULL) < 0 ||
        ext4_reader_group(&whole.reader, 0, &whole.group, NULL) < 0)
        abort();
    note_blocks();
    buffer_done(&tar);
    layers_done(&layers);
}

/* ---- forging ----------------------------------------------------------------------------------------------------- */

static void seal_inodes(void)
{
    uint8_t *table = forged + whole.group.inode_table * EXT4_BLOCK_SIZE;
    for (uint32_t i = 0; i < whole.reader.geometry.inodes_per_group; i++) {
        static const uint8_t none[EXT4_INODE_SIZE];
        uint8_t *inode = table + (size_t)i * EXT4_INODE_SIZE;
        if (memcmp(inode, none, sizeof none) == 0)
            continue;
        store_le16(inode + 0x7c, 0);
        store_le16(inode + 0x82, 0);
        uint32_t seed = ext4_checksum_le32(whole.reader.geometry.checksum_seed, i + 1);
        uint32_t checksum = ext4_checksum(ext4_checksum_le32(seed, load_le32(inode + 0x64)), inode, EXT4_INODE_SIZE);
        store_le16(inode + 0x7c, (uint16_t)checksum);
        store_le16(inode + 0x82, (uint16_t)(checksum >> 16));
    }
}

static void seal_index(uint8_t *block, uint32_t seed)
{
    size_t tail = 32 + (size_t)load_le16(block + 32) * 8, count = load_le16(block + 34);
    if (tail + 8 > EXT4_BLOCK_SIZE || 32 + count * 8 > tail)
        return;
    uint32_t checksum = ext4_checksum(ext4_checksum(seed, block, 32 + count * 8), block + tail, 4);
    store_le32(block + tail + 4, ext4_checksum_le32(checksum, 0));
}

static void seal_xattrs(uint8_t *block, uint32_t seed, uint64_t number)
{
    le64 place = le64_from(number);
    store_le32(block + 16, 0);
    store_le32(block + 16, ext4_checksum(ext4_checksum(seed, &place, sizeof place), block, EXT4_BLOCK_SIZE));
}

static void seal_block(uint64_t number)
{
    uint8_t *block = forged + number * EXT4_BLOCK_SIZE;
    uint32_t seed = whole.blocks[number].seed;
    switch (whole.blocks[number].kind) {
    case KIND_NONE:
        break;
    case KIND_EXTENTS:
        store_le32(block + EXT4_BLOCK_SIZE - 4, ext4_checksum(seed, block, EXT4_BLOCK_SIZE - 4));
        break;
    case KIND_NAMES:
        store_le32(block + EXT4_BLOCK_SIZE - 4, ext4_checksum(seed, block, EXT4_BLOCK_SIZE - 12));
        break;
    case KIND_INDEX:
        seal_index(block, seed);
        break;
    case KIND_XATTRS:
        seal_xattrs(block, seed, number);
        break;
    }
}

/* The bitmaps' checksums are in the descriptor, whose own comes after. */
static void seal_head(void)
{
    uint32_t seed = whole.reader.geometry.checksum_seed;
    uint8_t *descriptor = forged + EXT4_BLOCK_SIZE;
    uint32_t blocks = ext4_checksum(seed, forged + whole.group.block_bitmap * EXT4_BLOCK_SIZE, EXT4_BLOCK_SIZE);
    uint32_t inodes = ext4_checksum(seed, forged + whole.group.inode_bitmap * EXT4_BLOCK_SIZE,
                                    whole.reader.geometry.inodes_per_group / 8);
    store_le16(descriptor + 0x18, (uint16_t)blocks);
    store_le16(descriptor + 0x1a, (uint16_t)inodes);
    store_le16(descriptor + 0x38, (uint16_t)(blocks >> 16));
    store_le16(descriptor + 0x3a, (uint16_t)(inodes >> 16));
    store_le16(descriptor + 0x1e, 0);
    uint32_t own = ext4_checksum(ext4_checksum_le32(seed, 0), descriptor, EXT4_DESCRIPTOR_SIZE);
    store_le16(descriptor + 0x1e, (uint16_t)own);
    store_le32(forged + 1024 + 1020, ext4_checksum(UINT32_MAX, forged + 1024, 1020));
}

static void forge(const uint8_t *bytes, size_t length)
{
    memcpy(forged, whole.bytes, whole.size);
    for (; length >= CHANGE_SIZE; bytes += CHANGE_SIZE, length -= CHANGE_SIZE) {
        uint64_t block = load_le16(bytes) % (whole.size / EXT4_BLOCK_SIZE);
        forged[block * EXT4_BLOCK_SIZE + load_le16(bytes + 2) % EXT4_BLOCK_SIZE] = bytes[4];
    }
    for (uint64_t block = 0; block < whole.size / EXT4_BLOCK_SIZE; block++)
        seal_block(block);
    seal_inodes();
    seal_head();
}

/* ---- reading ----------------------------------------------------------------------------------------------------- */

static int count_bytes(void *context, const void *bytes, size_t length, struct error *err)
{
    enum { ENOUGH = 1 << 20 };
    (void)bytes;
    size_t *total = context;
    *total += length;
    return *total < ENOUGH ? 0 : error_set(err, 27, "enough");
}

static void expect_reason(int rc, const struct error *err)
{
    if (rc < 0 && (err->code != -rc || !err->text[0]))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    static const char *const paths[] = {"dir/link", "loop", "hard", "slow", "runs", "many/a-name-of-some-length-99"};
    struct ext4_reader reader;
    struct ext4_check_summary summary;
    struct error err = {0};
    if (!whole.size)
        make_whole();
    forge(bytes, length);
    int rc = ext4_reader_open(&reader, source_of(forged), &err);
    expect_reason(rc, &err);
    if (rc < 0)
        return 0;
    expect_reason(ext4_check(&reader, &summary, &err), &err);
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        struct ext4_file file;
        size_t total = 0;
        rc = ext4_reader_find(&reader, paths[i], true, &file, &err);
        expect_reason(rc, &err);
        if (rc == 0)
            expect_reason(ext4_reader_contents(&reader, &file, count_bytes, &total, &err), &err);
    }
    return 0;
}
