/* SPDX-License-Identifier: MIT */
/* A child's memory: units of the pool, mapped for the child and granted to the root (TLFS 5). */
#include "hv/core/arch.h"
#include "hv/core/cpu.h"
#include "hv/core/hypercall.h"
#include "hv/core/log.h"
#include "hv/core/pfn.h"
#include "hv/core/vp.h"
#include "hv/wire/view.h"

#define MAP_KNOWN (HV_MAP_READ | HV_MAP_WRITE | HV_MAP_EXECUTE | HV_MAP_LARGE)
#define MAP_WANTED (HV_MAP_READ | HV_MAP_WRITE | HV_MAP_EXECUTE | HV_MAP_LARGE)

static bool in_npt(struct npt *n, struct lock *lock, uint64_t at, hpa_t to, unsigned access)
{
	bool ok;

	lock_acquire(lock);
	ok = npt_map(n, gpa(at), to, PFN_UNIT, access);
	lock_release(lock);
	return ok;
}

static void out_of_npt(struct npt *n, struct lock *lock, uint64_t at)
{
	bool ok;

	lock_acquire(lock);
	ok = npt_unmap(n, gpa(at), PFN_UNIT);
	lock_release(lock);
	CHECK(ok); /* a whole 2 MiB leaf: nothing has to be split */
}

/* Locks: partitions_lock. One unit: the child gets it, and the root a grant that it cannot execute. */
static enum hv_status map_unit(struct partition *p, uint64_t at, uint64_t source)
{
	uint32_t unit;
	hpa_t frame, have;

	if (!range_within(at, PFN_UNIT, GPA_LIMIT) || source > GPA_LIMIT >> PAGE_SHIFT) {
		return HV_INVALID_PARAMETER;
	}
	frame = hpa(source << PAGE_SHIFT);
	unit = pfn_unit(frame);
	if (unit == PFN_NONE || (frame.v & (PFN_UNIT - 1)) != 0) {
		return HV_INVALID_PARAMETER;
	}
	if (npt_lookup(&p->npt, gpa(at), &have, NULL, NULL)) {
		return HV_OBJECT_IN_USE;
	}
	if (pfn_state(unit) == PFN_DIRTY) {
		pfn_clean(unit);
	}
	if (pfn_state(unit) != PFN_CLEAN) {
		return HV_OBJECT_IN_USE;
	}
	if (!in_npt(&p->npt, &p->lock, at, frame, NPT_RWX)) {
		return HV_INSUFFICIENT_MEMORY;
	}
	if (!in_npt(&partition_root->npt, &partition_root->lock, frame.v, frame, NPT_RW)) {
		out_of_npt(&p->npt, &p->lock, at);
		cpu_tlb_shootdown(); /* a VP of the child may have seen it */
		pfn_dirty(unit);
		return HV_INSUFFICIENT_MEMORY;
	}
	CHECK(pfn_claim(unit, p->slot, gpa(at)));
	p->pages += PFN_UNIT / PAGE_SIZE;
	return HV_SUCCESS;
}

/* One unit at a time: zeroing 2 MiB is as long as interrupts may wait. */
enum hv_status hc_map_gpa_pages(struct vp *vp, struct hcall *h)
{
	enum hv_status s = HV_INVALID_PARTITION_ID;
	struct hv_map_gpa_pages q;
	struct partition *p;
	uint64_t source;

	(void)vp;
	__builtin_memcpy(&q, h->in, sizeof(q));
	__builtin_memcpy(&source, h->list + (size_t)h->start * 8, sizeof(source));
	if ((q.flags & ~MAP_KNOWN) != 0 || (q.flags & MAP_WANTED) != MAP_WANTED || q.pad != 0 ||
	    q.base > GPA_LIMIT >> PAGE_SHIFT || (q.base & (PFN_UNIT / PAGE_SIZE - 1)) != 0) {
		return HV_INVALID_PARAMETER;
	}
	lock_acquire(&partitions_lock);
	p = partition_find(q.partition);
	if (p != NULL) {
		s = p->state == RD_PARTITION_DYING
			    ? HV_INVALID_PARTITION_STATE
			    : map_unit(p, (q.base << PAGE_SHIFT) + h->start * PFN_UNIT, source);
	}
	lock_release(&partitions_lock);
	h->done += s == HV_SUCCESS ? 1 : 0;
	return s;
}

/* Locks: partitions_lock. */
static enum hv_status unmap_unit(struct partition *p, uint64_t at)
{
	hpa_t frame;
	uint32_t unit;

	if (!range_within(at, PFN_UNIT, GPA_LIMIT) ||
	    !npt_lookup(&p->npt, gpa(at), &frame, NULL, NULL)) {
		return HV_INVALID_PARAMETER;
	}
	unit = pfn_unit(frame);
	CHECK(unit != PFN_NONE && pfn_slot(unit) == p->slot);
	out_of_npt(&p->npt, &p->lock, at);
	out_of_npt(&partition_root->npt, &partition_root->lock, frame.v);
	pfn_leave(unit);
	cpu_tlb_shootdown();
	pfn_clean(unit);
	p->pages -= PFN_UNIT / PAGE_SIZE;
	return HV_SUCCESS;
}

/* A VP in the middle of a hypercall may hold a window onto the unit: all of them must be at rest. */
static bool at_rest(const struct partition *p)
{
	for (uint32_t i = 0; i < p->vp_count; i++) {
		if (!vp_suspended(p->vp[i])) {
			return false;
		}
	}
	return true;
}

enum hv_status hc_unmap_gpa_pages(struct vp *vp, struct hcall *h)
{
	enum hv_status s = HV_INVALID_PARTITION_ID;
	struct hv_unmap_gpa_pages q;
	struct partition *p;

	(void)vp;
	__builtin_memcpy(&q, h->in, sizeof(q));
	if (q.flags != HV_MAP_LARGE || q.pad != 0 || q.base > GPA_LIMIT >> PAGE_SHIFT ||
	    (q.base & (PFN_UNIT / PAGE_SIZE - 1)) != 0) {
		return HV_INVALID_PARAMETER;
	}
	lock_acquire(&partitions_lock);
	p = partition_find(q.partition);
	if (p != NULL) {
		s = p->state == RD_PARTITION_DYING ? HV_INVALID_PARTITION_STATE
		    : !at_rest(p)                  ? HV_INVALID_VP_STATE
				  : unmap_unit(p, (q.base << PAGE_SHIFT) + h->start * PFN_UNIT);
	}
	lock_release(&partitions_lock);
	h->done += s == HV_SUCCESS ? 1 : 0;
	return s;
}
