/* SPDX-License-Identifier: MIT */
#ifndef HV_HOST_CONSOLE_SERVE_H
#define HV_HOST_CONSOLE_SERVE_H
/* Between a machine's stream, its log and its terminal: what a process of the console does all its life. */
#include "hv/host/console/store.h"
#include "hv/host/lib/ipc.h"

#define CONSOLE_CHUNK 4096

struct console {
	int worker, terminal; /* the stream to the worker and the terminal: neither blocks */
	struct store store;
	struct pm_status_console status;
	bool changed; /* it is another than the manager was told */
	uint64_t told_ms;
	uint8_t typed[CONSOLE_CHUNK]; /* for the worker */
	uint32_t typed_from, typed_to;
};

/*
 * Until the manager or either end goes. message: room for one. Trust: bytes of the worker and of who types are hostile, and only passed on;
 * the manager's messages are checked by hv/wire/procmsg.c.
 */
void console_serve(struct console *c, struct ipc_message *message);

#endif
