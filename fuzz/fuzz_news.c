// SPDX-License-Identifier: MIT
/*
 * What the manager hears of its processes (hv/host/vmmgr/process_news.c), and what it makes of it (hv/host/vmmgr/vm.c). Input: a script of
 * what processes say, in any order and malformed, write on their logs and die of; of operators, of time, of what fails. Processes,
 * descriptors and files are this file's. Checked: a process changes its own status and nobody else's, or is killed; what people read is
 * printable, and bounded; a guest's reports are, too; a machine at rest holds nothing; every machine ends, whoever does not leave.
 */
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fuzz/ipc_fds.h"
#include "fuzz/oracle.h"
#include "hv/host/vmmgr/agent.h"
#include "hv/host/vmmgr/cgroup.h"
#include "hv/host/vmmgr/vswitch.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

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

static bool fails(uint32_t *countdown)
{
	return *countdown != 0 && --*countdown == 0;
}

static int new_fd(void)
{
	for (int fd = FD_FREE; fd < FD_END; fd++) {
		if (!is_open[fd - FD_FIRST]) {
			is_open[fd - FD_FIRST] = true;
			return fd;
		}
	}
	return -1;
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
	m->type = procmsg_check(m->bytes, m->size, m->fd_count, &m->why);
	if (m->type == PM_NONE) {
		ipc_drop_fds(m);
		errno = EBADMSG;
		return -1;
	}
	return 1;
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

/* ---- checks ---- */

static void check_text(const char *text, size_t room)
{
	ORACLE(memchr(text, '\0', room) != NULL, "a text without an end");
	for (; *text != '\0'; text++) {
		ORACLE(*text >= ' ' && *text <= '~', "what people read is not printable");
	}
}

static void check(void)
{
	for (struct vm *vm = vm_first(); vm != NULL; vm = vm->next) {
		bool rest = vm->state == VM_OFF || vm->state == VM_FAILED || vm->state == VM_PAUSE;

		check_text(vm->reason, sizeof(vm->reason));
		check_text(vm->status.worker.text, sizeof(vm->status.worker.text));
		ORACLE(rest == (vm->partition.fd < 0) && rest == (vm->process_count == 0) &&
			       rest == (vm->files.log < 0),
		       "what a machine holds");
		ORACLE((vm->state != VM_RUNNING && vm->state != VM_HALTED) ||
			       vm->process[0].state == PROCESS_READY,
		       "a machine without its worker");
		for (uint32_t i = 0; i < vm->process_count; i++) {
			struct process *p = &vm->process[i];

			check_text(p->name, sizeof(p->name));
			ORACLE(process_lives(p) == (p->exit.fd >= 0), "a process without its end");
			ORACLE(p->state != PROCESS_NONE || vm->state == VM_ENDING ||
				       vm->state == VM_STARTING,
			       "a process is forgotten");
		}
	}
	for (unsigned i = 0; i < SLOTS; i++) {
		struct process *p = slot[i].p;

		/* Whom the manager does not hear any more it has killed. */
		ORACLE(p == NULL || p->exit.fd < 0 || p->control.fd >= 0 || slot[i].killed ||
			       slot[i].dead,
		       "a process that nobody hears");
	}
}

static void run_timers(void)
{
	for (unsigned i = 0; i < TIMERS; i++) {
		struct timer *t = armed[i];

		if (t != NULL && t->at_ms <= now) {
			timer_cancel(t);
			t->fire(t);
			check();
		}
	}
}

/* ---- what processes do ---- */

/* Those that are not its to send it is killed for. */
static bool may_send(const struct process *p, uint32_t type)
{
	static const uint32_t own[PROGRAMS] = {
		[PROGRAM_WORKER] = PM_STATUS_WORKER, [PROGRAM_STORVSP] = PM_STATUS_DISK,
		[PROGRAM_NETVSP] = PM_STATUS_NET,    [PROGRAM_IC] = PM_STATUS_IC,
		[PROGRAM_HVSOCK] = PM_REPORT_WANTED, [PROGRAM_CONSOLE] = PM_STATUS_CONSOLE,
		[PROGRAM_VSWITCH] = PM_STATUS_NET,
	};

	return type == PM_READY
		       ? p->state == PROCESS_STARTING
		       : p->state == PROCESS_READY && (p->vm == NULL || type == own[p->program]);
}

static bool same_but(const struct vm_status *a, const struct vm_status *b, enum program p,
		     uint32_t index)
{
	struct vm_status masked = *b;

	switch (p) {
	case PROGRAM_WORKER:
		masked.worker = a->worker;
		break;
	case PROGRAM_STORVSP:
		masked.disk = a->disk;
		break;
	case PROGRAM_NETVSP:
		masked.net[index] = a->net[index];
		break;
	case PROGRAM_IC:
		masked.ic = a->ic;
		break;
	case PROGRAM_CONSOLE:
		masked.console = a->console;
		break;
	default:
		break;
	}
	return memcmp(a, &masked, sizeof(masked)) == 0;
}

/* One message comes in, and the manager hears it. */
static void hear(struct slot *s)
{
	struct process *p = s->p;
	struct vm *vm = p->vm;
	const struct pm_header *h = (const void *)s->inbox[s->head % INBOX].bytes;
	uint32_t n = s->head % INBOX;
	const char *why;
	struct vm_status was;
	bool legal = s->head != s->tail &&
		     procmsg_check(s->inbox[n].bytes, s->inbox[n].size, s->inbox[n].fd >= 0,
				   &why) != PM_NONE &&
		     may_send(p, h->type);

	if (p->control.fd < 0) {
		return;
	}
	if (vm != NULL) {
		was = vm->status;
	}
	s->heard = (s->second == now / 1000 ? s->heard : 0) + (s->head != s->tail);
	s->second = now / 1000;
	ORACLE(s->heard <= 64 + 1, "a process keeps the manager busy");
	p->control.ready(&p->control, 1);
	if (vm != NULL) {
		ORACLE(same_but(&was, &vm->status, p->program, p->index),
		       "a process changes another's status");
		ORACLE(legal || memcmp(&was, &vm->status, sizeof(was)) == 0,
		       "a refused message is taken");
	}
	check();
}

static void push(struct slot *s, const void *bytes, uint32_t size, int fd)
{
	uint32_t n = s->tail % INBOX;

	if (s->tail - s->head == INBOX || s->dead || s->closed || s->p->control.fd < 0) {
		if (fd >= 0) {
			(void)close(fd);
		}
		return;
	}
	memcpy(s->inbox[n].bytes, bytes, size);
	s->inbox[n].size = size;
	s->inbox[n].fd = fd;
	s->tail++;
}

static struct slot *pick(unsigned arg)
{
	for (unsigned i = 0; i < SLOTS; i++) {
		struct slot *s = &slot[(arg + i) % SLOTS];

		if (s->p != NULL && !s->dead) {
			return s;
		}
	}
	return NULL;
}

/* how: 0 to 6 a type, 7 raw bytes; bit 3: shorter; bit 4: with a descriptor; bit 5: heard later; bits 6, 7: how often. */
static void says(struct script *in, struct slot *s)
{
	static const struct {
		uint32_t type, size;
	} kinds[] = {
		{ PM_READY, sizeof(struct pm_plain) },
		{ PM_STATUS_WORKER, sizeof(struct pm_status_worker) },
		{ PM_STATUS_IC, sizeof(struct pm_status_ic) },
		{ PM_STATUS_NET, sizeof(struct pm_status_net) },
		{ PM_STATUS_DISK, sizeof(struct pm_status_disk) },
		{ PM_STATUS_CONSOLE, sizeof(struct pm_status_console) },
		{ PM_REPORT_WANTED, sizeof(struct pm_report_wanted) },
	};
	static const unsigned times[] = { 1, 3, 20, 70 };
	uint8_t bytes[256] = { 0 };
	unsigned how = (unsigned)script_take(in, 1);
	uint32_t size = 0;

	if ((how & 7) < 7) {
		struct pm_header h = { kinds[how & 7].type, kinds[how & 7].size };

		memcpy(bytes, &h, sizeof(h));
		size = h.size;
	}
	for (uint32_t at = size != 0 ? sizeof(struct pm_header) : 0;
	     at < (size != 0 ? size : sizeof(bytes)) && script_more(in); at++) {
		bytes[at] = oracle_tame((uint8_t)script_take(in, 1));
		size = size > at ? size : at + 1;
	}
	size -= size != 0 && (how & 8) != 0;
	for (unsigned i = 0; i < times[how >> 6]; i++) {
		push(s, bytes, size, (how & 0x10) != 0 ? new_fd() : -1);
	}
	while ((how & 0x20) == 0 && s->p != NULL && s->head != s->tail && s->p->control.fd >= 0) {
		hear(s);
	}
}

static void writes(struct script *in, struct slot *s, unsigned arg)
{
	if (s->p->log.fd < 0) {
		return;
	}
	s->log_size = 0;
	while (script_more(in) && s->log_size < LOG_MAX) {
		s->log[s->log_size++] = (char)oracle_tame((uint8_t)script_take(in, 1));
	}
	s->log_times = s->log_size == 0 ? 0 : (arg & 0x80) != 0 ? 100 : 1 + (arg >> 5 & 3);
	s->log_closed = (arg & 0x10) != 0;
	said = 0;
	while (s->p->log.fd >= 0 && s->log_times != 0 && (arg & 8) == 0) {
		s->p->log.ready(&s->p->log, 1);
	}
	if (s->p->log.fd >= 0 && (s->log_closed || (arg & 8) == 0)) {
		s->p->log.ready(&s->p->log, 1);
	}
	ORACLE(said <= 64 + 1, "lines without end");
	check();
}

/* It ends, and the manager sees that. */
static void dies(struct slot *s, unsigned arg)
{
	static const int signals[] = { SIGSEGV, SIGSYS, SIGKILL, SIGABRT, 77 };
	struct process *p = s->p;

	if ((arg & 0x80) != 0) { /* it does not, after all */
		p->exit.ready(&p->exit, 1);
		ORACLE(process_lives(p) || s->killed || s->told, "a living process is reaped");
		return;
	}
	s->dead = true;
	s->code = s->killed || (arg & 1) != 0 ? CLD_KILLED : CLD_EXITED;
	s->status = s->killed               ? SIGKILL
		    : s->code == CLD_KILLED ? signals[(arg >> 1) % 5]
					    : (int)(arg >> 1 & 3);
	s->log_times = s->log_times != 0 ? s->log_times : 0;
	said = 0;
	p->exit.ready(&p->exit, 1);
	ORACLE(said <= 64 + 8, "lines without end");
	while (s->head != s->tail) { /* nobody hears it any more */
		uint32_t n = s->head++ % INBOX;

		if (s->inbox[n].fd >= 0) {
			(void)close(s->inbox[n].fd);
		}
	}
	s->p = NULL;
	check();
}

/* ---- operators ---- */

static void operate(unsigned arg, unsigned more)
{
	static const char *const names[MACHINES] = { "a", "b" };
	static struct definition d;
	char why[400] = "";
	struct vm *vm = vm_find(names[arg % MACHINES]);
	bool good;

	switch (arg / MACHINES % 8) {
	case 0:
		memset(&d, 0, sizeof(d));
		(void)snprintf(d.name, sizeof(d.name), "%s", names[arg % MACHINES]);
		d.memory_mib = 64;
		d.vps = 1;
		d.disk_count = 1;
		d.nic_count = 2;
		good = vm_create(&d, (more & 1) != 0, why, sizeof(why));
		if (good && vm == NULL) {
			vm_find(d.name)->partition.number = 1 + arg % MACHINES;
		}
		break;
	case 1:
	case 2:
		good = vm == NULL || vm_start(vm, why, sizeof(why));
		break;
	case 3:
	case 4:
		good = vm == NULL || vm_stop(vm, more % 3 * 30, why, sizeof(why));
		break;
	case 5:
		good = vm == NULL || vm_kill(vm, why, sizeof(why));
		break;
	case 6:
		good = vm == NULL || vm_delete(vm, why, sizeof(why));
		for (unsigned i = 0; good && i < MACHINES; i++) {
			reports[i].vm = reports[i].vm == vm ? NULL : reports[i].vm;
		}
		break;
	default:
		good = vm_end_all() || true;
		break;
	}
	ORACLE(good || why[0] != '\0', "a refusal without a reason");
	oracle_said_text(why);
	check();
}

static void switch_starts(void)
{
	char why[100];

	if (!process_lives(&switch_process)) {
		process_make(&switch_process, PROGRAM_VSWITCH, NULL, 0);
		(void)launch(&switch_process, why, sizeof(why));
	}
}

static void fail(unsigned arg)
{
	static uint32_t *const what[] = { &fail_files, &fail_partition, &fail_launch, &fail_send,
					  &fail_agent, &fail_ports,     &fail_memory };

	if (arg % 8 == 7) {
		busy_till = now + DISKS_MS * (arg >> 3);
	} else {
		*what[arg % 8] = 1 + (arg >> 3) % 8;
		send_error = (arg & 0x80) != 0 ? EPIPE : EAGAIN;
	}
}

static void act(struct script *in)
{
	unsigned op = (unsigned)script_take(in, 1) % 12, arg = (unsigned)script_take(in, 1);
	struct slot *s = pick(arg);

	switch (op) {
	case 0:
	case 1:
		operate(arg, (unsigned)script_take(in, 1));
		break;
	case 2: /* all that start say READY */
		for (unsigned i = 0; i < SLOTS; i++) {
			struct pm_plain ready = { { PM_READY, sizeof(ready) } };

			if (slot[i].p != NULL && slot[i].p->state == PROCESS_STARTING &&
			    (arg == 0 || arg == i + 1)) {
				push(&slot[i], &ready, sizeof(ready), -1);
				hear(&slot[i]);
			}
		}
		break;
	case 3:
	case 4:
	case 5:
		if (s != NULL) {
			says(in, s);
		}
		break;
	case 6:
		if (s != NULL) {
			writes(in, s, (unsigned)script_take(in, 1));
		}
		break;
	case 7:
		if (s != NULL) {
			dies(s, (unsigned)script_take(in, 1));
		}
		break;
	case 8:
		now += arg * (uint64_t)(script_take(in, 1) + 1);
		run_timers();
		break;
	case 9:
		fail(arg);
		break;
	case 10:
		if (arg == 0) {
			switch_starts();
		} else if (s != NULL) { /* closes its end; or nothing, after all */
			s->closed |= (arg & 0x80) == 0;
			hear(s);
		}
		break;
	default: /* who was told to leave does */
		for (unsigned i = 0; i < SLOTS; i++) {
			if (slot[i].p != NULL && (slot[i].killed || slot[i].told)) {
				dies(&slot[i], 0);
			}
		}
		break;
	}
}

/* The manager ends: so does every machine, also where nobody leaves who is not killed. */
static void finish(void)
{
	fail_files = fail_partition = fail_launch = fail_send = fail_agent = fail_ports =
		fail_memory = 0;
	(void)vm_end_all();
	for (unsigned turn = 0; turn < 2000 && !vm_end_all(); turn++) {
		now += 100;
		run_timers();
		for (unsigned i = 0; i < SLOTS; i++) {
			if (slot[i].p != NULL && slot[i].killed) {
				dies(&slot[i], 0);
			}
		}
	}
	ORACLE(vm_end_all(), "a machine that does not end");
	while (vm_first() != NULL) {
		char why[400];

		ORACLE(vm_delete(vm_first(), why, sizeof(why)), "a machine that stays");
	}
	if (process_lives(&switch_process)) {
		process_kill(&switch_process);
	}
	for (unsigned i = 0; i < SLOTS; i++) {
		if (slot[i].p != NULL) {
			ORACLE(slot[i].p == &switch_process, "a process outlives its machine");
			dies(&slot[i], 0);
		}
	}
	for (unsigned i = 0; i < TIMERS; i++) {
		ORACLE(armed[i] == NULL, "a timer of nobody");
	}
	for (int fd = FD_FIRST; fd < FD_END; fd++) {
		ORACLE(!is_open[fd - FD_FIRST], "a descriptor was not closed");
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct script all = { data, size, 0 }, s;

	for (unsigned i = 0; i < SLOTS; i++) {
		slot[i].p = NULL;
	}
	memset(armed, 0, sizeof(armed));
	memset(reports, 0, sizeof(reports));
	process_make(&switch_process, PROGRAM_VSWITCH, NULL, 0);
	now = 1000000;
	busy_till = 0;
	send_error = EAGAIN;
	for (unsigned i = 0; i < 200 && script_action(&all, &s); i++) {
		act(&s);
	}
	finish();
	return 0;
}

FUZZ_QUIET_END
