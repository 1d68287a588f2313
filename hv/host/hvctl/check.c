/* SPDX-License-Identifier: MIT */
/*
 * What the hypervisor answered is checked here, once, before it is used: counts, lengths and texts
 * are in bounds, sums do not wrap, sequences go forward. A hypervisor of another release must end
 * in a message, not in a wild read.
 */
#include "hv/host/hvctl/hvctl.h"

#include <string.h>

static bool text_ends(const char *text, size_t size)
{
	return memchr(text, '\0', size) != NULL;
}

static const char *check_ranges(const struct rd_info *info)
{
	if (info->range_count > RD_INFO_RANGES) {
		return "more memory ranges than fit";
	}
	for (uint32_t i = 0; i < info->range_count; i++) {
		const struct rd_mem_range *range = &info->range[i];

		if (range->size == 0 || range->base + (range->size - 1) < range->base) {
			return "a memory range that is empty or wraps";
		}
		if (range->owner > RD_OWNER_FIRMWARE) {
			return "a memory range of an unknown owner";
		}
	}
	return NULL;
}

const char *check_info(struct rd_info *info)
{
	if (info->abi_version != RD_ABI_VERSION) {
		return "another ABI version";
	}
	if (info->size != sizeof(*info)) {
		return "another size of the answer";
	}
	if (!text_ends(info->version, sizeof(info->version)) ||
	    !text_ends(info->build, sizeof(info->build)) ||
	    !text_ends(info->vendor, sizeof(info->vendor)) ||
	    !text_ends(info->boot_protocol, sizeof(info->boot_protocol))) {
		return "a text without end";
	}
	return check_ranges(info);
}

const char *check_log(struct rd_log *log, uint64_t asked)
{
	uint64_t lowest = asked;

	if (log->count > RD_LOG_RECORDS) {
		return "more log records than fit";
	}
	for (uint32_t i = 0; i < log->count; i++) {
		const struct rd_log_record *record = &log->record[i];

		if (record->length >= RD_LOG_TEXT_MAX) {
			return "a log record longer than its room";
		}
		if (record->level >= LEVEL_COUNT) {
			return "a log record of an unknown level";
		}
		if (record->sequence < lowest || record->sequence == UINT64_MAX) {
			return "log records out of order";
		}
		lowest = record->sequence + 1;
	}
	/* Else a reader would see records twice, or for ever. */
	if (log->next < lowest) {
		return "a log that goes backwards";
	}
	return NULL;
}
