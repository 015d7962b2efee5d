/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/hull/registry_host.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"

/* Where the scheme of "https://host" ends; the start of what has none. */
static const char *skip_scheme(const char *name)
{
    static const char *const schemes[] = {"https://", "http://"};
    for (size_t i = 0; i < sizeof schemes / sizeof schemes[0]; i++)
        if (strncmp(name, schemes[i], strlen(schemes[i])) == 0)
            return name + strlen(schemes[i]);
    return name;
}

int registry_host_parse(const char *name, struct reference *reference, struct error *err)
{
    char text[REFERENCE_TEXT_MAX];
    struct reference parsed;
    const char *host = skip_scheme(name ? name : "docker.io");
    size_t length = strlen(host);
    if (length > 0 && host[length - 1] == '/')
        length--;
    /* A host is what reads as one in front of an image's name: "a/x" would be an image of Docker Hub. */
    bool fits = snprintf(text, sizeof text, "%.*s/x", (int)length, host) < (int)sizeof text;
    bool is_hub = strncmp(host, "docker.io", length) == 0 || strncmp(host, "index.docker.io", length) == 0;
    if (!fits || length == 0 || memchr(host, '/', length) || reference_parse(&parsed, text, NULL) < 0 ||
        (!is_hub && strcmp(parsed.host, "docker.io") == 0))
        return error_set(err, EINVAL, "'%.100s' is no registry: name it as in an image's name, host[:port]", host);
    *reference = parsed;
    return 0;
}
