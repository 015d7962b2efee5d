/* SPDX-License-Identifier: Apache-2.0 */
/* hull image prune and hull system prune. */
#include "tools/hull/prune.h"

#include <errno.h>
#include <inttypes.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

#include "base/error.h"
#include "image/remove.h"
#include "image/store.h"
#include "tools/hull/age.h"
#include "tools/hull/command.h"
#include "tools/hull/progress.h"

struct values {
    bool all;
    bool force;
    bool dry_run;
    struct option_list filters;
    const char *grace;
};

#define AT(member) .offset = offsetof(struct values, member)

static const struct option options[] = {
    {.name = "all", .letter = 'a', .kind = OPTION_FLAG, .help = "All images that no running container uses", AT(all)},
    {.name = "filter",
     .kind = OPTION_LIST,
     .argument = "until=AGE",
     .help = "Only what is older: 24h, 7d, 2026-01-31",
     AT(filters)},
    {.name = "grace",
     .kind = OPTION_TEXT,
     .argument = "AGE",
     .help = "Spare what is younger while images are brought in (default 24h)",
     AT(grace)},
    {.name = "dry-run", .kind = OPTION_FLAG, .help = "Remove nothing, say what could be freed", AT(dry_run)},
    {.name = "force", .letter = 'f', .kind = OPTION_FLAG, .help = "For docker's habit: hull never asks", AT(force)},
    OPTION_END,
};

static const char *const kind_names[PRUNE_KINDS] = {
    [PRUNE_BLOBS] = "blobs",
    [PRUNE_ROOTFS] = "root file systems",
    [PRUNE_PARTIAL] = "partial downloads",
    [PRUNE_TEMPORARY] = "temporary files",
};

void prune_print_removed(void *context, const struct reference *reference)
{
    char name[REFERENCE_TEXT_MAX];
    reference_format_familiar(reference, name);
    fprintf(context, "Untagged: %s\n", name);
}

/* Prints the counts that are not 0, and their sum. */
static void print_report(const struct prune_report *report, bool count_only, FILE *out)
{
    char size[PROGRESS_SIZE_MAX];
    uint64_t total = 0;
    for (size_t kind = 0; kind < PRUNE_KINDS; kind++) {
        const struct prune_tally *tally = &report->kinds[kind];
        const struct prune_count *count = count_only ? &tally->unneeded : &tally->removed;
        total += count->bytes;
        progress_format_size(count->bytes, size);
        if (count->files)
            fprintf(out, "%s: %" PRIu64 " %s, %s\n", count_only ? "Unneeded" : "Deleted", count->files,
                    kind_names[kind], size);
    }
    progress_format_size(total, size);
    fprintf(out, "%s: %s\n", count_only ? "Could be freed" : "Freed", size);
}

void prune_after_failure(struct store *store)
{
    static const struct prune_options prune = {.grace = PRUNE_GRACE_SECONDS};
    struct prune_report report;
    (void)store_prune(store, &prune, &report, NULL);
}

int prune_and_print(struct store *store, const struct prune_options *prune, FILE *out, struct error *err)
{
    struct prune_report report;
    int rc = store_prune(store, prune, &report, err);
    if (rc == 0)
        print_report(&report, prune->count_only, out);
    return rc;
}

/* Reads the filters: the earliest point in time counts. */
static int parse_filters(const struct values *asked, int64_t now, int64_t *before, struct error *err)
{
    *before = INT64_MAX;
    for (size_t i = 0; i < asked->filters.count; i++) {
        const char *filter = asked->filters.items[i];
        int64_t until;
        if (strncmp(filter, "until=", strlen("until=")) != 0)
            return error_set(err, EINVAL, "--filter: '%s' is not until=AGE, the only filter that there is", filter);
        int rc = age_parse_until(filter + strlen("until="), now, &until, err);
        if (rc < 0)
            return error_context(err, rc, "--filter until");
        if (until < *before)
            *before = until;
    }
    return 0;
}

static int prune(const struct values *asked, bool partials, struct error *err)
{
    int64_t now = time(NULL);
    int64_t before;
    struct prune_options prune = {.grace = PRUNE_GRACE_SECONDS, .partials = partials, .count_only = asked->dry_run};
    struct store *store = NULL;
    int rc = parse_filters(asked, now, &before, err);
    if (rc == 0 && asked->grace && (rc = age_parse_duration(asked->grace, &prune.grace, err)) < 0)
        rc = error_context(err, rc, "--grace");
    if (rc == 0 && asked->all && asked->dry_run)
        rc = error_set(err, EINVAL, "--dry-run does not go with --all: 'hull system df' says what images hold");
    if (rc == 0)
        rc = store_open(&store, NULL, err);
    if (rc < 0)
        return rc;
    prune.least_age = before < now ? (uint64_t)(now - before) : 0;
    if (asked->all)
        rc = image_remove_unused(store, before, prune_print_removed, stdout, err);
    if (rc == 0)
        rc = prune_and_print(store, &prune, stdout, err);
    store_close(store);
    return rc < 0 ? rc : STATUS_OK;
}

static int run_image(void *values, char **operands, int count, struct error *err)
{
    (void)operands;
    (void)count;
    return prune(values, false, err);
}

static int run_system(void *values, char **operands, int count, struct error *err)
{
    (void)operands;
    (void)count;
    return prune(values, true, err);
}

#define SAFETY                                                                                                         \
    "Running containers and images being pulled are not disturbed: while an image is brought in, what is younger\n"    \
    "than --grace stays. "

const struct command command_image_prune = {
    .name = "image prune",
    .summary = "Remove what no image needs; with -a, unused images too",
    .operands = "",
    .description = "Removes blobs and cached root file systems that no image needs, and the beginnings of downloads\n"
                   "that nobody has continued for as long as --grace.\n\n" SAFETY
                   "With -a, images that no running container uses lose their names first.",
    .example = "  hull image prune -a --filter until=7d",
    .options = options,
    .failure_status = STATUS_FAILED,
    .values_size = sizeof(struct values),
    .run = run_image,
};

const struct command command_system_prune = {
    .name = "system prune",
    .summary = "Remove everything that is not needed, broken-off downloads included",
    .operands = "",
    .description =
        "Like 'hull image prune', and the beginnings of broken-off downloads of any age too, which the next\n"
        "pull would have continued.\n\n" SAFETY,
    .example = "  hull system prune -a",
    .options = options,
    .failure_status = STATUS_FAILED,
    .values_size = sizeof(struct values),
    .run = run_system,
};
