/* SPDX-License-Identifier: Apache-2.0 */
/* hull push. */
#include "image/push.h"

#include <stdio.h>

#include "image/store.h"
#include "tools/hull/command.h"
#include "tools/hull/progress.h"

struct values {
    bool quiet;
};

static const struct option options[] = {
    {.name = "quiet",
     .letter = 'q',
     .kind = OPTION_FLAG,
     .help = "Print the digest only",
     .offset = offsetof(struct values, quiet)},
    OPTION_END,
};

static int run(void *values, char **operands, int count, struct error *err)
{
    (void)count;
    const struct values *asked = values;
    struct reference reference;
    struct store *store = NULL;
    struct digest manifest;
    char text[DIGEST_TEXT_MAX];
    int rc = reference_parse(&reference, operands[0], err);
    if (rc == 0)
        rc = store_open(&store, NULL, err);
    if (rc < 0)
        return rc;
    struct push_options push = {.progress = asked->quiet ? NULL : progress_print_push, .context = stdout};
    rc = image_push(store, &reference, &push, &manifest, err);
    store_close(store);
    if (rc < 0)
        return rc;
    digest_format(&manifest, text);
    printf("%s%s\n", asked->quiet ? "" : "Digest: ", text);
    return STATUS_OK;
}

const struct command command_push = {
    .name = "push",
    .summary = "Send an image to a registry",
    .operands = "IMAGE",
    .description =
        "The image goes where its name says; 'hull tag' gives it another name, 'hull login' the right to push.",
    .example = "  hull tag debian registry.example.com/me/debian:mine\n"
               "  hull push registry.example.com/me/debian:mine",
    .options = options,
    .operands_min = 1,
    .operands_max = 1,
    .failure_status = STATUS_FAILED,
    .values_size = sizeof(struct values),
    .run = run,
};
