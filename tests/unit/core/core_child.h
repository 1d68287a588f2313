/* SPDX-License-Identifier: MIT */
#ifndef TESTS_UNIT_CORE_CHILD_H
#define TESTS_UNIT_CORE_CHILD_H
/* Child partitions for tests, made with the hypercalls that the root makes. Every call is followed by fake_check_partitions. */
#include "tests/unit/core/core_test.h"

#include "hv/core/heap.h"
#include "hv/core/hypercall.h"
#include "hv/core/pfn.h"

#define UNIT_PAGES (PFN_UNIT / PAGE_SIZE)
#define REP(code, count) ((code) | (uint64_t)(count) << 32)
#define VAR(code, count) ((code) | (uint64_t)(count) << 17)
#define STATUS(rax) ((unsigned)((rax)&0xffff))
#define DONE(rax) ((unsigned)((rax) >> 32))

/* A hypercall of the root's VP 0, repeated while it wants to go on; the other CPUs run in between. */
uint64_t root_call(uint64_t control, const void *in, size_t in_size, void *out, size_t out_size);
/* Likewise; it must be refused with this status and must not have changed anything. */
void root_refused(unsigned status, uint64_t control, const void *in, size_t in_size);
/* Every CPU looks at its requests once. */
void run_all_cpus(void);

uint64_t child_create(void);
struct partition *child_find(uint64_t id);
unsigned child_simple(uint16_t code, uint64_t id); /* 0x41, 0x42, 0x43: the status */
/* Maps `count` units at guest page `base`; RAX. */
uint64_t child_map(uint64_t id, uint64_t base, const uint32_t *unit, uint32_t count);
uint64_t child_unmap(uint64_t id, uint64_t base, uint32_t count);
unsigned child_vp(uint64_t id, uint32_t index);
unsigned child_set(uint64_t id, uint32_t vp, uint32_t name, uint64_t value);
unsigned child_get(uint64_t id, uint32_t vp, uint32_t name, uint64_t *value);
/* An active partition with memory from address 0 on; its VPs are at CPL 0 in 64-bit mode, VP 0 suspended. */
struct partition *child_make(uint32_t vps, uint32_t units);
/* VP 0 is let go; the others become runnable as after a SIPI. */
void child_start(struct partition *p);
/* Finalises and deletes; everything that was its own is back. */
void child_delete(uint64_t id);
void child_delete_all(void);
uint32_t free_unit(void);
/* A hypercall of a child's VP. */
uint64_t child_call(struct vp *vp, uint64_t control, const void *in, size_t in_size);

/* For cmocka: each test starts without children, and ends without having lost memory. */
int child_setup(void **state);
int child_teardown(void **state);

#endif
