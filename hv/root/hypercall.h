/* SPDX-License-Identifier: MIT OR GPL-2.0 */
#ifndef HV_ROOT_HYPERCALL_H
#define HV_ROOT_HYPERCALL_H

#include <linux/mutex.h>
#include <linux/types.h>

/*
 * The pages that the hypervisor reads and writes in a call; lock covers both, from filling to
 * copying out.
 */
struct rd_pages {
	struct mutex lock;
	void *in;
	void *out;
};

int rd_pages_alloc(struct rd_pages *pages);
void rd_pages_free(struct rd_pages *pages);
int rd_hypercall(struct rd_pages *pages, u16 code, const void *in, size_t in_size);

#endif
