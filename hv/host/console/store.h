/* SPDX-License-Identifier: MIT */
#ifndef HV_HOST_CONSOLE_STORE_H
#define HV_HOST_CONSOLE_STORE_H
/*
 * The log of a console: one plain file that holds at least the last 256 KiB and at most twice that. When it is full its later
 * half becomes the first.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define STORE_HALF (256u << 10)
#define STORE_BYTES_MAX (512u << 10)

struct store {
	int fd;
	uint32_t size; /* bytes in the file */
	bool failed;   /* the file system refused: nothing is logged any more */
};

/* Goes on after what the file has. */
bool store_open(struct store *s, int fd);
void store_add(struct store *s, const uint8_t *bytes, size_t count);

#endif
