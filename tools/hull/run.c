/* SPDX-License-Identifier: Apache-2.0 */
/* hull run. */
#include "runtime/run.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/log.h"
#include "image/image.h"
#include "image/pull.h"
#include "image/store.h"
#include "runtime/run_timeline.h"
#include "tools/hull/command.h"
#include "tools/hull/progress.h"

/* What the options fill. */
struct values {
    bool remove;
    bool interactive;
    bool terminal;
    bool console;
    bool timeline;
    struct option_list env;
    const char *working_dir;
    const char *user;
    const char *entrypoint;
    const char *name;
    const char *kernel;
    const char *pull;
    const char *platform;
    uint64_t memory;
    uint32_t cpus;
};

static const struct values defaults = {
    .remove = true,
    .pull = "missing",
    .memory = RUN_MEMORY_DEFAULT,
    .cpus = RUN_CPUS_DEFAULT,
};

#define AT(member) .offset = offsetof(struct values, member)

static const struct option options[] = {
    {.name = "rm", .kind = OPTION_FLAG, .help = "Keep nothing when it ends (always so: see above)", AT(remove)},
    {.name = "interactive", .letter = 'i', .kind = OPTION_FLAG, .help = "Connect standard input", AT(interactive)},
    {.name = "tty", .letter = 't', .kind = OPTION_FLAG, .help = "Not there yet: refused", AT(terminal)},
    {.name = "env",
     .letter = 'e',
     .kind = OPTION_LIST,
     .argument = "NAME=VALUE",
     .help = "Set a variable; a NAME alone passes hull's own on",
     AT(env)},
    {.name = "workdir",
     .letter = 'w',
     .kind = OPTION_TEXT,
     .argument = "DIR",
     .help = "Start there; made if missing",
     AT(working_dir)},
    {.name = "user",
     .letter = 'u',
     .kind = OPTION_TEXT,
     .argument = "USER[:GROUP]",
     .help = "Names or numbers; names as in the image",
     AT(user)},
    {.name = "entrypoint",
     .kind = OPTION_TEXT,
     .argument = "PROGRAM",
     .help = "Instead of the image's; \"\" for none",
     AT(entrypoint)},
    {.name = "memory",
     .letter = 'm',
     .kind = OPTION_SIZE,
     .argument = "SIZE",
     .help = "Memory of the machine, such as 256m (default 512m)",
     AT(memory)},
    {.name = "cpus",
     .kind = OPTION_NUMBER,
     .argument = "N",
     .help = "CPUs of the machine (default 1)",
     AT(cpus),
     .least = 1,
     .most = RUN_CPUS_MAX},
    {.name = "name", .kind = OPTION_TEXT, .argument = "NAME", .help = "A name for the container", AT(name)},
    {.name = "pull",
     .kind = OPTION_TEXT,
     .argument = "WHEN",
     .help = "always, missing or never (default missing)",
     AT(pull)},
    {.name = "platform",
     .kind = OPTION_TEXT,
     .argument = "OS/ARCH[/VARIANT]",
     .help = "Insist on an image for this one, such as linux/amd64",
     AT(platform)},
    {.name = "kernel",
     .kind = OPTION_TEXT,
     .argument = "FILE",
     .help = "Boot this vmlinux instead of hull's own",
     AT(kernel)},
    {.name = "console", .kind = OPTION_FLAG, .help = "Show the guest kernel's messages on stderr", AT(console)},
    {.name = "timeline", .kind = OPTION_FLAG, .help = "Show on stderr where the time went", AT(timeline)},
    OPTION_END,
};

/* What the image must be made for: this machine, or what was asked for if this machine can run it. */
static int wanted_platform(const char *text, struct platform *platform, struct error *err)
{
    struct platform host;
    char name[PLATFORM_TEXT_MAX];
    platform_host(&host);
    platform_format(&host, name);
    *platform = host;
    if (!text)
        return 0;
    int rc = platform_parse(platform, text, err);
    if (rc < 0)
        return error_context(err, rc, "--platform");
    if (platform_distance(&host, platform) < 0)
        return error_set(err, EINVAL, "--platform: this machine runs %s, not '%s'", name, text);
    return 0;
}

/* Opens an image of the store. One for another platform counts as not there. */
static int open_fitting(struct store *store, const struct reference *reference, const struct platform *platform,
                        struct image *image, struct error *err)
{
    struct image opened = IMAGE_NONE;
    int rc = image_open(store, reference, &opened, err);
    if (rc < 0)
        return rc;
    if (opened.config.platform.os[0] && platform_distance(platform, &opened.config.platform) < 0) {
        char name[PLATFORM_TEXT_MAX];
        platform_format(&opened.config.platform, name);
        image_done(&opened);
        return error_set(err, ENOENT, "the image of that name on this machine is for %s", name);
    }
    *image = opened;
    return 0;
}

/* Opens the image, pulled first if that is asked for. Progress goes to standard error: output is the container's. */
static int open_image(struct store *store, const char *name, const struct values *asked, struct image *image,
                      struct error *err)
{
    const char *when = asked->pull;
    struct reference reference;
    struct pull_options pull = {.progress = progress_print, .context = stderr};
    bool always = strcmp(when, "always") == 0;
    bool never = strcmp(when, "never") == 0;
    if (!always && !never && strcmp(when, "missing") != 0)
        return error_set(err, EINVAL, "--pull: '%s' is neither always nor missing nor never", when);
    int rc = reference_parse(&reference, name, err);
    if (rc == 0)
        rc = wanted_platform(asked->platform, &pull.platform, err);
    if (rc < 0)
        return rc;
    if (!always) {
        rc = open_fitting(store, &reference, &pull.platform, image, err);
        if (rc != -ENOENT || never)
            return rc;
        *err = (struct error){0};
    }
    rc = image_pull(store, &reference, &pull, NULL, err);
    return rc < 0 ? rc : image_open(store, &reference, image, err);
}

/* The exit status, as users know them from docker. */
static int status_of(const struct monitor_outcome *outcome)
{
    switch (outcome->end) {
    case MONITOR_EXITED:
        return outcome->value;
    case MONITOR_SIGNALED:
    case MONITOR_INTERRUPTED:
        return 128 + outcome->value;
    case MONITOR_NOT_FOUND:
        log_error("cannot run %s", outcome->text);
        return STATUS_NOT_FOUND;
    case MONITOR_NOT_EXECUTABLE:
        log_error("cannot run %s", outcome->text);
        return STATUS_NOT_EXECUTABLE;
    }
    return STATUS_RUN_FAILED;
}

static int run_image(const struct values *asked, struct store *store, char **operands, int count,
                     struct run_timeline *timeline, struct error *err)
{
    struct image image = IMAGE_NONE;
    struct monitor_outcome outcome;
    int rc = open_image(store, operands[0], asked, &image, err);
    if (rc < 0)
        return rc;
    run_timeline_mark(timeline, RUN_TIMELINE_IMAGE_OPENED);
    struct run_request request = {
        .image = &image,
        .overrides =
            {
                .entrypoint = asked->entrypoint,
                .arguments = operands + 1,
                .argument_count = (size_t)count - 1,
                .env = asked->env.items,
                .env_count = asked->env.count,
                .working_dir = asked->working_dir,
                .user = asked->user,
            },
        .name = asked->name,
        .kernel = asked->kernel,
        .tmp_dir = store_tmp_dir(store),
        .memory = asked->memory,
        .cpus = asked->cpus,
        .interactive = asked->interactive,
        .console = asked->console,
        .timeline = timeline,
    };
    rc = run_container(&request, &outcome, err);
    image_done(&image);
    if (rc < 0)
        return rc;
    if (outcome.output_error && outcome.output_error != EPIPE)
        return error_set_errno(err, outcome.output_error, "not all of the container's output could be written");
    return status_of(&outcome);
}

static int run(void *values, char **operands, int count, struct error *err)
{
    const struct values *asked = values;
    struct run_timeline timeline = {0};
    struct store *store = NULL;
    run_timeline_mark(&timeline, RUN_TIMELINE_START);
    if (asked->terminal)
        return error_set(err, ENOTSUP, "run -t: terminals are not there yet; run it without -t");
    if (!asked->remove)
        return error_set(err, ENOTSUP, "run --rm=false: containers cannot be kept yet; run it without");
    int rc = run_check_size(asked->memory, asked->cpus, err);
    if (rc == 0)
        rc = store_open(&store, NULL, err);
    if (rc < 0)
        return rc;
    rc = run_image(asked, store, operands, count, &timeline, err);
    store_close(store);
    if (asked->timeline)
        run_timeline_print(&timeline, stderr);
    return rc;
}

const struct command command_run = {
    .name = "run",
    .summary = "Run a command in a new container",
    .operands = "IMAGE [COMMAND [ARG...]]",
    .description = "Starts a virtual machine for the container, connects its standard streams, and exits with the\n"
                   "command's exit status: 128+N when signal N ended it, 127 when the image has no such command,\n"
                   "126 when it cannot be executed, 125 when hull itself failed. Signals sent to hull go to the\n"
                   "command; the third SIGINT or SIGTERM kills it.\n\n"
                   "What the container writes to its file system is thrown away when it ends, with and without --rm:\n"
                   "there is no command yet that could use it.",
    .example = "  echo hello | hull run --rm -i busybox sha256sum",
    .options = options,
    .operands_min = 1,
    .operands_max = -1,
    .stop_at_operand = true,
    .failure_status = STATUS_RUN_FAILED,
    .values_size = sizeof(struct values),
    .defaults = &defaults,
    .run = run,
};
