/* SPDX-License-Identifier: MIT */
#ifndef HV_WIRE_NVSP_SESSION_H
#define HV_WIRE_NVSP_SESSION_H
/*
 * One synthetic network adapter: its conversation with the guest's driver, the buffers that the driver gave, and the frames both
 * ways. It works on the rings and on guest memory and knows nothing of processes.
 *
 * struct nvsp_session has no pointers: it lives in memory that outlasts the process. Whatever the moment at which a process is
 * killed, the next one finds in the journal what was under way, and neither an answer nor a section is lost:
 *
 *   IDLE    -> TAKING   the indices are noted, then the packet is taken out of the ring into the journal
 *   TAKING  -> ANSWER   the packet was served; what it is answered with is in the journal
 *   ANSWER  -> IDLE     the answer is in the ring
 *
 * After TAKING, the guest's read index tells whether the packet was taken; it is then served (again: serving is idempotent).
 * After ANSWER, and for a push to the guest, the write index tells whether the packet was put.
 */
#include "hv/wire/gmem.h"
#include "hv/wire/gparange.h"
#include "hv/wire/nvsp.h"
#include "hv/wire/ring.h"
#include "hv/wire/rndis.h"

#define NVSP_SECTION_BYTES \
	2048u /* of the receive buffer: header, frame, slack; never across a page of it */
#define NVSP_SECTIONS_MAX 15872u /* 31 MiB, the largest buffer of any driver */
#define NVSP_SECTIONS_MIN 4u
#define NVSP_SEND_SECTION_BYTES 6144u

#define NVSP_PACKET_MAX 4096u /* in the ring; what a driver sends stays far below */
#define NVSP_REPLIES_MAX 8u
#define NVSP_GPADLS_MAX 16u
#define NVSP_RANGES_MAX 64u
#define NVSP_PFNS_MAX 64u
#define NVSP_FRAMES_MAX 64u
#define NVSP_FRAMES_PER_PACKET 16u /* what is accepted; RNDIS_PACKETS_MAX is what is announced */

enum nvsp_stage { NVSP_STAGE_IDLE, NVSP_STAGE_TAKING, NVSP_STAGE_ANSWER };

struct nvsp_reply { /* an RNDIS message for the guest that waits for a section */
	uint32_t length;
	uint8_t bytes[RNDIS_REPLY_MAX];
};

enum nvsp_push { NVSP_PUSH_FRAME, NVSP_PUSH_REPLY, NVSP_PUSH_LINK };

struct nvsp_journal {
	uint32_t stage;               /* enum nvsp_stage */
	uint32_t in_index, out_index; /* of the rings before the step that is under way */
	uint32_t answer_wanted, answer_length;
	uint64_t transaction;
	uint8_t answer[NVSP_BYTES];
	uint32_t push_section; /* something is put into the ring with this section + 1; 0: nothing */
	uint32_t push_what;    /* enum nvsp_push */
	uint32_t push_head;    /* reply_head after it */
	uint8_t packet[NVSP_PACKET_MAX];
};

struct nvsp_counters {
	uint64_t sent, received; /* by the guest */
	uint64_t dropped;
	uint64_t refused; /* messages that broke the protocol */
};

struct nvsp_session {
	uint32_t size;    /* of this structure */
	uint32_t version; /* 0: not negotiated */
	struct rndis_adapter rndis;
	uint32_t receive_gpadl, receive_id;
	uint32_t sections; /* of the receive buffer, 0: none */
	uint32_t outstanding, next_section;
	uint32_t send_gpadl, send_sections; /* 0: none */
	uint32_t link_pending;              /* the guest is to be told of the link */
	uint32_t reply_head,
		reply_tail; /* run on for ever; the tail is at most NVSP_REPLIES_MAX ahead */
	struct nvsp_reply reply[NVSP_REPLIES_MAX];
	struct nvsp_counters counters;
	uint32_t in_index, out_index; /* of the rings after the last step */
	uint64_t used[NVSP_SECTIONS_MAX / 64];
	struct nvsp_journal journal;
};

/* A buffer that the guest announced. Trust: the numbers of the pages. */
struct nvsp_gpadl {
	uint32_t id; /* pages 0: none */
	uint32_t pages;
	uint32_t offset, length;
	const uint64_t *pfn;
};

/* Where a session works. */
struct nvsp_io {
	const struct gmem *mem;
	struct ring *in, *out;
	struct nvsp_gpadl gpadl[NVSP_GPADLS_MAX];
	bool signal; /* set: the guest must be signalled */
};

/* Frames from the guest: length bytes at pool + offset. */
struct nvsp_frame {
	uint32_t offset, length;
};
#define NVSP_POOL_BYTES (8u * RNDIS_TRANSFER_MAX)
struct nvsp_batch {
	uint32_t used, count;
	struct nvsp_frame frame[NVSP_FRAMES_MAX];
	uint8_t pool[NVSP_POOL_BYTES];
	/* of the packet that is being read */
	struct gpa_range range[NVSP_RANGES_MAX];
	uint64_t pfn[NVSP_PFNS_MAX];
};

enum nvsp_result {
	NVSP_OK,
	NVSP_EMPTY,   /* no packet is left */
	NVSP_MORE,    /* packets may be left: send the frames, then come again */
	NVSP_BLOCKED, /* the guest must make room first; it will signal */
	NVSP_DROPPED, /* nvsp_deliver: not delivered, counted */
	NVSP_BROKEN,  /* the ring is broken: close the channel */
};

/* An adapter of this address, with its cable in. */
void nvsp_session_start(struct nvsp_session *s, const uint8_t mac[6]);
/* The channel was closed: address, link and counters stay. */
void nvsp_session_reset(struct nvsp_session *s);
/* The channel was opened anew, with these rings. */
void nvsp_session_open(struct nvsp_session *s, const struct nvsp_io *io);
/* What a process left can be gone on with. Trust: every byte. */
bool nvsp_session_valid(const struct nvsp_session *s);
/*
 * The rings are the ones that the session was using, as far as their indices tell; false: the guest opened the channel anew.
 */
bool nvsp_session_continues(const struct nvsp_session *s, const struct nvsp_io *io);
/* Finishes what the journal says was under way. Once, before any other step, after nvsp_session_continues. */
enum nvsp_result nvsp_session_resume(struct nvsp_session *s, struct nvsp_io *io,
				     struct nvsp_batch *b);

/*
 * Takes packets from the guest and answers them, at most `budget`. Frames are appended to *b, which the caller empties
 * (nvsp_batch_clear). NVSP_EMPTY, NVSP_MORE, NVSP_BLOCKED or NVSP_BROKEN. Trust: everything in guest memory.
 */
enum nvsp_result nvsp_serve(struct nvsp_session *s, struct nvsp_io *io, struct nvsp_batch *b,
			    uint32_t budget);
void nvsp_batch_clear(struct nvsp_batch *b);

/*
 * One frame to the guest: `length` bytes from message + RNDIS_PACKET_HEADER on; the header is written in front. NVSP_OK,
 * NVSP_DROPPED or NVSP_BROKEN. Trust: the frame.
 */
enum nvsp_result nvsp_deliver(struct nvsp_session *s, struct nvsp_io *io, uint8_t *message,
			      uint32_t length);

/* The cable goes in or out; the guest is told with the next step. */
void nvsp_session_link(struct nvsp_session *s, bool up);
/* A GPADL goes: its buffer is not used any more. */
void nvsp_session_gpadl_gone(struct nvsp_session *s, uint32_t id);

#endif
