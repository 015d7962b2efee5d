/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The cache of root file systems: ROOT/rootfs/KEY.ext4 of the store, read-only, shared by all containers of all images
 * with the same layers. KEY is the SHA-256 of the layers' diffIDs and of the writer's version, so a file never has to
 * be checked for being up to date, and removing one loses nothing.
 */
#ifndef IMAGE_ROOTFS_CACHE_H
#define IMAGE_ROOTFS_CACHE_H

#include <stdbool.h>

#include "image/config.h"
#include "image/manifest.h"

struct error;
struct store;

/** KEY as a digest. @return 0 or -errno */
int rootfs_cache_key(struct digest *key, const struct image_config *config, struct error *err);

/** Whether a running machine has the root file system of a configuration locked (hull-vmm locks its disks). */
bool rootfs_cache_in_use(const struct store *store, const struct image_config *config);

/** Whether the cache has the root file system of a configuration. */
bool rootfs_cache_has(const struct store *store, const struct image_config *config);

/**
 * Opens the root file system of an image; makes it first if the cache does not have it. A layer in the store that turns
 * out to be damaged is removed, so that pulling again gets it anew.
 *
 * @return a descriptor for reading that the caller owns; -ENOENT when a layer is not in the store; -EBADMSG when a
 * layer is not what it should be; or -errno
 */
int rootfs_cache_open(struct store *store, const struct manifest *manifest, const struct image_config *config,
                      struct error *err);

#endif
