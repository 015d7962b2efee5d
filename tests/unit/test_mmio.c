/* SPDX-License-Identifier: Apache-2.0 */
/* The transport: what Linux does with the registers, and what a driver that breaks the rules does. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "devices/virtio/queue.h"
#include "tests/support/virtio_driver.h"

#define FAKE_FEATURE (UINT64_C(1) << 5)

enum { FAKE_QUEUES = 2, FAKE_QUEUE_SIZE = 16, FAKE_CONFIG = 6 };

/* A device model that records what is asked of it and echoes chains. */
struct fake {
    unsigned activated, reset, freed, notified[FAKE_QUEUES];
    uint64_t features;
    struct virtio_queue *queues;
    struct virtio_transport *transport;
    struct virtio_chain chain;
    uint8_t config[FAKE_CONFIG];
    bool fail_on_notify;
};

static uint64_t fake_features(const void *device)
{
    (void)device;
    return FAKE_FEATURE;
}

static void fake_read_config(void *device, uint32_t offset, void *data, uint32_t length)
{
    const struct fake *fake = device;
    for (uint32_t i = 0; i < length; i++)
        ((uint8_t *)data)[i] = offset + i < FAKE_CONFIG ? fake->config[offset + i] : 0;
}

static void fake_write_config(void *device, uint32_t offset, const void *data, uint32_t length)
{
    struct fake *fake = device;
    for (uint32_t i = 0; i < length && offset + i < FAKE_CONFIG; i++)
        fake->config[offset + i] = ((const uint8_t *)data)[i];
}

static void fake_activate(void *device, uint64_t features, struct virtio_queue *queues,
                          struct virtio_transport *transport)
{
    struct fake *fake = device;
    fake->activated++;
    fake->features = features;
    fake->queues = queues;
    fake->transport = transport;
}

static void fake_notify(void *device, uint16_t index)
{
    struct fake *fake = device;
    fake->notified[index]++;
    if (fake->fail_on_notify) {
        virtio_transport_fail(fake->transport, "test");
        return;
    }
    while (virtio_queue_pop(&fake->queues[index], &fake->chain))
        virtio_queue_push(&fake->queues[index], &fake->chain, 7);
    virtio_transport_interrupt(fake->transport, &fake->queues[index]);
}

static void fake_reset(void *device)
{
    struct fake *fake = device;
    fake->reset++;
}

static void fake_free(void *device)
{
    struct fake *fake = device;
    fake->freed++;
}

static const struct virtio_device_ops fake_ops = {
    .name = "fake",
    .type = VIRTIO_TYPE_RNG,
    .queue_count = FAKE_QUEUES,
    .queue_size = FAKE_QUEUE_SIZE,
    .features = fake_features,
    .read_config = fake_read_config,
    .write_config = fake_write_config,
    .activate = fake_activate,
    .notify = fake_notify,
    .reset = fake_reset,
    .free = fake_free,
};

struct fixture {
    struct virtio_driver driver;
    struct fake fake;
};

static int setup(void **state)
{
    static struct fixture fixture;
    memset(&fixture, 0, sizeof fixture);
    driver_init(&fixture.driver);
    driver_attach(&fixture.driver, &fake_ops, &fixture.fake);
    *state = &fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    driver_done(&f->driver);
    assert_int_equal(f->fake.freed, 1);
    return 0;
}

static uint32_t status(struct fixture *f)
{
    return driver_read(&f->driver, MMIO_STATUS);
}

enum { RUNNING = STATUS_ACKNOWLEDGE | STATUS_DRIVER | STATUS_FEATURES_OK | STATUS_DRIVER_OK };

/* ---- as Linux does
 * --------------------------------------------------------------------------------------------------- */

static void test_identity(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(driver_read(&f->driver, MMIO_MAGIC), 0x74726976);
    assert_int_equal(driver_read(&f->driver, MMIO_VERSION), 2);
    assert_int_equal(driver_read(&f->driver, MMIO_DEVICE_ID), VIRTIO_TYPE_RNG);
    assert_int_equal(driver_read(&f->driver, MMIO_QUEUE_NUM_MAX), FAKE_QUEUE_SIZE);
    driver_write(&f->driver, MMIO_QUEUE_SEL, FAKE_QUEUES);
    assert_int_equal(driver_read(&f->driver, MMIO_QUEUE_NUM_MAX), 0);
    assert_int_equal(driver_read(&f->driver, 0x0b0), UINT32_MAX); /* no shared memory region */
}

static void test_start_and_serve(void **state)
{
    struct fixture *f = *state;
    driver_start(&f->driver, FAKE_FEATURE, FAKE_QUEUE_SIZE);
    assert_int_equal(status(f), RUNNING);
    assert_int_equal(f->fake.activated, 1);
    assert_true(f->fake.features == (FAKE_FEATURE | VIRTIO_F_VERSION_1));
    driver_run(&f->driver);
    assert_int_equal(f->fake.notified[0], 1); /* once after activation */
    assert_int_equal(f->fake.notified[1], 1);

    uint64_t buffer = driver_alloc(&f->driver, 16, 8);
    uint16_t offered = driver_submit(&f->driver, 1, &(struct driver_span){buffer, 16, true}, 1);
    driver_kick(&f->driver, 1);
    uint32_t head, length;
    assert_true(driver_used(&f->driver, 1, &head, &length));
    assert_int_equal(head, offered);
    assert_int_equal(length, 7);
    assert_int_equal(driver_interrupts(&f->driver), 1);
    assert_int_equal(driver_read(&f->driver, MMIO_INTERRUPT_STATUS), 1);
    driver_write(&f->driver, MMIO_INTERRUPT_ACK, 1);
    assert_int_equal(driver_read(&f->driver, MMIO_INTERRUPT_STATUS), 0);
}

static void test_kick_by_eventfd(void **state)
{
    struct fixture *f = *state;
    driver_start(&f->driver, 0, 4);
    driver_run(&f->driver);
    uint64_t one = 1;
    assert_int_equal(write(virtio_mmio_kick_fd(f->driver.transport, 0), &one, sizeof one), sizeof one);
    driver_run(&f->driver);
    assert_int_equal(f->fake.notified[0], 2);
    assert_int_equal(virtio_mmio_kick_fd(f->driver.transport, FAKE_QUEUES), -1);
}

static void test_what_waits_before_driver_ok_is_served(void **state)
{
    struct fixture *f = *state;
    driver_negotiate(&f->driver, 0);
    driver_setup_queue(&f->driver, 0, 4);
    uint64_t buffer = driver_alloc(&f->driver, 16, 8);
    driver_submit(&f->driver, 0, &(struct driver_span){buffer, 16, true}, 1);
    driver_kick(&f->driver, 0); /* too early: nothing happens */
    assert_int_equal(f->fake.notified[0], 0);
    driver_write(&f->driver, MMIO_STATUS, RUNNING);
    driver_run(&f->driver);
    uint32_t head, length;
    assert_true(driver_used(&f->driver, 0, &head, &length));
}

static void test_queue_left_off(void **state)
{
    struct fixture *f = *state;
    driver_negotiate(&f->driver, 0);
    driver_setup_queue(&f->driver, 1, 4);
    driver_write(&f->driver, MMIO_STATUS, RUNNING);
    assert_int_equal(f->fake.activated, 1);
    driver_kick(&f->driver, 0);
    assert_int_equal(f->fake.notified[0], 0);
    assert_int_equal(f->fake.notified[1], 1);
}

static void test_config_space(void **state)
{
    struct fixture *f = *state;
    memcpy(f->fake.config, "\x01\x02\x03\x04\x05\x06", FAKE_CONFIG);
    uint8_t bytes[8];
    virtio_mmio_bus_ops.read(f->driver.transport, MMIO_CONFIG + 1, bytes, 1);
    assert_int_equal(bytes[0], 2);
    virtio_mmio_bus_ops.read(f->driver.transport, MMIO_CONFIG + 2, bytes, 2);
    assert_int_equal(load_le16(bytes), 0x0403);
    virtio_mmio_bus_ops.read(f->driver.transport, MMIO_CONFIG, bytes, 8);
    assert_memory_equal(bytes, "\x01\x02\x03\x04\x05\x06\0\0", 8);
    virtio_mmio_bus_ops.read(f->driver.transport, VIRTIO_MMIO_WINDOW - 8, bytes, 8);
    assert_memory_equal(bytes, "\0\0\0\0\0\0\0\0", 8);
    virtio_mmio_bus_ops.write(f->driver.transport, MMIO_CONFIG + 4, "\xaa\xbb\xcc\xdd", 4);
    assert_memory_equal(f->fake.config, "\x01\x02\x03\x04\xaa\xbb", FAKE_CONFIG);
}

static void test_config_change(void **state)
{
    struct fixture *f = *state;
    driver_start(&f->driver, 0, 4);
    uint32_t before = driver_read(&f->driver, MMIO_CONFIG_GENERATION);
    virtio_transport_lock(f->driver.transport);
    virtio_transport_config_changed(f->driver.transport);
    virtio_transport_unlock(f->driver.transport);
    assert_int_equal(driver_read(&f->driver, MMIO_CONFIG_GENERATION), before + 1);
    assert_int_equal(driver_read(&f->driver, MMIO_INTERRUPT_STATUS), 2);
    assert_int_equal(driver_interrupts(&f->driver), 1);
}

static void test_reset_and_start_again(void **state)
{
    struct fixture *f = *state;
    driver_start(&f->driver, FAKE_FEATURE, 4);
    uint64_t buffer = driver_alloc(&f->driver, 16, 8);
    driver_submit(&f->driver, 0, &(struct driver_span){buffer, 16, true}, 1);
    driver_write(&f->driver, MMIO_QUEUE_NOTIFY, 0); /* on its way when the reset comes */
    driver_write(&f->driver, MMIO_STATUS, 0);
    assert_int_equal(f->fake.reset, 1);
    assert_int_equal(status(f), 0);
    driver_run(&f->driver);
    assert_int_equal(f->fake.notified[0], 0);
    uint32_t head, length;
    assert_false(driver_used(&f->driver, 0, &head, &length));
    driver_write(&f->driver, MMIO_QUEUE_SEL, 0);
    assert_int_equal(driver_read(&f->driver, MMIO_QUEUE_READY), 0);

    driver_start(&f->driver, 0, 4); /* begins with a reset of what is reset: no second call */
    assert_int_equal(f->fake.reset, 1);
    assert_int_equal(f->fake.activated, 2);
    assert_true(f->fake.features == VIRTIO_F_VERSION_1);
}

/* ---- the status state machine
 * ---------------------------------------------------------------------------------------- */

static void test_driver_ok_needs_features_ok(void **state)
{
    struct fixture *f = *state;
    driver_write(&f->driver, MMIO_STATUS, STATUS_ACKNOWLEDGE | STATUS_DRIVER | STATUS_DRIVER_OK);
    assert_int_equal(status(f), STATUS_ACKNOWLEDGE | STATUS_DRIVER);
    assert_int_equal(f->fake.activated, 0);
}

static void test_features_ok_needs_driver(void **state)
{
    struct fixture *f = *state;
    driver_write(&f->driver, MMIO_DRIVER_FEATURES_SEL, 1);
    driver_write(&f->driver, MMIO_DRIVER_FEATURES, 1);
    driver_write(&f->driver, MMIO_STATUS, STATUS_FEATURES_OK);
    assert_int_equal(status(f), 0);
}

static void test_features_refused(void **state)
{
    struct fixture *f = *state;
    static const struct {
        uint32_t low, high;
    } wrong[] = {
        {0, 0},                          /* without VERSION_1 */
        {(uint32_t)FAKE_FEATURE, 0},     /* the same */
        {(uint32_t)FAKE_FEATURE | 1, 1}, /* a bit not on offer */
        {0, 3},
        {UINT32_MAX, UINT32_MAX},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        driver_write(&f->driver, MMIO_STATUS, 0);
        driver_write(&f->driver, MMIO_STATUS, STATUS_ACKNOWLEDGE | STATUS_DRIVER);
        driver_write(&f->driver, MMIO_DRIVER_FEATURES_SEL, 0);
        driver_write(&f->driver, MMIO_DRIVER_FEATURES, wrong[i].low);
        driver_write(&f->driver, MMIO_DRIVER_FEATURES_SEL, 1);
        driver_write(&f->driver, MMIO_DRIVER_FEATURES, wrong[i].high);
        driver_write(&f->driver, MMIO_STATUS, STATUS_ACKNOWLEDGE | STATUS_DRIVER | STATUS_FEATURES_OK);
        assert_int_equal(status(f), STATUS_ACKNOWLEDGE | STATUS_DRIVER);
    }
}

static void test_feature_selectors_out_of_range(void **state)
{
    struct fixture *f = *state;
    driver_write(&f->driver, MMIO_DEVICE_FEATURES_SEL, 2);
    assert_int_equal(driver_read(&f->driver, MMIO_DEVICE_FEATURES), 0);
    driver_write(&f->driver, MMIO_DEVICE_FEATURES_SEL, UINT32_MAX);
    assert_int_equal(driver_read(&f->driver, MMIO_DEVICE_FEATURES), 0);
    driver_write(&f->driver, MMIO_DRIVER_FEATURES_SEL, 2);
    driver_write(&f->driver, MMIO_DRIVER_FEATURES, UINT32_MAX);
    driver_start(&f->driver, 0, 4);
    assert_true(f->fake.features == VIRTIO_F_VERSION_1);
}

static void test_features_fixed_after_features_ok(void **state)
{
    struct fixture *f = *state;
    driver_negotiate(&f->driver, 0);
    driver_write(&f->driver, MMIO_DRIVER_FEATURES_SEL, 0);
    driver_write(&f->driver, MMIO_DRIVER_FEATURES, (uint32_t)FAKE_FEATURE);
    driver_write(&f->driver, MMIO_STATUS, RUNNING);
    assert_true(f->fake.features == VIRTIO_F_VERSION_1);
}

static void test_bits_are_not_taken_back(void **state)
{
    struct fixture *f = *state;
    driver_start(&f->driver, 0, 4);
    driver_write(&f->driver, MMIO_STATUS, STATUS_ACKNOWLEDGE);
    assert_int_equal(status(f), RUNNING);
    driver_write(&f->driver, MMIO_STATUS, RUNNING); /* written twice: activated once */
    assert_int_equal(f->fake.activated, 1);
}

/* A write that drops a bit is ignored whole, whatever it adds. */
static void test_bits_are_not_traded(void **state)
{
    struct fixture *f = *state;
    driver_negotiate(&f->driver, 0);
    uint32_t before = status(f);
    driver_write(&f->driver, MMIO_STATUS, STATUS_ACKNOWLEDGE | STATUS_FEATURES_OK | STATUS_DRIVER_OK);
    assert_int_equal(status(f), before);
    assert_int_equal(f->fake.activated, 0);
}

static void test_driver_cannot_set_needs_reset(void **state)
{
    struct fixture *f = *state;
    driver_write(&f->driver, MMIO_STATUS, STATUS_ACKNOWLEDGE | STATUS_NEEDS_RESET);
    assert_int_equal(status(f), STATUS_ACKNOWLEDGE);
}

/* ---- queues
 * ---------------------------------------------------------------------------------------------------------- */

static void assert_start_fails(struct fixture *f)
{
    driver_write(&f->driver, MMIO_QUEUE_READY, 1);
    driver_write(&f->driver, MMIO_STATUS, RUNNING);
    assert_int_equal(status(f), RUNNING | STATUS_NEEDS_RESET);
    assert_int_equal(f->fake.activated, 0);
    assert_int_equal(driver_read(&f->driver, MMIO_INTERRUPT_STATUS), 2);
    driver_kick(&f->driver, 0);
    assert_int_equal(f->fake.notified[0], 0);
    driver_write(&f->driver, MMIO_STATUS, 0);
    assert_int_equal(status(f), 0);
    assert_int_equal(f->fake.reset, 0); /* it never was active */
}

static void test_bad_layouts_fail_at_driver_ok(void **state)
{
    struct fixture *f = *state;
    static const struct driver_queue queues[] = {
        {.size = 0, .descriptors = DRIVER_RAM_BASE, .available = DRIVER_RAM_BASE, .used = DRIVER_RAM_BASE},
        {.size = 3, .descriptors = DRIVER_RAM_BASE, .available = DRIVER_RAM_BASE, .used = DRIVER_RAM_BASE},
        {.size = 32, .descriptors = DRIVER_RAM_BASE, .available = DRIVER_RAM_BASE, .used = DRIVER_RAM_BASE},
        {.size = 4, .descriptors = 0, .available = DRIVER_RAM_BASE, .used = DRIVER_RAM_BASE},
        {.size = 4, .descriptors = DRIVER_RAM_BASE, .available = UINT64_MAX - 1, .used = DRIVER_RAM_BASE},
        {.size = 4, .descriptors = DRIVER_RAM_BASE, .available = DRIVER_RAM_BASE, .used = DRIVER_RAM_BASE + 2},
    };
    for (size_t i = 0; i < sizeof queues / sizeof queues[0]; i++) {
        driver_negotiate(&f->driver, 0);
        f->driver.queues[0] = queues[i];
        driver_write_layout(&f->driver, 0);
        assert_start_fails(f);
    }
}

static void test_size_is_not_cut_to_16_bits(void **state)
{
    struct fixture *f = *state;
    driver_negotiate(&f->driver, 0);
    driver_setup_queue(&f->driver, 0, 4);
    driver_write(&f->driver, MMIO_QUEUE_READY, 0);
    driver_write(&f->driver, MMIO_QUEUE_NUM, 0x10004);
    assert_start_fails(f);
}

static void test_layout_is_latched_while_ready(void **state)
{
    struct fixture *f = *state;
    driver_negotiate(&f->driver, 0);
    driver_setup_queue(&f->driver, 0, 4);
    struct driver_queue good = f->driver.queues[0];
    f->driver.queues[0] = (struct driver_queue){.size = 3, .descriptors = 1, .available = 1, .used = 1};
    driver_write_layout(&f->driver, 0);
    f->driver.queues[0] = good;
    driver_write(&f->driver, MMIO_STATUS, RUNNING);
    assert_int_equal(status(f), RUNNING);
}

static void test_layout_is_latched_after_driver_ok(void **state)
{
    struct fixture *f = *state;
    driver_start(&f->driver, 0, 4);
    driver_run(&f->driver);
    driver_write(&f->driver, MMIO_QUEUE_SEL, 0);
    driver_write(&f->driver, MMIO_QUEUE_READY, 0);
    assert_int_equal(driver_read(&f->driver, MMIO_QUEUE_READY), 1);
    struct driver_queue good = f->driver.queues[0];
    f->driver.queues[0] = (struct driver_queue){.size = 8, .descriptors = 16, .available = 2, .used = 4};
    driver_write_layout(&f->driver, 0);
    f->driver.queues[0] = good;
    uint64_t buffer = driver_alloc(&f->driver, 16, 8);
    driver_submit(&f->driver, 0, &(struct driver_span){buffer, 16, true}, 1);
    driver_kick(&f->driver, 0);
    uint32_t head, length;
    assert_true(driver_used(&f->driver, 0, &head, &length));
    assert_int_equal(status(f), RUNNING);
}

static void test_queue_can_be_unready_before_driver_ok(void **state)
{
    struct fixture *f = *state;
    driver_negotiate(&f->driver, 0);
    driver_setup_queue(&f->driver, 0, 4);
    driver_write(&f->driver, MMIO_QUEUE_READY, 0);
    assert_int_equal(driver_read(&f->driver, MMIO_QUEUE_READY), 0);
    driver_write(&f->driver, MMIO_STATUS, RUNNING);
    driver_kick(&f->driver, 0);
    assert_int_equal(f->fake.notified[0], 0);
}

static void test_numbers_out_of_range(void **state)
{
    struct fixture *f = *state;
    driver_start(&f->driver, 0, 4);
    driver_run(&f->driver);
    driver_write(&f->driver, MMIO_QUEUE_NOTIFY, FAKE_QUEUES);
    driver_write(&f->driver, MMIO_QUEUE_NOTIFY, UINT32_MAX);
    assert_int_equal(driver_run(&f->driver), 0);
    driver_write(&f->driver, MMIO_QUEUE_SEL, UINT32_MAX);
    driver_write(&f->driver, MMIO_QUEUE_NUM, 4);
    driver_write(&f->driver, MMIO_QUEUE_READY, 1);
    assert_int_equal(driver_read(&f->driver, MMIO_QUEUE_READY), 0);
    assert_int_equal(status(f), RUNNING);
}

/* ---- faults
 * ---------------------------------------------------------------------------------------------------------- */

static void test_broken_ring_needs_reset(void **state)
{
    struct fixture *f = *state;
    driver_start(&f->driver, 0, 4);
    driver_run(&f->driver);
    driver_set_avail_index(&f->driver, 0, 100);
    driver_kick(&f->driver, 0);
    assert_int_equal(status(f), RUNNING | STATUS_NEEDS_RESET);
    assert_int_equal(driver_read(&f->driver, MMIO_INTERRUPT_STATUS), 2);
    assert_int_equal(driver_interrupts(&f->driver), 1);
    unsigned notified = f->fake.notified[1];
    driver_kick(&f->driver, 1); /* the whole device stands still */
    assert_int_equal(f->fake.notified[1], notified);
    driver_start(&f->driver, 0, 4);
    assert_int_equal(status(f), RUNNING);
    assert_int_equal(f->fake.reset, 1);
}

static void test_device_fails(void **state)
{
    struct fixture *f = *state;
    f->fake.fail_on_notify = true;
    driver_start(&f->driver, 0, 4);
    driver_run(&f->driver);
    assert_int_equal(f->fake.notified[0] + f->fake.notified[1], 1);
    assert_int_equal(status(f), RUNNING | STATUS_NEEDS_RESET);
    virtio_transport_lock(f->driver.transport);
    virtio_transport_fail(f->driver.transport, "again");
    virtio_transport_unlock(f->driver.transport);
    assert_int_equal(driver_interrupts(&f->driver), 1); /* told once */
}

static void test_only_aligned_words(void **state)
{
    struct fixture *f = *state;
    uint8_t bytes[8] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    virtio_mmio_bus_ops.read(f->driver.transport, MMIO_MAGIC, bytes, 8);
    assert_memory_equal(bytes, "\0\0\0\0\0\0\0\0", 8);
    memset(bytes, 0xff, sizeof bytes);
    virtio_mmio_bus_ops.read(f->driver.transport, MMIO_MAGIC + 2, bytes, 4);
    assert_memory_equal(bytes, "\0\0\0\0", 4);
    virtio_mmio_bus_ops.read(f->driver.transport, MMIO_MAGIC, bytes, 1);
    assert_int_equal(bytes[0], 0);
    virtio_mmio_bus_ops.write(f->driver.transport, MMIO_STATUS, "\x01", 1);
    virtio_mmio_bus_ops.write(f->driver.transport, MMIO_STATUS, "\x01\0", 2);
    virtio_mmio_bus_ops.write(f->driver.transport, MMIO_STATUS, "\x01\0\0\0\0\0\0\0", 8);
    assert_int_equal(status(f), 0);
}

static void test_every_register_with_every_number(void **state)
{
    struct fixture *f = *state;
    static const uint32_t numbers[] = {0, 1, 0xb, 0xf, 0x80, UINT32_MAX};
    for (uint32_t offset = 0; offset < VIRTIO_MMIO_WINDOW; offset += 4)
        for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
            (void)driver_read(&f->driver, offset);
            driver_write(&f->driver, offset, numbers[i]);
        }
    driver_run(&f->driver);
    driver_start(&f->driver, 0, 4);
    assert_int_equal(status(f), RUNNING);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_identity),
        CASE(test_start_and_serve),
        CASE(test_kick_by_eventfd),
        CASE(test_what_waits_before_driver_ok_is_served),
        CASE(test_queue_left_off),
        CASE(test_config_space),
        CASE(test_config_change),
        CASE(test_reset_and_start_again),
        CASE(test_driver_ok_needs_features_ok),
        CASE(test_features_ok_needs_driver),
        CASE(test_features_refused),
        CASE(test_feature_selectors_out_of_range),
        CASE(test_features_fixed_after_features_ok),
        CASE(test_bits_are_not_taken_back),
        CASE(test_bits_are_not_traded),
        CASE(test_driver_cannot_set_needs_reset),
        CASE(test_bad_layouts_fail_at_driver_ok),
        CASE(test_size_is_not_cut_to_16_bits),
        CASE(test_layout_is_latched_while_ready),
        CASE(test_layout_is_latched_after_driver_ok),
        CASE(test_queue_can_be_unready_before_driver_ok),
        CASE(test_numbers_out_of_range),
        CASE(test_broken_ring_needs_reset),
        CASE(test_device_fails),
        CASE(test_only_aligned_words),
        CASE(test_every_register_with_every_number),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
