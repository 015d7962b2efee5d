/* SPDX-License-Identifier: Apache-2.0 */
#include "initd/user.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/error.h"

static const char passwd_text[] = "root:x:0:0:root:/root:/bin/sh\n"
                                  "\n"
                                  "# comment\n"
                                  "broken:x:notanumber:1:::\n"
                                  "short:x:5\n"
                                  ":x:6:6::/nameless:/bin/sh\n"
                                  "huge:x:4294967296:1::/huge:/bin/sh\n"
                                  "daemon:x:1:12:daemon:/usr/sbin:/usr/sbin/nologin\n"
                                  "app:x:1000:1000::/home/app\n"
                                  "nohome:x:1001:1001:::\n"
                                  "1234:x:77:78::/digits:/bin/sh\n"
                                  "last:x:9:9::/last:/bin/sh";

static const char group_text[] = "root:x:0:\n"
                                 "adm:x:4:app,syslog\n"
                                 "nomembers:x:5\n"
                                 "audio:x:29:syslog,app\n"
                                 "apple:x:30:applet\n"
                                 "app:x:1000:\n"
                                 "users:x:100:app";

static struct user_database database(const char *text)
{
    return (struct user_database){text, strlen(text)};
}

static int resolve(struct user *user, const char *text)
{
    return user_resolve(user, text, database(passwd_text), database(group_text), NULL);
}

struct expected {
    const char *text;
    uint32_t uid, gid;
    const char *home;
    size_t groups;
};

static void who_is_who(void **state)
{
    (void)state;
    static const struct expected rows[] = {
        {"", 0, 0, "/root", 0},
        {"root", 0, 0, "/root", 0},
        {"0", 0, 0, "/root", 0},
        {"daemon", 1, 12, "/usr/sbin", 0},
        {"1", 1, 12, "/usr/sbin", 0},
        {"app", 1000, 1000, "/home/app", 3},
        {"1000", 1000, 1000, "/home/app", 3},
        {"app:audio", 1000, 29, "/home/app", 0}, /* a group given replaces all others */
        {"app:4242", 1000, 4242, "/home/app", 0},
        {"app:", 1000, 1000, "/home/app", 3},
        {":audio", 0, 29, "/root", 0},
        {"5000", 5000, 0, "/", 0},
        {"5000:6000", 5000, 6000, "/", 0},
        {"2147483647:2147483647", 2147483647, 2147483647, "/", 0},
        {"nohome", 1001, 1001, "/", 0},
        {"last", 9, 9, "/last", 0},
        {"app:nomembers", 1000, 5, "/home/app", 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct user user;
        print_message("user '%s'\n", rows[i].text);
        assert_int_equal(resolve(&user, rows[i].text), 0);
        assert_int_equal(user.uid, rows[i].uid);
        assert_int_equal(user.gid, rows[i].gid);
        assert_string_equal(user.home, rows[i].home);
        assert_int_equal(user.group_count, rows[i].groups);
    }
}

static void supplementary_groups(void **state)
{
    (void)state;
    struct user user;
    assert_int_equal(resolve(&user, "app"), 0);
    assert_int_equal(user.group_count, 3);
    assert_int_equal(user.groups[0], 4);
    assert_int_equal(user.groups[1], 29);
    assert_int_equal(user.groups[2], 100);
}

static void unknown_ones(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int rc;
    } rows[] = {
        {"nobody", -ENOENT},       {"broken", -ENOENT},      {"short", -ENOENT},
        {"huge", -ENOENT},         {"app:nogroup", -ENOENT}, {"2147483648", -EINVAL},
        {"1:2147483648", -EINVAL}, {"-1", -ENOENT},          {"99999999999999999999999", -EINVAL},
        {"app ", -ENOENT},         {"x:y:z", -ENOENT},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct user user = {.uid = 4711};
        print_message("user '%s'\n", rows[i].text);
        assert_int_equal(resolve(&user, rows[i].text), rows[i].rc);
        assert_int_equal(user.uid, 4711); /* untouched */
    }
}

static void images_without_databases(void **state)
{
    (void)state;
    struct user user;
    const struct user_database none = {NULL, 0};
    assert_int_equal(user_resolve(&user, "", none, none, NULL), 0);
    assert_int_equal(user.uid, 0);
    assert_string_equal(user.home, "/");
    assert_int_equal(user_resolve(&user, "7:8", none, none, NULL), 0);
    assert_int_equal(user.gid, 8);
    struct error err = {0};
    assert_int_equal(user_resolve(&user, "root", none, none, &err), -ENOENT);
    assert_non_null(strstr(err.text, "root"));
}

/* More groups than are taken, a home that is too long, and zeros in the middle. */
static void limits(void **state)
{
    (void)state;
    struct user user;
    size_t size = ((size_t)USER_GROUPS_MAX + 50) * 16;
    char *groups = malloc(size);
    assert_non_null(groups);
    size_t used = 0;
    for (int i = 0; i < USER_GROUPS_MAX + 50; i++)
        used += (size_t)snprintf(groups + used, size - used, "g%d:x:%d:app\n", i, i);
    assert_int_equal(user_resolve(&user, "app", database(passwd_text), (struct user_database){groups, used}, NULL), 0);
    assert_int_equal(user.group_count, USER_GROUPS_MAX);
    free(groups);

    char *line = malloc((size_t)USER_HOME_MAX * 2);
    assert_non_null(line);
    int prefix = snprintf(line, 64, "far:x:1:1::");
    memset(line + prefix, '/', USER_HOME_MAX);
    assert_int_equal(
        user_resolve(&user, "far", (struct user_database){line, (size_t)prefix + USER_HOME_MAX}, database(""), NULL),
        0);
    assert_string_equal(user.home, "/");
    assert_int_equal(user_resolve(&user, "far", (struct user_database){line, (size_t)prefix + USER_HOME_MAX - 1},
                                  database(""), NULL),
                     0);
    assert_int_equal(strlen(user.home), USER_HOME_MAX - 1);
    free(line);

    static const char zeros[] = "odd:x:3:4::/ho\0me:/bin/sh\n";
    assert_int_equal(user_resolve(&user, "odd", (struct user_database){zeros, sizeof zeros - 1}, database(""), NULL),
                     0);
    assert_string_equal(user.home, "/");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_is_who),   cmocka_unit_test(supplementary_groups),
        cmocka_unit_test(unknown_ones), cmocka_unit_test(images_without_databases),
        cmocka_unit_test(limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
