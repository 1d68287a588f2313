/* SPDX-License-Identifier: MIT */
/*
 * Hypercalls (TLFS 3). Order of checks: code known, control word well formed, alignment and page crossing, privilege,
 * parameters copied in once, handler, results copied out only on success. Nothing is changed by a refused call.
 */
#include "hv/core/hypercall.h"

#include "hv/core/cpu.h"
#include "hv/core/gpa.h"
#include "hv/core/log.h"
#include "hv/core/vp.h"
#include "hv/wire/hcall.h"

enum form { FORM_SIMPLE, FORM_REP };
enum callers { CALLERS_ROOT, CALLERS_CHILD, CALLERS_ANY };

struct row {
	uint16_t code;
	enum form form;
	uint16_t in, out;
	enum callers callers;
};

static const struct row rows[] = {
#define HYPERCALL(code, Name, handler, form, insize, outsize, callers, spec) \
	{ code, FORM_##form, insize, outsize, CALLERS_##callers },
#include "hv/abi/hypercalls.def"
#undef HYPERCALL
};

#define HYPERCALL(code, Name, handler, form, insize, outsize, callers, spec) \
	_Static_assert((insize) <= PAGE_SIZE && (outsize) <= PAGE_SIZE, #Name);
#include "hv/abi/hypercalls.def"
#undef HYPERCALL

static enum hv_status call(struct vp *vp, uint16_t code, const void *in, void *out)
{
	switch (code) {
#define HYPERCALL(code, Name, handler, form, insize, outsize, callers, spec) \
	case code:                                                           \
		return hc_##handler(vp, in, out);
#include "hv/abi/hypercalls.def"
#undef HYPERCALL
	default:
		return HV_INVALID_HYPERCALL_CODE;
	}
}

static const struct row *row_of(uint16_t code)
{
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		if (rows[i].code == code) {
			return &rows[i];
		}
	}
	return NULL;
}

static bool may_call(const struct vp *vp, const struct row *r)
{
	return r->callers == CALLERS_ANY || (r->callers == CALLERS_ROOT) == vp->partition->root;
}

/* TLFS 3.5: 8-byte aligned and within one page. */
static bool placed(uint64_t at, size_t size)
{
	return size == 0 || ((at & 7) == 0 && (at & (PAGE_SIZE - 1)) + size <= PAGE_SIZE);
}

static enum hv_status run(struct vp *vp, const struct hcall_control *c)
{
	const struct row *r = row_of(c->code);
	uint8_t *in = arch_this_cpu()->scratch;
	uint8_t *out = in + PAGE_SIZE;
	uint64_t fast[2] = { vp->regs[REG_RDX], vp->regs[REG_R8] };
	enum hv_status s;

	if (r == NULL) {
		return HV_INVALID_HYPERCALL_CODE;
	}
	if (!hcall_control_valid(c, r->form == FORM_REP)) {
		return HV_INVALID_HYPERCALL_INPUT;
	}
	if (c->fast ? r->in > sizeof(fast) || r->out != 0
		    : !placed(fast[0], r->in) || !placed(fast[1], r->out)) {
		return c->fast ? HV_INVALID_HYPERCALL_INPUT : HV_INVALID_ALIGNMENT;
	}
	if (!may_call(vp, r)) {
		return HV_ACCESS_DENIED;
	}
	if (c->fast) {
		__builtin_memcpy(in, fast, r->in);
	} else if (!gpa_copy_in(vp->partition, gpa(fast[0]), in, r->in)) {
		return HV_INVALID_PARAMETER;
	}
	if (!gpa_check(vp->partition, gpa(fast[1]), r->out, NPT_W)) {
		return HV_INVALID_PARAMETER;
	}
	__builtin_memset(out, 0, r->out);
	s = call(vp, c->code, in, out);
	if (s == HV_SUCCESS && !gpa_copy_out(vp->partition, gpa(fast[1]), out, r->out)) {
		return HV_INVALID_PARAMETER;
	}
	return s;
}

/* Trust: every register. Context: the CPU that runs vp. */
void hypercall_dispatch(struct vp *vp)
{
	struct hcall_control c;

	hcall_control_parse(vp->regs[REG_RCX], &c);
	vp->regs[REG_RAX] = (uint64_t)run(vp, &c);
}
