/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What one container has on the host while it runs:
 *
 *     RUN/containers/ID/lock      held (flock) by its monitor; the kernel drops it with the process, so a directory
 * whose lock can be taken belongs to nobody, and the next command removes it RUN/containers/ID/vsock     the socket
 * that hull-vmm listens on (devices/virtio/vsock.h) RUN/names/NAME -> ID        taken as long as ID lives RUN/lock held
 * while a container is made or swept away STORE/tmp/                  its writable disk, a sparse file without a name:
 * it ends with its last user
 *
 * RUN is $HULL_RUN, else /run/hull for root, else $XDG_RUNTIME_DIR/hull. It is on nobody's path but its owner's (0700).
 */
#ifndef RUNTIME_CONTAINER_H
#define RUNTIME_CONTAINER_H

#include <stdint.h>

#include "image/temp_file.h"

struct error;

enum {
    CONTAINER_ID_LENGTH = 64, /**< hexadecimal digits */
    CONTAINER_ID_SHORT = 12,  /**< as many as people see, and the host name */
    CONTAINER_NAME_MAX = 128,
};

/** Size of a container's writable disk: what it may write, not what it takes. */
#define CONTAINER_DISK_SIZE (UINT64_C(16) << 30)

/** One container. Initialise with CONTAINER_NONE, release with container_remove(). */
struct container {
    char id[CONTAINER_ID_LENGTH + 1];
    char name[CONTAINER_NAME_MAX + 1]; /**< "" = none */
    int run_dir;                       /**< RUN; owned */
    int dir;                           /**< its own directory; owned */
    int lock_fd;                       /**< owned */
    int listen_fd;                     /**< a Unix stream socket, listening; owned */
    struct temp_file disk;             /**< the writable disk */
};

#define CONTAINER_NONE                                                                                                 \
    (struct container)                                                                                                 \
    {                                                                                                                  \
        .run_dir = -1, .dir = -1, .lock_fd = -1, .listen_fd = -1, .disk = TEMP_FILE_NONE                               \
    }

/**
 * Makes a container: directory, name, socket and an empty writable disk.
 *
 * @param name     NULL = none; else letters, digits, '_', '.' and '-', starting with a letter or a digit
 * @param tmp_dir  where the disk is kept; borrowed
 * @return 0; -EINVAL for a bad name, -EEXIST for one in use, or -errno. On failure nothing is left
 */
int container_create(struct container *container, const char *name, int tmp_dir, struct error *err);

/** Connects to the container's socket. @return a stream socket that the caller owns, or -errno */
int container_connect(const struct container *container, struct error *err);

/** Removes everything that container_create() made. Fine on CONTAINER_NONE. */
void container_remove(struct container *container);

#endif
