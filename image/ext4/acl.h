/* SPDX-License-Identifier: Apache-2.0 */
/*
 * POSIX ACLs: from the form in which system.posix_acl_* attributes are exchanged (Linux uapi/linux/posix_acl_xattr.h)
 * to the shorter one that EXT4 stores (Documentation/filesystems/ext4/attributes.rst, "POSIX ACLs").
 */
#ifndef IMAGE_EXT4_ACL_H
#define IMAGE_EXT4_ACL_H

#include <stddef.h>
#include <stdint.h>

struct error;

/**
 * Converts an ACL.
 * @param stored  set to the result, which the caller frees
 * @return 0; -EINVAL for what is no ACL; -ENOMEM
 */
int ext4_acl_from_xattr(const uint8_t *value, size_t length, uint8_t **stored, size_t *stored_length,
                        struct error *err);

#endif
