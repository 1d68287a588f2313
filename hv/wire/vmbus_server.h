/* SPDX-License-Identifier: MIT */
#ifndef HV_WIRE_VMBUS_SERVER_H
#define HV_WIRE_VMBUS_SERVER_H
/*
 * The VMBus server of one guest: connection, offers, channels, GPADLs. It does nothing itself: events come in, actions come
 * out, and the worker (hv/host/vmworker) carries them out. All storage is the caller's.
 *
 * Events: a message of the guest, what a device process said, a process that was started again, a device added or removed.
 * None of them fails for lack of room.
 *
 * Actions: the worker asks vmbus_server_next() for one, does it, and says vmbus_server_done() of it, or does not where it
 * could not be done now (it then asks again without that process or without the guest). Actions for device processes are no
 * queue but follow from the state of channels and GPADLs: there are never more than there are such objects, and a process
 * that does not read holds up nobody else. Messages to the guest are a queue, in order.
 *
 * Flow: when many messages wait for the guest, vmbus_server_accepts() turns false and the worker reads none of the guest's
 * messages until it is true again. What is kept free then has room for every answer that is owed (MESSAGES_RESERVED).
 *
 *	loop:	wait for: the guest's messages (only if vmbus_server_accepts()), device sockets, room at the guest (if it was full)
 *		feed events
 *		can = all sockets; guest = true;
 *		while (vmbus_server_next(s, can, guest, &a)) {
 *			do a; where it would block: clear a.socket in `can`, or `guest` for a SEND; otherwise vmbus_server_done(s, &a);
 *		}
 *	where `guest` or a bit of `can` was cleared: also wait until that can be written.
 *
 * A process that died: clear its bit in `can` until vmbus_server_restarted(). What it was told or said before does not matter.
 */
#include "hv/wire/vmbus.h"

#define VMBUS_CHANNELS_MAX 32 /* relid 1..: devices and their sub-channels */
#define VMBUS_GPADLS_MAX 48
#define VMBUS_SOCKET_GPADLS_MAX 16 /* of one process: its table of them (hv/host/lib/chan.h) */
#define VMBUS_SOCKETS_MAX 32
#define VMBUS_SERVICES_MAX 2
#define VMBUS_CONNECTIONS_LIVE 4 /* of a service, of hv_sock, at a time */
#define VMBUS_CONNECTIONS_MAX \
	8 /* with those that guest or process have not let go of yet: units 0.. of its process */
#define VMBUS_ENDPOINT_MAX 1023u /* the guest's port: Linux gives it to CAP_NET_BIND_SERVICE only */
#define VMBUS_GPADL_PAGES_MAX \
	7936u /* 31 MiB, the most that Linux asks for; whose length fits in 16 bits */
#define VMBUS_RING_PAGES_MIN 2u /* of each ring: indices and data */

/*
 * At most this many messages are owed at any time, or follow from what the worker does of itself: a result for each channel,
 * a created or torn-down for each GPADL, the answer to a contact, and for each channel an offer and a rescind. And one message of the
 * guest is answered by an offer of each channel and the end of the list.
 */
#define VMBUS_MESSAGES_RESERVED                                                                    \
	(VMBUS_CHANNELS_MAX + VMBUS_GPADLS_MAX + 1 + 2 * VMBUS_CHANNELS_MAX + VMBUS_CHANNELS_MAX + \
	 1)
#define VMBUS_MESSAGES_MAX (VMBUS_MESSAGES_RESERVED + 78)

enum vmbus_connection_state {
	VMBUS_DISCONNECTED, /* only INITIATE_CONTACT and UNLOAD are heard */
	VMBUS_RESETTING, /* devices are forgetting; then the newest INITIATE_CONTACT or UNLOAD is answered */
	VMBUS_CONNECTED,
};

enum vmbus_offer_state {
	VMBUS_NOT_OFFERED, /* the guest does not know it, or has released it -> OFFERED */
	VMBUS_OFFERED,     /* -> RESCINDED when the device goes */
	VMBUS_RESCINDED,   /* the guest was told -> NOT_OFFERED by RELID_RELEASED */
};

enum vmbus_channel_state {
	VMBUS_CH_CLOSED,   /* -> OPEN_DUE by OPEN */
	VMBUS_CH_OPEN_DUE, /* its process is to be told -> OPENING; -> CLOSED by CLOSE */
	VMBUS_CH_OPENING,  /* -> OPEN or CLOSED when the process answers; -> CLOSE_DUE by CLOSE */
	VMBUS_CH_OPEN, /* -> CLOSE_DUE by CLOSE; -> OPEN_DUE when the process was started again */
	VMBUS_CH_CLOSE_DUE, /* its process is to be told -> CLOSING */
	VMBUS_CH_CLOSING, /* -> CLOSED, or OPEN_DUE where the guest has opened it again, when the process answers */
};

enum vmbus_device_state {
	VMBUS_DEVICE_NONE,    /* the relid is free */
	VMBUS_DEVICE_PRESENT, /* -> REMOVING */
	VMBUS_DEVICE_REMOVING, /* taken from the guest -> NONE when guest and process have let go of it */
};

struct vmbus_device {
	struct vmbus_guid class_id, instance;
	uint32_t socket; /* the process that serves it, 0..VMBUS_SOCKETS_MAX-1 */
	uint32_t unit;   /* the process's number of it */
	uint16_t sub;    /* sub-channel of the unit; 0: primary */
	bool pipe;       /* message pipe: integration services, keyboard */
	/*
	 * A connection of hv_sock: class_id is the service, instance the guest's endpoint. It goes with the guest's connection to
	 * VMBus, when its process says so or is started again, and, as long as the guest has not opened it, for another one.
	 */
	bool stream;
};

struct vmbus_service { /* of hv_sock */
	struct vmbus_guid id;
	uint32_t socket; /* the process that serves it; it serves nothing else */
};

struct vmbus_channel {
	enum vmbus_device_state device_state;
	enum vmbus_offer_state offer;
	enum vmbus_channel_state state;
	struct vmbus_device device;
	struct vmbus_open open, again; /* .relid is unused */
	bool owed; /* an OPEN_RESULT, of `again` where that is wanted, of `open` otherwise */
	bool again_wanted; /* opened by the guest while its process was still closing it */
	bool retarget;     /* the worker is to be told open.vp */
	bool rescinded_due, released_due, quiet_told;
};

enum vmbus_gpadl_state {
	VMBUS_GPADL_NONE,
	VMBUS_GPADL_ASSEMBLING, /* pfns are missing -> READY; -> NONE on an error */
	VMBUS_GPADL_READY,      /* its process is to be told -> GIVEN */
	VMBUS_GPADL_GIVEN, /* -> FREEING where doomed and no ring uses it; -> READY when the process was started again */
	VMBUS_GPADL_FREEING, /* -> NONE when the process answers */
};

struct vmbus_gpadl {
	enum vmbus_gpadl_state state;
	uint32_t id, relid;
	uint32_t length, offset, pages;
	uint32_t have;  /* pfns so far */
	uint32_t first; /* in the pool; moves when another one goes */
	bool doomed;    /* goes as soon as no ring uses it */
	bool owed;      /* a GPADL_TORNDOWN */
};

struct vmbus_pending { /* a message to the guest, not built yet */
	enum vmbus_type type;
	uint32_t a, b, c;
	struct vmbus_guid x, y; /* TL_CONNECT_RESULT */
};

struct vmbus_counts {
	uint64_t messages;  /* of the guest */
	uint64_t malformed; /* not a message at all: ignored */
	uint64_t misplaced; /* not now, or of something that does not exist: ignored */
	uint64_t refused;   /* answered by an error */
	uint64_t device;    /* words of a device process that fit nothing: ignored */
	uint64_t resets;
	uint64_t lost; /* messages without room: always 0 */
};

struct vmbus_server {
	uint64_t memory_bytes; /* of the guest */
	uint32_t vp_count;
	uint64_t *pool; /* of pfns: those of all GPADLs without gaps, in order of `first` */
	uint32_t pool_size, pool_used;

	enum vmbus_connection_state state;
	bool offers_requested;
	uint32_t version; /* valid in CONNECTED */
	uint32_t vp;      /* to which messages go */
	bool unloading; /* RESETTING: an UNLOAD is to be answered, otherwise an INITIATE_CONTACT */
	bool supported; /* ... with this answer */
	uint32_t touched; /* bit per socket: knows of a channel or GPADL of this connection */
	uint32_t reset_due, reset_wait;

	struct vmbus_service service[VMBUS_SERVICES_MAX];
	uint32_t service_count;
	struct vmbus_channel channel[VMBUS_CHANNELS_MAX]; /* [relid - 1] */
	struct vmbus_gpadl gpadl[VMBUS_GPADLS_MAX];
	struct vmbus_pending message[VMBUS_MESSAGES_MAX];
	uint32_t message_first, message_count;
	struct vmbus_counts counts;
};

enum vmbus_do {
	VMBUS_DO_NOTHING,
	VMBUS_DO_SEND,       /* post message[size], type 1, to SINT 2 of vp */
	VMBUS_DO_SET_TARGET, /* the channel of relid signals vp from now on */
	VMBUS_DO_GPADL,      /* give the GPADL to the process */
	VMBUS_DO_OPEN, /* open: connection VMBUS_CONNECTION_EVENT + relid, flag relid of SINT 2 of vp */
	VMBUS_DO_CLOSE, /* close; the channel's descriptor may go once the process has said so */
	VMBUS_DO_GPADL_FREE,
	VMBUS_DO_RESET, /* of the whole process `socket`: every channel and GPADL; descriptors of its channels may go */
	VMBUS_DO_RESCINDED, /* a removed device: its process holds nothing any more */
	VMBUS_DO_RELEASED,  /* and neither does the guest: the relid may be used again */
};

struct vmbus_action {
	enum vmbus_do what;
	uint32_t socket, unit, sub; /* as given to vmbus_server_add */
	uint32_t relid;
	uint32_t vp;
	uint32_t gpadl, downstream;
	uint32_t length, offset, pages; /* DO_GPADL */
	const uint64_t *pfn; /* DO_GPADL: pages of them, only until the next call of the server */
	uint32_t size;
	uint8_t message[VMBUS_MESSAGE_MAX];
};

/* memory_bytes: as in hv/wire/gmem.h. pool: of pfns, the caller's, for as long as the server lives. */
void vmbus_server_init(struct vmbus_server *s, uint64_t memory_bytes, uint32_t vp_count,
		       uint64_t *pool, uint32_t pool_size);
/*
 * Adds a device, or a sub-channel of one, at any time; the guest is told when it is there. Returns its relid: the lowest that is free.
 * 0: none is free, it is there already, or a sub-channel without its primary. Sub-channels go when the guest connects anew.
 */
uint32_t vmbus_server_add(struct vmbus_server *s, const struct vmbus_device *d);
/* A service of hv_sock that the guest may connect to; before the guest runs. false: too many, twice, or a bad socket. */
bool vmbus_server_service(struct vmbus_server *s, const struct vmbus_service *v);
/* Takes a device, and its sub-channels, from the guest. DO_RESCINDED and DO_RELEASED follow. false: no such device. */
bool vmbus_server_remove(struct vmbus_server *s, uint32_t relid);

/* A message of the guest may be given to the server now. */
bool vmbus_server_accepts(const struct vmbus_server *s);
/*
 * A message of the guest. Trust: type, payload and size are hostile. false: the server does not accept one now; the worker
 * keeps it and gives it again later.
 */
bool vmbus_server_message(struct vmbus_server *s, uint32_t type, const uint8_t *payload,
			  uint32_t size);

/* Words of a device process. Trust: a process speaks for its own units only, and its words may fit nothing. */
void vmbus_server_opened(struct vmbus_server *s, uint32_t socket, uint32_t unit, uint32_t sub,
			 uint32_t status);
void vmbus_server_closed(struct vmbus_server *s, uint32_t socket, uint32_t unit, uint32_t sub);
void vmbus_server_gpadl_freed(struct vmbus_server *s, uint32_t socket, uint32_t unit,
			      uint32_t gpadl);
void vmbus_server_reset_done(struct vmbus_server *s, uint32_t socket);
/* A connection of hv_sock is over. */
void vmbus_server_hangup(struct vmbus_server *s, uint32_t socket, uint32_t unit);
/* The process behind the socket is a new one, that knows nothing: GPADLs and open channels are given to it again. */
void vmbus_server_restarted(struct vmbus_server *s, uint32_t socket);

/*
 * The next thing to do. sockets: bit per process that can take a message now. guest: the guest can take a message now.
 * false: nothing. The same action comes again until it is done or has lost its reason.
 */
bool vmbus_server_next(const struct vmbus_server *s, uint32_t sockets, bool guest,
		       struct vmbus_action *a);
/* The action that vmbus_server_next gave last is done, and no event came between. */
void vmbus_server_done(struct vmbus_server *s, const struct vmbus_action *a);

#endif
