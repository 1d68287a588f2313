// SPDX-License-Identifier: MIT
/*
 * The life of a machine: vm.c with everything around it played by the test: processes that say READY or die when the test
 * wants it, and a clock that it sets.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <unistd.h>

#include "hv/host/vmmgr/agent.h"
#include "hv/host/vmmgr/vswitch.h"

/* ---- the world ---- */

static uint64_t now_ms;
static uint32_t changes, ports, partitions, files, stops, asked, handed;
static bool no_partition, no_files, no_launch, deaf_worker;
static uint32_t launches_left; /* 0: any number */
static int backoff;
static struct timer *armed[32];

uint64_t loop_now_ms(void)
{
	return now_ms;
}

void timer_cancel(struct timer *t)
{
	t->armed = false;
}

void timer_set(struct timer *t, uint32_t after_ms, void (*fire)(struct timer *t))
{
	t->armed = true;
	t->at_ms = now_ms + after_ms;
	t->fire = fire;
	for (size_t i = 0; i < 32; i++) {
		if (armed[i] == t || armed[i] == NULL) {
			armed[i] = t;
			return;
		}
	}
	fail_msg("too many timers");
}

/* Time passes; what is due fires, in any order. */
static void pass(uint32_t ms)
{
	now_ms += ms;
	for (size_t i = 0; i < 32 && armed[i] != NULL; i++) {
		if (armed[i]->armed && armed[i]->at_ms <= now_ms) {
			armed[i]->armed = false;
			armed[i]->fire(armed[i]);
		}
	}
}

static char said[512]; /* the last line */

void say(const char *format, ...)
{
	va_list list;

	va_start(list, format);
	(void)vsnprintf(said, sizeof(said), format, list);
	va_end(list);
}

const char *process_program_name(enum program p)
{
	static const char *const names[] = { "vmworker", "storvsp", "netvsp", "ic",
					     "hvsock",   "console", "vswitch" };

	return names[p];
}

bool process_lives(const struct process *p)
{
	return p->state == PROCESS_STARTING || p->state == PROCESS_READY;
}

static bool killed[VM_PROCESSES], deaf[VM_PROCESSES];
static struct vm *vm;

static size_t slot(const struct process *p)
{
	return (size_t)(p - vm->process);
}

void process_kill(struct process *p)
{
	if (process_lives(p)) {
		killed[slot(p)] = true;
	}
}

void process_distrust(struct process *p)
{
	deaf[slot(p)] = true;
	process_kill(p);
}

static uint32_t reports;
static uint64_t report_of;
static struct pm_report reported;
static bool no_agent;

int agent_ask(uint64_t partition, const struct pm_report_wanted *m, enum pm_report_error *error)
{
	assert_int_equal(m->nonce_size, 16);
	*error = no_agent ? PM_REPORT_NO_AGENT : PM_REPORT_GOOD;
	reports += !no_agent;
	report_of = partition;
	return no_agent ? -1 : dup(0);
}

bool process_send(struct process *p, enum pm_type type, void *message, uint32_t size,
		  const int *fds, uint32_t fd_count)
{
	(void)fds;
	if (type == PM_REPORT) {
		assert_int_equal(size, sizeof(reported));
		memcpy(&reported, message, sizeof(reported));
		assert_int_equal(fd_count, reported.error == PM_REPORT_GOOD);
	}
	if (!process_lives(p)) {
		return false;
	}
	stops += type == PM_STOP;
	asked += type == PM_IC_SHUTDOWN;
	if (type == PM_DEVICE_AGAIN) {
		assert_ptr_equal(p, &vm->process[0]);
		assert_int_equal(fd_count, 1);
		handed++;
		return !deaf_worker;
	}
	return true;
}

int process_backoff(struct process *p)
{
	p->deaths++;
	return backoff;
}

bool partition_create(struct partition *p, uint64_t memory_bytes, uint32_t vps, uint32_t weight,
		      char *why, size_t room)
{
	assert_int_equal(memory_bytes, 64u << 20);
	assert_int_equal(vps, 1);
	assert_int_equal(weight, 100);
	if (no_partition) {
		(void)snprintf(why, room, "no memory: boot with more");
		return false;
	}
	partitions++;
	*p = (struct partition){ 1000, 1001, 1 };
	return true;
}

static uint32_t partition_stops;

void partition_stop(const struct partition *p)
{
	assert_int_equal(p->fd, 1000);
	partition_stops++;
}

void partition_drop(struct partition *p)
{
	partitions -= p->fd >= 0;
	p->fd = p->memory = -1;
}

void vm_files_none(struct vm *v)
{
	(void)v;
}

bool vm_files_open(struct vm *v, char *why, size_t room)
{
	(void)v;
	if (no_files) {
		(void)snprintf(why, room, "/k: missing");
		return false;
	}
	files++;
	return true;
}

void vm_files_close(struct vm *v)
{
	(void)v;
	files = 0;
}

static uint32_t busy_disks; /* looks until they are quiet */

bool vm_files_disks_quiet(const struct vm *v)
{
	/* Only asked when no storvsp lives. */
	for (uint32_t i = 0; i < v->process_count; i++) {
		assert_false(v->process[i].program == PROGRAM_STORVSP &&
			     process_lives(&v->process[i]));
	}
	if (busy_disks == 0) {
		return true;
	}
	busy_disks--;
	return false;
}

bool vswitch_need(const char *uplink, char *why, size_t room)
{
	(void)uplink;
	(void)why;
	(void)room;
	return true;
}

bool vswitch_port_add(struct vm *v, uint32_t nic, char *why, size_t room)
{
	(void)why;
	(void)room;
	v->port[nic].used = true;
	ports++;
	return true;
}

void vswitch_port_remove(struct vm *v, uint32_t nic)
{
	ports -= v->port[nic].used;
	v->port[nic].used = false;
}

static void init_process(uint32_t i, enum program program)
{
	struct process *p = &vm->process[i];

	memset(p, 0, sizeof(*p));
	p->program = program;
	p->vm = vm;
	p->kept = p->worker_end = -1;
	p->socket = i - 1;
}

void vm_processes(struct vm *v)
{
	vm = v;
	init_process(0, PROGRAM_WORKER);
	init_process(1, PROGRAM_STORVSP);
	init_process(2, PROGRAM_NETVSP);
	init_process(3, PROGRAM_IC);
	init_process(4, PROGRAM_CONSOLE);
	v->process_count = 5;
	memset(killed, 0, sizeof(killed));
	memset(deaf, 0, sizeof(deaf));
}

static uint32_t launches, restarts;

bool vm_launch_device(struct vm *v, struct process *p, bool again, char *why, size_t room)
{
	(void)v;
	if (no_launch || (launches_left != 0 && --launches_left == 0)) {
		(void)snprintf(why, room, "no launch");
		return false;
	}
	launches++;
	restarts += again;
	p->state = PROCESS_STARTING;
	killed[slot(p)] = false;
	/* A descriptor that may be closed. */
	p->worker_end = p->program != PROGRAM_CONSOLE ? 900 + (int)launches : -1;
	return true;
}

bool vm_launch_worker(struct vm *v, char *why, size_t room)
{
	(void)why;
	(void)room;
	for (uint32_t i = 1; i < v->process_count; i++) {
		assert_int_equal(v->process[i].state, PROCESS_READY);
		v->process[i].worker_end = -1;
	}
	launches++;
	v->process[0].state = PROCESS_STARTING;
	return true;
}

void server_vm_changed(struct vm *v)
{
	(void)v;
	changes++;
}

/* ---- the test ---- */

static char why[256];

static void ready(uint32_t i)
{
	assert_int_equal(vm->process[i].state, PROCESS_STARTING);
	vm->process[i].state = PROCESS_READY;
	vm_process_ready(&vm->process[i]);
}

static void dies_by(uint32_t i, const char *how)
{
	struct process *p = &vm->process[i];

	assert_true(process_lives(p));
	p->state = PROCESS_NONE;
	killed[i] = false;
	vm_process_gone(p, how);
}

static void dies(uint32_t i)
{
	dies_by(i, "killed by SIGKILL");
}

/* Who was told or made to leave does. */
static void all_leave(void)
{
	for (uint32_t i = 0; vm->state == VM_ENDING && i < vm->process_count; i++) {
		if (process_lives(&vm->process[i])) {
			dies(i);
		}
	}
}

static void guest_says(enum pm_guest guest, const char *text)
{
	static struct ipc_message m;

	m.type = PM_STATUS_WORKER;
	m.status_worker = (struct pm_status_worker){ .guest = guest };
	(void)snprintf(m.status_worker.text, sizeof(m.status_worker.text), "%s", text);
	vm_process_message(&vm->process[0], &m);
}

static int setup(void **state)
{
	struct definition d = { .name = "t",
				.memory_mib = 64,
				.vps = 1,
				.weight = 100,
				.nic_count = 1,
				.disk_count = 1 };

	(void)state;
	while (vm_first() != NULL) {
		vm_first()->state = VM_OFF;
		assert_true(vm_delete(vm_first(), why, sizeof(why)));
	}
	memset(armed, 0, sizeof(armed));
	now_ms = 1000000;
	changes = ports = partitions = files = stops = asked = handed = launches = restarts = 0;
	partition_stops = busy_disks = 0;
	no_partition = no_files = no_launch = deaf_worker = false;
	launches_left = 0;
	backoff = 20;
	assert_true(vm_create(&d, false, why, sizeof(why)));
	vm = vm_find("t");
	assert_non_null(vm);
	return 0;
}

static void start(void)
{
	assert_true(vm_start(vm, why, sizeof(why)));
	for (uint32_t i = 1; i < vm->process_count; i++) {
		assert_int_equal(vm->state, VM_STARTING);
		ready(i);
	}
	ready(0);
	assert_int_equal(vm->state, VM_RUNNING);
}

static void assert_nothing_held(void)
{
	assert_int_equal(partitions, 0);
	assert_int_equal(files, 0);
	assert_int_equal(ports, 0);
	assert_int_equal(vm->process_count, 0);
}

static void test_start(void **state)
{
	(void)state;
	assert_true(vm_start(vm, why, sizeof(why)));
	assert_int_equal(launches, 4);
	assert_false(vm_start(vm, why, sizeof(why)));
	assert_false(vm_delete(vm, why, sizeof(why)));
	ready(1);
	ready(2);
	ready(3);
	/* The worker comes when all of them are there. */
	assert_int_equal(launches, 4);
	ready(4);
	assert_int_equal(launches, 5);
	assert_int_equal(vm->state, VM_STARTING);
	ready(0);
	assert_int_equal(vm->state, VM_RUNNING);
	assert_int_equal(handed, 0);
}

static void test_start_fails(void **state)
{
	(void)state;
	no_files = true;
	assert_false(vm_start(vm, why, sizeof(why)));
	assert_string_equal(why, "/k: missing");
	assert_nothing_held();
	no_files = false;
	no_partition = true;
	assert_false(vm_start(vm, why, sizeof(why)));
	assert_nothing_held();
	no_partition = false;
	no_launch = true;
	assert_false(vm_start(vm, why, sizeof(why)));
	assert_int_equal(vm->state, VM_FAILED);
	assert_nothing_held();
	no_launch = false;
	start();
}

static void test_death_while_starting(void **state)
{
	(void)state;
	assert_true(vm_start(vm, why, sizeof(why)));
	ready(1);
	dies(2);
	assert_int_equal(vm->state, VM_ENDING);
	assert_non_null(strstr(vm->reason, "netvsp: killed by SIGKILL"));
	/* READY ones are asked, the others killed. */
	assert_int_equal(stops, 1);
	assert_true(killed[3] && killed[4] && !killed[1]);
	all_leave();
	assert_int_equal(vm->state, VM_FAILED);
	assert_nothing_held();
}

static void start_worker(void)
{
	assert_true(vm_start(vm, why, sizeof(why)));
	for (uint32_t i = 1; i < vm->process_count; i++) {
		ready(i);
	}
	assert_int_equal(vm->process[0].state, PROCESS_STARTING);
}

/* The worker gives up; its devices see that and are reaped first. What counts is the worker's word. */
static void test_worker_word(void **state)
{
	(void)state;
	start_worker();
	dies_by(1, "exit status 1 (the worker is gone)");
	dies_by(2, "exit status 1 (the worker is gone)");
	assert_int_equal(vm->state, VM_STARTING);
	assert_int_equal(launches, 5);
	dies_by(0, "exit status 1 (kernel: boot flag is not 0xaa55)");
	assert_int_equal(vm->state, VM_ENDING);
	all_leave();
	assert_int_equal(vm->state, VM_FAILED);
	assert_string_equal(vm->reason,
			    "vmworker: exit status 1 (kernel: boot flag is not 0xaa55)");
	assert_nothing_held();
	/* It has nothing to say: the device it was. No machine runs without one of its devices. */
	start_worker();
	dies(3);
	dies(1);
	pass(199);
	ready(0);
	assert_int_equal(vm->state, VM_STARTING);
	pass(1);
	assert_int_equal(vm->state, VM_ENDING);
	assert_int_equal(restarts, 0);
	all_leave();
	assert_int_equal(vm->state, VM_FAILED);
	assert_string_equal(vm->reason, "ic: killed by SIGKILL");
	assert_nothing_held();
	/* Nor does it keep anybody from ending it. */
	start_worker();
	dies(4);
	assert_true(vm_stop(vm, 0, why, sizeof(why)));
	pass(200);
	all_leave();
	assert_int_equal(vm->state, VM_OFF);
	start();
}

/* A filter that kills what leaves in good order would else never be heard of. */
static void test_kills_while_ending(void **state)
{
	(void)state;
	start();
	guest_says(PM_GUEST_OFF, "off");
	said[0] = '\0';
	dies_by(1, "exit status 0");
	dies(2);
	assert_string_equal(said, "");
	(void)snprintf(vm->process[3].name, sizeof(vm->process[3].name), "t/ic");
	dies_by(3, "killed by its sandbox (SIGSYS)");
	assert_string_equal(said, "t/ic: killed by its sandbox (SIGSYS)");
	all_leave();
	assert_int_equal(vm->state, VM_OFF);
}

static void test_halted(void **state)
{
	(void)state;
	start();
	guest_says(PM_GUEST_HALTED, "VP 0: halted for ever");
	assert_int_equal(vm->state, VM_HALTED);
	assert_string_equal(vm_state_name(vm->state), "halted");
	assert_string_equal(said, "t: halted: VP 0: halted for ever");
	/* It is there as before, but for the guest. */
	assert_false(vm_start(vm, why, sizeof(why)));
	assert_false(vm_delete(vm, why, sizeof(why)));
	dies(1);
	pass(20);
	ready(1);
	assert_int_equal(handed, 1);
	guest_says(PM_GUEST_HALTED, "again");
	assert_int_equal(vm->state, VM_HALTED);
	/* Nobody is there to be asked. */
	assert_true(vm_stop(vm, 30, why, sizeof(why)));
	assert_int_equal(asked, 0);
	assert_int_equal(vm->state, VM_ENDING);
	all_leave();
	assert_int_equal(vm->state, VM_OFF);
	assert_false(vm->forced);
	assert_string_equal(vm->reason, "halted, then stopped");
	/* A guest that halts where it was asked to power off. */
	start();
	assert_true(vm_stop(vm, 30, why, sizeof(why)));
	guest_says(PM_GUEST_HALTED, "");
	all_leave();
	assert_int_equal(vm->state, VM_OFF);
	assert_string_equal(vm->reason, "the guest halted");
	start();
	guest_says(PM_GUEST_HALTED, "");
	assert_true(vm_kill(vm, why, sizeof(why)));
	all_leave();
	assert_int_equal(vm->state, VM_OFF);
	assert_nothing_held();
}

static void test_graceful(void **state)
{
	(void)state;
	start();
	assert_true(vm_stop(vm, 30, why, sizeof(why)));
	assert_int_equal(vm->state, VM_STOPPING);
	assert_int_equal(asked, 1);
	assert_int_equal(partition_stops, 0);
	pass(29999);
	assert_int_equal(vm->state, VM_STOPPING);
	guest_says(PM_GUEST_OFF, "off");
	assert_int_equal(vm->state, VM_ENDING);
	assert_int_equal(partition_stops, 1);
	assert_true(killed[0]);
	assert_int_equal(stops, 4);
	all_leave();
	assert_int_equal(vm->state, VM_OFF);
	assert_string_equal(vm->reason, "shut down");
	assert_false(vm->forced);
	assert_nothing_held();
	assert_false(vm_stop(vm, 30, why, sizeof(why)));
}

static void test_forced(void **state)
{
	(void)state;
	start();
	assert_true(vm_stop(vm, 30, why, sizeof(why)));
	pass(30000);
	assert_int_equal(vm->state, VM_ENDING);
	assert_true(vm->forced);
	/* A device that does not leave is made to. */
	assert_false(killed[1]);
	pass(10000);
	assert_true(killed[1]);
	all_leave();
	assert_int_equal(vm->state, VM_OFF);
	start();
	assert_true(vm_stop(vm, 0, why, sizeof(why)));
	assert_int_equal(vm->state, VM_ENDING);
}

static void test_kill(void **state)
{
	(void)state;
	start();
	assert_true(vm_kill(vm, why, sizeof(why)));
	for (uint32_t i = 0; i < vm->process_count; i++) {
		assert_true(killed[i]);
	}
	all_leave();
	assert_int_equal(vm->state, VM_OFF);
	/* While it leaves in good order. */
	start();
	guest_says(PM_GUEST_OFF, "");
	assert_false(killed[1]);
	assert_true(vm_kill(vm, why, sizeof(why)));
	assert_true(killed[1]);
}

static void test_device_again(void **state)
{
	(void)state;
	start();
	dies(1);
	assert_int_equal(vm->state, VM_RUNNING);
	assert_int_equal(vm->process[1].state, PROCESS_WAITING);
	assert_int_equal(restarts, 0);
	pass(20);
	assert_int_equal(restarts, 1);
	assert_int_equal(vm->process[1].state, PROCESS_STARTING);
	/* The worker gets the new socket when somebody listens on it. */
	assert_int_equal(handed, 0);
	ready(1);
	assert_int_equal(handed, 1);
	assert_int_equal(vm->process[1].worker_end, -1);
	/* The console has no such socket. */
	dies(4);
	pass(20);
	ready(4);
	assert_int_equal(handed, 1);
	assert_int_equal(vm->state, VM_RUNNING);
}

/* What the dead storvsp had under way must end first. */
static void test_storvsp_waits(void **state)
{
	(void)state;
	start();
	busy_disks = 2;
	dies(1);
	pass(20);
	pass(20);
	assert_int_equal(restarts, 0);
	assert_int_equal(vm->state, VM_RUNNING);
	pass(20);
	assert_int_equal(restarts, 1);
	ready(1);
	assert_int_equal(handed, 1);
	/* Others do not wait for disks. */
	busy_disks = 100000;
	dies(2);
	pass(20);
	assert_int_equal(restarts, 2);
	ready(2);
	/* For ever is too long. */
	dies(1);
	for (int i = 0; i < 500; i++) {
		pass(20);
	}
	assert_int_equal(vm->state, VM_RUNNING);
	pass(20);
	assert_int_equal(vm->state, VM_ENDING);
	assert_int_equal(restarts, 2);
	busy_disks = 0;
	all_leave();
	assert_int_equal(vm->state, VM_FAILED);
}

static void test_device_too_often(void **state)
{
	(void)state;
	start();
	backoff = -1;
	dies(3);
	assert_int_equal(vm->state, VM_ENDING);
	assert_non_null(strstr(vm->reason, "ic died 5 times within 60 s; last: killed by SIGKILL"));
	all_leave();
	assert_int_equal(vm->state, VM_FAILED);
}

static void test_end_while_waiting(void **state)
{
	(void)state;
	start();
	dies(1);
	guest_says(PM_GUEST_OFF, "");
	pass(1000);
	/* Nobody is started for a machine that ends. */
	assert_int_equal(restarts, 0);
	all_leave();
	assert_int_equal(vm->state, VM_OFF);
	assert_nothing_held();
}

static void test_deaf_worker(void **state)
{
	(void)state;
	start();
	deaf_worker = true;
	dies(1);
	pass(20);
	ready(1);
	assert_int_equal(vm->state, VM_ENDING);
	all_leave();
	assert_int_equal(vm->state, VM_FAILED);
}

static void test_ic_again_while_stopping(void **state)
{
	(void)state;
	start();
	assert_true(vm_stop(vm, 30, why, sizeof(why)));
	dies(3);
	pass(20);
	ready(3);
	/* The wish died with the process that had it. */
	assert_int_equal(asked, 2);
	assert_int_equal(vm->state, VM_STOPPING);
}

static void test_worker_dies(void **state)
{
	(void)state;
	start();
	dies(0);
	assert_int_equal(vm->state, VM_ENDING);
	assert_non_null(strstr(vm->reason, "vmworker: killed"));
	all_leave();
	assert_int_equal(vm->state, VM_FAILED);
	assert_nothing_held();
}

static void test_crash(void **state)
{
	(void)state;
	start();
	guest_says(PM_GUEST_CRASHED, "panic\x1b[2J \xff");
	all_leave();
	assert_int_equal(vm->state, VM_FAILED);
	assert_string_equal(vm->reason, "the guest crashed: panic?[2J ?");
}

static void test_reset(void **state)
{
	(void)state;
	start();
	now_ms += 60000;
	guest_says(PM_GUEST_RESET, "");
	assert_int_equal(vm->state, VM_ENDING);
	all_leave();
	assert_int_equal(vm->state, VM_PAUSE);
	assert_nothing_held();
	pass(0);
	assert_int_equal(vm->state, VM_STARTING);
	assert_int_equal(vm->resets, 1);
}

/* A guest that does nothing but reset waits longer and longer. */
static void test_reset_again_and_again(void **state)
{
	static const uint32_t pauses[] = { 500, 1000, 2000, 4000, 8000, 10000, 10000 };

	(void)state;
	start();
	for (size_t i = 0; i < sizeof(pauses) / sizeof(pauses[0]); i++) {
		guest_says(PM_GUEST_RESET, "");
		all_leave();
		assert_int_equal(vm->state, VM_PAUSE);
		pass(pauses[i] - 1);
		assert_int_equal(vm->state, VM_PAUSE);
		pass(1);
		assert_int_equal(vm->state, VM_STARTING);
		for (uint32_t p = 1; p < vm->process_count; p++) {
			ready(p);
		}
		ready(0);
	}
	now_ms += 31000;
	guest_says(PM_GUEST_RESET, "");
	all_leave();
	pass(0);
	assert_int_equal(vm->state, VM_STARTING);
}

static void test_stop_ends_resets(void **state)
{
	(void)state;
	start();
	/* In the pause. */
	guest_says(PM_GUEST_RESET, "");
	all_leave();
	assert_int_equal(vm->state, VM_PAUSE);
	assert_true(vm_stop(vm, 10, why, sizeof(why)));
	assert_int_equal(vm->state, VM_OFF);
	pass(100000);
	assert_int_equal(vm->state, VM_OFF);
	/* While its processes leave. */
	start();
	guest_says(PM_GUEST_RESET, "");
	assert_true(vm_stop(vm, 10, why, sizeof(why)));
	all_leave();
	assert_int_equal(vm->state, VM_OFF);
	/* A guest that resets instead of powering off. */
	start();
	assert_true(vm_stop(vm, 10, why, sizeof(why)));
	guest_says(PM_GUEST_RESET, "");
	all_leave();
	assert_int_equal(vm->state, VM_OFF);
}

static void test_reset_start_fails(void **state)
{
	(void)state;
	start();
	guest_says(PM_GUEST_RESET, "");
	all_leave();
	no_partition = true;
	pass(500);
	assert_int_equal(vm->state, VM_FAILED);
	assert_non_null(strstr(vm->reason, "no memory"));
	assert_nothing_held();
}

/* The third process does not start: the two that did leave before the machine has failed. */
static void test_reset_starts_by_half(void **state)
{
	(void)state;
	start();
	guest_says(PM_GUEST_RESET, "");
	all_leave();
	launches_left = 3;
	pass(500);
	assert_int_equal(vm->state, VM_ENDING);
	assert_false(vm_start(vm, why, sizeof(why)));
	assert_int_equal(partitions, 1);
	all_leave();
	assert_int_equal(vm->state, VM_FAILED);
	assert_string_equal(vm->reason, "no launch");
	assert_nothing_held();
}

/* A word that a process has no right to costs its life. */
static void test_foreign_words(void **state)
{
	static struct ipc_message m;

	(void)state;
	start();
	m.type = PM_STATUS_WORKER;
	m.status_worker = (struct pm_status_worker){ .guest = PM_GUEST_OFF };
	vm_process_message(&vm->process[1], &m);
	assert_int_equal(vm->state, VM_RUNNING);
	assert_true(killed[1] && deaf[1]); /* and nothing else that it has said is heard */
	m.type = PM_CONFIG_VSWITCH;
	vm_process_message(&vm->process[0], &m);
	assert_true(killed[0] && deaf[0]);
	m.type = PM_STATUS_DISK;
	m.status_disk = (struct pm_status_disk){ .reads = 7 };
	vm_process_message(&vm->process[3], &m);
	assert_true(killed[3]);
	assert_int_equal(vm->status.disk.reads, 0);
}

/* Reports that the guest wants of itself: a few at once, then at a pace; for its own partition; of hvsock only. */
static void test_reports(void **state)
{
	static struct ipc_message m;

	(void)state;
	start();
	vm->process[2].program = PROGRAM_HVSOCK;
	vm->partition.number = 42;
	m.type = PM_REPORT_WANTED;
	m.report_wanted = (struct pm_report_wanted){ .ticket = 9, .nonce_size = 16 };
	for (uint32_t i = 0; i < VM_REPORTS_BURST; i++) {
		vm_process_message(&vm->process[2], &m);
		assert_int_equal(reports, i + 1);
		assert_int_equal(reported.error, PM_REPORT_GOOD);
		assert_int_equal(reported.ticket, 9);
	}
	assert_int_equal(report_of, 42);
	vm_process_message(&vm->process[2], &m);
	assert_int_equal(reports, VM_REPORTS_BURST);
	assert_int_equal(reported.error, PM_REPORT_BUSY);
	pass(VM_REPORT_MS);
	vm_process_message(&vm->process[2], &m);
	vm_process_message(&vm->process[2], &m);
	assert_int_equal(reports, VM_REPORTS_BURST + 1);
	pass(100 * VM_REPORT_MS); /* time that was not used gives no more than the burst */
	for (uint32_t i = 0; i < 2 * VM_REPORTS_BURST; i++) {
		vm_process_message(&vm->process[2], &m);
	}
	assert_int_equal(reports, 2 * VM_REPORTS_BURST + 1);
	pass(100 * VM_REPORT_MS);
	no_agent = true;
	vm_process_message(&vm->process[2], &m);
	assert_int_equal(reported.error, PM_REPORT_NO_AGENT);
	assert_false(killed[2]);
	vm_process_message(&vm->process[3], &m);
	assert_true(killed[3]);
}

/* Off is off: not before the last write has ended. */
static void test_busy_disks(void **state)
{
	(void)state;
	start();
	busy_disks = 3;
	guest_says(PM_GUEST_OFF, "");
	all_leave();
	assert_int_equal(vm->state, VM_ENDING);
	assert_int_equal(files, 1);
	assert_true(vm_kill(vm, why, sizeof(why)));
	pass(20);
	pass(20);
	assert_int_equal(vm->state, VM_ENDING);
	pass(20);
	assert_int_equal(vm->state, VM_OFF);
	assert_nothing_held();
	/* But not for ever. */
	start();
	busy_disks = 100000;
	guest_says(PM_GUEST_OFF, "");
	all_leave();
	for (int i = 0; i < 500; i++) {
		assert_int_equal(vm->state, VM_ENDING);
		pass(20);
	}
	assert_int_equal(vm->state, VM_OFF);
}

static void test_late_words(void **state)
{
	(void)state;
	start();
	guest_says(PM_GUEST_OFF, "");
	guest_says(PM_GUEST_CRASHED, "");
	guest_says(PM_GUEST_RESET, "");
	all_leave();
	assert_int_equal(vm->state, VM_OFF);
	assert_string_equal(vm->reason, "the guest powered off");
}

static void test_create(void **state)
{
	struct definition d = vm->definition;

	(void)state;
	assert_false(vm_create(&d, false, why, sizeof(why)));
	d.memory_mib = 128;
	start();
	assert_false(vm_create(&d, true, why, sizeof(why)));
	assert_int_equal(vm->definition.memory_mib, 64);
	assert_true(vm_kill(vm, why, sizeof(why)));
	all_leave();
	assert_true(vm_create(&d, true, why, sizeof(why)));
	assert_int_equal(vm->definition.memory_mib, 128);
	for (int i = 1; i < 64; i++) {
		(void)snprintf(d.name, sizeof(d.name), "n%d", i);
		assert_true(vm_create(&d, false, why, sizeof(why)));
	}
	(void)snprintf(d.name, sizeof(d.name), "more");
	assert_false(vm_create(&d, false, why, sizeof(why)));
	assert_null(vm_find("more"));
	assert_true(vm_delete(vm_find("n7"), why, sizeof(why)));
	assert_null(vm_find("n7"));
	assert_true(vm_create(&d, false, why, sizeof(why)));
}

static void test_end_all(void **state)
{
	(void)state;
	start();
	assert_false(vm_end_all());
	assert_int_equal(vm->state, VM_ENDING);
	all_leave();
	assert_true(vm_end_all());
	assert_int_equal(vm->state, VM_OFF);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, setup)
	const struct CMUnitTest tests[] = {
		TEST(test_start),
		TEST(test_start_fails),
		TEST(test_death_while_starting),
		TEST(test_worker_word),
		TEST(test_kills_while_ending),
		TEST(test_halted),
		TEST(test_graceful),
		TEST(test_forced),
		TEST(test_kill),
		TEST(test_device_again),
		TEST(test_storvsp_waits),
		TEST(test_device_too_often),
		TEST(test_end_while_waiting),
		TEST(test_deaf_worker),
		TEST(test_ic_again_while_stopping),
		TEST(test_worker_dies),
		TEST(test_crash),
		TEST(test_reset),
		TEST(test_reset_again_and_again),
		TEST(test_stop_ends_resets),
		TEST(test_reset_start_fails),
		TEST(test_reset_starts_by_half),
		TEST(test_foreign_words),
		TEST(test_reports),
		TEST(test_busy_disks),
		TEST(test_late_words),
		TEST(test_create),
		TEST(test_end_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
