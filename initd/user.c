/* SPDX-License-Identifier: Apache-2.0 */
#include "initd/user.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/fd.h"

/* A piece of a database; not terminated. */
struct span {
    const char *start;
    size_t length;
};

static struct span span_of(const char *text)
{
    return (struct span){text, strlen(text)};
}

static bool span_equal(struct span a, struct span b)
{
    return a.length == b.length && memcmp(a.start, b.start, a.length) == 0;
}

/* Cuts the next piece off the front of *rest, up to the separator or to the end. @return false when nothing is left */
static bool cut(struct span *rest, char separator, struct span *piece)
{
    if (!rest->start)
        return false;
    const char *found = rest->length ? memchr(rest->start, separator, rest->length) : NULL;
    piece->start = rest->start;
    piece->length = found ? (size_t)(found - rest->start) : rest->length;
    if (found) {
        rest->start = found + 1;
        rest->length -= piece->length + 1;
    } else {
        *rest = (struct span){NULL, 0};
    }
    return true;
}

/* Splits a line at its colons. @return how many fields were found, at most @p max */
static size_t split_fields(struct span line, struct span *fields, size_t max)
{
    size_t count = 0;
    while (count < max && cut(&line, ':', &fields[count]))
        count++;
    return count;
}

/* A decimal number. @return 0, -ENOENT when it is none, -EINVAL when it is too large */
static int parse_id(struct span text, uint32_t *id)
{
    uint64_t number = 0;
    if (text.length == 0)
        return -ENOENT;
    for (size_t i = 0; i < text.length; i++) {
        if (text.start[i] < '0' || text.start[i] > '9')
            return -ENOENT;
        if (number <= USER_ID_MAX)
            number = number * 10 + (uint64_t)(text.start[i] - '0');
    }
    if (number > USER_ID_MAX)
        return -EINVAL;
    *id = (uint32_t)number;
    return 0;
}

/* The fields of passwd(5) and group(5) that matter here. */
enum { PASSWD_NAME = 0, PASSWD_UID = 2, PASSWD_GID = 3, PASSWD_HOME = 5, PASSWD_FIELDS = 7 };
enum { GROUP_NAME = 0, GROUP_GID = 2, GROUP_MEMBERS = 3, GROUP_FIELDS = 4 };

/* One well-formed entry of either file. */
struct entry {
    struct span fields[PASSWD_FIELDS];
    size_t count;
    uint32_t id; /* field 2 of both: uid or gid */
};

static bool next_entry(struct span *database, size_t least, struct entry *entry)
{
    struct span line;
    while (cut(database, '\n', &line)) {
        entry->count = split_fields(line, entry->fields, PASSWD_FIELDS);
        if (entry->count >= least && entry->fields[0].length > 0 && parse_id(entry->fields[2], &entry->id) == 0)
            return true;
    }
    return false;
}

static struct span database_span(struct user_database database)
{
    return (struct span){database.length ? database.bytes : NULL, database.length};
}

/* Takes uid, gid and home of the first entry with that name, or with that number when @p by_id. The name found is left
 * in *name, for the groups. @return whether there is one */
static bool find_user(struct user *user, struct user_database passwd, bool by_id, uint32_t id, struct span *name)
{
    struct span rest = database_span(passwd);
    struct entry entry = {0};
    while (next_entry(&rest, PASSWD_HOME, &entry)) {
        uint32_t gid;
        if (by_id ? entry.id != id : !span_equal(entry.fields[PASSWD_NAME], *name))
            continue;
        if (parse_id(entry.fields[PASSWD_GID], &gid) < 0)
            continue;
        user->uid = entry.id;
        user->gid = gid;
        struct span home = entry.count > PASSWD_HOME ? entry.fields[PASSWD_HOME] : (struct span){NULL, 0};
        if (home.length > 0 && home.length < USER_HOME_MAX && !memchr(home.start, 0, home.length)) {
            memcpy(user->home, home.start, home.length);
            user->home[home.length] = 0;
        }
        *name = entry.fields[PASSWD_NAME];
        return true;
    }
    return false;
}

static bool lists_member(struct span members, struct span name)
{
    struct span member;
    while (cut(&members, ',', &member))
        if (span_equal(member, name))
            return true;
    return false;
}

static void add_supplementary_groups(struct user *user, struct user_database group, struct span name)
{
    struct span rest = database_span(group);
    struct entry entry = {0};
    while (user->group_count < USER_GROUPS_MAX && next_entry(&rest, GROUP_FIELDS, &entry))
        if (lists_member(entry.fields[GROUP_MEMBERS], name))
            user->groups[user->group_count++] = entry.id;
}

static bool find_group(struct user *user, struct user_database group, struct span name)
{
    struct span rest = database_span(group);
    struct entry entry = {0};
    while (next_entry(&rest, GROUP_MEMBERS, &entry)) {
        if (span_equal(entry.fields[GROUP_NAME], name)) {
            user->gid = entry.id;
            return true;
        }
    }
    return false;
}

static int resolve_user(struct user *user, struct span text, struct user_database passwd, struct span *name,
                        struct error *err)
{
    uint32_t id = 0;
    int rc = text.length ? parse_id(text, &id) : 0;
    if (rc == -EINVAL)
        return error_set(err, EINVAL, "user '%.*s' is above %u", (int)text.length, text.start, USER_ID_MAX);
    *name = text;
    if (find_user(user, passwd, rc == 0, id, name))
        return 0;
    if (rc < 0)
        return error_set(err, ENOENT, "unable to find user %.*s: no matching entries in passwd file", (int)text.length,
                         text.start);
    user->uid = id;
    *name = (struct span){NULL, 0};
    return 0;
}

static int resolve_group(struct user *user, struct span text, struct user_database group, struct error *err)
{
    uint32_t id;
    int rc = parse_id(text, &id);
    if (rc == 0) {
        user->gid = id;
        return 0;
    }
    if (rc == -EINVAL)
        return error_set(err, EINVAL, "group '%.*s' is above %u", (int)text.length, text.start, USER_ID_MAX);
    if (find_group(user, group, text))
        return 0;
    return error_set(err, ENOENT, "unable to find group %.*s: no matching entries in group file", (int)text.length,
                     text.start);
}

int user_resolve(struct user *out, const char *text, struct user_database passwd, struct user_database group,
                 struct error *err)
{
    struct user user = {.home = "/"};
    struct span rest = span_of(text);
    struct span user_text = {text, 0};
    struct span name = {NULL, 0};
    (void)cut(&rest, ':', &user_text);
    int rc = resolve_user(&user, user_text, passwd, &name, err);
    if (rc < 0)
        return rc;
    if (rest.length > 0)
        rc = resolve_group(&user, rest, group, err);
    else if (name.length > 0)
        add_supplementary_groups(&user, group, name);
    if (rc == 0)
        *out = user;
    return rc;
}

/* The start of a file, or nothing when it cannot be read. */
static struct user_database read_database(const char *path, char **bytes)
{
    struct user_database empty = {NULL, 0};
    /* Non-blocking, for an image in which it is a fifo. */
    cleanup_fd int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return empty;
    *bytes = malloc(USER_DATABASE_MAX);
    ssize_t length = *bytes ? fd_read_full(fd, *bytes, USER_DATABASE_MAX) : 0;
    return length > 0 ? (struct user_database){*bytes, (size_t)length} : empty;
}

int user_resolve_here(struct user *user, const char *text, struct error *err)
{
    cleanup_free char *passwd = NULL;
    cleanup_free char *group = NULL;
    struct user_database passwd_database = read_database("/etc/passwd", &passwd);
    struct user_database group_database = read_database("/etc/group", &group);
    return user_resolve(user, text, passwd_database, group_database, err);
}
