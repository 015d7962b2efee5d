/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The image configuration (OCI image-spec, config.md; Docker's schema 2 config has the same fields): how a process in
 * this image is to be started, and which layers its root file system consists of.
 */
#ifndef IMAGE_CONFIG_H
#define IMAGE_CONFIG_H

#include <stddef.h>

#include "image/digest.h"
#include "image/platform.h"

struct error;

enum {
    IMAGE_CONFIG_BYTES_MAX = 4 << 20,  /**< of JSON text */
    IMAGE_CONFIG_TEXT_MAX = 128 << 10, /**< of one string: the kernel takes no longer argument (MAX_ARG_STRLEN) */
    IMAGE_CONFIG_LIST_MAX = 4096,      /**< items of one list */
    IMAGE_LAYERS_MAX = 512
};

/** Owned strings, and a NULL after the last so that it serves as argv or envp. Never NULL itself. */
struct string_list {
    char **items;
    size_t count;
};

struct image_label {
    char *name;
    char *value;
};

/** A parsed configuration. Strings are owned and never NULL ("" = not given). */
struct image_config {
    struct platform platform;
    char *created; /**< RFC 3339, as written */
    char *user;    /**< "name", "uid", "name:group", "uid:gid" */
    char *working_dir;
    char *stop_signal;             /**< "SIGTERM", "15" */
    struct string_list env;        /**< "NAME=value" */
    struct string_list entrypoint; /**< argv's beginning */
    struct string_list cmd;        /**< default arguments, or the whole argv when there is no entrypoint */
    struct string_list ports;      /**< ExposedPorts: "80/tcp" */
    struct string_list volumes;    /**< absolute paths */
    struct image_label *labels;    /**< label_count of them */
    size_t label_count;
    struct digest *diff_ids; /**< of the uncompressed layers, lowest first; 1 to IMAGE_LAYERS_MAX */
    size_t diff_id_count;
};

/**
 * Parses the JSON text of a configuration.
 *
 * @param config  filled on success; release with image_config_done()
 * @return 0; -EBADMSG when the text is no valid configuration; -ENOMEM
 */
int image_config_parse(struct image_config *config, const char *json, size_t length, struct error *err);

/** Releases what a configuration holds. Fine on a zeroed one. */
void image_config_done(struct image_config *config);

#endif
