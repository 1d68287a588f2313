/* SPDX-License-Identifier: MIT */
/* A small x86 decoder (AMD64 APM volume 3, sections 1.2 to 1.8 and appendix A). */
#include "hv/wire/insn.h"
#include "hv/wire/mem.h"

#define REX_W 8u
#define REX_R 4u
#define REX_X 2u
#define REX_B 1u

struct cursor {
	const uint8_t *p;
	size_t n, at; /* at <= n <= INSN_MAX */
	bool bad; /* a byte was wanted that is not there, or two segments: whatever comes of it is refused */
	unsigned int mode;
	uint8_t rex;          /* 0: none */
	bool data16;          /* 66 */
	bool addr67;          /* 67 */
	uint8_t mod, reg, rm; /* ModRM, without REX bits */
};

/* 0 behind the end. */
static uint8_t take(struct cursor *c)
{
	if (c->at >= c->n) {
		c->bad = true;
		return 0;
	}
	return c->p[c->at++];
}

/* `len` bytes (1, 2, 4, 8), little-endian, zero-extended. */
static bool take_number(struct cursor *c, unsigned int len, uint64_t *out)
{
	uint64_t value = 0;

	if (len > c->n - c->at) {
		return false;
	}
	for (unsigned int i = 0; i < len; i++) {
		value |= (uint64_t)c->p[c->at + i] << (8 * i);
	}
	c->at += len;
	*out = value;
	return true;
}

static uint64_t sign_extend(uint64_t value, unsigned int bytes)
{
	uint64_t sign;

	if (bytes == 0 || bytes >= 8) {
		return value;
	}
	sign = 1ull << (8 * bytes - 1);
	return (value ^ sign) - sign;
}

static uint64_t truncate(uint64_t value, unsigned int bytes)
{
	return bytes == 8 ? value : value & ((1ull << (8 * bytes)) - 1);
}

static bool take_disp(struct cursor *c, unsigned int len, struct insn *out)
{
	uint64_t raw;

	if (len == 0) {
		out->mem_disp = 0;
		return true;
	}
	if (!take_number(c, len, &raw)) {
		return false;
	}
	out->mem_disp = (int64_t)sign_extend(raw, len);
	return true;
}

static uint8_t operand_size(const struct cursor *c)
{
	if (c->mode == 64 && (c->rex & REX_W) != 0) {
		return 8;
	}
	return (c->mode == 16) != c->data16 ? 2 : 4;
}

static uint8_t address_size(const struct cursor *c)
{
	if (c->mode == 64) {
		return c->addr67 ? 4 : 8;
	}
	return (c->mode == 16) != c->addr67 ? 2 : 4;
}

static int8_t segment_number(uint8_t prefix)
{
	switch (prefix) {
	case 0x26:
		return 0;
	case 0x2e:
		return 1;
	case 0x36:
		return 2;
	case 0x3e:
		return 3;
	case 0x64:
		return 4;
	case 0x65:
		return 5;
	default:
		return -1;
	}
}

/* Prefixes, up to the opcode. */
static uint8_t opcode_after_prefixes(struct cursor *c, struct insn *out)
{
	bool segment = false;
	for (;;) {
		uint8_t b = take(c);

		if (segment_number(b) >= 0) {
			/* Which of two counts differs between CPUs. */
			c->bad = c->bad || segment;
			segment = true;
			/* 64-bit mode has no bases but those of FS and GS. */
			out->mem_segment = c->mode == 64 && b < 0x64 ? -1 : segment_number(b);
		} else if (b == 0x66) {
			c->data16 = true;
		} else if (b == 0x67) {
			c->addr67 = true;
		} else if (b == 0xf0) {
			out->lock = true;
		} else if (c->mode == 64 && (b & 0xf0) == 0x40) {
			c->rex = b;
			continue;
		} else {
			/* F2 and F3 end here too: with them the opcodes mean something else. */
			return b;
		}
		/* REX counts only directly before the opcode. */
		c->rex = 0;
	}
}

/* The eight 16-bit forms, APM volume 3 table 1-15. */
static bool memory16(struct cursor *c, struct insn *out)
{
	static const int8_t base[8] = { 3, 3, 5, 5, 6, 7, 5, 3 };
	static const int8_t index[8] = { 6, 7, 6, 7, -1, -1, -1, -1 };

	if (c->mod == 0 && c->rm == 6) {
		return take_disp(c, 2, out);
	}
	out->mem_base = base[c->rm];
	out->mem_index = index[c->rm];
	return take_disp(c, c->mod, out); /* mod 0, 1, 2: as many bytes */
}

static bool memory32(struct cursor *c, struct insn *out)
{
	unsigned int disp = c->mod == 0 ? 0 : c->mod == 1 ? 1 : 4;
	uint8_t base = c->rm;

	if (c->rm == 4) {
		uint8_t sib = take(c), index;

		base = sib & 7;
		index = (uint8_t)((sib >> 3 & 7) | ((c->rex & REX_X) != 0 ? 8 : 0));
		if (index != 4) {
			out->mem_index = (int8_t)index;
			out->mem_scale = (uint8_t)(1u << (sib >> 6));
		}
	}
	if (c->mod == 0 && base == 5) {
		/* No base: disp32, relative to RIP in 64-bit mode unless there is a SIB byte. */
		out->mem_rip = c->mode == 64 && c->rm == 5;
		return take_disp(c, 4, out);
	}
	out->mem_base = (int8_t)(base | ((c->rex & REX_B) != 0 ? 8 : 0));
	return take_disp(c, disp, out);
}

/* ModRM; for a memory operand also SIB and displacement. */
static bool modrm(struct cursor *c, struct insn *out)
{
	uint8_t b = take(c);

	c->mod = b >> 6;
	c->reg = b >> 3 & 7;
	c->rm = b & 7;
	if (c->mod == 3) {
		return true;
	}
	out->has_mem = true;
	return out->addr_size == 2 ? memory16(c, out) : memory32(c, out);
}

static bool modrm_memory(struct cursor *c, struct insn *out)
{
	return modrm(c, out) && out->has_mem;
}

/* The register that ModRM.reg names, as an operand of `size` bytes. */
static void set_register(const struct cursor *c, struct insn *out, uint8_t size)
{
	out->reg_size = size;
	out->reg = (uint8_t)(c->reg | ((c->rex & REX_R) != 0 ? 8 : 0));
	if (size == 1 && c->rex == 0 && c->reg >= 4) {
		out->reg = (uint8_t)(c->reg - 4);
		out->reg_high = true;
	}
}

/* An immediate of `len` bytes for an operand of mem_size bytes. */
static bool immediate(struct cursor *c, unsigned int len, struct insn *out)
{
	uint64_t raw;

	if (!take_number(c, len, &raw)) {
		return false;
	}
	out->has_imm = true;
	out->imm = truncate(sign_extend(raw, len), out->mem_size);
	return true;
}

static unsigned int immediate_size(uint8_t mem_size)
{
	return mem_size > 4 ? 4 : mem_size;
}

/* Numbers of the classic eight: bits 5:3 of the opcode, or ModRM.reg of 80, 81, 83. */
static enum insn_alu alu_number(uint8_t n)
{
	switch (n) {
	case 0:
		return INSN_ALU_ADD;
	case 1:
		return INSN_ALU_OR;
	case 4:
		return INSN_ALU_AND;
	case 5:
		return INSN_ALU_SUB;
	case 6:
		return INSN_ALU_XOR;
	case 7:
		return INSN_ALU_CMP;
	default:
		return INSN_ALU_NONE; /* ADC and SBB want the carry flag: refused */
	}
}

/* 0F 01 xx: whole bytes, not memory forms. */
static bool group_0f01(struct cursor *c, struct insn *out)
{
	if (c->data16) {
		return false;
	}
	switch (take(c)) {
	case 0xd9:
		out->op = INSN_VMMCALL;
		return true;
	case 0xc1:
		out->op = INSN_VMCALL;
		return true;
	case 0xf9:
		out->op = INSN_RDTSCP;
		return true;
	case 0xd1:
		out->op = INSN_XSETBV;
		return true;
	default:
		return false;
	}
}

/* MOVZX and MOVSX. */
static bool extend_load(struct cursor *c, uint8_t opcode, struct insn *out)
{
	out->op = INSN_LOAD;
	out->mem_size = (opcode & 1) != 0 ? 2 : 1;
	out->sign_extend = opcode >= 0xbe;
	if (!modrm_memory(c, out)) {
		return false;
	}
	set_register(c, out, operand_size(c));
	return true;
}

static bool two_bytes(struct cursor *c, struct insn *out)
{
	uint8_t opcode = take(c);

	switch (opcode) {
	case 0x01:
		return group_0f01(c, out);
	case 0x08:
		out->op = INSN_INVD;
		return true;
	case 0x09:
		out->op = INSN_WBINVD;
		return true;
	case 0x30:
		out->op = INSN_WRMSR;
		return true;
	case 0x32:
		out->op = INSN_RDMSR;
		return true;
	case 0x33:
		out->op = INSN_RDPMC;
		return true;
	case 0xa2:
		out->op = INSN_CPUID;
		return true;
	case 0xb6:
	case 0xb7:
	case 0xbe:
	case 0xbf:
		return extend_load(c, opcode, out);
	default:
		return false;
	}
}

/* A0..A3: rAX and an absolute offset of the address size. */
static bool moffs(struct cursor *c, uint8_t opcode, struct insn *out)
{
	uint64_t offset;

	if (!take_number(c, out->addr_size, &offset)) {
		return false;
	}
	out->op = opcode >= 0xa2 ? INSN_STORE : INSN_LOAD;
	out->mem_size = (opcode & 1) != 0 ? operand_size(c) : 1;
	out->reg_size = out->mem_size;
	out->has_mem = true;
	out->mem_moffs = true;
	out->mem_disp = (int64_t)offset;
	return true;
}

/* Memory against register: MOV, TEST and the classic eight with the register as source. */
static bool with_register(struct cursor *c, uint8_t opcode, enum insn_op op, struct insn *out)
{
	out->op = op;
	out->mem_size = (opcode & 1) != 0 ? operand_size(c) : 1;
	if (!modrm_memory(c, out)) {
		return false;
	}
	set_register(c, out, out->mem_size);
	return true;
}

/* Memory against immediate: C6 C7 (MOV), F6 F7 (TEST), 80 81 83. */
static bool with_immediate(struct cursor *c, uint8_t opcode, struct insn *out)
{
	out->mem_size = (opcode & 1) != 0 ? operand_size(c) : 1;
	if (!modrm_memory(c, out)) {
		return false;
	}
	if (opcode >= 0xf6) {
		out->op = INSN_RMW;
		out->alu = c->reg == 0 ? INSN_ALU_TEST : INSN_ALU_NONE;
	} else if (opcode >= 0xc6) {
		out->op = INSN_STORE;
		if (c->reg != 0) {
			return false;
		}
	} else {
		out->op = INSN_RMW;
		out->alu = alu_number(c->reg);
	}
	if (out->op == INSN_RMW && out->alu == INSN_ALU_NONE) {
		return false;
	}
	return immediate(c, opcode == 0x83 ? 1 : immediate_size(out->mem_size), out);
}

static bool movsxd(struct cursor *c, struct insn *out)
{
	/* Other modes have ARPL here; a 16-bit MOVSXD differs between vendors. */
	if (c->mode != 64 || operand_size(c) == 2) {
		return false;
	}
	out->op = INSN_LOAD;
	out->mem_size = 4;
	out->sign_extend = true;
	if (!modrm_memory(c, out)) {
		return false;
	}
	set_register(c, out, operand_size(c));
	return true;
}

static bool one_byte(struct cursor *c, uint8_t opcode, struct insn *out)
{
	switch (opcode) {
	case 0x0f:
		return two_bytes(c, out);
	case 0xf4:
		out->op = INSN_HLT;
		return true;
	case 0x63:
		return movsxd(c, out);
	case 0x8a:
	case 0x8b:
		return with_register(c, opcode, INSN_LOAD, out);
	case 0x88:
	case 0x89:
		return with_register(c, opcode, INSN_STORE, out);
	case 0x84:
	case 0x85:
		out->alu = INSN_ALU_TEST;
		return with_register(c, opcode, INSN_RMW, out);
	case 0x80:
	case 0x81:
	case 0x83:
	case 0xc6:
	case 0xc7:
	case 0xf6:
	case 0xf7:
		return with_immediate(c, opcode, out);
	case 0xa0:
	case 0xa1:
	case 0xa2:
	case 0xa3:
		return moffs(c, opcode, out);
	default:
		break;
	}
	/* 00 01, 08 09, ... 38 39: memory is the destination. */
	if (opcode < 0x40 && (opcode & 6) == 0) {
		out->alu = alu_number(opcode >> 3);
		return out->alu != INSN_ALU_NONE && with_register(c, opcode, INSN_RMW, out);
	}
	return false;
}

/*
 * Purpose: one instruction of the guest's, decoded; see the header for which.
 * Trust: bytes[0..n) are the guest's. Refuses everything else, REP and REPNE prefixes, two segment
 * prefixes, register operands where memory is meant, and what needs more than min(n, 15) bytes.
 */
bool insn_decode(const uint8_t *bytes, size_t n, unsigned mode, struct insn *out)
{
	struct cursor c = { .p = bytes, .n = n < INSN_MAX ? n : INSN_MAX, .mode = mode };
	uint8_t opcode;

	memset(out, 0, sizeof(*out));
	out->mem_base = -1;
	out->mem_index = -1;
	out->mem_scale = 1;
	out->mem_segment = -1;
	if (mode != 16 && mode != 32 && mode != 64) {
		return false;
	}
	opcode = opcode_after_prefixes(&c, out);
	out->addr_size = address_size(&c);
	if (!one_byte(&c, opcode, out) || c.bad) {
		return false;
	}
	/* LOCK is for what writes back. */
	if (out->lock &&
	    (out->op != INSN_RMW || out->alu == INSN_ALU_TEST || out->alu == INSN_ALU_CMP)) {
		return false;
	}
	out->length = (uint8_t)c.at;
	return true;
}
