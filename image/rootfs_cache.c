/* SPDX-License-Identifier: Apache-2.0 */
/* Root file systems: looked up by what they are made of, made when missing, shown only when whole. */
#include "image/rootfs_cache.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/fd.h"
#include "image/rootfs.h"
#include "image/store.h"
#include "image/temp_file.h"

enum { KEY_NAME_MAX = DIGEST_TEXT_MAX + sizeof ".ext4", ROOTFS_MODE = 0444, MAKE_ATTEMPTS = 3 };

/* Changing a line of the text hashed here makes every cached file a stranger. */
int rootfs_cache_key(struct digest *key, const struct image_config *config, struct error *err)
{
    cleanup_buffer struct buffer text = BUFFER_INIT((size_t)(IMAGE_LAYERS_MAX + 1) * DIGEST_TEXT_MAX);
    buffer_append_format(&text, "rootfs %d\n", ROOTFS_WRITER_VERSION);
    for (size_t i = 0; i < config->diff_id_count; i++) {
        char diff_id[DIGEST_TEXT_MAX];
        digest_format(&config->diff_ids[i], diff_id);
        buffer_append_format(&text, "%s\n", diff_id);
    }
    if (text.failed)
        return error_set(err, ENOMEM, "out of memory for a cache key");

    return digest_of(key, DIGEST_SHA256, text.bytes, text.length, err);
}

/* The name of the cache's file. */
static int key_name(char name[static KEY_NAME_MAX], const struct image_config *config, struct error *err)
{
    struct digest key;
    int rc = rootfs_cache_key(&key, config, err);
    if (rc < 0)
        return rc;
    char hex[DIGEST_TEXT_MAX];
    digest_format_hex(&key, hex);
    (void)snprintf(name, KEY_NAME_MAX, "%s.ext4", hex);
    return 0;
}

bool rootfs_cache_has(const struct store *store, const struct image_config *config)
{
    char name[KEY_NAME_MAX];
    return key_name(name, config, NULL) == 0 && faccessat(store_rootfs_dir(store), name, R_OK, 0) == 0;
}

/* ---- making one -------------------------------------------------------------------------------------------------- */

static void close_layers(const struct rootfs_layer *layers, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (layers[i].fd >= 0)
            close(layers[i].fd);
}

static int open_layers(struct rootfs_layer *layers, const struct store *store, const struct manifest *manifest,
                       const struct image_config *config, struct error *err)
{
    for (size_t i = 0; i < manifest->layer_count; i++)
        layers[i] = (struct rootfs_layer){
            .fd = -1,
            .compression = media_type_lookup(manifest->layers[i].media_type)->compression,
            .diff_id = config->diff_ids[i],
        };
    for (size_t i = 0; i < manifest->layer_count; i++) {
        layers[i].fd = store_open_blob(store, &manifest->layers[i].digest, err);
        if (layers[i].fd < 0)
            return error_context(err, layers[i].fd, "layer %zu", i + 1);
    }
    return 0;
}

/* After a failure: was a layer in the store not what its name says? Then it must not stay. */
static int remove_damaged(struct store *store, const struct manifest *manifest, int rc, struct error *err)
{
    for (size_t i = 0; i < manifest->layer_count; i++) {
        struct error damage = {0};
        if (store_check_blob(store, &manifest->layers[i].digest, &damage) == -EBADMSG)
            return error_set(err, EBADMSG, "%s", damage.text);
    }
    return rc;
}

static int write_rootfs(struct store *store, const struct manifest *manifest, const struct image_config *config,
                        int out_fd, struct error *err)
{
    size_t count = manifest->layer_count;
    struct rootfs_layer *layers = count ? calloc(count, sizeof *layers) : NULL;
    if (!layers)
        return error_set(err, ENOMEM, "out of memory for %zu layers", count);
    int rc = open_layers(layers, store, manifest, config, err);
    if (rc == 0)
        rc = rootfs_write(layers, count, out_fd, err);
    close_layers(layers, count);
    free(layers);
    return rc == -EBADMSG ? remove_damaged(store, manifest, rc, err) : rc;
}

static int make_rootfs(struct store *store, const struct manifest *manifest, const struct image_config *config,
                       const char *name, struct error *err)
{
    if (config->diff_id_count != manifest->layer_count)
        return error_set(err, EBADMSG, "the manifest lists %zu layers, the configuration %zu", manifest->layer_count,
                         config->diff_id_count);

    struct temp_file file = TEMP_FILE_NONE;
    int rc = temp_file_new(&file, store_tmp_dir(store), err);
    if (rc == 0)
        rc = write_rootfs(store, manifest, config, file.fd, err);
    if (rc == 0)
        rc = temp_file_publish(&file, store_rootfs_dir(store), name, ROOTFS_MODE, TEMP_FILE_KEEP, err);
    temp_file_done(&file);
    return rc < 0 ? error_context(err, rc, "cannot make the root file system") : 0;
}

static int open_cached(const struct store *store, const char *name)
{
    int fd = openat(store_rootfs_dir(store), name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

bool rootfs_cache_in_use(const struct store *store, const struct image_config *config)
{
    char name[KEY_NAME_MAX];
    cleanup_fd int fd = key_name(name, config, NULL) == 0 ? open_cached(store, name) : -1;
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    return fd >= 0 && fcntl(fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}

int rootfs_cache_open(struct store *store, const struct manifest *manifest, const struct image_config *config,
                      struct error *err)
{
    char name[KEY_NAME_MAX];
    int rc = key_name(name, config, err);
    if (rc < 0)
        return rc;
    int fd = open_cached(store, name);
    /* Again, should somebody prune between the making and the opening. */
    for (int attempt = 0; fd == -ENOENT && attempt < MAKE_ATTEMPTS; attempt++) {
        rc = make_rootfs(store, manifest, config, name, err);
        if (rc < 0)
            return rc;
        fd = open_cached(store, name);
    }
    return fd < 0 ? error_set_errno(err, -fd, "cannot open '%s/rootfs/%s'", store_path(store), name) : fd;
}
