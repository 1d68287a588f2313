/* SPDX-License-Identifier: MIT */
#include "hv/core/synic.h"

#include "hv/core/arch.h"
#include "hv/core/cpu.h"
#include "hv/core/gpa.h"
#include "hv/core/heap.h"
#include "hv/core/time.h"
#include "hv/core/vp.h"

#define HV_SCONTROL 0x40000080
#define HV_SVERSION 0x40000081
#define HV_SIEFP 0x40000082
#define HV_SIMP 0x40000083
#define HV_EOM 0x40000084
#define HV_SINT0 0x40000090
#define HV_SINT15 0x4000009f
#define HV_STIMER0 0x400000b0
#define HV_STIMER_LAST 0x400000b7

#define ENABLE 1ull
#define PAGE_MASK (~(PAGE_SIZE - 1))

/* STIMER_CONFIG (TLFS 12.5.2) */
#define ST_ENABLE (1ull << 0)
#define ST_PERIODIC (1ull << 1)
#define ST_AUTO (1ull << 3)
#define ST_VECTOR(c) ((uint8_t)((c) >> 4))
#define ST_DIRECT (1ull << 12)
#define ST_SINT(c) ((uint32_t)((c) >> 16) & 15)
#define ST_KNOWN 0xf1fffull
#define ST_PERIOD_MIN \
	200u /* 20 us, in 100 ns: a periodic timer may not keep its CPU from anything else */

#define MESSAGE_PENDING 1u

struct timer_payload { /* TLFS 12.5.3 */
	uint32_t index, reserved;
	uint64_t expiration, delivery;
};

/* --- messages --- */

static bool slot_of(const struct synic *s, uint32_t sint, gpa_t *at)
{
	if ((s->scontrol & ENABLE) == 0 || (s->simp & ENABLE) == 0) {
		return false;
	}
	*at = gpa((s->simp & PAGE_MASK) + sint * sizeof(struct hv_message));
	return true;
}

static void interrupt(struct vp *vp, uint32_t sint)
{
	uint64_t v = vp->synic.sint[sint];

	if ((v & (HV_SINT_MASKED | HV_SINT_POLLING)) == 0 && (v & 0xff) >= 16) {
		vlapic_post(vp, (uint8_t)v, false);
	}
}

/*
 * Locks: the SynIC's. Puts a message into its slot if that is empty; else asks for an end-of-message and looks once more, because the
 * guest may have emptied the slot without seeing the request (TLFS 11.10).
 */
static bool deliver(struct vp *vp, uint32_t sint, const struct hv_message *m)
{
	struct partition *p = vp->partition;
	uint32_t type, flags;
	gpa_t at;

	if (!slot_of(&vp->synic, sint, &at) || (vp->synic.sint[sint] & HV_SINT_MASKED) != 0) {
		return false;
	}
	if (!gpa_copy_in(p, at, &type, sizeof(type))) {
		return false;
	}
	if (type != HV_MESSAGE_NONE) {
		if (!gpa_or32(p, gpa(at.v + 4), MESSAGE_PENDING << 8, &flags) ||
		    !gpa_copy_in(p, at, &type, sizeof(type)) || type != HV_MESSAGE_NONE) {
			return false;
		}
	}
	type = m->type;
	/* The type comes last: the guest looks at it without a lock. */
	if (!gpa_copy_out(p, gpa(at.v + 4), (const uint8_t *)m + 4, sizeof(*m) - 4) ||
	    !gpa_copy_out(p, at, &type, sizeof(type))) {
		return false;
	}
	interrupt(vp, sint);
	return true;
}

/* Locks: the SynIC's. Messages of one SINT keep their order. */
static bool queued(const struct synic *s, uint32_t sint)
{
	for (uint32_t i = 0; i < s->waiting; i++) {
		if (s->queue->sint[i] == sint) {
			return true;
		}
	}
	return false;
}

enum hv_status synic_post(struct vp *vp, uint32_t sint, const struct hv_message *m)
{
	struct synic *s = &vp->synic;
	enum hv_status status = HV_SUCCESS;
	struct hv_message clean = *m;

	clean.flags = 0;
	clean.reserved = 0;
	lock_acquire(&s->lock);
	if (queued(s, sint) || !deliver(vp, sint, &clean)) {
		if (s->queue == NULL) {
			s->queue = heap_alloc(1);
		}
		if (s->queue == NULL || s->waiting == SYNIC_QUEUE) {
			status = HV_INSUFFICIENT_BUFFERS;
		} else {
			s->queue->sint[s->waiting] = (uint8_t)sint;
			s->queue->message[s->waiting] = clean;
			__atomic_store_n(&s->waiting, s->waiting + 1, __ATOMIC_RELAXED);
		}
	}
	lock_release(&s->lock);
	return status;
}

/* Locks: the SynIC's. The first message of each SINT, if its slot is free. */
static void flush_queue(struct vp *vp)
{
	struct synic *s = &vp->synic;
	uint32_t tried = 0, kept = 0;

	for (uint32_t i = 0; i < s->waiting; i++) {
		uint32_t sint = s->queue->sint[i];
		bool first = (tried >> sint & 1) == 0;

		tried |= 1u << sint;
		if (first && deliver(vp, sint, &s->queue->message[i])) {
			continue;
		}
		if (kept != i) {
			s->queue->sint[kept] = s->queue->sint[i];
			s->queue->message[kept] = s->queue->message[i];
		}
		kept++;
	}
	/* A message that follows one just delivered makes its slot say so. */
	for (uint32_t i = 0; i < kept && kept != s->waiting; i++) {
		uint32_t flags;
		gpa_t at;

		if (slot_of(s, s->queue->sint[i], &at) &&
		    !gpa_or32(vp->partition, gpa(at.v + 4), MESSAGE_PENDING << 8, &flags)) {
			break;
		}
	}
	__atomic_store_n(&s->waiting, kept, __ATOMIC_RELAXED);
}

static void timers_flush(struct vp *vp);

void synic_flush(struct vp *vp)
{
	lock_acquire(&vp->synic.lock);
	flush_queue(vp);
	lock_release(&vp->synic.lock);
	timers_flush(vp);
}

enum hv_status synic_signal(struct vp *vp, uint32_t sint, uint32_t flag, bool *newly)
{
	struct synic *s = &vp->synic;
	enum hv_status status = HV_INVALID_SYNIC_STATE;
	uint32_t old = 0, bit = 1u << (flag % 32);
	uint64_t at;

	*newly = false;
	lock_acquire(&s->lock);
	at = (s->siefp & PAGE_MASK) + sint * (HV_EVENT_FLAGS / 8ull) + flag / 32 * 4ull;
	if ((s->scontrol & ENABLE) != 0 && (s->siefp & ENABLE) != 0 &&
	    (s->sint[sint] & HV_SINT_MASKED) == 0 && gpa_or32(vp->partition, gpa(at), bit, &old)) {
		status = HV_SUCCESS;
		*newly = (old & bit) == 0;
		if (*newly) {
			interrupt(vp, sint);
		}
	}
	lock_release(&s->lock);
	return status;
}

/* --- timers --- */

/* Reference time of the VP's partition. */
static uint64_t now_of(const struct vp *vp)
{
	return time_reference() - vp->partition->time_base;
}

/* When it is due next, in the partition's reference time; the end of time where that is beyond it. */
static uint64_t timer_due(const struct vp *vp, unsigned i)
{
	uint64_t count = vp->synic.timer[i].count, last = vp->synic.timer[i].expired;

	if ((vp->synic.timer[i].config & ST_PERIODIC) == 0) {
		return count;
	}
	count = count < ST_PERIOD_MIN ? ST_PERIOD_MIN : count;
	return last > UINT64_MAX - count ? UINT64_MAX : last + count;
}

static void timer_program(struct vp *vp, unsigned i)
{
	uint64_t at = UINT64_MAX, count = vp->synic.timer[i].count;

	if ((vp->synic.timer[i].config & ST_ENABLE) != 0 && count != 0) {
		at = timer_due(vp, i);
		/* Beyond what a TSC value says: never. */
		at = at > UINT64_MAX - vp->partition->time_base
			     ? UINT64_MAX
			     : time_tsc_from_reference(at + vp->partition->time_base);
	}
	vp_timer_set(vp, (enum vp_timer)(VP_TIMER_SYNIC + i), at);
}

static void timer_message(struct vp *vp, unsigned i)
{
	struct hv_message m = { .type = HV_MESSAGE_TIMER,
				.payload_size = sizeof(struct timer_payload) };
	struct timer_payload t = { i, 0, vp->synic.timer[i].expired, now_of(vp) };
	uint32_t sint = ST_SINT(vp->synic.timer[i].config);

	__builtin_memcpy(m.payload, &t, sizeof(t));
	lock_acquire(&vp->synic.lock);
	vp->synic.undelivered &= ~(1u << i);
	if (queued(&vp->synic, sint) || !deliver(vp, sint, &m)) {
		vp->synic.undelivered |= 1u << i;
	}
	lock_release(&vp->synic.lock);
}

static void timers_flush(struct vp *vp)
{
	for (unsigned i = 0; i < HV_STIMER_COUNT; i++) {
		if ((vp->synic.undelivered >> i & 1) != 0) {
			timer_message(vp, i);
		}
	}
}

static void timer_expire(struct vp *vp, unsigned i, uint64_t now)
{
	uint64_t config = vp->synic.timer[i].config;

	if ((config & ST_PERIODIC) != 0) { /* what was missed altogether is dropped */
		uint64_t period = vp->synic.timer[i].count;

		period = period < ST_PERIOD_MIN ? ST_PERIOD_MIN : period;
		vp->synic.timer[i].expired = now - (now - vp->synic.timer[i].expired) % period;
	} else {
		vp->synic.timer[i].expired = vp->synic.timer[i].count;
		vp->synic.timer[i].config &= ~ST_ENABLE;
	}
	if ((config & ST_DIRECT) != 0) {
		vlapic_post(vp, ST_VECTOR(config), false);
	} else {
		timer_message(vp, i);
	}
}

void synic_timer_check(struct vp *vp, unsigned i)
{
	uint64_t now = now_of(vp);

	if ((vp->synic.timer[i].config & ST_ENABLE) != 0 && vp->synic.timer[i].count != 0 &&
	    now >= timer_due(vp, i)) {
		timer_expire(vp, i, now);
	}
	timer_program(vp, i);
}

static bool timer_config(struct vp *vp, unsigned i, uint64_t v)
{
	if ((v & ~ST_KNOWN) != 0) {
		return false;
	}
	if ((v & ST_DIRECT) != 0 && ST_VECTOR(v) < 16 && (v & ST_ENABLE) != 0) {
		return false;
	}
	if ((v & ST_DIRECT) == 0 && ST_SINT(v) == 0) {
		v &= ~ST_ENABLE;
	}
	vp->synic.timer[i].config = v;
	vp->synic.undelivered &= ~(1u << i);
	vp->synic.timer[i].expired = now_of(vp);
	synic_timer_check(vp, i);
	return true;
}

/* An interrupt to raise, or a SINT to send to. */
static bool has_target(uint64_t config)
{
	return (config & ST_DIRECT) != 0 ? ST_VECTOR(config) >= 16 : ST_SINT(config) != 0;
}

static void timer_count(struct vp *vp, unsigned i, uint64_t v)
{
	vp->synic.timer[i].count = v;
	vp->synic.undelivered &= ~(1u << i);
	if (v == 0) {
		vp->synic.timer[i].config &= ~ST_ENABLE;
	} else if ((vp->synic.timer[i].config & ST_AUTO) != 0 &&
		   has_target(vp->synic.timer[i].config)) {
		vp->synic.timer[i].config |= ST_ENABLE;
	}
	vp->synic.timer[i].expired = now_of(vp);
	synic_timer_check(vp, i);
}

/* --- registers --- */

/* Locks: none. Context: before any CPU knows the VP, or its own. */
void synic_reset(struct vp *vp)
{
	struct synic *s = &vp->synic;

	s->scontrol = 0;
	s->siefp = 0;
	s->simp = 0;
	s->waiting = 0;
	s->undelivered = 0;
	for (unsigned i = 0; i < HV_SINT_COUNT; i++) {
		s->sint[i] = HV_SINT_MASKED;
	}
	for (unsigned i = 0; i < HV_STIMER_COUNT; i++) {
		s->timer[i].config = 0;
		s->timer[i].count = 0;
		vp_timer_set(vp, (enum vp_timer)(VP_TIMER_SYNIC + i), UINT64_MAX);
	}
}

void synic_free(struct vp *vp)
{
	heap_free(vp->synic.queue, 1);
	vp->synic.queue = NULL;
}

bool synic_msr_read(struct vp *vp, uint32_t msr, uint64_t *value)
{
	const struct synic *s = &vp->synic;

	if (msr >= HV_SINT0 && msr <= HV_SINT15) {
		*value = s->sint[msr - HV_SINT0];
		return true;
	}
	if (msr >= HV_STIMER0 && msr <= HV_STIMER_LAST) {
		unsigned i = (msr - HV_STIMER0) / 2;

		*value = (msr & 1) == 0 ? s->timer[i].config : s->timer[i].count;
		return true;
	}
	switch (msr) {
	case HV_SCONTROL:
		*value = s->scontrol;
		return true;
	case HV_SVERSION:
		*value = 1;
		return true;
	case HV_SIEFP:
		*value = s->siefp;
		return true;
	case HV_SIMP:
		*value = s->simp;
		return true;
	case HV_EOM:
		*value = 0;
		return true;
	default:
		return false;
	}
}

static bool sint_write(struct vp *vp, unsigned i, uint64_t v)
{
	if ((v & HV_SINT_MASKED) == 0 && (v & 0xff) < 16) {
		return false;
	}
	if ((v & HV_SINT_AUTO_EOI) != 0) { /* deprecated by hint, and not offered */
		return false;
	}
	vp->synic.sint[i] = v;
	return true;
}

static bool register_write(struct vp *vp, uint32_t msr, uint64_t v)
{
	struct synic *s = &vp->synic;

	if (msr >= HV_SINT0 && msr <= HV_SINT15) {
		return sint_write(vp, msr - HV_SINT0, v);
	}
	switch (msr) {
	case HV_SCONTROL:
		s->scontrol = v;
		return true;
	case HV_SIEFP:
		s->siefp = v;
		return true;
	case HV_SIMP:
		s->simp = v;
		return true;
	case HV_EOM:
		return true;
	default:
		return false;
	}
}

bool synic_msr_write(struct vp *vp, uint32_t msr, uint64_t v)
{
	bool ok;

	if (msr >= HV_STIMER0 && msr <= HV_STIMER_LAST) {
		unsigned i = (msr - HV_STIMER0) / 2;

		if ((msr & 1) == 0) {
			return timer_config(vp, i, v);
		}
		timer_count(vp, i, v);
		return true;
	}
	lock_acquire(&vp->synic.lock);
	ok = register_write(vp, msr, v);
	lock_release(&vp->synic.lock);
	if (ok) {
		synic_flush(vp); /* whatever was written may have opened the way for a message */
	}
	return ok;
}
