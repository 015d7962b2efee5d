/* SPDX-License-Identifier: Apache-2.0 */
/* How the bytes of a layer in the store are packed, where no media type says it; and what they hold. */
#ifndef IMAGE_LAYER_PACKING_H
#define IMAGE_LAYER_PACKING_H

#include <stdint.h>

#include "image/digest.h"
#include "image/rootfs.h"

struct error;
struct store;

/** Tells gzip (RFC 1952, 2.3.1) and zstd (RFC 8878, 3.1.1) by their magic numbers; anything else is a bare tar stream.
 * @return 0 or -errno */
int layer_packing_of_blob(enum layer_compression *compression, const struct store *store, const struct digest *digest,
                          struct error *err);

/**
 * Unpacks a layer and measures its tar stream.
 * @param diff_id  set to the SHA-256 of the stream
 * @param size     set to its length in bytes
 * @return 0; -EBADMSG when it cannot be unpacked; or -errno
 */
int layer_packing_measure(const struct store *store, const struct digest *digest, enum layer_compression compression,
                          struct digest *diff_id, uint64_t *size, struct error *err);

#endif
