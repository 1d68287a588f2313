/* SPDX-License-Identifier: MIT */
/* What a netvsp may ask of the kernel once it serves a guest. */
#include <sys/syscall.h>

#include "hv/host/netvsp/netvsp.h"

#define ANY(name, reason)                     \
	{                                     \
		__NR_##name, -1, 0, 0, reason \
	}

static const struct sandbox_rule rules[] = {
	ANY(poll, "netvsp_step"),
	ANY(sendmmsg, "send_frames"),
	ANY(recvmmsg, "receive_batch"),
	ANY(read, "chan_drain_signal"),
	ANY(write, "chan_signal, start_log"),
	ANY(recvmsg, "ipc_receive"),
	ANY(sendmsg, "ipc_send"),
	ANY(close, "chan_closed, ipc_drop_fds"),
	ANY(clock_gettime, "now_ms, where the clock is not read without the kernel"),
	ANY(exit_group, "the end"),
	{ SANDBOX_END, -1, 0, 0, 0 },
};

const struct sandbox_policy netvsp_policy = { "netvsp", rules };
