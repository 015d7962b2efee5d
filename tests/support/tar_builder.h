/* SPDX-License-Identifier: Apache-2.0 */
/* Tar archives made in memory for tests: any header, in any order, hostile ones too. Aborts when memory runs out. */
#ifndef TESTS_SUPPORT_TAR_BUILDER_H
#define TESTS_SUPPORT_TAR_BUILDER_H

#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"

/** A record of a PAX extended header; its value may be binary. */
struct tar_record {
    const char *key;
    const char *value;
    size_t length; /**< of the value; 0: it is a string */
};

/** One entry. What is left out is zero, except for the mode: 0644, and 0755 for directories. */
struct tar_spec {
    const char *name;
    char type; /**< 0: a regular file, '0'; otherwise as in the header: '1' hard link, '2' symbolic link, '5' directory
                */
    unsigned mode;
    uint64_t uid, gid, mtime;
    unsigned major, minor;
    const char *link;
    const char *content; /**< a string unless length is given */
    size_t length;
    struct tar_record records[6]; /**< up to the first without a key */
};

enum { TAR_BUILDER_MAX = 256 << 20 };

/** A builder: a buffer with enough of a maximum. */
#define TAR_BUILDER_INIT BUFFER_INIT(TAR_BUILDER_MAX)

/** Appends an entry; names that do not fit the header go into a PAX record. */
void tar_add(struct buffer *tar, const struct tar_spec *spec);

/** tar_add() with the fields written out: TAR_ADD(&tar, .name = "a", .content = "x"); */
#define TAR_ADD(tar, ...) tar_add((tar), &(struct tar_spec){__VA_ARGS__})

/** Appends the two blocks of zeros. */
void tar_end(struct buffer *tar);

#endif
