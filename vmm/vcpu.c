/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/vcpu.h"

#include <errno.h>
#include <linux/kvm.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "base/error.h"
#include "base/fd.h"
#include "vmm/kvm.h"

int vcpu_new(struct vcpu **out, const struct kvm *kvm, unsigned index, const struct vcpu_environment *environment,
             struct error *err)
{
    struct vcpu *vcpu = calloc(1, sizeof *vcpu);
    if (!vcpu)
        return error_set(err, ENOMEM, "out of memory for vCPU %u", index);
    vcpu->index = index;
    vcpu->environment = environment;
    vcpu->fd = ioctl(kvm->vm_fd, KVM_CREATE_VCPU, (unsigned long)index);
    if (vcpu->fd < 0) {
        int rc = error_set_errno(err, errno, "cannot create vCPU %u", index);
        vcpu_free(vcpu);
        return rc;
    }
    void *run = mmap(NULL, kvm->run_size, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu->fd, 0);
    if (run == MAP_FAILED) {
        int rc = error_set_errno(err, errno, "cannot map vCPU %u", index);
        vcpu_free(vcpu);
        return rc;
    }
    vcpu->run = run;
    vcpu->run_size = kvm->run_size;
    *out = vcpu;
    return 0;
}

void vcpu_free(struct vcpu *vcpu)
{
    if (!vcpu)
        return;
    if (vcpu->run)
        munmap(vcpu->run, vcpu->run_size);
    fd_close(&vcpu->fd);
    free(vcpu);
}

static void report_failed_run(struct vcpu *vcpu, int code)
{
    char reason[128];
    snprintf(reason, sizeof reason, "vCPU %u cannot run: %s", vcpu->index, strerrordesc_np(code));
    vcpu->environment->crashed(vcpu->environment->context, reason);
}

static void run_guest(void *argument)
{
    struct vcpu *vcpu = argument;
    while (!atomic_load_explicit(&vcpu->stop, memory_order_acquire)) {
        if (ioctl(vcpu->fd, KVM_RUN, 0) == 0) {
            if (!exit_handle(vcpu))
                return;
        } else if (errno == EINTR) {
            vcpu->exits.interrupted++;
        } else if (errno != EAGAIN) { /* EAGAIN: an application processor has been started */
            report_failed_run(vcpu, errno);
            return;
        }
    }
}

int vcpu_start(struct vcpu *vcpu, struct start_gate *gate, const struct seccomp_filter *filter, struct error *err)
{
    char name[24];
    snprintf(name, sizeof name, "vcpu-%u", vcpu->index);
    int rc = worker_start(&vcpu->worker, name, gate, filter, run_guest, vcpu, err);
    return rc < 0 ? error_context(err, rc, "vCPU %u", vcpu->index) : 0;
}

void vcpu_enter_no_more(struct vcpu *vcpu)
{
    atomic_store_explicit(&vcpu->stop, true, memory_order_release);
    /* A vCPU that is just about to enter has looked at the other flag already. */
    __atomic_store_n(&vcpu->run->immediate_exit, 1, __ATOMIC_SEQ_CST);
}

void vcpu_stop(struct vcpu *vcpu)
{
    vcpu_enter_no_more(vcpu);
    worker_kick(&vcpu->worker); /* interrupts one that is in the guest */
}

void vcpu_join(struct vcpu *vcpu)
{
    worker_join(&vcpu->worker);
}
