/* SPDX-License-Identifier: Apache-2.0 */
/* hull pull. */
#include "image/pull.h"

#include <stdio.h>

#include "base/error.h"
#include "image/store.h"
#include "tools/hull/command.h"
#include "tools/hull/progress.h"

struct values {
    bool quiet;
    const char *platform;
};

static const struct option options[] = {
    {.name = "quiet",
     .letter = 'q',
     .kind = OPTION_FLAG,
     .help = "Print the digest only",
     .offset = offsetof(struct values, quiet)},
    {.name = "platform",
     .kind = OPTION_TEXT,
     .argument = "OS/ARCH[/VARIANT]",
     .help = "Of an image for several, take this one, such as linux/arm64",
     .offset = offsetof(struct values, platform)},
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
    char name[REFERENCE_TEXT_MAX];
    struct pull_options pull = {.progress = asked->quiet ? NULL : progress_print, .context = stdout};
    int rc = reference_parse(&reference, operands[0], err);
    if (rc == 0 && asked->platform && (rc = platform_parse(&pull.platform, asked->platform, err)) < 0)
        rc = error_context(err, rc, "--platform");
    if (rc == 0)
        rc = store_open(&store, NULL, err);
    if (rc < 0)
        return rc;
    rc = image_pull(store, &reference, &pull, &manifest, err);
    store_close(store);
    if (rc < 0)
        return rc;
    digest_format(&manifest, text);
    reference_format(&reference, name);
    if (asked->quiet)
        printf("%s\n", text);
    else
        printf("Digest: %s\n%s\n", text, name);
    return STATUS_OK;
}

const struct command command_pull = {
    .name = "pull",
    .summary = "Fetch an image from a registry and make its root file system",
    .operands = "IMAGE",
    .example = "  hull pull debian:bookworm-slim",
    .options = options,
    .operands_min = 1,
    .operands_max = 1,
    .failure_status = STATUS_FAILED,
    .values_size = sizeof(struct values),
    .run = run,
};
