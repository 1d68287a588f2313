// SPDX-License-Identifier: MIT
/*
 * A target with planted bugs for the test of fuzz/campaign; no parser of the product. "RDBT" and 17 more bytes: a read past
 * a buffer, by two ways to the same function. With TOY_TRAP, in the replay program alone, "RDBQ": a trap.
 * With TOY_SECRETS instead of these: two branches that only the right input reaches, and a bug that only the third shows.
 * With TOY_CLASSES instead of these: one failure of each class, by the first byte.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static __attribute__((noinline)) int read_past(const uint8_t *data, size_t size)
{
	uint8_t *copy = malloc(8);
	int value = 0;

	if (copy) {
		memcpy(copy, data, 8);
		value = *(volatile uint8_t *)&copy[size > 20 ? 9 : 0];
	}
	free(copy);
	return value;
}

#ifdef TOY_CLASSES
static volatile int sink;

static void fail(uint8_t how)
{
	void *volatile lost = NULL;

	switch (how) {
	case 'L':
		lost = malloc(24);
		lost = NULL;
		break;
	case 'O':
		lost = malloc(400u << 20);
		memset(lost, 1, 400u << 20);
		while (sink == 0) { /* libFuzzer looks once a second */
		}
		break;
	case 'B':
		lost = malloc((size_t)1 << 40);
		break;
	case 'H':
		while (sink == 0) {
		}
		break;
	case 'U':
		sink = 1 << (how - 20);
		break;
	case 'E':
		exit(3);
	case 'N':
		*(volatile int *)(sink * 8ull) = 1;
		break;
	case 'T':
		__builtin_trap();
	}
	(void)lost;
}
#endif

#ifdef TOY_SECRETS
static volatile unsigned secrets;

/* Numbers of 64 bits that no engine finds by looking at comparisons: each byte changes all of the hash. */
static void secret(const uint8_t *data, size_t size)
{
	uint64_t hash = 0xcbf29ce484222325u;

	for (size_t i = 0; i < size; i++) {
		hash = (hash ^ data[i]) * 0x9e3779b97f4a7c15u;
		hash ^= hash >> 29;
	}
	if (hash == TOY_SECRET_1) {
		secrets |= 1;
	}
	if (hash == TOY_SECRET_2) {
		secrets |= 2;
	}
	if (hash == TOY_SECRET_BUG) {
		read_past(data, size);
	}
}
#endif

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
#ifdef TOY_SECRETS
	secret(data, size);
	return 0;
#endif
#ifdef TOY_CLASSES
	if (size != 0) {
		fail(data[0]);
	}
	return 0;
#endif
	if (size < 8 || memcmp(data, "RDB", 3) != 0) {
		return 0;
	}
	if (data[3] == 'T') {
		return read_past(data, size) & 0;
	}
	if (data[3] == 't' && data[4] > 100) {
		return read_past(data, size) & 0;
	}
#ifdef TOY_TRAP
	if (data[3] == 'Q') {
		__builtin_trap();
	}
#endif
	return 0;
}
