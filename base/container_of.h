/* SPDX-License-Identifier: Apache-2.0 */
/* From a member embedded in a struct (an event source, a list link) back to the struct. */
#ifndef BASE_CONTAINER_OF_H
#define BASE_CONTAINER_OF_H

#include <stddef.h>

/** The struct of @p type whose @p member is at @p pointer. */
#define container_of(pointer, type, member) ((type *)(void *)((char *)(pointer)-offsetof(type, member)))

#endif
