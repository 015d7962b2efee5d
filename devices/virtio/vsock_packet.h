/* SPDX-License-Identifier: Apache-2.0 */
/* What travels in the queues of virtio-vsock (Virtual I/O Device Version 1.2, section 5.10.6). */
#ifndef DEVICES_VIRTIO_VSOCK_PACKET_H
#define DEVICES_VIRTIO_VSOCK_PACKET_H

#include "base/bytes.h"

/** In front of every packet; on the wire as it lies here. */
struct vsock_header {
    le64 src_cid;
    le64 dst_cid;
    le32 src_port;
    le32 dst_port;
    le32 len; /**< bytes of payload */
    le16 type;
    le16 op;
    le32 flags;
    le32 buf_alloc; /**< the sender's receive buffer, whole */
    le32 fwd_cnt;   /**< bytes that left that buffer, modulo 2^32 */
} __attribute__((packed));
_Static_assert(sizeof(struct vsock_header) == 44, "section 5.10.6");

enum vsock_type { VSOCK_TYPE_STREAM = 1 };

enum vsock_op {
    VSOCK_OP_INVALID = 0,
    VSOCK_OP_REQUEST = 1,
    VSOCK_OP_RESPONSE = 2,
    VSOCK_OP_RST = 3,
    VSOCK_OP_SHUTDOWN = 4,
    VSOCK_OP_RW = 5,
    VSOCK_OP_CREDIT_UPDATE = 6,
    VSOCK_OP_CREDIT_REQUEST = 7,
};

/** Flags of VSOCK_OP_SHUTDOWN: what the sender will not do any more. */
enum { VSOCK_SHUTDOWN_RECEIVE = 1, VSOCK_SHUTDOWN_SEND = 2, VSOCK_SHUTDOWN_BOTH = 3 };

/** Queues, section 5.10.2. */
enum { VSOCK_QUEUE_RX = 0, VSOCK_QUEUE_TX = 1, VSOCK_QUEUE_EVENT = 2, VSOCK_QUEUES = 3 };

#endif
