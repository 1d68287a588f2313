/* SPDX-License-Identifier: MIT */
#include "hv/host/lib/start.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/socket.h>
#include <unistd.h>

#ifndef REDOUBT_VERSION
#define REDOUBT_VERSION "unknown"
#endif

#define STATUS_ERROR 1
#define STATUS_USAGE 2

static const char *program = "redoubt";

/* One write: lines of several processes do not mix. Texts may come from a guest: they cannot forge a line or drive a terminal. */
static void __attribute__((format(printf, 1, 0))) line(const char *format, va_list list)
{
	char text[512];
	int start = snprintf(text, sizeof(text), "%s: ", program), n;
	size_t length;

	if (start < 0 || (size_t)start >= sizeof(text) - 1) {
		start = 0;
	}
	/* The analyzer does not see that the callers started the list. NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized) */
	n = vsnprintf(text + start, sizeof(text) - (size_t)start, format, list);
	length = strlen(text);
	if (n < 0 || length == 0) {
		return;
	}
	if (text[length - 1] == '\n') {
		text[--length] = '\0';
	}
	for (size_t i = 0; i < length; i++) {
		if ((unsigned char)text[i] < ' ' || (unsigned char)text[i] > '~') {
			text[i] = '?';
		}
	}
	if (length == sizeof(text) - 1) {
		length--;
	}
	text[length] = '\n';
	if (write(STDERR_FILENO, text, length + 1) < 0) {
		return; /* nobody listens */
	}
}

void start_log(const char *format, ...)
{
	va_list list;

	va_start(list, format);
	line(format, list);
	va_end(list);
}

void start_fail(const char *format, ...)
{
	va_list list;

	va_start(list, format);
	line(format, list);
	va_end(list);
	_exit(STATUS_ERROR);
}

static bool control_is_there(void)
{
	int type = 0;
	socklen_t size = sizeof(type);

	return getsockopt(IPC_CONTROL_FD, SOL_SOCKET, SO_TYPE, &type, &size) == 0 &&
	       type == SOCK_SEQPACKET;
}

void start_arguments(int argc, char **argv, const char *name, const char *purpose)
{
	program = name;
	if (argc == 2 && strcmp(argv[1], "--help") == 0) {
		printf("usage: %s\n"
		       "       %s --help | --version\n"
		       "\n"
		       "%s\n"
		       "Started by vmmgr, with its configuration on descriptor %d.\n"
		       "\n"
		       "Exit status: 0 good, 1 error, 2 wrong usage.\n",
		       name, name, purpose, IPC_CONTROL_FD);
		exit(fflush(stdout) == 0 ? 0 : STATUS_ERROR);
	}
	if (argc == 2 && strcmp(argv[1], "--version") == 0) {
		printf("%s (Redoubt) %s\n", name, REDOUBT_VERSION);
		exit(fflush(stdout) == 0 ? 0 : STATUS_ERROR);
	}
	if (argc > 1) {
		start_log("unexpected argument %s: see %s --help", argv[1], name);
		_exit(STATUS_USAGE);
	}
	if (!control_is_there()) {
		start_log("descriptor %d is not a manager's socket: vmmgr starts this program",
			  IPC_CONTROL_FD);
		_exit(STATUS_USAGE);
	}
}

struct ipc_message *start_config(enum pm_type want)
{
	struct ipc_message *m = calloc(1, sizeof(*m));

	if (m == NULL) {
		start_fail("no memory");
	}
	for (;;) {
		struct pollfd p = { IPC_CONTROL_FD, POLLIN, 0 };
		int n;

		if (poll(&p, 1, -1) < 0 && errno != EINTR) {
			start_fail("poll: %s", strerror(errno));
		}
		n = ipc_receive(IPC_CONTROL_FD, m);
		if (n == 0) {
			start_fail("the manager is gone");
		}
		if (n > 0) {
			break;
		}
		if (errno != EAGAIN) {
			start_fail("the manager's first message is malformed: %s", m->why);
		}
	}
	if (m->type != want) {
		start_fail("the manager's first message is of type %d instead of %d", (int)m->type,
			   (int)want);
	}
	return m;
}

void start_map_memory(struct gmem *m, int fd, uint64_t bytes)
{
	void *base = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (base == MAP_FAILED) {
		start_fail("guest memory (%llu bytes): %s", (unsigned long long)bytes,
			   strerror(errno));
	}
	(void)close(fd);
	/* A guest's memory does not go into a core dump. */
	(void)madvise(base, bytes, MADV_DONTDUMP);
	m->base = base;
	m->size = bytes;
}

void *start_map_state(int fd, size_t bytes)
{
	struct stat st;
	void *state;

	if (fstat(fd, &st) != 0 ||
	    ((uint64_t)st.st_size < bytes && ftruncate(fd, (off_t)bytes) != 0)) {
		start_fail("state: %s", strerror(errno));
	}
	state = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (state == MAP_FAILED) {
		start_fail("state: %s", strerror(errno));
	}
	(void)close(fd);
	return state;
}

void start_done(struct ipc_message *m, const struct sandbox_policy *policy)
{
	struct pm_plain ready = { { 0, 0 } };

	ipc_drop_fds(m);
	if (!sandbox_enter(policy)) {
		start_fail("sandbox: %s", strerror(errno));
	}
	if (ipc_send(IPC_CONTROL_FD, PM_READY, &ready, sizeof(ready), NULL, 0) != 0) {
		start_fail("the manager does not take READY: %s", strerror(errno));
	}
}
