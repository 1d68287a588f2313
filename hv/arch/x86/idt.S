/* SPDX-License-Identifier: MIT */
/*
 * Exception and interrupt entries of the hypervisor. They use the stack they are given (IST for #DF, NMI, #MC) and
 * rely on GS holding this CPU's struct cpu at all times: nothing of a guest is loaded while they can be reached.
 */
	.macro SAVE
	pushq %rax
	pushq %rcx
	pushq %rdx
	pushq %rbx
	pushq %rbp
	pushq %rsi
	pushq %rdi
	pushq %r8
	pushq %r9
	pushq %r10
	pushq %r11
	pushq %r12
	pushq %r13
	pushq %r14
	pushq %r15
	cld
	.endm
	.macro RESTORE
	popq %r15
	popq %r14
	popq %r13
	popq %r12
	popq %r11
	popq %r10
	popq %r9
	popq %r8
	popq %rdi
	popq %rsi
	popq %rbp
	popq %rbx
	popq %rdx
	popq %rcx
	popq %rax
	addq $16, %rsp
	iretq
	.endm

	.text
	/* 32 bytes apart: vector n at idt_entries + 32 n */
	.balign 32
	.globl idt_entries
idt_entries:
	.set v, 0
	.rept 256
	.balign 32
	.if (v == 8) || (v >= 10 && v <= 14)
	.elseif (v == 17) || (v == 21) || (v == 29) || (v == 30)
	/* A device may send these vectors as interrupts, which push no error code. The CPU aligns the frame: bit 3 tells. */
	testb $8, %spl
	jz 1f
	pushq $0
1:
	.else
	pushq $0
	.endif
	pushq $v
	.if v < 32
	jmp idt_exception_common
	.else
	jmp idt_interrupt_common
	.endif
	.set v, v + 1
	.endr

idt_exception_common:
	SAVE
	movq %rsp, %rdi
	call idt_exception
	RESTORE

idt_interrupt_common:
	SAVE
	movl 120(%rsp), %edi
	call idt_interrupt
	RESTORE
	.section .note.GNU-stack, "", @progbits
