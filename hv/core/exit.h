/* SPDX-License-Identifier: MIT */
#ifndef HV_CORE_EXIT_H
#define HV_CORE_EXIT_H
/* Why a VP stopped, without a vendor's numbers. */
#include "hv/core/types.h"

enum exit_kind {
	EXIT_INTERRUPT, /* physical interrupt pending */
	EXIT_NMI,       /* physical NMI pending */
	EXIT_CPUID,
	EXIT_MSR_READ,
	EXIT_MSR_WRITE,
	EXIT_PORT,
	EXIT_HYPERCALL,
	EXIT_HLT,
	EXIT_MEMORY, /* nested page fault */
	EXIT_INVD,
	EXIT_FORBIDDEN, /* an instruction that no guest has: #UD */
	EXIT_IRET,      /* asked for by arch_vp_watch_iret */
	EXIT_EXCEPTION, /* #MC, or #DB / #AC that must be broken out of and reflected */
	EXIT_INIT,      /* physical INIT */
	EXIT_SHUTDOWN,  /* triple fault */
	EXIT_INVALID,   /* the CPU refused the VP's state */
	EXIT_UNKNOWN,
	EXIT_COUNT
};

struct exit_info {
	enum exit_kind kind;
	uint8_t length; /* of the instruction; 0: the CPU does not say */
	union {
		struct {
			uint16_t port;
			uint8_t size; /* 1, 2, 4 */
			bool in, string, rep;
		} port;
		struct {
			gpa_t gpa;
			bool write, fetch;
			bool walk;          /* while the guest's own page tables were walked */
			uint8_t byte_count; /* instruction bytes that the CPU saved, 0: it does not */
			uint8_t bytes[15];
		} memory;
		struct {
			uint8_t vector;
			bool has_error;
			uint32_t error;
		} exception;
		uint64_t code; /* UNKNOWN, FORBIDDEN: the vendor's number, for the log */
	};
};

struct vp;
void exit_dispatch(struct vp *vp, const struct exit_info *e);

#endif
