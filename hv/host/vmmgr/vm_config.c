/* SPDX-License-Identifier: MIT */
/* Configuration messages: what each process of a machine is told and handed. */
#include "hv/host/vmmgr/vm.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "attest/core/format.h"

#define MIB (1ull << 20)
/* What a process keeps over its own death. */
#define STATE_BYTES (1u << 20)
/* Of each process, beside the page tables of the guest's memory. */
#define PROCESS_BYTES (64 * MIB)

#define GUID(a, b, c, d0, d1, d2, d3, d4, d5, d6, d7)                                             \
	{                                                                                         \
		{                                                                                 \
			(uint8_t)(a), (uint8_t)((a) >> 8), (uint8_t)((a) >> 16),                  \
				(uint8_t)((a) >> 24), (uint8_t)(b), (uint8_t)((b) >> 8),          \
				(uint8_t)(c), (uint8_t)((c) >> 8), d0, d1, d2, d3, d4, d5, d6, d7 \
		}                                                                                 \
	}

enum offer { OFFER_SCSI, OFFER_NIC, OFFER_SHUTDOWN, OFFER_HEARTBEAT, OFFER_TIMESYNC, OFFERS };

static const struct pm_guid classes[OFFERS] = {
	[OFFER_SCSI] =
		GUID(0xba6163d9u, 0x04a1, 0x4d29, 0xb6, 0x05, 0x72, 0xe2, 0xff, 0xb1, 0xdc, 0x7f),
	[OFFER_NIC] =
		GUID(0xf8615163u, 0xdf3e, 0x46c5, 0x91, 0x3f, 0xf2, 0xd2, 0xf9, 0x65, 0xed, 0x0e),
	[OFFER_SHUTDOWN] =
		GUID(0x0e0b6031u, 0x5213, 0x4934, 0x81, 0x8b, 0x38, 0xd9, 0x0c, 0xed, 0x39, 0xdb),
	[OFFER_HEARTBEAT] =
		GUID(0x57164f39u, 0x9115, 0x4e78, 0xab, 0x55, 0x38, 0x2f, 0x3b, 0xd5, 0x42, 0x2d),
	[OFFER_TIMESYNC] =
		GUID(0x9527e630u, 0xd0ae, 0x497b, 0xad, 0xce, 0xe8, 0x0a, 0xb0, 0x17, 0x5c, 0xaf),
};

/* The service of hv_sock by which a guest has its own report: VMADDR port ATTEST_PORT, as Linux names it. */
static const struct pm_guid report_service =
	GUID(ATTEST_PORT, 0xfacb, 0x11e6, 0xbd, 0x58, 0x64, 0x00, 0x6a, 0x79, 0x86, 0xd3);

static uint64_t memory_bytes(const struct vm *vm)
{
	return vm->definition.memory_mib * MIB;
}

/* Page tables for a mapping of all of the guest, in small pages: 1/512 of it. */
static uint64_t budget(const struct vm *vm)
{
	return PROCESS_BYTES + memory_bytes(vm) / 256;
}

void vm_processes(struct vm *vm)
{
	struct process *p = vm->process;

	process_init(p++, PROGRAM_WORKER, vm, 0);
	if (vm->definition.disk_count != 0) {
		process_init(p++, PROGRAM_STORVSP, vm, 0);
	}
	for (uint32_t i = 0; i < vm->definition.nic_count; i++) {
		process_init(p++, PROGRAM_NETVSP, vm, i);
	}
	process_init(p++, PROGRAM_IC, vm, 0);
	vm->measured = vm->definition.attest == DEFINITION_ATTEST_YES ||
		       (vm->definition.attest == DEFINITION_ATTEST_AUTO && partition_attestable());
	if (vm->measured) {
		process_init(p++, PROGRAM_HVSOCK, vm, 0);
	}
	/* Last: it serves no offer, so that the others' sockets are numbered without a gap. */
	process_init(p++, PROGRAM_CONSOLE, vm, 0);
	vm->process_count = (uint32_t)(p - vm->process);
	for (uint32_t i = 0; i < vm->process_count; i++) {
		vm->process[i].budget = budget(vm);
		if (i >= VM_DEVICES_FIRST) {
			vm->process[i].socket = i - VM_DEVICES_FIRST;
		}
	}
}

/* ---- device processes ---- */

static bool no_descriptors(const struct process *p, const char *what, char *why, size_t room)
{
	(void)snprintf(why, room, "%s: %s: %s", process_program_name(p->program), what,
		       strerror(errno));
	return false;
}

/* Memory of a fixed size that the next process of this kind gets again. */
static bool state_make(struct process *p, char *why, size_t room)
{
	if (p->kept >= 0) {
		return true;
	}
	p->kept = memfd_create("state", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (p->kept < 0 || ftruncate(p->kept, STATE_BYTES) != 0 ||
	    fcntl(p->kept, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0) {
		return no_descriptors(p, "state", why, room);
	}
	return true;
}

static void describe_disk(const struct vm *vm, uint32_t i, struct pm_disk *disk)
{
	uint8_t id[16];

	disk->bytes = vm->files.disk_bytes[i];
	disk->read_only = vm->definition.disk[i].read_only;
	definition_derive(vm->definition.name, 0x5344, i, id);
	(void)snprintf(disk->serial, sizeof(disk->serial), "%02x%02x%02x%02x%02x%02x%02x%02x",
		       id[0], id[1], id[2], id[3], id[4], id[5], id[6], id[7]);
}

static bool launch_storvsp(struct vm *vm, struct process *p, int socket, bool again, char *why,
			   size_t room)
{
	struct pm_config_storvsp config = {
		.memory_bytes = memory_bytes(vm),
		.disk_count = vm->definition.disk_count,
		.restarted = again,
	};
	int fds[3 + DEFINITION_DISKS_MAX] = { vm->partition.memory, socket, p->kept };
	uint32_t opened = 0;
	bool good = true;

	while (good && opened < config.disk_count) {
		describe_disk(vm, opened, &config.disk[opened]);
		fds[3 + opened] = vm_files_disk(vm, opened);
		good = fds[3 + opened] >= 0 ||
		       no_descriptors(p, vm->definition.disk[opened].path, why, room);
		opened += good;
	}
	good = good && process_launch(p, PM_CONFIG_STORVSP, &config, sizeof(config), fds,
				      3 + config.disk_count, why, room);
	for (uint32_t i = 0; i < opened; i++) {
		(void)close(fds[3 + i]);
	}
	return good;
}

static bool launch_netvsp(struct vm *vm, struct process *p, int socket, bool again, char *why,
			  size_t room)
{
	struct pm_config_netvsp config = {
		.memory_bytes = memory_bytes(vm),
		.restarted = again,
	};
	int fds[4] = { vm->partition.memory, socket, p->kept, vm->port[p->index].netvsp_end };

	memcpy(config.mac, vm->definition.nic[p->index].mac, sizeof(config.mac));
	return process_launch(p, PM_CONFIG_NETVSP, &config, sizeof(config), fds, 4, why, room);
}

static bool launch_ic(struct vm *vm, struct process *p, int socket, bool again, char *why,
		      size_t room)
{
	struct pm_config_ic config = { .memory_bytes = memory_bytes(vm), .restarted = again };
	int fds[2] = { vm->partition.memory, socket };

	return process_launch(p, PM_CONFIG_IC, &config, sizeof(config), fds, 2, why, room);
}

static bool launch_hvsock(struct vm *vm, struct process *p, int socket, bool again, char *why,
			  size_t room)
{
	struct pm_config_hvsock config = { .memory_bytes = memory_bytes(vm), .restarted = again };
	int fds[2] = { vm->partition.memory, socket };

	return process_launch(p, PM_CONFIG_HVSOCK, &config, sizeof(config), fds, 2, why, room);
}

static bool launch_console(struct vm *vm, struct process *p, bool again, char *why, size_t room)
{
	struct pm_config_console config = { .restarted = again };
	int fds[3] = { vm->files.console_process, vm->files.pty_master, vm->files.log };

	return process_launch(p, PM_CONFIG_CONSOLE, &config, sizeof(config), fds, 3, why, room);
}

bool vm_launch_device(struct vm *vm, struct process *p, bool again, char *why, size_t room)
{
	int pair[2];
	bool good;

	if (p->program == PROGRAM_CONSOLE) {
		return launch_console(vm, p, again, why, room);
	}
	if ((p->program == PROGRAM_STORVSP || p->program == PROGRAM_NETVSP) &&
	    !state_make(p, why, room)) {
		return false;
	}
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) {
		return no_descriptors(p, "socket", why, room);
	}
	if (p->program == PROGRAM_STORVSP) {
		good = launch_storvsp(vm, p, pair[1], again, why, room);
	} else if (p->program == PROGRAM_NETVSP) {
		good = launch_netvsp(vm, p, pair[1], again, why, room);
	} else if (p->program == PROGRAM_HVSOCK) {
		good = launch_hvsock(vm, p, pair[1], again, why, room);
	} else {
		good = launch_ic(vm, p, pair[1], again, why, room);
	}
	(void)close(pair[1]);
	if (!good) {
		(void)close(pair[0]);
		return false;
	}
	p->worker_end = pair[0];
	vm_record_hand(vm, p);
	return true;
}

/* ---- the worker ---- */

static void offer(struct vm *vm, struct pm_config_worker *config, enum offer kind, uint32_t index,
		  uint32_t socket, uint32_t unit)
{
	struct pm_device *device = &config->device[config->device_count++];

	device->class_id = classes[kind];
	definition_derive(vm->definition.name, 0x1000 + kind, index, device->instance.b);
	device->socket = socket;
	device->unit = unit;
}

static void offers(struct vm *vm, struct process *p, struct pm_config_worker *config)
{
	if (p->program == PROGRAM_STORVSP) {
		offer(vm, config, OFFER_SCSI, 0, p->socket, 0);
	} else if (p->program == PROGRAM_NETVSP) {
		offer(vm, config, OFFER_NIC, p->index, p->socket, 0);
	} else if (p->program == PROGRAM_IC) {
		offer(vm, config, OFFER_SHUTDOWN, 0, p->socket, 0);
		offer(vm, config, OFFER_HEARTBEAT, 0, p->socket, 1);
		offer(vm, config, OFFER_TIMESYNC, 0, p->socket, 2);
	} else if (p->program == PROGRAM_HVSOCK) {
		config->service[config->service_count++] =
			(struct pm_service){ .id = report_service, .socket = p->socket };
	}
}

_Static_assert(1 + DEFINITION_NICS_MAX + 3 <= PM_DEVICES_MAX, "offers of a machine");
_Static_assert(DEFINITION_DISKS_MAX <= PM_DISKS_MAX, "disks of a machine");

bool vm_launch_worker(struct vm *vm, char *why, size_t room)
{
	struct pm_config_worker config = {
		.memory_bytes = memory_bytes(vm),
		.vp_count = vm->definition.vps,
		.has_initrd = vm->files.initrd >= 0,
	};
	int fds[PM_FDS_MAX] = { vm->partition.fd, vm->partition.memory, vm->files.kernel };
	uint32_t count = 3;

	config.measure = vm->measured;
	config.svn = vm->definition.svn;
	config.disks = (uint16_t)vm->definition.disk_count;
	config.networks = (uint16_t)vm->definition.nic_count;
	config.devices = definition_devices(&vm->definition) &
			 (vm->measured ? ~0u : ~(uint32_t)ATTEST_DEVICE_REPORT);
	memcpy(config.cmdline, vm->definition.cmdline, sizeof(config.cmdline));
	if (vm->files.initrd >= 0) {
		fds[count++] = vm->files.initrd;
	}
	fds[count++] = vm->files.console_worker;
	for (uint32_t i = VM_DEVICES_FIRST; i < vm->process_count; i++) {
		struct process *p = &vm->process[i];

		if (p->program != PROGRAM_CONSOLE) {
			offers(vm, p, &config);
			fds[count++] = p->worker_end;
			config.socket_count++;
		}
	}
	if (!process_launch(&vm->process[0], PM_CONFIG_WORKER, &config, sizeof(config), fds, count,
			    why, room)) {
		return false;
	}
	vm_record_hand(vm, &vm->process[0]);
	for (uint32_t i = VM_DEVICES_FIRST; i < vm->process_count; i++) {
		struct process *p = &vm->process[i];

		if (p->worker_end >= 0) {
			(void)close(p->worker_end);
			p->worker_end = -1;
		}
	}
	return true;
}
