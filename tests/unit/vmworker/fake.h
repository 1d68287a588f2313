/* SPDX-License-Identifier: MIT */
#ifndef TESTS_UNIT_VMWORKER_FAKE_H
#define TESTS_UNIT_VMWORKER_FAKE_H
/*
 * A redoubt.ko and a manager around the real loop of a worker. ioctl() and epoll_wait() are replaced: before each wait the test's
 * step() runs, so that everything happens in one thread and in order.
 */
#include <stdbool.h>
#include <stdint.h>

#include "hv/host/vmworker/worker.h"
#include "hv/root/ioctl.h"

#define FAKE_POSTS 64
#define FAKE_CHANNELS 8

struct fake {
	struct worker w;
	struct hv_message page[HV_VP_MAX];
	struct hv_posted posted;
	struct rd_intercept_ports data, status; /* as the UART's ports were set last */
	unsigned port_calls, traced, trace_calls;
	int manager, console, message; /* the other ends */
	void (*step)(void);
	unsigned steps;
	/* what the worker did */
	struct rd_run run;
	unsigned runs, stops, targets, posts;
	struct rd_post post[FAKE_POSTS];
	struct rd_create_channel channel[FAKE_CHANNELS];
	unsigned channels;
	struct rd_set_target target;
	/* how redoubt.ko answers */
	int run_error, post_error, channel_error, ports_error;
	unsigned post_errors;
};
extern struct fake fake;

void fake_start(unsigned vps);
void fake_end(void);
/* The worker's loop with a step before each wait. */
void fake_loop(void (*step)(void));
void fake_stop(void); /* PM_STOP: the loop returns */
/* VP i stops with this message. */
void fake_intercept(unsigned vp, uint32_t type, const void *payload, uint32_t size);
void fake_port(unsigned vp, bool write, uint16_t port, uint64_t rax);
/* Written to the UART without a stop; told: and redoubt.ko says so. */
void fake_posted(uint8_t value);
void fake_posted_told(void);
bool fake_waits(unsigned vp); /* it has not been run since */
/* The guest's message on the VMBus. */
void fake_guest_says(const void *payload, uint32_t size);
/* The last status that the manager got; NULL: none. */
const struct pm_status_worker *fake_status(void);
uint32_t fake_console(char *to, uint32_t room);

#endif
