/* SPDX-License-Identifier: MIT */
#ifndef HV_CORE_CONNECT_H
#define HV_CORE_CONNECT_H
/*
 * Ports of the root and the children's connections to them (TLFS 11.9). An event port sets a flag in a root VP; a message port
 * keeps a few messages that the root fetches.
 */
#include "hv/core/hypercall.h"
#include "hv/core/partition.h"

/* Sets a flag of RD_ROOT_SINT in the root VP that serves it soonest. Any CPU. */
void connect_notify_root(uint32_t flag);
/* A child goes: its connections and the ports made for it. Locks: partitions_lock held. */
void connect_forget(struct partition *p);

#endif
