/* SPDX-License-Identifier: MIT */
/* Connections of hv_sock: a guest names a service and its own endpoint, and is offered a channel that is the connection. */
#include "hv/wire/mem.h"
#include "hv/wire/vmbus_int.h"

#define CONNECTION_REFUSED 0xc0000236u

static bool same_guid(const struct vmbus_guid *a, const struct vmbus_guid *b)
{
	return memcmp(a->b, b->b, sizeof(a->b)) == 0;
}

/* PORT-facb-11e6-bd58-64006a7986d3, as every endpoint of Linux is named, with a port that its kernel does not give to everybody. */
static bool endpoint_valid(const struct vmbus_guid *e)
{
	static const uint8_t rest[12] = { 0xcb, 0xfa, 0xe6, 0x11, 0xbd, 0x58,
					  0x64, 0x00, 0x6a, 0x79, 0x86, 0xd3 };
	uint32_t port = le32(e->b);

	return memcmp(e->b + 4, rest, sizeof(rest)) == 0 && port != 0 && port <= VMBUS_ENDPOINT_MAX;
}

bool vmbus_server_service(struct vmbus_server *s, const struct vmbus_service *v)
{
	if (s->service_count >= VMBUS_SERVICES_MAX || v->socket >= VMBUS_SOCKETS_MAX) {
		return false;
	}
	for (uint32_t i = 0; i < s->service_count; i++) {
		if (same_guid(&s->service[i].id, &v->id) || s->service[i].socket == v->socket) {
			return false;
		}
	}
	s->service[s->service_count++] = *v;
	return true;
}

static const struct vmbus_service *find_service(const struct vmbus_server *s,
						const struct vmbus_guid *id)
{
	for (uint32_t i = 0; i < s->service_count; i++) {
		if (same_guid(&s->service[i].id, id)) {
			return &s->service[i];
		}
	}
	return NULL;
}

/* Connections of the process that are not being taken away. */
static uint32_t live(const struct vmbus_server *s, uint32_t socket)
{
	uint32_t count = 0;

	for (uint32_t relid = 1; relid <= VMBUS_CHANNELS_MAX; relid++) {
		const struct vmbus_channel *c = vmbus_channel_peek(s, relid);

		count += c != NULL && c->device.stream && c->device.socket == socket &&
			 c->device_state == VMBUS_DEVICE_PRESENT;
	}
	return count;
}

/*
 * A connection that was offered and is not open, but `but`; 0: none. A guest that gave up waiting never opens what it was offered
 * meanwhile, nor says so.
 */
static uint32_t unopened(const struct vmbus_server *s, uint32_t socket, uint32_t but)
{
	for (uint32_t relid = 1; relid <= VMBUS_CHANNELS_MAX; relid++) {
		const struct vmbus_channel *c = vmbus_channel_peek(s, relid);

		if (c != NULL && relid != but && c->device.stream && c->device.socket == socket &&
		    c->device_state == VMBUS_DEVICE_PRESENT && c->state == VMBUS_CH_CLOSED) {
			return relid;
		}
	}
	return 0;
}

/* 0: there is no room, or one of this name. */
static uint32_t offer(struct vmbus_server *s, const struct vmbus_service *v,
		      const struct vmbus_guid *endpoint)
{
	struct vmbus_device d;

	memset(&d, 0, sizeof(d));
	d.class_id = v->id;
	d.instance = *endpoint;
	d.socket = v->socket;
	d.stream = true;
	while (d.unit < VMBUS_CONNECTIONS_MAX && vmbus_channel_find(s, d.socket, d.unit, 0) != 0) {
		d.unit++;
	}
	return d.unit < VMBUS_CONNECTIONS_MAX ? vmbus_server_add(s, &d) : 0;
}

/* true: it was offered. */
static bool connect(struct vmbus_server *s, const struct vmbus_service *v,
		    const struct vmbus_guid *endpoint)
{
	bool full = live(s, v->socket) >= VMBUS_CONNECTIONS_LIVE;
	uint32_t relid;

	if (full && unopened(s, v->socket, 0) == 0) {
		return false;
	}
	relid = offer(s, v, endpoint);
	if (relid != 0 && full) {
		(void)vmbus_server_remove(s, unopened(s, v->socket, relid));
	}
	return relid != 0;
}

void vmbus_connect(struct vmbus_server *s, const struct vmbus_guid *endpoint,
		   const struct vmbus_guid *service)
{
	const struct vmbus_service *v = find_service(s, service);
	struct vmbus_pending p;

	if (v != NULL && s->offers_requested && endpoint_valid(endpoint) &&
	    connect(s, v, endpoint)) {
		return;
	}
	memset(&p, 0, sizeof(p));
	p.type = VMBUS_TL_CONNECT_RESULT;
	p.a = CONNECTION_REFUSED;
	p.x = *endpoint;
	p.y = *service;
	s->counts.refused++;
	vmbus_queue_message(s, &p);
}

void vmbus_server_hangup(struct vmbus_server *s, uint32_t socket, uint32_t unit)
{
	uint32_t relid = vmbus_channel_find(s, socket, unit, 0);
	const struct vmbus_channel *c = vmbus_channel_peek(s, relid);

	if (c == NULL || !c->device.stream) {
		s->counts.device++;
		return;
	}
	(void)vmbus_server_remove(s, relid); /* or it is being taken away already */
}
