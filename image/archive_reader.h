/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Image archives (tar files of an OCI layout, or of `docker save`) on their way into the store, in one pass, so that
 * they may come through a pipe: every file becomes a blob named by what it holds, the few documents that say what is
 * what are kept in memory. What an archive is, is told by those (image/load.h).
 */
#ifndef IMAGE_ARCHIVE_READER_H
#define IMAGE_ARCHIVE_READER_H

#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "image/digest.h"

struct error;
struct store;

enum {
    ARCHIVE_FILES_MAX = 1 << 16,
    ARCHIVE_NAME_MAX = 1024, /**< bytes of a file's name */
    ARCHIVE_LINKS_MAX = 8    /**< links that lead to links */
};

/** Documents that are kept. */
enum archive_document {
    ARCHIVE_OCI_INDEX,       /**< index.json */
    ARCHIVE_DOCKER_MANIFEST, /**< manifest.json */
    ARCHIVE_DOCUMENTS
};

/** A file of the archive. */
struct archive_file {
    char *name;           /**< "blobs/sha256/…", without leading "./" or "/" */
    char *target;         /**< what a link names, seen from the archive's root; NULL = a file */
    struct digest digest; /**< of its bytes: the store has them */
    uint64_t size;        /**< bytes */
    size_t position;      /**< in the archive: of two files of one name the later counts */
};

/** What was in an archive. Zero-initialise; release with archive_contents_done(). */
struct archive_contents {
    struct archive_file *files; /**< sorted by name */
    size_t count, capacity;
    struct buffer documents[ARCHIVE_DOCUMENTS]; /**< length 0 = not there */
};

/**
 * Reads a tar file from @p fd on. Blobs that its names promise by digest (blobs/ALG/HEX) are held to it.
 * @return 0; -EBADMSG for a file that is damaged, hostile or no tar file at all; or -errno. In any case blobs may have
 *         been added to the store, to which no name leads.
 */
int archive_contents_read(struct archive_contents *contents, struct store *store, int fd, struct error *err);

/** A file by its name, links followed; NULL when there is none. */
const struct archive_file *archive_contents_find(const struct archive_contents *contents, const char *name);

void archive_contents_done(struct archive_contents *contents);

#endif
