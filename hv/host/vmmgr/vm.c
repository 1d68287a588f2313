/* SPDX-License-Identifier: MIT */
#include "hv/host/vmmgr/vm.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hv/host/vmmgr/agent.h"
#include "hv/host/vmmgr/vswitch.h"

#define VMS_MAX 64
/* How long device processes may take to leave: storvsp finishes what it writes. */
#define LEAVE_MS 10000
/* And how long the kernel may take after that to end what they had under way. */
#define QUIET_POLL_MS 20
#define QUIET_POLLS 500
/* Resets closer than this to the start before are slowed down. */
#define RESET_QUIET_MS 30000u
#define RESET_PAUSE_MAX_MS 10000u
/* Where the worker gives up its devices see that and may be reaped first: the word that counts is the worker's. */
#define WORKER_WORD_MS 200u

static struct vm *first;

struct vm *vm_first(void)
{
	return first;
}

struct vm *vm_find(const char *name)
{
	struct vm *vm = first;

	while (vm != NULL && strcmp(vm->definition.name, name) != 0) {
		vm = vm->next;
	}
	return vm;
}

const char *vm_state_name(enum vm_state s)
{
	static const char *const names[] = {
		[VM_OFF] = "off",           [VM_STARTING] = "starting", [VM_RUNNING] = "running",
		[VM_STOPPING] = "stopping", [VM_ENDING] = "ending",     [VM_PAUSE] = "restarting",
		[VM_HALTED] = "halted",     [VM_FAILED] = "failed",
	};

	return names[s];
}

static bool at_rest(const struct vm *vm)
{
	return vm->state == VM_OFF || vm->state == VM_FAILED;
}

static bool refuse(char *why, size_t room, const struct vm *vm, const char *text)
{
	(void)snprintf(why, room, "%s: %s", vm->definition.name, text);
	return false;
}

static void set_state(struct vm *vm, enum vm_state state)
{
	vm->state = state;
	server_vm_changed(vm);
}

/* ---- definitions ---- */

bool vm_create(const struct definition *d, bool again, char *why, size_t room)
{
	struct vm *vm = vm_find(d->name);
	uint32_t count = 0;

	if (vm != NULL) {
		if (!again) {
			return refuse(why, room, vm, "exists: delete it, or use --replace");
		}
		if (!at_rest(vm)) {
			return refuse(why, room, vm, "is not off: stop it first");
		}
		vm->definition = *d;
		return true;
	}
	for (struct vm *v = first; v != NULL; v = v->next) {
		count++;
	}
	vm = count < VMS_MAX ? calloc(1, sizeof(*vm)) : NULL;
	if (vm == NULL) {
		(void)snprintf(why, room, "%s: no room for more than %d machines: delete some",
			       d->name, VMS_MAX);
		return false;
	}
	vm->definition = *d;
	vm->partition.fd = -1;
	vm->partition.memory = -1;
	vm->recorder = -1;
	vm_files_none(vm);
	vm->next = first;
	first = vm;
	return true;
}

bool vm_delete(struct vm *vm, char *why, size_t room)
{
	if (!at_rest(vm)) {
		return refuse(why, room, vm, "is not off: stop it first");
	}
	for (struct vm **at = &first; *at != NULL; at = &(*at)->next) {
		if (*at == vm) {
			*at = vm->next;
			break;
		}
	}
	timer_cancel(&vm->timer);
	vm_record_end(vm);
	free(vm);
	return true;
}

/* ---- the end of a life ---- */

static void release(struct vm *vm)
{
	for (uint32_t i = 0; i < vm->process_count; i++) {
		struct process *p = &vm->process[i];

		timer_cancel(&p->timer);
		if (p->kept >= 0) {
			(void)close(p->kept);
		}
		if (p->worker_end >= 0) {
			(void)close(p->worker_end);
		}
		p->kept = -1;
		p->worker_end = -1;
	}
	vm->process_count = 0;
	for (uint32_t i = 0; i < DEFINITION_NICS_MAX; i++) {
		vswitch_port_remove(vm, i);
	}
	vm_record_end(vm);
	vm_files_close(vm);
	partition_drop(&vm->partition);
	vm->ended_ms = loop_now_ms();
}

static void reset_over(struct timer *t)
{
	struct vm *vm = OWNER(t, struct vm, timer);
	char why[256];

	vm->state = VM_OFF;
	if (!vm_start(vm, why, sizeof(why))) {
		say("%s: after a reset: %s", vm->definition.name, why);
		if (at_rest(vm)) { /* else those that had started leave first */
			(void)snprintf(vm->reason, sizeof(vm->reason), "%s", why);
			set_state(vm, VM_FAILED);
		}
	}
}

/* A guest that resets as soon as it runs must not keep the host busy with starting it. */
static void reset_pause(struct vm *vm)
{
	if (loop_now_ms() - vm->started_ms > RESET_QUIET_MS) {
		vm->reset_pause_ms = 0;
	} else {
		vm->reset_pause_ms = vm->reset_pause_ms == 0 ? 500 : vm->reset_pause_ms * 2;
		if (vm->reset_pause_ms > RESET_PAUSE_MAX_MS) {
			vm->reset_pause_ms = RESET_PAUSE_MAX_MS;
		}
	}
	vm->resets++;
	set_state(vm, VM_PAUSE);
	timer_set(&vm->timer, vm->reset_pause_ms, reset_over);
}

static void gone_if_gone(struct vm *vm);

static void look_again(struct timer *t)
{
	gone_if_gone(OWNER(t, struct vm, timer));
}

/* A machine is off when its last write has reached the disk: another may start with it at once. */
static void gone_if_gone(struct vm *vm)
{
	for (uint32_t i = 0; i < vm->process_count; i++) {
		if (vm->process[i].state != PROCESS_NONE) {
			return;
		}
	}
	timer_cancel(&vm->timer);
	if (!vm_files_disks_quiet(vm)) {
		if (vm->quiet_waits++ < QUIET_POLLS) {
			timer_set(&vm->timer, QUIET_POLL_MS, look_again);
			return;
		}
		say("%s: a disk is still in use", vm->definition.name);
	}
	release(vm);
	switch (vm->after) {
	case AFTER_OFF:
		say("%s: off: %s", vm->definition.name, vm->reason);
		set_state(vm, VM_OFF);
		break;
	case AFTER_FAILED:
		say("%s: failed: %s", vm->definition.name, vm->reason);
		set_state(vm, VM_FAILED);
		break;
	case AFTER_RESET:
		say("%s: reset: %s", vm->definition.name, vm->reason);
		reset_pause(vm);
		break;
	}
}

static void left_too_late(struct timer *t)
{
	struct vm *vm = OWNER(t, struct vm, timer);

	for (uint32_t i = 0; i < vm->process_count; i++) {
		if (process_lives(&vm->process[i])) {
			say("%s: does not leave: killed", vm->process[i].name);
			process_kill(&vm->process[i]);
		}
	}
}

/* The guest stops at once; then the device processes leave, in good order where there is an order. */
static void end(struct vm *vm, enum vm_after after, bool order, const char *reason)
{
	struct pm_plain stop = { 0 };

	if (vm->state == VM_ENDING) {
		return;
	}
	vm->after = after;
	vm->quiet_waits = 0;
	if (reason != vm->reason) {
		(void)snprintf(vm->reason, sizeof(vm->reason), "%s", reason);
	}
	partition_stop(&vm->partition);
	for (uint32_t i = 0; i < vm->process_count; i++) {
		struct process *p = &vm->process[i];

		if (p->state == PROCESS_WAITING) {
			timer_cancel(&p->timer);
			p->state = PROCESS_NONE;
		} else if (i < VM_DEVICES_FIRST || !order || p->state != PROCESS_READY ||
			   !process_send(p, PM_STOP, &stop, sizeof(stop), NULL, 0)) {
			process_kill(p);
		}
	}
	timer_set(&vm->timer, LEAVE_MS, left_too_late);
	set_state(vm, VM_ENDING);
	gone_if_gone(vm);
}

/* ---- requests ---- */

static bool ports_make(struct vm *vm, char *why, size_t room)
{
	for (uint32_t i = 0; i < vm->definition.nic_count; i++) {
		if (!vswitch_need(vm->definition.nic[i].uplink, why, room)) {
			return false;
		}
	}
	for (uint32_t i = 0; i < vm->definition.nic_count; i++) {
		if (!vswitch_port_add(vm, i, why, room)) {
			return false;
		}
	}
	return true;
}

bool vm_start(struct vm *vm, char *why, size_t room)
{
	const struct definition *d = &vm->definition;

	if (!at_rest(vm)) {
		return refuse(why, room, vm, "is not off");
	}
	memset(&vm->status, 0, sizeof(vm->status));
	vm->forced = false;
	vm->process_count = 0;
	if (!vm_files_open(vm, why, room) ||
	    !partition_create(&vm->partition, (uint64_t)d->memory_mib << 20, d->vps, d->weight, why,
			      room) ||
	    !ports_make(vm, why, room)) {
		release(vm);
		return false;
	}
	vm_processes(vm);
	vm->started_ms = loop_now_ms();
	vm->state = VM_STARTING;
	vm->reason[0] = '\0';
	say("%s: starts: partition %llu, %u MiB, %u VP", d->name,
	    (unsigned long long)vm->partition.number, d->memory_mib, d->vps);
	for (uint32_t i = VM_DEVICES_FIRST; i < vm->process_count; i++) {
		if (!vm_launch_device(vm, &vm->process[i], false, why, room)) {
			end(vm, AFTER_FAILED, false, why);
			return false;
		}
	}
	server_vm_changed(vm);
	return true;
}

static void stop_too_late(struct timer *t)
{
	struct vm *vm = OWNER(t, struct vm, timer);

	vm->forced = true;
	end(vm, AFTER_OFF, true, "stopped by force: the guest did not power off in time");
}

bool vm_stop(struct vm *vm, uint32_t timeout_s, char *why, size_t room)
{
	struct pm_ic_shutdown ask = { .reboot = 0 };

	if (at_rest(vm)) {
		return refuse(why, room, vm, "is off");
	}
	if (vm->state == VM_PAUSE) {
		timer_cancel(&vm->timer);
		(void)snprintf(vm->reason, sizeof(vm->reason), "stopped");
		set_state(vm, VM_OFF);
		return true;
	}
	if (vm->state == VM_ENDING) {
		/* Not again after a reset. */
		vm->after = vm->after == AFTER_RESET ? AFTER_OFF : vm->after;
		return true;
	}
	if (vm->state == VM_STARTING || timeout_s == 0) {
		vm->forced = true;
		end(vm, AFTER_OFF, true, "stopped by force");
		return true;
	}
	if (vm->state == VM_HALTED) {
		end(vm, AFTER_OFF, true, "halted, then stopped");
		return true;
	}
	for (uint32_t i = VM_DEVICES_FIRST; vm->state == VM_RUNNING && i < vm->process_count; i++) {
		if (vm->process[i].program == PROGRAM_IC) {
			(void)process_send(&vm->process[i], PM_IC_SHUTDOWN, &ask, sizeof(ask), NULL,
					   0);
		}
	}
	timer_set(&vm->timer, timeout_s * 1000, stop_too_late);
	set_state(vm, VM_STOPPING);
	return true;
}

bool vm_kill(struct vm *vm, char *why, size_t room)
{
	if (at_rest(vm)) {
		return refuse(why, room, vm, "is off");
	}
	if (vm->state == VM_PAUSE) {
		return vm_stop(vm, 0, why, room);
	}
	if (vm->state == VM_ENDING) {
		vm->after = vm->after == AFTER_RESET ? AFTER_OFF : vm->after;
		left_too_late(&vm->timer);
		return true;
	}
	vm->forced = true;
	end(vm, AFTER_OFF, false, "killed");
	return true;
}

bool vm_end_all(void)
{
	bool quiet = true;
	char why[64];

	for (struct vm *vm = first; vm != NULL; vm = vm->next) {
		if (!at_rest(vm)) {
			(void)vm_stop(vm, 0, why, sizeof(why));
			quiet = quiet && at_rest(vm);
		}
	}
	return quiet;
}

/* ---- news ---- */

static bool devices_ready(const struct vm *vm)
{
	for (uint32_t i = VM_DEVICES_FIRST; i < vm->process_count; i++) {
		if (vm->process[i].state != PROCESS_READY) {
			return false;
		}
	}
	return true;
}

static void hand_to_worker(struct vm *vm, struct process *p)
{
	struct pm_device_again again = { .socket = p->socket };

	if (p->worker_end < 0) {
		return;
	}
	if (!process_send(&vm->process[0], PM_DEVICE_AGAIN, &again, sizeof(again), &p->worker_end,
			  1)) {
		end(vm, AFTER_FAILED, true, "the worker does not listen");
	}
	(void)close(p->worker_end);
	p->worker_end = -1;
}

void vm_process_ready(struct process *p)
{
	struct vm *vm = p->vm;
	struct pm_ic_shutdown ask = { .reboot = 0 };
	char why[256];

	if (vm->state == VM_STARTING) {
		if (p == &vm->process[0]) {
			if (devices_ready(vm)) { /* else one is lost, and the timer runs */
				set_state(vm, VM_RUNNING);
			}
		} else if (devices_ready(vm) && !vm_launch_worker(vm, why, sizeof(why))) {
			end(vm, AFTER_FAILED, true, why);
		}
		return;
	}
	if (vm->state == VM_RUNNING || vm->state == VM_STOPPING || vm->state == VM_HALTED) {
		hand_to_worker(vm, p);
	}
	if (vm->state == VM_STOPPING && p->program == PROGRAM_IC) {
		(void)process_send(p, PM_IC_SHUTDOWN, &ask, sizeof(ask), NULL, 0);
	}
}

static void guest_state(struct vm *vm, const struct pm_status_worker *status)
{
	bool stopping = vm->state == VM_STOPPING;

	if (vm->state != VM_RUNNING && !stopping) {
		return;
	}
	switch (status->guest) {
	case PM_GUEST_HALTED:
		/* As on hardware: the machine is there and does nothing. Who asked it to power off has an end. */
		if (stopping) {
			end(vm, AFTER_OFF, true, "the guest halted");
		} else {
			say("%s: halted: %s", vm->definition.name, status->text);
			set_state(vm, VM_HALTED);
		}
		break;
	case PM_GUEST_OFF:
		end(vm, AFTER_OFF, true, stopping ? "shut down" : "the guest powered off");
		break;
	case PM_GUEST_RESET:
		end(vm, stopping ? AFTER_OFF : AFTER_RESET, true, "the guest reset itself");
		break;
	case PM_GUEST_CRASHED:
	case PM_GUEST_FAILED:
		(void)snprintf(vm->reason, sizeof(vm->reason), "%s: %s",
			       status->guest == PM_GUEST_CRASHED ? "the guest crashed"
								 : "the worker gave up",
			       status->text);
		end(vm, AFTER_FAILED, true, vm->reason);
		break;
	default:
		break;
	}
}

/* A guest may have chosen it; people and JSON get ASCII. */
static void printable(char *text)
{
	for (; *text != '\0'; text++) {
		if (*text < ' ' || *text > '~') {
			*text = '?';
		}
	}
}

/* Each costs a signature of the TPM's, which all machines and the operator share. */
static bool may_report(struct vm *vm)
{
	uint64_t now = loop_now_ms();

	if (vm->reports_till < now) {
		vm->reports_till = now;
	}
	if (vm->reports_till - now > (uint64_t)(VM_REPORTS_BURST - 1) * VM_REPORT_MS) {
		return false;
	}
	vm->reports_till += VM_REPORT_MS;
	return true;
}

/* A process that does not take the answer has a guest that waits; others do not. */
static void report_wanted(struct process *p, const struct pm_report_wanted *m)
{
	struct pm_report answer = { .ticket = m->ticket };
	enum pm_report_error error = PM_REPORT_BUSY;
	int fd = may_report(p->vm) ? agent_ask(p->vm->partition.number, m, &error) : -1;

	answer.error = (uint32_t)error;
	(void)process_send(p, PM_REPORT, &answer, sizeof(answer), &fd, fd >= 0);
	if (fd >= 0) {
		(void)close(fd);
	}
}

void vm_process_message(struct process *p, const struct ipc_message *m)
{
	struct vm *vm = p->vm;
	enum program from = p->program;

	if (m->type == PM_STATUS_WORKER && from == PROGRAM_WORKER) {
		vm->status.worker = m->status_worker;
		printable(vm->status.worker.text);
		guest_state(vm, &vm->status.worker);
	} else if (m->type == PM_STATUS_IC && from == PROGRAM_IC) {
		vm->status.ic = m->status_ic;
	} else if (m->type == PM_REPORT_WANTED && from == PROGRAM_HVSOCK) {
		report_wanted(p, &m->report_wanted);
	} else if (m->type == PM_STATUS_DISK && from == PROGRAM_STORVSP) {
		vm->status.disk = m->status_disk;
	} else if (m->type == PM_STATUS_NET && from == PROGRAM_NETVSP) {
		vm->status.net[p->index] = m->status_net;
	} else if (m->type == PM_STATUS_CONSOLE && from == PROGRAM_CONSOLE) {
		vm->status.console = m->status_console;
	} else {
		say("%s: message %d is not its to send: killed", p->name, (int)m->type);
		process_distrust(p);
	}
}

static void again_now(struct timer *t)
{
	vm_process_again(OWNER(t, struct process, timer));
}

/*
 * A storvsp waits for the I/O of the one before it: a write that ends late would undo what the guest writes next, and a read would
 * fill a page that the guest uses for something else by then.
 */
void vm_process_again(struct process *p)
{
	struct vm *vm = p->vm;
	char why[256];

	if (p->program == PROGRAM_STORVSP && !vm_files_disks_quiet(vm)) {
		if (vm->quiet_waits++ < QUIET_POLLS) {
			timer_set(&p->timer, QUIET_POLL_MS, again_now);
			return;
		}
		p->state = PROCESS_NONE;
		end(vm, AFTER_FAILED, true, "the I/O of a storvsp that died does not end");
		return;
	}
	p->state = PROCESS_NONE;
	if (!vm_launch_device(vm, p, true, why, sizeof(why))) {
		end(vm, AFTER_FAILED, true, why);
	}
}

static void no_word(struct timer *t)
{
	struct vm *vm = OWNER(t, struct vm, timer);

	end(vm, AFTER_FAILED, true, vm->reason);
}

/* false: its end is what ends the machine. */
static bool worker_may_say_why(struct vm *vm, const struct process *p, const char *how)
{
	if (p == &vm->process[0] || !process_lives(&vm->process[0])) {
		return false;
	}
	if (!vm->timer.armed) {
		(void)snprintf(vm->reason, sizeof(vm->reason), "%s: %s",
			       process_program_name(p->program), how);
		timer_set(&vm->timer, WORKER_WORD_MS, no_word);
	}
	return true;
}

/* Of processes that were told to leave: only what they were not told. */
static void say_if_odd(const struct process *p, const char *how)
{
	if (strncmp(how, "exit status 0", 13) != 0 && strncmp(how, "killed by SIGKILL", 17) != 0) {
		say("%s: %s", p->name, how);
	}
}

void vm_process_gone(struct process *p, const char *how)
{
	struct vm *vm = p->vm;
	char reason[320];
	int pause;

	if (p->worker_end >= 0) {
		(void)close(p->worker_end);
		p->worker_end = -1;
	}
	if (vm->state == VM_ENDING) {
		say_if_odd(p, how);
		gone_if_gone(vm);
		return;
	}
	if (vm->state == VM_STARTING && worker_may_say_why(vm, p, how)) {
		return;
	}
	if (p == &vm->process[0] || vm->state == VM_STARTING) {
		(void)snprintf(reason, sizeof(reason), "%s: %s", process_program_name(p->program),
			       how);
		end(vm, AFTER_FAILED, true, reason);
		return;
	}
	pause = process_backoff(p);
	if (pause < 0) {
		(void)snprintf(reason, sizeof(reason), "%s died %d times within %u s; last: %s",
			       process_program_name(p->program), PROCESS_DEATHS,
			       PROCESS_DEATHS_MS / 1000, how);
		end(vm, AFTER_FAILED, true, reason);
		return;
	}
	say("%s: %s: starts again", p->name, how);
	vm->quiet_waits = 0;
	p->state = PROCESS_WAITING;
	timer_set(&p->timer, (uint32_t)pause, again_now);
}
