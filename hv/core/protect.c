/* SPDX-License-Identifier: MIT */
#include "hv/core/protect.h"

bool protect_enforced(void)
{
	return true;
}
