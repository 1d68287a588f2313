// SPDX-License-Identifier: MIT OR GPL-2.0
/*
 * Virtual processors. The hypervisor runs them; a process sees one when it stops at an intercept,
 * reads what happened from the page, and lets it go on.
 *
 * The hypervisor writes the page, suspends the VP, then notifies. So an intercept waits where a
 * notification has come and the page has a type, which RUN takes away: a notification that was
 * meant for an earlier owner of the flag finds none.
 */
#include <linux/anon_inodes.h>
#include <linux/io.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "hv/root/compat.h"
#include "hv/root/redoubt.h"

#define RD_INSTRUCTION_MAX 15

static_assert(sizeof(struct hv_create_vp) == 40 && sizeof(struct hv_vp_registers) == 16);
static_assert(sizeof(struct hv_map_state_page) == 32 && sizeof(struct hv_register_assoc) == 32);
static_assert(sizeof(struct hv_intercept_header) == 40);
static_assert(HV_POSTED_OFFSET + sizeof(struct hv_posted) <= PAGE_SIZE);
static_assert(sizeof(struct hv_vp_registers) + RD_REGS_MAX * sizeof(struct hv_register_assoc) <=
	      PAGE_SIZE);

static bool rd_vp_waits(const struct rd_vp *vp)
{
	return atomic64_read(&vp->notify.count) &&
	       READ_ONCE(vp->intercept->type) != HV_MESSAGE_NONE;
}

static void rd_vp_header(const struct rd_vp *vp, struct hv_vp_registers *header)
{
	memset(header, 0, sizeof(*header));
	header->partition = vp->partition->id;
	header->vp = vp->index;
}

/* --- going on --- */

static u32 rd_vp_resume_list(const struct rd_vp *vp, const struct rd_run *run,
			     struct hv_register_assoc *list)
{
	const struct hv_intercept_header *header = (const void *)vp->intercept->payload;
	u32 count = 0;

	if (run->flags & RD_RUN_RAX)
		list[count++] =
			(struct hv_register_assoc){ .name = HV_REG_RAX, .value.low = run->rax };
	/* Where there is nothing to step over, RIP is what SET_REGS may have made of it. */
	if (run->length)
		list[count++] =
			(struct hv_register_assoc){ .name = HV_REG_RIP,
						    .value.low = header->rip + run->length };
	list[count++] = (struct hv_register_assoc){ .name = HV_REG_INTERCEPT_SUSPEND };
	return count;
}

/* The partition is entered and pages.lock held. */
static int rd_vp_resume(struct rd_vp *vp, const struct rd_run *run)
{
	struct hv_vp_registers *in = vp->pages.in;
	struct hv_register_assoc *list = (void *)(in + 1);
	u32 type = READ_ONCE(vp->intercept->type);
	u32 count;
	int error;

	rd_vp_header(vp, in);
	count = rd_vp_resume_list(vp, run, list);
	atomic64_set(&vp->notify.count, 0);
	WRITE_ONCE(vp->intercept->type, HV_MESSAGE_NONE);
	error = rd_hypercall_rep(HVCALL_SET_VP_REGISTERS, in, NULL, count);
	if (error) {
		/* It did not go on: the intercept still waits. */
		WRITE_ONCE(vp->intercept->type, type);
		atomic64_inc(&vp->notify.count);
	}
	return error;
}

static int rd_vp_start(struct rd_vp *vp, const struct rd_run *run)
{
	struct hv_vp_registers *in = vp->pages.in;
	struct hv_register_assoc *list = (void *)(in + 1);
	int error;

	if (run->flags || run->length)
		return -EINVAL;
	rd_vp_header(vp, in);
	list[0] = (struct hv_register_assoc){ .name = HV_REG_EXPLICIT_SUSPEND };
	error = rd_hypercall_rep(HVCALL_SET_VP_REGISTERS, in, NULL, 1);
	if (!error)
		vp->started = true;
	return error;
}

static long rd_ioctl_run(struct rd_vp *vp, struct rd_run __user *request)
{
	struct rd_run run;
	int error;

	if (copy_from_user(&run, request, sizeof(run)))
		return -EFAULT;
	if (run.flags & ~RD_RUN_RAX || run.length > RD_INSTRUCTION_MAX)
		return -EINVAL;
	error = rd_partition_enter(vp->partition);
	if (error)
		return error;
	mutex_lock(&vp->pages.lock);
	if (rd_vp_waits(vp))
		error = rd_vp_resume(vp, &run);
	else if (vp->index == 0 && !vp->started)
		error = rd_vp_start(vp, &run);
	else
		error = -EBUSY;
	mutex_unlock(&vp->pages.lock);
	rd_partition_leave(vp->partition);
	return error;
}

/* --- registers --- */

static int rd_vp_get_regs(struct rd_vp *vp, struct hv_register_assoc *list, u32 count)
{
	struct hv_vp_registers *in = vp->pages.in;
	const struct hv_register_value *out = vp->pages.out;
	u32 *name = (u32 *)(in + 1);
	int error;
	u32 i;

	rd_vp_header(vp, in);
	for (i = 0; i < count; i++)
		name[i] = list[i].name;
	memset(vp->pages.out, 0, count * sizeof(*out));
	error = rd_hypercall_rep(HVCALL_GET_VP_REGISTERS, in, vp->pages.out, count);
	for (i = 0; i < count && !error; i++)
		list[i].value = out[i];
	return error;
}

static int rd_vp_set_regs(struct rd_vp *vp, const struct hv_register_assoc *list, u32 count)
{
	struct hv_vp_registers *in = vp->pages.in;

	rd_vp_header(vp, in);
	memcpy(in + 1, list, count * sizeof(*list));
	return rd_hypercall_rep(HVCALL_SET_VP_REGISTERS, in, NULL, count);
}

/* Suspension is RUN's business: it keeps the page and the VP in step. */
static bool rd_vp_list_valid(const struct hv_register_assoc *list, u32 count, bool set)
{
	u32 i;

	for (i = 0; i < count; i++) {
		if (list[i].pad[0] || list[i].pad[1] || list[i].pad[2])
			return false;
		if (set && (list[i].name == HV_REG_EXPLICIT_SUSPEND ||
			    list[i].name == HV_REG_INTERCEPT_SUSPEND))
			return false;
	}
	return true;
}

static long rd_ioctl_regs(struct rd_vp *vp, const struct rd_regs __user *request, bool set)
{
	struct hv_register_assoc *list;
	struct rd_regs regs;
	size_t size;
	int error;

	if (copy_from_user(&regs, request, sizeof(regs)))
		return -EFAULT;
	if (!regs.count || regs.count > RD_REGS_MAX || regs.reserved)
		return -EINVAL;
	size = regs.count * sizeof(*list);
	list = memdup_user(u64_to_user_ptr(regs.assoc), size);
	if (IS_ERR(list))
		return PTR_ERR(list);
	error = -EINVAL;
	if (!rd_vp_list_valid(list, regs.count, set))
		goto free;
	error = rd_partition_enter(vp->partition);
	if (error)
		goto free;
	mutex_lock(&vp->pages.lock);
	error = set ? rd_vp_set_regs(vp, list, regs.count) : rd_vp_get_regs(vp, list, regs.count);
	mutex_unlock(&vp->pages.lock);
	rd_partition_leave(vp->partition);
	if (!error && !set && copy_to_user(u64_to_user_ptr(regs.assoc), list, size))
		error = -EFAULT;
free:
	kfree(list);
	return error;
}

/* --- the descriptor --- */

static long rd_vp_ioctl(struct file *file, unsigned int command, unsigned long argument)
{
	struct rd_vp *vp = file->private_data;
	void __user *request = (void __user *)argument;

	switch (command) {
	case RD_IOCTL_RUN:
		return rd_ioctl_run(vp, request);
	case RD_IOCTL_GET_REGS:
		return rd_ioctl_regs(vp, request, false);
	case RD_IOCTL_SET_REGS:
		return rd_ioctl_regs(vp, request, true);
	default:
		return -ENOTTY;
	}
}

static struct hv_posted *rd_vp_posted(const struct rd_vp *vp)
{
	return (void *)vp->intercept + HV_POSTED_OFFSET;
}

static __poll_t rd_vp_poll(struct file *file, poll_table *table)
{
	struct rd_vp *vp = file->private_data;
	const struct hv_posted *posted = rd_vp_posted(vp);
	__poll_t events = 0;

	poll_wait(file, &vp->notify.wait, table);
	if (rd_partition_dead(vp->partition))
		return EPOLLHUP;
	if (READ_ONCE(posted->producer) != READ_ONCE(posted->consumer))
		events |= EPOLLPRI;
	if (rd_vp_waits(vp))
		events |= EPOLLIN | EPOLLRDNORM;
	return events;
}

/* Posted writes. They are also there when the partition is dead: the last words of a guest. */
static ssize_t rd_vp_read(struct file *file, char __user *to, size_t size, loff_t *position)
{
	struct rd_vp *vp = file->private_data;
	struct hv_posted *posted = rd_vp_posted(vp);
	struct hv_posted_write list[HV_POSTED_ENTRIES];
	u32 at, count, i;

	mutex_lock(&vp->pages.lock);
	at = posted->consumer;
	count = min_t(u32, smp_load_acquire(&posted->producer) - at, HV_POSTED_ENTRIES);
	count = min_t(size_t, count, size / sizeof(list[0]));
	for (i = 0; i < count; i++)
		list[i] = posted->entry[(at + i) % HV_POSTED_ENTRIES];
	smp_store_release(&posted->consumer, at + count);
	mutex_unlock(&vp->pages.lock);
	if (!count)
		return size < sizeof(list[0]) ? -EINVAL : -EAGAIN;
	if (copy_to_user(to, list, count * sizeof(list[0])))
		return -EFAULT;
	return count * sizeof(list[0]);
}

static int rd_vp_mmap(struct file *file, struct vm_area_struct *vma)
{
	const struct rd_vp *vp = file->private_data;

	if (vma->vm_pgoff || vma_pages(vma) != 1 || !(vma->vm_flags & VM_SHARED))
		return -EINVAL;
	if (vma->vm_flags & (VM_WRITE | VM_EXEC))
		return -EPERM;
	vm_flags_mod(vma, VM_DONTCOPY | VM_DONTEXPAND | VM_DONTDUMP | VM_MIXEDMAP,
		     VM_MAYWRITE | VM_MAYEXEC);
	return vm_insert_page(vma, vma->vm_start, virt_to_page(vp->intercept));
}

/* The VP itself, its page and its flag stay until the partition is deleted. */
static int rd_vp_release(struct inode *inode, struct file *file)
{
	struct rd_vp *vp = file->private_data;

	rd_partition_put(vp->partition);
	return 0;
}

static const struct file_operations rd_vp_fops = {
	.owner = THIS_MODULE,
	.release = rd_vp_release,
	.read = rd_vp_read,
	.unlocked_ioctl = rd_vp_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
	.poll = rd_vp_poll,
	.mmap = rd_vp_mmap,
	.llseek = noop_llseek,
};

/* --- birth --- */

static struct rd_vp *rd_vp_alloc(struct rd_partition *partition, u32 index)
{
	struct rd_vp *vp = kzalloc(sizeof(*vp), GFP_KERNEL_ACCOUNT);

	if (!vp)
		return NULL;
	vp->partition = partition;
	vp->index = index;
	vp->intercept = (void *)get_zeroed_page(GFP_KERNEL_ACCOUNT);
	if (!vp->intercept || rd_pages_alloc(&vp->pages)) {
		free_page((unsigned long)vp->intercept);
		kfree(vp);
		return NULL;
	}
	return vp;
}

/* rd_notify_remove() was called, or rd_notify_add() was not. */
void rd_vp_free(struct rd_vp *vp)
{
	rd_pages_free(&vp->pages);
	free_page((unsigned long)vp->intercept);
	kfree_rcu(vp, rcu);
}

/* The partition is entered and its lock held. Where it fails after CreateVp, the VP stays. */
static int rd_vp_make(struct rd_partition *partition, u32 index)
{
	const struct hv_create_vp create = { .partition = partition->id, .vp = index };
	struct hv_map_state_page map = {
		.partition = partition->id,
		.vp = index,
		.type = HV_STATE_PAGE_INTERCEPT,
	};
	struct rd_vp *vp;
	int error;

	if (partition->vp[index])
		return -EEXIST;
	vp = rd_vp_alloc(partition, index);
	if (!vp)
		return -ENOMEM;
	error = rd_notify_add(&vp->notify);
	if (error)
		goto free;
	error = rd_hypercall_locked(&partition->pages, HVCALL_CREATE_VP, &create, sizeof(create));
	if (error) {
		rd_notify_remove(&vp->notify);
		goto free;
	}
	partition->vp[index] = vp;
	map.pfn = virt_to_phys(vp->intercept) >> PAGE_SHIFT;
	map.notify_flag = vp->notify.flag;
	return rd_hypercall_locked(&partition->pages, HVCALL_MAP_VP_STATE_PAGE, &map, sizeof(map));
free:
	rd_vp_free(vp);
	return error;
}

long rd_vp_create(struct rd_partition *partition, struct rd_create_vp __user *request)
{
	struct rd_create_vp create;
	int error, fd;

	if (copy_from_user(&create, request, sizeof(create)))
		return -EFAULT;
	if (create.vp >= partition->vp_count || create.reserved)
		return -EINVAL;
	error = rd_partition_enter(partition);
	if (error)
		return error;
	mutex_lock(&partition->lock);
	error = rd_vp_make(partition, create.vp);
	mutex_unlock(&partition->lock);
	rd_partition_leave(partition);
	if (error)
		return error;
	rd_partition_get(partition);
	fd = anon_inode_getfd("[redoubt-vp]", &rd_vp_fops, partition->vp[create.vp],
			      O_RDWR | O_CLOEXEC);
	if (fd < 0)
		rd_partition_put(partition);
	return fd;
}
