/* SPDX-License-Identifier: Apache-2.0 */
/* What rmi and the prune commands have in common. */
#ifndef HULL_PRUNE_H
#define HULL_PRUNE_H

#include <stdio.h>

#include "image/prune.h"
#include "image/reference.h"

struct error;
struct store;

/** For image_removed; the context is the FILE to print to. */
void prune_print_removed(void *context, const struct reference *reference);

/** After a failure to bring in an image: what has come of it is nothing that anybody could use. Silent. */
void prune_after_failure(struct store *store);

/** Prunes the store and prints what was freed. @return 0 or -errno */
int prune_and_print(struct store *store, const struct prune_options *options, FILE *out, struct error *err);

#endif
