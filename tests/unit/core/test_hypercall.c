// SPDX-License-Identifier: MIT
/* Hypercalls: the whole table against every way of being refused, and what each call answers. */
#include "tests/unit/core/core_test.h"

#include "hv/abi/redoubt.h"
#include "hv/core/heap.h"
#include "hv/core/hypercall.h"
#include "hv/core/log.h"
#include "hv/core/owner.h"

#define IN 0x400000ull
#define OUT 0x402000ull
#define BAD_PAGE FAKE_REGION_BASE

enum callers { CALLERS_ROOT, CALLERS_CHILD, CALLERS_ANY };
enum form { FORM_SIMPLE = 0, FORM_REP = 1, FORM_VAR = 2, FORM_REPVAR = 3 };

static const struct row {
	uint16_t code;
	enum form form;
	size_t in, out;
	enum callers callers;
} rows[] = {
#define HYPERCALL(code, Name, handler, form, insize, outsize, elin, elout, callers, spec) \
	{ code, FORM_##form, (insize) + (elin), (outsize) + (elout), CALLERS_##callers },
#include "hv/abi/hypercalls.def"
#undef HYPERCALL
};

static struct vp *vp;
static uint8_t before[4 * PAGE_SIZE];

static int fresh(void **state)
{
	(void)state;
	vp = root_vp(0);
	vp->arch->cpl = 0;
	vp->arch->cr0 = 0x80000011;
	partition_root->root = true;
	memset(fake_ram(IN), 0x5a, 4 * PAGE_SIZE);
	assert_true(npt_map(&partition_root->npt, gpa(IN), hpa(IN), 4 * PAGE_SIZE, NPT_RWX));
	return 0;
}

/* The control word of the row with one element where it has a list. The sizes above are those of one element. */
static uint64_t control(const struct row *r)
{
	return r->code | ((r->form & FORM_REP) != 0 ? 1ull << 32 : 0);
}

/* Calls that ask and change nothing: the ones that need no partition. */
static bool asks(const struct row *r)
{
	return r->code == 0x46 || r->code == RD_HVCALL_GET_INFO || r->code == RD_HVCALL_READ_LOG;
}

/* The parameters of a call that succeeds. */
static void good_input(const struct row *r, uint64_t at)
{
	struct rd_info_in info = { RD_ABI_VERSION, 0 };

	memset(fake_ram(at), 0, r->in);
	if (r->code == RD_HVCALL_GET_INFO) {
		memcpy(fake_ram(at), &info, sizeof(info));
	}
}

static uint64_t call(uint64_t rcx, uint64_t rdx, uint64_t r8)
{
	memcpy(before, fake_ram(IN), sizeof(before));
	for (unsigned i = 0; i < REG_COUNT; i++) {
		vp->regs[i] = 0x0101010101010101ull * i;
	}
	vp->regs[REG_RCX] = rcx;
	vp->regs[REG_RDX] = rdx;
	vp->regs[REG_R8] = r8;
	assert_int_equal(exit_simple(vp, EXIT_HYPERCALL, 3), FAKE_RETURNED);
	assert_injected(vp, -1);
	for (unsigned i = 3; i < REG_COUNT; i++) {
		assert_true(i == REG_R8 || vp->regs[i] == 0x0101010101010101ull * i);
	}
	assert_true(vp->regs[REG_RCX] == rcx && vp->regs[REG_RDX] == rdx && vp->regs[REG_R8] == r8);
	return vp->regs[REG_RAX];
}

static void refused(enum hv_status want, uint64_t rcx, uint64_t rdx, uint64_t r8)
{
	uint64_t got = call(rcx, rdx, r8);

	if (got != want) {
		fail_msg("%llx %llx %llx: status %llu, not %u", (unsigned long long)rcx,
			 (unsigned long long)rdx, (unsigned long long)r8, (unsigned long long)got,
			 want);
	}
	assert_memory_equal(before, fake_ram(IN), sizeof(before)); /* nothing was written */
}

static void test_table_good(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct row *r = &rows[i];
		uint64_t at =
			OUT + PAGE_SIZE - (r->out + 7) / 8 * 8; /* up to the page's last byte */

		if (!asks(r)) {
			continue;
		}
		good_input(r, IN);
		assert_int_equal(call(r->code, IN, at), HV_SUCCESS);
		assert_memory_equal(before, fake_ram(IN), at - IN);
		assert_memory_equal(before + (at + r->out - IN), fake_ram(at + r->out),
				    IN + sizeof(before) - at - r->out);
		assert_true(r->out == 0 || memcmp(before + (at - IN), fake_ram(at), r->out) != 0);
		good_input(r, IN); /* no parameter: the address does not count (TLFS 3.5) */
		assert_true(r->in != 0 || call(r->code, UINT64_MAX, OUT) == HV_SUCCESS);
	}
}

static void test_table_control(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct row *r = &rows[i];

		good_input(r, IN);
		for (unsigned bit = 17; bit < 64; bit++) {
			bool header = bit <= 26 && (r->form & FORM_VAR) != 0;
			bool count = bit >= 32 && bit <= 43 && (r->form & FORM_REP) != 0;

			if (!header && !count) {
				refused(HV_INVALID_HYPERCALL_INPUT, control(r) | 1ull << bit, IN,
					OUT);
			}
		}
		if ((r->form & FORM_REP) != 0) { /* an empty list, and a start at its end */
			refused(HV_INVALID_HYPERCALL_INPUT, r->code, IN, OUT);
			refused(HV_INVALID_HYPERCALL_INPUT, control(r) | 1ull << 48, IN, OUT);
		}
		if (r->out != 0 || r->in > 16) { /* fast calls have two registers in and none out */
			refused(HV_INVALID_HYPERCALL_INPUT, control(r) | 1ull << 16, IN, OUT);
		}
	}
}

static void test_table_placement(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct row *r = &rows[i];

		for (unsigned off = 1; off < 8; off++) {
			good_input(r, IN + 8);
			if (r->in != 0) {
				refused(HV_INVALID_ALIGNMENT, control(r), IN + off, OUT);
			}
			if (r->out != 0) {
				refused(HV_INVALID_ALIGNMENT, control(r), IN + 8, OUT + off);
			}
		}
		if (r->in > 8) {
			refused(HV_INVALID_ALIGNMENT, control(r), IN + PAGE_SIZE - 8, OUT);
		}
		if (r->out > 8) {
			refused(HV_INVALID_ALIGNMENT, control(r), IN + 8, OUT + PAGE_SIZE - 8);
		}
	}
}

static void test_table_memory(void **state)
{
	static const uint64_t bad[] = { BAD_PAGE,           FAKE_POOL_BASE, APIC_BASE_ADDR,
					FAKE_FIRMWARE_BASE, 1ull << 48,     1ull << 63 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct row *r = &rows[i];

		if (r->callers == CALLERS_CHILD) {
			continue;
		}
		good_input(r, IN);
		for (size_t b = 0; b < ARRAY_SIZE(bad); b++) {
			if (r->in != 0) {
				refused(HV_INVALID_PARAMETER, control(r), bad[b], OUT);
			}
			if (r->out != 0) {
				refused(HV_INVALID_PARAMETER, control(r), IN, bad[b]);
			}
		}
		assert_true(npt_map(&partition_root->npt, gpa(OUT), hpa(OUT), PAGE_SIZE, NPT_R));
		if (r->out != 0) {
			refused(HV_INVALID_PARAMETER, control(r), IN, OUT); /* read-only */
		}
		assert_true(npt_unmap(&partition_root->npt, gpa(OUT), PAGE_SIZE));
		if (r->out != 0) {
			refused(HV_INVALID_PARAMETER, control(r), IN, OUT);
		}
		assert_true(npt_map(&partition_root->npt, gpa(OUT), hpa(OUT), PAGE_SIZE, NPT_RWX));
	}
}

static void test_table_privilege(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct row *r = &rows[i];

		good_input(r, IN);
		partition_root->root = false;
		if (r->callers == CALLERS_ROOT) {
			refused(HV_ACCESS_DENIED, control(r), IN, OUT);
			/* Privilege comes before parameters: no oracle for memory that is not mapped. */
			refused(HV_ACCESS_DENIED, control(r), BAD_PAGE, OUT);
			refused(HV_ACCESS_DENIED, control(r), IN, BAD_PAGE);
		}
		partition_root->root = true;
		if (r->callers == CALLERS_CHILD) {
			refused(HV_ACCESS_DENIED, control(r), IN, OUT);
		}
	}
}

static void test_unknown_codes(void **state)
{
	(void)state;
	for (uint32_t code = 0; code < 0x10000; code += code % 0x100 == 0x50 ? 0xb0 : 1) {
		bool known = false;

		for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
			known = known || rows[i].code == code;
		}
		if (!known) {
			refused(HV_INVALID_HYPERCALL_CODE, code, IN, OUT);
		}
	}
	refused(HV_INVALID_HYPERCALL_CODE, UINT64_MAX, IN, OUT); /* the code is judged first */
}

static void test_mode(void **state)
{
	(void)state;
	vp->regs[REG_RCX] = RD_HVCALL_GET_INFO;
	vp->regs[REG_RAX] = 77;
	for (unsigned cpl = 1; cpl < 4; cpl++) {
		vp->arch->cpl = cpl;
		assert_int_equal(exit_simple(vp, EXIT_HYPERCALL, 3), FAKE_RETURNED);
		assert_injected(vp, VECTOR_UD);
	}
	vp->arch->cpl = 0;
	for (unsigned mode = 16; mode <= 32; mode *= 2) {
		vp->arch->mode = mode;
		assert_int_equal(exit_simple(vp, EXIT_HYPERCALL, 3), FAKE_RETURNED);
		assert_injected(vp, VECTOR_UD);
	}
	vp->arch->mode = 64;
	assert_int_equal(vp->regs[REG_RAX], 77);
}

/* --- what they answer --- */

static void test_partition_id(void **state)
{
	uint64_t id;

	(void)state;
	assert_int_equal(call(0x46, 0, OUT), HV_SUCCESS);
	memcpy(&id, fake_ram(OUT), 8);
	assert_int_equal(id, PARTITION_ID_ROOT);
}

static void test_info(void **state)
{
	struct rd_info_in in = { RD_ABI_VERSION, 0 };
	struct rd_info info;

	(void)state;
	memcpy(fake_ram(IN), &in, sizeof(in));
	partition_root->denied_msr = 11;
	partition_root->denied_port = 22;
	partition_root->denied_memory = 33;
	partition_root->denied_insn = 44;
	fake.iommus = 2;
	fake.iommu_faults = 5;
	assert_int_equal(call(RD_HVCALL_GET_INFO, IN, OUT), HV_SUCCESS);
	memcpy(&info, fake_ram(OUT), sizeof(info));
	assert_int_equal(info.abi_version, RD_ABI_VERSION);
	assert_int_equal(info.size, sizeof(info));
	assert_int_equal(info.cpu_count, 4);
	assert_int_equal(info.root_vp_count, 4);
	assert_string_equal(info.vendor, "fake");
	assert_string_equal(info.boot_protocol, "multiboot2");
	assert_int_equal(info.hv_bytes, FAKE_REGION_SIZE);
	assert_int_equal(info.heap_free_bytes, heap_available());
	assert_int_equal(info.pool_bytes, FAKE_POOL_SIZE);
	assert_int_equal(info.tsc_hz, FAKE_TSC_HZ);
	assert_true(info.denied_msr == 11 && info.denied_port == 22 && info.denied_memory == 33 &&
		    info.denied_insn == 44);
	assert_true(info.iommu_count == 2 && info.iommu_faults == 5);
	assert_true((info.protections & ~info.available) == 0 &&
		    (info.protections & RD_PROT_NPT) != 0);
	assert_int_equal(info.range_count, owner_count());
	for (uint32_t i = 0; i < info.range_count; i++) {
		assert_int_equal(info.range[i].base, owner_get(i)->base);
		assert_int_equal(info.range[i].owner, owner_get(i)->owner);
	}
	for (uint32_t i = info.range_count; i < RD_INFO_RANGES; i++) {
		assert_true(info.range[i].base == 0 && info.range[i].size == 0);
	}
	in.abi_version = RD_ABI_VERSION + 1;
	memcpy(fake_ram(IN), &in, sizeof(in));
	refused(HV_INVALID_PARAMETER, RD_HVCALL_GET_INFO, IN, OUT);
	in.abi_version = RD_ABI_VERSION;
	in.reserved = 1;
	memcpy(fake_ram(IN), &in, sizeof(in));
	refused(HV_INVALID_PARAMETER, RD_HVCALL_GET_INFO, IN, OUT);
}

static void test_read_log(void **state)
{
	struct rd_log_in in = { 0 };
	struct rd_log log;
	uint64_t next;

	(void)state;
	log_info("one");
	log_info("two");
	do {
		memcpy(fake_ram(IN), &in, sizeof(in));
		assert_int_equal(call(RD_HVCALL_READ_LOG, IN, OUT), HV_SUCCESS);
		memcpy(&log, fake_ram(OUT), sizeof(log));
		assert_true(log.count <= RD_LOG_RECORDS && log.reserved == 0);
		next = in.sequence;
		in.sequence = log.next;
	} while (log.next != next && log.count == RD_LOG_RECORDS);
	assert_true(log.count >= 1);
	assert_string_equal(log.record[log.count - 1].text, "two");
	for (uint32_t i = log.count; i < RD_LOG_RECORDS;
	     i++) { /* nothing stale behind the answer */
		static const struct rd_log_record none;

		assert_memory_equal(&log.record[i], &none, sizeof(none));
	}
}

#define TEST(f) cmocka_unit_test_setup(f, fresh)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_table_good),   TEST(test_table_control),   TEST(test_table_placement),
		TEST(test_table_memory), TEST(test_table_privilege), TEST(test_unknown_codes),
		TEST(test_mode),         TEST(test_partition_id),    TEST(test_info),
		TEST(test_read_log),
	};

	return cmocka_run_group_tests(tests, boot_machine, NULL);
}
