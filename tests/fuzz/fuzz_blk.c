/* SPDX-License-Identifier: Apache-2.0 */
/*
 * virtio-blk: whatever the guest asks for, the image keeps its size, and a read-only one its contents. Steps besides
 * those of virtio_script.h:
 *
 *   'q' type sector length spans   a well-formed request with a writable and a readable half
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/fd.h"
#include "devices/virtio/blk.h"
#include "tests/support/virtio_script.h"

enum { IMAGE = 32 * VIRTIO_BLK_SECTOR, HEADER = 0x8000, DATA = 0x9000 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool true_here, const char *what)
{
    if (true_here)
        return;
    fprintf(stderr, "fuzz_blk: %s\n", what);
    abort();
}

static void request(struct virtio_driver *driver, struct reader *script)
{
    uint8_t *header = driver->ram + HEADER;
    store_le32(header, reader_u8(script));
    store_le64(header + 8, reader_u8(script) - UINT64_C(8)); /* some wrap around */
    uint32_t length = reader_le16(script) & 0x3fff;
    bool writable = reader_u8(script) & 1;
    const struct driver_span spans[] = {
        {DRIVER_RAM_BASE + HEADER, 16, false},
        {DRIVER_RAM_BASE + DATA, length, writable},
        {DRIVER_RAM_BASE + HEADER + 16, 1, true},
    };
    if (driver->queues[0].size == 0)
        return;
    driver_submit(driver, 0, spans, 3);
    driver_kick(driver, 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct virtio_driver driver;
    static uint8_t image[IMAGE], after[IMAGE];
    struct reader script = reader_over(data, size);
    bool readonly = reader_u8(&script) & 1;
    memset(image, 0x5a, sizeof image);
    int fd = memfd_create("image", MFD_CLOEXEC);
    void *device = NULL;
    require(fd_pwrite_full(fd, image, sizeof image, 0) == 0, "no image");
    require(virtio_blk_new(&device, dup(fd), readonly, "fuzz", NULL) == 0, "no device");

    driver_init_sized(&driver, SCRIPT_RAM);
    driver_attach(&driver, &virtio_blk_ops, device);
    driver_start(&driver, UINT64_MAX, SCRIPT_QUEUE_SIZE);
    driver.next_free = DRIVER_RAM_BASE + HEADER;
    while (script.left && !script.failed) {
        uint8_t what = reader_u8(&script);
        if (what == 'q')
            request(&driver, &script);
        else
            (void)script_step(&driver, what, &script);
    }
    driver_run(&driver);
    driver_done(&driver);

    struct stat status;
    require(fstat(fd, &status) == 0 && status.st_size == IMAGE, "the image's size changed");
    if (readonly) {
        require(fd_pread_full(fd, after, sizeof after, 0) == IMAGE, "the image is gone");
        require(memcmp(image, after, sizeof image) == 0, "a read-only image changed");
    }
    close(fd);
    return 0;
}
