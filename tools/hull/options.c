/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/hull/options.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/checked.h"
#include "base/error.h"

/* The arguments and how far they are read. */
struct cursor {
    char **argv;
    int argc;
    int next;
};

/* Plain decimal digits up to *end. @return false when there are none or too many */
static bool parse_digits(const char *text, const char **end, uint64_t *number)
{
    uint64_t value = 0;
    const char *at = text;
    for (; *at >= '0' && *at <= '9'; at++)
        if (!checked_mul_u64(value, 10, &value) || !checked_add_u64(value, (uint64_t)(*at - '0'), &value))
            return false;
    *end = at;
    *number = value;
    return at > text;
}

int options_parse_size(const char *text, uint64_t *size, struct error *err)
{
    static const struct {
        const char *suffix;
        unsigned shift;
    } units[] = {{"", 0},     {"b", 0},  {"k", 10},  {"kb", 10},  {"kib", 10}, {"m", 20},  {"mb", 20},
                 {"mib", 20}, {"g", 30}, {"gb", 30}, {"gib", 30}, {"t", 40},   {"tb", 40}, {"tib", 40}};
    const char *suffix;
    uint64_t number;
    if (parse_digits(text, &suffix, &number))
        for (size_t i = 0; i < sizeof units / sizeof units[0]; i++)
            if (strcasecmp(suffix, units[i].suffix) == 0 &&
                checked_mul_u64(number, UINT64_C(1) << units[i].shift, size))
                return 0;
    return error_set(err, EINVAL, "'%s' is not a size such as 512m or 2g", text);
}

static int set_number(const struct option *option, uint32_t *number, const char *text, struct error *err)
{
    const char *end;
    uint64_t value;
    if (!parse_digits(text, &end, &value) || *end || value < option->least || value > option->most)
        return error_set(err, EINVAL, "--%s: '%s' is not a number from %u to %u", option->name, text, option->least,
                         option->most);
    *number = (uint32_t)value;
    return 0;
}

static int set_flag(const struct option *option, bool *flag, const char *text, struct error *err)
{
    if (!text || strcmp(text, "true") == 0)
        *flag = true;
    else if (strcmp(text, "false") == 0)
        *flag = false;
    else
        return error_set(err, EINVAL, "--%s: '%s' is neither true nor false", option->name, text);
    return 0;
}

static int set_value(const struct option *option, void *values, const char *text, struct error *err)
{
    void *variable = (char *)values + option->offset;
    struct option_list *list = variable;
    switch (option->kind) {
    case OPTION_FLAG:
        return set_flag(option, variable, text, err);
    case OPTION_TEXT:
        *(const char **)variable = text;
        return 0;
    case OPTION_LIST:
        if (list->count >= OPTION_LIST_MAX)
            return error_set(err, EINVAL, "--%s is given more than %d times", option->name, OPTION_LIST_MAX);
        list->items[list->count++] = text;
        return 0;
    case OPTION_NUMBER:
        return set_number(option, variable, text, err);
    case OPTION_SIZE:
        return error_context(err, options_parse_size(text, variable, err), "--%s", option->name);
    }
    return -EINVAL;
}

/* Takes the value of an option that wants one from the next argument. */
static const char *next_value(struct cursor *cursor)
{
    return cursor->next < cursor->argc ? cursor->argv[cursor->next++] : NULL;
}

static int parse_long(const struct option *options, void *values, const char *text, struct cursor *cursor,
                      struct error *err)
{
    size_t length = strcspn(text, "=");
    const char *value = text[length] ? text + length + 1 : NULL;
    for (const struct option *option = options; option->name; option++) {
        if (strlen(option->name) != length || memcmp(option->name, text, length) != 0)
            continue;
        if (!value && option->kind != OPTION_FLAG && !(value = next_value(cursor)))
            return error_set(err, EINVAL, "--%s wants a value: --%s %s", option->name, option->name, option->argument);
        return set_value(option, values, value, err);
    }
    return error_set(err, EINVAL, "there is no option --%.*s", (int)length, text);
}

static const struct option *find_letter(const struct option *options, char letter)
{
    for (; options->name; options++)
        if (options->letter == letter)
            return options;
    return NULL;
}

static int parse_letters(const struct option *options, void *values, const char *letters, struct cursor *cursor,
                         struct error *err)
{
    for (; *letters; letters++) {
        const struct option *option = find_letter(options, *letters);
        if (!option)
            return error_set(err, EINVAL, "there is no option -%c", *letters);
        if (option->kind != OPTION_FLAG) {
            const char *value = letters[1] ? letters + 1 : next_value(cursor);
            if (!value)
                return error_set(err, EINVAL, "-%c wants a value: -%c %s", *letters, *letters, option->argument);
            return set_value(option, values, value + (letters[1] == '='), err);
        }
        int rc = set_value(option, values, NULL, err);
        if (rc < 0)
            return rc;
    }
    return 0;
}

int options_parse(const struct option *options, void *values, char **argv, int argc, bool stop_at_operand,
                  struct error *err)
{
    struct cursor cursor = {argv, argc, 0};
    int operands = 0;
    bool ended = false;
    while (cursor.next < argc) {
        char *argument = argv[cursor.next++];
        int rc = 0;
        if (ended || argument[0] != '-' || argument[1] == 0) {
            argv[operands++] = argument;
            ended = ended || stop_at_operand;
        } else if (strcmp(argument, "--") == 0) {
            ended = true;
        } else if (argument[1] == '-') {
            rc = parse_long(options, values, argument + 2, &cursor, err);
        } else {
            rc = parse_letters(options, values, argument + 1, &cursor, err);
        }
        if (rc < 0)
            return rc;
    }
    return operands;
}
