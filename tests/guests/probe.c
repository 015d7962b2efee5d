/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Init of a guest that says what it finds, one NAME=VALUE a line on the console, and powers off: what tests of the
 * machine compare with what they asked for.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/io.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <termios.h>
#include <unistd.h>

enum { PORT_SLEEP = 0x600, SLEEP_S5 = 0x34 };

/* The text of a small file up to the first newline; empty when it is not there. */
static const char *first_line(const char *path, char *text, size_t size)
{
    text[0] = '\0';
    FILE *file = fopen(path, "re");
    if (file) {
        if (!fgets(text, (int)size, file))
            text[0] = '\0';
        fclose(file);
    }
    text[strcspn(text, "\n")] = '\0';
    return text;
}

/* The number after `name` in a file of "name: number" lines. */
static long number_in(const char *path, const char *name)
{
    char line[256];
    long number = -1;
    FILE *file = fopen(path, "re");
    while (file && number < 0 && fgets(line, sizeof line, file))
        if (strncmp(line, name, strlen(name)) == 0 && line[strlen(name)] == ':')
            number = strtol(line + strlen(name) + 1, NULL, 10);
    if (file)
        fclose(file);
    return number;
}

static void print_disk(const char *name)
{
    char path[64], text[33] = "";
    snprintf(path, sizeof path, "/dev/%s", name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    if (read(fd, text, sizeof text - 1) < 0)
        text[0] = '\0';
    close(fd);
    text[strcspn(text, "\n")] = '\0';
    printf("%s=%s\n", name, text);

    snprintf(path, sizeof path, "/sys/block/%s/serial", name);
    printf("%s_id=%s\n", name, first_line(path, text, sizeof text));
    snprintf(path, sizeof path, "/sys/block/%s/size", name);
    printf("%s_sectors=%s\n", name, first_line(path, text, sizeof text));
    snprintf(path, sizeof path, "/sys/block/%s/ro", name);
    printf("%s_ro=%s\n", name, first_line(path, text, sizeof text));
}

/* Writes to the second disk and makes it durable, so that the host finds it after power-off. */
static void write_disk(void)
{
    static const char mark[512] = "written by the guest\n";
    int fd = open("/dev/vdb", O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    int failed = pwrite(fd, mark, sizeof mark, 0) != sizeof mark || fsync(fd) < 0;
    close(fd);
    printf("vdb_write=%s\n", failed ? "failed" : "done");
}

static void print_random(void)
{
    uint8_t bytes[16] = {0};
    int fd = open("/dev/hwrng", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    printf("hwrng=");
    if (read(fd, bytes, sizeof bytes) == sizeof bytes)
        for (size_t i = 0; i < sizeof bytes; i++)
            printf("%02x", bytes[i]);
    puts("");
    close(fd);
}

/* Touches memory that lies above the device hole when there is any: all that is free, one byte a page. */
static void touch_memory(long kib)
{
    size_t size = (size_t)kib * 1024, step = 4096, bad = 0;
    uint8_t *memory = malloc(size);
    if (!memory)
        return;
    for (size_t i = 0; i < size; i += step)
        memory[i] = (uint8_t)(i / step * 31 + 1);
    for (size_t i = 0; i < size; i += step)
        bad += memory[i] != (uint8_t)(i / step * 31 + 1);
    printf("touched_kib=%ld\nbad_pages=%zu\n", kib, bad);
    free(memory);
}

static void power_off(void)
{
    fflush(stdout);
    tcdrain(STDOUT_FILENO);
    if (ioperm(PORT_SLEEP, 1, 1) == 0) {
        /* Written out: the C library's outb() is not the same everywhere. */
        __asm__ volatile("outb %0, %1" : : "a"((uint8_t)SLEEP_S5), "d"((uint16_t)PORT_SLEEP));
    }
    reboot(RB_AUTOBOOT);
}

static int open_console(void)
{
    mkdir("/dev", 0755);
    mkdir("/proc", 0755);
    mkdir("/sys", 0755);
    mount("dev", "/dev", "devtmpfs", 0, NULL);
    mount("proc", "/proc", "proc", 0, NULL);
    mount("sys", "/sys", "sysfs", 0, NULL);
    int fd = open("/dev/console", O_RDWR);
    if (fd < 0)
        return -1;
    for (int stream = 0; stream <= 2; stream++)
        dup2(fd, stream);
    return 0;
}

int main(void)
{
    if (open_console() < 0)
        power_off();
    struct utsname names;
    uname(&names);
    char text[128];
    printf("\nkernel=%s\n", names.release);
    printf("cpus=%ld\n", sysconf(_SC_NPROCESSORS_ONLN));
    printf("memtotal_kib=%ld\n", number_in("/proc/meminfo", "MemTotal"));
    printf("clocksource=%s\n",
           first_line("/sys/devices/system/clocksource/clocksource0/current_clocksource", text, sizeof text));
    print_disk("vda");
    print_disk("vdb");
    write_disk();
    print_random();
    const char *touch = getenv("touch_kib");
    if (touch)
        touch_memory(strtol(touch, NULL, 10));
    printf("uptime=%s\n", first_line("/proc/uptime", text, sizeof text));
    power_off();
    return 1;
}
