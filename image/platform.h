/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Platforms of images (OCI image-spec, image-index.md, "platform"): operating system, architecture and, on ARM, the
 * variant. Names are Go's: linux, amd64, arm64.
 */
#ifndef IMAGE_PLATFORM_H
#define IMAGE_PLATFORM_H

struct error;
struct json_t;

enum { PLATFORM_FIELD_MAX = 31, PLATFORM_TEXT_MAX = 3 * (PLATFORM_FIELD_MAX + 1) };

/** A platform by value. os "" = none given. */
struct platform {
    char os[PLATFORM_FIELD_MAX + 1];
    char architecture[PLATFORM_FIELD_MAX + 1];
    char variant[PLATFORM_FIELD_MAX + 1]; /**< "" = none, "v8" */
};

/** The platform whose programs this machine's guests run: linux and the host's architecture. */
void platform_host(struct platform *platform);

/** Parses "os/architecture[/variant]". @return 0 or -EINVAL */
int platform_parse(struct platform *platform, const char *text, struct error *err);

/** Takes the members os, architecture and variant of a JSON object. @return 0 or -EBADMSG */
int platform_from_json(struct platform *platform, const struct json_t *object, struct error *err);

/** Writes "os/architecture[/variant]". */
void platform_format(const struct platform *platform, char text[static PLATFORM_TEXT_MAX]);

/**
 * How well an offered image runs where @p wanted is the machine: -1 not at all, 0 exactly what is wanted, greater the
 * further away (an older ARM variant). A newer variant than the wanted one never runs.
 */
int platform_distance(const struct platform *wanted, const struct platform *offered);

#endif
