/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A tiny HTTP server in a thread of the test, which answers by a list of rules and can misbehave: lie about lengths,
 * close in the middle, send anything at all. It writes down what it was asked.
 */
#ifndef TESTS_SUPPORT_FAKE_REGISTRY_H
#define TESTS_SUPPORT_FAKE_REGISTRY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct fake_registry;

enum { FAKE_RULES_MAX = 64, FAKE_REQUESTS_MAX = 256, FAKE_TEXT_MAX = 1024, FAKE_BODY_MAX = 8192 };

/** How to answer one path. Zero members are the honest default. */
struct fake_rule {
    const char *method;        /**< "PUT"; NULL = any */
    const char *path;          /**< exact, without query */
    const char *authorization; /**< answers only requests with exactly this header; NULL = any */
    unsigned times;            /**< answers so often, then the next rule for the path does; 0 = for ever */
    int status;                /**< 0 = 200, or 206 for a Range request */
    const char *headers;       /**< more header lines, each ending in CR LF */
    const void *body;          /**< borrowed, as all members */
    size_t length;             /**< of the body */
    int64_t length_error;      /**< added to the true Content-Length */
    size_t cut_at;             /**< closes after the body's first cut_at bytes (0 = it does not) */
    bool ignores_range;        /**< sends the whole, with 200 */
    const char *raw;           /**< sent instead of an HTTP answer, then closes */
};

/** A request as it came. "" = the header was not there. */
struct fake_request {
    char method[8];
    char target[FAKE_TEXT_MAX]; /**< path and query */
    char accept[FAKE_TEXT_MAX];
    char authorization[FAKE_TEXT_MAX];
    char range[FAKE_TEXT_MAX];
    char content_type[FAKE_TEXT_MAX];
    char content_range[FAKE_TEXT_MAX];
    uint64_t body_length;
    char body[FAKE_BODY_MAX + 1]; /**< its beginning, terminated */
};

/** Starts a server on a free loopback port. @return NULL when that fails */
struct fake_registry *fake_registry_new(void);

/** Stops it and joins its thread. NULL is fine. */
void fake_registry_free(struct fake_registry *registry);

/** "127.0.0.1:PORT" */
const char *fake_registry_host(const struct fake_registry *registry);

/** Adds a rule; the first that fits answers. What fits none is answered with 404. */
void fake_registry_add(struct fake_registry *registry, struct fake_rule rule);

/** Forgets rules and requests. */
void fake_registry_clear(struct fake_registry *registry);

/** How many requests there were, and a copy of one. */
size_t fake_registry_count(struct fake_registry *registry);
struct fake_request fake_registry_request(struct fake_registry *registry, size_t index);

#endif
