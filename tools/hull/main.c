/* SPDX-License-Identifier: Apache-2.0 */
/* hull: finds the command, parses its options by its table, runs it, prints the one error. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/log.h"
#include "tools/hull/command.h"

/* A program started without 0, 1 or 2 would open its files as those. */
static void fill_standard_descriptors(void)
{
    int fd;
    do {
        fd = open("/dev/null", O_RDWR);
    } while (fd >= 0 && fd <= 2);
    if (fd > 2)
        close(fd);
}

static bool wants_help(int argc, char **argv)
{
    for (int i = 0; i < argc && argv[i][0] == '-' && strcmp(argv[i], "--") != 0; i++)
        if (strcmp(argv[i], "--help") == 0)
            return true;
    return false;
}

static int check_operands(const struct command *command, int count, struct error *err)
{
    if (count < command->operands_min || (command->operands_max >= 0 && count > command->operands_max))
        return error_set(err, EINVAL, "usage: hull %s%s %s", command->name, command->options ? " [OPTIONS]" : "",
                         command->operands);
    return 0;
}

static int run_command(const struct command *command, int argc, char **argv, struct error *err)
{
    static const struct option no_options[] = {OPTION_END};
    cleanup_free void *values = calloc(1, command->values_size + 1);
    if (!values)
        return error_set(err, ENOMEM, "out of memory");
    if (command->defaults)
        memcpy(values, command->defaults, command->values_size);
    int count = options_parse(command->options ? command->options : no_options, values, argv, argc,
                              command->stop_at_operand, err);
    if (count < 0)
        return error_context(err, count, "%s", command->name);
    argv[count] = NULL;
    int rc = check_operands(command, count, err);
    return rc < 0 ? rc : command->run(values, argv, count, err);
}

/* Output that could not be written is a failure too. */
static int flush_output(const struct command *command, int status)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return status;
    log_error("cannot write to standard output: %s", strerror(errno));
    return command->failure_status;
}

int main(int argc, char **argv)
{
    struct error err = {0};
    fill_standard_descriptors();
    log_setup("hull", getenv("HULL_DEBUG") ? LOG_LEVEL_DEBUG : LOG_LEVEL_WARN);
    if (argc < 2 || strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
        command_print_help(NULL);
        return flush_output(&command_help, argc < 2 ? STATUS_FAILED : STATUS_OK);
    }
    int words = 1;
    const struct command *command =
        strcmp(argv[1], "--version") == 0 ? &command_version : command_find(argv + 1, argc - 1, &words, &err);
    if (!command) {
        log_error("%s", err.text);
        return STATUS_FAILED;
    }
    argc -= 1 + words;
    argv += 1 + words;
    if (wants_help(argc, argv)) {
        command_print_help(command);
        return flush_output(command, STATUS_OK);
    }
    int status = run_command(command, argc, argv, &err);
    if (status < 0) {
        log_error("%s", err.text);
        return command->failure_status;
    }
    return flush_output(command, status);
}
