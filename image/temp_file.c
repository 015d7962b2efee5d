/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files that appear whole.
 *
 * A named temporary is locked (flock) by its writer for as long as it is written; the kernel drops the lock with the
 * process, so a temporary that can be locked has no owner. Making one and sweeping both hold the directory's lock: a
 * sweep never sees a file between its creation and its lock.
 */
#include "image/temp_file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/fd.h"

#define NAME_PREFIX "tmp."

enum { NAME_ATTEMPTS = 16 };

/* A path through which linkat(2) reaches a file without a name; works without CAP_DAC_READ_SEARCH. */
enum { PROC_PATH_MAX = 32 };
static void proc_path(char path[static PROC_PATH_MAX], int fd)
{
    (void)snprintf(path, PROC_PATH_MAX, "/proc/self/fd/%d", fd);
}

/* A name that no other process guesses: the directory may outlive many. */
static int random_name(char name[static TEMP_FILE_NAME_MAX + 1], struct error *err)
{
    uint64_t number;
    if (getrandom(&number, sizeof number, 0) != (ssize_t)sizeof number)
        return error_set_errno(err, errno, "no random bytes for a temporary file's name");
    (void)snprintf(name, TEMP_FILE_NAME_MAX + 1, NAME_PREFIX "%016" PRIx64, number);
    return 0;
}

/*
 * Locks the directory until the descriptor is closed; @p operation as for flock(2). A descriptor of its own: the lock
 * belongs to the open file, and @p dir is shared by all threads.
 */
static int lock_dir(int dir, int operation, struct error *err)
{
    cleanup_fd int lock = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (lock < 0)
        return error_set_errno(err, errno, "cannot open the directory of temporary files");
    while (flock(lock, operation) < 0)
        if (errno != EINTR)
            return error_set_errno(err, errno, "cannot lock the directory of temporary files");
    return steal_fd(&lock);
}

int temp_file_new_named(struct temp_file *file, int dir, struct error *err)
{
    cleanup_fd int lock = lock_dir(dir, LOCK_EX, err);
    if (lock < 0)
        return lock;

    struct temp_file made = {.fd = -1, .dir = dir, .name = ""};
    for (int attempt = 0; made.fd < 0; attempt++) {
        int rc = random_name(made.name, err);
        if (rc < 0)
            return rc;
        made.fd = openat(dir, made.name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (made.fd < 0 && (errno != EEXIST || attempt == NAME_ATTEMPTS))
            return error_set_errno(err, errno, "cannot make a temporary file");
    }
    if (flock(made.fd, LOCK_EX | LOCK_NB) < 0) {
        int rc = error_set_errno(err, errno, "cannot lock a temporary file");
        temp_file_done(&made);
        return rc;
    }
    *file = made;
    return 0;
}

int temp_file_new(struct temp_file *file, int dir, struct error *err)
{
    int fd = openat(dir, ".", O_RDWR | O_TMPFILE | O_CLOEXEC, 0600);
    if (fd >= 0) {
        *file = (struct temp_file){.fd = fd, .dir = dir, .name = ""};
        return 0;
    }
    /* What file systems (and kernels) without O_TMPFILE say. */
    if (errno == EOPNOTSUPP || errno == EISDIR || errno == EINVAL || errno == ENOENT)
        return temp_file_new_named(file, dir, err);
    return error_set_errno(err, errno, "cannot make a temporary file");
}

/* Gives a file without name the name it gets if nothing is there. */
static int link_unnamed(const struct temp_file *file, int to_dir, const char *name)
{
    char path[PROC_PATH_MAX];
    proc_path(path, file->fd);
    return linkat(AT_FDCWD, path, to_dir, name, AT_SYMLINK_FOLLOW) < 0 ? -errno : 0;
}

/* Puts the file at its name without disturbing what may be there. */
static int place_new(struct temp_file *file, int to_dir, const char *name)
{
    int rc;
    if (file->name[0]) {
        rc = linkat(file->dir, file->name, to_dir, name, 0) < 0 ? -errno : 0;
        (void)unlinkat(file->dir, file->name, 0);
        file->name[0] = '\0';
    } else {
        rc = link_unnamed(file, to_dir, name);
    }
    return rc == -EEXIST ? 0 : rc;
}

/* Puts the file in the place of another: only rename(2) does that in one step, and it needs a name to start from. */
static int place_over(struct temp_file *file, int to_dir, const char *name, struct error *err)
{
    for (int attempt = 0; !file->name[0]; attempt++) {
        char given[TEMP_FILE_NAME_MAX + 1];
        int rc = random_name(given, err);
        if (rc < 0)
            return rc;
        /* Locked first, so that no sweep takes it before it has moved on. */
        if (flock(file->fd, LOCK_EX | LOCK_NB) < 0)
            return error_set_errno(err, errno, "cannot lock a temporary file");
        rc = link_unnamed(file, file->dir, given);
        if (rc == 0)
            memcpy(file->name, given, sizeof given);
        else if (rc != -EEXIST || attempt == NAME_ATTEMPTS)
            return error_set_errno(err, -rc, "cannot name a temporary file");
    }
    if (renameat(file->dir, file->name, to_dir, name) < 0)
        return error_set_errno(err, errno, "cannot put '%s' in place", name);
    file->name[0] = '\0';
    return 0;
}

int temp_file_publish(struct temp_file *file, int to_dir, const char *name, mode_t mode,
                      enum temp_file_conflict conflict, struct error *err)
{
    if (fchmod(file->fd, mode) < 0)
        return error_set_errno(err, errno, "cannot set the permissions of '%s'", name);
    if (fsync(file->fd) < 0)
        return error_set_errno(err, errno, "cannot write '%s' to disk", name);

    if (conflict == TEMP_FILE_REPLACE) {
        int rc = place_over(file, to_dir, name, err);
        if (rc < 0)
            return rc;
    } else {
        int rc = place_new(file, to_dir, name);
        if (rc < 0)
            return error_set_errno(err, -rc, "cannot put '%s' in place", name);
    }

    cleanup_fd int dir = openat(to_dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0 || fsync(dir) < 0)
        return error_set_errno(err, errno, "cannot write the directory of '%s' to disk", name);
    return 0;
}

void temp_file_done(struct temp_file *file)
{
    if (file->name[0])
        (void)unlinkat(file->dir, file->name, 0);
    fd_close(&file->fd);
    *file = TEMP_FILE_NONE;
}

bool temp_file_is_one(const char *name)
{
    return strncmp(name, NAME_PREFIX, strlen(NAME_PREFIX)) == 0;
}

/* Removes one temporary if its writer is gone. */
static void sweep_one(int dir, const char *name)
{
    cleanup_fd int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0)
        (void)unlinkat(dir, name, 0);
}

void temp_file_sweep(int dir)
{
    /* Every start of a container comes by here: it does not wait, another one will sweep. */
    cleanup_fd int lock = lock_dir(dir, LOCK_EX | LOCK_NB, NULL);
    if (lock < 0)
        return;
    int listed = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *stream = listed < 0 ? NULL : fdopendir(listed);
    if (!stream) {
        fd_close(&listed);
        return;
    }
    for (const struct dirent *entry; (entry = readdir(stream));)
        if (temp_file_is_one(entry->d_name))
            sweep_one(dir, entry->d_name);
    closedir(stream);
}
