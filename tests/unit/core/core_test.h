/* SPDX-License-Identifier: MIT */
#ifndef TESTS_UNIT_CORE_TEST_H
#define TESTS_UNIT_CORE_TEST_H
/* For the tests of hv/core on the fake architecture: exits with a few words, and calls that must end the process. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "hv/abi/regs_x86.h"
#include "hv/arch/fake/fake.h"
#include "hv/core/arch.h"
#include "hv/core/partition.h"

#define VECTOR_UD 6
#define VECTOR_GP 13

/* xorshift: the same sequence in every run. */
static inline uint64_t next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

/* The machine of most tests: 4 CPUs, 1 GiB leaves, ICH9. For cmocka's group set-up. */
int boot_machine(void **state);
struct vp *root_vp(uint32_t i);
/* Runs f in a child; true where a CHECK, a panic or a broken contract ended it. */
bool dies(void (*f)(void));

/* One exit of the VP; the instruction has `length` bytes (0: the CPU does not say). */
enum fake_end exit_msr(struct vp *vp, bool write, uint32_t msr, uint64_t value);
enum fake_end exit_port(struct vp *vp, bool in, uint16_t port, unsigned size, uint32_t value);
enum fake_end exit_memory(struct vp *vp, uint64_t gpa, bool write);
enum fake_end exit_simple(struct vp *vp, enum exit_kind kind, uint8_t length);
/* RDX:RAX after a read. */
uint64_t msr_result(const struct vp *vp);
/* Exactly this exception was injected by the last exit, and RIP did not move; vector -1: none, and it moved. */
void assert_injected(struct vp *vp, int vector);
/* Reads or writes an MSR and says whether it went well. */
bool msr_read(struct vp *vp, uint32_t msr, uint64_t *value);
bool msr_write(struct vp *vp, uint32_t msr, uint64_t value);

/* Code at a guest address that is mapped to itself, and RIP on it. */
void put_code(struct vp *vp, uint64_t at, const void *code, size_t n);

#endif
