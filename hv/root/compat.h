/* SPDX-License-Identifier: MIT OR GPL-2.0 */
#ifndef HV_ROOT_COMPAT_H
#define HV_ROOT_COMPAT_H
/* What differs between Linux 6.1 and 6.12. */
#include <linux/mm.h>
#include <linux/version.h>

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 3, 0)
static inline void vm_flags_mod(struct vm_area_struct *vma, vm_flags_t set, vm_flags_t clear)
{
	vma->vm_flags = (vma->vm_flags | set) & ~clear;
}
#endif

#endif
