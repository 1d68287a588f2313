/* SPDX-License-Identifier: MIT */
/* What a log must keep to besides its digests, so that nobody can dress up one event as another. */
#include "attest/core/log.h"
#include "hv/wire/mem.h"

/* Arrays, not pointers, so that the table needs no relocation. */
struct type_name {
	uint32_t type;
	char name[40];
};

static const struct type_name types[] = {
	{ EV_PREBOOT_CERT, "EV_PREBOOT_CERT" },
	{ EV_POST_CODE, "EV_POST_CODE" },
	{ EV_NO_ACTION, "EV_NO_ACTION" },
	{ EV_SEPARATOR, "EV_SEPARATOR" },
	{ EV_ACTION, "EV_ACTION" },
	{ EV_EVENT_TAG, "EV_EVENT_TAG" },
	{ EV_S_CRTM_CONTENTS, "EV_S_CRTM_CONTENTS" },
	{ EV_S_CRTM_VERSION, "EV_S_CRTM_VERSION" },
	{ 0x9, "EV_CPU_MICROCODE" },
	{ 0xa, "EV_PLATFORM_CONFIG_FLAGS" },
	{ 0xb, "EV_TABLE_OF_DEVICES" },
	{ 0xc, "EV_COMPACT_HASH" },
	{ EV_IPL, "EV_IPL" },
	{ 0xe, "EV_IPL_PARTITION_DATA" },
	{ 0xf, "EV_NONHOST_CODE" },
	{ 0x10, "EV_NONHOST_CONFIG" },
	{ 0x11, "EV_NONHOST_INFO" },
	{ 0x12, "EV_OMIT_BOOT_DEVICE_EVENTS" },
	{ 0x80000001, "EV_EFI_VARIABLE_DRIVER_CONFIG" },
	{ 0x80000002, "EV_EFI_VARIABLE_BOOT" },
	{ 0x80000003, "EV_EFI_BOOT_SERVICES_APPLICATION" },
	{ 0x80000004, "EV_EFI_BOOT_SERVICES_DRIVER" },
	{ 0x80000005, "EV_EFI_RUNTIME_SERVICES_DRIVER" },
	{ 0x80000006, "EV_EFI_GPT_EVENT" },
	{ 0x80000007, "EV_EFI_ACTION" },
	{ 0x80000008, "EV_EFI_PLATFORM_FIRMWARE_BLOB" },
	{ 0x80000009, "EV_EFI_HANDOFF_TABLES" },
	{ 0x8000000a, "EV_EFI_PLATFORM_FIRMWARE_BLOB2" },
	{ 0x8000000b, "EV_EFI_HANDOFF_TABLES2" },
	{ 0x8000000c, "EV_EFI_VARIABLE_BOOT2" },
	{ 0x8000000d, "EV_EFI_GPT_EVENT2" },
	{ 0x80000010, "EV_EFI_HCRTM_EVENT" },
	{ 0x800000e0, "EV_EFI_VARIABLE_AUTHORITY" },
	{ 0x800000e1, "EV_EFI_SPDM_FIRMWARE_BLOB" },
	{ 0x800000e2, "EV_EFI_SPDM_FIRMWARE_CONFIG" },
	{ 0x800000e3, "EV_EFI_SPDM_DEVICE_POLICY" },
	{ 0x800000e4, "EV_EFI_SPDM_DEVICE_AUTHORITY" },
};

#define EV_EFI_VARIABLE_DRIVER_CONFIG 0x80000001u
#define EV_EFI_VARIABLE_BOOT 0x80000002u
#define EV_EFI_GPT_EVENT 0x80000006u
#define EV_EFI_VARIABLE_BOOT2 0x8000000cu
#define VARIABLE_HEADER \
	32u /* of UEFI_VARIABLE_DATA: GUID, characters of the name, bytes of the contents */
#define EV_EFI_ACTION 0x80000007u

static const char exit_returned[] = "Exit Boot Services Returned with Success";
static const char startup[16] = "StartupLocality";

const char *log_type_name(uint32_t type)
{
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		if (types[i].type == type) {
			return types[i].name;
		}
	}
	return NULL;
}

int log_startup_locality(const struct log_event *e)
{
	if (e->type != EV_NO_ACTION || e->data.n < sizeof(startup) ||
	    memcmp(e->data.at, startup, sizeof(startup)) != 0) {
		return -1;
	}
	/* Malformed ones get a locality that is refused. */
	return e->data.n == sizeof(startup) + 1 ? e->data.at[sizeof(startup)] : 255;
}

static const char *no_action(struct log_rules *r, const struct log *l, const struct log_event *e)
{
	int locality = log_startup_locality(e);

	for (uint32_t i = 0; i < l->banks; i++) {
		for (uint32_t k = 0; k < l->bank[i].size; k++) {
			if (e->digest[i][k] != 0) {
				return "EV_NO_ACTION, which extends nothing, has a digest";
			}
		}
	}
	if (locality < 0) {
		return NULL;
	}
	if (!l->agile || e->pcr != 0 || (r->extended & 1) != 0 || r->locality) {
		return "StartupLocality is not the first that is said of PCR 0";
	}
	r->locality = true;
	return locality == 0 || locality == 3 || locality == 4 ? NULL
							       : "StartupLocality is not 0, 3 or 4";
}

static const char *separator(struct log_rules *r, const struct log_event *e)
{
	uint32_t value;

	if (e->pcr > 7) {
		return NULL; /* loaders use them as they like */
	}
	if ((r->separators >> e->pcr & 1) != 0) {
		return "a second separator of one PCR";
	}
	r->separators |= 1u << e->pcr;
	if (e->data.n != 4) {
		return "a separator is not four bytes";
	}
	value = le32(e->data.at);
	return value == 0 || value == 0xffffffff ? NULL : "a separator reports a firmware error";
}

const char *log_rule(struct log_rules *r, const struct log *l, const struct log_event *e)
{
	const char *bad = NULL;

	if (e->type == EV_NO_ACTION) {
		return no_action(r, l, e);
	}
	if (log_type_name(e->type) == NULL) {
		return "an event of unknown type extends";
	}
	if (r->exited && !(e->type == EV_EVENT_TAG && e->pcr == ATTEST_PCR)) {
		return "an event follows ExitBootServices";
	}
	if (e->type == EV_SEPARATOR) {
		bad = separator(r, e);
	} else if (e->type == EV_EFI_VARIABLE_DRIVER_CONFIG && e->pcr == 7 &&
		   (r->separators >> 7 & 1) != 0) {
		bad = "Secure Boot's variables change after their separator";
	} else if (e->type == EV_EFI_ACTION && e->data.n == sizeof(exit_returned) - 1 &&
		   memcmp(e->data.at, exit_returned, e->data.n) == 0) {
		r->exited = true;
	}
	r->extended |= 1u << e->pcr;
	return bad;
}

bool log_data_hashed(const struct log_event *e)
{
	return e->type == EV_SEPARATOR || e->type == EV_EFI_ACTION || e->type == EV_ACTION ||
	       e->type == EV_EFI_VARIABLE_DRIVER_CONFIG || e->type == EV_EFI_GPT_EVENT ||
	       (e->type == EV_EVENT_TAG && e->pcr == ATTEST_PCR);
}

bool log_boot_variable(const struct log_event *e)
{
	return e->type == EV_EFI_VARIABLE_BOOT || e->type == EV_EFI_VARIABLE_BOOT2;
}

bool log_variable_contents(const struct log_event *e, struct span *contents)
{
	uint64_t name, n;

	if (e->data.n < VARIABLE_HEADER) {
		return false;
	}
	name = le64(e->data.at + 16);
	n = le64(e->data.at + 24);
	if (name > (e->data.n - VARIABLE_HEADER) / 2 ||
	    n != e->data.n - VARIABLE_HEADER - 2 * name) {
		return false;
	}
	contents->at = e->data.at + VARIABLE_HEADER + 2 * name;
	contents->n = (size_t)n;
	return true;
}

bool log_remark(const struct log_event *e)
{
	if (e->type != EV_EFI_ACTION) {
		return e->type == EV_SEPARATOR && e->data.n == 4;
	}
	for (size_t i = 0; i < e->data.n; i++) {
		if (e->data.at[i] < 0x20 || e->data.at[i] > 0x7e) {
			return false;
		}
	}
	return true;
}
