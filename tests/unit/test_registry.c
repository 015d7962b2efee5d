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
#include "image/registry.h"
#include "tests/support/fake_registry.h"

#define MANIFEST_PATH "/v2/team/app/manifests/1"

struct fixture {
    struct fake_registry *server;
    struct fake_registry *other;
    struct registry *registry;
    struct buffer body;
    struct descriptor document;
    struct error err;
};

static const char manifest[] = "{\"schemaVersion\":2}";
enum { MANIFEST_LENGTH = sizeof manifest - 1 };
static const char blob_bytes[] = "0123456789abcdef";
enum { BLOB_LENGTH = sizeof blob_bytes - 1 };

static struct registry *registry_for(const char *host, const char *rest)
{
    char text[REFERENCE_TEXT_MAX];
    struct reference reference;
    struct registry *registry = NULL;
    struct error err = {0};
    (void)snprintf(text, sizeof text, "%s%s", host, rest);
    if (reference_parse(&reference, text, &err) != 0 || registry_new(&registry, &reference, &err) != 0)
        fail_msg("%s", err.text);
    return registry;
}

static int setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    assert_non_null(fixture);
    fixture->server = fake_registry_new();
    fixture->other = fake_registry_new();
    assert_non_null(fixture->server);
    assert_non_null(fixture->other);
    fixture->registry = registry_for(fake_registry_host(fixture->server), "/team/app:1");
    fixture->body = BUFFER_INIT(MANIFEST_BYTES_MAX);
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;
    registry_free(fixture->registry);
    fake_registry_free(fixture->server);
    fake_registry_free(fixture->other);
    buffer_done(&fixture->body);
    free(fixture);
    return 0;
}

static int get_manifest(struct fixture *fixture, const struct digest *digest)
{
    fixture->err = (struct error){0};
    return registry_get_manifest(fixture->registry, digest, &fixture->body, &fixture->document, &fixture->err);
}

static struct digest digest_of_bytes(const void *bytes, size_t length)
{
    struct digest digest;
    assert_int_equal(digest_of(&digest, DIGEST_SHA256, bytes, length, NULL), 0);
    return digest;
}

static void assert_says(const struct fixture *fixture, const char *words)
{
    if (!strstr(fixture->err.text, words))
        fail_msg("'%s' does not say '%s'", fixture->err.text, words);
}

static void expect(const struct fixture *fixture, int rc, int wanted, const char *words)
{
    if (rc != wanted)
        fail_msg("%d instead of %d: %s", rc, wanted, fixture->err.text);
    if (words)
        assert_says(fixture, words);
}

/* ---- manifests --------------------------------------------------------------------------------------------------- */

static void a_manifest_by_tag(void **state)
{
    struct fixture *fixture = *state;
    fake_registry_add(fixture->server,
                      (struct fake_rule){.path = MANIFEST_PATH,
                                         .body = manifest,
                                         .length = MANIFEST_LENGTH,
                                         .headers = "Content-Type: " MEDIA_TYPE_OCI_INDEX "; charset=utf-8\r\n"});
    expect(fixture, get_manifest(fixture, NULL), 0, NULL);
    struct digest digest = digest_of_bytes(manifest, MANIFEST_LENGTH);
    assert_string_equal(fixture->document.media_type, MEDIA_TYPE_OCI_INDEX);
    assert_true(digest_equal(&fixture->document.digest, &digest));
    assert_int_equal(fixture->document.size, MANIFEST_LENGTH);
    assert_int_equal(fixture->body.length, MANIFEST_LENGTH);

    struct fake_request request = fake_registry_request(fixture->server, 0);
    static const char *const accepted[] = {MEDIA_TYPE_OCI_INDEX, MEDIA_TYPE_OCI_MANIFEST, MEDIA_TYPE_DOCKER_INDEX,
                                           MEDIA_TYPE_DOCKER_MANIFEST};
    for (size_t i = 0; i < 4; i++)
        assert_non_null(strstr(request.accept, accepted[i]));
    assert_string_equal(request.authorization, "");
}

static void a_digest_in_the_reference_is_asked_for_and_checked(void **state)
{
    struct fixture *fixture = *state;
    struct digest digest = digest_of_bytes(manifest, MANIFEST_LENGTH);
    char text[DIGEST_TEXT_MAX];
    char rest[REFERENCE_TEXT_MAX];
    char path[REFERENCE_TEXT_MAX];
    digest_format(&digest, text);
    (void)snprintf(rest, sizeof rest, "/team/app:1@%s", text);
    (void)snprintf(path, sizeof path, "/v2/team/app/manifests/%s", text);
    registry_free(fixture->registry);
    fixture->registry = registry_for(fake_registry_host(fixture->server), rest);

    fake_registry_add(fixture->server,
                      (struct fake_rule){.path = path, .body = manifest, .length = MANIFEST_LENGTH, .times = 1});
    fake_registry_add(fixture->server, (struct fake_rule){.path = path, .body = "{}", .length = 2});
    expect(fixture, get_manifest(fixture, NULL), 0, NULL);
    expect(fixture, get_manifest(fixture, NULL), -EBADMSG, "damaged or forged");
}

static void a_digest_from_an_index_is_checked(void **state)
{
    struct fixture *fixture = *state;
    struct digest wanted = digest_of_bytes("another", 7);
    char text[DIGEST_TEXT_MAX];
    char path[REFERENCE_TEXT_MAX];
    digest_format(&wanted, text);
    (void)snprintf(path, sizeof path, "/v2/team/app/manifests/%s", text);
    fake_registry_add(fixture->server, (struct fake_rule){.path = path, .body = manifest, .length = MANIFEST_LENGTH});
    expect(fixture, get_manifest(fixture, &wanted), -EBADMSG, "damaged or forged");
}

static void the_registry_must_keep_its_own_word(void **state)
{
    struct fixture *fixture = *state;
    fake_registry_add(fixture->server,
                      (struct fake_rule){.path = MANIFEST_PATH,
                                         .body = manifest,
                                         .length = MANIFEST_LENGTH,
                                         .headers = "Docker-Content-Digest: sha256:01234567890123456789012345678901234"
                                                    "56789012345678901234567890123\r\n"});
    expect(fixture, get_manifest(fixture, NULL), -EBADMSG, "damaged or forged");
}

static void a_manifest_has_a_limit(void **state)
{
    struct fixture *fixture = *state;
    char *large = malloc(MANIFEST_BYTES_MAX + 1);
    assert_non_null(large);
    memset(large, ' ', MANIFEST_BYTES_MAX + 1);
    fake_registry_add(
        fixture->server,
        (struct fake_rule){.path = MANIFEST_PATH, .body = large, .length = MANIFEST_BYTES_MAX, .times = 1});
    fake_registry_add(fixture->server,
                      (struct fake_rule){.path = MANIFEST_PATH, .body = large, .length = MANIFEST_BYTES_MAX + 1});
    expect(fixture, get_manifest(fixture, NULL), 0, NULL);
    expect(fixture, get_manifest(fixture, NULL), -EBADMSG, "more than the 4194304 bytes");
    registry_free(fixture->registry);
    fixture->registry = NULL;
    fake_registry_free(fixture->server);
    fixture->server = NULL;
    free(large);
}

static void a_web_page_is_no_manifest(void **state)
{
    struct fixture *fixture = *state;
    fake_registry_add(fixture->server, (struct fake_rule){.path = MANIFEST_PATH,
                                                          .body = "<html>hello",
                                                          .length = 11,
                                                          .headers = "Content-Type: text/html\r\n"});
    expect(fixture, get_manifest(fixture, NULL), -EBADMSG, "a web page came instead");
}

/* ---- what statuses mean ------------------------------------------------------------------------------------------ */

static void statuses_become_errors(void **state)
{
    struct fixture *fixture = *state;
    static const char detail[] = "{\"errors\":[{\"message\":\"own\\nwords\"}]}";
    static const struct {
        int status, code;
        unsigned requests;
        const char *says;
    } cases[] = {
        {404, ENOENT, 1, "check the name and the tag (own)"},
        {401, EACCES, 1, "wants a login"},
        {403, EACCES, 1, "refuses"},
        {400, EPROTO, 1, "HTTP status 400"},
        {204, EPROTO, 1, "HTTP status 204"},
        {503, EPROTO, REGISTRY_ATTEMPTS_MAX, "HTTP status 503"},
        {429, EBUSY, REGISTRY_ATTEMPTS_MAX, "fewer requests"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        fake_registry_clear(fixture->server);
        fake_registry_add(fixture->server,
                          (struct fake_rule){.path = MANIFEST_PATH,
                                             .status = cases[i].status,
                                             .body = detail,
                                             .length = cases[i].status == 204 ? 0 : sizeof detail - 1});
        expect(fixture, get_manifest(fixture, NULL), -cases[i].code, cases[i].says);
        assert_says(fixture, "manifest '1'");
        assert_int_equal(fake_registry_count(fixture->server), cases[i].requests);
    }
}

static void what_passes_is_tried_again(void **state)
{
    struct fixture *fixture = *state;
    fake_registry_add(fixture->server, (struct fake_rule){.path = MANIFEST_PATH, .status = 503, .times = 1});
    fake_registry_add(fixture->server, (struct fake_rule){.path = MANIFEST_PATH, .raw = "", .times = 1});
    fake_registry_add(fixture->server, (struct fake_rule){.path = MANIFEST_PATH,
                                                          .body = "{\"schemaVersion\":1, \"old\":true}",
                                                          .length = 30,
                                                          .cut_at = 20,
                                                          .times = 1});
    fake_registry_add(fixture->server,
                      (struct fake_rule){.path = MANIFEST_PATH, .body = manifest, .length = MANIFEST_LENGTH});
    expect(fixture, get_manifest(fixture, NULL), 0, NULL);
    assert_int_equal(fake_registry_count(fixture->server), 4);
    /* A tag may move: the second half of another manifest must never be glued to the first half of this one. */
    assert_int_equal(fixture->body.length, MANIFEST_LENGTH);
    assert_memory_equal(fixture->body.bytes, manifest, MANIFEST_LENGTH);
    assert_string_equal(fake_registry_request(fixture->server, 3).range, "");
}

/* ---- tokens ------------------------------------------------------------------------------------------------------ */

static void wants_token(struct fixture *fixture, const char *realm_path, const char *rest, char headers[static 512])
{
    (void)snprintf(headers, 512, "WWW-Authenticate: Basic realm=x, Bearer realm=\"http://%s%s\"%s\r\n",
                   fake_registry_host(fixture->other), realm_path, rest);
    fake_registry_add(fixture->server, (struct fake_rule){.path = MANIFEST_PATH,
                                                          .authorization = "Bearer good",
                                                          .body = manifest,
                                                          .length = MANIFEST_LENGTH});
    fake_registry_add(fixture->server, (struct fake_rule){.path = MANIFEST_PATH, .status = 401, .headers = headers});
}

static void answer_token(struct fixture *fixture, const char *json, unsigned times)
{
    fake_registry_add(fixture->other,
                      (struct fake_rule){.path = "/token", .body = json, .length = strlen(json), .times = times});
}

static void a_token_is_fetched_once_and_kept(void **state)
{
    struct fixture *fixture = *state;
    char headers[512];
    wants_token(fixture, "/token", ",service=\"reg x\",scope=\"repository:team/app:pull\"", headers);
    answer_token(fixture, "{\"token\":\"good\",\"access_token\":\"bad\"}", 1);
    expect(fixture, get_manifest(fixture, NULL), 0, NULL);
    expect(fixture, get_manifest(fixture, NULL), 0, NULL);

    assert_int_equal(fake_registry_count(fixture->other), 1);
    struct fake_request request = fake_registry_request(fixture->other, 0);
    assert_string_equal(request.authorization, "");
    assert_non_null(strstr(request.target, "scope=repository%3ateam%2fapp%3apull"));
    assert_non_null(strstr(request.target, "service=reg"));
    assert_int_equal(fake_registry_count(fixture->server), 3);
    assert_string_equal(fake_registry_request(fixture->server, 2).authorization, "Bearer good");
}

static void an_expired_token_is_renewed(void **state)
{
    struct fixture *fixture = *state;
    char headers[512];
    fake_registry_add(fixture->server, (struct fake_rule){.path = MANIFEST_PATH,
                                                          .authorization = "Bearer old",
                                                          .body = manifest,
                                                          .length = MANIFEST_LENGTH,
                                                          .times = 1});
    wants_token(fixture, "/token", "", headers);
    answer_token(fixture, "{\"access_token\":\"old\"}", 1);
    answer_token(fixture, "{\"access_token\":\"good\"}", 1);
    expect(fixture, get_manifest(fixture, NULL), 0, NULL);
    expect(fixture, get_manifest(fixture, NULL), 0, NULL);
    assert_int_equal(fake_registry_count(fixture->other), 2);
    /* Without a scope in the challenge, the one that the request needs. */
    assert_non_null(strstr(fake_registry_request(fixture->other, 0).target, "team%2fapp%3apull"));
}

static void a_token_that_does_not_help_is_tried_once(void **state)
{
    struct fixture *fixture = *state;
    char headers[512];
    wants_token(fixture, "/token", "", headers);
    answer_token(fixture, "{\"token\":\"useless\"}", 0);
    expect(fixture, get_manifest(fixture, NULL), -EACCES, "wants a login");
    assert_int_equal(fake_registry_count(fixture->server), 2);
    assert_int_equal(fake_registry_count(fixture->other), 1);
}

static void bad_token_servers_are_named(void **state)
{
    struct fixture *fixture = *state;
    static const struct {
        const char *json;
        int status, code;
        const char *says;
    } cases[] = {
        {"{\"token\":\"a\\r\\nX-Evil: 1\"}", 0, EBADMSG, "without a usable token"},
        {"{\"token\":\"\"}", 0, EBADMSG, "without a usable token"},
        {"{}", 0, EBADMSG, "without a usable token"},
        {"{\"token\":7}", 0, EBADMSG, "'token' is no string"},
        {"<html>", 0, EBADMSG, "not JSON"},
        {"", 403, EACCES, "gives no token to anybody (HTTP 403)"},
        {"", 500, EPROTO, "gives no token to anybody (HTTP 500)"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char headers[512];
        fake_registry_clear(fixture->server);
        fake_registry_clear(fixture->other);
        wants_token(fixture, "/token", "", headers);
        fake_registry_add(fixture->other, (struct fake_rule){.path = "/token",
                                                             .status = cases[i].status,
                                                             .body = cases[i].json,
                                                             .length = strlen(cases[i].json)});
        expect(fixture, get_manifest(fixture, NULL), -cases[i].code, cases[i].says);
    }
}

static void only_web_servers_are_asked_for_tokens(void **state)
{
    struct fixture *fixture = *state;
    static const char *const realms[] = {"file:///etc/passwd", "", "ftp://127.0.0.1/token", "token"};
    for (size_t i = 0; i < sizeof realms / sizeof realms[0]; i++) {
        char headers[512];
        (void)snprintf(headers, sizeof headers, "WWW-Authenticate: Bearer realm=\"%s\"\r\n", realms[i]);
        fake_registry_clear(fixture->server);
        fake_registry_add(fixture->server,
                          (struct fake_rule){.path = MANIFEST_PATH, .status = 401, .headers = headers});
        expect(fixture, get_manifest(fixture, NULL), -EPROTO, "no place to ask for a token");
    }
}

/* ---- blobs ------------------------------------------------------------------------------------------------------- */

static int keep(void *context, const void *bytes, size_t length, struct error *err)
{
    (void)err;
    buffer_append(context, bytes, length);
    return 0;
}

static int refuse(void *context, const void *bytes, size_t length, struct error *err)
{
    (void)context;
    (void)bytes;
    (void)length;
    return error_set(err, ENOSPC, "no room");
}

/* The path of the blob; static. */
static const char *blob_path(void)
{
    static char path[256];
    struct digest digest = digest_of_bytes(blob_bytes, BLOB_LENGTH);
    char text[DIGEST_TEXT_MAX];
    digest_format(&digest, text);
    (void)snprintf(path, sizeof path, "/v2/team/app/blobs/%s", text);
    return path;
}

static int get_blob(struct fixture *fixture, uint64_t size)
{
    struct descriptor blob = {.digest = digest_of_bytes(blob_bytes, BLOB_LENGTH), .size = size};
    buffer_clear(&fixture->body);
    fixture->err = (struct error){0};
    return registry_get_blob(fixture->registry, &blob, 0, keep, &fixture->body, &fixture->err);
}

static void assert_whole_blob(const struct fixture *fixture)
{
    assert_int_equal(fixture->body.length, BLOB_LENGTH);
    assert_memory_equal(fixture->body.bytes, blob_bytes, BLOB_LENGTH);
}

static struct fake_rule blob_rule(void)
{
    return (struct fake_rule){.path = blob_path(), .body = blob_bytes, .length = BLOB_LENGTH};
}

static void a_blob_arrives_whole(void **state)
{
    struct fixture *fixture = *state;
    fake_registry_add(fixture->server, blob_rule());
    expect(fixture, get_blob(fixture, BLOB_LENGTH), 0, NULL);
    assert_whole_blob(fixture);
}

static void a_cut_blob_is_resumed(void **state)
{
    struct fixture *fixture = *state;
    for (int ranges = 0; ranges <= 1; ranges++) {
        fake_registry_clear(fixture->server);
        struct fake_rule cut = blob_rule();
        cut.cut_at = 5;
        cut.times = 1;
        fake_registry_add(fixture->server, cut);
        cut.cut_at = 11;
        cut.ignores_range = !ranges;
        fake_registry_add(fixture->server, cut);
        struct fake_rule whole = blob_rule();
        whole.ignores_range = !ranges;
        fake_registry_add(fixture->server, whole);

        expect(fixture, get_blob(fixture, BLOB_LENGTH), 0, NULL);
        assert_whole_blob(fixture);
        assert_int_equal(fake_registry_count(fixture->server), 3);
        assert_string_equal(fake_registry_request(fixture->server, 1).range, "bytes=5-");
        assert_string_equal(fake_registry_request(fixture->server, 2).range, "bytes=11-");
    }
}

static void a_blob_continues_from_an_offset(void **state)
{
    enum { OFFSET = 7 };
    struct fixture *fixture = *state;
    struct descriptor blob = {.digest = digest_of_bytes(blob_bytes, BLOB_LENGTH), .size = BLOB_LENGTH};
    for (int ranges = 0; ranges <= 1; ranges++) {
        fake_registry_clear(fixture->server);
        buffer_clear(&fixture->body);
        struct fake_rule rule = blob_rule();
        rule.ignores_range = !ranges;
        fake_registry_add(fixture->server, rule);
        int rc = registry_get_blob(fixture->registry, &blob, OFFSET, keep, &fixture->body, &fixture->err);
        expect(fixture, rc, 0, NULL);
        assert_int_equal(fixture->body.length, BLOB_LENGTH - OFFSET);
        assert_memory_equal(fixture->body.bytes, &blob_bytes[OFFSET], BLOB_LENGTH - OFFSET);
        assert_string_equal(fake_registry_request(fixture->server, 0).range, "bytes=7-");
    }
}

static void a_registry_that_always_cuts_is_given_up(void **state)
{
    struct fixture *fixture = *state;
    struct fake_rule cut = blob_rule();
    cut.cut_at = 3;
    fake_registry_add(fixture->server, cut);
    expect(fixture, get_blob(fixture, BLOB_LENGTH), -ECONNRESET, "closed the connection");
    assert_int_equal(fake_registry_count(fixture->server), REGISTRY_ATTEMPTS_MAX);
}

static void lengths_are_held_to_the_descriptor(void **state)
{
    struct fixture *fixture = *state;
    fake_registry_add(fixture->server, blob_rule());
    expect(fixture, get_blob(fixture, BLOB_LENGTH + 1), -EBADMSG, "only 16 of 17 bytes");
    expect(fixture, get_blob(fixture, BLOB_LENGTH - 1), -EBADMSG, "more than the 15 bytes");
    assert_true(fixture->body.length <= BLOB_LENGTH - 1);
    expect(fixture, get_blob(fixture, 0), -EBADMSG, "more than the 0 bytes");
    assert_int_equal(fixture->body.length, 0);
}

static void a_lying_content_length_is_noticed(void **state)
{
    struct fixture *fixture = *state;
    struct fake_rule lie = blob_rule();
    lie.length_error = -6;
    fake_registry_add(fixture->server, lie);
    expect(fixture, get_blob(fixture, BLOB_LENGTH), -EBADMSG, "only 10 of 16 bytes");

    /* Promising more than comes looks like a lost connection after the last byte: all is there, nothing to ask for. */
    fake_registry_clear(fixture->server);
    lie.length_error = 6;
    fake_registry_add(fixture->server, lie);
    expect(fixture, get_blob(fixture, BLOB_LENGTH), 0, NULL);
    assert_whole_blob(fixture);
    assert_int_equal(fake_registry_count(fixture->server), 1);
}

static void the_sink_can_stop_it(void **state)
{
    struct fixture *fixture = *state;
    struct descriptor blob = {.digest = digest_of_bytes(blob_bytes, BLOB_LENGTH), .size = BLOB_LENGTH};
    fake_registry_add(fixture->server, blob_rule());
    int rc = registry_get_blob(fixture->registry, &blob, 0, refuse, NULL, &fixture->err);
    expect(fixture, rc, -ENOSPC, "no room");
    assert_int_equal(fake_registry_count(fixture->server), 1);
}

static void a_blob_may_live_elsewhere(void **state)
{
    struct fixture *fixture = *state;
    char headers[512];
    (void)snprintf(headers, sizeof headers, "Location: http://%s/signed?key=1\r\n", fake_registry_host(fixture->other));
    fake_registry_add(fixture->server, (struct fake_rule){.path = blob_path(), .status = 307, .headers = headers});
    fake_registry_add(fixture->other, (struct fake_rule){.path = "/signed", .body = blob_bytes, .length = BLOB_LENGTH});
    expect(fixture, get_blob(fixture, BLOB_LENGTH), 0, NULL);
    assert_whole_blob(fixture);
}

static void a_lost_blob_is_named(void **state)
{
    struct fixture *fixture = *state;
    expect(fixture, get_blob(fixture, BLOB_LENGTH), -ENOENT, "blob sha256:");
}

#define registry_test(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
    setenv("REGISTRY_AUTH_FILE", "/nonexistent/auth.json", 1);
    const struct CMUnitTest tests[] = {
        registry_test(a_manifest_by_tag),
        registry_test(a_digest_in_the_reference_is_asked_for_and_checked),
        registry_test(a_digest_from_an_index_is_checked),
        registry_test(the_registry_must_keep_its_own_word),
        registry_test(a_manifest_has_a_limit),
        registry_test(a_web_page_is_no_manifest),
        registry_test(statuses_become_errors),
        registry_test(what_passes_is_tried_again),
        registry_test(a_token_is_fetched_once_and_kept),
        registry_test(an_expired_token_is_renewed),
        registry_test(a_token_that_does_not_help_is_tried_once),
        registry_test(bad_token_servers_are_named),
        registry_test(only_web_servers_are_asked_for_tokens),
        registry_test(a_blob_arrives_whole),
        registry_test(a_cut_blob_is_resumed),
        registry_test(a_blob_continues_from_an_offset),
        registry_test(a_registry_that_always_cuts_is_given_up),
        registry_test(lengths_are_held_to_the_descriptor),
        registry_test(a_lying_content_length_is_noticed),
        registry_test(the_sink_can_stop_it),
        registry_test(a_blob_may_live_elsewhere),
        registry_test(a_lost_blob_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
