/* SPDX-License-Identifier: MIT */
#include "hv/host/hvctl/hvctl.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

/* Redoubt has no interrupt for new records: look four times a second. */
static const struct timespec follow_pause = { .tv_nsec = 250L * 1000 * 1000 };

static bool print_json(const struct rd_log_record *record)
{
	char text[TEXT_SIZE(RD_LOG_TEXT_MAX)];
	json_t *object = json_object();

	text_escape(text, sizeof(text), record->text, record->length);
	json_object_set_new(object, "sequence", json_u64(record->sequence));
	json_object_set_new(object, "time_ns", json_u64(record->time_ns));
	json_object_set_new(object, "level", json_string(level_names[record->level]));
	json_object_set_new(object, "cpu", json_u64(record->cpu));
	json_object_set_new(object, "text", json_string(text));
	return json_print(object, JSON_COMPACT);
}

static bool print_text(const struct rd_log_record *record)
{
	char text[TEXT_SIZE(RD_LOG_TEXT_MAX)];

	text_escape(text, sizeof(text), record->text, record->length);
	return printf("[%5" PRIu64 ".%06" PRIu64 "] cpu%-2u %-7s  %s\n",
		      record->time_ns / 1000000000, record->time_ns / 1000 % 1000000, record->cpu,
		      level_names[record->level], text) >= 0;
}

static bool print_records(const struct rd_log *log, bool json, unsigned int max_level)
{
	for (uint32_t i = 0; i < log->count; i++) {
		const struct rd_log_record *record = &log->record[i];

		if (record->level > max_level) {
			continue;
		}
		if (!(json ? print_json(record) : print_text(record))) {
			return false;
		}
	}
	return fflush(stdout) == 0;
}

/*
 * Records that were overwritten before they were read are seen as a gap in the sequence, and said.
 */
static void tell_gap(const struct rd_log *log, uint64_t expected)
{
	uint64_t first = log->count != 0 ? log->record[0].sequence : log->next;

	if (first > expected) {
		(void)fprintf(stderr, "hvctl: %" PRIu64 " older records are gone\n",
			      first - expected);
	}
}

int dmesg_show(int fd, bool json, bool follow, unsigned int max_level)
{
	uint64_t sequence = 0;

	for (;;) {
		struct rd_log log;

		if (!device_read_log(fd, sequence, &log)) {
			return EXIT_ERROR;
		}
		tell_gap(&log, sequence);
		if (!print_records(&log, json, max_level)) {
			(void)fprintf(stderr, "hvctl: cannot write the output\n");
			return EXIT_ERROR;
		}
		sequence = log.next;
		if (log.count != 0) {
			continue;
		}
		if (!follow) {
			return EXIT_OK;
		}
		(void)nanosleep(&follow_pause, NULL);
	}
}
