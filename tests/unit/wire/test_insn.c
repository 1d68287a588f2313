/* SPDX-License-Identifier: MIT */
/* The decoder: every supported form byte for byte, and what must be refused. */
#include "tests/unit/wire/wire_test.h"

#include "hv/wire/insn.h"

static bool decode(const char *bytes, size_t n, unsigned int mode, struct insn *out)
{
	uint8_t *copy = exact(bytes, n);
	bool ok;

	memset(out, 0xa5, sizeof(*out));
	ok = insn_decode(copy, n, mode, out);
	free(copy);
	return ok;
}

#define B(s) s, sizeof(s) - 1
#define NO_MEM -1, -1, 1, 0

/* Expected results; mem is has_mem, m = moffs, r = rip. */
static const struct {
	const char *bytes;
	size_t n;
	unsigned int mode;
	enum insn_op op;
	enum insn_alu alu;
	uint8_t mem_size, reg_size, reg;
	int8_t base, index;
	uint8_t scale;
	int64_t disp;
	const char *
		flags; /* h reg_high, s sign_extend, i has_imm, m has_mem, o moffs, r rip, l lock */
	uint64_t imm;
	uint8_t addr_size;
	int8_t segment;
} good[] = {
	{ B("\x0f\xa2"), 64, INSN_CPUID, 0, 0, 0, 0, NO_MEM, "", 0, 8, -1 },
	{ B("\x0f\x32"), 32, INSN_RDMSR, 0, 0, 0, 0, NO_MEM, "", 0, 4, -1 },
	{ B("\x0f\x30"), 16, INSN_WRMSR, 0, 0, 0, 0, NO_MEM, "", 0, 2, -1 },
	{ B("\xf4"), 64, INSN_HLT, 0, 0, 0, 0, NO_MEM, "", 0, 8, -1 },
	{ B("\x0f\x01\xd9"), 64, INSN_VMMCALL, 0, 0, 0, 0, NO_MEM, "", 0, 8, -1 },
	{ B("\x0f\x01\xc1"), 64, INSN_VMCALL, 0, 0, 0, 0, NO_MEM, "", 0, 8, -1 },
	{ B("\x0f\x08"), 64, INSN_INVD, 0, 0, 0, 0, NO_MEM, "", 0, 8, -1 },
	{ B("\x0f\x09"), 64, INSN_WBINVD, 0, 0, 0, 0, NO_MEM, "", 0, 8, -1 },
	{ B("\x0f\x01\xf9"), 64, INSN_RDTSCP, 0, 0, 0, 0, NO_MEM, "", 0, 8, -1 },
	{ B("\x0f\x33"), 64, INSN_RDPMC, 0, 0, 0, 0, NO_MEM, "", 0, 8, -1 },
	{ B("\x0f\x01\xd1"), 64, INSN_XSETBV, 0, 0, 0, 0, NO_MEM, "", 0, 8, -1 },
	{ B("\x48\x0f\xa2"), 64, INSN_CPUID, 0, 0, 0, 0, NO_MEM, "", 0, 8, -1 },
	{ B("\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x0f\xa2"), 64, INSN_CPUID, 0, 0,
	  0, 0, NO_MEM, "", 0, 8, -1 },
	/* mov eax,[rdi] and its sizes */
	{ B("\x8b\x07"), 64, INSN_LOAD, 0, 4, 4, 0, 7, -1, 1, 0, "m", 0, 8, -1 },
	{ B("\x66\x8b\x07"), 64, INSN_LOAD, 0, 2, 2, 0, 7, -1, 1, 0, "m", 0, 8, -1 },
	{ B("\x48\x8b\x07"), 64, INSN_LOAD, 0, 8, 8, 0, 7, -1, 1, 0, "m", 0, 8, -1 },
	{ B("\x66\x48\x8b\x07"), 64, INSN_LOAD, 0, 8, 8, 0, 7, -1, 1, 0, "m", 0, 8, -1 },
	{ B("\x48\x66\x8b\x07"), 64, INSN_LOAD, 0, 2, 2, 0, 7, -1, 1, 0, "m", 0, 8,
	  -1 }, /* REX lost */
	{ B("\x8a\x27"), 64, INSN_LOAD, 0, 1, 1, 0, 7, -1, 1, 0, "mh", 0, 8, -1 },
	{ B("\x8a\x3f"), 64, INSN_LOAD, 0, 1, 1, 3, 7, -1, 1, 0, "mh", 0, 8, -1 },
	{ B("\x40\x8a\x27"), 64, INSN_LOAD, 0, 1, 1, 4, 7, -1, 1, 0, "m", 0, 8, -1 },
	{ B("\x44\x8a\x27"), 64, INSN_LOAD, 0, 1, 1, 12, 7, -1, 1, 0, "m", 0, 8, -1 },
	{ B("\x45\x8b\x00"), 64, INSN_LOAD, 0, 4, 4, 8, 8, -1, 1, 0, "m", 0, 8, -1 },
	/* displacements */
	{ B("\x8b\x47\x80"), 64, INSN_LOAD, 0, 4, 4, 0, 7, -1, 1, -128, "m", 0, 8, -1 },
	{ B("\x8b\x87\x00\x00\x00\x80"), 64, INSN_LOAD, 0, 4, 4, 0, 7, -1, 1, INT32_MIN, "m", 0, 8,
	  -1 },
	{ B("\x8b\x05\xf0\xff\xff\xff"), 64, INSN_LOAD, 0, 4, 4, 0, -1, -1, 1, -16, "mr", 0, 8,
	  -1 },
	{ B("\x8b\x05\xf0\xff\xff\xff"), 32, INSN_LOAD, 0, 4, 4, 0, -1, -1, 1, -16, "m", 0, 4, -1 },
	{ B("\x67\x8b\x05\x10\x00\x00\x00"), 64, INSN_LOAD, 0, 4, 4, 0, -1, -1, 1, 16, "mr", 0, 4,
	  -1 },
	{ B("\x41\x8b\x05\x10\x00\x00\x00"), 64, INSN_LOAD, 0, 4, 4, 0, -1, -1, 1, 16, "mr", 0, 8,
	  -1 },
	{ B("\x8b\x45\x00"), 64, INSN_LOAD, 0, 4, 4, 0, 5, -1, 1, 0, "m", 0, 8, -1 },
	{ B("\x41\x8b\x45\x01"), 64, INSN_LOAD, 0, 4, 4, 0, 13, -1, 1, 1, "m", 0, 8, -1 },
	/* SIB */
	{ B("\x8b\x04\x24"), 64, INSN_LOAD, 0, 4, 4, 0, 4, -1, 1, 0, "m", 0, 8, -1 },
	{ B("\x41\x8b\x04\x24"), 64, INSN_LOAD, 0, 4, 4, 0, 12, -1, 1, 0, "m", 0, 8, -1 },
	{ B("\x8b\x04\xcf"), 64, INSN_LOAD, 0, 4, 4, 0, 7, 1, 8, 0, "m", 0, 8, -1 },
	{ B("\x42\x8b\x04\x27"), 64, INSN_LOAD, 0, 4, 4, 0, 7, 12, 1, 0, "m", 0, 8, -1 },
	{ B("\x8b\x04\x25\x20\x00\xe0\xfe"), 64, INSN_LOAD, 0, 4, 4, 0, -1, -1, 1,
	  (int32_t)0xfee00020, "m", 0, 8, -1 },
	{ B("\x8b\x04\x8d\x04\x00\x00\x00"), 64, INSN_LOAD, 0, 4, 4, 0, -1, 1, 4, 4, "m", 0, 8,
	  -1 },
	{ B("\x41\x8b\x04\x8d\x04\x00\x00\x00"), 64, INSN_LOAD, 0, 4, 4, 0, -1, 1, 4, 4, "m", 0, 8,
	  -1 },
	{ B("\x43\x8b\x44\xb5\x7f"), 64, INSN_LOAD, 0, 4, 4, 0, 13, 14, 4, 127, "m", 0, 8, -1 },
	{ B("\x8b\x84\x4c\x01\x02\x03\x04"), 64, INSN_LOAD, 0, 4, 4, 0, 4, 1, 2, 0x04030201, "m", 0,
	  8, -1 },
	/* extending loads */
	{ B("\x0f\xb6\x0e"), 64, INSN_LOAD, 0, 1, 4, 1, 6, -1, 1, 0, "m", 0, 8, -1 },
	{ B("\x48\x0f\xb7\x0e"), 64, INSN_LOAD, 0, 2, 8, 1, 6, -1, 1, 0, "m", 0, 8, -1 },
	{ B("\x66\x0f\xbe\x26"), 64, INSN_LOAD, 0, 1, 2, 4, 6, -1, 1, 0, "ms", 0, 8, -1 },
	{ B("\x0f\xbf\x0e"), 64, INSN_LOAD, 0, 2, 4, 1, 6, -1, 1, 0, "ms", 0, 8, -1 },
	{ B("\x48\x63\x0e"), 64, INSN_LOAD, 0, 4, 8, 1, 6, -1, 1, 0, "ms", 0, 8, -1 },
	{ B("\x63\x0e"), 64, INSN_LOAD, 0, 4, 4, 1, 6, -1, 1, 0, "ms", 0, 8, -1 },
	/* moffs */
	{ B("\xa1\x88\x77\x66\x55\x44\x33\x22\x91"), 64, INSN_LOAD, 0, 4, 4, 0, -1, -1, 1,
	  (int64_t)0x9122334455667788, "mo", 0, 8, -1 },
	{ B("\x67\xa0\x88\x77\x66\x95"), 64, INSN_LOAD, 0, 1, 1, 0, -1, -1, 1, 0x95667788, "mo", 0,
	  4, -1 },
	{ B("\xa3\x88\x77\x66\x95"), 32, INSN_STORE, 0, 4, 4, 0, -1, -1, 1, 0x95667788, "mo", 0, 4,
	  -1 },
	{ B("\xa2\x88\xf7"), 16, INSN_STORE, 0, 1, 1, 0, -1, -1, 1, 0xf788, "mo", 0, 2, -1 },
	{ B("\x48\xa3\x01\x00\x00\x00\x00\x00\x00\x00"), 64, INSN_STORE, 0, 8, 8, 0, -1, -1, 1, 1,
	  "mo", 0, 8, -1 },
	/* stores */
	{ B("\x89\x07"), 64, INSN_STORE, 0, 4, 4, 0, 7, -1, 1, 0, "m", 0, 8, -1 },
	{ B("\x4d\x89\x3f"), 64, INSN_STORE, 0, 8, 8, 15, 15, -1, 1, 0, "m", 0, 8, -1 },
	{ B("\x88\x27"), 32, INSN_STORE, 0, 1, 1, 0, 7, -1, 1, 0, "mh", 0, 4, -1 },
	{ B("\xc6\x07\xff"), 64, INSN_STORE, 0, 1, 0, 0, 7, -1, 1, 0, "mi", 0xff, 8, -1 },
	{ B("\xc7\x07\x01\x02\x03\x84"), 64, INSN_STORE, 0, 4, 0, 0, 7, -1, 1, 0, "mi", 0x84030201,
	  8, -1 },
	{ B("\x66\xc7\x07\x01\x82"), 64, INSN_STORE, 0, 2, 0, 0, 7, -1, 1, 0, "mi", 0x8201, 8, -1 },
	{ B("\x48\xc7\x07\xfe\xff\xff\xff"), 64, INSN_STORE, 0, 8, 0, 0, 7, -1, 1, 0, "mi",
	  (uint64_t)-2, 8, -1 },
	{ B("\xc7\x05\x04\x00\x00\x00\x01\x00\x00\x00"), 64, INSN_STORE, 0, 4, 0, 0, -1, -1, 1, 4,
	  "mri", 1, 8, -1 },
	/* read-modify-write, TEST, CMP */
	{ B("\x09\x07"), 64, INSN_RMW, INSN_ALU_OR, 4, 4, 0, 7, -1, 1, 0, "m", 0, 8, -1 },
	{ B("\x20\x0f"), 64, INSN_RMW, INSN_ALU_AND, 1, 1, 1, 7, -1, 1, 0, "m", 0, 8, -1 },
	{ B("\x01\x07"), 64, INSN_RMW, INSN_ALU_ADD, 4, 4, 0, 7, -1, 1, 0, "m", 0, 8, -1 },
	{ B("\x29\x07"), 64, INSN_RMW, INSN_ALU_SUB, 4, 4, 0, 7, -1, 1, 0, "m", 0, 8, -1 },
	{ B("\xf0\x48\x31\x07"), 64, INSN_RMW, INSN_ALU_XOR, 8, 8, 0, 7, -1, 1, 0, "ml", 0, 8, -1 },
	{ B("\x39\x07"), 64, INSN_RMW, INSN_ALU_CMP, 4, 4, 0, 7, -1, 1, 0, "m", 0, 8, -1 },
	{ B("\x85\x07"), 64, INSN_RMW, INSN_ALU_TEST, 4, 4, 0, 7, -1, 1, 0, "m", 0, 8, -1 },
	{ B("\xf6\x07\x80"), 64, INSN_RMW, INSN_ALU_TEST, 1, 0, 0, 7, -1, 1, 0, "mi", 0x80, 8, -1 },
	{ B("\x48\xf7\x07\x00\x00\x00\x80"), 64, INSN_RMW, INSN_ALU_TEST, 8, 0, 0, 7, -1, 1, 0,
	  "mi", 0xffffffff80000000, 8, -1 },
	{ B("\x80\x0f\x81"), 64, INSN_RMW, INSN_ALU_OR, 1, 0, 0, 7, -1, 1, 0, "mi", 0x81, 8, -1 },
	{ B("\x83\x27\xfe"), 64, INSN_RMW, INSN_ALU_AND, 4, 0, 0, 7, -1, 1, 0, "mi", 0xfffffffe, 8,
	  -1 },
	{ B("\x48\x83\x2f\xff"), 64, INSN_RMW, INSN_ALU_SUB, 8, 0, 0, 7, -1, 1, 0, "mi", UINT64_MAX,
	  8, -1 },
	{ B("\x66\x81\x37\x34\x12"), 64, INSN_RMW, INSN_ALU_XOR, 2, 0, 0, 7, -1, 1, 0, "mi", 0x1234,
	  8, -1 },
	{ B("\x83\x3f\x00"), 64, INSN_RMW, INSN_ALU_CMP, 4, 0, 0, 7, -1, 1, 0, "mi", 0, 8, -1 },
	{ B("\xf0\x83\x07\x01"), 32, INSN_RMW, INSN_ALU_ADD, 4, 0, 0, 7, -1, 1, 0, "mil", 1, 4,
	  -1 },
	/* segments and the other modes */
	{ B("\x65\x8b\x07"), 64, INSN_LOAD, 0, 4, 4, 0, 7, -1, 1, 0, "m", 0, 8, 5 },
	{ B("\x64\x8b\x07"), 64, INSN_LOAD, 0, 4, 4, 0, 7, -1, 1, 0, "m", 0, 8, 4 },
	{ B("\x64\x8b\x07"), 32, INSN_LOAD, 0, 4, 4, 0, 7, -1, 1, 0, "m", 0, 4, 4 },
	{ B("\x2e\x8b\x07"), 64, INSN_LOAD, 0, 4, 4, 0, 7, -1, 1, 0, "m", 0, 8, -1 }, /* ignored */
	{ B("\x2e\x8b\x07"), 32, INSN_LOAD, 0, 4, 4, 0, 7, -1, 1, 0, "m", 0, 4, 1 },
	{ B("\x26\x8b\x07"), 32, INSN_LOAD, 0, 4, 4, 0, 7, -1, 1, 0, "m", 0, 4, 0 },
	{ B("\x36\x8b\x07"), 32, INSN_LOAD, 0, 4, 4, 0, 7, -1, 1, 0, "m", 0, 4, 2 },
	{ B("\x3e\x8b\x07"), 32, INSN_LOAD, 0, 4, 4, 0, 7, -1, 1, 0, "m", 0, 4, 3 },
	{ B("\x8b\x00"), 16, INSN_LOAD, 0, 2, 2, 0, 3, 6, 1, 0, "m", 0, 2, -1 },
	{ B("\x8b\x43\xff"), 16, INSN_LOAD, 0, 2, 2, 0, 5, 7, 1, -1, "m", 0, 2, -1 },
	{ B("\x8b\x84\x00\x80"), 16, INSN_LOAD, 0, 2, 2, 0, 6, -1, 1, INT16_MIN, "m", 0, 2, -1 },
	{ B("\x8b\x0e\x34\x12"), 16, INSN_LOAD, 0, 2, 2, 1, -1, -1, 1, 0x1234, "m", 0, 2, -1 },
	{ B("\x8b\x4e\x10"), 16, INSN_LOAD, 0, 2, 2, 1, 5, -1, 1, 16, "m", 0, 2, -1 },
	{ B("\x66\x67\x8b\x04\x24"), 16, INSN_LOAD, 0, 4, 4, 0, 4, -1, 1, 0, "m", 0, 4, -1 },
	{ B("\x67\x8b\x07"), 32, INSN_LOAD, 0, 4, 4, 0, 3, -1, 1, 0, "m", 0, 2, -1 },
	{ B("\x67\x8b\x07"), 64, INSN_LOAD, 0, 4, 4, 0, 7, -1, 1, 0, "m", 0, 4, -1 },
	{ B("\xc7\x07\x34\x12"), 16, INSN_STORE, 0, 2, 0, 0, 3, -1, 1, 0, "mi", 0x1234, 2, -1 },
};

static bool flag(size_t i, char c)
{
	return strchr(good[i].flags, c) != NULL;
}

#define SAME(i, got, want)                                                                   \
	do {                                                                                 \
		if ((long long)(got) != (long long)(want)) {                                 \
			fail_msg("row %zu: %s is %lld, not %lld", i, #got, (long long)(got), \
				 (long long)(want));                                         \
		}                                                                            \
	} while (0)

static void test_good(void **state)
{
	struct insn x;

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		char longer[16] = { 0 };

		SAME(i, decode(good[i].bytes, good[i].n, good[i].mode, &x), true);
		SAME(i, x.length, good[i].n);
		SAME(i, x.op, good[i].op);
		SAME(i, x.alu, good[i].alu);
		SAME(i, x.mem_size, good[i].mem_size);
		SAME(i, x.reg_size, good[i].reg_size);
		SAME(i, x.reg, good[i].reg);
		SAME(i, x.reg_high, flag(i, 'h'));
		SAME(i, x.sign_extend, flag(i, 's'));
		SAME(i, x.has_imm, flag(i, 'i'));
		SAME(i, x.imm, good[i].imm);
		SAME(i, x.has_mem, flag(i, 'm'));
		SAME(i, x.mem_moffs, flag(i, 'o'));
		SAME(i, x.mem_rip, flag(i, 'r'));
		SAME(i, x.mem_base, good[i].base);
		SAME(i, x.mem_index, good[i].index);
		SAME(i, x.mem_scale, good[i].scale);
		SAME(i, x.mem_disp, good[i].disp);
		SAME(i, x.addr_size, good[i].addr_size);
		SAME(i, x.mem_segment, good[i].segment);
		SAME(i, x.lock, flag(i, 'l'));
		/* Cut anywhere it is refused; with bytes behind it the length stays. */
		for (size_t n = 0; n < good[i].n; n++) {
			SAME(i, decode(good[i].bytes, n, good[i].mode, &x), false);
		}
		memcpy(longer, good[i].bytes, good[i].n);
		SAME(i, decode(longer, sizeof(longer), good[i].mode, &x), true);
		SAME(i, x.length, good[i].n);
	}
}

static const struct {
	const char *bytes;
	size_t n;
	unsigned int mode;
} bad[] = {
	{ B("\x0f\xa2"), 0 },
	{ B("\x0f\xa2"), 8 },
	{ B("\x0f\xa2"), 128 },
	{ B("\x90"), 64 },
	{ B("\xc3"), 64 },
	{ B("\x0f\x0b"), 64 },
	{ B("\x0f\x05"), 64 },
	{ B("\x0f\x01\xd8"), 64 }, /* VMRUN */
	{ B("\x0f\x01\xda"), 64 },
	{ B("\x0f\x01\x10\x00"), 64 }, /* LGDT */
	{ B("\xf3\x0f\x01\xd9"), 64 }, /* VMGEXIT */
	{ B("\xf2\x0f\x01\xd9"), 64 },
	{ B("\x66\x0f\x01\xd9"), 64 },
	{ B("\xf3\x0f\x09"), 64 }, /* WBNOINVD */
	{ B("\xf3\x0f\xb8\x07"), 64 },
	{ B("\xf3\x89\x07"), 64 }, /* XRELEASE */
	{ B("\xf3\xa4"), 64 },     /* REP MOVSB */
	{ B("\xa4"), 64 },
	{ B("\xf0\x0f\xa2"), 64 },
	{ B("\xf0\xf4"), 64 },
	{ B("\xf0\x8b\x07"), 64 },
	{ B("\xf0\x89\x07"), 64 },
	{ B("\xf0\xc7\x07\x00\x00\x00\x00"), 64 },
	{ B("\xf0\x39\x07"), 64 },
	{ B("\xf0\x85\x07"), 64 },
	{ B("\xf0\x83\x3f\x00"), 64 },
	{ B("\xf0\xf6\x07\x00"), 64 },
	{ B("\x8b\xc0"), 64 }, /* register forms */
	{ B("\x89\xc0"), 64 },
	{ B("\x88\xff"), 64 },
	{ B("\x0f\xb6\xc0"), 64 },
	{ B("\x48\x63\xc0"), 64 },
	{ B("\x01\xc0"), 64 },
	{ B("\x83\xc0\x01"), 64 },
	{ B("\xc7\xc0\x00\x00\x00\x00"), 64 },
	{ B("\xf0\x01\xc0"), 64 },
	{ B("\xc6\x0f\x00"), 64 }, /* C6 /1 */
	{ B("\xc7\x3f\x00\x00\x00\x00"), 64 },
	{ B("\xf6\x0f\x00"), 64 }, /* F6 /1 */
	{ B("\xf7\x17"), 64 },     /* NOT */
	{ B("\x83\x17\x01"), 64 }, /* ADC */
	{ B("\x83\x1f\x01"), 64 }, /* SBB */
	{ B("\x11\x07"), 64 },
	{ B("\x19\x07"), 64 },
	{ B("\x03\x07"), 64 }, /* register destinations */
	{ B("\x0b\x07"), 64 },
	{ B("\x3b\x07"), 64 },
	{ B("\x87\x07"), 64 }, /* XCHG */
	{ B("\xff\x07"), 64 }, /* INC */
	{ B("\x82\x07\x01"), 32 },
	{ B("\x63\x07"), 32 }, /* ARPL */
	{ B("\x66\x63\x07"), 64 },
	{ B("\x48\x0f\xa2"), 32 }, /* DEC */
	{ B("\x65\x64\x8b\x07"), 64 },
	{ B("\x65\x65\x8b\x07"), 64 },
	{ B("\x64\x2e\x8b\x07"), 64 },
	{ B("\xd5\x00\x8b\x07"), 64 }, /* REX2 */
	{ B("\xc5\xf8\x10\x07"), 64 }, /* VEX */
	{ B("\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x0f\xa2"),
	  64 }, /* 16 bytes */
	{ B("\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\xf4"), 64 },
	{ B("\x40\x40\x40\x40\x40\x40\x40\x40\x40\x40\x40\x40\x40\x40\x40\xf4"), 64 },
};

static void test_bad(void **state)
{
	struct insn x;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		SAME(i, decode(bad[i].bytes, bad[i].n, bad[i].mode, &x), false);
	}
	/* Nor is it for lack of bytes. */
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		char longer[32] = { 0 };

		memcpy(longer, bad[i].bytes, bad[i].n);
		SAME(i, decode(longer, sizeof(longer), bad[i].mode, &x), false);
	}
	assert_false(insn_decode(NULL, 0, 64, &x));
}

/* All two-byte beginnings in all modes: a decoded length never passes what was given. */
static void test_all_openings(void **state)
{
	static const unsigned int modes[] = { 16, 32, 64 };
	struct insn x;
	unsigned int accepted = 0;

	(void)state;
	for (unsigned int k = 0; k < 3 << 16; k++) {
		char b[16] = { (char)k, (char)(k >> 8), (char)0xc5, 4, (char)0x8d };
		size_t n = 1 + k % 16;

		if (decode(b, n, modes[k >> 16], &x)) {
			accepted++;
			assert_in_range(x.length, 1, n < 15 ? n : 15);
			assert_true(x.has_mem || (x.mem_size == 0 && !x.has_imm));
		}
	}
	assert_true(accepted > 5000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_bad),
		cmocka_unit_test(test_all_openings),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
