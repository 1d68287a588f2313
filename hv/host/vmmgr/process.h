/* SPDX-License-Identifier: MIT */
#ifndef HV_HOST_VMMGR_PROCESS_H
#define HV_HOST_VMMGR_PROCESS_H
/* One process of the root: started, listened to, reaped. What its news mean is said by its owner (vm.h, vswitch.h). */
#include "hv/host/lib/ipc.h"
#include "hv/host/vmmgr/definition.h"
#include "hv/host/vmmgr/loop.h"

#include <stddef.h>
#include <sys/types.h>

enum program {
	PROGRAM_WORKER,
	PROGRAM_STORVSP,
	PROGRAM_NETVSP,
	PROGRAM_IC,
	PROGRAM_HVSOCK,
	PROGRAM_CONSOLE,
	PROGRAM_VSWITCH,
	PROGRAMS,
};

enum process_state {
	PROCESS_NONE,     /* does not run and is not to */
	PROCESS_STARTING, /* configured, not READY yet */
	PROCESS_READY,
	PROCESS_WAITING, /* died, starts again in a moment */
};

#define PROCESS_LINE_MAX 240
#define PROCESS_DEATHS 5
#define PROCESS_DEATHS_MS 60000u

struct vm;

struct process {
	enum program program;
	enum process_state state;
	struct vm *vm;   /* NULL: the switch */
	uint32_t index;  /* which NIC */
	uint32_t socket; /* which of the worker's sockets */
	char name[DEFINITION_NAME_MAX + 24];
	pid_t pid;
	uid_t uid;       /* also the number of its control group */
	uint64_t budget; /* bytes of memory of that; set by the owner */
	struct source control, log, exit;
	struct timer timer; /* must be READY by then; or starts again then */
	int kept;           /* memory that outlives it, or -1 */
	int worker_end;     /* of its socket, until the worker has it */
	uint64_t ready_ms;  /* when */
	uint64_t death_ms[PROCESS_DEATHS];
	uint32_t deaths;             /* in all */
	char line[PROCESS_LINE_MAX]; /* what it is saying */
	uint32_t line_used;
	uint32_t log_credit; /* lines that it may still say now */
	uint64_t log_ms;
	uint64_t log_dropped;
	uint64_t second; /* of its messages, and how many in it */
	uint32_t messages;
	char last[PROCESS_LINE_MAX]; /* the last that it said */
};

/* Opens the programs in a folder; false after saying what is missing. */
bool process_programs(const char *folder);
const char *process_program_name(enum program p);
/* Tests: leave out a rule of a program's sandbox. "storvsp:3"; false: nonsense. */
bool process_test_without(const char *text);

void process_init(struct process *p, enum program program, struct vm *vm, uint32_t index);
/* Starts it with its configuration. false: *why is a line for people. */
bool process_launch(struct process *p, enum pm_type type, void *config, uint32_t size,
		    const int *fds, uint32_t fd_count, char *why, size_t room);

/* process_news.c: what it says, and its end. */
/* It is being started: from now on its sources are heard. */
void process_hears(struct process *p);
/* It was started: it has to say READY in time. */
void process_begins(struct process *p);
/* false: it does not read; the caller decides what that means. */
bool process_send(struct process *p, enum pm_type type, void *message, uint32_t size,
		  const int *fds, uint32_t fd_count);
void process_kill(struct process *p);
/* It broke the rules of its socket: killed, and heard no more. What it has said meanwhile is worth no line of the log. */
void process_distrust(struct process *p);
bool process_lives(const struct process *p);
/* Milliseconds to wait before starting it again, or -1: it died too often. Called once for each death. */
int process_backoff(struct process *p);

/* A line in the manager's log. */
__attribute__((format(printf, 1, 2))) void say(const char *format, ...);

#endif
