/* SPDX-License-Identifier: Apache-2.0 */
#include "image/tree.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/error.h"
#include "image/name_hash.h"

enum { BUCKETS_FIRST = 256, IMPLIED_MODE = S_IFDIR | 0755 };

struct tree {
    struct tree_inode *root;
    struct tree_entry **buckets;
    uint32_t bucket_mask;
    uint32_t in_table;          /* live and removed entries */
    uint32_t entries;           /* live ones */
    struct tree_entry *removed; /* linked by next */
    struct name_hash_key key;
    tree_release *release;
    void *context;
};

/* ---- inodes ------------------------------------------------------------------------------------------------------ */

struct tree_inode *tree_inode_new(uint16_t mode)
{
    struct tree_inode *inode = calloc(1, sizeof *inode);
    if (!inode)
        return NULL;
    inode->mode = mode;
    inode->links = 1;
    return inode;
}

void tree_clear_xattrs(struct tree_inode *inode)
{
    while (inode->xattrs) {
        struct tree_xattr *gone = inode->xattrs;
        inode->xattrs = gone->next;
        free(gone);
    }
}

static void inode_free(struct tree_inode *inode)
{
    tree_clear_xattrs(inode);
    extents_done(&inode->extents);
    if (S_ISLNK(inode->mode))
        free(inode->target);
    free(inode);
}

void tree_inode_put(struct tree *tree, struct tree_inode *inode)
{
    if (!inode || --inode->links > 0)
        return;
    if (tree && tree->release)
        tree->release(tree->context, inode);
    inode_free(inode);
}

int tree_set_xattr(struct tree_inode *inode, const char *name, const void *value, size_t length, struct error *err)
{
    size_t name_length = strlen(name);
    if (name_length == 0 || name_length > TREE_XATTR_NAME_MAX)
        return error_set(err, E2BIG, "the name of an extended attribute has %zu bytes (1 to %d are possible)",
                         name_length, TREE_XATTR_NAME_MAX);
    if (length > TREE_XATTR_VALUE_MAX)
        return error_set(err, E2BIG, "the extended attribute '%s' has %zu bytes (%d are possible)", name, length,
                         TREE_XATTR_VALUE_MAX);
    struct tree_xattr *fresh = malloc(sizeof *fresh + name_length + 1 + length);
    if (!fresh)
        return error_set(err, ENOMEM, "out of memory");
    fresh->name_length = (uint8_t)name_length;
    fresh->value_length = (uint32_t)length;
    fresh->value_inode = 0;
    memcpy(fresh->bytes, name, name_length + 1);
    if (length)
        memcpy(fresh->bytes + name_length + 1, value, length);

    struct tree_xattr **place = &inode->xattrs;
    while (*place && strcmp((*place)->bytes, name) < 0)
        place = &(*place)->next;
    if (*place && strcmp((*place)->bytes, name) == 0) {
        struct tree_xattr *old = *place;
        *place = old->next;
        free(old);
    }
    fresh->next = *place;
    *place = fresh;
    return 0;
}

void tree_imply_directory(struct tree_inode *directory)
{
    directory->mode = IMPLIED_MODE;
    directory->uid = directory->gid = 0;
    directory->mtime = 0;
    directory->mtime_nsec = 0;
    tree_clear_xattrs(directory);
}

/* ---- the table of names ------------------------------------------------------------------------------------------ */

static uint32_t hash_of(const struct tree *tree, const struct tree_inode *directory, const char *name, size_t length)
{
    return name_hash(&tree->key, (uintptr_t)directory, name, length);
}

struct tree_entry *tree_lookup(const struct tree *tree, const struct tree_inode *directory, const char *name,
                               size_t length, bool removed)
{
    uint32_t hash = hash_of(tree, directory, name, length);
    struct tree_entry *found = NULL;
    for (struct tree_entry *entry = tree->buckets[hash & tree->bucket_mask]; entry; entry = entry->next_in_bucket) {
        if (entry->hash != hash || entry->parent != directory || entry->name_length != length ||
            memcmp(entry->name, name, length) != 0)
            continue;
        if (!entry->removed)
            return entry;
        if (removed)
            found = entry;
    }
    return found;
}

static int table_grow(struct tree *tree)
{
    uint32_t count = 2 * (tree->bucket_mask + 1);
    struct tree_entry **buckets = calloc(count, sizeof(struct tree_entry *));
    if (!buckets)
        return -ENOMEM;
    for (uint32_t i = 0; i <= tree->bucket_mask; i++) {
        struct tree_entry *entry = tree->buckets[i];
        while (entry) {
            struct tree_entry *next = entry->next_in_bucket;
            entry->next_in_bucket = buckets[entry->hash & (count - 1)];
            buckets[entry->hash & (count - 1)] = entry;
            entry = next;
        }
    }
    free(tree->buckets);
    tree->buckets = buckets;
    tree->bucket_mask = count - 1;
    return 0;
}

static void table_insert(struct tree *tree, struct tree_entry *entry)
{
    struct tree_entry **bucket = &tree->buckets[entry->hash & tree->bucket_mask];
    entry->next_in_bucket = *bucket;
    *bucket = entry;
    tree->in_table++;
}

static void table_remove(struct tree *tree, struct tree_entry *entry)
{
    struct tree_entry **place = &tree->buckets[entry->hash & tree->bucket_mask];
    while (*place != entry)
        place = &(*place)->next_in_bucket;
    *place = entry->next_in_bucket;
    tree->in_table--;
}

/* ---- names ------------------------------------------------------------------------------------------------------- */

static void list_append(struct tree_directory *directory, struct tree_entry *entry)
{
    entry->next = NULL;
    entry->previous = directory->last;
    *(directory->last ? &directory->last->next : &directory->first) = entry;
    directory->last = entry;
    directory->children++;
}

static void list_take(struct tree_directory *directory, struct tree_entry *entry)
{
    *(entry->previous ? &entry->previous->next : &directory->first) = entry->next;
    *(entry->next ? &entry->next->previous : &directory->last) = entry->previous;
    directory->children--;
}

int tree_add(struct tree *tree, struct tree_inode *directory, const char *name, size_t length, struct tree_inode *inode,
             uint32_t layer, struct tree_entry **entry, struct error *err)
{
    bool is_directory = S_ISDIR(inode->mode);
    if (tree->in_table >= TREE_ENTRIES_MAX)
        return error_set(err, E2BIG, "an image may have %d names, this one has more", TREE_ENTRIES_MAX);
    if (is_directory && directory->directory.depth >= TREE_DEPTH_MAX)
        return error_set(err, E2BIG, "directories may be %d deep, this one is deeper", TREE_DEPTH_MAX);
    if (!is_directory && inode->links >= TREE_LINKS_MAX)
        return error_set(err, EMLINK, "a file may have %d names, this one has more", TREE_LINKS_MAX);
    if (tree->in_table > tree->bucket_mask && table_grow(tree) < 0)
        return error_set(err, ENOMEM, "out of memory");
    struct tree_entry *fresh = calloc(1, sizeof *fresh + length + 1);
    if (!fresh)
        return error_set(err, ENOMEM, "out of memory");

    fresh->parent = directory;
    fresh->inode = inode;
    fresh->hash = hash_of(tree, directory, name, length);
    fresh->layer = layer;
    fresh->name_length = (uint8_t)length;
    memcpy(fresh->name, name, length);
    inode->links++;
    if (is_directory) {
        inode->directory.self = fresh;
        inode->directory.depth = directory->directory.depth + 1;
        directory->directory.subdirectories++;
    }
    list_append(&directory->directory, fresh);
    table_insert(tree, fresh);
    tree->entries++;
    if (entry)
        *entry = fresh;
    return 0;
}

/* Takes a name out of its directory; it stays in the table. */
static void detach(struct tree *tree, struct tree_entry *entry)
{
    struct tree_directory *directory = &entry->parent->directory;
    list_take(directory, entry);
    if (S_ISDIR(entry->inode->mode))
        directory->subdirectories--;
    tree->entries--;
}

static void entry_free(struct tree *tree, struct tree_entry *entry)
{
    table_remove(tree, entry);
    tree_inode_put(tree, entry->inode);
    free(entry);
}

/* Where a walk of @p entry's subtree that visits children before their directory starts. */
static struct tree_entry *first_leaf(struct tree_entry *entry)
{
    while (S_ISDIR(entry->inode->mode) && entry->inode->directory.first)
        entry = entry->inode->directory.first;
    return entry;
}

/* What that walk over everything below @p top visits after @p entry; NULL at the end. */
static struct tree_entry *next_after(const struct tree_entry *entry, const struct tree_inode *top)
{
    if (entry->next)
        return first_leaf(entry->next);
    return entry->parent == top ? NULL : entry->parent->directory.self;
}

/* Removes what is below @p directory, without recursion: a layer decides how deep it is. */
static void remove_children(struct tree *tree, struct tree_inode *directory)
{
    struct tree_entry *entry = directory->directory.first ? first_leaf(directory->directory.first) : NULL;
    while (entry) {
        struct tree_entry *next = next_after(entry, directory);
        detach(tree, entry);
        entry_free(tree, entry);
        entry = next;
    }
}

void tree_remove(struct tree *tree, struct tree_entry *entry)
{
    if (S_ISDIR(entry->inode->mode))
        remove_children(tree, entry->inode);
    detach(tree, entry);
    entry_free(tree, entry);
}

/* ---- whiteouts --------------------------------------------------------------------------------------------------- */

static void set_removed(struct tree *tree, struct tree_entry *entry)
{
    detach(tree, entry);
    entry->removed = true;
    entry->parent->links++; /* as long as the entry names it, no new directory may have its address */
    entry->next = tree->removed;
    tree->removed = entry;
}

/* Decides about one entry whose children have been decided about. */
static void whiteout_one(struct tree *tree, struct tree_entry *entry, uint32_t layer)
{
    if (entry->layer >= layer)
        return;
    if (S_ISDIR(entry->inode->mode) && entry->inode->directory.first) {
        tree_imply_directory(entry->inode);
        entry->layer = layer;
        return;
    }
    set_removed(tree, entry);
}

void tree_make_opaque(struct tree *tree, struct tree_inode *directory, uint32_t layer)
{
    struct tree_entry *entry = directory->directory.first ? first_leaf(directory->directory.first) : NULL;
    while (entry) {
        struct tree_entry *next = next_after(entry, directory); /* before the entry may go */
        whiteout_one(tree, entry, layer);
        entry = next;
    }
}

void tree_whiteout(struct tree *tree, struct tree_entry *entry, uint32_t layer)
{
    if (S_ISDIR(entry->inode->mode))
        tree_make_opaque(tree, entry->inode, layer);
    whiteout_one(tree, entry, layer);
}

void tree_forget_removed(struct tree *tree)
{
    while (tree->removed) {
        struct tree_entry *entry = tree->removed;
        tree->removed = entry->next;
        struct tree_inode *parent = entry->parent;
        entry_free(tree, entry);
        tree_inode_put(tree, parent);
    }
}

/* ---- the whole --------------------------------------------------------------------------------------------------- */

int tree_new(struct tree **tree, tree_release *release, void *context, struct error *err)
{
    struct tree *fresh = calloc(1, sizeof *fresh);
    if (!fresh)
        return error_set(err, ENOMEM, "out of memory");
    fresh->root = tree_inode_new(IMPLIED_MODE);
    fresh->buckets = calloc(BUCKETS_FIRST, sizeof(struct tree_entry *));
    fresh->bucket_mask = BUCKETS_FIRST - 1;
    fresh->release = release;
    fresh->context = context;
    if (!fresh->root || !fresh->buckets) {
        tree_free(fresh);
        return error_set(err, ENOMEM, "out of memory");
    }
    if (getrandom(&fresh->key, sizeof fresh->key, 0) != (ssize_t)sizeof fresh->key) {
        tree_free(fresh);
        return error_set(err, EIO, "the system has no random bytes");
    }
    *tree = fresh;
    return 0;
}

void tree_free(struct tree *tree)
{
    if (!tree)
        return;
    tree->release = NULL;
    if (tree->root && tree->buckets) {
        tree_forget_removed(tree);
        remove_children(tree, tree->root);
    }
    if (tree->root)
        inode_free(tree->root);
    free(tree->buckets);
    free(tree);
}

struct tree_inode *tree_root(const struct tree *tree)
{
    return tree->root;
}

uint32_t tree_entry_count(const struct tree *tree)
{
    return tree->entries;
}

struct tree_entry *tree_walk(const struct tree *tree, const struct tree_entry *entry)
{
    if (!entry)
        return tree->root->directory.first;
    if (S_ISDIR(entry->inode->mode) && entry->inode->directory.first)
        return entry->inode->directory.first;
    while (!entry->next) {
        if (entry->parent == tree->root)
            return NULL;
        entry = entry->parent->directory.self;
    }
    return entry->next;
}
