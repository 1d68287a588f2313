/* SPDX-License-Identifier: MIT */
#ifndef FUZZ_MUTATE_H
#define FUZZ_MUTATE_H
/*
 * Mutation of sessions: inputs that are records (fuzz/script.h). Actions are deleted, repeated, moved, made up and taken from other
 * inputs; within an action the kind is changed and fields get boundary values. The result is always whole records.
 *
 * A target with MUTATOR fuzz/mutate.c has it as custom mutator and crossover of libFuzzer, and of AFL++ (fuzz/mutator_afl.c).
 */
#include <stddef.h>
#include <stdint.h>

/* Changes data[0..size) in place; answers the new size, 1..max. */
size_t mutate_session(uint8_t *data, size_t size, size_t max, uint32_t seed);
/* Records of a, then of b, then of a again. Answers the size, 1..max. */
size_t mutate_cross(const uint8_t *a, size_t a_size, const uint8_t *b, size_t b_size, uint8_t *to,
		    size_t max, uint32_t seed);

#endif
