/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/loader.h"

#include <elf.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>

#include "base/checked.h"
#include "base/error.h"
#include "base/fd.h"
#include "vmm/memory.h"
#include "vmm/x86/layout.h"

/* Other boot files that people hand in by mistake, by what stands at an offset near the start. */
static const struct {
    size_t offset;
    const char *magic;
    size_t length;
    const char *advice;
} known_others[] = {
    {0x202, "HdrS", 4, "is a bzImage: give the uncompressed vmlinux"},
    {0, "\x1f\x8b", 2, "is gzip-compressed: decompress it first"},
    {0, "\x28\xb5\x2f\xfd", 4, "is zstd-compressed: decompress it first"},
    {0,
     "\xfd"
     "7zXZ",
     5, "is xz-compressed: decompress it first"},
    {0, "MZ", 2, "is an EFI executable: give the uncompressed vmlinux"},
};

static int regular_file_size(int fd, uint64_t *size, struct error *err)
{
    struct stat status;
    if (fstat(fd, &status) < 0)
        return error_set_errno(err, errno, "cannot look at the file");
    if (!S_ISREG(status.st_mode))
        return error_set(err, EINVAL, "is not a regular file");
    *size = (uint64_t)status.st_size;
    return 0;
}

static int read_exactly(int fd, void *bytes, size_t length, uint64_t offset, struct error *err)
{
    ssize_t n = fd_pread_full(fd, bytes, length, offset);
    if (n < 0)
        return error_set_errno(err, (int)-n, "cannot read");
    if ((size_t)n != length)
        return error_set(err, ENOEXEC, "is truncated");
    return 0;
}

/* ---- headers ---------------------------------------------------------------------------------------------------- */

static int refuse_non_elf(const uint8_t *head, size_t length, struct error *err)
{
    for (size_t i = 0; i < sizeof known_others / sizeof known_others[0]; i++)
        if (checked_range_within(known_others[i].offset, known_others[i].length, length) &&
            memcmp(head + known_others[i].offset, known_others[i].magic, known_others[i].length) == 0)
            return error_set(err, ENOEXEC, "%s", known_others[i].advice);
    return error_set(err, ENOEXEC, "is not an ELF file: give the uncompressed vmlinux");
}

static int check_header(const Elf64_Ehdr *header, struct error *err)
{
    if (header->e_ident[EI_CLASS] != ELFCLASS64)
        return error_set(err, ENOEXEC, "is not a 64-bit ELF file");
    if (header->e_ident[EI_DATA] != ELFDATA2LSB || header->e_machine != EM_X86_64)
        return error_set(err, ENOEXEC, "is not an x86-64 ELF file");
    if (header->e_type != ET_EXEC)
        return error_set(err, ENOEXEC, "is not an ELF executable: give the vmlinux of a kernel build");
    if (header->e_phentsize != sizeof(Elf64_Phdr))
        return error_set(err, ENOEXEC, "has ELF program headers of an unknown size (%u bytes)", header->e_phentsize);
    if (header->e_phnum == 0 || header->e_phnum > LOADER_HEADERS_MAX)
        return error_set(err, ENOEXEC, "has %u ELF program headers, hull takes 1 to %d", header->e_phnum,
                         LOADER_HEADERS_MAX);
    return 0;
}

static int read_header(Elf64_Ehdr *header, int fd, struct error *err)
{
    uint8_t head[0x210];
    ssize_t n = fd_pread_full(fd, head, sizeof head, 0);
    if (n < 0)
        return error_set_errno(err, (int)-n, "cannot read");
    if (n == 0)
        return error_set(err, ENOEXEC, "is empty");
    if ((size_t)n < SELFMAG || memcmp(head, ELFMAG, SELFMAG) != 0)
        return refuse_non_elf(head, (size_t)n, err);
    if ((size_t)n < sizeof *header)
        return error_set(err, ENOEXEC, "is truncated");
    memcpy(header, head, sizeof *header);
    return check_header(header, err);
}

/* ---- segments --------------------------------------------------------------------------------------------------- */

static int check_segment(const Elf64_Phdr *header, uint64_t file_size, uint64_t ram_end, struct error *err)
{
    if (!checked_range_within(header->p_offset, header->p_filesz, file_size))
        return error_set(err, ENOEXEC, "is truncated: a segment ends beyond the file");
    if (header->p_filesz > header->p_memsz)
        return error_set(err, ENOEXEC, "has a segment with more bytes in the file than in memory");
    if (header->p_paddr < LAYOUT_HIGH_MEMORY)
        return error_set(err, ENOEXEC, "has a segment at 0x%llx, below 1 MiB", (unsigned long long)header->p_paddr);
    if (!checked_range_within(header->p_paddr, header->p_memsz, ram_end))
        return error_set(err, E2BIG, "does not fit: a segment of %llu bytes at 0x%llx, guest memory ends at 0x%llx",
                         (unsigned long long)header->p_memsz, (unsigned long long)header->p_paddr,
                         (unsigned long long)ram_end);
    return 0;
}

static bool segments_overlap(const struct kernel_segment *a, const struct kernel_segment *b)
{
    return a->address < b->address + b->size && b->address < a->address + a->size;
}

static int add_segment(struct kernel_image *image, const Elf64_Phdr *header, struct error *err)
{
    if (image->count == LOADER_SEGMENTS_MAX)
        return error_set(err, ENOEXEC, "has more than %d loadable segments", LOADER_SEGMENTS_MAX);
    struct kernel_segment segment = {
        .offset = header->p_offset, .file_size = header->p_filesz, .address = header->p_paddr, .size = header->p_memsz};
    for (unsigned i = 0; i < image->count; i++)
        if (segments_overlap(&segment, &image->segments[i]))
            return error_set(err, ENOEXEC, "has segments that overlap at 0x%llx", (unsigned long long)segment.address);
    image->segments[image->count++] = segment;
    if (segment.address + segment.size > image->end)
        image->end = segment.address + segment.size;
    return 0;
}

static bool entry_is_loaded(const struct kernel_image *image)
{
    for (unsigned i = 0; i < image->count; i++) {
        const struct kernel_segment *segment = &image->segments[i];
        if (image->entry >= segment->address && image->entry - segment->address < segment->file_size)
            return true;
    }
    return false;
}

int kernel_image_read(struct kernel_image *out, int fd, uint64_t ram_end, struct error *err)
{
    uint64_t file_size = 0;
    int rc = regular_file_size(fd, &file_size, err);
    if (rc < 0)
        return rc;
    Elf64_Ehdr header = {0};
    rc = read_header(&header, fd, err);
    if (rc < 0)
        return rc;
    Elf64_Phdr headers[LOADER_HEADERS_MAX];
    size_t headers_size = header.e_phnum * sizeof headers[0];
    if (!checked_range_within(header.e_phoff, headers_size, file_size))
        return error_set(err, ENOEXEC, "is truncated: its program headers end beyond the file");
    rc = read_exactly(fd, headers, headers_size, header.e_phoff, err);
    if (rc < 0)
        return rc;
    struct kernel_image image = {.entry = header.e_entry};
    for (unsigned i = 0; i < header.e_phnum; i++) {
        if (headers[i].p_type != PT_LOAD || headers[i].p_memsz == 0)
            continue;
        rc = check_segment(&headers[i], file_size, ram_end, err);
        if (rc == 0)
            rc = add_segment(&image, &headers[i], err);
        if (rc < 0)
            return rc;
    }
    if (!entry_is_loaded(&image))
        return error_set(err, ENOEXEC, "starts at 0x%llx, outside its segments", (unsigned long long)image.entry);
    *out = image;
    return 0;
}

/* ---- loading ---------------------------------------------------------------------------------------------------- */

static int copy_part(const struct kernel_segment *segment, uint64_t from, uint64_t to, int fd,
                     const struct memory *memory, struct error *err)
{
    if (from >= to)
        return 0;
    void *target = guest_memory_at(&memory->guest, segment->address + from, to - from);
    if (!target)
        return error_set(err, E2BIG, "does not fit into guest memory");
    return read_exactly(fd, target, to - from, segment->offset + from, err);
}

/* The part of a segment from `from` to `to` (bytes from its start) lies in whole pages and can be mapped. */
static void mappable_part(const struct kernel_segment *segment, uint64_t *from, uint64_t *to)
{
    *from = *to = segment->file_size;
    if (segment->offset % LAYOUT_PAGE_SIZE != segment->address % LAYOUT_PAGE_SIZE)
        return;
    uint64_t head = -segment->address % LAYOUT_PAGE_SIZE;
    uint64_t end = segment->address + segment->file_size;
    uint64_t tail = end % LAYOUT_PAGE_SIZE;
    if (segment->file_size < head + tail)
        return;
    *from = head;
    *to = segment->file_size - tail;
}

static int load_segment(const struct kernel_segment *segment, int fd, const struct memory *memory, struct error *err)
{
    uint64_t from, to;
    mappable_part(segment, &from, &to);
    int rc = copy_part(segment, 0, from, fd, memory, err);
    if (rc == 0)
        rc = copy_part(segment, to, segment->file_size, fd, memory, err);
    if (rc == 0 && from < to)
        rc = memory_map_file(memory, segment->address + from, to - from, fd, segment->offset + from, err);
    return rc;
}

int kernel_image_load(const struct kernel_image *image, int fd, const struct memory *memory, struct error *err)
{
    for (unsigned i = 0; i < image->count; i++) {
        int rc = load_segment(&image->segments[i], fd, memory, err);
        if (rc < 0)
            return rc;
    }
    return 0;
}

int initramfs_load(struct initramfs *out, int fd, const struct memory *memory, uint64_t floor, struct error *err)
{
    uint64_t size = 0, whole, first;
    int rc = regular_file_size(fd, &size, err);
    if (rc < 0)
        return rc;
    uint64_t end = memory_low_end(memory);
    if (!checked_align_up_u64(size, LAYOUT_PAGE_SIZE, &whole) ||
        !checked_align_up_u64(floor, LAYOUT_PAGE_SIZE, &first) || first > end || whole > end - first ||
        size > UINT32_MAX)
        return error_set(err, E2BIG, "does not fit: %llu bytes, guest memory has %llu beside the kernel",
                         (unsigned long long)size, (unsigned long long)(end > floor ? end - floor : 0));
    uint64_t address = (end - whole) & ~(LAYOUT_PAGE_SIZE - 1);
    rc = memory_map_file(memory, address, size, fd, 0, err);
    if (rc < 0)
        return rc;
    *out = (struct initramfs){.address = address, .size = size};
    return 0;
}
