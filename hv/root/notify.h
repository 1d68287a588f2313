/* SPDX-License-Identifier: MIT OR GPL-2.0 */
#ifndef HV_ROOT_NOTIFY_H
#define HV_ROOT_NOTIFY_H

#include <linux/atomic.h>
#include <linux/types.h>
#include <linux/wait.h>

/* One event flag of SINT RD_ROOT_SINT, and whom it wakes. */
struct rd_notify {
	u32 flag;
	atomic64_t count; /* notifications that nobody has taken yet */
	wait_queue_head_t wait;
};

/*
 * A flag may still be seen set once after it has changed hands: a notification says "look", never
 * "there is something".
 */
int rd_notify_add(struct rd_notify *notify);
/* The memory of notify may be freed a grace period of RCU later. */
void rd_notify_remove(struct rd_notify *notify);
void rd_notify_wake(struct rd_notify *notify, __poll_t events);

/* Called by synic.c: the flags of this CPU's page. */
void rd_notify_scan(void *flags);

#endif
