/* SPDX-License-Identifier: MIT */
#include "hv/host/vmmgr/process.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "hv/host/vmmgr/cgroup.h"
#include "hv/host/vmmgr/spawn.h"
#include "hv/host/vmmgr/vm.h"
#include "hv/host/vmmgr/vswitch.h"

#define UID_FIRST 61000u
#define UID_LAST 64999u
#define TASKS_MAX 4
/* The kernel's threads of its io_uring are its own. */
#define TASKS_STORVSP 40

struct program_row {
	const char *name;
	int fd;
	int without;
};

static struct program_row programs[PROGRAMS] = {
	[PROGRAM_WORKER] = { "vmworker", -1, -1 }, [PROGRAM_STORVSP] = { "storvsp", -1, -1 },
	[PROGRAM_NETVSP] = { "netvsp", -1, -1 },   [PROGRAM_IC] = { "ic", -1, -1 },
	[PROGRAM_HVSOCK] = { "hvsock", -1, -1 },   [PROGRAM_CONSOLE] = { "console", -1, -1 },
	[PROGRAM_VSWITCH] = { "vswitch", -1, -1 },
};

static uid_t next_uid = UID_FIRST;

void say(const char *format, ...)
{
	char text[512];
	va_list list;

	va_start(list, format);
	(void)vsnprintf(text, sizeof(text), format, list);
	va_end(list);
	for (char *c = text; *c != '\0'; c++) {
		if (*c < ' ' || *c > '~') {
			*c = '?';
		}
	}
	(void)fprintf(stderr, "vmmgr: %s\n", text);
}

const char *process_program_name(enum program p)
{
	return programs[p].name;
}

bool process_programs(const char *folder)
{
	int at = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
	bool good = true;

	if (at < 0) {
		say("%s: %s: name the folder of the programs with --programs", folder,
		    strerror(errno));
		return false;
	}
	for (int i = 0; i < PROGRAMS; i++) {
		programs[i].fd = openat(at, programs[i].name, O_RDONLY | O_CLOEXEC);
		if (programs[i].fd < 0) {
			say("%s/%s: %s: install it, or name the folder with --programs", folder,
			    programs[i].name, strerror(errno));
			good = false;
		}
	}
	(void)close(at);
	return good;
}

bool process_test_without(const char *text)
{
	for (int i = 0; i < PROGRAMS; i++) {
		size_t length = strlen(programs[i].name);
		char *end;
		long rule;

		if (strncmp(text, programs[i].name, length) != 0 || text[length] != ':') {
			continue;
		}
		errno = 0;
		rule = strtol(text + length + 1, &end, 10);
		if (errno != 0 || *end != '\0' || end == text + length + 1 || rule < 0 ||
		    rule > 1000) {
			return false;
		}
		programs[i].without = (int)rule;
		return true;
	}
	return false;
}

void process_init(struct process *p, enum program program, struct vm *vm, uint32_t index)
{
	memset(p, 0, sizeof(*p));
	p->program = program;
	p->vm = vm;
	p->index = index;
	p->control.fd = -1;
	p->log.fd = -1;
	p->exit.fd = -1;
	p->kept = -1;
	p->worker_end = -1;
}

static void name_process(struct process *p)
{
	const char *program = programs[p->program].name;

	if (p->vm == NULL) {
		(void)snprintf(p->name, sizeof(p->name), "%s", program);
	} else if (p->program == PROGRAM_NETVSP) {
		(void)snprintf(p->name, sizeof(p->name), "%s/%s%u", p->vm->definition.name, program,
			       p->index);
	} else {
		(void)snprintf(p->name, sizeof(p->name), "%s/%s", p->vm->definition.name, program);
	}
}

/* ---- its start ---- */

/* An identity that no living process has: every process of the manager is in one of few tables, so a long cycle will do. */
static uid_t take_uid(void)
{
	uid_t uid = next_uid;

	next_uid = next_uid == UID_LAST ? UID_FIRST : next_uid + 1;
	return uid;
}

static bool start(struct process *p, int control[2], int log[2], char *why, size_t room)
{
	struct spawn s = {
		.name = programs[p->program].name,
		.program = programs[p->program].fd,
		.log = log[1],
		.control = control[1],
		.cgroup = -1,
		.without = programs[p->program].without,
	};
	int pidfd = -1;

	p->uid = take_uid();
	s.uid = p->uid;
	s.cgroup = cgroup_create(p->uid, p->budget,
				 p->program == PROGRAM_STORVSP ? TASKS_STORVSP : TASKS_MAX);
	if (s.cgroup < 0 && errno != 0) {
		(void)snprintf(why, room, "%s: control group: %s", p->name, strerror(errno));
		return false;
	}
	p->pid = spawn_process(&s, &pidfd);
	if (p->pid < 0) {
		(void)snprintf(why, room, "%s: clone: %s", p->name, strerror(errno));
	}
	if (s.cgroup >= 0) {
		(void)close(s.cgroup);
	}
	if (p->pid < 0) {
		cgroup_remove(p->uid);
		p->pid = 0;
		return false;
	}
	(void)fcntl(log[0], F_SETFL, O_NONBLOCK);
	process_hears(p);
	if (!source_add(&p->exit, pidfd, EPOLLIN)) {
		/* Without it the end is never seen: descriptors ran out, nothing works any more. */
		say("%s: epoll: %s", p->name, strerror(errno));
		_exit(1);
	}
	(void)source_add(&p->control, control[0], EPOLLIN);
	(void)source_add(&p->log, log[0], EPOLLIN);
	return true;
}

bool process_launch(struct process *p, enum pm_type type, void *config, uint32_t size,
		    const int *fds, uint32_t fd_count, char *why, size_t room)
{
	int control[2] = { -1, -1 }, log[2] = { -1, -1 };
	bool good;

	name_process(p);
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, control) != 0 ||
	    pipe2(log, O_CLOEXEC) != 0) {
		(void)snprintf(why, room, "%s: descriptors: %s", p->name, strerror(errno));
		if (control[0] >= 0) {
			(void)close(control[0]);
			(void)close(control[1]);
		}
		return false;
	}
	/* The configuration waits in the socket for the process that is to come. */
	good = ipc_send(control[0], type, config, size, fds, fd_count) == 0;
	if (!good) {
		(void)snprintf(why, room, "%s: configuration: %s", p->name, strerror(errno));
	}
	good = good && start(p, control, log, why, room);
	if (!good) {
		(void)close(control[0]);
		(void)close(log[0]);
	}
	(void)close(control[1]);
	(void)close(log[1]);
	if (good) {
		process_begins(p);
	}
	return good;
}
