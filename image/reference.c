/* SPDX-License-Identifier: Apache-2.0 */
/* Image references: split from the right (digest, tag), then from the left (host), then each piece by its grammar. */
#include "image/reference.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"

#define DEFAULT_HOST      "docker.io"
#define DEFAULT_HOST_OLD  "index.docker.io"
#define DEFAULT_NAMESPACE "library"
#define DEFAULT_TAG       "latest"

/** A piece of the text; borrowed. */
struct piece {
    const char *text;
    size_t length;
};

static struct piece piece_between(const char *begin, const char *end)
{
    return (struct piece){.text = begin, .length = (size_t)(end - begin)};
}

static bool piece_is(struct piece piece, const char *word)
{
    return piece.length == strlen(word) && memcmp(piece.text, word, piece.length) == 0;
}

/* The grammar is ASCII; isalpha() and friends would follow the locale. */
static bool is_lower(char c)
{
    return c >= 'a' && c <= 'z';
}
static bool is_upper(char c)
{
    return c >= 'A' && c <= 'Z';
}
static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}
static bool is_alphanumeric(char c)
{
    return is_lower(c) || is_upper(c) || is_digit(c);
}

static bool has_upper(struct piece piece)
{
    for (size_t i = 0; i < piece.length; i++)
        if (is_upper(piece.text[i]))
            return true;
    return false;
}

/* path-component := [a-z0-9]+ ((?:[._]|__|[-]+)[a-z0-9]+)* */
static bool path_component_valid(struct piece piece)
{
    size_t i = 0;
    for (;;) {
        size_t word = i;
        while (i < piece.length && (is_lower(piece.text[i]) || is_digit(piece.text[i])))
            i++;
        if (i == word)
            return false;
        if (i == piece.length)
            return true;

        size_t separator = i;
        char c = piece.text[i];
        while (i < piece.length && piece.text[i] == c)
            i++;
        size_t run = i - separator;
        if (!(c == '-' || (c == '.' && run == 1) || (c == '_' && run <= 2)))
            return false;
    }
}

static bool repository_valid(struct piece piece)
{
    const char *end = piece.text + piece.length;
    for (const char *begin = piece.text;;) {
        const char *slash = memchr(begin, '/', (size_t)(end - begin));
        if (!path_component_valid(piece_between(begin, slash ? slash : end)))
            return false;
        if (!slash)
            return true;
        begin = slash + 1;
    }
}

/* domain-name := component ("." component)*, component := [a-zA-Z0-9]([a-zA-Z0-9-]*[a-zA-Z0-9])? */
static bool domain_valid(struct piece piece)
{
    for (size_t i = 0; i < piece.length; i++) {
        char c = piece.text[i];
        bool at_edge = i == 0 || i + 1 == piece.length || piece.text[i - 1] == '.' || piece.text[i + 1] == '.';
        if (!(is_alphanumeric(c) || (!at_edge && (c == '-' || c == '.'))))
            return false;
    }
    return piece.length > 0;
}

static bool ipv6_valid(struct piece piece)
{
    for (size_t i = 0; i < piece.length; i++) {
        char c = piece.text[i];
        if (!(is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F') || c == ':'))
            return false;
    }
    return piece.length > 0;
}

static bool port_valid(struct piece piece)
{
    unsigned port = 0;
    for (size_t i = 0; i < piece.length; i++) {
        if (!is_digit(piece.text[i]) || i == 5)
            return false;
        port = port * 10 + (unsigned)(piece.text[i] - '0');
    }
    return port >= 1 && port <= 65535;
}

/* host := domain-name | "[" IPv6 "]", then optionally ":" port */
static bool host_valid(struct piece piece)
{
    const char *end = piece.text + piece.length;
    const char *host_end;
    bool valid;

    if (piece.length > 0 && piece.text[0] == '[') {
        const char *bracket = memchr(piece.text, ']', piece.length);
        if (!bracket)
            return false;
        valid = ipv6_valid(piece_between(piece.text + 1, bracket));
        host_end = bracket + 1;
    } else {
        const char *colon = memchr(piece.text, ':', piece.length);
        host_end = colon ? colon : end;
        valid = domain_valid(piece_between(piece.text, host_end));
    }
    if (!valid || host_end == end)
        return valid;
    return *host_end == ':' && port_valid(piece_between(host_end + 1, end));
}

/* tag := [A-Za-z0-9_][A-Za-z0-9_.-]{0,127} */
static bool tag_valid(struct piece piece)
{
    for (size_t i = 0; i < piece.length; i++) {
        char c = piece.text[i];
        if (!(is_alphanumeric(c) || c == '_' || (i > 0 && (c == '.' || c == '-'))))
            return false;
    }
    return piece.length >= 1 && piece.length <= REFERENCE_TAG_MAX;
}

/* Whether the first component of a name is a host rather than part of a repository of the default registry. */
static bool looks_like_host(struct piece piece)
{
    return memchr(piece.text, '.', piece.length) || memchr(piece.text, ':', piece.length) ||
           piece_is(piece, "localhost") || has_upper(piece);
}

static void copy_piece(char *to, struct piece piece)
{
    memcpy(to, piece.text, piece.length);
    to[piece.length] = '\0';
}

/* Splits NAME into host and repository and checks both. */
static int parse_name(struct reference *reference, struct piece name, const char *text, struct error *err)
{
    const char *end = name.text + name.length;
    const char *slash = memchr(name.text, '/', name.length);
    struct piece host = {.text = DEFAULT_HOST, .length = strlen(DEFAULT_HOST)};
    struct piece repository = name;

    if (slash && looks_like_host(piece_between(name.text, slash))) {
        host = piece_between(name.text, slash);
        repository = piece_between(slash + 1, end);
        if (!host_valid(host))
            return error_set(err, EINVAL, "invalid image reference '%.200s': '%.*s' is no host or host:port", text,
                             (int)host.length, host.text);
        if (piece_is(host, DEFAULT_HOST_OLD))
            host = (struct piece){.text = DEFAULT_HOST, .length = strlen(DEFAULT_HOST)};
    }
    if (has_upper(repository))
        return error_set(err, EINVAL, "invalid image reference '%.200s': a repository's name is lower-case", text);
    if (!repository_valid(repository))
        return error_set(err, EINVAL,
                         "invalid image reference '%.200s': expected [HOST[:PORT]/]NAME[:TAG][@sha256:...] with a NAME "
                         "of a-z, 0-9 and single . _ - / in between",
                         text);

    bool official = piece_is(host, DEFAULT_HOST) && !memchr(repository.text, '/', repository.length);
    size_t prefix = official ? strlen(DEFAULT_NAMESPACE "/") : 0;
    if (host.length + 1 + prefix + repository.length > REFERENCE_NAME_MAX)
        return error_set(err, EINVAL, "invalid image reference '%.64s...': the name is longer than %d bytes", text,
                         REFERENCE_NAME_MAX);
    copy_piece(reference->host, host);
    memcpy(reference->repository, DEFAULT_NAMESPACE "/", prefix);
    copy_piece(reference->repository + prefix, repository);
    return 0;
}

/* An image id; as a name it would hide what the user means. */
static bool is_identifier(const char *text)
{
    return strlen(text) == 64 && strspn(text, "0123456789abcdef") == 64;
}

int reference_parse(struct reference *reference, const char *text, struct error *err)
{
    size_t length = strnlen(text, REFERENCE_TEXT_MAX);
    if (length == 0)
        return error_set(err, EINVAL, "invalid image reference: it is empty");
    if (length == REFERENCE_TEXT_MAX)
        return error_set(err, EINVAL, "invalid image reference '%.64s...': it is too long", text);
    if (is_identifier(text))
        return error_set(err, EINVAL, "invalid image reference '%s': an image is named, not given by its bare id",
                         text);

    struct reference parsed = {0};
    const char *end = text + length;
    const char *at = memchr(text, '@', length);
    if (at) {
        int rc = digest_parse(&parsed.digest, at + 1, err);
        if (rc < 0)
            return error_context(err, rc, "invalid image reference");
        end = at;
    }

    /* A colon is the tag's only after the last slash: before it, it is the port's. */
    const char *last_slash = memrchr(text, '/', (size_t)(end - text));
    const char *last_part = last_slash ? last_slash + 1 : text;
    const char *colon = memchr(last_part, ':', (size_t)(end - last_part));
    if (colon) {
        struct piece tag = piece_between(colon + 1, end);
        if (!tag_valid(tag))
            return error_set(err, EINVAL,
                             "invalid image reference '%.200s': a tag is 1 to %d letters, digits, '_', '.' and '-'",
                             text, REFERENCE_TAG_MAX);
        copy_piece(parsed.tag, tag);
        end = colon;
    } else if (!at) {
        memcpy(parsed.tag, DEFAULT_TAG, sizeof DEFAULT_TAG);
    }

    int rc = parse_name(&parsed, piece_between(text, end), text, err);
    if (rc < 0)
        return rc;
    *reference = parsed;
    return 0;
}

/* Appends the tag and the digest to what is in @p text. */
static void append_version(const struct reference *reference, char text[static REFERENCE_TEXT_MAX])
{
    size_t used = strlen(text);
    if (reference->tag[0]) {
        (void)snprintf(text + used, REFERENCE_TEXT_MAX - used, ":%s", reference->tag);
        used = strlen(text);
    }
    if (reference_has_digest(reference)) {
        char digest[DIGEST_TEXT_MAX];
        digest_format(&reference->digest, digest);
        (void)snprintf(text + used, REFERENCE_TEXT_MAX - used, "@%s", digest);
    }
}

void reference_format(const struct reference *reference, char text[static REFERENCE_TEXT_MAX])
{
    (void)snprintf(text, REFERENCE_TEXT_MAX, "%s/%s", reference->host, reference->repository);
    append_version(reference, text);
}

void reference_format_familiar_name(const struct reference *reference, char text[static REFERENCE_TEXT_MAX])
{
    const char *repository = reference->repository;
    const char *slash = strchr(repository, '/');
    bool shortened = strcmp(reference->host, DEFAULT_HOST) == 0;

    if (shortened && slash) {
        struct piece first = piece_between(repository, slash);
        if (piece_is(first, DEFAULT_NAMESPACE) && !strchr(slash + 1, '/'))
            repository = slash + 1;
        else if (looks_like_host(first))
            shortened = false; /* without docker.io in front it would read as a host */
    }
    if (shortened)
        (void)snprintf(text, REFERENCE_TEXT_MAX, "%s", repository);
    else
        (void)snprintf(text, REFERENCE_TEXT_MAX, "%s/%s", reference->host, repository);
}

void reference_format_familiar(const struct reference *reference, char text[static REFERENCE_TEXT_MAX])
{
    reference_format_familiar_name(reference, text);
    append_version(reference, text);
}
