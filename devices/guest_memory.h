/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The guest's memory as the host sees it: the one way from a guest address to a host pointer. Device models do no
 * arithmetic on guest memory; they ask for a range and get a pointer to all of it, or NULL.
 *
 * What lies behind such a pointer can change at any time, because the guest's CPUs run meanwhile: copy first, then
 * check the copy, then use the copy.
 */
#ifndef DEVICES_GUEST_MEMORY_H
#define DEVICES_GUEST_MEMORY_H

#include <stdint.h>

enum { GUEST_REGIONS_MAX = 4 };

/** One range of guest-physical memory backed by one host mapping. */
struct guest_region {
    uint64_t guest_address; /**< guest-physical, page aligned */
    uint64_t size;          /**< bytes; guest_address + size does not overflow */
    uint8_t *host;          /**< where it is mapped, readable and writable; borrowed */
};

/** All of a guest's RAM, lowest region first, none overlapping. Set up once, before devices run. */
struct guest_memory {
    struct guest_region regions[GUEST_REGIONS_MAX];
    unsigned count;
};

/**
 * The host address of [address, address + length), guest-physical.
 *
 * @param length  bytes; 0 yields a pointer that must not be read, provided that the address lies in a region
 * @return NULL unless the whole range lies in one region; cannot overflow whatever the guest passes
 */
void *guest_memory_at(const struct guest_memory *memory, uint64_t address, uint64_t length);

/** Bytes of RAM in all regions. */
uint64_t guest_memory_size(const struct guest_memory *memory);

#endif
