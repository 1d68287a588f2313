/* SPDX-License-Identifier: MIT */
#ifndef HV_CORE_HYPERCALL_H
#define HV_CORE_HYPERCALL_H
#include "hv/abi/tlfs.h"
#include "hv/core/types.h"

struct vp;
/* TLFS 3.9 status codes. */
enum hv_status {
	HV_SUCCESS = HV_STATUS_SUCCESS,
	HV_INVALID_HYPERCALL_CODE = HV_STATUS_INVALID_HYPERCALL_CODE,
	HV_INVALID_HYPERCALL_INPUT = HV_STATUS_INVALID_HYPERCALL_INPUT,
	HV_INVALID_ALIGNMENT = HV_STATUS_INVALID_ALIGNMENT,
	HV_INVALID_PARAMETER = HV_STATUS_INVALID_PARAMETER,
	HV_ACCESS_DENIED = HV_STATUS_ACCESS_DENIED,
	HV_INVALID_PARTITION_STATE = HV_STATUS_INVALID_PARTITION_STATE,
	HV_OPERATION_DENIED = HV_STATUS_OPERATION_DENIED,
	HV_INSUFFICIENT_MEMORY = HV_STATUS_INSUFFICIENT_MEMORY,
	HV_INVALID_PARTITION_ID = HV_STATUS_INVALID_PARTITION_ID,
	HV_INVALID_VP_INDEX = HV_STATUS_INVALID_VP_INDEX,
	HV_NOT_FOUND = HV_STATUS_NOT_FOUND,
	HV_INVALID_PORT_ID = HV_STATUS_INVALID_PORT_ID,
	HV_INVALID_CONNECTION_ID = HV_STATUS_INVALID_CONNECTION_ID,
	HV_INSUFFICIENT_BUFFERS = HV_STATUS_INSUFFICIENT_BUFFERS,
	HV_INVALID_VP_STATE = HV_STATUS_INVALID_VP_STATE,
	HV_INVALID_SYNIC_STATE = HV_STATUS_INVALID_SYNIC_STATE,
	HV_OBJECT_IN_USE = HV_STATUS_OBJECT_IN_USE,
	HV_NO_RESOURCES = HV_STATUS_NO_RESOURCES,
	/* Never seen by a guest: the instruction is executed again, after whatever else this CPU has to do (TLFS 3.6). */
	HV_CONTINUE = 0x10000
};

/*
 * One call, copied out of the guest's memory once. `in` points to exactly the row's input bytes, then var_count quadwords
 * (VAR forms), then the list: elements start..count-1 are there. A rep handler raises `done` (it starts at `start`) for each element
 * that it has finished, and may stop early with HV_SUCCESS: the caller goes on from there.
 */
struct hcall {
	const uint8_t *in;
	const uint8_t *var;  /* 8 * var_count bytes */
	const uint8_t *list; /* element i at list + i * the row's element size */
	uint8_t *out;        /* zeroed; copied to the guest after success */
	uint8_t *results;    /* element i at results + i * the row's element size */
	uint32_t var_count, start, count, done;
};

/* The VMMCALL of a VP at CPL 0: reads RCX, RDX, R8; writes RAX. false: it is to be executed again. */
bool hypercall_dispatch(struct vp *vp) MUST_CHECK;

/* One prototype per row. */
#define HYPERCALL(code, Name, handler, form, insize, outsize, elin, elout, callers, spec) \
	enum hv_status hc_##handler(struct vp *vp, struct hcall *h);
#include "hv/abi/hypercalls.def"
#undef HYPERCALL

#endif
