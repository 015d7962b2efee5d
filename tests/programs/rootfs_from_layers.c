/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For scripts that test and measure the writer:
 *
 *     rootfs_from_layers OUT [tar|gzip|zstd DIFF_ID BLOB]...      layers, lowest first
 *     rootfs_from_layers --scratch OUT BYTES
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "image/rootfs.h"

enum { LAYERS_MAX = 64, WORDS_PER_LAYER = 3 };

static int create(const char *path, struct error *err)
{
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    return fd < 0 ? error_set(err, EXIT_FAILURE, "cannot create '%s'", path) : fd;
}

static int parse_layer(struct rootfs_layer *layer, char **words, struct error *err)
{
    static const char *const names[] = {[LAYER_TAR] = "tar", [LAYER_GZIP] = "gzip", [LAYER_ZSTD] = "zstd"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(words[0], names[i]) != 0)
            continue;
        layer->compression = (enum layer_compression)i;
        int rc = digest_parse(&layer->diff_id, words[1], err);
        if (rc < 0)
            return rc;
        layer->fd = open(words[2], O_RDONLY | O_CLOEXEC);
        return layer->fd < 0 ? error_set(err, EXIT_FAILURE, "cannot open '%s'", words[2]) : 0;
    }
    return error_set(err, EXIT_FAILURE, "'%s' is neither tar nor gzip nor zstd", words[0]);
}

static int write_layers(const char *path, char **words, size_t count, struct error *err)
{
    struct rootfs_layer layers[LAYERS_MAX] = {0};
    if (count > LAYERS_MAX)
        return error_set(err, EXIT_FAILURE, "too many layers");
    int rc = 0;
    for (size_t i = 0; i < count && rc == 0; i++)
        rc = parse_layer(&layers[i], &words[i * WORDS_PER_LAYER], err);
    if (rc < 0)
        return rc;
    int fd = create(path, err);
    return fd < 0 ? fd : rootfs_write(layers, count, fd, err);
}

static int run(int argc, char **argv, struct error *err)
{
    if (argc == 4 && strcmp(argv[1], "--scratch") == 0) {
        int fd = create(argv[2], err);
        return fd < 0 ? fd : rootfs_write_scratch(fd, strtoull(argv[3], NULL, 10), err);
    }
    if (argc < 2 || (argc - 2) % WORDS_PER_LAYER != 0)
        return error_set(err, EXIT_FAILURE, "usage: rootfs_from_layers OUT [COMPRESSION DIFF_ID BLOB]...");
    return write_layers(argv[1], argv + 2, (size_t)(argc - 2) / WORDS_PER_LAYER, err);
}

int main(int argc, char **argv)
{
    struct error err = {0};
    if (run(argc, argv, &err) == 0)
        return EXIT_SUCCESS;
    fprintf(stderr, "rootfs_from_layers: %s\n", err.text);
    return EXIT_FAILURE;
}
