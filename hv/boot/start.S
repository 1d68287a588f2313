/* SPDX-License-Identifier: MIT */
/*
 * From the loader's first instruction to C: Multiboot 1 (0.6.96) and Multiboot 2 (2.0) headers and the 32-bit entry.
 * The image may stand at any 4 KiB boundary below 4 GiB: everything here is relative to %ebp, the address of boot_here.
 * On 64-bit UEFI, GRUB 2 leaves boot services running (tag 7) and enters at boot_entry_efi64 (tag 9): the firmware's event log
 * can only be had from them (docs/adr/018-boot-services.md). Other loaders ignore both tags.
 */
#include "hv/abi/regs_x86.h"

#define MB1_MAGIC 0x1BADB002
#define MB1_FLAGS 0x00000003 /* page-aligned modules, memory map */
#define MB2_MAGIC 0xE85250D6
#define IMAGE_BASE 0x01000000

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
	/* Boot services stay; entry on 64-bit UEFI, as an address of the 32-bit file (tools/mkelf32.py: LOAD). */
	.balign 8
	.word 7, 1
	.long 8
	.balign 8
	.word 9, 1
	.long 12
	.long boot_entry_efi64 - boot_mb2_header + IMAGE_BASE /* the header is the first byte of the image */
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
boot_common32:
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
	pushl %eax
	pushw $(boot_gdt_end - boot_gdt - 1)
	lgdt (%esp)
	addl $6, %esp
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

	/*
	 * 64-bit UEFI with boot services (Multiboot2 2.0, 3.5): %eax magic, %ebx information, the firmware's page tables and
	 * stack. What needs the firmware is done in C; then the way that every loader takes.
	 */
	.globl boot_entry_efi64
boot_entry_efi64:
	cld
	movl %eax, %r12d
	movl %ebx, %r13d
	/* The parsers look at a canary, %gs:40: a block of zeros, which UEFI code does not use. */
	leaq boot_gs(%rip), %rax
	movq %rax, %rdx
	shrq $32, %rdx
	movl $MSR_GS_BASE, %ecx
	wrmsr
	movl %r12d, %edi
	movl %r13d, %esi
	leaq hv_image_start(%rip), %rdx
	andq $-16, %rsp
	call boot_efi
	cli
	leaq boot_stack_end(%rip), %rsp
	leaq boot_gdt(%rip), %rax
	subq $16, %rsp
	movw $(boot_gdt_end - boot_gdt - 1), (%rsp)
	movq %rax, 2(%rsp)
	lgdt (%rsp)
	movl %r12d, %esi
	movl %r13d, %edi
	leaq boot_efi32(%rip), %rax
	pushq $0x18
	pushq %rax
	lretq

	.code32
boot_efi32: /* compatibility mode; long mode off, whatever paging the firmware had */
	movl $0x10, %eax
	movl %eax, %ds
	movl %eax, %es
	movl %eax, %ss
	movl %cr0, %eax
	andl $~CR0_PG, %eax
	movl %eax, %cr0
	movl $MSR_EFER, %ecx
	rdmsr
	andl $~EFER_LME, %eax
	wrmsr
	xorl %eax, %eax
	movl %eax, %cr4
	jmp boot_common32

	.code64
	/*
	 * efi_call(function, a, b, c, d, e): a firmware function by the Microsoft calling convention, from the one of C here. The
	 * only branch to an address that is not the image's own; this page is not executable once the hypervisor runs.
	 */
	.globl efi_call
	.type efi_call, @function
efi_call:
	pushq %rbp
	movq %rsp, %rbp
	subq $48, %rsp
	andq $-16, %rsp
	movq %r9, 32(%rsp)
	movq %r8, %r9
	movq %rcx, %r8
	movq %rsi, %rcx
	call *%rdi
	leave
	ret

	.balign 8
boot_gdt:
	.quad 0
	.quad 0x00af9a000000ffff
	.quad 0x00cf92000000ffff
	.quad 0x00cf9a000000ffff
boot_gdt_end:

	.section .bss.boot, "aw", @nobits
	.balign 16
boot_gs:
	.skip 64
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
