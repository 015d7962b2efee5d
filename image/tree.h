/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tree of an image while its layers are merged: inodes and the names that lead to them, as in a file system. Two
 * names of one file (a hard link) are two entries with one inode, so what happens to one name never touches the other.
 * File contents are not here but in the output already; an inode knows where (image/extents.h).
 *
 * Every entry carries the number of the layer that wrote it last: whiteouts act on lower layers only
 * (OCI image-spec, layer.md, "Whiteouts"), whatever the order inside a layer.
 *
 * All children of all directories are found through one table keyed by (directory, name); a directory lists its
 * children in the order in which they were added, so the same layers always give the same tree.
 */
#ifndef IMAGE_TREE_H
#define IMAGE_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include "image/extents.h"

struct error;

enum {
    TREE_NAME_MAX = 255,          /**< bytes of one name */
    TREE_DEPTH_MAX = 1024,        /**< directories below each other */
    TREE_ENTRIES_MAX = 8 << 20,   /**< names in one tree */
    TREE_SYMLINK_MAX = 4095,      /**< bytes of a symbolic link's target */
    TREE_XATTR_NAME_MAX = 255,    /**< bytes of an extended attribute's name (xattr(7)) */
    TREE_XATTR_VALUE_MAX = 65536, /**< bytes of its value */
    TREE_LINKS_MAX = 65000,       /**< names of one file (EXT4_LINK_MAX) */
};

/** One extended attribute; a list sorted by name. Owned by its inode. */
struct tree_xattr {
    struct tree_xattr *next;
    uint32_t value_length;
    uint32_t value_inode; /**< the writer's: number of the inode that holds the value, 0 if none does */
    uint8_t name_length;
    char bytes[]; /**< the name, its terminator, the value */
};

static inline const char *tree_xattr_value(const struct tree_xattr *xattr)
{
    return xattr->bytes + xattr->name_length + 1;
}

struct tree_entry;

/** What a directory holds. */
struct tree_directory {
    struct tree_entry *first, *last; /**< children in the order of their addition */
    struct tree_entry *self;         /**< the directory's own name; NULL for the root */
    uint32_t children;
    uint32_t subdirectories;
    uint32_t depth; /**< 0 for the root */
};

/** A file of any type. */
struct tree_inode {
    uint64_t size; /**< bytes; regular files and symbolic links */
    int64_t mtime; /**< seconds since the epoch */
    uint32_t mtime_nsec;
    uint32_t uid, gid;
    uint32_t links;    /**< names that lead here, plus holds */
    uint32_t number;   /**< given by the writer; 0 before */
    uint64_t metadata; /**< the writer's: where blocks that describe the inode lie, if it needs any */
    uint16_t mode;     /**< type and permissions as in inode(7) */
    struct tree_xattr *xattrs;
    struct extents extents; /**< contents in the output */
    union {
        struct tree_directory directory; /**< S_IFDIR */
        char *target;                    /**< S_IFLNK; owned */
        struct {
            uint32_t major, minor;
        } device; /**< S_IFCHR, S_IFBLK */
    };
};

/** A name in a directory. */
struct tree_entry {
    struct tree_entry *next_in_bucket;
    struct tree_entry *next, *previous; /**< siblings */
    struct tree_inode *parent;
    struct tree_inode *inode;
    uint32_t hash;
    uint32_t layer; /**< the layer that wrote it last */
    uint8_t name_length;
    bool removed; /**< whited out by the layer being applied: kept for its hard links until tree_forget_removed() */
    char name[];  /**< terminated */
};

/** Told when an inode is about to go, so that the blocks of its contents can be used again. */
typedef void tree_release(void *context, const struct tree_inode *inode);

struct tree;

/** A tree that holds an empty root directory (mode 0755, owner 0:0). @return 0 or -ENOMEM */
int tree_new(struct tree **tree, tree_release *release, void *context, struct error *err);

/** Frees everything; `release` is not called. NULL is fine. */
void tree_free(struct tree *tree);

struct tree_inode *tree_root(const struct tree *tree);

/** Names in the tree, without the root. */
uint32_t tree_entry_count(const struct tree *tree);

/** A new inode without a name, held once: give it back with tree_inode_put(). NULL when out of memory. */
struct tree_inode *tree_inode_new(uint16_t mode);

/**
 * Ends a hold or a name; the last one frees the inode, which is then no directory with children. NULL is fine.
 * @param tree  NULL for an inode that never had a name: nobody is told of its end
 */
void tree_inode_put(struct tree *tree, struct tree_inode *inode);

/** The child with that name, or NULL. @p removed: also one that the layer being applied has whited out. */
struct tree_entry *tree_lookup(const struct tree *tree, const struct tree_inode *directory, const char *name,
                               size_t length, bool removed);

/**
 * Adds a name that is not there yet. The inode gains a link.
 *
 * @param length  1 to TREE_NAME_MAX
 * @return 0 and *entry (may be NULL); -ENOMEM; -EMLINK, -E2BIG past a maximum
 */
int tree_add(struct tree *tree, struct tree_inode *directory, const char *name, size_t length, struct tree_inode *inode,
             uint32_t layer, struct tree_entry **entry, struct error *err);

/** Takes a name away, with everything below it. */
void tree_remove(struct tree *tree, struct tree_entry *entry);

/**
 * Whites out what layers below @p layer put at @p entry and below it. What @p layer itself put there stays; a directory
 * that stays only for that becomes an implied one (tree_imply_directory()). Names that go can still be found as
 * removed ones until tree_forget_removed().
 */
void tree_whiteout(struct tree *tree, struct tree_entry *entry, uint32_t layer);

/** Like tree_whiteout() for each child of @p directory: an opaque directory. */
void tree_make_opaque(struct tree *tree, struct tree_inode *directory, uint32_t layer);

/** Ends a layer: what it has whited out goes for good. */
void tree_forget_removed(struct tree *tree);

/** Gives a directory the attributes of one that no layer describes: mode 0755, owner 0:0, mtime 0, no xattrs. */
void tree_imply_directory(struct tree_inode *directory);

/**
 * Sets an extended attribute; one of that name is replaced.
 * @return 0; -ENOMEM; -E2BIG past a maximum
 */
int tree_set_xattr(struct tree_inode *inode, const char *name, const void *value, size_t length, struct error *err);

/** Drops all extended attributes. */
void tree_clear_xattrs(struct tree_inode *inode);

/**
 * Walks all names depth first, a directory before its children; @p entry NULL starts.
 * @return the next one, or NULL at the end
 */
struct tree_entry *tree_walk(const struct tree *tree, const struct tree_entry *entry);

#endif
