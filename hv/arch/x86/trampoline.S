/* SPDX-License-Identifier: MIT */
/*
 * The first steps of an application processor, copied to a page below 1 MiB: real mode -> long mode -> C.
 * smp.c fills in the words named trampoline_* for one CPU at a time; far jumps are direct, their targets patched in the copy.
 */
#include "hv/abi/regs_x86.h"

	.section .trampoline, "ax"
	.code16
	.globl trampoline_start
trampoline_start:
	cli
	cld
	xorl %ebx, %ebx
	movw %cs, %bx
	movw %bx, %ds
	shll $4, %ebx
	lgdtl trampoline_gdtr - trampoline_start
	movl %cr0, %eax
	andl $~(CR0_CD | CR0_NW), %eax
	orl $CR0_PE, %eax
	movl %eax, %cr0
	.byte 0x66, 0xea /* ljmpl $0x18, <trampoline_32> */
	.globl trampoline_jump32
trampoline_jump32:
	.long 0
	.word 0x18

	.code32
	.globl trampoline_32
trampoline_32:
	movw $0x10, %ax
	movw %ax, %ds
	movw %ax, %es
	movw %ax, %ss
	movl $CR4_PAE, %eax
	movl %eax, %cr4
	movl (trampoline_cr3 - trampoline_start)(%ebx), %eax
	movl %eax, %cr3
	movl $MSR_EFER, %ecx
	rdmsr
	orl $(EFER_LME | EFER_NXE), %eax
	wrmsr
	movl $(CR0_PG | CR0_WP | CR0_NE | CR0_ET | CR0_MP | CR0_PE), %eax
	movl %eax, %cr0
	.byte 0xea /* ljmp $0x08, <trampoline_64> */
	.globl trampoline_jump64
trampoline_jump64:
	.long 0
	.word 0x08

	.code64
	.globl trampoline_64
trampoline_64:
	movl %ebx, %ebx
	movq (trampoline_stack - trampoline_start)(%rbx), %rsp
	movl (trampoline_index - trampoline_start)(%rbx), %edi
	pushq $0
	pushq (trampoline_entry - trampoline_start)(%rbx)
	xorl %ebp, %ebp
	ret

	.balign 16
	.globl trampoline_gdt
trampoline_gdt:
	.quad 0
	.quad 0x00af9a000000ffff /* 0x08: 64-bit code */
	.quad 0x00cf92000000ffff /* 0x10: data */
	.quad 0x00cf9a000000ffff /* 0x18: 32-bit code */
	.globl trampoline_gdtr
trampoline_gdtr:
	.word 31
	.globl trampoline_gdt_base
trampoline_gdt_base:
	.long 0
	.balign 8
	.globl trampoline_cr3
trampoline_cr3:
	.quad 0
	.globl trampoline_stack
trampoline_stack:
	.quad 0
	.globl trampoline_entry
trampoline_entry:
	.quad 0
	.globl trampoline_index
trampoline_index:
	.quad 0
	.globl trampoline_end
trampoline_end:
	.section .note.GNU-stack, "", @progbits
