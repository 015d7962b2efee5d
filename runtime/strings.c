/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/strings.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"

enum { FIRST_CAPACITY = 16 };

static int out_of_memory(struct error *err)
{
    return error_set(err, ENOMEM, "out of memory for a list of strings");
}

/* Makes room for one more, and for the NULL after it. */
static int reserve(struct strings *strings, struct error *err)
{
    if (strings->count + 1 < strings->capacity)
        return 0;
    size_t capacity = strings->capacity ? strings->capacity * 2 : FIRST_CAPACITY;
    char **items = reallocarray(strings->items, capacity, sizeof *items);
    if (!items)
        return out_of_memory(err);
    strings->items = items;
    strings->capacity = capacity;
    return 0;
}

int strings_add_format(struct strings *strings, struct error *err, const char *format, ...)
{
    int rc = reserve(strings, err);
    if (rc < 0)
        return rc;
    va_list arguments;
    va_start(arguments, format);
    int length = vasprintf(&strings->items[strings->count], format, arguments);
    va_end(arguments);
    if (length < 0) {
        strings->items[strings->count] = NULL;
        return out_of_memory(err);
    }
    strings->items[++strings->count] = NULL;
    return 0;
}

int strings_add(struct strings *strings, const char *text, struct error *err)
{
    return strings_add_format(strings, err, "%s", text);
}

static size_t find_variable(const struct strings *strings, const char *name, size_t length)
{
    size_t i = 0;
    while (i < strings->count && (strncmp(strings->items[i], name, length) != 0 || strings->items[i][length] != '='))
        i++;
    return i;
}

int strings_set_variable(struct strings *strings, const char *assignment, struct error *err)
{
    size_t i = find_variable(strings, assignment, strcspn(assignment, "="));
    if (i == strings->count)
        return strings_add(strings, assignment, err);
    char *copy = strdup(assignment);
    if (!copy)
        return out_of_memory(err);
    free(strings->items[i]);
    strings->items[i] = copy;
    return 0;
}

void strings_remove_variable(struct strings *strings, const char *name)
{
    size_t i = find_variable(strings, name, strlen(name));
    if (i == strings->count)
        return;
    free(strings->items[i]);
    memmove(&strings->items[i], &strings->items[i + 1], (strings->count - i) * sizeof *strings->items);
    strings->count--;
}

void strings_done(struct strings *strings)
{
    for (size_t i = 0; i < strings->count; i++)
        free(strings->items[i]);
    free(strings->items);
    *strings = (struct strings){0};
}
