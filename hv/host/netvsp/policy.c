/* SPDX-License-Identifier: MIT */
/* What a netvsp may ask of the kernel once it serves a guest. */
#include <sys/syscall.h>

#include "hv/host/netvsp/netvsp.h"

static const struct sandbox_rule rules[] = {
	SANDBOX_ANY(poll, "netvsp_step"),
	SANDBOX_ANY(sendmmsg, "send_frames"),
	SANDBOX_ANY(recvmmsg, "receive_batch"),
	SANDBOX_ANY(read, "chan_drain_signal"),
	SANDBOX_ANY(write, "chan_signal, start_log"),
	SANDBOX_ANY(recvmsg, "ipc_receive"),
	SANDBOX_ANY(sendmsg, "ipc_send"),
	SANDBOX_ANY(close, "chan_closed, ipc_drop_fds"),
	SANDBOX_ANY(clock_gettime, "now_ms, where the clock is not read without the kernel"),
	SANDBOX_ANY(exit_group, "the end"),
	{ SANDBOX_END, -1, 0, 0, 0 },
};

const struct sandbox_policy netvsp_policy = { "netvsp", rules };
