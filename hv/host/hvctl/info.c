/* SPDX-License-Identifier: MIT */
#include "hv/host/hvctl/hvctl.h"

#include <inttypes.h>
#include <stdio.h>

struct bit_name {
	uint64_t bit;
	const char *key; /* in JSON */
	const char *text;
};

static const struct bit_name protections[] = {
	{ RD_PROT_NPT, "npt", "hypervisor memory kept from the root's CPUs" },
	{ RD_PROT_IOMMU, "iommu", "hypervisor memory kept from devices" },
	{ RD_PROT_SLEEP, "sleep", "sleep states that restart below are refused" },
	{ RD_PROT_MSR_LIST, "msr_list", "MSRs denied unless listed" },
	{ RD_PROT_PORT_LIST, "port_list", "I/O ports that reach below are denied" },
	{ RD_PROT_NX, "nx", "NX" },
	{ RD_PROT_SMEP, "smep", "SMEP" },
	{ RD_PROT_SMAP, "smap", "SMAP" },
	{ RD_PROT_UMIP, "umip", "UMIP" },
	{ RD_PROT_WX, "wx", "no page writable and executable" },
	{ RD_PROT_RO_AFTER_INIT, "ro_after_init", "read-only after start" },
	{ RD_PROT_KASLR, "kaslr", "random base address" },
	{ RD_PROT_CANARY, "canary", "random stack canaries" },
	{ RD_PROT_HW_RNG, "hw_rng", "randomness from the CPU" },
};

static const struct bit_name hardware[] = {
	{ RD_HW_NRIPS, "nrips", "next RIP" },
	{ RD_HW_DECODE_ASSISTS, "decode_assists", "decode assists" },
	{ RD_HW_FLUSH_BY_ASID, "flush_by_asid", "flush by ASID" },
	{ RD_HW_X2APIC, "x2apic", "x2APIC" },
	{ RD_HW_TSC_DEADLINE, "tsc_deadline", "TSC deadline" },
	{ RD_HW_PAGE1GB, "page1gb", "1 GiB pages" },
	{ RD_HW_INVARIANT_TSC, "invariant_tsc", "invariant TSC" },
	{ RD_HW_VMCB_CLEAN, "vmcb_clean", "VMCB clean bits" },
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const char *const owners[] = {
	[RD_OWNER_ROOT] = "root",
	[RD_OWNER_HYPERVISOR] = "hypervisor",
	[RD_OWNER_POOL] = "pool",
	[RD_OWNER_FIRMWARE] = "firmware",
};

/* By enum attest_state of attest/core/format.h; the hypervisor's log says more. */
static const char *const attest_reasons[] = {
	"yes",
	"no TPM 2.0 with a TIS interface",
	"the boot loader was not measured (BIOS)",
	"the firmware gave no complete event log",
	"an active PCR bank that the firmware never extended",
	"the TPM failed",
	"the TPM has no locality 2",
	"no healthy source of randomness",
};

static const char *attest_reason(const struct rd_info *info)
{
	return info->attest < COUNT(attest_reasons) ? attest_reasons[info->attest] : "unknown";
}

static const char *type_name(uint32_t type)
{
	static const char *const names[] = { "?", "RAM", "reserved", "ACPI", "NVS", "unusable" };

	return type < COUNT(names) ? names[type] : "?";
}

static const char *protection_state(const struct rd_info *info, uint64_t bit)
{
	if ((info->protections & bit) != 0) {
		return "on";
	}
	return (info->available & bit) != 0 ? "off" : "not available";
}

/* Why devices may be able to reach the hypervisor; NULL if they are not. */
static const char *iommu_warning(const struct rd_info *info)
{
	if ((info->protections & RD_PROT_IOMMU) != 0) {
		return NULL;
	}
	if (info->iommu_count == 0) {
		return "no IOMMU: any device of the root can read and write the hypervisor";
	}
	return "the IOMMU is not used: any device of the root can read and write the hypervisor";
}

static json_t *json_text(const char *text)
{
	char plain[TEXT_SIZE(32)];

	text_escape(plain, sizeof(plain), text, 32);
	return json_string(plain);
}

static json_t *json_protections(const struct rd_info *info)
{
	json_t *object = json_object();

	for (size_t i = 0; i < COUNT(protections); i++) {
		json_object_set_new(object, protections[i].key,
				    json_string(protection_state(info, protections[i].bit)));
	}
	return object;
}

static json_t *json_hardware(const struct rd_info *info)
{
	json_t *object = json_object();

	for (size_t i = 0; i < COUNT(hardware); i++) {
		json_object_set_new(object, hardware[i].key,
				    json_boolean((info->hw & hardware[i].bit) != 0));
	}
	return object;
}

static json_t *json_memory(const struct rd_info *info)
{
	json_t *array = json_array();

	for (uint32_t i = 0; i < info->range_count; i++) {
		const struct rd_mem_range *range = &info->range[i];
		json_t *object = json_object();

		json_object_set_new(object, "base", json_u64(range->base));
		json_object_set_new(object, "size", json_u64(range->size));
		json_object_set_new(object, "owner", json_string(owners[range->owner]));
		json_object_set_new(object, "type", json_string(type_name(range->type)));
		json_array_append_new(array, object);
	}
	return array;
}

static json_t *json_iommu(const struct rd_info *info)
{
	const char *warning = iommu_warning(info);
	json_t *object = json_object();

	json_object_set_new(object, "count", json_u64(info->iommu_count));
	json_object_set_new(object, "faults", json_u64(info->iommu_faults));
	json_object_set_new(object, "warning",
			    warning != NULL ? json_string(warning) : json_null());
	return object;
}

static json_t *json_denied(const struct rd_info *info)
{
	json_t *object = json_object();

	json_object_set_new(object, "msr", json_u64(info->denied_msr));
	json_object_set_new(object, "port", json_u64(info->denied_port));
	json_object_set_new(object, "memory", json_u64(info->denied_memory));
	json_object_set_new(object, "instruction", json_u64(info->denied_insn));
	return object;
}

static json_t *info_json(const struct rd_info *info)
{
	json_t *object = json_object();

	json_object_set_new(object, "abi_version", json_u64(info->abi_version));
	json_object_set_new(object, "version", json_text(info->version));
	json_object_set_new(object, "build", json_text(info->build));
	/* The two short ones are checked to end within their 16 bytes. */
	json_object_set_new(object, "vendor", json_text(info->vendor));
	json_object_set_new(object, "boot_protocol", json_text(info->boot_protocol));
	json_object_set_new(object, "uptime_ns", json_u64(info->uptime_ns));
	json_object_set_new(object, "cpus", json_u64(info->cpu_count));
	json_object_set_new(object, "root_vps", json_u64(info->root_vp_count));
	json_object_set_new(object, "tsc_hz", json_u64(info->tsc_hz));
	json_object_set_new(object, "apic_timer_hz", json_u64(info->apic_timer_hz));
	json_object_set_new(object, "hypervisor_bytes", json_u64(info->hv_bytes));
	json_object_set_new(object, "heap_bytes", json_u64(info->heap_bytes));
	json_object_set_new(object, "heap_free_bytes", json_u64(info->heap_free_bytes));
	json_object_set_new(object, "pool_bytes", json_u64(info->pool_bytes));
	json_object_set_new(object, "pool_free_bytes", json_u64(info->pool_free_bytes));
	json_object_set_new(object, "protections", json_protections(info));
	json_object_set_new(object, "hardware", json_hardware(info));
	json_object_set_new(object, "iommu", json_iommu(info));
	json_object_set_new(object, "attestable", json_boolean(info->attest == 0));
	json_object_set_new(object, "attest_state", json_u64(info->attest));
	json_object_set_new(object, "attest_reason", json_string(attest_reason(info)));
	json_object_set_new(object, "denied", json_denied(info));
	json_object_set_new(object, "log_dropped", json_u64(info->log_dropped));
	json_object_set_new(object, "memory", json_memory(info));
	return object;
}

static void print_head(const struct rd_info *info)
{
	char version[TEXT_SIZE(32)], build[TEXT_SIZE(32)];
	char vendor[TEXT_SIZE(16)], protocol[TEXT_SIZE(16)];

	text_escape(version, sizeof(version), info->version, sizeof(info->version));
	text_escape(build, sizeof(build), info->build, sizeof(info->build));
	text_escape(vendor, sizeof(vendor), info->vendor, sizeof(info->vendor));
	text_escape(protocol, sizeof(protocol), info->boot_protocol, sizeof(info->boot_protocol));
	printf("Redoubt %s (%s)\n", version, build);
	printf("  booted by    %s, on %s, up %" PRIu64 ".%03" PRIu64 " s\n", protocol, vendor,
	       info->uptime_ns / 1000000000, info->uptime_ns / 1000000 % 1000);
	printf("  CPUs         %u, virtual processors of the root %u\n", info->cpu_count,
	       info->root_vp_count);
	printf("  clocks       TSC %" PRIu64 ".%03" PRIu64 " MHz, APIC timer %" PRIu64 ".%03" PRIu64
	       " MHz\n",
	       info->tsc_hz / 1000000, info->tsc_hz / 1000 % 1000, info->apic_timer_hz / 1000000,
	       info->apic_timer_hz / 1000 % 1000);
	printf("  attestable   %s%s\n", info->attest != 0 ? "no: " : "", attest_reason(info));
}

static void print_hardware(const struct rd_info *info)
{
	const char *separator = "";

	printf("  uses         ");
	for (size_t i = 0; i < COUNT(hardware); i++) {
		if ((info->hw & hardware[i].bit) != 0) {
			printf("%s%s", separator, hardware[i].text);
			separator = ", ";
		}
	}
	printf("%s\n", *separator == '\0' ? "none of the optional features" : "");
}

static void print_memory(const struct rd_info *info)
{
	char all[32], heap[32], heap_free[32], pool[32], pool_free[32];

	text_size(all, sizeof(all), info->hv_bytes);
	text_size(heap, sizeof(heap), info->heap_bytes);
	text_size(heap_free, sizeof(heap_free), info->heap_free_bytes);
	text_size(pool, sizeof(pool), info->pool_bytes);
	text_size(pool_free, sizeof(pool_free), info->pool_free_bytes);
	printf("  hypervisor   %s in all, heap %s (%s free)\n", all, heap, heap_free);
	printf("  child pool   %s (%s free)\n", pool, pool_free);
	printf("\nMemory\n");
	for (uint32_t i = 0; i < info->range_count; i++) {
		const struct rd_mem_range *range = &info->range[i];
		char size[32];

		text_size(size, sizeof(size), range->size);
		printf("  %016" PRIx64 "-%016" PRIx64 "  %11s  %-10s  %s\n", range->base,
		       range->base + (range->size - 1), size, owners[range->owner],
		       type_name(range->type));
	}
}

static void print_protection(const struct rd_info *info)
{
	const char *warning = iommu_warning(info);

	printf("\nProtection\n");
	for (size_t i = 0; i < COUNT(protections); i++) {
		printf("  %-13s  %s\n", protection_state(info, protections[i].bit),
		       protections[i].text);
	}
	printf("\nIOMMU\n  units %u, faults %u\n", info->iommu_count, info->iommu_faults);
	if (warning != NULL) {
		printf("  WARNING: %s\n", warning);
	}
	printf("\nDenied to the root\n  MSR %" PRIu64 ", port %" PRIu64 ", memory %" PRIu64
	       ", instruction %" PRIu64 "\n",
	       info->denied_msr, info->denied_port, info->denied_memory, info->denied_insn);
	if (info->log_dropped != 0) {
		printf("\n%" PRIu64 " log records were lost\n", info->log_dropped);
	}
}

int info_show(int fd, bool json)
{
	struct rd_info info;

	if (!device_get_info(fd, &info)) {
		return EXIT_ERROR;
	}
	if (json) {
		return json_print(info_json(&info), JSON_INDENT(2)) ? EXIT_OK : EXIT_ERROR;
	}
	print_head(&info);
	print_hardware(&info);
	print_memory(&info);
	print_protection(&info);
	return EXIT_OK;
}
