/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Turns the resources that a configuration names into open descriptors. After this the machine opens nothing: what it
 * may touch is what it holds.
 */
#ifndef VMM_RESOURCES_H
#define VMM_RESOURCES_H

struct error;
struct machine_config;

/**
 * Opens paths and takes inherited descriptors over. A disk is locked as long as it is open (fcntl(2), open file
 * description locks): many machines may read it, or one may write it. Creates the vsock socket if it is named by path;
 * a socket file that nobody listens on any more is replaced, any other file is left alone.
 *
 * @return 0; -errno with the path in words (-ENOENT, -EACCES: the file is not there or not readable; -EBADF: no such
 * inherited descriptor, -EBUSY: another machine uses the disk). What was opened stays in the configuration, for
 * machine_config_done().
 */
int resources_open(struct machine_config *config, struct error *err);

#endif
