/* SPDX-License-Identifier: Apache-2.0 */
/* What store.c, store_blob.c and store_index.c know of each other; for nobody else. */
#ifndef IMAGE_STORE_INTERNAL_H
#define IMAGE_STORE_INTERNAL_H

#include "image/store.h"
#include "image/temp_file.h"

struct json_t;

#define STORE_INDEX_NAME "index.json"

/** An open store: its directories. */
struct store {
    char *path;
    int root;
    int images;  /**< ROOT/images */
    int sha256;  /**< ROOT/images/blobs/sha256 */
    int sha512;  /**< ROOT/images/blobs/sha512 */
    int rootfs;  /**< ROOT/rootfs */
    int tmp;     /**< ROOT/tmp */
    int partial; /**< ROOT/partial */
};

/** The directory for blobs of an algorithm; borrowed. */
static inline int store_blob_dir(const struct store *store, const struct digest *digest)
{
    return digest->algorithm == DIGEST_SHA512 ? store->sha512 : store->sha256;
}

/** Opens a directory once more, locked until the descriptor is closed; @p operation as for flock(2). */
int store_lock_dir(int dir, int operation, const char *what, struct error *err);

/** Locks index.json against other writers until the descriptor is closed. Readers need no lock. */
int store_lock_index(const struct store *store, struct error *err);

/**
 * Opens the partial download of a blob, made if there is none, and locks it.
 * @return 0 with *file; -EAGAIN when another process has it and @p wait is false; -EEXIST when the blob is in the store
 *         by now; or -errno
 */
int store_partial_open(const struct store *store, const struct digest *digest, uint64_t size, bool wait,
                       struct temp_file *file, struct error *err);

/** Whether a descriptor still is the file of that name. */
bool store_is_named(int fd, int dir, const char *name);

/** Reads index.json; gives the document and, borrowed from it, its entries. */
int store_index_read(const struct store *store, struct json_t **document, struct json_t **entries, struct error *err);

/** Hashes a file from its position to its end. @return 0 or -errno */
int store_hash_file(int fd, struct hasher *hasher);

/** Writes an index.json without entries unless there is one. */
int store_index_create(struct store *store, struct error *err);

#endif
