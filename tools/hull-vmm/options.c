/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/hull-vmm/options.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/checked.h"
#include "base/error.h"

/* Each option: one row. `argument` NULL means that it takes none. */
struct option_row {
    const char *name;
    const char *argument;
    const char *help;
    /* @return 0 or an exit status */
    int (*apply)(struct options *options, const char *value, struct error *err);
};

void options_init(struct options *options)
{
    *options = (struct options){.log_level = LOG_LEVEL_WARN};
    machine_config_init(&options->config);
}

void options_done(struct options *options)
{
    machine_config_done(&options->config);
}

/* ---- values ------------------------------------------------------------------------------------------------------ */

/* Keeps a copy of `length` bytes. */
static int set_text(char **field, const char *value, size_t length, struct error *err)
{
    char *copy = strndup(value, length);
    if (!copy) {
        error_set(err, ENOMEM, "out of memory");
        return EX_OSERR;
    }
    free(*field);
    *field = copy;
    return 0;
}

static int set_path(struct resource *resource, const char *value, size_t length, struct error *err)
{
    if (length == 0) {
        error_set(err, EINVAL, "a path is empty");
        return EX_USAGE;
    }
    resource->inherited = -1;
    return set_text(&resource->path, value, length, err);
}

/* A decimal number up to `max`; *rest is what follows it. */
static bool parse_number(const char *text, uint64_t max, uint64_t *number, const char **rest)
{
    if (*text < '0' || *text > '9')
        return false;
    char *end;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    if (errno || value > max)
        return false;
    *number = value;
    *rest = end;
    return true;
}

static int set_number(uint64_t max, const char *value, uint64_t *number, struct error *err)
{
    const char *rest;
    if (parse_number(value, max, number, &rest) && !*rest)
        return 0;
    error_set(err, EINVAL, "'%s' is not a number from 0 to %llu", value, (unsigned long long)max);
    return EX_USAGE;
}

/* The last `,word` of the text, without the comma: a path may hold commas. NULL when there is none. */
static const char *last_word(const char *text, size_t length)
{
    const char *comma = memrchr(text, ',', length);
    return comma ? comma + 1 : NULL;
}

static bool starts_with(const char *text, size_t length, const char *start)
{
    return length >= strlen(start) && memcmp(text, start, strlen(start)) == 0;
}

/* ---- options ----------------------------------------------------------------------------------------------------- */

static int apply_kernel(struct options *options, const char *value, struct error *err)
{
    return set_path(&options->config.kernel, value, strlen(value), err);
}

static int apply_initramfs(struct options *options, const char *value, struct error *err)
{
    return set_path(&options->config.initramfs, value, strlen(value), err);
}

static int apply_cmdline(struct options *options, const char *value, struct error *err)
{
    return set_text(&options->config.cmdline, value, strlen(value), err);
}

static int apply_cpus(struct options *options, const char *value, struct error *err)
{
    uint64_t number;
    int status = set_number(UINT32_MAX, value, &number, err);
    if (status == 0)
        options->config.cpus = (unsigned)number;
    return status;
}

static int apply_memory(struct options *options, const char *value, struct error *err)
{
    static const struct {
        const char *suffix;
        unsigned shift;
    } units[] = {{"", 0}, {"K", 10}, {"M", 20}, {"G", 30}};
    uint64_t number;
    const char *rest;
    if (parse_number(value, UINT64_MAX, &number, &rest))
        for (size_t i = 0; i < sizeof units / sizeof units[0]; i++)
            if (strcmp(rest, units[i].suffix) == 0 &&
                checked_mul_u64(number, UINT64_C(1) << units[i].shift, &options->config.memory))
                return 0;
    error_set(err, EINVAL, "'%s' is not a size: a number of bytes, or with K, M or G", value);
    return EX_USAGE;
}

static int apply_disk(struct options *options, const char *value, struct error *err)
{
    struct machine_config *config = &options->config;
    struct disk_config *disk = machine_config_next_disk(config);
    if (!disk) {
        error_set(err, EINVAL, "more than %d disks", CONFIG_DISKS_MAX);
        return EX_USAGE;
    }

    size_t length = strlen(value);
    int status = 0;
    for (const char *word; status == 0 && (word = last_word(value, length));) {
        size_t word_length = length - (size_t)(word - value);
        if (word_length == 2 && starts_with(word, word_length, "ro"))
            disk->readonly = true;
        else if (starts_with(word, word_length, "id="))
            status = set_text(&disk->id, word + 3, word_length - 3, err);
        else
            break;
        length -= word_length + 1;
    }
    if (status == 0)
        status = set_path(&disk->image, value, length, err);
    if (status == 0)
        config->disk_count++;
    return status;
}

static int apply_vsock(struct options *options, const char *value, struct error *err)
{
    size_t length = strlen(value);
    const char *word = last_word(value, length);
    if (word && starts_with(word, strlen(word), "cid=")) {
        uint64_t cid = 0;
        int status = set_number(UINT32_MAX, word + 4, &cid, err);
        if (status)
            return status;
        options->config.vsock.cid = (uint32_t)cid;
        length = (size_t)(word - value) - 1;
    }
    options->config.vsock.present = true;
    return set_path(&options->config.vsock.socket, value, length, err);
}

static int apply_serial(struct options *options, const char *value, struct error *err)
{
    (void)value;
    (void)err;
    options->config.serial_mode = SERIAL_STDIO;
    return 0;
}

static int apply_no_rng(struct options *options, const char *value, struct error *err)
{
    (void)value;
    (void)err;
    options->config.rng = false;
    return 0;
}

static int apply_config(struct options *options, const char *value, struct error *err)
{
    uint64_t number;
    const char *rest;
    bool inherited = parse_number(value, INT32_MAX, &number, &rest) && !*rest;
    int fd = inherited ? (int)number : open(value, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        error_set_errno(err, errno, "cannot open '%s'", value);
        return EX_NOINPUT;
    }
    options->from_file = true;
    int rc = machine_config_read(&options->config, fd, err);
    close(fd);
    if (rc < 0)
        error_context(err, rc, "'%s'", value);
    return rc == 0 ? 0 : rc == -EINVAL ? EX_DATAERR : EX_NOINPUT;
}

static int apply_stats(struct options *options, const char *value, struct error *err)
{
    (void)value;
    (void)err;
    options->stats = true;
    return 0;
}

static int apply_unconfined(struct options *options, const char *value, struct error *err)
{
    (void)value;
    (void)err;
    options->unconfined = true;
    return 0;
}

static int apply_log_level(struct options *options, const char *value, struct error *err)
{
    static const char *const names[] = {
        [LOG_LEVEL_ERROR] = "error",
        [LOG_LEVEL_WARN] = "warn",
        [LOG_LEVEL_INFO] = "info",
        [LOG_LEVEL_DEBUG] = "debug",
    };
    for (enum log_level level = LOG_LEVEL_ERROR; level <= LOG_LEVEL_DEBUG; level++)
        if (strcmp(value, names[level]) == 0) {
            options->log_level = level;
            return 0;
        }
    error_set(err, EINVAL, "'%s' is none of error, warn, info, debug", value);
    return EX_USAGE;
}

static int apply_help(struct options *options, const char *value, struct error *err)
{
    (void)value;
    (void)err;
    options->wish = OPTIONS_HELP;
    return 0;
}

static int apply_version(struct options *options, const char *value, struct error *err)
{
    (void)value;
    (void)err;
    options->wish = OPTIONS_VERSION;
    return 0;
}

static const struct option_row rows[] = {
    {"--kernel", "PATH", "uncompressed vmlinux (ELF) to start; needed", apply_kernel},
    {"--initramfs", "PATH", "initial root file system (cpio)", apply_initramfs},
    {"--cmdline", "TEXT", "kernel command line; what announces the devices is put before it", apply_cmdline},
    {"--disk", "PATH[,ro][,id=NAME]", "raw disk image, as /dev/vda, then /dev/vdb ...", apply_disk},
    {"--cpus", "N", "1 to 32; default 1", apply_cpus},
    {"--memory", "SIZE[K|M|G]", "32M to 1024G; default 512M", apply_memory},
    {"--vsock", "PATH[,cid=N]", "vsock device behind a Unix socket made at PATH; default cid 3", apply_vsock},
    {"--serial", NULL,
     "serial console on standard input and output; adds console=ttyS0 to a\n"
     "command line without console=",
     apply_serial},
    {"--no-rng", NULL, "no entropy device", apply_no_rng},
    {"--config", "FILE|FD", "read all this from JSON; a number is an open descriptor; later options win", apply_config},
    {"--stats", NULL, "when the machine has ended, print VM exits and the time of each stage", apply_stats},
    {"--unconfined", NULL, "keep all rights: no jail, no system call filters. For debuggers only", apply_unconfined},
    {"--log-level", "LEVEL", "error, warn, info or debug; default warn", apply_log_level},
    {"--help", NULL, "print this", apply_help},
    {"--version", NULL, "print the version", apply_version},
};

void options_print_help(FILE *stream)
{
    fputs("usage: hull-vmm --kernel VMLINUX [OPTION]...\n"
          "Runs one virtual machine on /dev/kvm until the guest powers off.\n\n",
          stream);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char left[48];
        snprintf(left, sizeof left, "%s%s%s", rows[i].name, rows[i].argument ? " " : "",
                 rows[i].argument ? rows[i].argument : "");
        const char *line = rows[i].help;
        for (const char *head = left; line; head = "") {
            const char *end = strchr(line, '\n');
            int length = end ? (int)(end - line) : (int)strlen(line);
            fprintf(stream, "  %-28s %.*s\n", head, length, line);
            line = end ? end + 1 : NULL;
        }
    }
    fputs(
        "\nA command line for a guest that ends with it: `reboot=k panic=-1`. The guest powers off by writing 0x34 to\n"
        "port 0x600, or resets by writing 0xfe to port 0x64; both end hull-vmm.\n\n"
        "exit status:\n"
        "  0      the guest powered off or reset\n"
        "  64     wrong usage\n"
        "  65     kernel, initramfs, command line or configuration are not usable\n"
        "  66     a file cannot be opened\n"
        "  69     /dev/kvm is missing, not permitted or lacks something\n"
        "  70     the guest crashed: triple fault, or KVM gave up\n"
        "  71     the system refused something\n"
        "  128+N  stopped by signal N (SIGTERM, SIGINT, SIGHUP)\n",
        stream);
}

/* ---- the command line -------------------------------------------------------------------------------------------- */

static const struct option_row *find_row(const char *argument, size_t length)
{
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (strlen(rows[i].name) == length && strncmp(rows[i].name, argument, length) == 0)
            return &rows[i];
    return NULL;
}

/* Applies argv[*index] and moves *index past it and its value. */
static int apply_argument(struct options *options, int argc, char **argv, int *index, struct error *err)
{
    const char *argument = argv[(*index)++];
    const char *equals = strchr(argument, '=');
    size_t length = equals ? (size_t)(equals - argument) : strlen(argument);
    const struct option_row *row = find_row(argument, length);
    if (!row) {
        error_set(err, EINVAL, "unknown argument '%s'; see --help", argument);
        return EX_USAGE;
    }
    const char *value = equals ? equals + 1 : NULL;
    if (!row->argument && value) {
        error_set(err, EINVAL, "%s takes no value", row->name);
        return EX_USAGE;
    }
    if (row->argument && !value) {
        if (*index == argc) {
            error_set(err, EINVAL, "%s needs a value: %s", row->name, row->argument);
            return EX_USAGE;
        }
        value = argv[(*index)++];
    }
    int status = row->apply(options, value, err);
    if (status)
        error_context(err, -1, "%s", row->name);
    return status;
}

/* A console that was asked for is one that the kernel talks to. */
static int add_console(struct machine_config *config, struct error *err)
{
    static const char console[] = "console=ttyS0";
    const char *given = config->cmdline ? config->cmdline : "";
    if (config->serial_mode != SERIAL_STDIO || strstr(given, "console="))
        return 0;
    size_t size = sizeof console + 1 + strlen(given);
    char *joined = malloc(size);
    if (!joined) {
        error_set(err, ENOMEM, "out of memory");
        return EX_OSERR;
    }
    snprintf(joined, size, "%s %s", console, given);
    free(config->cmdline);
    config->cmdline = joined;
    return 0;
}

int options_parse(struct options *options, int argc, char **argv, struct error *err)
{
    for (int index = 1; index < argc && options->wish == OPTIONS_RUN;) {
        int status = apply_argument(options, argc, argv, &index, err);
        if (status)
            return status;
    }
    return options->wish == OPTIONS_RUN ? add_console(&options->config, err) : 0;
}
