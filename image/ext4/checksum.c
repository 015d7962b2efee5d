/* SPDX-License-Identifier: Apache-2.0 */
#include "image/ext4/checksum.h"

#include "base/bytes.h"

/* The reflected Castagnoli polynomial 0x82f63b78, four bits at a time. */
static const uint32_t nibbles[16] = {
    0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1, 0x417b1dbc, 0x5125dad3, 0x61c69362, 0x7198540d,
    0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9, 0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75,
};

uint32_t ext4_checksum_portable(uint32_t checksum, const void *bytes, size_t length)
{
    const uint8_t *next = bytes;
    for (size_t i = 0; i < length; i++) {
        checksum ^= next[i];
        checksum = checksum >> 4 ^ nibbles[checksum & 15];
        checksum = checksum >> 4 ^ nibbles[checksum & 15];
    }
    return checksum;
}

#ifdef __x86_64__
__attribute__((target("sse4.2"))) static uint32_t checksum_sse42(uint32_t checksum, const void *bytes, size_t length)
{
    const uint8_t *next = bytes;
    uint64_t wide = checksum;
    for (; length >= 8; length -= 8, next += 8)
        wide = __builtin_ia32_crc32di(wide, load_le64(next));
    checksum = (uint32_t)wide;
    for (; length; length--, next++)
        checksum = __builtin_ia32_crc32qi(checksum, *next);
    return checksum;
}
#endif

uint32_t ext4_checksum(uint32_t checksum, const void *bytes, size_t length)
{
#ifdef __x86_64__
    if (__builtin_cpu_supports("sse4.2"))
        return checksum_sse42(checksum, bytes, length);
#endif
    return ext4_checksum_portable(checksum, bytes, length);
}

uint32_t ext4_checksum_le32(uint32_t checksum, uint32_t number)
{
    uint8_t bytes[sizeof number];
    store_le32(bytes, number);
    return ext4_checksum(checksum, bytes, sizeof bytes);
}

uint32_t ext4_checksum_of_inode(uint32_t filesystem_seed, uint32_t inode_number)
{
    return ext4_checksum_le32(ext4_checksum_le32(filesystem_seed, inode_number), 0);
}
