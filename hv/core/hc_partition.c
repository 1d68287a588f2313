/* SPDX-License-Identifier: MIT */
/* Life of a child partition: created -> active -> dying -> gone (TLFS 4). Long work is done in steps (HV_CONTINUE). */
#include "hv/core/arch.h"
#include "hv/core/connect.h"
#include "hv/core/cpu.h"
#include "hv/core/hypercall.h"
#include "hv/core/log.h"
#include "hv/core/pfn.h"
#include "hv/core/time.h"
#include "hv/core/vp.h"

#define WEIGHT_MAX 1000

enum hv_status hc_create_partition(struct vp *vp, struct hcall *h)
{
	struct hv_create_partition q;
	struct partition *p;

	(void)vp;
	__builtin_memcpy(&q, h->in, sizeof(q));
	if (q.flags != 0 || q.pad != 0 || q.isolation != 0 || q.disabled_features[0] != 0 ||
	    q.disabled_features[1] != 0 || q.disabled_xsave != 0) {
		return HV_INVALID_PARAMETER;
	}
	lock_acquire(&partitions_lock);
	p = partition_create();
	if (p != NULL) {
		p->time_base = time_reference();
		launch_begin(p);
		__builtin_memcpy(h->out, &p->id, sizeof(p->id));
		log_info("partition %lu created", p->id);
	}
	lock_release(&partitions_lock);
	return p == NULL ? HV_INSUFFICIENT_MEMORY : HV_SUCCESS;
}

static uint64_t id_of(const struct hcall *h)
{
	uint64_t id;

	__builtin_memcpy(&id, h->in, sizeof(id));
	return id;
}

enum hv_status hc_initialize_partition(struct vp *vp, struct hcall *h)
{
	enum hv_status s = HV_INVALID_PARTITION_ID;
	struct partition *p;

	(void)vp;
	lock_acquire(&partitions_lock);
	p = partition_find(id_of(h));
	if (p != NULL) {
		s = p->state == RD_PARTITION_CREATED ? HV_SUCCESS : HV_INVALID_PARTITION_STATE;
		p->state = s == HV_SUCCESS ? RD_PARTITION_ACTIVE : p->state;
	}
	lock_release(&partitions_lock);
	return s;
}

/* Locks: partitions_lock. True where no CPU knows any of its VPs any more. */
static bool stopped(struct partition *p)
{
	bool all = true;

	for (uint32_t i = 0; i < HV_VP_MAX; i++) {
		struct vp *v = p->vp[i];

		if (v == NULL || __atomic_load_n(&v->detached, __ATOMIC_ACQUIRE) != 0) {
			continue;
		}
		all = false;
		if ((__atomic_load_n(&v->events, __ATOMIC_SEQ_CST) & VP_EVENT_STOP) == 0) {
			vp_event(v, VP_EVENT_STOP);
		}
	}
	return all;
}

/* When it succeeds, nothing of the partition runs or will run again. */
enum hv_status hc_finalize_partition(struct vp *vp, struct hcall *h)
{
	enum hv_status s = HV_INVALID_PARTITION_ID;
	struct partition *p;

	(void)vp;
	lock_acquire(&partitions_lock);
	p = partition_find(id_of(h));
	if (p != NULL) {
		p->state = RD_PARTITION_DYING;
		s = stopped(p) ? HV_SUCCESS : HV_CONTINUE;
	}
	lock_release(&partitions_lock);
	return s;
}

/* Locks: partitions_lock. The root and devices lose the memory, at once; nothing of it has been zeroed yet. */
static void revoke(struct partition *p)
{
	lock_acquire(&partition_root->lock);
	for (uint32_t u = 0; u < pfn_units(); u++) {
		if (pfn_state(u) == PFN_OWNED && pfn_slot(u) == p->slot) {
			/* Whole 2 MiB pieces were mapped: no table has to be made for taking them out. */
			CHECK(npt_unmap(&partition_root->npt, gpa(pfn_address(u).v), PFN_UNIT));
			pfn_leave(u);
		}
	}
	lock_release(&partition_root->lock);
	cpu_tlb_shootdown();
	p->revoked = true;
}

/* Locks: partitions_lock. Part of a unit, so that interrupts do not wait long; false: there is none left. */
static bool clean_one(struct partition *p)
{
	for (uint32_t u = 0; u < pfn_units(); u++) {
		if (pfn_state(u) == PFN_LEAVING && pfn_slot(u) == p->slot) {
			p->clean_page = pfn_clean_step(u, p->clean_page);
			p->pages -= PFN_STEP;
			return true;
		}
	}
	return false;
}

enum hv_status hc_delete_partition(struct vp *vp, struct hcall *h)
{
	enum hv_status s = HV_CONTINUE;
	struct partition *p;

	(void)vp;
	lock_acquire(&partitions_lock);
	p = partition_find(id_of(h));
	if (p == NULL) {
		s = HV_INVALID_PARTITION_ID;
	} else if (p->state == RD_PARTITION_ACTIVE) {
		s = HV_INVALID_PARTITION_STATE;
	} else if (!stopped(p)) {
		p->state = RD_PARTITION_DYING;
	} else if (!p->revoked) {
		p->state = RD_PARTITION_DYING;
		connect_forget(p);
		revoke(p);
	} else if (!clean_one(p)) {
		log_info("partition %lu deleted", p->id);
		partition_free(p);
		s = HV_SUCCESS;
	}
	lock_release(&partitions_lock);
	return s;
}

/* --- properties --- */

enum hv_status hc_get_property(struct vp *vp, struct hcall *h)
{
	enum hv_status s = HV_SUCCESS;
	struct hv_get_property q;
	struct partition *p;
	uint64_t v = 0;

	(void)vp;
	__builtin_memcpy(&q, h->in, sizeof(q));
	lock_acquire(&partitions_lock);
	p = partition_find(q.partition);
	if (p == NULL || q.reserved != 0) {
		s = p == NULL ? HV_INVALID_PARTITION_ID : HV_INVALID_PARAMETER;
	} else if (q.code == HV_PROPERTY_REFERENCE_TIME) {
		v = time_reference() - p->time_base;
	} else if (q.code == HV_PROPERTY_STATE) {
		v = p->state | p->pages << 32;
	} else if (q.code == HV_PROPERTY_WEIGHT) {
		v = p->weight;
	} else {
		s = HV_INVALID_PARAMETER;
	}
	lock_release(&partitions_lock);
	__builtin_memcpy(h->out, &v, sizeof(v));
	return s;
}

/* The weight counts for VPs that are created afterwards. */
enum hv_status hc_set_property(struct vp *vp, struct hcall *h)
{
	enum hv_status s = HV_SUCCESS;
	struct hv_set_property q;
	struct partition *p;

	(void)vp;
	__builtin_memcpy(&q, h->in, sizeof(q));
	lock_acquire(&partitions_lock);
	p = partition_find(q.partition);
	if (p == NULL) {
		s = HV_INVALID_PARTITION_ID;
	} else if (q.reserved != 0 || q.code != HV_PROPERTY_WEIGHT || q.value < 1 ||
		   q.value > WEIGHT_MAX) {
		s = HV_INVALID_PARAMETER;
	} else {
		p->weight = (uint32_t)q.value;
	}
	lock_release(&partitions_lock);
	return s;
}

static uint64_t ticks_ns(uint64_t ticks)
{
	return time_mul_div(ticks, 1000000000ull, time_tsc_hz());
}

enum hv_status hc_partition_info(struct vp *vp, struct hcall *h)
{
	struct rd_partition_info *o = (struct rd_partition_info *)h->out;
	struct partition *p;

	(void)vp;
	lock_acquire(&partitions_lock);
	p = partition_next(id_of(h));
	if (p != NULL) {
		o->partition = p->id;
		o->state = p->state;
		o->vp_count = p->vp_count;
		o->pages = p->pages;
		o->intercepts = __atomic_load_n(&p->intercepts, __ATOMIC_RELAXED);
		o->denied_msr = __atomic_load_n(&p->denied_msr, __ATOMIC_RELAXED);
		o->denied_port = __atomic_load_n(&p->denied_port, __ATOMIC_RELAXED);
		o->denied_memory = __atomic_load_n(&p->denied_memory, __ATOMIC_RELAXED);
		o->denied_insn = __atomic_load_n(&p->denied_insn, __ATOMIC_RELAXED);
		for (uint32_t i = 0; i < RD_VP_INFO; i++) {
			struct vp *v = p->vp[i];

			if (v != NULL) {
				o->exits += v->exits;
				o->hypercalls += v->hypercalls;
				o->vp[i].runtime_ns = ticks_ns(v->runtime);
				o->vp[i].cpu = v->cpu;
				o->vp[i].suspended = v->suspended;
			}
		}
	}
	lock_release(&partitions_lock);
	return p == NULL ? HV_NOT_FOUND : HV_SUCCESS;
}
