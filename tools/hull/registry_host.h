/* SPDX-License-Identifier: Apache-2.0 */
/* Registries as login and logout name them. */
#ifndef HULL_REGISTRY_HOST_H
#define HULL_REGISTRY_HOST_H

#include "image/reference.h"

/**
 * A reference to something on the registry that is named by "host[:port]", with or without "https://" in front.
 * @param name       NULL = Docker Hub
 * @param reference  its host is the registry; the rest means nothing
 * @return 0 or -EINVAL
 */
int registry_host_parse(const char *name, struct reference *reference, struct error *err);

#endif
