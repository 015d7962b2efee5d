/* SPDX-License-Identifier: Apache-2.0 */
/* hull system df. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <jansson.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "image/image.h"
#include "image/prune.h"
#include "image/store.h"
#include "tools/hull/command.h"
#include "tools/hull/progress.h"

struct values {
    const char *format;
};

static const struct option options[] = {
    {.name = "format",
     .kind = OPTION_TEXT,
     .argument = "FORMAT",
     .help = "table (default) or json: one line per row, sizes in bytes",
     .offset = offsetof(struct values, format)},
    OPTION_END,
};

static const struct values defaults = {.format = "table"};

/* One line of the table. */
struct row {
    const char *type;
    uint64_t total;
    uint64_t active;
    uint64_t size;
    uint64_t reclaimable;
};

enum { ROWS = PRUNE_KINDS };

static void print_table(const struct row *rows)
{
    printf("%-20s %8s %8s %10s %12s\n", "TYPE", "TOTAL", "ACTIVE", "SIZE", "RECLAIMABLE");
    for (const struct row *row = rows; row < rows + ROWS; row++) {
        char size[PROGRESS_SIZE_MAX];
        char reclaimable[PROGRESS_SIZE_MAX];
        progress_format_size(row->size, size);
        progress_format_size(row->reclaimable, reclaimable);
        printf("%-20s %8" PRIu64 " %8" PRIu64 " %10s %12s\n", row->type, row->total, row->active, size, reclaimable);
    }
}

static int print_json(const struct row *rows, struct error *err)
{
    for (const struct row *row = rows; row < rows + ROWS; row++) {
        json_t *object = json_pack("{s:s, s:I, s:I, s:I, s:I}", "Type", row->type, "TotalCount", (json_int_t)row->total,
                                   "Active", (json_int_t)row->active, "Size", (json_int_t)row->size, "Reclaimable",
                                   (json_int_t)row->reclaimable);
        int failed = object ? json_dumpf(object, stdout, JSON_COMPACT) : -1;
        json_decref(object);
        if (failed)
            return error_set(err, ENOMEM, "cannot write JSON");
        putchar('\n');
    }
    return 0;
}

static struct row row_of(const char *type, const struct prune_tally *tally)
{
    return (struct row){.type = type,
                        .total = tally->all.files,
                        .active = tally->all.files - tally->unneeded.files,
                        .size = tally->all.bytes,
                        .reclaimable = tally->unneeded.bytes};
}

/* Images are counted by name, and active while a container of them runs; their bytes are the blobs'. */
static int fill(struct store *store, struct row *rows, struct error *err)
{
    static const struct prune_options look = {.count_only = true};
    struct prune_report report;
    cleanup_free struct image_summary *list = NULL;
    size_t count = 0;
    int rc = store_prune(store, &look, &report, err);
    if (rc == 0)
        rc = image_list(store, &list, &count, err);
    if (rc < 0)
        return rc;
    rows[0] = row_of("Images", &report.kinds[PRUNE_BLOBS]);
    rows[0].total = count;
    rows[0].active = 0;
    for (size_t i = 0; i < count; i++)
        rows[0].active += list[i].in_use;
    rows[1] = row_of("Root file systems", &report.kinds[PRUNE_ROOTFS]);
    rows[2] = row_of("Partial downloads", &report.kinds[PRUNE_PARTIAL]);
    rows[3] = row_of("Temporary files", &report.kinds[PRUNE_TEMPORARY]);
    return 0;
}

static int run(void *values, char **operands, int count, struct error *err)
{
    (void)operands;
    (void)count;
    const struct values *asked = values;
    struct row rows[ROWS];
    struct store *store;
    bool json = strcmp(asked->format, "json") == 0;
    if (!json && strcmp(asked->format, "table") != 0)
        return error_set(err, EINVAL, "--format: '%s' is neither table nor json", asked->format);
    int rc = store_open(&store, NULL, err);
    if (rc < 0)
        return rc;
    rc = fill(store, rows, err);
    store_close(store);
    if (rc == 0 && json)
        rc = print_json(rows, err);
    else if (rc == 0)
        print_table(rows);
    return rc < 0 ? rc : STATUS_OK;
}

const struct command command_system_df = {
    .name = "system df",
    .summary = "Show how much disk space images take",
    .operands = "",
    .description = "SIZE is what files take on disk. ACTIVE are images of running containers, root file systems of\n"
                   "images that have a name, and downloads in progress; RECLAIMABLE is what 'hull system prune' frees.",
    .example = "  hull system df",
    .options = options,
    .failure_status = STATUS_FAILED,
    .values_size = sizeof(struct values),
    .defaults = &defaults,
    .run = run,
};
