/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The WWW-Authenticate header (RFC 9110, 11.6.1): by which schemes a registry lets itself be asked, and for Bearer
 * (distribution-spec's token authentication) where a token is to be had.
 */
#ifndef IMAGE_AUTH_HEADER_H
#define IMAGE_AUTH_HEADER_H

#include <stddef.h>

enum { AUTH_CHALLENGES_MAX = 8, AUTH_SCHEME_MAX = 31, AUTH_PARAMETER_MAX = 1023 };

/** One challenge by value; parameters that hull does not know are dropped. "" = not given. */
struct auth_challenge {
    char scheme[AUTH_SCHEME_MAX + 1]; /**< lower-case: "bearer", "basic" */
    char realm[AUTH_PARAMETER_MAX + 1];
    char service[AUTH_PARAMETER_MAX + 1];
    char scope[AUTH_PARAMETER_MAX + 1];
};

/**
 * Parses a header's value, several headers being joined by commas.
 *
 * @param challenges  room for AUTH_CHALLENGES_MAX; those beyond are dropped
 * @return how many there are; what can't be read ends the list, and a challenge with a parameter that is too long or
 *         given twice is left out
 */
size_t auth_header_parse(struct auth_challenge challenges[static AUTH_CHALLENGES_MAX], const char *value);

/** The first challenge of a scheme ("bearer"), or NULL. */
const struct auth_challenge *auth_header_find(const struct auth_challenge *challenges, size_t count,
                                              const char *scheme);

#endif
