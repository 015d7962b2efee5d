/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as what a registry serves: kind, manifest, index and the choice of a platform. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/error.h"
#include "image/manifest.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

static void try_manifest(const char *json, size_t length)
{
    struct manifest manifest;
    struct error err = {0};
    int rc = manifest_parse(&manifest, json, length, &err);
    if (rc == 0) {
        if (manifest.layer_count == 0 || manifest.layer_count > IMAGE_LAYERS_MAX)
            abort();
        for (size_t i = 0; i < manifest.layer_count; i++)
            if (media_type_lookup(manifest.layers[i].media_type)->kind != MEDIA_LAYER ||
                !manifest.layers[i].digest.algorithm || manifest.layers[i].size > BLOB_BYTES_MAX)
                abort();
        manifest_done(&manifest);
    } else if (err.code != -rc || !err.text[0]) {
        abort();
    }
}

static void try_index(const char *json, size_t length)
{
    struct manifest_index index;
    struct platform wanted;
    const struct descriptor *chosen;
    if (manifest_index_parse(&index, json, length, NULL) < 0)
        return;
    platform_host(&wanted);
    if (manifest_index_choose(&index, &wanted, &chosen, NULL) == 0) {
        if (chosen < index.entries || chosen >= index.entries + index.count)
            abort();
        if (chosen->platform.os[0] && platform_distance(&wanted, &chosen->platform) < 0)
            abort();
    }
    manifest_index_done(&index);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    enum media_kind kind;
    const char *json = (const char *)bytes;
    (void)manifest_kind(&kind, NULL, json, length, NULL);
    try_manifest(json, length);
    try_index(json, length);
    return 0;
}
