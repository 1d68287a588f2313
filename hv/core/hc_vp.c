/* SPDX-License-Identifier: MIT */
/* A child's virtual processors as its parent sees them (TLFS 6, 7, 10.5). */
#include "hv/core/arch.h"
#include "hv/core/cpu.h"
#include "hv/core/hypercall.h"
#include "hv/core/msr.h"
#include "hv/core/owner.h"
#include "hv/core/time.h"
#include "hv/core/vp.h"
#include "hv/wire/view.h"

/* Locks: partitions_lock. NULL: *s says why. */
static struct vp *find(uint64_t partition, uint32_t index, enum hv_status *s)
{
	struct partition *p = partition_find(partition);

	if (p == NULL) {
		*s = HV_INVALID_PARTITION_ID;
		return NULL;
	}
	if (index >= HV_VP_MAX || p->vp[index] == NULL) {
		*s = HV_INVALID_VP_INDEX;
		return NULL;
	}
	if (p->state == RD_PARTITION_DYING) {
		*s = HV_INVALID_PARTITION_STATE;
		return NULL;
	}
	return p->vp[index];
}

/* Locks: partitions_lock. VP 0 waits for its parent, the others for a SIPI. */
static enum hv_status create(struct partition *p, uint32_t index)
{
	struct vp *v;

	if (p->state == RD_PARTITION_DYING || p->launch.sealed) { /* which named every VP */
		return HV_INVALID_PARTITION_STATE;
	}
	/* In order: an index below vp_count always exists for those who send IPIs. */
	if (index >= HV_VP_MAX || index > p->vp_count) {
		return HV_INVALID_VP_INDEX;
	}
	if (p->vp[index] != NULL) {
		return HV_OBJECT_IN_USE;
	}
	v = vp_create(p, index, cpu_choose(), index);
	if (v == NULL) {
		return HV_INSUFFICIENT_MEMORY;
	}
	if (index == 0) {
		msr_setup_child(v); /* the lists are the partition's */
		v->parked = 0;
		v->state = VP_RUNNABLE;
		v->suspended = VP_SUSPEND_EXPLICIT;
	}
	cpu_add_vp(v);
	return HV_SUCCESS;
}

enum hv_status hc_create_vp(struct vp *vp, struct hcall *h)
{
	enum hv_status s = HV_INVALID_PARTITION_ID;
	struct hv_create_vp q;
	struct partition *p;

	(void)vp;
	__builtin_memcpy(&q, h->in, sizeof(q));
	if ((q.pad[0] | q.pad[1] | q.pad[2]) != 0 || q.flags != 0) {
		return HV_INVALID_PARAMETER;
	}
	lock_acquire(&partitions_lock);
	p = partition_find(q.partition);
	if (p != NULL) {
		s = create(p, q.vp);
	}
	lock_release(&partitions_lock);
	return s;
}

/* Locks: partitions_lock. The registers that are the core's; false: not one of them. */
static bool core_get(struct vp *v, uint32_t name, struct hv_register_value *out)
{
	uint32_t suspended = __atomic_load_n(&v->suspended, __ATOMIC_ACQUIRE);

	switch (name) {
	case HV_REG_EXPLICIT_SUSPEND:
		out->low = (suspended & VP_SUSPEND_EXPLICIT) != 0;
		return true;
	case HV_REG_INTERCEPT_SUSPEND:
		out->low = (suspended & VP_SUSPEND_INTERCEPT) != 0;
		return true;
	case HV_REG_RIP:
		out->low = v->rip;
		return true;
	case HV_REG_RFLAGS:
		out->low = v->rflags;
		return true;
	case HV_REG_APIC_BASE:
		out->low = v->apic.base;
		return true;
	case HV_REG_GUEST_OS_ID:
		out->low = v->partition->guest_os_id;
		return true;
	case HV_REG_VP_INDEX:
		out->low = v->index;
		return true;
	case HV_REG_VP_RUNTIME:
		out->low = time_mul_div(v->runtime, 10000000ull, time_tsc_hz());
		return true;
	default:
		if (name >= HV_REG_RAX && name <= HV_REG_R15) {
			out->low = v->regs[name - HV_REG_RAX];
			return true;
		}
		return false;
	}
}

bool vp_get_register(struct vp *v, uint32_t name, struct hv_register_value *out)
{
	return core_get(v, name, out) || arch_vp_get_register(v, name, out);
}

enum hv_status hc_get_vp_registers(struct vp *vp, struct hcall *h)
{
	enum hv_status s = HV_SUCCESS;
	struct hv_vp_registers q;
	struct vp *v;

	(void)vp;
	__builtin_memcpy(&q, h->in, sizeof(q));
	if ((q.vtl | q.pad[0] | q.pad[1] | q.pad[2]) != 0) {
		return HV_INVALID_PARAMETER;
	}
	lock_acquire(&partitions_lock);
	v = find(q.partition, q.vp, &s);
	if (v != NULL && !vp_suspended(v)) {
		s = HV_INVALID_VP_STATE;
	}
	while (v != NULL && s == HV_SUCCESS && h->done < h->count) {
		struct hv_register_value value = { 0, 0 };
		uint32_t name;

		__builtin_memcpy(&name, h->list + (size_t)h->done * 4, sizeof(name));
		if (!vp_get_register(v, name, &value)) {
			s = HV_INVALID_PARAMETER;
			break;
		}
		__builtin_memcpy(h->results + (size_t)h->done * 16, &value, sizeof(value));
		h->done++;
	}
	lock_release(&partitions_lock);
	return s;
}

/* Locks: partitions_lock. Leaving a suspension makes the VP runnable at once: it comes last in a list. */
static enum hv_status set_one(struct vp *v, uint32_t name, const struct hv_register_value *in)
{
	if (name == HV_REG_EXPLICIT_SUSPEND || name == HV_REG_INTERCEPT_SUSPEND) {
		uint32_t bit = name == HV_REG_EXPLICIT_SUSPEND ? VP_SUSPEND_EXPLICIT
							       : VP_SUSPEND_INTERCEPT;

		if (in->low != 0 || v->state == VP_DEAD) { /* a VP suspends by itself only */
			return HV_INVALID_PARAMETER;
		}
		if (v->partition->state != RD_PARTITION_ACTIVE) {
			return HV_INVALID_PARTITION_STATE;
		}
		if (!v->partition->launch.sealed) { /* nothing of the partition has run so far */
			const struct attest_policy nothing = { 0 };

			launch_seal(v->partition, &nothing);
		}
		__atomic_fetch_and(&v->suspended, ~bit, __ATOMIC_SEQ_CST);
		vp_wake(v);
		cpu_hand_over(v);
		return HV_SUCCESS;
	}
	if (name == HV_REG_RIP) {
		v->rip = in->low;
		arch_vp_advance(v, 0); /* also ends an interrupt shadow */
		return HV_SUCCESS;
	}
	if (name == HV_REG_RFLAGS) {
		v->rflags = (in->low & 0x3f7fd5) | 2;
		return HV_SUCCESS;
	}
	if (name >= HV_REG_RAX && name <= HV_REG_R15) {
		v->regs[name - HV_REG_RAX] = in->low;
		return HV_SUCCESS;
	}
	return arch_vp_set_register(v, name, in) ? HV_SUCCESS : HV_INVALID_PARAMETER;
}

enum hv_status hc_set_vp_registers(struct vp *vp, struct hcall *h)
{
	enum hv_status s = HV_SUCCESS;
	struct hv_vp_registers q;
	struct vp *v;

	(void)vp;
	__builtin_memcpy(&q, h->in, sizeof(q));
	if ((q.vtl | q.pad[0] | q.pad[1] | q.pad[2]) != 0) {
		return HV_INVALID_PARAMETER;
	}
	lock_acquire(&partitions_lock);
	v = find(q.partition, q.vp, &s);
	while (s == HV_SUCCESS && h->done < h->count) {
		struct hv_register_assoc a;

		__builtin_memcpy(&a, h->list + (size_t)h->done * sizeof(a), sizeof(a));
		if (!vp_suspended(v)) {
			s = HV_INVALID_VP_STATE;
		} else if ((a.pad[0] | a.pad[1] | a.pad[2]) != 0) {
			s = HV_INVALID_PARAMETER;
		} else {
			s = set_one(v, a.name, &a.value);
		}
		h->done += s == HV_SUCCESS ? 1 : 0;
	}
	lock_release(&partitions_lock);
	return s;
}

/* The page is the root's: what the hypervisor writes there can hurt nobody else. */
enum hv_status hc_map_state_page(struct vp *vp, struct hcall *h)
{
	enum hv_status s = HV_SUCCESS;
	struct hv_map_state_page q;
	struct vp *v;

	(void)vp;
	__builtin_memcpy(&q, h->in, sizeof(q));
	if (q.type != HV_STATE_PAGE_INTERCEPT || (q.vtl | q.flags) != 0 || q.reserved != 0 ||
	    q.notify_flag >= HV_EVENT_FLAGS || q.pfn == 0 || q.pfn > GPA_LIMIT >> PAGE_SHIFT ||
	    !owner_is_root_ram(q.pfn << PAGE_SHIFT, PAGE_SIZE)) {
		return HV_INVALID_PARAMETER;
	}
	lock_acquire(&partitions_lock);
	v = find(q.partition, q.vp, &s);
	if (v != NULL && v->intercept_page.v != 0) {
		s = HV_OBJECT_IN_USE;
	} else if (v != NULL) {
		v->intercept_flag = q.notify_flag;
		v->intercept_page = hpa(q.pfn << PAGE_SHIFT);
	}
	lock_release(&partitions_lock);
	return s;
}

static bool range_valid(const struct hv_install_intercept *q)
{
	uint32_t own = q->access & (HV_INTERCEPT_POSTED_WRITE | HV_INTERCEPT_CONSTANT_READ);
	uint16_t first = (uint16_t)q->parameter, last = (uint16_t)(q->parameter >> 16);
	uint64_t value = q->parameter >> 32;

	return q->type == HV_INTERCEPT_IO_PORT_RANGE &&
	       q->access == (own | HV_INTERCEPT_READ_WRITE) && first <= last && value <= 0xff &&
	       ((own & HV_INTERCEPT_CONSTANT_READ) == 0 ? value == 0 : first == last);
}

/* Locks: partitions_lock. */
static enum hv_status add_range(struct partition *p, const struct hv_install_intercept *q)
{
	uint16_t first = (uint16_t)q->parameter, last = (uint16_t)(q->parameter >> 16);
	uint32_t n = p->port_ranges, how = q->access | (uint32_t)(q->parameter >> 32) << 24;

	for (uint32_t i = 0; i < n; i++) {
		if (p->port_range[i].first == first && p->port_range[i].last == last) {
			__atomic_store_n(&p->port_range[i].how, how, __ATOMIC_RELEASE);
			return HV_SUCCESS;
		}
	}
	if (n == PARTITION_PORT_RANGES) {
		return HV_NO_RESOURCES;
	}
	p->port_range[n].first = first;
	p->port_range[n].last = last;
	p->port_range[n].how = how;
	__atomic_store_n(&p->port_ranges, n + 1, __ATOMIC_RELEASE);
	return HV_SUCCESS;
}

enum hv_status hc_install_intercept(struct vp *vp, struct hcall *h)
{
	enum hv_status s = HV_INVALID_PARTITION_ID;
	struct hv_install_intercept q;
	struct partition *p;

	(void)vp;
	__builtin_memcpy(&q, h->in, sizeof(q));
	if (q.type == HV_INTERCEPT_TRACE
		    ? (q.access & ~HV_INTERCEPT_EXECUTE) != 0 || q.parameter != 0
		    : !range_valid(&q)) {
		return HV_INVALID_PARAMETER;
	}
	lock_acquire(&partitions_lock);
	p = partition_find(q.partition);
	if (p != NULL && p->state == RD_PARTITION_DYING) {
		s = HV_INVALID_PARTITION_STATE;
	} else if (p != NULL && q.type == HV_INTERCEPT_TRACE) {
		__atomic_store_n(&p->traced, q.access, __ATOMIC_RELAXED);
		s = HV_SUCCESS;
	} else if (p != NULL) {
		s = add_range(p, &q);
	}
	lock_release(&partitions_lock);
	return s;
}

enum hv_status hc_assert_virtual_interrupt(struct vp *vp, struct hcall *h)
{
	enum hv_status s = HV_SUCCESS;
	struct hv_assert_interrupt q;
	struct vp *v;

	(void)vp;
	__builtin_memcpy(&q, h->in, sizeof(q));
	if (q.control != 0 || q.vtl != 0 || (q.pad[0] | q.pad[1] | q.pad[2]) != 0 ||
	    q.vector < 16 || q.vector > 255 || q.destination >= HV_VP_MAX) {
		return HV_INVALID_PARAMETER;
	}
	lock_acquire(&partitions_lock);
	v = find(q.partition, (uint32_t)q.destination, &s); /* APIC ids are VP indices */
	if (v != NULL) {
		vlapic_post(v, (uint8_t)q.vector, false);
	}
	lock_release(&partitions_lock);
	return s;
}
