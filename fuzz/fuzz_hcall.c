/* SPDX-License-Identifier: MIT */
/* Input: 8 bytes, the hypercall input value. */
#include "hv/wire/hcall.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(x)                          \
	do {                              \
		if (!(x)) {               \
			__builtin_trap(); \
		}                         \
	} while (0)

/* Bits 30:27, 47:44 and 63:60 (TLFS 3.7). */
static uint64_t reserved(uint64_t v)
{
	return (v >> 27 & 15) | (v >> 44 & 15) | (v >> 60 & 15);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct hcall_control c;
	bool simple, rep;
	uint64_t v, again;

	if (size < 8) {
		return 0;
	}
	v = le64(data);
	__builtin_memset(&c, 0xa5, sizeof(c));
	hcall_control_parse(v, &c);
	again = c.code | (uint64_t)c.fast << 16 | (uint64_t)c.variable_header << 17 |
		(uint64_t)c.nested << 31 | (uint64_t)c.rep_count << 32 |
		(uint64_t)c.rep_start << 48;
	CHECK(c.reserved_set == (reserved(v) != 0));
	CHECK(again == (v & 0x0fff0fff87ffffffull)); /* every bit is in one field or reserved */
	simple = hcall_control_valid(&c, false, false);
	rep = hcall_control_valid(&c, true, false);
	CHECK(!(simple && rep));
	CHECK(!(simple || rep) || (!c.reserved_set && !c.nested && c.variable_header == 0));
	/* Allowing a variable header allows nothing else. */
	CHECK(hcall_control_valid(&c, false, true) == simple || c.variable_header != 0);
	CHECK(hcall_control_valid(&c, true, true) == rep || c.variable_header != 0);
	CHECK(!simple || v == (v & 0x1ffff));
	CHECK(!rep || c.rep_start < c.rep_count);
	return 0;
}
