/* SPDX-License-Identifier: Apache-2.0 */
#include "image/rootfs.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "base/bytes.h"
#include "base/error.h"
#include "image/ext4/filesystem.h"
#include "image/layer.h"
#include "image/layer_stream.h"
#include "image/tree.h"

/* ---- identity: the same contents give the same file system ------------------------------------------------------- */

static void hash_number(struct hasher *hasher, uint64_t number)
{
    le64 field = le64_from(number);
    hasher_update(hasher, &field, sizeof field);
}

static int finish_identity(struct hasher *hasher, struct ext4_identity *identity, struct error *err)
{
    struct digest digest;
    int rc = hasher_finish(hasher, &digest, err);
    hasher_free(hasher);
    if (rc < 0)
        return rc;
    *identity = ext4_identity_from(digest.bytes);
    return 0;
}

static int start_identity(struct hasher **hasher, const char *purpose, uint64_t number, struct error *err)
{
    int rc = hasher_new(hasher, DIGEST_SHA256, err);
    if (rc < 0)
        return rc;
    hasher_update(*hasher, purpose, strlen(purpose) + 1);
    hash_number(*hasher, ROOTFS_WRITER_VERSION);
    hash_number(*hasher, number);
    return 0;
}

static int identity_of_layers(const struct rootfs_layer *layers, size_t count, struct ext4_identity *identity,
                              struct error *err)
{
    struct hasher *hasher;
    int rc = start_identity(&hasher, "hull rootfs", count, err);
    if (rc < 0)
        return rc;
    for (size_t i = 0; i < count; i++) {
        hash_number(hasher, layers[i].diff_id.algorithm);
        hasher_update(hasher, layers[i].diff_id.bytes, sizeof layers[i].diff_id.bytes);
    }
    return finish_identity(hasher, identity, err);
}

static int identity_of_size(uint64_t size, struct ext4_identity *identity, struct error *err)
{
    struct hasher *hasher;
    int rc = start_identity(&hasher, "hull scratch", size, err);
    return rc < 0 ? rc : finish_identity(hasher, identity, err);
}

/* ---- a tree and the file system that it goes to ------------------------------------------------------------------ */

struct rootfs {
    int fd;
    struct tree *tree;
    struct ext4_filesystem fs;
};

static void release_inode(void *context, const struct tree_inode *inode)
{
    struct rootfs *rootfs = context;
    ext4_filesystem_release(&rootfs->fs, inode);
}

static int rootfs_init(struct rootfs *rootfs, int fd, const struct ext4_identity *identity, struct error *err)
{
    *rootfs = (struct rootfs){.fd = fd};
    int rc = ext4_filesystem_init(&rootfs->fs, ext4_io_file(&rootfs->fd), identity, err);
    return rc < 0 ? rc : tree_new(&rootfs->tree, release_inode, rootfs, err);
}

static void rootfs_done(struct rootfs *rootfs)
{
    tree_free(rootfs->tree);
    ext4_filesystem_done(&rootfs->fs);
}

static int apply_layer(struct rootfs *rootfs, const struct rootfs_layer *layer, uint32_t number, struct error *err)
{
    struct layer_stream *stream = NULL;
    int rc = layer_stream_new(&stream, layer->fd, layer->compression, layer->diff_id.algorithm, err);
    if (rc == 0)
        rc = layer_apply(rootfs->tree, &rootfs->fs, stream, number, err);
    if (rc == 0)
        rc = layer_stream_verify(stream, &layer->diff_id, err);
    layer_stream_free(stream);
    return rc < 0 ? error_context(err, rc, "layer %u", number + 1) : 0;
}

static int write_layers(struct rootfs *rootfs, const struct rootfs_layer *layers, size_t count, struct error *err)
{
    for (size_t i = 0; i < count; i++) {
        int rc = apply_layer(rootfs, &layers[i], (uint32_t)i, err);
        if (rc < 0)
            return rc;
    }
    int rc = ext4_filesystem_finish(&rootfs->fs, rootfs->tree, err);
    if (rc != -E2BIG)
        return rc;
    /* More than the format can hold is the layers' fault too. */
    if (err)
        err->code = EBADMSG;
    return -EBADMSG;
}

int rootfs_write(const struct rootfs_layer *layers, size_t count, int out_fd, struct error *err)
{
    if (count > ROOTFS_LAYERS_MAX)
        return error_set(err, EBADMSG, "the image has %zu layers, %d are possible", count, ROOTFS_LAYERS_MAX);
    struct ext4_identity identity;
    int rc = identity_of_layers(layers, count, &identity, err);
    if (rc < 0)
        return rc;
    struct rootfs rootfs;
    rc = rootfs_init(&rootfs, out_fd, &identity, err);
    if (rc == 0)
        rc = write_layers(&rootfs, layers, count, err);
    rootfs_done(&rootfs);
    return rc;
}

/* ---- scratch disks ----------------------------------------------------------------------------------------------- */

static int add_directory(struct tree *tree, const char *name, struct error *err)
{
    struct tree_inode *inode = tree_inode_new(S_IFDIR | 0755);
    if (!inode)
        return error_set(err, ENOMEM, "out of memory");
    int rc = tree_add(tree, tree_root(tree), name, strlen(name), inode, 0, NULL, err);
    tree_inode_put(tree, inode);
    return rc;
}

static int write_empty(struct rootfs *rootfs, uint64_t blocks, struct error *err)
{
    int rc = add_directory(rootfs->tree, "upper", err);
    if (rc == 0)
        rc = add_directory(rootfs->tree, "work", err);
    return rc < 0 ? rc : ext4_filesystem_finish_empty(&rootfs->fs, rootfs->tree, blocks, err);
}

int rootfs_write_scratch(int out_fd, uint64_t size, struct error *err)
{
    struct ext4_identity identity;
    int rc = identity_of_size(size, &identity, err);
    if (rc < 0)
        return rc;
    struct rootfs rootfs;
    rc = rootfs_init(&rootfs, out_fd, &identity, err);
    if (rc == 0)
        rc = write_empty(&rootfs, size / EXT4_BLOCK_SIZE, err);
    rootfs_done(&rootfs);
    return rc;
}
