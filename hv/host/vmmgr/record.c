/* SPDX-License-Identifier: MIT */
/*
 * Records of a guest's traffic go from its processes straight to the client that asked, over one socket: the manager makes it and
 * hands its ends out. The listener's end goes with it: nothing is recorded after that.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "hv/host/vmmgr/vm.h"

/* What waits for a slow listener, in kernel memory; more is lost and counted. */
#define WAITING_BYTES (4 << 20)

bool vm_recorded(const struct vm *vm)
{
	struct pollfd p = { vm->recorder, 0, 0 };

	return vm->recorder >= 0 && poll(&p, 1, 0) >= 0 && (p.revents & (POLLHUP | POLLERR)) == 0;
}

void vm_record_end(struct vm *vm)
{
	if (vm->recorder >= 0) {
		(void)close(vm->recorder);
		vm->recorder = -1;
	}
}

void vm_record_hand(struct vm *vm, struct process *p)
{
	struct pm_record m = { .index = p->index };

	/* The console's bytes are the worker's already; of hvsock nothing is recorded. One that does not listen is not recorded; its owner sees to it. */
	if (p->program != PROGRAM_CONSOLE && p->program != PROGRAM_HVSOCK && process_lives(p) &&
	    vm_recorded(vm)) {
		(void)process_send(p, PM_RECORD, &m, sizeof(m), &vm->recorder, 1);
	}
}

bool vm_record(struct vm *vm, int *listener, char *why, size_t room)
{
	int pair[2], yes = 1, bytes = WAITING_BYTES;

	if (vm_recorded(vm)) {
		(void)snprintf(why, room, "%s: is being recorded: end the other hvctl record",
			       vm->definition.name);
		return false;
	}
	vm_record_end(vm);
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) {
		(void)snprintf(why, room, "%s: socket: %s", vm->definition.name, strerror(errno));
		return false;
	}
	/* Each record comes with the identity of its sender, by the kernel. */
	if (setsockopt(pair[1], SOL_SOCKET, SO_PASSCRED, &yes, sizeof(yes)) != 0) {
		(void)snprintf(why, room, "%s: socket: %s", vm->definition.name, strerror(errno));
		(void)close(pair[0]);
		(void)close(pair[1]);
		return false;
	}
	(void)setsockopt(pair[0], SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof(bytes));
	vm->recorder = pair[0];
	*listener = pair[1];
	for (uint32_t i = 0; i < vm->process_count; i++) {
		vm_record_hand(vm, &vm->process[i]);
	}
	say("%s: its traffic is recorded by hvctl record", vm->definition.name);
	return true;
}
