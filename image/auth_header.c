/* SPDX-License-Identifier: Apache-2.0 */
/*
 * WWW-Authenticate. The grammar is awkward in one place: a comma separates the parameters of a challenge and the
 * challenges too, so what follows a comma is a parameter if a '=' comes after its first word, else a new scheme.
 */
#include "image/auth_header.h"

#include <stdbool.h>
#include <string.h>

/* A word of the header; borrowed. */
struct word {
    const char *text;
    size_t length;
};

/* tchar (RFC 9110, 5.6.2) */
static bool is_token_char(char c)
{
    return c &&
           ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || strchr("!#$%&'*+-.^_`|~", c));
}

static const char *skip_space(const char *at)
{
    return at + strspn(at, " \t");
}

static const char *skip_separators(const char *at)
{
    return at + strspn(at, " \t,");
}

static struct word take_token(const char **at)
{
    struct word word = {.text = *at, .length = 0};
    while (is_token_char(word.text[word.length]))
        word.length++;
    *at += word.length;
    return word;
}

/* ASCII only, whatever the locale. */
static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static bool word_is(struct word word, const char *name)
{
    for (size_t i = 0; i < word.length; i++)
        if (lower(word.text[i]) != name[i])
            return false;
    return name[word.length] == '\0';
}

/* Takes a token or a quoted string (5.6.4) into @p value; false when it is neither. *fits tells whether it had room. */
static bool take_value(char value[static AUTH_PARAMETER_MAX + 1], bool *fits, const char **at)
{
    size_t length = 0;
    const char *p = *at;
    bool quoted = *p == '"';
    p += quoted;
    while (quoted ? *p && *p != '"' : is_token_char(*p)) {
        if (quoted && *p == '\\' && p[1])
            p++;
        if (length < AUTH_PARAMETER_MAX)
            value[length] = *p;
        length++;
        p++;
    }
    if (quoted ? *p != '"' : length == 0)
        return false;
    *fits = length <= AUTH_PARAMETER_MAX;
    value[*fits ? length : 0] = '\0';
    *at = p + quoted;
    return true;
}

/* Puts a parameter where it belongs. @return false when it must not be used */
static bool keep_parameter(struct auth_challenge *challenge, struct word name, const char *value)
{
    const struct {
        const char *name;
        char *field;
    } fields[] = {{"realm", challenge->realm}, {"service", challenge->service}, {"scope", challenge->scope}};
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        if (!word_is(name, fields[i].name))
            continue;
        if (fields[i].field[0])
            return false;
        memcpy(fields[i].field, value, strlen(value) + 1);
    }
    return true;
}

/* Takes parameters until the next scheme or the end. @return false when the rest of the header can't be read */
static bool take_parameters(struct auth_challenge *challenge, bool *usable, const char **at)
{
    for (;;) {
        const char *p = skip_separators(*at);
        struct word name = take_token(&p);
        p = skip_space(p);
        if (name.length == 0 || *p != '=')
            return *at = skip_separators(*at), true;
        p = skip_space(p + 1);

        char value[AUTH_PARAMETER_MAX + 1];
        bool fits = false;
        if (!take_value(value, &fits, &p))
            return false;
        if (!fits || !keep_parameter(challenge, name, value))
            *usable = false;
        *at = p;
    }
}

/* Passes over a token68 ("Negotiate YII..=="), the form that has no parameters. */
static const char *skip_token68(const char *at)
{
    const char *p = at;
    while (is_token_char(*p) || *p == '/')
        p++;
    p += strspn(p, "=");
    const char *end = skip_space(p);
    return p > at && (*end == ',' || *end == '\0') ? end : at;
}

size_t auth_header_parse(struct auth_challenge challenges[static AUTH_CHALLENGES_MAX], const char *value)
{
    size_t count = 0;
    const char *at = skip_separators(value);
    while (*at && count < AUTH_CHALLENGES_MAX) {
        struct word scheme = take_token(&at);
        if (scheme.length == 0 || scheme.length > AUTH_SCHEME_MAX)
            break;

        struct auth_challenge *challenge = &challenges[count];
        bool usable = true;
        *challenge = (struct auth_challenge){0};
        for (size_t i = 0; i < scheme.length; i++)
            challenge->scheme[i] = lower(scheme.text[i]);
        if (*at == ' ')
            at = skip_token68(skip_space(at));
        if (!take_parameters(challenge, &usable, &at))
            break;
        if (usable)
            count++;
    }
    return count;
}

const struct auth_challenge *auth_header_find(const struct auth_challenge *challenges, size_t count, const char *scheme)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(challenges[i].scheme, scheme) == 0)
            return &challenges[i];
    return NULL;
}
