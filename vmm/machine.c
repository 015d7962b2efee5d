/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/machine.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/event_loop.h"
#include "base/fd.h"
#include "devices/power.h"
#include "devices/serial.h"
#include "devices/virtio/blk.h"
#include "devices/virtio/mmio.h"
#include "devices/virtio/rng.h"
#include "devices/virtio/vsock.h"
#include "vmm/bus.h"
#include "vmm/cmdline.h"
#include "vmm/config.h"
#include "vmm/irq.h"
#include "vmm/kvm.h"
#include "vmm/loader.h"
#include "vmm/memory.h"
#include "vmm/seccomp.h"
#include "vmm/timeline.h"
#include "vmm/vcpu.h"
#include "vmm/worker.h"
#include "vmm/x86/boot.h"
#include "vmm/x86/cpuid.h"
#include "vmm/x86/layout.h"
#include "vmm/x86/mptable.h"
#include "vmm/x86/msr.h"
#include "vmm/x86/regs.h"

enum { VIRTIO_DEVICES_MAX = LAYOUT_IRQ_COUNT - LAYOUT_IRQ_VIRTIO };

_Static_assert(CONFIG_DISKS_MAX + 2 <= VIRTIO_DEVICES_MAX, "disks, vsock and rng have an interrupt line each");

struct machine {
    struct kvm kvm;
    struct memory memory;
    struct bus mmio;
    struct bus pio;
    struct irq_lines lines;
    struct cmdline cmdline;

    struct event_loop *main_loop;
    struct event_loop *disk_loop;                        /* NULL without disks */
    struct virtio_transport *virtio[VIRTIO_DEVICES_MAX]; /* the disks first */
    unsigned virtio_count;
    unsigned disk_count;
    struct serial *serial;
    int serial_fd;
    struct power power;

    struct vcpu_environment environment;
    struct vcpu *vcpus[LAYOUT_VCPUS_MAX];
    unsigned vcpu_count;
    struct worker disk_worker;
    struct seccomp_filter filters[THREAD_ROLES];

    struct timeline *timeline;
    pthread_mutex_t end_mutex; /* of the two below */
    enum machine_outcome outcome;
    char crash_reason[ERROR_TEXT_MAX];
};

/* ---- the end ----------------------------------------------------------------------------------------------------- */

static void end_with(struct machine *machine, enum machine_outcome outcome, const char *reason)
{
    pthread_mutex_lock(&machine->end_mutex);
    if (machine->outcome == MACHINE_RUNNING) {
        machine->outcome = outcome;
        snprintf(machine->crash_reason, sizeof machine->crash_reason, "%s", reason);
        timeline_mark(machine->timeline, TIMELINE_REQUESTED);
    }
    pthread_mutex_unlock(&machine->end_mutex);
    event_loop_stop(machine->main_loop);
}

static void power_requested(void *context, enum power_request request)
{
    struct machine *machine = context;
    /* The power is off now, not when the main thread has seen it: a guest that runs on would reset its devices, and
     * lose what it had handed to them. */
    for (unsigned i = 0; i < machine->vcpu_count; i++)
        vcpu_enter_no_more(machine->vcpus[i]);
    end_with(machine, request == POWER_OFF ? MACHINE_POWERED_OFF : MACHINE_RESET, "");
}

static void guest_crashed(void *context, const char *reason)
{
    end_with(context, MACHINE_CRASHED, reason);
}

void machine_stop(struct machine *machine)
{
    end_with(machine, MACHINE_STOPPED, "");
}

/* ---- devices ----------------------------------------------------------------------------------------------------- */

/* Puts a device model at the next virtio-mmio window, interrupt line and place on the kernel command line. */
static int add_virtio(struct machine *machine, const struct virtio_device_ops *ops, void *device,
                      struct event_loop *loop, struct error *err)
{
    unsigned slot = machine->virtio_count;
    uint64_t address = LAYOUT_VIRTIO_MMIO + slot * (uint64_t)VIRTIO_MMIO_WINDOW;
    unsigned line = LAYOUT_IRQ_VIRTIO + slot;
    int irq_fd = irq_line_take(&machine->lines, &machine->kvm, line, err);
    if (irq_fd < 0) {
        ops->free(device);
        return irq_fd;
    }
    struct virtio_transport *transport;
    int rc = virtio_mmio_new(&transport, ops, device, &machine->memory.guest, loop, irq_fd, err);
    if (rc < 0)
        return rc;
    machine->virtio[machine->virtio_count++] = transport;
    rc = bus_add(&machine->mmio, address, VIRTIO_MMIO_WINDOW, &virtio_mmio_bus_ops, transport, err);
    for (uint16_t i = 0; rc == 0 && i < virtio_mmio_queue_count(transport); i++)
        rc = kvm_bind_store(&machine->kvm, address + VIRTIO_MMIO_QUEUE_NOTIFY, i, virtio_mmio_kick_fd(transport, i),
                            err);
    return rc < 0 ? rc : cmdline_add_virtio(&machine->cmdline, address, line, err);
}

static int add_disks(struct machine *machine, struct machine_config *config, struct error *err)
{
    if (config->disk_count == 0)
        return 0;
    int rc = event_loop_new(&machine->disk_loop, err);
    for (unsigned i = 0; rc == 0 && i < config->disk_count; i++) {
        struct disk_config *disk = &config->disks[i];
        void *device;
        rc = virtio_blk_new(&device, steal_fd(&disk->image.fd), disk->readonly, disk->id ? disk->id : "", err);
        if (rc == 0)
            rc = add_virtio(machine, &virtio_blk_ops, device, machine->disk_loop, err);
        if (rc < 0)
            return error_context(err, rc, "disk %u", i);
        machine->disk_count++;
    }
    return rc;
}

static int add_vsock(struct machine *machine, struct machine_config *config, struct error *err)
{
    if (!config->vsock.present)
        return 0;
    void *device;
    int rc = virtio_vsock_new(&device, config->vsock.cid, steal_fd(&config->vsock.socket.fd), machine->main_loop, err);
    return rc < 0 ? rc : add_virtio(machine, &virtio_vsock_ops, device, machine->main_loop, err);
}

static int add_rng(struct machine *machine, struct machine_config *config, struct error *err)
{
    if (!config->rng)
        return 0;
    void *device;
    int rc = virtio_rng_new(&device, err);
    return rc < 0 ? rc : add_virtio(machine, &virtio_rng_ops, device, machine->main_loop, err);
}

static int add_serial(struct machine *machine, struct machine_config *config, struct error *err)
{
    if (config->serial_mode == SERIAL_NONE)
        return 0;
    int irq_fd = irq_line_take(&machine->lines, &machine->kvm, LAYOUT_IRQ_SERIAL, err);
    if (irq_fd < 0)
        return irq_fd;
    machine->serial_fd = steal_fd(&config->serial.fd);
    bool stdio = config->serial_mode == SERIAL_STDIO;
    int rc = serial_new(&machine->serial, stdio ? STDIN_FILENO : machine->serial_fd,
                        stdio ? STDOUT_FILENO : machine->serial_fd, irq_fd, machine->main_loop, err);
    return rc < 0 ? rc : bus_add(&machine->pio, SERIAL_PORT, SERIAL_WINDOW, &serial_bus_ops, machine->serial, err);
}

static int add_power(struct machine *machine, struct machine_config *config, struct error *err)
{
    (void)config;
    machine->power = (struct power){.request = power_requested, .context = machine};
    int rc = bus_add(&machine->pio, POWER_RESET_PORT, POWER_WINDOW, &power_reset_bus_ops, &machine->power, err);
    return rc < 0 ? rc
                  : bus_add(&machine->pio, POWER_SLEEP_PORT, POWER_WINDOW, &power_sleep_bus_ops, &machine->power, err);
}

/*
 * THE list of devices. What a guest finds, and where:
 *
 *   device             address                        interrupt line
 *   disks, in order    MMIO 0xd0000000 + n * 0x1000   5 + n            ┐ n counts these three on:
 *   vsock              next                           next             │ what is absent takes
 *   rng                next                           next             ┘ no place
 *   serial console     ports 0x3f8-0x3ff              4
 *   reset (i8042)      port 0x64                      -
 *   sleep control      port 0x600                     -
 *
 * In the kernel: I/O APIC at 0xfec00000, a local APIC per vCPU at 0xfee00000, kvmclock.
 */
static int (*const device_adders[])(struct machine *machine, struct machine_config *config, struct error *err) = {
    add_disks, add_vsock, add_rng, add_serial, add_power,
};

static int add_devices(struct machine *machine, struct machine_config *config, struct error *err)
{
    int rc = event_loop_new(&machine->main_loop, err);
    for (size_t i = 0; rc == 0 && i < sizeof device_adders / sizeof device_adders[0]; i++)
        rc = device_adders[i](machine, config, err);
    return rc;
}

/* ---- setting up -------------------------------------------------------------------------------------------------- */

static int load_kernel(struct machine *machine, const struct machine_config *config, struct kernel_image *image,
                       struct initramfs *initramfs, struct error *err)
{
    int rc = kernel_image_read(image, config->kernel.fd, memory_low_end(&machine->memory), err);
    if (rc == 0)
        rc = kernel_image_load(image, config->kernel.fd, &machine->memory, err);
    if (rc < 0)
        return error_context(err, rc, "the kernel");
    if (config->initramfs.fd < 0)
        return 0;
    rc = initramfs_load(initramfs, config->initramfs.fd, &machine->memory, image->end, err);
    return rc < 0 ? error_context(err, rc, "the initramfs") : 0;
}

/* What the kernel reads before it knows any device; the MP table and the command line name those that were added. */
static int write_boot_data(struct machine *machine, const struct machine_config *config,
                           const struct initramfs *initramfs, struct error *err)
{
    struct boot_settings settings = {.cmdline = machine->cmdline.text, .initramfs = initramfs};
    int rc = cmdline_add(&machine->cmdline, config->cmdline ? config->cmdline : "", err);
    if (rc < 0)
        return rc;
    if (getrandom(settings.seed, sizeof settings.seed, 0) != sizeof settings.seed)
        return error_set_errno(err, errno, "cannot get a seed for the guest's entropy");
    rc = boot_write(&machine->memory, &settings, err);
    if (rc < 0)
        return rc;
    uint64_t room = LAYOUT_MPTABLE_END - LAYOUT_MPTABLE;
    regs_write_tables(&machine->memory);
    return mptable_write(guest_memory_at(&machine->memory.guest, LAYOUT_MPTABLE, room), room, LAYOUT_MPTABLE,
                         config->cpus, machine->lines.used, err);
}

static int create_vcpus(struct machine *machine, unsigned count, uint64_t entry, struct error *err)
{
    if (count > machine->kvm.vcpus_max)
        return error_set(err, EINVAL, "this KVM allows %u vCPUs, not %u", machine->kvm.vcpus_max, count);
    cleanup_free struct cpuid_table *cpuid = malloc(sizeof *cpuid);
    if (!cpuid)
        return error_set(err, ENOMEM, "out of memory for a CPUID table");
    int rc = cpuid_read_supported(cpuid, machine->kvm.system_fd, err);
    if (rc == 0)
        rc = cpuid_adapt(cpuid, count, machine->kvm.tsc_deadline, err);
    machine->environment = (struct vcpu_environment){
        .mmio = &machine->mmio, .pio = &machine->pio, .crashed = guest_crashed, .context = machine};
    for (unsigned i = 0; rc == 0 && i < count; i++) {
        rc = vcpu_new(&machine->vcpus[i], &machine->kvm, i, &machine->environment, err);
        if (rc < 0)
            return rc;
        machine->vcpu_count++;
        cpuid_set_processor(cpuid, i);
        rc = cpuid_set(machine->vcpus[i]->fd, cpuid, err);
        if (rc == 0)
            msr_set_boot(machine->vcpus[i]->fd);
    }
    return rc < 0 ? rc : regs_set_boot(machine->vcpus[0]->fd, entry, err);
}

static int set_up(struct machine *machine, struct machine_config *config, struct error *err)
{
    struct kernel_image image = {0};
    struct initramfs initramfs = {0};
    int rc = memory_init(&machine->memory, config->memory, err);
    if (rc == 0)
        rc = memory_register(&machine->memory, &machine->kvm, err);
    if (rc < 0)
        return rc;
    timeline_mark(machine->timeline, TIMELINE_MEMORY);
    rc = load_kernel(machine, config, &image, &initramfs, err);
    if (rc < 0)
        return rc;
    timeline_mark(machine->timeline, TIMELINE_KERNEL);
    rc = add_devices(machine, config, err);
    if (rc == 0)
        rc = write_boot_data(machine, config, &initramfs, err);
    if (rc < 0)
        return rc;
    timeline_mark(machine->timeline, TIMELINE_DEVICES);
    rc = create_vcpus(machine, config->cpus, image.entry, err);
    if (rc < 0)
        return rc;
    timeline_mark(machine->timeline, TIMELINE_VCPUS);
    /* Needed for nothing any more. */
    fd_close(&machine->kvm.system_fd);
    fd_close(&config->kernel.fd);
    fd_close(&config->initramfs.fd);
    return 0;
}

int machine_new(struct machine **out, struct kvm *kvm, struct machine_config *config, struct timeline *timeline,
                struct error *err)
{
    struct machine *machine = calloc(1, sizeof *machine);
    if (!machine) {
        kvm_done(kvm);
        return error_set(err, ENOMEM, "out of memory for a machine");
    }
    machine->kvm = *kvm;
    *kvm = KVM_NONE;
    machine->serial_fd = -1;
    machine->timeline = timeline;
    pthread_mutex_init(&machine->end_mutex, NULL);
    int rc = set_up(machine, config, err);
    if (rc < 0) {
        machine_free(machine);
        return rc;
    }
    *out = machine;
    return 0;
}

void machine_free(struct machine *machine)
{
    if (!machine)
        return;
    for (unsigned i = 0; i < machine->virtio_count; i++)
        virtio_mmio_free(machine->virtio[i]);
    serial_free(machine->serial);
    fd_close(&machine->serial_fd);
    for (unsigned i = 0; i < LAYOUT_VCPUS_MAX; i++)
        vcpu_free(machine->vcpus[i]);
    event_loop_free(machine->disk_loop);
    event_loop_free(machine->main_loop);
    irq_lines_done(&machine->lines);
    kvm_done(&machine->kvm);
    memory_done(&machine->memory);
    for (unsigned i = 0; i < THREAD_ROLES; i++)
        seccomp_filter_done(&machine->filters[i]);
    pthread_mutex_destroy(&machine->end_mutex);
    free(machine);
}

/* ---- running ----------------------------------------------------------------------------------------------------- */

static void serve_disks(void *argument)
{
    struct machine *machine = argument;
    struct error err = {0};
    if (event_loop_run(machine->disk_loop, &err) < 0) {
        end_with(machine, MACHINE_CRASHED, err.text);
        return;
    }
    /* The vCPUs have ended. Freeing a disk serves what the guest queued last: work for this thread's filter. */
    for (unsigned i = 0; i < machine->disk_count; i++) {
        virtio_mmio_free(machine->virtio[i]);
        machine->virtio[i] = NULL;
    }
}

static int build_filters(struct machine *machine, struct error *err)
{
    int rc = 0;
    for (enum thread_role role = 0; rc == 0 && role < THREAD_ROLES; role++)
        rc = seccomp_filter_build(&machine->filters[role], role, err);
    return rc;
}

/* Starts the other threads, which stop at the gate. @return how many, *rc says whether all could be started */
static unsigned start_workers(struct machine *machine, struct start_gate *gate, int *rc, struct error *err)
{
    unsigned started = 0;
    *rc = 0;
    if (machine->disk_loop) {
        *rc = worker_start(&machine->disk_worker, "disks", gate, &machine->filters[THREAD_DISK], serve_disks, machine,
                           err);
        started += *rc == 0;
    }
    for (unsigned i = 0; *rc == 0 && i < machine->vcpu_count; i++) {
        *rc = vcpu_start(machine->vcpus[i], gate, &machine->filters[THREAD_VCPU], err);
        started += *rc == 0;
    }
    return started;
}

static void stop_workers(struct machine *machine)
{
    for (unsigned i = 0; i < machine->vcpu_count; i++)
        vcpu_stop(machine->vcpus[i]);
    for (unsigned i = 0; i < machine->vcpu_count; i++)
        vcpu_join(machine->vcpus[i]);
    if (machine->disk_loop)
        event_loop_stop(machine->disk_loop);
    worker_join(&machine->disk_worker);
}

static int confine_this_thread(const struct machine *machine, struct error *err)
{
    int rc = seccomp_filter_install(&machine->filters[THREAD_MAIN]);
    return rc < 0 ? error_set_errno(err, -rc, "cannot put a system call filter on the main thread") : 0;
}

int machine_run(struct machine *machine, bool confine, enum machine_outcome *outcome, struct error *err)
{
    struct start_gate gate = START_GATE_INIT;
    int rc = confine ? build_filters(machine, err) : 0;
    if (rc < 0)
        return rc;
    unsigned started = start_workers(machine, &gate, &rc, err);
    if (rc == 0)
        rc = start_gate_wait(&gate, started, err);
    if (rc == 0)
        rc = confine_this_thread(machine, err);
    timeline_mark(machine->timeline, TIMELINE_CONFINED);
    start_gate_open(&gate, rc == 0);
    if (rc == 0)
        rc = event_loop_run(machine->main_loop, err);
    stop_workers(machine);
    timeline_mark(machine->timeline, TIMELINE_STOPPED);
    if (rc < 0)
        return rc;
    *outcome = machine->outcome;
    if (machine->outcome == MACHINE_CRASHED)
        error_set(err, EIO, "%s", machine->crash_reason);
    return 0;
}

struct event_loop *machine_loop(struct machine *machine)
{
    return machine->main_loop;
}

unsigned machine_vcpu_count(const struct machine *machine)
{
    return machine->vcpu_count;
}

const struct exit_counts *machine_exits(const struct machine *machine, unsigned vcpu)
{
    return &machine->vcpus[vcpu]->exits;
}
