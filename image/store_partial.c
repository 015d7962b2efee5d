/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Partial downloads: ROOT/partial/ALG.HEX, locked by the one process that downloads the blob. A finished one is renamed
 * to its blob while locked, so who waited for the lock holds a file that no longer has the name: it looks again.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "image/store_internal.h"

/* "sha256:HEX" as a file's name. */
static void partial_name(char name[static DIGEST_TEXT_MAX], const struct digest *digest)
{
    digest_format(digest, name);
    for (char *at = name; *at; at++)
        if (*at == ':')
            *at = '.';
}

bool store_is_named(int fd, int dir, const char *name)
{
    struct stat opened;
    struct stat named;
    return fstat(fd, &opened) == 0 && fstatat(dir, name, &named, AT_SYMLINK_NOFOLLOW) == 0 &&
           opened.st_dev == named.st_dev && opened.st_ino == named.st_ino;
}

static int lock_partial(int fd, bool wait, struct error *err)
{
    while (flock(fd, wait ? LOCK_EX : LOCK_EX | LOCK_NB) < 0) {
        if (errno == EWOULDBLOCK)
            return error_set(err, EAGAIN, "another process is downloading it");
        if (errno != EINTR)
            return error_set_errno(err, errno, "cannot lock a partial download");
    }
    return 0;
}

int store_partial_open(const struct store *store, const struct digest *digest, uint64_t size, bool wait,
                       struct temp_file *file, struct error *err)
{
    char name[DIGEST_TEXT_MAX];
    partial_name(name, digest);
    for (;;) {
        cleanup_fd int fd = openat(store->partial, name, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);
        if (fd < 0)
            return error_set_errno(err, errno, "cannot open '%s/partial/%s'", store->path, name);
        int rc = lock_partial(fd, wait, err);
        if (rc < 0)
            return rc;
        if (!store_is_named(fd, store->partial, name))
            continue;
        if (store_has_blob(store, digest, size)) {
            (void)unlinkat(store->partial, name, 0);
            return error_set(err, EEXIST, "the blob is in the store by now");
        }
        struct temp_file opened = {.fd = steal_fd(&fd), .dir = store->partial, .name = ""};
        (void)snprintf(opened.name, sizeof opened.name, "%s", name);
        *file = opened;
        return 0;
    }
}
