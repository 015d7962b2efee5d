/* SPDX-License-Identifier: Apache-2.0 */
/* Tar files whose bytes depend on their content alone: no times, no owners, entries in the order in which they come. */
#ifndef IMAGE_ARCHIVE_WRITER_H
#define IMAGE_ARCHIVE_WRITER_H

#include <stddef.h>
#include <stdint.h>

struct archive_writer;
struct error;

/** Begins a tar file (POSIX.1-2001 pax where a name needs it, else ustar) on a descriptor, which is borrowed. */
int archive_writer_new(struct archive_writer **writer, int fd, struct error *err);

/** Adds a directory. @return 0 or -errno */
int archive_writer_directory(struct archive_writer *writer, const char *name, struct error *err);

/** Begins a file of exactly @p size bytes, which archive_writer_write() then adds. @return 0 or -errno */
int archive_writer_file(struct archive_writer *writer, const char *name, uint64_t size, struct error *err);
int archive_writer_write(struct archive_writer *writer, const void *bytes, size_t length, struct error *err);

/** Writes the end. @return 0 or -errno; the archive is whole only then */
int archive_writer_finish(struct archive_writer *writer, struct error *err);

/** NULL is fine. */
void archive_writer_free(struct archive_writer *writer);

#endif
