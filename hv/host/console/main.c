/* SPDX-License-Identifier: MIT */
/*
 * The console of one machine: bytes of its UART go to a log of bounded size and to a pseudo-terminal, what is typed there goes
 * back. The worker never waits: what the terminal's reader does not take in time is dropped there, and is in the log.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/resource.h>

#include "hv/host/console/policy.h"
#include "hv/host/console/serve.h"
#include "hv/host/lib/start.h"

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

int main(int argc, char **argv)
{
	start_arguments(argc, argv, "console", "The console of one virtual machine.");
	configure();
	start_done(message, &console_policy);
	console_serve(&console, message);
	return 0;
}
