/* SPDX-License-Identifier: MIT */
/* storvsp: the disks of one VM. Start-up and the loop; see storvsp.h. */
#include "hv/host/lib/record.h"
#include "hv/host/lib/start.h"
#include "hv/host/storvsp/storvsp.h"

#include <errno.h>
#include <string.h>

enum { FD_MEMORY, FD_WORKER, FD_STATE, FD_DISKS };

static struct storvsp storvsp;

static void add_disk(struct storvsp *s, const struct pm_disk *d, int fd)
{
	struct disk *to = &s->disk[s->disk_count++];

	_Static_assert(sizeof(to->unit.serial) == sizeof(d->serial), "the same text");
	if (d->bytes < SCSI_BLOCK) {
		start_fail("disk %u: %llu bytes are less than a block", s->disk_count - 1,
			   (unsigned long long)d->bytes);
	}
	to->fd = fd;
	to->unit.blocks = d->bytes / SCSI_BLOCK;
	to->unit.max_blocks = STORVSP_TRANSFER_MAX / SCSI_BLOCK;
	to->unit.read_only = d->read_only != 0;
	memcpy(to->unit.serial, d->serial, sizeof(to->unit.serial));
	if (!disk_examine(to)) {
		start_fail("disk %u: %s", s->disk_count - 1, strerror(errno));
	}
}

static void configure(struct storvsp *s, struct ipc_message *m)
{
	const struct pm_config_storvsp *c = &m->storvsp;
	int memory = ipc_take_fd(m, FD_MEMORY), worker = ipc_take_fd(m, FD_WORKER);
	int state = ipc_take_fd(m, FD_STATE);

	start_map_memory(&s->mem, memory, c->memory_bytes);
	for (uint32_t i = 0; i < c->disk_count; i++) {
		add_disk(s, &c->disk[i], ipc_take_fd(m, FD_DISKS + i));
	}
	if (!disk_queue_init(s)) {
		start_fail("io_uring: %s", strerror(errno));
	}
	chan_init(&s->chans, &s->mem, worker);
	session_init(s, start_map_state(state, sizeof(struct kept)), c->restarted != 0);
}

/* At most one in a second, and only news. A manager that does not read is told later. */
static void send_status(struct storvsp *s)
{
	if (ipc_send(IPC_CONTROL_FD, PM_STATUS_DISK, &s->status, sizeof(s->status), NULL, 0) == 0) {
		s->status_changed = false;
	}
}

/* false: the manager wants the process to end, or is gone. */
static bool serve_control(struct ipc_message *m)
{
	int n = ipc_receive(IPC_CONTROL_FD, m);

	if (n == 0 || (n > 0 && m->type == PM_STOP)) {
		return false;
	}
	if (n > 0 && m->type == PM_RECORD) {
		record_start(m, RECORD_STORVSP);
	} else if (n > 0 || errno == EBADMSG) {
		start_log("the manager's message is not for this process");
		ipc_drop_fds(m);
	}
	return true;
}

/* false: the process ends. */
static bool serve_event(struct storvsp *s, const struct disk_event *e, struct ipc_message *m)
{
	switch (e->kind) {
	case EVENT_DISK:
		session_disk_done(s, e->which, e->result);
		return true;
	case EVENT_TIMER:
		if (s->status_changed) {
			send_status(s);
		}
		return true;
	case EVENT_WATCH:
		break;
	}
	switch ((enum watch)e->which) {
	case WATCH_WORKER:
		if (!chan_worker(&s->chans)) {
			return false;
		}
		disk_watch(s, WATCH_WORKER, s->chans.worker);
		return true;
	case WATCH_CONTROL:
		if (!serve_control(m)) {
			return false;
		}
		disk_watch(s, WATCH_CONTROL, IPC_CONTROL_FD);
		return true;
	default:
		session_channel_event(s);
		return true;
	}
}

/* What was begun is finished, so that nothing is written after the process has gone. */
static void finish(struct storvsp *s)
{
	struct disk_event e;

	while (s->running != 0 && disk_wait(s, true)) {
		while (disk_next(s, &e)) {
			if (e.kind == EVENT_DISK) {
				session_disk_done(s, e.which, e.result);
			}
		}
	}
}

static int loop(struct storvsp *s, struct ipc_message *m)
{
	bool more = false;

	disk_watch(s, WATCH_WORKER, s->chans.worker);
	disk_watch(s, WATCH_CONTROL, IPC_CONTROL_FD);
	for (;;) {
		struct disk_event e;

		if (!disk_wait(s, !more)) {
			start_log("io_uring: %s", strerror(errno));
			return 1;
		}
		while (disk_next(s, &e)) {
			if (!serve_event(s, &e, m)) {
				finish(s);
				return 0;
			}
		}
		more = session_run(s);
		if (s->status_changed) {
			disk_timer(s);
		}
	}
}

int main(int argc, char **argv)
{
	struct ipc_message *m;

	start_arguments(argc, argv, "storvsp",
			"Serves the disks of one VM over its VMBus channel.");
	m = start_config(PM_CONFIG_STORVSP);
	configure(&storvsp, m);
	start_done(m, &storvsp_policy);
	return loop(&storvsp, m);
}
