/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/fd.h"
#include "image/registry_internal.h"
#include "image/registry_push.h"
#include "tests/support/fake_registry.h"

#define UPLOADS "/v2/team/app/blobs/uploads/"
#define SESSION UPLOADS "s1"
#define NEXT    "Location: " SESSION "?_state=x\r\n"

static const char bytes[] = "0123456789abcdef";
enum { LENGTH = sizeof bytes - 1, WHOLE = 4, CHUNK = 5 };

struct fixture {
    struct fake_registry *server;
    struct fake_registry *other;
    struct registry *registry;
    struct descriptor blob;
    char blob_path[256];
    int fd;
    uint64_t confirmed; /* by the last progress report */
    struct error err;
};

static int setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    char text[REFERENCE_TEXT_MAX];
    struct reference reference;
    assert_non_null(fixture);
    fixture->server = fake_registry_new();
    fixture->other = fake_registry_new();
    assert_non_null(fixture->server);
    assert_non_null(fixture->other);
    (void)snprintf(text, sizeof text, "%s/team/app:1", fake_registry_host(fixture->server));
    assert_int_equal(reference_parse(&reference, text, NULL), 0);
    assert_int_equal(registry_new(&fixture->registry, &reference, NULL), 0);
    registry_will_push(fixture->registry);
    fixture->registry->chunk_bytes = CHUNK;

    fixture->blob.size = LENGTH;
    assert_int_equal(digest_of(&fixture->blob.digest, DIGEST_SHA256, bytes, LENGTH, NULL), 0);
    digest_format(&fixture->blob.digest, text);
    (void)snprintf(fixture->blob_path, sizeof fixture->blob_path, "/v2/team/app/blobs/%s", text);
    fixture->fd = memfd_create("blob", MFD_CLOEXEC);
    assert_int_equal(fd_write_full(fixture->fd, bytes, LENGTH), 0);
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;
    registry_free(fixture->registry);
    fake_registry_free(fixture->server);
    fake_registry_free(fixture->other);
    close(fixture->fd);
    free(fixture);
    return 0;
}

static void note_progress(void *context, uint64_t done)
{
    struct fixture *fixture = context;
    fixture->confirmed = done;
}

static void expect_put(struct fixture *fixture, int wanted, const char *words)
{
    fixture->err = (struct error){0};
    int rc = registry_put_blob(fixture->registry, &fixture->blob, fixture->fd, note_progress, fixture, &fixture->err);
    if (rc != wanted || (words && !strstr(fixture->err.text, words)))
        fail_msg("%d instead of %d, %s: %s", rc, wanted, words ? words : "", fixture->err.text);
}

/* How the server answers, so often (0 = for ever). */
static void answer(struct fixture *fixture, const char *method, const char *path, int status, const char *headers,
                   unsigned times)
{
    fake_registry_add(
        fixture->server,
        (struct fake_rule){.method = method, .path = path, .status = status, .headers = headers, .times = times});
}

static struct fake_request request(const struct fixture *fixture, size_t index)
{
    return fake_registry_request(fixture->server, index);
}

static void expect_request(const struct fixture *fixture, size_t index, const char *method, const char *path,
                           const char *range, const char *body)
{
    struct fake_request got = request(fixture, index);
    if (strcmp(got.method, method) != 0 || strncmp(got.target, path, strlen(path)) != 0 ||
        strcmp(got.content_range, range) != 0 || strcmp(got.body, body) != 0)
        fail_msg("request %zu is %s %s [%s] '%s'", index, got.method, got.target, got.content_range, got.body);
}

/* ---- uploads ----------------------------------------------------------------------------------------------------- */

static void a_short_blob_travels_whole(void **state)
{
    struct fixture *fixture = *state;
    answer(fixture, "POST", UPLOADS, 202, NEXT, 0);
    answer(fixture, "PUT", SESSION, 201, NULL, 0);
    expect_put(fixture, 0, NULL);
    assert_int_equal(fake_registry_count(fixture->server), 2);
    expect_request(fixture, 1, "PUT", SESSION "?_state=x&digest=sha256%3a", "", bytes);
    assert_string_equal(request(fixture, 1).content_type, "application/octet-stream");
    assert_int_equal(fixture->confirmed, LENGTH);
}

static void a_long_blob_travels_in_chunks(void **state)
{
    struct fixture *fixture = *state;
    fixture->registry->whole_bytes = WHOLE;
    answer(fixture, "POST", UPLOADS, 202, NEXT, 0);
    answer(fixture, "PATCH", SESSION, 202, NEXT "Range: 0-4\r\n", 1);
    answer(fixture, "PATCH", SESSION, 202, NEXT "Range: bytes=0-9\r\n", 1);
    answer(fixture, "PATCH", SESSION, 202, "Location: s2\r\n", 1); /* beside the last; no Range: all of it was taken */
    answer(fixture, "PATCH", UPLOADS "s2", 202, NULL, 1);
    answer(fixture, "PUT", UPLOADS "s2", 201, NULL, 0);
    expect_put(fixture, 0, NULL);
    expect_request(fixture, 1, "PATCH", SESSION "?_state=x", "0-4", "01234");
    expect_request(fixture, 2, "PATCH", SESSION "?_state=x", "5-9", "56789");
    expect_request(fixture, 3, "PATCH", SESSION, "10-14", "abcde");
    expect_request(fixture, 4, "PATCH", UPLOADS "s2", "15-15", "f");
    expect_request(fixture, 5, "PUT", UPLOADS "s2?digest=sha256%3a", "", "");
    assert_int_equal(fake_registry_count(fixture->server), 6);
}

static void a_chunk_taken_in_part_is_gone_on_with(void **state)
{
    struct fixture *fixture = *state;
    fixture->registry->whole_bytes = WHOLE;
    answer(fixture, "POST", UPLOADS, 202, NEXT, 0);
    answer(fixture, "PATCH", SESSION, 202, NEXT "Range: 0-2\r\n", 1);
    answer(fixture, "PATCH", SESSION, 202, NEXT, 0);
    answer(fixture, "PUT", SESSION, 201, NULL, 0);
    expect_put(fixture, 0, NULL);
    expect_request(fixture, 2, "PATCH", SESSION, "3-7", "34567");
}

static void a_cut_chunk_is_resumed(void **state)
{
    struct fixture *fixture = *state;
    fixture->registry->whole_bytes = WHOLE;
    answer(fixture, "POST", UPLOADS, 202, NEXT, 0);
    answer(fixture, "PATCH", SESSION, 202, NEXT "Range: 0-4\r\n", 1);
    fake_registry_add(fixture->server, (struct fake_rule){.method = "PATCH", .path = SESSION, .raw = "", .times = 1});
    answer(fixture, "GET", SESSION, 204, NEXT "Range: 0-6\r\n", 1);
    answer(fixture, "PATCH", SESSION, 416, NULL, 1);
    answer(fixture, "GET", SESSION, 204, NEXT "Range: 0-10\r\n", 1);
    answer(fixture, "PATCH", SESSION, 202, NEXT, 0);
    answer(fixture, "PUT", SESSION, 201, NULL, 0);
    expect_put(fixture, 0, NULL);
    static const char *const wanted[] = {"POST",  "PATCH", "PATCH", "HEAD",  "GET",
                                         "PATCH", "HEAD",  "GET",   "PATCH", "PUT"};
    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++)
        assert_string_equal(request(fixture, i).method, wanted[i]);
    expect_request(fixture, 5, "PATCH", SESSION, "7-11", "789ab");
    expect_request(fixture, 8, "PATCH", SESSION, "11-15", "bcdef");
}

static void a_lost_session_is_begun_anew(void **state)
{
    struct fixture *fixture = *state;
    fixture->registry->whole_bytes = WHOLE;
    answer(fixture, "POST", UPLOADS, 202, NEXT, 1);
    answer(fixture, "PATCH", SESSION, 202, NEXT "Range: 0-4\r\n", 1);
    answer(fixture, "POST", UPLOADS, 202, "Location: " UPLOADS "s2\r\n", 1);
    answer(fixture, "PATCH", UPLOADS "s2", 202, NULL, 0);
    answer(fixture, "PUT", UPLOADS "s2", 201, NULL, 0);
    expect_put(fixture, 0, NULL);
    expect_request(fixture, 6, "PATCH", UPLOADS "s2", "0-4", "01234");
}

static void a_lost_last_answer_is_no_failure(void **state)
{
    struct fixture *fixture = *state;
    answer(fixture, "POST", UPLOADS, 202, NEXT, 0);
    fake_registry_add(fixture->server, (struct fake_rule){.method = "PUT", .path = SESSION, .raw = ""});
    fake_registry_add(
        fixture->server,
        (struct fake_rule){.method = "HEAD", .path = fixture->blob_path, .body = bytes, .length = LENGTH});
    expect_put(fixture, 0, NULL);
    assert_int_equal(fake_registry_count(fixture->server), 3);
}

static void attempts_without_progress_end(void **state)
{
    struct fixture *fixture = *state;
    answer(fixture, "POST", UPLOADS, 202, NEXT, 0);
    answer(fixture, "PUT", SESSION, 503, NULL, 0);
    expect_put(fixture, -EPROTO, "HTTP status 503");
    unsigned puts = 0;
    for (size_t i = 0; i < fake_registry_count(fixture->server); i++)
        puts += strcmp(request(fixture, i).method, "PUT") == 0;
    assert_int_equal(puts, REGISTRY_ATTEMPTS_MAX);
}

static void refusals_are_told(void **state)
{
    struct fixture *fixture = *state;
    static const char words[] = "{\"errors\":[{\"message\":\"digest did not match\"}]}";
    expect_put(fixture, -ENOENT, "blob sha256:"); /* no uploads there */
    answer(fixture, "POST", UPLOADS, 202, "Location: http://h:99999999/\r\n", 1);
    expect_put(fixture, -EPROTO, "invalid URL");
    answer(fixture, "POST", UPLOADS, 202, NULL, 1);
    expect_put(fixture, -EPROTO, "does not say where");
    answer(fixture, "POST", UPLOADS, 202, NEXT, 0);
    fake_registry_add(
        fixture->server,
        (struct fake_rule){.method = "PUT", .path = SESSION, .status = 400, .body = words, .length = sizeof words - 1});
    expect_put(fixture, -EPROTO, "(digest did not match)");
    fixture->registry->whole_bytes = WHOLE;
    answer(fixture, "PATCH", SESSION, 202, NEXT "Range: 0-99\r\n", 0);
    expect_put(fixture, -EPROTO, "took other bytes");
}

/* Storage behind a registry gets the bytes and not the login; a redirect to it gets neither. */
static void other_servers_get_no_login(void **state)
{
    struct fixture *fixture = *state;
    char location[256];
    fixture->registry->authorization = strdup("Bearer secret");
    (void)snprintf(location, sizeof location, "Location: http://%s/store?key=1\r\n",
                   fake_registry_host(fixture->other));
    answer(fixture, "POST", UPLOADS, 202, location, 1);
    fake_registry_add(fixture->other, (struct fake_rule){.method = "PUT", .path = "/store", .status = 201});
    expect_put(fixture, 0, NULL);
    assert_string_equal(request(fixture, 0).authorization, "Bearer secret");
    struct fake_request stored = fake_registry_request(fixture->other, 0);
    assert_string_equal(stored.authorization, "");
    assert_string_equal(stored.body, bytes);

    answer(fixture, "POST", UPLOADS, 202, NEXT, 1);
    answer(fixture, "PUT", SESSION, 307, location, 0);
    expect_put(fixture, -EPROTO, "to which nothing is sent");
    assert_int_equal(fake_registry_count(fixture->other), 1);
}

/* ---- questions --------------------------------------------------------------------------------------------------- */

static void blobs_are_looked_for(void **state)
{
    struct fixture *fixture = *state;
    const struct digest *digest = &fixture->blob.digest;
    assert_int_equal(registry_has_blob(fixture->registry, digest, LENGTH, &fixture->err), 0);
    fake_registry_add(fixture->server, (struct fake_rule){.path = fixture->blob_path, .body = bytes, .length = LENGTH});
    assert_int_equal(registry_has_blob(fixture->registry, digest, LENGTH, &fixture->err), 1);
    assert_int_equal(registry_has_blob(fixture->registry, digest, LENGTH - 1, &fixture->err), 0);
    assert_string_equal(request(fixture, 0).method, "HEAD");
}

static void blobs_are_mounted(void **state)
{
    struct fixture *fixture = *state;
    static const int statuses[] = {201, 202, 404, 401};
    for (size_t i = 0; i < sizeof statuses / sizeof statuses[0]; i++) {
        fake_registry_clear(fixture->server);
        answer(fixture, "POST", UPLOADS, statuses[i], NEXT, 0);
        assert_int_equal(registry_mount_blob(fixture->registry, &fixture->blob.digest, "team/base", &fixture->err),
                         statuses[i] == 201);
        assert_non_null(strstr(request(fixture, 0).target, "?mount=sha256:"));
        assert_non_null(strstr(request(fixture, 0).target, "&from=team/base"));
        assert_null(fixture->registry->mount);
    }
}

static void manifests_keep_type_and_digest(void **state)
{
    struct fixture *fixture = *state;
    char good[256];
    char digest[DIGEST_TEXT_MAX];
    digest_format(&fixture->blob.digest, digest);
    (void)snprintf(good, sizeof good, "Docker-Content-Digest: %s\r\n", digest);
    (void)snprintf(fixture->blob.media_type, sizeof fixture->blob.media_type, "%s", MEDIA_TYPE_DOCKER_MANIFEST);
    answer(fixture, "PUT", "/v2/team/app/manifests/1", 201, good, 1);
    answer(fixture, "PUT", "/v2/team/app/manifests/1", 201, NULL, 1);
    answer(fixture, "PUT", "/v2/team/app/manifests/1", 201,
           "Docker-Content-Digest: sha256:0123456789012345678901234567890123456789012345678901234567890123\r\n", 0);
    static const int wanted[] = {0, 0, -EBADMSG};
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(registry_put_manifest(fixture->registry, &fixture->blob, "1", bytes, LENGTH, &fixture->err),
                         wanted[i]);
    assert_string_equal(request(fixture, 0).content_type, MEDIA_TYPE_DOCKER_MANIFEST);
    assert_string_equal(request(fixture, 0).body, bytes);
    assert_int_equal(registry_put_manifest(fixture->registry, &fixture->blob, NULL, bytes, LENGTH, &fixture->err),
                     -ENOENT);
    assert_non_null(strstr(request(fixture, 3).target, digest));
}

#define push_test(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
    setenv("REGISTRY_AUTH_FILE", "/nonexistent/auth.json", 1);
    const struct CMUnitTest tests[] = {
        push_test(a_short_blob_travels_whole),
        push_test(a_long_blob_travels_in_chunks),
        push_test(a_chunk_taken_in_part_is_gone_on_with),
        push_test(a_cut_chunk_is_resumed),
        push_test(a_lost_session_is_begun_anew),
        push_test(a_lost_last_answer_is_no_failure),
        push_test(attempts_without_progress_end),
        push_test(refusals_are_told),
        push_test(other_servers_get_no_login),
        push_test(blobs_are_looked_for),
        push_test(blobs_are_mounted),
        push_test(manifests_keep_type_and_digest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
