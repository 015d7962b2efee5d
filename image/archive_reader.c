/* SPDX-License-Identifier: Apache-2.0 */
#include "image/archive_reader.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <archive.h>
#include <archive_entry.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "image/manifest.h"
#include "image/store.h"

#define BLOBS "blobs/"

enum { READ_SIZE = 64 << 10 };

/* One archive being read. */
struct reading {
    struct archive_contents *contents;
    struct store *store;
    struct archive *archive;
    struct error *err;
};

static int out_of_memory(struct error *err)
{
    return error_set(err, ENOMEM, "out of memory for an archive");
}

static int archive_failed(const struct reading *reading)
{
    const char *text = archive_error_string(reading->archive);
    int code = archive_errno(reading->archive);
    if (code == ENOMEM)
        return out_of_memory(reading->err);
    return error_set(reading->err, EBADMSG, "no sound tar file: %s", text ? text : "unknown");
}

/* ---- names ------------------------------------------------------------------------------------------------------- */

/* Appends the components of @p path to @p name, "." passed over and ".." undoing one. @return false when it leads out
 * or is too long */
static bool append_path(char name[static ARCHIVE_NAME_MAX + 1], const char *path)
{
    size_t used = strlen(name);
    for (size_t length; *path; path += length + (path[length] == '/')) {
        length = strcspn(path, "/");
        if (length == 0 || (length == 1 && path[0] == '.'))
            continue;
        if (length == 2 && path[0] == '.' && path[1] == '.') {
            if (used == 0)
                return false;
            char *slash = strrchr(name, '/');
            used = slash ? (size_t)(slash - name) : 0;
            name[used] = '\0';
            continue;
        }
        if (used + (used > 0) + length > ARCHIVE_NAME_MAX)
            return false;
        if (used > 0)
            name[used++] = '/';
        memcpy(name + used, path, length);
        used += length;
        name[used] = '\0';
    }
    return true;
}

/* The name of a file, or of what a link leads to: a hard link's target is told from the root. */
static int settle_name(char name[static ARCHIVE_NAME_MAX + 1], const char *base, const char *path, struct error *err)
{
    name[0] = '\0';
    if (path && append_path(name, base) && append_path(name, path) && name[0])
        return 0;
    return error_set(err, EBADMSG, "'%.100s' is no usable name in an archive", path ? path : "");
}

static int compare(const void *a, const void *b)
{
    const struct archive_file *left = a;
    const struct archive_file *right = b;
    int order = strcmp(left->name, right->name);
    return order ? order : (left->position > right->position) - (left->position < right->position);
}

/* The last file of that name. */
static const struct archive_file *find_name(const struct archive_contents *contents, const char *name)
{
    size_t low = 0;
    size_t high = contents->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (strcmp(contents->files[middle].name, name) <= 0)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == 0 || strcmp(contents->files[low - 1].name, name) != 0)
        return NULL;
    return &contents->files[low - 1];
}

const struct archive_file *archive_contents_find(const struct archive_contents *contents, const char *name)
{
    char settled[ARCHIVE_NAME_MAX + 1];
    if (settle_name(settled, "", name, NULL) < 0)
        return NULL;
    const struct archive_file *file = find_name(contents, settled);
    for (int links = 0; file && file->target; links++)
        file = links < ARCHIVE_LINKS_MAX ? find_name(contents, file->target) : NULL;
    return file;
}

/* ---- entries ----------------------------------------------------------------------------------------------------- */

static int add_file(struct reading *reading, const char *name, const char *target, const struct digest *digest,
                    uint64_t size)
{
    struct archive_contents *contents = reading->contents;
    if (contents->count == contents->capacity) {
        size_t capacity = contents->capacity ? contents->capacity * 2 : 64;
        if (contents->count >= ARCHIVE_FILES_MAX)
            return error_set(reading->err, EBADMSG, "more than %d files in an archive", ARCHIVE_FILES_MAX);
        struct archive_file *files = realloc(contents->files, capacity * sizeof *files);
        if (!files)
            return out_of_memory(reading->err);
        contents->files = files;
        contents->capacity = capacity;
    }
    struct archive_file file = {.size = size, .position = contents->count};
    if (digest)
        file.digest = *digest;
    file.name = strdup(name);
    file.target = target && file.name ? strdup(target) : NULL;
    if (!file.name || (target && !file.target)) {
        free(file.name);
        return out_of_memory(reading->err);
    }
    contents->files[contents->count++] = file;
    return 0;
}

static int read_document(struct reading *reading, struct buffer *document, const char *name)
{
    buffer_done(document);
    *document = BUFFER_INIT(MANIFEST_BYTES_MAX);
    for (;;) {
        uint8_t piece[READ_SIZE];
        la_ssize_t got = archive_read_data(reading->archive, piece, sizeof piece);
        if (got < 0)
            return archive_failed(reading);
        if (got == 0)
            return 0;
        if ((size_t)got > document->max - document->length)
            return error_set(reading->err, EBADMSG, "'%s' has more than %d bytes", name, MANIFEST_BYTES_MAX);
        buffer_append(document, piece, (size_t)got);
        if (document->failed)
            return out_of_memory(reading->err);
    }
}

static int copy_data(struct reading *reading, struct blob_writer *writer)
{
    for (;;) {
        uint8_t piece[READ_SIZE];
        la_ssize_t got = archive_read_data(reading->archive, piece, sizeof piece);
        if (got < 0)
            return archive_failed(reading);
        if (got == 0)
            return 0;
        int rc = blob_writer_write(writer, piece, (size_t)got, reading->err);
        if (rc < 0)
            return rc;
    }
}

/* The digest that a name promises. @return 0 when it promises none, 1, or -EBADMSG */
static int promised_digest(struct digest *digest, const char *name, struct error *err)
{
    char text[DIGEST_TEXT_MAX];
    size_t length = strlen(name);
    if (strncmp(name, BLOBS, strlen(BLOBS)) != 0)
        return 0;
    const char *algorithm = name + strlen(BLOBS);
    const char *slash = strchr(algorithm, '/');
    if (slash && length - strlen(BLOBS) < sizeof text) {
        memcpy(text, algorithm, length - strlen(BLOBS) + 1);
        text[slash - algorithm] = ':';
        if (digest_parse(digest, text, NULL) == 0)
            return 1;
    }
    return error_set(err, EBADMSG, "'%.150s' is no name of a blob", name);
}

static int read_blob(struct reading *reading, const char *name, uint64_t size)
{
    struct digest digest;
    struct blob_writer *writer;
    int rc = promised_digest(&digest, name, reading->err);
    if (rc > 0)
        rc = blob_writer_new(&writer, reading->store, &digest, size, reading->err);
    else if (rc == 0)
        rc = blob_writer_new_unnamed(&writer, reading->store, size, reading->err);
    if (rc < 0)
        return rc;
    rc = copy_data(reading, writer);
    if (rc == 0)
        rc = blob_writer_commit(writer, reading->err);
    if (rc == 0)
        rc = add_file(reading, name, NULL, blob_writer_digest(writer), blob_writer_written(writer));
    blob_writer_free(writer);
    return rc < 0 ? error_context(reading->err, rc, "'%.150s'", name) : 0;
}

static int read_file(struct reading *reading, struct archive_entry *entry, const char *name)
{
    static const char *const documents[ARCHIVE_DOCUMENTS] = {
        [ARCHIVE_OCI_INDEX] = "index.json",
        [ARCHIVE_DOCKER_MANIFEST] = "manifest.json",
    };
    for (size_t i = 0; i < ARCHIVE_DOCUMENTS; i++)
        if (strcmp(name, documents[i]) == 0)
            return read_document(reading, &reading->contents->documents[i], name);
    la_int64_t size = archive_entry_size(entry);
    if (size < 0 || (uint64_t)size > BLOB_BYTES_MAX)
        return error_set(reading->err, EBADMSG, "'%.100s' is too large", name);
    /* Few bytes that claim to be many: no tool writes such into an image archive. */
    if (archive_entry_sparse_count(entry) > 0)
        return error_set(reading->err, EBADMSG, "'%.100s' is a sparse file", name);
    return read_blob(reading, name, (uint64_t)size);
}

/* Where a symbolic link's target is told from. */
static void directory_of(char directory[static ARCHIVE_NAME_MAX + 1], const char *name)
{
    const char *slash = strrchr(name, '/');
    size_t length = slash ? (size_t)(slash - name) : 0;
    memcpy(directory, name, length);
    directory[length] = '\0';
}

static int read_entry(struct reading *reading, struct archive_entry *entry)
{
    char name[ARCHIVE_NAME_MAX + 1];
    char target[ARCHIVE_NAME_MAX + 1];
    char directory[ARCHIVE_NAME_MAX + 1];
    unsigned type = archive_entry_filetype(entry);
    if (type == AE_IFDIR)
        return 0;
    int rc = settle_name(name, "", archive_entry_pathname(entry), reading->err);
    if (rc < 0)
        return rc;
    if (archive_entry_hardlink(entry)) {
        rc = settle_name(target, "", archive_entry_hardlink(entry), reading->err);
    } else if (type == AE_IFLNK) {
        directory_of(directory, name);
        rc = settle_name(target, directory, archive_entry_symlink(entry), reading->err);
    } else if (type == AE_IFREG) {
        return read_file(reading, entry, name);
    } else {
        return error_set(reading->err, EBADMSG, "'%.100s' is neither a file nor a link", name);
    }
    return rc < 0 ? rc : add_file(reading, name, target, NULL, 0);
}

static int read_entries(struct reading *reading)
{
    for (;;) {
        struct archive_entry *entry;
        int status = archive_read_next_header(reading->archive, &entry);
        if (status == ARCHIVE_EOF)
            return 0;
        if (status != ARCHIVE_OK && !(status == ARCHIVE_WARN && archive_errno(reading->archive) == EILSEQ))
            return archive_failed(reading);
        int rc = read_entry(reading, entry);
        if (rc < 0)
            return rc;
    }
}

int archive_contents_read(struct archive_contents *contents, struct store *store, int fd, struct error *err)
{
    struct reading reading = {.contents = contents, .store = store, .archive = archive_read_new(), .err = err};
    if (!reading.archive)
        return out_of_memory(err);
    int rc;
    if (archive_read_support_format_tar(reading.archive) != ARCHIVE_OK ||
        archive_read_open_fd(reading.archive, fd, READ_SIZE) != ARCHIVE_OK)
        rc = archive_failed(&reading);
    else
        rc = read_entries(&reading);
    archive_read_free(reading.archive);
    if (rc == 0 && contents->count > 0)
        qsort(contents->files, contents->count, sizeof *contents->files, compare);
    return rc;
}

void archive_contents_done(struct archive_contents *contents)
{
    for (size_t i = 0; i < contents->count; i++) {
        free(contents->files[i].name);
        free(contents->files[i].target);
    }
    free(contents->files);
    for (size_t i = 0; i < ARCHIVE_DOCUMENTS; i++)
        buffer_done(&contents->documents[i]);
    *contents = (struct archive_contents){0};
}
