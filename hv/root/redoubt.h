/* SPDX-License-Identifier: MIT OR GPL-2.0 */
#ifndef HV_ROOT_REDOUBT_H
#define HV_ROOT_REDOUBT_H
/*
 * The objects of redoubt.ko.
 *
 * Lifetime: every descriptor holds a reference to its struct rd_partition (ref). The descriptor of
 * the partition and those of its memory, and through the latter the mappings, hold memory_ref too.
 * Closing the partition's descriptor stops the guest (rd_partition_stop); the end of memory_ref
 * lets a work item give the memory back to the hypervisor and the pool; the end of ref frees.
 *
 * Locks, outer ones first: alive, lock, a VP's pages.lock or a port's lock, pages.lock. None of
 * them is held while memory of a user is touched, because a user can make that last for ever.
 */
#include <linux/fs.h>
#include <linux/kref.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/poll.h>
#include <linux/rcupdate.h>
#include <linux/rwsem.h>
#include <linux/workqueue.h>

#include "hv/root/hypercall.h"
#include "hv/root/ioctl.h"
#include "hv/root/notify.h"

#define RD_UNIT_SHIFT 21 /* memory is handed out in units of 2 MiB */
#define RD_UNIT_SIZE (1ull << RD_UNIT_SHIFT)
#define RD_UNIT_PAGES (RD_UNIT_SIZE >> PAGE_SHIFT)
#define RD_MEMORY_MIN (16ull << 20)
#define RD_PORTS_MAX 128 /* channels and message descriptors of one partition */

struct rd_vp {
	struct rd_partition *partition;
	u32 index;
	bool started; /* VP 0 has left its explicit suspension; under pages.lock */
	struct rd_pages pages;
	struct hv_message *intercept; /* a page; the hypervisor writes it, a process may map it */
	struct rd_notify notify;
	struct rcu_head rcu;
};

/* An event port (a channel's descriptor) or a message port. */
struct rd_port {
	struct rd_partition *partition;
	struct list_head node; /* in rd_partition.ports while the hypervisor has the port */
	struct rd_notify notify;
	struct rcu_head rcu;
	struct mutex lock; /* of the buffer */
	void *buffer;      /* what the hypervisor reads, RD_PORT_OUT bytes on what it writes */
	u32 id, type;
	bool kept; /* the hypervisor refused to delete it */
	u32 connections;
	u32 connection[4];
	u32 vp; /* a channel's target */
	u8 sint;
	u16 flag;
};

struct rd_partition {
	struct kref ref;
	struct kref memory_ref;
	struct rw_semaphore alive; /* held for reading where `id` is used; for writing to stop */
	bool dead;
	u64 id;
	u32 vp_count;
	struct rd_pages pages;
	struct mutex lock; /* of what follows, until `units` */
	struct list_head ports;
	u32 port_count;
	struct rd_vp *vp[HV_VP_MAX];
	u64 units; /* 2 MiB each; what follows never changes */
	u64 *unit; /* number of the first page of each */
	struct work_struct destroy;
};

/* partition.c */
int rd_partition_init(void);
void rd_partition_exit(void);
long rd_partition_create(struct rd_create_partition __user *request);
int rd_partition_enter(struct rd_partition *partition);
void rd_partition_leave(struct rd_partition *partition);
void rd_partition_get(struct rd_partition *partition);
void rd_partition_put(struct rd_partition *partition);
void rd_memory_get(struct rd_partition *partition);
void rd_memory_put(struct rd_partition *partition);

/* memory.c */
long rd_memory_create(struct rd_partition *partition);
int rd_memory_map(struct rd_partition *partition);
int rd_memory_measure(struct rd_partition *partition, u64 gpa, u64 pages);
void rd_memory_wait(struct rd_partition *partition);

/* vp.c */
long rd_vp_create(struct rd_partition *partition, struct rd_create_vp __user *request);
void rd_vp_free(struct rd_vp *vp);

/* channel.c */
long rd_channel_create(struct rd_partition *partition, struct rd_create_channel __user *request);
long rd_message_create(struct rd_partition *partition, struct rd_create_message __user *request);
void rd_port_detach(struct rd_port *port);

static inline bool rd_partition_dead(const struct rd_partition *partition)
{
	return READ_ONCE(partition->dead);
}

#endif
