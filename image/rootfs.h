/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Layers in, one EXT4 file system out: the root file system of an image. Neither mounts, loop devices, privileges nor
 * foreign tools are involved, and the same layers give the same bytes.
 */
#ifndef IMAGE_ROOTFS_H
#define IMAGE_ROOTFS_H

#include <stddef.h>
#include <stdint.h>

#include "image/digest.h"

struct error;

/** Version of the writer: part of the key under which a rootfs is cached, raised when its output changes. */
enum { ROOTFS_WRITER_VERSION = 2 };

/** Layers that an image may have. */
enum { ROOTFS_LAYERS_MAX = 512 };

/** How a layer's tar stream is packed. */
enum layer_compression { LAYER_TAR, LAYER_GZIP, LAYER_ZSTD };

/** One layer, lowest first. */
struct rootfs_layer {
    int fd; /**< the blob, read from its position to its end; borrowed */
    enum layer_compression compression;
    struct digest diff_id; /**< digest of the uncompressed tar stream (OCI image-spec, config.md); checked */
};

/**
 * Merges layers (OCI image-spec, layer.md: whiteouts, opaque directories) and writes the result as EXT4.
 *
 * @param out_fd  an empty regular file, readable and writable; on failure its contents are undefined: unlink it
 * @return 0; -EBADMSG for a layer that is damaged, hostile or not what its diff_id says (the error names the entry);
 *         or -errno of reading or writing
 */
int rootfs_write(const struct rootfs_layer *layers, size_t count, int out_fd, struct error *err);

/**
 * Writes an empty EXT4 file system of @p size bytes, sparse: what a container's writable disk starts as. It holds the
 * two directories that overlayfs wants, /upper and /work (Linux Documentation/filesystems/overlayfs.rst).
 *
 * @param out_fd  an empty regular file, readable and writable
 * @param size    bytes, 1 MiB to 16 TiB; rounded down to whole blocks
 */
int rootfs_write_scratch(int out_fd, uint64_t size, struct error *err);

#endif
