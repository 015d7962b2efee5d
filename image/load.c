/* SPDX-License-Identifier: Apache-2.0 */
/* Loading: what all forms of images in files have in common. */
#include "image/load.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/fd.h"
#include "image/config.h"
#include "image/load_internal.h"
#include "image/rootfs_cache.h"
#include "image/store.h"

bool load_wants(const struct load *load, const char *name)
{
    struct reference selected;
    struct reference found;
    char texts[2][REFERENCE_TEXT_MAX];
    const char *select = load->options->select;
    if (!select || strcmp(select, name) == 0)
        return true;
    if (reference_parse(&selected, select, NULL) < 0 || reference_parse(&found, name, NULL) < 0)
        return false;
    reference_format(&selected, texts[0]);
    reference_format(&found, texts[1]);
    return strcmp(texts[0], texts[1]) == 0;
}

/* ---- blobs ------------------------------------------------------------------------------------------------------- */

static int copy_file(int fd, struct blob_writer *writer, struct error *err)
{
    for (;;) {
        enum { PIECE = 64 << 10 };
        uint8_t piece[PIECE];
        ssize_t got = fd_read_full(fd, piece, sizeof piece);
        if (got < 0)
            return error_set_errno(err, (int)-got, "cannot read the layout");
        if (got == 0)
            return 0;
        int rc = blob_writer_write(writer, piece, (size_t)got, err);
        if (rc < 0)
            return rc;
    }
}

/* Copies a blob out of a layout's directory. */
static int copy_blob(struct load *load, const struct descriptor *blob, const char *path, struct error *err)
{
    struct stat status;
    struct blob_writer *writer;
    cleanup_fd int fd = openat(load->layout, path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return error_set_errno(err, errno == ENOENT ? EBADMSG : errno, "cannot open '%s' in the layout", path);
    if (fstat(fd, &status) < 0 || !S_ISREG(status.st_mode))
        return error_set(err, EBADMSG, "'%s' in the layout is no regular file", path);
    int rc = blob_writer_new(&writer, load->store, &blob->digest, blob->size, err);
    if (rc < 0)
        return rc;
    rc = copy_file(fd, writer, err);
    if (rc == 0)
        rc = blob_writer_commit(writer, err);
    blob_writer_free(writer);
    return rc < 0 ? error_context(err, rc, "'%s'", path) : 0;
}

int load_blob(struct load *load, const struct descriptor *blob, struct error *err)
{
    char digest[DIGEST_TEXT_MAX];
    char path[DIGEST_PATH_MAX];
    if (store_use_blob(load->store, &blob->digest, blob->size))
        return 0;
    digest_format(&blob->digest, digest);
    if (load->layout < 0)
        return error_set(err, EBADMSG, "the archive lacks blob %s of %llu bytes", digest,
                         (unsigned long long)blob->size);
    digest_format_path(&blob->digest, path);
    return copy_blob(load, blob, path, err);
}

/* ---- images ------------------------------------------------------------------------------------------------------ */

static int read_config(struct load *load, const struct manifest *manifest, struct image_config *config,
                       struct error *err)
{
    cleanup_buffer struct buffer body = BUFFER_INIT(IMAGE_CONFIG_BYTES_MAX);
    int rc = load_blob(load, &manifest->config, err);
    if (rc == 0)
        rc = store_read_blob(load->store, &manifest->config.digest, &body, err);
    if (rc == 0)
        rc = image_config_parse(config, (const char *)body.bytes, body.length, err);
    return rc < 0 ? error_context(err, rc, "configuration") : 0;
}

/* Making the root file system is what compares the layers with their diffIDs. */
static int verify(struct load *load, const struct manifest *manifest, const struct image_config *config,
                  struct error *err)
{
    for (size_t i = 0; i < manifest->layer_count; i++) {
        int rc = load_blob(load, &manifest->layers[i], err);
        if (rc < 0)
            return error_context(err, rc, "layer %zu", i + 1);
    }
    int rootfs = rootfs_cache_open(load->store, manifest, config, err);
    if (rootfs < 0)
        return rootfs;
    close(rootfs);
    return 0;
}

int load_image(struct load *load, const struct reference *reference, struct descriptor *descriptor,
               const struct manifest *manifest, struct error *err)
{
    struct image_config config;
    int rc = read_config(load, manifest, &config, err);
    if (rc == 0) {
        rc = verify(load, manifest, &config, err);
        if (!descriptor->platform.os[0])
            descriptor->platform = config.platform;
        image_config_done(&config);
    }
    if (rc == 0)
        rc = store_publish(load->store, reference, descriptor, manifest, err);
    if (rc < 0) {
        char name[REFERENCE_TEXT_MAX];
        reference_format_familiar(reference, name);
        return error_context(err, rc, "cannot load '%s'", name);
    }
    if (load->options->done)
        load->options->done(load->options->context, reference, &descriptor->digest);
    return 0;
}

/* ---- the whole --------------------------------------------------------------------------------------------------- */

static int load_archive(struct load *load, int fd, struct error *err)
{
    int rc = archive_contents_read(&load->contents, load->store, fd, err);
    if (rc < 0)
        return rc;
    bool oci = load->contents.documents[ARCHIVE_OCI_INDEX].length > 0;
    bool docker = load->contents.documents[ARCHIVE_DOCKER_MANIFEST].length > 0;
    if (oci && load->options->format != LOAD_DOCKER)
        return load_oci(load, err);
    if (docker && load->options->format != LOAD_OCI)
        return load_docker(load, err);
    return error_set(err, EBADMSG, "no image archive: it has no %s",
                     load->options->format == LOAD_OCI      ? "index.json"
                     : load->options->format == LOAD_DOCKER ? "manifest.json"
                                                            : "index.json and no manifest.json");
}

int image_load(struct store *store, int fd, const struct load_options *options, struct error *err)
{
    struct load load = {.store = store, .options = options, .layout = -1, .platform = options->platform};
    struct stat status;
    if (!load.platform.os[0])
        platform_host(&load.platform);
    if (fstat(fd, &status) < 0)
        return error_set_errno(err, errno, "cannot read the archive");

    cleanup_fd int lease = store_lease(store, err);
    if (lease < 0)
        return lease;
    int rc;
    if (!S_ISDIR(status.st_mode)) {
        rc = load_archive(&load, fd, err);
    } else if (options->format == LOAD_DOCKER) {
        rc = error_set(err, EISDIR, "a docker-archive is a file, that is a directory");
    } else {
        load.layout = fd;
        rc = load_oci(&load, err);
    }
    archive_contents_done(&load.contents);
    return rc;
}
