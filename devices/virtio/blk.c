/* SPDX-License-Identifier: Apache-2.0 */
#include "devices/virtio/blk.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/checked.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/fd.h"
#include "devices/virtio/queue.h"

/** Feature bits, section 5.2.3. */
#define BLK_F_SEG_MAX      (UINT64_C(1) << 2)
#define BLK_F_RO           (UINT64_C(1) << 5)
#define BLK_F_BLK_SIZE     (UINT64_C(1) << 6)
#define BLK_F_FLUSH        (UINT64_C(1) << 9)
#define BLK_F_TOPOLOGY     (UINT64_C(1) << 10)
#define BLK_F_DISCARD      (UINT64_C(1) << 13)
#define BLK_F_WRITE_ZEROES (UINT64_C(1) << 14)

enum {
    SECTOR = VIRTIO_BLK_SECTOR,
    QUEUE_SIZE = 128,
    SEGMENTS_MAX = QUEUE_SIZE - 2, /* a chain also holds the header and the status byte */
    RANGES_MAX = 16,               /* ranges of one discard or write-zeroes request */
    DISCARD_SECTORS_MAX = 1 << 22, /* 2 GiB a range */
    ZEROES_SECTORS_MAX = 1 << 16,  /* 32 MiB a range: it may have to be written, and the loop waits */
    PHYSICAL_SECTORS_LOG2 = 3,     /* files and disks today are in blocks of 4 KiB */
    REQUESTS_PER_TURN = 64,        /* then the loop's other devices have a turn */
};

/** Section 5.2.4. */
struct blk_config {
    le64 capacity;
    le32 size_max;
    le32 seg_max;
    le32 geometry;
    le32 blk_size;
    uint8_t physical_block_exp;
    uint8_t alignment_offset;
    le16 min_io_size;
    le32 opt_io_size;
    uint8_t writeback;
    uint8_t unused0;
    le16 num_queues;
    le32 max_discard_sectors;
    le32 max_discard_seg;
    le32 discard_sector_alignment;
    le32 max_write_zeroes_sectors;
    le32 max_write_zeroes_seg;
    uint8_t write_zeroes_may_unmap;
    uint8_t unused1[3];
    le32 max_secure_erase_sectors; /* the feature is not offered, so this and what follows are zero */
};
_Static_assert(sizeof(struct blk_config) == 64, "section 5.2.4");
_Static_assert(offsetof(struct blk_config, max_discard_sectors) == 36, "section 5.2.4");

/** Section 5.2.6. */
struct blk_header {
    le32 type;
    le32 reserved;
    le64 sector;
};
struct blk_range {
    le64 sector;
    le32 num_sectors;
    le32 flags;
};
_Static_assert(sizeof(struct blk_header) == 16 && sizeof(struct blk_range) == 16, "section 5.2.6");
enum { RANGE_UNMAP = 1 };

enum blk_type {
    BLK_IN = 0,
    BLK_OUT = 1,
    BLK_FLUSH = 4,
    BLK_GET_ID = 8,
    BLK_DISCARD = 11,
    BLK_WRITE_ZEROES = 13,
};
enum blk_status { BLK_OK = 0, BLK_IOERR = 1, BLK_UNSUPP = 2 };

struct blk {
    int fd;
    bool readonly;
    uint64_t sectors;
    char id[VIRTIO_BLK_ID_MAX];
    struct blk_config config;

    uint64_t features; /* negotiated */
    struct virtio_queue *queue;
    struct virtio_transport *transport;
    struct virtio_chain chain; /* the request being served */
    struct iovec spans[VIRTIO_QUEUE_SIZE_MAX];
};

/** A request, copied and measured. */
struct request {
    uint64_t sector;
    uint32_t out_length; /**< readable bytes behind the header */
    uint32_t in_length;  /**< writable bytes before the status */
};

/* ---- file I/O
 * -------------------------------------------------------------------------------------------------------- */

typedef ssize_t (*vector_io)(int fd, const struct iovec *spans, int count, off_t offset);

/* Moves all the spans' bytes; the file may hand them over or take them in pieces. */
static bool transfer(int fd, vector_io io, struct iovec *spans, unsigned count, uint64_t offset)
{
    while (count) {
        ssize_t n = io(fd, spans, (int)count, (off_t)offset);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false; /* an error, or a file shorter than it was */
        offset += (uint64_t)n;
        size_t done = (size_t)n;
        for (; count && done >= spans->iov_len; count--, spans++)
            done -= spans->iov_len;
        if (count) {
            spans->iov_base = (char *)spans->iov_base + done;
            spans->iov_len -= done;
        }
    }
    return true;
}

static int allocate(int fd, int mode, uint64_t offset, uint64_t length)
{
    int rc;
    do {
        rc = fallocate(fd, mode | FALLOC_FL_KEEP_SIZE, (off_t)offset, (off_t)length);
    } while (rc < 0 && errno == EINTR);
    return rc < 0 ? -errno : 0;
}

static bool write_zeros(int fd, uint64_t offset, uint64_t length)
{
    static const uint8_t zeros[4096];
    while (length) {
        struct iovec spans[VIRTIO_QUEUE_SIZE_MAX];
        unsigned count = 0;
        uint64_t total = 0;
        for (; count < VIRTIO_QUEUE_SIZE_MAX && total < length; count++) {
            uint64_t take = length - total < sizeof zeros ? length - total : sizeof zeros;
            /* pwritev(2) takes non-const pointers but only reads from them. */
            spans[count] = (struct iovec){.iov_base = (void *)(uintptr_t)zeros, .iov_len = take};
            total += take;
        }
        if (!transfer(fd, pwritev, spans, count, offset))
            return false;
        offset += total;
        length -= total;
    }
    return true;
}

static bool sync_data(const struct blk *blk)
{
    return fdatasync(blk->fd) == 0;
}

/* ---- requests: each returns the status byte
 * -------------------------------------------------------------------------- */

/* Byte position of a range of sectors that lies wholly on the disk. */
static bool locate(const struct blk *blk, uint64_t sector, uint64_t sectors, uint64_t *offset)
{
    return checked_range_within(sector, sectors, blk->sectors) && checked_mul_u64(sector, SECTOR, offset);
}

static enum blk_status serve_in(struct blk *blk, const struct request *request)
{
    uint64_t offset;
    if (request->in_length % SECTOR || !locate(blk, request->sector, request->in_length / SECTOR, &offset))
        return BLK_IOERR;
    unsigned count = virtio_chain_writable(&blk->chain, 0, request->in_length, blk->spans);
    return transfer(blk->fd, preadv, blk->spans, count, offset) ? BLK_OK : BLK_IOERR;
}

static enum blk_status serve_out(struct blk *blk, const struct request *request)
{
    uint64_t offset;
    if (request->out_length % SECTOR || !locate(blk, request->sector, request->out_length / SECTOR, &offset))
        return BLK_IOERR;
    unsigned count = virtio_chain_readable(&blk->chain, sizeof(struct blk_header), request->out_length, blk->spans);
    if (!transfer(blk->fd, pwritev, blk->spans, count, offset))
        return BLK_IOERR;
    /* Section 5.2.6.2: a driver that cannot flush relies on what was completed. */
    if (!(blk->features & BLK_F_FLUSH) && !sync_data(blk))
        return BLK_IOERR;
    return BLK_OK;
}

static enum blk_status serve_flush(struct blk *blk, const struct request *request)
{
    (void)request;
    return blk->readonly || sync_data(blk) ? BLK_OK : BLK_IOERR;
}

static enum blk_status serve_get_id(struct blk *blk, const struct request *request)
{
    if (request->in_length < sizeof blk->id)
        return BLK_IOERR;
    return virtio_chain_write(&blk->chain, 0, blk->id, sizeof blk->id) ? BLK_OK : BLK_IOERR;
}

static enum blk_status discard_range(struct blk *blk, uint64_t offset, uint64_t length, uint32_t flags)
{
    if (flags)
        return BLK_UNSUPP;
    int rc = allocate(blk->fd, FALLOC_FL_PUNCH_HOLE, offset, length);
    return rc == 0 || rc == -EOPNOTSUPP || rc == -ENODEV ? BLK_OK : BLK_IOERR;
}

static enum blk_status zero_range(struct blk *blk, uint64_t offset, uint64_t length, uint32_t flags)
{
    if (flags & ~(uint32_t)RANGE_UNMAP)
        return BLK_UNSUPP;
    int mode = flags & RANGE_UNMAP ? FALLOC_FL_PUNCH_HOLE : FALLOC_FL_ZERO_RANGE;
    if (allocate(blk->fd, mode, offset, length) == 0)
        return BLK_OK;
    return write_zeros(blk->fd, offset, length) ? BLK_OK : BLK_IOERR;
}

/* Checks all ranges before the first is touched: a request is refused whole. */
static enum blk_status serve_ranges(struct blk *blk, const struct request *request, uint32_t sectors_max,
                                    enum blk_status (*serve)(struct blk *, uint64_t, uint64_t, uint32_t))
{
    struct blk_range ranges[RANGES_MAX];
    size_t count = request->out_length / sizeof ranges[0];
    if (request->out_length % sizeof ranges[0] || count == 0 || count > RANGES_MAX ||
        !virtio_chain_read(&blk->chain, sizeof(struct blk_header), ranges, request->out_length))
        return BLK_IOERR;
    uint64_t offsets[RANGES_MAX] = {0};
    for (size_t i = 0; i < count; i++) {
        uint32_t sectors = le32_get(ranges[i].num_sectors);
        if (sectors == 0 || sectors > sectors_max || !locate(blk, le64_get(ranges[i].sector), sectors, &offsets[i]))
            return BLK_IOERR;
    }
    for (size_t i = 0; i < count; i++) {
        uint64_t length = (uint64_t)le32_get(ranges[i].num_sectors) * SECTOR;
        enum blk_status status = serve(blk, offsets[i], length, le32_get(ranges[i].flags));
        if (status != BLK_OK)
            return status;
    }
    return blk->features & BLK_F_FLUSH || sync_data(blk) ? BLK_OK : BLK_IOERR;
}

static enum blk_status serve_discard(struct blk *blk, const struct request *request)
{
    return serve_ranges(blk, request, DISCARD_SECTORS_MAX, discard_range);
}

static enum blk_status serve_write_zeroes(struct blk *blk, const struct request *request)
{
    return serve_ranges(blk, request, ZEROES_SECTORS_MAX, zero_range);
}

/** What each request type needs and does; types that are not here are unsupported. */
static const struct request_kind {
    enum blk_status (*serve)(struct blk *blk, const struct request *request);
    uint64_t feature; /**< must have been negotiated; 0 = none */
    bool writes;      /**< refused on a read-only disk */
} request_kinds[] = {
    [BLK_IN] = {.serve = serve_in},
    [BLK_OUT] = {.serve = serve_out, .writes = true},
    [BLK_FLUSH] = {.serve = serve_flush},
    [BLK_GET_ID] = {.serve = serve_get_id},
    [BLK_DISCARD] = {.serve = serve_discard, .feature = BLK_F_DISCARD, .writes = true},
    [BLK_WRITE_ZEROES] = {.serve = serve_write_zeroes, .feature = BLK_F_WRITE_ZEROES, .writes = true},
};
enum { REQUEST_KINDS = sizeof request_kinds / sizeof request_kinds[0] };

static enum blk_status serve(struct blk *blk)
{
    struct blk_header header;
    if (!virtio_chain_read(&blk->chain, 0, &header, sizeof header))
        return BLK_IOERR;
    uint32_t type = le32_get(header.type);
    if (type >= REQUEST_KINDS || !request_kinds[type].serve)
        return BLK_UNSUPP;
    const struct request_kind *kind = &request_kinds[type];
    if (kind->writes && blk->readonly)
        return BLK_IOERR;
    if ((blk->features & kind->feature) != kind->feature)
        return BLK_UNSUPP;
    struct request request = {
        .sector = le64_get(header.sector),
        .out_length = blk->chain.readable_length - (uint32_t)sizeof header,
        .in_length = blk->chain.writable_length - 1,
    };
    return kind->serve(blk, &request);
}

/* ---- the device
 * ------------------------------------------------------------------------------------------------------ */

/* Serves the next request; false when there is none. */
static bool serve_next(struct blk *blk)
{
    if (!virtio_queue_pop(blk->queue, &blk->chain))
        return false;
    uint32_t length = blk->chain.writable_length;
    if (length == 0) {
        virtio_transport_fail(blk->transport, "a request without a status byte");
        return false;
    }
    uint8_t status = (uint8_t)serve(blk);
    (void)virtio_chain_write(&blk->chain, length - 1, &status, sizeof status);
    /* The status is the last byte, so all before it count as written, also when a read failed half way. */
    virtio_queue_push(blk->queue, &blk->chain, length);
    return true;
}

static void blk_notify(void *device, uint16_t index)
{
    struct blk *blk = device;
    unsigned served = 0;
    do {
        virtio_queue_disable_notify(blk->queue);
        while (served < REQUESTS_PER_TURN && serve_next(blk))
            served++;
        if (served == REQUESTS_PER_TURN) {
            virtio_transport_again(blk->transport, index);
            break;
        }
    } while (virtio_queue_enable_notify(blk->queue));
    virtio_transport_interrupt(blk->transport, blk->queue);
}

static uint64_t blk_features(const void *device)
{
    const struct blk *blk = device;
    uint64_t features = BLK_F_SEG_MAX | BLK_F_BLK_SIZE | BLK_F_TOPOLOGY | BLK_F_FLUSH;
    return features | (blk->readonly ? BLK_F_RO : BLK_F_DISCARD | BLK_F_WRITE_ZEROES);
}

static void blk_read_config(void *device, uint32_t offset, void *data, uint32_t length)
{
    const struct blk *blk = device;
    for (uint32_t i = 0; i < length; i++)
        ((uint8_t *)data)[i] = offset + i < sizeof blk->config ? ((const uint8_t *)&blk->config)[offset + i] : 0;
}

static void blk_activate(void *device, uint64_t features, struct virtio_queue *queues,
                         struct virtio_transport *transport)
{
    struct blk *blk = device;
    blk->features = features;
    blk->queue = &queues[0];
    blk->transport = transport;
}

static void blk_reset(void *device)
{
    struct blk *blk = device;
    /* Requests are served within notify, under the lock that the caller holds: nothing is in flight. */
    blk->queue = NULL;
}

static void blk_free(void *device)
{
    struct blk *blk = device;
    if (!blk)
        return;
    fd_close(&blk->fd);
    free(blk);
}

const struct virtio_device_ops virtio_blk_ops = {
    .name = "virtio-blk",
    .type = VIRTIO_TYPE_BLK,
    .queue_count = 1,
    .queue_size = QUEUE_SIZE,
    .features = blk_features,
    .read_config = blk_read_config,
    .activate = blk_activate,
    .notify = blk_notify,
    .reset = blk_reset,
    .free = blk_free,
};

static int measure(int fd, uint64_t *bytes, struct error *err)
{
    struct stat status;
    if (fstat(fd, &status) < 0)
        return error_set_errno(err, errno, "cannot examine a disk image");
    if (S_ISBLK(status.st_mode)) {
        if (ioctl(fd, BLKGETSIZE64, bytes) < 0)
            return error_set_errno(err, errno, "cannot measure a block device");
    } else if (S_ISREG(status.st_mode)) {
        *bytes = (uint64_t)status.st_size;
    } else {
        return error_set(err, EINVAL, "a disk must be a regular file or a block device");
    }
    if (*bytes < SECTOR)
        return error_set(err, EINVAL, "a disk must have at least %d bytes", SECTOR);
    return 0;
}

int virtio_blk_new(void **device, int fd, bool readonly, const char *id, struct error *err)
{
    cleanup_fd int owned = fd;
    uint64_t bytes;
    int rc = measure(fd, &bytes, err);
    if (rc < 0)
        return rc;
    struct blk *blk = calloc(1, sizeof *blk);
    if (!blk)
        return error_set(err, ENOMEM, "out of memory for a disk");
    blk->fd = steal_fd(&owned);
    blk->readonly = readonly;
    blk->sectors = bytes / SECTOR;
    memcpy(blk->id, id, strnlen(id, sizeof blk->id));
    blk->config = (struct blk_config){
        .capacity = le64_from(blk->sectors),
        .seg_max = le32_from(SEGMENTS_MAX),
        .blk_size = le32_from(SECTOR),
        .physical_block_exp = PHYSICAL_SECTORS_LOG2,
        .min_io_size = le16_from(1 << PHYSICAL_SECTORS_LOG2),
        .num_queues = le16_from(1),
        .max_discard_sectors = le32_from(DISCARD_SECTORS_MAX),
        .max_discard_seg = le32_from(RANGES_MAX),
        .discard_sector_alignment = le32_from(1 << PHYSICAL_SECTORS_LOG2),
        .max_write_zeroes_sectors = le32_from(ZEROES_SECTORS_MAX),
        .max_write_zeroes_seg = le32_from(RANGES_MAX),
        .write_zeroes_may_unmap = 1,
    };
    *device = blk;
    return 0;
}
