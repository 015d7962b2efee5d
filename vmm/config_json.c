/* SPDX-License-Identifier: Apache-2.0 */
/* The JSON form of struct machine_config. Each object is a table of keys: how to read a value, and into which field. */
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/fd.h"
#include "vmm/config.h"

/* How the value of a key is read. @param field  the field of the struct that the table is about */
struct key {
    const char *name;
    int (*read)(void *field, const json_t *value, struct error *err);
    size_t offset;
};

static int wrong_type(const char *wanted, struct error *err)
{
    return error_set(err, EINVAL, "must be %s", wanted);
}

static int read_object(void *target, const json_t *object, const struct key *keys, size_t count, struct error *err)
{
    if (!json_is_object(object))
        return wrong_type("an object", err);
    const char *name;
    json_t *value;
    /* jansson's iterators take objects that are not const, and do not change them. */
    json_object_foreach((json_t *)(uintptr_t)object, name, value)
    {
        size_t i = 0;
        while (i < count && strcmp(keys[i].name, name) != 0)
            i++;
        if (i == count)
            return error_set(err, EINVAL, "unknown key '%s'", name);
        int rc = keys[i].read((char *)target + keys[i].offset, value, err);
        if (rc < 0)
            return error_context(err, rc, "%s", name);
    }
    return 0;
}

/* ---- plain values ------------------------------------------------------------------------------------------------ */

static int read_integer(json_int_t *number, json_int_t max, const json_t *value, struct error *err)
{
    if (!json_is_integer(value))
        return wrong_type("an integer", err);
    json_int_t given = json_integer_value(value);
    if (given < 0 || given > max)
        return error_set(err, EINVAL, "must be 0 to %lld, not %lld", (long long)max, (long long)given);
    *number = given;
    return 0;
}

static int read_u32(void *field, const json_t *value, struct error *err)
{
    json_int_t number = 0;
    int rc = read_integer(&number, UINT32_MAX, value, err);
    if (rc == 0)
        *(uint32_t *)field = (uint32_t)number;
    return rc;
}

static int read_u64(void *field, const json_t *value, struct error *err)
{
    json_int_t number = 0;
    int rc = read_integer(&number, INT64_MAX, value, err);
    if (rc == 0)
        *(uint64_t *)field = (uint64_t)number;
    return rc;
}

static int read_bool(void *field, const json_t *value, struct error *err)
{
    if (!json_is_boolean(value))
        return wrong_type("true or false", err);
    *(bool *)field = json_is_true(value);
    return 0;
}

static int read_string(void *field, const json_t *value, struct error *err)
{
    if (!json_is_string(value))
        return wrong_type("a string", err);
    if (strlen(json_string_value(value)) != json_string_length(value))
        return error_set(err, EINVAL, "must not hold a NUL character");
    char *copy = strdup(json_string_value(value));
    if (!copy)
        return error_set(err, ENOMEM, "out of memory");
    free(*(char **)field);
    *(char **)field = copy;
    return 0;
}

static int read_descriptor(void *field, const json_t *value, struct error *err)
{
    json_int_t number = 0;
    int rc = read_integer(&number, INT32_MAX, value, err);
    if (rc == 0)
        *(int *)field = (int)number;
    return rc;
}

/* ---- objects ----------------------------------------------------------------------------------------------------- */

/* The two ways to name a resource that lies at `offset` in the struct of the table. */
#define RESOURCE_KEYS(offset)                                                                                          \
    {"path", read_string, (offset) + offsetof(struct resource, path)},                                                 \
    {                                                                                                                  \
        "fd", read_descriptor, (offset) + offsetof(struct resource, inherited)                                         \
    }

#define KEY_COUNT(keys) (sizeof(keys) / sizeof(keys)[0])

static int check_one_source(const struct resource *resource, struct error *err)
{
    if (resource->path && resource->inherited >= 0)
        return error_set(err, EINVAL, "has both a path and a descriptor");
    if (!resource_given(resource))
        return error_set(err, EINVAL, "has neither a path nor a descriptor");
    return 0;
}

static int read_resource(void *field, const json_t *value, struct error *err)
{
    static const struct key keys[] = {RESOURCE_KEYS(0)};
    int rc = read_object(field, value, keys, KEY_COUNT(keys), err);
    return rc < 0 ? rc : check_one_source(field, err);
}

static int read_disk(struct disk_config *disk, const json_t *value, struct error *err)
{
    static const struct key keys[] = {
        RESOURCE_KEYS(offsetof(struct disk_config, image)),
        {"readonly", read_bool, offsetof(struct disk_config, readonly)},
        {"id", read_string, offsetof(struct disk_config, id)},
    };
    int rc = read_object(disk, value, keys, KEY_COUNT(keys), err);
    return rc < 0 ? rc : check_one_source(&disk->image, err);
}

static int read_disks(void *field, const json_t *value, struct error *err)
{
    struct machine_config *config = field;
    if (!json_is_array(value))
        return wrong_type("an array", err);
    if (json_array_size(value) > CONFIG_DISKS_MAX)
        return error_set(err, EINVAL, "has more than %d disks", CONFIG_DISKS_MAX);
    for (size_t i = 0; i < json_array_size(value); i++) {
        int rc = read_disk(&config->disks[i], json_array_get(value, i), err);
        if (rc < 0)
            return error_context(err, rc, "disk %zu", i);
        config->disk_count = (unsigned)i + 1;
    }
    return 0;
}

static int read_vsock(void *field, const json_t *value, struct error *err)
{
    static const struct key keys[] = {
        RESOURCE_KEYS(offsetof(struct machine_config, vsock.socket)),
        {"cid", read_u32, offsetof(struct machine_config, vsock.cid)},
    };
    struct machine_config *config = field;
    config->vsock.present = true;
    int rc = read_object(config, value, keys, KEY_COUNT(keys), err);
    return rc < 0 ? rc : check_one_source(&config->vsock.socket, err);
}

static int read_serial(void *field, const json_t *value, struct error *err)
{
    struct machine_config *config = field;
    if (json_is_string(value)) {
        if (strcmp(json_string_value(value), "stdio") != 0)
            return wrong_type("\"stdio\" or an object", err);
        config->serial_mode = SERIAL_STDIO;
        return 0;
    }
    config->serial_mode = SERIAL_RESOURCE;
    return read_resource(&config->serial, value, err);
}

/* Readers that fill several fields get the whole struct: offset 0. */
static const struct key machine_keys[] = {
    {"cpus", read_u32, offsetof(struct machine_config, cpus)},
    {"memory", read_u64, offsetof(struct machine_config, memory)},
    {"kvm", read_resource, offsetof(struct machine_config, kvm)},
    {"kernel", read_resource, offsetof(struct machine_config, kernel)},
    {"initramfs", read_resource, offsetof(struct machine_config, initramfs)},
    {"cmdline", read_string, offsetof(struct machine_config, cmdline)},
    {"disks", read_disks, 0},
    {"vsock", read_vsock, 0},
    {"rng", read_bool, offsetof(struct machine_config, rng)},
    {"serial", read_serial, 0},
};

_Static_assert(sizeof(unsigned) == sizeof(uint32_t), "cpus is read as a uint32_t");

int machine_config_parse(struct machine_config *config, const char *text, size_t length, struct error *err)
{
    json_error_t json_error;
    json_t *root = json_loadb(text, length, JSON_REJECT_DUPLICATES, &json_error);
    if (!root)
        return error_set(err, EINVAL, "line %d, column %d: %s", json_error.line, json_error.column, json_error.text);
    int rc = read_object(config, root, machine_keys, KEY_COUNT(machine_keys), err);
    json_decref(root);
    return rc;
}

int machine_config_read(struct machine_config *config, int fd, struct error *err)
{
    cleanup_free char *text = malloc(CONFIG_TEXT_MAX + 1);
    if (!text)
        return error_set(err, ENOMEM, "out of memory");
    ssize_t n = fd_read_full(fd, text, CONFIG_TEXT_MAX + 1);
    if (n < 0)
        return error_set_errno(err, (int)-n, "cannot read");
    if (n > CONFIG_TEXT_MAX)
        return error_set(err, EINVAL, "is longer than %d bytes", CONFIG_TEXT_MAX);
    return machine_config_parse(config, text, (size_t)n, err);
}
