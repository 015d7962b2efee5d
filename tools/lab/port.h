/* SPDX-License-Identifier: Apache-2.0 */
/* The agent's side of one port: commands from whoever is connected to it, one after the other. */
#ifndef HULL_TOOLS_LAB_PORT_H
#define HULL_TOOLS_LAB_PORT_H

/**
 * Serves a port for ever.
 * @param fd      the open port; set to non-blocking
 * @param number  of the port, for the names of control groups
 * @return -errno when the port or the process is broken
 */
int port_serve(int fd, int number);

#endif
