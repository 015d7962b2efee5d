/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/buffer.h"
#include "base/error.h"
#include "image/manifest.h"

#define HEX64             "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define DIGEST            "\"digest\":\"sha256:" HEX64 "\""
#define CONFIG            "\"config\":{\"mediaType\":\"" MEDIA_TYPE_OCI_CONFIG "\"," DIGEST ",\"size\":12}"
#define LAYER(type, size) "{\"mediaType\":\"" type "\"," DIGEST ",\"size\":" size "}"
#define OCI_LAYER         "application/vnd.oci.image.layer.v1.tar"
#define DOCKER_LAYER      "application/vnd.docker.image.rootfs.diff.tar"

/* ---- kinds --------------------------------------------------------------------------------------------------------
 */

static void the_kind_comes_from_the_surest_source(void **state)
{
    (void)state;
    static const struct {
        const char *content_type, *json;
        int rc;
        enum media_kind kind;
    } cases[] = {
        {MEDIA_TYPE_OCI_INDEX, "{}", 0, MEDIA_INDEX},
        {"Application/VND.oci.image.manifest.v1+JSON; charset=utf-8", "{}", 0, MEDIA_MANIFEST},
        {MEDIA_TYPE_OCI_INDEX, "{\"mediaType\":\"" MEDIA_TYPE_OCI_MANIFEST "\"}", 0, MEDIA_INDEX},
        {"application/json", "{\"mediaType\":\"" MEDIA_TYPE_DOCKER_INDEX "\"}", 0, MEDIA_INDEX},
        {NULL, "{\"mediaType\":\"" MEDIA_TYPE_DOCKER_MANIFEST "\"}", 0, MEDIA_MANIFEST},
        {"text/plain", "{\"manifests\":[]}", 0, MEDIA_INDEX},
        {"", "{\"config\":{}}", 0, MEDIA_MANIFEST},
        {"", "{\"fsLayers\":[]}", -ENOTSUP, 0},
        {"application/vnd.docker.distribution.manifest.v1+prettyjws", "{}", -ENOTSUP, 0},
        {"", "{}", -EBADMSG, 0},
        {"", "{\"mediaType\":\"some/thing\",\"config\":{}}", -EBADMSG, 0},
        {MEDIA_TYPE_OCI_CONFIG, "{}", -EBADMSG, 0},
        {MEDIA_TYPE_OCI_MANIFEST, "<html>", -EBADMSG, 0},
        {MEDIA_TYPE_OCI_MANIFEST, "", -EBADMSG, 0},
        {"", "{\"mediaType\":7}", -EBADMSG, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        enum media_kind kind = MEDIA_UNKNOWN;
        struct error err = {0};
        int rc = manifest_kind(&kind, cases[i].content_type, cases[i].json, strlen(cases[i].json), &err);
        if (rc != cases[i].rc || (rc == 0 && kind != cases[i].kind))
            fail_msg("case %zu: %d, kind %d: %s", i, rc, (int)kind, err.text);
    }
}

static void layer_types_tell_the_compression(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        enum media_kind kind;
        enum layer_compression compression;
    } cases[] = {
        {OCI_LAYER, MEDIA_LAYER, LAYER_TAR},
        {OCI_LAYER "+gzip", MEDIA_LAYER, LAYER_GZIP},
        {OCI_LAYER "+zstd", MEDIA_LAYER, LAYER_ZSTD},
        {DOCKER_LAYER ".gzip", MEDIA_LAYER, LAYER_GZIP},
        {"application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", MEDIA_FOREIGN_LAYER, LAYER_GZIP},
        {OCI_LAYER "+bzip2", MEDIA_UNKNOWN, LAYER_TAR},
        {OCI_LAYER "+gzi", MEDIA_UNKNOWN, LAYER_TAR},
        {"", MEDIA_UNKNOWN, LAYER_TAR},
        {NULL, MEDIA_UNKNOWN, LAYER_TAR},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct media_type *type = media_type_lookup(cases[i].name);
        assert_int_equal(type->kind, cases[i].kind);
        assert_int_equal(type->compression, cases[i].compression);
    }
}

/* ---- manifests ----------------------------------------------------------------------------------------------------
 */

static void a_manifest_is_config_and_layers(void **state)
{
    (void)state;
    static const char json[] =
        "{\"schemaVersion\":2," CONFIG
        ",\"layers\":[" LAYER(OCI_LAYER "+gzip", "1") "," LAYER(DOCKER_LAYER ".gzip", "1099511627776") "]}";
    struct manifest manifest;
    struct error err = {0};
    if (manifest_parse(&manifest, json, sizeof json - 1, &err) != 0)
        fail_msg("%s", err.text);
    assert_int_equal(manifest.config.size, 12);
    assert_int_equal(manifest.layer_count, 2);
    assert_string_equal(manifest.layers[0].media_type, OCI_LAYER "+gzip");
    assert_int_equal(manifest.layers[0].digest.algorithm, DIGEST_SHA256);
    assert_int_equal(manifest.layers[1].size, BLOB_BYTES_MAX);
    manifest_done(&manifest);
    manifest_done(&manifest);
}

static void what_is_wrong_with_a_manifest_is_named(void **state)
{
    (void)state;
    static const struct {
        const char *json;
        int code;
        const char *says;
    } cases[] = {
        {"<html>", EBADMSG, "not JSON"},
        {"{\"layers\":[]}", EBADMSG, "a descriptor is missing"},
        {"{\"config\":[]}", EBADMSG, "a descriptor is missing"},
        {"{" CONFIG "}", ENOTSUP, "no layers"},
        {"{" CONFIG ",\"layers\":[]}", ENOTSUP, "no layers"},
        {"{" CONFIG ",\"layers\":{}}", EBADMSG, "'layers' is no array"},
        {"{" CONFIG ",\"layers\":[7]}", EBADMSG, "entry 0"},
        {"{" CONFIG ",\"layers\":[" LAYER(OCI_LAYER, "-1") "]}", EBADMSG, "'size' is -1"},
        {"{" CONFIG ",\"layers\":[" LAYER(OCI_LAYER, "1099511627777") "]}", EBADMSG, "'size'"},
        {"{" CONFIG ",\"layers\":[" LAYER(OCI_LAYER, "1.5") "]}", EBADMSG, "'size'"},
        {"{" CONFIG ",\"layers\":[" LAYER(OCI_LAYER, "99999999999999999999") "]}", EBADMSG, "not JSON"},
        {"{" CONFIG ",\"layers\":[{\"mediaType\":\"" OCI_LAYER "\"," DIGEST "}]}", EBADMSG, "'size'"},
        {"{" CONFIG ",\"layers\":[{\"mediaType\":\"" OCI_LAYER "\",\"size\":1}]}", EBADMSG, "is no digest"},
        {"{" CONFIG ",\"layers\":[{\"mediaType\":\"" OCI_LAYER
         "\",\"size\":1,\"digest\":\"sha256:../../../../../../../../../../../../../../../../../../../../../x\"}]}",
         EBADMSG, "is no digest"},
        {"{" CONFIG ",\"layers\":[" LAYER("application/vnd.oci.image.layer.nondistributable.v1.tar+gzip", "1") "]}",
         ENOTSUP, "foreign layer"},
        {"{" CONFIG ",\"layers\":[" LAYER("application/vnd.cncf.helm.chart.content.v1.tar+gzip", "1") "]}", ENOTSUP,
         "this is not a container image"},
        {"{\"config\":{\"mediaType\":\"application/vnd.oci.empty.v1+json\"," DIGEST ",\"size\":2}}", ENOTSUP,
         "no configuration of a container image"},
        {"{\"config\":{\"mediaType\":\"" MEDIA_TYPE_OCI_CONFIG "\"," DIGEST ",\"size\":4194305}}", EBADMSG,
         "more than 4194304"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct manifest manifest;
        struct error err = {0};
        int rc = manifest_parse(&manifest, cases[i].json, strlen(cases[i].json), &err);
        if (rc != -cases[i].code || !strstr(err.text, cases[i].says))
            fail_msg("case %zu: %d: %s", i, rc, err.text);
    }
}

static void layers_have_a_limit(void **state)
{
    (void)state;
    cleanup_buffer struct buffer json = BUFFER_INIT(1 << 20);
    for (size_t over = 0; over <= 1; over++) {
        struct manifest manifest;
        struct error err = {0};
        buffer_clear(&json);
        buffer_append_format(&json, "{" CONFIG ",\"layers\":[");
        for (size_t i = 0; i < IMAGE_LAYERS_MAX + over; i++)
            buffer_append_format(&json, "%s" LAYER(OCI_LAYER, "1"), i ? "," : "");
        buffer_append_format(&json, "]}");
        assert_false(json.failed);
        int rc = manifest_parse(&manifest, (const char *)json.bytes, json.length, &err);
        assert_int_equal(rc, over ? -EBADMSG : 0);
        if (rc == 0)
            manifest_done(&manifest);
    }
}

/* ---- indexes ------------------------------------------------------------------------------------------------------
 */

/* An entry of an index; its size tells it apart. */
#define ENTRY(type, size, platform) "{\"mediaType\":\"" type "\"," DIGEST ",\"size\":" size platform "}"
#define ON(os, architecture)        ",\"platform\":{\"os\":\"" os "\",\"architecture\":\"" architecture "\"}"
#define ON_ARM(variant)             ",\"platform\":{\"os\":\"linux\",\"architecture\":\"arm\",\"variant\":\"" variant "\"}"
#define M                           MEDIA_TYPE_OCI_MANIFEST

static void the_best_entry_is_chosen(void **state)
{
    (void)state;
    static const struct {
        const char *entries, *wanted;
        uint64_t size; /* of the one to be chosen; 0 = none */
    } cases[] = {
        {ENTRY(M, "1", ON("linux", "arm64")) "," ENTRY(M, "2", ON("linux", "amd64")), "linux/amd64", 2},
        {ENTRY(M, "1", ON("windows", "amd64")) "," ENTRY(M, "2", ON("linux", "amd64")), "linux/amd64", 2},
        {ENTRY(M, "1", ON("unknown", "unknown")) "," ENTRY(M, "2", ON("linux", "amd64")), "linux/amd64", 2},
        {ENTRY(M, "1", ON("linux", "amd64")) "," ENTRY(M, "2", ON("linux", "amd64")), "linux/amd64", 1},
        {ENTRY(M, "1", "") "," ENTRY(M, "2", ON("linux", "amd64")), "linux/amd64", 2},
        {ENTRY(M, "1", "") "," ENTRY(M, "2", ON("linux", "arm64")), "linux/amd64", 1},
        {ENTRY(MEDIA_TYPE_OCI_INDEX, "1", "") "," ENTRY(M, "2", ON("linux", "arm64")), "linux/amd64", 1},
        {ENTRY("some/thing", "1", ON("linux", "amd64")) "," ENTRY(M, "2", ON("linux", "amd64")), "linux/amd64", 2},
        {ENTRY(M, "5", ON_ARM("v5")) "," ENTRY(M, "7", ON_ARM("v7")) "," ENTRY(M, "6", ON_ARM("v6")), "linux/arm/v6",
         6},
        {ENTRY(M, "5", ON_ARM("v5")) "," ENTRY(M, "7", ON_ARM("v7")), "linux/arm/v6", 5},
        {ENTRY(M, "7", ON_ARM("v7")), "linux/arm/v6", 0},
        {ENTRY(M, "1", ON("linux", "arm64")), "linux/amd64", 0},
        {ENTRY(M, "1", ON("unknown", "unknown")), "linux/amd64", 0},
        {"", "linux/amd64", 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char json[2048];
        struct manifest_index index;
        struct platform wanted;
        const struct descriptor *chosen;
        struct error err = {0};
        int length = snprintf(json, sizeof json, "{\"manifests\":[%s]}", cases[i].entries);
        if (manifest_index_parse(&index, json, (size_t)length, &err) != 0)
            fail_msg("case %zu: %s", i, err.text);
        assert_int_equal(platform_parse(&wanted, cases[i].wanted, NULL), 0);
        int rc = manifest_index_choose(&index, &wanted, &chosen, &err);
        if (cases[i].size == 0)
            assert_int_equal(rc, -ENOENT);
        else if (rc != 0 || chosen->size != cases[i].size)
            fail_msg("case %zu: %d, size %lu: %s", i, rc, rc ? 0 : (unsigned long)chosen->size, err.text);
        manifest_index_done(&index);
    }
}

static void what_there_is_is_told(void **state)
{
    (void)state;
    static const char json[] = "{\"manifests\":[" ENTRY(M, "1", ON("linux", "arm64")) "," ENTRY(
        M, "2", ON("unknown", "unknown")) "," ENTRY(M, "3", ON_ARM("v7")) "]}";
    struct manifest_index index;
    struct platform wanted;
    const struct descriptor *chosen;
    struct error err = {0};
    assert_int_equal(manifest_index_parse(&index, json, sizeof json - 1, &err), 0);
    assert_int_equal(platform_parse(&wanted, "linux/amd64", NULL), 0);
    assert_int_equal(manifest_index_choose(&index, &wanted, &chosen, &err), -ENOENT);
    assert_string_equal(err.text, "no image for linux/amd64; there is: linux/arm64, linux/arm/v7");
    manifest_index_done(&index);
}

static void an_index_has_a_limit(void **state)
{
    (void)state;
    cleanup_buffer struct buffer json = BUFFER_INIT(1 << 20);
    for (size_t over = 0; over <= 1; over++) {
        struct manifest_index index;
        buffer_clear(&json);
        buffer_append_format(&json, "{\"manifests\":[");
        for (size_t i = 0; i < INDEX_ENTRIES_MAX + over; i++)
            buffer_append_format(&json, "%s" ENTRY(M, "1", ""), i ? "," : "");
        buffer_append_format(&json, "]}");
        assert_false(json.failed);
        int rc = manifest_index_parse(&index, (const char *)json.bytes, json.length, NULL);
        assert_int_equal(rc, over ? -EBADMSG : 0);
        if (rc == 0)
            manifest_index_done(&index);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_kind_comes_from_the_surest_source),
        cmocka_unit_test(layer_types_tell_the_compression),
        cmocka_unit_test(a_manifest_is_config_and_layers),
        cmocka_unit_test(what_is_wrong_with_a_manifest_is_named),
        cmocka_unit_test(layers_have_a_limit),
        cmocka_unit_test(the_best_entry_is_chosen),
        cmocka_unit_test(what_there_is_is_told),
        cmocka_unit_test(an_index_has_a_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
