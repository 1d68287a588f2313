/* SPDX-License-Identifier: MIT */
#include "hv/wire/mem.h"
#include "hv/wire/nvsp_int.h"

#define PAGE 4096u
#define PFN_LIMIT (1ull << 52)
#define CONTROL_SECTIONS 8u /* kept back for answers, so that frames never hold them up */
#define MAC_BYTES 12u       /* both addresses */

static bool page_piece(const struct nvsp_io *io, uint64_t pfn, uint32_t in_page, uint8_t *bytes,
		       uint32_t n, bool out)
{
	uint64_t gpa = (pfn << 12) + in_page;

	if (pfn >= PFN_LIMIT) {
		return false;
	}
	return out ? gmem_copy_out(io->mem, gpa, bytes, n) : gmem_copy_in(io->mem, gpa, bytes, n);
}

/* Trust: offset, length, the pages. false: beyond the buffer, or not guest memory; a part may have been copied. */
static bool buffer_copy(const struct nvsp_io *io, const struct nvsp_gpadl *g, uint64_t offset,
			uint8_t *bytes, uint32_t length, bool out)
{
	uint64_t at = g->offset + offset;

	if (!range_within(offset, length, g->length)) {
		return false;
	}
	while (length != 0) {
		uint32_t in_page = (uint32_t)(at % PAGE);
		uint32_t n = length < PAGE - in_page ? length : PAGE - in_page;

		if (at / PAGE >= g->pages ||
		    !page_piece(io, g->pfn[at / PAGE], in_page, bytes, n, out)) {
			return false;
		}
		at += n;
		bytes += n;
		length -= n;
	}
	return true;
}

static bool range_copy(const struct nvsp_io *io, const struct gpa_range *r, const uint64_t *pfn,
		       uint8_t *to)
{
	uint32_t in_page = r->offset, left = r->length;

	for (uint32_t i = 0; i < r->pages && left != 0; i++) {
		uint32_t n = left < PAGE - in_page ? left : PAGE - in_page;

		if (!page_piece(io, pfn[r->first + i], in_page, to, n, false)) {
			return false;
		}
		to += n;
		left -= n;
		in_page = 0;
	}
	return left == 0;
}

/*
 * Copies the RNDIS message to the pool's free end: first what is in the send buffer, then the ranges (a driver that fills a section
 * puts only the last header there). Every byte is read once. Answers its length, 0: refused.
 */
static uint32_t gather(const struct nvsp_session *s, const struct nvsp_io *io, struct nvsp_batch *b,
		       const struct ring_packet *p, const struct nvsp_message *m)
{
	const struct nvsp_gpadl *g;
	uint8_t *to = b->pool + b->used;
	uint32_t total = 0, count = 0;

	if (m->rndis.section != NVSP_SECTION_NONE) {
		g = nvsp_find(io, s->send_gpadl);
		if (m->rndis.section >= s->send_sections || g == NULL ||
		    m->rndis.length > NVSP_SEND_SECTION_BYTES ||
		    !buffer_copy(io, g, (uint64_t)m->rndis.section * NVSP_SEND_SECTION_BYTES, to,
				 m->rndis.length, false)) {
			return 0;
		}
		total = m->rndis.length;
	}
	if (p->type == RING_DATA_GPA_DIRECT &&
	    !gpa_direct_parse(s->journal.packet, p->offset, b->range, NVSP_RANGES_MAX, &count,
			      b->pfn, NVSP_PFNS_MAX)) {
		return 0;
	}
	for (uint32_t i = 0; i < count; i++) {
		if (b->range[i].length > RNDIS_TRANSFER_MAX - total ||
		    !range_copy(io, &b->range[i], b->pfn, to + total)) {
			return 0;
		}
		total += b->range[i].length;
	}
	return total;
}

/* A tag goes between addresses and type: the addresses move into what was header before. */
static void add_frame(struct nvsp_session *s, struct nvsp_batch *b, uint32_t message,
		      const struct rndis_packet *r)
{
	uint32_t at = message + r->data_offset, length = r->data_length;
	uint8_t *frame = b->pool + at;

	if (r->tagged && length >= MAC_BYTES && length <= RNDIS_FRAME_MAX) {
		frame -= RNDIS_TAG_BYTES;
		at -= RNDIS_TAG_BYTES;
		length += RNDIS_TAG_BYTES;
		memmove(frame, frame + RNDIS_TAG_BYTES, MAC_BYTES);
		frame[12] = 0x81;
		frame[13] = 0x00;
		frame[14] = (uint8_t)(r->tci >> 8);
		frame[15] = (uint8_t)r->tci;
	}
	if (r->offload || s->rndis.link_down != 0 || !rndis_frame_fits(frame, length)) {
		s->counters.dropped++;
		return;
	}
	b->frame[b->count++] = (struct nvsp_frame){ at, length };
	s->counters.sent++;
}

/* All PACKET messages in pool[used..used + total). */
static enum nvsp_status receive_frames(struct nvsp_session *s, struct nvsp_batch *b, uint32_t total)
{
	uint32_t at = b->used, end = b->used + total, packets = 0;
	struct rndis_packet r;

	if (s->rndis.initialized == 0) {
		return NVSP_FAIL;
	}
	b->used += (total + 7) & ~7u;
	while (at < end) {
		if (packets++ == NVSP_FRAMES_PER_PACKET ||
		    !rndis_packet_parse(b->pool + at, end - at, &r)) {
			return NVSP_INVALID_RNDIS;
		}
		add_frame(s, b, at, &r);
		at += r.length;
	}
	return NVSP_SUCCESS;
}

static enum nvsp_status receive_control(struct nvsp_session *s, const struct nvsp_batch *b,
					uint32_t total)
{
	struct nvsp_reply *reply = &s->reply[s->reply_tail % NVSP_REPLIES_MAX];

	if (s->reply_tail - s->reply_head >= NVSP_REPLIES_MAX) {
		return NVSP_BUSY;
	}
	if (!rndis_control(&s->rndis, b->pool + b->used, total, reply->bytes, &reply->length)) {
		return NVSP_INVALID_RNDIS;
	}
	if (reply->length != 0) {
		nvsp_store(&s->reply_tail, s->reply_tail + 1);
	}
	return NVSP_SUCCESS;
}

enum nvsp_status nvsp_receive_rndis(struct nvsp_session *s, struct nvsp_io *io,
				    struct nvsp_batch *b, const struct ring_packet *p,
				    const struct nvsp_message *m)
{
	enum nvsp_status status = NVSP_INVALID_RNDIS;
	uint32_t total;

	if (s->sections == 0) {
		s->counters.refused++;
		return NVSP_FAIL;
	}
	total = gather(s, io, b, p, m);
	if (total != 0 && m->rndis.channel == NVSP_DATA) {
		status = receive_frames(s, b, total);
	} else if (total != 0 && m->rndis.channel == NVSP_CONTROL) {
		status = receive_control(s, b, total);
	}
	if (status != NVSP_SUCCESS) {
		s->counters.refused++;
	}
	return status;
}

void nvsp_sections_forget(struct nvsp_session *s)
{
	nvsp_store(&s->sections, 0);
	memset(s->used, 0, sizeof(s->used));
	s->outstanding = 0;
	s->next_section = 0;
}

static uint64_t section_bit(uint32_t section)
{
	return 1ull << (section % 64);
}

void nvsp_section_return(struct nvsp_session *s, uint64_t transaction)
{
	uint32_t section;

	if (transaction == 0 || transaction > s->sections) {
		s->counters.refused++;
		return;
	}
	section = (uint32_t)(transaction - 1);
	if ((s->used[section / 64] & section_bit(section)) == 0) {
		s->counters.refused++;
		return;
	}
	s->used[section / 64] &= ~section_bit(section);
	s->outstanding--;
}

/* The next free section, from where the last one was found. */
static bool section_find(const struct nvsp_session *s, bool control, uint32_t *section)
{
	uint32_t kept = s->sections / 2 < CONTROL_SECTIONS ? s->sections / 2 : CONTROL_SECTIONS;
	uint32_t words = (s->sections + 63) / 64, word = s->next_section / 64;
	uint64_t from = ~0ull << (s->next_section % 64);

	if (s->outstanding >= (control ? s->sections : s->sections - kept)) {
		return false;
	}
	for (uint32_t i = 0; i <= words; i++) {
		uint64_t vacant;

		if (word >= words) {
			word = 0;
			from = ~0ull;
		}
		vacant = ~s->used[word] & from;
		if (vacant != 0) {
			*section = word * 64 + (uint32_t)__builtin_ctzll(vacant);
			if (*section < s->sections) {
				return true;
			}
		}
		from = ~0ull;
		word++;
	}
	return false;
}

static enum ring_status put_section(struct nvsp_session *s, struct nvsp_io *io,
				    enum nvsp_channel channel, uint32_t section, uint32_t length)
{
	uint8_t message[NVSP_BYTES], head[16] = { 0 };
	uint32_t offset = section * NVSP_SECTION_BYTES, one = 1;
	uint16_t id = (uint16_t)s->receive_id;
	struct ring_send send = { .type = RING_DATA_XFER_PAGES,
				  .flags = RING_WANT_COMPLETION,
				  .transaction = (uint64_t)section + 1,
				  .head = head,
				  .head_length = sizeof(head),
				  .payload = message,
				  .payload_length = sizeof(message) };
	enum ring_status status;
	bool signal;

	memcpy(head, &id, 2);
	memcpy(head + 4, &one, 4); /* ranges */
	memcpy(head + 8, &length, 4);
	memcpy(head + 12, &offset, 4);
	nvsp_build_rndis(message, channel);
	status = ring_put(io->out, &send, &signal);
	io->signal |= signal;
	return status;
}

/* What was pushed leaves its queue. A second time it comes to the same. */
static void push_done(struct nvsp_session *s)
{
	nvsp_store(&s->reply_head, s->journal.push_head);
	if (s->journal.push_what == NVSP_PUSH_LINK) {
		nvsp_store(&s->link_pending, 0);
	}
}

/*
 * One RNDIS message into a section and the ring. NVSP_OK; NVSP_DROPPED: no section or no room in the ring; NVSP_BROKEN: also where the
 * receive buffer is no guest memory.
 */
static enum nvsp_result push(struct nvsp_session *s, struct nvsp_io *io, enum nvsp_push what,
			     uint8_t *bytes, uint32_t length)
{
	const struct nvsp_gpadl *g = nvsp_find(io, s->receive_gpadl);
	bool control = what != NVSP_PUSH_FRAME;
	enum ring_status status = RING_BROKEN;
	uint32_t section;

	if (g == NULL || !section_find(s, control, &section)) {
		return NVSP_DROPPED;
	}
	s->journal.push_what = what;
	s->journal.push_head = s->reply_head + (what == NVSP_PUSH_REPLY ? 1 : 0);
	s->journal.out_index = io->out->own;
	nvsp_store(&s->journal.push_section, section + 1);
	s->used[section / 64] |= section_bit(section);
	if (buffer_copy(io, g, (uint64_t)section * NVSP_SECTION_BYTES, bytes, length, true)) {
		status = put_section(s, io, control ? NVSP_CONTROL : NVSP_DATA, section, length);
	}
	if (status == RING_OK) {
		s->outstanding++;
		s->next_section = section + 1 < s->sections ? section + 1 : 0;
		s->out_index = io->out->own;
		push_done(s);
	} else {
		s->used[section / 64] &= ~section_bit(section);
	}
	nvsp_store(&s->journal.push_section, 0);
	if (status == RING_OK) {
		return NVSP_OK;
	}
	return status == RING_FULL ? NVSP_DROPPED : NVSP_BROKEN;
}

void nvsp_push_settle(struct nvsp_session *s, const struct ring *out)
{
	struct nvsp_journal *j = &s->journal;
	uint32_t section = j->push_section - 1;

	if (j->push_section == 0) {
		return;
	}
	if (out->own != j->out_index) { /* it is in the ring */
		push_done(s);
		nvsp_store(&j->push_section, 0);
		return;
	}
	if ((s->used[section / 64] & section_bit(section)) != 0) {
		s->used[section / 64] &= ~section_bit(section);
		s->outstanding--;
	}
	nvsp_store(&j->push_section, 0);
}

enum nvsp_result nvsp_flush(struct nvsp_session *s, struct nvsp_io *io)
{
	uint8_t link[RNDIS_REPLY_MAX];
	enum nvsp_result r = NVSP_OK;

	while (r == NVSP_OK && s->reply_head != s->reply_tail) {
		struct nvsp_reply *reply = &s->reply[s->reply_head % NVSP_REPLIES_MAX];

		r = push(s, io, NVSP_PUSH_REPLY, reply->bytes, reply->length);
	}
	if (r == NVSP_OK && s->link_pending != 0) {
		if (s->rndis.initialized == 0) {
			s->link_pending = 0; /* the guest will ask */
		} else {
			r = push(s, io, NVSP_PUSH_LINK, link, rndis_build_link(&s->rndis, link));
		}
	}
	return r == NVSP_BROKEN ? NVSP_BROKEN : NVSP_OK;
}

enum nvsp_result nvsp_deliver(struct nvsp_session *s, struct nvsp_io *io, uint8_t *message,
			      uint32_t length)
{
	enum nvsp_result r = NVSP_DROPPED;

	/* Answers go first: while one waits for room in the ring, no frame may take it. */
	if (s->journal.stage == NVSP_STAGE_IDLE && s->rndis.link_down == 0 &&
	    rndis_frame_fits(message + RNDIS_PACKET_HEADER, length) &&
	    rndis_filter_wants(&s->rndis, message + RNDIS_PACKET_HEADER)) {
		rndis_packet_build(message, length);
		r = push(s, io, NVSP_PUSH_FRAME, message, RNDIS_PACKET_HEADER + length);
	}
	if (r == NVSP_OK) {
		s->counters.received++;
	} else if (r == NVSP_DROPPED) {
		s->counters.dropped++;
	}
	return r;
}
