/* SPDX-License-Identifier: MIT */
/* Integration components of one machine: asks the guest to shut down, whether it lives, and tells it the time. */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <time.h>

#include "hv/host/ic/component.h"
#include "hv/host/ic/policy.h"
#include "hv/host/lib/clock.h"
#include "hv/host/lib/record.h"
#include "hv/host/lib/start.h"

#define STATUS_MS 1000
/* Seconds from 1601 to 1970. */
#define EPOCH_1601 11644473600ull

enum place { PLACE_CONTROL, PLACE_WORKER, PLACE_COMPONENTS, PLACES = PLACE_COMPONENTS + IC_KINDS };

static struct components components;
static struct chan_set channels;
static struct gmem memory;
static struct ipc_message *message;
static uint64_t told_ms;

static uint64_t host_time(void)
{
	struct timespec now = { 0 };

	(void)clock_gettime(CLOCK_REALTIME, &now);
	return ((uint64_t)now.tv_sec + EPOCH_1601) * 10000000 + (uint64_t)now.tv_nsec / 100;
}

static void opened(struct chan *c)
{
	component_opened(&components, c, clock_now_ms());
}

static void closing(struct chan *c)
{
	component_closed(&components, c);
	chan_closed(&channels, c);
}

static void configure(void)
{
	int worker;

	message = start_config(PM_CONFIG_IC);
	start_map_memory(&memory, ipc_take_fd(message, 0), message->ic.memory_bytes);
	worker = ipc_take_fd(message, 1);
	chan_init(&channels, &memory, worker);
	channels.opened = opened;
	channels.closing = closing;
}

/* false: leave. */
static bool obey(void)
{
	int got = ipc_receive(IPC_CONTROL_FD, message);
	bool stay = true;

	if (got < 0 && errno == EAGAIN) {
		return true;
	}
	if (got <= 0 || message->type == PM_STOP) {
		stay = false;
	} else if (message->type == PM_IC_SHUTDOWN) {
		components.shutdown_wanted = true;
		components.shutdown_reboot = message->ic_shutdown.reboot != 0;
		components.of[IC_SHUTDOWN].due_ms = 0;
	} else if (message->type == PM_RECORD) {
		record_start(message, RECORD_IC);
	} else {
		start_log("message %d from the manager is not for ic", (int)message->type);
	}
	ipc_drop_fds(message);
	return stay;
}

static void tell(uint64_t now)
{
	if (components.changed && now - told_ms >= STATUS_MS) {
		if (ipc_send(IPC_CONTROL_FD, PM_STATUS_IC, &components.status,
			     sizeof(components.status), NULL, 0) == 0) {
			components.changed = false;
		}
		told_ms = now;
	}
}

static int timeout_ms(uint64_t now)
{
	int wait = component_wait(&components, now);

	return components.changed && (wait < 0 || wait > STATUS_MS) ? STATUS_MS : wait;
}

/* false: leave. */
static bool step(const struct pollfd poll_set[PLACES])
{
	uint64_t now = clock_now_ms();

	if (poll_set[PLACE_CONTROL].revents != 0 && !obey()) {
		return false;
	}
	for (unsigned int i = 0; i < IC_KINDS; i++) {
		struct component *p = &components.of[i];

		/* No channel was opened or closed since the poll: the worker comes last. */
		if (poll_set[PLACE_COMPONENTS + i].revents != 0) {
			chan_drain_signal(p->c);
			p->look = true;
		}
		if (p->look) {
			component_receive(&components, p, now);
		}
		component_send(&components, p, now, host_time());
	}
	if (poll_set[PLACE_WORKER].revents != 0 && !chan_worker(&channels)) {
		return false;
	}
	tell(now);
	return true;
}

static void loop(void)
{
	for (;;) {
		struct pollfd poll_set[PLACES] = {
			[PLACE_CONTROL] = { IPC_CONTROL_FD, POLLIN, 0 },
			[PLACE_WORKER] = { channels.worker, POLLIN, 0 },
		};

		for (unsigned int i = 0; i < IC_KINDS; i++) {
			const struct component *p = &components.of[i];
			bool listens = p->c != NULL && p->state != COMPONENT_USELESS;

			poll_set[PLACE_COMPONENTS + i].fd = listens ? p->c->fd : -1;
			poll_set[PLACE_COMPONENTS + i].events = POLLIN;
		}
		if (poll(poll_set, PLACES, timeout_ms(clock_now_ms())) < 0) {
			if (errno == EINTR) {
				continue;
			}
			start_fail("poll: %s", strerror(errno));
		}
		if (!step(poll_set)) {
			return;
		}
	}
}

int main(int argc, char **argv)
{
	start_arguments(argc, argv, "ic", "Integration components of one virtual machine.");
	configure();
	start_done(message, &ic_policy);
	loop();
	return 0;
}
