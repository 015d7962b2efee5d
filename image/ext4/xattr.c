/* SPDX-License-Identifier: Apache-2.0 */
#include "image/ext4/xattr.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/error.h"
#include "image/ext4/acl.h"
#include "image/ext4/checksum.h"
#include "image/tree.h"

enum {
    MAGIC = 0xea020000,
    END_SIZE = 4, /* of the zeros behind the last entry */
    INDEX_ACL_ACCESS = 2,
    INDEX_ACL_DEFAULT = 3,
};

struct header {
    le32 magic;
    le32 reference_count;
    le32 blocks;
    le32 hash;
    le32 checksum;
    le32 reserved[3];
};

struct entry {
    uint8_t name_length;
    uint8_t name_index;
    le16 value_offset;
    le32 value_inode;
    le32 value_size;
    le32 hash;
};
_Static_assert(sizeof(struct header) == 32 && sizeof(struct entry) == 16, "xattr structures");

enum { BLOCK_ROOM = EXT4_BLOCK_SIZE - sizeof(struct header), INODE_ROOM = EXT4_XATTR_INODE_ROOM - 4 };

/* Whole names first. */
static const struct prefix {
    const char *text;
    uint8_t index;
    bool whole;
} prefixes[] = {
    {"system.posix_acl_access", INDEX_ACL_ACCESS, true},
    {"system.posix_acl_default", INDEX_ACL_DEFAULT, true},
    {"user.", 1, false},
    {"trusted.", 4, false},
    {"security.", 6, false},
    {"system.", 7, false},
};

static const struct prefix *find_prefix(const char *name)
{
    for (size_t i = 0; i < sizeof prefixes / sizeof prefixes[0]; i++) {
        size_t length = strlen(prefixes[i].text);
        if (strncmp(name, prefixes[i].text, length) == 0 && (name[length] == '\0') == prefixes[i].whole)
            return &prefixes[i];
    }
    return NULL;
}

bool ext4_xattr_is_known(const char *name)
{
    return find_prefix(name) != NULL;
}

static size_t padded(size_t length)
{
    return (length + 3) & ~(size_t)3;
}

static size_t item_size(const struct ext4_xattr_item *item)
{
    return sizeof(struct entry) + padded(item->name_length) + (item->in_value_inode ? 0 : padded(item->value_length));
}

/* ---- planning ---------------------------------------------------------------------------------------------------- */

/* Blocks are searched by index, then length, then name (EXT4's order, not the alphabet's). */
static int compare_items(const void *left, const void *right)
{
    const struct ext4_xattr_item *a = left, *b = right;
    if (a->index != b->index)
        return a->index - b->index;
    if (a->name_length != b->name_length)
        return a->name_length - b->name_length;
    return memcmp(a->name, b->name, a->name_length);
}

static int convert_acl(struct ext4_xattr_plan *plan, struct ext4_xattr_item *item, struct error *err)
{
    uint8_t **converted = &plan->converted[item->index - INDEX_ACL_ACCESS];
    size_t length;
    int rc = ext4_acl_from_xattr(item->value, item->value_length, converted, &length, err);
    if (rc < 0)
        return rc;
    item->value = *converted;
    item->value_length = (uint32_t)length;
    return 0;
}

static int add_item(struct ext4_xattr_plan *plan, struct tree_xattr *xattr, struct error *err)
{
    const struct prefix *prefix = find_prefix(xattr->bytes);
    if (!prefix)
        return error_set(err, EINVAL, "EXT4 has no place for the extended attribute '%s'", xattr->bytes);
    if (plan->count == EXT4_XATTR_MAX)
        return error_set(err, E2BIG, "a file has more than %d extended attributes", EXT4_XATTR_MAX);
    struct ext4_xattr_item *item = &plan->items[plan->count++];
    size_t skip = strlen(prefix->text);
    *item = (struct ext4_xattr_item){
        .name = xattr->bytes + skip,
        .name_length = (uint8_t)(xattr->name_length - skip),
        .index = prefix->index,
        .xattr = xattr,
        .value = (const uint8_t *)tree_xattr_value(xattr),
        .value_length = xattr->value_length,
    };
    return prefix->whole ? convert_acl(plan, item, err) : 0;
}

/* @return the bytes that the block would have to hold */
static size_t place_items(struct ext4_xattr_plan *plan)
{
    size_t inode_used = END_SIZE, block_used = END_SIZE;
    plan->needs_block = false;
    for (size_t i = 0; i < plan->count; i++) {
        struct ext4_xattr_item *item = &plan->items[i];
        size_t size = item_size(item);
        if (inode_used + size <= INODE_ROOM) {
            item->in_inode = true;
            inode_used += size;
            continue;
        }
        item->in_inode = false;
        block_used += size;
        plan->needs_block = true;
    }
    return block_used;
}

/* Gives the longest value that has none yet an inode of its own. @return false if there is no long one */
static bool move_longest_value(struct ext4_xattr_plan *plan)
{
    struct ext4_xattr_item *longest = NULL;
    for (size_t i = 0; i < plan->count; i++) {
        struct ext4_xattr_item *item = &plan->items[i];
        if (!item->in_value_inode && item->value_length >= EXT4_XATTR_VALUE_INODE_MIN &&
            (!longest || item->value_length > longest->value_length))
            longest = item;
    }
    if (longest)
        longest->in_value_inode = plan->needs_value_inodes = true;
    return longest != NULL;
}

static int fit_items(struct ext4_xattr_plan *plan, struct error *err)
{
    size_t block_used;
    while ((block_used = place_items(plan)) > BLOCK_ROOM)
        if (!move_longest_value(plan))
            return error_set(err, E2BIG, "extended attributes of more than %zu bytes do not fit into a block of %d",
                             block_used, EXT4_BLOCK_SIZE);
    return 0;
}

int ext4_xattr_plan(struct ext4_xattr_plan *plan, const struct tree_inode *inode, struct error *err)
{
    plan->count = 0;
    plan->needs_block = plan->needs_value_inodes = false;
    plan->converted[0] = plan->converted[1] = NULL;
    int rc = 0;
    for (struct tree_xattr *xattr = inode->xattrs; xattr && rc == 0; xattr = xattr->next)
        rc = add_item(plan, xattr, err);
    if (rc == 0) {
        qsort(plan->items, plan->count, sizeof plan->items[0], compare_items);
        rc = fit_items(plan, err);
    }
    if (rc < 0)
        ext4_xattr_plan_done(plan);
    return rc;
}

void ext4_xattr_plan_done(struct ext4_xattr_plan *plan)
{
    free(plan->converted[0]);
    free(plan->converted[1]);
    plan->converted[0] = plan->converted[1] = NULL;
}

/* ---- encoding ---------------------------------------------------------------------------------------------------- */

static uint32_t rotate(uint32_t value, unsigned bits)
{
    return value << bits | value >> (32 - bits);
}

/* e_hash, over the name and the value in words; of a value with its own inode its checksum is the one word. */
static uint32_t item_hash(const struct ext4_xattr_item *item, uint32_t checksum_seed)
{
    uint32_t hash = 0;
    for (size_t i = 0; i < item->name_length; i++)
        hash = rotate(hash, 5) ^ (uint8_t)item->name[i];
    if (item->in_value_inode)
        return rotate(hash, 16) ^ ext4_checksum(checksum_seed, item->value, item->value_length);
    for (size_t at = 0; at < item->value_length; at += 4) {
        uint8_t word[4] = {0};
        size_t left = item->value_length - at;
        memcpy(word, item->value + at, left < 4 ? left : 4);
        hash = rotate(hash, 16) ^ load_le32(word);
    }
    return hash;
}

/*
 * Entries grow from @p entries up, values from the end down. Offsets of values count from @p base.
 * Returns the hash over all.
 */
static uint32_t encode_items(const struct ext4_xattr_plan *plan, bool in_inode, uint8_t *base, uint8_t *entries,
                             uint8_t *end, uint32_t checksum_seed)
{
    uint32_t hash = 0;
    for (size_t i = 0; i < plan->count; i++) {
        const struct ext4_xattr_item *item = &plan->items[i];
        if (item->in_inode != in_inode)
            continue;
        uint32_t inline_length = item->in_value_inode ? 0 : item->value_length;
        end -= padded(inline_length);
        if (inline_length)
            memcpy(end, item->value, inline_length);
        /* Inside inodes nobody maintains it, except to check a value that lies elsewhere. */
        uint32_t own_hash = in_inode && !item->in_value_inode ? 0 : item_hash(item, checksum_seed);
        struct entry entry = {
            .name_length = item->name_length,
            .name_index = item->index,
            .value_offset = le16_from((uint16_t)(inline_length ? end - base : 0)),
            .value_inode = le32_from(item->in_value_inode ? item->xattr->value_inode : 0),
            .value_size = le32_from(item->value_length),
            .hash = le32_from(own_hash),
        };
        memcpy(entries, &entry, sizeof entry);
        memcpy(entries + sizeof entry, item->name, item->name_length);
        entries += sizeof entry + padded(item->name_length);
        hash = rotate(hash, 16) ^ own_hash;
    }
    return hash;
}

void ext4_xattr_encode_inode(const struct ext4_xattr_plan *plan, uint8_t room[static EXT4_XATTR_INODE_ROOM],
                             uint32_t checksum_seed)
{
    bool any = false;
    for (size_t i = 0; i < plan->count; i++)
        any = any || plan->items[i].in_inode;
    if (!any)
        return;
    store_le32(room, MAGIC);
    encode_items(plan, true, room + 4, room + 4, room + EXT4_XATTR_INODE_ROOM, checksum_seed);
}

void ext4_xattr_encode_block(const struct ext4_xattr_plan *plan, uint8_t block[static EXT4_BLOCK_SIZE], uint64_t place,
                             uint32_t checksum_seed)
{
    memset(block, 0, EXT4_BLOCK_SIZE);
    uint32_t hash =
        encode_items(plan, false, block, block + sizeof(struct header), block + EXT4_BLOCK_SIZE, checksum_seed);
    struct header header = {
        .magic = le32_from(MAGIC),
        .reference_count = le32_from(1),
        .blocks = le32_from(1),
        .hash = le32_from(hash),
    };
    memcpy(block, &header, sizeof header);
    le64 number = le64_from(place);
    uint32_t checksum = ext4_checksum(checksum_seed, &number, sizeof number);
    checksum = ext4_checksum(checksum, block, EXT4_BLOCK_SIZE);
    store_le32(block + offsetof(struct header, checksum), checksum);
}
