/* SPDX-License-Identifier: MIT */
/*
 * svm_enter(struct vp *vp, vmcb physical, host state physical): one stay in the guest.
 * Requires: GIF clear, RFLAGS.IF set (so that physical interrupts end the stay). vp->regs is at offset 0 in encoding order; RAX and RSP
 * travel in the VMCB. On return every register that the guest held has been overwritten or saved.
 */
	.text
	.globl svm_enter
	.type svm_enter, @function
svm_enter:
	pushq %rbx
	pushq %rbp
	pushq %r12
	pushq %r13
	pushq %r14
	pushq %r15
	pushq %rdi
	pushq %rdx
	movq %rsi, %rax
	movq 8(%rdi), %rcx
	movq 16(%rdi), %rdx
	movq 24(%rdi), %rbx
	movq 40(%rdi), %rbp
	movq 48(%rdi), %rsi
	movq 64(%rdi), %r8
	movq 72(%rdi), %r9
	movq 80(%rdi), %r10
	movq 88(%rdi), %r11
	movq 96(%rdi), %r12
	movq 104(%rdi), %r13
	movq 112(%rdi), %r14
	movq 120(%rdi), %r15
	movq 56(%rdi), %rdi
	vmload %rax
	vmrun %rax
	vmsave %rax
	movq (%rsp), %rax
	vmload %rax /* our GS base, TR and system-call registers */
	movq 8(%rsp), %rax
	movq %rcx, 8(%rax)
	movq %rdx, 16(%rax)
	movq %rbx, 24(%rax)
	movq %rbp, 40(%rax)
	movq %rsi, 48(%rax)
	movq %rdi, 56(%rax)
	movq %r8, 64(%rax)
	movq %r9, 72(%rax)
	movq %r10, 80(%rax)
	movq %r11, 88(%rax)
	movq %r12, 96(%rax)
	movq %r13, 104(%rax)
	movq %r14, 112(%rax)
	movq %r15, 120(%rax)
	/* No guest value stays in a register that C may use before writing it. */
	xorl %ecx, %ecx
	xorl %edx, %edx
	xorl %esi, %esi
	xorl %edi, %edi
	xorl %r8d, %r8d
	xorl %r9d, %r9d
	xorl %r10d, %r10d
	xorl %r11d, %r11d
	addq $16, %rsp
	popq %r15
	popq %r14
	popq %r13
	popq %r12
	popq %rbp
	popq %rbx
	cld
	ret
	.section .note.GNU-stack, "", @progbits
