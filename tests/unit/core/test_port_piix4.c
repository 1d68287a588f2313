// SPDX-License-Identifier: MIT
/* The other chipset, and firmware that does not say how to power off. */
#include "tests/unit/core/core_test.h"

#include "hv/abi/redoubt.h"
#include "hv/core/port.h"
#include "hv/core/root.h"

static int boot(void **state)
{
	(void)state;
	fake_boot(&(struct fake_config){
		.cpus = 1, .piix4 = true, .no_s5 = true, .small_pages = true });
	return 0;
}

static void test_protected(void **state)
{
	(void)state;
	assert_true(port_pci_write_denied(0x0b, 0x40, 4));
	assert_true(port_pci_write_denied(0x0b, 0x43, 1));
	assert_false(port_pci_write_denied(0x0b, 0x44, 4));
	assert_true(port_pci_write_denied(0x0b, 0x80, 1));
	assert_true(port_pci_write_denied(0x0b, 0x7e, 4));
	assert_false(port_pci_write_denied(0x0b, 0x81, 1));
	assert_false(port_pci_write_denied(0xf8, 0x40, 4));
}

/* No sleep state is known to be S5: none is let through. */
static void test_no_sleep(void **state)
{
	(void)state;
	for (uint32_t typ = 0; typ < 8; typ++) {
		exit_port(root_vp(0), false, FAKE_PM1A, 2, typ << 10 | 1u << 13);
		assert_int_equal(fake_last_out()->value, typ << 10);
	}
	assert_int_equal(root_protections() & RD_PROT_SLEEP, 0);
	assert_true((root_protections_available() & RD_PROT_SLEEP) != 0);
}

static void test_small_pages(void **state)
{
	uint64_t span = 0;
	hpa_t h;

	(void)state;
	assert_true(npt_lookup(&partition_root->npt, gpa(0x1000000), &h, NULL, &span));
	assert_true(h.v == 0x1000000 && span == PAGE_SIZE_2M);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_protected),
		cmocka_unit_test(test_no_sleep),
		cmocka_unit_test(test_small_pages),
	};

	return cmocka_run_group_tests(tests, boot, NULL);
}
