/* SPDX-License-Identifier: Apache-2.0 */
#include "image/ext4/reader.h"

#include <errno.h>
#include <sys/stat.h>

#include "base/checked.h"
#include "base/error.h"
#include "base/fd.h"
#include "image/ext4/inode.h"
#include "image/ext4/layout.h"
#include "image/ext4/superblock.h"

/* ---- bytes ------------------------------------------------------------------------------------------------------- */

static int file_read(void *context, void *bytes, size_t length, uint64_t offset)
{
    ssize_t got = fd_pread_full(*(const int *)context, bytes, length, offset);
    if (got < 0)
        return (int)got;
    return (size_t)got == length ? 0 : -EIO;
}

int ext4_source_file(struct ext4_source *source, const int *fd, struct error *err)
{
    struct stat status;
    if (fstat(*fd, &status) < 0)
        return error_set_errno(err, errno, "cannot read the file system");
    *source =
        (struct ext4_source){.read = file_read, .context = (void *)(uintptr_t)fd, .size = (uint64_t)status.st_size};
    return 0;
}

static int read_bytes(const struct ext4_reader *reader, void *bytes, size_t length, uint64_t offset, struct error *err)
{
    if (!checked_range_within(offset, length, reader->source.size))
        return error_set(err, EBADMSG, "the file system is cut off at byte %llu",
                         (unsigned long long)reader->source.size);
    int rc = reader->source.read(reader->source.context, bytes, length, offset);
    return rc < 0 ? error_set_errno(err, -rc, "cannot read the file system") : 0;
}

int ext4_reader_block(const struct ext4_reader *reader, uint64_t number, uint8_t bytes[static EXT4_BLOCK_SIZE],
                      struct error *err)
{
    if (number >= reader->geometry.blocks)
        return error_set(err, EBADMSG, "block %llu is past the end", (unsigned long long)number);
    return read_bytes(reader, bytes, EXT4_BLOCK_SIZE, number * EXT4_BLOCK_SIZE, err);
}

/* ---- structures -------------------------------------------------------------------------------------------------- */

int ext4_reader_open(struct ext4_reader *reader, struct ext4_source source, struct error *err)
{
    uint8_t bytes[EXT4_SUPERBLOCK_SIZE];
    struct ext4_reader fresh = {.source = source};
    if (source.size < EXT4_SUPERBLOCK_OFFSET + EXT4_SUPERBLOCK_SIZE)
        return error_set(err, ENOTSUP, "this is no EXT4 file system: it has %llu bytes",
                         (unsigned long long)source.size);
    int rc = read_bytes(&fresh, bytes, sizeof bytes, EXT4_SUPERBLOCK_OFFSET, err);
    if (rc == 0)
        rc = ext4_superblock_decode(bytes, &fresh.geometry, err);
    if (rc < 0)
        return rc;
    if (fresh.geometry.blocks > source.size / EXT4_BLOCK_SIZE)
        return error_set(err, EBADMSG, "the file system has %llu blocks, the file ends after %llu",
                         (unsigned long long)fresh.geometry.blocks, (unsigned long long)source.size / EXT4_BLOCK_SIZE);
    *reader = fresh;
    return 0;
}

/* Behind the superblock, or by meta_bg in the first group of those that they describe. */
static uint64_t descriptor_block(const struct ext4_geometry *geometry, uint32_t group)
{
    uint32_t index = group / EXT4_DESCRIPTORS_PER_BLOCK;
    if (index < geometry->first_meta_bg)
        return 1 + (uint64_t)index;
    uint64_t first = (uint64_t)index * EXT4_DESCRIPTORS_PER_BLOCK * EXT4_BLOCKS_PER_GROUP;
    return first ? first : 1;
}

static bool is_run(const struct ext4_geometry *geometry, uint64_t start, uint64_t count)
{
    return start > 0 && checked_range_within(start, count, geometry->blocks);
}

int ext4_reader_group(const struct ext4_reader *reader, uint32_t number, struct ext4_group *group, struct error *err)
{
    const struct ext4_geometry *geometry = &reader->geometry;
    uint8_t bytes[EXT4_DESCRIPTOR_SIZE];
    uint64_t offset = descriptor_block(geometry, number) * EXT4_BLOCK_SIZE +
                      (uint64_t)(number % EXT4_DESCRIPTORS_PER_BLOCK) * EXT4_DESCRIPTOR_SIZE;
    int rc = read_bytes(reader, bytes, sizeof bytes, offset, err);
    if (rc == 0)
        rc = ext4_group_decode(bytes, number, geometry->checksum_seed, group, err);
    if (rc < 0)
        return rc;
    if (!is_run(geometry, group->block_bitmap, 1) || !is_run(geometry, group->inode_bitmap, 1) ||
        !is_run(geometry, group->inode_table, geometry->inodes_per_group / EXT4_INODES_PER_BLOCK))
        return error_set(err, EBADMSG, "group %u lies past the end", number);
    return 0;
}

int ext4_reader_inode(const struct ext4_reader *reader, uint32_t number, struct ext4_file *file, struct error *err)
{
    if (number == 0 || number > reader->geometry.inodes)
        return error_set(err, EBADMSG, "there is no inode %u", number);
    struct ext4_group group;
    uint8_t bytes[EXT4_INODE_SIZE];
    uint32_t index = (number - 1) % reader->geometry.inodes_per_group;
    int rc = ext4_reader_group(reader, (number - 1) / reader->geometry.inodes_per_group, &group, err);
    if (rc == 0)
        rc = read_bytes(reader, bytes, sizeof bytes,
                        group.inode_table * EXT4_BLOCK_SIZE + (uint64_t)index * EXT4_INODE_SIZE, err);
    return rc < 0 ? rc : ext4_inode_decode(bytes, number, reader->geometry.checksum_seed, file, err);
}
