/* SPDX-License-Identifier: Apache-2.0 */
/*
 * index.json of the store: names to manifests (OCI image-spec, image-layout.md and annotations.md). What other tools
 * wrote into it is kept as it is.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/fd.h"
#include "image/json.h"
#include "image/store_internal.h"
#include "image/temp_file.h"

#define REF_NAME "org.opencontainers.image.ref.name"

/* The name under which a reference is kept. A digest decides, so a tag beside it must not make a second name. */
static void entry_name(const struct reference *reference, char name[static REFERENCE_TEXT_MAX])
{
    struct reference key = *reference;
    if (reference_has_digest(&key))
        key.tag[0] = '\0';
    reference_format(&key, name);
}

/* The name that an entry carries, or "". */
static const char *name_of(const json_t *entry)
{
    const char *name = json_string_value(json_object_get(json_object_get(entry, "annotations"), REF_NAME));
    return name ? name : "";
}

int store_index_read(const struct store *store, json_t **document, json_t **entries, struct error *err)
{
    cleanup_fd int fd = openat(store->images, STORE_INDEX_NAME, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return error_set_errno(err, errno, "cannot open '%s/images/%s'", store->path, STORE_INDEX_NAME);

    cleanup_buffer struct buffer text = BUFFER_INIT(STORE_INDEX_BYTES_MAX);
    for (;;) {
        enum { PIECE = 64 << 10 };
        uint8_t piece[PIECE];
        ssize_t got = fd_read_full(fd, piece, sizeof piece);
        if (got < 0)
            return error_set_errno(err, (int)-got, "cannot read '%s/images/%s'", store->path, STORE_INDEX_NAME);
        bool fits = (size_t)got <= text.max - text.length;
        buffer_append(&text, piece, (size_t)got);
        if (text.failed && fits)
            return error_set(err, ENOMEM, "out of memory for '%s'", STORE_INDEX_NAME);
        if (text.failed)
            return error_set(err, EBADMSG, "'%s/images/%s' has more than %d bytes", store->path, STORE_INDEX_NAME,
                             STORE_INDEX_BYTES_MAX);
        if ((size_t)got < sizeof piece)
            break;
    }

    cleanup_json json_t *parsed = NULL;
    int rc = json_parse_object(&parsed, (const char *)text.bytes, text.length, err);
    if (rc == 0)
        rc = json_member(parsed, "manifests", JSON_ARRAY, entries, err);
    if (rc == 0 && !*entries)
        rc = error_set(err, EBADMSG, "'manifests' is missing");
    if (rc < 0)
        return error_context(err, rc, "'%s/images/%s' is damaged", store->path, STORE_INDEX_NAME);
    *document = steal_pointer(parsed);
    return 0;
}

static int index_write(struct store *store, const json_t *document, enum temp_file_conflict conflict, struct error *err)
{
    cleanup_free char *text = json_print(document, JSON_INDENT(2));
    if (!text)
        return error_set(err, ENOMEM, "out of memory for '%s'", STORE_INDEX_NAME);
    struct temp_file file = TEMP_FILE_NONE;
    int rc = temp_file_new(&file, store->tmp, err);
    if (rc == 0 && (rc = fd_write_full(file.fd, text, strlen(text))) < 0)
        rc = error_set_errno(err, -rc, "cannot write '%s'", STORE_INDEX_NAME);
    if (rc == 0)
        rc = temp_file_publish(&file, store->images, STORE_INDEX_NAME, 0644, conflict, err);
    temp_file_done(&file);
    return rc;
}

int store_index_create(struct store *store, struct error *err)
{
    if (faccessat(store->images, STORE_INDEX_NAME, F_OK, 0) == 0)
        return 0;
    cleanup_json json_t *document =
        json_pack("{s:i, s:s, s:[]}", "schemaVersion", 2, "mediaType", MEDIA_TYPE_OCI_INDEX, "manifests");
    if (!document)
        return error_set(err, ENOMEM, "out of memory for '%s'", STORE_INDEX_NAME);
    return index_write(store, document, TEMP_FILE_KEEP, err);
}

int store_lock_index(const struct store *store, struct error *err)
{
    return store_lock_dir(store->images, LOCK_EX, "the names", err);
}

static json_t *platform_pack(const struct platform *platform)
{
    json_t *object = json_pack("{s:s, s:s}", "architecture", platform->architecture, "os", platform->os);
    if (object && platform->variant[0] && json_object_set_new(object, "variant", json_string(platform->variant)) < 0) {
        json_decref(object);
        return NULL;
    }
    return object;
}

/* An entry of index.json; NULL when memory runs out. */
static json_t *entry_pack(const struct descriptor *manifest, const char *name)
{
    char digest[DIGEST_TEXT_MAX];
    digest_format(&manifest->digest, digest);
    cleanup_json json_t *entry = json_pack("{s:s, s:s, s:I, s:{s:s}}", "mediaType", manifest->media_type, "digest",
                                           digest, "size", (json_int_t)manifest->size, "annotations", REF_NAME, name);
    if (entry && manifest->platform.os[0] &&
        json_object_set_new(entry, "platform", platform_pack(&manifest->platform)) < 0)
        return NULL;
    return steal_pointer(entry);
}

/* Removes the entries of a name; says how many there were. */
static size_t remove_entries(json_t *entries, const char *name)
{
    size_t removed = 0;
    for (size_t i = json_array_size(entries); i-- > 0;)
        if (strcmp(name_of(json_array_get(entries, i)), name) == 0 && json_array_remove(entries, i) == 0)
            removed++;
    return removed;
}

/* store_tag() under the lock. */
static int tag_locked(struct store *store, const struct reference *reference, const struct descriptor *manifest,
                      struct error *err)
{
    char name[REFERENCE_TEXT_MAX];
    entry_name(reference, name);
    cleanup_json json_t *document = NULL;
    json_t *entries = NULL;
    int rc = store_index_read(store, &document, &entries, err);
    if (rc < 0)
        return rc;

    (void)remove_entries(entries, name);
    if (json_array_append_new(entries, entry_pack(manifest, name)) < 0)
        return error_set(err, ENOMEM, "out of memory for naming '%s'", name);
    return index_write(store, document, TEMP_FILE_REPLACE, err);
}

int store_tag(struct store *store, const struct reference *reference, const struct descriptor *manifest,
              struct error *err)
{
    cleanup_fd int lock = store_lock_index(store, err);
    return lock < 0 ? lock : tag_locked(store, reference, manifest, err);
}

int store_untag(struct store *store, const struct reference *reference, struct error *err)
{
    char name[REFERENCE_TEXT_MAX];
    entry_name(reference, name);
    cleanup_fd int lock = store_lock_index(store, err);
    if (lock < 0)
        return lock;
    cleanup_json json_t *document = NULL;
    json_t *entries = NULL;
    int rc = store_index_read(store, &document, &entries, err);
    if (rc < 0)
        return rc;
    if (remove_entries(entries, name) == 0) {
        reference_format_familiar(reference, name);
        return error_set(err, ENOENT, "no image '%s' on this machine", name);
    }
    return index_write(store, document, TEMP_FILE_REPLACE, err);
}

static int check_there(const struct store *store, const struct descriptor *blob, struct error *err)
{
    if (store_has_blob(store, &blob->digest, blob->size))
        return 0;
    char digest[DIGEST_TEXT_MAX];
    digest_format(&blob->digest, digest);
    return error_set(err, EAGAIN, "blob %s was removed from the store meanwhile: try again", digest);
}

int store_publish(struct store *store, const struct reference *reference, const struct descriptor *descriptor,
                  const struct manifest *manifest, struct error *err)
{
    /* Pruning holds this lock: what is there now is there when the name is. */
    cleanup_fd int lock = store_lock_index(store, err);
    int rc = lock < 0 ? lock : check_there(store, descriptor, err);
    if (rc == 0)
        rc = check_there(store, &manifest->config, err);
    for (size_t i = 0; rc == 0 && i < manifest->layer_count; i++)
        rc = check_there(store, &manifest->layers[i], err);
    return rc < 0 ? rc : tag_locked(store, reference, descriptor, err);
}

/* Whether an entry is the image that a reference with digest means: of that repository, under any tag. */
static bool entry_is(const json_t *entry, const struct reference *wanted)
{
    struct reference named;
    struct descriptor manifest;
    return reference_parse(&named, name_of(entry), NULL) == 0 && strcmp(named.host, wanted->host) == 0 &&
           strcmp(named.repository, wanted->repository) == 0 && descriptor_from_json(&manifest, entry, NULL) == 0 &&
           digest_equal(&manifest.digest, &wanted->digest);
}

int store_resolve(const struct store *store, const struct reference *reference, struct descriptor *manifest,
                  struct error *err)
{
    char name[REFERENCE_TEXT_MAX];
    entry_name(reference, name);

    cleanup_json json_t *document = NULL;
    json_t *entries = NULL;
    int rc = store_index_read(store, &document, &entries, err);
    if (rc < 0)
        return rc;

    const json_t *found = NULL;
    for (size_t i = 0; !found && i < json_array_size(entries); i++) {
        const json_t *entry = json_array_get(entries, i);
        if (strcmp(name_of(entry), name) == 0 || (reference_has_digest(reference) && entry_is(entry, reference)))
            found = entry;
    }
    if (!found) {
        char familiar[REFERENCE_TEXT_MAX];
        reference_format_familiar(reference, familiar);
        return error_set(err, ENOENT, "no image '%s' on this machine: pull it first", familiar);
    }
    rc = descriptor_from_json(manifest, found, err);
    return rc < 0 ? error_context(err, rc, "'%s/images/%s', '%s'", store->path, STORE_INDEX_NAME, name) : 0;
}

int store_list(const struct store *store, struct store_entry **entries, size_t *count, struct error *err)
{
    cleanup_json json_t *document = NULL;
    json_t *array = NULL;
    int rc = store_index_read(store, &document, &array, err);
    if (rc < 0)
        return rc;

    size_t length = json_array_size(array);
    cleanup_free struct store_entry *list = calloc(length ? length : 1, sizeof *list);
    if (!list)
        return error_set(err, ENOMEM, "out of memory for a list of %zu images", length);
    size_t kept = 0;
    for (size_t i = 0; i < length; i++) {
        const json_t *object = json_array_get(array, i);
        struct store_entry entry;
        char name[REFERENCE_TEXT_MAX];
        if (reference_parse(&entry.reference, name_of(object), NULL) < 0 ||
            descriptor_from_json(&entry.manifest, object, NULL) < 0)
            continue;
        /* Another tool's "latest" is not docker.io/library/latest: only full names are ours. */
        entry_name(&entry.reference, name);
        if (strcmp(name, name_of(object)) == 0)
            list[kept++] = entry;
    }
    *entries = steal_pointer(list);
    *count = kept;
    return 0;
}
