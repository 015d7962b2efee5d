/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Answering a registry's 401: with a token from the place that a Bearer challenge names (distribution's "Token
 * Authentication Specification" and "OAuth2 Token Authentication"), or with user and password for a Basic one.
 *
 * A login is shown to the registry's own origin and to the token server that this origin names, to nobody else: a 401
 * that came by a redirect is not answered at all.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/log.h"
#include "image/auth_header.h"
#include "image/base64.h"
#include "image/credentials_internal.h"
#include "image/http_url.h"
#include "image/json.h"
#include "image/registry_internal.h"

enum { ANSWER_BYTES_MAX = 64 << 10, SCOPES_MAX = 3 };

static void look_up_login(struct registry *registry)
{
    struct error err = {0};
    if (registry->login_looked_up)
        return;
    registry->login_looked_up = true;
    if (credentials_find(registry->reference.host, registry->reference.repository, &registry->login, &err) < 0)
        log_warn("%s: going on without a login", err.text);
}

static int set_authorization(struct registry *registry, const char *scheme, const char *value, struct error *err)
{
    char *authorization;
    if (asprintf(&authorization, "%s %s", scheme, value) < 0)
        return error_set(err, ENOMEM, "out of memory for an authorization");
    credentials_wipe(&registry->authorization);
    registry->authorization = authorization;
    return 0;
}

/* "user:password" in base64. @return allocated, or NULL when memory runs out */
static char *basic_value(const struct credentials *login)
{
    char *pair;
    if (asprintf(&pair, "%s:%s", login->user, login->password ? login->password : "") < 0)
        return NULL;
    char *value = base64_encode(pair, strlen(pair));
    credentials_wipe(&pair);
    return value;
}

/* ---- the token server's answer ----------------------------------------------------------------------------------- */

/* A token goes into a header line, so it must be one word. */
static bool token_valid(const char *token)
{
    size_t length = strnlen(token, REGISTRY_TOKEN_BYTES_MAX + 1);
    for (size_t i = 0; i < length; i++)
        if (token[i] <= ' ' || token[i] > '~')
            return false;
    return length > 0 && length <= REGISTRY_TOKEN_BYTES_MAX;
}

/* Takes the token out of a token server's answer: "token", or OAuth2's "access_token". */
static int take_token(struct registry *registry, const struct buffer *body, struct error *err)
{
    cleanup_json json_t *answer = NULL;
    const char *token = "";
    int rc = json_parse_object(&answer, (const char *)body->bytes, body->length, err);
    if (rc == 0)
        rc = json_member_text(answer, "token", REGISTRY_TOKEN_BYTES_MAX, &token, err);
    if (rc == 0 && !token[0])
        rc = json_member_text(answer, "access_token", REGISTRY_TOKEN_BYTES_MAX, &token, err);
    if (rc < 0)
        return rc;
    if (!token_valid(token))
        return error_set(err, EBADMSG, "an answer without a usable token");

    return set_authorization(registry, "Bearer", token, err);
}

/* ---- asking the token server ---------------------------------------------------------------------------------------
 */

static bool is_safe_realm(const struct registry *registry, const char *realm)
{
    char host[HTTP_ORIGIN_MAX];
    if (http_url_is(realm, "https"))
        return true;
    return http_url_is(realm, "http") && http_url_is(registry->origin, "http") && http_url_authority(realm, host) &&
           (http_host_is_loopback(host) || registry_list_has(registry_insecure_hosts(), host));
}

/* A question to a token server: parameters of a query or a form. */
struct question {
    const char *parameters[SCOPES_MAX + 5][2];
    size_t count;
    char own_scope[REFERENCE_NAME_MAX + 32];
    char mount_scope[REFERENCE_NAME_MAX + 32];
};

static void add_parameter(struct question *question, const char *name, const char *value)
{
    if (!value[0])
        return;
    question->parameters[question->count][0] = name;
    question->parameters[question->count++][1] = value;
}

/* What the token is to allow: for pulling what the challenge says, for pushing what we know that we need. */
static void add_scopes(struct question *question, const struct registry *registry,
                       const struct auth_challenge *challenge)
{
    bool own = registry->writes || !challenge->scope[0];
    if (own && registry->reference.repository[0]) {
        (void)snprintf(question->own_scope, sizeof question->own_scope, "repository:%s:pull%s",
                       registry->reference.repository, registry->writes ? ",push" : "");
        add_parameter(question, "scope", question->own_scope);
    } else {
        add_parameter(question, "scope", challenge->scope);
    }
    if (registry->mount) {
        (void)snprintf(question->mount_scope, sizeof question->mount_scope, "repository:%s:pull", registry->mount);
        add_parameter(question, "scope", question->mount_scope);
    }
}

/* By GET, with user and password if there are any. */
static int ask_by_query(struct registry *registry, const char *realm, struct question question, struct buffer *body,
                        struct http_response *response, struct error *err)
{
    const struct credentials *login = &registry->login;
    char *authorization = NULL;
    if (login->user) {
        char *value = basic_value(login);
        if (!value || asprintf(&authorization, "Basic %s", value) < 0)
            authorization = NULL;
        credentials_wipe(&value);
        if (!authorization)
            return error_set(err, ENOMEM, "out of memory for an authorization");
        add_parameter(&question, "account", login->user);
    }
    cleanup_free char *url = http_url_with_query(realm, question.parameters, question.count);
    int rc = url ? 0 : error_set(err, ENOMEM, "out of memory for a URL");
    struct http_request request = {.url = url,
                                   .authorization = authorization,
                                   .max = ANSWER_BYTES_MAX,
                                   .sink = registry_sink_to_buffer,
                                   .context = body};
    if (rc == 0)
        rc = http_perform(registry->http, &request, response, err);
    credentials_wipe(&authorization);
    return rc;
}

/* By POST (OAuth2, RFC 6749, 4.3 and 6), with the identity token or user and password. */
static int ask_by_form(struct registry *registry, const char *realm, struct question question, struct buffer *body,
                       struct http_response *response, struct error *err)
{
    const struct credentials *login = &registry->login;
    add_parameter(&question, "client_id", "hull");
    add_parameter(&question, "grant_type", login->identity_token ? "refresh_token" : "password");
    if (login->identity_token) {
        add_parameter(&question, "refresh_token", login->identity_token);
    } else {
        add_parameter(&question, "username", login->user);
        add_parameter(&question, "password", login->password ? login->password : "");
    }
    char *form = http_url_form(question.parameters, question.count);
    if (!form)
        return error_set(err, ENOMEM, "out of memory for a form");
    struct http_body sent = {.bytes = form, .length = strlen(form), .type = "application/x-www-form-urlencoded"};
    struct http_request request = {.method = HTTP_POST,
                                   .url = realm,
                                   .body = &sent,
                                   .max = ANSWER_BYTES_MAX,
                                   .sink = registry_sink_to_buffer,
                                   .context = body};
    int rc = http_perform(registry->http, &request, response, err);
    credentials_wipe(&form);
    return rc;
}

static int refusal(const struct registry *registry, const char *realm, const struct http_response *response,
                   struct error *err)
{
    int code = response->status == 400 || response->status == 401 || response->status == 403 ? EACCES : EPROTO;
    if (!credentials_any(&registry->login))
        return error_set(err, code, "'%.100s' gives no token to anybody (HTTP %d): 'hull login' may help", realm,
                         response->status);
    return error_set(err, code, "'%.100s' refuses the login%s%.64s%s (HTTP %d)", realm,
                     registry->login.user ? " of '" : "", registry->login.user ? registry->login.user : "",
                     registry->login.user ? "'" : "", response->status);
}

static int fetch_token(struct registry *registry, const struct auth_challenge *challenge, struct error *err)
{
    if (!is_safe_realm(registry, challenge->realm))
        return error_set(err, EPROTO, "'%.100s' is no place to ask for a token over a safe line", challenge->realm);
    struct question question = {.count = 0};
    add_parameter(&question, "service", challenge->service);
    add_scopes(&question, registry, challenge);

    const struct credentials *login = &registry->login;
    cleanup_buffer struct buffer body = BUFFER_INIT(ANSWER_BYTES_MAX);
    struct http_response response;
    int rc = login->identity_token ? ask_by_form(registry, challenge->realm, question, &body, &response, err)
                                   : ask_by_query(registry, challenge->realm, question, &body, &response, err);
    bool unknown = rc == 0 && (response.status == 404 || response.status == 405);
    if (unknown && login->user && !login->identity_token)
        rc = ask_by_form(registry, challenge->realm, question, &body, &response, err);
    if (rc < 0)
        return rc;
    if (response.status != 200)
        return refusal(registry, challenge->realm, &response, err);
    rc = take_token(registry, &body, err);
    return rc < 0 ? error_context(err, rc, "token server '%.100s'", challenge->realm) : 0;
}

/* ---- the 401 ----------------------------------------------------------------------------------------------------- */

/* @return 1 when there is something to answer with, 0, or -errno */
static int use_password(struct registry *registry, struct error *err)
{
    char *value = registry->login.user ? basic_value(&registry->login) : NULL;
    if (!value)
        return 0;
    int rc = set_authorization(registry, "Basic", value, err);
    credentials_wipe(&value);
    return rc < 0 ? rc : 1;
}

int registry_authorise(struct registry *registry, const struct http_response *response, struct error *err)
{
    struct auth_challenge challenges[AUTH_CHALLENGES_MAX];
    if (response->redirected)
        return 0;
    size_t count = auth_header_parse(challenges, response->authenticate);
    const struct auth_challenge *bearer = auth_header_find(challenges, count, "bearer");
    const struct auth_challenge *basic = auth_header_find(challenges, count, "basic");
    if (!bearer && !basic)
        return 0;
    look_up_login(registry);
    int rc;
    if (!bearer)
        return use_password(registry, err);
    if (registry->login.registry_token && token_valid(registry->login.registry_token))
        rc = set_authorization(registry, "Bearer", registry->login.registry_token, err);
    else
        rc = fetch_token(registry, bearer, err);
    return rc < 0 ? rc : 1;
}
