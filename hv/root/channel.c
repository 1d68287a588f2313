// SPDX-License-Identifier: MIT OR GPL-2.0
/*
 * Channels (an event port and the target of signals) and message descriptors (a message port with
 * up to four connections).
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/anon_inodes.h>
#include <linux/idr.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "hv/root/redoubt.h"

#define RD_CONNECTION_MAX 0xffffffu
/* A power of two: kmalloc then aligns to it, and the buffer lies in one page. */
#define RD_PORT_BUFFER 512
#define RD_PORT_OUT 256

static_assert(sizeof(struct hv_create_port) == 56 && sizeof(struct hv_connect_port) == 72);
static_assert(sizeof(struct hv_delete_port) == 16 && sizeof(struct hv_disconnect_port) == 16);
static_assert(sizeof(struct hv_signal_event_direct) <= RD_PORT_OUT);
static_assert(sizeof(struct rd_receive_message) == 8);
static_assert(RD_PORT_OUT + sizeof(struct hv_message) <= RD_PORT_BUFFER);

static DEFINE_IDA(rd_port_ids);

/* --- ports --- */

static int rd_port_connect(struct rd_port *port, u32 connection)
{
	struct rd_partition *partition = port->partition;
	const struct hv_connect_port in = {
		.connection_partition = partition->id,
		.connection = connection,
		.port_partition = HV_SELF,
		.port = port->id,
		.type = port->type,
	};
	int error;

	error = rd_hypercall_locked(&partition->pages, HVCALL_CONNECT_PORT, &in, sizeof(in));
	if (!error)
		port->connection[port->connections++] = connection;
	return error;
}

/*
 * Take the port from the hypervisor and from the list. The caller has partition->alive for writing,
 * or for reading with partition->lock. A port that does not go keeps its number and its flag.
 */
void rd_port_detach(struct rd_port *port)
{
	struct rd_partition *partition = port->partition;
	const struct hv_delete_port in = { .partition = HV_SELF, .port = port->id };
	int error = 0;

	list_del_init(&port->node);
	partition->port_count--;
	while (port->connections) {
		const struct hv_disconnect_port disconnect = {
			.partition = partition->id,
			.connection = port->connection[--port->connections],
		};

		error = rd_hypercall_locked(&partition->pages, HVCALL_DISCONNECT_PORT, &disconnect,
					    sizeof(disconnect));
		if (error)
			pr_err("connection %#x of partition %llu stays: error %d\n",
			       disconnect.connection, partition->id, error);
	}
	error = rd_hypercall_locked(&partition->pages, HVCALL_DELETE_PORT, &in, sizeof(in));
	if (error) {
		pr_err("port %u stays: error %d\n", port->id, error);
		port->kept = true;
		return;
	}
	rd_notify_remove(&port->notify);
	ida_free(&rd_port_ids, port->id);
}

static struct rd_port *rd_port_alloc(struct rd_partition *partition, u32 type)
{
	struct rd_port *port = kzalloc(sizeof(*port), GFP_KERNEL_ACCOUNT);

	if (!port)
		return NULL;
	port->buffer = kzalloc(RD_PORT_BUFFER, GFP_KERNEL_ACCOUNT);
	if (!port->buffer) {
		kfree(port);
		return NULL;
	}
	port->partition = partition;
	port->type = type;
	INIT_LIST_HEAD(&port->node);
	mutex_init(&port->lock);
	return port;
}

static void rd_port_free(struct rd_port *port)
{
	if (port->kept)
		return; /* its flag still leads here */
	kfree(port->buffer);
	kfree_rcu(port, rcu);
}

/* The partition is entered and its lock held. */
static int rd_port_make(struct rd_port *port, const u32 *connection, u32 count)
{
	struct rd_partition *partition = port->partition;
	struct hv_create_port in = {
		.port_partition = HV_SELF,
		.connection_partition = partition->id,
		.type = port->type,
		.sint = RD_ROOT_SINT,
		.vp = HV_ANY_VP,
		.flag_count = 1,
	};
	int error, id;
	u32 i;

	if (partition->port_count >= RD_PORTS_MAX)
		return -ENOSPC;
	id = ida_alloc_range(&rd_port_ids, 1, RD_PORT_MAX - 1, GFP_KERNEL);
	if (id < 0)
		return id;
	port->id = id;
	error = rd_notify_add(&port->notify);
	if (error)
		goto free_id;
	in.port = port->id;
	in.base_flag = port->notify.flag;
	error = rd_hypercall_locked(&partition->pages, HVCALL_CREATE_PORT, &in, sizeof(in));
	if (error)
		goto remove;
	list_add(&port->node, &partition->ports);
	partition->port_count++;
	for (i = 0; i < count && !error; i++)
		if (connection[i])
			error = rd_port_connect(port, connection[i]);
	if (error)
		rd_port_detach(port);
	return error;
remove:
	rd_notify_remove(&port->notify);
free_id:
	ida_free(&rd_port_ids, id);
	return error;
}

static int rd_port_release(struct inode *inode, struct file *file)
{
	struct rd_port *port = file->private_data;
	struct rd_partition *partition = port->partition;

	down_read(&partition->alive);
	mutex_lock(&partition->lock);
	if (!list_empty(&port->node))
		rd_port_detach(port);
	mutex_unlock(&partition->lock);
	up_read(&partition->alive);
	rd_port_free(port);
	rd_partition_put(partition);
	return 0;
}

/* Make the port and its descriptor; port goes where that fails. */
static long rd_port_create(struct rd_port *port, const u32 *connection, u32 count, const char *name,
			   const struct file_operations *fops)
{
	struct rd_partition *partition = port->partition;
	int error, fd;

	error = rd_partition_enter(partition);
	if (error)
		goto free;
	mutex_lock(&partition->lock);
	error = rd_port_make(port, connection, count);
	mutex_unlock(&partition->lock);
	rd_partition_leave(partition);
	if (error)
		goto free;
	rd_partition_get(partition);
	fd = anon_inode_getfd(name, fops, port, O_RDWR | O_CLOEXEC);
	if (fd >= 0)
		return fd;
	error = fd;
	down_read(&partition->alive);
	mutex_lock(&partition->lock);
	if (!list_empty(&port->node))
		rd_port_detach(port);
	mutex_unlock(&partition->lock);
	up_read(&partition->alive);
	rd_partition_put(partition);
free:
	rd_port_free(port);
	return error;
}

static __poll_t rd_port_poll(struct file *file, poll_table *table)
{
	struct rd_port *port = file->private_data;
	__poll_t ready = port->type == HV_PORT_EVENT ? EPOLLOUT | EPOLLWRNORM : 0;

	poll_wait(file, &port->notify.wait, table);
	if (rd_partition_dead(port->partition))
		return EPOLLHUP;
	if (atomic64_read(&port->notify.count))
		ready |= EPOLLIN | EPOLLRDNORM;
	return ready;
}

/* Sleep until a notification comes. -EAGAIN: the descriptor does not block. */
static int rd_port_wait(struct file *file, struct rd_port *port)
{
	if (file->f_flags & O_NONBLOCK)
		return -EAGAIN;
	return wait_event_interruptible(port->notify.wait,
					atomic64_read(&port->notify.count) ||
						rd_partition_dead(port->partition));
}

/* --- channels --- */

static ssize_t rd_channel_read(struct file *file, char __user *to, size_t size, loff_t *offset)
{
	struct rd_port *port = file->private_data;
	u64 count;
	int error;

	if (size < sizeof(count))
		return -EINVAL;
	for (;;) {
		if (rd_partition_dead(port->partition))
			return -ENODEV;
		count = atomic64_xchg(&port->notify.count, 0);
		if (count)
			break;
		error = rd_port_wait(file, port);
		if (error)
			return error;
	}
	if (copy_to_user(to, &count, sizeof(count))) {
		atomic64_add(count, &port->notify.count);
		return -EFAULT;
	}
	return sizeof(count);
}

/* What is written does not matter: the guest learns that it was signalled, no more. */
static ssize_t rd_channel_write(struct file *file, const char __user *from, size_t size,
				loff_t *offset)
{
	struct rd_port *port = file->private_data;
	struct hv_signal_event_direct *in = port->buffer;
	int error;

	if (size < sizeof(u64))
		return -EINVAL;
	error = rd_partition_enter(port->partition);
	if (error)
		return error;
	mutex_lock(&port->lock);
	*in = (struct hv_signal_event_direct){
		.partition = port->partition->id,
		.vp = port->vp,
		.sint = port->sint,
		.flag = port->flag,
	};
	error = rd_hypercall_at(HVCALL_SIGNAL_EVENT_DIRECT, in, port->buffer + RD_PORT_OUT);
	mutex_unlock(&port->lock);
	rd_partition_leave(port->partition);
	/* A guest that has switched its controller off does not make its devices fail. */
	if (error && error != -ENXIO)
		return error;
	return sizeof(u64);
}

static long rd_channel_ioctl(struct file *file, unsigned int command, unsigned long argument)
{
	struct rd_port *port = file->private_data;
	struct rd_set_target target;

	if (command != RD_IOCTL_SET_TARGET)
		return -ENOTTY;
	if (copy_from_user(&target, (void __user *)argument, sizeof(target)))
		return -EFAULT;
	if (target.vp >= port->partition->vp_count || target.reserved)
		return -EINVAL;
	if (rd_partition_dead(port->partition))
		return -ENODEV;
	mutex_lock(&port->lock);
	port->vp = target.vp;
	mutex_unlock(&port->lock);
	return 0;
}

static const struct file_operations rd_channel_fops = {
	.owner = THIS_MODULE,
	.release = rd_port_release,
	.read = rd_channel_read,
	.write = rd_channel_write,
	.poll = rd_port_poll,
	.unlocked_ioctl = rd_channel_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
	.llseek = noop_llseek,
};

long rd_channel_create(struct rd_partition *partition, struct rd_create_channel __user *request)
{
	struct rd_create_channel create;
	struct rd_port *port;

	if (copy_from_user(&create, request, sizeof(create)))
		return -EFAULT;
	if (!create.connection || create.connection > RD_CONNECTION_MAX ||
	    create.vp >= partition->vp_count || create.sint >= HV_SINT_COUNT ||
	    create.flag >= HV_EVENT_FLAGS)
		return -EINVAL;
	port = rd_port_alloc(partition, HV_PORT_EVENT);
	if (!port)
		return -ENOMEM;
	port->vp = create.vp;
	port->sint = create.sint;
	port->flag = create.flag;
	return rd_port_create(port, &create.connection, 1, "[redoubt-channel]", &rd_channel_fops);
}

/* --- messages --- */

/*
 * The hypervisor notifies when the first message arrives, not for those behind it. So the count is
 * cleared before looking, and set again where a message was found: there may be another.
 */
static int rd_message_receive(struct rd_port *port, struct hv_message *message)
{
	struct rd_receive_message *in = port->buffer;
	void *out = port->buffer + RD_PORT_OUT;
	int error;

	error = rd_partition_enter(port->partition);
	if (error)
		return error;
	mutex_lock(&port->lock);
	atomic64_set(&port->notify.count, 0);
	*in = (struct rd_receive_message){ .port = port->id };
	memset(out, 0, sizeof(*message));
	error = rd_hypercall_at(RD_HVCALL_RECEIVE_MESSAGE, in, out);
	if (!error) {
		memcpy(message, out, sizeof(*message));
		atomic64_inc(&port->notify.count);
	}
	mutex_unlock(&port->lock);
	rd_partition_leave(port->partition);
	return error;
}

static ssize_t rd_message_read(struct file *file, char __user *to, size_t size, loff_t *offset)
{
	struct rd_port *port = file->private_data;
	struct hv_message message;
	int error;

	if (size < sizeof(message))
		return -EINVAL;
	while ((error = rd_message_receive(port, &message)) == -ENOENT) {
		error = rd_port_wait(file, port);
		if (error)
			break;
	}
	if (error)
		return error;
	return copy_to_user(to, &message, sizeof(message)) ? -EFAULT : sizeof(message);
}

static const struct file_operations rd_message_fops = {
	.owner = THIS_MODULE,
	.release = rd_port_release,
	.read = rd_message_read,
	.poll = rd_port_poll,
	.llseek = noop_llseek,
};

long rd_message_create(struct rd_partition *partition, struct rd_create_message __user *request)
{
	struct rd_create_message create;
	struct rd_port *port;
	bool used = false;
	u32 i;

	if (copy_from_user(&create, request, sizeof(create)))
		return -EFAULT;
	for (i = 0; i < ARRAY_SIZE(create.connection); i++) {
		if (create.connection[i] > RD_CONNECTION_MAX)
			return -EINVAL;
		used |= create.connection[i] != 0;
	}
	if (!used)
		return -EINVAL;
	port = rd_port_alloc(partition, HV_PORT_MESSAGE);
	if (!port)
		return -ENOMEM;
	return rd_port_create(port, create.connection, ARRAY_SIZE(create.connection),
			      "[redoubt-message]", &rd_message_fops);
}
