/* SPDX-License-Identifier: MIT */
#ifndef HV_CORE_HYPERCALL_H
#define HV_CORE_HYPERCALL_H
#include "hv/abi/redoubt.h"
#include "hv/core/types.h"

struct vp;
/* TLFS 3.9 status codes. */
enum hv_status {
	HV_SUCCESS = 0,
	HV_INVALID_HYPERCALL_CODE = 2,
	HV_INVALID_HYPERCALL_INPUT = 3,
	HV_INVALID_ALIGNMENT = 4,
	HV_INVALID_PARAMETER = 5,
	HV_ACCESS_DENIED = 6,
};

/* The VMMCALL of a VP at CPL 0: reads RCX, RDX, R8; writes RAX. */
void hypercall_dispatch(struct vp *vp);

/* One prototype per row: in and out point to hypervisor copies of exactly the row's sizes, out zeroed. */
#define HYPERCALL(code, Name, handler, form, insize, outsize, callers, spec) \
	enum hv_status hc_##handler(struct vp *vp, const void *in, void *out);
#include "hv/abi/hypercalls.def"
#undef HYPERCALL

#endif
