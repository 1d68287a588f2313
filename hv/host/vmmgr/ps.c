/* SPDX-License-Identifier: MIT */
/*
 * What the kernel says of each process, not what it was meant to be: /proc/PID. A fact that cannot be read is null.
 */
#include "hv/host/vmmgr/server.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hv/host/vmmgr/cgroup.h"
#include "hv/host/vmmgr/vswitch.h"

#define FDS_SHOWN 64

static const char *const namespaces[] = { "mnt", "pid", "net", "ipc", "uts", "cgroup" };
static const char *const facts[] = { "Uid",        "Gid",    "Groups",  "Seccomp",
				     "NoNewPrivs", "CapInh", "CapPrm",  "CapEff",
				     "CapBnd",     "CapAmb", "Threads", "VmRSS" };

/* The value of a line "Key:\tvalue" of the status text, or NULL where there is none. */
static json_t *status_value(const char *status, const char *key)
{
	size_t length = strlen(key);

	for (const char *line = status; line != NULL && *line != '\0';) {
		const char *end = strchr(line, '\n');

		if (strncmp(line, key, length) == 0 && line[length] == ':') {
			const char *value = line + length + 1;
			size_t size = end != NULL ? (size_t)(end - value) : strlen(value);

			while (size != 0 && (*value == '\t' || *value == ' ')) {
				value++;
				size--;
			}
			while (size != 0 && value[size - 1] == ' ') {
				size--;
			}
			return json_stringn(value, size);
		}
		line = end != NULL ? end + 1 : NULL;
	}
	return json_null();
}

static void put_status(json_t *object, int folder)
{
	char text[4096];
	int fd = openat(folder, "status", O_RDONLY | O_CLOEXEC);
	ssize_t size = fd >= 0 ? read(fd, text, sizeof(text) - 1) : -1;

	if (fd >= 0) {
		(void)close(fd);
	}
	text[size > 0 ? size : 0] = '\0';
	for (size_t i = 0; i < sizeof(facts) / sizeof(facts[0]); i++) {
		json_object_set_new(object, facts[i], status_value(text, facts[i]));
	}
}

static bool link_text(int folder, const char *name, char *to, size_t room)
{
	ssize_t size = readlinkat(folder, name, to, room - 1);

	to[size > 0 ? size : 0] = '\0';
	return size > 0;
}

/* Each namespace: its own, or shared with the manager. */
static json_t *namespace_facts(int folder)
{
	json_t *object = json_object();

	for (size_t i = 0; i < sizeof(namespaces) / sizeof(namespaces[0]); i++) {
		char path[32], own[64], theirs[64];
		bool known;

		(void)snprintf(path, sizeof(path), "ns/%s", namespaces[i]);
		known = link_text(folder, path, theirs, sizeof(theirs));
		(void)snprintf(path, sizeof(path), "/proc/self/ns/%s", namespaces[i]);
		known = link_text(AT_FDCWD, path, own, sizeof(own)) && known;
		json_object_set_new(object, namespaces[i],
				    !known ? json_null()
					   : json_string(strcmp(own, theirs) == 0 ? "shared"
										  : "own"));
	}
	return object;
}

static DIR *open_folder(int folder, const char *name)
{
	int fd = openat(folder, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *listing = fd >= 0 ? fdopendir(fd) : NULL;

	if (fd >= 0 && listing == NULL) {
		(void)close(fd);
	}
	return listing;
}

static bool dots(const char *name)
{
	return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

/* {"number": "what it is"} */
static json_t *descriptor_facts(int folder)
{
	DIR *listing = open_folder(folder, "fd");
	json_t *object;
	const struct dirent *entry;

	if (listing == NULL) {
		return json_null();
	}
	object = json_object();
	while ((entry = readdir(listing)) != NULL && json_object_size(object) < FDS_SHOWN) {
		char target[256];

		if (!dots(entry->d_name) &&
		    link_text(dirfd(listing), entry->d_name, target, sizeof(target))) {
			json_object_set_new(object, entry->d_name, json_string(target));
		}
	}
	(void)closedir(listing);
	return object;
}

/* How many entries its root folder has: none is right. */
static json_t *root_facts(int folder)
{
	DIR *listing = open_folder(folder, "root/");
	const struct dirent *entry;
	json_int_t count = 0;

	if (listing == NULL) {
		return json_null();
	}
	while ((entry = readdir(listing)) != NULL) {
		count += !dots(entry->d_name);
	}
	(void)closedir(listing);
	return json_integer(count);
}

static json_t *one(const struct process *p)
{
	json_t *object = json_object();
	char path[32];
	int folder;

	json_object_set_new(object, "process", json_string(p->name));
	json_object_set_new(object, "state",
			    json_string(p->state == PROCESS_READY      ? "ready"
					: p->state == PROCESS_STARTING ? "starting"
								       : "waiting"));
	json_object_set_new(object, "deaths", json_integer(p->deaths));
	json_object_set_new(object, "pid", p->pid > 0 ? json_integer(p->pid) : json_null());
	json_object_set_new(object, "uid", json_integer(p->uid));
	if (p->pid <= 0) {
		return object;
	}
	/* It is our child and not reaped yet, so that the number is still its own. */
	(void)snprintf(path, sizeof(path), "/proc/%d", (int)p->pid);
	folder = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (folder < 0) {
		json_object_set_new(object, "proc", json_string(strerror(errno)));
		return object;
	}
	put_status(object, folder);
	json_object_set_new(object, "namespaces", namespace_facts(folder));
	json_object_set_new(object, "root_entries", root_facts(folder));
	json_object_set_new(object, "descriptors", descriptor_facts(folder));
	(void)close(folder);
	return object;
}

json_t *answer_ps(const struct vm *vm)
{
	json_t *object = json_object(), *array = json_array();
	const char *missing = cgroup_missing();

	if (vm == NULL && vswitch_process()->state != PROCESS_NONE) {
		json_array_append_new(array, one(vswitch_process()));
	}
	for (const struct vm *v = vm_first(); v != NULL; v = v->next) {
		for (uint32_t i = 0; (vm == NULL || v == vm) && i < v->process_count; i++) {
			if (v->process[i].state != PROCESS_NONE) {
				json_array_append_new(array, one(&v->process[i]));
			}
		}
	}
	json_object_set_new(object, "ok", json_true());
	json_object_set_new(object, "control_groups",
			    json_string(missing != NULL ? missing : "on"));
	json_object_set_new(object, "processes", array);
	return object;
}
