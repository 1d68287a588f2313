// SPDX-License-Identifier: MIT
/* The one door to guest memory: copies, checks, and walks of the guest's own page tables. */
#include "tests/unit/core/core_test.h"

#include "hv/core/gpa.h"

#define ARENA 0x400000ull
#define TABLES 0x500000ull
#define P 1ull
#define PS 0x80ull

static struct vp *vp;

static int fresh(void **state)
{
	(void)state;
	vp = root_vp(0);
	fake_select(0);
	fake_ram_clear();
	assert_true(
		npt_map(&partition_root->npt, gpa(0x100000), hpa(0x100000), 0x1000000, NPT_RWX));
	vp->arch->cr0 = 0x80000011;
	vp->arch->cr4 = CR4_PAE;
	vp->arch->efer = EFER_LME | EFER_LMA;
	vp->arch->cr3 = TABLES;
	vp->arch->mode = 64;
	return 0;
}

static void pte(uint64_t table, unsigned index, uint64_t v)
{
	memcpy(fake_ram(table + 8ull * index), &v, 8);
}

static void pte32(uint64_t table, unsigned index, uint32_t v)
{
	memcpy(fake_ram(table + 4ull * index), &v, 4);
}

static void test_copy(void **state)
{
	uint8_t in[3 * PAGE_SIZE], out[3 * PAGE_SIZE];
	uint64_t seed = 7;

	(void)state;
	for (unsigned i = 0; i < 300; i++) {
		uint64_t at = ARENA + next_random(&seed) % PAGE_SIZE;
		size_t len = next_random(&seed) % (2 * PAGE_SIZE);

		for (size_t b = 0; b < sizeof(out); b++) {
			out[b] = (uint8_t)next_random(&seed);
		}
		memset(fake_ram(ARENA), 0xee, 4 * PAGE_SIZE);
		assert_true(gpa_copy_out(partition_root, gpa(at), out, len));
		assert_memory_equal(fake_ram(at), out, len);
		assert_int_equal(at == ARENA ? 0xee : *fake_ram(at - 1), 0xee);
		assert_int_equal(*fake_ram(at + len), 0xee);
		memset(in, 0, sizeof(in));
		assert_true(gpa_copy_in(partition_root, gpa(at), in, len));
		assert_memory_equal(in, out, len);
		assert_int_equal(in[len], 0);
	}
	assert_int_equal(fake.windows, 0);
}

static void test_refused(void **state)
{
	static const uint64_t bad[] = {
		FAKE_REGION_BASE, FAKE_REGION_BASE + FAKE_REGION_SIZE - 8,
		FAKE_POOL_BASE,   FAKE_FIRMWARE_BASE,
		FAKE_LOW_END,     APIC_BASE_ADDR,
		FAKE_IOAPIC,      FAKE_ECAM,
		1ull << 40,       (1ull << 48) - 8,
		1ull << 48,       UINT64_MAX - 7,
		FAKE_RAM_SIZE,
	};
	uint8_t buffer[16] = { 0 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		if (gpa_copy_in(partition_root, gpa(bad[i]), buffer, 8) ||
		    gpa_copy_out(partition_root, gpa(bad[i]), buffer, 8) ||
		    gpa_check(partition_root, gpa(bad[i]), 8, NPT_R)) {
			fail_msg("%llx was allowed", (unsigned long long)bad[i]);
		}
		assert_true(gpa_copy_in(partition_root, gpa(bad[i]), buffer,
					0)); /* nothing is always there */
		assert_true(gpa_check(partition_root, gpa(bad[i]), 0, NPT_R));
	}
	/* A crossing into the hypervisor's memory from the page before it. */
	assert_false(gpa_copy_out(partition_root, gpa(FAKE_REGION_BASE - 4), buffer, 8));
	assert_false(gpa_check(partition_root, gpa(FAKE_REGION_BASE - 4), 8, NPT_W));
	assert_true(gpa_check(partition_root, gpa(FAKE_REGION_BASE - 8), 8, NPT_W));
	assert_false(gpa_check(partition_root, gpa(ARENA), UINT64_MAX, NPT_R));
	/* Even where the nested table maps it: the owner counts. */
	assert_true(npt_map(&partition_root->npt, gpa(0x10000000), hpa(FAKE_REGION_BASE), PAGE_SIZE,
			    NPT_RWX));
	assert_false(gpa_copy_in(partition_root, gpa(0x10000000), buffer, 8));
	assert_true(npt_unmap(&partition_root->npt, gpa(0x10000000), PAGE_SIZE));
	/* Access rights. */
	assert_true(npt_map(&partition_root->npt, gpa(ARENA), hpa(ARENA), PAGE_SIZE, NPT_R));
	assert_true(gpa_copy_in(partition_root, gpa(ARENA), buffer, 8));
	assert_false(gpa_copy_out(partition_root, gpa(ARENA), buffer, 8));
	assert_false(gpa_check(partition_root, gpa(ARENA), 8, NPT_W));
	assert_false(gpa_copy_out(partition_root, gpa(ARENA - 4), buffer, 8));
	assert_true(npt_map(&partition_root->npt, gpa(ARENA), hpa(ARENA), PAGE_SIZE, NPT_W));
	assert_false(gpa_copy_in(partition_root, gpa(ARENA), buffer, 8));
}

static bool walk(uint64_t va, uint64_t *out)
{
	gpa_t g = gpa(0);
	bool ok = gva_translate(vp, (gva_t){ va }, &g);

	*out = g.v;
	return ok;
}

static void test_walk_64(void **state)
{
	uint64_t out;

	(void)state;
	/* 0x0000_7f80_4020_1xxx: index 255, 1, 1, 1 */
	pte(TABLES, 255,
	    (TABLES + 0x1000) | P | 0xf00000000000060ull); /* ignored bits are ignored */
	pte(TABLES + 0x1000, 1, (TABLES + 0x2000) | P);
	pte(TABLES + 0x2000, 1, (TABLES + 0x3000) | P);
	pte(TABLES + 0x3000, 1, 0x8000000000abc000ull | P); /* NX */
	assert_true(walk(0x7f8040201234, &out) && out == 0xabc234);
	assert_false(walk(0x7f8040202234, &out));
	pte(TABLES + 0x3000, 1, 0xabc000);
	assert_false(walk(0x7f8040201234, &out));
	pte(TABLES + 0x2000, 1, 0xa00000 | P | PS); /* 2 MiB */
	assert_true(walk(0x7f8040301234, &out) && out == 0xb01234);
	pte(TABLES + 0x2000, 1, 0xa00000 | P | PS | 0x1000); /* PAT, not an address bit */
	assert_true(walk(0x7f8040301234, &out) && out == 0xb01234);
	pte(TABLES + 0x1000, 1, 0x40000000 | P | PS); /* 1 GiB */
	assert_true(walk(0x7f8047654321, &out) && out == 0x47654321);
	pte(TABLES, 255, 0x1000000 | P | PS); /* no such size at level 4: a table */
	assert_false(walk(0x7f8047654321, &out));
	/* Tables outside the root's memory: the hypervisor's, a device's, beyond everything. */
	pte(TABLES, 255, FAKE_REGION_BASE | P);
	assert_false(walk(0x7f8047654321, &out));
	pte(TABLES, 255, APIC_BASE_ADDR | P);
	assert_false(walk(0x7f8047654321, &out));
	pte(TABLES, 255, 0x000ffffffffff000ull | P);
	assert_false(walk(0x7f8047654321, &out));
	vp->arch->cr3 = FAKE_REGION_BASE;
	assert_false(walk(0x1000, &out));
	vp->arch->cr3 = UINT64_MAX;
	assert_false(walk(0x1000, &out));
}

static void test_walk_57(void **state)
{
	uint64_t out;

	(void)state;
	vp->arch->cr4 |= CR4_LA57;
	pte(TABLES, 3, (TABLES + 0x1000) | P);
	pte(TABLES + 0x1000, 2, (TABLES + 0x2000) | P);
	pte(TABLES + 0x2000, 1, 0x80000000 | P | PS);
	assert_true(walk(3ull << 48 | 2ull << 39 | 1ull << 30 | 0x1234567, &out) &&
		    out == 0x81234567);
	assert_false(walk(4ull << 48 | 2ull << 39 | 1ull << 30 | 0x1234567, &out));
}

static void test_walk_pae(void **state)
{
	uint64_t out;

	(void)state;
	vp->arch->efer = 0;
	vp->arch->mode = 32;
	vp->arch->cr3 = TABLES + 0x20; /* 32-byte aligned */
	pte(TABLES + 0x20, 3, (TABLES + 0x1000) | P);
	pte(TABLES + 0x1000, 2, (TABLES + 0x2000) | P);
	pte(TABLES + 0x2000, 1, 0xabc000 | P);
	assert_true(walk(0xc0401567, &out) && out == 0xabc567);
	assert_true(walk(0xffffffffc0401567, &out) && out == 0xabc567); /* 32 bits count */
	assert_false(walk(0x80401567, &out));
	pte(TABLES + 0x1000, 2, 0xa00000 | P | PS);
	assert_true(walk(0xc0512345, &out) && out == 0xb12345);
	pte(TABLES + 0x20, 3, (TABLES + 0x1000) | P | PS); /* no 1 GiB pages here */
	assert_true(walk(0xc0512345, &out) && out == 0xb12345);
}

static void test_walk_legacy(void **state)
{
	uint64_t out;

	(void)state;
	vp->arch->efer = 0;
	vp->arch->cr4 = 0;
	vp->arch->mode = 32;
	pte32(TABLES, 769, (uint32_t)(TABLES + 0x1000) | 1);
	pte32(TABLES + 0x1000, 5, 0xabc001);
	assert_true(walk(769u << 22 | 5u << 12 | 0x765, &out) && out == 0xabc765);
	assert_false(walk(769u << 22 | 6u << 12 | 0x765, &out));
	assert_false(walk(770u << 22, &out));
	pte32(TABLES, 769, 0xc00000 | 0x81);
	assert_true(walk(769u << 22 | 0x3fffff, &out) && out == 0xffffff);
	pte32(TABLES, 769, FAKE_REGION_BASE | 1);
	assert_false(walk(769u << 22, &out));
	vp->arch->cr0 = 0x11; /* paging off */
	assert_true(walk(0x123456789, &out) && out == 0x23456789);
}

static void test_fetch(void **state)
{
	uint8_t code[32];

	(void)state;
	pte(TABLES, 0, (TABLES + 0x1000) | P);
	pte(TABLES + 0x1000, 0, (TABLES + 0x2000) | P);
	pte(TABLES + 0x2000, 0, (TABLES + 0x3000) | P);
	pte(TABLES + 0x3000, 1,
	    0x700000 | P); /* two neighbours that are not neighbours in memory */
	pte(TABLES + 0x3000, 2, 0x600000 | P);
	for (unsigned i = 0; i < PAGE_SIZE; i++) {
		*fake_ram(0x700000 + i) = (uint8_t)i;
		*fake_ram(0x600000 + i) = (uint8_t)(i + 100);
	}
	assert_int_equal(gva_fetch(vp, (gva_t){ 0x1ffa }, code, 15), 15);
	for (unsigned i = 0; i < 15; i++) {
		assert_int_equal(code[i], i < 6 ? (uint8_t)(0xffa + i) : 94 + i);
	}
	assert_int_equal(gva_fetch(vp, (gva_t){ 0x2ffa }, code, 15), 6); /* up to what is there */
	assert_int_equal(gva_fetch(vp, (gva_t){ 0x3000 }, code, 15), 0);
	pte(TABLES + 0x3000, 2, FAKE_REGION_BASE | P);
	assert_int_equal(gva_fetch(vp, (gva_t){ 0x1ffa }, code, 15), 6);
}

#define TEST(f) cmocka_unit_test_setup(f, fresh)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_copy),     TEST(test_refused),     TEST(test_walk_64), TEST(test_walk_57),
		TEST(test_walk_pae), TEST(test_walk_legacy), TEST(test_fetch),
	};

	return cmocka_run_group_tests(tests, boot_machine, NULL);
}
