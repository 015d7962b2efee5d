/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/process_spec.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "image/config.h"

static int add_all(struct strings *strings, char *const *items, size_t count, struct error *err)
{
    int rc = 0;
    for (size_t i = 0; i < count && rc == 0; i++)
        rc = strings_add(strings, items[i], err);
    return rc;
}

static int make_argv(struct strings *argv, const struct image_config *image, const struct process_overrides *overrides,
                     struct error *err)
{
    int rc;
    if (!overrides->entrypoint)
        rc = add_all(argv, image->entrypoint.items, image->entrypoint.count, err);
    else
        rc = overrides->entrypoint[0] ? strings_add(argv, overrides->entrypoint, err) : 0;
    if (rc < 0)
        return rc;
    if (overrides->argument_count > 0)
        rc = add_all(argv, overrides->arguments, overrides->argument_count, err);
    else if (!overrides->entrypoint)
        rc = add_all(argv, image->cmd.items, image->cmd.count, err);
    if (rc == 0 && argv->count == 0)
        return error_set(err, EINVAL, "the image has no default command; say what to run after its name");
    return rc;
}

static int apply_variable(struct strings *env, const char *text, struct error *err)
{
    if (text[0] == 0 || text[0] == '=')
        return error_set(err, EINVAL, "'%s' is no variable; write NAME=value", text);
    if (strchr(text, '='))
        return strings_set_variable(env, text, err);
    const char *value = getenv(text);
    strings_remove_variable(env, text);
    return value ? strings_add_format(env, err, "%s=%s", text, value) : 0;
}

static int make_env(struct strings *env, const struct image_config *image, const struct process_overrides *overrides,
                    const char *hostname, struct error *err)
{
    int rc = strings_add(env, PROCESS_SPEC_PATH, err);
    if (rc == 0)
        rc = strings_add_format(env, err, "HOSTNAME=%s", hostname);
    for (size_t i = 0; i < image->env.count && rc == 0; i++)
        if (strchr(image->env.items[i], '='))
            rc = strings_set_variable(env, image->env.items[i], err);
    for (size_t i = 0; i < overrides->env_count && rc == 0; i++)
        rc = apply_variable(env, overrides->env[i], err);
    return rc;
}

static int make_working_dir(char **working_dir, const struct image_config *image,
                            const struct process_overrides *overrides, struct error *err)
{
    const char *wanted = overrides->working_dir ? overrides->working_dir : image->working_dir;
    if (overrides->working_dir && wanted[0] != '/')
        return error_set(err, EINVAL, "the working directory '%s' is not an absolute path", wanted);
    /* An image's relative one is taken from the root, as docker does. */
    size_t size = strlen(wanted) + 1;
    size_t slash = wanted[0] != '/';
    char *absolute = malloc(size + slash);
    if (!absolute)
        return error_set(err, ENOMEM, "out of memory for a working directory");
    absolute[0] = '/';
    memcpy(absolute + slash, wanted, size);
    *working_dir = absolute;
    return 0;
}

int process_spec_make(struct process_spec *out, const struct image_config *image,
                      const struct process_overrides *overrides, const char *hostname, struct error *err)
{
    struct process_spec spec = {0};
    int rc = make_argv(&spec.argv, image, overrides, err);
    if (rc == 0)
        rc = make_env(&spec.env, image, overrides, hostname, err);
    if (rc == 0)
        rc = make_working_dir(&spec.working_dir, image, overrides, err);
    if (rc == 0 && !(spec.user = strdup(overrides->user ? overrides->user : image->user)))
        rc = error_set(err, ENOMEM, "out of memory for a user");
    if (rc < 0) {
        process_spec_done(&spec);
        return rc;
    }
    *out = spec;
    return 0;
}

void process_spec_done(struct process_spec *spec)
{
    strings_done(&spec->argv);
    strings_done(&spec->env);
    free(spec->working_dir);
    free(spec->user);
    *spec = (struct process_spec){0};
}
