// SPDX-License-Identifier: MIT OR GPL-2.0
/*
 * Instructions that survive the fault that they cause: the exception table of Linux puts the vector
 * in EAX (this is how an exception that the hypervisor injects is seen), the straight path puts -1
 * there.
 */
#include <linux/gfp.h>
#include <linux/io.h>
#include <linux/string.h>

#include <asm/asm.h>
#include <asm/traps.h>

#include "redteam/root/attack.h"

int try_rdmsr(u32 msr, u64 *value)
{
	u32 low = 0, high = 0;
	int fault;

	asm volatile("1: rdmsr\n\t"
		     "mov %%eax, %[low]\n\t"
		     "mov $-1, %%eax\n"
		     "2:\n" _ASM_EXTABLE_FAULT(1b, 2b)
		     : "=a"(fault), "+d"(high), [low] "+r"(low)
		     : "c"(msr)
		     : "memory");
	*value = low | (u64)high << 32;
	return fault;
}

int try_wrmsr(u32 msr, u64 value)
{
	int fault = (int)value;

	asm volatile("1: wrmsr\n\t"
		     "mov $-1, %%eax\n"
		     "2:\n" _ASM_EXTABLE_FAULT(1b, 2b)
		     : "+a"(fault)
		     : "c"(msr), "d"((u32)(value >> 32))
		     : "memory");
	return fault;
}

int try_read64(const volatile void *address, u64 *value)
{
	u64 result = 0;
	int fault;

	asm volatile("1: mov (%[from]), %[to]\n\t"
		     "mov $-1, %%eax\n"
		     "2:\n" _ASM_EXTABLE_FAULT(1b, 2b)
		     : "=&a"(fault), [to] "+r"(result)
		     : [from] "r"(address)
		     : "memory");
	*value = result;
	return fault;
}

int try_write64(volatile void *address, u64 value)
{
	int fault;

	asm volatile("1: mov %[from], (%[to])\n\t"
		     "mov $-1, %%eax\n"
		     "2:\n" _ASM_EXTABLE_FAULT(1b, 2b)
		     : "=&a"(fault)
		     : [to] "r"(address), [from] "r"(value)
		     : "memory");
	return fault;
}

int try_read32(const volatile void *address, u32 *value)
{
	u32 result = 0;
	int fault;

	asm volatile("1: movl (%[from]), %[to]\n\t"
		     "mov $-1, %%eax\n"
		     "2:\n" _ASM_EXTABLE_FAULT(1b, 2b)
		     : "=&a"(fault), [to] "+r"(result)
		     : [from] "r"(address)
		     : "memory");
	*value = result;
	return fault;
}

int try_write32(volatile void *address, u32 value)
{
	int fault;

	asm volatile("1: movl %[from], (%[to])\n\t"
		     "mov $-1, %%eax\n"
		     "2:\n" _ASM_EXTABLE_FAULT(1b, 2b)
		     : "=&a"(fault)
		     : [to] "r"(address), [from] "r"(value)
		     : "memory");
	return fault;
}

int try_in8(u16 port, u8 *value)
{
	u32 result = 0;
	int fault;

	asm volatile("1: inb %%dx, %%al\n\t"
		     "movzbl %%al, %[to]\n\t"
		     "mov $-1, %%eax\n"
		     "2:\n" _ASM_EXTABLE_FAULT(1b, 2b)
		     : "=&a"(fault), [to] "+r"(result)
		     : "d"(port)
		     : "memory");
	*value = (u8)result;
	return fault;
}

int try_out8(u16 port, u8 value)
{
	int fault = value;

	asm volatile("1: outb %%al, %%dx\n\t"
		     "mov $-1, %%eax\n"
		     "2:\n" _ASM_EXTABLE_FAULT(1b, 2b)
		     : "+a"(fault)
		     : "d"(port)
		     : "memory");
	return fault;
}

int try_in32(u16 port, u32 *value)
{
	u32 result = 0;
	int fault;

	asm volatile("1: inl %%dx, %%eax\n\t"
		     "mov %%eax, %[to]\n\t"
		     "mov $-1, %%eax\n"
		     "2:\n" _ASM_EXTABLE_FAULT(1b, 2b)
		     : "=&a"(fault), [to] "+r"(result)
		     : "d"(port)
		     : "memory");
	*value = result;
	return fault;
}

int try_out32(u16 port, u32 value)
{
	int fault = (int)value;

	asm volatile("1: outl %%eax, %%dx\n\t"
		     "mov $-1, %%eax\n"
		     "2:\n" _ASM_EXTABLE_FAULT(1b, 2b)
		     : "+a"(fault)
		     : "d"(port)
		     : "memory");
	return fault;
}

const char *fault_name(int fault)
{
	switch (fault) {
	case X86_TRAP_UD:
		return "#UD";
	case X86_TRAP_GP:
		return "#GP";
	case X86_TRAP_PF:
		return "#PF";
	default:
		return fault == NO_FAULT ? "no fault" : "another fault";
	}
}

struct outcome blocked_by(int fault)
{
	return outcome(BLOCKED, "%s", fault_name(fault));
}

/* The attacker has the ABI and nothing else of the hypervisor: hence its own stub. */
u64 hypercall(u64 control, phys_addr_t in, phys_addr_t out)
{
	register u64 r8 asm("r8") = out;
	u64 result;
	u64 rcx = control;
	u64 rdx = in;

	asm volatile("vmmcall"
		     : "=a"(result), "+c"(rcx), "+d"(rdx), "+r"(r8)
		     :
		     : "r9", "r10", "r11", "cc", "memory");
	return result;
}

bool get_info(struct rd_info *info)
{
	struct rd_info_in *in = (void *)get_zeroed_page(GFP_KERNEL);
	void *out = (void *)get_zeroed_page(GFP_KERNEL);
	bool good = false;

	if (in && out && below_hypervisor()) {
		in->abi_version = RD_ABI_VERSION;
		good = (hypercall(RD_HVCALL_GET_INFO, virt_to_phys(in), virt_to_phys(out)) &
			0xffff) == 0;
		memcpy(info, out, sizeof(*info));
		good = good && info->range_count <= RD_INFO_RANGES;
	}
	free_page((unsigned long)in);
	free_page((unsigned long)out);
	return good;
}
