/* SPDX-License-Identifier: MIT */
#include "hv/host/vmmgr/server.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "hv/host/vmmgr/vswitch.h"

static void put_text(json_t *object, const char *key, const char *text)
{
	json_object_set_new(object, key, json_string(text));
}

static void put_number(json_t *object, const char *key, uint64_t number)
{
	json_object_set_new(object, key,
			    json_integer(number > INT64_MAX ? INT64_MAX : (json_int_t)number));
}

json_t *answer_error(const char *text)
{
	json_t *object = json_object();

	json_object_set_new(object, "ok", json_false());
	put_text(object, "error", text);
	return object;
}

json_t *answer_definition_fault(const char *file, const struct definition_fault *fault)
{
	char text[DEFINITION_PATH_MAX + 512], where[80] = "";
	json_t *object;

	if (fault->line != 0) {
		(void)snprintf(where, sizeof(where), ":%" PRIu32, fault->line);
	}
	(void)snprintf(text, sizeof(text), "%s%s: %s%s%s: %s",
		       file[0] != '\0' ? file : "definition", where, fault->key,
		       fault->key[0] != '\0' ? ": " : "", fault->text, fault->remedy);
	object = answer_error(text);
	put_text(object, "file", file);
	put_number(object, "line", fault->line);
	put_text(object, "key", fault->key);
	put_text(object, "remedy", fault->remedy);
	return object;
}

static json_t *brief(const struct vm *vm)
{
	json_t *object = json_object();

	put_text(object, "name", vm->definition.name);
	put_text(object, "state", vm_state_name(vm->state));
	put_number(object, "memory_mib", vm->definition.memory_mib);
	put_number(object, "vps", vm->definition.vps);
	put_text(object, "reason", vm->reason);
	return object;
}

json_t *answer_list(void)
{
	json_t *object = json_object(), *array = json_array();

	/* Newest first in the list; people expect the order of creation. */
	for (const struct vm *vm = vm_first(); vm != NULL; vm = vm->next) {
		json_array_insert_new(array, 0, brief(vm));
	}
	json_object_set_new(object, "ok", json_true());
	json_object_set_new(object, "machines", array);
	return object;
}

static void put_mac(json_t *object, const uint8_t mac[6])
{
	char text[18];

	(void)snprintf(text, sizeof(text), "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2],
		       mac[3], mac[4], mac[5]);
	put_text(object, "mac", text);
}

static json_t *disks(const struct vm *vm)
{
	json_t *array = json_array();

	for (uint32_t i = 0; i < vm->definition.disk_count; i++) {
		json_t *object = json_object();

		put_text(object, "path", vm->definition.disk[i].path);
		json_object_set_new(object, "read_only",
				    json_boolean(vm->definition.disk[i].read_only));
		put_number(object, "bytes", vm->files.disk_bytes[i]);
		json_array_append_new(array, object);
	}
	return array;
}

static json_t *nics(const struct vm *vm)
{
	json_t *array = json_array();

	for (uint32_t i = 0; i < vm->definition.nic_count; i++) {
		json_t *object = json_object();

		put_mac(object, vm->definition.nic[i].mac);
		put_number(object, "port", vm->port[i].used ? vm->port[i].number : 0);
		put_number(object, "sent", vm->status.net[i].sent);
		put_number(object, "received", vm->status.net[i].received);
		put_number(object, "dropped", vm->status.net[i].dropped);
		json_array_append_new(array, object);
	}
	return array;
}

static json_t *processes(const struct vm *vm)
{
	json_t *array = json_array();

	for (uint32_t i = 0; i < vm->process_count; i++) {
		const struct process *p = &vm->process[i];
		json_t *object = json_object();

		put_text(object, "process", p->name);
		put_number(object, "pid", (uint64_t)p->pid);
		put_number(object, "deaths", p->deaths);
		json_array_append_new(array, object);
	}
	return array;
}

static json_t *integration(const struct vm *vm)
{
	json_t *object = json_object();

	put_number(object, "heartbeats", vm->status.ic.heartbeats);
	put_number(object, "timesync", vm->status.ic.timesync);
	json_object_set_new(object, "shutdown_ready",
			    json_boolean(vm->status.ic.shutdown_ready != 0));
	json_object_set_new(object, "shutdown_answered",
			    json_boolean(vm->status.ic.shutdown_answered != 0));
	return object;
}

static json_t *storage(const struct vm *vm)
{
	json_t *object = json_object();

	put_number(object, "reads", vm->status.disk.reads);
	put_number(object, "writes", vm->status.disk.writes);
	put_number(object, "flushes", vm->status.disk.flushes);
	put_number(object, "errors", vm->status.disk.errors);
	return object;
}

json_t *answer_show(const struct vm *vm)
{
	json_t *object = json_object(), *machine = brief(vm);
	uint64_t end = vm->state == VM_OFF || vm->state == VM_FAILED ? vm->ended_ms : loop_now_ms();
	char path[DEFINITION_PATH_MAX];

	put_number(machine, "weight", vm->definition.weight);
	put_text(machine, "kernel", vm->definition.kernel);
	put_text(machine, "initrd", vm->definition.initrd);
	put_text(machine, "cmdline", vm->definition.cmdline);
	put_number(machine, "partition", vm->partition.fd >= 0 ? vm->partition.number : 0);
	put_number(machine, "run_ms", vm->started_ms != 0 ? end - vm->started_ms : 0);
	put_number(machine, "resets", vm->resets);
	json_object_set_new(machine, "recorded", json_boolean(vm_recorded(vm)));
	put_text(machine, "guest", vm->status.worker.text);
	put_number(machine, "console_bytes", vm->status.console.bytes);
	put_text(machine, "console_log", vm_files_log_path(vm, path, sizeof(path)));
	json_object_set_new(machine, "disks", disks(vm));
	json_object_set_new(machine, "storage", storage(vm));
	json_object_set_new(machine, "nics", nics(vm));
	json_object_set_new(machine, "integration", integration(vm));
	json_object_set_new(machine, "processes", processes(vm));
	json_object_set_new(object, "ok", json_true());
	json_object_set_new(object, "machine", machine);
	return object;
}
