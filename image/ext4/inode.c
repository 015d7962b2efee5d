/* SPDX-License-Identifier: Apache-2.0 */
#include "image/ext4/inode.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/stat.h>

#include "base/bytes.h"
#include "base/error.h"
#include "image/ext4/checksum.h"
#include "image/ext4/directory.h"
#include "image/ext4/extent_tree.h"
#include "image/ext4/filesystem.h"
#include "image/ext4/reader.h"
#include "image/ext4/xattr.h"
#include "image/ext4/xattr_value.h"
#include "image/tree.h"

enum {
    FLAG_INDEX = 0x1000,
    FLAG_EXTENTS = 0x80000,
    FLAG_VALUE = 0x200000, /* EXT4_EA_INODE_FL */
    EXTRA_SIZE = 32,
    SECTORS_PER_BLOCK = EXT4_BLOCK_SIZE / 512,
    NSEC_SHIFT = 2, /* the two bits below extend the seconds */
};

/* struct ext4_inode */
struct inode {
    le16 mode;
    le16 uid_lo;
    le32 size_lo;
    le32 atime;
    le32 ctime;
    le32 mtime;
    le32 dtime;
    le16 gid_lo;
    le16 links;
    le32 sectors_lo;
    le32 flags;
    le32 version;
    uint8_t block[EXT4_EXTENT_ROOT_SIZE];
    le32 generation;
    le32 xattr_block_lo;
    le32 size_hi;
    le32 fragment;
    le16 sectors_hi;
    le16 xattr_block_hi;
    le16 uid_hi;
    le16 gid_hi;
    le16 checksum_lo;
    le16 reserved;
    le16 extra_size;
    le16 checksum_hi;
    le32 ctime_extra;
    le32 mtime_extra;
    le32 atime_extra;
    le32 crtime;
    le32 crtime_extra;
    le32 version_hi;
    le32 project;
    uint8_t xattrs[EXT4_XATTR_INODE_ROOM];
};
_Static_assert(sizeof(struct inode) == EXT4_INODE_SIZE, "size of an inode");
_Static_assert(offsetof(struct inode, xattrs) == 128 + EXTRA_SIZE, "offset of in-inode attributes");

static bool is_fast_symlink(const struct tree_inode *inode)
{
    return S_ISLNK(inode->mode) && inode->size <= EXT4_FAST_SYMLINK_MAX;
}

/* Which inodes have contents in blocks. */
static bool has_extents(const struct tree_inode *inode)
{
    return S_ISREG(inode->mode) || S_ISDIR(inode->mode) || (S_ISLNK(inode->mode) && !is_fast_symlink(inode));
}

/* ---- placing ----------------------------------------------------------------------------------------------------- */

static int place_contents(struct ext4_filesystem *fs, struct tree_inode *inode, struct error *err)
{
    if (S_ISDIR(inode->mode))
        return ext4_directory_write(fs, inode, err);
    if (!S_ISLNK(inode->mode) || is_fast_symlink(inode))
        return 0;
    uint8_t block[EXT4_BLOCK_SIZE] = {0};
    memcpy(block, inode->target, inode->size);
    return ext4_filesystem_put_block(fs, inode, 0, block, err);
}

/* One run: the block of attributes, if there is one, then the extent tree's. */
static int place_metadata(struct ext4_filesystem *fs, struct tree_inode *inode, const struct ext4_xattr_plan *plan,
                          struct error *err)
{
    uint64_t tree_blocks = has_extents(inode) ? ext4_extent_tree_blocks(&inode->extents) : 0;
    uint64_t count = tree_blocks + plan->needs_block;
    if (!count)
        return 0;
    int rc = ext4_allocator_take_whole(&fs->allocator, count, &inode->metadata, err);
    if (rc == 0 && plan->needs_block) {
        uint8_t block[EXT4_BLOCK_SIZE];
        ext4_xattr_encode_block(plan, block, inode->metadata, fs->identity.checksum_seed);
        rc = ext4_writer_put(&fs->writer, inode->metadata, block, sizeof block, err);
    }
    if (rc == 0 && tree_blocks) {
        uint8_t root[EXT4_EXTENT_ROOT_SIZE];
        uint32_t seed = ext4_checksum_of_inode(fs->identity.checksum_seed, inode->number);
        rc = ext4_extent_tree_build(&inode->extents, root, inode->metadata + plan->needs_block, seed, &fs->writer, err);
    }
    return rc;
}

int ext4_inode_place(struct ext4_filesystem *fs, struct tree_inode *inode, struct error *err)
{
    int rc = place_contents(fs, inode, err);
    if (rc < 0)
        return rc;
    struct ext4_xattr_plan plan;
    rc = ext4_xattr_plan(&plan, inode, err);
    if (rc < 0)
        return rc;
    rc = ext4_xattr_values_write(fs, &plan, err);
    if (rc == 0)
        rc = place_metadata(fs, inode, &plan, err);
    ext4_xattr_plan_done(&plan);
    return rc;
}

/* ---- encoding ---------------------------------------------------------------------------------------------------- */

static void encode_times(struct inode *disk, const struct tree_inode *inode)
{
    int64_t seconds = inode->mtime;
    if (seconds < EXT4_TIME_MIN)
        seconds = EXT4_TIME_MIN;
    if (seconds > EXT4_TIME_MAX)
        seconds = EXT4_TIME_MAX;
    /* How often 2^32 has been passed, counting from where the signed 32 bits start. */
    uint32_t epoch = (uint32_t)(((uint64_t)seconds + 0x80000000) >> 32) & 3;
    le32 low = le32_from((uint32_t)seconds);
    le32 extra = le32_from(inode->mtime_nsec << NSEC_SHIFT | epoch);
    disk->atime = disk->ctime = disk->mtime = disk->crtime = low;
    disk->atime_extra = disk->ctime_extra = disk->mtime_extra = disk->crtime_extra = extra;
}

/* What stands in the place of times: the value's checksum in that of access, the number of references in the others'.
 */
static void encode_value(struct inode *disk, const struct tree_inode *inode)
{
    disk->atime = le32_from(ext4_xattr_value_checksum(inode));
    disk->version = le32_from(inode->links);
}

static uint16_t link_count(const struct tree_inode *inode)
{
    if (!S_ISDIR(inode->mode))
        return (uint16_t)inode->links;
    /* Its name, its `.` and the `..` of each directory in it; 1 means that they are too many to count (dir_nlink). */
    uint64_t links = 2 + (uint64_t)inode->directory.subdirectories;
    return links > EXT4_LINKS_MAX ? 1 : (uint16_t)links;
}

/* Old and new forms of device numbers (Linux include/linux/kdev_t.h). */
static void encode_device(uint8_t *block, uint32_t major, uint32_t minor)
{
    if (major < 256 && minor < 256)
        store_le32(block, major << 8 | minor);
    else
        store_le32(block + 4, (minor & 0xff) | major << 8 | (minor & ~0xffu) << 12);
}

static int encode_block(const struct ext4_filesystem *fs, struct inode *disk, const struct tree_inode *inode,
                        bool xattr_block, struct error *err)
{
    if (S_ISCHR(inode->mode) || S_ISBLK(inode->mode))
        encode_device(disk->block, inode->device.major, inode->device.minor);
    if (is_fast_symlink(inode))
        memcpy(disk->block, inode->target, inode->size);
    if (!has_extents(inode))
        return 0;
    uint32_t seed = ext4_checksum_of_inode(fs->identity.checksum_seed, inode->number);
    return ext4_extent_tree_build(&inode->extents, disk->block, inode->metadata + xattr_block, seed, NULL, err);
}

static void encode_sizes(struct inode *disk, const struct tree_inode *inode, const struct ext4_xattr_plan *plan)
{
    uint64_t blocks = plan->needs_block + ext4_xattr_values_blocks(plan);
    if (has_extents(inode))
        blocks += extents_blocks(&inode->extents) + ext4_extent_tree_blocks(&inode->extents);
    uint64_t sectors = blocks * SECTORS_PER_BLOCK;
    disk->sectors_lo = le32_from((uint32_t)sectors);
    disk->sectors_hi = le16_from((uint16_t)(sectors >> 32));
    disk->size_lo = le32_from((uint32_t)inode->size);
    disk->size_hi = le32_from((uint32_t)(inode->size >> 32));
    if (plan->needs_block) {
        disk->xattr_block_lo = le32_from((uint32_t)inode->metadata);
        disk->xattr_block_hi = le16_from((uint16_t)(inode->metadata >> 32));
    }
}

static uint32_t inode_flags(const struct ext4_filesystem *fs, const struct tree_inode *inode)
{
    uint32_t flags = has_extents(inode) ? FLAG_EXTENTS : 0;
    if (ext4_xattr_value_is(fs, inode))
        flags |= FLAG_VALUE;
    if (S_ISDIR(inode->mode) && ext4_directory_is_indexed(inode))
        flags |= FLAG_INDEX;
    return flags;
}

int ext4_inode_encode(const struct ext4_filesystem *fs, const struct tree_inode *inode,
                      uint8_t bytes[static EXT4_INODE_SIZE], struct error *err)
{
    struct ext4_xattr_plan plan;
    int rc = ext4_xattr_plan(&plan, inode, err);
    if (rc < 0)
        return rc;
    struct inode disk = {
        .mode = le16_from(inode->mode),
        .uid_lo = le16_from((uint16_t)inode->uid),
        .uid_hi = le16_from((uint16_t)(inode->uid >> 16)),
        .gid_lo = le16_from((uint16_t)inode->gid),
        .gid_hi = le16_from((uint16_t)(inode->gid >> 16)),
        .links = le16_from(link_count(inode)),
        .flags = le32_from(inode_flags(fs, inode)),
        .extra_size = le16_from(EXTRA_SIZE),
    };
    if (ext4_xattr_value_is(fs, inode))
        encode_value(&disk, inode);
    else
        encode_times(&disk, inode);
    encode_sizes(&disk, inode, &plan);
    ext4_xattr_encode_inode(&plan, disk.xattrs, fs->identity.checksum_seed);
    rc = encode_block(fs, &disk, inode, plan.needs_block, err);
    ext4_xattr_plan_done(&plan);
    if (rc < 0)
        return rc;

    uint32_t checksum = ext4_checksum_of_inode(fs->identity.checksum_seed, inode->number);
    checksum = ext4_checksum(checksum, &disk, sizeof disk);
    disk.checksum_lo = le16_from((uint16_t)checksum);
    disk.checksum_hi = le16_from((uint16_t)(checksum >> 16));
    memcpy(bytes, &disk, sizeof disk);
    return 0;
}

/* ---- decoding ---------------------------------------------------------------------------------------------------- */

static void decode_device(const uint8_t *block, struct ext4_file *file)
{
    uint32_t old = load_le32(block), fresh = load_le32(block + 4);
    file->major = old ? old >> 8 & 0xff : fresh >> 8 & 0xfff;
    file->minor = old ? old & 0xff : (fresh & 0xff) | (fresh >> 12 & ~0xffu);
}

static bool is_in_use(const uint8_t *bytes)
{
    for (size_t i = 0; i < EXT4_INODE_SIZE; i++)
        if (bytes[i])
            return true;
    return false;
}

int ext4_inode_decode(const uint8_t bytes[static EXT4_INODE_SIZE], uint32_t number, uint32_t checksum_seed,
                      struct ext4_file *file, struct error *err)
{
    *file = (struct ext4_file){.number = number};
    if (!is_in_use(bytes))
        return 0;
    struct inode disk;
    memcpy(&disk, bytes, sizeof disk);
    uint32_t stored = (uint32_t)le16_get(disk.checksum_hi) << 16 | le16_get(disk.checksum_lo);
    uint32_t extra = le32_get(disk.mtime_extra);
    disk.checksum_lo = disk.checksum_hi = le16_from(0);
    file->checksum_seed = ext4_checksum_le32(ext4_checksum_le32(checksum_seed, number), le32_get(disk.generation));
    if (ext4_checksum(file->checksum_seed, &disk, sizeof disk) != stored)
        return error_set(err, EBADMSG, "inode %u is damaged", number);
    file->mode = le16_get(disk.mode);
    file->uid = (uint32_t)le16_get(disk.uid_hi) << 16 | le16_get(disk.uid_lo);
    file->gid = (uint32_t)le16_get(disk.gid_hi) << 16 | le16_get(disk.gid_lo);
    file->links = le16_get(disk.links);
    file->flags = le32_get(disk.flags);
    file->size = (uint64_t)le32_get(disk.size_hi) << 32 | le32_get(disk.size_lo);
    file->xattr_block = (uint64_t)le16_get(disk.xattr_block_hi) << 32 | le32_get(disk.xattr_block_lo);
    file->mtime = (int32_t)le32_get(disk.mtime) + ((int64_t)(extra & 3) << 32);
    file->mtime_nsec = extra >> NSEC_SHIFT;
    memcpy(file->block, disk.block, sizeof file->block);
    if (S_ISCHR(file->mode) || S_ISBLK(file->mode))
        decode_device(file->block, file);
    return 0;
}
