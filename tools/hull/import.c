/* SPDX-License-Identifier: Apache-2.0 */
/* hull import. */
#include "image/import.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "image/store.h"
#include "tools/hull/age.h"
#include "tools/hull/command.h"
#include "tools/hull/prune.h"

struct values {
    const char *message;
    const char *platform;
};

static const struct option options[] = {
    {.name = "message",
     .letter = 'm',
     .kind = OPTION_TEXT,
     .argument = "TEXT",
     .help = "A comment for the image's history",
     .offset = offsetof(struct values, message)},
    {.name = "platform",
     .kind = OPTION_TEXT,
     .argument = "OS/ARCH[/VARIANT]",
     .help = "What the files are for (default: this machine)",
     .offset = offsetof(struct values, platform)},
    OPTION_END,
};

/* Now, or what reproducible builds ask for (reproducible-builds.org/specs/source-date-epoch). */
static int choose_time(int64_t *created, struct error *err)
{
    const char *epoch = getenv("SOURCE_DATE_EPOCH");
    *created = time(NULL);
    if (!epoch || !epoch[0])
        return 0;
    int rc = strspn(epoch, "0123456789") == strlen(epoch) ? age_parse_until(epoch, *created, created, err) : -EINVAL;
    return rc < 0 ? error_set(err, EINVAL, "SOURCE_DATE_EPOCH: '%.40s' is no number of seconds", epoch) : 0;
}

static int import(const char *path, const struct reference *reference, const struct import_options *how,
                  struct digest *manifest, struct error *err)
{
    bool standard = strcmp(path, "-") == 0;
    if (standard && isatty(STDIN_FILENO))
        return error_set(err, EINVAL, "a tar file is wanted on standard input");
    cleanup_fd int fd = standard ? fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3) : open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return error_set_errno(err, errno, "cannot open '%s'", path);
    struct store *store;
    int rc = store_open(&store, NULL, err);
    if (rc < 0)
        return rc;
    rc = image_import(store, fd, reference, how, manifest, err);
    if (rc < 0)
        prune_after_failure(store);
    store_close(store);
    return rc;
}

static int run(void *values, char **operands, int count, struct error *err)
{
    (void)count;
    const struct values *asked = values;
    struct import_options how = {.comment = asked->message};
    struct reference reference;
    struct digest manifest;
    char text[DIGEST_TEXT_MAX];
    int rc = reference_parse(&reference, operands[1], err);
    if (rc == 0 && reference_has_digest(&reference))
        rc = error_set(err, EINVAL, "'%.200s' has a digest: an image that is made now needs a name", operands[1]);
    if (rc == 0 && asked->platform && (rc = platform_parse(&how.platform, asked->platform, err)) < 0)
        rc = error_context(err, rc, "--platform");
    if (rc == 0)
        rc = choose_time(&how.created, err);
    if (rc == 0)
        rc = import(operands[0], &reference, &how, &manifest, err);
    if (rc < 0)
        return rc;
    digest_format(&manifest, text);
    printf("%s\n", text);
    return STATUS_OK;
}

const struct command command_import = {
    .name = "import",
    .summary = "Make an image of a tar file of a root file system",
    .operands = "FILE|- IMAGE",
    .description =
        "The tar file may be bare or packed by gzip or zstd; '-' is standard input. The image has no command\n"
        "of its own: 'hull run IMAGE COMMAND' names one.",
    .example = "  debootstrap --variant=minbase bookworm root && tar -C root -c . | hull import - debian:mine",
    .options = options,
    .operands_min = 2,
    .operands_max = 2,
    .failure_status = STATUS_FAILED,
    .values_size = sizeof(struct values),
    .run = run,
};
