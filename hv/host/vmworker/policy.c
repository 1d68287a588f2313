/* SPDX-License-Identifier: MIT */
/* What a worker may ask of the kernel once the guest runs. */
#include <sys/syscall.h>

#include "hv/host/vmworker/worker.h"
#include "hv/root/ioctl.h"

static const struct sandbox_rule rules[] = {
	SANDBOX_ANY(epoll_wait, "worker_loop"),
	SANDBOX_ANY(epoll_ctl, "worker_watch: what is waited for changes with what is full"),
	SANDBOX_IOCTL(RD_IOCTL_RUN, "worker_intercept"),
	SANDBOX_IOCTL(RD_IOCTL_INTERCEPT_PORTS, "worker_quick, worker_trace"),
	SANDBOX_IOCTL(RD_IOCTL_POST, "post"),
	SANDBOX_IOCTL(RD_IOCTL_CREATE_CHANNEL, "tell_open"),
	SANDBOX_IOCTL(RD_IOCTL_SET_TARGET, "retarget"),
	SANDBOX_IOCTL(RD_IOCTL_STOP, "worker_guest_ended"),
	SANDBOX_ANY(read, "worker_posted, worker_vmbus_message, worker_vmbus_timer"),
	SANDBOX_ANY(write, "start_log, start_fail"),
	SANDBOX_ANY(sendto, "console_send"),
	SANDBOX_ANY(recvfrom, "console_receive"),
	SANDBOX_ANY(sendmsg, "ipc_send"),
	SANDBOX_ANY(recvmsg, "ipc_receive"),
	SANDBOX_ANY(timerfd_settime, "post: a full queue is tried again"),
	{ __NR_clock_gettime, 0, 0, 0, "now, where the vDSO cannot answer" },
	SANDBOX_ANY(close, "drop_socket, sweep, ipc_drop_fds"),
	SANDBOX_ANY(exit_group, "the end"),
	{ SANDBOX_END, -1, 0, 0, 0 },
};

const struct sandbox_policy worker_policy = { "vmworker", rules };
