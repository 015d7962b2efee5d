/* SPDX-License-Identifier: Apache-2.0 */
/* Between the files of the registry client: a request with what it takes to get it answered. */
#ifndef IMAGE_REGISTRY_INTERNAL_H
#define IMAGE_REGISTRY_INTERNAL_H

#include <stdbool.h>

#include "image/credentials.h"
#include "image/http.h"
#include "image/registry.h"

struct buffer;

struct registry {
    struct http *http;
    struct reference reference;
    char *origin;         /**< "https://host" */
    bool scheme_open;     /**< plain HTTP is a guess that the first answer confirms or not */
    bool writes;          /**< tokens are asked for pushing too */
    const char *mount;    /**< a repository of which tokens must allow to pull as well; NULL = none; borrowed */
    char *authorization;  /**< "Bearer ..." or "Basic ..."; NULL = none yet */
    bool login_looked_up; /**< login is what the auth files know, or what was set */
    struct credentials login;
    uint64_t whole_bytes; /**< blobs of up to that size are uploaded by one request */
    uint64_t chunk_bytes; /**< longer ones by requests of that size */
};

/** Whether a comma-separated list holds a host. */
bool registry_list_has(const char *list, const char *host);

/** The hosts besides those of this machine that plain HTTP is spoken to. */
const char *registry_insecure_hosts(void);

/**
 * Sends a request once, again with authorization if the registry wants some, and over TLS where plain HTTP was guessed
 * wrongly.
 *
 * @param target   "/v2/...", or an absolute URL that the registry gave; replaces request->url. Authorization goes to
 *                 the registry's own origin only.
 * @return as http_perform()
 */
int registry_send(struct registry *registry, const char *target, const struct http_request *request,
                  struct http_response *response, struct error *err);

/** Answers a 401. @return 1 when asking again may help now, 0 when not, or -errno */
int registry_authorise(struct registry *registry, const struct http_response *response, struct error *err);

/** Waits before attempt @p attempt (1 = the first repetition), at least as long as the registry asks for. */
void registry_wait_before(unsigned attempt, unsigned retry_after);

/** What a status that is no success means, with the registry's own words. @return -errno */
int registry_status_error(const struct http_response *response, struct error *err);

/** Whether an answer is a page for people. */
bool registry_is_web_page(const struct http_response *response);

/** An http_request's sink that appends to a struct buffer. */
int registry_sink_to_buffer(void *buffer, const void *bytes, size_t length, struct error *err);

#endif
