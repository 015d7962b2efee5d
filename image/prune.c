/* SPDX-License-Identifier: Apache-2.0 */
/* Removing what nothing leads to. */
#include "image/prune.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/fd.h"
#include "image/prune_internal.h"
#include "image/store_internal.h"

enum { BLOCK = 512 /* the unit of st_blocks, stat(2) */ };

/* One pruning. */
struct pruning {
    const struct store *store;
    const struct prune_options *options;
    struct prune_report *report;
    struct prune_marks marks;
    time_t now;
};

/* A file at hand. */
struct candidate {
    int dir;
    const char *name;
    struct stat status;
    enum digest_algorithm algorithm; /* of the directory; 0 = it has no such */
};

/* What is to be known of one kind of file. */
struct sort {
    enum prune_kind kind;
    /** Whether the file is one of that kind, and not needed. 1, 0, or -1 when it is somebody else's: left alone */
    int (*is_unneeded)(const struct pruning *pruning, const struct candidate *file);
    /** Whether it may go now. */
    bool (*may_go)(const struct pruning *pruning, const struct candidate *file);
    void (*remove)(const struct pruning *pruning, const struct candidate *file);
};

static bool is_older(const struct pruning *pruning, const struct candidate *file, uint64_t seconds)
{
    return pruning->now >= file->status.st_mtime && (uint64_t)(pruning->now - file->status.st_mtime) >= seconds;
}

/* ---- blobs and root file systems --------------------------------------------------------------------------------- */

/* A digest out of a file's name: hexadecimal digits and a suffix. */
static bool parse_name(struct digest *digest, const struct candidate *file, const char *suffix)
{
    char text[DIGEST_TEXT_MAX];
    size_t length = strlen(file->name);
    size_t cut = strlen(suffix);
    if (length < cut || strcmp(file->name + length - cut, suffix) != 0)
        return false;
    int printed = snprintf(text, sizeof text, "%s:%.*s", file->algorithm == DIGEST_SHA512 ? "sha512" : "sha256",
                           (int)(length - cut), file->name);
    return printed > 0 && (size_t)printed < sizeof text && digest_parse(digest, text, NULL) == 0;
}

static int blob_is_unneeded(const struct pruning *pruning, const struct candidate *file)
{
    struct digest digest;
    return parse_name(&digest, file, "") ? !digest_set_contains(&pruning->marks.blobs, &digest) : -1;
}

static int rootfs_is_unneeded(const struct pruning *pruning, const struct candidate *file)
{
    struct digest key;
    return parse_name(&key, file, ".ext4") ? !digest_set_contains(&pruning->marks.rootfs, &key) : -1;
}

/* While images are brought in, young files may be theirs. */
static bool is_past_grace(const struct pruning *pruning, const struct candidate *file)
{
    return !pruning->report->leased || is_older(pruning, file, pruning->options->grace);
}

static void remove_file(const struct pruning *pruning, const struct candidate *file)
{
    (void)pruning;
    (void)unlinkat(file->dir, file->name, 0);
}

/* ---- what is being written, or no longer ------------------------------------------------------------------------- */

/* A file that somebody holds locked is alive. The lock comes and goes with the descriptor. */
static int is_ownerless(const struct candidate *file)
{
    cleanup_fd int fd = openat(file->dir, file->name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    return fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0;
}

static int partial_is_unneeded(const struct pruning *pruning, const struct candidate *file)
{
    (void)pruning;
    return is_ownerless(file);
}

static bool partial_may_go(const struct pruning *pruning, const struct candidate *file)
{
    return pruning->options->partials || is_older(pruning, file, pruning->options->grace);
}

static void remove_partial(const struct pruning *pruning, const struct candidate *file)
{
    (void)pruning;
    cleanup_fd int fd = openat(file->dir, file->name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    /* Whoever opens it now and gets the lock after this sees that it has lost its name, and makes another. */
    if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0 && store_is_named(fd, file->dir, file->name))
        (void)unlinkat(file->dir, file->name, 0);
}

static int temporary_is_unneeded(const struct pruning *pruning, const struct candidate *file)
{
    (void)pruning;
    return temp_file_is_one(file->name) ? is_ownerless(file) : -1;
}

static void sweep_temporaries(const struct pruning *pruning, const struct candidate *file)
{
    /* It knows the locks; after the first call nothing is left for the others. */
    (void)pruning;
    temp_file_sweep(file->dir);
}

/* ---- the whole --------------------------------------------------------------------------------------------------- */

static const struct sort sorts[] = {
    {PRUNE_BLOBS, blob_is_unneeded, is_past_grace, remove_file},
    {PRUNE_ROOTFS, rootfs_is_unneeded, is_past_grace, remove_file},
    {PRUNE_PARTIAL, partial_is_unneeded, partial_may_go, remove_partial},
    {PRUNE_TEMPORARY, temporary_is_unneeded, is_past_grace, sweep_temporaries},
};

static void add(struct prune_count *count, const struct candidate *file)
{
    count->files++;
    count->bytes += (uint64_t)file->status.st_blocks * BLOCK;
}

static void consider(const struct pruning *pruning, const struct sort *sort, struct candidate *file)
{
    const struct prune_options *options = pruning->options;
    struct prune_tally *tally = &pruning->report->kinds[sort->kind];
    if (fstatat(file->dir, file->name, &file->status, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(file->status.st_mode))
        return;
    int unneeded = sort->is_unneeded(pruning, file);
    if (unneeded < 0)
        return;
    add(&tally->all, file);
    if (!unneeded)
        return;
    add(&tally->unneeded, file);
    if (options->count_only || !is_older(pruning, file, options->least_age) || !sort->may_go(pruning, file))
        return;
    sort->remove(pruning, file);
    if (faccessat(file->dir, file->name, F_OK, AT_SYMLINK_NOFOLLOW) < 0 && errno == ENOENT)
        add(&tally->removed, file);
}

static int go_through(const struct pruning *pruning, const struct sort *sort, int dir, enum digest_algorithm algorithm,
                      struct error *err)
{
    int listed = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *stream = listed < 0 ? NULL : fdopendir(listed);
    if (!stream) {
        int rc = error_set_errno(err, errno, "cannot list '%s'", pruning->store->path);
        fd_close(&listed);
        return rc;
    }
    for (const struct dirent *entry; (entry = readdir(stream));) {
        struct candidate file = {.dir = dir, .name = entry->d_name, .algorithm = algorithm};
        if (entry->d_name[0] != '.')
            consider(pruning, sort, &file);
    }
    closedir(stream);
    return 0;
}

static int go_through_all(const struct pruning *pruning, struct error *err)
{
    const struct store *store = pruning->store;
    const struct {
        enum prune_kind kind;
        int dir;
        enum digest_algorithm algorithm;
    } places[] = {
        {PRUNE_BLOBS, store->sha256, DIGEST_SHA256},
        {PRUNE_BLOBS, store->sha512, DIGEST_SHA512},
        {PRUNE_ROOTFS, store->rootfs, DIGEST_SHA256},
        {PRUNE_PARTIAL, store->partial, 0},
        {PRUNE_TEMPORARY, store->tmp, 0},
    };
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        int rc = go_through(pruning, &sorts[places[i].kind], places[i].dir, places[i].algorithm, err);
        if (rc < 0)
            return rc;
    }
    return 0;
}

int store_prune(struct store *store, const struct prune_options *options, struct prune_report *report,
                struct error *err)
{
    struct prune_report found = {0};
    struct pruning pruning = {.store = store, .options = options, .report = &found, .now = time(NULL)};

    cleanup_fd int lease = store_lock_dir(store->partial, LOCK_EX | LOCK_NB, "the downloads", NULL);
    found.leased = lease < 0;
    cleanup_fd int lock = store_lock_index(store, err);
    int rc = lock < 0 ? lock : prune_mark(store, &pruning.marks, err);
    if (rc == 0)
        rc = go_through_all(&pruning, err);
    prune_marks_done(&pruning.marks);
    if (rc < 0)
        return error_context(err, rc, "cannot prune");
    *report = found;
    return 0;
}
