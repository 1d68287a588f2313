/* SPDX-License-Identifier: MIT */
/* Tables for people. Texts of the answer are escaped: a guest chose some of them. */
#include "hv/host/hvctl/manager.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define SHOWN 200

struct shown { /* an escaped copy of a value */
	char text[TEXT_SIZE(SHOWN)];
};

static struct shown show(const char *value)
{
	struct shown s;

	text_escape(s.text, sizeof(s.text), value, SHOWN);
	return s;
}

static struct shown show_text(const json_t *object, const char *key)
{
	const char *value = json_string_value(json_object_get(object, key));

	return show(value != NULL ? value : "-");
}

static int64_t number(const json_t *object, const char *key)
{
	return json_integer_value(json_object_get(object, key));
}

static bool truth(const json_t *object, const char *key)
{
	return json_is_true(json_object_get(object, key));
}

void machine_print_list(const json_t *answer)
{
	const json_t *array = json_object_get(answer, "machines");

	printf("%-20s %-10s %10s %4s  %s\n", "NAME", "STATE", "MEMORY", "VPS", "LAST END");
	for (size_t i = 0; i < json_array_size(array); i++) {
		const json_t *machine = json_array_get(array, i);

		printf("%-20s %-10s %6" PRId64 " MiB %4" PRId64 "  %s\n",
		       show_text(machine, "name").text, show_text(machine, "state").text,
		       number(machine, "memory_mib"), number(machine, "vps"),
		       show_text(machine, "reason").text);
	}
}

static void print_disks(const json_t *machine)
{
	const json_t *array = json_object_get(machine, "disks");
	const json_t *storage = json_object_get(machine, "storage");

	for (size_t i = 0; i < json_array_size(array); i++) {
		const json_t *disk = json_array_get(array, i);
		char size[32];

		text_size(size, sizeof(size), (uint64_t)number(disk, "bytes"));
		printf("  disk %zu       %s, %s%s\n", i, show_text(disk, "path").text, size,
		       truth(disk, "read_only") ? ", read only" : "");
	}
	if (json_array_size(array) != 0) {
		printf("  storage      %" PRId64 " reads, %" PRId64 " writes, %" PRId64
		       " flushes, %" PRId64 " errors\n",
		       number(storage, "reads"), number(storage, "writes"),
		       number(storage, "flushes"), number(storage, "errors"));
	}
}

static void print_nics(const json_t *machine)
{
	const json_t *array = json_object_get(machine, "nics");

	for (size_t i = 0; i < json_array_size(array); i++) {
		const json_t *nic = json_array_get(array, i);

		printf("  NIC %zu        %s, port %" PRId64 ", sent %" PRId64 ", received %" PRId64
		       ", dropped %" PRId64 "\n",
		       i, show_text(nic, "mac").text, number(nic, "port"), number(nic, "sent"),
		       number(nic, "received"), number(nic, "dropped"));
	}
}

static void print_processes(const json_t *machine)
{
	const json_t *array = json_object_get(machine, "processes");

	for (size_t i = 0; i < json_array_size(array); i++) {
		const json_t *process = json_array_get(array, i);

		printf("  process      %s, pid %" PRId64 ", died %" PRId64 " times\n",
		       show_text(process, "process").text, number(process, "pid"),
		       number(process, "deaths"));
	}
}

void machine_print_show(const json_t *answer)
{
	const json_t *machine = json_object_get(answer, "machine");
	const json_t *ic = json_object_get(machine, "integration");
	int64_t run_ms = number(machine, "run_ms");

	printf("%s: %s\n", show_text(machine, "name").text, show_text(machine, "state").text);
	printf("  last end     %s\n", show_text(machine, "reason").text);
	printf("  memory       %" PRId64 " MiB\n", number(machine, "memory_mib"));
	printf("  processors   %" PRId64 ", weight %" PRId64 "\n", number(machine, "vps"),
	       number(machine, "weight"));
	printf("  kernel       %s\n", show_text(machine, "kernel").text);
	printf("  initrd       %s\n", show_text(machine, "initrd").text);
	printf("  command line %s\n", show_text(machine, "cmdline").text);
	printf("  partition    %" PRId64 "\n", number(machine, "partition"));
	printf("  run time     %" PRId64 ".%03" PRId64 " s, resets %" PRId64 "\n", run_ms / 1000,
	       run_ms % 1000, number(machine, "resets"));
	printf("  recorded     %s\n",
	       json_is_true(json_object_get(machine, "recorded")) ? "yes, by hvctl record" : "no");
	printf("  guest        %s\n", show_text(machine, "guest").text);
	printf("  integration  heartbeats %" PRId64 ", time samples %" PRId64 ", shutdown %s\n",
	       number(ic, "heartbeats"), number(ic, "timesync"),
	       truth(ic, "shutdown_ready") ? "ready" : "not ready");
	printf("  console      %" PRId64 " bytes, %s\n", number(machine, "console_bytes"),
	       show_text(machine, "console_log").text);
	print_disks(machine);
	print_nics(machine);
	print_processes(machine);
}

/* "own" where every namespace is, else the shared ones. */
static void print_namespaces(const json_t *process)
{
	json_t *object = json_object_get(process, "namespaces"), *value;
	const char *key;
	bool all = json_object_size(object) != 0;

	json_object_foreach(object, key, value)
	{
		const char *text = json_string_value(value);

		if (text == NULL || strcmp(text, "own") != 0) {
			printf("%s%s:%s", all ? "" : ",", show(key).text,
			       show(text != NULL ? text : "?").text);
			all = false;
		}
	}
	printf("%s", all ? "own" : "");
}

/* A capability set is hexadecimal digits. */
static const char *capabilities(const json_t *process)
{
	static const char *const sets[] = { "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb" };

	for (size_t i = 0; i < sizeof(sets) / sizeof(sets[0]); i++) {
		const char *set = json_string_value(json_object_get(process, sets[i]));

		if (set == NULL) {
			return "?";
		}
		if (strspn(set, "0") != strlen(set)) {
			return "SOME";
		}
	}
	return "none";
}

static const char *seccomp(const json_t *process)
{
	const char *mode = json_string_value(json_object_get(process, "Seccomp"));

	if (mode == NULL) {
		return "?";
	}
	return strcmp(mode, "2") == 0 ? "filter" : "NONE";
}

static const char *no_new_privs(const json_t *process)
{
	const char *flag = json_string_value(json_object_get(process, "NoNewPrivs"));

	if (flag == NULL) {
		return "?";
	}
	return strcmp(flag, "1") == 0 ? "yes" : "NO";
}

static void print_descriptors(const json_t *process)
{
	json_t *object = json_object_get(process, "descriptors"), *value;
	const char *key;

	printf("    descriptors:");
	json_object_foreach(object, key, value)
	{
		char text[TEXT_SIZE(64)];
		const char *target = json_string_value(value);

		text_escape(text, sizeof(text), target != NULL ? target : "?", 64);
		printf(" %s=%s", show(key).text, text);
	}
	printf("\n");
}

void machine_print_ps(const json_t *answer)
{
	const json_t *array = json_object_get(answer, "processes");

	printf("%-24s %-8s %6s %6s %-7s %-8s %-5s %-5s %s\n", "PROCESS", "STATE", "PID", "UID",
	       "SECCOMP", "NO-PRIVS", "CAPS", "FILES", "NAMESPACES");
	for (size_t i = 0; i < json_array_size(array); i++) {
		const json_t *process = json_array_get(array, i);
		const json_t *files = json_object_get(process, "root_entries");

		printf("%-24s %-8s %6" PRId64 " %6" PRId64 " %-7s %-8s %-5s ",
		       show_text(process, "process").text, show_text(process, "state").text,
		       number(process, "pid"), number(process, "uid"), seccomp(process),
		       no_new_privs(process), capabilities(process));
		if (json_is_integer(files)) {
			printf("%-5" PRId64 " ", (int64_t)json_integer_value(files));
		} else {
			printf("%-5s ", "?");
		}
		print_namespaces(process);
		printf("\n");
		print_descriptors(process);
	}
	printf("control groups: %s\n", show_text(answer, "control_groups").text);
}
