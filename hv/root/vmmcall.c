// SPDX-License-Identifier: MIT OR GPL-2.0
/* The one instruction, apart from what the module does with its answer: that runs in user space, too (fuzz/fuzz_ioctl.c). */
#include "hv/root/hypercall.h"

/* TLFS 3.7, with VMMCALL: RBX, RSI, RDI, RBP, R12 to R15 stay as they are. */
u64 rd_vmmcall(u64 control, phys_addr_t in, phys_addr_t out)
{
	register u64 r8 asm("r8") = out;
	u64 result;
	u64 rcx = control;
	u64 rdx = in;

	asm volatile("vmmcall"
		     : "=a"(result), "+c"(rcx), "+d"(rdx), "+r"(r8)
		     :
		     : "r9", "r10", "r11", "cc", "memory");
	return result;
}
