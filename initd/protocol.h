/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The wire protocol between the monitor on the host and vminitd in the guest. Both sides compile this file.
 *
 *      monitor (host)                                    vminitd (guest)
 *     ----------------                                  -----------------
 *                        ◄── connects to CID 2, PROTOCOL_PORT_CONTROL ──
 *                        ◄───────────── HELLO ─────────────
 *       CONFIGURE, START  ────────────────────────────────►   mounts, forks; connects the stdio ports that START names
 *                        ◄──── STARTED or START_FAILED ────
 *       SIGNAL ...        ────────────────────────────────►
 *                        ◄───────────── EXITED ────────────   after the last byte of its output was handed to the host
 *       SHUTDOWN          ────────────────────────────────►   ends what is left, powers the machine off
 *
 * Every connection is made by the guest. One carries the frames below; each standard stream of a process has one more
 * that carries its bytes and nothing else, and ends when the stream ends.
 *
 * A frame is a le32 payload length, a le32 type, and the payload: the fields of the message, in the order in which they
 * stand in the table in protocol.c, without padding:
 *
 *      u32, u64   little-endian
 *      bytes      le32 length, then so many bytes
 *      text       le32 length without terminator, the characters, one zero byte; no zero inside
 *      array      le32 count, then so many records, each the fields of its record in order
 *
 * A payload with bytes missing or left over, a length above its maximum, an unknown type, or a message that the other
 * side never sends is -EPROTO; the receiver then drops the connection. Nothing on the wire is ever parsed as text.
 */
#ifndef INITD_PROTOCOL_H
#define INITD_PROTOCOL_H

#include <stddef.h>
#include <stdint.h>

struct buffer;
struct error;

/** What both sides speak. A monitor that is greeted with another version gives up with a clear message. */
enum { PROTOCOL_VERSION = 1 };

/** The vsock port of the host that vminitd connects to. Ports for stdio are chosen by the host, from the next one up.
 */
enum { PROTOCOL_PORT_CONTROL = 1024, PROTOCOL_PORT_STDIO = 1025 };

/** Limits. All are checked by the encoder too, so that what cannot be received is refused where it is asked for. */
enum {
    PROTOCOL_HEADER_SIZE = 8,
    PROTOCOL_TO_GUEST_MAX = 2 * 1024 * 1024, /**< payload of a frame to the guest: argv and env dominate */
    PROTOCOL_TO_HOST_MAX = 4096,             /**< payload of a frame to the host */
    PROTOCOL_ARGUMENT_MAX = 131071,          /**< bytes of one argument or variable: Linux' MAX_ARG_STRLEN */
    PROTOCOL_ARGUMENTS_MAX = 32768,          /**< arguments, or variables, of one process */
    PROTOCOL_PATH_MAX = 4095,
    PROTOCOL_HOSTNAME_MAX = 64,
    PROTOCOL_USER_MAX = 256,
    PROTOCOL_ENTROPY_MAX = 256,
    PROTOCOL_MOUNTS_MAX = 64,
    PROTOCOL_FSTYPE_MAX = 32,
    PROTOCOL_MOUNT_DATA_MAX = 4095,
    PROTOCOL_FILES_MAX = 16,
    PROTOCOL_FILE_BYTES_MAX = 65536,
    PROTOCOL_TEXT_MAX = 512, /**< of an error in words */
};

enum protocol_type {
    PROTOCOL_HELLO = 1,
    PROTOCOL_CONFIGURE,
    PROTOCOL_START,
    PROTOCOL_STARTED,
    PROTOCOL_START_FAILED,
    PROTOCOL_EXITED,
    PROTOCOL_SIGNAL,
    PROTOCOL_SHUTDOWN,
    PROTOCOL_ERROR,
    PROTOCOL_TYPES_END,
};

/** Who receives: decides which messages are acceptable and how long they may be. */
enum protocol_receiver { PROTOCOL_RECEIVER_HOST, PROTOCOL_RECEIVER_GUEST };

/** Bytes with a length. Decoded: borrowed from the frame. */
struct protocol_bytes {
    const uint8_t *bytes;
    uint32_t length;
};

/** Texts, with a NULL after the last one, as execve(2) wants them. Decoded: the array is owned by the message. */
struct protocol_texts {
    const char **items;
    uint32_t count;
};

/** guest → host: vminitd runs. */
struct protocol_hello {
    uint32_t version;
    uint64_t features;  /**< bit mask of what it can do beyond the version; none are defined yet */
    uint64_t uptime_ns; /**< how long the guest's kernel has run by its own clock; for display only */
};

/** One mount(2), made in the order given; a missing target directory is made first. */
struct protocol_mount {
    const char *source;
    const char *target; /**< absolute, in vminitd's own file system */
    const char *fstype;
    uint64_t flags; /**< MS_* of mount(2) */
    const char *data;
};

/** Mounts. Decoded: the array is owned by the message. */
struct protocol_mounts {
    struct protocol_mount *items;
    uint32_t count;
};

/** A file that the runtime owns in a container, such as /etc/hosts: mounted over what the image has there. */
struct protocol_file {
    const char *target; /**< absolute, in the container's file system */
    struct protocol_bytes contents;
};

/** Files. Decoded: the array is owned by the message. */
struct protocol_files {
    struct protocol_file *items;
    uint32_t count;
};

/** host → guest, once, before the first START: what this machine is to be. */
struct protocol_configure {
    uint64_t realtime_ns; /**< CLOCK_REALTIME of the host, nanoseconds */
    struct protocol_bytes entropy;
    const char *hostname;
    struct protocol_mounts mounts;
    const char *root; /**< where, after the mounts, the container's root file system is */
    struct protocol_files files;
};

/** Bits of protocol_start.flags. TERMINAL is reserved: a guest of this version refuses it. */
enum { PROTOCOL_START_TERMINAL = 1 };

/** host → guest: start a process in the container. */
struct protocol_start {
    uint32_t process; /**< the host's name for it in later messages; not 0, not in use */
    uint32_t flags;
    uint32_t umask;
    uint32_t stdin_port; /**< vsock ports of the host; 0 = /dev/null */
    uint32_t stdout_port;
    uint32_t stderr_port;
    const char *cwd;            /**< absolute; made if it is not there */
    const char *user;           /**< OCI image-spec, config.md, "User": names are looked up in the container */
    struct protocol_texts argv; /**< at least one */
    struct protocol_texts env;
};

/** guest → host: the process's own program runs. */
struct protocol_started {
    uint32_t process;
    uint64_t uptime_ns; /**< as in HELLO */
};

/** Why a process did not start: what a shell would make of it. */
enum protocol_start_failure {
    PROTOCOL_START_SYSTEM = 1,     /**< the machine could not: text and errno say why */
    PROTOCOL_START_NOT_FOUND,      /**< no such program in the container */
    PROTOCOL_START_NOT_EXECUTABLE, /**< it is there and cannot be executed */
    PROTOCOL_START_USER,           /**< the user or group is not known in the container */
};

/** guest → host: it does not run, and EXITED will not follow. */
struct protocol_start_failed {
    uint32_t process;
    uint32_t reason; /**< enum protocol_start_failure; anything else is to be taken for SYSTEM */
    uint32_t code;   /**< errno of the guest */
    const char *text;
};

/** guest → host: it ended, and every byte it wrote is on its way. */
struct protocol_exited {
    uint32_t process;
    uint32_t code;   /**< exit status 0..255, when signal is 0 */
    uint32_t signal; /**< the signal that ended it, or 0 */
};

/** host → guest. A process that has ended already is no error. */
struct protocol_signal {
    uint32_t process;
    uint32_t signal;
};

/** Bits of protocol_shutdown.flags. DISCARD: nobody will read the disks again, so there is nothing to write back. */
enum { PROTOCOL_SHUTDOWN_DISCARD = 1 };

/** How long processes get between SIGTERM and SIGKILL when nobody said. */
enum { PROTOCOL_GRACE_DEFAULT_MS = 2000 };

/** host → guest: end what runs, write back, power off. */
struct protocol_shutdown {
    uint32_t grace_ms; /**< from SIGTERM to SIGKILL */
    uint32_t flags;
};

/** guest → host: what was asked for could not be done; the machine is of no more use. */
struct protocol_error {
    uint32_t code; /**< errno of the guest */
    const char *text;
};

/** Any message. A decoded text is never NULL. */
struct protocol_message {
    enum protocol_type type;
    union {
        struct protocol_hello hello;
        struct protocol_configure configure;
        struct protocol_start start;
        struct protocol_started started;
        struct protocol_start_failed start_failed;
        struct protocol_exited exited;
        struct protocol_signal signal;
        struct protocol_shutdown shutdown;
        struct protocol_error error;
    };
};

/** The name of a type for messages to people; "?" for an unknown one. */
const char *protocol_type_name(uint32_t type);

/**
 * Appends one whole frame.
 * @param message  a NULL text is sent as an empty one
 * @return 0; -E2BIG when a field or the frame is above its maximum or @p out is full (then @p out is unchanged)
 */
int protocol_encode(struct buffer *out, const struct protocol_message *message, struct error *err);

/**
 * Reads a frame's header.
 * @param bytes   PROTOCOL_HEADER_SIZE bytes
 * @param length  set to the payload's length, at most the receiver's maximum
 * @return the type, or -EPROTO when the receiver must not get such a frame
 */
int protocol_decode_header(const uint8_t *bytes, enum protocol_receiver receiver, uint32_t *length, struct error *err);

/**
 * Decodes a payload whose header was accepted.
 * @param message  texts and bytes in it point into @p payload; release with protocol_message_done()
 * @return 0, -EPROTO or -ENOMEM; on failure there is nothing to release
 */
int protocol_decode(struct protocol_message *message, enum protocol_type type, const uint8_t *payload, uint32_t length,
                    struct error *err);

/** Frees what decoding allocated; leaves an empty message of type 0, which is fine to release again. */
void protocol_message_done(struct protocol_message *message);

#endif
