/* SPDX-License-Identifier: MIT */
#include "hv/host/hvsock/policy.h"

#include <stddef.h>
#include <sys/syscall.h>

static const struct sandbox_rule rules[] = {
	{ __NR_poll, -1, 0, 0, "main: the loop; ipc_send_wait" },
	{ __NR_read, -1, 0, 0, "chan_drain_signal; main: attestd's answer" },
	{ __NR_write, -1, 0, 0, "chan_signal; start_log" },
	{ __NR_recvmsg, -1, 0, 0, "ipc_receive" },
	{ __NR_sendmsg, -1, 0, 0, "ipc_send: READY, questions; answers to the worker" },
	{ __NR_close, -1, 0, 0, "chan_closed; service_closed; ipc_drop_fds" },
	{ __NR_clock_gettime, 0, 0, ~1ull, "now_ms, where the vDSO cannot answer" },
	{ __NR_brk, -1, 0, 0, "http_parse: memory of the JSON library" },
	{ __NR_exit_group, -1, 0, 0, "main: the end" },
	{ SANDBOX_END, -1, 0, 0, NULL },
};

const struct sandbox_policy hvsock_policy = { "hvsock", rules };
