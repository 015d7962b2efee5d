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
#include "image/config.h"

#define HEX64 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define DIFFS "\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[\"sha256:" HEX64 "\"]}"

static int parse(struct image_config *config, const char *json, struct error *err)
{
    return image_config_parse(config, json, strlen(json), err);
}

static void everything_is_taken(void **state)
{
    (void)state;
    struct image_config config;
    struct error err = {0};
    int rc =
        parse(&config,
              "{\"created\":\"2024-05-06T07:08:09.123Z\",\"architecture\":\"arm64\",\"os\":\"linux\","
              "\"variant\":\"v8\",\"config\":{\"User\":\"1000:100\",\"ExposedPorts\":{\"80/tcp\":{},\"53/udp\":{}},"
              "\"Env\":[\"PATH=/bin\",\"EMPTY=\"],\"Entrypoint\":[\"/init\",\"-x\"],\"Cmd\":[\"\"],"
              "\"Volumes\":{\"/data\":{}},\"WorkingDir\":\"/srv\",\"Labels\":{\"a\":\"1\",\"b\":\"\"},"
              "\"StopSignal\":\"SIGINT\",\"Unknown\":[1,2]},"
              "\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[\"sha256:" HEX64 "\",\"sha512:" HEX64 HEX64
              "\"]},\"history\":[{}]}",
              &err);
    if (rc != 0)
        fail_msg("%s", err.text);
    assert_string_equal(config.created, "2024-05-06T07:08:09.123Z");
    assert_string_equal(config.platform.os, "linux");
    assert_string_equal(config.platform.architecture, "arm64");
    assert_string_equal(config.platform.variant, "v8");
    assert_string_equal(config.user, "1000:100");
    assert_string_equal(config.working_dir, "/srv");
    assert_string_equal(config.stop_signal, "SIGINT");
    assert_int_equal(config.env.count, 2);
    assert_string_equal(config.env.items[1], "EMPTY=");
    assert_null(config.env.items[2]);
    assert_int_equal(config.entrypoint.count, 2);
    assert_string_equal(config.entrypoint.items[0], "/init");
    assert_int_equal(config.cmd.count, 1);
    assert_string_equal(config.cmd.items[0], "");
    assert_int_equal(config.ports.count, 2);
    assert_string_equal(config.ports.items[0], "80/tcp");
    assert_int_equal(config.volumes.count, 1);
    assert_string_equal(config.volumes.items[0], "/data");
    assert_int_equal(config.label_count, 2);
    assert_string_equal(config.labels[0].name, "a");
    assert_string_equal(config.labels[0].value, "1");
    assert_int_equal(config.diff_id_count, 2);
    assert_int_equal(config.diff_ids[0].algorithm, DIGEST_SHA256);
    assert_int_equal(config.diff_ids[1].algorithm, DIGEST_SHA512);
    image_config_done(&config);
    image_config_done(&config);
}

static void what_is_not_given_is_empty(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "{" DIFFS "}",
        "{\"config\":null," DIFFS "}",
        "{\"config\":{}," DIFFS "}",
        "{\"config\":{\"Env\":null,\"Cmd\":null,\"Labels\":null,\"Volumes\":null,\"User\":null}," DIFFS "}",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct image_config config;
        assert_int_equal(parse(&config, texts[i], NULL), 0);
        assert_string_equal(config.user, "");
        assert_string_equal(config.working_dir, "");
        assert_string_equal(config.created, "");
        assert_int_equal(config.env.count, 0);
        assert_null(config.env.items[0]);
        assert_null(config.cmd.items[0]);
        assert_null(config.entrypoint.items[0]);
        assert_int_equal(config.label_count, 0);
        image_config_done(&config);
    }
}

static void what_is_wrong_is_named(void **state)
{
    (void)state;
    static const struct {
        const char *json, *says;
    } cases[] = {
        {"", "not JSON"},
        {"[]", "no object"},
        {"{" DIFFS "} x", "not JSON"},
        {"{" DIFFS ",\"os\":\"a\",\"os\":\"b\"}", "not JSON: duplicate"},
        {"{\"os\":7," DIFFS "}", "'os' is no string"},
        {"{\"os\":\"0123456789012345678901234567890123456789\"," DIFFS "}", "'os' is longer"},
        {"{\"config\":[]," DIFFS "}", "'config' is no object"},
        {"{\"config\":{\"Env\":{}}," DIFFS "}", "'Env' is no array"},
        {"{\"config\":{\"Env\":[1]}," DIFFS "}", "an item of 'Env' is no string"},
        {"{\"config\":{\"Cmd\":\"sh\"}," DIFFS "}", "'Cmd' is no array"},
        {"{\"config\":{\"Cmd\":[\"a\\u0000b\"]}," DIFFS "}", "not JSON"},
        {"{\"config\":{\"Labels\":{\"a\":1}}," DIFFS "}", "'Labels' is no string"},
        {"{\"config\":{\"Volumes\":[]}," DIFFS "}", "'Volumes' is no object"},
        {"{}", "names 0 layers"},
        {"{\"rootfs\":{\"diff_ids\":[]}}", "names 0 layers"},
        {"{\"rootfs\":{\"diff_ids\":[\"sha256:0\"]}}", "is no digest"},
        {"{\"rootfs\":{\"diff_ids\":[7]}}", "is no digest"},
        {"{\"a\":[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]," DIFFS "}", "nested deeper"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct image_config config;
        struct error err = {0};
        if (parse(&config, cases[i].json, &err) != -EBADMSG || !strstr(err.text, cases[i].says))
            fail_msg("case %zu: '%s'", i, err.text);
        assert_non_null(strstr(err.text, "image configuration"));
    }
}

/* @p count strings in Env. */
static void build_env(struct buffer *json, size_t count)
{
    buffer_clear(json);
    buffer_append_format(json, "{" DIFFS ",\"config\":{\"Env\":[");
    for (size_t i = 0; i < count; i++)
        buffer_append_format(json, "%s\"A%zu=1\"", i ? "," : "", i);
    buffer_append_format(json, "]}}");
    assert_false(json->failed);
}

static void lists_have_a_limit(void **state)
{
    (void)state;
    struct image_config config;
    struct error err = {0};
    cleanup_buffer struct buffer json = BUFFER_INIT(1 << 20);
    build_env(&json, IMAGE_CONFIG_LIST_MAX);
    assert_int_equal(image_config_parse(&config, (const char *)json.bytes, json.length, &err), 0);
    assert_int_equal(config.env.count, IMAGE_CONFIG_LIST_MAX);
    image_config_done(&config);
    build_env(&json, IMAGE_CONFIG_LIST_MAX + 1);
    assert_int_equal(image_config_parse(&config, (const char *)json.bytes, json.length, &err), -EBADMSG);
}

static void strings_have_a_limit(void **state)
{
    (void)state;
    cleanup_buffer struct buffer json = BUFFER_INIT(1 << 20);
    for (int over = 0; over <= 1; over++) {
        struct image_config config;
        struct error err = {0};
        buffer_clear(&json);
        buffer_append_format(&json, "{" DIFFS ",\"config\":{\"Cmd\":[\"");
        memset(buffer_extend(&json, (size_t)IMAGE_CONFIG_TEXT_MAX + (size_t)over), 'x',
               (size_t)IMAGE_CONFIG_TEXT_MAX + (size_t)over);
        buffer_append_format(&json, "\"]}}");
        int rc = image_config_parse(&config, (const char *)json.bytes, json.length, &err);
        assert_int_equal(rc, over ? -EBADMSG : 0);
        if (rc == 0)
            image_config_done(&config);
    }
}

/* A document that would take forty times its size in memory is refused before it is parsed. */
static void the_number_of_values_has_a_limit(void **state)
{
    (void)state;
    cleanup_buffer struct buffer json = BUFFER_INIT(IMAGE_CONFIG_BYTES_MAX);
    struct image_config config;
    struct error err = {0};
    buffer_append_format(&json, "{\"a\":[[]");
    while (json.length < (3 << 20))
        buffer_append(&json, ",[]", 3);
    buffer_append_format(&json, "]," DIFFS "}");
    assert_false(json.failed);
    assert_int_equal(image_config_parse(&config, (const char *)json.bytes, json.length, &err), -EBADMSG);
    assert_non_null(strstr(err.text, "values"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everything_is_taken),    cmocka_unit_test(what_is_not_given_is_empty),
        cmocka_unit_test(what_is_wrong_is_named), cmocka_unit_test(lists_have_a_limit),
        cmocka_unit_test(strings_have_a_limit),   cmocka_unit_test(the_number_of_values_has_a_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
