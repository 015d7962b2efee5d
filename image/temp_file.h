/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A file that nobody sees before it is complete: written without a name (O_TMPFILE), or under a name of its own where
 * the file system can't do that, and published whole. Whoever dies in between leaves nothing, or a file that
 * temp_file_sweep() recognises as ownerless.
 */
#ifndef IMAGE_TEMP_FILE_H
#define IMAGE_TEMP_FILE_H

#include <stdbool.h>
#include <sys/types.h>

struct error;

enum { TEMP_FILE_NAME_MAX = 160 };

/** A file being written. Initialise with TEMP_FILE_NONE; release with temp_file_done(). */
struct temp_file {
    int fd;                            /**< readable and writable; -1 = none; owned */
    int dir;                           /**< where it lives until published; borrowed */
    char name[TEMP_FILE_NAME_MAX + 1]; /**< its name there; "" = it has none */
};

#define TEMP_FILE_NONE                                                                                                 \
    (struct temp_file)                                                                                                 \
    {                                                                                                                  \
        .fd = -1, .dir = -1                                                                                            \
    }

/** Whether temp_file_publish() may take the place of an existing file. */
enum temp_file_conflict {
    TEMP_FILE_KEEP,   /**< no: what is there has the same content and stays; that is success */
    TEMP_FILE_REPLACE /**< yes, in one step */
};

/**
 * Makes an empty file.
 * @param dir  a directory kept for such files, on the file system where the result will live
 * @return 0 or -errno
 */
int temp_file_new(struct temp_file *file, int dir, struct error *err);

/** Like temp_file_new(), with a name: what it falls back to on a file system without O_TMPFILE (9p, old overlayfs). */
int temp_file_new_named(struct temp_file *file, int dir, struct error *err);

/**
 * Makes the file durable and gives it its name: after success it survives a power cut, whole. The descriptor stays
 * open.
 *
 * @param to_dir  the directory to put it in
 * @param name    one path component that the caller has made or checked
 * @param mode    permissions of the published file
 * @return 0 or -errno
 */
int temp_file_publish(struct temp_file *file, int to_dir, const char *name, mode_t mode,
                      enum temp_file_conflict conflict, struct error *err);

/** Closes and, unless published, removes the file. Fine on TEMP_FILE_NONE. */
void temp_file_done(struct temp_file *file);

/** Whether a name is one that temp_file_new_named() gives. */
bool temp_file_is_one(const char *name);

/** Removes the files of dead processes from a directory of such files. Those being written stay. */
void temp_file_sweep(int dir);

#endif
