/* SPDX-License-Identifier: Apache-2.0 */
/* JSON under limits, over jansson. */
#include "image/json.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"

/* jansson limits neither depth (beyond 2048) nor memory: "[[],[],..." takes forty times its size. So count first. */
static int check_shape(const char *text, size_t length, struct error *err)
{
    size_t depth = 0;
    size_t values = 0;
    bool in_string = false;

    for (size_t i = 0; i < length; i++) {
        char c = text[i];
        if (in_string) {
            if (c == '\\')
                i++;
            else if (c == '"')
                in_string = false;
            continue;
        }
        if (c == '"') {
            in_string = true;
        } else if (c == '{' || c == '[') {
            depth++;
            values++;
        } else if ((c == '}' || c == ']') && depth > 0) {
            depth--;
        } else if (c == ',') {
            values++;
        }
        if (depth > JSON_DEPTH_MAX)
            return error_set(err, EBADMSG, "JSON nested deeper than %d levels", JSON_DEPTH_MAX);
        if (values > JSON_VALUES_MAX)
            return error_set(err, EBADMSG, "JSON with more than %d values", JSON_VALUES_MAX);
    }
    return 0;
}

/*
 * When memory runs out the library's lexer and its printer drop characters and go on: what they return then is another
 * document. So its allocator takes notes, for each thread.
 */
static _Thread_local bool allocation_failed;

static void *noting_malloc(size_t size)
{
    void *memory = malloc(size);
    if (!memory)
        allocation_failed = true;
    return memory;
}

static void install_allocator(void)
{
    json_set_alloc_funcs(noting_malloc, free);
}

static void start_notes(void)
{
    static pthread_once_t installed = PTHREAD_ONCE_INIT;
    (void)pthread_once(&installed, install_allocator);
    allocation_failed = false;
}

char *json_print(const json_t *value, size_t flags)
{
    start_notes();
    char *text = json_dumps(value, flags);
    if (!allocation_failed)
        return text;
    free(text);
    return NULL;
}

static json_t *load_noting(const char *text, size_t length, json_error_t *reason)
{
    start_notes();
    json_t *parsed = json_loadb(text, length, JSON_REJECT_DUPLICATES, reason);
    if (!allocation_failed)
        return parsed;
    json_decref(parsed);
    return NULL;
}

/* Parses a document whose outermost value is of a type. */
static int parse(json_t **value, json_type type, const char *text, size_t length, struct error *err)
{
    int rc = check_shape(text, length, err);
    if (rc < 0)
        return rc;

    json_error_t reason;
    json_t *parsed = load_noting(text, length, &reason);
    if (!parsed && allocation_failed)
        return error_set(err, ENOMEM, "out of memory while parsing JSON");
    if (!parsed)
        return error_set(err, EBADMSG, "not JSON: %s (line %d, column %d)", reason.text, reason.line, reason.column);
    if (json_typeof(parsed) != type) {
        json_decref(parsed);
        return error_set(err, EBADMSG, "JSON, but no %s", type == JSON_OBJECT ? "object" : "array");
    }
    *value = parsed;
    return 0;
}

int json_parse_object(json_t **object, const char *text, size_t length, struct error *err)
{
    return parse(object, JSON_OBJECT, text, length, err);
}

int json_parse_array(json_t **array, const char *text, size_t length, struct error *err)
{
    return parse(array, JSON_ARRAY, text, length, err);
}

int json_member(const json_t *object, const char *name, json_type type, json_t **value, struct error *err)
{
    json_t *member = json_object_get(object, name);
    if (!member || json_is_null(member)) {
        *value = NULL;
        return 0;
    }
    if (json_typeof(member) != type)
        return error_set(err, EBADMSG, "'%s' is no %s", name, type == JSON_OBJECT ? "object" : "array");
    *value = member;
    return 0;
}

int json_member_text(const json_t *object, const char *name, size_t max, const char **text, struct error *err)
{
    const json_t *member = json_object_get(object, name);
    if (!member || json_is_null(member)) {
        *text = "";
        return 0;
    }
    if (!json_is_string(member))
        return error_set(err, EBADMSG, "'%s' is no string", name);
    if (json_string_length(member) > max)
        return error_set(err, EBADMSG, "'%s' is longer than %zu bytes", name, max);
    *text = json_string_value(member);
    return 0;
}

int json_member_size(const json_t *object, const char *name, uint64_t max, uint64_t *number, struct error *err)
{
    const json_t *member = json_object_get(object, name);
    if (!json_is_integer(member))
        return error_set(err, EBADMSG, "'%s' is missing or no integer", name);
    json_int_t value = json_integer_value(member);
    if (value < 0 || (uint64_t)value > max)
        return error_set(err, EBADMSG, "'%s' is %" JSON_INTEGER_FORMAT ", outside 0 to %" PRIu64, name, value, max);
    *number = (uint64_t)value;
    return 0;
}
