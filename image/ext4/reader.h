/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading a file system that this writer has written, which may since have been damaged, or forged: every structure is
 * checked against its checksum, every number against what it may be. Nothing is cached; a reader costs a few hundred
 * bytes. What the writer never makes (other block sizes, block maps, inline data, encryption, a journal) is refused.
 */
#ifndef IMAGE_EXT4_READER_H
#define IMAGE_EXT4_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "image/ext4/extent_tree.h"
#include "image/ext4/format.h"

struct error;
struct ext4_group;

/** Where a file system is read from. */
struct ext4_source {
    /** Reads exactly that much. @return 0 or -errno */
    int (*read)(void *context, void *bytes, size_t length, uint64_t offset);
    void *context;
    uint64_t size; /**< bytes */
};

/** A regular file; the pointed-to descriptor is borrowed and must outlive the result. @return 0 or -errno */
int ext4_source_file(struct ext4_source *source, const int *fd, struct error *err);

/** The shape of a file system, from its superblock. */
struct ext4_geometry {
    uint64_t blocks;
    uint32_t inodes;
    uint32_t inodes_per_group;
    uint32_t group_count;
    uint32_t first_meta_bg; /**< block of descriptors from which on meta_bg places them */
    uint32_t checksum_seed;
    bool value_inodes; /**< ea_inode */
};

/** An open file system; nothing to release. */
struct ext4_reader {
    struct ext4_source source;
    struct ext4_geometry geometry;
};

/** An inode as read. */
struct ext4_file {
    uint64_t size;
    int64_t mtime;
    uint32_t mtime_nsec;
    uint32_t number;
    uint32_t uid, gid;
    uint32_t links;
    uint32_t flags; /**< EXT4_FILE_... */
    uint32_t checksum_seed;
    uint32_t major, minor; /**< of a device */
    uint64_t xattr_block;  /**< 0 = none */
    uint16_t mode;         /**< 0 = not in use */
    uint8_t block[EXT4_EXTENT_ROOT_SIZE];
};

enum { EXT4_FILE_INDEXED = 0x1000, EXT4_FILE_EXTENTS = 0x80000, EXT4_FILE_VALUE = 0x200000 };

enum {
    EXT4_READER_LINKS_MAX = 40, /**< symbolic links on the way to one file */
};

/** @return 0; -EBADMSG when it is damaged; -ENOTSUP when it is no file system of this writer; or -errno of reading */
int ext4_reader_open(struct ext4_reader *reader, struct ext4_source source, struct error *err);

/** Reads one block. @return 0; -EBADMSG for a block past the end; or -errno */
int ext4_reader_block(const struct ext4_reader *reader, uint64_t number, uint8_t bytes[static EXT4_BLOCK_SIZE],
                      struct error *err);

/** Reads a group's descriptor. @return 0 or -errno */
int ext4_reader_group(const struct ext4_reader *reader, uint32_t number, struct ext4_group *group, struct error *err);

/** Reads inode @p number. @return 0; -EBADMSG; or -errno of reading */
int ext4_reader_inode(const struct ext4_reader *reader, uint32_t number, struct ext4_file *file, struct error *err);

/** Blocks that belong to a file. */
struct ext4_mapping {
    uint64_t physical;
    uint32_t logical, count;
    bool metadata;  /**< a block of the extent tree: logical means nothing */
    bool unwritten; /**< reads as zeros */
};

/** @return 0 to go on, more than 0 to stop, or -errno */
typedef int ext4_mapping_visitor(void *context, const struct ext4_mapping *mapping, struct error *err);

/**
 * Visits what a file's extent tree maps, in ascending logical order; a block of the tree before what it maps. A file
 * without extents has nothing.
 * @return 0, what stopped the walk, or -errno
 */
int ext4_reader_walk(const struct ext4_reader *reader, const struct ext4_file *file, ext4_mapping_visitor *visitor,
                     void *context, struct error *err);

/** @return 0 or -errno */
typedef int ext4_bytes_sink(void *context, const void *bytes, size_t length, struct error *err);

/** Hands out the contents of a regular file or a symbolic link, holes as zeros. @return 0 or -errno */
int ext4_reader_contents(const struct ext4_reader *reader, const struct ext4_file *file, ext4_bytes_sink *sink,
                         void *context, struct error *err);

/** The target of a symbolic link, terminated. @return 0, -EBADMSG or -errno */
int ext4_reader_target(const struct ext4_reader *reader, const struct ext4_file *file, char target[static 4096],
                       struct error *err);

/** A name in a directory. */
struct ext4_name {
    const char *name; /**< not terminated; without NUL and '/' */
    size_t length;    /**< 1 to 255 */
    uint32_t inode;
    uint8_t file_type; /**< as ext4_directory_file_type() */
};

/** @return 0 to go on, more than 0 to stop, or -errno */
typedef int ext4_name_visitor(void *context, const struct ext4_name *name, struct error *err);

/** Visits all names of a directory, `.` and `..` too. @return 0, what stopped it, or -errno */
int ext4_reader_list(const struct ext4_reader *reader, const struct ext4_file *directory, ext4_name_visitor *visitor,
                     void *context, struct error *err);

/**
 * Finds a file by its path from the root; symbolic links are followed inside the file system.
 * @param follow  whether a symbolic link at the end is followed too
 * @return 0; -ENOENT, -ENOTDIR, -ELOOP; -EBADMSG; or -errno of reading
 */
int ext4_reader_find(const struct ext4_reader *reader, const char *path, bool follow, struct ext4_file *file,
                     struct error *err);

#endif
