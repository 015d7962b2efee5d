/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as an auth file (config.json, auth.json), asked for a few registries. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "image/credentials.h"
#include "image/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

static void look_up(const json_t *file, const char *host, const char *repository)
{
    struct credentials_entry entry = {0};
    struct credentials login = {0};
    if (!credentials_look_up(file, host, repository, &entry))
        return;
    if (!entry.helper && !entry.auths)
        abort();
    if (entry.helper && credentials_helper_name_valid(entry.helper) && strchr(entry.helper, '/'))
        abort();
    if (entry.auths && credentials_from_json(&login, entry.auths, NULL) < 0 && credentials_any(&login))
        abort();
    if (login.user && strchr(login.user, ':') && json_object_get(entry.auths, "auth"))
        abort();
    credentials_done(&login);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    json_t *file = NULL;
    if (credentials_parse(&file, (const char *)bytes, length, NULL) < 0)
        return 0;
    look_up(file, "docker.io", "library/busybox");
    look_up(file, "r.example:5000", "a/b/c");
    look_up(file, "r.example:5000", "");
    json_decref(file);
    return 0;
}
