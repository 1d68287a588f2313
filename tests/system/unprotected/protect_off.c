/* SPDX-License-Identifier: MIT */
/* Linked into redoubt-unprotected.elf only: the attacks of redteam/root must succeed there, or their tests prove nothing. */
#include "hv/core/protect.h"

bool protect_enforced(void)
{
	return false;
}
