/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Puts the guest's kernel (an ELF64 executable: the Linux build's `vmlinux`) and its initramfs into guest memory.
 *
 * Whole pages of a segment whose file offset and address agree modulo the page size are mapped copy-on-write, not read:
 * the start costs no copy, and guests that run the same kernel share its pages. Only a segment's first and last partial
 * page are copied. Both files are input from outside; every number in them is checked before use.
 */
#ifndef VMM_LOADER_H
#define VMM_LOADER_H

#include <stddef.h>
#include <stdint.h>

struct error;
struct memory;

/** Most program headers and loadable segments of a kernel; Linux has about five. */
enum { LOADER_HEADERS_MAX = 64, LOADER_SEGMENTS_MAX = 16 };

/** One loadable segment, checked: offset + file_size lies in the file, [address, address + size) in RAM. */
struct kernel_segment {
    uint64_t offset;    /**< in the file */
    uint64_t file_size; /**< bytes from the file, at most `size`; the rest is zeros */
    uint64_t address;   /**< guest-physical */
    uint64_t size;      /**< bytes in memory, not 0 */
};

/** What a kernel file asks for. Segments do not overlap. */
struct kernel_image {
    struct kernel_segment segments[LOADER_SEGMENTS_MAX];
    unsigned count;
    uint64_t entry; /**< guest-physical address of the first instruction; inside a segment */
    uint64_t end;   /**< guest-physical end of the highest segment */
};

/**
 * Reads and checks a kernel's headers.
 *
 * @param fd       a regular file
 * @param ram_end  guest-physical end of the RAM that the segments must lie in; they must not go below 1 MiB
 * @return 0; -ENOEXEC when it is no kernel that hull can start, -E2BIG when it does not fit, or another -errno
 */
int kernel_image_read(struct kernel_image *image, int fd, uint64_t ram_end, struct error *err);

/** Puts a checked image into fresh (zero) guest memory. @p fd may be closed afterwards. @return 0 or -errno */
int kernel_image_load(const struct kernel_image *image, int fd, const struct memory *memory, struct error *err);

/** Where an initramfs lies: guest-physical, page aligned; size 0 = none. */
struct initramfs {
    uint64_t address;
    uint64_t size; /**< bytes */
};

/**
 * Maps an initramfs at the top of the RAM below the hole.
 *
 * @param fd     a regular file; may be closed afterwards
 * @param floor  guest-physical; the initramfs must lie above it (the kernel's end)
 * @return 0; -E2BIG when it does not fit, or another -errno
 */
int initramfs_load(struct initramfs *initramfs, int fd, const struct memory *memory, uint64_t floor, struct error *err);

#endif
