/* SPDX-License-Identifier: Apache-2.0 */
/* From the header of a tar entry, as libarchive presents it, to an inode. */
#ifndef IMAGE_LAYER_ENTRY_H
#define IMAGE_LAYER_ENTRY_H

#include <stdint.h>

struct archive_entry;
struct error;
struct tree_inode;

/** The type bits of an inode's mode for this entry. @return 0 and *type, or -EBADMSG for a type that files don't have
 */
int layer_entry_type(struct archive_entry *entry, uint16_t *type, struct error *err);

/**
 * Sets everything but the contents: permissions, owner, time, extended attributes, and by type size, target or device.
 * @param inode  of layer_entry_type()'s type; what it had is replaced
 * @return 0; -EBADMSG for values out of range; -ENOMEM
 */
int layer_entry_describe(struct archive_entry *entry, struct tree_inode *inode, struct error *err);

#endif
