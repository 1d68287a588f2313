// SPDX-License-Identifier: MIT
/* Nested page faults: what is mapped on demand, what never is, and the emulated device pages. */
#include "tests/unit/core/core_test.h"

#include "hv/core/mmio.h"
#include "hv/core/owner.h"
#include "hv/core/port.h"
#include "hv/core/tpm_tis.h"

#define CODE 0x2000ull
#define LPC_PAGE (FAKE_ECAM + 0xf8000)

static struct vp *vp;

static int fresh(void **state)
{
	(void)state;
	vp = root_vp(0);
	fake_ram_clear();
	vp->arch->cr0 = 0x11; /* paging off: linear is physical */
	vp->arch->mode = 64;
	vp->arch->cpl = 0;
	vp->apic.base = APIC_BASE_ADDR | APIC_BASE_EN | APIC_BASE_BSP;
	vp->apic.svr = 0x1ff;
	fake.mmio_value = UINT64_MAX;
	memset(vp->regs, 0, sizeof(vp->regs));
	return 0;
}

static bool mapped(uint64_t at, unsigned *access, uint64_t *span)
{
	hpa_t h = hpa(0);
	bool there = npt_lookup(&partition_root->npt, gpa(at), &h, access, span);

	assert_true(!there || h.v == at); /* the root's map is the identity */
	return there;
}

/* An instruction at CODE that faulted on `at`. */
static void run(const char *code, size_t n, uint64_t at, bool write)
{
	put_code(vp, CODE, code, n);
	assert_int_equal(exit_memory(vp, at, write), FAKE_RETURNED);
}

#define RUN(code, at, write) run(code, sizeof(code) - 1, at, write)

/* mov dword [rax], imm32 / mov ecx, [rax] */
static void store32(uint64_t at, uint32_t v)
{
	uint8_t code[6] = {
		0xc7, 0x00, (uint8_t)v, (uint8_t)(v >> 8), (uint8_t)(v >> 16), (uint8_t)(v >> 24)
	};

	run((const char *)code, sizeof(code), at, true);
	assert_injected(vp, -1);
}

static uint32_t load32(uint64_t at)
{
	vp->regs[REG_RCX] = UINT64_MAX;
	RUN("\x8b\x08", at, false);
	assert_injected(vp, -1);
	assert_true(vp->regs[REG_RCX] >> 32 == 0);
	return (uint32_t)vp->regs[REG_RCX];
}

static void assert_denied(uint64_t at, bool write)
{
	uint64_t before = partition_root->denied_memory;

	RUN("\x8b\x08", at, write);
	assert_injected(vp, VECTOR_GP);
	assert_int_equal(partition_root->denied_memory, before + 1);
	assert_false(mapped(at & ~0xfffull, NULL, NULL));
}

static void test_boot_map(void **state)
{
	unsigned access = 0;

	(void)state;
	for (uint64_t at = 0; at < FAKE_RAM_SIZE; at += PAGE_SIZE) {
		bool closed =
			(at >= FAKE_REGION_BASE && at < FAKE_REGION_BASE + FAKE_REGION_SIZE) ||
			(at >= FAKE_POOL_BASE && at < FAKE_POOL_BASE + FAKE_POOL_SIZE);

		if (mapped(at, &access, NULL) == closed) {
			fail_msg("%llx", (unsigned long long)at);
		}
		assert_true(closed || access == NPT_RWX);
	}
	assert_false(mapped(APIC_BASE_ADDR, NULL, NULL));
	assert_false(mapped(FAKE_IOAPIC, NULL, NULL));
	assert_true(mapped(FAKE_ECAM, &access, NULL) && access == NPT_R); /* host bridge */
	assert_true(mapped(LPC_PAGE, &access, NULL) && access == NPT_R);
}

static void test_on_demand(void **state)
{
	uint64_t span = 0;

	(void)state;
	assert_int_equal(exit_memory(vp, 0xd0012345, true), FAKE_RETURNED);
	assert_int_equal(vp->arch->pending.kind, FAKE_NONE);
	assert_true(mapped(0xd0012345, NULL, &span) &&
		    span == PAGE_SIZE_2M); /* the APICs are in the same GiB */
	exit_memory(vp, 0x8012345678, false);
	assert_true(mapped(0x8012345678, NULL, &span) && span == PAGE_SIZE_1G);
	/* Next to closed pages: the largest blocks that leave them out. */
	exit_memory(vp, 0xfed00000, false);
	assert_true(mapped(0xfed00000, NULL, &span) && span <= PAGE_SIZE_2M);
	exit_memory(vp, FAKE_IOAPIC + PAGE_SIZE, false);
	assert_true(mapped(FAKE_IOAPIC + PAGE_SIZE, NULL, &span) && span == PAGE_SIZE);
	exit_memory(vp, LPC_PAGE + PAGE_SIZE, true);
	assert_true(mapped(LPC_PAGE + PAGE_SIZE, NULL, &span) && span == PAGE_SIZE);
	assert_false(mapped(FAKE_IOAPIC, NULL, NULL));
	assert_false(mapped(APIC_BASE_ADDR, NULL, NULL));
	/* The last page below 2^48, and nothing above it, whatever the CPU can address. */
	exit_memory(vp, (1ull << 48) - 1, false);
	assert_true(mapped((1ull << 48) - 1, NULL, NULL));
	assert_denied(1ull << 48, false);
	assert_denied((1ull << 52) - 8, true);
}

static void test_denied(void **state)
{
	struct exit_info e = { .kind = EXIT_MEMORY,
			       .memory = { .gpa = { APIC_BASE_ADDR }, .fetch = true } };

	(void)state;
	for (uint64_t at = FAKE_REGION_BASE; at < FAKE_POOL_BASE + FAKE_POOL_SIZE; at += 0x7b000) {
		assert_denied(at, false);
		assert_denied(at, true);
	}
	assert_denied(FAKE_POOL_BASE + FAKE_POOL_SIZE - 1, true);
	assert_denied(APIC_BASE_ADDR + 0x1000, true); /* an MSI by hand */
	assert_denied(APIC_BASE_ADDR + 0xfffff, true);
	/* Code or page tables on a device page. */
	assert_int_equal(fake_exit(vp, &e), FAKE_RETURNED);
	assert_injected(vp, VECTOR_GP);
	e.memory.fetch = false;
	e.memory.walk = true;
	assert_int_equal(fake_exit(vp, &e), FAKE_RETURNED);
	assert_injected(vp, VECTOR_GP);
}

static void ioapic_write(uint32_t index, uint32_t v)
{
	store32(FAKE_IOAPIC, index);
	store32(FAKE_IOAPIC + 0x10, v);
}

static void test_ioapic(void **state)
{
	(void)state;
	for (uint32_t mode = 0; mode < 8; mode++) {
		for (uint32_t v = 0; v < 256; v++) {
			uint32_t e = v | mode << 8 | 0x8000; /* level */
			bool good = mode < 2 && v >= 32 && v < HV_VECTOR_FIRST;
			uint64_t before = partition_root->denied_memory;

			ioapic_write(0x10 + 2 * (v % 24), e);
			assert_false(fake_ioapic_bad());
			assert_int_equal(fake.ioapic[0x10 + 2 * (v % 24)] == e, good);
			assert_int_equal(partition_root->denied_memory - before,
					 good || mode == 7 ? 0 : 1);
			ioapic_write(0x10 + 2 * (v % 24), e | 0x10000); /* masked: as it is */
			assert_int_equal(fake.ioapic[0x10 + 2 * (v % 24)], e | 0x10000);
		}
	}
	ioapic_write(0x11, 0xff000000); /* destination */
	assert_int_equal(fake.ioapic[0x11], 0xff000000);
	store32(FAKE_IOAPIC, 0xffffff10);
	assert_int_equal(load32(FAKE_IOAPIC), 0x10);
	assert_int_equal(load32(FAKE_IOAPIC + 0x10), fake.ioapic[0x10]);
	store32(FAKE_IOAPIC, 1);
	assert_int_equal(load32(FAKE_IOAPIC + 0x10), 0x170020);
}

/* The fake IO-APIC decodes 8 address bits, as QEMU's: its registers show 16 times in the page. */
static void test_ioapic_alias(void **state)
{
	uint64_t writes, denied;
	uint32_t before;

	(void)state;
	ioapic_write(0x10, 0x31);
	before = fake.ioapic[0x10];
	writes = fake.mmio_count;
	denied = partition_root->denied_memory;
	for (uint64_t alias = 0x100; alias < 0x1000; alias += 0x100) {
		store32(FAKE_IOAPIC + alias, 0x10);
		store32(FAKE_IOAPIC + alias + 0x10, 0x2f1); /* SMI */
		assert_int_equal(fake.ioapic[0x10], before);
		assert_int_equal(load32(FAKE_IOAPIC + alias), 0xffffffff);
	}
	assert_int_equal(fake.mmio_count, writes);
	assert_int_equal(partition_root->denied_memory - denied, 30);
	/* Other widths and places within the page. */
	RUN("\xc6\x00\xf1", FAKE_IOAPIC + 0x10, true);
	RUN("\x66\xc7\x00\xf1\x02", FAKE_IOAPIC + 0x10, true);
	vp->regs[REG_RCX] = 0x2f1;
	RUN("\x48\x89\x08", FAKE_IOAPIC + 0x10, true);
	RUN("\x89\x08", FAKE_IOAPIC + 0x0e, true);
	RUN("\x89\x08", FAKE_IOAPIC + 0x11, true);
	assert_int_equal(fake.ioapic[0x10], before);
	RUN("\x89\x08", FAKE_IOAPIC + 0xffe, true); /* across the page's end */
	assert_injected(vp, VECTOR_GP);
	store32(FAKE_IOAPIC + 0x40, 0x31); /* EOI register */
	assert_int_equal(fake_last_mmio()->addr, FAKE_IOAPIC + 0x40);
}

static void test_lapic_page(void **state)
{
	(void)state;
	store32(APIC_BASE_ADDR + APIC_LVT_TIMER, 0x200ec);
	assert_int_equal(vp->apic.lvt[0], 0x200ec);
	assert_int_equal(load32(APIC_BASE_ADDR + APIC_LVT_TIMER), 0x200ec);
	assert_int_equal(load32(APIC_BASE_ADDR + APIC_VERSION), 0x50014);
	/* or, and, xor to memory */
	RUN("\x81\x08\x00\x00\x01\x00", APIC_BASE_ADDR + APIC_LVT_TIMER, true);
	assert_injected(vp, -1);
	assert_int_equal(vp->apic.lvt[0], 0x300ec);
	RUN("\x81\x20\xff\x00\x01\x00", APIC_BASE_ADDR + APIC_LVT_TIMER, true);
	assert_int_equal(vp->apic.lvt[0], 0x100ec);
	vp->regs[REG_RCX] = 0x10001;
	RUN("\x31\x08", APIC_BASE_ADDR + APIC_LVT_TIMER, true);
	assert_int_equal(vp->apic.lvt[0], 0xed);
	RUN("\x01\x08", APIC_BASE_ADDR + APIC_LVT_TIMER, true); /* add would need flags */
	assert_injected(vp, VECTOR_GP);
	assert_int_equal(vp->apic.lvt[0], 0xed);
	vp->apic.base |= APIC_BASE_EXTD; /* in x2APIC mode the page is dead */
	store32(APIC_BASE_ADDR + APIC_LVT_TIMER, 0x200aa);
	assert_int_equal(load32(APIC_BASE_ADDR + APIC_LVT_TIMER), 0xffffffff);
	assert_int_equal(vp->apic.lvt[0], 0xed);
}

/* Every destination of a load: width, high byte, extension. */
static void test_destinations(void **state)
{
	static const struct {
		const char *code;
		size_t n;
		unsigned reg;
		uint64_t want;
	} table[] = {
		{ "\x8a\x08", 2, REG_RCX, 0x11111111111111ec },         /* mov cl, [rax] */
		{ "\x8a\x28", 2, REG_RCX, 0x111111111111ec11 },         /* mov ch, [rax] */
		{ "\x66\x8b\x08", 3, REG_RCX, 0x11111111111180ec },     /* mov cx, [rax] */
		{ "\x8b\x08", 2, REG_RCX, 0x000180ec },                 /* mov ecx, [rax] */
		{ "\x44\x8b\x38", 3, REG_R15, 0x000180ec },             /* mov r15d, [rax] */
		{ "\x0f\xb6\x08", 3, REG_RCX, 0xec },                   /* movzx ecx, byte */
		{ "\x48\x0f\xbe\x08", 4, REG_RCX, 0xffffffffffffffec }, /* movsx rcx, byte */
		{ "\x0f\xbf\x08", 3, REG_RCX, 0xffff80ec },             /* movsx ecx, word */
		{ "\x66\x0f\xbe\x08", 4, REG_RCX, 0x111111111111ffec }, /* movsx cx, byte */
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		store32(APIC_BASE_ADDR + APIC_ICR,
			0x180ec & ~0x100ecu); /* something to read: not an IPI that counts */
		vp->apic.icr = 0x180ec;
		vp->regs[table[i].reg] = 0x1111111111111111;
		run(table[i].code, table[i].n, APIC_BASE_ADDR + APIC_ICR, false);
		assert_injected(vp, -1);
		assert_true(vp->rip == CODE + table[i].n);
		if (vp->regs[table[i].reg] != table[i].want) {
			fail_msg("case %zu: %llx", i, (unsigned long long)vp->regs[table[i].reg]);
		}
	}
	vp->regs[REG_RCX] = 0x1234abcd; /* mov [rax], ch */
	vp->apic.lvt[0] = 0;
	RUN("\x88\x28", APIC_BASE_ADDR + APIC_LVT_TIMER, true);
	assert_int_equal(vp->apic.lvt[0], 0xab);
}

static void test_ecam(void **state)
{
	uint64_t before;

	(void)state;
	for (uint32_t reg = 0x38; reg < 0x50; reg += 2) {
		bool denied = reg + 4 > 0x40 && reg < 0x48;

		before = fake.mmio_count;
		store32(LPC_PAGE + reg, 0x12345678);
		if ((fake.mmio_count != before) == denied) {
			fail_msg("register %x", reg);
		}
		assert_true(denied || (fake_last_mmio()->addr == LPC_PAGE + reg &&
				       fake_last_mmio()->value == 0x12345678));
	}
	before = fake.mmio_count;
	for (uint32_t reg = 0; reg < 0x1000; reg += 0x44) {
		store32(FAKE_ECAM + reg, 0);
	}
	RUN("\xc6\x00\x01", LPC_PAGE + 0x47, true);
	vp->regs[REG_RCX] = 1;
	RUN("\x48\x89\x08", LPC_PAGE + 0x100, true); /* 8 bytes: no configuration access */
	assert_int_equal(fake.mmio_count, before);
	fake.mmio_value = 0xcafe;
	assert_int_equal(load32(LPC_PAGE), 0xcafe);
}

/* Instructions that the decoder does not know, or bytes that are not there. */
static void test_unknown(void **state)
{
	(void)state;
	RUN("\xa4", APIC_BASE_ADDR, true); /* movsb */
	assert_injected(vp, VECTOR_GP);
	RUN("\xf4", APIC_BASE_ADDR, true); /* hlt has no memory operand */
	assert_injected(vp, VECTOR_GP);
	vp->rip = FAKE_REGION_BASE;
	exit_memory(vp, APIC_BASE_ADDR, false);
	assert_int_equal(vp->arch->pending.kind, FAKE_EXCEPTION);
	assert_true(vp->rip == FAKE_REGION_BASE);
	/* Real mode: CS base plus IP. */
	vp->arch->mode = 16;
	vp->arch->base[1] = CODE - 0x100;
	memcpy(fake_ram(CODE), "\x66\x67\x8b\x08", 4);
	vp->rip = 0x100;
	exit_memory(vp, APIC_BASE_ADDR + APIC_VERSION, false);
	assert_int_equal(vp->arch->pending.kind, FAKE_NONE);
	assert_int_equal(vp->rip, 0x104);
	assert_int_equal((uint32_t)vp->regs[REG_RCX], 0x50014);
	vp->arch->base[1] = 0;
}

/* With decode assists the CPU's copy of the bytes counts, not what lies in memory by now. */
static void test_saved_bytes(void **state)
{
	struct exit_info e = { .kind = EXIT_MEMORY,
			       .memory = { .gpa = { APIC_BASE_ADDR + APIC_VERSION },
					   .byte_count = 2 } };

	(void)state;
	memcpy(e.memory.bytes, "\x8b\x08", 2);
	put_code(vp, CODE, "\x8b\x10", 2);
	assert_int_equal(fake_exit(vp, &e), FAKE_RETURNED);
	assert_injected(vp, -1);
	assert_int_equal(vp->regs[REG_RCX], 0x50014);
	assert_int_equal(vp->regs[REG_RDX], 0);
	e.memory.byte_count = 1; /* cut */
	vp->rip = CODE;
	assert_int_equal(fake_exit(vp, &e), FAKE_RETURNED);
	assert_injected(vp, VECTOR_GP);
}

/* Localities 1 to 4 of the TPM read as ones and take nothing, whatever is there; locality 0 is the root's. */
static void test_tpm(void **state)
{
	uint64_t count = fake.mmio_count, denied = partition_root->denied_memory;

	(void)state;
	for (uint64_t l = 1; l < TIS_LOCALITIES; l++) {
		for (uint64_t reg = 0; reg < TIS_LOCALITY_BYTES; reg += 0x7fc) {
			uint64_t at = TIS_BASE + l * TIS_LOCALITY_BYTES + reg;

			fake.mmio_value = 0x12345678;
			assert_int_equal(load32(at), 0xffffffff);
			store32(at, 0x02);
			assert_false(mapped(at & ~0xfffull, NULL, NULL));
			denied += 2;
		}
	}
	assert_int_equal(fake.mmio_count, count);
	assert_int_equal(partition_root->denied_memory, denied);
	exit_memory(vp, TIS_BASE, false);
	assert_true(mapped(TIS_BASE, NULL, NULL));
	exit_memory(vp, TIS_BASE + TIS_LOCALITIES * TIS_LOCALITY_BYTES, false);
	assert_true(mapped(TIS_BASE + TIS_LOCALITIES * TIS_LOCALITY_BYTES, NULL, NULL));
	assert_false(mapped(TIS_BASE + TIS_LOCALITY_BYTES, NULL, NULL));
}

static void test_close(void **state)
{
	(void)state;
	assert_true(mmio_close(0xa0000123000, 0x10));
	assert_denied(0xa0000123ff8, true);
	exit_memory(vp, 0xa0000124000, true);
	assert_true(mapped(0xa0000124000, NULL, NULL));
	for (unsigned i = 0; i < 200; i++) {
		if (!mmio_close(0xb0000000000 + i * 0x1000000ull, 1)) {
			return;
		}
	}
	fail_msg("the table never fills");
}

#define TEST(f) cmocka_unit_test_setup(f, fresh)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_boot_map),     TEST(test_on_demand),    TEST(test_denied),
		TEST(test_ioapic),       TEST(test_ioapic_alias), TEST(test_lapic_page),
		TEST(test_destinations), TEST(test_ecam),         TEST(test_unknown),
		TEST(test_saved_bytes),  TEST(test_tpm),          TEST(test_close),
	};

	return cmocka_run_group_tests(tests, boot_machine, NULL);
}
