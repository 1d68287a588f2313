// SPDX-License-Identifier: MIT
/* I/O ports: what is open, what is refused, and the ports through which the hypervisor could be reached. */
#include "tests/unit/core/core_test.h"

#include "hv/core/port.h"

enum policy { POLICY_ALLOW, POLICY_FILTER };

static const struct {
	uint16_t first, last;
	enum policy policy;
} rows[] = {
#define PORT(first, last, policy, reason) { first, last, POLICY_##policy },
#include "hv/core/port_list.def"
#undef PORT
};

static struct vp *vp;

static int fresh(void **state)
{
	(void)state;
	vp = root_vp(0);
	fake.in_value = 0xffffffff;
	return 0;
}

/* 0 not in the list, 1 allowed, 2 filtered */
static int row_of(uint32_t port)
{
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		if (port >= rows[i].first && port <= rows[i].last) {
			return rows[i].policy == POLICY_ALLOW ? 1 : 2;
		}
	}
	return port >= 0x1000 ? 1 : 0;
}

static bool pm1(uint32_t port)
{
	return (port & ~1u) == FAKE_PM1A || (port & ~1u) == FAKE_PM1B ||
	       (port & ~1u) == FAKE_PM1A_EVT;
}

/* An OUT that must reach the hardware as `want`. */
static void assert_out(uint16_t port, unsigned size, uint32_t v, uint32_t want)
{
	uint64_t before = fake.out_count;

	assert_int_equal(exit_port(vp, false, port, size, v), FAKE_RETURNED);
	assert_injected(vp, -1);
	if (fake.out_count == before || fake_last_out()->addr != port ||
	    fake_last_out()->size != size || fake_last_out()->value != want) {
		fail_msg("OUT %x %x did not arrive as %x", port, v, want);
	}
}

static void assert_dropped(uint16_t port, unsigned size, uint32_t v)
{
	uint64_t before = fake.out_count, denied = partition_root->denied_port;

	assert_int_equal(exit_port(vp, false, port, size, v), FAKE_RETURNED);
	assert_injected(vp, -1);
	if (fake.out_count != before || partition_root->denied_port == denied) {
		fail_msg("OUT %x <- %x (%u bytes) was not dropped and counted", port, v, size);
	}
}

static void test_bitmap(void **state)
{
	(void)state;
	for (uint32_t p = 0; p < 0x10000; p++) {
		if (fake_port_open(vp, (uint16_t)p) != (row_of(p) == 1 && !pm1(p))) {
			fail_msg("port %x", p);
		}
	}
	/* Independent of the list: the ways to the hypervisor. */
	for (uint32_t p = 0; p < 0x1000; p++) {
		bool way = p == 0x60 || p == 0x64 || p == 0x92 || p == 0xb2 ||
			   (p >= 0xcf8 && p <= 0xcff) || (p & ~1u) == FAKE_PM1A ||
			   (p >= 0x22 && p <= 0x2d) || (p >= 0xd00);

		assert_false(way && fake_port_open(vp, (uint16_t)p));
	}
	for (uint32_t p = 0x512; p <= 0x51b; p++) {
		assert_false(fake_port_open(vp, (uint16_t)p)); /* fw_cfg DMA would write anywhere */
	}
}

static void test_default_deny(void **state)
{
	(void)state;
	for (uint32_t p = 0; p < 0x1000; p++) {
		uint64_t denied = partition_root->denied_port;

		if (row_of(p) != 0) {
			continue;
		}
		assert_dropped((uint16_t)p, 1, 0x12);
		fake.in_value = 0x55;
		assert_int_equal(exit_port(vp, true, (uint16_t)p, 1, 0), FAKE_RETURNED);
		assert_true(vp->regs[REG_RAX] == 0x11223344000000ffull);
		assert_int_equal(partition_root->denied_port, denied + 2);
	}
	/* One denied byte spoils the whole access. */
	assert_dropped(0x50f, 4, 0);
	assert_dropped(0x511, 2, 0);
	assert_dropped(0xff, 2, 0);
	assert_dropped(0x1fff - 0x1000, 2, 0);
}

static void test_register_widths(void **state)
{
	(void)state;
	fake.in_value = 0xa5b6c7d8;
	exit_port(vp, true, 0x1000, 1, 0x11111111);
	assert_true(vp->regs[REG_RAX] == 0x11223344111111d8ull);
	exit_port(vp, true, 0x1000, 2, 0x11111111);
	assert_true(vp->regs[REG_RAX] == 0x112233441111c7d8ull);
	exit_port(vp, true, 0x1000, 4, 0x11111111);
	assert_true(vp->regs[REG_RAX] == 0xa5b6c7d8ull);
	assert_out(0x1000, 1, 0xa5b6c7d8, 0xd8);
	assert_out(0x1000, 2, 0xa5b6c7d8, 0xc7d8);
	assert_out(0x1000, 4, 0xa5b6c7d8, 0xa5b6c7d8);
}

static void test_string_and_end(void **state)
{
	struct exit_info e = { .kind = EXIT_PORT,
			       .length = 1,
			       .port = { .port = 0x60, .size = 1, .string = true } };
	uint64_t before = fake.out_count;

	(void)state;
	vp->rip = 0x1000;
	assert_int_equal(fake_exit(vp, &e), FAKE_RETURNED);
	assert_int_equal(vp->arch->pending.kind, FAKE_EXCEPTION);
	assert_int_equal(vp->arch->pending.vector, VECTOR_GP);
	assert_true(vp->rip == 0x1000);
	exit_port(vp, false, 0xffff, 2, 0); /* would wrap */
	assert_injected(vp, VECTOR_GP);
	exit_port(vp, true, 0xfffd, 4, 0);
	assert_injected(vp, VECTOR_GP);
	assert_true(fake.out_count == before);
	assert_out(0xfffc, 4, 1, 1);
}

/* The command "next byte is the output port" is held back ... */
static void kbc_held(void)
{
	uint64_t before = fake.out_count;

	exit_port(vp, false, 0x64, 1, 0xd1);
	assert_injected(vp, -1);
	assert_true(fake.out_count == before);
}

/* ... until the byte is known and clean. */
static void kbc_output(uint32_t v, uint32_t want)
{
	kbc_held();
	assert_out(0x60, 1, v, want);
	assert_int_equal(fake.out[(fake.out_count - 2) % FAKE_LOG].addr, 0x64);
	assert_int_equal(fake.out[(fake.out_count - 2) % FAKE_LOG].value, 0xd1);
}

static void test_a20(void **state)
{
	uint64_t denied = partition_root->denied_port;

	(void)state;
	assert_out(0x92, 1, 2, 2);
	assert_int_equal(partition_root->denied_port, denied);
	assert_out(0x92, 1, 0, 2); /* A20 stays on */
	assert_out(0x92, 1, 0xfc, 0xfe);
	assert_int_equal(partition_root->denied_port, denied + 2);
	assert_dropped(0x91, 2, 0x0000); /* 0x91 and 0x92 in one: 0x91 is not the root's */
	assert_dropped(0x64, 1, 0xdd);
	kbc_output(0x01, 0x03);
	assert_out(0x60, 1, 0x00, 0x00); /* only the next byte */
	kbc_held();
	assert_out(0x64, 1, 0x20, 0x20); /* another command in between */
	assert_out(0x60, 1, 0x00, 0x00);
	assert_out(0x64, 1, 0xdf, 0xdf);
	exit_port(vp, true, 0x64, 1, 0);
	assert_true((vp->regs[REG_RAX] & 0xff) == 0xff);
	/* Wider accesses to these registers do not exist, and leave no state behind. */
	assert_dropped(0x60, 2, 0);
	assert_dropped(0x63, 2, 0xd100);
	assert_dropped(0x64, 2, 0x00d1);
	assert_dropped(0xcf9, 2, 2);
	assert_dropped(0x92, 2, 2);
	assert_out(0x60, 1, 0x00, 0x00);
}

/* A20 off in two steps: what comes between the command and its byte must not separate the two. */
static void test_a20_steps(void **state)
{
	uint64_t denied;

	(void)state;
	/* The command waits through accesses that are refused ... */
	kbc_held();
	assert_dropped(0x60, 4, 0xdd);
	assert_dropped(0x60, 2, 0xdd);
	assert_dropped(0x5f, 2, 0xdd00);
	assert_dropped(0x64, 4, 0xdd);
	denied = partition_root->denied_port;
	assert_out(0x60, 1, 0xdd, 0xdf);
	assert_int_equal(partition_root->denied_port, denied + 1);
	assert_int_equal(fake.out[(fake.out_count - 2) % FAKE_LOG].value, 0xd1);
	/* ... and through reads, and may be given twice; it never reaches the chip without its byte. */
	kbc_held();
	exit_port(vp, true, 0x60, 1, 0);
	exit_port(vp, true, 0x64, 1, 0);
	kbc_held();
	assert_out(0x60, 1, 0xff, 0xff);
	assert_int_equal(fake.out[(fake.out_count - 2) % FAKE_LOG].value, 0xd1);
	/* Any other command takes its place: the chip has not seen it, so the byte is that command's. */
	for (uint32_t c = 0; c < 0x100; c++) {
		bool resets = (c & 0xf1) == 0xf0;
		uint64_t before;

		if (resets || c == 0xd1) {
			continue;
		}
		kbc_held();
		before = fake.out_count;
		exit_port(vp, false, 0x64, 1, c);
		assert_int_equal(fake.out_count - before, c == 0xdd ? 0 : 1);
		assert_out(0x60, 1, 0xdd, 0xdd);
		assert_int_equal(fake.out_count - before, c == 0xdd ? 1 : 2);
	}
	/* A command in a wide access is refused before it could be noted. */
	assert_dropped(0x63, 2, 0xd100);
	assert_dropped(0x64, 2, 0x00d1);
	assert_out(0x60, 1, 0xdd, 0xdd);
	assert_true((fake.out[(fake.out_count - 2) % FAKE_LOG].addr != 0x64) ||
		    fake.out[(fake.out_count - 2) % FAKE_LOG].value != 0xd1);
}

static void assert_reset(uint16_t port, unsigned size, uint32_t v)
{
	uint64_t before = fake.out_count;

	if (exit_port(vp, false, port, size, v) != FAKE_RESET || fake.out_count != before) {
		fail_msg("OUT %x <- %x does not restart the machine", port, v);
	}
}

static void test_reset(void **state)
{
	(void)state;
	assert_reset(0x92, 1, 3);
	assert_reset(0x92, 1, 1);
	assert_reset(0xcf9, 1, 0x06);
	assert_reset(0xcf9, 1, 0x04); /* a soft reset would be an INIT */
	assert_out(0xcf9, 1, 0x02, 0x02);
	for (uint32_t c = 0xf0; c <= 0xfe; c += 2) {
		assert_reset(0x64, 1, c);
	}
	assert_out(0x64, 1, 0xff, 0xff);
	kbc_held();
	assert_reset(0x60, 1, 0x02);
}

static void test_sleep(void **state)
{
	(void)state;
	for (uint32_t typ = 0; typ < 8; typ++) {
		uint32_t v = (typ << 10 | 1u << 13) | 1;
		uint64_t denied = partition_root->denied_port;

		assert_out(FAKE_PM1A, 2, v, typ == 5 ? v : v & ~0x2000u);
		assert_out(FAKE_PM1B, 2, v, typ == 6 ? v : v & ~0x2000u);
		assert_out(FAKE_PM1A + 1, 1, v >> 8, (typ == 5 ? v : v & ~0x2000u) >> 8);
		assert_out(FAKE_PM1A - 2, 4, v << 16, (typ == 5 ? v : v & ~0x2000u) << 16);
		assert_out(FAKE_PM1B + 1, 2, v >> 8, (typ == 6 ? v : v & ~0x2000u) >> 8);
		assert_int_equal(partition_root->denied_port - denied, typ == 5   ? 2
								       : typ == 6 ? 3
										  : 5);
		assert_out(FAKE_PM1A, 2, typ << 10, typ << 10); /* without SLP_EN anything goes */
	}
	assert_out(FAKE_PM1A, 1, 0xff, 0xff);
	fake.in_value = 0x1c01;
	exit_port(vp, true, FAKE_PM1A, 2, 0);
	assert_true((vp->regs[REG_RAX] & 0xffff) == 0x1c01);
}

/* Linux waits for the wake-up of a sleep that was refused: it sees one until it clears it. */
static void test_wake(void **state)
{
	(void)state;
	assert_out(FAKE_PM1A_EVT, 2, 0x8000, 0x8000);
	fake.in_value = 0;
	exit_port(vp, true, FAKE_PM1A_EVT, 2, 0);
	assert_true((vp->regs[REG_RAX] & 0xffff) == 0);
	assert_out(FAKE_PM1A, 2, 0x2401, 0x0401);
	exit_port(vp, true, FAKE_PM1A_EVT, 2, 0);
	assert_true((vp->regs[REG_RAX] & 0xffff) == 0x8000);
	exit_port(vp, true, FAKE_PM1A_EVT + 1, 1, 0);
	assert_true((vp->regs[REG_RAX] & 0xff) == 0x80);
	exit_port(vp, true, FAKE_PM1A_EVT, 4, 0);
	assert_true(vp->regs[REG_RAX] == 0x8000);
	assert_out(FAKE_PM1A_EVT, 2, 0x0100, 0x0100); /* clears something else */
	exit_port(vp, true, FAKE_PM1A_EVT + 1, 1, 0);
	assert_true((vp->regs[REG_RAX] & 0xff) == 0x80);
	assert_out(FAKE_PM1A_EVT, 2, 0x8000, 0x8000);
	exit_port(vp, true, FAKE_PM1A_EVT + 1, 1, 0);
	assert_true((vp->regs[REG_RAX] & 0xff) == 0);
}

static void pci_select(uint32_t device, uint32_t reg)
{
	uint64_t before = fake.out_count;

	assert_int_equal(exit_port(vp, false, 0xcf8, 4, 0x80000000u | device << 8 | reg),
			 FAKE_RETURNED);
	assert_int_equal(fake.out_count, before); /* latched, not written */
}

/* A write to an allowed register arrives, with the root's own address in the hardware latch. */
static void pci_allowed(uint32_t device, uint32_t reg, unsigned size)
{
	pci_select(device, reg & 0xfc);
	assert_out((uint16_t)(0xcfc + (reg & 3)), size, 0x1234, size == 1 ? 0x34 : 0x1234);
	assert_int_equal(fake_last_out()->pci, 0x80000000u | device << 8 | (reg & 0xfc));
}

static void pci_denied(uint32_t device, uint32_t reg, unsigned size)
{
	pci_select(device, reg & 0xfc);
	assert_dropped((uint16_t)(0xcfc + (reg & 3)), size, 0);
}

static void test_pci(void **state)
{
	uint64_t before;

	(void)state;
	for (uint32_t reg = 0; reg < 256; reg++) {
		pci_denied(0, reg, 1); /* host bridge: all of it */
		pci_allowed(0x10, reg, 1);
	}
	/* ICH9 LPC 0x40..0x47, at every alignment and width */
	for (uint32_t reg = 0x3c; reg < 0x4c; reg++) {
		for (unsigned size = 1; size <= 4; size *= 2) {
			if ((reg & 3) + size > 4) {
				continue;
			}
			if (reg + size > 0x40 && reg < 0x48) {
				pci_denied(0xf8, reg, size);
			} else {
				pci_allowed(0xf8, reg, size);
			}
		}
	}
	/* Accesses that only touch the data port from outside. */
	assert_dropped(0xcfb, 2, 0);
	assert_dropped(0xcfb, 4, 0);
	assert_dropped(0xcff, 2, 0);
	/* The address register byte by byte does not exist. */
	pci_select(0xf8, 0x10);
	assert_dropped(0xcf8, 1, 0x40);
	assert_dropped(0xcf8, 2, 0x40);
	assert_dropped(0xcfa, 2, 0x8000);
	pci_allowed(0xf8, 0x10, 4);
	exit_port(vp, true, 0xcf8, 4, 0);
	assert_true(vp->regs[REG_RAX] == 0x8000f810);
	/* Reads of protected functions are fine. */
	pci_select(0, 0);
	fake.in_value = 0x8086;
	exit_port(vp, true, 0xcfc, 2, 0);
	assert_true((vp->regs[REG_RAX] & 0xffff) == 0x8086);
	/* Without the enable bit nothing reaches the hardware. */
	before = fake.out_count;
	exit_port(vp, false, 0xcf8, 4, 0x00001000);
	exit_port(vp, false, 0xcfc, 4, 1);
	assert_injected(vp, -1);
	exit_port(vp, true, 0xcfc, 4, 0);
	assert_true(vp->regs[REG_RAX] == 0xffffffff);
	assert_int_equal(fake.out_count, before);
	/* Reserved bits 30:24 do not lead around the protection. */
	exit_port(vp, false, 0xcf8, 4, 0xff000040u);
	assert_dropped(0xcfc, 4, 0);
}

static void test_protect_table(void **state)
{
	uint32_t n = port_pci_protected_count();

	(void)state;
	assert_true(n >= 2);
	assert_true(port_pci_write_denied(0, 0xfff, 1));
	assert_false(port_pci_write_denied(0xf8, 0x100, 4));
	assert_true(port_pci_protect(0x123, 0x50, 0x53));
	assert_false(port_pci_write_denied(0x123, 0x4c, 4));
	assert_true(port_pci_write_denied(0x123, 0x4d, 4));
	assert_true(port_pci_write_denied(0x123, 0x53, 1));
	assert_false(port_pci_write_denied(0x123, 0x54, 1));
	assert_true(port_pci_write_denied(0x123, 0x4c, 8));
	while (port_pci_protected_count() < PORT_PCI_PROTECT_MAX) {
		assert_true(port_pci_protect(0x124, 0, 3));
	}
	assert_false(port_pci_protect(0x124, 0, 3));
}

#define TEST(f) cmocka_unit_test_setup(f, fresh)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_bitmap),         TEST(test_default_deny), TEST(test_register_widths),
		TEST(test_string_and_end), TEST(test_a20),          TEST(test_reset),
		TEST(test_sleep),          TEST(test_pci),          TEST(test_wake),
		TEST(test_protect_table),  TEST(test_a20_steps),
	};

	return cmocka_run_group_tests(tests, boot_machine, NULL);
}
