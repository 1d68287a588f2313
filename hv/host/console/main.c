/* SPDX-License-Identifier: MIT */
/*
 * The console of one machine: bytes of its UART go to a log of bounded size and to a pseudo-terminal, what is typed there goes
 * back. The worker never waits: what the terminal's reader does not take in time is dropped there, and is in the log.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "hv/host/console/policy.h"
#include "hv/host/console/store.h"
#include "hv/host/lib/clock.h"
#include "hv/host/lib/start.h"

#define CHUNK 4096
#define STATUS_MS 1000
#define LAST_CHUNKS 256

enum place { PLACE_CONTROL, PLACE_WORKER, PLACE_TERMINAL, PLACES };

struct console {
	int worker, terminal;
	struct store store;
	struct pm_status_console status;
	bool changed;
	uint64_t told_ms;
	uint8_t typed[CHUNK]; /* for the worker */
	uint32_t typed_from, typed_to;
};

static struct console console;
static struct ipc_message *message;

static void set_nonblocking(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0) {
		start_fail("fcntl: %s", strerror(errno));
	}
}

static void configure(void)
{
	static const char again[] = "\r\n--- started ---\r\n";
	/* The store writes at most that. */
	struct rlimit file = { STORE_BYTES_MAX, STORE_BYTES_MAX };
	int log;

	message = start_config(PM_CONFIG_CONSOLE);
	console.worker = ipc_take_fd(message, 0);
	console.terminal = ipc_take_fd(message, 1);
	log = ipc_take_fd(message, 2);
	set_nonblocking(console.worker);
	set_nonblocking(console.terminal);
	if (!store_open(&console.store, log) || setrlimit(RLIMIT_FSIZE, &file) != 0) {
		start_fail("console log: %s", strerror(errno));
	}
	if (message->console.restarted == 0 && console.store.size != 0) {
		/* What was logged before is another run's. */
		store_add(&console.store, (const uint8_t *)again, sizeof(again) - 1);
	}
}

/* false: this end is gone for good. */
static bool still_there(ssize_t result)
{
	return result > 0 || (result < 0 && (errno == EAGAIN || errno == EINTR));
}

/* From the machine: first the log, then whoever looks. */
static bool take(void)
{
	uint8_t bytes[CHUNK];
	ssize_t count = read(console.worker, bytes, sizeof(bytes));

	if (count > 0) {
		store_add(&console.store, bytes, (size_t)count);
		console.status.bytes += (uint64_t)count;
		console.changed = true;
		if (write(console.terminal, bytes, (size_t)count) < count) {
			/* Its buffer is full: nobody reads it, or not fast enough. */
			return true;
		}
	}
	return still_there(count);
}

static bool typed(void)
{
	ssize_t count = read(console.terminal, console.typed, sizeof(console.typed));

	if (count > 0) {
		console.typed_from = 0;
		console.typed_to = (uint32_t)count;
	}
	return still_there(count);
}

static bool type(void)
{
	ssize_t count = write(console.worker, console.typed + console.typed_from,
			      console.typed_to - console.typed_from);

	if (count > 0) {
		console.typed_from += (uint32_t)count;
	}
	return still_there(count);
}

static void tell(void)
{
	uint64_t now = clock_now_ms();

	if (console.changed && now - console.told_ms >= STATUS_MS) {
		if (ipc_send(IPC_CONTROL_FD, PM_STATUS_CONSOLE, &console.status,
			     sizeof(console.status), NULL, 0) == 0) {
			console.changed = false;
		}
		console.told_ms = now;
	}
}

/* false: leave. */
static bool obey(void)
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
static bool step(struct pollfd poll_set[PLACES])
{
	bool pending = console.typed_from < console.typed_to;
	const short gone = POLLERR | POLLHUP;

	if ((poll_set[PLACE_CONTROL].revents & (POLLIN | gone)) != 0 && !obey()) {
		return false;
	}
	if ((poll_set[PLACE_WORKER].revents & (POLLIN | gone)) != 0 && !take()) {
		return false;
	}
	if (pending && (poll_set[PLACE_WORKER].revents & POLLOUT) != 0 && !type()) {
		return false;
	}
	if (!pending && (poll_set[PLACE_TERMINAL].revents & (POLLIN | gone)) != 0 && !typed()) {
		return false;
	}
	tell();
	return true;
}

static void loop(void)
{
	for (;;) {
		/* Nothing more is taken from the terminal until the worker has what was typed. */
		bool pending = console.typed_from < console.typed_to;
		struct pollfd poll_set[PLACES] = {
			[PLACE_CONTROL] = { IPC_CONTROL_FD, POLLIN, 0 },
			[PLACE_WORKER] = { console.worker,
					   (short)(pending ? POLLIN | POLLOUT : POLLIN), 0 },
			[PLACE_TERMINAL] = { pending ? -1 : console.terminal, POLLIN, 0 },
		};

		if (poll(poll_set, PLACES, console.changed ? STATUS_MS : -1) < 0) {
			if (errno == EINTR) {
				continue;
			}
			start_fail("poll: %s", strerror(errno));
		}
		if (!step(poll_set)) {
			return;
		}
	}
}

/* What the machine said before it ended; the worker's end may be open still, so that there is no end of it. */
static void last_words(void)
{
	for (int i = 0; i < LAST_CHUNKS && take(); i++) {
		struct pollfd more = { console.worker, POLLIN, 0 };

		if (poll(&more, 1, 0) <= 0) {
			return;
		}
	}
}

int main(int argc, char **argv)
{
	start_arguments(argc, argv, "console", "The console of one virtual machine.");
	configure();
	start_done(message, &console_policy);
	loop();
	last_words();
	return 0;
}
