/* SPDX-License-Identifier: MIT */
#ifndef HV_HOST_VMMGR_VSWITCH_H
#define HV_HOST_VMMGR_VSWITCH_H
/*
 * The host's one switch process. The manager keeps both ends of every port: a new switch, or a new netvsp, gets the same
 * one, and the other end notices nothing.
 */
#include "hv/host/vmmgr/vm.h"

/* TAP interface from the command line, or NULL. */
void vswitch_init(const char *uplink);
/* Starts it where it does not run. false: *why. */
bool vswitch_need(const char *uplink, char *why, size_t room);
bool vswitch_port_add(struct vm *vm, uint32_t nic, char *why, size_t room);
void vswitch_port_remove(struct vm *vm, uint32_t nic);
struct process *vswitch_process(void);
void vswitch_end(void);

void vswitch_ready(void);
void vswitch_gone(const char *how);
void vswitch_again(void);

#endif
