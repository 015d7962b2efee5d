/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/hull/options.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/error.h"

struct values {
    bool interactive;
    bool all;
    const char *user;
    struct option_list env;
    uint32_t cpus;
    uint64_t memory;
};

static const struct option options[] = {
    {.name = "interactive", .letter = 'i', .kind = OPTION_FLAG, .offset = offsetof(struct values, interactive)},
    {.name = "all", .letter = 'a', .kind = OPTION_FLAG, .offset = offsetof(struct values, all)},
    {.name = "user", .letter = 'u', .kind = OPTION_TEXT, .argument = "USER", .offset = offsetof(struct values, user)},
    {.name = "env", .letter = 'e', .kind = OPTION_LIST, .argument = "K=V", .offset = offsetof(struct values, env)},
    {.name = "cpus",
     .kind = OPTION_NUMBER,
     .argument = "N",
     .offset = offsetof(struct values, cpus),
     .least = 1,
     .most = 32},
    {.name = "memory",
     .letter = 'm',
     .kind = OPTION_SIZE,
     .argument = "SIZE",
     .offset = offsetof(struct values, memory)},
    OPTION_END,
};

enum { WORDS_MAX = 16 };

/* Splits a line at its spaces and parses it. The operands end up at the front of @p argv. */
static int parse(struct values *values, const char *line, bool stop, char **argv, struct error *err)
{
    static char copy[512];
    int argc = 0;
    snprintf(copy, sizeof copy, "%s", line);
    for (char *save = NULL, *word = strtok_r(copy, " ", &save); word; word = strtok_r(NULL, " ", &save))
        argv[argc++] = word;
    *values = (struct values){.cpus = 1};
    return options_parse(options, values, argv, argc, stop, err);
}

static void forms(void **state)
{
    (void)state;
    struct values values;
    char *argv[WORDS_MAX];
    assert_int_equal(parse(&values, "-ia --user=me -e A=1 -eB=2 --env C=3 --cpus 4 -m2g image -x", true, argv, NULL),
                     2);
    assert_true(values.interactive && values.all);
    assert_string_equal(values.user, "me");
    assert_int_equal(values.env.count, 3);
    assert_string_equal(values.env.items[0], "A=1");
    assert_string_equal(values.env.items[1], "B=2");
    assert_string_equal(values.env.items[2], "C=3");
    assert_int_equal(values.cpus, 4);
    assert_true(values.memory == UINT64_C(2) << 30);
    assert_string_equal(argv[0], "image");
    assert_string_equal(argv[1], "-x");
}

static void operands(void **state)
{
    (void)state;
    struct values values;
    char *argv[WORDS_MAX];
    assert_int_equal(parse(&values, "one -i two - --all", false, argv, NULL), 3);
    assert_true(values.interactive && values.all);
    assert_string_equal(argv[2], "-");
    assert_int_equal(parse(&values, "-- -i --all", false, argv, NULL), 2);
    assert_false(values.interactive || values.all);
    assert_int_equal(parse(&values, "image -- -i", true, argv, NULL), 3); /* the command's own */
    assert_int_equal(parse(&values, "", true, argv, NULL), 0);
}

static void flags_with_values(void **state)
{
    (void)state;
    struct values values;
    char *argv[WORDS_MAX];
    assert_int_equal(parse(&values, "-i --interactive=false --all=true", false, argv, NULL), 0);
    assert_false(values.interactive);
    assert_true(values.all);
}

static void refusals(void **state)
{
    (void)state;
    static const char *const lines[] = {
        "--nope",
        "-x",
        "-ix",
        "--user",
        "-u",
        "--cpus 0",
        "--cpus 33",
        "--cpus x",
        "--cpus 1x",
        "--all=maybe",
        "--memory 1q",
        "--memory",
        "--memory -1",
        "--use me",
        "--users",
        "-m ''",
        "--cpus",
        "--memory m",
        "--memory 99999999999999999999",
        "--memory 99999999t",
    };
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        struct values values;
        char *argv[WORDS_MAX];
        struct error err = {0};
        print_message("%s\n", lines[i]);
        assert_int_equal(parse(&values, lines[i], false, argv, &err), -EINVAL);
        assert_true(err.text[0] != 0);
    }
}

static void too_many(void **state)
{
    (void)state;
    static struct values values;
    static char *argv[2 * OPTION_LIST_MAX + 4];
    char option[] = "-e";
    char value[] = "A=1";
    size_t argc = 0;
    for (int i = 0; i <= OPTION_LIST_MAX; i++) {
        argv[argc++] = option;
        argv[argc++] = value;
    }
    assert_int_equal(options_parse(options, &values, argv, 2 * OPTION_LIST_MAX, true, NULL), 0);
    assert_int_equal(values.env.count, OPTION_LIST_MAX);
    values.env.count = 0;
    assert_int_equal(options_parse(options, &values, argv, 2 * OPTION_LIST_MAX + 2, true, NULL), -EINVAL);
}

static void sizes(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t bytes;
    } rows[] = {{"0", 0},
                {"1", 1},
                {"7b", 7},
                {"1k", 1024},
                {"3K", 3072},
                {"512m", 512 << 20},
                {"512MiB", 512 << 20},
                {"1g", 1 << 30},
                {"16777215t", UINT64_C(16777215) << 40}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        uint64_t size = 1;
        assert_int_equal(options_parse_size(rows[i].text, &size, NULL), 0);
        assert_true(size == rows[i].bytes);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(forms),    cmocka_unit_test(operands), cmocka_unit_test(flags_with_values),
        cmocka_unit_test(refusals), cmocka_unit_test(too_many), cmocka_unit_test(sizes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
