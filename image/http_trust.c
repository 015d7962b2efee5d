/* SPDX-License-Identifier: Apache-2.0 */
#include "image/http_trust.h"

#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <curl/curl.h>

#include "image/http_url.h"

static const char *named(const char *variable)
{
    const char *value = getenv(variable);
    return value && value[0] ? value : NULL;
}

/* Looks for the CA of one registry. @return whether there is one */
static bool find_registry_ca(const char *url, char path[static PATH_MAX])
{
    const char *home = named("HOME");
    const struct {
        const char *base, *below;
    } places[] = {{home, "/.config/containers/certs.d"}, {"/etc", "/containers/certs.d"}, {"/etc", "/docker/certs.d"}};
    char host[HTTP_ORIGIN_MAX];
    if (!http_url_authority(url, host))
        return false;
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        if (!places[i].base)
            continue;
        int length = snprintf(path, PATH_MAX, "%s%s/%s/ca.crt", places[i].base, places[i].below, host);
        if (length > 0 && length < PATH_MAX && access(path, R_OK) == 0)
            return true;
    }
    return false;
}

void http_trust_set(void *curl, const char *url)
{
    char path[PATH_MAX];
    const char *bundle = named("CURL_CA_BUNDLE");
    const char *directory = named("SSL_CERT_DIR");
    if (!bundle)
        bundle = named("SSL_CERT_FILE");
    if (find_registry_ca(url, path))
        bundle = path; /* libcurl takes one bundle; the system's directory stays beside it */
    if (bundle)
        curl_easy_setopt(curl, CURLOPT_CAINFO, bundle);
    if (directory)
        curl_easy_setopt(curl, CURLOPT_CAPATH, directory);
}
