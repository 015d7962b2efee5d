/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who a process runs as: the image's "User" (OCI image-spec, config.md: user, uid, user:group, uid:gid, uid:group,
 * user:gid) resolved against the container's own /etc/passwd and /etc/group (passwd(5), group(5)). The files come from
 * an image, so the parser is bounded and takes any bytes: a line that is not well-formed is passed over.
 */
#ifndef INITD_USER_H
#define INITD_USER_H

#include <stddef.h>
#include <stdint.h>

struct error;

enum {
    USER_DATABASE_MAX = 1024 * 1024, /**< bytes read of either file; what lies behind is not looked at */
    USER_GROUPS_MAX = 256,           /**< supplementary groups; more are not taken */
    USER_HOME_MAX = 4096,
    USER_ID_MAX = 2147483647, /**< largest uid or gid, as docker has it */
};

/** A resolved identity. */
struct user {
    uint32_t uid;
    uint32_t gid;
    uint32_t groups[USER_GROUPS_MAX]; /**< supplementary groups */
    size_t group_count;
    char home[USER_HOME_MAX]; /**< from passwd; "/" when the user has no entry */
};

/** Bytes of a database file; empty when the image has none. */
struct user_database {
    const char *bytes;
    size_t length;
};

/**
 * Resolves @p text. Empty means uid 0. A name must be in the database; a number need not be. Without a group the
 * user's own and those that list it are taken; with one, only that one.
 *
 * @return 0; -ENOENT when a name is not known, -EINVAL when a number is above USER_ID_MAX
 */
int user_resolve(struct user *user, const char *text, struct user_database passwd, struct user_database group,
                 struct error *err);

/** Like user_resolve(), with /etc/passwd and /etc/group under the current root directory. */
int user_resolve_here(struct user *user, const char *text, struct error *err);

#endif
