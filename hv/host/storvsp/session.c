/* SPDX-License-Identifier: MIT */
/* The channel: from the ring to an answer in the ring, exactly one for each request, over the death of a process, too. */
#include "hv/host/storvsp/storvsp.h"

#include <string.h>

#define KEPT_MAGIC 0x31766f74u
#define DESCRIPTOR 16u
/* A guest that never stops asking does not keep the process from its other descriptors. */
#define BUDGET 256u

/* chan's callbacks say only which channel. */
static struct storvsp *self;

static uint64_t bit(uint32_t slot)
{
	return 1ull << slot;
}

/* In the order of the program: the next process may find any prefix of the stores. */
static void set_state(struct slot *slot, enum slot_state state)
{
	__atomic_store_n(&slot->state, (uint32_t)state, __ATOMIC_SEQ_CST);
}

static void slot_free(struct storvsp *s, uint32_t slot)
{
	s->used &= ~bit(slot);
	s->waiting &= ~bit(slot);
	s->resets &= ~bit(slot);
	set_state(&s->kept->slot[slot], SLOT_FREE);
}

/* ---- answers ---- */

static void put(struct storvsp *s, uint32_t i)
{
	struct slot *slot = &s->kept->slot[i];
	const struct request *q = &s->request[i];

	s->waiting &= ~bit(i);
	if (!q->wanted || s->chan == NULL || s->closing) {
		slot_free(s, i);
		return;
	}
	slot->index = s->chan->out.own;
	set_state(slot, SLOT_PUTTING);
	if (chan_complete(s->chan, q->transaction, slot->reply, sizeof(slot->reply)) == RING_FULL) {
		set_state(slot, SLOT_DONE);
		s->waiting |= bit(i);
		return;
	}
	/* It was put, or the channel is broken. */
	slot_free(s, i);
}

/* slot->reply is written. The phase comes after DONE: who finds TAKEN does all of it again. */
static void done(struct storvsp *s, uint32_t i, enum phase phase, uint32_t version)
{
	struct slot *slot = &s->kept->slot[i];

	slot->phase = phase;
	slot->version = version;
	set_state(slot, SLOT_DONE);
	if (phase != PHASE_NONE) {
		s->kept->phase = phase;
		s->kept->version = version;
	}
	put(s, i);
}

static void answer_status(struct storvsp *s, uint32_t i, uint32_t status)
{
	vstor_build_status(s->kept->slot[i].reply, status);
	done(s, i, PHASE_NONE, 0);
}

static void answer_srb(struct storvsp *s, uint32_t i, uint32_t status)
{
	vstor_build_srb(s->kept->slot[i].reply, &s->request[i].srb, status);
	done(s, i, PHASE_NONE, 0);
}

/* ---- requests ---- */

static bool version_known(uint32_t version)
{
	return version == VSTOR_VERSION_WIN10 || version == VSTOR_VERSION_BLUE ||
	       version == VSTOR_VERSION_WIN8;
}

/* One step of the negotiation: only in its order, each once (but for versions that were refused). */
static void negotiate(struct storvsp *s, uint32_t i, const struct vstor_packet *v)
{
	uint8_t *reply = s->kept->slot[i].reply;
	uint32_t phase = s->kept->phase, version = s->kept->version;

	if (v->operation == VSTOR_BEGIN_INITIALIZATION && phase == PHASE_NONE) {
		vstor_build_status(reply, VSTOR_STATUS_SUCCESS);
		done(s, i, PHASE_BEGUN, 0);
	} else if (v->operation == VSTOR_QUERY_PROTOCOL_VERSION && phase == PHASE_BEGUN) {
		if (version_known(v->version)) {
			vstor_build_version(reply, v->version, VSTOR_STATUS_SUCCESS);
			done(s, i, PHASE_VERSION, v->version);
		} else {
			vstor_build_version(reply, v->version, VSTOR_STATUS_REVISION_MISMATCH);
			done(s, i, PHASE_NONE, 0);
		}
	} else if (v->operation == VSTOR_QUERY_PROPERTIES && phase == PHASE_VERSION) {
		vstor_build_properties(reply, STORVSP_TRANSFER_MAX);
		done(s, i, PHASE_PROPERTIES, version);
	} else if (v->operation == VSTOR_END_INITIALIZATION && phase == PHASE_PROPERTIES) {
		vstor_build_status(reply, VSTOR_STATUS_SUCCESS);
		done(s, i, PHASE_READY, version);
	} else {
		answer_status(s, i, VSTOR_STATUS_INVALID_STATE);
	}
}

/* The data buffer: one range of guest memory, or none. */
static bool parse_buffer(struct storvsp *s, uint32_t i, const struct ring_packet *p)
{
	struct request *q = &s->request[i];
	uint32_t count = 0;

	q->room = 0;
	if (p->type != RING_DATA_GPA_DIRECT) {
		return true;
	}
	if (!gpa_direct_parse(s->kept->slot[i].packet, p->offset, &q->range, 1, &count, q->pfn,
			      STORVSP_PAGES)) {
		return false;
	}
	if (count == 0) {
		return true;
	}
	for (uint32_t at = 0; at < q->range.pages;) {
		uint32_t n = storvsp_neighbours(q, at);

		if (!gmem_check(&s->mem, q->pfn[at] << 12, n * 4096ull)) {
			return false;
		}
		at += n;
	}
	q->room = q->range.length < q->srb.transfer ? q->range.length : q->srb.transfer;
	return true;
}

static void answer_bad_srb(struct storvsp *s, uint32_t i, uint32_t status)
{
	struct vstor_srb *srb = &s->request[i].srb;

	srb->srb_status = VSTOR_SRB_INVALID_REQUEST;
	srb->scsi_status = 0;
	srb->transfer = 0;
	srb->sense_length = 0;
	answer_srb(s, i, status);
}

static void execute(struct storvsp *s, uint32_t i, const struct vstor_packet *v,
		    const struct ring_packet *p)
{
	s->request[i].srb = v->srb;
	if (s->kept->phase != PHASE_READY) {
		answer_bad_srb(s, i, VSTOR_STATUS_INVALID_STATE);
	} else if (!parse_buffer(s, i, p)) {
		answer_bad_srb(s, i, VSTOR_STATUS_INVALID_PARAMETER);
	} else if (storvsp_start(s, i) == SRB_RUNNING) {
		s->running |= bit(i);
	} else {
		answer_srb(s, i, VSTOR_STATUS_SUCCESS);
	}
}

/*
 * The descriptor of a packet in a slot. ring_take has checked it; where a dead process left the slot, nobody has. false: no
 * packet.
 */
static bool slot_packet(struct storvsp *s, uint32_t i, struct ring_packet *p)
{
	const uint8_t *d = s->kept->slot[i].packet;
	struct request *q = &s->request[i];

	p->type = le16(d);
	p->offset = le16(d + 2) * 8u;
	p->length = le16(d + 4) * 8u;
	p->flags = le16(d + 6);
	p->transaction = le64(d + 8);
	q->wanted = (p->flags & RING_WANT_COMPLETION) != 0;
	q->transaction = p->transaction;
	return p->offset >= DESCRIPTOR && p->offset <= p->length && p->length <= STORVSP_PACKET_MAX;
}

/* Serves the packet of a slot that is TAKEN. Trust: all of it is hostile. */
static void serve(struct storvsp *s, uint32_t i)
{
	struct ring_packet p;
	struct vstor_packet v;

	if (!slot_packet(s, i, &p)) {
		slot_free(s, i);
		return;
	}
	if (p.type != RING_DATA_INBAND && p.type != RING_DATA_GPA_DIRECT) {
		answer_status(s, i, VSTOR_STATUS_INVALID_REQUEST);
		return;
	}
	if (!vstor_parse(s->kept->slot[i].packet + p.offset, p.length - p.offset, &v)) {
		if (v.operation == VSTOR_EXECUTE_SRB) {
			s->request[i].srb = v.srb;
			answer_bad_srb(s, i, VSTOR_STATUS_INVALID_PARAMETER);
		} else {
			answer_status(s, i, VSTOR_STATUS_INVALID_PARAMETER);
		}
		return;
	}
	switch (v.operation) {
	case VSTOR_EXECUTE_SRB:
		execute(s, i, &v, &p);
		break;
	case VSTOR_RESET_BUS:
		s->resets |= bit(i);
		break;
	case VSTOR_BEGIN_INITIALIZATION:
	case VSTOR_QUERY_PROTOCOL_VERSION:
	case VSTOR_QUERY_PROPERTIES:
	case VSTOR_END_INITIALIZATION:
		negotiate(s, i, &v);
		break;
	default:
		answer_status(s, i, VSTOR_STATUS_INVALID_REQUEST);
		break;
	}
}

/* false: nothing was there. */
static bool take(struct storvsp *s)
{
	uint32_t i = (uint32_t)__builtin_ctzll(~s->used);
	struct slot *slot = &s->kept->slot[i];
	struct ring_packet p;

	slot->index = s->chan->in.own;
	set_state(slot, SLOT_TAKING);
	if (chan_take(s->chan, slot->packet, sizeof(slot->packet), &p) != RING_OK) {
		set_state(slot, SLOT_FREE);
		return false;
	}
	set_state(slot, SLOT_TAKEN);
	s->used |= bit(i);
	serve(s, i);
	return true;
}

static void put_waiting(struct storvsp *s)
{
	for (uint64_t left = s->waiting; left != 0; left &= left - 1) {
		put(s, (uint32_t)__builtin_ctzll(left));
		if ((s->waiting & left & -left) != 0) {
			return; /* still no room */
		}
	}
}

/* A reset is over when all that was taken before it has been answered. */
static void put_resets(struct storvsp *s)
{
	while (s->resets != 0 && s->used == s->resets) {
		uint32_t i = (uint32_t)__builtin_ctzll(s->resets);

		s->resets &= ~bit(i);
		answer_status(s, i, VSTOR_STATUS_SUCCESS);
	}
}

bool session_run(struct storvsp *s)
{
	if (s->chan == NULL || s->closing) {
		return false;
	}
	put_waiting(s);
	for (uint32_t n = 0; n < BUDGET; n++) {
		put_resets(s);
		if (s->resets != 0 || s->used == UINT64_MAX || !take(s)) {
			return false;
		}
	}
	return true;
}

static void finish_closing(struct storvsp *s)
{
	struct chan *c = s->chan;

	if (!s->closing || s->running != 0 || s->queue.watching[WATCH_CHANNEL]) {
		return;
	}
	for (uint32_t i = 0; i < STORVSP_SLOTS; i++) {
		slot_free(s, i);
	}
	s->closing = false;
	s->chan = NULL;
	chan_closed(&s->chans, c);
}

void session_disk_done(struct storvsp *s, uint32_t slot, int result)
{
	s->running &= ~bit(slot);
	storvsp_finish(s, slot, result);
	answer_srb(s, slot, VSTOR_STATUS_SUCCESS);
	finish_closing(s);
}

void session_channel_event(struct storvsp *s)
{
	if (s->chan == NULL) {
		return;
	}
	if (s->closing) {
		finish_closing(s);
		return;
	}
	chan_drain_signal(s->chan);
	if (!s->chan->broken) {
		disk_watch(s, WATCH_CHANNEL, s->chan->fd);
	}
}

/* ---- what a new process finds ---- */

/* FNV-1a: the rings are the same pages, not only the same number. */
static uint64_t rings_hash(const struct chan *c)
{
	uint64_t h = 0xcbf29ce484222325ull;

	for (uint32_t i = 0; i < c->rings->pages; i++) {
		h = (h ^ c->rings->pfn[i]) * 0x100000001b3ull;
	}
	return (h ^ c->in.pages) * 0x100000001b3ull;
}

static void begin_fresh(struct storvsp *s, const struct chan *c)
{
	struct kept *k = s->kept;

	k->open = 0;
	for (uint32_t i = 0; i < STORVSP_SLOTS; i++) {
		slot_free(s, i);
	}
	k->magic = KEPT_MAGIC;
	k->gpadl = c->rings->id;
	k->ring_pages = c->rings->pages;
	k->rings = rings_hash(c);
	k->phase = PHASE_NONE;
	k->version = 0;
	__atomic_store_n(&k->open, 1, __ATOMIC_SEQ_CST);
}

/* What the dead process has done with a slot, as far as it was seen from outside. */
static enum slot_state settled(const struct storvsp *s, const struct slot *slot)
{
	switch (slot->state) {
	case SLOT_TAKING:
		return slot->index == s->chan->in.own ? SLOT_FREE : SLOT_TAKEN;
	case SLOT_PUTTING:
		return slot->index == s->chan->out.own ? SLOT_DONE : SLOT_FREE;
	case SLOT_TAKEN:
		return SLOT_TAKEN;
	case SLOT_DONE:
		return SLOT_DONE;
	default:
		return SLOT_FREE;
	}
}

static bool phase_valid(uint32_t phase, uint32_t version)
{
	return phase <= PHASE_READY &&
	       (phase < PHASE_VERSION ? version == 0 : version_known(version));
}

/*
 * Goes on where the dead process was killed: answers that were not put are put, requests without one are done again. Their data may
 * have been moved before; doing so once more is harmless, because the guest does not touch a buffer or a block that it has a
 * request for.
 */
static void take_over(struct storvsp *s)
{
	struct kept *k = s->kept;
	struct ring_packet p;
	uint64_t again = 0, answered = 0;

	for (uint32_t i = 0; i < STORVSP_SLOTS; i++) {
		struct slot *slot = &k->slot[i];
		enum slot_state state = settled(s, slot);

		if (state == SLOT_DONE && slot_packet(s, i, &p)) {
			answered |= bit(i);
			if (slot->phase != PHASE_NONE && phase_valid(slot->phase, slot->version)) {
				k->phase = slot->phase;
				k->version = slot->version;
			}
		} else if (state == SLOT_TAKEN) {
			again |= bit(i);
		} else {
			state = SLOT_FREE;
		}
		set_state(slot, state);
	}
	s->used = again | answered;
	s->waiting = answered;
	put_waiting(s);
	for (; again != 0; again &= again - 1) {
		serve(s, (uint32_t)__builtin_ctzll(again));
	}
	/* It may have died between an answer and its signal. */
	chan_signal(s->chan);
}

static void opened(struct chan *c)
{
	struct storvsp *s = self;
	const struct kept *k = s->kept;
	bool goes_on = s->restarted;

	if (c->unit != 0 || c->sub != 0) {
		chan_break(c, "no such unit or sub-channel");
		return;
	}
	s->chan = c;
	s->closing = false;
	s->restarted = false;
	if (goes_on && k->magic == KEPT_MAGIC && k->open == 1 && k->gpadl == c->rings->id &&
	    k->ring_pages == c->rings->pages && k->rings == rings_hash(c) &&
	    phase_valid(k->phase, k->version)) {
		take_over(s);
	} else {
		begin_fresh(s, c);
	}
	disk_watch(s, WATCH_CHANNEL, c->fd);
}

static void closing(struct chan *c)
{
	struct storvsp *s = self;

	if (c != s->chan) {
		chan_closed(&s->chans, c);
		return;
	}
	s->closing = true;
	__atomic_store_n(&s->kept->open, 0, __ATOMIC_SEQ_CST);
	disk_unwatch(s, WATCH_CHANNEL);
	finish_closing(s);
}

void session_init(struct storvsp *s, struct kept *kept, bool restarted)
{
	self = s;
	s->kept = kept;
	s->restarted = restarted;
	s->closing = false;
	s->chan = NULL;
	s->used = 0;
	s->running = 0;
	s->waiting = 0;
	s->resets = 0;
	s->chans.opened = opened;
	s->chans.closing = closing;
	s->chans.gpadl_freeing = NULL; /* only rings are in GPADLs */
	if (!restarted) {
		memset(kept, 0, sizeof(*kept));
	}
}
