/* SPDX-License-Identifier: Apache-2.0 */
#include "image/tree_path.h"

#include <errno.h>
#include <string.h>

#include "base/error.h"

/* One component of a path, borrowed from it. */
struct component {
    const char *name;
    size_t length;
};

struct walk {
    struct tree *tree;
    struct tree_inode *directory; /* where the walk stands */
    uint32_t layer;
    enum tree_path_mode mode;
    unsigned symlinks; /* followed so far, which also bounds the recursion */
    unsigned steps;
    struct error *err;
};

/* Takes the next component that is neither empty nor `.` off *path. @return false at the end */
static bool next_component(const char **path, struct component *component)
{
    for (;;) {
        const char *start = *path + strspn(*path, "/");
        size_t length = strcspn(start, "/");
        *path = start + length;
        if (length == 0)
            return false;
        if (length == 1 && start[0] == '.')
            continue;
        *component = (struct component){start, length};
        return true;
    }
}

static bool is_dot_dot(struct component component)
{
    return component.length == 2 && component.name[0] == '.' && component.name[1] == '.';
}

static int check_length(struct component component, struct error *err)
{
    if (component.length <= TREE_NAME_MAX)
        return 0;
    return error_set(err, EBADMSG, "a name has %zu bytes, %d are possible", component.length, TREE_NAME_MAX);
}

/* Creates a directory and goes there. */
static int create_directory(struct walk *walk, struct component component)
{
    struct tree_inode *inode = tree_inode_new(S_IFDIR);
    if (!inode)
        return error_set(walk->err, ENOMEM, "out of memory");
    tree_imply_directory(inode);
    int rc =
        tree_add(walk->tree, walk->directory, component.name, component.length, inode, walk->layer, NULL, walk->err);
    if (rc == 0)
        walk->directory = inode;
    tree_inode_put(walk->tree, inode);
    return rc;
}

static int follow(struct walk *walk, const char *target);

/* Goes one component down, through a symbolic link if it is one. */
static int descend(struct walk *walk, struct component component)
{
    int rc = check_length(component, walk->err);
    if (rc < 0)
        return rc;
    if (++walk->steps > TREE_STEPS_MAX)
        return error_set(walk->err, EBADMSG, "more than %d directories on the way", TREE_STEPS_MAX);
    struct tree_entry *entry =
        tree_lookup(walk->tree, walk->directory, component.name, component.length, walk->mode == TREE_PATH_FIND);
    if (!entry && walk->mode == TREE_PATH_FIND)
        return -ENOENT;
    if (!entry)
        return create_directory(walk, component);
    if (S_ISLNK(entry->inode->mode))
        return follow(walk, entry->inode->target);
    if (!S_ISDIR(entry->inode->mode))
        return error_set(walk->err, EBADMSG, "'%s' on the way is no directory", entry->name);
    walk->directory = entry->inode;
    return 0;
}

/* Goes where a symbolic link in the current directory leads. */
static int follow(struct walk *walk, const char *target)
{
    if (++walk->symlinks > TREE_SYMLINKS_MAX)
        return error_set(walk->err, EBADMSG, "more than %d symbolic links on the way", TREE_SYMLINKS_MAX);
    if (target[0] == '/')
        walk->directory = tree_root(walk->tree);
    struct component component;
    while (next_component(&target, &component)) {
        if (is_dot_dot(component)) {
            const struct tree_entry *self = walk->directory->directory.self;
            walk->directory = self ? self->parent : walk->directory;
            continue;
        }
        int rc = descend(walk, component);
        if (rc < 0)
            return rc;
    }
    return 0;
}

int tree_path_locate(struct tree *tree, const char *path, uint32_t layer, enum tree_path_mode mode,
                     struct tree_location *location, struct error *err)
{
    size_t path_length = strlen(path);
    if (path_length > TREE_PATH_MAX)
        return error_set(err, EBADMSG, "its path has %zu bytes, %d are possible", path_length, TREE_PATH_MAX);
    struct walk walk = {.tree = tree, .directory = tree_root(tree), .layer = layer, .mode = mode, .err = err};
    struct component last = {0}, component;
    while (next_component(&path, &component)) {
        if (is_dot_dot(component))
            return error_set(err, EBADMSG, "'..' in a path is not allowed");
        int rc = last.length ? descend(&walk, last) : 0;
        if (rc < 0)
            return rc;
        last = component;
    }
    int rc = check_length(last, err);
    if (rc < 0)
        return rc;
    location->directory = walk.directory;
    location->name_length = last.length;
    memcpy(location->name, last.name ? last.name : "", last.length);
    location->name[last.length] = '\0';
    return 0;
}
