/* SPDX-License-Identifier: MIT */
#ifndef HV_HOST_VMMGR_LOOP_H
#define HV_HOST_VMMGR_LOOP_H
/* The manager has one thread and waits in one place: descriptors and timers. */
#include <stdbool.h>
#include <stdint.h>

struct source { /* part of its owner; all zero but fd -1: not watched */
	int fd;
	void (*ready)(struct source *s, uint32_t events);
};

struct timer { /* part of its owner; all zero: not armed */
	bool armed;
	uint64_t at_ms;
	void (*fire)(struct timer *t);
	struct timer *next;
};

#define OWNER(part, type, member) ((type *)(void *)((char *)(part)-offsetof(type, member)))

bool loop_init(void);
uint64_t loop_now_ms(void);
/* Watches and owns fd; events as epoll has them. */
bool source_add(struct source *s, int fd, uint32_t events);
void source_change(struct source *s, uint32_t events);
/* Closes the descriptor. */
void source_remove(struct source *s);
void timer_set(struct timer *t, uint32_t after_ms, void (*fire)(struct timer *t));
void timer_cancel(struct timer *t);
/* Until loop_stop. */
void loop_run(void);
void loop_stop(void);

#endif
