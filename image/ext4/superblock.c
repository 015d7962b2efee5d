/* SPDX-License-Identifier: Apache-2.0 */
#include "image/ext4/superblock.h"

#include <stddef.h>
#include <string.h>

#include "base/bytes.h"
#include "image/ext4/checksum.h"
#include "image/ext4/layout.h"

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
