/* SPDX-License-Identifier: MIT */
/* What the switch may ask of the kernel once it has its uplink. */
#include <sys/syscall.h>

#include "hv/host/vswitch/vswitch.h"

static const struct sandbox_rule rules[] = {
	SANDBOX_ANY(epoll_wait, "vswitch_step"),
	SANDBOX_ANY(recvmmsg, "receive_port"),
	SANDBOX_ANY(sendmmsg, "send_port"),
	SANDBOX_ANY(read, "receive_uplink"),
	SANDBOX_ANY(write, "send_uplink, start_log"),
	SANDBOX_ANY(epoll_ctl, "watch, vswitch_drop_port"),
	SANDBOX_ANY(recvmsg, "ipc_receive"),
	SANDBOX_ANY(sendmsg, "ipc_send"),
	SANDBOX_ANY(close, "vswitch_drop_port, add_port, ipc_drop_fds"),
	SANDBOX_ANY(clock_gettime, "now_ms, where the clock is not read without the kernel"),
	SANDBOX_ANY(exit_group, "the end"),
	{ SANDBOX_END, -1, 0, 0, 0 },
};

const struct sandbox_policy vswitch_policy = { "vswitch", rules };
