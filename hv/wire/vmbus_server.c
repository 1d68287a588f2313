/* SPDX-License-Identifier: MIT */
/* The connection: contact, offers, unload, and what happens to the processes as a whole. */
#include "hv/wire/vmbus_server.h"

#include "hv/wire/mem.h"
#include "hv/wire/vmbus_int.h"

#define MESSAGE_TYPE 1u /* of every message of VMBus, in struct hv_message */
#define SINT 2u

void vmbus_server_init(struct vmbus_server *s, uint64_t memory_bytes, uint32_t vp_count,
		       uint64_t *pool, uint32_t pool_size)
{
	memset(s, 0, sizeof(*s));
	s->memory_bytes = memory_bytes;
	s->vp_count = vp_count;
	s->pool = pool;
	s->pool_size = pool_size;
}

void vmbus_queue_message(struct vmbus_server *s, const struct vmbus_pending *m)
{
	if (s->message_count >= VMBUS_MESSAGES_MAX) {
		s->counts.lost++; /* VMBUS_MESSAGES_RESERVED is wrong */
		return;
	}
	s->message[(s->message_first + s->message_count) % VMBUS_MESSAGES_MAX] = *m;
	s->message_count++;
}

void vmbus_queue(struct vmbus_server *s, enum vmbus_type type, uint32_t a, uint32_t b, uint32_t c)
{
	struct vmbus_pending m;

	memset(&m, 0, sizeof(m));
	m.type = type;
	m.a = a;
	m.b = b;
	m.c = c;
	vmbus_queue_message(s, &m);
}

const struct vmbus_channel *vmbus_channel_peek(const struct vmbus_server *s, uint32_t relid)
{
	if (relid == 0 || relid > VMBUS_CHANNELS_MAX ||
	    s->channel[relid - 1].device_state == VMBUS_DEVICE_NONE) {
		return NULL;
	}
	return &s->channel[relid - 1];
}

struct vmbus_channel *vmbus_channel_get(struct vmbus_server *s, uint32_t relid)
{
	return vmbus_channel_peek(s, relid) != NULL ? &s->channel[relid - 1] : NULL;
}

bool vmbus_server_accepts(const struct vmbus_server *s)
{
	return VMBUS_MESSAGES_MAX - s->message_count >= VMBUS_MESSAGES_RESERVED;
}

static bool supported(const struct vmbus_server *s, const struct vmbus_contact *c)
{
	switch (c->version) {
	case VMBUS_4_0:
	case VMBUS_4_1:
		break;
	case VMBUS_5_0:
	case VMBUS_5_1:
	case VMBUS_5_2:
	case VMBUS_5_3:
		if (c->sint != SINT || c->vtl != 0 || c->reserved_set) {
			return false;
		}
		break;
	default:
		return false;
	}
	return c->vp < s->vp_count;
}

/* Answers what made the reset, once no process remembers anything. */
static void reset_finish(struct vmbus_server *s)
{
	if (s->state != VMBUS_RESETTING || (s->reset_due | s->reset_wait) != 0) {
		return;
	}
	if (s->unloading) {
		s->state = VMBUS_DISCONNECTED;
		vmbus_queue(s, VMBUS_UNLOAD_RESPONSE, 0, 0, 0);
	} else {
		s->state = s->supported ? VMBUS_CONNECTED : VMBUS_DISCONNECTED;
		if (!s->supported) {
			s->counts.refused++;
		}
		vmbus_queue(s, VMBUS_VERSION_RESPONSE, s->supported ? 1 : 0,
			    s->version >= VMBUS_5_0 ? VMBUS_CONNECTION : VMBUS_CONNECTION_OLD, 0);
	}
}

static void settle_all(struct vmbus_server *s)
{
	for (uint32_t relid = 1; relid <= VMBUS_CHANNELS_MAX; relid++) {
		vmbus_channel_settle(s, relid);
	}
}

/*
 * Everything of the connection goes, in any state: a guest that contacts anew has forgotten it (firmware, kexec, reload of the
 * driver). Messages that still wait were for what the guest was before.
 */
static void reset(struct vmbus_server *s)
{
	s->counts.resets++;
	s->message_first = 0;
	s->message_count = 0;
	memset(s->gpadl, 0, sizeof(s->gpadl));
	s->pool_used = 0;
	s->offers_requested = false;
	for (uint32_t i = 0; i < VMBUS_CHANNELS_MAX; i++) {
		vmbus_channel_reset(&s->channel[i]);
	}
	s->state = VMBUS_RESETTING;
	s->reset_due |= s->touched & ~s->reset_wait;
	settle_all(s);
	reset_finish(s);
}

static void contact(struct vmbus_server *s, const struct vmbus_contact *c)
{
	s->unloading = false;
	s->supported = supported(s, c);
	s->version = c->version;
	/* A refusal has to arrive, too: the guest waits for it without end. */
	s->vp = c->vp < s->vp_count ? c->vp : 0;
	reset(s);
}

static void request_offers(struct vmbus_server *s)
{
	if (s->offers_requested) {
		s->counts.misplaced++; /* a second offer of the same device would be refused */
		return;
	}
	s->offers_requested = true;
	for (uint32_t relid = 1; relid <= VMBUS_CHANNELS_MAX; relid++) {
		vmbus_channel_offer(s, relid);
	}
	vmbus_queue(s, VMBUS_ALL_OFFERS, 0, 0, 0);
}

static void connected_message(struct vmbus_server *s, const struct vmbus_message *m)
{
	switch (m->type) {
	case VMBUS_REQUEST_OFFERS:
		request_offers(s);
		break;
	case VMBUS_OPEN:
		vmbus_open(s, &m->open);
		break;
	case VMBUS_CLOSE:
		vmbus_close(s, m->relid);
		break;
	case VMBUS_RELID_RELEASED:
		vmbus_released(s, m->relid);
		break;
	case VMBUS_GPADL_HEADER:
		vmbus_gpadl_begin(s, m);
		break;
	case VMBUS_GPADL_BODY:
		vmbus_gpadl_more(s, m);
		break;
	case VMBUS_GPADL_TEARDOWN:
		vmbus_gpadl_teardown(s, m->teardown.relid, m->teardown.gpadl);
		break;
	case VMBUS_MODIFY_CHANNEL:
		vmbus_modify(s, m->modify.relid, m->modify.vp);
		break;
	case VMBUS_TL_CONNECT:
		vmbus_connect(s, &m->connect.endpoint, &m->connect.service);
		break;
	default:
		s->counts.malformed++;
		break;
	}
}

bool vmbus_server_message(struct vmbus_server *s, uint32_t type, const uint8_t *payload,
			  uint32_t size)
{
	struct vmbus_message m;

	if (!vmbus_server_accepts(s)) {
		return false;
	}
	s->counts.messages++;
	if (type != MESSAGE_TYPE || !vmbus_parse(payload, size, &m)) {
		s->counts.malformed++;
	} else if (m.type == VMBUS_INITIATE_CONTACT) {
		contact(s, &m.contact);
	} else if (m.type == VMBUS_UNLOAD) {
		s->unloading = true; /* always answered: a panicking guest polls for it */
		reset(s);
	} else if (s->state != VMBUS_CONNECTED) {
		s->counts.misplaced++;
	} else {
		connected_message(s, &m);
	}
	return true;
}

void vmbus_server_reset_done(struct vmbus_server *s, uint32_t socket)
{
	if (socket >= VMBUS_SOCKETS_MAX || (s->reset_wait & vmbus_bit(socket)) == 0) {
		s->counts.device++;
		return;
	}
	s->reset_wait &= ~vmbus_bit(socket);
	s->touched &= ~vmbus_bit(socket);
	settle_all(s);
	reset_finish(s);
}

void vmbus_server_restarted(struct vmbus_server *s, uint32_t socket)
{
	if (socket >= VMBUS_SOCKETS_MAX) {
		return;
	}
	s->touched &= ~vmbus_bit(socket);
	s->reset_due &= ~vmbus_bit(socket);
	s->reset_wait &= ~vmbus_bit(socket);
	for (uint32_t relid = 1; relid <= VMBUS_CHANNELS_MAX; relid++) {
		const struct vmbus_channel *c = vmbus_channel_peek(s, relid);

		if (c != NULL && c->device.socket == socket) {
			vmbus_channel_restarted(s, relid);
			if (c->device.stream) {
				(void)vmbus_server_remove(
					s, relid); /* it knows nothing of what was said */
			}
		}
	}
	reset_finish(s);
}
