/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "devices/virtio/rng.h"
#include "tests/support/virtio_driver.h"

enum { LARGE = 3 * VIRTIO_RNG_REQUEST_MAX };

static struct virtio_driver driver;

static int setup(void **state)
{
    void *device = NULL;
    driver_init(&driver);
    assert_int_equal(virtio_rng_new(&device, NULL), 0);
    driver_attach(&driver, &virtio_rng_ops, device);
    driver_start(&driver, VIRTIO_F_EVENT_IDX, 8);
    driver_run(&driver);
    *state = &driver;
    return 0;
}

static int teardown(void **state)
{
    driver_done(*state);
    return 0;
}

static bool all_zero(const uint8_t *bytes, size_t length)
{
    for (size_t i = 0; i < length; i++)
        if (bytes[i])
            return false;
    return true;
}

static void test_fills_every_span(void **state)
{
    (void)state;
    uint64_t buffer = driver_alloc(&driver, 256, 8);
    const struct driver_span spans[] = {{buffer, 64, true}, {buffer + 128, 64, true}};
    driver_submit(&driver, 0, spans, 2);
    driver_kick(&driver, 0);
    uint32_t head, length;
    assert_true(driver_used(&driver, 0, &head, &length));
    assert_int_equal(length, 128);
    const uint8_t *bytes = driver_at(&driver, buffer);
    assert_false(all_zero(bytes, 64));
    assert_true(all_zero(bytes + 64, 64));
    assert_false(all_zero(bytes + 128, 64));
    assert_memory_not_equal(bytes, bytes + 128, 64);
    assert_true(all_zero(bytes + 192, 64));
    assert_int_equal(driver_interrupts(&driver), 1);
}

static void test_large_request_is_cut(void **state)
{
    (void)state;
    uint64_t buffer = driver_alloc(&driver, LARGE, 8);
    driver_submit(&driver, 0, &(struct driver_span){buffer, LARGE, true}, 1);
    driver_kick(&driver, 0);
    uint32_t head, length;
    assert_true(driver_used(&driver, 0, &head, &length));
    assert_int_equal(length, VIRTIO_RNG_REQUEST_MAX);
    const uint8_t *bytes = driver_at(&driver, buffer);
    assert_false(all_zero(bytes + VIRTIO_RNG_REQUEST_MAX - 64, 64));
    assert_true(all_zero(bytes + VIRTIO_RNG_REQUEST_MAX, VIRTIO_RNG_REQUEST_MAX));
}

static void test_request_without_room_needs_reset(void **state)
{
    (void)state;
    uint64_t buffer = driver_alloc(&driver, 16, 8);
    driver_submit(&driver, 0, &(struct driver_span){buffer, 16, false}, 1);
    driver_kick(&driver, 0);
    assert_true(driver_read(&driver, MMIO_STATUS) & STATUS_NEEDS_RESET);
}

static void test_has_no_config(void **state)
{
    (void)state;
    assert_int_equal(driver_read(&driver, MMIO_CONFIG), 0);
    driver_write(&driver, MMIO_CONFIG, 1);
    assert_int_equal(driver_read(&driver, MMIO_CONFIG), 0);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_fills_every_span),
        CASE(test_large_request_is_cut),
        CASE(test_request_without_room_needs_reset),
        CASE(test_has_no_config),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
