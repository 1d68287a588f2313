/* SPDX-License-Identifier: MIT */
/* What the switch may ask of the kernel once it has its uplink. */
#include <sys/syscall.h>

#include "hv/host/vswitch/vswitch.h"

#define ANY(name, reason)                     \
	{                                     \
		__NR_##name, -1, 0, 0, reason \
	}

static const struct sandbox_rule rules[] = {
	ANY(epoll_wait, "vswitch_step"),
	ANY(recvmmsg, "receive_port"),
	ANY(sendmmsg, "send_port"),
	ANY(read, "receive_uplink"),
	ANY(write, "send_uplink, start_log"),
	ANY(epoll_ctl, "watch, vswitch_drop_port"),
	ANY(recvmsg, "ipc_receive"),
	ANY(sendmsg, "ipc_send"),
	ANY(close, "vswitch_drop_port, add_port, ipc_drop_fds"),
	ANY(clock_gettime, "now_ms, where the clock is not read without the kernel"),
	ANY(exit_group, "the end"),
	{ SANDBOX_END, -1, 0, 0, 0 },
};

const struct sandbox_policy vswitch_policy = { "vswitch", rules };
