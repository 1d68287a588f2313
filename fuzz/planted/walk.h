/* SPDX-License-Identifier: MIT */
#ifndef FUZZ_WALK_H
#define FUZZ_WALK_H
#include <stddef.h>
#include <stdint.h>

/* Calls go() with each input that is one step away from this one: cut, longer, one number, byte or block of it another one. */
void walk_input(const uint8_t *bytes, size_t n, void (*go)(const uint8_t *bytes, size_t n));
#endif
