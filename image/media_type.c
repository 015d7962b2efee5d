/* SPDX-License-Identifier: Apache-2.0 */
/* The table of media types. */
#include "image/media_type.h"

#include <stddef.h>
#include <string.h>
#include <strings.h>

static const struct media_type media_types[] = {
    {MEDIA_TYPE_OCI_INDEX, MEDIA_INDEX, LAYER_TAR},
    {MEDIA_TYPE_DOCKER_INDEX, MEDIA_INDEX, LAYER_TAR},
    {MEDIA_TYPE_OCI_MANIFEST, MEDIA_MANIFEST, LAYER_TAR},
    {MEDIA_TYPE_DOCKER_MANIFEST, MEDIA_MANIFEST, LAYER_TAR},
    {"application/vnd.docker.distribution.manifest.v1+json", MEDIA_SCHEMA1, LAYER_TAR},
    {"application/vnd.docker.distribution.manifest.v1+prettyjws", MEDIA_SCHEMA1, LAYER_TAR},
    {MEDIA_TYPE_OCI_CONFIG, MEDIA_CONFIG, LAYER_TAR},
    {MEDIA_TYPE_DOCKER_CONFIG, MEDIA_CONFIG, LAYER_TAR},
    {"application/vnd.oci.image.layer.v1.tar", MEDIA_LAYER, LAYER_TAR},
    {"application/vnd.oci.image.layer.v1.tar+gzip", MEDIA_LAYER, LAYER_GZIP},
    {"application/vnd.oci.image.layer.v1.tar+zstd", MEDIA_LAYER, LAYER_ZSTD},
    {"application/vnd.docker.image.rootfs.diff.tar", MEDIA_LAYER, LAYER_TAR},
    {"application/vnd.docker.image.rootfs.diff.tar.gzip", MEDIA_LAYER, LAYER_GZIP},
    {"application/vnd.docker.image.rootfs.diff.tar.zstd", MEDIA_LAYER, LAYER_ZSTD},
    {"application/vnd.oci.image.layer.nondistributable.v1.tar", MEDIA_FOREIGN_LAYER, LAYER_TAR},
    {"application/vnd.oci.image.layer.nondistributable.v1.tar+gzip", MEDIA_FOREIGN_LAYER, LAYER_GZIP},
    {"application/vnd.oci.image.layer.nondistributable.v1.tar+zstd", MEDIA_FOREIGN_LAYER, LAYER_ZSTD},
    {"application/vnd.docker.image.rootfs.foreign.diff.tar", MEDIA_FOREIGN_LAYER, LAYER_TAR},
    {"application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", MEDIA_FOREIGN_LAYER, LAYER_GZIP},
};

static const struct media_type unknown = {"", MEDIA_UNKNOWN, LAYER_TAR};

const struct media_type *media_type_lookup(const char *text)
{
    if (!text)
        return &unknown;
    text += strspn(text, " \t");
    size_t length = strcspn(text, "; \t\r\n");

    for (size_t i = 0; i < sizeof media_types / sizeof media_types[0]; i++) {
        const struct media_type *type = &media_types[i];
        if (strlen(type->name) == length && strncasecmp(type->name, text, length) == 0)
            return type;
    }
    return &unknown;
}

const char *media_type_of_layer(enum layer_compression compression)
{
    static const char *const names[] = {
        [LAYER_TAR] = "application/vnd.oci.image.layer.v1.tar",
        [LAYER_GZIP] = "application/vnd.oci.image.layer.v1.tar+gzip",
        [LAYER_ZSTD] = "application/vnd.oci.image.layer.v1.tar+zstd",
    };
    return names[compression];
}
