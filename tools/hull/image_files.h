/* SPDX-License-Identifier: Apache-2.0 */
/* The files of an image, for commands that read them without starting anything. */
#ifndef HULL_IMAGE_FILES_H
#define HULL_IMAGE_FILES_H

#include "image/ext4/reader.h"

struct error;

/** An open image. Must not be moved; release with image_files_close(). */
struct image_files {
    struct ext4_reader reader;
    int fd;
};

/**
 * Opens an image of the store, or a file that holds an EXT4 file system: what begins with '/' or '.' is a file's path.
 * @return 0; -ENOENT; -EBADMSG; or -errno
 */
int image_files_open(struct image_files *files, const char *image, struct error *err);

void image_files_close(struct image_files *files);

#endif
