// SPDX-License-Identifier: MIT
/* The guest's tables: read by the hypervisor's own parser, field by field, and the DSDT by iasl where that is installed. */
#include "tests/unit/wire/wire_test.h"

#include <unistd.h>

#include "hv/host/vmworker/acpi.h"
#include "hv/wire/acpi.h"

#define AT 0xe0000u

static uint8_t memory[AT + ACPI_TABLES_BYTES];
static uint32_t used;

static void build(uint32_t vps)
{
	uint8_t *to = exact(memory, ACPI_TABLES_BYTES); /* exactly sized: ASan watches the ends */

	memset(memory, 0xee, sizeof(memory));
	used = acpi_build(to, AT, vps);
	assert_in_range(used, 400, ACPI_TABLES_BYTES);
	memcpy(memory + AT, to, ACPI_TABLES_BYTES);
	free(to);
}

static void assert_sum(const uint8_t *p, uint32_t bytes)
{
	uint8_t sum = 0;

	for (uint32_t i = 0; i < bytes; i++) {
		sum = (uint8_t)(sum + p[i]);
	}
	assert_int_equal(sum, 0);
}

/* The table at a guest address, checked as a whole. */
static const uint8_t *table(uint64_t at, const char *signature)
{
	const uint8_t *p = memory + at;

	assert_in_range(at, AT, AT + used - 36);
	assert_memory_equal(p, signature, 4);
	assert_true(range_within(at, le32(p + 4), AT + used));
	assert_sum(p, le32(p + 4));
	return p;
}

static const uint8_t *xsdt_entry(uint32_t i)
{
	const uint8_t *xsdt = table(le64(memory + AT + 24), "XSDT");

	assert_int_equal(le32(xsdt + 4), 36 + 2 * 8);
	return table(le64(xsdt + 36 + 8 * i), i == 0 ? "FACP" : "APIC");
}

static void test_parser(void **state)
{
	struct view v = { memory, sizeof(memory) };

	(void)state;
	for (uint32_t vps = 1; vps <= 8; vps++) {
		struct wire_fault why = poison();
		struct acpi_info info;

		build(vps);
		assert_true(acpi_parse(&v, AT, &info, &why));
		assert_null(why.what);
		assert_int_equal(info.cpu_count, vps);
		for (uint32_t i = 0; i < vps; i++) {
			assert_int_equal(info.cpu[i].apic_id, i);
			assert_true(info.cpu[i].enabled);
		}
		assert_int_equal(info.lapic_addr, 0xfee00000);
		assert_int_equal(info.ioapic_count, 0);
		assert_true(info.reset_is_io);
		assert_int_equal(info.reset_port, ACPI_PORT_RESET);
		assert_int_equal(info.reset_value, ACPI_RESET_VALUE);
		assert_true(info.s5_found);
		assert_int_equal(info.s5_typ_a, ACPI_S5_TYPE);
		/* Hardware-reduced: none of the fixed hardware. */
		assert_int_equal(info.pm1a_evt | info.pm1a_cnt | info.pm_timer | info.smi_cmd, 0);
	}
}

static void test_rsdp(void **state)
{
	(void)state;
	build(2);
	assert_memory_equal(memory + AT, "RSD PTR ", 8);
	assert_int_equal(memory[AT + 15], 2);
	assert_int_equal(le32(memory + AT + 16), 0); /* no RSDT */
	assert_int_equal(le32(memory + AT + 20), 36);
	assert_sum(memory + AT, 20);
	assert_sum(memory + AT, 36);
}

static void test_fadt(void **state)
{
	const uint8_t *f;

	(void)state;
	build(1);
	f = xsdt_entry(0);
	assert_int_equal(le32(f + 4), 276);
	assert_int_equal(f[8], 6);
	assert_int_equal(le32(f + 40), le64(f + 140));
	(void)table(le64(f + 140), "DSDT");
	assert_int_equal(le16(f + 109), 1u << 2 | 1u << 5); /* no VGA, no CMOS clock; no 8042 */
	assert_true((le32(f + 112) & (1u << 20)) != 0);
	assert_true((le32(f + 112) & (1u << 10)) != 0);
	/* Generic addresses: I/O, one byte. */
	for (uint32_t i = 0; i < 3; i++) {
		static const uint32_t at[] = { 116, 244, 256 };
		static const uint32_t port[] = { 0x602, 0x600, 0x601 };

		assert_int_equal(f[at[i]], 1);
		assert_int_equal(f[at[i] + 1], 8);
		assert_int_equal(f[at[i] + 2], 0);
		assert_int_equal(f[at[i] + 3], 1);
		assert_int_equal(le64(f + at[i] + 4), port[i]);
	}
	for (uint32_t i = 148; i < 244; i++) { /* the fixed hardware's extended addresses */
		assert_int_equal(f[i], 0);
	}
}

static void test_madt(void **state)
{
	const uint8_t *m;

	(void)state;
	build(3);
	m = xsdt_entry(1);
	assert_int_equal(le32(m + 4), 44 + 3 * 8);
	assert_int_equal(le32(m + 40), 0); /* PCAT_COMPAT clear */
	for (uint32_t i = 0; i < 3; i++) {
		const uint8_t *e = m + 44 + i * 8;

		assert_int_equal(e[0], 0);
		assert_int_equal(e[1], 8);
		assert_int_equal(e[2], i);
		assert_int_equal(e[3], i);
		assert_int_equal(le32(e + 4), 1);
	}
}

static void test_counts(void **state)
{
	uint8_t to[ACPI_TABLES_BYTES];

	(void)state;
	assert_int_equal(acpi_build(to, AT, 0), 0);
	assert_int_equal(acpi_build(to, AT, 256), 0);
	assert_int_not_equal(acpi_build(to, AT, 255), 0);
}

/* What iasl reads out of the bytes that a guest is given. */
static void test_disassembly(void **state)
{
	static const char *const want[] = { "\"VMBus\"", "\"VMBUS\"", "EisaId (\"PNP0501\")",
					    "0x03F8,             // Range Minimum",
					    "Name (_S5, Package (0x04)" };
	char folder[] = "/tmp/vmworker-acpi-XXXXXX", command[256], path[128];
	static char text[65536];
	const uint8_t *dsdt;
	size_t n;
	FILE *f;

	(void)state;
	if (system("command -v iasl >/dev/null") != 0) {
		skip();
	}
	build(1);
	dsdt = table(le64(xsdt_entry(0) + 140), "DSDT");
	assert_non_null(mkdtemp(folder));
	(void)snprintf(path, sizeof(path), "%s/t.aml", folder);
	f = fopen(path, "wb");
	assert_non_null(f);
	assert_int_equal(fwrite(dsdt, 1, le32(dsdt + 4), f), le32(dsdt + 4));
	assert_int_equal(fclose(f), 0);
	(void)snprintf(command, sizeof(command), "cd %s && iasl -d t.aml >/dev/null 2>&1", folder);
	assert_int_equal(system(command), 0);
	(void)snprintf(path, sizeof(path), "%s/t.dsl", folder);
	f = fopen(path, "r");
	assert_non_null(f);
	n = fread(text, 1, sizeof(text) - 1, f);
	assert_int_equal(fclose(f), 0);
	text[n] = '\0';
	for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
		if (strstr(text, want[i]) == NULL) {
			fail_msg("no %s in the DSDT", want[i]);
		}
	}
	assert_null(strstr(text, "IRQ"));
	(void)snprintf(command, sizeof(command), "rm -r %s", folder);
	assert_int_equal(system(command), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parser), cmocka_unit_test(test_rsdp),
		cmocka_unit_test(test_fadt),   cmocka_unit_test(test_madt),
		cmocka_unit_test(test_counts), cmocka_unit_test(test_disassembly),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
