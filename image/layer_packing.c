/* SPDX-License-Identifier: Apache-2.0 */
#include "image/layer_packing.h"

#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/fd.h"
#include "image/layer_stream.h"
#include "image/store.h"

int layer_packing_of_blob(enum layer_compression *compression, const struct store *store, const struct digest *digest,
                          struct error *err)
{
    static const struct {
        uint8_t magic[4];
        size_t length;
        enum layer_compression compression;
    } packings[] = {{{0x1f, 0x8b}, 2, LAYER_GZIP}, {{0x28, 0xb5, 0x2f, 0xfd}, 4, LAYER_ZSTD}};
    uint8_t head[4];
    cleanup_fd int fd = store_open_blob(store, digest, err);
    if (fd < 0)
        return fd;
    ssize_t got = fd_read_full(fd, head, sizeof head);
    if (got < 0)
        return error_set_errno(err, (int)-got, "cannot read a layer");
    *compression = LAYER_TAR;
    for (size_t i = 0; i < sizeof packings / sizeof packings[0]; i++)
        if ((size_t)got >= packings[i].length && memcmp(head, packings[i].magic, packings[i].length) == 0)
            *compression = packings[i].compression;
    return 0;
}

static int measure(struct layer_stream *stream, struct hasher *hasher, uint64_t *size, struct error *err)
{
    *size = 0;
    for (;;) {
        const void *bytes;
        ssize_t got = layer_stream_next(stream, &bytes, err);
        if (got <= 0)
            return (int)got;
        hasher_update(hasher, bytes, (size_t)got);
        *size += (uint64_t)got; /* a layer of 2^40 bytes unpacks to at most some 2^60 */
    }
}

int layer_packing_measure(const struct store *store, const struct digest *digest, enum layer_compression compression,
                          struct digest *diff_id, uint64_t *size, struct error *err)
{
    struct layer_stream *stream = NULL;
    struct hasher *hasher = NULL;
    cleanup_fd int fd = store_open_blob(store, digest, err);
    int rc = fd < 0 ? fd : layer_stream_new(&stream, fd, compression, DIGEST_SHA256, err);
    if (rc == 0)
        rc = hasher_new(&hasher, DIGEST_SHA256, err);
    if (rc == 0)
        rc = measure(stream, hasher, size, err);
    if (rc == 0)
        rc = hasher_finish(hasher, diff_id, err);
    hasher_free(hasher);
    layer_stream_free(stream);
    return rc;
}
