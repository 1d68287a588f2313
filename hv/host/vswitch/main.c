/* SPDX-License-Identifier: MIT */
/* vswitch: one for each host. The order of the start is in hv/host/lib/start.h. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "hv/host/lib/start.h"
#include "hv/host/vswitch/vswitch.h"

static void no_wait(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0) {
		start_fail("uplink: %s", strerror(errno));
	}
}

int main(int argc, char **argv)
{
	static struct vswitch vswitch;
	struct ipc_message *m;
	int tap = -1;

	start_arguments(argc, argv, "vswitch", "forwards frames between virtual machines");
	m = start_config(PM_CONFIG_VSWITCH);
	if (m->vswitch.has_uplink != 0) {
		tap = ipc_take_fd(m, 0);
		no_wait(tap);
	}
	if (!vswitch_init(&vswitch, IPC_CONTROL_FD, tap)) {
		start_fail("epoll: %s", strerror(errno));
	}
	start_done(m, &vswitch_policy);
	while (vswitch_step(&vswitch, -1)) {
	}
	return 0;
}
