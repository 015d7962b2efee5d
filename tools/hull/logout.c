/* SPDX-License-Identifier: Apache-2.0 */
/* hull logout. */
#include <errno.h>
#include <stdio.h>

#include "base/error.h"
#include "image/credentials.h"
#include "tools/hull/command.h"
#include "tools/hull/registry_host.h"

static int run(void *values, char **operands, int count, struct error *err)
{
    (void)values;
    struct reference reference;
    int rc = registry_host_parse(count ? operands[0] : NULL, &reference, err);
    if (rc < 0)
        return rc;
    rc = credentials_erase(reference.host, err);
    if (rc < 0)
        return rc;
    if (rc == 0)
        return error_set(err, ENOENT, "there is no login to '%s'", reference.host);
    printf("Logged out of '%s'\n", reference.host);
    return STATUS_OK;
}

const struct command command_logout = {
    .name = "logout",
    .summary = "Forget the login to a registry",
    .operands = "[REGISTRY]",
    .description = "Without REGISTRY it is Docker Hub.",
    .example = "  hull logout registry.example.com",
    .operands_max = 1,
    .failure_status = STATUS_FAILED,
    .run = run,
};
