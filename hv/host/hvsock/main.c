/* SPDX-License-Identifier: MIT */
/* Connections of hv_sock of one machine: the guest fetches its own report. */
#include <errno.h>
#include <jansson.h>
#include <poll.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "hv/host/hvsock/policy.h"
#include "hv/host/hvsock/service.h"
#include "hv/host/lib/clock.h"
#include "hv/host/lib/heap.h"
#include "hv/host/lib/start.h"

enum place {
	PLACE_CONTROL,
	PLACE_WORKER,
	PLACE_LINES,
	PLACE_AGENTS = PLACE_LINES + SERVICE_LINES,
	PLACES = PLACE_AGENTS + SERVICE_LINES
};

static struct service service;
static struct chan_set channels;
static struct gmem memory;
static struct ipc_message *message;

static void opened(struct chan *c)
{
	service_opened(&service, c, clock_now_ms());
}

static void closing(struct chan *c)
{
	service_closed(&service, c);
	chan_closed(&channels, c);
}

static void configure(void)
{
	size_t seed = 0;
	int worker;

	message = start_config(PM_CONFIG_HVSOCK);
	start_map_memory(&memory, ipc_take_fd(message, 0), message->hvsock.memory_bytes);
	worker = ipc_take_fd(message, 1);
	chan_init(&channels, &memory, worker);
	channels.opened = opened;
	channels.closing = closing;
	service_init(&service);
	/* The JSON library's hash tables: never seeded by it, which would open a file. */
	while (seed == 0 && getrandom(&seed, sizeof(seed), 0) >= 0) {
	}
	json_object_seed(seed != 0 ? seed : 1);
	heap_alone();
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
	} else if (message->type == PM_REPORT) {
		service_report(&service, &message->report,
			       message->report.error == PM_REPORT_GOOD ? ipc_take_fd(message, 0)
								       : -1,
			       clock_now_ms());
	} else {
		start_log("message %d from the manager is not for hvsock", (int)message->type);
	}
	ipc_drop_fds(message);
	return stay;
}

static void ask(struct line *l)
{
	if (ipc_send(IPC_CONTROL_FD, PM_REPORT_WANTED, &l->wanted, sizeof(l->wanted), NULL, 0) ==
	    0) {
		l->state = LINE_ASKED;
	}
}

static void serve(struct line *l, bool signalled, bool answer, uint64_t now)
{
	if (l->state == LINE_FREE) {
		return;
	}
	if (signalled) {
		chan_drain_signal(l->c);
		l->look = true;
	}
	if (answer && service_room(l) != 0) {
		ssize_t n = read(l->agent, l->out + HVSOCK_HEADER, service_room(l));

		if (n >= 0 || (errno != EAGAIN && errno != EINTR)) {
			service_taken(l, n, now);
		}
	}
	service_step(&service, l, now);
	if (l->state == LINE_WANTED) {
		ask(l);
	}
	if (l->state == LINE_OVER && !l->told) {
		l->told = true;
		chan_hangup(&channels, l->c);
	}
}

/* false: leave. */
static bool step(const struct pollfd poll_set[PLACES])
{
	uint64_t now = clock_now_ms();

	for (unsigned int i = 0; i < SERVICE_LINES; i++) {
		/* No connection came or went since the poll: worker and manager come last. */
		serve(&service.of[i], poll_set[PLACE_LINES + i].revents != 0,
		      poll_set[PLACE_AGENTS + i].revents != 0, now);
	}
	if (poll_set[PLACE_CONTROL].revents != 0 && !obey()) {
		return false;
	}
	return poll_set[PLACE_WORKER].revents == 0 || chan_worker(&channels);
}

static void loop(void)
{
	for (;;) {
		struct pollfd poll_set[PLACES] = {
			[PLACE_CONTROL] = { IPC_CONTROL_FD, POLLIN, 0 },
			[PLACE_WORKER] = { channels.worker, POLLIN, 0 },
		};

		for (unsigned int i = 0; i < SERVICE_LINES; i++) {
			const struct line *l = &service.of[i];
			bool listens = l->state != LINE_FREE && l->state != LINE_OVER;

			poll_set[PLACE_LINES + i].fd = listens ? l->c->fd : -1;
			poll_set[PLACE_LINES + i].events = POLLIN;
			poll_set[PLACE_AGENTS + i].fd = service_room(l) != 0 ? l->agent : -1;
			poll_set[PLACE_AGENTS + i].events = POLLIN;
		}
		if (poll(poll_set, PLACES, service_wait(&service, clock_now_ms())) < 0) {
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
	start_arguments(argc, argv, "hvsock", "Connections of hv_sock of one virtual machine.");
	configure();
	start_done(message, &hvsock_policy);
	loop();
	return 0;
}
