/* SPDX-License-Identifier: MIT */
#ifndef HV_HOST_VSWITCH_VSWITCH_H
#define HV_HOST_VSWITCH_VSWITCH_H
/*
 * The host's switch: the one process that sees frames of several VMs. It has their ports and a TAP, and no guest's memory. Where a
 * frame goes is decided by hv/wire/ethsw. Trust: no port, not the uplink.
 */
#include "hv/host/lib/ipc.h"
#include "hv/wire/ethsw.h"
#include "mitigations/sandbox/sandbox.h"

#define VSWITCH_BATCH 32
#define VSWITCH_TARGETS (ETHSW_PORTS_MAX + 1)

struct vswitch_counters {
	uint64_t in;                      /* from the port */
	uint64_t out;                     /* to it */
	uint64_t refused[ETHSW_VERDICTS]; /* from it, by reason */
	uint64_t full;                    /* to it, but its queue had no room */
};

struct vswitch_port {
	int fd; /* -1: no port, or its other end is gone */
	struct vswitch_counters counters;
};

struct vswitch {
	struct ethsw table;
	struct vswitch_port port[VSWITCH_TARGETS]; /* the last is the uplink */
	int control, epoll;
	/* status */
	struct pm_status_net total, reported;
	uint64_t reported_ms;
};

/* tap: the uplink, non-blocking, one frame for each read and write; -1: none. false: errno. v is zeroed. */
bool vswitch_init(struct vswitch *v, int control, int tap);
/* One round: waits at most timeout_ms (-1: as long as it takes). false: the process is to end. */
bool vswitch_step(struct vswitch *v, int timeout_ms);

/* forward.c: takes what `from` has, at most one batch, and sends it on. */
void vswitch_forward(struct vswitch *v, uint32_t from, bool ended);

/* Stops listening to a port and closes it; its place in the table stays. */
void vswitch_drop_port(struct vswitch *v, uint32_t index);

extern const struct sandbox_policy vswitch_policy;

#endif
