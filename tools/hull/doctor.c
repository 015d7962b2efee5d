/* SPDX-License-Identifier: Apache-2.0 */
/* hull doctor. */
#include "tools/hull/doctor.h"

#include <stdio.h>

#include "tools/hull/command.h"

/* The machine cannot run containers: EX_UNAVAILABLE of sysexits.h. */
enum { STATUS_UNAVAILABLE = 69 };

static const char *word(const struct doctor_check *check, enum doctor_state state)
{
    if (state == DOCTOR_OK)
        return "ok";
    return check->required ? "MISSING" : "absent";
}

static int run(void *values, char **operands, int count, struct error *err)
{
    (void)values;
    (void)operands;
    (void)count;
    (void)err;
    int missing = 0;
    for (const struct doctor_check *check = doctor_checks; check->name; check++) {
        struct doctor_finding finding = {0};
        check->look(&finding);
        printf("%-24s %-8s %s\n", check->name, word(check, finding.state), finding.what);
        if (finding.state != DOCTOR_OK && finding.mend[0])
            printf("%-24s %-8s -> %s\n", "", "", finding.mend);
        if (finding.state != DOCTOR_OK && check->required)
            missing++;
    }
    if (missing == 0)
        printf("\nThis machine can run containers.\n");
    else
        printf("\nThis machine cannot run containers: %d of what they need %s missing.\n", missing,
               missing == 1 ? "is" : "are");
    return missing == 0 ? STATUS_OK : STATUS_UNAVAILABLE;
}

const struct command command_doctor = {
    .name = "doctor",
    .summary = "Say whether this machine can run containers, and what is missing",
    .operands = "",
    .description = "Each row says what was looked at, how it was found, and what mends it if it is missing. Exits 0\n"
                   "when containers can run, 69 when something that they need is missing. Rows marked 'absent' cost\n"
                   "a feature or some speed, not more.",
    .example = "  hull doctor",
    .failure_status = STATUS_FAILED,
    .run = run,
};
