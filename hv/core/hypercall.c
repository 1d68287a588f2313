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

enum form { FORM_SIMPLE = 0, FORM_REP = 1, FORM_VAR = 2, FORM_REPVAR = 3 };
enum callers { CALLERS_ROOT, CALLERS_CHILD, CALLERS_ANY };

struct row {
	uint16_t code;
	enum form form;
	uint16_t in, out, element_in, element_out;
	enum callers callers;
};

static const struct row rows[] = {
#define HYPERCALL(code, Name, handler, form, insize, outsize, elin, elout, callers, spec) \
	{ code, FORM_##form, insize, outsize, elin, elout, CALLERS_##callers },
#include "hv/abi/hypercalls.def"
#undef HYPERCALL
};

#define HYPERCALL(code, Name, handler, form, insize, outsize, elin, elout, callers, spec) \
	_Static_assert((insize) <= PAGE_SIZE && (outsize) <= PAGE_SIZE, #Name);
#include "hv/abi/hypercalls.def"
#undef HYPERCALL

static enum hv_status call(struct vp *vp, uint16_t code, struct hcall *h)
{
	switch (code) {
#define HYPERCALL(code, Name, handler, form, insize, outsize, elin, elout, callers, spec) \
	case code:                                                                        \
		return hc_##handler(vp, h);
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

/* Bytes of all input and of all output; 0xfff elements of 32 bytes do not overflow. */
static size_t bytes_in(const struct row *r, const struct hcall_control *c)
{
	return r->in + (size_t)c->variable_header * 8 + (size_t)c->rep_count * r->element_in;
}

static size_t bytes_out(const struct row *r, const struct hcall_control *c)
{
	return r->out + (size_t)c->rep_count * r->element_out;
}

/* After a success the output; of a list what has been done, also where a later element was refused (TLFS 3.6). */
static bool results_copy(struct vp *vp, const struct row *r, uint64_t at, const struct hcall *h,
			 bool success)
{
	size_t first = r->out + (size_t)h->start * r->element_out;
	size_t n = (size_t)(h->done - h->start) * r->element_out;

	return (!success || gpa_copy_out(vp->partition, gpa(at), h->out, r->out)) &&
	       gpa_copy_out(vp->partition, gpa(at + first), h->out + first, n);
}

/* Trust: the registers. Everything that can be refused without looking at memory. */
static enum hv_status admit(struct vp *vp, const struct row *r, const struct hcall_control *c)
{
	size_t in, out;

	if (r == NULL) {
		return HV_INVALID_HYPERCALL_CODE;
	}
	if (!hcall_control_valid(c, (r->form & FORM_REP) != 0, (r->form & FORM_VAR) != 0)) {
		return HV_INVALID_HYPERCALL_INPUT;
	}
	in = bytes_in(r, c);
	out = bytes_out(r, c);
	if (c->fast && (in > 16 || out != 0)) {
		return HV_INVALID_HYPERCALL_INPUT;
	}
	if (!c->fast && (!placed(vp->regs[REG_RDX], in) || !placed(vp->regs[REG_R8], out))) {
		return HV_INVALID_ALIGNMENT;
	}
	return may_call(vp, r) ? HV_SUCCESS : HV_ACCESS_DENIED;
}

static enum hv_status run(struct vp *vp, const struct hcall_control *c, uint32_t *done)
{
	const struct row *r = row_of(c->code);
	uint8_t *in = arch_this_cpu()->scratch;
	uint64_t fast[2] = { vp->regs[REG_RDX], vp->regs[REG_R8] };
	struct hcall h = { .in = in, .out = in + PAGE_SIZE, .start = c->rep_start };
	enum hv_status s = admit(vp, r, c);

	__builtin_memset(in, 0, HV_TRACED_INPUT); /* of an earlier call, perhaps of somebody else */
	if (s != HV_SUCCESS) {
		return s;
	}
	if (c->fast) {
		__builtin_memcpy(in, fast, sizeof(fast));
	} else if (!gpa_copy_in(vp->partition, gpa(fast[0]), in, bytes_in(r, c)) ||
		   !gpa_check(vp->partition, gpa(fast[1]), bytes_out(r, c), NPT_W)) {
		return HV_INVALID_PARAMETER;
	}
	h.var = in + r->in;
	h.var_count = c->variable_header;
	h.list = h.var + (size_t)h.var_count * 8;
	h.results = h.out + r->out;
	h.count = c->rep_count;
	h.done = h.start;
	__builtin_memset(h.out, 0, bytes_out(r, c));
	s = call(vp, c->code, &h);
	if (!c->fast && s != HV_CONTINUE && !results_copy(vp, r, fast[1], &h, s == HV_SUCCESS)) {
		return HV_INVALID_PARAMETER;
	}
	*done = h.done;
	return s;
}

/* Trust: every register. Context: the CPU that runs vp. */
bool hypercall_dispatch(struct vp *vp)
{
	struct hcall_control c;
	uint32_t done = 0;
	enum hv_status s;

	hcall_control_parse(vp->regs[REG_RCX], &c);
	s = run(vp, &c, &done);
	if (s == HV_CONTINUE) {
		return false;
	}
	vp->hypercalls++;
	vp->regs[REG_RAX] = (uint64_t)s | (uint64_t)done << 32;
	return true;
}
