/* SPDX-License-Identifier: Apache-2.0 */
/* The store's place on disk: which directory it is, and its making. */
#include "image/store.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/fd.h"
#include "image/store_internal.h"
#include "image/temp_file.h"

#define SYSTEM_ROOT "/var/lib/hull"

/* image-layout.md, "oci-layout file" */
#define LAYOUT_NAME "oci-layout"
#define LAYOUT_TEXT "{\"imageLayoutVersion\":\"1.0.0\"}\n"

/* Only the owner: images may hold what others must not read. */
enum { DIR_MODE = 0700 };

/* Which directory it is, allocated. XDG Base Directory Specification: a relative XDG_DATA_HOME is to be ignored. */
static int choose_root(char **path, const char *root, struct error *err)
{
    const char *data = getenv("XDG_DATA_HOME");
    const char *home = getenv("HOME");
    const char *below = "";

    if (!root)
        root = getenv("HULL_ROOT");
    if (root && root[0]) {
        /* as told */
    } else if (geteuid() == 0) {
        root = SYSTEM_ROOT;
    } else if (data && data[0] == '/') {
        root = data;
        below = "/hull";
    } else if (home && home[0] == '/') {
        root = home;
        below = "/.local/share/hull";
    } else {
        return error_set(err, ENOENT, "no place for images: set HULL_ROOT to a directory, or HOME");
    }
    char *chosen = NULL;
    if (asprintf(&chosen, "%s%s", root, below) < 0 || !chosen)
        return error_set(err, ENOMEM, "out of memory for a path");
    *path = chosen;
    return 0;
}

/* Makes a directory and those above it. */
static int make_path(const char *path, struct error *err)
{
    char work[PATH_MAX];
    size_t length = strlen(path);
    if (length == 0 || length >= sizeof work)
        return error_set(err, EINVAL, "'%.64s...' is no usable path", path);
    memcpy(work, path, length + 1);
    for (char *slash = work + 1; (slash = strchr(slash, '/')); slash++) {
        *slash = '\0';
        if (mkdir(work, 0755) < 0 && errno != EEXIST)
            return error_set_errno(err, errno, "cannot make directory '%s'", work);
        *slash = '/';
    }
    if (mkdir(work, DIR_MODE) < 0 && errno != EEXIST)
        return error_set_errno(err, errno, "cannot make directory '%s'", work);
    return 0;
}

/* Opens a directory of the store, made if it is not there. */
static int open_dir(const struct store *store, int parent, const char *name, int *dir, struct error *err)
{
    if (mkdirat(parent, name, DIR_MODE) < 0 && errno != EEXIST)
        return error_set_errno(err, errno, "cannot make '%s' in '%s'", name, store->path);
    *dir = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (*dir < 0)
        return error_set_errno(err, errno, "cannot open '%s' in '%s'", name, store->path);
    return 0;
}

static int create_layout_file(struct store *store, struct error *err)
{
    if (faccessat(store->images, LAYOUT_NAME, F_OK, 0) == 0)
        return 0;
    struct temp_file file = TEMP_FILE_NONE;
    int rc = temp_file_new(&file, store->tmp, err);
    if (rc == 0 && (rc = fd_write_full(file.fd, LAYOUT_TEXT, strlen(LAYOUT_TEXT))) < 0)
        rc = error_set_errno(err, -rc, "cannot write '%s'", LAYOUT_NAME);
    if (rc == 0)
        rc = temp_file_publish(&file, store->images, LAYOUT_NAME, 0644, TEMP_FILE_KEEP, err);
    temp_file_done(&file);
    return rc;
}

static int open_all(struct store *store, struct error *err)
{
    int rc = make_path(store->path, err);
    if (rc < 0)
        return rc;
    store->root = open(store->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (store->root < 0)
        return error_set_errno(err, errno, "cannot open '%s'", store->path);

    cleanup_fd int blobs = -1;
    if ((rc = open_dir(store, store->root, "images", &store->images, err)) < 0 ||
        (rc = open_dir(store, store->images, "blobs", &blobs, err)) < 0 ||
        (rc = open_dir(store, blobs, "sha256", &store->sha256, err)) < 0 ||
        (rc = open_dir(store, blobs, "sha512", &store->sha512, err)) < 0 ||
        (rc = open_dir(store, store->root, "rootfs", &store->rootfs, err)) < 0 ||
        (rc = open_dir(store, store->root, "tmp", &store->tmp, err)) < 0 ||
        (rc = open_dir(store, store->root, "partial", &store->partial, err)) < 0)
        return rc;

    temp_file_sweep(store->tmp);
    if ((rc = create_layout_file(store, err)) < 0)
        return rc;
    return store_index_create(store, err);
}

int store_open(struct store **store, const char *root, struct error *err)
{
    struct store *opened = calloc(1, sizeof *opened);
    if (!opened)
        return error_set(err, ENOMEM, "out of memory for a store");
    *opened =
        (struct store){.root = -1, .images = -1, .sha256 = -1, .sha512 = -1, .rootfs = -1, .tmp = -1, .partial = -1};

    int rc = choose_root(&opened->path, root, err);
    if (rc == 0)
        rc = open_all(opened, err);
    if (rc < 0) {
        store_close(opened);
        return error_context(err, rc, "image store");
    }
    *store = opened;
    return 0;
}

void store_close(struct store *store)
{
    if (!store)
        return;
    int *const dirs[] = {&store->root,   &store->images, &store->sha256, &store->sha512,
                         &store->rootfs, &store->tmp,    &store->partial};
    for (size_t i = 0; i < sizeof dirs / sizeof dirs[0]; i++)
        fd_close(dirs[i]);
    free(store->path);
    free(store);
}

const char *store_path(const struct store *store)
{
    return store->path;
}

int store_lock_dir(int dir, int operation, const char *what, struct error *err)
{
    cleanup_fd int lock = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (lock < 0)
        return error_set_errno(err, errno, "cannot open %s of the image store", what);
    while (flock(lock, operation) < 0)
        if (errno != EINTR)
            return error_set_errno(err, errno, "cannot lock %s of the image store", what);
    return steal_fd(&lock);
}

int store_lease(const struct store *store, struct error *err)
{
    return store_lock_dir(store->partial, LOCK_SH, "the downloads", err);
}

int store_rootfs_dir(const struct store *store)
{
    return store->rootfs;
}

int store_tmp_dir(const struct store *store)
{
    return store->tmp;
}
