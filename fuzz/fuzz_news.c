// SPDX-License-Identifier: MIT
/*
 * What the manager hears of its processes (hv/host/vmmgr/process_news.c), and what it makes of it (hv/host/vmmgr/vm.c). Input: a script of
 * what processes say, in any order and malformed, write on their logs and die of; of operators, of time, of what fails. Processes,
 * descriptors and files are this file's. Checked: a process changes its own status and nobody else's, or is killed; what people read is
 * printable, and bounded; a guest's reports are, too; a machine at rest holds nothing; every machine ends, whoever does not leave.
 */
#include "fuzz/news_world.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

FUZZ_QUIET_BEGIN

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
