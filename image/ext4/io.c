/* SPDX-License-Identifier: Apache-2.0 */
#include "image/ext4/io.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/fd.h"

enum { ZEROS_SIZE = 64 << 10 };

static int file_write(void *context, const void *bytes, size_t length, uint64_t offset)
{
    return fd_pwrite_full(*(const int *)context, bytes, length, offset);
}

/* For file systems that cannot punch holes. */
static int write_zeros(int fd, uint64_t offset, uint64_t length)
{
    static const char zeros[ZEROS_SIZE];
    while (length > 0) {
        size_t piece = length < sizeof zeros ? (size_t)length : sizeof zeros;
        int rc = fd_pwrite_full(fd, zeros, piece, offset);
        if (rc < 0)
            return rc;
        offset += piece;
        length -= piece;
    }
    return 0;
}

static int file_discard(void *context, uint64_t offset, uint64_t length)
{
    int fd = *(const int *)context;
    if (fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)offset, (off_t)length) == 0)
        return 0;
    return errno == EOPNOTSUPP || errno == ENOSYS ? write_zeros(fd, offset, length) : -errno;
}

static int file_resize(void *context, uint64_t size)
{
    return ftruncate(*(const int *)context, (off_t)size) < 0 ? -errno : 0;
}

struct ext4_io ext4_io_file(const int *fd)
{
    return (struct ext4_io){
        .write = file_write,
        .discard = file_discard,
        .resize = file_resize,
        .context = (void *)(uintptr_t)fd,
    };
}
