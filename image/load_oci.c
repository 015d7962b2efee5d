/* SPDX-License-Identifier: Apache-2.0 */
/* OCI layouts: the entries of index.json, each with the name that its annotations give it. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/buffer.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/fd.h"
#include "image/json.h"
#include "image/load_internal.h"
#include "image/resolve.h"
#include "image/store.h"

/* The name of an entry: containerd's and docker's full one, else OCI's, which may be no more than a tag; or "". */
static const char *entry_name(const json_t *entry)
{
    static const char *const keys[] = {"io.containerd.image.name", "org.opencontainers.image.ref.name"};
    const json_t *annotations = json_object_get(entry, "annotations");
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        const char *name = json_string_value(json_object_get(annotations, keys[i]));
        if (name && name[0])
            return name;
    }
    return "";
}

/* What the image is to be called. A lone word such as "latest" is a tag without an image. */
static int choose_name(const struct load *load, const char *name, struct reference *reference, struct error *err)
{
    if (load->options->name) {
        *reference = *load->options->name;
        return 0;
    }
    if (!strpbrk(name, "/:@"))
        return error_set(err, EINVAL,
                         "the image is called '%.100s' there, which is no whole name: give it one (--name)", name);
    int rc = reference_parse(reference, name, err);
    return rc < 0 ? error_context(err, rc, "the image's name there is none (give it one with --name)") : 0;
}

/* Documents of the layout (resolve_source), which come into the store on their way. */
static int from_layout(void *context, const struct descriptor *entry, struct buffer *body, struct descriptor *document,
                       struct error *err)
{
    struct load *load = context;
    if (entry->size > MANIFEST_BYTES_MAX)
        return error_set(err, EBADMSG, "a manifest of more than %d bytes", MANIFEST_BYTES_MAX);
    int rc = load_blob(load, entry, err);
    return rc < 0 ? rc : resolve_from_store(load->store, entry, body, document, err);
}

static int load_entry(struct load *load, const json_t *object, struct error *err)
{
    cleanup_buffer struct buffer body = BUFFER_INIT(MANIFEST_BYTES_MAX);
    struct reference reference;
    struct descriptor entry;
    struct descriptor document;
    struct manifest manifest;
    int rc = choose_name(load, entry_name(object), &reference, err);
    if (rc == 0)
        rc = descriptor_from_json(&entry, object, err);
    if (rc == 0)
        rc = from_layout(load, &entry, &body, &document, err);
    if (rc < 0)
        return rc;
    memcpy(document.media_type, entry.media_type, sizeof document.media_type);
    document.platform = entry.platform;
    rc = resolve_manifest(from_layout, load, &load->platform, &body, &document, &manifest, err);
    if (rc < 0)
        return rc;
    rc = load_image(load, &reference, &document, &manifest, err);
    manifest_done(&manifest);
    return rc;
}

static int load_entries(struct load *load, const json_t *entries, struct error *err)
{
    size_t wanted = 0;
    size_t count = json_array_size(entries);
    if (count > LOAD_IMAGES_MAX)
        return error_set(err, EBADMSG, "more than %d images", LOAD_IMAGES_MAX);
    for (size_t i = 0; i < count; i++)
        wanted += load_wants(load, entry_name(json_array_get(entries, i)));
    if (wanted == 0)
        return error_set(err, ENOENT, "no image '%.200s' in there", load->options->select ? load->options->select : "");
    if (wanted > 1 && load->options->name)
        return error_set(err, EINVAL, "%zu images are in there: one name (--name) does not do", wanted);
    for (size_t i = 0; i < count; i++) {
        const json_t *entry = json_array_get(entries, i);
        int rc = load_wants(load, entry_name(entry)) ? load_entry(load, entry, err) : 0;
        if (rc < 0)
            return rc;
    }
    return 0;
}

/* index.json of a layout's directory. */
static int read_index(int layout, struct buffer *text, struct error *err)
{
    cleanup_fd int fd = openat(layout, "index.json", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return error_set_errno(err, errno, "no OCI layout: cannot open its index.json");
    uint8_t *bytes = buffer_extend(text, MANIFEST_BYTES_MAX);
    if (!bytes)
        return error_set(err, ENOMEM, "out of memory for index.json");
    ssize_t got = fd_read_full(fd, bytes, MANIFEST_BYTES_MAX);
    if (got < 0)
        return error_set_errno(err, (int)-got, "cannot read index.json");
    if (got == MANIFEST_BYTES_MAX)
        return error_set(err, EBADMSG, "index.json has %d bytes or more", MANIFEST_BYTES_MAX);
    text->length = (size_t)got;
    return 0;
}

int load_oci(struct load *load, struct error *err)
{
    cleanup_buffer struct buffer read = BUFFER_INIT(MANIFEST_BYTES_MAX);
    cleanup_json json_t *document = NULL;
    json_t *entries = NULL;
    const struct buffer *text = &load->contents.documents[ARCHIVE_OCI_INDEX];
    if (load->layout >= 0) {
        int rc = read_index(load->layout, &read, err);
        if (rc < 0)
            return rc;
        text = &read;
    }
    int rc = json_parse_object(&document, (const char *)text->bytes, text->length, err);
    if (rc == 0)
        rc = json_member(document, "manifests", JSON_ARRAY, &entries, err);
    if (rc < 0)
        return error_context(err, rc, "index.json");
    return load_entries(load, entries, err);
}
