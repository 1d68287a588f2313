// SPDX-License-Identifier: MIT
/* Input: records (fuzz/script.h): accesses, posts, acceptances, ends, time and mode changes on three virtual APICs. */
#include <string.h>

#include "fuzz/script.h"
#include "hv/abi/regs_x86.h"
#include "hv/arch/fake/fake.h"
#include "hv/core/arch.h"
#include "hv/core/partition.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define VPS 3
#define SVR_ENABLE 0x100u
#define LVT_MASKED 0x10000u

static struct vp saved[VPS];
static uint32_t level_taken; /* physical interrupts whose end the root owes */

static void start(void)
{
	if (partition_root == NULL) {
		fake_boot(&(struct fake_config){ .cpus = VPS });
		for (unsigned i = 0; i < VPS; i++) {
			saved[i] = *partition_root->vp[i];
		}
	}
	for (unsigned i = 0; i < VPS; i++) {
		*partition_root->vp[i] = saved[i];
		partition_root->vp[i]->arch->tpr = 0;
		vp_timer_set(partition_root->vp[i], VP_TIMER_VLAPIC, UINT64_MAX);
	}
	fake.device_eois = 0;
	level_taken = 0;
}

static void check(struct vp *vp)
{
	const struct vlapic *a = &vp->apic;
	uint64_t at = vp->deadline[VP_TIMER_VLAPIC];
	int v = vlapic_highest(vp);
	uint32_t owed = 0;

	CHECK_FUZZ(v == -1 || (v >= 16 && v < 256 && (a->irr[v / 32] >> (v % 32) & 1) != 0));
	CHECK_FUZZ(v == -1 || (a->svr & SVR_ENABLE) != 0);
	CHECK_FUZZ(vlapic_would_interrupt(vp) == (v != -1 && v >> 4 > vp->arch->tpr >> 4));
	CHECK_FUZZ((a->irr[0] & 0xffff) == 0 && (a->isr[0] & 0xffff) == 0);
	for (unsigned i = 0; i < 8; i++) {
		CHECK_FUZZ(((a->isr_words >> i & 1) != 0) == (a->isr[i] != 0));
		CHECK_FUZZ(a->irr[i] == 0 || (a->irr_words >> i & 1) != 0);
		CHECK_FUZZ((a->phys_level[i] & ~(a->irr[i] | a->isr[i] | a->phys_done[i])) == 0);
		CHECK_FUZZ((a->phys_done[i] & ~a->phys_level[i]) == 0);
	}
	for (unsigned i = 0; i < VPS; i++) {
		for (unsigned w = 0; w < 8; w++) {
			owed += (uint32_t)__builtin_popcount(
				partition_root->vp[i]->apic.phys_level[w]);
		}
	}
	CHECK_FUZZ(owed + fake.device_eois == level_taken);
	for (unsigned i = 0; i < 6; i++) {
		CHECK_FUZZ((a->svr & SVR_ENABLE) != 0 || (a->lvt[i] & LVT_MASKED) != 0);
	}
	CHECK_FUZZ((a->base & ~0xd00ull) == APIC_BASE_ADDR && (a->base & 0xc00) != APIC_BASE_EXTD);
	/* Who counts has something to count, and no deadline; each of the two is set for when it is due. */
	CHECK_FUZZ(a->timer_start == 0 || (a->tmict != 0 && (a->lvt[0] & 0x60000) != 0x40000));
	CHECK_FUZZ((at != UINT64_MAX) ==
		   (a->timer_start != 0 || a->tsc_deadline + 1 > 1)); /* neither 0 nor never */
	CHECK_FUZZ((a->lvt[0] & 0x60000) != 0x40000 ||
		   at == (a->tsc_deadline != 0 ? a->tsc_deadline : UINT64_MAX));
}

static void device(struct vp *vp, uint8_t vector, bool level)
{
	int top = -1;

	for (int v = 0; v < 256; v++) {
		top = (vp->apic.phys_level[v / 32] >> (v % 32) & 1) != 0 ? v : top;
	}
	/* While an end is owed the local APIC delivers nothing of that class or a lower one. */
	if ((top < 0 || vector >> 4 > top >> 4) && vector < HV_VECTOR_FIRST &&
	    cpu_device_interrupt(vector, level)) {
		level_taken++;
	}
}

static void not_early(struct vp *vp)
{
	const struct vlapic before = vp->apic;
	uint64_t at = vp->deadline[VP_TIMER_VLAPIC];

	vlapic_timer_check(vp);
	CHECK_FUZZ(at <= fake.tsc || (memcmp(&before, &vp->apic, sizeof(before)) == 0 &&
				      vp->deadline[VP_TIMER_VLAPIC] == at));
}

static void action(struct script *s)
{
	uint64_t op = script_take(s, 1), v = 0;
	struct vp *vp = partition_root->vp[(op >> 5) % VPS];
	uint32_t msr;
	int next;

	fake_select(vp->cpu);
	switch (op & 15) {
	case 0:
	case 1:
	case 2:
		msr = MSR_X2APIC + (uint32_t)(script_take(s, 1) & 63);
		v = script_take(s, (op & 16) != 0 ? 8 : 4);
		(void)!vlapic_msr_write(vp, msr, v);
		break;
	case 3:
		(void)!vlapic_msr_read(vp, MSR_X2APIC + (uint32_t)(script_take(s, 1) & 63), &v);
		break;
	case 4:
	case 5:
		msr = (uint32_t)script_take(s, 2) & 0xfff;
		if ((vp->apic.base & APIC_BASE_EXTD) == 0) {
			vlapic_mmio_write(vp, msr, (uint32_t)script_take(s, 4));
			(void)vlapic_mmio_read(vp, msr);
		}
		break;
	case 6:
		device(vp, (uint8_t)script_take(s, 1), (op & 16) != 0);
		break;
	case 7:
		next = vlapic_highest(vp);
		if (next >= 0) {
			take_vector(vp, (uint8_t)next);
		}
		break;
	case 8:
		vlapic_eoi(vp);
		break;
	case 9:
		fake.tsc += script_take(s, 1 + (op >> 4 & 3));
		break;
	case 10:
		if ((op & 16) != 0) { /* for nothing, perhaps */
			not_early(vp);
		} else if (vp->deadline[VP_TIMER_VLAPIC] <= fake.tsc) {
			cpu_timers_expire();
		}
		break;
	case 11:
		(void)!vlapic_base_write(vp, APIC_BASE_ADDR ^ script_take(s, 2));
		break;
	case 12:
		vlapic_deadline_write(vp, (op & 16) != 0 ? fake.tsc + script_take(s, 3)
							 : script_take(s, 8));
		break;
	case 13:
		vlapic_post(vp, (uint8_t)(16 + script_take(s, 1) % 240), (op & 16) != 0);
		break;
	case 14:
		vlapic_reset(vp);
		break;
	default:
		vp->apic.svr |= SVR_ENABLE;
		break;
	}
	check(vp);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct script s = { data, size, 0 }, one;

	start();
	for (unsigned i = 0; i < 256 && script_action(&s, &one); i++) {
		action(&one);
	}
	return 0;
}
