/* SPDX-License-Identifier: MIT */
#ifndef HV_HOST_LIB_RECORD_H
#define HV_HOST_LIB_RECORD_H
/*
 * The guest's traffic, as a process has copied it out of rings and messages, for `hvctl record`. Off until the manager hands over a
 * socket (PM_RECORD). A record is one datagram: struct record_head, then the bytes, cut at RECORD_BYTES_MAX. Who listens may
 * be slow: what does not fit is lost and counted; a process never waits for it. It is over when the listener is gone.
 */
#include <stdbool.h>

#include "hv/host/lib/ipc.h"

#define RECORD_BYTES_MAX 8192u

enum record_device { RECORD_WORKER = 1, RECORD_STORVSP, RECORD_NETVSP, RECORD_IC, RECORD_DEVICES };

enum record_kind {
	RECORD_FROM_GUEST = 1, /* a packet of a ring with its descriptor; unit: the channel's */
	RECORD_RNDIS,          /* what a driver's transfer held; unit: 0 data, 1 control */
	RECORD_MESSAGE,        /* posted by the guest; unit: the type, 1 is VMBus */
	RECORD_INTERCEPT,      /* struct hv_message; unit: the VP */
	RECORD_POSTED,         /* struct hv_posted_write */
	RECORD_KINDS
};

struct record_head {
	uint16_t device, index; /* enum record_device; which NIC */
	uint16_t kind, unit;
	uint32_t length; /* before it was cut */
	uint32_t lost;   /* records of this process that did not fit, so far */
};

extern int record_socket; /* -1: off */

static inline bool record_on(void)
{
	return record_socket >= 0;
}

/* Takes the descriptor of a PM_RECORD; one that came earlier is closed. */
void record_start(struct ipc_message *m, enum record_device device);
void record_send(enum record_kind kind, uint32_t unit, const void *bytes, uint32_t length);

static inline void record(enum record_kind kind, uint32_t unit, const void *bytes, uint32_t length)
{
	if (record_on()) {
		record_send(kind, unit, bytes, length);
	}
}

#endif
