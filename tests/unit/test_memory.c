/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/memory.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/fd.h"

#define MIB (UINT64_C(1) << 20)
#define GIB (UINT64_C(1) << 30)

static void sizes_have_bounds(void **state)
{
    (void)state;
    static const struct {
        uint64_t size;
        int rc;
    } cases[] = {
        {0, -EINVAL},
        {32 * MIB - 4096, -EINVAL},
        {32 * MIB, 0},
        {32 * MIB + 4096, 0},
        {32 * MIB + 1, -EINVAL},
        {UINT64_C(1024) * GIB, 0},
        {UINT64_C(1024) * GIB + 4096, -EINVAL},
        {UINT64_MAX, -EINVAL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct error err = {0};
        assert_int_equal(memory_check_size(cases[i].size, &err), cases[i].rc);
        assert_int_equal(err.code != 0, cases[i].rc != 0);
    }
}

/* RAM is cut at 3 GiB and goes on at 4 GiB; both parts are next to each other on the host, on 2 MiB boundaries. */
static void the_hole_is_left_out(void **state)
{
    (void)state;
    static const struct {
        uint64_t size, low, high;
    } cases[] = {
        {64 * MIB, 64 * MIB, 0}, {3 * GIB - 4096, 3 * GIB - 4096, 0},
        {3 * GIB, 3 * GIB, 0},   {3 * GIB + 4096, 3 * GIB, 4096},
        {4 * GIB, 3 * GIB, GIB}, {6 * GIB, 3 * GIB, 3 * GIB},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct memory memory;
        struct error err = {0};
        assert_int_equal(memory_init(&memory, cases[i].size, &err), 0);
        assert_int_equal(guest_memory_size(&memory.guest), cases[i].size);
        assert_int_equal(memory_low_end(&memory), cases[i].low);
        assert_int_equal((uintptr_t)memory.host % (2 * MIB), 0);
        assert_int_equal(memory.guest.count, cases[i].high ? 2 : 1);
        assert_non_null(guest_memory_at(&memory.guest, cases[i].low - 1, 1));
        assert_null(guest_memory_at(&memory.guest, cases[i].low, 1));
        assert_null(guest_memory_at(&memory.guest, cases[i].low - 1, 2));
        if (cases[i].high) {
            assert_null(guest_memory_at(&memory.guest, 4 * GIB - 1, 1));
            uint8_t *first = guest_memory_at(&memory.guest, 4 * GIB, cases[i].high);
            assert_ptr_equal(first, memory.host + cases[i].low);
            first[cases[i].high - 1] = 7; /* is there and writable */
            assert_null(guest_memory_at(&memory.guest, 4 * GIB, cases[i].high + 1));
        }
        memory_done(&memory);
    }
}

static void a_failed_one_can_be_released(void **state)
{
    (void)state;
    struct memory memory;
    struct error err = {0};
    assert_int_equal(memory_init(&memory, 1, &err), -EINVAL);
    memory_done(&memory);
    memory_done(&memory);
}

static void files_are_mapped_in_bounds_only(void **state)
{
    (void)state;
    struct memory memory;
    struct error err = {0};
    uint8_t bytes[8192];
    memset(bytes, 'f', sizeof bytes);
    int fd = memfd_create("file", MFD_CLOEXEC);
    assert_int_equal(fd_write_full(fd, bytes, sizeof bytes), 0);
    assert_int_equal(memory_init(&memory, 32 * MIB, &err), 0);

    assert_int_equal(memory_map_file(&memory, 32 * MIB - 8192, 8192, fd, 0, &err), 0);
    assert_memory_equal(memory.host + 32 * MIB - 8192, bytes, 8192);
    assert_int_equal(memory_map_file(&memory, 4096, 4096, fd, 4096, &err), 0);
    assert_int_equal(memory.host[4096], 'f');
    assert_int_equal(memory.host[8192], 0);
    assert_int_equal(memory_map_file(&memory, 0, 0, fd, 0, &err), 0);
    assert_int_equal(memory.host[0], 0);

    static const struct {
        uint64_t address, length, offset;
    } refused[] = {
        {32 * MIB - 4096, 4097, 0},
        {32 * MIB, 1, 0},
        {1, 4096, 0},
        {4096, 4096, 1},
        {0, UINT64_MAX, 0},
        {UINT64_MAX - 4095, 4096, 0},
        {0, 4096, UINT64_MAX - 4095},
    };
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++)
        assert_int_equal(memory_map_file(&memory, refused[i].address, refused[i].length, fd, refused[i].offset, &err),
                         -EINVAL);
    close(fd);
    memory_done(&memory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes_have_bounds),
        cmocka_unit_test(the_hole_is_left_out),
        cmocka_unit_test(a_failed_one_can_be_released),
        cmocka_unit_test(files_are_mapped_in_bounds_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
