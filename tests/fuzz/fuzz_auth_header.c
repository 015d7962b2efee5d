/* SPDX-License-Identifier: Apache-2.0 */
/* Any text as a WWW-Authenticate header. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "image/auth_header.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    struct auth_challenge challenges[AUTH_CHALLENGES_MAX];
    char *text = malloc(length + 1);
    if (!text)
        return 0;
    memcpy(text, bytes, length);
    text[length] = '\0';

    size_t count = auth_header_parse(challenges, text);
    if (count > AUTH_CHALLENGES_MAX)
        abort();
    for (size_t i = 0; i < count; i++) {
        const struct auth_challenge *challenge = &challenges[i];
        if (!challenge->scheme[0] || strlen(challenge->realm) > AUTH_PARAMETER_MAX ||
            strlen(challenge->service) > AUTH_PARAMETER_MAX || strlen(challenge->scope) > AUTH_PARAMETER_MAX ||
            !auth_header_find(challenges, count, challenge->scheme))
            abort();
    }
    free(text);
    return 0;
}
