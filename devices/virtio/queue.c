/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory order. Two pairs carry data: the driver's store of available.idx is a release that our acquire load of it
 * sees, so entries and descriptors are there when we read them; our store of used.idx is a release that the driver's
 * read barrier pairs with, so elements and buffers are there when it reads them. The two "do you want to be told?"
 * questions are store-then-load on both sides (Dekker's pattern) and need a full fence between.
 */
#include "devices/virtio/queue.h"

#include <stdatomic.h>
#include <string.h>

#include "base/bytes.h"
#include "base/checked.h"
#include "devices/guest_memory.h"

/** Section 2.7.5. */
struct virtq_desc {
    le64 addr;
    le32 len;
    le16 flags;
    le16 next;
};
enum { VIRTQ_DESC_F_NEXT = 1, VIRTQ_DESC_F_WRITE = 2, VIRTQ_DESC_F_INDIRECT = 4 };

/** Section 2.7.6; behind the ring's last entry lies used_event. */
struct virtq_avail {
    le16 flags;
    le16 idx;
    le16 ring[];
};
enum { VIRTQ_AVAIL_F_NO_INTERRUPT = 1 };

/** Section 2.7.8; behind the ring's last element lies avail_event. */
struct virtq_used_elem {
    le32 id;
    le32 len;
};
struct virtq_used {
    le16 flags;
    le16 idx;
    struct virtq_used_elem ring[];
};
enum { VIRTQ_USED_F_NO_NOTIFY = 1 };

_Static_assert(sizeof(struct virtq_desc) == 16 && sizeof(struct virtq_used_elem) == 8, "section 2.7");
_Static_assert(sizeof(struct virtq_avail) == 4 && sizeof(struct virtq_used) == 4, "section 2.7");

/** Alignments that section 2.7 asks for. */
enum { DESCRIPTOR_ALIGNMENT = 16, AVAILABLE_ALIGNMENT = 2, USED_ALIGNMENT = 4, EVENT_SIZE = 2 };

/** A descriptor in host byte order, out of the guest's reach. */
struct descriptor {
    uint64_t address;
    uint32_t length;
    uint16_t flags;
    uint16_t next;
};

/* ---- words shared with the guest: read once or written once, never torn --------------------------------------------
 */

static uint16_t load_once_le16(const le16 *word)
{
    return le16toh(__atomic_load_n(&word->raw, __ATOMIC_RELAXED));
}

static void store_once_le16(le16 *word, uint16_t number)
{
    __atomic_store_n(&word->raw, htole16(number), __ATOMIC_RELAXED);
}

static struct descriptor load_descriptor(const struct virtq_desc *shared)
{
    return (struct descriptor){
        .address = le64toh(__atomic_load_n(&shared->addr.raw, __ATOMIC_RELAXED)),
        .length = le32toh(__atomic_load_n(&shared->len.raw, __ATOMIC_RELAXED)),
        .flags = load_once_le16(&shared->flags),
        .next = load_once_le16(&shared->next),
    };
}

static const le16 *used_event(const struct virtio_queue *queue)
{
    return &queue->available->ring[queue->size];
}

static le16 *avail_event(const struct virtio_queue *queue)
{
    return (le16 *)(void *)&queue->used->ring[queue->size];
}

/* ---- setting up
 * ------------------------------------------------------------------------------------------------------ */

static bool broken(struct virtio_queue *queue, const char *reason)
{
    if (!queue->fault)
        queue->fault = reason;
    return false;
}

void virtio_queue_reset(struct virtio_queue *queue)
{
    *queue = (struct virtio_queue){.ready = false};
}

static void *ring_part(const struct guest_memory *memory, uint64_t address, uint64_t length, uint64_t alignment)
{
    return address % alignment ? NULL : guest_memory_at(memory, address, length);
}

bool virtio_queue_start(struct virtio_queue *queue, const struct virtio_queue_layout *layout,
                        const struct guest_memory *memory, uint64_t features)
{
    virtio_queue_reset(queue);
    uint64_t size = layout->size;
    if (size == 0 || size > VIRTIO_QUEUE_SIZE_MAX || (size & (size - 1)))
        return broken(queue, "queue size is not a power of two in range");

    queue->descriptors =
        ring_part(memory, layout->descriptor_table, size * sizeof(struct virtq_desc), DESCRIPTOR_ALIGNMENT);
    queue->available = ring_part(memory, layout->available_ring,
                                 sizeof(struct virtq_avail) + size * sizeof(le16) + EVENT_SIZE, AVAILABLE_ALIGNMENT);
    queue->used =
        ring_part(memory, layout->used_ring,
                  sizeof(struct virtq_used) + size * sizeof(struct virtq_used_elem) + EVENT_SIZE, USED_ALIGNMENT);
    if (!queue->descriptors || !queue->available || !queue->used)
        return broken(queue, "a queue is misaligned or not in guest memory");

    queue->memory = memory;
    queue->size = layout->size;
    queue->event_index = features & VIRTIO_F_EVENT_IDX;
    queue->indirect = features & VIRTIO_F_INDIRECT_DESC;
    queue->ready = true;
    return true;
}

/* ---- from the available ring ----------------------------------------------------------------------------------------
 */

static bool usable(const struct virtio_queue *queue)
{
    return queue->ready && !queue->fault;
}

static bool more_available(struct virtio_queue *queue)
{
    if (queue->next_available != queue->available_known)
        return true;
    /* Acquire: pairs with the driver's write barrier before its store of idx; entries up to it can be read now. */
    uint16_t index = le16toh(__atomic_load_n(&queue->available->idx.raw, __ATOMIC_ACQUIRE));
    if ((uint16_t)(index - queue->next_available) > queue->size)
        return broken(queue, "the available index jumped by more than the queue holds");
    queue->available_known = index;
    return queue->next_available != index;
}

static bool add_span(struct virtio_queue *queue, struct virtio_chain *chain, const struct descriptor *descriptor)
{
    bool writable = descriptor->flags & VIRTQ_DESC_F_WRITE;
    if (!writable && chain->writable_count)
        return broken(queue, "a readable descriptor follows a writable one");
    uint64_t total = (uint64_t)chain->readable_length + chain->writable_length + descriptor->length;
    if (total > UINT32_MAX)
        return broken(queue, "a chain is longer than 4 GiB");
    if (descriptor->length == 0)
        return true;
    void *host = guest_memory_at(queue->memory, descriptor->address, descriptor->length);
    if (!host)
        return broken(queue, "a buffer is not in guest memory");
    unsigned count = (unsigned)chain->readable_count + chain->writable_count;
    if (count == VIRTIO_QUEUE_SIZE_MAX)
        return broken(queue, "a chain has too many descriptors");
    chain->spans[count] = (struct iovec){.iov_base = host, .iov_len = descriptor->length};
    if (writable) {
        chain->writable_count++;
        chain->writable_length += descriptor->length;
    } else {
        chain->readable_count++;
        chain->readable_length += descriptor->length;
    }
    return true;
}

/** A run of descriptors: the queue's own table or an indirect one. */
struct descriptor_table {
    const struct virtq_desc *entries;
    unsigned size;
    bool indirect;
};

static bool find_indirect(struct virtio_queue *queue, const struct descriptor *descriptor,
                          struct descriptor_table *table)
{
    if (!queue->indirect)
        return broken(queue, "an indirect descriptor without the feature");
    if (descriptor->flags & VIRTQ_DESC_F_NEXT)
        return broken(queue, "a descriptor is both indirect and chained");
    if (descriptor->length == 0 || descriptor->length % sizeof(struct virtq_desc) ||
        descriptor->length > VIRTIO_QUEUE_SIZE_MAX * sizeof(struct virtq_desc))
        return broken(queue, "an indirect table has a wrong size");
    const void *entries = ring_part(queue->memory, descriptor->address, descriptor->length, DESCRIPTOR_ALIGNMENT);
    if (!entries)
        return broken(queue, "an indirect table is misaligned or not in guest memory");
    *table = (struct descriptor_table){
        .entries = entries, .size = (unsigned)(descriptor->length / sizeof(struct virtq_desc)), .indirect = true};
    return true;
}

/* A chain may end in one indirect table (section 2.7.5.3.2); walking that starts over in the table at its entry 0. */
static bool walk(struct virtio_queue *queue, struct virtio_chain *chain, uint16_t head)
{
    struct descriptor_table table = {.entries = queue->descriptors, .size = queue->size};
    unsigned index = head;
    unsigned taken = 0;
    for (;;) {
        if (index >= table.size)
            return broken(queue, "a descriptor index is out of range");
        /* No chain without a loop is longer than its table. */
        if (taken++ == table.size)
            return broken(queue, "a chain of descriptors loops");
        struct descriptor descriptor = load_descriptor(&table.entries[index]);
        if (descriptor.flags & VIRTQ_DESC_F_INDIRECT) {
            if (table.indirect)
                return broken(queue, "an indirect table inside an indirect table");
            if (!find_indirect(queue, &descriptor, &table))
                return false;
            index = taken = 0;
            continue;
        }
        if (!add_span(queue, chain, &descriptor))
            return false;
        if (!(descriptor.flags & VIRTQ_DESC_F_NEXT))
            return true;
        index = descriptor.next;
    }
}

bool virtio_queue_pop(struct virtio_queue *queue, struct virtio_chain *chain)
{
    if (!usable(queue) || !more_available(queue))
        return false;
    chain->head = load_once_le16(&queue->available->ring[queue->next_available % queue->size]);
    chain->readable_count = chain->writable_count = 0;
    chain->readable_length = chain->writable_length = 0;
    if (!walk(queue, chain, chain->head))
        return false;
    queue->next_available++;
    return true;
}

void virtio_queue_unpop(struct virtio_queue *queue)
{
    queue->next_available--;
}

/* ---- to the used ring
 * ------------------------------------------------------------------------------------------------ */

void virtio_queue_push(struct virtio_queue *queue, const struct virtio_chain *chain, uint32_t written)
{
    if (!usable(queue))
        return;
    struct virtq_used_elem *element = &queue->used->ring[queue->used_index % queue->size];
    element->id = le32_from(chain->head);
    element->len = le32_from(written);
    queue->used_index++;
    /* Release: pairs with the driver's read barrier after it loads idx; the element and the buffers come first. */
    __atomic_store_n(&queue->used->idx.raw, htole16(queue->used_index), __ATOMIC_RELEASE);
}

/* ---- who wants to be told
 * -------------------------------------------------------------------------------------------- */

void virtio_queue_disable_notify(struct virtio_queue *queue)
{
    /* With the event index the driver kicks only when it passes avail_event: leaving that behind is enough. */
    if (usable(queue) && !queue->event_index)
        store_once_le16(&queue->used->flags, VIRTQ_USED_F_NO_NOTIFY);
}

bool virtio_queue_enable_notify(struct virtio_queue *queue)
{
    if (!usable(queue))
        return false;
    if (queue->event_index)
        store_once_le16(avail_event(queue), queue->next_available);
    else
        store_once_le16(&queue->used->flags, 0);
    /* Full fence: pairs with the driver's between its store of available.idx and its load of avail_event or flags.
     * Either it sees our wish, or we see its entry. */
    atomic_thread_fence(memory_order_seq_cst);
    return more_available(queue);
}

bool virtio_queue_should_interrupt(struct virtio_queue *queue)
{
    if (!usable(queue) || queue->used_index == queue->used_signalled)
        return false;
    uint16_t before = queue->used_signalled;
    queue->used_signalled = queue->used_index;
    /* Full fence: pairs with the driver's between its store of used_event or flags and its load of used.idx. Either it
     * sees our element, or we see its wish. */
    atomic_thread_fence(memory_order_seq_cst);
    if (!queue->event_index)
        return !(load_once_le16(&queue->available->flags) & VIRTQ_AVAIL_F_NO_INTERRUPT);
    uint16_t wished = load_once_le16(used_event(queue));
    return (uint16_t)(queue->used_index - wished - 1) < (uint16_t)(queue->used_index - before);
}

/* ---- the bytes of a chain
 * -------------------------------------------------------------------------------------------- */

/** A walk over a part of some spans. */
struct cursor {
    const struct iovec *span;
    size_t skip; /* bytes of the span that lie before the part */
    size_t left;
};

static bool cursor_set(struct cursor *cursor, const struct iovec *spans, uint32_t total, uint32_t offset, size_t length)
{
    *cursor = (struct cursor){.span = spans, .skip = offset, .left = length};
    return checked_range_within(offset, length, total);
}

/* The next piece that lies in one span; none left: its iov_len is 0. */
static struct iovec cursor_next(struct cursor *cursor)
{
    if (!cursor->left)
        return (struct iovec){.iov_base = NULL, .iov_len = 0};
    for (; cursor->skip >= cursor->span->iov_len; cursor->span++)
        cursor->skip -= cursor->span->iov_len;
    size_t rest = cursor->span->iov_len - cursor->skip;
    struct iovec piece = {.iov_base = (uint8_t *)cursor->span->iov_base + cursor->skip,
                          .iov_len = rest < cursor->left ? rest : cursor->left};
    cursor->left -= piece.iov_len;
    cursor->skip = 0;
    cursor->span++;
    return piece;
}

static unsigned cut_spans(const struct iovec *from, uint32_t total, uint32_t offset, uint32_t length,
                          struct iovec *spans)
{
    struct cursor cursor;
    unsigned count = 0;
    if (!cursor_set(&cursor, from, total, offset, length))
        return 0;
    for (struct iovec piece; (piece = cursor_next(&cursor)).iov_len; count++)
        spans[count] = piece;
    return count;
}

unsigned virtio_chain_readable(const struct virtio_chain *chain, uint32_t offset, uint32_t length, struct iovec *spans)
{
    return cut_spans(chain->spans, chain->readable_length, offset, length, spans);
}

unsigned virtio_chain_writable(const struct virtio_chain *chain, uint32_t offset, uint32_t length, struct iovec *spans)
{
    return cut_spans(chain->spans + chain->readable_count, chain->writable_length, offset, length, spans);
}

bool virtio_chain_read(const struct virtio_chain *chain, uint32_t offset, void *bytes, size_t length)
{
    struct cursor cursor;
    if (!cursor_set(&cursor, chain->spans, chain->readable_length, offset, length))
        return false;
    uint8_t *to = bytes;
    for (struct iovec piece; (piece = cursor_next(&cursor)).iov_len; to += piece.iov_len)
        memcpy(to, piece.iov_base, piece.iov_len);
    return true;
}

bool virtio_chain_write(const struct virtio_chain *chain, uint32_t offset, const void *bytes, size_t length)
{
    struct cursor cursor;
    if (!cursor_set(&cursor, chain->spans + chain->readable_count, chain->writable_length, offset, length))
        return false;
    const uint8_t *from = bytes;
    for (struct iovec piece; (piece = cursor_next(&cursor)).iov_len; from += piece.iov_len)
        memcpy(piece.iov_base, from, piece.iov_len);
    return true;
}
