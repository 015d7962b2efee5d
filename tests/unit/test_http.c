/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buffer.h"
#include "base/error.h"
#include "image/http.h"
#include "image/http_url.h"
#include "tests/support/fake_registry.h"

struct fixture {
    struct fake_registry *server;
    struct fake_registry *other; /* another origin: same host, another port */
    struct http *http;
    struct buffer body;
    struct http_response response;
    struct error err;
};

static int setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    assert_non_null(fixture);
    fixture->server = fake_registry_new();
    fixture->other = fake_registry_new();
    assert_non_null(fixture->server);
    assert_non_null(fixture->other);
    assert_int_equal(http_new(&fixture->http, NULL), 0);
    fixture->body = BUFFER_INIT(1 << 20);
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;
    http_free(fixture->http);
    fake_registry_free(fixture->server);
    fake_registry_free(fixture->other);
    buffer_done(&fixture->body);
    free(fixture);
    return 0;
}

static int keep(void *context, const void *bytes, size_t length, struct error *err)
{
    (void)err;
    buffer_append(context, bytes, length);
    return 0;
}

/* Gets a path of the server, from an offset on, at most @p max bytes. */
static int get(struct fixture *fixture, const char *path, uint64_t offset, uint64_t max)
{
    char url[256];
    (void)snprintf(url, sizeof url, "http://%s%s", fake_registry_host(fixture->server), path);
    struct http_request request = {.url = url,
                                   .accept = "a/b, c/d",
                                   .authorization = "Bearer secret",
                                   .offset = offset,
                                   .max = max,
                                   .sink = keep,
                                   .context = &fixture->body};
    buffer_clear(&fixture->body);
    fixture->err = (struct error){0};
    return http_perform(fixture->http, &request, &fixture->response, &fixture->err);
}

static void assert_body(const struct fixture *fixture, const char *text)
{
    assert_int_equal(fixture->body.length, strlen(text));
    if (text[0])
        assert_memory_equal(fixture->body.bytes, text, strlen(text));
}

static void assert_says(const struct fixture *fixture, const char *words)
{
    if (!strstr(fixture->err.text, words))
        fail_msg("'%s' does not say '%s'", fixture->err.text, words);
}

/* ---- one answer -------------------------------------------------------------------------------------------------- */

static void a_body_and_its_headers_arrive(void **state)
{
    struct fixture *fixture = *state;
    fake_registry_add(fixture->server, (struct fake_rule){.path = "/x",
                                                          .body = "hello",
                                                          .length = 5,
                                                          .headers = "CONTENT-TYPE:  text/plain; q=1 \r\n"
                                                                     "Docker-Content-Digest: sha256:ab\r\n"
                                                                     "WWW-Authenticate: One\r\n"
                                                                     "www-authenticate: Two x=\"y\"\r\n"
                                                                     "Retry-After: 7\r\n"});
    assert_int_equal(get(fixture, "/x?q", 0, 5), 0);
    assert_body(fixture, "hello");
    assert_int_equal(fixture->response.status, 200);
    assert_string_equal(fixture->response.content_type, "text/plain; q=1");
    assert_string_equal(fixture->response.content_digest, "sha256:ab");
    assert_string_equal(fixture->response.authenticate, "One, Two x=\"y\"");
    assert_int_equal(fixture->response.retry_after, 7);

    struct fake_request request = fake_registry_request(fixture->server, 0);
    assert_string_equal(request.target, "/x?q");
    assert_string_equal(request.accept, "a/b, c/d");
    assert_string_equal(request.authorization, "Bearer secret");
    assert_string_equal(request.range, "");
}

static void a_bad_status_is_an_answer_with_detail(void **state)
{
    struct fixture *fixture = *state;
    static char large[HTTP_DETAIL_MAX * 2];
    memset(large, 'x', sizeof large);
    assert_int_equal(get(fixture, "/none", 0, 5), 0);
    assert_int_equal(fixture->response.status, 404);
    assert_non_null(strstr(fixture->response.detail, "manifest unknown"));
    assert_body(fixture, "");

    fake_registry_add(fixture->server,
                      (struct fake_rule){.path = "/big", .status = 500, .body = large, .length = sizeof large});
    assert_int_equal(get(fixture, "/big", 0, 5), 0);
    assert_int_equal(strlen(fixture->response.detail), HTTP_DETAIL_MAX);
}

static void more_than_the_maximum_is_refused(void **state)
{
    struct fixture *fixture = *state;
    fake_registry_add(fixture->server, (struct fake_rule){.path = "/x", .body = "hello", .length = 5});
    assert_int_equal(get(fixture, "/x", 0, 4), -EBADMSG);
    assert_says(fixture, "more than the 4 bytes");
    assert_true(fixture->body.length <= 4);
}

static void headers_have_a_limit(void **state)
{
    struct fixture *fixture = *state;
    static char raw[HTTP_HEADERS_MAX * 2];
    int used = snprintf(raw, sizeof raw, "HTTP/1.1 200 OK\r\n");
    for (int i = 0; used < HTTP_HEADERS_MAX + 1024; i++)
        used +=
            snprintf(raw + used, sizeof raw - (size_t)used, "X-%d: 0123456789012345678901234567890123456789\r\n", i);
    (void)snprintf(raw + used, sizeof raw - (size_t)used, "Content-Length: 0\r\n\r\n");
    fake_registry_add(fixture->server, (struct fake_rule){.path = "/x", .raw = raw});
    assert_int_equal(get(fixture, "/x", 0, 5), -EPROTO);
    assert_says(fixture, "bytes of headers");
}

/* A challenge that does not fit is left out whole, not cut. */
static void too_long_a_header_is_dropped_whole(void **state)
{
    struct fixture *fixture = *state;
    static char headers[8192];
    int used = snprintf(headers, sizeof headers, "WWW-Authenticate: ");
    memset(headers + used, 'a', HTTP_AUTHENTICATE_MAX + 1);
    (void)snprintf(headers + used + HTTP_AUTHENTICATE_MAX + 1, 64, "\r\nWWW-Authenticate: Basic\r\n");
    fake_registry_add(fixture->server, (struct fake_rule){.path = "/x", .headers = headers});
    assert_int_equal(get(fixture, "/x", 0, 5), 0);
    assert_string_equal(fixture->response.authenticate, "Basic");
}

static void what_is_no_http_is_refused(void **state)
{
    struct fixture *fixture = *state;
    static const char *const garbage[] = {"220 mail ready\r\n", "\x16\x03\x01", "HTTP/9.9 nonsense\r\n\r\n"};
    for (size_t i = 0; i < sizeof garbage / sizeof garbage[0]; i++) {
        fake_registry_clear(fixture->server);
        fake_registry_add(fixture->server, (struct fake_rule){.path = "/x", .raw = garbage[i]});
        int rc = get(fixture, "/x", 0, 5);
        if (rc != -EPROTO)
            fail_msg("garbage %zu: %d, %s", i, rc, fixture->err.text);
        assert_body(fixture, "");
    }
    fake_registry_clear(fixture->server);
    fake_registry_add(fixture->server, (struct fake_rule){.path = "/x", .raw = ""});
    assert_int_equal(get(fixture, "/x", 0, 5), -ECONNRESET);
}

static void nobody_there_is_said(void **state)
{
    struct fixture *fixture = *state;
    struct http_request request = {.url = "http://127.0.0.1:1/x", .max = 5, .sink = keep, .context = &fixture->body};
    assert_int_equal(http_perform(fixture->http, &request, &fixture->response, &fixture->err), -ECONNREFUSED);
    assert_says(fixture, "is the registry running there?");
    assert_false(http_is_transient(-ECONNREFUSED, &fixture->response));
}

static void only_http_and_https_are_spoken(void **state)
{
    struct fixture *fixture = *state;
    struct http_request request = {.url = "file:///etc/hostname", .max = 100, .sink = keep, .context = &fixture->body};
    assert_int_equal(http_perform(fixture->http, &request, &fixture->response, &fixture->err), -EPROTO);
    assert_body(fixture, "");
}

/* ---- ranges ------------------------------------------------------------------------------------------------------ */

static void an_offset_asks_for_a_range(void **state)
{
    struct fixture *fixture = *state;
    fake_registry_add(fixture->server, (struct fake_rule){.path = "/x", .body = "0123456789", .length = 10});
    assert_int_equal(get(fixture, "/x", 4, 6), 0);
    assert_int_equal(fixture->response.status, 206);
    assert_string_equal(fake_registry_request(fixture->server, 0).range, "bytes=4-");
    assert_body(fixture, "456789");
}

static void a_server_without_ranges_gives_the_same(void **state)
{
    struct fixture *fixture = *state;
    fake_registry_add(fixture->server,
                      (struct fake_rule){.path = "/x", .body = "0123456789", .length = 10, .ignores_range = true});
    for (uint64_t offset = 0; offset <= 10; offset++) {
        assert_int_equal(get(fixture, "/x", offset, 10 - offset), 0);
        assert_body(fixture, &"0123456789"[offset]);
    }
    assert_int_equal(get(fixture, "/x", 4, 5), -EBADMSG);
}

static void another_range_is_refused(void **state)
{
    struct fixture *fixture = *state;
    static const char *const lies[] = {"Content-Range: bytes 3-9/10\r\n", "Content-Range: lines 4-9/10\r\n",
                                       "Content-Range: \r\n"};
    for (size_t i = 0; i < sizeof lies / sizeof lies[0]; i++) {
        fake_registry_clear(fixture->server);
        fake_registry_add(fixture->server,
                          (struct fake_rule){.path = "/x", .body = "0123456789", .length = 10, .headers = lies[i]});
        assert_int_equal(get(fixture, "/x", 4, 6), -EBADMSG);
        assert_body(fixture, "");
    }
}

/* ---- redirects --------------------------------------------------------------------------------------------------- */

static void redirect(struct fake_registry *server, const char *path, int status, const char *location,
                     char headers[static 512])
{
    (void)snprintf(headers, 512, "Location: %s\r\n", location);
    fake_registry_add(server, (struct fake_rule){.path = path, .status = status, .headers = headers});
}

static void authorization_stays_with_its_origin(void **state)
{
    struct fixture *fixture = *state;
    static const int statuses[] = {301, 302, 303, 307, 308};
    for (size_t i = 0; i < sizeof statuses / sizeof statuses[0]; i++) {
        char url[256];
        char headers[2][512];
        fake_registry_clear(fixture->server);
        fake_registry_clear(fixture->other);
        /* Here, here again (relative), then elsewhere. */
        redirect(fixture->server, "/a", statuses[i], "b?x=1", headers[0]);
        (void)snprintf(url, sizeof url, "http://%s/c", fake_registry_host(fixture->other));
        redirect(fixture->server, "/b", statuses[i], url, headers[1]);
        fake_registry_add(fixture->other, (struct fake_rule){.path = "/c", .body = "blob", .length = 4});

        assert_int_equal(get(fixture, "/a", 0, 4), 0);
        assert_body(fixture, "blob");
        assert_string_equal(fake_registry_request(fixture->server, 0).authorization, "Bearer secret");
        assert_string_equal(fake_registry_request(fixture->server, 1).authorization, "Bearer secret");
        assert_string_equal(fake_registry_request(fixture->server, 1).target, "/b?x=1");
        assert_string_equal(fake_registry_request(fixture->other, 0).authorization, "");
        assert_string_equal(fake_registry_request(fixture->other, 0).accept, "a/b, c/d");
        assert_int_equal(fake_registry_count(fixture->other), 1);
    }
}

static void redirects_to_nowhere_good_are_refused(void **state)
{
    struct fixture *fixture = *state;
    static const struct {
        const char *location, *says;
    } cases[] = {
        {"file:///etc/hostname", "only http and https"},
        {"ftp://127.0.0.1/x", "only http and https"},
        {"gopher://127.0.0.1:1/x", "only http and https"},
        {"", "does not say where"},
        {"/a", "round in circles"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char headers[512];
        fake_registry_clear(fixture->server);
        redirect(fixture->server, "/a", 307, cases[i].location, headers);
        int rc = get(fixture, "/a", 0, 100);
        if (rc != -EPROTO)
            fail_msg("'%s': %d, %s", cases[i].location, rc, fixture->err.text);
        assert_says(fixture, cases[i].says);
        assert_body(fixture, "");
        assert_true(fake_registry_count(fixture->server) <= HTTP_REDIRECTS_MAX + 1);
    }
}

/* ---- URLs -------------------------------------------------------------------------------------------------------- */

static void loopback_is_known_by_address_not_by_look(void **state)
{
    (void)state;
    static const char *const here[] = {"localhost",    "localhost:5000", "LOCALHOST:1", "127.0.0.1",
                                       "127.1.2.3:80", "[::1]",          "[::1]:5000"};
    static const char *const elsewhere[] = {"localhost.example",
                                            "127.example:5000",
                                            "127.0.0.1.example",
                                            "128.0.0.1",
                                            "[::2]:5000",
                                            "[fe80::1]",
                                            "docker.io",
                                            "",
                                            "[",
                                            "::1"};
    for (size_t i = 0; i < sizeof here / sizeof here[0]; i++)
        if (!http_host_is_loopback(here[i]))
            fail_msg("%s", here[i]);
    for (size_t i = 0; i < sizeof elsewhere / sizeof elsewhere[0]; i++)
        if (http_host_is_loopback(elsewhere[i]))
            fail_msg("%s", elsewhere[i]);
}

static void origins_are_scheme_host_and_port(void **state)
{
    (void)state;
    static const char *const same[][2] = {{"https://h.x/a", "https://h.x:443/b?c"}, {"http://H.x/", "http://h.X:80"}};
    static const char *const different[][2] = {{"https://h.x/", "http://h.x/"},
                                               {"https://h.x/", "https://h.x:444/"},
                                               {"https://h.x/", "https://h.x.evil/"},
                                               {"https://h.x/", "https://h.x@evil/"},
                                               {"", ""}};
    for (size_t i = 0; i < sizeof same / sizeof same[0]; i++)
        if (!http_url_same_origin(same[i][0], same[i][1]))
            fail_msg("%s %s", same[i][0], same[i][1]);
    for (size_t i = 0; i < sizeof different / sizeof different[0]; i++)
        if (http_url_same_origin(different[i][0], different[i][1]))
            fail_msg("%s %s", different[i][0], different[i][1]);
}

static void queries_are_escaped(void **state)
{
    (void)state;
    const char *const query[][2] = {{"scope", "repository:a/b:pull&x=#"}, {"service", "r s"}};
    char *url = http_url_with_query("https://auth.x/token?k=v", query, 2);
    assert_non_null(url);
    assert_non_null(strstr(url, "https://auth.x/token?k=v&scope="));
    assert_null(strchr(url, '#'));
    assert_null(strstr(url, "&x="));
    assert_null(strchr(url, ' '));
    free(url);
    assert_null(http_url_with_query("no url", query, 2));
}

static void forms_are_escaped(void **state)
{
    (void)state;
    const char *const pairs[][2] = {{"password", "a&b=c d+%\xc3\xa4"}, {"scope", "x"}};
    char *form = http_url_form(pairs, 2);
    assert_non_null(form);
    assert_string_equal(form, "password=a%26b%3dc+d%2b%25%c3%a4&scope=x");
    free(form);
}

static void locations_are_resolved(void **state)
{
    (void)state;
    static const struct {
        const char *location, *url;
    } cases[] = {
        {"/v2/up?x=1", "http://r.example:5000/v2/up?x=1"},
        {"s2", "http://r.example:5000/v2/a/s2"},
        {"https://other.example/z", "https://other.example/z"},
        {"http://h:99999999/", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char *url = http_url_resolve("http://r.example:5000/v2/a/s1?state=y", cases[i].location);
        if (!cases[i].url != !url || (url && strcmp(url, cases[i].url) != 0))
            fail_msg("'%s' becomes '%s'", cases[i].location, url ? url : "nothing");
        free(url);
    }
}

static void authorities_keep_their_port(void **state)
{
    (void)state;
    static const char *const urls[][2] = {{"https://r.example/v2/", "r.example"},
                                          {"https://user:pw@r.example:443/", "r.example:443"},
                                          {"http://[::1]:5000/x", "[::1]:5000"}};
    char text[HTTP_ORIGIN_MAX];
    for (size_t i = 0; i < sizeof urls / sizeof urls[0]; i++) {
        assert_true(http_url_authority(urls[i][0], text));
        assert_string_equal(text, urls[i][1]);
    }
    assert_false(http_url_authority("no url", text));
}

static void every_method_sends_its_body(void **state)
{
    struct fixture *fixture = *state;
    static const struct {
        enum http_method method;
        const char *name;
        const char *body; /* as it arrives */
    } cases[] = {{HTTP_HEAD, "HEAD", ""},
                 {HTTP_POST, "POST", "bytes"},
                 {HTTP_PUT, "PUT", "bytes"},
                 {HTTP_PATCH, "PATCH", "bytes"},
                 {HTTP_DELETE, "DELETE", ""}};
    const struct http_body body = {.bytes = "bytes", .length = 5, .type = "text/x", .range = "0-4"};
    char url[256];
    (void)snprintf(url, sizeof url, "http://%s/x", fake_registry_host(fixture->server));
    fake_registry_add(fixture->server, (struct fake_rule){.path = "/x", .body = "answer", .length = 6});
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        bool sends = cases[i].body[0];
        struct http_request request = {.method = cases[i].method, .url = url, .body = sends ? &body : NULL};
        assert_int_equal(http_perform(fixture->http, &request, &fixture->response, &fixture->err), 0);
        assert_int_equal(fixture->response.status, 200);
        assert_int_equal(fixture->response.length, 6);
        struct fake_request got = fake_registry_request(fixture->server, i);
        assert_string_equal(got.method, cases[i].name);
        assert_string_equal(got.body, cases[i].body);
        assert_string_equal(got.content_type, sends ? "text/x" : "");
        assert_string_equal(got.content_range, sends ? "0-4" : "");
    }
}

static void a_body_that_became_shorter_is_noticed(void **state)
{
    struct fixture *fixture = *state;
    int fd = memfd_create("body", MFD_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, 10), 0);
    char url[256];
    (void)snprintf(url, sizeof url, "http://%s/x", fake_registry_host(fixture->server));
    const struct http_body body = {.fd = fd, .offset = 5, .length = 10};
    const struct http_request request = {.method = HTTP_PUT, .url = url, .body = &body};
    assert_int_equal(http_perform(fixture->http, &request, &fixture->response, &fixture->err), -EIO);
    close(fd);
}

#define http_test(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        http_test(a_body_and_its_headers_arrive),
        http_test(a_bad_status_is_an_answer_with_detail),
        http_test(more_than_the_maximum_is_refused),
        http_test(headers_have_a_limit),
        http_test(too_long_a_header_is_dropped_whole),
        http_test(what_is_no_http_is_refused),
        http_test(nobody_there_is_said),
        http_test(only_http_and_https_are_spoken),
        http_test(an_offset_asks_for_a_range),
        http_test(a_server_without_ranges_gives_the_same),
        http_test(another_range_is_refused),
        http_test(authorization_stays_with_its_origin),
        http_test(redirects_to_nowhere_good_are_refused),
        cmocka_unit_test(loopback_is_known_by_address_not_by_look),
        cmocka_unit_test(origins_are_scheme_host_and_port),
        cmocka_unit_test(queries_are_escaped),
        cmocka_unit_test(forms_are_escaped),
        cmocka_unit_test(locations_are_resolved),
        cmocka_unit_test(authorities_keep_their_port),
        http_test(every_method_sends_its_body),
        http_test(a_body_that_became_shorter_is_noticed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
