/* SPDX-License-Identifier: Apache-2.0 */
#include "image/layer_entry.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <archive.h>
#include <archive_entry.h>

#include "base/error.h"
#include "image/ext4/inode.h"
#include "image/ext4/xattr.h"
#include "image/tree.h"

enum {
    PERMISSIONS = 07777,
    SYMLINK_PERMISSIONS = 0777, /* what Linux gives them, whatever is asked for: symlink(7) */
    NSEC_PER_SEC = 1000000000,
};

int layer_entry_type(struct archive_entry *entry, uint16_t *type, struct error *err)
{
    static const struct {
        __LA_MODE_T archive;
        uint16_t mode;
    } types[] = {
        {AE_IFREG, S_IFREG}, {AE_IFDIR, S_IFDIR}, {AE_IFLNK, S_IFLNK},   {AE_IFCHR, S_IFCHR},
        {AE_IFBLK, S_IFBLK}, {AE_IFIFO, S_IFIFO}, {AE_IFSOCK, S_IFSOCK},
    };
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        if (archive_entry_filetype(entry) == types[i].archive) {
            *type = types[i].mode;
            return 0;
        }
    }
    return error_set(err, EBADMSG, "its type 0%o is unknown", (unsigned)archive_entry_filetype(entry));
}

static int describe_owner(struct archive_entry *entry, struct tree_inode *inode, struct error *err)
{
    int64_t uid = archive_entry_uid(entry), gid = archive_entry_gid(entry);
    /* The highest number means "no change" to chown(2). */
    if (uid < 0 || uid >= UINT32_MAX || gid < 0 || gid >= UINT32_MAX)
        return error_set(err, EBADMSG, "its owner %lld:%lld is out of range", (long long)uid, (long long)gid);
    inode->uid = (uint32_t)uid;
    inode->gid = (uint32_t)gid;
    return 0;
}

/* libarchive takes the fraction of a time before 1970 for positive: -1.5 arrives as -1 and half a second. */
static void describe_time(struct archive_entry *entry, struct tree_inode *inode)
{
    int64_t seconds = archive_entry_mtime_is_set(entry) ? archive_entry_mtime(entry) : 0;
    long nsec = archive_entry_mtime_nsec(entry);
    if (nsec < 0 || nsec >= NSEC_PER_SEC)
        nsec = 0;
    if (seconds < 0 && nsec > 0) {
        seconds = seconds > INT64_MIN ? seconds - 1 : seconds;
        nsec = NSEC_PER_SEC - nsec;
    }
    inode->mtime = seconds;
    inode->mtime_nsec = (uint32_t)nsec;
}

static int describe_symlink(struct archive_entry *entry, struct tree_inode *inode, struct error *err)
{
    const char *target = archive_entry_symlink(entry);
    size_t length = target ? strlen(target) : 0;
    if (length == 0)
        return error_set(err, EBADMSG, "the target of the symbolic link is empty");
    if (length > TREE_SYMLINK_MAX)
        return error_set(err, EBADMSG, "the target of the symbolic link has %zu bytes, %d are possible", length,
                         TREE_SYMLINK_MAX);
    inode->mode = S_IFLNK | SYMLINK_PERMISSIONS;
    inode->target = strdup(target);
    inode->size = length;
    return inode->target ? 0 : error_set(err, ENOMEM, "out of memory");
}

static int describe_device(struct archive_entry *entry, struct tree_inode *inode, struct error *err)
{
    uint64_t major = (uint64_t)archive_entry_rdevmajor(entry), minor = (uint64_t)archive_entry_rdevminor(entry);
    if (major > EXT4_DEVICE_MAJOR_MAX || minor > EXT4_DEVICE_MINOR_MAX)
        return error_set(err, EBADMSG, "its device number %llu:%llu is out of range", (unsigned long long)major,
                         (unsigned long long)minor);
    inode->device.major = (uint32_t)major;
    inode->device.minor = (uint32_t)minor;
    return 0;
}

static int describe_size(struct archive_entry *entry, struct tree_inode *inode, struct error *err)
{
    int64_t size = archive_entry_size(entry);
    if (size < 0 || (uint64_t)size > EXT4_FILE_SIZE_MAX)
        return error_set(err, EBADMSG, "its size %lld is out of range", (long long)size);
    inode->size = (uint64_t)size;
    return 0;
}

/* Attributes for which Linux has no place (another system's) are left out, as every unpacker there does. */
static int describe_xattrs(struct archive_entry *entry, struct tree_inode *inode, struct error *err)
{
    const char *name;
    const void *value;
    size_t length;
    tree_clear_xattrs(inode);
    archive_entry_xattr_reset(entry);
    while (archive_entry_xattr_next(entry, &name, &value, &length) == ARCHIVE_OK) {
        if (!name || !ext4_xattr_is_known(name))
            continue;
        int rc = tree_set_xattr(inode, name, value, length, err);
        if (rc < 0)
            return rc == -ENOMEM ? rc : error_set(err, EBADMSG, "its extended attribute '%s' is too large", name);
    }
    if (!inode->xattrs)
        return 0;
    /* Whether they fit is told here, where the entry's name is known. */
    struct ext4_xattr_plan plan;
    int rc = ext4_xattr_plan(&plan, inode, err);
    if (rc < 0)
        return rc;
    ext4_xattr_plan_done(&plan);
    return 0;
}

int layer_entry_describe(struct archive_entry *entry, struct tree_inode *inode, struct error *err)
{
    inode->mode = (uint16_t)((inode->mode & S_IFMT) | (archive_entry_perm(entry) & PERMISSIONS));
    describe_time(entry, inode);
    int rc = describe_owner(entry, inode, err);
    if (rc == 0 && S_ISREG(inode->mode))
        rc = describe_size(entry, inode, err);
    if (rc == 0 && S_ISLNK(inode->mode))
        rc = describe_symlink(entry, inode, err);
    if (rc == 0 && (S_ISCHR(inode->mode) || S_ISBLK(inode->mode)))
        rc = describe_device(entry, inode, err);
    return rc < 0 ? rc : describe_xattrs(entry, inode, err);
}
