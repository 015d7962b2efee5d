/* SPDX-License-Identifier: Apache-2.0 */
/* Reading directories from their first block to the last, the index of large ones only against its checksums; paths. */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "base/bytes.h"
#include "base/error.h"
#include "image/ext4/checksum.h"
#include "image/ext4/reader.h"

enum {
    ENTRY_SIZE = 8, /* before the name */
    TAIL_SIZE = 12,
    TAIL_FILE_TYPE = 0xde,
    ENTRIES_END = EXT4_BLOCK_SIZE - TAIL_SIZE,
    ROOT_INDEX = 32, /* where the index starts in the first block of an indexed directory, and in others of it */
    NODE_INDEX = 8,
    INDEX_ENTRY_SIZE = 8,
    NAME_MAX_BYTES = 255,
    PATH_BYTES_MAX = 4096,
};

struct listing {
    const struct ext4_reader *reader;
    const struct ext4_file *directory;
    ext4_name_visitor *visitor;
    void *context;
};

static int damaged(const struct listing *listing, uint32_t block, struct error *err)
{
    return error_set(err, EBADMSG, "block %u of the directory at inode %u is damaged", block,
                     listing->directory->number);
}

/* ---- checksums --------------------------------------------------------------------------------------------------- */

static bool is_leaf_sound(const struct listing *listing, const uint8_t *block)
{
    const uint8_t *tail = block + ENTRIES_END;
    return load_le32(tail) == 0 && load_le16(tail + 4) == TAIL_SIZE && tail[6] == 0 && tail[7] == TAIL_FILE_TYPE &&
           ext4_checksum(listing->directory->checksum_seed, block, ENTRIES_END) == load_le32(tail + 8);
}

/* Over the entries in use, then over the tail with zeros where the checksum is. */
static bool is_index_sound(const struct listing *listing, const uint8_t *block, size_t start)
{
    size_t limit = load_le16(block + start), count = load_le16(block + start + 2);
    size_t tail = start + limit * INDEX_ENTRY_SIZE;
    if (count == 0 || count > limit || tail + 8 > EXT4_BLOCK_SIZE)
        return false;
    uint32_t checksum = ext4_checksum(listing->directory->checksum_seed, block, start + count * INDEX_ENTRY_SIZE);
    checksum = ext4_checksum(checksum, block + tail, 4);
    return ext4_checksum_le32(checksum, 0) == load_le32(block + tail + 4);
}

/* Where the index in a block starts; 0 = it is a block of names. */
static size_t index_start(const struct listing *listing, const uint8_t *block, uint32_t logical)
{
    if (!(listing->directory->flags & EXT4_FILE_INDEXED))
        return 0;
    if (logical == 0)
        return ROOT_INDEX;
    return load_le32(block) == 0 && load_le16(block + 4) == EXT4_BLOCK_SIZE ? NODE_INDEX : 0;
}

/* ---- names ------------------------------------------------------------------------------------------------------- */

static bool is_name(const uint8_t *name, size_t length)
{
    return length > 0 && !memchr(name, '\0', length) && !memchr(name, '/', length);
}

static int list_names(const struct listing *listing, const uint8_t *block, uint32_t logical, size_t end,
                      struct error *err)
{
    for (size_t at = 0; at < end;) {
        const uint8_t *entry = block + at;
        size_t record = end - at >= ENTRY_SIZE ? load_le16(entry + 4) : 0;
        struct ext4_name name = {
            .name = (const char *)entry + ENTRY_SIZE,
            .length = entry[6],
            .inode = load_le32(entry),
            .file_type = entry[7],
        };
        if (record < ENTRY_SIZE || record % 4 || record > end - at || name.length > record - ENTRY_SIZE)
            return damaged(listing, logical, err);
        at += record;
        if (name.inode == 0)
            continue;
        if (!is_name(entry + ENTRY_SIZE, name.length))
            return damaged(listing, logical, err);
        int rc = listing->visitor(listing->context, &name, err);
        if (rc)
            return rc;
    }
    return 0;
}

static int list_block(const struct listing *listing, uint64_t physical, uint32_t logical, struct error *err)
{
    uint8_t block[EXT4_BLOCK_SIZE];
    int rc = ext4_reader_block(listing->reader, physical, block, err);
    if (rc < 0)
        return rc;
    size_t index = index_start(listing, block, logical);
    if (!(index ? is_index_sound(listing, block, index) : is_leaf_sound(listing, block)))
        return damaged(listing, logical, err);
    /* What looks like one long record in a block of the index has its names in front. */
    return list_names(listing, block, logical, index ? EXT4_BLOCK_SIZE : ENTRIES_END, err);
}

static int list_mapping(void *context, const struct ext4_mapping *mapping, struct error *err)
{
    const struct listing *listing = context;
    int rc = 0;
    if (mapping->metadata)
        return 0;
    if (mapping->unwritten)
        return damaged(listing, mapping->logical, err);
    for (uint32_t i = 0; i < mapping->count && rc == 0; i++)
        rc = list_block(listing, mapping->physical + i, mapping->logical + i, err);
    return rc;
}

int ext4_reader_list(const struct ext4_reader *reader, const struct ext4_file *directory, ext4_name_visitor *visitor,
                     void *context, struct error *err)
{
    struct listing listing = {.reader = reader, .directory = directory, .visitor = visitor, .context = context};
    return ext4_reader_walk(reader, directory, list_mapping, &listing, err);
}

/* ---- paths ------------------------------------------------------------------------------------------------------- */

struct search {
    const char *name;
    size_t length;
    uint32_t inode;
};

static int compare_name(void *context, const struct ext4_name *name, struct error *err)
{
    (void)err;
    struct search *search = context;
    if (name->length != search->length || memcmp(name->name, search->name, name->length) != 0)
        return 0;
    search->inode = name->inode;
    return 1;
}

/* Goes from @p file one name down. */
static int step(const struct ext4_reader *reader, struct ext4_file *file, const char *name, size_t length,
                struct error *err)
{
    if (!S_ISDIR(file->mode))
        return error_set(err, ENOTDIR, "what '%.*s' is looked for in is no directory", (int)length, name);
    struct search search = {.name = name, .length = length};
    int rc = ext4_reader_list(reader, file, compare_name, &search, err);
    if (rc < 0)
        return rc;
    if (rc == 0)
        return error_set(err, ENOENT, "there is no '%.*s'", (int)length, name);
    return ext4_reader_inode(reader, search.inode, file, err);
}

/* Puts a link's target in front of what is left of the path. */
static int splice(const struct ext4_reader *reader, const struct ext4_file *link, char path[static PATH_BYTES_MAX],
                  const char *rest, struct error *err)
{
    char target[PATH_BYTES_MAX];
    int rc = ext4_reader_target(reader, link, target, err);
    if (rc < 0)
        return rc;
    size_t target_length = strlen(target), rest_length = strlen(rest);
    if (target_length + rest_length >= PATH_BYTES_MAX)
        return error_set(err, ENAMETOOLONG, "symbolic links make the path longer than %d bytes", PATH_BYTES_MAX - 1);
    memmove(path + target_length, rest, rest_length + 1);
    memcpy(path, target, target_length); /* NOLINT(bugprone-not-null-terminated-result): the rest ends it */
    return 0;
}

int ext4_reader_find(const struct ext4_reader *reader, const char *path, bool follow, struct ext4_file *file,
                     struct error *err)
{
    char left[PATH_BYTES_MAX];
    struct ext4_file at;
    int links = 0;
    if (strlen(path) >= sizeof left)
        return error_set(err, ENAMETOOLONG, "the path has more than %d bytes", PATH_BYTES_MAX - 1);
    memcpy(left, path, strlen(path) + 1);
    int rc = ext4_reader_inode(reader, EXT4_ROOT_INODE, &at, err);
    for (const char *next = left; rc == 0;) {
        next += strspn(next, "/");
        size_t length = strcspn(next, "/");
        if (length == 0)
            break;
        struct ext4_file directory = at;
        rc = step(reader, &at, next, length, err);
        next += length;
        if (rc < 0 || !S_ISLNK(at.mode) || (!follow && *next == '\0'))
            continue;
        if (++links > EXT4_READER_LINKS_MAX)
            return error_set(err, ELOOP, "more than %d symbolic links on the way", EXT4_READER_LINKS_MAX);
        rc = splice(reader, &at, left, next, err);
        next = left;
        at = directory;
        if (rc == 0 && left[0] == '/')
            rc = ext4_reader_inode(reader, EXT4_ROOT_INODE, &at, err);
    }
    if (rc == 0)
        *file = at;
    return rc < 0 ? error_context(err, rc, "'%s'", path) : 0;
}
