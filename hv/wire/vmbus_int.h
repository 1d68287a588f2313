/* SPDX-License-Identifier: MIT */
#ifndef HV_WIRE_VMBUS_INT_H
#define HV_WIRE_VMBUS_INT_H
/* Shared by the files of the VMBus server only. */
#include "hv/wire/vmbus_server.h"

/* --- vmbus_server.c --- */
void vmbus_queue_message(struct vmbus_server *s, const struct vmbus_pending *m);
void vmbus_queue(struct vmbus_server *s, enum vmbus_type type, uint32_t a, uint32_t b, uint32_t c);
/* NULL: no such device. relid is hostile. */
struct vmbus_channel *vmbus_channel_get(struct vmbus_server *s, uint32_t relid);
const struct vmbus_channel *vmbus_channel_peek(const struct vmbus_server *s, uint32_t relid);
static inline uint32_t vmbus_bit(uint32_t socket)
{
	return (uint32_t)1 << (socket % VMBUS_SOCKETS_MAX);
}

/* --- vmbus_channel.c: what happens to a channel --- */
void vmbus_open(struct vmbus_server *s, const struct vmbus_open *o);
void vmbus_close(struct vmbus_server *s, uint32_t relid);
void vmbus_modify(struct vmbus_server *s, uint32_t relid, uint32_t vp);
void vmbus_released(struct vmbus_server *s, uint32_t relid);
void vmbus_channel_offer(struct vmbus_server *s, uint32_t relid);
void vmbus_channel_reset(struct vmbus_channel *c);
void vmbus_channel_restarted(struct vmbus_server *s, uint32_t relid);
/* A removed device whose process, and whose guest, have let go of it. */
void vmbus_channel_settle(struct vmbus_server *s, uint32_t relid);

/* 0: no such channel. */
uint32_t vmbus_channel_find(const struct vmbus_server *s, uint32_t socket, uint32_t unit,
			    uint32_t sub);

/* --- vmbus_connect.c: the guest wants a connection of hv_sock. Arguments are hostile. --- */
void vmbus_connect(struct vmbus_server *s, const struct vmbus_guid *endpoint,
		   const struct vmbus_guid *service);

/* --- vmbus_gpadl.c --- */
void vmbus_gpadl_begin(struct vmbus_server *s, const struct vmbus_message *m);
void vmbus_gpadl_more(struct vmbus_server *s, const struct vmbus_message *m);
void vmbus_gpadl_teardown(struct vmbus_server *s, uint32_t relid, uint32_t id);
/* Complete, of this channel, and not about to go; NULL otherwise. Arguments are hostile. */
const struct vmbus_gpadl *vmbus_gpadl_usable(const struct vmbus_server *s, uint32_t relid,
					     uint32_t id);
/* Some ring that is open, opening or closing lies in it. */
bool vmbus_gpadl_in_use(const struct vmbus_server *s, const struct vmbus_gpadl *g);
/* The channel's GPADLs that are doomed, unused and in no process go. */
void vmbus_gpadl_settle(struct vmbus_server *s, uint32_t relid);
/* All of a removed channel are doomed; a half assembled one is refused. */
void vmbus_gpadl_doom(struct vmbus_server *s, uint32_t relid);
/* The process knows none any more. */
void vmbus_gpadl_forgotten(struct vmbus_server *s, uint32_t relid);
bool vmbus_gpadl_any(const struct vmbus_server *s, uint32_t relid);

#endif
