/* SPDX-License-Identifier: Apache-2.0 */
/* What `hull doctor` looks at: one function per row of its table. */
#ifndef HULL_DOCTOR_H
#define HULL_DOCTOR_H

#include <stdbool.h>

enum { DOCTOR_TEXT_MAX = 256 };

/** How a thing was found. */
enum doctor_state {
    DOCTOR_OK,       /**< there and usable */
    DOCTOR_ABSENT,   /**< not there; whether that matters the table says */
    DOCTOR_UNUSABLE, /**< there, but not for us */
};

/** One finding. */
struct doctor_finding {
    enum doctor_state state;
    char what[DOCTOR_TEXT_MAX]; /**< what was found */
    char mend[DOCTOR_TEXT_MAX]; /**< what mends it; "" = nothing to mend */
};

/** One row. */
struct doctor_check {
    const char *name;
    bool required; /**< containers do not run without it */
    void (*look)(struct doctor_finding *finding);
};

/** All rows; the one without a name ends the table. */
extern const struct doctor_check doctor_checks[];

#endif
