/* SPDX-License-Identifier: MIT */
#ifndef HV_HOST_VMWORKER_CONSOLE_H
#define HV_HOST_VMWORKER_CONSOLE_H
/*
 * The stream to the console process (SOCK_STREAM, both directions). The guest never waits for it: what cannot be sent is kept,
 * the oldest is dropped, and the console is told how much.
 */
#include <stdbool.h>
#include <stdint.h>

#define CONSOLE_OUT_BYTES 65536u
#define CONSOLE_BATCH 512u
#define CONSOLE_IN_BYTES 256u

struct console {
	int fd;
	bool gone;            /* the other end; the descriptor stays open */
	bool full;            /* the stream takes no more: wait for EPOLLOUT */
	bool line;            /* a line is complete: send */
	uint32_t head, count; /* of what is to be sent */
	uint64_t lost;        /* dropped since the console was told */
	uint8_t out[CONSOLE_OUT_BYTES];
	uint8_t in[CONSOLE_IN_BYTES];
	uint32_t in_at, in_count;
};

void console_init(struct console *c, int fd);
void console_put(struct console *c, uint8_t byte);
/* Enough has come together to be sent at once. */
bool console_due(const struct console *c);
void console_send(struct console *c);
/* Fills `in` where it is empty. */
void console_receive(struct console *c);

#endif
