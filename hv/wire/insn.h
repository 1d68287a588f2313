/* SPDX-License-Identifier: MIT */
#ifndef HV_WIRE_INSN_H
#define HV_WIRE_INSN_H
/*
 * A small decoder: the instructions that exit on CPUs without NRIP save, and the MOV forms that compilers emit for MMIO
 * (AMD64 Architecture Programmer's Manual, volume 3). Anything else is refused.
 */
#include "hv/wire/view.h"

#define INSN_MAX 15

enum insn_op {
	INSN_CPUID,   /* 0F A2 */
	INSN_RDMSR,   /* 0F 32 */
	INSN_WRMSR,   /* 0F 30 */
	INSN_HLT,     /* F4 */
	INSN_VMMCALL, /* 0F 01 D9 */
	INSN_VMCALL,  /* 0F 01 C1 */
	INSN_INVD,    /* 0F 08 */
	INSN_WBINVD,  /* 0F 09 */
	INSN_RDTSCP,  /* 0F 01 F9 */
	INSN_RDPMC,   /* 0F 33 */
	INSN_XSETBV,  /* 0F 01 D1 */
	INSN_LOAD, /* MOV/MOVZX/MOVSX/MOVSXD register, [mem]; 8A 8B, 0F B6 B7 BE BF, 63, A0 A1 (moffs) */
	INSN_STORE, /* MOV [mem], register or immediate; 88 89 C6/0 C7/0, A2 A3 (moffs) */
	INSN_RMW, /* OR/AND/XOR/ADD/SUB [mem], register or immediate (80 81 83 /r, 00.. forms), TEST/CMP are reads: see `alu` */
};

enum insn_alu {
	INSN_ALU_NONE,
	INSN_ALU_OR,
	INSN_ALU_AND,
	INSN_ALU_XOR,
	INSN_ALU_ADD,
	INSN_ALU_SUB,
	INSN_ALU_TEST,
	INSN_ALU_CMP
};

struct insn {
	enum insn_op op;
	enum insn_alu alu;
	uint8_t length;   /* bytes, 1..15 */
	uint8_t mem_size; /* bytes at the memory operand: 1, 2, 4, 8 */
	uint8_t reg_size; /* LOAD: bytes of the destination register */
	uint8_t reg;      /* 0..15 in encoding order (rax rcx rdx rbx rsp rbp rsi rdi r8..r15) */
	bool reg_high;    /* AH CH DH BH: reg is 0..3 then */
	bool sign_extend; /* MOVSX, MOVSXD */
	bool has_imm;
	uint64_t imm; /* sign-extended to mem_size and truncated to it */
	/* The memory operand, so that a caller can compute the linear address: */
	bool has_mem;
	bool mem_moffs;             /* disp is the whole offset */
	bool mem_rip;               /* disp is relative to the next instruction */
	int8_t mem_base, mem_index; /* register numbers or -1 */
	uint8_t mem_scale;          /* 1, 2, 4, 8 */
	int64_t mem_disp;
	uint8_t addr_size;  /* 2, 4, 8 */
	int8_t mem_segment; /* explicit prefix: 0 ES 1 CS 2 SS 3 DS 4 FS 5 GS; -1 none */
	bool lock;
};

/*
 * Decodes one instruction at bytes[0..n). mode is 16, 32 or 64 (the code segment's default operand size).
 * Returns false: not one of the above, or it does not end within min(n, 15) bytes. LOCK only with RMW.
 */
bool insn_decode(const uint8_t *bytes, size_t n, unsigned mode, struct insn *out);

#endif
