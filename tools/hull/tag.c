/* SPDX-License-Identifier: Apache-2.0 */
/* hull tag. */
#include <errno.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "image/store.h"
#include "tools/hull/command.h"

static int run(void *values, char **operands, int count, struct error *err)
{
    (void)values;
    (void)count;
    struct reference source;
    struct reference target = {0};
    struct descriptor manifest;
    struct store *store;
    int rc = reference_parse(&source, operands[0], err);
    if (rc == 0)
        rc = reference_parse(&target, operands[1], err);
    if (rc < 0)
        return rc;
    if (reference_has_digest(&target))
        return error_set(err, EINVAL, "a digest is no name to give: '%s'", operands[1]);
    rc = store_open(&store, NULL, err);
    if (rc < 0)
        return rc;
    cleanup_fd int lease = store_lease(store, err);
    rc = lease < 0 ? lease : store_resolve(store, &source, &manifest, err);
    if (rc == 0)
        rc = store_tag(store, &target, &manifest, err);
    store_close(store);
    return rc < 0 ? rc : STATUS_OK;
}

const struct command command_tag = {
    .name = "tag",
    .summary = "Give an image another name",
    .operands = "IMAGE NAME",
    .example = "  hull tag debian registry.example.com/me/debian:mine",
    .operands_min = 2,
    .operands_max = 2,
    .failure_status = STATUS_FAILED,
    .run = run,
};
