/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The store: where images live on this machine.
 *
 *     ROOT/images/            an OCI image layout (image-spec, image-layout.md): other tools can read it
 *         oci-layout
 *         index.json          names -> manifests; changed under a lock by write-temp, fsync, rename
 *         blobs/sha256/HEX    content; there only when complete and verified
 *     ROOT/rootfs/KEY.ext4    root file systems made from layers (see image/rootfs_cache.h)
 *     ROOT/partial/ALG.HEX    the beginning of a blob being downloaded, or of one whose download broke off
 *     ROOT/tmp/               files being written, where the file system has no O_TMPFILE; the next opening of the
 *                             store removes what a dead process left
 *
 * Any number of processes may use one store. A crash at any point leaves the old state or the new one: all locks are
 * flock(2) locks, which the kernel drops with their holder. In the order in which they are taken:
 *
 *     ROOT/partial            the lease. Shared while somebody brings in an image (pull, load, import), from before its
 *                             first blob is looked for until it has its name; exclusive while pruning, which never
 *                             waits for it: without it pruning spares what is younger than a grace period
 *     ROOT/partial/ALG.HEX    exclusive while its blob is downloaded; whoever else wants the blob waits for it
 *     ROOT/images             exclusive while index.json is changed, and while pruning follows and removes
 *     ROOT/tmp                exclusive for moments (image/temp_file.h)
 *
 * Reading needs no lock: a file that was opened stays usable when it is removed, so containers run on.
 */
#ifndef IMAGE_STORE_H
#define IMAGE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "image/manifest.h"
#include "image/reference.h"

struct buffer;
struct error;
struct store;
struct blob_writer;

/** index.json never grows past this. */
enum { STORE_INDEX_BYTES_MAX = 16 << 20 };

/**
 * Opens a store and makes its directories if they are not there.
 *
 * @param root  its directory; NULL = $HULL_ROOT, else /var/lib/hull for root, else
 * ${XDG_DATA_HOME:-~/.local/share}/hull
 * @return 0 with *store owned by the caller, or -errno
 */
int store_open(struct store **store, const char *root, struct error *err);

/** NULL is fine. */
void store_close(struct store *store);

/** The store's directory, as a path for people and for other programs. */
const char *store_path(const struct store *store);

/* ---- blobs ------------------------------------------------------------------------------------------------------- */

/** Whether a blob is there with that size. */
bool store_has_blob(const struct store *store, const struct digest *digest, uint64_t size);

/** Like store_has_blob() for a caller that is about to rely on the blob: it counts as new for a grace period. */
bool store_use_blob(struct store *store, const struct digest *digest, uint64_t size);

/**
 * Announces that an image is being brought in: blobs that no name leads to yet are not pruned before their time.
 * @return a descriptor to close when the image has its name, or -errno
 */
int store_lease(const struct store *store, struct error *err);

/** Opens a blob for reading. @return a descriptor that the caller owns, -ENOENT when it is not there, or -errno */
int store_open_blob(const struct store *store, const struct digest *digest, struct error *err);

/**
 * Reads a small blob whole and checks it against its digest again.
 *
 * @param bytes  appended to; a blob longer than its maximum allows is refused
 * @return 0; -ENOENT; -EBADMSG when the file no longer is what its name says; or -errno
 */
int store_read_blob(const struct store *store, const struct digest *digest, struct buffer *bytes, struct error *err);

/**
 * Reads a blob of any size through its digest; one that is damaged is removed from the store.
 * @return 0; -ENOENT; -EBADMSG when it was damaged; or -errno
 */
int store_check_blob(struct store *store, const struct digest *digest, struct error *err);

/**
 * Begins to write a blob. Nothing can be seen until blob_writer_commit().
 *
 * @param size  the exact number of bytes that will follow
 * @return 0 with *writer owned by the caller, or -errno
 */
int blob_writer_new(struct blob_writer **writer, struct store *store, const struct digest *digest, uint64_t size,
                    struct error *err);

/**
 * Begins or continues the download of a blob. What an earlier one left is hashed again from its start and counts as
 * written: blob_writer_written() says how much that is. Unless committed or discarded, what is written stays for the
 * next one.
 *
 * @param wait  wait while another process downloads this blob (its death ends the waiting too)
 * @return 0 with *writer owned by the caller; -EAGAIN when another process downloads it and @p wait is false; -EEXIST
 *         when the blob is in the store by now; or -errno
 */
int blob_writer_resume(struct blob_writer **writer, struct store *store, const struct digest *digest, uint64_t size,
                       bool wait, struct error *err);

/**
 * Begins to write a blob whose digest nobody has told: it gets the name of what it holds.
 * @param max  bytes that it may have
 * @return as blob_writer_new()
 */
int blob_writer_new_unnamed(struct blob_writer **writer, struct store *store, uint64_t max, struct error *err);

/** The blob's digest; of a blob that names itself after blob_writer_commit(). Borrowed. */
const struct digest *blob_writer_digest(const struct blob_writer *writer);

/** How many bytes are there. */
uint64_t blob_writer_written(const struct blob_writer *writer);

/** Forgets all bytes: what was continued was no beginning of the blob. @return 0 or -errno */
int blob_writer_restart(struct blob_writer *writer, struct error *err);

/** Lets nobody continue what this writer leaves. */
void blob_writer_discard(struct blob_writer *writer);

/** Adds bytes. @return 0; -EBADMSG when they are more than the promised size; or -errno */
int blob_writer_write(struct blob_writer *writer, const void *bytes, size_t length, struct error *err);

/**
 * Checks size and digest and makes the blob visible, durably. A blob that another process put there meanwhile is the
 * same content and counts as success.
 * @return 0; -EBADMSG when the content is not what the digest says; or -errno
 */
int blob_writer_commit(struct blob_writer *writer, struct error *err);

/** Throws away what was not committed. NULL is fine. */
void blob_writer_free(struct blob_writer *writer);

/** Writes a blob whose bytes are all there, over a damaged one too. @return as blob_writer_commit() */
int store_put_blob(struct store *store, const struct digest *digest, const void *bytes, size_t length,
                   struct error *err);

/* ---- names ------------------------------------------------------------------------------------------------------- */

/** A named manifest. */
struct store_entry {
    struct reference reference;
    struct descriptor manifest;
};

/** Gives a manifest (whose blob is there) a name, taking it from whichever manifest had it. @return 0 or -errno */
int store_tag(struct store *store, const struct reference *reference, const struct descriptor *manifest,
              struct error *err);

/**
 * Like store_tag(), for an image that was just brought in: only if all its blobs still are in the store.
 * @return 0; -EAGAIN when one was pruned meanwhile; or -errno
 */
int store_publish(struct store *store, const struct reference *reference, const struct descriptor *descriptor,
                  const struct manifest *manifest, struct error *err);

/**
 * Takes a name away; what it led to stays until it is pruned (image/prune.h).
 * @return 0; -ENOENT when there is no such name; or -errno
 */
int store_untag(struct store *store, const struct reference *reference, struct error *err);

/** The manifest of a name. @return 0; -ENOENT when the store has no such image; -EBADMSG for a damaged index.json */
int store_resolve(const struct store *store, const struct reference *reference, struct descriptor *manifest,
                  struct error *err);

/**
 * All names whose form is a reference, in index.json's order.
 * @return 0 with *entries (free() it) and *count, or -errno
 */
int store_list(const struct store *store, struct store_entry **entries, size_t *count, struct error *err);

/* ---- directories for the rootfs cache ---------------------------------------------------------------------------- */

/** ROOT/rootfs; borrowed. */
int store_rootfs_dir(const struct store *store);

/** ROOT/tmp; borrowed. On the same file system as everything else of the store. */
int store_tmp_dir(const struct store *store);

#endif
