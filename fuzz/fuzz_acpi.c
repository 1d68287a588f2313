/* SPDX-License-Identifier: MIT */
/*
 * Input: byte 0: bit 0 clear: bytes 1-2 are the RSDP's address, the rest is all of memory as it is, with bit 2 set before 4 KiB of zeros.
 * Bit 0 set: the rest is tables one behind the other (each with a length in its header), for which
 * the harness
 * writes RSDP and XSDT and mends FADT's pointer to the DSDT and, with bit 1 set, all checksums.
 */
#include <stdlib.h>
#include <string.h>

#include "hv/wire/acpi.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(x)                          \
	do {                              \
		if (!(x)) {               \
			__builtin_trap(); \
		}                         \
	} while (0)

#define RSDP 16u
#define XSDT 64u
#define TABLES 256u /* first table; leaves room for 19 pointers in the XSDT */
#define TABLES_MAX 19u

static void put(uint8_t *p, uint64_t value, unsigned int bytes)
{
	for (unsigned int i = 0; i < bytes; i++) {
		p[i] = (uint8_t)(value >> (8 * i));
	}
}

static void mend(uint8_t *p, uint64_t len, uint8_t *field)
{
	uint8_t sum = 0;

	*field = 0;
	for (uint64_t i = 0; i < len; i++) {
		sum = (uint8_t)(sum + p[i]);
	}
	*field = (uint8_t)-sum;
}

static void build(uint8_t *m, uint64_t size, bool sums)
{
	uint64_t at = TABLES, dsdt = 0;
	uint64_t table[TABLES_MAX];
	unsigned int count = 0;

	while (count < TABLES_MAX && range_within(at, 36, size)) {
		uint32_t len = le32(m + at + 4);

		if (memcmp(m + at, "DSDT", 4) == 0) {
			dsdt = at;
		}
		table[count++] = at;
		if (len < 36 || !range_within(at, len, size)) {
			break;
		}
		at += len;
	}
	for (unsigned int i = 0; i < count; i++) {
		uint8_t *p = m + table[i];
		uint32_t len = le32(p + 4);

		put(m + XSDT + 36 + 8 * i, table[i], 8);
		if (len < 36 || !range_within(table[i], len, size)) {
			continue;
		}
		if (memcmp(p, "FACP", 4) == 0 && len >= 148) {
			put(p + 140, dsdt, 8);
		}
		if (sums) {
			mend(p, len, p + 9);
		}
	}
	memcpy(m + XSDT, "XSDT", 4);
	put(m + XSDT + 4, 36 + 8 * count, 4);
	mend(m + XSDT, 36 + 8 * count, m + XSDT + 9);
	memcpy(m + RSDP, "RSD PTR ", 8);
	m[RSDP + 15] = 2;
	put(m + RSDP + 20, 36, 4);
	put(m + RSDP + 24, XSDT, 8);
	mend(m + RSDP, 20, m + RSDP + 8);
	mend(m + RSDP, 36, m + RSDP + 32);
}

/* The log's place is entered without a change of the table's sum. */
static void set_log(uint8_t *memory, uint64_t size, const struct acpi_info *a)
{
	uint8_t *p = memory + a->tpm2_addr, sum = 0, again = 0;
	uint32_t len;

	if (a->tpm2_addr == 0 || !a->tpm2_log) {
		return;
	}
	CHECK(range_within(a->tpm2_addr, 76, size));
	len = le32(p + 4);
	CHECK(len >= 76 && range_within(a->tpm2_addr, len, size));
	for (uint32_t i = 0; i < len; i++) {
		sum = (uint8_t)(sum + p[i]);
	}
	acpi_tpm2_set_log(p, 0x123456789abcdef0, 0x87654321);
	for (uint32_t i = 0; i < len; i++) {
		again = (uint8_t)(again + p[i]);
	}
	CHECK(sum == again);
}

/* How many processors a MADT has that are or can be switched on, counted again; UINT32_MAX: not where every table is. */
static uint32_t processors(const uint8_t *m, uint64_t size)
{
	uint8_t seen[256] = { 0 };
	uint32_t count = 0;

	for (uint64_t at = TABLES; range_within(at, 36, size); at += le32(m + at + 4)) {
		uint32_t len = le32(m + at + 4);

		if (len < 36 || !range_within(at, len, size)) {
			break;
		}
		for (uint32_t e = 44; memcmp(m + at, "APIC", 4) == 0 && e < len;
		     e += m[at + e + 1]) {
			const uint8_t *p = m + at + e;
			uint32_t id = p[0] == 9 ? le32(p + 4) : p[3];

			if (p[0] == 9 && (id > 255 || p[1] < 16)) {
				return UINT32_MAX;
			}
			if ((p[0] == 0 && id != 255 && (le32(p + 4) & 3) != 0) ||
			    (p[0] == 9 && (le32(p + 8) & 3) != 0)) {
				count += seen[id] == 0;
				seen[id] = 1;
			}
		}
		if (memcmp(m + at, "APIC", 4) == 0) {
			return count; /* the first one is the one */
		}
	}
	return UINT32_MAX;
}

static void check(const struct acpi_info *a)
{
	bool enabled = false;

	CHECK(a->cpu_count >= 1 && a->ioapic_count <= ACPI_IOAPIC_MAX);
	CHECK(a->ecam_count <= ACPI_ECAM_MAX && a->iommu_count <= ACPI_IOMMU_MAX);
	for (uint32_t i = 0; i < a->cpu_count && i < ACPI_CPU_MAX; i++) {
		enabled = enabled || a->cpu[i].enabled;
		for (uint32_t k = 0; k < i; k++) {
			CHECK(a->cpu[k].apic_id != a->cpu[i].apic_id);
		}
	}
	CHECK(enabled);
	CHECK((a->pm1a_cnt | a->pm1b_cnt) == 0 || a->pm1_cnt_len >= 2);
	CHECK(a->pm1a_cnt + a->pm1_cnt_len <= 0x10000 && a->pm1b_cnt + a->pm1_cnt_len <= 0x10000);
	CHECK(a->pm1a_evt + a->pm1_evt_len <= 0x10000 && a->pm1b_evt + a->pm1_evt_len <= 0x10000);
	CHECK(a->pm_timer <= 0xfffc);
	CHECK(a->reset_is_io == (a->reset_port != 0));
	CHECK(a->s5_typ_a <= 7 && a->s5_typ_b <= 7);
	for (uint32_t i = 0; i < a->ecam_count; i++) {
		CHECK(a->ecam[i].base != 0 && a->ecam[i].base % (1u << 20) == 0);
		CHECK(a->ecam[i].bus_start <= a->ecam[i].bus_end);
		CHECK(a->ecam[i].base <= UINT64_MAX - ((a->ecam[i].bus_end + 1ull) << 20));
	}
	CHECK(a->iommu_count == 0 || a->ivrs_addr != 0);
	for (uint32_t i = 0; i < a->iommu_count; i++) {
		CHECK(a->iommu[i].base != 0 && a->iommu[i].base % 0x4000 == 0);
		for (uint32_t k = 0; k < i; k++) {
			CHECK(a->iommu[k].device_id != a->iommu[i].device_id ||
			      a->iommu[k].segment != a->iommu[i].segment);
		}
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct acpi_info info;
	struct wire_fault why = { NULL, NULL, NULL, 0 };
	uint64_t rsdp = RSDP;
	struct view v;
	uint8_t *memory;

	if (size < 3) {
		return 0;
	}
	if ((data[0] & 1) == 0) {
		rsdp = le16(data + 1);
		v.size = size - 3 + ((data[0] & 4) != 0 ? 4096 : 0);
		memory = calloc(1, v.size != 0 ? v.size : 1);
		if (memory == NULL) {
			return 0;
		}
		memcpy(memory, data + 3, size - 3);
	} else {
		v.size = TABLES + size - 1;
		memory = calloc(1, v.size);
		if (memory == NULL) {
			return 0;
		}
		memcpy(memory + TABLES, data + 1, size - 1);
		build(memory, v.size, (data[0] & 2) != 0);
	}
	v.base = memory;
	memset(&info, 0xa5, sizeof(info));
	if (acpi_parse(&v, rsdp, &info, &why)) {
		CHECK(why.what == NULL || (why.field != NULL && why.remedy != NULL));
		check(&info);
		if ((data[0] & 3) == 3) {
			uint32_t count = processors(memory, v.size);

			CHECK(count == UINT32_MAX || count >= ACPI_CPU_MAX ||
			      count == info.cpu_count);
		}
		set_log(memory, v.size, &info);
	} else {
		CHECK(why.what != NULL && why.field != NULL && why.remedy != NULL);
	}
	free(memory);
	return 0;
}
