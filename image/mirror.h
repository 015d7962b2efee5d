/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Mirrors: registries to ask before the one that an image's name says, from HULL_REGISTRY_MIRRORS, in its order:
 *
 *     docker.io=mirror.example:5000,docker.io=cache.example/hub,quay.io=mirror.example:5000/quay
 *
 * docker.io/library/busybox is then looked for as mirror.example:5000/library/busybox,
 * cache.example/hub/library/busybox and at last by its own name. What a tag means is the mirror's word; content is
 * checked against its digest as always.
 */
#ifndef IMAGE_MIRROR_H
#define IMAGE_MIRROR_H

#include <stddef.h>

#include "image/reference.h"

struct error;

enum { MIRRORS_MAX = 8 };

/**
 * Lists what to ask instead of a reference.
 * @param list     as above; NULL or "" = none
 * @param mirrors  room for MIRRORS_MAX
 * @return how many there are, or -EINVAL when the list can't be read
 */
int mirror_list(const char *list, const struct reference *reference, struct reference mirrors[static MIRRORS_MAX],
                struct error *err);

#endif
