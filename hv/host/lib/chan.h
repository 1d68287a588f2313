/* SPDX-License-Identifier: MIT */
#ifndef HV_HOST_LIB_CHAN_H
#define HV_HOST_LIB_CHAN_H
/*
 * An open VMBus channel in a device process: two rings in guest memory and the descriptor of redoubt.ko. The table of a
 * process's GPADLs and channels, and its conversation with the worker, are here, so that a device is only its protocol.
 */
#include "hv/host/lib/ipc.h"
#include "hv/wire/ring.h"

#define CHAN_GPADLS_MAX 16

struct chan_gpadl {
	bool used;
	uint32_t unit, id;
	uint32_t length, offset, pages;
	uint64_t *pfn; /* in chan_set.pfns: all of them are guest memory */
	bool asked;    /* to be freed: not found any more */
	bool told;     /* gpadl_freeing was called */
};

struct chan {
	bool open;
	bool closing; /* closing was called, chan_closed was not */
	bool broken;
	uint32_t unit, sub;
	int fd; /* read: 8 bytes when the guest has signalled; write: 8 bytes signal the guest */
	struct chan_gpadl *rings;
	struct ring in, out;
};

#define CHAN_MAX 4

struct chan_set {
	const struct gmem *mem;
	int worker; /* socket */
	struct chan chan[CHAN_MAX];
	struct chan_gpadl gpadl[CHAN_GPADLS_MAX];
	bool lost;       /* the worker does not read */
	bool settling;   /* in the device's callbacks */
	uint32_t resets; /* PM_RESETs to be answered */
	/*
	 * The device's, called from chan_worker (gpadl_freeing also from chan_closed); only that may be NULL. opened: the worker knows;
	 * packets may be there already, look before waiting for c->fd. closing: finish or forget what is under way, then
	 * chan_closed(c) at once or later; until then packets may still be put. gpadl_freeing: likewise, then chan_gpadl_freed(g);
	 * NULL where a device has only rings in GPADLs, which are freed after their channel is closed.
	 */
	void (*opened)(struct chan *c);
	void (*closing)(struct chan *c);
	void (*gpadl_freeing)(struct chan_gpadl *g);
	uint64_t pfns[CHAN_GPADLS_MAX]
		     [PM_GPADL_PAGES_MAX]; /* here, so that nothing is allocated in the sandbox */
};

/* Before the sandbox. Leaves the callbacks as they are. A chan_set is 1 MiB: make it static. */
void chan_init(struct chan_set *s, const struct gmem *m, int worker);
/* Reads and serves one message of the worker. false: the worker is gone or broken, the process ends. */
bool chan_worker(struct chan_set *s);
/* All that have arrived. What the worker said before the guest's last packet is then known. */
bool chan_worker_all(struct chan_set *s);
/* NULL: no such GPADL, or it is being freed. */
struct chan_gpadl *chan_gpadl_find(struct chan_set *s, uint32_t unit, uint32_t id);
/* Closes c->fd. After it the channel's rings are not touched and nobody is signalled. */
void chan_closed(struct chan_set *s, struct chan *c);
/* A connection of hv_sock is over: the worker takes it from the guest, and closes it then. */
void chan_hangup(struct chan_set *s, const struct chan *c);
void chan_gpadl_freed(struct chan_set *s, struct chan_gpadl *g);
/* The guest broke the protocol: no more packets are taken from this channel until it is opened again. Once is enough. */
void chan_break(struct chan *c, const char *why);
/* Consumes the readiness of c->fd; only when it is readable, else it may wait. */
void chan_drain_signal(struct chan *c);
void chan_signal(struct chan *c);
/*
 * ring_take and ring_put that signal the guest where it must be, mask its signals from the first packet taken until the ring is
 * found empty (so take until RING_EMPTY, or come back without a signal), and break the channel on RING_BROKEN. On a channel that
 * is broken or not open: RING_BROKEN.
 */
enum ring_status chan_take(struct chan *c, uint8_t *to, uint32_t max, struct ring_packet *out);
enum ring_status chan_put(struct chan *c, const struct ring_send *s);
/* A completion packet for a transaction. */
enum ring_status chan_complete(struct chan *c, uint64_t transaction, const void *payload,
			       uint32_t length);

#endif
