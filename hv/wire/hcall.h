/* SPDX-License-Identifier: MIT */
#ifndef HV_WIRE_HCALL_H
#define HV_WIRE_HCALL_H
/* The hypercall input value (TLFS 3.7). */
#include "hv/wire/view.h"

struct hcall_control {
	uint16_t code;
	bool fast;
	uint16_t variable_header; /* quadwords */
	bool nested;
	uint16_t rep_count, rep_start; /* 12 bits each */
	bool reserved_set;             /* one of the bits that must be zero is not */
};

void hcall_control_parse(uint64_t value, struct hcall_control *out);
/* The shape fits a simple or a rep call, with or without a variable header. A variable header may make a rep list empty. */
bool hcall_control_valid(const struct hcall_control *c, bool rep, bool variable);

#endif
