/* SPDX-License-Identifier: Apache-2.0 */
#include "image/mkfs.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"
#include "image/layer.h"
#include "image/layer_stream.h"
#include "image/mkfs_internal.h"

static void release_inode(void *context, const struct tree_inode *inode)
{
    struct mkfs *mkfs = context;
    ext4_filesystem_release(&mkfs->fs, inode);
}

int mkfs_init(struct mkfs *mkfs, int fd, uint64_t size, struct error *err)
{
    /* Of the identity nothing is used before the contents are known. */
    static const struct ext4_identity unknown;
    *mkfs = (struct mkfs){.fd = fd, .blocks = size / EXT4_BLOCK_SIZE};
    if (size && (size < MKFS_SIZE_MIN || mkfs->blocks > EXT4_BLOCKS_MAX))
        return error_set(err, EINVAL, "a file system may have 1 MiB to 16 TiB");
    int rc = ext4_filesystem_init(&mkfs->fs, ext4_io_file(&mkfs->fd), &unknown, err);
    return rc < 0 ? rc : tree_new(&mkfs->tree, release_inode, mkfs, err);
}

int mkfs_finish(struct mkfs *mkfs, const struct digest *contents, struct error *err)
{
    mkfs->fs.identity = ext4_identity_from(contents->bytes);
    return ext4_filesystem_finish_sized(&mkfs->fs, mkfs->tree, mkfs->blocks, err);
}

void mkfs_done(struct mkfs *mkfs)
{
    tree_free(mkfs->tree);
    ext4_filesystem_done(&mkfs->fs);
}

/* ---- tar files --------------------------------------------------------------------------------------------------- */

static int tell_compression(int fd, enum layer_compression *compression, struct error *err)
{
    static const uint8_t gzip[] = {0x1f, 0x8b}, zstd[] = {0x28, 0xb5, 0x2f, 0xfd};
    uint8_t head[4] = {0};
    ssize_t got = fd_pread_full(fd, head, sizeof head, 0);
    if (got < 0)
        return error_set_errno(err, (int)-got, "cannot read the tar file");
    *compression = memcmp(head, gzip, sizeof gzip) == 0   ? LAYER_GZIP
                   : memcmp(head, zstd, sizeof zstd) == 0 ? LAYER_ZSTD
                                                          : LAYER_TAR;
    return 0;
}

static int open_stream(struct layer_stream **stream, int fd, struct error *err)
{
    enum layer_compression compression = LAYER_TAR;
    int rc = tell_compression(fd, &compression, err);
    if (rc < 0)
        return rc;
    if (lseek(fd, 0, SEEK_SET) < 0)
        return error_set_errno(err, errno, "cannot read the tar file");
    return layer_stream_new(stream, fd, compression, DIGEST_SHA256, err);
}

/* The digest of the tar stream: in a pass of its own, so that what is then applied can be compared with it. */
static int measure(int fd, struct digest *digest, struct error *err)
{
    struct layer_stream *stream = NULL;
    struct hasher *hasher = NULL;
    const void *bytes;
    ssize_t got = open_stream(&stream, fd, err);
    if (got == 0)
        got = hasher_new(&hasher, DIGEST_SHA256, err);
    if (got == 0)
        while ((got = layer_stream_next(stream, &bytes, err)) > 0)
            hasher_update(hasher, bytes, (size_t)got);
    if (got == 0)
        got = hasher_finish(hasher, digest, err);
    hasher_free(hasher);
    layer_stream_free(stream);
    return (int)got;
}

static int apply(struct mkfs *mkfs, int fd, const struct digest *digest, struct error *err)
{
    struct layer_stream *stream = NULL;
    int rc = open_stream(&stream, fd, err);
    if (rc == 0)
        rc = layer_apply(mkfs->tree, &mkfs->fs, stream, 0, err);
    if (rc == 0)
        rc = layer_stream_verify(stream, digest, err);
    layer_stream_free(stream);
    return rc;
}

int mkfs_from_tar(int tar_fd, int out_fd, uint64_t size, struct error *err)
{
    struct mkfs mkfs;
    struct digest digest;
    int rc = mkfs_init(&mkfs, out_fd, size, err);
    if (rc == 0)
        rc = measure(tar_fd, &digest, err);
    if (rc == 0)
        rc = apply(&mkfs, tar_fd, &digest, err);
    if (rc == 0)
        rc = mkfs_finish(&mkfs, &digest, err);
    mkfs_done(&mkfs);
    return rc;
}
