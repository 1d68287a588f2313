/* SPDX-License-Identifier: MIT */
#ifndef HV_WIRE_PROCMSG_H
#define HV_WIRE_PROCMSG_H
/*
 * Messages between the processes of the root: one SOCK_SEQPACKET datagram each, a fixed structure, descriptors beside it. No
 * process trusts another's words: procmsg_check refuses a wrong size or number of descriptors, unknown types, reserved fields
 * that are not 0, flags that are not 0 or 1, texts without NUL, counts beyond the arrays.
 *
 *   manager -> process   CONFIG_* (the first message)      process -> manager   READY, then STATUS_*
 *   worker  -> device    GPADL, OPEN, CLOSE, GPADL_FREE, RESET      device -> worker   OPENED, CLOSED, GPADL_FREED, HANGUP
 */
#include "hv/wire/view.h"

#define PM_DISKS_MAX 8
#define PM_DEVICES_MAX 16
#define PM_SERVICES_MAX 2
#define PM_NONCE_MIN 16
#define PM_NONCE_MAX 64
#define PM_GPADL_PAGES_MAX 7936
#define PM_FDS_MAX 40
#define PM_MEMORY_MAX (1ull << 46)

enum pm_type {
	PM_NONE,
	/* manager -> process */
	PM_CONFIG_WORKER = 1,
	PM_CONFIG_STORVSP,
	PM_CONFIG_NETVSP,
	PM_CONFIG_IC,
	PM_CONFIG_CONSOLE,
	PM_CONFIG_VSWITCH,
	PM_DEVICE_AGAIN, /* to the worker: a device process was started again */
	PM_PORT_ADD,     /* to the switch */
	PM_PORT_REMOVE,
	PM_IC_SHUTDOWN, /* to ic: ask the guest */
	PM_STOP,        /* to any: leave in good order */
	PM_LINK,        /* to netvsp: cable in or out */
	PM_RECORD, /* to worker, storvsp, netvsp, ic: the guest's traffic is recorded from now on */
	PM_CONFIG_HVSOCK,
	PM_REPORT, /* to hvsock: the answer to a PM_REPORT_WANTED */
	/* process -> manager */
	PM_READY = 32,
	PM_STATUS_WORKER,
	PM_STATUS_IC,
	PM_STATUS_NET,
	PM_STATUS_DISK,
	PM_STATUS_CONSOLE,
	PM_REPORT_WANTED, /* of hvsock: the guest wants a report of itself */
	/* worker -> device */
	PM_GPADL = 64,
	PM_OPEN,
	PM_CLOSE,
	PM_GPADL_FREE,
	/*
	 * The guest's VMBus connection is new or gone: forget channels and GPADLs. One PM_RESET_DONE answers it, and stands for
	 * every PM_CLOSED and PM_GPADL_FREED that was still owed; what the worker sends before it is refused.
	 */
	PM_RESET,
	/* device -> worker */
	PM_OPENED = 96,
	PM_CLOSED,
	PM_GPADL_FREED,
	PM_RESET_DONE,
	PM_HANGUP, /* the connection of hv_sock is over: take it from the guest; a PM_CLOSE follows */
};

struct pm_header {
	uint32_t type; /* enum pm_type */
	uint32_t size; /* of the whole message */
};

struct pm_guid {
	uint8_t b[16]; /* as on the wire: the first three fields little-endian */
};

struct pm_device { /* one VMBus offer */
	struct pm_guid class_id, instance;
	uint32_t socket; /* index among the descriptors: the device process that serves it */
	uint32_t unit;   /* the process's own number for it, 0.. */
};

struct pm_service { /* of hv_sock */
	struct pm_guid id;
	uint32_t socket; /* as in pm_device; that process serves nothing else */
	uint32_t reserved;
};

/*
 * fds, 4 + has_initrd + socket_count of them, in this order: partition, memory, kernel image, initrd (only where has_initrd is 1;
 * else the next ones move up), console stream, then socket_count device sockets. pm_device.socket counts from the first of those.
 */
struct pm_config_worker {
	struct pm_header header;
	uint64_t memory_bytes; /* here and below: whole pages, not 0, at most PM_MEMORY_MAX */
	uint32_t vp_count;     /* 1..HV_VP_MAX */
	uint32_t has_initrd;
	uint32_t device_count;
	uint32_t socket_count; /* at most PM_DEVICES_MAX */
	/* the launch measurement's policy (docs/attestation.md, section 2) */
	uint32_t measure; /* what is loaded is measured, page by page */
	uint32_t svn, devices;
	uint16_t disks, networks;
	char cmdline[1024];
	struct pm_device device[PM_DEVICES_MAX];
	uint32_t service_count;
	uint32_t reserved;
	struct pm_service service[PM_SERVICES_MAX];
};

struct pm_disk {
	uint64_t bytes; /* a multiple of 512, less than 2^63 */
	uint32_t read_only;
	uint32_t reserved;
	char serial[32];
};

/* fds: 0 memory, 1 worker socket, 2 state (memfd, kept over a restart), 3.. disks, opened O_DIRECT where that works */
struct pm_config_storvsp {
	struct pm_header header;
	uint64_t memory_bytes;
	uint32_t disk_count;
	uint32_t restarted; /* the state holds what an earlier process left */
	struct pm_disk disk[PM_DISKS_MAX];
};

/* fds: 0 memory, 1 worker socket, 2 state, 3 switch port (SOCK_SEQPACKET: a frame per datagram) */
struct pm_config_netvsp {
	struct pm_header header;
	uint64_t memory_bytes;
	uint32_t restarted;
	uint8_t mac[6];
	uint16_t reserved;
};

/* fds: 0 memory, 1 worker socket. Units: 0 shutdown, 1 heartbeat, 2 time sync */
struct pm_config_ic {
	struct pm_header header;
	uint64_t memory_bytes;
	uint32_t restarted, reserved;
};

/* fds: 0 memory, 1 worker socket. Units: 0.. connections */
struct pm_config_hvsock {
	struct pm_header header;
	uint64_t memory_bytes;
	uint32_t restarted, reserved;
};

/* fds: 0 console stream from the worker, 1 pty master, 2 log file (append) */
struct pm_config_console {
	struct pm_header header;
	uint32_t restarted, reserved;
};

/* fds: 0 TAP (where has_uplink is 1, else none) */
struct pm_config_vswitch {
	struct pm_header header;
	uint32_t has_uplink, reserved;
};

struct pm_device_again { /* fds: 0 the new socket */
	struct pm_header header;
	uint32_t socket; /* index as in pm_device.socket */
	uint32_t reserved;
};

struct pm_port { /* PM_PORT_ADD (fds: 0 the port), PM_PORT_REMOVE */
	struct pm_header header;
	uint32_t port; /* chosen by the manager */
	uint8_t mac[6];
	uint16_t reserved;
};

struct pm_ic_shutdown {
	struct pm_header header;
	uint32_t reboot, reserved;
};

struct pm_link {
	struct pm_header header;
	uint32_t up, reserved;
};

struct pm_record { /* fds: 0 SOCK_SEQPACKET, for records of hv/host/lib/record.h */
	struct pm_header header;
	uint32_t index; /* of the process among its kind: named in its records */
	uint32_t reserved;
};

enum pm_report_error { PM_REPORT_GOOD, PM_REPORT_NO_AGENT, PM_REPORT_BUSY };

struct pm_report { /* fds: 0 where error is 0: attestd's answer, to be read until it ends */
	struct pm_header header;
	uint32_t ticket; /* of the question */
	uint32_t error;  /* enum pm_report_error */
};

struct pm_report_wanted {
	struct pm_header header;
	uint32_t ticket;     /* the process's own */
	uint32_t nonce_size; /* PM_NONCE_MIN to PM_NONCE_MAX; bytes behind it are 0 */
	uint8_t nonce[PM_NONCE_MAX];
};

struct pm_plain { /* PM_READY, PM_STOP, PM_RESET, PM_RESET_DONE */
	struct pm_header header;
};

enum pm_guest {
	PM_GUEST_RUNNING = 1,
	PM_GUEST_OFF,
	PM_GUEST_RESET,
	PM_GUEST_CRASHED,
	PM_GUEST_FAILED,
	PM_GUEST_HALTED /* no VP will ever go on; the guest is not over */
};

struct pm_status_worker { /* the guest's state changed; text says why */
	struct pm_header header;
	uint32_t guest; /* enum pm_guest */
	uint32_t reserved;
	char text[128];
};

struct pm_status_ic {
	struct pm_header header;
	uint32_t heartbeats;     /* answered so far */
	uint32_t shutdown_ready; /* the guest can be asked */
	uint32_t shutdown_answered;
	uint32_t timesync; /* samples sent */
};

struct pm_status_net {
	struct pm_header header;
	uint64_t sent, received, dropped;
};

struct pm_status_disk {
	struct pm_header header;
	uint64_t reads, writes, flushes, errors;
};

struct pm_status_console {
	struct pm_header header;
	uint64_t bytes;
};

/* A GPADL of the channel; in one message, whole. length is not 0; pages is exactly what offset + length take. */
struct pm_gpadl {
	struct pm_header header;
	uint32_t unit;
	uint32_t gpadl;
	uint32_t length; /* bytes, from `offset` on */
	uint32_t offset; /* into the first page */
	uint32_t pages;  /* 1..PM_GPADL_PAGES_MAX */
	uint32_t reserved;
	uint64_t pfn[]; /* pages of them */
};

/* fds: 0 the channel: read when the guest signalled, write to signal it. The ring's GPADL was sent before. */
struct pm_open {
	struct pm_header header;
	uint32_t unit;
	uint32_t sub;        /* sub-channel, 0: the primary */
	uint32_t gpadl;      /* of the rings */
	uint32_t downstream; /* page at which the ring to the guest starts */
};

struct pm_channel { /* PM_CLOSE, PM_CLOSED, PM_HANGUP (status 0), PM_OPENED (status 0: open) */
	struct pm_header header;
	uint32_t unit, sub;
	uint32_t status, reserved;
};

struct pm_gpadl_free { /* PM_GPADL_FREE, PM_GPADL_FREED: no I/O into it is under way any more */
	struct pm_header header;
	uint32_t unit;
	uint32_t gpadl;
};

/* Largest message: a receiver's buffer. */
#define PM_BYTES_MAX (sizeof(struct pm_gpadl) + PM_GPADL_PAGES_MAX * sizeof(uint64_t))

/*
 * Checks one received message of `size` bytes with `fds` descriptors, in place in the receiver's own buffer (8-byte aligned).
 * Returns its type, or PM_NONE with *why (a text) where it is malformed.
 */
enum pm_type procmsg_check(const void *message, uint32_t size, uint32_t fds, const char **why);

#endif
