// SPDX-License-Identifier: MIT OR GPL-2.0
/*
 * Hypercalls of Redoubt. They take all they need in registers and in pages of the caller, so a
 * thread may be preempted or moved to another CPU at any point: there is no state per CPU. (The
 * hypercall page of Hyper-V is not used: its address is not exported for modules in every kernel.)
 */
#include <linux/errno.h>
#include <linux/gfp.h>
#include <linux/io.h>
#include <linux/string.h>

#include "hv/root/hypercall.h"

/* TLFS 3.8: the status is in bits 15:0 of the result. */
#define HV_STATUS_MASK 0xffffull

int rd_pages_alloc(struct rd_pages *pages)
{
	pages->in = (void *)get_zeroed_page(GFP_KERNEL_ACCOUNT);
	pages->out = (void *)get_zeroed_page(GFP_KERNEL_ACCOUNT);
	if (!pages->in || !pages->out) {
		rd_pages_free(pages);
		return -ENOMEM;
	}
	mutex_init(&pages->lock);
	return 0;
}

void rd_pages_free(struct rd_pages *pages)
{
	free_page((unsigned long)pages->in);
	free_page((unsigned long)pages->out);
	pages->in = NULL;
	pages->out = NULL;
}

/* The only place where a status of the hypervisor becomes an errno. */
static int rd_errno(u64 result)
{
	switch (result & HV_STATUS_MASK) {
	case 0x0000: /* success */
		return 0;
	case 0x0002: /* invalid hypercall code: an older hypervisor */
		return -EOPNOTSUPP;
	case 0x0003: /* invalid hypercall input */
	case 0x0004: /* invalid alignment */
	case 0x0005: /* invalid parameter */
		return -EINVAL;
	case 0x0006: /* access denied */
		return -EACCES;
	case 0x0007: /* invalid partition state */
		return -EBUSY;
	case 0x0008: /* operation denied */
		return -EPERM;
	case 0x000b: /* insufficient memory */
		return -ENOMEM;
	case 0x000d: /* invalid partition id */
	case 0x000e: /* invalid VP index */
		return -ENOENT;
	default:
		return -EIO;
	}
}

/* TLFS 3.7, with VMMCALL: RBX, RSI, RDI, RBP, R12 to R15 stay as they are. */
static u64 rd_vmmcall(u64 control, phys_addr_t in, phys_addr_t out)
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

/*
 * Make one simple hypercall. The answer is in pages->out; the caller holds pages->lock until it has
 * copied it. Fails: -EINVAL if the input does not fit in a page, else what rd_errno() says.
 */
int rd_hypercall(struct rd_pages *pages, u16 code, const void *in, size_t in_size)
{
	lockdep_assert_held(&pages->lock);
	if (in_size > PAGE_SIZE)
		return -EINVAL;
	/* Nothing of an earlier call may reach the hypervisor or the caller. */
	memset(pages->in, 0, PAGE_SIZE);
	memset(pages->out, 0, PAGE_SIZE);
	memcpy(pages->in, in, in_size);
	return rd_errno(rd_vmmcall(code, virt_to_phys(pages->in), virt_to_phys(pages->out)));
}
