/* SPDX-License-Identifier: Apache-2.0 */
/* A directory walked in the order of its names, each file described in the tree and copied. */
#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/fd.h"
#include "image/ext4/content.h"
#include "image/ext4/xattr.h"
#include "image/mkfs.h"
#include "image/mkfs_internal.h"

enum { PIECE = 256 << 10, XATTR_NAMES_MAX = 64 << 10 };

/* A file with several names: which inode of the tree it has become. */
struct linked {
    dev_t device;
    ino_t number;
    struct tree_inode *inode;
};

struct copying {
    struct mkfs mkfs;
    struct hasher *hasher;
    void *linked; /* tsearch(3) */
    struct error *err;
    struct ext4_content content;
    char target[TREE_SYMLINK_MAX + 1];
    char names[XATTR_NAMES_MAX];
    uint8_t piece[PIECE]; /* of contents, or an attribute's value */
};

static int failed(struct copying *copying, const char *what)
{
    return error_set_errno(copying->err, errno, "%s", what);
}

/* ---- the digest -------------------------------------------------------------------------------------------------- */

static void hash_number(struct copying *copying, uint64_t number)
{
    le64 field = le64_from(number);
    hasher_update(copying->hasher, &field, sizeof field);
}

static void hash_bytes(struct copying *copying, const void *bytes, size_t length)
{
    hash_number(copying, length);
    hasher_update(copying->hasher, bytes, length);
}

/* ---- one file ---------------------------------------------------------------------------------------------------- */

static int copy_xattr(struct copying *copying, const char *path, const char *name, struct tree_inode *inode)
{
    ssize_t length = lgetxattr(path, name, copying->piece, TREE_XATTR_VALUE_MAX);
    if (length < 0)
        return failed(copying, name);
    hash_bytes(copying, name, strlen(name));
    hash_bytes(copying, copying->piece, (size_t)length);
    return tree_set_xattr(inode, name, copying->piece, (size_t)length, copying->err);
}

static int copy_xattrs(struct copying *copying, const char *path, struct tree_inode *inode)
{
    ssize_t length = llistxattr(path, copying->names, sizeof copying->names);
    if (length < 0)
        return errno == ENOTSUP ? 0 : failed(copying, "extended attributes");
    int rc = 0;
    for (const char *name = copying->names; name < copying->names + length && rc == 0; name += strlen(name) + 1)
        if (ext4_xattr_is_known(name))
            rc = copy_xattr(copying, path, name, inode);
    return rc;
}

static int copy_target(struct copying *copying, const char *path, struct tree_inode *inode)
{
    ssize_t length = readlink(path, copying->target, sizeof copying->target);
    if (length < 0)
        return failed(copying, "cannot read the symbolic link");
    if (length == 0 || length > TREE_SYMLINK_MAX)
        return error_set(copying->err, ENAMETOOLONG, "the target of the symbolic link is too long");
    copying->target[length] = '\0';
    hash_bytes(copying, copying->target, (size_t)length);
    inode->size = (uint64_t)length;
    inode->target = strdup(copying->target);
    return inode->target ? 0 : error_set(copying->err, ENOMEM, "out of memory");
}

/* Copies [start, end), and not what a file that grows has gained. */
static int copy_data(struct copying *copying, int fd, uint64_t start, uint64_t end)
{
    while (start < end) {
        size_t want = end - start < PIECE ? (size_t)(end - start) : PIECE;
        ssize_t got = fd_pread_full(fd, copying->piece, want, start);
        if (got < 0)
            return error_set_errno(copying->err, (int)-got, "cannot read");
        if (got == 0)
            return error_set(copying->err, EIO, "it became shorter while it was read");
        hash_number(copying, start);
        hash_bytes(copying, copying->piece, (size_t)got);
        int rc = ext4_content_write(&copying->content, start, copying->piece, (size_t)got, copying->err);
        if (rc < 0)
            return rc;
        start += (uint64_t)got;
    }
    return 0;
}

static int copy_runs(struct copying *copying, int fd, uint64_t size)
{
    for (uint64_t place = 0; place < size;) {
        off_t data = lseek(fd, (off_t)place, SEEK_DATA);
        if (data < 0)
            return errno == ENXIO ? 0 : failed(copying, "cannot read");
        off_t hole = lseek(fd, data, SEEK_HOLE);
        if (hole < 0)
            return failed(copying, "cannot read");
        uint64_t end = (uint64_t)hole < size ? (uint64_t)hole : size;
        int rc = copy_data(copying, fd, (uint64_t)data, end);
        if (rc < 0)
            return rc;
        place = end;
    }
    return 0;
}

static int copy_contents(struct copying *copying, const FTSENT *found, struct tree_inode *inode)
{
    cleanup_fd int fd = open(found->fts_accpath, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0)
        return failed(copying, "cannot open");
    inode->size = (uint64_t)found->fts_statp->st_size;
    if (inode->size > EXT4_FILE_SIZE_MAX)
        return error_set(copying->err, EFBIG, "it is too large");
    uint64_t allocated = (uint64_t)found->fts_statp->st_blocks * 512;
    ext4_content_begin(&copying->content, &copying->mkfs.fs, inode, allocated < inode->size ? 0 : inode->size);
    int rc = copy_runs(copying, fd, inode->size);
    int end_rc = ext4_content_end(&copying->content, rc < 0 ? NULL : copying->err);
    return rc < 0 ? rc : end_rc;
}

static int describe(struct copying *copying, const FTSENT *found, struct tree_inode *inode)
{
    const struct stat *status = found->fts_statp;
    inode->mode = (uint16_t)status->st_mode;
    inode->uid = status->st_uid;
    inode->gid = status->st_gid;
    inode->mtime = status->st_mtim.tv_sec;
    inode->mtime_nsec = (uint32_t)status->st_mtim.tv_nsec;
    if (S_ISCHR(inode->mode) || S_ISBLK(inode->mode)) {
        inode->device.major = major(status->st_rdev);
        inode->device.minor = minor(status->st_rdev);
        hash_number(copying, status->st_rdev);
    }
    hash_number(copying, inode->mode);
    hash_number(copying, (uint64_t)inode->uid << 32 | inode->gid);
    hash_number(copying, (uint64_t)inode->mtime);
    hash_number(copying, inode->mtime_nsec);
    int rc = copy_xattrs(copying, found->fts_accpath, inode);
    if (rc == 0 && S_ISLNK(inode->mode))
        rc = copy_target(copying, found->fts_accpath, inode);
    if (rc == 0 && S_ISREG(inode->mode))
        rc = copy_contents(copying, found, inode);
    hash_number(copying, inode->size);
    return rc;
}

/* ---- names ------------------------------------------------------------------------------------------------------- */

static int compare_linked(const void *left, const void *right)
{
    const struct linked *a = left, *b = right;
    if (a->device != b->device)
        return a->device < b->device ? -1 : 1;
    return (a->number > b->number) - (a->number < b->number);
}

#ifdef STATIC_ANALYSIS /* gcc's analyzer does not know that tsearch(3) keeps what it is given */
#pragma GCC diagnostic ignored "-Wanalyzer-malloc-leak"
#endif

/* @return 1 and the inode that another name of the file already has, 0 if this is the first one, or -ENOMEM */
static int find_linked(struct copying *copying, const struct stat *status, struct linked **linked)
{
    *linked = NULL;
    if (S_ISDIR(status->st_mode) || status->st_nlink < 2)
        return 0;
    struct linked *fresh = malloc(sizeof *fresh);
    if (!fresh)
        return error_set(copying->err, ENOMEM, "out of memory");
    *fresh = (struct linked){.device = status->st_dev, .number = status->st_ino};
    struct linked *const *found = tsearch(fresh, &copying->linked, compare_linked);
    if (!found || *found != fresh)
        free(fresh);
    if (!found)
        return error_set(copying->err, ENOMEM, "out of memory");
    *linked = *found;
    return (*found)->inode != NULL;
}

static int add_name(struct copying *copying, const FTSENT *found, struct tree_inode *inode)
{
    struct tree_inode *parent = found->fts_parent->fts_pointer;
    return tree_add(copying->mkfs.tree, parent, found->fts_name, found->fts_namelen, inode, 0, NULL, copying->err);
}

static int add_file(struct copying *copying, FTSENT *found)
{
    struct linked *linked;
    /* With the level and the names in the order of the walk the paths are known too. */
    hash_number(copying, (uint64_t)found->fts_level);
    hash_bytes(copying, found->fts_name, found->fts_namelen);
    int rc = find_linked(copying, found->fts_statp, &linked);
    if (rc < 0)
        return rc;
    if (rc > 0)
        return add_name(copying, found, linked->inode);
    struct tree_inode *inode = tree_inode_new((uint16_t)found->fts_statp->st_mode);
    if (!inode)
        return error_set(copying->err, ENOMEM, "out of memory");
    rc = describe(copying, found, inode);
    if (rc == 0)
        rc = add_name(copying, found, inode);
    if (rc == 0 && linked)
        linked->inode = inode;
    if (rc == 0 && S_ISDIR(inode->mode))
        found->fts_pointer = inode;
    tree_inode_put(copying->mkfs.tree, inode);
    return rc;
}

static int visit(struct copying *copying, FTSENT *found)
{
    switch (found->fts_info) {
    case FTS_DP:
        return 0;
    case FTS_DNR:
    case FTS_ERR:
    case FTS_NS:
        return error_set_errno(copying->err, found->fts_errno, "cannot read");
    case FTS_D:
        if (found->fts_level > FTS_ROOTLEVEL)
            return add_file(copying, found);
        found->fts_pointer = tree_root(copying->mkfs.tree);
        return describe(copying, found, tree_root(copying->mkfs.tree));
    default:
        if (found->fts_level == FTS_ROOTLEVEL)
            return error_set(copying->err, ENOTDIR, "it is no directory");
        return add_file(copying, found);
    }
}

/* ---- the walk ---------------------------------------------------------------------------------------------------- */

static int compare_names(const FTSENT **left, const FTSENT **right)
{
    return strcmp((*left)->fts_name, (*right)->fts_name);
}

static int walk(struct copying *copying, const char *path)
{
    char *const roots[] = {(char *)(uintptr_t)path, NULL}; /* not written to */
    FTS *walk = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, compare_names);
    if (!walk)
        return failed(copying, path);
    int rc = 0;
    while (rc == 0) {
        errno = 0;
        FTSENT *found = fts_read(walk);
        if (!found) {
            rc = errno ? failed(copying, path) : 0;
            break;
        }
        rc = visit(copying, found);
        if (rc < 0)
            rc = error_context(copying->err, rc, "'%s'", found->fts_path);
    }
    fts_close(walk);
    return rc;
}

int mkfs_from_directory(const char *path, int out_fd, uint64_t size, struct error *err)
{
    struct copying *copying = calloc(1, sizeof *copying);
    struct digest digest;
    if (!copying)
        return error_set(err, ENOMEM, "out of memory");
    copying->err = err;
    int rc = mkfs_init(&copying->mkfs, out_fd, size, err);
    if (rc == 0)
        rc = hasher_new(&copying->hasher, DIGEST_SHA256, err);
    if (rc == 0)
        rc = walk(copying, path);
    if (rc == 0)
        rc = hasher_finish(copying->hasher, &digest, err);
    if (rc == 0)
        rc = mkfs_finish(&copying->mkfs, &digest, err);
    hasher_free(copying->hasher);
    tdestroy(copying->linked, free);
    mkfs_done(&copying->mkfs);
    free(copying);
    return rc;
}
