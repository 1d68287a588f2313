/* SPDX-License-Identifier: MIT */
/* vmworker: one per VM. The order of the start is in hv/host/lib/start.h; the guest is loaded before the sandbox. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "hv/host/lib/start.h"
#include "hv/host/vmworker/acpi.h"
#include "hv/host/vmworker/loader.h"
#include "hv/host/vmworker/vmbus.h"
#include "hv/host/vmworker/worker.h"
#include "hv/root/ioctl.h"
#include "hv/wire/vmbus_server.h"

/* Descriptors of PM_CONFIG_WORKER. */
enum { FD_PARTITION, FD_MEMORY, FD_KERNEL, FD_INITRD };

static int checked(int result, const char *what)
{
	if (result < 0) {
		start_fail("%s: %s", what, strerror(errno));
	}
	return result;
}

static void no_wait(int fd)
{
	int flags = checked(fcntl(fd, F_GETFL), "fcntl");

	checked(fcntl(fd, F_SETFL, flags | O_NONBLOCK), "fcntl");
}

/*
 * Kernel and initrd into guest memory. The mapping goes again at once: port accesses carry their data in registers and the
 * VMBus server deals in page numbers, so that a worker that is taken over has no guest memory at hand.
 */
static void load(struct worker *w, const struct pm_config_worker *config,
		 struct loader_start *start)
{
	struct loader_input in = { .initrd = -1,
				   .cmdline = config->cmdline,
				   .vp_count = config->vp_count };
	struct gmem memory;
	char text[128] = "";

	start_map_memory(&memory, ipc_take_fd(w->m, FD_MEMORY), config->memory_bytes);
	in.kernel = ipc_take_fd(w->m, FD_KERNEL);
	if (config->has_initrd != 0) {
		in.initrd = ipc_take_fd(w->m, FD_INITRD);
	}
	if (!loader_load(&memory, &in, start, text, sizeof(text))) {
		start_fail("%s", text);
	}
	checked(munmap(memory.base, memory.size), "munmap");
	(void)close(in.kernel);
	if (in.initrd >= 0) {
		(void)close(in.initrd);
	}
}

static void create_vps(struct worker *w, const struct loader_start *start)
{
	struct hv_register_assoc assoc[LOADER_REGS];
	struct rd_regs regs = { .count = loader_registers(start, assoc),
				.assoc = (uintptr_t)assoc };

	for (uint32_t i = 0; i < w->vp_count; i++) {
		struct rd_create_vp create = { .vp = i };
		struct worker_vp *vp = &w->vp[i];
		void *page;

		vp->fd = checked(ioctl(w->partition, RD_IOCTL_CREATE_VP, &create), "create VP");
		page = mmap(NULL, 4096, PROT_READ, MAP_SHARED, vp->fd, 0);
		if (page == MAP_FAILED) {
			start_fail("mmap of a VP: %s", strerror(errno));
		}
		vp->page = page;
		worker_watch(w, EPOLL_CTL_ADD, vp->fd, KIND_VP, i,
			     i == 0 ? EPOLLIN | EPOLLPRI : EPOLLIN);
	}
	w->posted = (const void *)((const uint8_t *)w->vp[0].page + HV_POSTED_OFFSET);
	checked(ioctl(w->vp[0].fd, RD_IOCTL_SET_REGS, &regs), "registers of VP 0");
}

/* What was loaded and the VPs' first registers, before anything runs. The hypervisor reads the memory itself. */
static void measure(struct worker *w, const struct pm_config_worker *config,
		    const struct loader_start *start)
{
	struct rd_seal seal = { .svn = config->svn,
				.disks = config->disks,
				.networks = config->networks,
				.devices = config->devices };

	for (uint32_t i = 0; config->measure != 0 && i < start->range_count; i++) {
		struct rd_measure range = { start->range[i].gpa, start->range[i].bytes };

		checked(ioctl(w->partition, RD_IOCTL_MEASURE, &range), "launch measurement");
	}
	checked(ioctl(w->partition, RD_IOCTL_SEAL, &seal), "seal of the launch measurement");
}

static void intercept_ports(struct worker *w)
{
	struct rd_intercept_ports ranges[] = {
		{ .first = PORT_UART, .last = PORT_UART + UART_PORTS - 1 },
		{ .first = PORT_RTC, .last = PORT_RTC + RTC_PORTS - 1 },
		{ .first = ACPI_PORT_SLEEP_CONTROL, .last = ACPI_PORT_RESET },
	};

	for (uint32_t i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++) {
		checked(ioctl(w->partition, RD_IOCTL_INTERCEPT_PORTS, &ranges[i]),
			"intercept of ports");
	}
	worker_quick(w);
}

static void set_up(struct worker *w, const struct pm_config_worker *config)
{
	struct rd_create_message message = { { VMBUS_CONNECTION_OLD, VMBUS_CONNECTION, 0, 0 } };
	uint32_t next = config->has_initrd != 0 ? FD_INITRD + 1 : FD_INITRD;
	struct loader_start start;
	int sockets[PM_FDS_MAX];

	w->vp_count = config->vp_count;
	w->partition = ipc_take_fd(w->m, FD_PARTITION);
	w->epoll = checked(epoll_create1(EPOLL_CLOEXEC), "epoll_create1");
	w->timer = checked(timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC),
			   "timerfd_create");
	load(w, config, &start);
	console_init(&w->console, ipc_take_fd(w->m, next++));
	for (uint32_t i = 0; i < config->socket_count; i++) {
		sockets[i] = ipc_take_fd(w->m, next++);
	}
	ports_init(&w->ports);
	intercept_ports(w);
	create_vps(w, &start);
	measure(w, config, &start);
	w->message = checked(ioctl(w->partition, RD_IOCTL_CREATE_MESSAGE, &message),
			     "create message port");
	no_wait(w->message);
	worker_vmbus_init(w, config, sockets);
	worker_watch(w, EPOLL_CTL_ADD, w->console.fd, KIND_CONSOLE, 0, EPOLLIN);
	w->console_watched = EPOLLIN;
	worker_watch(w, EPOLL_CTL_ADD, IPC_CONTROL_FD, KIND_CONTROL, 0, EPOLLIN);
}

int main(int argc, char **argv)
{
	static struct worker worker;
	struct worker *w = &worker;
	struct pm_config_worker *config = malloc(sizeof(*config));
	struct rd_run run = { 0 };

	start_arguments(argc, argv, "vmworker", "runs one virtual machine");
	w->m = start_config(PM_CONFIG_WORKER);
	if (config == NULL) {
		start_fail("no memory");
	}
	*config = w->m->worker; /* the message's place is used again */
	set_up(w, config);
	free(config);
	start_done(w->m, &worker_policy);
	if (ioctl(w->vp[0].fd, RD_IOCTL_RUN, &run) != 0) {
		worker_guest_ended(w, PM_GUEST_FAILED, "VP 0 cannot be started: error %d", errno);
	}
	worker_loop(w);
	(void)ioctl(w->partition, RD_IOCTL_STOP);
	return 0;
}
