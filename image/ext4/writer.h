/* SPDX-License-Identifier: Apache-2.0 */
/* Whole blocks on their way out: neighbours are gathered, so that many small files cost few large writes. */
#ifndef IMAGE_EXT4_WRITER_H
#define IMAGE_EXT4_WRITER_H

#include <stddef.h>
#include <stdint.h>

#include "image/ext4/io.h"

struct error;

/** Initialise with ext4_writer_init(), release with ext4_writer_done(). */
struct ext4_writer {
    struct ext4_io io;
    uint8_t *gathered;
    size_t length;   /**< bytes gathered, whole blocks */
    uint64_t offset; /**< where they go */
};

/** @return 0 or -ENOMEM */
int ext4_writer_init(struct ext4_writer *writer, struct ext4_io io, struct error *err);

/** Releases memory; what is still gathered is lost. NULL is fine. */
void ext4_writer_done(struct ext4_writer *writer);

/**
 * Writes @p length bytes, a multiple of the block size, from block @p block on.
 * @return 0, or -errno of the output
 */
int ext4_writer_put(struct ext4_writer *writer, uint64_t block, const void *bytes, size_t length, struct error *err);

/** Hands everything gathered to the output. */
int ext4_writer_flush(struct ext4_writer *writer, struct error *err);

/** Makes blocks read as zeros. */
int ext4_writer_discard(struct ext4_writer *writer, uint64_t block, uint64_t count, struct error *err);

/** Writes bytes at a byte offset right away. */
int ext4_writer_put_bytes(struct ext4_writer *writer, uint64_t offset, const void *bytes, size_t length,
                          struct error *err);

/** Sets the size of the output. */
int ext4_writer_resize(struct ext4_writer *writer, uint64_t blocks, struct error *err);

#endif
