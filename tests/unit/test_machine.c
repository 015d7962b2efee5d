/* SPDX-License-Identifier: Apache-2.0 */
/* Whole machines in this process. Any /dev/kvm will do: their guests are a few plain instructions. */
#include "vmm/machine.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/event_loop.h"
#include "base/fd.h"
#include "vmm/config.h"
#include "vmm/kvm.h"
#include "vmm/timeline.h"

#define ENTRY UINT64_C(0x200000)

static const uint8_t power_off_code[] = {
    0xb0, 0x34,             /* mov $0x34, %al */
    0x66, 0xba, 0x00, 0x06, /* mov $0x600, %dx */
    0xee,                   /* out %al, %dx */
    0xeb, 0xfe,             /* jmp . */
};
static const uint8_t reset_code[] = {0xb0, 0xfe, 0x66, 0xba, 0x64, 0x00, 0xee, 0xeb, 0xfe};
static const uint8_t hang_code[] = {0xfa, 0xf4, 0xeb, 0xfc}; /* cli; hlt; again */
static const uint8_t crash_code[] = {0x0f, 0x0b};            /* ud2 without an IDT */
static const uint8_t say_code[] = {
    0xb0, 'h',              /* mov $'h', %al */
    0x66, 0xba, 0xf8, 0x03, /* mov $0x3f8, %dx */
    0xee,                   /* out %al, %dx */
    0xb0, 0x34, 0x66, 0xba, 0x00, 0x06, 0xee, 0xeb, 0xfe,
};

static int kernel_of(const uint8_t *code, size_t length)
{
    struct {
        Elf64_Ehdr header;
        Elf64_Phdr program;
        uint8_t code[64];
    } file = {
        .header = {.e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
                   .e_type = ET_EXEC,
                   .e_machine = EM_X86_64,
                   .e_entry = ENTRY,
                   .e_phoff = sizeof file.header,
                   .e_phentsize = sizeof file.program,
                   .e_phnum = 1},
        .program = {.p_type = PT_LOAD,
                    .p_offset = sizeof file.header + sizeof file.program,
                    .p_paddr = ENTRY,
                    .p_filesz = sizeof file.code,
                    .p_memsz = sizeof file.code},
    };
    memcpy(file.code, code, length);
    int fd = memfd_create("kernel", MFD_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(fd_write_full(fd, &file, sizeof file), 0);
    return fd;
}

/* A machine of @p config, which this releases; its kernel is the code. */
static struct machine *make(struct machine_config *config, const uint8_t *code, size_t length,
                            struct timeline *timeline)
{
    struct error err = {0};
    struct kvm kvm;
    struct machine *machine = NULL;
    config->kernel.fd = kernel_of(code, length);
    int fd = kvm_open_device(&err);
    if (fd < 0 || kvm_init(&kvm, fd, &err) < 0 || machine_new(&machine, &kvm, config, timeline, &err) < 0)
        fail_msg("%s", err.text);
    machine_config_done(config);
    return machine;
}

static struct machine *make_simple(const uint8_t *code, size_t length)
{
    struct machine_config config;
    machine_config_init(&config);
    config.memory = 32 << 20;
    return make(&config, code, length, NULL);
}

static enum machine_outcome run(struct machine *machine, struct error *err)
{
    enum machine_outcome outcome = MACHINE_RUNNING;
    assert_int_equal(machine_run(machine, false, &outcome, err), 0);
    return outcome;
}

#define NEEDS_KVM                                                                                                      \
    if (access("/dev/kvm", R_OK | W_OK) < 0) {                                                                         \
        skip();                                                                                                        \
        return;                                                                                                        \
    }

static void a_machine_says_how_it_ended(void **state)
{
    (void)state;
    NEEDS_KVM
    static const struct {
        const uint8_t *code;
        size_t length;
        enum machine_outcome outcome;
        const char *words;
    } cases[] = {
        {power_off_code, sizeof power_off_code, MACHINE_POWERED_OFF, ""},
        {reset_code, sizeof reset_code, MACHINE_RESET, ""},
        {crash_code, sizeof crash_code, MACHINE_CRASHED, "vCPU 0 had a triple fault"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct error err = {0};
        struct machine *machine = make_simple(cases[i].code, cases[i].length);
        assert_int_equal(run(machine, &err), cases[i].outcome);
        assert_int_equal(strncmp(err.text, cases[i].words, strlen(cases[i].words)), 0);
        assert_int_equal(err.code != 0, cases[i].outcome == MACHINE_CRASHED);
        machine_free(machine);
    }
}

static void stages_and_exits_are_recorded(void **state)
{
    (void)state;
    NEEDS_KVM
    struct timeline timeline = {0};
    struct error err = {0};
    struct machine_config config;
    machine_config_init(&config);
    config.cpus = 3;
    struct machine *machine = make(&config, power_off_code, sizeof power_off_code, &timeline);
    assert_int_equal(run(machine, &err), MACHINE_POWERED_OFF);
    for (enum timeline_stage stage = TIMELINE_MEMORY + 1; stage < TIMELINE_STAGES; stage++)
        assert_true(timeline.nanoseconds[stage] >= timeline.nanoseconds[stage - 1]);
    assert_int_equal(machine_vcpu_count(machine), 3);
    assert_int_equal(machine_exits(machine, 0)->by_reason[2], 1); /* one port was written */
    assert_int_equal(machine_exits(machine, 1)->by_reason[2], 0);
    machine_free(machine);
}

static void the_console_can_be_a_socket(void **state)
{
    (void)state;
    NEEDS_KVM
    int ends[2];
    struct error err = {0};
    struct machine_config config;
    machine_config_init(&config);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    config.serial_mode = SERIAL_RESOURCE;
    config.serial.fd = ends[1];
    struct machine *machine = make(&config, say_code, sizeof say_code, NULL);
    assert_int_equal(run(machine, &err), MACHINE_POWERED_OFF);
    machine_free(machine);
    char bytes[4];
    assert_int_equal(fd_read_full(ends[0], bytes, sizeof bytes), 1);
    assert_int_equal(bytes[0], 'h');
    close(ends[0]);
}

static void *run_in_thread(void *argument)
{
    struct error err = {0};
    return (void *)(uintptr_t)run(argument, &err);
}

/* No state is shared: one hangs, the other ends, then the first is stopped. */
static void two_machines_live_in_one_process(void **state)
{
    (void)state;
    NEEDS_KVM
    struct error err = {0};
    pthread_t thread;
    void *outcome;
    struct machine *hanging = make_simple(hang_code, sizeof hang_code);
    struct machine *ending = make_simple(power_off_code, sizeof power_off_code);
    assert_int_equal(pthread_create(&thread, NULL, run_in_thread, hanging), 0);
    assert_int_equal(run(ending, &err), MACHINE_POWERED_OFF);
    machine_free(ending);
    machine_stop(hanging);
    assert_int_equal(pthread_join(thread, &outcome), 0);
    assert_int_equal((uintptr_t)outcome, MACHINE_STOPPED);
    machine_free(hanging);
}

static void a_machine_can_be_stopped_before_it_runs(void **state)
{
    (void)state;
    NEEDS_KVM
    struct error err = {0};
    struct machine *machine = make_simple(hang_code, sizeof hang_code);
    machine_stop(machine);
    assert_int_equal(run(machine, &err), MACHINE_STOPPED);
    machine_free(machine);
}

static void what_cannot_be_made_leaves_nothing(void **state)
{
    (void)state;
    NEEDS_KVM
    /* Each disk that follows a good one fails at another place: the good ones are released too. */
    for (unsigned good = 0; good < 3; good++) {
        struct error err = {0};
        struct kvm kvm;
        struct machine *machine = NULL;
        struct machine_config config;
        machine_config_init(&config);
        config.kernel.fd = kernel_of(power_off_code, sizeof power_off_code);
        for (unsigned i = 0; i < good; i++)
            config.disks[i].image.fd = memfd_create("disk", MFD_CLOEXEC);
        config.disks[good].image.fd = open("/dev/null", O_RDWR | O_CLOEXEC);
        config.disk_count = good + 1;
        assert_int_equal(kvm_init(&kvm, kvm_open_device(&err), &err), 0);
        assert_true(machine_new(&machine, &kvm, &config, NULL, &err) < 0);
        assert_null(machine);
        assert_int_equal(kvm.vm_fd, -1);
        machine_config_done(&config);
    }
}

static void too_many_vcpus_for_kvm_are_told(void **state)
{
    (void)state;
    NEEDS_KVM
    struct error err = {0};
    struct kvm kvm;
    struct machine *machine = NULL;
    struct machine_config config;
    machine_config_init(&config);
    config.kernel.fd = kernel_of(power_off_code, sizeof power_off_code);
    config.cpus = 4;
    assert_int_equal(kvm_init(&kvm, kvm_open_device(&err), &err), 0);
    kvm.vcpus_max = 3;
    assert_int_equal(machine_new(&machine, &kvm, &config, NULL, &err), -EINVAL);
    assert_string_equal(err.text, "this KVM allows 3 vCPUs, not 4");
    machine_config_done(&config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_machine_says_how_it_ended),
        cmocka_unit_test(stages_and_exits_are_recorded),
        cmocka_unit_test(the_console_can_be_a_socket),
        cmocka_unit_test(two_machines_live_in_one_process),
        cmocka_unit_test(a_machine_can_be_stopped_before_it_runs),
        cmocka_unit_test(what_cannot_be_made_leaves_nothing),
        cmocka_unit_test(too_many_vcpus_for_kvm_are_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
