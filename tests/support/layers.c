/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/layers.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "image/layer.h"
#include "image/layer_stream.h"
#include "image/tree.h"
#include "tests/support/e2fs.h"
#include "tests/support/tar_builder.h"

enum { DESCRIPTION_MAX = 1 << 20, CONTENT_MAX = 64 };

static void release(void *context, const struct tree_inode *inode)
{
    struct layers *layers = context;
    ext4_filesystem_release(&layers->fs, inode);
}

void layers_init(struct layers *layers)
{
    static const uint8_t seed[32] = "thirty-two bytes for a test's id";
    struct ext4_identity identity = ext4_identity_from(seed);
    *layers = (struct layers){.fd = e2fs_new_file()};
    if (ext4_filesystem_init(&layers->fs, ext4_io_file(&layers->fd), &identity, &layers->err) < 0 ||
        tree_new(&layers->tree, release, layers, &layers->err) < 0)
        abort();
}

void layers_done(struct layers *layers)
{
    tree_free(layers->tree);
    ext4_filesystem_done(&layers->fs);
    close(layers->fd);
}

int layers_apply(struct layers *layers, struct buffer *tar)
{
    struct layer_stream *stream = NULL;
    int fd = e2fs_new_file();
    tar_end(tar);
    if (fd_pwrite_full(fd, tar->bytes, tar->length, 0) < 0)
        abort();
    int rc = layer_stream_new(&stream, fd, LAYER_TAR, DIGEST_SHA256, &layers->err);
    if (rc == 0)
        rc = layer_apply(layers->tree, &layers->fs, stream, layers->count++, &layers->err);
    layer_stream_free(stream);
    close(fd);
    buffer_clear(tar);
    return rc;
}

struct tree_entry *layers_find(const struct layers *layers, const char *path)
{
    const struct tree_inode *directory = tree_root(layers->tree);
    for (;;) {
        size_t length = strcspn(path, "/");
        struct tree_entry *entry = tree_lookup(layers->tree, directory, path, length, false);
        if (!entry || path[length] == '\0')
            return entry;
        directory = entry->inode;
        path += length + 1;
    }
}

/* The beginning of a file's contents. What the writer has gathered must have been flushed. */
static void describe_contents(const struct layers *layers, const struct tree_inode *inode, struct buffer *text)
{
    char content[CONTENT_MAX] = {0};
    size_t length = inode->size < CONTENT_MAX ? (size_t)inode->size : CONTENT_MAX;
    if (inode->extents.count &&
        fd_pread_full(layers->fd, content, length, extents_runs(&inode->extents)[0].physical * EXT4_BLOCK_SIZE) < 0)
        abort();
    buffer_append(text, content, length);
}

static void describe_path(const struct tree_entry *entry, struct buffer *text)
{
    const struct tree_entry *above = entry->parent->directory.self;
    if (above) {
        describe_path(above, text);
        buffer_append(text, "/", 1);
    }
    buffer_append(text, entry->name, entry->name_length);
}

static void describe_inode(const struct layers *layers, const struct tree_inode *inode, struct buffer *text)
{
    if (!S_ISDIR(inode->mode) && inode->links > 1)
        buffer_append_format(text, "(%u)", inode->links);
    switch (inode->mode & S_IFMT) {
    case S_IFDIR:
        buffer_append(text, "/", 1);
        break;
    case S_IFREG:
        buffer_append(text, "=", 1);
        describe_contents(layers, inode, text);
        break;
    case S_IFLNK:
        buffer_append_format(text, "->%s", inode->target);
        break;
    case S_IFCHR:
    case S_IFBLK:
        buffer_append_format(text, " %c%u:%u", S_ISCHR(inode->mode) ? 'c' : 'b', inode->device.major,
                             inode->device.minor);
        break;
    default:
        buffer_append(text, S_ISFIFO(inode->mode) ? " p" : " s", 2);
    }
}

char *layers_describe(struct layers *layers)
{
    struct buffer text = BUFFER_INIT(DESCRIPTION_MAX);
    if (ext4_writer_flush(&layers->fs.writer, NULL) < 0)
        abort();
    for (const struct tree_entry *entry = tree_walk(layers->tree, NULL); entry;
         entry = tree_walk(layers->tree, entry)) {
        describe_path(entry, &text);
        describe_inode(layers, entry->inode, &text);
        buffer_append(&text, ";", 1);
    }
    buffer_append(&text, "", 1);
    if (text.failed)
        abort();
    return (char *)text.bytes;
}

bool layers_finish(struct layers *layers)
{
    if (ext4_filesystem_finish(&layers->fs, layers->tree, &layers->err) < 0) {
        printf("# %s\n", layers->err.text);
        return false;
    }
    return e2fs_is_clean(layers->fd);
}
