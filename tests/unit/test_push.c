/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/error.h"
#include "image/media_type.h"
#include "image/push.h"
#include "image/store.h"
#include "tests/support/fake_registry.h"
#include "tests/support/temp_dir.h"

#define OCI_LAYER "application/vnd.oci.image.layer.v1.tar"
#define UPLOADS   "/v2/app/blobs/uploads/"

enum { EVENTS_MAX = 32, TEXT_MAX = 1024 };

struct fixture {
    char root[TEMP_DIR_PATH_MAX];
    struct fake_registry *server;
    struct store *store;
    struct reference reference;
    char manifest[TEXT_MAX];
    struct push_event events[EVENTS_MAX];
    size_t event_count;
    struct error err;
};

static const char layer[] = "a layer, as far as pushing goes";
static const char config[] = "{\"os\":\"linux\"}";

static struct digest digest_of_text(const char *text)
{
    struct digest digest;
    assert_int_equal(digest_of(&digest, DIGEST_SHA256, text, strlen(text), NULL), 0);
    return digest;
}

static struct digest put_blob(struct fixture *fixture, const char *text)
{
    struct digest digest = digest_of_text(text);
    assert_int_equal(store_put_blob(fixture->store, &digest, text, strlen(text), NULL), 0);
    return digest;
}

static void tag(struct fixture *fixture, const char *media_type, const char *document)
{
    struct descriptor descriptor = {.digest = digest_of_text(document), .size = strlen(document)};
    (void)snprintf(descriptor.media_type, sizeof descriptor.media_type, "%s", media_type);
    assert_int_equal(store_tag(fixture->store, &fixture->reference, &descriptor, NULL), 0);
}

static int setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    char name[REFERENCE_TEXT_MAX];
    char config_text[DIGEST_TEXT_MAX];
    char layer_text[DIGEST_TEXT_MAX];
    assert_non_null(fixture);
    assert_int_equal(temp_dir_new(fixture->root), 0);
    fixture->server = fake_registry_new();
    assert_non_null(fixture->server);
    assert_int_equal(store_open(&fixture->store, fixture->root, NULL), 0);
    (void)snprintf(name, sizeof name, "%s/app:1", fake_registry_host(fixture->server));
    assert_int_equal(reference_parse(&fixture->reference, name, NULL), 0);

    struct digest config_digest = put_blob(fixture, config);
    struct digest layer_digest = put_blob(fixture, layer);
    digest_format(&config_digest, config_text);
    digest_format(&layer_digest, layer_text);
    (void)snprintf(fixture->manifest, sizeof fixture->manifest,
                   "{\"schemaVersion\":2,\"config\":{\"mediaType\":\"" MEDIA_TYPE_OCI_CONFIG
                   "\",\"digest\":\"%s\",\"size\":%zu},\"layers\":[{\"mediaType\":\"" OCI_LAYER
                   "\",\"digest\":\"%s\",\"size\":%zu}]}",
                   config_text, strlen(config), layer_text, strlen(layer));
    put_blob(fixture, fixture->manifest);
    tag(fixture, MEDIA_TYPE_OCI_MANIFEST, fixture->manifest);
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;
    fake_registry_free(fixture->server);
    store_close(fixture->store);
    temp_dir_remove(fixture->root);
    free(fixture);
    return 0;
}

static void take_uploads(struct fixture *fixture)
{
    static const struct fake_rule rules[] = {
        {.method = "POST", .path = UPLOADS, .status = 202, .headers = "Location: " UPLOADS "s\r\n"},
        {.method = "PUT", .path = UPLOADS "s", .status = 201},
        {.method = "PUT", .path = "/v2/app/manifests/1", .status = 201},
    };
    for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++)
        fake_registry_add(fixture->server, rules[i]);
}

static void keep_event(void *context, const struct push_event *event)
{
    struct fixture *fixture = context;
    assert_true(fixture->event_count < EVENTS_MAX);
    fixture->events[fixture->event_count++] = *event;
}

static void expect_push(struct fixture *fixture, int wanted, const char *words)
{
    struct push_options options = {.progress = keep_event, .context = fixture};
    struct digest digest;
    fixture->err = (struct error){0};
    fixture->event_count = 0;
    int rc = image_push(fixture->store, &fixture->reference, &options, &digest, &fixture->err);
    if (rc != wanted || (words && !strstr(fixture->err.text, words)))
        fail_msg("%d instead of %d, %s: %s", rc, wanted, words ? words : "", fixture->err.text);
}

/* How many requests of that kind there were. */
static unsigned requests(struct fixture *fixture, const char *method, const char *below)
{
    unsigned count = 0;
    for (size_t i = 0; i < fake_registry_count(fixture->server); i++) {
        struct fake_request request = fake_registry_request(fixture->server, i);
        count += strcmp(request.method, method) == 0 && strncmp(request.target, below, strlen(below)) == 0;
    }
    return count;
}

static void blobs_go_before_the_manifest(void **state)
{
    struct fixture *fixture = *state;
    take_uploads(fixture);
    expect_push(fixture, 0, NULL);
    assert_int_equal(requests(fixture, "PUT", UPLOADS), 2);
    struct fake_request last = fake_registry_request(fixture->server, fake_registry_count(fixture->server) - 1);
    assert_string_equal(last.target, "/v2/app/manifests/1");
    assert_string_equal(last.body, fixture->manifest);
    assert_string_equal(last.content_type, MEDIA_TYPE_OCI_MANIFEST);
    assert_int_equal(fixture->events[fixture->event_count - 1].phase, PUSH_MANIFEST_SENT);
}

static void what_is_there_is_not_sent(void **state)
{
    struct fixture *fixture = *state;
    char path[256];
    char text[DIGEST_TEXT_MAX];
    struct digest digest = digest_of_text(layer);
    digest_format(&digest, text);
    (void)snprintf(path, sizeof path, "/v2/app/blobs/%s", text);
    fake_registry_add(fixture->server,
                      (struct fake_rule){.method = "HEAD", .path = path, .body = layer, .length = sizeof layer - 1});
    take_uploads(fixture);
    expect_push(fixture, 0, NULL);
    assert_int_equal(requests(fixture, "PUT", UPLOADS), 1);
    assert_int_equal(fixture->events[0].phase, PUSH_BLOB_EXISTS);
}

static void a_blob_is_mounted_from_where_it_should_be(void **state)
{
    struct fixture *fixture = *state;
    struct reference here = fixture->reference;
    memcpy(fixture->reference.repository, "base", sizeof "base");
    tag(fixture, MEDIA_TYPE_OCI_MANIFEST, fixture->manifest);
    fixture->reference = here;
    fake_registry_add(fixture->server, (struct fake_rule){.method = "POST", .path = UPLOADS, .status = 201});
    take_uploads(fixture);
    expect_push(fixture, 0, NULL);
    assert_int_equal(requests(fixture, "POST", UPLOADS "?mount=sha256:"), 2);
    assert_non_null(strstr(fake_registry_request(fixture->server, 1).target, "&from=base"));
    assert_int_equal(requests(fixture, "PUT", UPLOADS), 0);
}

static void a_failed_blob_leaves_no_manifest(void **state)
{
    struct fixture *fixture = *state;
    static const struct fake_rule refusal = {.method = "PUT", .path = UPLOADS "s", .status = 400};
    fake_registry_add(fixture->server, refusal);
    take_uploads(fixture);
    expect_push(fixture, -EPROTO, "blob sha256:");
    assert_int_equal(requests(fixture, "PUT", "/v2/app/manifests/"), 0);
    assert_non_null(strstr(fixture->err.text, "cannot push '127.0.0.1:"));
}

static void an_index_goes_after_its_manifests(void **state)
{
    struct fixture *fixture = *state;
    char index[TEXT_MAX];
    char path[256];
    char text[DIGEST_TEXT_MAX];
    struct digest digest = digest_of_text(fixture->manifest);
    digest_format(&digest, text);
    (void)snprintf(index, sizeof index,
                   "{\"schemaVersion\":2,\"manifests\":[{\"mediaType\":\"" MEDIA_TYPE_OCI_MANIFEST
                   "\",\"digest\":\"%s\",\"size\":%zu}]}",
                   text, strlen(fixture->manifest));
    put_blob(fixture, index);
    tag(fixture, MEDIA_TYPE_OCI_INDEX, index);
    (void)snprintf(path, sizeof path, "/v2/app/manifests/%s", text);
    fake_registry_add(fixture->server, (struct fake_rule){.method = "PUT", .path = path, .status = 201});
    take_uploads(fixture);
    expect_push(fixture, 0, NULL);
    size_t count = fake_registry_count(fixture->server);
    assert_string_equal(fake_registry_request(fixture->server, count - 2).target, path);
    assert_string_equal(fake_registry_request(fixture->server, count - 1).body, index);
    assert_string_equal(fake_registry_request(fixture->server, count - 1).content_type, MEDIA_TYPE_OCI_INDEX);
}

static void what_is_not_here_cannot_go(void **state)
{
    struct fixture *fixture = *state;
    take_uploads(fixture);
    static const char lost[] = "{\"schemaVersion\":2}";
    tag(fixture, MEDIA_TYPE_OCI_MANIFEST, lost);
    expect_push(fixture, -ENOENT, "is not in the store");
    memcpy(fixture->reference.tag, "2", 2);
    expect_push(fixture, -ENOENT, "no image");
    assert_int_equal(fake_registry_count(fixture->server), 0);
}

#define push_test(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
    setenv("REGISTRY_AUTH_FILE", "/nonexistent/auth.json", 1);
    const struct CMUnitTest tests[] = {
        push_test(blobs_go_before_the_manifest),
        push_test(what_is_there_is_not_sent),
        push_test(a_blob_is_mounted_from_where_it_should_be),
        push_test(a_failed_blob_leaves_no_manifest),
        push_test(an_index_goes_after_its_manifests),
        push_test(what_is_not_here_cannot_go),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
