/* SPDX-License-Identifier: MIT */
#include "hv/host/console/policy.h"

#include <stddef.h>
#include <sys/syscall.h>

static const struct sandbox_rule rules[] = {
	{ __NR_poll, -1, 0, 0, "console_serve: the loop" },
	{ __NR_read, -1, 0, 0, "take, typed: the worker's stream and the terminal" },
	{ __NR_write, -1, 0, 0, "take, type; start_log" },
	{ __NR_pwrite64, -1, 0, 0, "store_add" },
	{ __NR_pread64, -1, 0, 0, "store.c: turn" },
	{ __NR_ftruncate, -1, 0, 0, "store.c: turn" },
	{ __NR_recvmsg, -1, 0, 0, "ipc_receive" },
	{ __NR_sendmsg, -1, 0, 0, "ipc_send: READY and status" },
	{ __NR_clock_gettime, 0, 1, 0, "tell, where the vDSO cannot answer" },
	{ __NR_exit_group, -1, 0, 0, "main: the end" },
	{ SANDBOX_END, -1, 0, 0, NULL },
};

const struct sandbox_policy console_policy = { "console", rules };
