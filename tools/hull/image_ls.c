/* SPDX-License-Identifier: Apache-2.0 */
/* hull image ls. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "base/error.h"
#include "tools/hull/command.h"
#include "tools/hull/image_files.h"

struct name {
    uint32_t inode;
    char text[256];
};

struct names {
    struct name *list;
    size_t count, capacity;
};

/* ---- one line ---------------------------------------------------------------------------------------------------- */

/* As ls(1) writes it: drwxr-sr-x */
static void format_mode(uint16_t mode, char text[static 11])
{
    static const char types[16] = {[S_IFREG >> 12] = '-', [S_IFDIR >> 12] = 'd', [S_IFLNK >> 12] = 'l',
                                   [S_IFCHR >> 12] = 'c', [S_IFBLK >> 12] = 'b', [S_IFIFO >> 12] = 'p',
                                   [S_IFSOCK >> 12] = 's'};
    static const struct {
        uint16_t bit;
        int place;
        char with_execution, without;
    } special[] = {{S_ISUID, 3, 's', 'S'}, {S_ISGID, 6, 's', 'S'}, {S_ISVTX, 9, 't', 'T'}};
    text[0] = types[mode >> 12] ? types[mode >> 12] : '?';
    for (int i = 0; i < 9; i++)
        text[1 + i] = mode >> (8 - i) & 1 ? "rwx"[i % 3] : '-';
    for (size_t i = 0; i < sizeof special / sizeof special[0]; i++)
        if (mode & special[i].bit)
            text[special[i].place] = text[special[i].place] == 'x' ? special[i].with_execution : special[i].without;
    text[10] = '\0';
}

/* Control characters would be orders to the terminal. */
static void print_text(const char *text)
{
    for (; *text; text++) {
        unsigned char byte = (unsigned char)*text;
        if (byte < ' ' || byte == 0x7f || byte == '\\')
            printf("\\%03o", byte);
        else
            putchar(byte);
    }
}

static void print_size(const struct ext4_file *file)
{
    char numbers[32];
    (void)snprintf(numbers, sizeof numbers, "%u, %u", file->major, file->minor);
    if (S_ISCHR(file->mode) || S_ISBLK(file->mode))
        printf("%12s", numbers);
    else
        printf("%12" PRIu64, file->size);
}

static int print_line(const struct ext4_reader *reader, const struct ext4_file *file, const char *name,
                      struct error *err)
{
    char mode[11], target[4096], time[32] = "";
    time_t seconds = (time_t)file->mtime;
    struct tm parts;
    format_mode(file->mode, mode);
    if (gmtime_r(&seconds, &parts))
        (void)strftime(time, sizeof time, "%Y-%m-%d %H:%M:%S", &parts);
    int rc = S_ISLNK(file->mode) ? ext4_reader_target(reader, file, target, err) : 0;
    if (rc < 0)
        return rc;
    printf("%s %4u %5u %5u ", mode, file->links, file->uid, file->gid);
    print_size(file);
    printf(" %s ", time);
    print_text(name);
    if (S_ISLNK(file->mode)) {
        printf(" -> ");
        print_text(target);
    }
    putchar('\n');
    return 0;
}

/* ---- directories ------------------------------------------------------------------------------------------------- */

static int add_name(void *context, const struct ext4_name *name, struct error *err)
{
    struct names *names = context;
    bool is_dot = name->name[0] == '.' && (name->length == 1 || (name->length == 2 && name->name[1] == '.'));
    if (is_dot)
        return 0;
    if (names->count == names->capacity) {
        size_t capacity = names->capacity ? 2 * names->capacity : 64;
        struct name *list = realloc(names->list, capacity * sizeof list[0]);
        if (!list)
            return error_set(err, ENOMEM, "out of memory");
        names->list = list;
        names->capacity = capacity;
    }
    struct name *added = &names->list[names->count++];
    added->inode = name->inode;
    memcpy(added->text, name->name, name->length);
    added->text[name->length] = '\0';
    return 0;
}

static int compare_names(const void *left, const void *right)
{
    return strcmp(((const struct name *)left)->text, ((const struct name *)right)->text);
}

static int print_directory(const struct ext4_reader *reader, const struct ext4_file *directory, struct error *err)
{
    struct names names = {0};
    int rc = ext4_reader_list(reader, directory, add_name, &names, err);
    if (rc == 0 && names.count)
        qsort(names.list, names.count, sizeof names.list[0], compare_names);
    for (size_t i = 0; i < names.count && rc == 0; i++) {
        struct ext4_file file;
        rc = ext4_reader_inode(reader, names.list[i].inode, &file, err);
        if (rc == 0)
            rc = print_line(reader, &file, names.list[i].text, err);
    }
    free(names.list);
    return rc;
}

/* ---- the command ------------------------------------------------------------------------------------------------- */

static int list(const struct ext4_reader *reader, const char *path, struct error *err)
{
    struct ext4_file file;
    /* A link to a directory shows the directory only when its name ends with a slash, as with ls -l. */
    size_t length = strlen(path);
    bool follow = length > 0 && path[length - 1] == '/';
    int rc = ext4_reader_find(reader, path, follow, &file, err);
    if (rc < 0)
        return rc;
    return S_ISDIR(file.mode) ? print_directory(reader, &file, err) : print_line(reader, &file, path, err);
}

static int run(void *values, char **operands, int count, struct error *err)
{
    (void)values;
    struct image_files files;
    int rc = image_files_open(&files, operands[0], err);
    if (rc < 0)
        return rc;
    rc = count > 1 ? 0 : list(&files.reader, "/", err);
    for (int i = 1; i < count && rc == 0; i++)
        rc = list(&files.reader, operands[i], err);
    image_files_close(&files);
    return rc < 0 ? rc : STATUS_OK;
}

const struct command command_image_ls = {
    .name = "image ls",
    .summary = "List files of an image",
    .operands = "IMAGE [PATH...]",
    .description = "Nothing is started. Each line has the mode, the number of links, user, group, size in bytes (of a\n"
                   "device its numbers), time (UTC) and name. IMAGE may also be the path of a file made by\n"
                   "'hull image mkfs', beginning with '/' or '.'.",
    .example = "  hull image ls debian /etc",
    .operands_min = 1,
    .operands_max = -1,
    .failure_status = STATUS_FAILED,
    .run = run,
};
