/* SPDX-License-Identifier: MIT OR GPL-2.0 */
#ifndef HV_ROOT_HYPERCALL_H
#define HV_ROOT_HYPERCALL_H

#include <linux/mutex.h>
#include <linux/types.h>

/* Codes that redoubt.ko makes; hv/abi/hypercalls.def and hv/abi/tlfs.h say what goes in and out. */
enum rd_hvcall {
	HVCALL_CREATE_PARTITION = 0x0040,
	HVCALL_INITIALIZE_PARTITION = 0x0041,
	HVCALL_FINALIZE_PARTITION = 0x0042,
	HVCALL_DELETE_PARTITION = 0x0043,
	HVCALL_SET_PARTITION_PROPERTY = 0x0045,
	HVCALL_MAP_GPA_PAGES = 0x004b,
	HVCALL_INSTALL_INTERCEPT = 0x004d,
	HVCALL_CREATE_VP = 0x004e,
	HVCALL_GET_VP_REGISTERS = 0x0050,
	HVCALL_SET_VP_REGISTERS = 0x0051,
	HVCALL_DELETE_PORT = 0x0058,
	HVCALL_DISCONNECT_PORT = 0x005b,
	HVCALL_CREATE_PORT = 0x0095,
	HVCALL_CONNECT_PORT = 0x0096,
	HVCALL_SIGNAL_EVENT_DIRECT = 0x00c0,
	HVCALL_POST_MESSAGE_DIRECT = 0x00c1,
	HVCALL_MAP_VP_STATE_PAGE = 0x00e1,
	RD_HVCALL_RECEIVE_MESSAGE = 0x8e02,
	RD_HVCALL_PARTITION_INFO = 0x8e03,
	RD_HVCALL_MEASURE_PAGES = 0x8e10,
	RD_HVCALL_SEAL_LAUNCH = 0x8e11,
	RD_HVCALL_GET_MEASUREMENT = 0x8e12,
	RD_HVCALL_GET_REPORT = 0x8e13,
	RD_HVCALL_GET_REPORT_KEY = 0x8e15
};

/*
 * The pages that the hypervisor reads and writes in a call; lock covers both, from filling to
 * copying out.
 */
struct rd_pages {
	struct mutex lock;
	void *in;
	void *out;
};

/* vmmcall.c: TLFS 3.7; in and out are guest-physical, 0 where there is none. */
u64 rd_vmmcall(u64 control, phys_addr_t in, phys_addr_t out);
int rd_pages_alloc(struct rd_pages *pages);
void rd_pages_free(struct rd_pages *pages);
int rd_hypercall(struct rd_pages *pages, u16 code, const void *in, size_t in_size);
int rd_hypercall_locked(struct rd_pages *pages, u16 code, const void *in, size_t in_size);
int rd_hypercall_finish(struct rd_pages *pages, u16 code, const void *in, size_t in_size);
int rd_hypercall_at(u16 code, const void *in, void *out);
int rd_hypercall_rep(u16 code, const void *in, void *out, u32 count);

#endif
