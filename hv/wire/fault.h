/* SPDX-License-Identifier: MIT */
#ifndef HV_WIRE_FAULT_H
#define HV_WIRE_FAULT_H
/* How the parsers report: one place that always sets all of a fault. For hv/wire/ only. */
#include "hv/wire/view.h"

/* Always false, so that a parser can return it. The strings must be static. */
static inline bool wire_fail(struct wire_fault *why, const char *what, const char *field,
			     const char *remedy, uint64_t value)
{
	why->what = what;
	why->field = field;
	why->remedy = remedy;
	why->value = value;
	return false;
}

static inline void wire_ok(struct wire_fault *why)
{
	why->what = NULL;
	why->field = NULL;
	why->remedy = NULL;
	why->value = 0;
}

#endif
