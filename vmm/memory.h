/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The guest's RAM: one anonymous mapping of the host, cut in two by the device hole below 4 GiB.
 *
 *   host     [ host ............. host + low )[ host + low ............ host + size )
 *                        │                                    │
 *   guest    [ 0 .......... at most 3 GiB ) hole [ 4 GiB ..................... )
 *
 * The mapping starts on a 2 MiB boundary as the guest's regions do, so that the kernel can back both sides with huge
 * pages. Nothing is populated or reserved: a page costs memory when the guest first touches it.
 */
#ifndef VMM_MEMORY_H
#define VMM_MEMORY_H

#include <stddef.h>
#include <stdint.h>

#include "devices/guest_memory.h"

struct error;
struct kvm;

/** Bounds of a guest's RAM, in bytes, and what it must be a multiple of. */
#define MEMORY_SIZE_MIN  (UINT64_C(32) << 20)
#define MEMORY_SIZE_MAX  (UINT64_C(1) << 40)
#define MEMORY_SIZE_STEP UINT64_C(4096)

struct memory {
    struct guest_memory guest; /**< for devices; points into `host` */
    uint8_t *host;             /**< owned mapping; NULL = none */
    uint64_t size;             /**< bytes */
};

/** Checks a size of RAM against the bounds above. @return 0 or -EINVAL with words for the user */
int memory_check_size(uint64_t size, struct error *err);

/** Maps RAM that reads as zeros. @return 0 or -errno (-EINVAL: memory_check_size()) */
int memory_init(struct memory *memory, uint64_t size, struct error *err);

/** Unmaps; zero-initialised and half-built ones are fine. The VM that it is registered with must be closed. */
void memory_done(struct memory *memory);

/** Gives the RAM to a VM, one slot for each region. @return 0 or -errno */
int memory_register(const struct memory *memory, const struct kvm *kvm, struct error *err);

/** The guest-physical end of the RAM below the hole. */
uint64_t memory_low_end(const struct memory *memory);

/**
 * Maps @p length bytes of the file @p fd from @p offset over the guest's RAM at @p guest_address, copy-on-write: the
 * guest shares the file's cached pages until it writes to them, and the file never changes. The file must not be
 * truncated while the guest runs.
 *
 * @param offset,guest_address  page aligned
 * @param length                bytes; the rest of the last page reads as zeros only at the end of the file
 * @return 0 or -errno
 */
int memory_map_file(const struct memory *memory, uint64_t guest_address, uint64_t length, int fd, uint64_t offset,
                    struct error *err);

#endif
