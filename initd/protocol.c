/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One table describes every message; the encoder and the decoder both walk it, so they cannot disagree. A field is
 * where it stands in the C struct, how it stands on the wire, and how long it may be.
 */
#include "initd/protocol.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/bytes.h"
#include "base/error.h"
#include "base/reader.h"

enum field_kind { FIELD_U32, FIELD_U64, FIELD_BYTES, FIELD_TEXT, FIELD_ARRAY };

struct record;

struct field {
    enum field_kind kind;
    uint32_t max; /* bytes, or records of an array; numbers have none */
    size_t offset;
    const struct record *record; /* of an array */
};

/* The fields of a message or of one record of an array. Records hold no arrays. */
struct record {
    size_t size; /* of the C struct */
    size_t field_count;
    const struct field *fields;
};

/* Every array in a message has this shape. */
struct array {
    void *items;
    uint32_t count;
};

#define U32(type, member)                                                                                              \
    {                                                                                                                  \
        FIELD_U32, 0, offsetof(struct type, member), NULL                                                              \
    }
#define U64(type, member)                                                                                              \
    {                                                                                                                  \
        FIELD_U64, 0, offsetof(struct type, member), NULL                                                              \
    }
#define BYTES(type, member, max)                                                                                       \
    {                                                                                                                  \
        FIELD_BYTES, max, offsetof(struct type, member), NULL                                                          \
    }
#define TEXT(type, member, max)                                                                                        \
    {                                                                                                                  \
        FIELD_TEXT, max, offsetof(struct type, member), NULL                                                           \
    }
#define ARRAY(type, member, max, record)                                                                               \
    {                                                                                                                  \
        FIELD_ARRAY, max, offsetof(struct type, member), record                                                        \
    }
#define RECORD(type, fields)                                                                                           \
    {                                                                                                                  \
        sizeof(struct type), sizeof(fields) / sizeof(fields)[0], fields                                                \
    }
#define ARRAY_SHAPE(type)                                                                                              \
    _Static_assert(sizeof(struct type) == sizeof(struct array) &&                                                      \
                       offsetof(struct type, count) == offsetof(struct array, count),                                  \
                   "an array in a message is a pointer and a count")

ARRAY_SHAPE(protocol_texts);
ARRAY_SHAPE(protocol_mounts);
ARRAY_SHAPE(protocol_files);

static const struct field text_item_fields[] = {{FIELD_TEXT, PROTOCOL_ARGUMENT_MAX, 0, NULL}};
static const struct record text_item = {sizeof(const char *), 1, text_item_fields};

static const struct field mount_fields[] = {
    TEXT(protocol_mount, source, PROTOCOL_PATH_MAX),     TEXT(protocol_mount, target, PROTOCOL_PATH_MAX),
    TEXT(protocol_mount, fstype, PROTOCOL_FSTYPE_MAX),   U64(protocol_mount, flags),
    TEXT(protocol_mount, data, PROTOCOL_MOUNT_DATA_MAX),
};
static const struct record mount_record = RECORD(protocol_mount, mount_fields);

static const struct field file_fields[] = {
    TEXT(protocol_file, target, PROTOCOL_PATH_MAX),
    BYTES(protocol_file, contents, PROTOCOL_FILE_BYTES_MAX),
};
static const struct record file_record = RECORD(protocol_file, file_fields);

static const struct field hello_fields[] = {
    U32(protocol_hello, version),
    U64(protocol_hello, features),
    U64(protocol_hello, uptime_ns),
};
static const struct field configure_fields[] = {
    U64(protocol_configure, realtime_ns),
    BYTES(protocol_configure, entropy, PROTOCOL_ENTROPY_MAX),
    TEXT(protocol_configure, hostname, PROTOCOL_HOSTNAME_MAX),
    ARRAY(protocol_configure, mounts, PROTOCOL_MOUNTS_MAX, &mount_record),
    TEXT(protocol_configure, root, PROTOCOL_PATH_MAX),
    ARRAY(protocol_configure, files, PROTOCOL_FILES_MAX, &file_record),
};
static const struct field start_fields[] = {
    U32(protocol_start, process),
    U32(protocol_start, flags),
    U32(protocol_start, umask),
    U32(protocol_start, stdin_port),
    U32(protocol_start, stdout_port),
    U32(protocol_start, stderr_port),
    TEXT(protocol_start, cwd, PROTOCOL_PATH_MAX),
    TEXT(protocol_start, user, PROTOCOL_USER_MAX),
    ARRAY(protocol_start, argv, PROTOCOL_ARGUMENTS_MAX, &text_item),
    ARRAY(protocol_start, env, PROTOCOL_ARGUMENTS_MAX, &text_item),
};
static const struct field started_fields[] = {
    U32(protocol_started, process),
    U64(protocol_started, uptime_ns),
};
static const struct field start_failed_fields[] = {
    U32(protocol_start_failed, process),
    U32(protocol_start_failed, reason),
    U32(protocol_start_failed, code),
    TEXT(protocol_start_failed, text, PROTOCOL_TEXT_MAX),
};
static const struct field exited_fields[] = {
    U32(protocol_exited, process),
    U32(protocol_exited, code),
    U32(protocol_exited, signal),
};
static const struct field signal_fields[] = {
    U32(protocol_signal, process),
    U32(protocol_signal, signal),
};
static const struct field shutdown_fields[] = {
    U32(protocol_shutdown, grace_ms),
    U32(protocol_shutdown, flags),
};
static const struct field error_fields[] = {
    U32(protocol_error, code),
    TEXT(protocol_error, text, PROTOCOL_TEXT_MAX),
};

/* Who receives a message, and what it consists of. */
static const struct message_kind {
    const char *name;
    enum protocol_receiver receiver;
    struct record record;
} kinds[PROTOCOL_TYPES_END] = {
    [PROTOCOL_HELLO] = {"HELLO", PROTOCOL_RECEIVER_HOST, RECORD(protocol_hello, hello_fields)},
    [PROTOCOL_CONFIGURE] = {"CONFIGURE", PROTOCOL_RECEIVER_GUEST, RECORD(protocol_configure, configure_fields)},
    [PROTOCOL_START] = {"START", PROTOCOL_RECEIVER_GUEST, RECORD(protocol_start, start_fields)},
    [PROTOCOL_STARTED] = {"STARTED", PROTOCOL_RECEIVER_HOST, RECORD(protocol_started, started_fields)},
    [PROTOCOL_START_FAILED] = {"START_FAILED", PROTOCOL_RECEIVER_HOST,
                               RECORD(protocol_start_failed, start_failed_fields)},
    [PROTOCOL_EXITED] = {"EXITED", PROTOCOL_RECEIVER_HOST, RECORD(protocol_exited, exited_fields)},
    [PROTOCOL_SIGNAL] = {"SIGNAL", PROTOCOL_RECEIVER_GUEST, RECORD(protocol_signal, signal_fields)},
    [PROTOCOL_SHUTDOWN] = {"SHUTDOWN", PROTOCOL_RECEIVER_GUEST, RECORD(protocol_shutdown, shutdown_fields)},
    [PROTOCOL_ERROR] = {"ERROR", PROTOCOL_RECEIVER_HOST, RECORD(protocol_error, error_fields)},
};

static const uint32_t payload_max[] = {
    [PROTOCOL_RECEIVER_HOST] = PROTOCOL_TO_HOST_MAX,
    [PROTOCOL_RECEIVER_GUEST] = PROTOCOL_TO_GUEST_MAX,
};

static const struct message_kind *kind_of(uint32_t type)
{
    return type < PROTOCOL_TYPES_END && kinds[type].name ? &kinds[type] : NULL;
}

const char *protocol_type_name(uint32_t type)
{
    const struct message_kind *kind = kind_of(type);
    return kind ? kind->name : "?";
}

/* ---- encoding ---- */

static bool encode_record(struct buffer *out, const struct record *record, const uint8_t *source);

static bool encode_sized(struct buffer *out, const void *bytes, size_t length, uint32_t max)
{
    if (length > max)
        return false;
    buffer_append_le32(out, (uint32_t)length);
    if (length)
        buffer_append(out, bytes, length);
    return true;
}

static bool encode_array(struct buffer *out, const struct field *field, const uint8_t *at)
{
    struct array array;
    memcpy(&array, at, sizeof array);
    if (array.count > field->max)
        return false;
    buffer_append_le32(out, array.count);
    for (uint32_t i = 0; i < array.count; i++)
        if (!encode_record(out, field->record, (const uint8_t *)array.items + i * field->record->size))
            return false;
    return true;
}

static bool encode_field(struct buffer *out, const struct field *field, const uint8_t *at)
{
    uint32_t number32;
    uint64_t number64;
    struct protocol_bytes bytes;
    const char *text;
    switch (field->kind) {
    case FIELD_U32:
        memcpy(&number32, at, sizeof number32);
        buffer_append_le32(out, number32);
        return true;
    case FIELD_U64:
        memcpy(&number64, at, sizeof number64);
        buffer_append_le64(out, number64);
        return true;
    case FIELD_BYTES:
        memcpy(&bytes, at, sizeof bytes);
        return encode_sized(out, bytes.bytes, bytes.length, field->max);
    case FIELD_TEXT:
        memcpy(&text, at, sizeof text);
        if (!encode_sized(out, text, text ? strlen(text) : 0, field->max))
            return false;
        buffer_append_u8(out, 0);
        return true;
    case FIELD_ARRAY:
        return encode_array(out, field, at);
    }
    return false;
}

static bool encode_record(struct buffer *out, const struct record *record, const uint8_t *source)
{
    for (size_t i = 0; i < record->field_count; i++)
        if (!encode_field(out, &record->fields[i], source + record->fields[i].offset))
            return false;
    return !out->failed;
}

int protocol_encode(struct buffer *out, const struct protocol_message *message, struct error *err)
{
    const struct message_kind *kind = kind_of(message->type);
    if (!kind)
        return error_set(err, EINVAL, "there is no message of type %u", message->type);
    size_t before = out->length;
    buffer_append_le32(out, 0);
    buffer_append_le32(out, message->type);
    bool fits = encode_record(out, &kind->record, (const uint8_t *)&message->hello);
    size_t payload = out->length - before - PROTOCOL_HEADER_SIZE;
    if (!fits || out->failed || payload > payload_max[kind->receiver]) {
        out->length = before;
        out->failed = false;
        return error_set(err, E2BIG, "a %s message is too long for the guest's control connection", kind->name);
    }
    store_le32(out->bytes + before, (uint32_t)payload);
    return 0;
}

/* ---- decoding ---- */

int protocol_decode_header(const uint8_t *bytes, enum protocol_receiver receiver, uint32_t *length, struct error *err)
{
    uint32_t payload = load_le32(bytes);
    uint32_t type = load_le32(bytes + 4);
    const struct message_kind *kind = kind_of(type);
    if (!kind || kind->receiver != receiver)
        return error_set(err, EPROTO, "unexpected message of type %u", type);
    if (payload > payload_max[receiver])
        return error_set(err, EPROTO, "a %s message of %u bytes is above the maximum of %u", kind->name, payload,
                         payload_max[receiver]);
    *length = payload;
    return (int)type;
}

static int decode_record(struct reader *in, const struct record *record, uint8_t *target);

/* Wire bytes of the smallest possible field: bounds an array's count by what is left before memory is asked for. */
static size_t least_size(const struct record *record)
{
    static const size_t least[] = {
        [FIELD_U32] = 4, [FIELD_U64] = 8, [FIELD_BYTES] = 4, [FIELD_TEXT] = 5, [FIELD_ARRAY] = 4};
    size_t size = 0;
    for (size_t i = 0; i < record->field_count; i++)
        size += least[record->fields[i].kind];
    return size;
}

static int decode_bytes(struct reader *in, const struct field *field, struct protocol_bytes *bytes)
{
    uint32_t length = reader_le32(in);
    if (length > field->max)
        return -EPROTO;
    *bytes = (struct protocol_bytes){reader_take(in, length), length};
    return in->failed ? -EPROTO : 0;
}

static int decode_text(struct reader *in, const struct field *field, const char **text)
{
    uint32_t length = reader_le32(in);
    if (length > field->max)
        return -EPROTO;
    const char *taken = reader_take(in, (size_t)length + 1);
    if (!taken || taken[length] != 0 || memchr(taken, 0, length))
        return -EPROTO;
    *text = taken;
    return 0;
}

static int decode_array(struct reader *in, const struct field *field, struct array *array)
{
    uint32_t count = reader_le32(in);
    if (in->failed || count > field->max || count * least_size(field->record) > in->left)
        return -EPROTO;
    /* One zeroed record more: the NULL after the last text. */
    uint8_t *items = calloc((size_t)count + 1, field->record->size);
    if (!items)
        return -ENOMEM;
    for (uint32_t i = 0; i < count; i++) {
        int rc = decode_record(in, field->record, items + i * field->record->size);
        if (rc < 0) {
            free(items);
            return rc;
        }
    }
    *array = (struct array){items, count};
    return 0;
}

static int decode_field(struct reader *in, const struct field *field, uint8_t *at)
{
    uint32_t number32;
    uint64_t number64;
    struct protocol_bytes bytes;
    const char *text;
    struct array array;
    int rc;
    switch (field->kind) {
    case FIELD_U32:
        number32 = reader_le32(in);
        memcpy(at, &number32, sizeof number32);
        return in->failed ? -EPROTO : 0;
    case FIELD_U64:
        number64 = reader_le64(in);
        memcpy(at, &number64, sizeof number64);
        return in->failed ? -EPROTO : 0;
    case FIELD_BYTES:
        rc = decode_bytes(in, field, &bytes);
        if (rc == 0)
            memcpy(at, &bytes, sizeof bytes);
        return rc;
    case FIELD_TEXT:
        rc = decode_text(in, field, &text);
        if (rc == 0)
            memcpy(at, &text, sizeof text);
        return rc;
    case FIELD_ARRAY:
        rc = decode_array(in, field, &array);
        if (rc == 0)
            memcpy(at, &array, sizeof array);
        return rc;
    }
    return -EPROTO;
}

static int decode_record(struct reader *in, const struct record *record, uint8_t *target)
{
    for (size_t i = 0; i < record->field_count; i++) {
        int rc = decode_field(in, &record->fields[i], target + record->fields[i].offset);
        if (rc < 0)
            return rc;
    }
    return 0;
}

int protocol_decode(struct protocol_message *out, enum protocol_type type, const uint8_t *payload, uint32_t length,
                    struct error *err)
{
    const struct message_kind *kind = kind_of(type);
    if (!kind)
        return error_set(err, EPROTO, "unexpected message of type %u", type);
    struct protocol_message message = {.type = type};
    struct reader in = reader_over(payload, length);
    int rc = decode_record(&in, &kind->record, (uint8_t *)&message.hello);
    if (rc == 0 && !reader_complete(&in))
        rc = -EPROTO;
    if (rc < 0) {
        protocol_message_done(&message);
        return rc == -ENOMEM ? error_set(err, ENOMEM, "out of memory for a message")
                             : error_set(err, EPROTO, "a malformed %s message", kind->name);
    }
    *out = message;
    return 0;
}

void protocol_message_done(struct protocol_message *message)
{
    const struct message_kind *kind = kind_of(message->type);
    for (size_t i = 0; kind && i < kind->record.field_count; i++) {
        const struct field *field = &kind->record.fields[i];
        struct array array;
        if (field->kind != FIELD_ARRAY)
            continue;
        memcpy(&array, (uint8_t *)&message->hello + field->offset, sizeof array);
        free(array.items);
    }
    *message = (struct protocol_message){0};
}
