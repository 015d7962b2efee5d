/* SPDX-License-Identifier: Apache-2.0 */
#include "image/ext4/xattr_value.h"

#include <errno.h>
#include <sys/stat.h>

#include "base/checked.h"
#include "base/error.h"
#include "image/ext4/checksum.h"
#include "image/ext4/content.h"
#include "image/ext4/filesystem.h"
#include "image/ext4/xattr.h"
#include "image/tree.h"

static int write_value(struct ext4_filesystem *fs, struct tree_inode *inode, const struct ext4_xattr_item *item,
                       struct error *err)
{
    struct ext4_content content;
    ext4_content_begin(&content, fs, inode, item->value_length);
    int rc = ext4_content_write(&content, 0, item->value, item->value_length, err);
    int end_rc = ext4_content_end(&content, rc < 0 ? NULL : err);
    return rc < 0 ? rc : end_rc;
}

static int make_value(struct ext4_filesystem *fs, const struct ext4_xattr_item *item, struct error *err)
{
    struct tree_inode *inode = tree_inode_new(S_IFREG | 0600);
    if (!inode)
        return error_set(err, ENOMEM, "out of memory");
    int rc = ext4_filesystem_add_inode(fs, inode, err);
    if (rc < 0) {
        tree_inode_put(NULL, inode);
        return rc;
    }
    inode->size = item->value_length;
    inode->mtime = ext4_checksum(fs->identity.checksum_seed, item->value, item->value_length);
    item->xattr->value_inode = inode->number;
    return write_value(fs, inode, item, err);
}

int ext4_xattr_values_write(struct ext4_filesystem *fs, const struct ext4_xattr_plan *plan, struct error *err)
{
    for (size_t i = 0; plan->needs_value_inodes && i < plan->count; i++) {
        int rc = plan->items[i].in_value_inode ? make_value(fs, &plan->items[i], err) : 0;
        if (rc < 0)
            return rc;
    }
    return 0;
}

uint64_t ext4_xattr_values_blocks(const struct ext4_xattr_plan *plan)
{
    uint64_t blocks = 0;
    for (size_t i = 0; i < plan->count; i++)
        if (plan->items[i].in_value_inode)
            blocks += divide_round_up_u64(plan->items[i].value_length, EXT4_BLOCK_SIZE);
    return blocks;
}

bool ext4_xattr_value_is(const struct ext4_filesystem *fs, const struct tree_inode *inode)
{
    return inode->number >= EXT4_FIRST_INODE + fs->tree_inode_count;
}

uint32_t ext4_xattr_value_checksum(const struct tree_inode *inode)
{
    return (uint32_t)inode->mtime;
}
