/* SPDX-License-Identifier: Apache-2.0 */
#include "image/archive_writer.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#include <archive.h>
#include <archive_entry.h>

#include "base/error.h"
#include "base/fd.h"

struct archive_writer {
    int fd;
    struct archive *archive;
    bool ended;      /* nothing more is to be written */
    int write_error; /* positive errno value of the descriptor; libarchive hands on words only */
};

static int failed(const struct archive_writer *writer, struct error *err)
{
    if (writer->write_error)
        return error_set_errno(err, writer->write_error, "cannot write the archive");
    int code = archive_errno(writer->archive);
    const char *text = archive_error_string(writer->archive);
    return error_set(err, code > 0 ? code : EIO, "cannot write the archive: %s", text ? text : "out of memory");
}

static la_ssize_t write_out(struct archive *archive, void *context, const void *bytes, size_t length)
{
    struct archive_writer *writer = context;
    if (writer->ended)
        return -1;
    int rc = fd_write_full(writer->fd, bytes, length);
    if (rc == 0)
        return (la_ssize_t)length;
    writer->write_error = -rc;
    archive_set_error(archive, -rc, "writing failed");
    return -1;
}

int archive_writer_new(struct archive_writer **writer, int fd, struct error *err)
{
    struct archive_writer *made = calloc(1, sizeof *made);
    if (!made)
        return error_set(err, ENOMEM, "out of memory for an archive");
    made->fd = fd;
    made->archive = archive_write_new();
    int rc = 0;
    if (!made->archive)
        rc = error_set(err, ENOMEM, "out of memory for an archive");
    else if (archive_write_set_format_pax_restricted(made->archive) != ARCHIVE_OK ||
             archive_write_open(made->archive, made, NULL, write_out, NULL) != ARCHIVE_OK)
        rc = failed(made, err);
    if (rc < 0) {
        archive_writer_free(made);
        return rc;
    }
    *writer = made;
    return 0;
}

static int write_header(struct archive_writer *writer, const char *name, unsigned type, unsigned mode, uint64_t size,
                        struct error *err)
{
    struct archive_entry *entry = archive_entry_new2(writer->archive);
    if (!entry)
        return error_set(err, ENOMEM, "out of memory for an archive");
    archive_entry_set_pathname(entry, name);
    archive_entry_set_filetype(entry, type);
    archive_entry_set_perm(entry, (__LA_MODE_T)mode);
    archive_entry_set_size(entry, (la_int64_t)size);
    archive_entry_set_mtime(entry, 0, 0);
    int status = archive_write_header(writer->archive, entry);
    archive_entry_free(entry);
    return status == ARCHIVE_OK ? 0 : failed(writer, err);
}

int archive_writer_directory(struct archive_writer *writer, const char *name, struct error *err)
{
    return write_header(writer, name, AE_IFDIR, 0755, 0, err);
}

int archive_writer_file(struct archive_writer *writer, const char *name, uint64_t size, struct error *err)
{
    return write_header(writer, name, AE_IFREG, 0644, size, err);
}

int archive_writer_write(struct archive_writer *writer, const void *bytes, size_t length, struct error *err)
{
    const char *at = bytes;
    while (length > 0) {
        la_ssize_t written = archive_write_data(writer->archive, at, length);
        if (written < 0)
            return failed(writer, err);
        if (written == 0)
            return error_set(err, EBADMSG, "a file of the archive is longer than was said");
        at += written;
        length -= (size_t)written;
    }
    return 0;
}

int archive_writer_finish(struct archive_writer *writer, struct error *err)
{
    return archive_write_close(writer->archive) == ARCHIVE_OK ? 0 : failed(writer, err);
}

void archive_writer_free(struct archive_writer *writer)
{
    if (!writer)
        return;
    /* What is not finished is no archive, and must not get the end of one. Closing is what gives libarchive's buffers
     * back, after errors too, which archive_write_free() alone does not see to. */
    writer->ended = true;
    if (writer->archive) {
        (void)archive_write_close(writer->archive);
        (void)archive_write_free(writer->archive);
    }
    free(writer);
}
