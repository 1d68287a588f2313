// SPDX-License-Identifier: MIT OR GPL-2.0
/*
 * Child partitions: birth, requests of the descriptor, and the end in three steps (see redoubt.h).
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/anon_inodes.h>
#include <linux/delay.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "hv/root/pool.h"
#include "hv/root/redoubt.h"

#define RD_WEIGHT_MAX 1000

static_assert(sizeof(struct hv_create_partition) == 56 && sizeof(struct hv_map_gpa_pages) == 24);
static_assert(sizeof(struct hv_set_property) == 24 && sizeof(struct hv_install_intercept) == 24);
static_assert(sizeof(struct hv_post_message_direct) == 280);
static_assert(sizeof(struct hv_message) == 256 && sizeof(struct rd_post) == 264);
static_assert(sizeof(struct rd_create_partition) == 24);

#define RD_TAKE_TRIES 100
#define RD_TAKE_PAUSE 20 /* ms */

static struct workqueue_struct *rd_destroy_queue;
static atomic_t rd_ending; /* partitions whose memory is about to return */

/* --- references --- */

/* For a request that makes calls in the partition's name. -ENODEV: there is none any more. */
int rd_partition_enter(struct rd_partition *partition)
{
	if (rd_partition_dead(partition))
		return -ENODEV;
	if (down_read_interruptible(&partition->alive))
		return -ERESTARTSYS;
	if (rd_partition_dead(partition)) {
		up_read(&partition->alive);
		return -ENODEV;
	}
	return 0;
}

void rd_partition_leave(struct rd_partition *partition)
{
	up_read(&partition->alive);
}

static void rd_partition_free(struct kref *ref)
{
	struct rd_partition *partition = container_of(ref, struct rd_partition, ref);
	u32 i;

	for (i = 0; i < HV_VP_MAX; i++)
		if (partition->vp[i])
			rd_vp_free(partition->vp[i]);
	rd_pages_free(&partition->pages);
	kvfree(partition->unit);
	kfree(partition);
}

void rd_partition_get(struct rd_partition *partition)
{
	kref_get(&partition->ref);
}

void rd_partition_put(struct rd_partition *partition)
{
	kref_put(&partition->ref, rd_partition_free);
}

void rd_memory_get(struct rd_partition *partition)
{
	kref_get(&partition->memory_ref);
}

static void rd_memory_end(struct kref *ref)
{
	struct rd_partition *partition = container_of(ref, struct rd_partition, memory_ref);

	atomic_inc(&rd_ending);
	queue_work(rd_destroy_queue, &partition->destroy);
}

void rd_memory_put(struct rd_partition *partition)
{
	kref_put(&partition->memory_ref, rd_memory_end);
}

/* --- the end --- */

static int rd_partition_call(struct rd_partition *partition, u16 code)
{
	const struct hv_partition_id in = { .partition = partition->id };

	return rd_hypercall_finish(&partition->pages, code, &in, sizeof(in));
}

/* First step: no VP runs any more, nothing can be signalled or posted, readers are sent away. */
static void rd_partition_stop(struct rd_partition *partition)
{
	struct rd_port *port, *next;
	int error;
	u32 i;

	down_write(&partition->alive);
	if (partition->dead) {
		up_write(&partition->alive);
		return;
	}
	error = rd_partition_call(partition, HVCALL_FINALIZE_PARTITION);
	if (error)
		pr_err("partition %llu cannot be stopped: error %d\n", partition->id, error);
	WRITE_ONCE(partition->dead, true);
	list_for_each_entry_safe(port, next, &partition->ports, node)
	{
		rd_port_detach(port);
		rd_notify_wake(&port->notify, EPOLLHUP);
	}
	for (i = 0; i < HV_VP_MAX; i++)
		if (partition->vp[i])
			rd_notify_wake(&partition->vp[i]->notify, EPOLLHUP);
	up_write(&partition->alive);
}

/*
 * Second step, when neither a descriptor nor a mapping gives anyone the memory. If the hypervisor
 * does not let the partition go, then its memory and the pages that it may write stay out of use
 * for good: that is what the missing rd_partition_put() does.
 */
static void rd_partition_destroy(struct work_struct *work)
{
	struct rd_partition *partition = container_of(work, struct rd_partition, destroy);
	int error;
	u32 i;

	rd_memory_wait(partition);
	error = rd_partition_call(partition, HVCALL_DELETE_PARTITION);
	if (error) {
		pr_err("partition %llu cannot be deleted, %llu MiB are lost: error %d\n",
		       partition->id, partition->units << RD_UNIT_SHIFT >> 20, error);
		atomic_dec(&rd_ending);
		return;
	}
	for (i = 0; i < HV_VP_MAX; i++)
		if (partition->vp[i])
			rd_notify_remove(&partition->vp[i]->notify);
	rd_pool_give(partition->units, partition->unit);
	atomic_dec(&rd_ending);
	rd_partition_put(partition);
}

/* --- requests --- */

static long rd_ioctl_intercept_ports(struct rd_partition *partition,
				     struct rd_intercept_ports __user *request)
{
	struct hv_install_intercept in = {
		.partition = partition->id,
		.access = HV_INTERCEPT_READ_WRITE,
		.type = HV_INTERCEPT_IO_PORT_RANGE,
	};
	struct rd_intercept_ports ports;
	int error;

	if (copy_from_user(&ports, request, sizeof(ports)))
		return -EFAULT;
	if (ports.first > ports.last || ports.reserved ||
	    (ports.how & ~(RD_PORTS_POSTED_WRITE | RD_PORTS_CONSTANT_READ) &&
	     ports.how != RD_PORTS_TRACE))
		return -EINVAL;
	if (ports.how & RD_PORTS_POSTED_WRITE)
		in.access |= HV_INTERCEPT_POSTED_WRITE;
	if (ports.how & RD_PORTS_CONSTANT_READ)
		in.access |= HV_INTERCEPT_CONSTANT_READ;
	if (ports.how == RD_PORTS_TRACE) {
		if (ports.first || ports.last || ports.value > 1)
			return -EINVAL;
		in.type = HV_INTERCEPT_TRACE;
		in.access = ports.value ? HV_INTERCEPT_EXECUTE : 0;
		ports.value = 0;
	}
	in.parameter = ports.first | (u32)ports.last << 16 | (u64)ports.value << 32;
	error = rd_partition_enter(partition);
	if (error)
		return error;
	error = rd_hypercall_locked(&partition->pages, HVCALL_INSTALL_INTERCEPT, &in, sizeof(in));
	rd_partition_leave(partition);
	return error;
}

static long rd_ioctl_post(struct rd_partition *partition, struct rd_post __user *request)
{
	struct hv_post_message_direct in = { .partition = partition->id };
	struct rd_post post;
	int error;

	if (copy_from_user(&post, request, sizeof(post)))
		return -EFAULT;
	if (post.vp >= partition->vp_count || post.sint >= HV_SINT_COUNT ||
	    post.message.payload_size > HV_MESSAGE_PAYLOAD || post.message.flags ||
	    post.message.reserved || post.message.type == HV_MESSAGE_NONE)
		return -EINVAL;
	in.vp = post.vp;
	in.sint = post.sint;
	memcpy(in.message, &post.message, sizeof(post.message));
	error = rd_partition_enter(partition);
	if (error)
		return error;
	error = rd_hypercall_locked(&partition->pages, HVCALL_POST_MESSAGE_DIRECT, &in, sizeof(in));
	rd_partition_leave(partition);
	return error;
}

static long rd_ioctl_measure(struct rd_partition *partition, struct rd_measure __user *request)
{
	struct rd_measure measure;
	int error;

	if (copy_from_user(&measure, request, sizeof(measure)))
		return -EFAULT;
	if ((measure.gpa | measure.bytes) & ~PAGE_MASK || measure.bytes > partition->units
										  << RD_UNIT_SHIFT)
		return -EINVAL;
	error = rd_partition_enter(partition);
	if (error)
		return error;
	error = rd_memory_measure(partition, measure.gpa, measure.bytes >> PAGE_SHIFT);
	rd_partition_leave(partition);
	return error;
}

static long rd_ioctl_seal(struct rd_partition *partition, struct rd_seal __user *request)
{
	struct rd_seal_launch in = { .partition = partition->id };
	struct rd_seal seal;
	int error;

	if (copy_from_user(&seal, request, sizeof(seal)))
		return -EFAULT;
	in.flags = seal.flags;
	in.svn = seal.svn;
	in.disks = seal.disks;
	in.networks = seal.networks;
	in.devices = seal.devices;
	error = rd_partition_enter(partition);
	if (error)
		return error;
	error = rd_hypercall_locked(&partition->pages, RD_HVCALL_SEAL_LAUNCH, &in, sizeof(in));
	rd_partition_leave(partition);
	return error;
}

static long rd_partition_ioctl(struct file *file, unsigned int command, unsigned long argument)
{
	struct rd_partition *partition = file->private_data;
	void __user *request = (void __user *)argument;

	switch (command) {
	case RD_IOCTL_MEMORY:
		return rd_memory_create(partition);
	case RD_IOCTL_CREATE_VP:
		return rd_vp_create(partition, request);
	case RD_IOCTL_CREATE_CHANNEL:
		return rd_channel_create(partition, request);
	case RD_IOCTL_CREATE_MESSAGE:
		return rd_message_create(partition, request);
	case RD_IOCTL_POST:
		return rd_ioctl_post(partition, request);
	case RD_IOCTL_INTERCEPT_PORTS:
		return rd_ioctl_intercept_ports(partition, request);
	case RD_IOCTL_MEASURE:
		return rd_ioctl_measure(partition, request);
	case RD_IOCTL_SEAL:
		return rd_ioctl_seal(partition, request);
	case RD_IOCTL_STOP:
		rd_partition_stop(partition);
		return 0;
	default:
		return -ENOTTY;
	}
}

static int rd_partition_release(struct inode *inode, struct file *file)
{
	struct rd_partition *partition = file->private_data;

	rd_partition_stop(partition);
	rd_memory_put(partition);
	rd_partition_put(partition);
	return 0;
}

static const struct file_operations rd_partition_fops = {
	.owner = THIS_MODULE,
	.release = rd_partition_release,
	.unlocked_ioctl = rd_partition_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
	.llseek = noop_llseek,
};

/* --- birth --- */

static struct rd_partition *rd_partition_alloc(u64 units)
{
	struct rd_partition *partition = kzalloc(sizeof(*partition), GFP_KERNEL_ACCOUNT);

	if (!partition)
		return NULL;
	kref_init(&partition->ref);
	kref_init(&partition->memory_ref);
	init_rwsem(&partition->alive);
	mutex_init(&partition->lock);
	INIT_LIST_HEAD(&partition->ports);
	INIT_WORK(&partition->destroy, rd_partition_destroy);
	partition->units = units;
	partition->unit = kvmalloc_array(units, sizeof(u64), GFP_KERNEL_ACCOUNT);
	if (!partition->unit || rd_pages_alloc(&partition->pages)) {
		kvfree(partition->unit);
		kfree(partition);
		return NULL;
	}
	return partition;
}

/* A guest that is started again at once finds its memory on the way back: wait a moment. */
static int rd_partition_take(struct rd_partition *partition)
{
	int tries = 0;
	int error;

	while ((error = rd_pool_take(partition->units, partition->unit)) == -ENOMEM) {
		if (!atomic_read(&rd_ending) || ++tries > RD_TAKE_TRIES)
			break;
		if (msleep_interruptible(RD_TAKE_PAUSE))
			return -EINTR;
	}
	return error;
}

static int rd_partition_make(struct rd_partition *partition)
{
	static const struct hv_create_partition in;
	int error;

	mutex_lock(&partition->pages.lock);
	error = rd_hypercall(&partition->pages, HVCALL_CREATE_PARTITION, &in, sizeof(in));
	if (!error)
		partition->id = *(const u64 *)partition->pages.out;
	mutex_unlock(&partition->pages.lock);
	return error;
}

static int rd_partition_fill(struct rd_partition *partition, u32 weight)
{
	const struct hv_set_property property = {
		.partition = partition->id,
		.code = HV_PROPERTY_WEIGHT,
		.value = weight,
	};
	int error = 0;

	if (weight)
		error = rd_hypercall_locked(&partition->pages, HVCALL_SET_PARTITION_PROPERTY,
					    &property, sizeof(property));
	if (!error)
		error = rd_memory_map(partition);
	if (!error)
		error = rd_partition_call(partition, HVCALL_INITIALIZE_PARTITION);
	return error;
}

/* On /dev/redoubt, whose opener had CAP_SYS_ADMIN. */
long rd_partition_create(struct rd_create_partition __user *request)
{
	struct rd_create_partition create;
	struct rd_partition *partition;
	int error, fd;

	if (copy_from_user(&create, request, sizeof(create)))
		return -EFAULT;
	if (create.memory_bytes < RD_MEMORY_MIN || create.memory_bytes % RD_UNIT_SIZE ||
	    !create.vp_count || create.vp_count > HV_VP_MAX || create.weight > RD_WEIGHT_MAX)
		return -EINVAL;
	if (!rd_pool_holds(create.memory_bytes >> RD_UNIT_SHIFT))
		return -ENOMEM;
	partition = rd_partition_alloc(create.memory_bytes >> RD_UNIT_SHIFT);
	if (!partition)
		return -ENOMEM;
	partition->vp_count = create.vp_count;
	error = rd_partition_take(partition);
	if (error)
		goto put;
	error = rd_partition_make(partition);
	if (error) {
		rd_pool_give(partition->units, partition->unit);
		goto put;
	}
	error = rd_partition_fill(partition, create.weight);
	if (!error && copy_to_user(&request->partition, &partition->id, sizeof(partition->id)))
		error = -EFAULT;
	if (error)
		goto end;
	/* The memory has a reference of its own from here on. */
	rd_partition_get(partition);
	fd = anon_inode_getfd("[redoubt-partition]", &rd_partition_fops, partition,
			      O_RDWR | O_CLOEXEC);
	if (fd >= 0)
		return fd;
	error = fd;
	rd_partition_put(partition);
end:
	rd_partition_stop(partition);
	rd_memory_put(partition);
	return error;
put:
	rd_partition_put(partition);
	return error;
}

int rd_partition_init(void)
{
	/* Not bound to a CPU, and each item may wait for I/O without keeping others. */
	rd_destroy_queue = alloc_workqueue("redoubt", WQ_UNBOUND, WQ_UNBOUND_MAX_ACTIVE);
	return rd_destroy_queue ? 0 : -ENOMEM;
}

/* Every descriptor is closed: waits for the last partitions to go. */
void rd_partition_exit(void)
{
	destroy_workqueue(rd_destroy_queue);
}
