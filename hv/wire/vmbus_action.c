/* SPDX-License-Identifier: MIT */
/* What is to be done follows from the state of channels and GPADLs; doing it changes that state. */
#include "hv/wire/mem.h"
#include "hv/wire/vmbus_int.h"

static bool action(const struct vmbus_server *s, struct vmbus_action *a, enum vmbus_do what,
		   uint32_t relid)
{
	const struct vmbus_channel *c = &s->channel[relid - 1];

	a->what = what;
	a->relid = relid;
	a->socket = c->device.socket;
	a->unit = c->device.unit;
	a->sub = c->device.sub;
	return true;
}

static bool next_own(const struct vmbus_server *s, struct vmbus_action *a)
{
	for (uint32_t relid = 1; relid <= VMBUS_CHANNELS_MAX; relid++) {
		const struct vmbus_channel *c = &s->channel[relid - 1];

		if (c->retarget) {
			a->vp = c->open.vp;
			return action(s, a, VMBUS_DO_SET_TARGET, relid);
		}
		if (c->rescinded_due) {
			return action(s, a, VMBUS_DO_RESCINDED, relid);
		}
		if (c->released_due) {
			return action(s, a, VMBUS_DO_RELEASED, relid);
		}
	}
	return false;
}

static bool next_reset(const struct vmbus_server *s, uint32_t sockets, struct vmbus_action *a)
{
	for (uint32_t socket = 0; socket < VMBUS_SOCKETS_MAX; socket++) {
		if ((s->reset_due & sockets & vmbus_bit(socket)) != 0) {
			a->what = VMBUS_DO_RESET;
			a->socket = socket;
			return true;
		}
	}
	return false;
}

static bool can(const struct vmbus_server *s, uint32_t sockets, uint32_t relid)
{
	return (sockets & vmbus_bit(s->channel[relid - 1].device.socket)) != 0;
}

static bool next_gpadl(const struct vmbus_server *s, uint32_t sockets, struct vmbus_action *a)
{
	for (uint32_t i = 0; i < VMBUS_GPADLS_MAX; i++) {
		const struct vmbus_gpadl *g = &s->gpadl[i];

		if (g->state == VMBUS_GPADL_NONE || !can(s, sockets, g->relid)) {
			continue;
		}
		a->gpadl = g->id;
		if (g->state == VMBUS_GPADL_READY) {
			a->length = g->length;
			a->offset = g->offset;
			a->pages = g->pages;
			a->pfn = s->pool + g->first;
			return action(s, a, VMBUS_DO_GPADL, g->relid);
		}
		if (g->state == VMBUS_GPADL_GIVEN && g->doomed && !vmbus_gpadl_in_use(s, g)) {
			return action(s, a, VMBUS_DO_GPADL_FREE, g->relid);
		}
	}
	a->gpadl = 0;
	return false;
}

/* After next_gpadl said that every GPADL is given. */
static bool next_channel(const struct vmbus_server *s, uint32_t sockets, struct vmbus_action *a)
{
	for (uint32_t relid = 1; relid <= VMBUS_CHANNELS_MAX; relid++) {
		const struct vmbus_channel *c = &s->channel[relid - 1];

		if (!can(s, sockets, relid)) {
			continue;
		}
		if (c->state == VMBUS_CH_CLOSE_DUE) {
			return action(s, a, VMBUS_DO_CLOSE, relid);
		}
		if (c->state == VMBUS_CH_OPEN_DUE) {
			a->vp = c->open.vp;
			a->gpadl = c->open.gpadl;
			a->downstream = c->open.downstream;
			return action(s, a, VMBUS_DO_OPEN, relid);
		}
	}
	return false;
}

static uint32_t build_offer(const struct vmbus_server *s, uint32_t relid, uint8_t *to)
{
	const struct vmbus_device *d = &s->channel[relid - 1].device;
	struct vmbus_offer o;

	memset(&o, 0, sizeof(o));
	o.class_id = d->class_id;
	o.instance = d->instance;
	o.relid = relid;
	o.sub = d->sub;
	o.pipe = d->pipe;
	o.stream = d->stream;
	return vmbus_build_offer(to, &o);
}

static bool next_message(const struct vmbus_server *s, struct vmbus_action *a)
{
	const struct vmbus_pending *p = &s->message[s->message_first];

	if (s->message_count == 0) {
		return false;
	}
	a->what = VMBUS_DO_SEND;
	a->vp = s->vp;
	switch (p->type) {
	case VMBUS_OFFER:
		a->size = build_offer(s, p->a, a->message);
		break;
	case VMBUS_OPEN_RESULT:
		a->size = vmbus_build_open_result(a->message, p->a, p->b, p->c);
		break;
	case VMBUS_GPADL_CREATED:
		a->size = vmbus_build_gpadl_created(a->message, p->a, p->b, p->c);
		break;
	case VMBUS_RESCIND:
	case VMBUS_GPADL_TORNDOWN:
		a->size = vmbus_build_id(a->message, p->type, p->a);
		break;
	case VMBUS_VERSION_RESPONSE:
		a->size = vmbus_build_version(a->message, p->a != 0, p->b);
		break;
	case VMBUS_MODIFY_RESPONSE:
		a->size = vmbus_build_modify_response(a->message, p->a, p->b);
		break;
	case VMBUS_TL_CONNECT_RESULT:
		a->size = vmbus_build_connect_result(a->message, &p->x, &p->y, p->a);
		break;
	default: /* ALL_OFFERS, UNLOAD_RESPONSE */
		a->size = vmbus_build_plain(a->message, p->type);
		break;
	}
	return true;
}

bool vmbus_server_next(const struct vmbus_server *s, uint32_t sockets, bool guest,
		       struct vmbus_action *a)
{
	memset(a, 0, sizeof(*a));
	/* Own ones first: the guest hears of a moved channel only after it has moved. */
	return next_own(s, a) || next_reset(s, sockets, a) || next_gpadl(s, sockets, a) ||
	       next_channel(s, sockets, a) || (guest && next_message(s, a));
}

static void done_gpadl(struct vmbus_server *s, const struct vmbus_action *a,
		       enum vmbus_gpadl_state from, enum vmbus_gpadl_state to)
{
	for (uint32_t i = 0; i < VMBUS_GPADLS_MAX; i++) {
		struct vmbus_gpadl *g = &s->gpadl[i];

		if (g->state == from && g->id == a->gpadl) {
			g->state = to;
			s->touched |= vmbus_bit(a->socket);
		}
	}
}

static void done_channel(struct vmbus_server *s, const struct vmbus_action *a)
{
	struct vmbus_channel *c = vmbus_channel_get(s, a->relid);

	if (c == NULL) {
		return;
	}
	switch (a->what) {
	case VMBUS_DO_SET_TARGET:
		c->retarget = false;
		break;
	case VMBUS_DO_OPEN:
		if (c->state == VMBUS_CH_OPEN_DUE) {
			c->state = VMBUS_CH_OPENING;
			s->touched |= vmbus_bit(a->socket);
		}
		break;
	case VMBUS_DO_CLOSE:
		if (c->state == VMBUS_CH_CLOSE_DUE) {
			c->state = VMBUS_CH_CLOSING;
		}
		break;
	case VMBUS_DO_RESCINDED:
		c->rescinded_due = false;
		break;
	case VMBUS_DO_RELEASED:
		if (c->released_due) {
			memset(c, 0, sizeof(*c));
		}
		break;
	default:
		break;
	}
}

void vmbus_server_done(struct vmbus_server *s, const struct vmbus_action *a)
{
	switch (a->what) {
	case VMBUS_DO_NOTHING:
		break;
	case VMBUS_DO_SEND:
		if (s->message_count != 0) {
			s->message_first = (s->message_first + 1) % VMBUS_MESSAGES_MAX;
			s->message_count--;
		}
		break;
	case VMBUS_DO_RESET:
		if ((s->reset_due & vmbus_bit(a->socket)) != 0) {
			s->reset_due &= ~vmbus_bit(a->socket);
			s->reset_wait |= vmbus_bit(a->socket);
		}
		break;
	case VMBUS_DO_GPADL:
		done_gpadl(s, a, VMBUS_GPADL_READY, VMBUS_GPADL_GIVEN);
		break;
	case VMBUS_DO_GPADL_FREE:
		done_gpadl(s, a, VMBUS_GPADL_GIVEN, VMBUS_GPADL_FREEING);
		break;
	default:
		done_channel(s, a);
		break;
	}
}
