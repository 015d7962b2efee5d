/* SPDX-License-Identifier: Apache-2.0 */
/* hull rmi. */
#include "image/remove.h"

#include <errno.h>
#include <stdio.h>

#include "base/error.h"
#include "base/log.h"
#include "image/prune.h"
#include "image/store.h"
#include "tools/hull/command.h"
#include "tools/hull/prune.h"

struct values {
    bool force;
    bool no_prune;
};

static const struct option options[] = {
    {.name = "force",
     .letter = 'f',
     .kind = OPTION_FLAG,
     .help = "Take away all names of an id; an image that is not there is fine",
     .offset = offsetof(struct values, force)},
    {.name = "no-prune",
     .kind = OPTION_FLAG,
     .help = "Take the names away only; 'hull image prune' frees the space",
     .offset = offsetof(struct values, no_prune)},
    OPTION_END,
};

/* Takes away what can be; what can't is told at once, and the first of it is the command's failure. */
static int remove_all(struct store *store, const struct values *asked, char **operands, int count)
{
    int failed = 0;
    for (int i = 0; i < count; i++) {
        struct error err = {0};
        int rc = image_remove(store, operands[i], asked->force, prune_print_removed, stdout, &err);
        if (rc < 0 && !(rc == -ENOENT && asked->force)) {
            log_error("%s", err.text);
            failed++;
        }
    }
    return failed;
}

static int run(void *values, char **operands, int count, struct error *err)
{
    const struct values *asked = values;
    static const struct prune_options defaults = {.grace = PRUNE_GRACE_SECONDS};
    struct store *store;
    int rc = store_open(&store, NULL, err);
    if (rc < 0)
        return rc;
    int failed = remove_all(store, asked, operands, count);
    if (!asked->no_prune && failed < count)
        rc = prune_and_print(store, &defaults, stdout, err);
    store_close(store);
    if (rc < 0)
        return rc;
    return failed ? STATUS_FAILED : STATUS_OK;
}

const struct command command_rmi = {
    .name = "rmi",
    .summary = "Remove images from this machine",
    .operands = "IMAGE...",
    .description = "Takes the names away (an id or its beginning stands for its image) and frees what no other image\n"
                   "needs. Running containers are not disturbed. While another hull brings in an image, blobs younger\n"
                   "than a day stay: they may be its; a later 'hull image prune' finds them.",
    .example = "  hull rmi debian:bookworm-slim",
    .options = options,
    .operands_min = 1,
    .operands_max = -1,
    .failure_status = STATUS_FAILED,
    .values_size = sizeof(struct values),
    .run = run,
};
