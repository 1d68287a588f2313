// SPDX-License-Identifier: MIT
/*
 * Input: byte 0: flags (1 child partition, 2 not CPL 0, 4 input address raw, 8 output address raw, 16 and 32 unmapped page);
 * then RCX, RDX, R8 (8 bytes each); the rest lies at the input address. A refused call changes nothing.
 */
#include <string.h>

#include "fuzz/script.h"
#include "hv/arch/fake/fake.h"
#include "hv/core/arch.h"
#include "hv/core/hypercall.h"
#include "hv/core/partition.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define ARENA 0x200000ull
#define PAGES 4ull

static uint8_t before[PAGES * PAGE_SIZE];

static size_t out_size(uint16_t code)
{
	switch (code) {
#define HYPERCALL(code, Name, handler, form, insize, outsize, callers, spec) \
	case code:                                                           \
		return outsize;
#include "hv/abi/hypercalls.def"
#undef HYPERCALL
	default:
		return 0;
	}
}

/* Nothing changed but, after success, the output. */
static void check_memory(const struct vp *vp, uint64_t status, uint64_t rcx)
{
	const uint8_t *now = fake_ram(ARENA);
	uint64_t r8 = vp->regs[REG_R8];
	size_t out = status == HV_SUCCESS ? out_size((uint16_t)rcx) : 0;

	CHECK_FUZZ(out == 0 || (r8 & (PAGE_SIZE - 1)) + out <= PAGE_SIZE);
	for (size_t i = 0; i < sizeof(before); i++) {
		uint64_t at = ARENA + i;

		CHECK_FUZZ(now[i] == before[i] || (at >= r8 && at - r8 < out));
	}
}

static void prepare(struct vp *vp)
{
	CHECK_FUZZ(
		npt_map(&vp->partition->npt, gpa(ARENA), hpa(ARENA), PAGES * PAGE_SIZE, NPT_RWX));
	memset(fake_ram(ARENA), 0x5a, PAGES * PAGE_SIZE);
}

static void call(struct script *s, struct vp *vp, unsigned flags)
{
	const struct exit_info e = { .kind = EXIT_HYPERCALL, .length = 3 };
	uint64_t regs[REG_COUNT], rcx;

	for (unsigned i = 0; i < REG_COUNT; i++) {
		vp->regs[i] = 0x1111111111111111ull * i;
	}
	vp->regs[REG_RCX] = rcx = script_take(s, 8);
	vp->regs[REG_RDX] = script_take(s, 8);
	vp->regs[REG_R8] = script_take(s, 8);
	if ((flags & 4) == 0) {
		vp->regs[REG_RDX] = ARENA + vp->regs[REG_RDX] % (PAGES * PAGE_SIZE);
		for (uint64_t at = vp->regs[REG_RDX];
		     script_more(s) && at < ARENA + PAGES * PAGE_SIZE; at++) {
			*fake_ram(at) = (uint8_t)script_take(s, 1);
		}
	}
	if ((flags & 8) == 0) {
		vp->regs[REG_R8] = ARENA + vp->regs[REG_R8] % (PAGES * PAGE_SIZE);
	}
	vp->partition->root = (flags & 1) == 0;
	vp->arch->cpl = (flags & 2) != 0 ? 3 : 0;
	memcpy(regs, vp->regs, sizeof(regs));
	memcpy(before, fake_ram(ARENA), sizeof(before));
	CHECK_FUZZ(fake_exit(vp, &e) == FAKE_RETURNED);
	vp->partition->root = true;
	if ((flags & 2) != 0) {
		CHECK_FUZZ(vp->arch->pending.kind == FAKE_EXCEPTION &&
			   vp->arch->pending.vector == 6);
		vp->regs[REG_RAX] = HV_ACCESS_DENIED;
	} else {
		CHECK_FUZZ(vp->arch->pending.kind == FAKE_NONE &&
			   vp->regs[REG_RAX] <= HV_ACCESS_DENIED && vp->regs[REG_RAX] != 1);
		CHECK_FUZZ((flags & 1) == 0 || vp->regs[REG_RAX] != HV_SUCCESS);
	}
	check_memory(vp, vp->regs[REG_RAX], rcx);
	for (unsigned i = 1; i < REG_COUNT; i++) {
		CHECK_FUZZ(regs[i] == vp->regs[i]);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct script s = { data, size, 0 };
	unsigned flags = (unsigned)script_take(&s, 1);
	struct vp *vp;

	if (partition_root == NULL) {
		fake_boot(&(struct fake_config){ .cpus = 1 });
	}
	vp = partition_root->vp[0];
	prepare(vp);
	if ((flags & 48) != 0) {
		uint64_t page = ARENA + ((flags & 16) != 0 ? PAGE_SIZE : 0);

		CHECK_FUZZ((flags & 64) != 0
				   ? npt_map(&vp->partition->npt, gpa(page), hpa(page), PAGE_SIZE,
					     NPT_R)
				   : npt_unmap(&vp->partition->npt, gpa(page), PAGE_SIZE));
	}
	call(&s, vp, flags);
	return 0;
}
