/* SPDX-License-Identifier: Apache-2.0 */
#include "image/ext4/superblock.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "base/bytes.h"
#include "base/error.h"
#include "image/ext4/checksum.h"
#include "image/ext4/layout.h"
#include "image/ext4/reader.h"

enum {
    MAGIC = 0xef53,
    STATE_CLEAN = 1,
    ERRORS_CONTINUE = 1,
    REVISION_DYNAMIC = 1,
    HASH_HALF_MD4 = 1,
    FLAG_UNSIGNED_HASH = 2,
    CHECKSUM_CRC32C = 1,
    MOUNT_USER_XATTR = 0x4,
    MOUNT_ACL = 0x8,
    LOG_GROUPS_PER_FLEX = 4,
    EXTRA_INODE_SIZE = 32,

    COMPAT_EXT_ATTR = 0x8,
    COMPAT_DIR_INDEX = 0x20,
    COMPAT_SPARSE_SUPER2 = 0x200,

    INCOMPAT_FILETYPE = 0x2,
    INCOMPAT_META_BG = 0x10,
    INCOMPAT_EXTENTS = 0x40,
    INCOMPAT_64BIT = 0x80,
    INCOMPAT_FLEX_BG = 0x200,
    INCOMPAT_EA_INODE = 0x400,

    RO_COMPAT_SPARSE_SUPER = 0x1,
    RO_COMPAT_LARGE_FILE = 0x2,
    RO_COMPAT_HUGE_FILE = 0x8,
    RO_COMPAT_DIR_NLINK = 0x20,
    RO_COMPAT_EXTRA_ISIZE = 0x40,
    RO_COMPAT_METADATA_CSUM = 0x400,
};

/* struct ext4_super_block. No times: the same contents give the same bytes. */
struct superblock {
    le32 inodes_count;
    le32 blocks_count_lo;
    le32 reserved_blocks_count_lo;
    le32 free_blocks_count_lo;
    le32 free_inodes_count;
    le32 first_data_block;
    le32 log_block_size;
    le32 log_cluster_size;
    le32 blocks_per_group;
    le32 clusters_per_group;
    le32 inodes_per_group;
    le32 mtime;
    le32 wtime;
    le16 mount_count;
    le16 max_mount_count;
    le16 magic;
    le16 state;
    le16 errors;
    le16 minor_revision;
    le32 last_check;
    le32 check_interval;
    le32 creator_os;
    le32 revision;
    le16 default_reserved_uid;
    le16 default_reserved_gid;
    le32 first_inode;
    le16 inode_size;
    le16 block_group;
    le32 feature_compat;
    le32 feature_incompat;
    le32 feature_ro_compat;
    uint8_t uuid[EXT4_UUID_SIZE];
    uint8_t volume_name[16];
    uint8_t last_mounted[64];
    le32 algorithm_usage_bitmap;
    uint8_t preallocate_blocks;
    uint8_t preallocate_directory_blocks;
    le16 reserved_descriptor_blocks;
    uint8_t journal_uuid[16];
    le32 journal_inode;
    le32 journal_device;
    le32 last_orphan;
    le32 hash_seed[4];
    uint8_t default_hash_version;
    uint8_t journal_backup_type;
    le16 descriptor_size;
    le32 default_mount_options;
    le32 first_meta_bg;
    le32 mkfs_time;
    le32 journal_blocks[17];
    le32 blocks_count_hi;
    le32 reserved_blocks_count_hi;
    le32 free_blocks_count_hi;
    le16 min_extra_inode_size;
    le16 want_extra_inode_size;
    le32 flags;
    le16 raid_stride;
    le16 mmp_interval;
    le64 mmp_block;
    le32 raid_stripe_width;
    uint8_t log_groups_per_flex;
    uint8_t checksum_type;
    uint8_t rest[0x3fc - 0x176];
    le32 checksum;
};
_Static_assert(sizeof(struct superblock) == EXT4_SUPERBLOCK_SIZE, "size of the superblock");
_Static_assert(offsetof(struct superblock, uuid) == 0x68, "offset of s_uuid");
_Static_assert(offsetof(struct superblock, hash_seed) == 0xec, "offset of s_hash_seed");
_Static_assert(offsetof(struct superblock, blocks_count_hi) == 0x150, "offset of s_blocks_count_hi");
_Static_assert(offsetof(struct superblock, checksum_type) == 0x175, "offset of s_checksum_type");

/* struct ext4_group_desc */
struct descriptor {
    le32 block_bitmap_lo;
    le32 inode_bitmap_lo;
    le32 inode_table_lo;
    le16 free_blocks_lo;
    le16 free_inodes_lo;
    le16 used_directories_lo;
    le16 flags;
    le32 exclude_bitmap_lo;
    le16 block_bitmap_checksum_lo;
    le16 inode_bitmap_checksum_lo;
    le16 unused_inodes_lo;
    le16 checksum;
    le32 block_bitmap_hi;
    le32 inode_bitmap_hi;
    le32 inode_table_hi;
    le16 free_blocks_hi;
    le16 free_inodes_hi;
    le16 used_directories_hi;
    le16 unused_inodes_hi;
    le32 exclude_bitmap_hi;
    le16 block_bitmap_checksum_hi;
    le16 inode_bitmap_checksum_hi;
    le32 reserved;
};
_Static_assert(sizeof(struct descriptor) == EXT4_DESCRIPTOR_SIZE, "size of a group descriptor");

static le32 low32(uint64_t number)
{
    return le32_from((uint32_t)number);
}

static le32 high32(uint64_t number)
{
    return le32_from((uint32_t)(number >> 32));
}

static le16 low16(uint32_t number)
{
    return le16_from((uint16_t)number);
}

static le16 high16(uint32_t number)
{
    return le16_from((uint16_t)(number >> 16));
}

static uint32_t incompatible_features(const struct ext4_layout *layout)
{
    uint32_t features = INCOMPAT_FILETYPE | INCOMPAT_EXTENTS | INCOMPAT_64BIT | INCOMPAT_FLEX_BG;
    if (layout->meta_bg)
        features |= INCOMPAT_META_BG;
    if (layout->value_inodes)
        features |= INCOMPAT_EA_INODE;
    return features;
}

void ext4_superblock_encode(uint8_t bytes[static EXT4_SUPERBLOCK_SIZE], const struct ext4_layout *layout,
                            const struct ext4_identity *identity)
{
    uint64_t free_blocks = 0;
    uint32_t free_inodes = 0;
    for (uint32_t i = 0; i < layout->group_count; i++) {
        free_blocks += layout->groups[i].free_blocks;
        free_inodes += layout->groups[i].free_inodes;
    }

    struct superblock sb = {
        .inodes_count = le32_from(layout->inodes_per_group * layout->group_count),
        .blocks_count_lo = low32(layout->blocks),
        .blocks_count_hi = high32(layout->blocks),
        .free_blocks_count_lo = low32(free_blocks),
        .free_blocks_count_hi = high32(free_blocks),
        .free_inodes_count = le32_from(free_inodes),
        .log_block_size = le32_from(EXT4_BLOCK_BITS - 10),
        .log_cluster_size = le32_from(EXT4_BLOCK_BITS - 10),
        .blocks_per_group = le32_from(EXT4_BLOCKS_PER_GROUP),
        .clusters_per_group = le32_from(EXT4_BLOCKS_PER_GROUP),
        .inodes_per_group = le32_from(layout->inodes_per_group),
        .max_mount_count = le16_from(UINT16_MAX),
        .magic = le16_from(MAGIC),
        .state = le16_from(STATE_CLEAN),
        .errors = le16_from(ERRORS_CONTINUE),
        .revision = le32_from(REVISION_DYNAMIC),
        .first_inode = le32_from(EXT4_FIRST_INODE),
        .inode_size = le16_from(EXT4_INODE_SIZE),
        .feature_compat = le32_from(COMPAT_EXT_ATTR | COMPAT_DIR_INDEX | COMPAT_SPARSE_SUPER2),
        .feature_incompat = le32_from(incompatible_features(layout)),
        .feature_ro_compat = le32_from(RO_COMPAT_SPARSE_SUPER | RO_COMPAT_LARGE_FILE | RO_COMPAT_HUGE_FILE |
                                       RO_COMPAT_DIR_NLINK | RO_COMPAT_EXTRA_ISIZE | RO_COMPAT_METADATA_CSUM),
        .default_hash_version = HASH_HALF_MD4,
        .descriptor_size = le16_from(EXT4_DESCRIPTOR_SIZE),
        .default_mount_options = le32_from(MOUNT_USER_XATTR | MOUNT_ACL),
        .first_meta_bg = le32_from(layout->meta_bg ? layout->descriptor_blocks : 0),
        .min_extra_inode_size = le16_from(EXTRA_INODE_SIZE),
        .want_extra_inode_size = le16_from(EXTRA_INODE_SIZE),
        .flags = le32_from(FLAG_UNSIGNED_HASH),
        .log_groups_per_flex = LOG_GROUPS_PER_FLEX,
        .checksum_type = CHECKSUM_CRC32C,
    };
    memcpy(sb.uuid, identity->uuid, sizeof sb.uuid);
    for (int i = 0; i < 4; i++)
        sb.hash_seed[i] = le32_from(identity->hash_seed[i]);
    sb.checksum = le32_from(ext4_checksum(UINT32_MAX, &sb, offsetof(struct superblock, checksum)));
    memcpy(bytes, &sb, sizeof sb);
}

void ext4_group_encode(uint8_t bytes[static EXT4_DESCRIPTOR_SIZE], const struct ext4_group *group, uint32_t number,
                       const struct ext4_identity *identity)
{
    struct descriptor descriptor = {
        .block_bitmap_lo = low32(group->block_bitmap),
        .block_bitmap_hi = high32(group->block_bitmap),
        .inode_bitmap_lo = low32(group->inode_bitmap),
        .inode_bitmap_hi = high32(group->inode_bitmap),
        .inode_table_lo = low32(group->inode_table),
        .inode_table_hi = high32(group->inode_table),
        .free_blocks_lo = low16(group->free_blocks),
        .free_blocks_hi = high16(group->free_blocks),
        .free_inodes_lo = low16(group->free_inodes),
        .free_inodes_hi = high16(group->free_inodes),
        .used_directories_lo = low16(group->used_directories),
        .used_directories_hi = high16(group->used_directories),
        .unused_inodes_lo = low16(group->unused_inodes),
        .unused_inodes_hi = high16(group->unused_inodes),
        .block_bitmap_checksum_lo = low16(group->block_bitmap_checksum),
        .block_bitmap_checksum_hi = high16(group->block_bitmap_checksum),
        .inode_bitmap_checksum_lo = low16(group->inode_bitmap_checksum),
        .inode_bitmap_checksum_hi = high16(group->inode_bitmap_checksum),
        .flags = le16_from(group->flags),
    };
    uint32_t checksum = ext4_checksum_le32(identity->checksum_seed, number);
    checksum = ext4_checksum(checksum, &descriptor, sizeof descriptor);
    descriptor.checksum = le16_from((uint16_t)checksum);
    memcpy(bytes, &descriptor, sizeof descriptor);
}

/* ---- reading ----------------------------------------------------------------------------------------------------- */

/* Features that a file system of this writer has, and has not unless asked for; the kernel may add none of them. */
static bool is_ours(const struct superblock *sb)
{
    uint32_t always = INCOMPAT_FILETYPE | INCOMPAT_EXTENTS | INCOMPAT_64BIT | INCOMPAT_FLEX_BG;
    uint32_t incompatible = le32_get(sb->feature_incompat);
    return (incompatible & ~(uint32_t)(INCOMPAT_META_BG | INCOMPAT_EA_INODE)) == always &&
           (le32_get(sb->feature_ro_compat) & RO_COMPAT_METADATA_CSUM) &&
           le32_get(sb->log_block_size) == EXT4_BLOCK_BITS - 10 && le16_get(sb->inode_size) == EXT4_INODE_SIZE &&
           le16_get(sb->descriptor_size) == EXT4_DESCRIPTOR_SIZE &&
           le32_get(sb->blocks_per_group) == EXT4_BLOCKS_PER_GROUP && le32_get(sb->first_data_block) == 0 &&
           sb->checksum_type == CHECKSUM_CRC32C;
}

/* Whether the numbers agree with each other. */
static bool is_possible(const struct ext4_geometry *geometry)
{
    uint64_t blocks = geometry->blocks;
    return blocks > 0 && blocks <= EXT4_BLOCKS_MAX &&
           geometry->group_count == (blocks + EXT4_BLOCKS_PER_GROUP - 1) / EXT4_BLOCKS_PER_GROUP &&
           geometry->inodes_per_group >= EXT4_INODES_PER_BLOCK &&
           geometry->inodes_per_group <= EXT4_INODES_PER_GROUP_MAX &&
           geometry->inodes_per_group % EXT4_INODES_PER_BLOCK == 0 &&
           geometry->inodes == (uint64_t)geometry->inodes_per_group * geometry->group_count &&
           geometry->inodes >= EXT4_FIRST_INODE;
}

int ext4_superblock_decode(const uint8_t bytes[static EXT4_SUPERBLOCK_SIZE], struct ext4_geometry *geometry,
                           struct error *err)
{
    struct superblock sb;
    memcpy(&sb, bytes, sizeof sb);
    if (le16_get(sb.magic) != MAGIC)
        return error_set(err, ENOTSUP, "this is no EXT4 file system");
    if (!is_ours(&sb))
        return error_set(err, ENOTSUP, "this is an EXT4 file system of another program or with other features");
    if (ext4_checksum(UINT32_MAX, &sb, offsetof(struct superblock, checksum)) != le32_get(sb.checksum))
        return error_set(err, EBADMSG, "the superblock is damaged");
    uint64_t blocks = (uint64_t)le32_get(sb.blocks_count_hi) << 32 | le32_get(sb.blocks_count_lo);
    struct ext4_geometry read = {
        .blocks = blocks,
        .inodes = le32_get(sb.inodes_count),
        .inodes_per_group = le32_get(sb.inodes_per_group),
        .group_count = (uint32_t)((blocks + EXT4_BLOCKS_PER_GROUP - 1) / EXT4_BLOCKS_PER_GROUP),
        .first_meta_bg = le32_get(sb.feature_incompat) & INCOMPAT_META_BG ? le32_get(sb.first_meta_bg) : UINT32_MAX,
        .checksum_seed = ext4_checksum(UINT32_MAX, sb.uuid, sizeof sb.uuid),
        .value_inodes = le32_get(sb.feature_incompat) & INCOMPAT_EA_INODE,
    };
    if (!is_possible(&read))
        return error_set(err, EBADMSG, "the superblock contradicts itself");
    *geometry = read;
    return 0;
}

static uint64_t join32(le32 low, le32 high)
{
    return (uint64_t)le32_get(high) << 32 | le32_get(low);
}

static uint32_t join16(le16 low, le16 high)
{
    return (uint32_t)le16_get(high) << 16 | le16_get(low);
}

int ext4_group_decode(const uint8_t bytes[static EXT4_DESCRIPTOR_SIZE], uint32_t number, uint32_t checksum_seed,
                      struct ext4_group *group, struct error *err)
{
    struct descriptor descriptor;
    memcpy(&descriptor, bytes, sizeof descriptor);
    uint16_t stored = le16_get(descriptor.checksum);
    descriptor.checksum = le16_from(0);
    uint32_t checksum = ext4_checksum(ext4_checksum_le32(checksum_seed, number), &descriptor, sizeof descriptor);
    if ((uint16_t)checksum != stored)
        return error_set(err, EBADMSG, "the descriptor of group %u is damaged", number);
    *group = (struct ext4_group){
        .block_bitmap = join32(descriptor.block_bitmap_lo, descriptor.block_bitmap_hi),
        .inode_bitmap = join32(descriptor.inode_bitmap_lo, descriptor.inode_bitmap_hi),
        .inode_table = join32(descriptor.inode_table_lo, descriptor.inode_table_hi),
        .free_blocks = join16(descriptor.free_blocks_lo, descriptor.free_blocks_hi),
        .free_inodes = join16(descriptor.free_inodes_lo, descriptor.free_inodes_hi),
        .used_directories = join16(descriptor.used_directories_lo, descriptor.used_directories_hi),
        .unused_inodes = join16(descriptor.unused_inodes_lo, descriptor.unused_inodes_hi),
        .block_bitmap_checksum = join16(descriptor.block_bitmap_checksum_lo, descriptor.block_bitmap_checksum_hi),
        .inode_bitmap_checksum = join16(descriptor.inode_bitmap_checksum_lo, descriptor.inode_bitmap_checksum_hi),
        .flags = le16_get(descriptor.flags),
    };
    return 0;
}
