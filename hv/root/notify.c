// SPDX-License-Identifier: MIT OR GPL-2.0
/*
 * Notifications of the hypervisor: each event flag of SINT RD_ROOT_SINT belongs to one VP, channel
 * or message port. What runs in the interrupt is short: take the flags, count, wake.
 */
#include <linux/bitmap.h>
#include <linux/bitops.h>
#include <linux/errno.h>
#include <linux/poll.h>
#include <linux/rcupdate.h>
#include <linux/spinlock.h>

#include "hv/abi/tlfs.h"
#include "hv/root/notify.h"

static struct rd_notify __rcu *rd_flag[HV_EVENT_FLAGS];
static DECLARE_BITMAP(rd_flag_used, HV_EVENT_FLAGS);
static DEFINE_SPINLOCK(rd_flag_lock);
static unsigned int rd_flag_words = 1; /* that were ever used: the others are not looked at */

/* Find a flag and start to count. Flag 0 is never used: an uninitialised request would name it. */
int rd_notify_add(struct rd_notify *notify)
{
	unsigned long flag;

	atomic64_set(&notify->count, 0);
	init_waitqueue_head(&notify->wait);
	spin_lock(&rd_flag_lock);
	flag = find_next_zero_bit(rd_flag_used, HV_EVENT_FLAGS, 1);
	if (flag >= HV_EVENT_FLAGS) {
		spin_unlock(&rd_flag_lock);
		return -ENOSPC;
	}
	__set_bit(flag, rd_flag_used);
	notify->flag = flag;
	if (flag / BITS_PER_LONG >= rd_flag_words)
		WRITE_ONCE(rd_flag_words, flag / BITS_PER_LONG + 1);
	rcu_assign_pointer(rd_flag[flag], notify);
	spin_unlock(&rd_flag_lock);
	return 0;
}

void rd_notify_remove(struct rd_notify *notify)
{
	spin_lock(&rd_flag_lock);
	RCU_INIT_POINTER(rd_flag[notify->flag], NULL);
	__clear_bit(notify->flag, rd_flag_used);
	spin_unlock(&rd_flag_lock);
}

void rd_notify_wake(struct rd_notify *notify, __poll_t events)
{
	/* Orders what the caller wrote before the look; the waiter's half is in prepare_to_wait. */
	if (wq_has_sleeper(&notify->wait))
		wake_up_interruptible_poll(&notify->wait, events);
}

/* Any context. flags: HV_EVENT_FLAGS bits that the hypervisor sets at any moment. */
void rd_notify_scan(void *flags)
{
	unsigned long *words = flags;
	unsigned int count = READ_ONCE(rd_flag_words);
	unsigned int word;

	rcu_read_lock();
	for (word = 0; word < count; word++) {
		unsigned long bits;

		/* Without a locked access where nothing is set. */
		if (!READ_ONCE(words[word]))
			continue;
		bits = xchg(&words[word], 0);
		while (bits) {
			unsigned int flag = word * BITS_PER_LONG + __ffs(bits);
			struct rd_notify *notify = rcu_dereference(rd_flag[flag]);

			bits &= bits - 1;
			if (!notify)
				continue;
			atomic64_inc(&notify->count);
			rd_notify_wake(notify, EPOLLIN | EPOLLRDNORM);
		}
	}
	rcu_read_unlock();
}
