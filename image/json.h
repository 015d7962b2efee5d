/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON from registries and from disk, under limits: the nesting and the number of values are counted before the parser
 * allocates anything, duplicate names are refused (two readers of one document must not see two documents).
 */
#ifndef IMAGE_JSON_H
#define IMAGE_JSON_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct error;

enum { JSON_DEPTH_MAX = 32, JSON_VALUES_MAX = 1 << 18 };

static inline void cleanup_json_decref(json_t **json)
{
    json_decref(*json);
}

/** Drops the reference when the scope ends. */
#define cleanup_json __attribute__((cleanup(cleanup_json_decref)))

/**
 * Parses a document whose outermost value is an object. Strings with a NUL inside are refused.
 * @return 0 with *object owned by the caller; -EBADMSG; -ENOMEM
 */
int json_parse_object(json_t **object, const char *text, size_t length, struct error *err);

/** The same for a document whose outermost value is an array. */
int json_parse_array(json_t **array, const char *text, size_t length, struct error *err);

/** As json_dumps(), which must not be used: it returns something else than the value when memory runs out half-way.
 * @return text to free(), or NULL when out of memory */
char *json_print(const json_t *value, size_t flags);

/**
 * A string member.
 * @param text  set to the text, which lives as long as @p object; "" when the member is absent or null
 * @return 0, or -EBADMSG when the member is something else or longer than @p max bytes
 */
int json_member_text(const json_t *object, const char *name, size_t max, const char **text, struct error *err);

/**
 * An object or array member.
 * @param value  borrowed; NULL when the member is absent or null
 * @return 0, or -EBADMSG when the member is of another type than @p type (JSON_OBJECT, JSON_ARRAY)
 */
int json_member(const json_t *object, const char *name, json_type type, json_t **value, struct error *err);

/** A member that must be there and be an integer of 0 to @p max. @return 0 or -EBADMSG */
int json_member_size(const json_t *object, const char *name, uint64_t max, uint64_t *number, struct error *err);

#endif
