/* SPDX-License-Identifier: MIT */
/* What a guest with several VPs asks for instead of IPIs: TLB flushes and interrupts for sets of VPs (TLFS 9.4, 10.5). */
#include "hv/core/arch.h"
#include "hv/core/cpu.h"
#include "hv/core/hypercall.h"
#include "hv/core/vp.h"

#define FLUSH_ALL_PROCESSORS 1ull
#define FLUSH_KNOWN 0xfull
#define SET_SPARSE 0
#define SET_ALL 1

struct flush_header {
	uint64_t address_space, flags, processors;
};

struct flush_header_ex {
	uint64_t address_space, flags, format, banks;
};

struct ipi {
	uint32_t vector, reserved;
	uint64_t processors;
};

struct ipi_ex {
	uint32_t vector, reserved;
	uint64_t format, banks;
};

/* The first bank of a sparse set is all that a partition of HV_VP_MAX VPs has. false: malformed. */
static bool set_of(uint64_t format, uint64_t banks, const struct hcall *h, uint64_t *processors)
{
	if (format == SET_ALL) {
		*processors = UINT64_MAX;
		return true;
	}
	if (format != SET_SPARSE || (uint32_t)__builtin_popcountll(banks) != h->var_count) {
		return false;
	}
	*processors = 0;
	if ((banks & 1) != 0) {
		__builtin_memcpy(processors, h->var, sizeof(*processors));
	}
	return true;
}

/*
 * A VP that is in the guest leaves it before the call returns; the others flush before they enter. No CPU waits for one that is in
 * the hypervisor, so two that flush each other do not wait for each other.
 */
static void flush(struct vp *vp, uint64_t processors)
{
	struct partition *p = vp->partition;

	for (uint32_t i = 0; i < p->vp_count && i < HV_VP_MAX; i++) {
		struct vp *to = p->vp[i];
		struct cpu *c;
		uint64_t exits;

		if ((processors >> i & 1) == 0) {
			continue;
		}
		if (to == vp) {
			arch_vp_flush_tlb(vp);
			continue;
		}
		c = &cpu_table[to->cpu];
		exits = __atomic_load_n(&to->exits, __ATOMIC_SEQ_CST);
		vp_event(to, VP_EVENT_FLUSH);
		while (__atomic_load_n(&c->in_guest, __ATOMIC_SEQ_CST) != 0 &&
		       __atomic_load_n(&c->current, __ATOMIC_SEQ_CST) == to &&
		       __atomic_load_n(&to->exits, __ATOMIC_SEQ_CST) == exits) {
			arch_cpu_relax();
		}
	}
}

/* The whole VP is flushed, whichever space or address is named: TLFS allows more than was asked for. */
static enum hv_status flush_header(struct vp *vp, struct hcall *h)
{
	struct flush_header q;

	__builtin_memcpy(&q, h->in, sizeof(q));
	if ((q.flags & ~FLUSH_KNOWN) != 0) {
		return HV_INVALID_PARAMETER;
	}
	flush(vp, (q.flags & FLUSH_ALL_PROCESSORS) != 0 ? UINT64_MAX : q.processors);
	h->done = h->count;
	return HV_SUCCESS;
}

static enum hv_status flush_header_ex(struct vp *vp, struct hcall *h)
{
	struct flush_header_ex q;
	uint64_t processors;

	__builtin_memcpy(&q, h->in, sizeof(q));
	if ((q.flags & ~FLUSH_KNOWN) != 0 || !set_of(q.format, q.banks, h, &processors)) {
		return HV_INVALID_PARAMETER;
	}
	flush(vp, (q.flags & FLUSH_ALL_PROCESSORS) != 0 ? UINT64_MAX : processors);
	h->done = h->count;
	return HV_SUCCESS;
}

enum hv_status hc_flush_space(struct vp *vp, struct hcall *h)
{
	return flush_header(vp, h);
}

enum hv_status hc_flush_list(struct vp *vp, struct hcall *h)
{
	return flush_header(vp, h);
}

enum hv_status hc_flush_space_ex(struct vp *vp, struct hcall *h)
{
	return flush_header_ex(vp, h);
}

enum hv_status hc_flush_list_ex(struct vp *vp, struct hcall *h)
{
	return flush_header_ex(vp, h);
}

static enum hv_status send(struct vp *vp, uint32_t vector, uint64_t processors)
{
	struct partition *p = vp->partition;

	if (vector < 16 || vector > 255) {
		return HV_INVALID_PARAMETER;
	}
	for (uint32_t i = 0; i < p->vp_count && i < HV_VP_MAX; i++) {
		if ((processors >> i & 1) != 0) {
			vlapic_post(p->vp[i], (uint8_t)vector, false);
		}
	}
	return HV_SUCCESS;
}

enum hv_status hc_send_ipi(struct vp *vp, struct hcall *h)
{
	struct ipi q;

	__builtin_memcpy(&q, h->in, sizeof(q));
	return q.reserved != 0 ? HV_INVALID_PARAMETER : send(vp, q.vector, q.processors);
}

enum hv_status hc_send_ipi_ex(struct vp *vp, struct hcall *h)
{
	struct ipi_ex q;
	uint64_t processors;

	__builtin_memcpy(&q, h->in, sizeof(q));
	if (q.reserved != 0 || !set_of(q.format, q.banks, h, &processors)) {
		return HV_INVALID_PARAMETER;
	}
	return send(vp, q.vector, processors);
}
