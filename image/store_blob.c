/* SPDX-License-Identifier: Apache-2.0 */
/* Blobs of the store: verified while they are written, visible only when whole, checked again when read whole. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/fd.h"
#include "image/store_internal.h"
#include "image/temp_file.h"

enum { BLOB_MODE = 0444 };

/** A blob being written. */
struct blob_writer {
    struct store *store;
    struct digest digest; /**< promised */
    uint64_t size;        /**< promised */
    uint64_t written;
    bool replace;      /**< put it there even if something of that size is */
    bool names_itself; /**< digest and size are what the content has; size is its maximum until then */
    bool resumable;    /**< the file is a partial download, which outlives a writer that did not commit */
    struct hasher *hasher;
    struct temp_file file;
};

static bool has_blob_of_size(const struct store *store, const char *name, const struct digest *digest, uint64_t size)
{
    struct stat status;
    return fstatat(store_blob_dir(store, digest), name, &status, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(status.st_mode) &&
           (uint64_t)status.st_size == size;
}

bool store_has_blob(const struct store *store, const struct digest *digest, uint64_t size)
{
    char name[DIGEST_TEXT_MAX];
    digest_format_hex(digest, name);
    return has_blob_of_size(store, name, digest, size);
}

bool store_use_blob(struct store *store, const struct digest *digest, uint64_t size)
{
    char name[DIGEST_TEXT_MAX];
    digest_format_hex(digest, name);
    if (!has_blob_of_size(store, name, digest, size))
        return false;
    /* In a store that cannot be written nobody prunes either. */
    (void)utimensat(store_blob_dir(store, digest), name, NULL, AT_SYMLINK_NOFOLLOW);
    return true;
}

int store_open_blob(const struct store *store, const struct digest *digest, struct error *err)
{
    char name[DIGEST_TEXT_MAX];
    digest_format_hex(digest, name);

    /* O_NONBLOCK: should somebody have put a FIFO there, opening it must not wait. */
    cleanup_fd int fd = openat(store_blob_dir(store, digest), name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT)
        return error_set(err, ENOENT, "blob %s is not in the store '%s'", name, store->path);
    struct stat status;
    if (fd < 0 || fstat(fd, &status) < 0)
        return error_set_errno(err, errno, "cannot open blob %s in '%s'", name, store->path);
    if (!S_ISREG(status.st_mode))
        return error_set(err, EBADMSG, "blob %s in '%s' is no regular file", name, store->path);
    return steal_fd(&fd);
}

int store_read_blob(const struct store *store, const struct digest *digest, struct buffer *bytes, struct error *err)
{
    cleanup_fd int fd = store_open_blob(store, digest, err);
    if (fd < 0)
        return fd;

    char name[DIGEST_TEXT_MAX];
    digest_format(digest, name);
    struct stat status;
    if (fstat(fd, &status) < 0)
        return error_set_errno(err, errno, "cannot read blob %s", name);
    if ((uint64_t)status.st_size > bytes->max - bytes->length)
        return error_set(err, EBADMSG, "blob %s has %" PRIu64 " bytes, more than the %zu that are possible", name,
                         (uint64_t)status.st_size, bytes->max);
    size_t length = (size_t)status.st_size;
    uint8_t *room = buffer_extend(bytes, length);
    if (length > 0 && !room)
        return error_set(err, ENOMEM, "out of memory for blob %s", name);
    ssize_t got = fd_read_full(fd, room, length);
    if (got < 0)
        return error_set_errno(err, (int)-got, "cannot read blob %s", name);

    struct digest found;
    int rc = digest_of(&found, digest->algorithm, room, (size_t)got, err);
    if (rc == 0 && !digest_equal(&found, digest))
        rc = error_set(err, EBADMSG, "blob %s in '%s' is damaged: pull the image again", name, store->path);
    return rc;
}

int store_hash_file(int fd, struct hasher *hasher)
{
    enum { PIECE = 64 << 10 };
    uint8_t piece[PIECE];
    for (;;) {
        ssize_t got = fd_read_full(fd, piece, sizeof piece);
        if (got <= 0)
            return (int)got;
        hasher_update(hasher, piece, (size_t)got);
    }
}

int store_check_blob(struct store *store, const struct digest *digest, struct error *err)
{
    char text[DIGEST_TEXT_MAX];
    digest_format(digest, text);
    cleanup_fd int fd = store_open_blob(store, digest, err);
    if (fd < 0)
        return fd;

    struct hasher *hasher;
    struct digest found = {0};
    int rc = hasher_new(&hasher, digest->algorithm, err);
    if (rc < 0)
        return rc;
    rc = store_hash_file(fd, hasher);
    if (rc < 0)
        rc = error_set_errno(err, -rc, "cannot read blob %s", text);
    else
        rc = hasher_finish(hasher, &found, err);
    hasher_free(hasher);
    if (rc < 0 || digest_equal(&found, digest))
        return rc;

    char name[DIGEST_TEXT_MAX];
    digest_format_hex(digest, name);
    (void)unlinkat(store_blob_dir(store, digest), name, 0);
    return error_set(err, EBADMSG, "blob %s was damaged on disk and is removed: pull the image again", text);
}

int blob_writer_new(struct blob_writer **writer, struct store *store, const struct digest *digest, uint64_t size,
                    struct error *err)
{
    struct blob_writer *made = calloc(1, sizeof *made);
    if (!made)
        return error_set(err, ENOMEM, "out of memory for writing a blob");
    *made = (struct blob_writer){.store = store, .digest = *digest, .size = size, .file = TEMP_FILE_NONE};

    int rc = hasher_new(&made->hasher, digest->algorithm, err);
    if (rc == 0)
        rc = temp_file_new(&made->file, store->tmp, err);
    if (rc < 0) {
        blob_writer_free(made);
        return rc;
    }
    *writer = made;
    return 0;
}

int blob_writer_new_unnamed(struct blob_writer **writer, struct store *store, uint64_t max, struct error *err)
{
    const struct digest unknown = {.algorithm = DIGEST_SHA256};
    int rc = blob_writer_new(writer, store, &unknown, max, err);
    if (rc == 0)
        (*writer)->names_itself = true;
    return rc;
}

const struct digest *blob_writer_digest(const struct blob_writer *writer)
{
    return &writer->digest;
}

/* Takes over what an earlier download left. */
static int take_over(struct blob_writer *writer, struct error *err)
{
    struct stat status;
    if (fstat(writer->file.fd, &status) < 0)
        return error_set_errno(err, errno, "cannot read a partial download");
    if ((uint64_t)status.st_size > writer->size)
        return blob_writer_restart(writer, err);
    int rc = store_hash_file(writer->file.fd, writer->hasher);
    if (rc < 0)
        return error_set_errno(err, -rc, "cannot read a partial download");
    writer->written = (uint64_t)status.st_size;
    return 0;
}

int blob_writer_resume(struct blob_writer **writer, struct store *store, const struct digest *digest, uint64_t size,
                       bool wait, struct error *err)
{
    struct temp_file file = TEMP_FILE_NONE;
    int rc = store_partial_open(store, digest, size, wait, &file, err);
    if (rc < 0)
        return rc;
    struct blob_writer *made = calloc(1, sizeof *made);
    if (!made) {
        file.name[0] = '\0';
        temp_file_done(&file);
        return error_set(err, ENOMEM, "out of memory for writing a blob");
    }
    *made = (struct blob_writer){.store = store, .digest = *digest, .size = size, .resumable = true, .file = file};
    rc = hasher_new(&made->hasher, digest->algorithm, err);
    if (rc == 0)
        rc = take_over(made, err);
    if (rc < 0) {
        blob_writer_free(made);
        return rc;
    }
    *writer = made;
    return 0;
}

uint64_t blob_writer_written(const struct blob_writer *writer)
{
    return writer->written;
}

int blob_writer_restart(struct blob_writer *writer, struct error *err)
{
    struct digest ignored;
    if (ftruncate(writer->file.fd, 0) < 0 || lseek(writer->file.fd, 0, SEEK_SET) < 0)
        return error_set_errno(err, errno, "cannot empty a partial download");
    writer->written = 0;
    return hasher_finish(writer->hasher, &ignored, err);
}

void blob_writer_discard(struct blob_writer *writer)
{
    writer->resumable = false;
}

int blob_writer_write(struct blob_writer *writer, const void *bytes, size_t length, struct error *err)
{
    if (length > writer->size - writer->written)
        return error_set(err, EBADMSG, "more than the %" PRIu64 " bytes that its descriptor promises", writer->size);
    int rc = fd_write_full(writer->file.fd, bytes, length);
    if (rc < 0)
        return error_set_errno(err, -rc, "cannot write to the image store '%s'", writer->store->path);
    hasher_update(writer->hasher, bytes, length);
    writer->written += length;
    return 0;
}

int blob_writer_commit(struct blob_writer *writer, struct error *err)
{
    if (writer->names_itself)
        writer->size = writer->written;
    if (writer->written != writer->size)
        return error_set(err, EBADMSG, "ended after %" PRIu64 " of %" PRIu64 " bytes", writer->written, writer->size);

    struct digest found;
    int rc = hasher_finish(writer->hasher, &found, err);
    if (rc < 0)
        return rc;
    if (writer->names_itself)
        writer->digest = found;
    if (!digest_equal(&found, &writer->digest)) {
        char text[DIGEST_TEXT_MAX];
        digest_format(&found, text);
        return error_set(err, EBADMSG, "the content has another digest, %s: it was damaged or forged on its way", text);
    }

    /* A file of another size under that name is damage from outside, and is mended. */
    char name[DIGEST_TEXT_MAX];
    digest_format_hex(&writer->digest, name);
    int dir = store_blob_dir(writer->store, &writer->digest);
    bool keep = !writer->replace && has_blob_of_size(writer->store, name, &writer->digest, writer->size);
    return temp_file_publish(&writer->file, dir, name, BLOB_MODE, keep ? TEMP_FILE_KEEP : TEMP_FILE_REPLACE, err);
}

void blob_writer_free(struct blob_writer *writer)
{
    if (!writer)
        return;
    if (writer->resumable)
        writer->file.name[0] = '\0'; /* the next download continues it */
    temp_file_done(&writer->file);
    hasher_free(writer->hasher);
    free(writer);
}

int store_put_blob(struct store *store, const struct digest *digest, const void *bytes, size_t length,
                   struct error *err)
{
    struct blob_writer *writer;
    int rc = blob_writer_new(&writer, store, digest, length, err);
    if (rc < 0)
        return rc;
    /* Small blobs are read whole and checked; a new pull mends one that was found damaged. */
    writer->replace = true;
    rc = blob_writer_write(writer, bytes, length, err);
    if (rc == 0)
        rc = blob_writer_commit(writer, err);
    blob_writer_free(writer);
    return rc;
}
