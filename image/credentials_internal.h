/* SPDX-License-Identifier: Apache-2.0 */
/* Between the files that deal with credentials. */
#ifndef IMAGE_CREDENTIALS_INTERNAL_H
#define IMAGE_CREDENTIALS_INTERNAL_H

#include "image/credentials.h"

/** Room for a key of `auths`, normalised: host, slash, repository. */
enum { CREDENTIALS_KEY_MAX = 520 };

/** Overwrites and frees a text; *text is NULL afterwards. */
void credentials_wipe(char **text);

/** Whether a key of a file, however it is spelt, means @p wanted ("docker.io", "host/team"). */
bool credentials_key_is(const char *key, const char *wanted);

/** What a helper knows a host by: docker calls its hub by a URL. */
const char *credentials_server_name(const char *host);

#endif
