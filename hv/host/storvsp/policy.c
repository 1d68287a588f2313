/* SPDX-License-Identifier: MIT */
/* What storvsp may ask of the kernel, besides what disk.c allows in its ring. */
#include "hv/host/storvsp/storvsp.h"

#include <sys/syscall.h>
#include <unistd.h>

static const struct sandbox_rule rules[] = {
	{ __NR_io_uring_enter, -1, 0, 0, "disk_wait" },
	{ __NR_read, -1, 0, 0, "chan_drain_signal" },
	{ __NR_write, -1, 0, 0, "chan_signal, start_log" },
	{ __NR_recvmsg, -1, 0, 0, "ipc_receive" },
	{ __NR_sendmsg, -1, 0, 0, "ipc_send" },
	{ __NR_close, -1, 0, 0, "chan_closed, ipc_drop_fds" },
	{ __NR_exit_group, -1, 0, 0, "main" },
	{ SANDBOX_END, -1, 0, 0, "" },
};

const struct sandbox_policy storvsp_policy = { "storvsp", rules };
