/* SPDX-License-Identifier: MIT */
#ifndef HV_CORE_SYNIC_H
#define HV_CORE_SYNIC_H
/* Synthetic interrupt controller and timers of one VP (TLFS 11, 12). */
#include "hv/abi/tlfs.h"
#include "hv/core/hypercall.h"
#include "hv/core/lock.h"
#include "hv/core/types.h"

struct vp;

#define SYNIC_QUEUE 15

/* Messages that wait for their slot, first in first out for each SINT. One page. */
struct synic_queue {
	uint8_t sint[16];
	struct hv_message message[SYNIC_QUEUE];
};

struct synic {
	struct lock lock; /* all of it, but the timers */
	uint64_t scontrol, siefp, simp;
	uint64_t sint[HV_SINT_COUNT];
	uint32_t waiting; /* messages in the queue */
	struct synic_queue *queue;
	struct { /* [owner] */
		uint64_t config, count;
		uint64_t expired;
	} timer[HV_STIMER_COUNT];
	uint32_t undelivered; /* [owner] a bit per timer: expired, its message has no place yet */
};

void synic_reset(struct vp *vp);
void synic_free(struct vp *vp);
/* [owner] MSRs 0x40000080 to 0x400000b7. false: #GP. Trust: all. */
bool synic_msr_read(struct vp *vp, uint32_t msr, uint64_t *value) MUST_CHECK;
bool synic_msr_write(struct vp *vp, uint32_t msr, uint64_t value) MUST_CHECK;
/*
 * Any CPU, while vp's partition cannot go away. HV_INSUFFICIENT_BUFFERS: the queue is full. Messages for a controller that is
 * switched off wait.
 */
enum hv_status synic_post(struct vp *vp, uint32_t sint, const struct hv_message *m) MUST_CHECK;
/* Any CPU, likewise. *newly: the flag was clear. HV_INVALID_SYNIC_STATE: switched off, masked, or no page. */
enum hv_status synic_signal(struct vp *vp, uint32_t sint, uint32_t flag, bool *newly) MUST_CHECK;
/* [owner] Delivers what has become deliverable. */
void synic_flush(struct vp *vp);
/* [owner] After an EOI: is there anything for synic_flush? */
static inline bool synic_has_waiting(const struct synic *s)
{
	return __atomic_load_n(&s->waiting, __ATOMIC_RELAXED) != 0 || s->undelivered != 0;
}
/* [owner] A timer's deadline may have passed. */
void synic_timer_check(struct vp *vp, unsigned i);

#endif
