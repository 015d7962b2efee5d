/* SPDX-License-Identifier: Apache-2.0 */
/* hull help: everything in it comes from the commands' structs. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "tools/hull/command.h"

enum { OPTION_COLUMN = 26 };

static void print_option(const struct option *option)
{
    char form[64];
    char letter[5] = "    ";
    if (option->letter)
        snprintf(letter, sizeof letter, "-%c, ", option->letter);
    snprintf(form, sizeof form, "%s--%s%s%s", letter, option->name, option->argument ? " " : "",
             option->argument ? option->argument : "");
    printf("  %-*s  %s\n", OPTION_COLUMN, form, option->help);
}

static void print_command(const struct command *command)
{
    printf("hull %s: %s\n\nUsage: hull %s%s%s%s\n", command->name, command->summary, command->name,
           command->options ? " [OPTIONS]" : "", command->operands[0] ? " " : "", command->operands);
    if (command->description)
        printf("\n%s\n", command->description);
    if (command->options)
        printf("\nOptions:\n");
    for (const struct option *option = command->options; option && option->name; option++)
        print_option(option);
    printf("\nExample:\n%s\n", command->example);
}

/* What hull and its tools read from the environment. */
static const struct {
    const char *name;
    const char *meaning;
} variables[] = {
    {"HULL_ROOT", "where images are kept (/var/lib/hull; ~/.local/share/hull for others than root)"},
    {"HULL_RUN", "where running containers have their sockets (/run/hull; $XDG_RUNTIME_DIR/hull)"},
    {"HULL_VMM", "the hull-vmm to start, instead of hull's own"},
    {"HULL_KERNEL", "the guest kernel, an ELF vmlinux, instead of hull's own"},
    {"HULL_INITRAMFS", "the guest's boot file system, instead of hull's own"},
    {"HULL_REGISTRY_MIRRORS", "REGISTRY=MIRROR,...: asked in this order before the registry itself"},
    {"HULL_INSECURE_REGISTRIES", "HOST:PORT,...: may speak plain HTTP, as those on loopback may"},
    {"REGISTRY_AUTH_FILE", "the file of logins, instead of podman's and docker's"},
    {"SSL_CERT_FILE", "certificates to believe, instead of the system's (CURL_CA_BUNDLE goes before it)"},
    {"HULL_DEBUG", "if set, say on standard error what goes on"},
};

static void print_list(void)
{
    printf("hull runs each container in a virtual machine of its own.\n\nUsage: hull COMMAND [OPTIONS] ...\n\n"
           "Commands:\n");
    for (const struct command *const *command = commands; *command; command++)
        printf("  %-13s  %s\n", (*command)->name, (*command)->summary);
    printf("\nEnvironment:\n");
    for (size_t i = 0; i < sizeof variables / sizeof variables[0]; i++)
        printf("  %-24s  %s\n", variables[i].name, variables[i].meaning);
    printf("\n'hull help COMMAND' or 'hull COMMAND --help' says more. 'hull doctor' says whether this machine can run "
           "containers.\n");
}

void command_print_help(const struct command *command)
{
    if (command)
        print_command(command);
    else
        print_list();
}

static int run(void *values, char **operands, int count, struct error *err)
{
    (void)values;
    int words;
    const struct command *command = count ? command_find(operands, count, &words, err) : NULL;
    if (count && !command)
        return -EINVAL;
    command_print_help(command);
    return STATUS_OK;
}

const struct command command_help = {
    .name = "help",
    .summary = "Say what hull and its commands do",
    .operands = "[COMMAND]",
    .example = "  hull help run",
    .operands_max = 2,
    .failure_status = STATUS_FAILED,
    .run = run,
};
