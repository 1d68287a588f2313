// SPDX-License-Identifier: MIT
/*
 * Registers of a VP by their TLFS names (hv/arch/svm/regs.c), as the root sets and reads them. Input: 21 bytes for each request: the name's
 * kind, the name, the value. Checked against what the TLFS says of each: what was set is read, a refused request changes nothing, and
 * of the control block nothing changes but the fields of guest state that have a name.
 */
#include <string.h>

#include "fuzz/oracle.h"
#include "hv/abi/tlfs.h"
#include "hv/arch/svm/svm.h"
#include "hv/arch/x86/x86.h"
#include "hv/core/arch.h"
#include "hv/core/vp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct vmcb vmcb, before;
static struct arch_vp arch;
static struct vp vp;
static uint64_t efer;
static uint8_t tpr;

uint64_t arch_vp_efer(struct vp *v)
{
	(void)v;
	return efer;
}

void arch_vp_set_efer(struct vp *v, uint64_t value)
{
	(void)v;
	efer = value;
}

uint8_t arch_vp_tpr(struct vp *v)
{
	(void)v;
	return tpr;
}

void arch_vp_set_tpr(struct vp *v, uint8_t value)
{
	(void)v;
	tpr = value;
}

/* What of a value a register keeps. */
static struct hv_register_value kept(uint32_t name, struct hv_register_value v)
{
	switch (name) {
	case HV_REG_IDTR:
	case HV_REG_GDTR:
		v.high &= 0xffffull << 48;
		return v;
	case HV_REG_CR8:
		v.low &= 15;
		v.high = 0;
		return v;
	case HV_REG_ES:
	case HV_REG_CS:
	case HV_REG_SS:
	case HV_REG_DS:
	case HV_REG_FS:
	case HV_REG_GS:
	case HV_REG_LDTR:
	case HV_REG_TR:
		v.high &= ~(0x0f00ull << 48);
		return v;
	default:
		v.high = 0;
		return v;
	}
}

/* The control area decides what the guest may do: no register's name leads there. */
static void check_control(void)
{
	size_t area = (size_t)((const uint8_t *)&vmcb.es - (const uint8_t *)&vmcb);

	ORACLE(memcmp(&vmcb, &before, area) == 0, "the control area changed");
}

static void request(struct script *s)
{
	static const uint32_t names[] = {
		HV_REG_CR0, HV_REG_CR2, HV_REG_CR3,  HV_REG_CR4,  HV_REG_CR8,  HV_REG_ES,
		HV_REG_CS,  HV_REG_SS,  HV_REG_DS,   HV_REG_FS,   HV_REG_GS,   HV_REG_LDTR,
		HV_REG_TR,  HV_REG_PAT, HV_REG_IDTR, HV_REG_GDTR, HV_REG_EFER,
	};
	uint32_t kind = (uint32_t)script_take(s, 1), name = (uint32_t)script_take(s, 4);
	struct hv_register_value v = { script_take(s, 8), script_take(s, 8) }, got = { 0, 0 };
	bool known = kind < 0xc0, set;

	name = known ? names[kind % (sizeof(names) / sizeof(names[0]))] : name;
	memcpy(&before, &vmcb, sizeof(vmcb));
	vp.arch->flush = false;
	set = arch_vp_set_register(&vp, name, &v);
	ORACLE(vp.arch->flush == set, "a change that the next entry does not see");
	ORACLE(set || memcmp(&vmcb, &before, sizeof(vmcb)) == 0,
	       "a refused request changed the state");
	ORACLE(set || !known || name == HV_REG_EFER, "a register that is not taken");
	check_control();
	if (set) {
		struct hv_register_value want = kept(name, v);

		ORACLE(arch_vp_get_register(&vp, name, &got), "a register that is not read");
		ORACLE(got.low == want.low && got.high == want.high, "another value is read");
		ORACLE(name != HV_REG_EFER || (got.low & ~(uint64_t)(EFER_SCE | EFER_LME |
								     EFER_LMA | EFER_NXE)) == 0,
		       "a bit of EFER that the host owns");
	} else if (!known) {
		ORACLE(!arch_vp_get_register(&vp, name, &got) || name == HV_REG_EFER,
		       "a register that can only be read");
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct script s = { data, size, 0 };

	memset(&vmcb, 0x5a, sizeof(vmcb));
	memset(&vp, 0, sizeof(vp));
	memset(&arch, 0, sizeof(arch));
	efer = EFER_LME;
	tpr = 0;
	vp.arch = &arch;
	arch.vmcb = &vmcb;
	for (unsigned i = 0; i < 40 && script_more(&s); i++) {
		request(&s);
	}
	return 0;
}
