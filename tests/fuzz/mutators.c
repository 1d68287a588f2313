// SPDX-License-Identifier: MIT
/*
 * Calls a mutator as AFL++ does, for tests/fuzz/test_mutators.py: mutators FOLDER SEED TIMES MAX. Inputs are those of the folder, a
 * long one, and what became of them; each lies in an allocation of its own size.
 */
#include <dirent.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void *afl_custom_init(void *afl, unsigned seed);
void afl_custom_deinit(void *state);
size_t afl_custom_fuzz(void *state, uint8_t *in, size_t size, uint8_t **out, uint8_t *add,
		       size_t add_size, size_t max);

#define INPUTS 512u
#define INPUT_MAX (1u << 20)
#define LONG 200000u

static struct {
	uint8_t *bytes;
	size_t size;
} input[INPUTS];
static unsigned inputs;

static void keep(unsigned at, const uint8_t *bytes, size_t size)
{
	free(input[at].bytes);
	input[at].bytes = malloc(size != 0 ? size : 1);
	if (input[at].bytes == NULL) {
		abort();
	}
	memcpy(input[at].bytes, bytes, size);
	input[at].size = size;
}

static bool read_inputs(const char *path)
{
	static uint8_t bytes[INPUT_MAX];
	DIR *folder = opendir(path);
	struct dirent *entry;

	if (folder == NULL || chdir(path) != 0) {
		return false;
	}
	while (inputs < INPUTS / 2 && (entry = readdir(folder)) != NULL) {
		FILE *file = entry->d_name[0] != '.' ? fopen(entry->d_name, "rb") : NULL;

		if (file != NULL) {
			keep(inputs++, bytes, fread(bytes, 1, sizeof(bytes), file));
			(void)fclose(file);
		}
	}
	(void)closedir(folder);
	return inputs != 0;
}

/* The first ones again and again. */
static void add_long(void)
{
	static uint8_t bytes[LONG];
	size_t size = 0;

	for (unsigned i = 0; size < LONG; i = (i + 1) % inputs) {
		size_t n = input[i].size < LONG - size ? input[i].size : LONG - size;

		memcpy(bytes + size, input[i].bytes, n);
		size += n;
	}
	keep(inputs++, bytes, LONG);
}

/* false: an input that is longer than it may be. */
static bool mutate(void *state, size_t max)
{
	unsigned a = (unsigned)rand() % inputs, b = (unsigned)rand() % inputs, at;
	uint8_t *out;
	size_t size = afl_custom_fuzz(state, input[a].bytes, input[a].size, &out, input[b].bytes,
				      input[b].size, max);

	if (size > max) {
		return false;
	}
	at = inputs < INPUTS ? inputs : INPUTS / 2 + (unsigned)rand() % (INPUTS / 2);
	inputs += at == inputs;
	keep(at, out, size);
	return true;
}

int main(int argc, char **argv)
{
	unsigned seed = argc == 5 ? (unsigned)strtoul(argv[2], NULL, 10) : 0;
	void *state;

	if (argc != 5 || !read_inputs(argv[1]) || (state = afl_custom_init(NULL, seed)) == NULL) {
		(void)fprintf(stderr, "mutators FOLDER SEED TIMES MAX\n");
		return 2;
	}
	add_long();
	srand(seed);
	for (unsigned long i = strtoul(argv[3], NULL, 10); i != 0; i--) {
		if (!mutate(state, strtoul(argv[4], NULL, 10))) {
			(void)fprintf(stderr, "longer than it may be\n");
			return 1;
		}
	}
	for (unsigned i = 0; i < inputs; i++) {
		free(input[i].bytes);
	}
	afl_custom_deinit(state);
	return 0;
}
