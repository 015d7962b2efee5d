/* SPDX-License-Identifier: Apache-2.0 */
#include "image/layer.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <archive.h>
#include <archive_entry.h>

#include "base/error.h"
#include "image/ext4/content.h"
#include "image/ext4/filesystem.h"
#include "image/layer_entry.h"
#include "image/layer_stream.h"
#include "image/tree.h"
#include "image/tree_path.h"

#define WHITEOUT_PREFIX      ".wh."
#define WHITEOUT_OPAQUE      ".wh..wh..opq"
#define WHITEOUT_BOOKKEEPING ".wh..wh." /* of the union file system that whiteouts come from; nothing of the image */

/* A hard link whose target was not there yet; a list in the order of the layer. */
struct deferred_link {
    struct deferred_link *next;
    char *target;
    char path[];
};

/* One layer being applied. */
struct application {
    struct tree *tree;
    struct ext4_filesystem *fs;
    struct layer_stream *stream;
    uint32_t layer;
    struct archive *archive;
    struct deferred_link *deferred, **deferred_end;
    uint32_t deferred_count;
    int stream_rc; /* what reading said, as libarchive cannot hand it on */
    struct error *err;
    struct ext4_content content;
};

static int out_of_memory(struct error *err)
{
    return error_set(err, ENOMEM, "out of memory");
}

/* ---- putting names into the tree --------------------------------------------------------------------------------- */

/* Makes @p location name @p inode, whatever it named before. */
static int put_name(struct application *apply, const struct tree_location *location, struct tree_inode *inode)
{
    struct tree_entry *old =
        tree_lookup(apply->tree, location->directory, location->name, location->name_length, false);
    if (old)
        tree_remove(apply->tree, old);
    return tree_add(apply->tree, location->directory, location->name, location->name_length, inode, apply->layer, NULL,
                    apply->err);
}

static int locate(struct application *apply, const char *path, enum tree_path_mode mode, struct tree_location *location)
{
    return tree_path_locate(apply->tree, path, apply->layer, mode, location, apply->err);
}

/* ---- contents ---------------------------------------------------------------------------------------------------- */

static int archive_failed(struct application *apply)
{
    if (apply->stream_rc < 0)
        return apply->stream_rc;
    const char *text = archive_error_string(apply->archive);
    if (text)
        return error_set(apply->err, EBADMSG, "the tar archive is damaged: %s", text);
    return error_set(apply->err, EBADMSG, "the tar archive is damaged at byte %lld",
                     (long long)archive_filter_bytes(apply->archive, 0));
}

static int copy_blocks(struct application *apply)
{
    for (;;) {
        const void *bytes;
        size_t length;
        la_int64_t offset;
        int status = archive_read_data_block(apply->archive, &bytes, &length, &offset);
        if (status == ARCHIVE_EOF)
            return 0;
        if (status != ARCHIVE_OK || offset < 0)
            return archive_failed(apply);
        int rc = ext4_content_write(&apply->content, (uint64_t)offset, bytes, length, apply->err);
        if (rc < 0)
            return rc;
    }
}

static int copy_contents(struct application *apply, struct archive_entry *entry, struct tree_inode *inode)
{
    /* With holes in it, how much is to come is not known. */
    bool sparse = archive_entry_sparse_count(entry) > 0;
    ext4_content_begin(&apply->content, apply->fs, inode, sparse ? 0 : inode->size);
    int rc = copy_blocks(apply);
    /*
     * GNU's field for a sparse file's size in a header of another kind: two sizes, and no telling which one is meant.
     * A sparse file that is one hole looks the same, but has no contents at all.
     */
    if (rc == 0 && !sparse && apply->content.position > 0 && apply->content.position < inode->size)
        rc = error_set(apply->err, EBADMSG, "its contents end after %llu of %llu bytes",
                       (unsigned long long)apply->content.position, (unsigned long long)inode->size);
    int end_rc = ext4_content_end(&apply->content, rc < 0 ? NULL : apply->err);
    return rc < 0 ? rc : end_rc;
}

/* ---- entries by kind --------------------------------------------------------------------------------------------- */

static int apply_root(struct application *apply, struct archive_entry *entry, uint16_t type)
{
    if (type != S_IFDIR)
        return error_set(apply->err, EBADMSG, "the root can only be a directory");
    return layer_entry_describe(entry, tree_root(apply->tree), apply->err);
}

static int apply_new_file(struct application *apply, struct archive_entry *entry, uint16_t type,
                          const struct tree_location *location)
{
    struct tree_inode *inode = tree_inode_new(type);
    if (!inode)
        return out_of_memory(apply->err);
    int rc = layer_entry_describe(entry, inode, apply->err);
    if (rc == 0 && type == S_IFREG)
        rc = copy_contents(apply, entry, inode);
    if (rc == 0)
        rc = put_name(apply, location, inode);
    tree_inode_put(apply->tree, inode);
    return rc;
}

static int apply_file(struct application *apply, struct archive_entry *entry, const struct tree_location *location)
{
    uint16_t type;
    int rc = layer_entry_type(entry, &type, apply->err);
    if (rc < 0)
        return rc;
    if (!location->name_length)
        return apply_root(apply, entry, type);
    struct tree_entry *old =
        tree_lookup(apply->tree, location->directory, location->name, location->name_length, false);
    if (type == S_IFDIR && old && S_ISDIR(old->inode->mode)) {
        old->layer = apply->layer;
        return layer_entry_describe(entry, old->inode, apply->err);
    }
    return apply_new_file(apply, entry, type, location);
}

static int apply_whiteout(struct application *apply, const struct tree_location *location)
{
    if (strcmp(location->name, WHITEOUT_OPAQUE) == 0) {
        tree_make_opaque(apply->tree, location->directory, apply->layer);
        return 0;
    }
    if (strncmp(location->name, WHITEOUT_BOOKKEEPING, strlen(WHITEOUT_BOOKKEEPING)) == 0)
        return 0;
    const char *name = location->name + strlen(WHITEOUT_PREFIX);
    if (name[0] == '\0' || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        return error_set(apply->err, EBADMSG, "a whiteout without a name");
    struct tree_entry *entry = tree_lookup(apply->tree, location->directory, name, strlen(name), false);
    if (entry)
        tree_whiteout(apply->tree, entry, apply->layer);
    return 0;
}

/* ---- hard links -------------------------------------------------------------------------------------------------- */

/* @return 0 and the inode that @p target names, held; -ENOENT; or another -errno */
static int find_target(struct application *apply, const char *target, struct tree_inode **inode)
{
    struct tree_location location;
    int rc = locate(apply, target, TREE_PATH_FIND, &location);
    if (rc < 0)
        return rc;
    const struct tree_entry *entry =
        tree_lookup(apply->tree, location.directory, location.name, location.name_length, true);
    if (location.name_length && !entry)
        return -ENOENT;
    if (!location.name_length || S_ISDIR(entry->inode->mode))
        return error_set(apply->err, EBADMSG, "a hard link to a directory");
    *inode = entry->inode;
    (*inode)->links++;
    return 0;
}

static int defer_link(struct application *apply, const char *path, const char *target)
{
    if (++apply->deferred_count > LAYER_DEFERRED_LINKS_MAX)
        return error_set(apply->err, EBADMSG, "more than %d hard links to files that come later",
                         LAYER_DEFERRED_LINKS_MAX);
    size_t path_size = strlen(path) + 1;
    struct deferred_link *link = malloc(sizeof *link + path_size);
    char *copy = strdup(target);
    if (!link || !copy) {
        free(link);
        free(copy);
        return out_of_memory(apply->err);
    }
    link->next = NULL;
    link->target = copy;
    memcpy(link->path, path, path_size);
    *apply->deferred_end = link;
    apply->deferred_end = &link->next;
    return 0;
}

/* The name is this link's from here on, unless a later entry takes it. */
static void clear_name(struct application *apply, const struct tree_location *location)
{
    struct tree_entry *old =
        tree_lookup(apply->tree, location->directory, location->name, location->name_length, false);
    if (old)
        tree_remove(apply->tree, old);
}

static int apply_link(struct application *apply, const char *path, const char *target,
                      const struct tree_location *location)
{
    if (!location->name_length)
        return error_set(apply->err, EBADMSG, "the root can only be a directory");
    struct tree_inode *inode = NULL;
    int rc = find_target(apply, target, &inode);
    if (rc == -ENOENT) {
        clear_name(apply, location);
        return defer_link(apply, path, target);
    }
    if (rc < 0)
        return error_context(apply->err, rc, "its target '%s'", target);
    rc = put_name(apply, location, inode);
    tree_inode_put(apply->tree, inode);
    return rc;
}

/* @return 1 if the link is made or not wanted any more, 0 if its target is still not there, or -errno */
static int retry_link(struct application *apply, const struct deferred_link *link)
{
    struct tree_location location;
    int rc = locate(apply, link->path, TREE_PATH_CREATE, &location);
    if (rc < 0)
        return rc;
    if (tree_lookup(apply->tree, location.directory, location.name, location.name_length, false))
        return 1;
    struct tree_inode *inode = NULL;
    rc = find_target(apply, link->target, &inode);
    if (rc < 0)
        return rc == -ENOENT ? 0 : rc;
    rc = put_name(apply, &location, inode);
    tree_inode_put(apply->tree, inode);
    return rc < 0 ? rc : 1;
}

static void link_free(struct deferred_link *link)
{
    free(link->target);
    free(link);
}

/* One pass over the links that are left. @return how many were made, or -errno */
static int retry_links(struct application *apply)
{
    int made = 0;
    struct deferred_link **place = &apply->deferred;
    while (*place) {
        struct deferred_link *link = *place;
        int rc = retry_link(apply, link);
        if (rc < 0)
            return error_context(apply->err, rc, "'%s'", link->path);
        if (rc == 0) {
            place = &link->next;
            continue;
        }
        made++;
        *place = link->next;
        link_free(link);
    }
    return made;
}

/* A link may lead to a link, so there may be something to do after each pass; chains that run backwards are refused. */
static int make_deferred_links(struct application *apply)
{
    enum { PASSES_MAX = 16 };
    for (int pass = 0; pass < PASSES_MAX && apply->deferred; pass++) {
        int made = retry_links(apply);
        if (made < 0)
            return made;
        if (made == 0)
            break;
    }
    if (!apply->deferred)
        return 0;
    return error_set(apply->err, EBADMSG, "'%s': the target '%s' of the hard link does not exist",
                     apply->deferred->path, apply->deferred->target);
}

static void free_deferred_links(struct application *apply)
{
    while (apply->deferred) {
        struct deferred_link *link = apply->deferred;
        apply->deferred = link->next;
        link_free(link);
    }
}

/* ---- the archive ------------------------------------------------------------------------------------------------- */

static int apply_entry(struct application *apply, struct archive_entry *entry, const char *path)
{
    struct tree_location location;
    int rc = locate(apply, path, TREE_PATH_CREATE, &location);
    if (rc < 0)
        return rc;
    if (strncmp(location.name, WHITEOUT_PREFIX, strlen(WHITEOUT_PREFIX)) == 0)
        return apply_whiteout(apply, &location);
    const char *target = archive_entry_hardlink(entry);
    return target ? apply_link(apply, path, target, &location) : apply_file(apply, entry, &location);
}

/* Maxima of the tree and of the file system are faults of the layer. */
static int as_layer_fault(struct error *err, int rc)
{
    if (rc != -E2BIG && rc != -EMLINK && rc != -EINVAL)
        return rc;
    if (err)
        err->code = EBADMSG;
    return -EBADMSG;
}

static la_ssize_t read_stream(struct archive *archive, void *context, const void **bytes)
{
    struct application *apply = context;
    ssize_t length = layer_stream_next(apply->stream, bytes, apply->err);
    if (length < 0) {
        apply->stream_rc = (int)length;
        archive_set_error(archive, EIO, "reading failed");
        return ARCHIVE_FATAL;
    }
    return length;
}

static int open_archive(struct application *apply)
{
    apply->archive = archive_read_new();
    if (!apply->archive)
        return out_of_memory(apply->err);
    /* Tar and nothing else: no format is guessed, no filter runs. */
    if (archive_read_support_format_tar(apply->archive) != ARCHIVE_OK ||
        archive_read_support_format_empty(apply->archive) != ARCHIVE_OK ||
        archive_read_open(apply->archive, apply, NULL, read_stream, NULL) != ARCHIVE_OK)
        return archive_failed(apply);
    return 0;
}

/* Names that the locale cannot show are fine, their bytes are what counts. Whatever else was ignored is not. */
static bool is_sound(struct application *apply, int status)
{
    return status == ARCHIVE_OK || (status == ARCHIVE_WARN && archive_errno(apply->archive) == EILSEQ);
}

static int apply_entries(struct application *apply)
{
    for (;;) {
        struct archive_entry *entry;
        int status = archive_read_next_header(apply->archive, &entry);
        if (status == ARCHIVE_EOF)
            return 0;
        if (status != ARCHIVE_OK && status != ARCHIVE_WARN)
            return archive_failed(apply);
        const char *path = archive_entry_pathname(entry);
        if (!path)
            return error_set(apply->err, EBADMSG, "an entry of the tar archive has no name");
        int rc = is_sound(apply, status) ? apply_entry(apply, entry, path) : archive_failed(apply);
        if (rc < 0)
            return error_context(apply->err, as_layer_fault(apply->err, rc), "entry '%s'", path);
    }
}

static int apply_archive(struct application *apply)
{
    int rc = open_archive(apply);
    if (rc == 0)
        rc = apply_entries(apply);
    if (rc == 0)
        rc = make_deferred_links(apply);
    return as_layer_fault(apply->err, rc);
}

int layer_apply(struct tree *tree, struct ext4_filesystem *fs, struct layer_stream *stream, uint32_t number,
                struct error *err)
{
    struct application *apply = calloc(1, sizeof *apply);
    if (!apply)
        return out_of_memory(err);
    apply->tree = tree;
    apply->fs = fs;
    apply->stream = stream;
    apply->layer = number;
    apply->err = err;
    apply->deferred_end = &apply->deferred;

    int rc = apply_archive(apply);
    free_deferred_links(apply);
    archive_read_free(apply->archive);
    free(apply);

    tree_forget_removed(tree);
    int settle_rc = ext4_filesystem_settle(fs, rc < 0 ? NULL : err);
    return rc < 0 ? rc : settle_rc;
}
