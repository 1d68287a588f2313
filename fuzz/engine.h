/* SPDX-License-Identifier: MIT */
#ifndef FUZZ_ENGINE_H
#define FUZZ_ENGINE_H
/* What a mutator and the engine that calls it have of each other. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned seed);
/* fuzz/mutator_afl.c has it: its plain mutations are simpler than libFuzzer's. */
extern const bool mutator_for_afl __attribute__((weak));

/* xorshift: a number below `below`, 0 where that is 0. */
static inline uint64_t engine_any(uint64_t *random, uint64_t below)
{
	*random ^= *random << 13;
	*random ^= *random >> 7;
	*random ^= *random << 17;
	return below != 0 ? (*random >> 12) % below : 0;
}

/* Within a run of one byte, of which there may be thousands behind a header: a change there seldom is one. */
static inline bool engine_in_run(const uint8_t *data, size_t size, size_t at)
{
	return at != 0 && at + 1 < size && data[at] == data[at - 1] && data[at] == data[at + 1];
}

#endif
