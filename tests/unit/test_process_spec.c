/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/process_spec.h"

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
#include "image/config.h"

static char *none[] = {NULL};
static char entrypoint_word[] = "/entry", cmd_word[] = "-serve", cmd_word2[] = "all";
static char *entrypoint[] = {entrypoint_word, NULL};
static char *cmd[] = {cmd_word, cmd_word2, NULL};
static char env_path[] = "PATH=/opt/bin", env_a[] = "A=image", env_bare[] = "BARE";
static char *env[] = {env_path, env_a, env_bare, NULL};
static char empty[] = "", root_dir[] = "/srv", relative_dir[] = "srv", user[] = "app";

static struct image_config image(void)
{
    return (struct image_config){
        .user = user,
        .working_dir = root_dir,
        .env = {env, 3},
        .entrypoint = {entrypoint, 1},
        .cmd = {cmd, 2},
    };
}

static struct image_config bare_image(void)
{
    return (struct image_config){
        .user = empty,
        .working_dir = empty,
        .env = {none, 0},
        .entrypoint = {none, 0},
        .cmd = {none, 0},
    };
}

/* The words of a list with a space after each. */
static const char *joined(const struct strings *strings)
{
    static char text[1024];
    size_t used = 0;
    text[0] = 0;
    for (size_t i = 0; i < strings->count && used < sizeof text; i++)
        used += (size_t)snprintf(text + used, sizeof text - used, "%s ", strings->items[i]);
    return text;
}

static void expect_argv(const struct image_config *config, const struct process_overrides *overrides,
                        const char *expected)
{
    struct process_spec spec;
    assert_int_equal(process_spec_make(&spec, config, overrides, "box", NULL), 0);
    assert_string_equal(joined(&spec.argv), expected);
    assert_null(spec.argv.items[spec.argv.count]);
    process_spec_done(&spec);
}

static void argv_by_dockers_rules(void **state)
{
    (void)state;
    struct image_config config = image();
    char *arguments[] = {cmd_word2, NULL};
    expect_argv(&config, &(struct process_overrides){0}, "/entry -serve all ");
    expect_argv(&config, &(struct process_overrides){.arguments = arguments, .argument_count = 1}, "/entry all ");
    /* An entrypoint of one's own takes the image's Cmd away. */
    expect_argv(&config, &(struct process_overrides){.entrypoint = "/bin/sh"}, "/bin/sh ");
    expect_argv(&config,
                &(struct process_overrides){.entrypoint = "/bin/sh", .arguments = arguments, .argument_count = 1},
                "/bin/sh all ");
    expect_argv(&config, &(struct process_overrides){.entrypoint = "", .arguments = arguments, .argument_count = 1},
                "all ");
}

static void nothing_to_run(void **state)
{
    (void)state;
    struct process_spec spec;
    struct error err = {0};
    struct image_config config = bare_image();
    assert_int_equal(process_spec_make(&spec, &config, &(struct process_overrides){0}, "box", &err), -EINVAL);
    assert_true(err.text[0] != 0);
    config = image();
    assert_int_equal(process_spec_make(&spec, &config, &(struct process_overrides){.entrypoint = ""}, "box", NULL),
                     -EINVAL);
}

static void variables(void **state)
{
    (void)state;
    struct process_spec spec;
    struct image_config config = image();
    const char *own[] = {"B=1", "A=mine", "PASSED", "EMPTY=", "B=2", "UNSET_IN_HULL"};
    setenv("PASSED", "on", 1);
    unsetenv("UNSET_IN_HULL");
    assert_int_equal(
        process_spec_make(&spec, &config, &(struct process_overrides){.env = own, .env_count = 6}, "box", NULL), 0);
    assert_string_equal(joined(&spec.env), "PATH=/opt/bin HOSTNAME=box A=mine B=2 PASSED=on EMPTY= ");
    process_spec_done(&spec);

    config = bare_image();
    char *arguments[] = {cmd_word2, NULL};
    const char *gone[] = {"HOSTNAME"};
    unsetenv("HOSTNAME");
    assert_int_equal(process_spec_make(&spec, &config,
                                       &(struct process_overrides){
                                           .arguments = arguments, .argument_count = 1, .env = gone, .env_count = 1},
                                       "box", NULL),
                     0);
    assert_string_equal(joined(&spec.env), PROCESS_SPEC_PATH " ");
    process_spec_done(&spec);
}

static void bad_variables(void **state)
{
    (void)state;
    struct image_config config = image();
    const char *const bad[] = {"", "=x"};
    for (size_t i = 0; i < 2; i++) {
        struct process_spec spec;
        assert_int_equal(
            process_spec_make(&spec, &config, &(struct process_overrides){.env = &bad[i], .env_count = 1}, "box", NULL),
            -EINVAL);
    }
}

static void directories_and_users(void **state)
{
    (void)state;
    static const struct {
        char *image;
        const char *own;
        const char *expected;
    } rows[] = {{root_dir, NULL, "/srv"}, {relative_dir, NULL, "/srv"}, {empty, NULL, "/"}, {root_dir, "/own", "/own"}};
    struct process_spec spec;
    struct image_config config = image();
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        config.working_dir = rows[i].image;
        assert_int_equal(
            process_spec_make(&spec, &config, &(struct process_overrides){.working_dir = rows[i].own}, "box", NULL), 0);
        assert_string_equal(spec.working_dir, rows[i].expected);
        assert_string_equal(spec.user, "app");
        process_spec_done(&spec);
    }
    assert_int_equal(process_spec_make(&spec, &config, &(struct process_overrides){.working_dir = "own"}, "box", NULL),
                     -EINVAL);
    assert_int_equal(process_spec_make(&spec, &config, &(struct process_overrides){.user = ""}, "box", NULL), 0);
    assert_string_equal(spec.user, "");
    process_spec_done(&spec);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(argv_by_dockers_rules), cmocka_unit_test(nothing_to_run),        cmocka_unit_test(variables),
        cmocka_unit_test(bad_variables),         cmocka_unit_test(directories_and_users),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
