/* SPDX-License-Identifier: MIT */
/* What a process of the root says, and how it ends. Trust: nothing that comes from it. */
#include "hv/host/vmmgr/process.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "hv/host/vmmgr/cgroup.h"
#include "hv/host/vmmgr/vm.h"
#include "hv/host/vmmgr/vswitch.h"

/* Software emulation with a loaded host is slow to start anything. */
#define READY_MS 60000
#define LOG_BURST 64u
/* Every process has news about once in a second. */
#define MESSAGES_PER_SECOND 64u
#define LOG_PER_SECOND 8u

bool process_lives(const struct process *p)
{
	return p->state == PROCESS_STARTING || p->state == PROCESS_READY;
}

void process_kill(struct process *p)
{
	if (process_lives(p)) {
		(void)syscall(__NR_pidfd_send_signal, p->exit.fd, SIGKILL, NULL, 0);
	}
}

void process_distrust(struct process *p)
{
	source_remove(&p->control);
	process_kill(p);
}

/* ---- what it says ---- */

static bool may_say(struct process *p)
{
	uint64_t now = loop_now_ms();
	uint64_t more = (now - p->log_ms) * LOG_PER_SECOND / 1000;

	if (more != 0) {
		p->log_credit = more > LOG_BURST - p->log_credit ? LOG_BURST
								 : p->log_credit + (uint32_t)more;
		p->log_ms = now;
	}
	if (p->log_credit == 0) {
		p->log_dropped++;
		return false;
	}
	p->log_credit--;
	if (p->log_dropped != 0) {
		say("%s: %llu lines dropped", p->name, (unsigned long long)p->log_dropped);
		p->log_dropped = 0;
	}
	return true;
}

/* Its program says its name itself; the manager says more than that. */
static const char *without_name(const struct process *p)
{
	size_t length = strlen(process_program_name(p->program));
	bool named = strncmp(p->line, process_program_name(p->program), length) == 0 &&
		     strncmp(p->line + length, ": ", 2) == 0;

	return named ? p->line + length + 2 : p->line;
}

static void line_ends(struct process *p)
{
	p->line[p->line_used] = '\0';
	if (p->line_used != 0) {
		const char *text = without_name(p);

		memcpy(p->last, text, strlen(text) + 1);
		if (may_say(p)) {
			say("%s: %s", p->name, text);
		}
	}
	p->line_used = 0;
}

/* Trust: a process may say anything, also without end: longer lines are cut. */
static void hear(struct process *p, const char *bytes, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (bytes[i] == '\n') {
			line_ends(p);
		} else if (p->line_used < sizeof(p->line) - 1) {
			p->line[p->line_used++] = bytes[i] >= ' ' && bytes[i] <= '~' ? bytes[i]
										     : '?';
		}
	}
}

static ssize_t read_log(struct process *p)
{
	char bytes[1024];
	ssize_t count = read(p->log.fd, bytes, sizeof(bytes));

	if (count > 0) {
		hear(p, bytes, (size_t)count);
	}
	return count;
}

static void log_ready(struct source *s, uint32_t events)
{
	struct process *p = OWNER(s, struct process, log);
	ssize_t count = read_log(p);

	(void)events;
	if (count == 0 || (count < 0 && errno != EAGAIN && errno != EINTR)) {
		source_remove(&p->log);
	}
}

/* ---- messages ---- */

static void deliver(struct process *p, const struct ipc_message *m)
{
	if (m->type == PM_READY && p->state == PROCESS_STARTING) {
		p->state = PROCESS_READY;
		p->ready_ms = loop_now_ms();
		timer_cancel(&p->timer);
		if (p->vm != NULL) {
			vm_process_ready(p);
		} else {
			vswitch_ready();
		}
	} else if (m->type == PM_READY || p->state != PROCESS_READY) {
		say("%s: message %d out of order: killed", p->name, (int)m->type);
		process_distrust(p);
	} else if (p->vm != NULL) {
		vm_process_message(p, m);
	}
}

/* A process that has gone mad must not keep the manager busy. */
static bool too_many(struct process *p)
{
	uint64_t second = loop_now_ms() / 1000;

	if (p->second != second) {
		p->second = second;
		p->messages = 0;
	}
	p->messages++;
	return p->messages > MESSAGES_PER_SECOND;
}

/* Takes one message. false: there is none. */
static bool take_message(struct process *p)
{
	static struct ipc_message m;
	int got = ipc_receive(p->control.fd, &m);

	if (got < 0 && errno == EAGAIN) {
		return false;
	}
	if (got <= 0 || too_many(p)) {
		if (got != 0) {
			say("%s: %s: killed", p->name, got < 0 ? m.why : "too many messages");
		}
		ipc_drop_fds(&m);
		/* Also where it has closed its end: without its manager it is of no use. */
		process_distrust(p);
		return false;
	}
	deliver(p, &m);
	ipc_drop_fds(&m);
	return p->control.fd >= 0;
}

static void control_ready(struct source *s, uint32_t events)
{
	(void)events;
	(void)take_message(OWNER(s, struct process, control));
}

/* ---- its end ---- */

static void describe(const siginfo_t *info, char *to, size_t room)
{
	if (info->si_code == CLD_EXITED) {
		(void)snprintf(to, room, "exit status %d", info->si_status);
	} else if (info->si_status == SIGSYS) {
		(void)snprintf(to, room, "killed by its sandbox (SIGSYS)");
	} else {
		const char *name = sigabbrev_np(info->si_status);

		(void)snprintf(to, room, "killed by SIG%s", name != NULL ? name : "?");
	}
}

static void reap(struct process *p, siginfo_t *info)
{
	char how[64], all[PROCESS_LINE_MAX + 80];

	/* Its last words come first. At most what a pipe holds. */
	while (p->control.fd >= 0 && take_message(p)) {
	}
	for (int i = 0; i < 64 && p->log.fd >= 0 && read_log(p) > 0; i++) {
	}
	line_ends(p);
	describe(info, how, sizeof(how));
	(void)snprintf(all, sizeof(all), "%s%s%s%s", how, p->last[0] != '\0' ? " (" : "", p->last,
		       p->last[0] != '\0' ? ")" : "");
	source_remove(&p->control);
	source_remove(&p->log);
	source_remove(&p->exit);
	timer_cancel(&p->timer);
	cgroup_remove(p->uid);
	p->state = PROCESS_NONE;
	p->pid = 0;
	if (p->vm != NULL) {
		vm_process_gone(p, all);
	} else {
		vswitch_gone(all);
	}
}

static void exit_ready(struct source *s, uint32_t events)
{
	struct process *p = OWNER(s, struct process, exit);
	siginfo_t info = { 0 };

	(void)events;
	if (waitid(P_PIDFD, (id_t)s->fd, &info, WEXITED | WNOHANG) == 0 && info.si_pid != 0) {
		reap(p, &info);
	}
}

static void not_ready(struct timer *t)
{
	struct process *p = OWNER(t, struct process, timer);

	say("%s: not READY after %d s: killed", p->name, READY_MS / 1000);
	(void)snprintf(p->last, sizeof(p->last), "not READY after %d s", READY_MS / 1000);
	process_kill(p);
}

int process_backoff(struct process *p)
{
	uint64_t now = loop_now_ms();
	uint32_t recent = 0;

	p->death_ms[p->deaths % PROCESS_DEATHS] = now;
	p->deaths++;
	for (uint32_t i = 0; i < PROCESS_DEATHS && i < p->deaths; i++) {
		recent += now - p->death_ms[i] < PROCESS_DEATHS_MS;
	}
	if (recent >= PROCESS_DEATHS) {
		return -1;
	}
	/* Where the worker ends its devices end too, and may be seen first: never at once. */
	return recent <= 1 ? 20 : 100 << (recent - 2);
}

void process_hears(struct process *p)
{
	p->last[0] = '\0';
	p->line_used = 0;
	p->log_credit = LOG_BURST;
	p->log_ms = loop_now_ms();
	p->control.ready = control_ready;
	p->log.ready = log_ready;
	p->exit.ready = exit_ready;
}

void process_begins(struct process *p)
{
	p->state = PROCESS_STARTING;
	timer_set(&p->timer, READY_MS, not_ready);
}

bool process_send(struct process *p, enum pm_type type, void *message, uint32_t size,
		  const int *fds, uint32_t fd_count)
{
	/* One that does not live has no socket. */
	return p->control.fd >= 0 &&
	       ipc_send(p->control.fd, type, message, size, fds, fd_count) == 0;
}
