/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/tar_builder.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK = 512, NAME_FIELD = 100 };

/* POSIX ustar */
struct header {
    char name[NAME_FIELD];
    char mode[8];
    char uid[8];
    char gid[8];
    char size[12];
    char mtime[12];
    char checksum[8];
    char type;
    char link[NAME_FIELD];
    char magic[6];
    char version[2];
    char user[32];
    char group[32];
    char major[8];
    char minor[8];
    char prefix[155];
    char padding[12];
};
_Static_assert(sizeof(struct header) == BLOCK, "size of a tar header");

static void append(struct buffer *tar, const void *bytes, size_t length)
{
    static const char zeros[BLOCK];
    buffer_append(tar, bytes, length);
    buffer_append(tar, zeros, (BLOCK - length % BLOCK) % BLOCK);
    if (tar->failed)
        abort();
}

/* Octal if it fits, else GNU's base 256. */
static void put_number(char *field, size_t size, uint64_t number)
{
    if (number < 1ULL << (3 * (size - 1))) {
        char text[32];
        snprintf(text, sizeof text, "%0*llo", (int)(size - 1), (unsigned long long)number);
        memcpy(field, text, size);
        return;
    }
    for (size_t i = size; i-- > 0; number >>= 8)
        field[i] = (char)(number & 0xff);
    field[0] = (char)0x80;
}

static void put_header(struct buffer *tar, const struct tar_spec *spec, char type, size_t size)
{
    struct header header = {.magic = "ustar", .version = {'0', '0'}, .type = type};
    strncpy(header.name, spec->name, sizeof header.name);
    if (spec->link)
        strncpy(header.link, spec->link, sizeof header.link);
    put_number(header.mode, sizeof header.mode, spec->mode ? spec->mode : type == '5' ? 0755 : 0644);
    put_number(header.uid, sizeof header.uid, spec->uid);
    put_number(header.gid, sizeof header.gid, spec->gid);
    put_number(header.size, sizeof header.size, size);
    put_number(header.mtime, sizeof header.mtime, spec->mtime);
    put_number(header.major, sizeof header.major, spec->major);
    put_number(header.minor, sizeof header.minor, spec->minor);
    memset(header.checksum, ' ', sizeof header.checksum);
    unsigned sum = 0;
    for (size_t i = 0; i < sizeof header; i++)
        sum += ((const unsigned char *)&header)[i];
    snprintf(header.checksum, sizeof header.checksum, "%06o", sum);
    append(tar, &header, sizeof header);
}

/* `LENGTH KEY=VALUE\n`, where the length counts itself. */
static void put_record(struct buffer *records, const char *key, const char *value, size_t length)
{
    size_t rest = 1 + strlen(key) + 1 + length + 1, total = rest;
    for (size_t last = 0; total != last;) {
        last = total;
        total = rest + (size_t)snprintf(NULL, 0, "%zu", total);
    }
    buffer_append_format(records, "%zu %s=", total, key);
    buffer_append(records, value, length);
    buffer_append(records, "\n", 1);
}

static void put_pax(struct buffer *tar, const struct tar_spec *spec)
{
    struct buffer records = TAR_BUILDER_INIT;
    if (strlen(spec->name) > NAME_FIELD)
        put_record(&records, "path", spec->name, strlen(spec->name));
    if (spec->link && strlen(spec->link) > NAME_FIELD)
        put_record(&records, "linkpath", spec->link, strlen(spec->link));
    for (size_t i = 0; i < sizeof spec->records / sizeof spec->records[0] && spec->records[i].key; i++) {
        const struct tar_record *record = &spec->records[i];
        put_record(&records, record->key, record->value, record->length ? record->length : strlen(record->value));
    }
    if (records.length) {
        put_header(tar, &(struct tar_spec){.name = "pax"}, 'x', records.length);
        append(tar, records.bytes, records.length);
    }
    buffer_done(&records);
}

void tar_add(struct buffer *tar, const struct tar_spec *spec)
{
    size_t length = spec->length ? spec->length : spec->content ? strlen(spec->content) : 0;
    put_pax(tar, spec);
    put_header(tar, spec, spec->type ? spec->type : '0', length);
    if (length)
        append(tar, spec->content, length);
}

void tar_end(struct buffer *tar)
{
    static const char zeros[2 * BLOCK];
    append(tar, zeros, sizeof zeros);
}
