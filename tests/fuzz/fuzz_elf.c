/* SPDX-License-Identifier: Apache-2.0 */
/* Kernels: whatever the file, it is refused with words, or loaded inside guest memory and nowhere else. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"
#include "vmm/loader.h"
#include "vmm/memory.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(int condition)
{
    if (!condition)
        abort();
}

static void check_image(const struct kernel_image *image, uint64_t ram_end)
{
    require(image->count >= 1 && image->count <= LOADER_SEGMENTS_MAX && image->end <= ram_end);
    for (unsigned i = 0; i < image->count; i++) {
        const struct kernel_segment *segment = &image->segments[i];
        require(segment->address >= 0x100000 && segment->address + segment->size <= ram_end);
        require(segment->file_size <= segment->size);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct error err = {0};
    struct memory memory;
    struct kernel_image image;
    int fd = memfd_create("kernel", MFD_CLOEXEC);
    if (fd < 0 || fd_write_full(fd, data, size) < 0 || memory_init(&memory, MEMORY_SIZE_MIN, &err) < 0)
        abort();
    int rc = kernel_image_read(&image, fd, memory_low_end(&memory), &err);
    require((rc < 0) == (err.code > 0));
    if (rc == 0) {
        check_image(&image, memory_low_end(&memory));
        require(kernel_image_load(&image, fd, &memory, &err) == 0);
    }
    memory_done(&memory);
    close(fd);
    return 0;
}
