/* SPDX-License-Identifier: Apache-2.0 */
/* Finding and executing a program as execvp(3) does, with the reason for a failure kept apart as shells need it. */
#ifndef INITD_EXEC_H
#define INITD_EXEC_H

#include "initd/protocol.h"

/** The value of variable @p name (without '=') in @p env, or NULL. @p env ends with NULL. */
const char *exec_variable(const char *const *env, const char *name);

/**
 * Replaces the process. A name without a slash is looked for in the directories of PATH in @p env.
 *
 * @param argv  ends with NULL, has at least one element
 * @param code  set to the errno that stands for the failure
 * @return only on failure: PROTOCOL_START_NOT_FOUND or PROTOCOL_START_NOT_EXECUTABLE (status 127 and 126 to a shell)
 */
enum protocol_start_failure exec_program(const char **argv, const char **env, int *code);

#endif
