/* SPDX-License-Identifier: Apache-2.0 */
#include "image/remove.h"

#include <errno.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "image/image.h"
#include "image/store.h"

/* Takes one name away. A name that is gone meanwhile is what was wanted. */
static int remove_name(struct store *store, const struct reference *reference, image_removed *removed, void *context,
                       struct error *err)
{
    int rc = store_untag(store, reference, err);
    if (rc == -ENOENT)
        return 0;
    if (rc == 0)
        removed(context, reference);
    return rc;
}

/* What an id begins with, or NULL when the text is none. */
static const char *id_digits(const char *text)
{
    if (strncmp(text, "sha256:", strlen("sha256:")) == 0)
        text += strlen("sha256:");
    size_t length = strlen(text);
    return length >= IMAGE_ID_DIGITS_MIN && strspn(text, "0123456789abcdef") == length ? text : NULL;
}

static bool has_id(const struct image_summary *image, const char *digits)
{
    char hex[DIGEST_TEXT_MAX];
    digest_format_hex(&image->id, hex);
    return image->id.algorithm && strncmp(hex, digits, strlen(digits)) == 0;
}

/* Whether the images of an id may go. */
static int check_id(const struct image_summary *list, size_t count, const char *digits, bool all, struct error *err)
{
    const struct image_summary *first = NULL;
    size_t names = 0;
    for (size_t i = 0; i < count; i++) {
        if (!has_id(&list[i], digits))
            continue;
        if (first && !digest_equal(&first->id, &list[i].id))
            return error_set(err, EBUSY, "'%s' could be several images: give more digits", digits);
        first = &list[i];
        names++;
    }
    if (names == 0)
        return error_set(err, ENOENT, "no image with the id '%s' on this machine", digits);
    if (names > 1 && !all)
        return error_set(err, EBUSY, "image '%s' has %zu names: give one of them, or -f for all", digits, names);
    return 0;
}

static int remove_id(struct store *store, const char *digits, bool all, image_removed *removed, void *context,
                     struct error *err)
{
    cleanup_free struct image_summary *list = NULL;
    size_t count = 0;
    int rc = image_list(store, &list, &count, err);
    if (rc == 0)
        rc = check_id(list, count, digits, all, err);
    for (size_t i = 0; rc == 0 && i < count; i++)
        if (has_id(&list[i], digits))
            rc = remove_name(store, &list[i].reference, removed, context, err);
    return rc;
}

int image_remove(struct store *store, const char *text, bool all, image_removed *removed, void *context,
                 struct error *err)
{
    struct reference reference;
    const char *digits = id_digits(text);
    int rc = reference_parse(&reference, text, err);
    if (rc == 0)
        rc = store_untag(store, &reference, err);
    if (rc == 0)
        removed(context, &reference);
    else if (digits && (rc == -ENOENT || rc == -EINVAL))
        rc = remove_id(store, digits, all, removed, context, err);
    return rc;
}

int image_remove_unused(struct store *store, int64_t before, image_removed *removed, void *context, struct error *err)
{
    cleanup_free struct image_summary *list = NULL;
    size_t count = 0;
    int rc = image_list(store, &list, &count, err);
    for (size_t i = 0; rc == 0 && i < count; i++)
        if (!list[i].in_use && list[i].created < before && (list[i].created != 0 || before == INT64_MAX))
            rc = remove_name(store, &list[i].reference, removed, context, err);
    return rc;
}
