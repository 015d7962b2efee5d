/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Programs that keep logins: docker-credential-NAME get|store|erase, which take their argument from standard input and
 * answer in JSON (github.com/docker/docker-credential-helpers). Found through PATH.
 */
#ifndef IMAGE_CREDENTIAL_HELPER_H
#define IMAGE_CREDENTIAL_HELPER_H

#include "image/credentials.h"

enum {
    CREDENTIAL_HELPER_ANSWER_MAX = 256 << 10,
    CREDENTIAL_HELPER_SECONDS_MAX = 120 /**< it may ask its user to unlock something */
};

/**
 * Asks for the login of a server.
 * @param credentials  set; all NULL when the helper has none
 * @return 0; -ENOENT when there is no such program; -ETIMEDOUT; -EACCES when it fails; -EBADMSG for its answer
 */
int credential_helper_get(const char *name, const char *server, struct credentials *credentials, struct error *err);

/** Gives a login to keep. @return as credential_helper_get() */
int credential_helper_store(const char *name, const char *server, const struct credentials *credentials,
                            struct error *err);

/** Has it forget. @return 0 or as credential_helper_get() */
int credential_helper_erase(const char *name, const char *server, struct error *err);

#endif
