/* SPDX-License-Identifier: MIT */
#ifndef HV_HOST_LIB_IPC_H
#define HV_HOST_LIB_IPC_H
/* Messages of hv/wire/procmsg.h over SOCK_SEQPACKET, with descriptors. */
#include "hv/wire/procmsg.h"

#define IPC_CONTROL_FD 3 /* of every process: the manager */

struct ipc_message {
	enum pm_type type;
	uint32_t size;
	int fds[PM_FDS_MAX]; /* the receiver's: close them or take them (set to -1) */
	uint32_t fd_count;
	const char *why; /* after EBADMSG: what was malformed */
	union {
		struct pm_header header;
		struct pm_config_worker worker;
		struct pm_config_storvsp storvsp;
		struct pm_config_netvsp netvsp;
		struct pm_config_ic ic;
		struct pm_config_hvsock hvsock;
		struct pm_config_console console;
		struct pm_config_vswitch vswitch;
		struct pm_device_again device_again;
		struct pm_port port;
		struct pm_ic_shutdown ic_shutdown;
		struct pm_link link;
		struct pm_record record;
		struct pm_report report;
		struct pm_report_wanted report_wanted;
		struct pm_status_worker status_worker;
		struct pm_status_ic status_ic;
		struct pm_status_net status_net;
		struct pm_status_disk status_disk;
		struct pm_status_console status_console;
		struct pm_gpadl gpadl;
		struct pm_open open;
		struct pm_channel channel;
		struct pm_gpadl_free gpadl_free;
		uint8_t bytes[PM_BYTES_MAX];
	};
};

/* A zeroed message is allocated once by each program (it is large) and used again. */

/*
 * 1: a checked message in *m. 0: the peer is gone. -1: nothing there now (errno EAGAIN), or malformed (errno EBADMSG; nothing of
 * it is left). Never waits. Descriptors that are still in *m from the last message are closed. Trust: the peer's bytes.
 */
int ipc_receive(int socket, struct ipc_message *m);
/* Sets header.type and header.size. 0, or -1 with errno (EAGAIN: the peer does not read). Never waits. */
int ipc_send(int socket, enum pm_type type, void *message, uint32_t size, const int *fds,
	     uint32_t fd_count);
/* As ipc_send, but waits for the peer as long as the socket's SO_SNDTIMEO says (unless it is O_NONBLOCK). */
int ipc_send_wait(int socket, enum pm_type type, void *message, uint32_t size, const int *fds,
		  uint32_t fd_count);
/* Closes every descriptor of *m that was not taken. */
void ipc_drop_fds(struct ipc_message *m);
/* Takes descriptor i out of *m; -1: there is none. */
int ipc_take_fd(struct ipc_message *m, uint32_t i);

#endif
