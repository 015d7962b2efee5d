/* SPDX-License-Identifier: Apache-2.0 */
/* What an auth file says: docker's config.json and podman's auth.json are one format. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "image/base64.h"
#include "image/credentials_internal.h"
#include "image/json.h"
#include "image/reference.h"

static const char *skip_prefix(const char *text, const char *prefix)
{
    size_t length = strlen(prefix);
    return strncasecmp(text, prefix, length) == 0 ? text + length : text;
}

/* A key as it is meant: without the scheme and the API version that older dockers wrote, Docker Hub by one name. */
static void normalise_key(const char *key, char text[static CREDENTIALS_KEY_MAX])
{
    static const char *const hub[] = {"index.docker.io", "registry-1.docker.io"};
    static const char *const suffixes[] = {"/v1", "/v2"};
    text[0] = '\0';
    key = skip_prefix(skip_prefix(key, "https://"), "http://");
    size_t length = strlen(key);
    while (length > 0 && key[length - 1] == '/')
        length--;
    if (length == 0 || length >= CREDENTIALS_KEY_MAX)
        return;
    memcpy(text, key, length);
    text[length] = '\0';
    for (size_t i = 0; i < 2; i++) {
        char *slash = strchr(text, '/');
        if (slash && strcmp(slash, suffixes[i]) == 0)
            *slash = '\0';
        if (strcasecmp(text, hub[i]) == 0)
            memcpy(text, "docker.io", sizeof "docker.io");
    }
}

bool credentials_key_is(const char *key, const char *wanted)
{
    char text[CREDENTIALS_KEY_MAX];
    normalise_key(key, text);
    /* Host names have no case; repositories have none but lower. */
    return strcasecmp(text, wanted) == 0;
}

static const json_t *find_key(const json_t *file, const char *section, const char *wanted)
{
    json_t *map = json_object_get(file, section);
    const char *key;
    json_t *value;
    json_object_foreach(map, key, value) if (credentials_key_is(key, wanted)) return value;
    return NULL;
}

/* Shortens "host/team/app" to "host/team". @return false when only the host was left */
static bool less_specific(char *key)
{
    char *slash = strrchr(key, '/');
    if (slash)
        *slash = '\0';
    return slash != NULL;
}

bool credentials_look_up(const json_t *file, const char *host, const char *repository, struct credentials_entry *entry)
{
    char key[CREDENTIALS_KEY_MAX];
    int length = snprintf(key, sizeof key, "%s%s%s", host, repository[0] ? "/" : "", repository);
    if (length < 0 || (size_t)length >= sizeof key)
        return false;

    do {
        const char *helper = json_string_value(find_key(file, "credHelpers", key));
        const json_t *auths = find_key(file, "auths", key);
        if (!helper && !strchr(key, '/'))
            helper = json_string_value(json_object_get(file, "credsStore"));
        if (helper && !helper[0])
            helper = NULL;
        if (helper || json_object_size(auths) > 0) {
            *entry = (struct credentials_entry){.helper = helper, .auths = auths};
            return true;
        }
    } while (less_specific(key));
    return false;
}

int credentials_parse(json_t **file, const char *text, size_t length, struct error *err)
{
    cleanup_json json_t *parsed = NULL;
    json_t *section;
    int rc = json_parse_object(&parsed, text, length, err);
    if (rc == 0)
        rc = json_member(parsed, "auths", JSON_OBJECT, &section, err);
    if (rc == 0)
        rc = json_member(parsed, "credHelpers", JSON_OBJECT, &section, err);
    if (rc == 0)
        *file = steal_pointer(parsed);
    return rc;
}

bool credentials_helper_name_valid(const char *name)
{
    enum { NAME_MAX_BYTES = 64 };
    size_t length = strnlen(name, NAME_MAX_BYTES + 1);
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
    return length > 0 && length <= NAME_MAX_BYTES && strspn(name, allowed) == length;
}

/* ---- one entry --------------------------------------------------------------------------------------------------- */

static int take_text(const json_t *object, const char *name, char **text, struct error *err)
{
    const char *found;
    int rc = json_member_text(object, name, CREDENTIALS_SECRET_MAX, &found, err);
    if (rc < 0 || !found[0])
        return rc;
    char *copy = strdup(found);
    if (!copy)
        return error_set(err, ENOMEM, "out of memory for a login");
    credentials_wipe(text);
    *text = copy;
    return 0;
}

/* "auth": base64 of "user:password". The user name holds no colon. */
static int take_auth(const json_t *object, struct credentials *credentials, struct error *err)
{
    const char *text;
    int rc = json_member_text(object, "auth", 2 * CREDENTIALS_SECRET_MAX, &text, err);
    if (rc < 0 || !text[0])
        return rc;
    char *pair = base64_decode_text(text);
    char *colon = pair ? strchr(pair, ':') : NULL;
    if (!colon) {
        credentials_wipe(&pair);
        return error_set(err, EBADMSG, "'auth' is not the base64 of 'user:password'");
    }
    *colon = '\0';
    credentials->user = strdup(pair);
    credentials->password = strdup(colon + 1);
    *colon = ':'; /* so that all of it is wiped */
    credentials_wipe(&pair);
    return credentials->user && credentials->password ? 0 : error_set(err, ENOMEM, "out of memory for a login");
}

int credentials_from_json(struct credentials *credentials, const json_t *auths, struct error *err)
{
    *credentials = (struct credentials){0};
    int rc = 0;
    if (!json_is_object(auths))
        rc = error_set(err, EBADMSG, "an entry of 'auths' is no object");
    if (rc == 0)
        rc = take_auth(auths, credentials, err);
    if (rc == 0 && !credentials->user) {
        rc = take_text(auths, "username", &credentials->user, err);
        if (rc == 0)
            rc = take_text(auths, "password", &credentials->password, err);
    }
    if (rc == 0)
        rc = take_text(auths, "identitytoken", &credentials->identity_token, err);
    if (rc == 0)
        rc = take_text(auths, "registrytoken", &credentials->registry_token, err);
    if (rc < 0)
        credentials_done(credentials);
    return rc;
}
