/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/hull/image_files.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "image/image.h"
#include "image/store.h"

static int open_stored(const char *text, struct error *err)
{
    struct reference reference;
    struct store *store = NULL;
    struct image image = IMAGE_NONE;
    int rc = reference_parse(&reference, text, err);
    if (rc == 0)
        rc = store_open(&store, NULL, err);
    if (rc < 0)
        return rc;
    rc = image_open(store, &reference, &image, err);
    int fd = rc < 0 ? rc : steal_fd(&image.rootfs_fd);
    image_done(&image);
    store_close(store);
    return fd;
}

static int open_file(const char *path, struct error *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    return fd < 0 ? error_set_errno(err, errno, "cannot open '%s'", path) : fd;
}

int image_files_open(struct image_files *files, const char *image, struct error *err)
{
    struct ext4_source source;
    bool is_path = image[0] == '/' || image[0] == '.';
    files->fd = is_path ? open_file(image, err) : open_stored(image, err);
    if (files->fd < 0)
        return files->fd;
    int rc = ext4_source_file(&source, &files->fd, err);
    if (rc == 0)
        rc = ext4_reader_open(&files->reader, source, err);
    if (rc == 0)
        return 0;
    image_files_close(files);
    return error_context(err, rc, "'%s'", image);
}

void image_files_close(struct image_files *files)
{
    if (files->fd >= 0)
        close(files->fd);
    files->fd = -1;
}
