/* SPDX-License-Identifier: MIT */
#ifndef HV_HOST_STORVSP_STORVSP_H
#define HV_HOST_STORVSP_STORVSP_H
/*
 * The disks of one VM: a synthetic SCSI controller with LUNs 0.. of target 0.
 *
 *   main.c      start-up, and what the loop does with each event
 *   session.c   the channel: packets, negotiation, completions, what a new process takes over from a dead one
 *   storvsp.c   SRBs: SCSI commands into answers or disk requests
 *   disk.c      io_uring: disk requests into guest memory, and the one place where the process waits
 *   policy.c    what the process may ask of the kernel
 */
#include "hv/host/lib/chan.h"
#include "hv/wire/gparange.h"
#include "hv/wire/scsi.h"
#include "hv/wire/vstor.h"
#include "mitigations/sandbox/sandbox.h"

#include <liburing.h>
#include <sys/uio.h>

#define STORVSP_SLOTS 64u
#define STORVSP_TRANSFER_MAX 0x40000u
#define STORVSP_PAGES (STORVSP_TRANSFER_MAX / 4096 + 1)
/* A packet of the largest transfer has 616 bytes; what is larger than this breaks the channel. */
#define STORVSP_PACKET_MAX 1024u

_Static_assert(16 + 16 + STORVSP_PAGES * 8 + VSTOR_PACKET_BYTES <= STORVSP_PACKET_MAX,
	       "the largest transfer fits");
_Static_assert(PM_DISKS_MAX <= SCSI_LUNS_MAX, "REPORT LUNS fits");

/* What the guest has negotiated; in the order of the protocol. */
enum phase { PHASE_NONE, PHASE_BEGUN, PHASE_VERSION, PHASE_PROPERTIES, PHASE_READY };

/*
 * The state of a request, in the memory that outlives the process. A new process finds out from the indices of the rings,
 * which move only after the entry was written, what the dead one had done:
 *
 *   FREE -> TAKING    `index` is the ring's read index; the packet is being copied here
 *   TAKING -> TAKEN   the ring's place was freed; TAKING -> FREE: nothing was there
 *   TAKEN -> DONE     `reply` is the answer
 *   DONE -> PUTTING   `index` is the write index of the other ring; the answer is being copied there
 *   PUTTING -> FREE   it was published; PUTTING -> DONE: there was no room
 */
enum slot_state { SLOT_FREE, SLOT_TAKING, SLOT_TAKEN, SLOT_DONE, SLOT_PUTTING };

struct slot {           /* kept; a new process trusts none of it */
	uint32_t state; /* enum slot_state */
	uint32_t index;
	uint32_t phase; /* DONE: enum phase that the answer brings about */
	uint32_t version;
	uint8_t packet[STORVSP_PACKET_MAX];
	uint8_t reply[VSTOR_PACKET_BYTES];
};

struct kept {
	uint32_t magic;
	uint32_t open; /* a channel, which the fields below describe */
	uint32_t gpadl, ring_pages;
	uint64_t rings; /* hash of the rings' page numbers */
	uint32_t phase, version;
	struct slot slot[STORVSP_SLOTS];
};

enum disk_op { DISK_READ, DISK_WRITE, DISK_FLUSH, DISK_UNMAP };

struct disk {
	int fd;         /* until the ring has it */
	uint32_t align; /* of memory for direct I/O; 1: the page cache is used */
	struct scsi_unit unit;
};

struct disk_io {
	enum disk_op op;
	uint32_t disk;
	bool fua;
	bool bounced; /* through the slot's bounce buffer: the pieces are not aligned */
	uint8_t retries;
	uint64_t offset; /* bytes on the disk */
	uint32_t length, done;
	uint32_t first, count;             /* pieces that are left */
	struct iovec piece[STORVSP_PAGES]; /* guest memory; not looked into */
	struct iovec bounce;
};

/* The process's own half of a slot. */
struct request {
	bool wanted; /* a completion */
	uint64_t transaction;
	struct vstor_srb srb;
	struct gpa_range range;
	uint64_t pfn[STORVSP_PAGES];
	uint32_t room; /* bytes of the guest's data buffer: the range's, or less */
	struct disk_io io;
};

enum watch { WATCH_WORKER, WATCH_CONTROL, WATCH_CHANNEL, WATCH_COUNT };

struct disk_queue {
	struct io_uring ring;
	uint8_t *bounce; /* STORVSP_TRANSFER_MAX for each slot; the kernel gives memory where one is used */
	bool watching[WATCH_COUNT];
	bool timer;
};

struct disk_event {
	enum { EVENT_DISK, EVENT_WATCH, EVENT_TIMER } kind;
	uint32_t which; /* slot, or enum watch */
	int result;     /* of the disk: 0 or -errno */
};

struct storvsp { /* large: make it static */
	struct gmem mem;
	struct disk disk[PM_DISKS_MAX];
	uint32_t disk_count;
	struct disk_queue queue;
	struct pm_status_disk status;
	bool status_changed;

	struct kept *kept;
	bool restarted;    /* and the channel was not opened yet */
	bool closing;      /* the channel is, as soon as the disks are done */
	struct chan *chan; /* NULL: none */
	uint64_t used;     /* bit per slot: not free */
	uint64_t running;  /* with the disks */
	uint64_t waiting;  /* answered; there was no room in the ring */
	uint64_t resets;   /* RESET_BUS: answered after all others; nothing is taken meanwhile */
	struct request request[STORVSP_SLOTS];
	struct chan_set chans;
};

/* session.c */
/* chans was initialised. `kept` is looked at only where `restarted`, and not trusted. */
void session_init(struct storvsp *s, struct kept *kept, bool restarted);
/* Puts what waits, takes what is there. true: there may be more, come back without waiting. */
bool session_run(struct storvsp *s);
/* The disks are done with a slot: 0, or -errno. */
void session_disk_done(struct storvsp *s, uint32_t slot, int result);
/* The watch on the channel has ended. */
void session_channel_event(struct storvsp *s);

/* storvsp.c */
enum srb_start { SRB_ANSWERED, SRB_RUNNING };
/*
 * Begins the SRB of a request; where it is answered, the answer is in request.srb. Trust: all of request.srb is hostile; the pages of
 * request.range are guest memory and room is at most its length (session.c).
 */
enum srb_start storvsp_start(struct storvsp *s, uint32_t slot);
void storvsp_finish(struct storvsp *s, uint32_t slot, int result);
/* How many pages of request.range, from `page` on, follow each other in guest memory: 1 or more. Trust: all numbers are hostile. */
uint32_t storvsp_neighbours(const struct request *q, uint32_t page);

/* disk.c */
/* Sets up the ring for s->disk, with nothing allowed in it but what is used here; closes the disks. false with errno. */
bool disk_queue_init(struct storvsp *s);
/* Finds out how a disk wants its requests and whether it can unmap; before the sandbox. false with errno. */
bool disk_examine(struct disk *d);
/*
 * Begins the slot's disk_io, which its caller has filled but for done, retries and bounced: [offset, offset + length) lies in the
 * disk and the pieces have `length` bytes. It ends with one event.
 */
void disk_submit(struct storvsp *s, uint32_t slot);
/* One event when the descriptor is readable, or when disk_unwatch ends it. */
void disk_watch(struct storvsp *s, enum watch w, int fd);
void disk_unwatch(struct storvsp *s, enum watch w);
/* One event after a second. */
void disk_timer(struct storvsp *s);
/* Hands all that was asked for to the kernel; `block`: and waits until something ends. false: the ring is unusable. */
bool disk_wait(struct storvsp *s, bool block);
/* The next event that is there; false: none. */
bool disk_next(struct storvsp *s, struct disk_event *e);

/* policy.c */
extern const struct sandbox_policy storvsp_policy;

#endif
