/* SPDX-License-Identifier: MIT */
/* Redoubt's own calls for hvctl: facts and the log. Only copies leave, and only zeroed memory is filled. */
#include "hv/core/arch.h"
#include "hv/core/attest.h"
#include "hv/core/cpu.h"
#include "hv/core/handoff.h"
#include "hv/core/heap.h"
#include "hv/core/hypercall.h"
#include "hv/core/log.h"
#include "hv/core/owner.h"
#include "hv/core/pfn.h"
#include "hv/core/root.h"
#include "hv/core/time.h"
#include "hv/core/version.h"
#include "hv/core/vp.h"

enum hv_status hc_get_partition_id(struct vp *vp, struct hcall *h)
{
	__builtin_memcpy(h->out, &vp->partition->id, sizeof(vp->partition->id));
	return HV_SUCCESS;
}

static void text(char *to, size_t size, const char *from)
{
	size_t n = 0;

	while (n + 1 < size && from[n] != '\0') {
		to[n] = from[n];
		n++;
	}
}

static void ranges(struct rd_info *o)
{
	o->range_count = owner_count() < RD_INFO_RANGES ? owner_count() : RD_INFO_RANGES;
	for (uint32_t i = 0; i < o->range_count; i++) {
		const struct owner_range *r = owner_get(i);

		o->range[i].base = r->base;
		o->range[i].size = r->size;
		o->range[i].owner = (rd_u32)r->owner;
		o->range[i].type = r->type;
	}
}

enum hv_status hc_redoubt_get_info(struct vp *vp, struct hcall *call)
{
	const struct boot_handoff *h = &boot_handoff;
	const struct partition *p = vp->partition;
	struct rd_info_in q;
	struct rd_info *o = (struct rd_info *)call->out;

	__builtin_memcpy(&q, call->in, sizeof(q));
	if (q.abi_version != RD_ABI_VERSION || q.reserved != 0) {
		return HV_INVALID_PARAMETER;
	}
	o->abi_version = RD_ABI_VERSION;
	o->size = sizeof(*o);
	text(o->version, sizeof(o->version), REDOUBT_VERSION);
	text(o->build, sizeof(o->build), REDOUBT_BUILD);
	o->cpu_count = cpu_count;
	o->root_vp_count = p->vp_count;
	o->protections = root_protections();
	o->available = root_protections_available();
	o->hw = arch_hw_features();
	o->hv_bytes = h->region_size;
	o->heap_bytes = heap_total();
	o->heap_free_bytes = heap_available();
	o->pool_bytes = owner_bytes(RD_OWNER_POOL);
	o->pool_free_bytes = pfn_free_bytes();
	o->tsc_hz = time_tsc_hz();
	o->apic_timer_hz = arch_apic_timer_hz();
	o->uptime_ns = time_ns();
	o->iommu_count = arch_iommu_count();
	o->iommu_faults = arch_iommu_faults();
	text(o->vendor, sizeof(o->vendor), arch_name());
	text(o->boot_protocol, sizeof(o->boot_protocol),
	     h->info.efi             ? "multiboot2-efi"
	     : h->info.protocol == 2 ? "multiboot2"
				     : "multiboot1");
	o->denied_msr = __atomic_load_n(&p->denied_msr, __ATOMIC_RELAXED);
	o->denied_port = __atomic_load_n(&p->denied_port, __ATOMIC_RELAXED);
	o->denied_memory = __atomic_load_n(&p->denied_memory, __ATOMIC_RELAXED);
	o->denied_insn = __atomic_load_n(&p->denied_insn, __ATOMIC_RELAXED);
	o->log_dropped = log_dropped();
	o->attest = (rd_u32)attest_state();
	ranges(o);
	return HV_SUCCESS;
}

enum hv_status hc_redoubt_read_log(struct vp *vp, struct hcall *h)
{
	struct rd_log_in q;

	(void)vp;
	__builtin_memcpy(&q, h->in, sizeof(q));
	log_read(q.sequence, (struct rd_log *)h->out);
	return HV_SUCCESS;
}
