/* SPDX-License-Identifier: Apache-2.0 */
/* hull load. */
#include "image/load.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "image/store.h"
#include "tools/hull/command.h"
#include "tools/hull/prune.h"

struct values {
    const char *input;
    const char *name;
    bool quiet;
};

static const struct option options[] = {
    {.name = "input",
     .letter = 'i',
     .kind = OPTION_TEXT,
     .argument = "SOURCE",
     .help = "A file or a layout's directory, not standard input",
     .offset = offsetof(struct values, input)},
    {.name = "name",
     .kind = OPTION_TEXT,
     .argument = "IMAGE",
     .help = "Call the one image that is in there so",
     .offset = offsetof(struct values, name)},
    {.name = "quiet",
     .letter = 'q',
     .kind = OPTION_FLAG,
     .help = "Print nothing",
     .offset = offsetof(struct values, quiet)},
    OPTION_END,
};

/* Where an image comes from, as skopeo writes it: [TRANSPORT:]PATH[:NAME]. */
struct source {
    enum load_format format;
    char path[PATH_MAX];
    const char *select; /* NULL = all; borrowed */
};

static int parse_source(struct source *source, const char *text, struct error *err)
{
    static const struct {
        const char *prefix;
        enum load_format format;
    } transports[] = {{"oci:", LOAD_OCI}, {"oci-archive:", LOAD_OCI}, {"docker-archive:", LOAD_DOCKER}};
    *source = (struct source){.format = LOAD_ANY};
    size_t length = strlen(text);
    for (size_t i = 0; i < sizeof transports / sizeof transports[0]; i++) {
        size_t prefix = strlen(transports[i].prefix);
        if (strncmp(text, transports[i].prefix, prefix) != 0)
            continue;
        source->format = transports[i].format;
        text += prefix;
        length = strcspn(text, ":");
        source->select = text[length] && text[length + 1] ? text + length + 1 : NULL;
        break;
    }
    if (length == 0 || length >= sizeof source->path)
        return error_set(err, EINVAL, "--input: '%.100s' names no file", text);
    memcpy(source->path, text, length);
    return 0;
}

static void print_loaded(void *context, const struct reference *reference, const struct digest *manifest)
{
    char name[REFERENCE_TEXT_MAX];
    char digest[DIGEST_TEXT_MAX];
    reference_format_familiar(reference, name);
    digest_format(manifest, digest);
    fprintf(context, "Loaded image: %s\nDigest: %s\n", name, digest);
}

static int load(const struct source *source, const struct load_options *how, struct error *err)
{
    bool standard = !source->path[0];
    if (standard && isatty(STDIN_FILENO))
        return error_set(err, EINVAL, "an archive is wanted on standard input, or with -i FILE");
    cleanup_fd int fd = standard ? fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3) : open(source->path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return error_set_errno(err, errno, "cannot open it");
    struct store *store;
    int rc = store_open(&store, NULL, err);
    if (rc < 0)
        return rc;
    rc = image_load(store, fd, how, err);
    if (rc < 0)
        prune_after_failure(store);
    store_close(store);
    return rc;
}

static int run(void *values, char **operands, int count, struct error *err)
{
    (void)operands;
    (void)count;
    const struct values *asked = values;
    struct source source = {.format = LOAD_ANY};
    struct reference name;
    int rc = asked->input ? parse_source(&source, asked->input, err) : 0;
    if (rc == 0 && asked->name && (rc = reference_parse(&name, asked->name, err)) < 0)
        rc = error_context(err, rc, "--name");
    if (rc < 0)
        return rc;
    const struct load_options how = {.format = source.format,
                                     .select = source.select,
                                     .name = asked->name ? &name : NULL,
                                     .done = asked->quiet ? NULL : print_loaded,
                                     .context = stdout};
    rc = load(&source, &how, err);
    if (rc < 0 && source.path[0])
        rc = error_context(err, rc, "'%s'", source.path);
    return rc < 0 ? rc : STATUS_OK;
}

const struct command command_load = {
    .name = "load",
    .summary = "Read images from an archive or an OCI layout",
    .operands = "",
    .description = "SOURCE is a file, or a directory with an OCI layout; what it is shows by itself. As for skopeo it\n"
                   "may also be oci:DIR[:NAME], oci-archive:FILE[:NAME] or docker-archive:FILE[:NAME], where NAME is\n"
                   "the one image of several that is wanted. Everything is verified as in a pull.",
    .example = "  docker save debian | hull load\n"
               "  hull load -i oci:layout:latest --name localhost/mine",
    .options = options,
    .failure_status = STATUS_FAILED,
    .values_size = sizeof(struct values),
    .run = run,
};
