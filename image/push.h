/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pushing: an image of the store goes to a registry as it is, byte for byte, what the registry has already left out,
 * its name last.
 */
#ifndef IMAGE_PUSH_H
#define IMAGE_PUSH_H

#include <stdint.h>

#include "image/digest.h"
#include "image/reference.h"

struct error;
struct store;

/** What a push is at. */
enum push_phase {
    PUSH_BLOB_EXISTS,  /**< the repository has the blob */
    PUSH_BLOB_MOUNTED, /**< the registry took it from another repository */
    PUSH_BLOB_SEND,    /**< bytes are leaving: first with done = 0, then many times */
    PUSH_BLOB_SENT,    /**< the registry has the blob and has checked it */
    PUSH_MANIFEST_SENT /**< a manifest is there, the last one under its name; digest = the manifest's */
};

struct push_event {
    enum push_phase phase;
    struct digest digest;
    uint64_t done;  /**< bytes */
    uint64_t total; /**< bytes */
};

struct push_options {
    void (*progress)(void *context,
                     const struct push_event *event); /**< NULL = silent; called on the caller's thread */
    void *context;
};

/**
 * Pushes an image to where its name says.
 *
 * @param options   NULL = silently
 * @param manifest  set to the digest under which it is there; may be NULL
 * @return 0; -ENOENT when the store has no such image or a part of it; -EACCES when the registry wants a login or
 *         refuses; or as image_pull()
 */
int image_push(struct store *store, const struct reference *reference, const struct push_options *options,
               struct digest *manifest, struct error *err);

#endif
