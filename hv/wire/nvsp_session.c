/* SPDX-License-Identifier: MIT */
#include "hv/wire/mem.h"
#include "hv/wire/nvsp_int.h"

#define DESCRIPTOR 16u
#define SUBCHANNEL_ALLOCATE 1u

void nvsp_session_start(struct nvsp_session *s, const uint8_t mac[6])
{
	memset(s, 0, sizeof(*s));
	s->size = sizeof(*s);
	memcpy(s->rndis.mac, mac, sizeof(s->rndis.mac));
}

void nvsp_session_reset(struct nvsp_session *s)
{
	s->version = 0;
	s->rndis.initialized = 0;
	s->rndis.filter = 0;
	nvsp_sections_forget(s);
	s->send_sections = 0;
	s->link_pending = 0;
	s->reply_head = s->reply_tail;
	s->journal.push_section = 0;
	nvsp_store(&s->journal.stage, NVSP_STAGE_IDLE);
}

void nvsp_session_open(struct nvsp_session *s, const struct nvsp_io *io)
{
	nvsp_session_reset(s);
	s->in_index = io->in->own;
	s->out_index = io->out->own;
}

bool nvsp_session_valid(const struct nvsp_session *s)
{
	if (s->size != sizeof(*s) || s->sections > NVSP_SECTIONS_MAX ||
	    s->next_section >= NVSP_SECTIONS_MAX || s->journal.stage > NVSP_STAGE_ANSWER ||
	    s->journal.answer_length > NVSP_BYTES || s->journal.push_section > s->sections ||
	    s->journal.push_what > NVSP_PUSH_LINK || s->rndis.initialized > 1 ||
	    s->rndis.link_down > 1 || s->reply_tail - s->reply_head > NVSP_REPLIES_MAX ||
	    (s->journal.push_section != 0 &&
	     s->reply_tail - s->journal.push_head > NVSP_REPLIES_MAX)) {
		return false;
	}
	for (uint32_t i = 0; i < NVSP_REPLIES_MAX; i++) {
		if (s->reply[i].length > RNDIS_REPLY_MAX) {
			return false;
		}
	}
	for (uint32_t i = s->sections / 64; i < NVSP_SECTIONS_MAX / 64; i++) {
		uint64_t beyond = i == s->sections / 64 ? ~0ull << (s->sections % 64) : ~0ull;

		if ((s->used[i] & beyond) != 0) {
			return false;
		}
	}
	return s->version == 0 || s->version == NVSP_VERSION_5 || s->version == NVSP_VERSION_6 ||
	       s->version == NVSP_VERSION_61;
}

bool nvsp_session_continues(const struct nvsp_session *s, const struct nvsp_io *io)
{
	const struct nvsp_journal *j = &s->journal;
	bool taking = j->stage == NVSP_STAGE_TAKING;
	bool putting = j->stage == NVSP_STAGE_ANSWER || j->push_section != 0;

	return (io->in->own == s->in_index || taking) && (io->out->own == s->out_index || putting);
}

const struct nvsp_gpadl *nvsp_find(const struct nvsp_io *io, uint32_t id)
{
	for (uint32_t i = 0; i < NVSP_GPADLS_MAX; i++) {
		if (io->gpadl[i].pages != 0 && io->gpadl[i].id == id) {
			return &io->gpadl[i];
		}
	}
	return NULL;
}

/* A guest tries one version after the other. Again after the first yes: only while nothing was built on it. */
static void serve_init(struct nvsp_session *s, const struct nvsp_message *m)
{
	bool early = s->sections == 0 && s->send_sections == 0 && s->rndis.initialized == 0;
	enum nvsp_status status = NVSP_FAIL;
	uint32_t version = 0;

	if (early) {
		status = nvsp_choose_version(m->init.min, m->init.max, &version);
	}
	if (status == NVSP_SUCCESS) {
		s->version = version;
	}
	nvsp_build_init_complete(s->journal.answer, status, version);
}

static void serve_receive_buffer(struct nvsp_session *s, const struct nvsp_io *io,
				 const struct nvsp_message *m)
{
	const struct nvsp_gpadl *g = nvsp_find(io, m->buffer.gpadl);
	uint32_t sections = g == NULL ? 0 : g->length / NVSP_SECTION_BYTES;
	bool again = s->sections != 0 && s->receive_gpadl == m->buffer.gpadl &&
		     s->outstanding == 0 && s->rndis.initialized == 0;

	sections = sections < NVSP_SECTIONS_MAX ? sections : NVSP_SECTIONS_MAX;
	if (s->version == 0 || sections < NVSP_SECTIONS_MIN || (s->sections != 0 && !again)) {
		nvsp_build_receive_buffer_complete(s->journal.answer, NVSP_FAIL, 0, 0);
		return;
	}
	nvsp_sections_forget(s);
	s->receive_gpadl = m->buffer.gpadl;
	s->receive_id = m->buffer.id;
	nvsp_store(&s->sections, sections);
	nvsp_build_receive_buffer_complete(s->journal.answer, NVSP_SUCCESS, sections,
					   NVSP_SECTION_BYTES);
}

static void serve_send_buffer(struct nvsp_session *s, const struct nvsp_io *io,
			      const struct nvsp_message *m)
{
	const struct nvsp_gpadl *g = nvsp_find(io, m->buffer.gpadl);
	uint32_t sections = g == NULL ? 0 : g->length / NVSP_SEND_SECTION_BYTES;
	bool again = s->send_gpadl == m->buffer.gpadl;

	if (s->version == 0 || sections == 0 || (s->send_sections != 0 && !again)) {
		nvsp_build_send_buffer_complete(s->journal.answer, NVSP_FAIL, 0);
		return;
	}
	s->send_gpadl = m->buffer.gpadl;
	nvsp_store(&s->send_sections, sections);
	nvsp_build_send_buffer_complete(s->journal.answer, NVSP_SUCCESS, NVSP_SEND_SECTION_BYTES);
}

/* One message of the driver; writes the answer for the case that it wants one. */
static void serve_message(struct nvsp_session *s, struct nvsp_io *io, struct nvsp_batch *b,
			  const struct ring_packet *p, const struct nvsp_message *m)
{
	struct nvsp_journal *j = &s->journal;

	if (m->type != NVSP_RNDIS && p->type != RING_DATA_INBAND) {
		s->counters.refused++;
		return;
	}
	switch (m->type) {
	case NVSP_INIT:
		serve_init(s, m);
		break;
	case NVSP_SEND_RECEIVE_BUFFER:
		serve_receive_buffer(s, io, m);
		break;
	case NVSP_SEND_SEND_BUFFER:
		serve_send_buffer(s, io, m);
		break;
	case NVSP_REVOKE_RECEIVE_BUFFER:
		if (m->revoke.id == s->receive_id) {
			nvsp_sections_forget(s);
		}
		break;
	case NVSP_REVOKE_SEND_BUFFER:
		nvsp_store(&s->send_sections, 0);
		break;
	case NVSP_RNDIS:
		nvsp_build_rndis_complete(j->answer, nvsp_receive_rndis(s, io, b, p, m));
		break;
	case NVSP_SUBCHANNEL: /* never offered; none is granted */
		nvsp_build_subchannel_complete(
			j->answer,
			m->subchannel.operation == SUBCHANNEL_ALLOCATE ? NVSP_SUCCESS : NVSP_FAIL,
			0);
		break;
	case NVSP_SWITCH_DATA_PATH: /* the one answer that must be empty */
		j->answer_length = 0;
		break;
	case NVSP_NDIS_VERSION: /* what the guest tells changes nothing here */
	case NVSP_NDIS_CONFIG:
		break;
	default: /* NVSP_RNDIS_COMPLETE as a request */
		s->counters.refused++;
		break;
	}
}

/* The packet in the journal. A second time after a kill it comes to the same. Trust: all of it. */
static void serve_packet(struct nvsp_session *s, struct nvsp_io *io, struct nvsp_batch *b,
			 const struct ring_packet *p)
{
	struct nvsp_journal *j = &s->journal;
	struct nvsp_message m;

	memset(j->answer, 0, sizeof(j->answer));
	j->answer_length = NVSP_BYTES;
	j->transaction = p->transaction;
	j->answer_wanted = p->type != RING_COMPLETION && (p->flags & RING_WANT_COMPLETION) != 0;
	if (!nvsp_parse(j->packet + p->offset, p->length - p->offset, &m)) {
		s->counters.refused++;
	} else if (p->type == RING_COMPLETION && m.type == NVSP_RNDIS_COMPLETE) {
		nvsp_section_return(s, p->transaction);
	} else if (p->type == RING_DATA_INBAND || p->type == RING_DATA_GPA_DIRECT) {
		serve_message(s, io, b, p, &m);
	} else {
		s->counters.refused++;
	}
}

static void packet_served(struct nvsp_session *s, const struct nvsp_io *io)
{
	s->in_index = io->in->own;
	s->journal.out_index = io->out->own;
	nvsp_store(&s->journal.stage, NVSP_STAGE_ANSWER);
}

/* NVSP_OK: no answer is under way any more. */
static enum nvsp_result finish_answer(struct nvsp_session *s, struct nvsp_io *io)
{
	struct nvsp_journal *j = &s->journal;
	struct ring_send send = { .type = RING_COMPLETION,
				  .transaction = j->transaction,
				  .payload = j->answer,
				  .payload_length = j->answer_length };
	bool signal = false;

	if (j->stage != NVSP_STAGE_ANSWER) {
		return NVSP_OK;
	}
	if (j->answer_wanted != 0) {
		switch (ring_put(io->out, &send, &signal)) {
		case RING_OK:
			break;
		case RING_FULL:
			return NVSP_BLOCKED;
		default:
			return NVSP_BROKEN;
		}
		io->signal |= signal;
		s->out_index = io->out->own;
	}
	nvsp_store(&j->stage, NVSP_STAGE_IDLE);
	return NVSP_OK;
}

static enum nvsp_result take_packet(struct nvsp_session *s, struct nvsp_io *io,
				    struct nvsp_batch *b)
{
	struct nvsp_journal *j = &s->journal;
	struct ring_packet p;
	enum ring_status status;
	bool signal;

	j->in_index = io->in->own;
	nvsp_store(&j->stage, NVSP_STAGE_TAKING);
	status = ring_take(io->in, j->packet, sizeof(j->packet), &p, &signal);
	io->signal |= signal;
	if (status != RING_OK) {
		nvsp_store(&j->stage, NVSP_STAGE_IDLE);
		return status == RING_EMPTY ? NVSP_EMPTY : NVSP_BROKEN;
	}
	serve_packet(s, io, b, &p);
	packet_served(s, io);
	return NVSP_OK;
}

static bool batch_room(const struct nvsp_batch *b)
{
	return b->used <= NVSP_POOL_BYTES - RNDIS_TRANSFER_MAX &&
	       b->count <= NVSP_FRAMES_MAX - NVSP_FRAMES_PER_PACKET;
}

void nvsp_batch_clear(struct nvsp_batch *b)
{
	b->used = 0;
	b->count = 0;
}

enum nvsp_result nvsp_serve(struct nvsp_session *s, struct nvsp_io *io, struct nvsp_batch *b,
			    uint32_t budget)
{
	for (;;) {
		enum nvsp_result r = finish_answer(s, io);

		if (r == NVSP_OK) {
			r = nvsp_flush(s, io);
		}
		if (r != NVSP_OK) {
			return r;
		}
		if (budget-- == 0 || !batch_room(b)) {
			return NVSP_MORE;
		}
		r = take_packet(s, io, b);
		if (r != NVSP_OK) {
			return r;
		}
	}
}

/* A packet that was taken by a process that is gone. */
static bool journal_packet(const struct nvsp_journal *j, struct ring_packet *p)
{
	p->type = le16(j->packet);
	p->offset = le16(j->packet + 2) * 8u;
	p->length = le16(j->packet + 4) * 8u;
	p->flags = le16(j->packet + 6);
	p->transaction = le64(j->packet + 8);
	return p->offset >= DESCRIPTOR && p->offset <= p->length && p->length <= NVSP_PACKET_MAX;
}

enum nvsp_result nvsp_session_resume(struct nvsp_session *s, struct nvsp_io *io,
				     struct nvsp_batch *b)
{
	struct nvsp_journal *j = &s->journal;
	struct ring_packet p;

	s->outstanding = 0;
	for (uint32_t i = 0; i < NVSP_SECTIONS_MAX / 64; i++) {
		s->outstanding += (uint32_t)__builtin_popcountll(s->used[i]);
	}
	nvsp_push_settle(s, io->out);
	if (j->stage == NVSP_STAGE_TAKING) {
		if (io->in->own == j->in_index) {
			nvsp_store(&j->stage, NVSP_STAGE_IDLE);
		} else if (journal_packet(j, &p)) {
			serve_packet(s, io, b, &p);
			packet_served(s, io);
		} else {
			return NVSP_BROKEN;
		}
	} else if (j->stage == NVSP_STAGE_ANSWER && io->out->own != j->out_index) {
		nvsp_store(&j->stage, NVSP_STAGE_IDLE);
	}
	s->in_index = io->in->own;
	s->out_index = io->out->own;
	return NVSP_OK;
}

void nvsp_session_link(struct nvsp_session *s, bool up)
{
	uint8_t down = up ? 0 : 1;

	if (s->rndis.link_down != down) {
		s->rndis.link_down = down;
		nvsp_store(&s->link_pending, 1);
	}
}

void nvsp_session_gpadl_gone(struct nvsp_session *s, uint32_t id)
{
	if (s->sections != 0 && s->receive_gpadl == id) {
		nvsp_sections_forget(s);
	}
	if (s->send_sections != 0 && s->send_gpadl == id) {
		nvsp_store(&s->send_sections, 0);
	}
}
