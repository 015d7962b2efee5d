/* SPDX-License-Identifier: Apache-2.0 */
/* Logins shown to registries and their token servers, and to nobody else. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buffer.h"
#include "base/error.h"
#include "base/fd.h"
#include "image/base64.h"
#include "image/credentials.h"
#include "image/registry.h"
#include "image/registry_internal.h"
#include "tests/support/fake_registry.h"
#include "tests/support/temp_dir.h"

#define MANIFEST_PATH "/v2/team/app/manifests/1"

/* "me:secret" */
#define BASIC "Basic bWU6c2VjcmV0"

enum { HEADERS_MAX = 1024 };

struct fixture {
    struct fake_registry *server;
    struct fake_registry *other;
    struct registry *registry;
    struct buffer body;
    struct descriptor document;
    struct error err;
    char dir[TEMP_DIR_PATH_MAX];
    char headers[HEADERS_MAX];
};

static const char manifest[] = "{\"schemaVersion\":2}";
enum { MANIFEST_LENGTH = sizeof manifest - 1 };

/* Makes the auth file's entry for the server: members of its object. */
static void know(struct fixture *fixture, const char *members)
{
    char path[TEMP_DIR_PATH_MAX + 16];
    char text[1024];
    (void)snprintf(path, sizeof path, "%s/auth.json", fixture->dir);
    int length = snprintf(text, sizeof text, "{\"auths\":{\"%s\":{%s}}}", fake_registry_host(fixture->server), members);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(fd_write_full(fd, text, (size_t)length), 0);
    close(fd);
    setenv("REGISTRY_AUTH_FILE", path, 1);
}

static int setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    char text[REFERENCE_TEXT_MAX];
    struct reference reference;
    assert_non_null(fixture);
    assert_int_equal(temp_dir_new(fixture->dir), 0);
    fixture->server = fake_registry_new();
    fixture->other = fake_registry_new();
    assert_non_null(fixture->server);
    assert_non_null(fixture->other);
    (void)snprintf(text, sizeof text, "%s/team/app:1", fake_registry_host(fixture->server));
    assert_int_equal(reference_parse(&reference, text, NULL), 0);
    assert_int_equal(registry_new(&fixture->registry, &reference, NULL), 0);
    fixture->body = BUFFER_INIT(MANIFEST_BYTES_MAX);
    know(fixture, "\"auth\":\"bWU6c2VjcmV0\"");
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
    temp_dir_remove(fixture->dir);
    free(fixture);
    return 0;
}

static void expect(struct fixture *fixture, int wanted, const char *words)
{
    fixture->err = (struct error){0};
    int rc = registry_get_manifest(fixture->registry, NULL, &fixture->body, &fixture->document, &fixture->err);
    if (rc != wanted || (words && !strstr(fixture->err.text, words)))
        fail_msg("%d instead of %d, %s: %s", rc, wanted, words ? words : "", fixture->err.text);
}

/* The server wants @p authorization and challenges as told, "HOST" being the other server. */
static void guard(struct fixture *fixture, const char *authorization, const char *challenge)
{
    const char *host = strstr(challenge, "HOST");
    assert_non_null(host);
    (void)snprintf(fixture->headers, sizeof fixture->headers, "%.*s%s%s", (int)(host - challenge), challenge,
                   fake_registry_host(fixture->other), host + strlen("HOST"));
    fake_registry_add(fixture->server, (struct fake_rule){.path = MANIFEST_PATH,
                                                          .authorization = authorization,
                                                          .body = manifest,
                                                          .length = MANIFEST_LENGTH});
    fake_registry_add(fixture->server,
                      (struct fake_rule){.path = MANIFEST_PATH, .status = 401, .headers = fixture->headers});
}

static void answer(struct fixture *fixture, const char *method, int status, const char *json)
{
    fake_registry_add(
        fixture->other,
        (struct fake_rule){.method = method, .path = "/token", .status = status, .body = json, .length = strlen(json)});
}

#define BEARER "Bearer realm=\"http://HOST/token\",service=\"reg\""

static void basic_is_answered(void **state)
{
    struct fixture *fixture = *state;
    guard(fixture, BASIC, "WWW-Authenticate: Basic realm=\"HOST\"\r\n");
    expect(fixture, 0, NULL);
    expect(fixture, 0, NULL);
    assert_int_equal(fake_registry_count(fixture->server), 3); /* and kept */
    assert_string_equal(fake_registry_request(fixture->server, 0).authorization, "");
}

static void without_a_login_basic_is_not_answered(void **state)
{
    struct fixture *fixture = *state;
    know(fixture, "");
    guard(fixture, BASIC, "WWW-Authenticate: Basic realm=\"HOST\"\r\n");
    expect(fixture, -EACCES, "hull login");
    assert_int_equal(fake_registry_count(fixture->server), 1);
}

static void a_wrong_password_is_shown_once(void **state)
{
    struct fixture *fixture = *state;
    guard(fixture, "Basic b3RoZXI=", "WWW-Authenticate: Basic realm=\"HOST\"\r\n");
    expect(fixture, -EACCES, "wants a login");
    assert_int_equal(fake_registry_count(fixture->server), 2);
}

static void bearer_goes_before_basic(void **state)
{
    struct fixture *fixture = *state;
    guard(fixture, "Bearer good", "WWW-Authenticate: Basic realm=\"x\"\r\nWWW-Authenticate: " BEARER "\r\n");
    answer(fixture, "GET", 0, "{\"access_token\":\"good\"}");
    expect(fixture, 0, NULL);
    struct fake_request request = fake_registry_request(fixture->other, 0);
    assert_string_equal(request.authorization, BASIC);
    assert_non_null(strstr(request.target, "account=me"));
    assert_non_null(strstr(request.target, "service=reg"));
    assert_non_null(strstr(request.target, "scope=repository%3ateam%2fapp%3apull"));
}

static void an_identity_token_goes_by_form(void **state)
{
    struct fixture *fixture = *state;
    know(fixture, "\"auth\":\"bWU6\",\"identitytoken\":\"re/fresh&x=\"");
    guard(fixture, "Bearer good", "WWW-Authenticate: " BEARER ",scope=\"repository:team/app:pull\"\r\n");
    answer(fixture, "POST", 0, "{\"access_token\":\"good\",\"expires_in\":1}");
    expect(fixture, 0, NULL);
    struct fake_request request = fake_registry_request(fixture->other, 0);
    assert_string_equal(request.method, "POST");
    assert_string_equal(request.content_type, "application/x-www-form-urlencoded");
    assert_string_equal(request.authorization, "");
    static const char *const parts[] = {"grant_type=refresh_token", "refresh_token=re%2ffresh%26x%3d", "service=reg",
                                        "client_id=hull", "scope=repository%3ateam%2fapp%3apull"};
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
        if (!strstr(request.body, parts[i]))
            fail_msg("no %s in %s", parts[i], request.body);
}

static void a_server_that_knows_forms_only_gets_one(void **state)
{
    struct fixture *fixture = *state;
    guard(fixture, "Bearer good", "WWW-Authenticate: " BEARER "\r\n");
    answer(fixture, "GET", 405, "");
    answer(fixture, "POST", 0, "{\"access_token\":\"good\"}");
    expect(fixture, 0, NULL);
    struct fake_request request = fake_registry_request(fixture->other, 1);
    assert_non_null(strstr(request.body, "grant_type=password"));
    assert_non_null(strstr(request.body, "username=me&password=secret"));
}

static void a_registry_token_is_sent_as_it_is(void **state)
{
    struct fixture *fixture = *state;
    know(fixture, "\"registrytoken\":\"ready\"");
    guard(fixture, "Bearer ready", "WWW-Authenticate: " BEARER "\r\n");
    expect(fixture, 0, NULL);
    assert_int_equal(fake_registry_count(fixture->other), 0);
}

static void a_refused_login_is_named(void **state)
{
    struct fixture *fixture = *state;
    guard(fixture, "Bearer good", "WWW-Authenticate: " BEARER "\r\n");
    answer(fixture, NULL, 401, "");
    expect(fixture, -EACCES, "refuses the login of 'me' (HTTP 401)");
}

/* The blob store behind a registry has no business with the login, whatever it asks for. */
static void a_redirected_401_is_not_answered(void **state)
{
    struct fixture *fixture = *state;
    static const char *const challenges[] = {"WWW-Authenticate: Basic realm=x\r\n",
                                             "WWW-Authenticate: Bearer realm=\"http://127.0.0.1:1/token\"\r\n"};
    char location[256];
    (void)snprintf(location, sizeof location, "Location: http://%s/stolen\r\n", fake_registry_host(fixture->other));
    for (size_t i = 0; i < 2; i++) {
        fake_registry_clear(fixture->server);
        fake_registry_clear(fixture->other);
        fake_registry_add(fixture->server,
                          (struct fake_rule){.path = MANIFEST_PATH, .status = 307, .headers = location});
        fake_registry_add(fixture->other,
                          (struct fake_rule){.path = "/stolen", .status = 401, .headers = challenges[i]});
        expect(fixture, -EACCES, "wants a login");
        assert_int_equal(fake_registry_count(fixture->server), 1);
        assert_int_equal(fake_registry_count(fixture->other), 1);
        assert_string_equal(fake_registry_request(fixture->other, 0).authorization, "");
    }
}

static void a_login_does_not_follow_a_redirect(void **state)
{
    struct fixture *fixture = *state;
    guard(fixture, BASIC, "WWW-Authenticate: Basic realm=\"HOST\"\r\n");
    expect(fixture, 0, NULL);
    fake_registry_clear(fixture->server);
    (void)snprintf(fixture->headers, sizeof fixture->headers, "Location: http://%s/there\r\n",
                   fake_registry_host(fixture->other));
    fake_registry_add(fixture->server,
                      (struct fake_rule){.path = MANIFEST_PATH, .status = 302, .headers = fixture->headers});
    fake_registry_add(fixture->other,
                      (struct fake_rule){.path = "/there", .body = manifest, .length = MANIFEST_LENGTH});
    expect(fixture, 0, NULL);
    assert_string_equal(fake_registry_request(fixture->server, 0).authorization, BASIC);
    assert_string_equal(fake_registry_request(fixture->other, 0).authorization, "");
}

/* Neither by a token server's redirect: the form with the identity token stays. */
static void a_token_server_cannot_hand_the_login_on(void **state)
{
    struct fixture *fixture = *state;
    char location[256];
    know(fixture, "\"identitytoken\":\"refresh\"");
    guard(fixture, "Bearer good", "WWW-Authenticate: " BEARER "\r\n");
    (void)snprintf(location, sizeof location, "Location: http://%s/token\r\n", fake_registry_host(fixture->server));
    fake_registry_add(fixture->other, (struct fake_rule){.path = "/token", .status = 307, .headers = location});
    expect(fixture, -EPROTO, "a redirect to another server");
    assert_int_equal(fake_registry_count(fixture->server), 1);
}

static void a_token_server_must_be_on_a_safe_line(void **state)
{
    struct fixture *fixture = *state;
    guard(fixture, "Bearer good", "WWW-Authenticate: Bearer realm=\"http://token.example/HOST\"\r\n");
    expect(fixture, -EPROTO, "over a safe line");
}

static int keep(void *context, const void *bytes, size_t length, struct error *err)
{
    (void)err;
    buffer_append(context, bytes, length);
    return 0;
}

/* A token that expires while a blob is on its way: the rest comes with the next one. */
static void a_token_may_expire_in_a_blob(void **state)
{
    struct fixture *fixture = *state;
    static const char bytes[] = "0123456789abcdef";
    struct descriptor blob = {.size = sizeof bytes - 1};
    char digest[DIGEST_TEXT_MAX];
    char path[256];
    assert_int_equal(digest_of(&blob.digest, DIGEST_SHA256, bytes, sizeof bytes - 1, NULL), 0);
    digest_format(&blob.digest, digest);
    (void)snprintf(path, sizeof path, "/v2/team/app/blobs/%s", digest);
    (void)snprintf(fixture->headers, sizeof fixture->headers,
                   "WWW-Authenticate: Bearer realm=\"http://%s/token\",error=\"invalid_token\"\r\n",
                   fake_registry_host(fixture->other));
    fake_registry_add(fixture->server, (struct fake_rule){.path = path,
                                                          .authorization = "Bearer first",
                                                          .body = bytes,
                                                          .length = sizeof bytes - 1,
                                                          .cut_at = 5,
                                                          .times = 1});
    fake_registry_add(
        fixture->server,
        (struct fake_rule){.path = path, .authorization = "Bearer second", .body = bytes, .length = sizeof bytes - 1});
    fake_registry_add(fixture->server, (struct fake_rule){.path = path, .status = 401, .headers = fixture->headers});
    static const char *const tokens[] = {"{\"token\":\"first\"}", "{\"token\":\"second\"}"};
    for (size_t i = 0; i < 2; i++)
        fake_registry_add(
            fixture->other,
            (struct fake_rule){.path = "/token", .body = tokens[i], .length = strlen(tokens[i]), .times = 1});
    int rc = registry_get_blob(fixture->registry, &blob, 0, keep, &fixture->body, &fixture->err);
    assert_int_equal(rc, 0);
    assert_int_equal(fixture->body.length, sizeof bytes - 1);
    assert_memory_equal(fixture->body.bytes, bytes, sizeof bytes - 1);
    assert_string_equal(fake_registry_request(fixture->server, 2).range, "bytes=5-");
    assert_string_equal(fake_registry_request(fixture->server, 2).authorization, "Bearer first");
    assert_string_equal(fake_registry_request(fixture->server, 3).range, "bytes=5-");
    assert_int_equal(fake_registry_count(fixture->server), 4);
}

static int check_login(struct fixture *fixture, const char *user, const char *password)
{
    struct credentials login = {.user = strdup(user), .password = strdup(password)};
    int rc = registry_check_login(fixture->registry, &login, &fixture->err);
    credentials_done(&login);
    return rc;
}

static void logins_are_tried(void **state)
{
    struct fixture *fixture = *state;
    fake_registry_add(fixture->server, (struct fake_rule){.path = "/v2/", .authorization = "Basic eW91Ong="});
    fake_registry_add(fixture->server,
                      (struct fake_rule){
                          .path = "/v2/", .status = 401, .headers = "WWW-Authenticate: Basic realm=x\r\n", .times = 1});
    assert_int_equal(check_login(fixture, "you", "x"), 1);
}

static void refused_logins_are_told(void **state)
{
    struct fixture *fixture = *state;
    fake_registry_add(
        fixture->server,
        (struct fake_rule){.path = "/v2/", .status = 401, .headers = "WWW-Authenticate: Basic realm=x\r\n"});
    assert_int_equal(check_login(fixture, "you", "x"), -EACCES);
    assert_non_null(strstr(fixture->err.text, "is the password right"));
}

static void what_is_no_registry_is_told(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(check_login(fixture, "you", "x"), -EPROTO);
    assert_non_null(strstr(fixture->err.text, "that is no registry"));
}

static void a_registry_without_logins_is_told(void **state)
{
    struct fixture *fixture = *state;
    fake_registry_add(fixture->server, (struct fake_rule){.path = "/v2/"});
    assert_int_equal(check_login(fixture, "you", "x"), 0);
}

#define auth_test(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        auth_test(basic_is_answered),
        auth_test(without_a_login_basic_is_not_answered),
        auth_test(a_wrong_password_is_shown_once),
        auth_test(bearer_goes_before_basic),
        auth_test(an_identity_token_goes_by_form),
        auth_test(a_server_that_knows_forms_only_gets_one),
        auth_test(a_registry_token_is_sent_as_it_is),
        auth_test(a_refused_login_is_named),
        auth_test(a_redirected_401_is_not_answered),
        auth_test(a_login_does_not_follow_a_redirect),
        auth_test(a_token_server_cannot_hand_the_login_on),
        auth_test(a_token_server_must_be_on_a_safe_line),
        auth_test(a_token_may_expire_in_a_blob),
        auth_test(logins_are_tried),
        auth_test(refused_logins_are_told),
        auth_test(what_is_no_registry_is_told),
        auth_test(a_registry_without_logins_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
