// SPDX-License-Identifier: MIT OR GPL-2.0
/*
 * Hypercalls of Redoubt. They take all they need in registers and in pages of the caller, so a
 * thread may be preempted or moved to another CPU at any point: there is no state per CPU. (The
 * hypercall page of Hyper-V is not used: its address is not exported for modules in every kernel.)
 */
#include <linux/delay.h>
#include <linux/errno.h>
#include <linux/gfp.h>
#include <linux/io.h>
#include <linux/sched.h>
#include <linux/string.h>

#include "hv/abi/tlfs.h"
#include "hv/root/hypercall.h"

/* TLFS 3.8: the status is in bits 15:0 of the result. */
#define HV_STATUS_MASK 0xffffull
#define HV_STATUS_TIME_OUT 120 /* not finished: call again */
#define HV_REP_COUNT_SHIFT 32  /* of the result: elements done */
#define HV_REP_START_SHIFT 48
#define HV_REP_MAX 0xfffu

/* So often is a call repeated that makes no progress before that is taken for more than a pause. */
#define RD_TRIES 1000

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
	case HV_STATUS_SUCCESS:
		return 0;
	case HV_STATUS_INVALID_HYPERCALL_CODE: /* an older hypervisor */
		return -EOPNOTSUPP;
	case HV_STATUS_INVALID_HYPERCALL_INPUT:
	case HV_STATUS_INVALID_ALIGNMENT:
	case HV_STATUS_INVALID_PARAMETER:
		return -EINVAL;
	case HV_STATUS_ACCESS_DENIED:
		return -EACCES;
	case HV_STATUS_INVALID_PARTITION_STATE:
	case HV_STATUS_INVALID_VP_STATE: /* the VP runs */
		return -EBUSY;
	case HV_STATUS_OPERATION_DENIED:
		return -EPERM;
	case HV_STATUS_INSUFFICIENT_MEMORY:
		return -ENOMEM;
	case HV_STATUS_INVALID_PARTITION_ID:
	case HV_STATUS_INVALID_VP_INDEX:
	case HV_STATUS_NOT_FOUND:
	case HV_STATUS_INVALID_PORT_ID:
	case HV_STATUS_INVALID_CONNECTION_ID:
		return -ENOENT;
	case HV_STATUS_INSUFFICIENT_BUFFERS: /* a queue is full */
		return -EAGAIN;
	case HV_STATUS_INVALID_SYNIC_STATE: /* the guest does not listen */
		return -ENXIO;
	case HV_STATUS_OBJECT_IN_USE:
		return -EEXIST;
	case HV_STATUS_NO_RESOURCES:
		return -ENOSPC;
	case HV_STATUS_TIME_OUT:
		return -ETIMEDOUT;
	default:
		return -EIO;
	}
}

/*
 * Make one simple hypercall without taking or clearing anything. Both buffers come from kmalloc or
 * the page allocator, are aligned to 8 and lie in one page each; out may be NULL where the call has
 * no output.
 */
int rd_hypercall_at(u16 code, const void *in, void *out)
{
	return rd_errno(rd_vmmcall(code, virt_to_phys((void *)in), out ? virt_to_phys(out) : 0));
}

/*
 * Make a rep hypercall to its end; buffers as above. After an error, an unknown number of the first
 * elements is done.
 */
int rd_hypercall_rep(u16 code, const void *in, void *out, u32 count)
{
	u32 done = 0;
	u32 idle = 0;

	if (!count || count > HV_REP_MAX)
		return -EINVAL;
	while (done < count) {
		u64 control = code | (u64)count << HV_REP_COUNT_SHIFT |
			      (u64)done << HV_REP_START_SHIFT;
		u64 result =
			rd_vmmcall(control, virt_to_phys((void *)in), out ? virt_to_phys(out) : 0);
		u32 now = (result >> HV_REP_COUNT_SHIFT) & HV_REP_MAX;
		int error = rd_errno(result);

		if (error && error != -ETIMEDOUT)
			return error;
		if (now < done || now > count)
			return -EPROTO;
		idle = now == done ? idle + 1 : 0;
		if (idle > RD_TRIES)
			return -ETIMEDOUT;
		done = now;
		if (done < count)
			cond_resched();
	}
	return 0;
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
	return rd_hypercall_at(code, pages->in, pages->out);
}

/* The same for a caller that wants no answer and does not hold the lock. */
int rd_hypercall_locked(struct rd_pages *pages, u16 code, const void *in, size_t in_size)
{
	int error;

	mutex_lock(&pages->lock);
	error = rd_hypercall(pages, code, in, in_size);
	mutex_unlock(&pages->lock);
	return error;
}

/* Likewise, for a call that the hypervisor may want repeated until it has finished. */
int rd_hypercall_finish(struct rd_pages *pages, u16 code, const void *in, size_t in_size)
{
	u32 tries = 0;
	int error;

	while ((error = rd_hypercall_locked(pages, code, in, in_size)) == -ETIMEDOUT) {
		/* At first the work is the call's own; later another CPU is waited for. */
		if (++tries < RD_TRIES)
			cond_resched();
		else
			msleep(1);
	}
	return error;
}
