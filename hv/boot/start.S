/* SPDX-License-Identifier: MIT */
/*
 * From the loader's first instruction to C: Multiboot 1 (0.6.96) and Multiboot 2 (2.0) headers and the 32-bit entry.
 * The image may stand at any 4 KiB boundary below 4 GiB: everything here is relative to %ebp, the address of boot_here.
 */
#include "hv/abi/regs_x86.h"

#define MB1_MAGIC 0x1BADB002
#define MB1_FLAGS 0x00000003 /* page-aligned modules, memory map */
#define MB2_MAGIC 0xE85250D6

	.section .boot.header, "ax"
	.balign 8
	.globl boot_mb2_header
boot_mb2_header:
	.long MB2_MAGIC
	.long 0 /* i386 protected mode */
	.long boot_mb2_end - boot_mb2_header
	.long -(MB2_MAGIC + 0 + (boot_mb2_end - boot_mb2_header))
	/* Relocatable: anywhere from 16 MiB to just below 4 GiB, 2 MiB aligned, as low as possible. */
	.balign 8
	.word 10, 0
	.long 24
	.long 0x00100000
	.long 0xfffff000
	.long 0x00200000
	.long 1
	/* Modules aligned to pages. */
	.balign 8
	.word 6, 0
	.long 8
	.balign 8
	.word 0, 0
	.long 8
boot_mb2_end:

	.balign 4
boot_mb1_header:
	.long MB1_MAGIC
	.long MB1_FLAGS
	.long -(MB1_MAGIC + MB1_FLAGS)

	.section .boot.text, "ax"
	.code32
	.globl boot_entry32
boot_entry32:
	cli
	cld
	movl %eax, %esi /* magic */
	movl %ebx, %edi /* information structure */
	/* Where are we? Needs four bytes of stack; the header is done with. */
	call boot_here
boot_here:
	popl %ebp
	leal (boot_stack_end - boot_here)(%ebp), %esp

	/* Long mode at all? The message needs no stack and no 64-bit code. */
	movl $0x80000000, %eax
	cpuid
	cmpl $0x80000001, %eax
	jb boot_no_long_mode
	movl $0x80000001, %eax
	cpuid
	testl $(1 << 29), %edx
	jz boot_no_long_mode
	btl $20, %edx /* NX */
	jnc boot_no_nx

	/* Identity map of the first 4 GiB in 2 MiB pages: boot_pml4 -> boot_pdpt -> boot_pd[4]. */
	leal (boot_pml4 - boot_here)(%ebp), %ebx
	leal (boot_pdpt - boot_here + 7)(%ebp), %eax
	movl %eax, (%ebx)
	leal (boot_pdpt - boot_here)(%ebp), %ebx
	leal (boot_pd - boot_here + 7)(%ebp), %eax
	movl $4, %ecx
2:	movl %eax, (%ebx)
	addl $8, %ebx
	addl $4096, %eax
	decl %ecx
	jnz 2b
	leal (boot_pd - boot_here)(%ebp), %ebx
	movl $0x83, %eax
	movl $2048, %ecx
3:	movl %eax, (%ebx)
	addl $8, %ebx
	addl $0x200000, %eax
	decl %ecx
	jnz 3b

	movl %cr4, %eax
	orl $CR4_PAE, %eax
	movl %eax, %cr4
	leal (boot_pml4 - boot_here)(%ebp), %eax
	movl %eax, %cr3
	movl $MSR_EFER, %ecx
	rdmsr
	orl $(EFER_LME | EFER_NXE), %eax
	wrmsr
	movl %cr0, %eax
	andl $~(CR0_CD | CR0_NW), %eax
	orl $(CR0_PG | CR0_PE | CR0_WP), %eax
	movl %eax, %cr0

	/* A flat GDT whose base is known only now. */
	leal (boot_gdt - boot_here)(%ebp), %eax
	movl %eax, (boot_gdtr + 2 - boot_here)(%ebp)
	lgdt (boot_gdtr - boot_here)(%ebp)
	leal (boot_entry64 - boot_here)(%ebp), %eax
	pushl $0x08
	pushl %eax
	lret

boot_no_long_mode:
	leal (boot_msg_long - boot_here)(%ebp), %esi
	jmp boot_print
boot_no_nx:
	leal (boot_msg_nx - boot_here)(%ebp), %esi
boot_print: /* COM1, whatever the firmware left there */
	movb (%esi), %al
	testb %al, %al
	jz boot_stop
	movl $0x3f8, %edx
	outb %al, %dx
	movl $0x3fd, %edx
4:	inb %dx, %al
	testb $0x20, %al
	jz 4b
	incl %esi
	jmp boot_print
boot_stop:
	hlt
	jmp boot_stop
boot_msg_long:
	.asciz "redoubt: error: CPU: no 64-bit mode: Redoubt needs an AMD64 processor; halted\r\n"
boot_msg_nx:
	.asciz "redoubt: error: CPU: no NX (no-execute): enable it in the firmware's set-up; halted\r\n"

	.code64
boot_entry64:
	movl $0x10, %eax
	movl %eax, %ds
	movl %eax, %es
	movl %eax, %ss
	xorl %eax, %eax
	movl %eax, %fs
	movl %eax, %gs
	leaq boot_stack_end(%rip), %rsp
	xchgq %rsi, %rdi /* (magic, info, load address) */
	movl %esi, %esi
	movl %edi, %edi
	leaq hv_image_start(%rip), %rdx
	xorl %ebp, %ebp
	call boot_early
	ud2

	/*
	 * boot_switch(cr3, stack top, entry): leaves the identity map for ever. The page tables of rdi map this
	 * page at its identity address only while the jump is made.
	 */
	.globl boot_switch
	.type boot_switch, @function
boot_switch:
	movq %rdi, %cr3
	movq %rsi, %rsp
	xorl %ebp, %ebp
	pushq $0
	pushq %rdx
	ret

	.balign 8
boot_gdt:
	.quad 0
	.quad 0x00af9a000000ffff
	.quad 0x00cf92000000ffff
boot_gdtr:
	.word boot_gdtr - boot_gdt - 1
	.quad 0

	.section .bss.boot, "aw", @nobits
	.balign 4096
boot_pml4:
	.skip 4096
boot_pdpt:
	.skip 4096
boot_pd:
	.skip 4 * 4096
	.balign 16
	.skip 16384
boot_stack_end:
	.section .note.GNU-stack, "", @progbits
