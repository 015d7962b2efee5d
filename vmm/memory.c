/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/memory.h"

#include <errno.h>
#include <linux/kvm.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "base/checked.h"
#include "base/error.h"
#include "vmm/kvm.h"
#include "vmm/x86/layout.h"

int memory_check_size(uint64_t size, struct error *err)
{
    if (size < MEMORY_SIZE_MIN)
        return error_set(err, EINVAL, "memory of %llu bytes is too little, the least is %llu (32M)",
                         (unsigned long long)size, (unsigned long long)MEMORY_SIZE_MIN);
    if (size > MEMORY_SIZE_MAX)
        return error_set(err, EINVAL, "memory of %llu bytes is too much, the most is %llu (1024G)",
                         (unsigned long long)size, (unsigned long long)MEMORY_SIZE_MAX);
    if (size % MEMORY_SIZE_STEP)
        return error_set(err, EINVAL, "memory of %llu bytes is not a multiple of %llu", (unsigned long long)size,
                         (unsigned long long)MEMORY_SIZE_STEP);
    return 0;
}

/* mmap() aligns to small pages: map a large page more than asked for and give back what sticks out. */
static uint8_t *map_aligned(uint64_t size)
{
    uint64_t padded = size + LAYOUT_LARGE_PAGE;
    uint8_t *raw = mmap(NULL, padded, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (raw == MAP_FAILED)
        return NULL;
    uint64_t head = -(uint64_t)(uintptr_t)raw % LAYOUT_LARGE_PAGE;
    if (head)
        munmap(raw, head);
    munmap(raw + head + size, padded - head - size);
    return raw + head;
}

static void describe_regions(struct memory *memory)
{
    uint64_t low = memory->size < LAYOUT_LOW_RAM_END ? memory->size : LAYOUT_LOW_RAM_END;
    memory->guest.regions[0] = (struct guest_region){.guest_address = 0, .size = low, .host = memory->host};
    memory->guest.count = 1;
    if (memory->size > low)
        memory->guest.regions[memory->guest.count++] = (struct guest_region){
            .guest_address = LAYOUT_HIGH_RAM, .size = memory->size - low, .host = memory->host + low};
}

int memory_init(struct memory *memory, uint64_t size, struct error *err)
{
    *memory = (struct memory){0};
    int rc = memory_check_size(size, err);
    if (rc < 0)
        return rc;
    uint8_t *host = map_aligned(size);
    if (!host)
        return error_set_errno(err, errno, "cannot map %llu MiB of guest memory", (unsigned long long)(size >> 20));
    /* Only wishes: kernels without transparent huge pages refuse them. The first 2 MiB hold a dozen pages of boot data
     * and little else ever; clearing a huge page for these would cost more than it saves. RAM stays out of core dumps.
     */
    (void)madvise(host + LAYOUT_LARGE_PAGE, size - LAYOUT_LARGE_PAGE, MADV_HUGEPAGE);
    (void)madvise(host, LAYOUT_LARGE_PAGE, MADV_NOHUGEPAGE);
    (void)madvise(host, size, MADV_DONTDUMP);
    memory->host = host;
    memory->size = size;
    describe_regions(memory);
    return 0;
}

void memory_done(struct memory *memory)
{
    if (memory->host)
        munmap(memory->host, memory->size);
    *memory = (struct memory){0};
}

int memory_register(const struct memory *memory, const struct kvm *kvm, struct error *err)
{
    for (unsigned i = 0; i < memory->guest.count; i++) {
        const struct guest_region *region = &memory->guest.regions[i];
        struct kvm_userspace_memory_region slot = {
            .slot = i,
            .guest_phys_addr = region->guest_address,
            .memory_size = region->size,
            .userspace_addr = (uint64_t)(uintptr_t)region->host,
        };
        if (ioctl(kvm->vm_fd, KVM_SET_USER_MEMORY_REGION, &slot) < 0)
            return error_set_errno(err, errno, "cannot give the guest %llu MiB of memory at 0x%llx",
                                   (unsigned long long)(region->size >> 20), (unsigned long long)region->guest_address);
    }
    return 0;
}

uint64_t memory_low_end(const struct memory *memory)
{
    return memory->guest.regions[0].size;
}

int memory_map_file(const struct memory *memory, uint64_t guest_address, uint64_t length, int fd, uint64_t offset,
                    struct error *err)
{
    uint64_t whole;
    void *target = NULL;
    if (checked_align_up_u64(length, LAYOUT_PAGE_SIZE, &whole))
        target = guest_memory_at(&memory->guest, guest_address, whole);
    if (!target || offset > INT64_MAX || guest_address % LAYOUT_PAGE_SIZE || offset % LAYOUT_PAGE_SIZE)
        return error_set(err, EINVAL, "a file cannot be mapped at 0x%llx in the guest",
                         (unsigned long long)guest_address);
    if (whole == 0)
        return 0;
    if (mmap(target, whole, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED, fd, (off_t)offset) == MAP_FAILED)
        return error_set_errno(err, errno, "cannot map a file at 0x%llx in the guest",
                               (unsigned long long)guest_address);
    return 0;
}
