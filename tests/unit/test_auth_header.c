/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "image/auth_header.h"

struct expected {
    const char *scheme, *realm, *service, *scope;
};

static void assert_parses(const char *value, const struct expected *expected, size_t count)
{
    struct auth_challenge challenges[AUTH_CHALLENGES_MAX];
    size_t found = auth_header_parse(challenges, value);
    if (found != count)
        fail_msg("'%s': %zu challenges instead of %zu", value, found, count);
    for (size_t i = 0; i < count; i++) {
        assert_string_equal(challenges[i].scheme, expected[i].scheme);
        assert_string_equal(challenges[i].realm, expected[i].realm);
        assert_string_equal(challenges[i].service, expected[i].service);
        assert_string_equal(challenges[i].scope, expected[i].scope);
    }
}

static void one_challenge_in_many_spellings(void **state)
{
    (void)state;
    const struct expected expected = {"bearer", "https://auth.x/token", "reg.x", "repository:a/b:pull"};
    static const char *const spellings[] = {
        "Bearer realm=\"https://auth.x/token\",service=\"reg.x\",scope=\"repository:a/b:pull\"",
        "BEARER  Realm = \"https://auth.x/token\" ,  SERVICE=reg.x,\tscope=\"repository:a/b:pull\" ",
        " , ,bearer scope=\"repository:a/b:pull\",,realm=\"https://auth.x/token\", service=\"re\\g.x\",,",
        "Bearer realm=\"https://auth.x/token\",error=\"invalid_token\",service=\"reg.x\",scope=\"repository:a/b:pull\"",
    };
    for (size_t i = 0; i < sizeof spellings / sizeof spellings[0]; i++)
        assert_parses(spellings[i], &expected, 1);
}

static void several_challenges(void **state)
{
    (void)state;
    const struct expected expected[] = {
        {"basic", "r, x=\"y", "", ""}, {"negotiate", "", "", ""}, {"negotiate", "", "", ""}, {"bearer", "t", "s", ""}};
    assert_parses("Basic realm=\"r, x=\\\"y\", Negotiate, Negotiate YII/+a==, Bearer realm=t, service=s", expected, 4);
}

static void nothing_usable(void **state)
{
    (void)state;
    static const char *const values[] = {
        "", " ", ",,,", "\"Bearer\"", "=", "Bearer realm=\"open", "Bearer realm=a, realm=b", "Bearer realm=\"a\\"};
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++)
        assert_parses(values[i], NULL, 0);
}

/* A header of @p before, @p count times @p byte and @p after. */
static void build(char value[static 4096], const char *before, char byte, size_t count, const char *after)
{
    int used = snprintf(value, 4096, "%s", before);
    memset(value + used, byte, count);
    (void)snprintf(value + used + count, 4096 - (size_t)used - count, "%s", after);
}

static void limits(void **state)
{
    (void)state;
    struct auth_challenge challenges[AUTH_CHALLENGES_MAX];
    char value[4096];

    build(value, "Bearer realm=\"", 'r', AUTH_PARAMETER_MAX, "\"");
    assert_int_equal(auth_header_parse(challenges, value), 1);
    assert_int_equal(strlen(challenges[0].realm), AUTH_PARAMETER_MAX);

    /* One byte more: that challenge is left out, the next is read. */
    build(value, "Bearer realm=\"", 'r', AUTH_PARAMETER_MAX + 1, "\", Basic realm=x");
    assert_int_equal(auth_header_parse(challenges, value), 1);
    assert_string_equal(challenges[0].scheme, "basic");

    size_t used = 0;
    for (int i = 0; i < AUTH_CHALLENGES_MAX + 3; i++)
        used += (size_t)snprintf(value + used, sizeof value - used, "Basic realm=x, ");
    assert_int_equal(auth_header_parse(challenges, value), AUTH_CHALLENGES_MAX);

    build(value, "", 'B', AUTH_SCHEME_MAX, " realm=x");
    assert_int_equal(auth_header_parse(challenges, value), 1);
    build(value, "", 'B', AUTH_SCHEME_MAX + 1, " realm=x");
    assert_int_equal(auth_header_parse(challenges, value), 0);
}

static void finding_by_scheme(void **state)
{
    (void)state;
    struct auth_challenge challenges[AUTH_CHALLENGES_MAX];
    size_t count = auth_header_parse(challenges, "Basic realm=b, BeaRer realm=one, bearer realm=two");
    assert_string_equal(auth_header_find(challenges, count, "bearer")->realm, "one");
    assert_null(auth_header_find(challenges, count, "digest"));
    assert_null(auth_header_find(challenges, 0, "basic"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_challenge_in_many_spellings),
        cmocka_unit_test(several_challenges),
        cmocka_unit_test(nothing_usable),
        cmocka_unit_test(limits),
        cmocka_unit_test(finding_by_scheme),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
