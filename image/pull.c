/* SPDX-License-Identifier: Apache-2.0 */
/* Pulling an image: each step leaves the store such that stopping there does no harm. */
#include "image/pull.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/log.h"
#include "image/config.h"
#include "image/manifest.h"
#include "image/mirror.h"
#include "image/registry.h"
#include "image/resolve.h"
#include "image/rootfs_cache.h"
#include "image/store.h"

#define MIRRORS_VARIABLE "HULL_REGISTRY_MIRRORS"

/* One pull in progress. */
struct pull {
    struct store *store;
    struct registry *registry;
    struct platform platform; /* wanted */
    const struct pull_options *options;

    struct buffer body; /* the manifest's bytes */
    struct descriptor descriptor;
    struct manifest manifest;
    struct image_config config;
};

static void report(const struct pull *pull, enum pull_phase phase, const struct digest *digest, uint64_t done,
                   uint64_t total)
{
    if (!pull->options || !pull->options->progress)
        return;
    const struct pull_event event = {.phase = phase, .digest = *digest, .done = done, .total = total};
    pull->options->progress(pull->options->context, &event);
}

/* ---- blobs ------------------------------------------------------------------------------------------------------- */

/* A blob on its way from the registry into the store. */
struct blob_transfer {
    const struct pull *pull;
    const struct descriptor *blob;
    struct blob_writer *writer;
    uint64_t done;
};

static int write_piece(void *context, const void *bytes, size_t length, struct error *err)
{
    struct blob_transfer *transfer = context;
    int rc = blob_writer_write(transfer->writer, bytes, length, err);
    if (rc < 0)
        return rc;
    transfer->done += length;
    report(transfer->pull, PULL_LAYER_FETCH, &transfer->blob->digest, transfer->done, transfer->blob->size);
    return 0;
}

/* Fetches what is missing of a blob and makes it visible. */
static int receive_blob(struct pull *pull, const struct descriptor *blob, struct blob_writer *writer, struct error *err)
{
    struct blob_transfer transfer = {.pull = pull, .blob = blob, .writer = writer};
    int rc = 0;
    transfer.done = blob_writer_written(writer);
    report(pull, PULL_LAYER_FETCH, &blob->digest, 0, blob->size);
    if (transfer.done < blob->size)
        rc = registry_get_blob(pull->registry, blob, transfer.done, write_piece, &transfer, err);
    if (rc == 0 && (rc = blob_writer_commit(writer, err)) < 0) {
        char digest[DIGEST_TEXT_MAX];
        digest_format(&blob->digest, digest);
        rc = error_context(err, rc, "blob %s", digest);
    }
    return rc;
}

/* Takes on the download of a blob, waiting for another process that has it. */
static int begin_blob(struct pull *pull, const struct descriptor *blob, struct blob_writer **writer, struct error *err)
{
    int rc = blob_writer_resume(writer, pull->store, &blob->digest, blob->size, false, err);
    if (rc != -EAGAIN)
        return rc;
    report(pull, PULL_LAYER_WAIT, &blob->digest, 0, blob->size);
    return blob_writer_resume(writer, pull->store, &blob->digest, blob->size, true, err);
}

static int fetch_blob(struct pull *pull, const struct descriptor *blob, struct error *err)
{
    struct blob_writer *writer = NULL;
    int rc = store_use_blob(pull->store, &blob->digest, blob->size) ? -EEXIST : begin_blob(pull, blob, &writer, err);
    if (rc == -EEXIST) {
        report(pull, PULL_LAYER_EXISTS, &blob->digest, blob->size, blob->size);
        return 0;
    }
    if (rc < 0)
        return rc;

    bool resumed = blob_writer_written(writer) > 0;
    rc = receive_blob(pull, blob, writer, err);
    /* After a power cut the beginning may be other than it was written: once from its start, then. */
    if (rc == -EBADMSG && resumed && (rc = blob_writer_restart(writer, err)) == 0)
        rc = receive_blob(pull, blob, writer, err);
    if (rc == -EBADMSG)
        blob_writer_discard(writer);
    blob_writer_free(writer);
    if (rc == 0)
        report(pull, PULL_LAYER_FETCHED, &blob->digest, blob->size, blob->size);
    return rc;
}

/* ---- manifest and configuration ---------------------------------------------------------------------------------- */

/* Documents from the registry (resolve_source). */
static int from_registry(void *context, const struct descriptor *entry, struct buffer *body,
                         struct descriptor *document, struct error *err)
{
    const struct pull *pull = context;
    return registry_get_manifest(pull->registry, &entry->digest, body, document, err);
}

static int resolve(struct pull *pull, struct error *err)
{
    int rc = registry_get_manifest(pull->registry, NULL, &pull->body, &pull->descriptor, err);
    if (rc == 0)
        rc = resolve_manifest(from_registry, pull, &pull->platform, &pull->body, &pull->descriptor, &pull->manifest,
                              err);
    if (rc < 0)
        return rc;

    /* At most 513 blobs of at most 2^40 bytes: no overflow. */
    uint64_t total = pull->manifest.config.size;
    for (size_t i = 0; i < pull->manifest.layer_count; i++)
        total += pull->manifest.layers[i].size;
    report(pull, PULL_RESOLVED, &pull->descriptor.digest, 0, total);
    return 0;
}

/* A configuration that names another platform than the wanted one would be pulled in vain. */
static int check_platform(const struct pull *pull, struct error *err)
{
    if (!pull->config.platform.os[0] || platform_distance(&pull->platform, &pull->config.platform) >= 0)
        return 0;
    char wanted[PLATFORM_TEXT_MAX];
    char found[PLATFORM_TEXT_MAX];
    platform_format(&pull->platform, wanted);
    platform_format(&pull->config.platform, found);
    return error_set(err, ENOENT, "no image for %s; there is: %s", wanted, found);
}

static int fetch_config(struct pull *pull, struct error *err)
{
    cleanup_buffer struct buffer body = BUFFER_INIT(IMAGE_CONFIG_BYTES_MAX);
    int rc = fetch_blob(pull, &pull->manifest.config, err);
    if (rc == 0 && (rc = store_read_blob(pull->store, &pull->manifest.config.digest, &body, err)) == -EBADMSG)
        /* Damaged since an earlier pull: away with it, so that the next one mends it. */
        (void)store_check_blob(pull->store, &pull->manifest.config.digest, NULL);
    if (rc == 0)
        rc = image_config_parse(&pull->config, (const char *)body.bytes, body.length, err);
    if (rc < 0)
        return rc;
    if (pull->config.diff_id_count != pull->manifest.layer_count)
        return error_set(err, EBADMSG, "the manifest lists %zu layers, the configuration %zu",
                         pull->manifest.layer_count, pull->config.diff_id_count);
    rc = check_platform(pull, err);
    if (rc == 0 && !pull->descriptor.platform.os[0])
        pull->descriptor.platform = pull->config.platform;
    return rc;
}

/* ---- the whole --------------------------------------------------------------------------------------------------- */

static int make_rootfs(struct pull *pull, struct error *err)
{
    if (!rootfs_cache_has(pull->store, &pull->config))
        report(pull, PULL_ROOTFS_BEGIN, &pull->descriptor.digest, 0, 0);
    cleanup_fd int fd = rootfs_cache_open(pull->store, &pull->manifest, &pull->config, err);
    if (fd < 0)
        return fd;
    off_t size = lseek(fd, 0, SEEK_END);
    uint64_t bytes = size < 0 ? 0 : (uint64_t)size;
    report(pull, PULL_ROOTFS_READY, &pull->descriptor.digest, bytes, bytes);
    return 0;
}

/* The name comes last: what a name leads to is all there. */
static int run_pull(struct pull *pull, const struct reference *reference, struct error *err)
{
    cleanup_fd int lease = store_lease(pull->store, err);
    int rc = lease < 0 ? lease : resolve(pull, err);
    if (rc == 0)
        rc = fetch_config(pull, err);
    for (size_t i = 0; rc == 0 && i < pull->manifest.layer_count; i++)
        rc = fetch_blob(pull, &pull->manifest.layers[i], err);
    if (rc == 0)
        rc = make_rootfs(pull, err);
    if (rc == 0)
        rc = store_put_blob(pull->store, &pull->descriptor.digest, pull->body.bytes, pull->body.length, err);
    if (rc == 0)
        rc = store_publish(pull->store, reference, &pull->descriptor, &pull->manifest, err);
    return rc;
}

/* Pulls from one place what is to have @p name. */
static int pull_from(const struct reference *source, const struct reference *name, struct store *store,
                     const struct pull_options *options, struct digest *manifest, struct error *err)
{
    struct pull pull = {.store = store, .options = options, .body = BUFFER_INIT(MANIFEST_BYTES_MAX)};
    if (options && options->platform.os[0])
        pull.platform = options->platform;
    else
        platform_host(&pull.platform);

    int rc = registry_new(&pull.registry, source, err);
    if (rc == 0)
        rc = run_pull(&pull, name, err);
    if (rc == 0 && manifest)
        *manifest = pull.descriptor.digest;

    registry_free(pull.registry);
    image_config_done(&pull.config);
    manifest_done(&pull.manifest);
    buffer_done(&pull.body);
    return rc;
}

/* Whether another place may do better: not when it is this machine that fails. */
static bool is_fault_of_source(int rc)
{
    static const int codes[] = {ENOENT,       EACCES,       EBADMSG,     EPROTO,    EPROTOTYPE, ENOTSUP,
                                ECONNREFUSED, EHOSTUNREACH, ENETUNREACH, ETIMEDOUT, ECONNRESET, EBUSY};
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++)
        if (rc == -codes[i])
            return true;
    return false;
}

/* Tries the mirrors. @return 0 when one had it, 1 when the registry itself is to be asked, or -errno */
static int pull_from_mirrors(const struct reference *name, struct store *store, const struct pull_options *options,
                             struct digest *manifest, struct error *err)
{
    struct reference mirrors[MIRRORS_MAX];
    int count = mirror_list(getenv(MIRRORS_VARIABLE), name, mirrors, err);
    for (int i = 0; i < count; i++) {
        struct error why = {0};
        int rc = pull_from(&mirrors[i], name, store, options, manifest, &why);
        if (rc == 0 || !is_fault_of_source(rc))
            return rc == 0 ? 0 : error_set(err, -rc, "%s", why.text);
        log_warn("mirror '%s': %s: trying the next", mirrors[i].host, why.text);
    }
    return count < 0 ? count : 1;
}

int image_pull(struct store *store, const struct reference *reference, const struct pull_options *options,
               struct digest *manifest, struct error *err)
{
    int rc = pull_from_mirrors(reference, store, options, manifest, err);
    if (rc > 0)
        rc = pull_from(reference, reference, store, options, manifest, err);
    if (rc < 0) {
        char name[REFERENCE_TEXT_MAX];
        reference_format_familiar(reference, name);
        return error_context(err, rc, "cannot pull '%s'", name);
    }
    return 0;
}
