/* SPDX-License-Identifier: MIT */
#include "hv/host/console/serve.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "hv/host/lib/clock.h"
#include "hv/host/lib/start.h"

#define STATUS_MS 1000
#define LAST_CHUNKS 256

enum place { PLACE_CONTROL, PLACE_WORKER, PLACE_TERMINAL, PLACES };

/* false: this end is gone for good. */
static bool still_there(ssize_t result)
{
	return result > 0 || (result < 0 && (errno == EAGAIN || errno == EINTR));
}

/* From the machine: first the log, then whoever looks. */
static bool take(struct console *c)
{
	uint8_t bytes[CONSOLE_CHUNK];
	ssize_t count = read(c->worker, bytes, sizeof(bytes));

	if (count > 0) {
		store_add(&c->store, bytes, (size_t)count);
		c->status.bytes += (uint64_t)count;
		c->changed = true;
		if (write(c->terminal, bytes, (size_t)count) < count) {
			/* Its buffer is full: nobody reads it, or not fast enough. */
			return true;
		}
	}
	return still_there(count);
}

static bool typed(struct console *c)
{
	ssize_t count = read(c->terminal, c->typed, sizeof(c->typed));

	if (count > 0) {
		c->typed_from = 0;
		c->typed_to = (uint32_t)count;
	}
	return still_there(count);
}

static bool type(struct console *c)
{
	ssize_t count = write(c->worker, c->typed + c->typed_from, c->typed_to - c->typed_from);

	if (count > 0) {
		c->typed_from += (uint32_t)count;
	}
	return still_there(count);
}

static void tell(struct console *c)
{
	uint64_t now = clock_now_ms();

	if (c->changed && now - c->told_ms >= STATUS_MS) {
		if (ipc_send(IPC_CONTROL_FD, PM_STATUS_CONSOLE, &c->status, sizeof(c->status), NULL,
			     0) == 0) {
			c->changed = false;
		}
		c->told_ms = now;
	}
}

/* false: leave. */
static bool obey(struct ipc_message *message)
{
	int got = ipc_receive(IPC_CONTROL_FD, message);

	if (got < 0 && errno == EAGAIN) {
		return true;
	}
	if (got > 0 && message->type != PM_STOP) {
		start_log("message %d from the manager is not for a console", (int)message->type);
	}
	ipc_drop_fds(message);
	return got > 0 && message->type != PM_STOP;
}

/* false: leave. */
static bool step(struct console *c, struct ipc_message *message, struct pollfd poll_set[PLACES])
{
	bool pending = c->typed_from < c->typed_to;
	const short gone = POLLERR | POLLHUP;

	if ((poll_set[PLACE_CONTROL].revents & (POLLIN | gone)) != 0 && !obey(message)) {
		return false;
	}
	if ((poll_set[PLACE_WORKER].revents & (POLLIN | gone)) != 0 && !take(c)) {
		return false;
	}
	if (pending && (poll_set[PLACE_WORKER].revents & POLLOUT) != 0 && !type(c)) {
		return false;
	}
	if (!pending && (poll_set[PLACE_TERMINAL].revents & (POLLIN | gone)) != 0 && !typed(c)) {
		return false;
	}
	tell(c);
	return true;
}

static void loop(struct console *c, struct ipc_message *message)
{
	for (;;) {
		/* Nothing more is taken from the terminal until the worker has what was typed. */
		bool pending = c->typed_from < c->typed_to;
		struct pollfd poll_set[PLACES] = {
			[PLACE_CONTROL] = { IPC_CONTROL_FD, POLLIN, 0 },
			[PLACE_WORKER] = { c->worker, (short)(pending ? POLLIN | POLLOUT : POLLIN),
					   0 },
			[PLACE_TERMINAL] = { pending ? -1 : c->terminal, POLLIN, 0 },
		};

		if (poll(poll_set, PLACES, c->changed ? STATUS_MS : -1) < 0) {
			if (errno == EINTR) {
				continue;
			}
			start_fail("poll: %s", strerror(errno));
		}
		if (!step(c, message, poll_set)) {
			return;
		}
	}
}

/* What the machine said before it ended; the worker's end may be open still, so that there is no end of it. */
static void last_words(struct console *c)
{
	for (int i = 0; i < LAST_CHUNKS && take(c); i++) {
		struct pollfd more = { c->worker, POLLIN, 0 };

		if (poll(&more, 1, 0) <= 0) {
			return;
		}
	}
}

void console_serve(struct console *c, struct ipc_message *message)
{
	loop(c, message);
	last_words(c);
}
