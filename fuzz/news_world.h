/* SPDX-License-Identifier: MIT */
#ifndef FUZZ_NEWS_WORLD_H
#define FUZZ_NEWS_WORLD_H
/* What the manager stands on, for fuzz/fuzz_news.c: its processes, their sockets and logs, files, partitions, timers. A call fails when its countdown is over. */
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fuzz/fds.h"
#include "fuzz/ipc_fds.h"
#include "fuzz/oracle.h"
#include "hv/host/vmmgr/agent.h"
#include "hv/host/vmmgr/cgroup.h"
#include "hv/host/vmmgr/vswitch.h"

#define MACHINES 2u
#define SLOTS 20u
#define INBOX 80u
#define LOG_MAX 300u
#define TIMERS 64u
#define DISKS_MS 3000u /* so long may the kernel have I/O of a dead process under way */
enum {
	FD_FIRST = 5000,
	FD_SLOTS = FD_FIRST,
	FD_FREE = FD_SLOTS + 3 * SLOTS,
	FD_END = FD_FREE + 2000
};

static bool is_open[FD_END - FD_FIRST];
static uint64_t now;
struct inbox {
	uint8_t bytes[256];
	uint32_t size;
	int fd; /* with it, or -1 */
};
static struct inbox inboxes[SLOTS][INBOX];
static char logs[SLOTS][LOG_MAX];
static struct slot {       /* a process */
	struct process *p; /* NULL: none */
	bool killed, told; /* by SIGKILL; to leave */
	bool dead;
	int code, status;    /* of its end */
	struct inbox *inbox; /* INBOX of them */
	uint32_t head, tail;
	uint64_t second; /* and how many of its messages were heard in it */
	uint32_t heard;
	bool closed; /* its end of the control socket */
	char *log;   /* LOG_MAX bytes */
	uint32_t log_size, log_times;
	bool log_closed;
} slot[SLOTS];
static struct timer *armed[TIMERS];
static struct process switch_process;
static uint32_t fail_files, fail_partition, fail_launch, fail_send, fail_agent, fail_ports,
	fail_memory; /* countdowns */
static int send_error;
static uint64_t busy_till; /* the disks */
static uint32_t said;      /* lines of this action */
static struct {
	const struct vm *vm;
	uint64_t first;
	uint32_t count;
} reports[MACHINES]; /* of a machine's life */

FUZZ_QUIET_BEGIN

static int new_fd(void)
{
	return fds_open(is_open, FD_FIRST, FD_FREE, FD_END);
}

static struct slot *slot_of(int fd, int which)
{
	ORACLE(fd >= FD_SLOTS && fd < FD_FREE && (fd - FD_SLOTS) % 3 == which &&
		       is_open[fd - FD_FIRST],
	       "a descriptor that is none of a process");
	return &slot[(fd - FD_SLOTS) / 3];
}

/* ---- system calls ---- */

long __real_syscall(long number, ...);
long __wrap_syscall(long number, long a, long b, long c, long d, long e, long f);

long __wrap_syscall(long number, long a, long b, long c, long d, long e, long f)
{
	if (number != __NR_pidfd_send_signal) {
		return __real_syscall(number, a, b, c, d, e, f);
	}
	ORACLE(b == SIGKILL && slot_of((int)a, 2)->p != NULL, "a signal to nobody");
	slot_of((int)a, 2)->killed = true;
	return 0;
}

void *__real_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size);

void *__wrap_calloc(size_t n, size_t size)
{
	return size == sizeof(struct vm) && fails(&fail_memory) ? NULL : __real_calloc(n, size);
}

int close(int fd)
{
	if (fd < FD_FIRST || fd >= FD_END) {
		return (int)__real_syscall(SYS_close, fd);
	}
	ORACLE(is_open[fd - FD_FIRST], "a descriptor is closed twice");
	is_open[fd - FD_FIRST] = false;
	return 0;
}

ssize_t read(int fd, void *to, size_t size)
{
	struct slot *s;

	if (fd < FD_FIRST || fd >= FD_END) {
		return __real_syscall(SYS_read, fd, to, size);
	}
	s = slot_of(fd, 1);
	oracle_room(to, size);
	if (s->log_times == 0) {
		errno = EAGAIN;
		return s->log_closed ? 0 : -1;
	}
	s->log_times--;
	size = s->log_size < size ? s->log_size : size;
	memcpy(to, s->log, size);
	return (ssize_t)size;
}

int waitid(idtype_t type, id_t id, siginfo_t *info, int options)
{
	struct slot *s = slot_of((int)id, 2);

	ORACLE(type == P_PIDFD && (options & WNOHANG) != 0, "another wait");
	memset(info, 0, sizeof(*info));
	if (s->dead) {
		info->si_pid = 77;
		info->si_code = s->code;
		info->si_status = s->status;
	}
	return 0;
}

/* ---- sockets ---- */

int ipc_receive(int socket, struct ipc_message *m)
{
	struct slot *s = slot_of(socket, 0);
	uint32_t n = s->head % INBOX;

	ipc_drop_fds(m);
	m->type = PM_NONE;
	if (s->head == s->tail) {
		errno = EAGAIN;
		return s->closed || s->dead ? 0 : -1;
	}
	s->head++;
	m->size = s->inbox[n].size;
	memcpy(m->bytes, s->inbox[n].bytes, m->size);
	m->fds[0] = s->inbox[n].fd;
	m->fd_count = m->fds[0] >= 0;
	return ipc_judge(m);
}

int ipc_send(int socket, enum pm_type type, void *message, uint32_t size, const int *fds,
	     uint32_t fd_count)
{
	struct slot *s = slot_of(socket, 0);
	struct pm_header h = { (uint32_t)type, size };
	const char *why;

	memcpy(message, &h, sizeof(h));
	ORACLE(procmsg_check(message, size, fd_count, &why) == type,
	       "a malformed message to a process");
	oracle_clean(message, size);
	for (uint32_t i = 0; i < fd_count; i++) {
		ORACLE(fds[i] >= FD_FREE && is_open[fds[i] - FD_FIRST], "another descriptor");
	}
	if (fails(&fail_send) || s->dead) {
		errno = s->dead ? EPIPE : send_error;
		return -1;
	}
	s->told |= type == PM_STOP;
	return 0;
}

/* ---- the manager's other parts ---- */

void say(const char *format, ...)
{
	char text[600];
	va_list list;

	va_start(list, format);
	(void)vsnprintf(text, sizeof(text), format, list);
	va_end(list);
	oracle_said_text(text);
	said++;
}

uint64_t loop_now_ms(void)
{
	return now;
}

void source_remove(struct source *s)
{
	if (s->fd >= 0) {
		(void)close(s->fd);
		s->fd = -1;
	}
}

void timer_cancel(struct timer *t)
{
	for (unsigned i = 0; i < TIMERS; i++) {
		armed[i] = armed[i] == t ? NULL : armed[i];
	}
	t->armed = false;
}

void timer_set(struct timer *t, uint32_t after_ms, void (*fire)(struct timer *t))
{
	unsigned i = 0;

	timer_cancel(t);
	while (i < TIMERS && armed[i] != NULL) {
		i++;
	}
	ORACLE(i < TIMERS, "timers without end");
	*t = (struct timer){ .armed = true, .at_ms = now + after_ms, .fire = fire };
	armed[i] = t;
}

const char *process_program_name(enum program p)
{
	static const char *const names[PROGRAMS] = { "vmworker", "storvsp", "netvsp", "ic",
						     "hvsock",   "console", "vswitch" };

	return names[p];
}

void cgroup_remove(uint32_t number)
{
	(void)number;
}

void server_vm_changed(struct vm *vm)
{
	oracle_said_text(vm_state_name(vm->state));
	oracle_said_text(vm->reason);
}

static bool refuse(char *why, size_t room)
{
	(void)snprintf(why, room, "refused by the test");
	return false;
}

bool partition_create(struct partition *p, uint64_t memory_bytes, uint32_t vps, uint32_t weight,
		      char *why, size_t room)
{
	(void)memory_bytes;
	(void)vps;
	(void)weight;
	ORACLE(p->fd < 0 && p->memory < 0, "a second partition");
	if (fails(&fail_partition)) {
		return refuse(why, room);
	}
	p->fd = new_fd();
	p->memory = new_fd();
	return true;
}

void partition_stop(const struct partition *p)
{
	ORACLE(p->fd >= 0, "no partition");
}

void partition_drop(struct partition *p)
{
	if (p->fd >= 0) {
		(void)close(p->fd);
		(void)close(p->memory);
	}
	p->fd = p->memory = -1;
}

void vm_files_none(struct vm *vm)
{
	vm->files.log = -1;
}

bool vm_files_open(struct vm *vm, char *why, size_t room)
{
	ORACLE(vm->files.log < 0, "files are opened twice");
	if (fails(&fail_files)) {
		return refuse(why, room);
	}
	vm->files.log = new_fd();
	return true;
}

void vm_files_close(struct vm *vm)
{
	if (vm->files.log >= 0) {
		(void)close(vm->files.log);
	}
	vm->files.log = -1;
}

bool vm_files_disks_quiet(const struct vm *vm)
{
	(void)vm;
	return now >= busy_till;
}

void vm_record_end(struct vm *vm)
{
	if (vm->recorder >= 0) {
		(void)close(vm->recorder);
	}
	vm->recorder = -1;
}

bool vswitch_need(const char *uplink, char *why, size_t room)
{
	(void)uplink;
	return !fails(&fail_ports) || refuse(why, room);
}

bool vswitch_port_add(struct vm *vm, uint32_t nic, char *why, size_t room)
{
	if (fails(&fail_ports)) {
		return refuse(why, room);
	}
	vm->port[nic].used = true;
	return true;
}

void vswitch_port_remove(struct vm *vm, uint32_t nic)
{
	vm->port[nic].used = false;
}

void vswitch_ready(void)
{
	ORACLE(switch_process.state == PROCESS_READY, "a switch that is not ready");
}

void vswitch_gone(const char *how)
{
	ORACLE(switch_process.state == PROCESS_NONE && how[0] != '\0', "a switch that is not gone");
}

/* Of one machine's life not more than at once and then one in a while. */
int agent_ask(uint64_t partition, const struct pm_report_wanted *m, enum pm_report_error *error)
{
	unsigned i = 0;

	(void)m;
	for (struct vm *vm = vm_first(); vm != NULL; vm = vm->next) {
		if (vm->partition.number == partition) {
			while (i < MACHINES - 1 && reports[i].vm != NULL && reports[i].vm != vm) {
				i++;
			}
			if (reports[i].vm != vm) {
				reports[i].vm = vm;
				reports[i].first = now;
				reports[i].count = 0;
			}
			reports[i].count++;
			ORACLE(reports[i].count <=
				       VM_REPORTS_BURST + (now - reports[i].first) / VM_REPORT_MS,
			       "a guest wants reports without end");
		}
	}
	*error = fails(&fail_agent) ? PM_REPORT_NO_AGENT : PM_REPORT_GOOD;
	return *error == PM_REPORT_GOOD ? new_fd() : -1;
}

/* ---- processes ---- */

static bool launch(struct process *p, char *why, size_t room)
{
	unsigned i = 0;

	ORACLE(!process_lives(p), "a process is started twice");
	while (i < SLOTS && slot[i].p != NULL) {
		i++;
	}
	if (i == SLOTS || fails(&fail_launch)) {
		return refuse(why, room);
	}
	slot[i] = (struct slot){ .p = p, .inbox = inboxes[i], .log = logs[i] };
	for (int k = 0; k < 3; k++) {
		is_open[FD_SLOTS - FD_FIRST + 3 * i + k] = true;
	}
	p->control.fd = FD_SLOTS + (int)(3 * i);
	p->log.fd = p->control.fd + 1;
	p->exit.fd = p->control.fd + 2;
	p->pid = 77;
	(void)snprintf(p->name, sizeof(p->name), "%s/%s",
		       p->vm != NULL ? p->vm->definition.name : "",
		       process_program_name(p->program));
	process_hears(p);
	process_begins(p);
	return true;
}

bool vm_launch_device(struct vm *vm, struct process *p, bool again, char *why, size_t room)
{
	(void)vm;
	(void)again;
	if ((p->program == PROGRAM_STORVSP || p->program == PROGRAM_NETVSP) && p->kept < 0) {
		p->kept = new_fd();
	}
	if (!launch(p, why, room)) {
		return false;
	}
	ORACLE(p->worker_end < 0, "a socket of the process before");
	p->worker_end = p->program != PROGRAM_CONSOLE ? new_fd() : -1;
	return true;
}

bool vm_launch_worker(struct vm *vm, char *why, size_t room)
{
	for (uint32_t i = VM_DEVICES_FIRST; i < vm->process_count; i++) {
		ORACLE(vm->process[i].state == PROCESS_READY, "a worker before its devices");
	}
	if (!launch(&vm->process[0], why, room)) {
		return false;
	}
	for (uint32_t i = VM_DEVICES_FIRST; i < vm->process_count; i++) {
		if (vm->process[i].worker_end >= 0) {
			(void)close(vm->process[i].worker_end);
		}
		vm->process[i].worker_end = -1;
	}
	return true;
}

static void process_make(struct process *p, enum program program, struct vm *vm, uint32_t index)
{
	memset(p, 0, sizeof(*p));
	p->program = program;
	p->vm = vm;
	p->index = index;
	p->control.fd = p->log.fd = p->exit.fd = p->kept = p->worker_end = -1;
}

void vm_processes(struct vm *vm)
{
	static const enum program programs[] = { PROGRAM_WORKER, PROGRAM_STORVSP, PROGRAM_NETVSP,
						 PROGRAM_NETVSP, PROGRAM_IC,      PROGRAM_HVSOCK,
						 PROGRAM_CONSOLE };

	vm->process_count = sizeof(programs) / sizeof(programs[0]);
	for (uint32_t i = 0; i < vm->process_count; i++) {
		process_make(&vm->process[i], programs[i], vm, i == 3);
		vm->process[i].socket = i - VM_DEVICES_FIRST;
	}
}

FUZZ_QUIET_END

#endif
