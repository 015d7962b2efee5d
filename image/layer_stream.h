/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A layer's tar stream: read from a descriptor, unpacked and hashed while it passes. That happens in threads of its
 * own, a few buffers ahead of the caller, who parses and writes meanwhile.
 */
#ifndef IMAGE_LAYER_STREAM_H
#define IMAGE_LAYER_STREAM_H

#include <stddef.h>
#include <sys/types.h>

#include "image/digest.h"
#include "image/rootfs.h"

struct error;
struct layer_stream;

/**
 * Starts at the position of @p fd, which is borrowed.
 * @return 0; -EINVAL for an unknown compression; -ENOMEM
 */
int layer_stream_new(struct layer_stream **stream, int fd, enum layer_compression compression,
                     enum digest_algorithm algorithm, struct error *err);

/**
 * The next bytes of the tar stream.
 *
 * @param bytes  set to them; valid until the next call
 * @return how many; 0 at the end; -EBADMSG for damaged or truncated input; or -errno of reading
 */
ssize_t layer_stream_next(struct layer_stream *stream, const void **bytes, struct error *err);

/**
 * Passes over the rest and compares the digest of the whole.
 * @return 0; -EBADMSG when it differs; or as layer_stream_next()
 */
int layer_stream_verify(struct layer_stream *stream, const struct digest *expected, struct error *err);

/** NULL is fine. */
void layer_stream_free(struct layer_stream *stream);

#endif
