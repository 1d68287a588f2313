/* SPDX-License-Identifier: MIT */
#include "hv/wire/hcall.h"

/* Bits 30:27, 47:44, 63:60. */
#define RESERVED 0xf000f00078000000ull

/* Trust: value is the guest's. Every value parses; hcall_control_valid judges. */
void hcall_control_parse(uint64_t value, struct hcall_control *out)
{
	out->code = (uint16_t)value;
	out->fast = (value >> 16 & 1) != 0;
	out->variable_header = (uint16_t)(value >> 17 & 0x3ff);
	out->nested = (value >> 31 & 1) != 0;
	out->rep_count = (uint16_t)(value >> 32 & 0xfff);
	out->rep_start = (uint16_t)(value >> 48 & 0xfff);
	out->reserved_set = (value & RESERVED) != 0;
}

bool hcall_control_valid(const struct hcall_control *c, bool rep, bool variable)
{
	if (c->reserved_set || c->nested || (!variable && c->variable_header != 0)) {
		return false;
	}
	if (!rep) {
		return c->rep_count == 0 && c->rep_start == 0;
	}
	return c->rep_start < c->rep_count; /* of an empty list nothing is left to do */
}
