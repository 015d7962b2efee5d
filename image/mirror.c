/* SPDX-License-Identifier: Apache-2.0 */
#include "image/mirror.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/error.h"

/* One "host[/path]" of the list with the repository behind it. @return false when that names nothing */
static bool make_mirror(const char *place, size_t length, const struct reference *reference, struct reference *mirror)
{
    char text[REFERENCE_TEXT_MAX];
    static const char hub[] = "docker.io";
    struct reference parsed;
    if (length == 0 || place[length - 1] == '/' ||
        snprintf(text, sizeof text, "%.*s/%s", (int)length, place, reference->repository) >= (int)sizeof text ||
        reference_parse(&parsed, text, NULL) < 0)
        return false;
    /* "mirror/x" would be an image of Docker Hub: whoever means that says so. */
    if (strcmp(parsed.host, hub) == 0 && strncmp(place, hub, strlen(hub)) != 0)
        return false;
    memcpy(parsed.tag, reference->tag, sizeof parsed.tag);
    parsed.digest = reference->digest;
    *mirror = parsed;
    return true;
}

int mirror_list(const char *list, const struct reference *reference, struct reference mirrors[static MIRRORS_MAX],
                struct error *err)
{
    int count = 0;
    for (const char *item = list ? list : ""; *item;) {
        item += strspn(item, ", ");
        size_t length = strcspn(item, ", ");
        const char *equals = memchr(item, '=', length);
        if (length == 0)
            break;
        if (!equals)
            return error_set(err, EINVAL, "HULL_REGISTRY_MIRRORS: '%.*s' is not REGISTRY=MIRROR", (int)length, item);
        size_t host = (size_t)(equals - item);
        if (strlen(reference->host) == host && strncasecmp(item, reference->host, host) == 0) {
            if (count == MIRRORS_MAX)
                return error_set(err, EINVAL, "HULL_REGISTRY_MIRRORS: more than %d mirrors of '%s'", MIRRORS_MAX,
                                 reference->host);
            if (!make_mirror(equals + 1, length - host - 1, reference, &mirrors[count]))
                return error_set(err, EINVAL, "HULL_REGISTRY_MIRRORS: '%.*s' names no registry after the '='",
                                 (int)length, item);
            count++;
        }
        item += length;
    }
    return count;
}
