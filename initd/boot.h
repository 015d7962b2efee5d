/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What vminitd needs of the guest before anybody has told it anything: device nodes, standard descriptors, the control
 * group tree, the loopback interface. The same in every machine, so it may be part of a boot template.
 */
#ifndef INITD_BOOT_H
#define INITD_BOOT_H

struct error;

/** Where vminitd has the control group hierarchy (version 2). The boot file system needs no /sys and /proc. */
#define BOOT_CGROUP_DIRECTORY "/cgroup"

/** Device nodes under /dev, and 0, 1 and 2 on the console if there is one, else on /dev/null. */
int boot_devices(struct error *err);

/** The rest: control groups and loopback. */
int boot_environment(struct error *err);

#endif
