/* SPDX-License-Identifier: Apache-2.0 */
/* Platforms: parsing, and which image runs where. */
#include "image/platform.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "image/json.h"

void platform_host(struct platform *platform)
{
#if defined(__x86_64__)
    *platform = (struct platform){.os = "linux", .architecture = "amd64"};
#elif defined(__aarch64__)
    *platform = (struct platform){.os = "linux", .architecture = "arm64", .variant = "v8"};
#else
#error "hull runs on x86_64 and arm64"
#endif
}

static bool take_field(char field[static PLATFORM_FIELD_MAX + 1], const char **text)
{
    size_t length = strcspn(*text, "/");
    if (length == 0 || length > PLATFORM_FIELD_MAX)
        return false;
    for (size_t i = 0; i < length; i++) {
        char c = (*text)[i];
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '.' || c == '-'))
            return false;
    }
    memcpy(field, *text, length);
    field[length] = '\0';
    *text += length;
    if (**text == '/') {
        (*text)++;
        return **text != '\0';
    }
    return true;
}

int platform_parse(struct platform *platform, const char *text, struct error *err)
{
    struct platform parsed = {0};
    const char *rest = text;
    bool valid = take_field(parsed.os, &rest) && *rest && take_field(parsed.architecture, &rest);
    if (valid && *rest)
        valid = take_field(parsed.variant, &rest);
    if (!valid || *rest)
        return error_set(err, EINVAL, "invalid platform '%.64s': expected OS/ARCHITECTURE[/VARIANT], as in linux/amd64",
                         text);
    *platform = parsed;
    return 0;
}

void platform_format(const struct platform *platform, char text[static PLATFORM_TEXT_MAX])
{
    (void)snprintf(text, PLATFORM_TEXT_MAX, "%s/%s%s%s", platform->os, platform->architecture,
                   platform->variant[0] ? "/" : "", platform->variant);
}

int platform_from_json(struct platform *platform, const json_t *object, struct error *err)
{
    struct platform parsed = {0};
    const struct {
        const char *name;
        char *field;
    } fields[] = {{"os", parsed.os}, {"architecture", parsed.architecture}, {"variant", parsed.variant}};

    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        const char *text;
        int rc = json_member_text(object, fields[i].name, PLATFORM_FIELD_MAX, &text, err);
        if (rc < 0)
            return error_context(err, rc, "platform");
        (void)snprintf(fields[i].field, PLATFORM_FIELD_MAX + 1, "%s", text);
    }
    *platform = parsed;
    return 0;
}

/* What "no variant" means for an architecture that has variants. */
static const struct {
    const char *architecture;
    unsigned default_variant;
} versioned[] = {{"arm", 7}, {"arm64", 8}};

/* The number of a variant "vN"; 0 when it is none. */
static unsigned variant_number(const char *variant, unsigned default_number)
{
    if (!variant[0])
        return default_number;
    if (variant[0] != 'v' || variant[1] < '1' || variant[1] > '9' || variant[2])
        return 0;
    return (unsigned)(variant[1] - '0');
}

int platform_distance(const struct platform *wanted, const struct platform *offered)
{
    if (strcmp(wanted->os, offered->os) != 0 || strcmp(wanted->architecture, offered->architecture) != 0)
        return -1;

    for (size_t i = 0; i < sizeof versioned / sizeof versioned[0]; i++) {
        if (strcmp(wanted->architecture, versioned[i].architecture) != 0)
            continue;
        unsigned ours = variant_number(wanted->variant, versioned[i].default_variant);
        unsigned theirs = variant_number(offered->variant, versioned[i].default_variant);
        if (ours && theirs)
            return theirs <= ours ? (int)(ours - theirs) : -1;
    }

    /* Elsewhere a variant is a name: an image without one runs everywhere, one with another's name does not. */
    if (strcmp(wanted->variant, offered->variant) == 0)
        return 0;
    return offered->variant[0] ? -1 : 1;
}
