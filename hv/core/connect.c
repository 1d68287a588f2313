/* SPDX-License-Identifier: MIT */
#include "hv/core/connect.h"

#include "hv/core/arch.h"
#include "hv/core/cpu.h"
#include "hv/core/heap.h"
#include "hv/core/vp.h"

struct message_queue { /* one page */
	uint32_t first, count;
	struct hv_message message[RD_PORT_MESSAGES];
};

_Static_assert(sizeof(struct message_queue) <= PAGE_SIZE, "one page");
_Static_assert(sizeof(struct synic_queue) <= PAGE_SIZE, "one page");

struct port {
	uint32_t type; /* 0: free */
	uint32_t flag;
	uint32_t vp;    /* root VP, or HV_ANY_VP */
	uint64_t child; /* who may connect */
	struct message_queue *queue;
};

static struct lock ports_lock; /* innermost but for a VP's SynIC */
static struct port ports[RD_PORT_MAX];

/* --- towards the root --- */

/* An idle CPU serves it without taking time from anybody; else this one. */
static struct vp *root_vp_for(uint32_t index)
{
	struct partition *root = partition_root;
	uint32_t here = arch_cpu_index();

	if (index < root->vp_count) {
		return root->vp[index];
	}
	if (cpu_table[here].root_vp != cpu_table[here].current) {
		for (uint32_t i = 0; i < cpu_count; i++) {
			if (__atomic_load_n(&cpu_table[i].idle, __ATOMIC_RELAXED) != 0 &&
			    root->vp[i]->state != VP_WAIT_SIPI) {
				return root->vp[i];
			}
		}
	}
	return root->vp[here];
}

static void notify(uint32_t vp, uint32_t flag)
{
	bool newly;
	struct vp *to = root_vp_for(vp);

	/* A root CPU that is offline has its SynIC off: any other one serves as well. */
	if (synic_signal(to, RD_ROOT_SINT, flag, &newly) != HV_SUCCESS) {
		for (uint32_t i = 0; i < partition_root->vp_count; i++) {
			if (synic_signal(partition_root->vp[i], RD_ROOT_SINT, flag, &newly) ==
			    HV_SUCCESS) {
				return;
			}
		}
	}
}

void connect_notify_root(uint32_t flag)
{
	notify(HV_ANY_VP, flag);
}

/* Locks: p's lock. The port behind a connection id, or RD_PORT_MAX. */
static uint32_t port_of(const struct partition *p, uint32_t id)
{
	for (uint32_t i = 0; id != 0 && i < PARTITION_CONNECTIONS; i++) {
		if (p->connection[i].id == id) {
			return p->connection[i].port;
		}
	}
	return RD_PORT_MAX;
}

static uint32_t port_locked(struct partition *p, uint32_t id)
{
	uint32_t port;

	lock_acquire(&p->lock);
	port = port_of(p, id);
	lock_release(&p->lock);
	return port;
}

/* Trust: everything; the caller is any guest. */
enum hv_status hc_signal_event(struct vp *vp, struct hcall *h)
{
	enum hv_status s = HV_INVALID_CONNECTION_ID;
	struct hv_signal_event q;
	uint32_t n, flag = 0, target = 0;

	__builtin_memcpy(&q, h->in, sizeof(q));
	if (q.flag != 0 || q.reserved != 0) {
		return HV_INVALID_PARAMETER;
	}
	n = port_locked(vp->partition, q.connection);
	lock_acquire(&ports_lock);
	if (n < RD_PORT_MAX && ports[n].type == HV_PORT_EVENT &&
	    ports[n].child == vp->partition->id) {
		s = HV_SUCCESS;
		flag = ports[n].flag;
		target = ports[n].vp;
	}
	lock_release(&ports_lock);
	if (s == HV_SUCCESS) {
		notify(target, flag);
	}
	return s;
}

/* Locks: ports_lock. */
static enum hv_status enqueue(struct port *p, const struct hv_post_message *q)
{
	struct message_queue *queue = p->queue;
	struct hv_message *m;

	if (queue->count == RD_PORT_MESSAGES) {
		return HV_INSUFFICIENT_BUFFERS;
	}
	m = &queue->message[(queue->first + queue->count) % RD_PORT_MESSAGES];
	__builtin_memset(m, 0, sizeof(*m));
	m->type = q->type;
	m->payload_size = (uint8_t)q->size;
	m->sender = q->connection;
	__builtin_memcpy(m->payload, q->payload, q->size);
	queue->count++;
	return HV_SUCCESS;
}

/* Trust: everything; the caller is a child. Types of the hypervisor's own messages are refused. */
enum hv_status hc_post_message(struct vp *vp, struct hcall *h)
{
	enum hv_status s = HV_INVALID_CONNECTION_ID;
	struct hv_post_message q;
	uint32_t n, flag = 0, target = 0;

	__builtin_memcpy(&q, h->in, sizeof(q));
	if (q.reserved != 0 || q.size > HV_MESSAGE_PAYLOAD || q.type == HV_MESSAGE_NONE ||
	    (q.type & 0x80000000u) != 0) {
		return HV_INVALID_PARAMETER;
	}
	n = port_locked(vp->partition, q.connection);
	lock_acquire(&ports_lock);
	if (n < RD_PORT_MAX && ports[n].type == HV_PORT_MESSAGE &&
	    ports[n].child == vp->partition->id) {
		s = enqueue(&ports[n], &q);
		flag = ports[n].flag;
		target = ports[n].vp;
	}
	lock_release(&ports_lock);
	if (s == HV_SUCCESS) {
		notify(target, flag);
	}
	return s;
}

enum hv_status hc_receive_message(struct vp *vp, struct hcall *h)
{
	enum hv_status s = HV_INVALID_PORT_ID;
	struct rd_receive_message q;
	struct message_queue *queue;

	(void)vp;
	__builtin_memcpy(&q, h->in, sizeof(q));
	if (q.reserved != 0) {
		return HV_INVALID_PARAMETER;
	}
	lock_acquire(&ports_lock);
	if (q.port < RD_PORT_MAX && ports[q.port].type == HV_PORT_MESSAGE) {
		queue = ports[q.port].queue;
		s = HV_NOT_FOUND;
		if (queue->count != 0) {
			__builtin_memcpy(h->out, &queue->message[queue->first],
					 sizeof(struct hv_message));
			queue->first = (queue->first + 1) % RD_PORT_MESSAGES;
			queue->count--;
			s = HV_SUCCESS;
		}
	}
	lock_release(&ports_lock);
	return s;
}

/* --- ports and connections, made by the root --- */

static bool port_valid(const struct hv_create_port *q)
{
	return (q->port_partition == HV_SELF || q->port_partition == PARTITION_ID_ROOT) &&
	       q->port != 0 && q->port < RD_PORT_MAX &&
	       (q->port_vtl | q->min_connection_vtl) == 0 && q->pad == 0 && q->pad2 == 0 &&
	       q->pad3 == 0 && (q->type == HV_PORT_EVENT || q->type == HV_PORT_MESSAGE) &&
	       q->sint == RD_ROOT_SINT && q->base_flag < HV_EVENT_FLAGS && q->flag_count == 1 &&
	       (q->vp == HV_ANY_VP || q->vp < partition_root->vp_count);
}

enum hv_status hc_create_port(struct vp *vp, struct hcall *h)
{
	struct message_queue *queue = NULL;
	enum hv_status s = HV_OBJECT_IN_USE;
	struct hv_create_port q;
	struct partition *child;

	(void)vp;
	__builtin_memcpy(&q, h->in, sizeof(q));
	if (!port_valid(&q)) {
		return HV_INVALID_PARAMETER;
	}
	lock_acquire(&partitions_lock);
	child = partition_find(q.connection_partition);
	if (child == NULL || child->state == RD_PARTITION_DYING) {
		lock_release(&partitions_lock);
		return child == NULL ? HV_INVALID_PARTITION_ID : HV_INVALID_PARTITION_STATE;
	}
	if (q.type == HV_PORT_MESSAGE) {
		queue = heap_alloc(1);
		if (queue == NULL) {
			lock_release(&partitions_lock);
			return HV_INSUFFICIENT_MEMORY;
		}
	}
	lock_acquire(&ports_lock);
	if (ports[q.port].type == 0) {
		ports[q.port].flag = q.base_flag;
		ports[q.port].vp = q.vp;
		ports[q.port].child = q.connection_partition;
		ports[q.port].queue = queue;
		ports[q.port].type = q.type;
		queue = NULL;
		s = HV_SUCCESS;
	}
	lock_release(&ports_lock);
	lock_release(&partitions_lock);
	heap_free(queue, 1);
	return s;
}

/* Locks: none of these. false: there is none. */
static bool port_free(uint32_t n)
{
	struct message_queue *queue;
	bool was;

	lock_acquire(&ports_lock);
	was = ports[n].type != 0;
	queue = ports[n].queue;
	__builtin_memset(&ports[n], 0, sizeof(ports[n]));
	lock_release(&ports_lock);
	heap_free(queue, 1);
	return was;
}

enum hv_status hc_delete_port(struct vp *vp, struct hcall *h)
{
	struct hv_delete_port q;

	(void)vp;
	__builtin_memcpy(&q, h->in, sizeof(q));
	if ((q.partition != HV_SELF && q.partition != PARTITION_ID_ROOT) || q.pad != 0) {
		return HV_INVALID_PARAMETER;
	}
	return q.port < RD_PORT_MAX && port_free(q.port) ? HV_SUCCESS : HV_INVALID_PORT_ID;
}

static bool zero(const uint8_t *bytes, size_t n)
{
	uint8_t any = 0;

	while (n > 0) {
		any |= bytes[--n];
	}
	return any == 0;
}

/* Locks: p's lock. */
static enum hv_status connect(struct partition *p, uint32_t id, uint32_t port)
{
	if (port_of(p, id) != RD_PORT_MAX) {
		return HV_OBJECT_IN_USE;
	}
	for (uint32_t i = 0; i < PARTITION_CONNECTIONS; i++) {
		if (p->connection[i].id == 0) {
			p->connection[i].id = id;
			p->connection[i].port = port;
			return HV_SUCCESS;
		}
	}
	return HV_NO_RESOURCES;
}

enum hv_status hc_connect_port(struct vp *vp, struct hcall *h)
{
	enum hv_status s = HV_INVALID_PARTITION_ID;
	struct hv_connect_port q;
	struct partition *p;

	(void)vp;
	__builtin_memcpy(&q, h->in, sizeof(q));
	if ((q.port_partition != HV_SELF && q.port_partition != PARTITION_ID_ROOT) ||
	    !zero(q.info, sizeof(q.info)) || q.connection == 0 || q.connection >> 24 != 0 ||
	    q.connection_vtl != 0 || (q.pad[0] | q.pad[1] | q.pad[2]) != 0 || q.pad2 != 0 ||
	    q.pad3 != 0) {
		return HV_INVALID_PARAMETER;
	}
	if (q.port == 0 || q.port >= RD_PORT_MAX) {
		return HV_INVALID_PORT_ID;
	}
	lock_acquire(&partitions_lock);
	p = partition_find(q.connection_partition);
	if (p != NULL && p->state == RD_PARTITION_DYING) {
		s = HV_INVALID_PARTITION_STATE;
	} else if (p != NULL) {
		bool fits;

		lock_acquire(&ports_lock);
		fits = ports[q.port].type == q.type && ports[q.port].child == p->id;
		lock_release(&ports_lock);
		lock_acquire(&p->lock);
		s = fits ? connect(p, q.connection, q.port) : HV_INVALID_PORT_ID;
		lock_release(&p->lock);
	}
	lock_release(&partitions_lock);
	return s;
}

enum hv_status hc_disconnect_port(struct vp *vp, struct hcall *h)
{
	enum hv_status s = HV_INVALID_PARTITION_ID;
	struct hv_disconnect_port q;
	struct partition *p;

	(void)vp;
	__builtin_memcpy(&q, h->in, sizeof(q));
	if (q.pad != 0) {
		return HV_INVALID_PARAMETER;
	}
	lock_acquire(&partitions_lock);
	p = partition_find(q.partition);
	if (p != NULL) {
		s = HV_INVALID_CONNECTION_ID;
		lock_acquire(&p->lock);
		for (uint32_t i = 0; i < PARTITION_CONNECTIONS; i++) {
			if (q.connection != 0 && p->connection[i].id == q.connection) {
				p->connection[i].id = 0;
				p->connection[i].port = 0;
				s = HV_SUCCESS;
			}
		}
		lock_release(&p->lock);
	}
	lock_release(&partitions_lock);
	return s;
}

void connect_forget(struct partition *p)
{
	for (uint32_t i = 1; i < RD_PORT_MAX; i++) {
		if (ports[i].type != 0 && ports[i].child == p->id) {
			port_free(i);
		}
	}
	__builtin_memset(p->connection, 0, sizeof(p->connection));
}

/* --- towards a child, by the root --- */

/* Locks: partitions_lock. */
static struct vp *child_vp(uint64_t partition, uint32_t index, enum hv_status *s)
{
	struct partition *p = partition_find(partition);

	*s = HV_INVALID_PARTITION_ID;
	if (p == NULL || p->state == RD_PARTITION_DYING) {
		return NULL;
	}
	*s = HV_INVALID_VP_INDEX;
	return index < HV_VP_MAX ? p->vp[index] : NULL;
}

enum hv_status hc_signal_event_direct(struct vp *vp, struct hcall *h)
{
	struct hv_signal_event_direct q;
	enum hv_status s;
	bool newly = false;
	struct vp *v;

	(void)vp;
	__builtin_memcpy(&q, h->in, sizeof(q));
	if (q.vtl != 0 || q.sint >= HV_SINT_COUNT || q.flag >= HV_EVENT_FLAGS) {
		return HV_INVALID_PARAMETER;
	}
	lock_acquire(&partitions_lock);
	v = child_vp(q.partition, q.vp, &s);
	if (v != NULL) {
		s = synic_signal(v, q.sint, q.flag, &newly);
	}
	if (newly) {
		cpu_hand_over(v);
	}
	lock_release(&partitions_lock);
	h->out[0] = newly ? 1 : 0;
	return s;
}

enum hv_status hc_post_message_direct(struct vp *vp, struct hcall *h)
{
	struct hv_post_message_direct q;
	struct hv_message m;
	enum hv_status s;
	struct vp *v;

	(void)vp;
	__builtin_memcpy(&q, h->in, sizeof(q));
	__builtin_memcpy(&m, q.message, sizeof(m));
	if (q.vtl != 0 || (q.pad[0] | q.pad[1] | q.pad[2]) != 0 || q.pad2 != 0 ||
	    q.sint >= HV_SINT_COUNT || m.type == HV_MESSAGE_NONE ||
	    m.payload_size > HV_MESSAGE_PAYLOAD) {
		return HV_INVALID_PARAMETER;
	}
	lock_acquire(&partitions_lock);
	v = child_vp(q.partition, q.vp, &s);
	if (v != NULL) {
		s = synic_post(v, q.sint, &m);
	}
	lock_release(&partitions_lock);
	return s;
}
