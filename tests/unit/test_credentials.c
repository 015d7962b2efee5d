/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/fd.h"
#include "image/base64.h"
#include "image/credentials.h"
#include "image/json.h"
#include "tests/support/temp_dir.h"

struct fixture {
    char dir[TEMP_DIR_PATH_MAX];
    struct credentials login;
    struct error err;
};

static const char *const variables[] = {"REGISTRY_AUTH_FILE", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME", "DOCKER_CONFIG"};

/* Writes a file below the fixture's directory, making the directories above it. */
static void put(const struct fixture *fixture, const char *name, const char *text, mode_t mode)
{
    char path[TEMP_DIR_PATH_MAX + 64];
    (void)snprintf(path, sizeof path, "%s/%s", fixture->dir, name);
    for (char *slash = strchr(path + strlen(fixture->dir) + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        (void)mkdir(path, 0700);
        *slash = '/';
    }
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
    assert_true(fd >= 0);
    assert_int_equal(fd_write_full(fd, text, strlen(text)), 0);
    close(fd);
}

/* Reads one back; static. */
static const char *get(const struct fixture *fixture, const char *name)
{
    static char text[8192];
    char path[TEMP_DIR_PATH_MAX + 64];
    (void)snprintf(path, sizeof path, "%s/%s", fixture->dir, name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return "";
    ssize_t length = fd_read_full(fd, text, sizeof text - 1);
    close(fd);
    text[length > 0 ? length : 0] = '\0';
    return text;
}

static int setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    char path[TEMP_DIR_PATH_MAX + 1024];
    assert_non_null(fixture);
    assert_int_equal(temp_dir_new(fixture->dir), 0);
    for (size_t i = 0; i < sizeof variables / sizeof variables[0]; i++)
        unsetenv(variables[i]);
    setenv("HOME", fixture->dir, 1);
    (void)snprintf(path, sizeof path, "%s:/usr/bin:/bin", fixture->dir);
    setenv("PATH", path, 1);
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;
    credentials_done(&fixture->login);
    temp_dir_remove(fixture->dir);
    free(fixture);
    return 0;
}

static void find(struct fixture *fixture, const char *host, const char *repository)
{
    credentials_done(&fixture->login);
    if (credentials_find(host, repository, &fixture->login, &fixture->err) != 0)
        fail_msg("%s", fixture->err.text);
}

static void expect_user(struct fixture *fixture, const char *host, const char *repository, const char *user,
                        const char *password)
{
    find(fixture, host, repository);
    if (!user) {
        assert_false(credentials_any(&fixture->login));
        return;
    }
    assert_non_null(fixture->login.user);
    assert_string_equal(fixture->login.user, user);
    assert_string_equal(fixture->login.password, password);
}

static void expect_failure(struct fixture *fixture, const char *host, int code, const char *words)
{
    struct credentials login = {0};
    int rc = credentials_find(host, "", &login, &fixture->err);
    assert_int_equal(rc, -code);
    assert_false(credentials_any(&login));
    if (!strstr(fixture->err.text, words))
        fail_msg("'%s' does not say '%s'", fixture->err.text, words);
}

/* ---- reading ----------------------------------------------------------------------------------------------------- */

static void base64_is_strict(void **state)
{
    (void)state;
    static const char *const bad[] = {"YQ", "YQ=", "YQ===", "Y=Q=", " YQ==", "YQ==\n", "A===", "YWJj====", "AAAA"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_null(base64_decode_text(bad[i]));
    static const char *const texts[] = {"", "a", "ab", "abc", "user:p\xc3\xa4ss:word"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        char *encoded = base64_encode(texts[i], strlen(texts[i]));
        char *decoded = base64_decode_text(encoded);
        assert_string_equal(decoded, texts[i]);
        free(encoded);
        free(decoded);
    }
}

static void nothing_anywhere_is_no_login(void **state)
{
    expect_user(*state, "docker.io", "library/busybox", NULL, NULL);
}

static void every_spelling_of_a_host_is_known(void **state)
{
    struct fixture *fixture = *state;
    static const struct {
        const char *key, *host;
    } cases[] = {
        {"https://index.docker.io/v1/", "docker.io"},
        {"index.docker.io", "docker.io"},
        {"docker.io", "docker.io"},
        {"registry-1.docker.io", "docker.io"},
        {"r.example", "r.example"},
        {"R.Example", "r.example"},
        {"https://r.example", "r.example"},
        {"http://r.example/v2/", "r.example"},
        {"r.example:5000", "r.example:5000"},
        {"[::1]:5000", "[::1]:5000"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[256];
        (void)snprintf(text, sizeof text,
                       "{\"auths\":{\"other\":{\"auth\":\"eDp5\"},\"%s\":{\"auth\":\"bWU6cGE6c3M=\"}}}", cases[i].key);
        put(fixture, ".docker/config.json", text, 0600);
        expect_user(fixture, cases[i].host, "a/b", "me", "pa:ss");
        expect_user(fixture, "evil.example", "a/b", NULL, NULL);
        expect_user(fixture, "example", "a/b", NULL, NULL);
    }
}

static void the_most_specific_key_wins(void **state)
{
    struct fixture *fixture = *state;
    put(fixture, ".docker/config.json",
        "{\"auths\":{\"r.example\":{\"auth\":\"aG9zdDox\"},\"r.example/a/b\":{\"auth\":\"cmVwbzoy\"},"
        "\"r.example/a\":{\"auth\":\"dGVhbToz\"}}}",
        0600);
    expect_user(fixture, "r.example", "a/b", "repo", "2");
    expect_user(fixture, "r.example", "a/b/c", "repo", "2");
    expect_user(fixture, "r.example", "a/bc", "team", "3");
    expect_user(fixture, "r.example", "ab/c", "host", "1");
    expect_user(fixture, "r.example", "", "host", "1");
}

static void files_have_an_order(void **state)
{
    struct fixture *fixture = *state;
    char path[TEMP_DIR_PATH_MAX + 64];
    put(fixture, ".docker/config.json", "{\"auths\":{\"r.example\":{\"auth\":\"ZG9ja2VyOjE=\"}}}", 0600);
    expect_user(fixture, "r.example", "", "docker", "1");
    put(fixture, ".config/containers/auth.json", "{\"auths\":{\"r.example\":{\"auth\":\"Y29uZmlnOjI=\"}}}", 0600);
    expect_user(fixture, "r.example", "", "config", "2");
    put(fixture, "run/containers/auth.json", "{\"auths\":{\"r.example\":{\"auth\":\"cnVuOjM=\"}}}", 0600);
    (void)snprintf(path, sizeof path, "%s/run", fixture->dir);
    setenv("XDG_RUNTIME_DIR", path, 1);
    expect_user(fixture, "r.example", "", "run", "3");
    /* An entry that is there and empty says nothing: the next file does. */
    put(fixture, "run/containers/auth.json", "{\"auths\":{\"r.example\":{}}}", 0600);
    expect_user(fixture, "r.example", "", "config", "2");
    put(fixture, "own.json", "{\"auths\":{\"other.example\":{\"auth\":\"cnVuOjM=\"}}}", 0600);
    (void)snprintf(path, sizeof path, "%s/own.json", fixture->dir);
    setenv("REGISTRY_AUTH_FILE", path, 1);
    expect_user(fixture, "r.example", "", NULL, NULL);
    expect_user(fixture, "other.example", "", "run", "3");
}

static void tokens_and_plain_names_are_taken(void **state)
{
    struct fixture *fixture = *state;
    put(fixture, ".docker/config.json",
        "{\"auths\":{\"a.example\":{\"auth\":\"bWU6\",\"identitytoken\":\"refresh\"},"
        "\"b.example\":{\"username\":\"u\",\"password\":\"p\"},\"c.example\":{\"registrytoken\":\"bearer\"}}}",
        0600);
    find(fixture, "a.example", "");
    assert_string_equal(fixture->login.identity_token, "refresh");
    expect_user(fixture, "b.example", "", "u", "p");
    find(fixture, "c.example", "");
    assert_string_equal(fixture->login.registry_token, "bearer");
}

static void damaged_files_are_named(void **state)
{
    struct fixture *fixture = *state;
    static const struct {
        const char *text, *says;
    } cases[] = {
        {"{", "config.json': not JSON"},
        {"[]", "no object"},
        {"{\"auths\":[]}", "'auths' is no object"},
        {"{\"credHelpers\":\"x\"}", "'credHelpers' is no object"},
        {"{\"auths\":{\"r.example\":{\"auth\":\"!\"}}}", "is not the base64"},
        {"{\"auths\":{\"r.example\":{\"auth\":\"bWU=\"}}}", "is not the base64"},
        {"{\"auths\":{\"r.example\":{\"auth\":7}}}", "'auth' is no string"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        put(fixture, ".docker/config.json", cases[i].text, 0600);
        expect_failure(fixture, "r.example", EBADMSG, cases[i].says);
    }
}

/* ---- helpers ----------------------------------------------------------------------------------------------------- */

/* A helper that knows one server and writes down what it was asked. */
static const char helper[] =
    "#!/bin/sh\n"
    "input=$(cat)\n"
    "echo \"$1 $input\" >>\"$HOME/asked\"\n"
    "case \"$1 $input\" in\n"
    "'get r.example') echo '{\"ServerURL\":\"r.example\",\"Username\":\"hu\",\"Secret\":\"hp\"}' ;;\n"
    "'get t.example') echo '{\"Username\":\"<token>\",\"Secret\":\"idt\"}' ;;\n"
    "'get broken.example') echo 'the vault is locked'; exit 1 ;;\n"
    "'get babble.example') echo babble ;;\n"
    "'get flood.example') yes | head -c 600000 ;;\n"
    "get*) echo 'credentials not found in native keychain'; exit 1 ;;\n"
    "esac\n";

static void helpers_go_before_files(void **state)
{
    struct fixture *fixture = *state;
    put(fixture, "docker-credential-own", helper, 0755);
    put(fixture, ".docker/config.json",
        "{\"auths\":{\"r.example\":{\"auth\":\"ZmlsZTox\"},\"none.example\":{\"auth\":\"ZmlsZTox\"}},"
        "\"credHelpers\":{\"r.example\":\"own\",\"none.example\":\"own\"},\"credsStore\":\"missing\"}",
        0600);
    expect_user(fixture, "r.example", "a/b", "hu", "hp");
    expect_user(fixture, "none.example", "a/b", "file", "1");
    expect_failure(fixture, "other.example", ENOENT, "'docker-credential-missing' cannot be started");

    put(fixture, ".docker/config.json", "{\"credsStore\":\"own\"}", 0600);
    find(fixture, "t.example", "a");
    assert_string_equal(fixture->login.identity_token, "idt");
    expect_user(fixture, "docker.io", "", NULL, NULL);
    assert_non_null(strstr(get(fixture, "asked"), "get https://index.docker.io/v1/\n"));
}

static void bad_helpers_are_named(void **state)
{
    struct fixture *fixture = *state;
    put(fixture, "docker-credential-own", helper, 0755);
    put(fixture, ".docker/config.json", "{\"credsStore\":\"own\"}", 0600);
    expect_failure(fixture, "broken.example", EACCES, "failed: the vault is locked");
    expect_failure(fixture, "babble.example", EBADMSG, "not JSON");
    expect_failure(fixture, "flood.example", EBADMSG, "says more than");
    static const char *const names[] = {"../evil", "a b", "", "a/b", "x;y"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        assert_false(credentials_helper_name_valid(names[i]));
    put(fixture, ".docker/config.json", "{\"credsStore\":\"../own\"}", 0600);
    expect_failure(fixture, "r.example", EBADMSG, "cannot be the name");
}

/* ---- changing ---------------------------------------------------------------------------------------------------- */

static void store(struct fixture *fixture, const char *host, const char *user, const char *password)
{
    char where[4200];
    struct credentials login = {.user = strdup(user), .password = strdup(password)};
    int rc = credentials_store(host, &login, where, sizeof where, &fixture->err);
    credentials_done(&login);
    if (rc != 0)
        fail_msg("%s", fixture->err.text);
}

static void a_login_is_kept_and_forgotten(void **state)
{
    struct fixture *fixture = *state;
    char path[TEMP_DIR_PATH_MAX + 64];
    struct stat status;
    store(fixture, "r.example:5000", "me", "se:cret");
    expect_user(fixture, "r.example:5000", "a", "me", "se:cret");
    (void)snprintf(path, sizeof path, "%s/.docker/config.json", fixture->dir);
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 07777, 0600);
    store(fixture, "docker.io", "hub", "x");
    assert_non_null(strstr(get(fixture, ".docker/config.json"), "https://index.docker.io/v1/"));
    store(fixture, "r.example:5000", "you", "other");
    expect_user(fixture, "r.example:5000", "a", "you", "other");

    assert_int_equal(credentials_erase("r.example:5000", &fixture->err), 1);
    expect_user(fixture, "r.example:5000", "a", NULL, NULL);
    expect_user(fixture, "docker.io", "a", "hub", "x");
    assert_int_equal(credentials_erase("r.example:5000", &fixture->err), 0);
}

static void what_else_is_in_the_file_stays(void **state)
{
    struct fixture *fixture = *state;
    char link[TEMP_DIR_PATH_MAX + 64];
    put(fixture, "real.json",
        "{\"proxies\":{\"default\":{\"httpProxy\":\"p\"}},\"auths\":{\"https://r.example/v1/\":{}}}", 0644);
    put(fixture, ".docker/x", "", 0600);
    (void)snprintf(link, sizeof link, "%s/.docker/config.json", fixture->dir);
    assert_int_equal(symlink("../real.json", link), 0);
    store(fixture, "r.example", "me", "p");
    const char *text = get(fixture, "real.json");
    assert_non_null(strstr(text, "httpProxy"));
    assert_null(strstr(text, "https://r.example")); /* one key for one host */
    expect_user(fixture, "r.example", "", "me", "p");
    struct stat status;
    assert_int_equal(lstat(link, &status), 0);
    assert_true(S_ISLNK(status.st_mode));
    assert_int_equal(stat(link, &status), 0);
    assert_int_equal(status.st_mode & 07777, 0600);
}

static void the_file_that_knows_the_host_is_changed(void **state)
{
    struct fixture *fixture = *state;
    put(fixture, ".config/containers/auth.json", "{\"auths\":{\"r.example\":{\"auth\":\"b2xkOjE=\"}}}", 0600);
    store(fixture, "r.example", "new", "2");
    expect_user(fixture, "r.example", "", "new", "2");
    assert_string_equal(get(fixture, ".docker/config.json"), "");
}

static void helpers_keep_and_forget(void **state)
{
    struct fixture *fixture = *state;
    put(fixture, "docker-credential-own", helper, 0755);
    put(fixture, ".docker/config.json", "{\"credHelpers\":{\"r.example\":\"own\"}}", 0600);
    store(fixture, "r.example", "me", "p\"w");
    assert_non_null(
        strstr(get(fixture, "asked"), "store {\"ServerURL\":\"r.example\",\"Username\":\"me\",\"Secret\":\"p\\\"w\"}"));
    assert_null(strstr(get(fixture, ".docker/config.json"), "auths"));
    assert_int_equal(credentials_erase("r.example", &fixture->err), 1);
    assert_non_null(strstr(get(fixture, "asked"), "erase r.example"));
}

static void a_damaged_file_is_not_overwritten(void **state)
{
    struct fixture *fixture = *state;
    char where[4200];
    char user[] = "me";
    const struct credentials login = {.user = user};
    put(fixture, ".docker/config.json", "{ precious", 0600);
    assert_int_equal(credentials_store("r.example", &login, where, sizeof where, &fixture->err), -EBADMSG);
    assert_string_equal(get(fixture, ".docker/config.json"), "{ precious");
}

#define credentials_test(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        credentials_test(base64_is_strict),
        credentials_test(nothing_anywhere_is_no_login),
        credentials_test(every_spelling_of_a_host_is_known),
        credentials_test(the_most_specific_key_wins),
        credentials_test(files_have_an_order),
        credentials_test(tokens_and_plain_names_are_taken),
        credentials_test(damaged_files_are_named),
        credentials_test(helpers_go_before_files),
        credentials_test(bad_helpers_are_named),
        credentials_test(a_login_is_kept_and_forgotten),
        credentials_test(what_else_is_in_the_file_stays),
        credentials_test(the_file_that_knows_the_host_is_changed),
        credentials_test(helpers_keep_and_forget),
        credentials_test(a_damaged_file_is_not_overwritten),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
