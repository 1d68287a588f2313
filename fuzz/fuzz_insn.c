/* SPDX-License-Identifier: MIT */
/* Input: byte 0: mode (0 16-bit, 1 32-bit, 0xff none that there is, other 64-bit); the rest is code. */
#include <stdlib.h>
#include <string.h>

#include "hv/wire/insn.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(x)                          \
	do {                              \
		if (!(x)) {               \
			__builtin_trap(); \
		}                         \
	} while (0)

static bool is_size(uint8_t size)
{
	return size == 1 || size == 2 || size == 4 || size == 8;
}

static void check_memory(const struct insn *x, unsigned int mode)
{
	CHECK(is_size(x->mem_size) && (mode == 64 || x->mem_size <= 4));
	CHECK(x->mem_base >= -1 && x->mem_base <= (mode == 64 ? 15 : 7));
	CHECK(x->mem_index >= -1 && x->mem_index <= (mode == 64 ? 15 : 7));
	CHECK(is_size(x->mem_scale));
	CHECK(!x->mem_rip || (mode == 64 && x->mem_base == -1 && x->mem_index == -1));
	CHECK(!x->mem_moffs || (x->mem_base == -1 && x->mem_index == -1 && !x->has_imm));
	CHECK(x->has_imm || is_size(x->reg_size));
	CHECK(!x->reg_high || (x->reg <= 3 && x->reg_size == 1));
	CHECK(x->mem_size == 8 || x->imm >> (8 * x->mem_size) == 0);
	CHECK(x->op == INSN_LOAD || x->op == INSN_STORE || x->op == INSN_RMW);
	CHECK((x->op == INSN_RMW) == (x->alu != INSN_ALU_NONE));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	unsigned int mode;
	struct insn x, y;

	if (size < 1) {
		return 0;
	}
	mode = data[0] == 0 ? 16 : data[0] == 1 ? 32 : 64;
	memset(&x, 0xa5, sizeof(x));
	if (data[0] == 0xff) {
		CHECK(!insn_decode(data + 1, size - 1, (unsigned int)size % 8, &x));
		return 0;
	}
	if (!insn_decode(data + 1, size - 1, mode, &x)) {
		return 0;
	}
	CHECK(x.length >= 1 && x.length <= INSN_MAX && x.length <= size - 1);
	CHECK(x.reg <= (mode == 64 ? 15 : 7));
	CHECK(x.addr_size == 2 || x.addr_size == 4 || x.addr_size == 8);
	CHECK(x.mem_segment >= -1 && x.mem_segment <= 5);
	CHECK(!x.lock || (x.op == INSN_RMW && x.alu < INSN_ALU_TEST));
	if (x.has_mem) {
		check_memory(&x, mode);
	} else {
		CHECK(x.op <= INSN_XSETBV && !x.has_imm && x.alu == INSN_ALU_NONE);
	}
	/* The bytes behind the instruction say nothing; one byte less is not it. */
	memset(&y, 0xa5, sizeof(y));
	CHECK(insn_decode(data + 1, x.length, mode, &y) && y.length == x.length && y.op == x.op &&
	      y.mem_disp == x.mem_disp && y.imm == x.imm);
	CHECK(!insn_decode(data + 1, x.length - 1u, mode, &y));
	return 0;
}
