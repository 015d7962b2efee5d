/* SPDX-License-Identifier: Apache-2.0 */
/* hull images. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"
#include "image/image.h"
#include "image/store.h"
#include "tools/hull/command.h"
#include "tools/hull/progress.h"

enum { SHORT_ID = 12, AGE_MAX = 48 };

struct values {
    bool quiet;
    bool digests;
};

static const struct option options[] = {
    {.name = "quiet",
     .letter = 'q',
     .kind = OPTION_FLAG,
     .help = "Print the ids only",
     .offset = offsetof(struct values, quiet)},
    {.name = "digests",
     .kind = OPTION_FLAG,
     .help = "Show the manifests' digests too",
     .offset = offsetof(struct values, digests)},
    OPTION_END,
};

/* "3 weeks ago": the largest unit of which there are two. */
static void format_age(int64_t created, char text[static AGE_MAX])
{
    static const struct {
        const char *name;
        int64_t seconds;
    } units[] = {{"years", 31536000}, {"months", 2592000}, {"weeks", 604800}, {"days", 86400},
                 {"hours", 3600},     {"minutes", 60},     {"seconds", 1}};
    int64_t age = (int64_t)time(NULL) - created;
    if (created == 0) {
        snprintf(text, AGE_MAX, "N/A");
        return;
    }
    size_t unit = 0;
    while (unit + 1 < sizeof units / sizeof units[0] && age < 2 * units[unit].seconds)
        unit++;
    snprintf(text, AGE_MAX, "%" PRId64 " %s ago", age > 0 ? age / units[unit].seconds : 0, units[unit].name);
}

static void format_id(const struct image_summary *image, char text[static DIGEST_TEXT_MAX])
{
    if (image->id.algorithm)
        digest_format_hex(&image->id, text);
    else
        snprintf(text, DIGEST_TEXT_MAX, "<damaged>");
}

static void print_row(const struct image_summary *image, bool digests)
{
    char name[REFERENCE_TEXT_MAX];
    char id[DIGEST_TEXT_MAX];
    char digest[DIGEST_TEXT_MAX];
    char age[AGE_MAX];
    char size[PROGRESS_SIZE_MAX];
    reference_format_familiar_name(&image->reference, name);
    format_id(image, id);
    digest_format(&image->digest, digest);
    format_age(image->created, age);
    progress_format_size(image->size, size);
    printf("%-34s %-14s ", name, image->reference.tag[0] ? image->reference.tag : "<none>");
    if (digests)
        printf("%-71s ", digest);
    printf("%-*.*s %-15s %s\n", SHORT_ID, SHORT_ID, id, age, size);
}

static int run(void *values, char **operands, int count, struct error *err)
{
    (void)operands;
    (void)count;
    const struct values *asked = values;
    struct store *store;
    cleanup_free struct image_summary *list = NULL;
    size_t images = 0;
    int rc = store_open(&store, NULL, err);
    if (rc < 0)
        return rc;
    rc = image_list(store, &list, &images, err);
    store_close(store);
    if (rc < 0)
        return rc;
    if (!asked->quiet) {
        printf("%-34s %-14s ", "REPOSITORY", "TAG");
        if (asked->digests)
            printf("%-71s ", "DIGEST");
        printf("%-*s %-15s %s\n", SHORT_ID, "IMAGE ID", "CREATED", "SIZE");
    }
    for (size_t i = 0; i < images; i++) {
        char id[DIGEST_TEXT_MAX];
        format_id(&list[i], id);
        if (asked->quiet)
            printf("%.*s\n", SHORT_ID, id);
        else
            print_row(&list[i], asked->digests);
    }
    return STATUS_OK;
}

const struct command command_images = {
    .name = "images",
    .summary = "List the images on this machine",
    .operands = "",
    .example = "  hull images",
    .options = options,
    .failure_status = STATUS_FAILED,
    .values_size = sizeof(struct values),
    .run = run,
};
