/* SPDX-License-Identifier: MIT */
#ifndef HV_HOST_NETVSP_NETVSP_H
#define HV_HOST_NETVSP_NETVSP_H
/*
 * One network adapter of one VM: between its VMBus channel and a port of the switch. The protocol is hv/wire/nvsp_session; here are the
 * descriptors around it. Trust: neither the guest nor the switch.
 */
#include "hv/host/lib/chan.h"
#include "hv/wire/nvsp_session.h"
#include "mitigations/sandbox/sandbox.h"

/* What outlasts the process: in memory that the manager keeps. */
struct netvsp_state {
	uint32_t magic;
	uint32_t ring_gpadl; /* of the open channel */
	struct nvsp_session session;
};

struct netvsp {
	struct gmem mem;
	struct chan_set set;
	struct netvsp_state *state;
	struct chan *chan; /* NULL: not open */
	int control, port;
	bool port_gone;
	bool channel_gone; /* its descriptor will not signal any more: the VM is going */
	bool worker_gone;
	bool resumable; /* the state is an earlier process's, and no channel was opened since */
	bool more;      /* packets of the guest may be left */
	struct nvsp_io io;
	struct nvsp_batch batch;
	/* status */
	struct pm_status_net reported;
	uint64_t reported_ms;
};

/*
 * Takes over the state (an earlier process's where `restarted` and it makes sense) and the sockets. n is large and zeroed; there is
 * one in a process. n->mem is set.
 */
void netvsp_init(struct netvsp *n, struct netvsp_state *state, const uint8_t mac[6], bool restarted,
		 int control, int worker, int port);
/* One round: waits at most timeout_ms (-1: as long as it takes). false: the process is to end. */
bool netvsp_step(struct netvsp *n, int timeout_ms);

/* data.c */
void netvsp_serve(struct netvsp *n);
/* ended: the other end is gone. */
void netvsp_receive(struct netvsp *n, bool ended);
/* Where the session works now. */
void netvsp_place(struct netvsp *n);

extern const struct sandbox_policy netvsp_policy;

#endif
