// SPDX-License-Identifier: MIT
/*
 * Runs a fuzz harness over every file of its corpus folders, without libFuzzer: the corpus is a regression test; or over one
 * input, for fuzz/replay.
 * Usage: replay_<name> FOLDER|FILE...
 * Exit: 0 all inputs ran, 1 a folder or file cannot be read or there was no input. A finding aborts the program.
 */
#include <dirent.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int replay_file(const char *path)
{
	FILE *file = fopen(path, "rb");
	if (!file) {
		fprintf(stderr, "replay: %s: %s\n", path, strerror(errno));
		return -1;
	}
	struct stat st;
	int result = -1;
	if (fstat(fileno(file), &st) == 0) {
		size_t size = (size_t)st.st_size;
		/* An exact allocation, so that the first byte read past the end is a finding. */
		uint8_t *data = malloc(size ? size : 1);
		if (data && fread(data, 1, size, file) == size) {
			/* Named first, so that a crash says which input it was. */
			fprintf(stderr, "replay: %s (%zu bytes)\n", path, size);
			LLVMFuzzerTestOneInput(data, size);
			result = 0;
		}
		free(data);
	}
	if (result != 0) {
		fprintf(stderr, "replay: %s: cannot read\n", path);
	}
	fclose(file);
	return result;
}

static int replay_path(const char *folder, size_t *count)
{
	struct stat st;
	if (stat(folder, &st) == 0 && S_ISREG(st.st_mode)) {
		(*count)++;
		return replay_file(folder);
	}
	DIR *dir = opendir(folder);
	if (!dir) {
		fprintf(stderr, "replay: %s: %s\n", folder, strerror(errno));
		return -1;
	}
	int result = 0;
	for (struct dirent *entry = readdir(dir); entry && result == 0; entry = readdir(dir)) {
		if (entry->d_name[0] == '.') {
			continue;
		}
		char path[4096];
		int length = snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
		if (length < 0 || (size_t)length >= sizeof(path)) {
			fprintf(stderr, "replay: %s/%s: path too long\n", folder, entry->d_name);
			result = -1;
			break;
		}
		result = replay_file(path);
		(*count)++;
	}
	closedir(dir);
	return result;
}

int main(int argc, char **argv)
{
	size_t count = 0;
	for (int i = 1; i < argc; i++) {
		if (replay_path(argv[i], &count) != 0) {
			return 1;
		}
	}
	if (count == 0) {
		fprintf(stderr, "replay: no input; usage: %s FOLDER|FILE...\n", argv[0]);
		return 1;
	}
	printf("%zu inputs replayed\n", count);
	return 0;
}
