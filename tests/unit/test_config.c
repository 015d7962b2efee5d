/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/fd.h"
#include "vmm/cmdline.h"

static int parse(struct machine_config *config, const char *text, struct error *err)
{
    machine_config_init(config);
    return machine_config_parse(config, text, strlen(text), err);
}

static void everything_can_be_said(void **state)
{
    (void)state;
    struct machine_config config;
    struct error err = {0};
    int rc = parse(&config,
                   "{\"cpus\": 4, \"memory\": 268435456, \"kvm\": {\"fd\": 9}, \"kernel\": {\"path\": \"vmlinux\"},"
                   " \"initramfs\": {\"fd\": 3}, \"cmdline\": \"quiet\","
                   " \"disks\": [{\"path\": \"a\", \"readonly\": true, \"id\": \"rootfs\"}, {\"fd\": 5}],"
                   " \"vsock\": {\"cid\": 77, \"path\": \"s\"}, \"rng\": false, \"serial\": \"stdio\"}",
                   &err);
    assert_int_equal(rc, 0);
    assert_int_equal(machine_config_check(&config, &err), 0);
    assert_int_equal(config.cpus, 4);
    assert_int_equal(config.memory, 268435456);
    assert_int_equal(config.kvm.inherited, 9);
    assert_string_equal(config.kernel.path, "vmlinux");
    assert_int_equal(config.kernel.inherited, -1);
    assert_int_equal(config.initramfs.inherited, 3);
    assert_null(config.initramfs.path);
    assert_string_equal(config.cmdline, "quiet");
    assert_int_equal(config.disk_count, 2);
    assert_true(config.disks[0].readonly);
    assert_string_equal(config.disks[0].id, "rootfs");
    assert_false(config.disks[1].readonly);
    assert_int_equal(config.disks[1].image.inherited, 5);
    assert_true(config.vsock.present);
    assert_int_equal(config.vsock.cid, 77);
    assert_string_equal(config.vsock.socket.path, "s");
    assert_false(config.rng);
    assert_int_equal(config.serial_mode, SERIAL_STDIO);
    machine_config_done(&config);
}

static void little_has_to_be_said(void **state)
{
    (void)state;
    struct machine_config config;
    struct error err = {0};
    assert_int_equal(parse(&config, "{\"kernel\": {\"fd\": 3}, \"serial\": {\"fd\": 4}}", &err), 0);
    assert_int_equal(machine_config_check(&config, &err), 0);
    assert_int_equal(config.cpus, 1);
    assert_int_equal(config.memory, 512 << 20);
    assert_int_equal(config.disk_count, 0);
    assert_false(config.vsock.present);
    assert_true(config.rng);
    assert_int_equal(config.serial_mode, SERIAL_RESOURCE);
    machine_config_done(&config);
}

static void nonsense_is_refused_with_its_place(void **state)
{
    (void)state;
    static const struct {
        const char *text, *words;
    } cases[] = {
        {"", "line 1"},
        {"{\n \"cpus\": 1,\n}", "line 3, column 1"},
        {"[]", "must be an object"},
        {"{\"cpu\": 1}", "unknown key 'cpu'"},
        {"{\"cpus\": 1, \"cpus\": 2}", "duplicate"},
        {"{\"cpus\": \"1\"}", "cpus: must be an integer"},
        {"{\"cpus\": 1.5}", "cpus: must be an integer"},
        {"{\"cpus\": -1}", "cpus: must be 0 to 4294967295, not -1"},
        {"{\"cpus\": 4294967297}", "cpus: must be 0 to"},
        {"{\"memory\": 99999999999999999999999999}", "line 1"},
        {"{\"memory\": -4096}", "memory: must be 0 to"},
        {"{\"rng\": 1}", "rng: must be true or false"},
        {"{\"cmdline\": null}", "cmdline: must be a string"},
        {"{\"cmdline\": \"a\\u0000b\"}", "line 1"},
        {"{\"kernel\": \"vmlinux\"}", "kernel: must be an object"},
        {"{\"kernel\": {}}", "kernel: has neither a path nor a descriptor"},
        {"{\"kernel\": {\"path\": \"a\", \"fd\": 3}}", "kernel: has both a path and a descriptor"},
        {"{\"kernel\": {\"fd\": -1}}", "kernel: fd: must be 0 to"},
        {"{\"kernel\": {\"fd\": 2147483648}}", "kernel: fd: must be 0 to"},
        {"{\"kernel\": {\"file\": \"a\"}}", "kernel: unknown key 'file'"},
        {"{\"disks\": {}}", "disks: must be an array"},
        {"{\"disks\": [{\"path\": \"a\"}, {\"readonly\": true}]}", "disks: disk 1: has neither"},
        {"{\"disks\": [{\"path\": \"a\", \"ro\": true}]}", "disks: disk 0: unknown key 'ro'"},
        {"{\"disks\": [0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0]}", "disks: has more than 16 disks"},
        {"{\"vsock\": {\"cid\": 3}}", "vsock: has neither"},
        {"{\"serial\": \"tty\"}", "serial: must be \"stdio\" or an object"},
        {"{\"serial\": 3}", "serial: must be an object"},
        {"{} {}", "line 1, column 4"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct machine_config config;
        struct error err = {0};
        int rc = parse(&config, cases[i].text, &err);
        if (rc != -EINVAL || !strstr(err.text, cases[i].words))
            fail_msg("%s: %d '%s'", cases[i].text, rc, err.text);
        machine_config_done(&config);
    }
}

static void ranges_are_checked(void **state)
{
    (void)state;
    static const struct {
        const char *text, *words;
    } cases[] = {
        {"{}", "no kernel"},
        {"{\"kernel\": {\"fd\": 3}, \"cpus\": 0}", "1 to 32 CPUs, not 0"},
        {"{\"kernel\": {\"fd\": 3}, \"cpus\": 33}", "1 to 32 CPUs, not 33"},
        {"{\"kernel\": {\"fd\": 3}, \"memory\": 33554431}", "too little"},
        {"{\"kernel\": {\"fd\": 3}, \"memory\": 33554433}", "not a multiple"},
        {"{\"kernel\": {\"fd\": 3}, \"memory\": 9223372036854775807}", "too much"},
        {"{\"kernel\": {\"fd\": 3}, \"vsock\": {\"fd\": 4, \"cid\": 2}}", "cid must be 3 to 4294967294, not 2"},
        {"{\"kernel\": {\"fd\": 3}, \"vsock\": {\"fd\": 4, \"cid\": 4294967295}}", "cid must be"},
        {"{\"kernel\": {\"fd\": 3}, \"disks\": [{\"fd\": 4, \"id\": \"123456789012345678901\"}]}", "longer than 20"},
        {"{\"kernel\": {\"fd\": 3}, \"disks\": [{\"fd\": 4, \"id\": \"a\\nb\"}]}", "unprintable"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct machine_config config;
        struct error err = {0};
        assert_int_equal(parse(&config, cases[i].text, &err), 0);
        int rc = machine_config_check(&config, &err);
        if (rc != -EINVAL || !strstr(err.text, cases[i].words))
            fail_msg("%s: %d '%s'", cases[i].text, rc, err.text);
        machine_config_done(&config);
    }
}

static void a_long_command_line_is_refused(void **state)
{
    (void)state;
    struct machine_config config;
    struct error err = {0};
    assert_int_equal(parse(&config, "{\"kernel\": {\"fd\": 3}}", &err), 0);
    config.cmdline = malloc(LAYOUT_CMDLINE_SIZE + 1);
    memset(config.cmdline, 'a', LAYOUT_CMDLINE_SIZE);
    config.cmdline[LAYOUT_CMDLINE_SIZE - 1] = '\0';
    assert_int_equal(machine_config_check(&config, &err), 0);
    config.cmdline[LAYOUT_CMDLINE_SIZE - 1] = 'a';
    config.cmdline[LAYOUT_CMDLINE_SIZE] = '\0';
    assert_int_equal(machine_config_check(&config, &err), -EINVAL);
    machine_config_done(&config);
}

static void files_have_a_limit(void **state)
{
    (void)state;
    struct machine_config config;
    struct error err = {0};
    int fd = memfd_create("config", MFD_CLOEXEC);
    machine_config_init(&config);
    assert_int_equal(fd_pwrite_full(fd, "{\"cpus\": 7}", 11, 0), 0);
    assert_int_equal(machine_config_read(&config, fd, &err), 0);
    assert_int_equal(config.cpus, 7);
    char blanks[CONFIG_TEXT_MAX + 1];
    memset(blanks, ' ', sizeof blanks);
    assert_int_equal(fd_pwrite_full(fd, blanks, sizeof blanks, 0), 0);
    assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
    assert_int_equal(machine_config_read(&config, fd, &err), -EINVAL);
    assert_non_null(strstr(err.text, "is longer than"));
    assert_int_equal(machine_config_read(&config, -1, &err), -EBADF);
    close(fd);
    machine_config_done(&config);
}

static void command_lines_are_joined_within_their_limit(void **state)
{
    (void)state;
    struct cmdline cmdline = {.text = ""};
    struct error err = {0};
    assert_int_equal(cmdline_add(&cmdline, "", &err), 0);
    assert_string_equal(cmdline.text, "");
    assert_int_equal(cmdline_add_virtio(&cmdline, 0xd0000000, 5, &err), 0);
    assert_int_equal(cmdline_add(&cmdline, "quiet -- single", &err), 0);
    assert_string_equal(cmdline.text, "virtio_mmio.device=4K@0xd0000000:5 quiet -- single");

    char text[LAYOUT_CMDLINE_SIZE];
    size_t room = sizeof cmdline.text - 1 - strlen(cmdline.text) - 1;
    memset(text, 'a', sizeof text);
    text[room + 1] = '\0';
    assert_int_equal(cmdline_add(&cmdline, text, &err), -E2BIG);
    assert_string_equal(cmdline.text, "virtio_mmio.device=4K@0xd0000000:5 quiet -- single");
    text[room] = '\0';
    assert_int_equal(cmdline_add(&cmdline, text, &err), 0);
    assert_int_equal(strlen(cmdline.text), sizeof cmdline.text - 1);
    assert_int_equal(cmdline_add(&cmdline, "", &err), 0);
    assert_int_equal(cmdline_add(&cmdline, "b", &err), -E2BIG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everything_can_be_said),
        cmocka_unit_test(little_has_to_be_said),
        cmocka_unit_test(nonsense_is_refused_with_its_place),
        cmocka_unit_test(ranges_are_checked),
        cmocka_unit_test(a_long_command_line_is_refused),
        cmocka_unit_test(files_have_a_limit),
        cmocka_unit_test(command_lines_are_joined_within_their_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
