/* SPDX-License-Identifier: MIT */
/* Devices and their channels: added, offered, opened, closed, moved, removed. */
#include "hv/wire/mem.h"
#include "hv/wire/ring.h"
#include "hv/wire/vmbus_int.h"

static bool same_guid(const struct vmbus_guid *a, const struct vmbus_guid *b)
{
	return memcmp(a->b, b->b, sizeof(a->b)) == 0;
}

uint32_t vmbus_channel_find(const struct vmbus_server *s, uint32_t socket, uint32_t unit,
			    uint32_t sub)
{
	for (uint32_t relid = 1; relid <= VMBUS_CHANNELS_MAX; relid++) {
		const struct vmbus_channel *c = vmbus_channel_peek(s, relid);

		if (c != NULL && c->device.socket == socket && c->device.unit == unit &&
		    c->device.sub == sub) {
			return relid;
		}
	}
	return 0;
}

/* A guest has no use for two devices of one name; a name goes on until the old device is released. */
static bool clashes(const struct vmbus_server *s, const struct vmbus_device *d)
{
	for (uint32_t relid = 1; relid <= VMBUS_CHANNELS_MAX; relid++) {
		const struct vmbus_channel *c = vmbus_channel_peek(s, relid);

		if (c == NULL || c->device.sub != d->sub) {
			continue;
		}
		if ((c->device.socket == d->socket && c->device.unit == d->unit) ||
		    (same_guid(&c->device.class_id, &d->class_id) &&
		     same_guid(&c->device.instance, &d->instance))) {
			return true;
		}
	}
	return false;
}

uint32_t vmbus_server_add(struct vmbus_server *s, const struct vmbus_device *d)
{
	uint32_t primary = d->sub != 0 ? vmbus_channel_find(s, d->socket, d->unit, 0) : 0;

	if (d->socket >= VMBUS_SOCKETS_MAX || clashes(s, d) ||
	    (d->sub != 0 && (primary == 0 || s->channel[primary - 1].offer != VMBUS_OFFERED))) {
		return 0;
	}
	for (uint32_t relid = 1; relid <= VMBUS_CHANNELS_MAX; relid++) {
		struct vmbus_channel *c = &s->channel[relid - 1];

		if (c->device_state == VMBUS_DEVICE_NONE) {
			memset(c, 0, sizeof(*c));
			c->device_state = VMBUS_DEVICE_PRESENT;
			c->device = *d;
			if (s->offers_requested) {
				vmbus_channel_offer(s, relid);
			}
			return relid;
		}
	}
	return 0;
}

void vmbus_channel_offer(struct vmbus_server *s, uint32_t relid)
{
	struct vmbus_channel *c = vmbus_channel_get(s, relid);

	if (c != NULL && c->device_state == VMBUS_DEVICE_PRESENT && c->offer == VMBUS_NOT_OFFERED) {
		c->offer = VMBUS_OFFERED;
		vmbus_queue(s, VMBUS_OFFER, relid, 0, 0);
	}
}

void vmbus_channel_settle(struct vmbus_server *s, uint32_t relid)
{
	struct vmbus_channel *c = vmbus_channel_get(s, relid);

	if (c == NULL || c->device_state != VMBUS_DEVICE_REMOVING || c->state != VMBUS_CH_CLOSED ||
	    ((s->reset_due | s->reset_wait) & vmbus_bit(c->device.socket)) != 0 ||
	    vmbus_gpadl_any(s, relid)) {
		return;
	}
	if (!c->quiet_told) {
		c->quiet_told = true;
		c->rescinded_due = true;
	}
	c->released_due = c->offer == VMBUS_NOT_OFFERED;
}

/* The one OPEN_RESULT of an OPEN, where it is still owed. */
static void answer_open(struct vmbus_server *s, uint32_t relid, uint32_t status)
{
	struct vmbus_channel *c = &s->channel[relid - 1];

	if (c->owed) {
		vmbus_queue(s, VMBUS_OPEN_RESULT, relid,
			    c->again_wanted ? c->again.open_id : c->open.open_id, status);
		c->owed = false;
	}
	if (status != VMBUS_OK) {
		c->again_wanted = false;
	}
}

/* Its process is to close it, if it knows of it. */
static void close_begin(struct vmbus_server *s, uint32_t relid)
{
	struct vmbus_channel *c = &s->channel[relid - 1];

	answer_open(s, relid, VMBUS_FAILED);
	c->retarget = false;
	if (c->state == VMBUS_CH_OPENING || c->state == VMBUS_CH_OPEN) {
		c->state = VMBUS_CH_CLOSE_DUE;
	} else if (c->state == VMBUS_CH_OPEN_DUE) {
		c->state = VMBUS_CH_CLOSED;
	}
	vmbus_gpadl_settle(s, relid);
	vmbus_channel_settle(s, relid);
}

static void close_finish(struct vmbus_server *s, uint32_t relid)
{
	struct vmbus_channel *c = &s->channel[relid - 1];

	if (c->again_wanted) {
		c->open = c->again;
		c->again_wanted = false;
		c->state = VMBUS_CH_OPEN_DUE;
	} else {
		c->state = VMBUS_CH_CLOSED;
	}
	vmbus_gpadl_settle(s, relid);
	vmbus_channel_settle(s, relid);
}

static void remove_one(struct vmbus_server *s, uint32_t relid)
{
	struct vmbus_channel *c = &s->channel[relid - 1];

	c->device_state = VMBUS_DEVICE_REMOVING;
	close_begin(s, relid);
	vmbus_gpadl_doom(s, relid);
	if (c->offer == VMBUS_OFFERED) {
		c->offer = VMBUS_RESCINDED;
		vmbus_queue(s, VMBUS_RESCIND, relid, 0, 0);
	}
	vmbus_channel_settle(s, relid);
}

bool vmbus_server_remove(struct vmbus_server *s, uint32_t relid)
{
	const struct vmbus_channel *c = vmbus_channel_peek(s, relid);

	if (c == NULL || c->device_state != VMBUS_DEVICE_PRESENT) {
		return false;
	}
	for (uint32_t i = 1; i <= VMBUS_CHANNELS_MAX && c->device.sub == 0; i++) {
		const struct vmbus_channel *o = vmbus_channel_peek(s, i);

		if (o != NULL && o->device_state == VMBUS_DEVICE_PRESENT && o->device.sub != 0 &&
		    o->device.socket == c->device.socket && o->device.unit == c->device.unit) {
			remove_one(s, i);
		}
	}
	remove_one(s, relid);
	return true;
}

/* The connection is gone, and with it all of the channel that is the guest's. */
void vmbus_channel_reset(struct vmbus_channel *c)
{
	if (c->device_state == VMBUS_DEVICE_PRESENT && (c->device.sub != 0 || c->device.stream)) {
		c->device_state = VMBUS_DEVICE_REMOVING; /* the driver has to ask for it again */
	}
	c->offer = VMBUS_NOT_OFFERED;
	c->state = VMBUS_CH_CLOSED;
	c->owed = false;
	c->again_wanted = false;
	c->retarget = false;
}

void vmbus_channel_restarted(struct vmbus_server *s, uint32_t relid)
{
	struct vmbus_channel *c = &s->channel[relid - 1];

	c->retarget = false; /* OPEN says it */
	if (c->state == VMBUS_CH_OPENING || c->state == VMBUS_CH_OPEN) {
		c->state = VMBUS_CH_OPEN_DUE;
	} else if (c->state == VMBUS_CH_CLOSE_DUE || c->state == VMBUS_CH_CLOSING) {
		close_finish(s, relid);
	}
	vmbus_gpadl_forgotten(s, relid);
	vmbus_channel_settle(s, relid);
}

static bool ring_pages_valid(uint32_t n)
{
	return n >= VMBUS_RING_PAGES_MIN && n <= RING_PAGES_MAX;
}

static bool rings_valid(const struct vmbus_server *s, const struct vmbus_open *o)
{
	const struct vmbus_gpadl *g = vmbus_gpadl_usable(s, o->relid, o->gpadl);

	/* As long as its pages: it begins with the first one. A downstream of more pages than there are leaves far too many. */
	return g != NULL && g->length == g->pages * VMBUS_PAGE && ring_pages_valid(o->downstream) &&
	       ring_pages_valid(g->pages - o->downstream);
}

void vmbus_open(struct vmbus_server *s, const struct vmbus_open *o)
{
	struct vmbus_channel *c = vmbus_channel_get(s, o->relid);

	if (c != NULL && c->offer == VMBUS_RESCINDED) {
		s->counts.misplaced++; /* the guest does not wait for it any more */
		return;
	}
	if (c != NULL && c->offer == VMBUS_OFFERED && o->vp < s->vp_count && rings_valid(s, o)) {
		if (c->state == VMBUS_CH_CLOSED) {
			c->open = *o;
			c->state = VMBUS_CH_OPEN_DUE;
			c->owed = true;
			return;
		}
		if ((c->state == VMBUS_CH_CLOSE_DUE || c->state == VMBUS_CH_CLOSING) &&
		    !c->again_wanted) {
			c->again = *o;
			c->again_wanted = true;
			c->owed = true;
			return;
		}
	}
	s->counts.refused++;
	vmbus_queue(s, VMBUS_OPEN_RESULT, o->relid, o->open_id, VMBUS_FAILED);
}

void vmbus_close(struct vmbus_server *s, uint32_t relid)
{
	struct vmbus_channel *c = vmbus_channel_get(s, relid);

	if (c != NULL && c->offer == VMBUS_RESCINDED) {
		return; /* the guest may not have known; it is closed or about to be */
	}
	if (c == NULL || c->state == VMBUS_CH_CLOSED ||
	    ((c->state == VMBUS_CH_CLOSE_DUE || c->state == VMBUS_CH_CLOSING) &&
	     !c->again_wanted)) {
		s->counts.misplaced++;
		return;
	}
	close_begin(s, relid);
}

void vmbus_modify(struct vmbus_server *s, uint32_t relid, uint32_t vp)
{
	struct vmbus_channel *c = vmbus_channel_get(s, relid);
	bool ok = c != NULL && c->offer == VMBUS_OFFERED && vp < s->vp_count &&
		  (c->state == VMBUS_CH_OPEN_DUE || c->state == VMBUS_CH_OPENING ||
		   c->state == VMBUS_CH_OPEN);

	if (s->version < VMBUS_4_1) {
		s->counts.misplaced++;
		return;
	}
	if (ok) {
		c->open.vp = vp;
		c->retarget = c->state != VMBUS_CH_OPEN_DUE;
	} else {
		s->counts.refused++;
	}
	if (s->version >= VMBUS_5_3) {
		vmbus_queue(s, VMBUS_MODIFY_RESPONSE, relid, ok ? VMBUS_OK : VMBUS_FAILED, 0);
	}
}

void vmbus_released(struct vmbus_server *s, uint32_t relid)
{
	struct vmbus_channel *c = vmbus_channel_get(s, relid);
	bool told = true;

	for (uint32_t i = 0; i < s->message_count; i++) {
		const struct vmbus_pending *p =
			&s->message[(s->message_first + i) % VMBUS_MESSAGES_MAX];

		told = told && !(p->type == VMBUS_RESCIND && p->a == relid);
	}
	if (c == NULL || c->offer != VMBUS_RESCINDED || !told) {
		s->counts.misplaced++;
		return;
	}
	c->offer = VMBUS_NOT_OFFERED;
	vmbus_channel_settle(s, relid);
}

void vmbus_server_opened(struct vmbus_server *s, uint32_t socket, uint32_t unit, uint32_t sub,
			 uint32_t status)
{
	uint32_t relid = vmbus_channel_find(s, socket, unit, sub);
	struct vmbus_channel *c = vmbus_channel_get(s, relid);

	if (c == NULL || c->state != VMBUS_CH_OPENING) {
		if (c == NULL || (c->state != VMBUS_CH_CLOSE_DUE && c->state != VMBUS_CH_CLOSING)) {
			s->counts.device++;
		}
		return;
	}
	if (status == VMBUS_OK) {
		c->state = VMBUS_CH_OPEN;
		answer_open(s, relid, VMBUS_OK);
		return;
	}
	c->state = VMBUS_CH_CLOSED;
	c->retarget = false;
	if (c->owed) {
		answer_open(s, relid, VMBUS_FAILED);
		vmbus_gpadl_settle(s, relid);
	} else {
		/* The guest believes it open, and the new process does not serve it. */
		(void)vmbus_server_remove(s, relid);
	}
}

void vmbus_server_closed(struct vmbus_server *s, uint32_t socket, uint32_t unit, uint32_t sub)
{
	uint32_t relid = vmbus_channel_find(s, socket, unit, sub);
	const struct vmbus_channel *c = vmbus_channel_peek(s, relid);

	if (c == NULL || c->state != VMBUS_CH_CLOSING) {
		s->counts.device++;
		return;
	}
	close_finish(s, relid);
}
