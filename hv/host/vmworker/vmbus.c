/* SPDX-License-Identifier: MIT */
#include "hv/host/vmworker/vmbus.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "hv/host/lib/record.h"
#include "hv/host/lib/start.h"
#include "hv/root/ioctl.h"
#include "hv/wire/vmbus_server.h"

#define POOL_PFNS 65536u /* 256 MiB of buffers */
#define MESSAGES_AT_ONCE 16
#define RETRY_NS 1000000
#define MESSAGE_TYPE_VMBUS 1u

struct vmbus_glue {
	struct vmbus_server server;
	uint64_t *pool;
	uint32_t socket_count;
	int socket[VMBUS_SOCKETS_MAX];   /* -1: the process is gone */
	uint32_t can;                    /* bit per process: it can be sent something */
	bool guest;                      /* and so can the guest */
	bool reading;                    /* the message descriptor is watched */
	bool post_failed;                /* was logged */
	int channel[VMBUS_CHANNELS_MAX]; /* [relid - 1]; -1: none */
	union {
		struct pm_gpadl gpadl;
		uint8_t bytes[PM_BYTES_MAX];
	} send;
};

/* The classes that are no message pipes on Hyper-V: SCSI and network (Linux: include/linux/hyperv.h). */
static bool is_pipe(const struct pm_guid *g)
{
	static const struct pm_guid plain[] = {
		{ { 0xd9, 0x63, 0x61, 0xba, 0xa1, 0x04, 0x29, 0x4d, 0xb6, 0x05, 0x72, 0xe2, 0xff,
		    0xb1, 0xdc, 0x7f } },
		{ { 0x63, 0x51, 0x61, 0xf8, 0x3e, 0xdf, 0xc5, 0x46, 0x91, 0x3f, 0xf2, 0xd2, 0xf9,
		    0x65, 0xed, 0x0e } },
	};

	return memcmp(g, &plain[0], sizeof(*g)) != 0 && memcmp(g, &plain[1], sizeof(*g)) != 0;
}

void worker_vmbus_init(struct worker *w, const struct pm_config_worker *config, const int *sockets)
{
	struct vmbus_glue *g = calloc(1, sizeof(*g));

	if (g == NULL || (g->pool = calloc(POOL_PFNS, sizeof(*g->pool))) == NULL) {
		start_fail("no memory for the VMBus server");
	}
	w->vmbus = g;
	vmbus_server_init(&g->server, config->memory_bytes, config->vp_count, g->pool, POOL_PFNS);
	g->guest = true;
	g->reading = true;
	g->socket_count = config->socket_count;
	if (g->socket_count > VMBUS_SOCKETS_MAX || config->device_count > PM_DEVICES_MAX) {
		start_fail("too many devices");
	}
	for (uint32_t i = 0; i < VMBUS_CHANNELS_MAX; i++) {
		g->channel[i] = -1;
	}
	for (uint32_t i = 0; i < g->socket_count; i++) {
		g->socket[i] = sockets[i];
		g->can |= 1u << i;
		worker_watch(w, EPOLL_CTL_ADD, sockets[i], KIND_DEVICE, i, EPOLLIN);
	}
	for (uint32_t i = 0; i < config->device_count; i++) {
		const struct pm_device *d = &config->device[i];
		struct vmbus_device v = { .socket = d->socket,
					  .unit = d->unit,
					  .pipe = is_pipe(&d->class_id) };

		memcpy(&v.class_id, &d->class_id, sizeof(v.class_id));
		memcpy(&v.instance, &d->instance, sizeof(v.instance));
		if (d->socket >= g->socket_count || vmbus_server_add(&g->server, &v) == 0) {
			start_fail("device %u cannot be offered", i);
		}
	}
	for (uint32_t i = 0; i < config->service_count; i++) {
		struct vmbus_service v = { .socket = config->service[i].socket };

		memcpy(&v.id, &config->service[i].id, sizeof(v.id));
		if (v.socket >= g->socket_count || !vmbus_server_service(&g->server, &v)) {
			start_fail("service %u cannot be offered", i);
		}
	}
	worker_watch(w, EPOLL_CTL_ADD, w->message, KIND_MESSAGE, 0, EPOLLIN);
	worker_watch(w, EPOLL_CTL_ADD, w->timer, KIND_TIMER, 0, EPOLLIN);
}

/* The process is gone, or talks nonsense: the manager will see it end and bring another. */
static void drop_socket(struct worker *w, uint32_t i)
{
	struct vmbus_glue *g = w->vmbus;

	if (g->socket[i] < 0) {
		return;
	}
	worker_watch(w, EPOLL_CTL_DEL, g->socket[i], KIND_DEVICE, i, 0);
	(void)close(g->socket[i]);
	g->socket[i] = -1;
	g->can &= ~(1u << i);
}

/* true: done, as far as we are concerned. false: not now. */
static bool post(struct worker *w, const struct vmbus_action *a)
{
	struct vmbus_glue *g = w->vmbus;
	struct itimerspec soon = { .it_value = { .tv_nsec = RETRY_NS } };
	struct rd_post p;

	memset(&p, 0, sizeof(p));
	p.vp = a->vp;
	p.sint = HV_VMBUS_SINT;
	p.message.type = MESSAGE_TYPE_VMBUS;
	p.message.payload_size = (uint8_t)a->size;
	memcpy(p.message.payload, a->message, a->size);
	if (ioctl(w->partition, RD_IOCTL_POST, &p) == 0) {
		return true;
	}
	if (errno == EAGAIN) {
		g->guest = false;
		if (timerfd_settime(w->timer, 0, &soon, NULL) != 0) {
			start_fail("timerfd_settime: %s", strerror(errno));
		}
		return false;
	}
	/* A guest that cannot receive (its SynIC is off, that VP does not exist) loses the message: it asked for no answer. */
	if (!g->post_failed) {
		g->post_failed = true;
		start_log("a message to VP %u was lost: %s", a->vp, strerror(errno));
	}
	return true;
}

static bool tell(struct worker *w, const struct vmbus_action *a, enum pm_type type, void *message,
		 uint32_t size, const int *fds, uint32_t fd_count)
{
	struct vmbus_glue *g = w->vmbus;

	if (ipc_send(g->socket[a->socket], type, message, size, fds, fd_count) == 0) {
		return true;
	}
	g->can &= ~(1u << a->socket);
	if (errno != EAGAIN && errno != ENOBUFS && errno != ENOMEM) {
		start_log("device process %u: %s", a->socket, strerror(errno));
		drop_socket(w, a->socket);
		return false;
	}
	worker_watch(w, EPOLL_CTL_MOD, g->socket[a->socket], KIND_DEVICE, a->socket,
		     EPOLLIN | EPOLLOUT);
	return false;
}

static bool tell_gpadl(struct worker *w, const struct vmbus_action *a)
{
	struct pm_gpadl *p = &w->vmbus->send.gpadl;
	uint32_t bytes = a->pages * (uint32_t)sizeof(p->pfn[0]);

	memset(p, 0, sizeof(*p));
	p->unit = a->unit;
	p->gpadl = a->gpadl;
	p->length = a->length;
	p->offset = a->offset;
	p->pages = a->pages; /* at most PM_GPADL_PAGES_MAX: asserted below */
	memcpy(p->pfn, a->pfn, bytes);
	return tell(w, a, PM_GPADL, p, (uint32_t)sizeof(*p) + bytes, NULL, 0);
}
_Static_assert(VMBUS_GPADL_PAGES_MAX <= PM_GPADL_PAGES_MAX, "a GPADL fits in a message");

static void retarget(struct worker *w, uint32_t relid, uint32_t vp)
{
	struct rd_set_target t = { .vp = vp };
	int fd = w->vmbus->channel[relid - 1];

	if (fd >= 0 && ioctl(fd, RD_IOCTL_SET_TARGET, &t) != 0) {
		start_log("channel %u keeps its VP: %s", relid, strerror(errno));
	}
}

/*
 * The descriptor lives as long as its relid, over closing and opening: where a device process does not let go of its own copy, a
 * second one for the same connection could not be made.
 */
static bool tell_open(struct worker *w, const struct vmbus_action *a)
{
	struct vmbus_glue *g = w->vmbus;
	struct pm_open o = {
		.unit = a->unit, .sub = a->sub, .gpadl = a->gpadl, .downstream = a->downstream
	};
	struct rd_create_channel c = { .connection = VMBUS_CONNECTION_EVENT + a->relid,
				       .vp = a->vp,
				       .sint = HV_VMBUS_SINT,
				       .flag = a->relid };
	int *fd = &g->channel[a->relid - 1];

	if (*fd >= 0) {
		retarget(w, a->relid, a->vp);
	} else {
		*fd = ioctl(w->partition, RD_IOCTL_CREATE_CHANNEL, &c);
	}
	if (*fd < 0) {
		start_log("channel %u cannot be made: %s", a->relid, strerror(errno));
		vmbus_server_done(&g->server, a);
		vmbus_server_opened(&g->server, a->socket, a->unit, a->sub, VMBUS_FAILED);
		return false; /* it is done already */
	}
	return tell(w, a, PM_OPEN, &o, sizeof(o), fd, 1);
}

static bool perform(struct worker *w, const struct vmbus_action *a)
{
	struct pm_channel c = { .unit = a->unit, .sub = a->sub };
	struct pm_gpadl_free f = { .unit = a->unit, .gpadl = a->gpadl };
	struct pm_plain plain = { 0 };

	switch (a->what) {
	case VMBUS_DO_SEND:
		return post(w, a);
	case VMBUS_DO_SET_TARGET:
		retarget(w, a->relid, a->vp);
		return true;
	case VMBUS_DO_GPADL:
		return tell_gpadl(w, a);
	case VMBUS_DO_OPEN:
		return tell_open(w, a);
	case VMBUS_DO_CLOSE:
		return tell(w, a, PM_CLOSE, &c, sizeof(c), NULL, 0);
	case VMBUS_DO_GPADL_FREE:
		return tell(w, a, PM_GPADL_FREE, &f, sizeof(f), NULL, 0);
	case VMBUS_DO_RESET:
		return tell(w, a, PM_RESET, &plain, sizeof(plain), NULL, 0);
	case VMBUS_DO_RESCINDED:
	case VMBUS_DO_RELEASED:
	case VMBUS_DO_NOTHING:
		break;
	}
	return true;
}

/* Channels whose relid is free again. */
static void sweep(struct vmbus_glue *g)
{
	for (uint32_t i = 0; i < VMBUS_CHANNELS_MAX; i++) {
		if (g->channel[i] >= 0 && g->server.channel[i].device_state == VMBUS_DEVICE_NONE) {
			(void)close(g->channel[i]);
			g->channel[i] = -1;
		}
	}
}

/* Carries out what the server wants; every event ends here. */
static void pump(struct worker *w)
{
	struct vmbus_glue *g = w->vmbus;
	struct vmbus_action a;
	bool accepts;

	while (vmbus_server_next(&g->server, g->can, g->guest, &a)) {
		if (perform(w, &a)) {
			vmbus_server_done(&g->server, &a);
		}
	}
	sweep(g);
	accepts = vmbus_server_accepts(&g->server);
	if (accepts != g->reading) {
		g->reading = accepts;
		worker_watch(w, EPOLL_CTL_MOD, w->message, KIND_MESSAGE, 0, accepts ? EPOLLIN : 0);
	}
}

void worker_vmbus_message(struct worker *w)
{
	struct vmbus_glue *g = w->vmbus;

	for (int i = 0; i < MESSAGES_AT_ONCE && !w->ended && vmbus_server_accepts(&g->server);
	     i++) {
		struct hv_message m;
		ssize_t n = read(w->message, &m, sizeof(m));

		if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
			break;
		}
		if (n < 0 && errno == ENODEV) {
			worker_partition_gone(w);
			return;
		}
		if (n != sizeof(m) || m.payload_size > HV_MESSAGE_PAYLOAD) {
			worker_guest_ended(w, PM_GUEST_FAILED,
					   "the guest's messages cannot be read: error %d",
					   n < 0 ? errno : 0);
			return;
		}
		record(RECORD_MESSAGE, m.type & 0xff, m.payload, m.payload_size);
		(void)vmbus_server_message(&g->server, m.type, m.payload, m.payload_size);
		pump(w);
	}
}

/* false: the process sent what is not for a worker. */
static bool word(struct vmbus_server *s, uint32_t index, const struct ipc_message *m)
{
	switch (m->type) {
	case PM_OPENED:
		vmbus_server_opened(s, index, m->channel.unit, m->channel.sub, m->channel.status);
		return true;
	case PM_CLOSED:
		vmbus_server_closed(s, index, m->channel.unit, m->channel.sub);
		return true;
	case PM_GPADL_FREED:
		vmbus_server_gpadl_freed(s, index, m->gpadl_free.unit, m->gpadl_free.gpadl);
		return true;
	case PM_RESET_DONE:
		vmbus_server_reset_done(s, index);
		return true;
	case PM_HANGUP:
		vmbus_server_hangup(s, index, m->channel.unit);
		return true;
	default:
		return false;
	}
}

void worker_vmbus_device(struct worker *w, uint32_t index, uint32_t events)
{
	struct vmbus_glue *g = w->vmbus;

	if (w->ended || g->socket[index] < 0) {
		return; /* an event of this round that came before the end */
	}
	if ((events & EPOLLOUT) != 0) {
		g->can |= 1u << index;
		worker_watch(w, EPOLL_CTL_MOD, g->socket[index], KIND_DEVICE, index, EPOLLIN);
	}
	if ((events & ~(uint32_t)EPOLLOUT) != 0) {
		int got = ipc_receive(g->socket[index], w->m);

		if (got > 0) {
			ipc_drop_fds(w->m); /* a device has none to give */
		}
		if ((got > 0 && !word(&g->server, index, w->m)) || got == 0 ||
		    (got < 0 && errno != EAGAIN && errno != EINTR)) {
			start_log("device process %u %s", index,
				  got == 0 ? "is gone" : "talks nonsense");
			drop_socket(w, index);
		}
	}
	pump(w);
}

void worker_vmbus_timer(struct worker *w)
{
	uint64_t times;

	if (read(w->timer, &times, sizeof(times)) == sizeof(times) && !w->ended) {
		w->vmbus->guest = true;
		pump(w);
	}
}

void worker_vmbus_again(struct worker *w)
{
	struct vmbus_glue *g = w->vmbus;
	uint32_t index = w->m->device_again.socket;

	if (index >= g->socket_count) {
		start_log("no device process %u", index);
		return;
	}
	drop_socket(w, index);
	g->socket[index] = ipc_take_fd(w->m, 0);
	g->can |= 1u << index;
	worker_watch(w, EPOLL_CTL_ADD, g->socket[index], KIND_DEVICE, index, EPOLLIN);
	vmbus_server_restarted(&g->server, index);
	pump(w);
}

void worker_vmbus_stop(struct worker *w)
{
	struct vmbus_glue *g = w->vmbus;

	worker_watch(w, EPOLL_CTL_DEL, w->message, KIND_MESSAGE, 0, 0);
	for (uint32_t i = 0; i < g->socket_count; i++) {
		if (g->socket[i] >= 0) {
			worker_watch(w, EPOLL_CTL_DEL, g->socket[i], KIND_DEVICE, i, 0);
		}
	}
}
