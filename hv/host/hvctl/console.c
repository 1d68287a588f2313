/* SPDX-License-Identifier: MIT */
/* A raw terminal on the console of a machine. What the guest sends goes to the terminal as it is: that is what a console is for. */
#include "hv/host/hvctl/manager.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#define DETACH 0x1d /* Ctrl-] */
#define TAIL_BYTES 4096

static struct termios before;
static volatile sig_atomic_t is_raw;

static void restore(void)
{
	if (is_raw) {
		is_raw = 0;
		(void)tcsetattr(STDIN_FILENO, TCSANOW, &before);
	}
}

static void on_signal(int number)
{
	restore();
	_exit(128 + number);
}

static void make_raw(void)
{
	static const int ends[] = { SIGTERM, SIGHUP, SIGINT, SIGQUIT };
	struct termios raw;

	if (tcgetattr(STDIN_FILENO, &before) != 0) {
		return; /* not a terminal: bytes pass all the same */
	}
	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		(void)signal(ends[i], on_signal);
	}
	raw = before;
	cfmakeraw(&raw);
	is_raw = 1;
	(void)tcsetattr(STDIN_FILENO, TCSANOW, &raw);
}

static bool write_all(int fd, const char *bytes, size_t count)
{
	while (count != 0) {
		ssize_t n = write(fd, bytes, count);

		if (n < 0 && errno == EINTR) {
			continue;
		}
		if (n <= 0) {
			return false;
		}
		bytes += n;
		count -= (size_t)n;
	}
	return true;
}

static void show_tail(int log)
{
	char bytes[TAIL_BYTES];
	struct stat st;
	ssize_t count;

	if (fstat(log, &st) != 0) {
		return;
	}
	count = pread(log, bytes, sizeof(bytes),
		      st.st_size > TAIL_BYTES ? st.st_size - TAIL_BYTES : 0);
	if (count > 0) {
		(void)write_all(STDOUT_FILENO, bytes, (size_t)count);
	}
}

enum outcome { GO_ON, DETACHED, MACHINE_OFF, OUTPUT_GONE, NO_INPUT };

static enum outcome from_machine(int terminal)
{
	char bytes[4096];
	ssize_t count = read(terminal, bytes, sizeof(bytes));

	if (count <= 0) {
		return count < 0 && errno == EINTR ? GO_ON : MACHINE_OFF;
	}
	return write_all(STDOUT_FILENO, bytes, (size_t)count) ? GO_ON : OUTPUT_GONE;
}

static enum outcome from_user(int terminal)
{
	char bytes[256];
	ssize_t count = read(STDIN_FILENO, bytes, sizeof(bytes));
	const char *detach;

	if (count <= 0) {
		return count < 0 && errno == EINTR ? GO_ON : NO_INPUT;
	}
	/* In a script every byte is meant for the machine. */
	detach = is_raw ? memchr(bytes, DETACH, (size_t)count) : NULL;
	if (detach != NULL) {
		count = detach - bytes;
	}
	if (!write_all(terminal, bytes, (size_t)count)) {
		return MACHINE_OFF;
	}
	return detach != NULL ? DETACHED : GO_ON;
}

static enum outcome pass(int terminal)
{
	struct pollfd set[2] = { { terminal, POLLIN, 0 }, { STDIN_FILENO, POLLIN, 0 } };
	enum outcome outcome = GO_ON;

	while (outcome == GO_ON) {
		if (poll(set, 2, -1) < 0) {
			if (errno == EINTR) {
				continue;
			}
			return MACHINE_OFF;
		}
		if (set[0].revents != 0) {
			outcome = from_machine(terminal);
		}
		if (outcome == GO_ON && set[1].revents != 0) {
			outcome = from_user(terminal);
		}
		if (outcome == NO_INPUT) {
			/* The end of a script is not the end of what the machine says. */
			set[1].fd = -1;
			set[1].revents = 0;
			outcome = GO_ON;
		}
	}
	return outcome;
}

int console_run(int terminal, int log, const char *name)
{
	enum outcome outcome;

	if (terminal < 0 || log < 0) {
		(void)fprintf(stderr, "hvctl: the manager sent no terminal: see its log\n");
		return EXIT_ERROR;
	}
	(void)fprintf(stderr, "Console of %s; Ctrl-] detaches.\n", name);
	show_tail(log);
	make_raw();
	outcome = pass(terminal);
	restore();
	switch (outcome) {
	case DETACHED:
		(void)fprintf(stderr, "\nDetached.\n");
		return EXIT_OK;
	case OUTPUT_GONE:
		(void)fprintf(stderr, "hvctl: cannot write the output\n");
		return EXIT_ERROR;
	default:
		(void)fprintf(stderr, "\n%s is off.\n", name);
		return EXIT_OK;
	}
}
