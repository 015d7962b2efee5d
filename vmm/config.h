/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a machine is made of. Comes from a JSON file or from the command line, is checked here once, and is all that
 * machine.c knows.
 *
 *   {
 *     "cpus": 1, "memory": 536870912,
 *     "kernel": {"path": "vmlinux"}, "initramfs": {"fd": 4}, "cmdline": "quiet",
 *     "disks": [{"path": "root.ext4", "readonly": true, "id": "rootfs"}],
 *     "vsock": {"cid": 3, "path": "vm.sock"}, "rng": true, "serial": "stdio"
 *   }
 *
 * Every file or socket is a resource: a path, opened before the process confines itself, or the number of a descriptor
 * that is open already. The parser is strict: an unknown or repeated key, a wrong type or a number out of range is an
 * error that says where.
 */
#ifndef VMM_CONFIG_H
#define VMM_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct error;

/** Most bytes of JSON, disks, and bytes of a disk's id. */
enum { CONFIG_TEXT_MAX = 64 * 1024, CONFIG_DISKS_MAX = 16, CONFIG_DISK_ID_MAX = 20 };

/** A file or socket, named in one of two ways. */
struct resource {
    char *path;    /**< owned; NULL = not by path */
    int inherited; /**< number of a descriptor that the process was started with; -1 = not by descriptor */
    int fd;        /**< owned; -1 until resources.h has opened or adopted it */
};

#define RESOURCE_NONE                                                                                                  \
    (struct resource)                                                                                                  \
    {                                                                                                                  \
        .inherited = -1, .fd = -1                                                                                      \
    }

/** Whether it is named at all. */
bool resource_given(const struct resource *resource);

struct disk_config {
    struct resource image;
    bool readonly;
    char *id; /**< owned; NULL = none; at most CONFIG_DISK_ID_MAX printable bytes */
};

enum serial_mode {
    SERIAL_NONE,
    SERIAL_STDIO,    /**< standard input and output */
    SERIAL_RESOURCE, /**< one file, terminal, pipe or socket for both directions */
};

struct machine_config {
    unsigned cpus;       /**< 1..LAYOUT_VCPUS_MAX */
    uint64_t memory;     /**< bytes; memory_check_size() */
    struct resource kvm; /**< nothing = /dev/kvm */
    struct resource kernel;
    struct resource initramfs; /**< may be nothing */
    char *cmdline;             /**< owned; NULL = empty */
    struct disk_config disks[CONFIG_DISKS_MAX];
    unsigned disk_count;
    struct {
        bool present;
        uint32_t cid;
        struct resource socket; /**< listening; a path is created */
    } vsock;
    bool rng;
    enum serial_mode serial_mode;
    struct resource serial;
};

/** Most resources of one machine: kvm, kernel, initramfs, vsock, serial and the disks. */
enum { CONFIG_RESOURCES_MAX = 5 + CONFIG_DISKS_MAX };

/** Lists all resources, given or not. @return how many */
unsigned machine_config_resources(struct machine_config *config, struct resource *list[CONFIG_RESOURCES_MAX]);

/** Where the next disk goes; it counts once disk_count is raised. @return NULL when there are CONFIG_DISKS_MAX */
struct disk_config *machine_config_next_disk(struct machine_config *config);

/** The defaults: one CPU, 512 MiB, an entropy device, nothing else. */
void machine_config_init(struct machine_config *config);

/** Frees strings and closes the descriptors that are open and not taken. */
void machine_config_done(struct machine_config *config);

/**
 * Reads a configuration over the defaults.
 * @param text  JSON, @p length bytes
 * @return 0 or -EINVAL with line and column, or the key, in words; *config then holds what was read so far
 */
int machine_config_parse(struct machine_config *config, const char *text, size_t length, struct error *err);

/** Reads a whole file of at most CONFIG_TEXT_MAX bytes and parses it. @return 0 or -errno */
int machine_config_read(struct machine_config *config, int fd, struct error *err);

/** Checks that everything is there and in range. @return 0 or -EINVAL */
int machine_config_check(const struct machine_config *config, struct error *err);

#endif
