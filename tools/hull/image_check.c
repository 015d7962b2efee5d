/* SPDX-License-Identifier: Apache-2.0 */
/* hull image check. */
#include <inttypes.h>
#include <stdio.h>

#include "base/error.h"
#include "image/ext4/check.h"
#include "tools/hull/command.h"
#include "tools/hull/image_files.h"
#include "tools/hull/progress.h"

static int check(const char *image, struct error *err)
{
    struct image_files files;
    struct ext4_check_summary found;
    char size[PROGRESS_SIZE_MAX];
    int rc = image_files_open(&files, image, err);
    if (rc < 0)
        return rc;
    rc = ext4_check(&files.reader, &found, err);
    image_files_close(&files);
    if (rc < 0)
        return error_context(err, rc, "'%s'", image);
    progress_format_size(found.used_blocks * EXT4_BLOCK_SIZE, size);
    printf("%s: whole: %" PRIu64 " directories, %" PRIu64 " other files, %s\n", image, found.directories, found.files,
           size);
    return 0;
}

static int run(void *values, char **operands, int count, struct error *err)
{
    (void)values;
    for (int i = 0; i < count; i++) {
        int rc = check(operands[i], err);
        if (rc < 0)
            return rc;
    }
    return STATUS_OK;
}

const struct command command_image_check = {
    .name = "image check",
    .summary = "Check the file systems of images",
    .operands = "IMAGE...",
    .description =
        "Reads all metadata of the image's root file system: checksums, what is used and by whom, names and\n"
        "links. Contents were compared with their digests when the file system was made. IMAGE may also be\n"
        "the path of a file made by 'hull image mkfs', beginning with '/' or '.'.",
    .example = "  hull image check debian",
    .operands_min = 1,
    .operands_max = -1,
    .failure_status = STATUS_FAILED,
    .run = run,
};
