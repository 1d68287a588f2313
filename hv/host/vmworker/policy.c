/* SPDX-License-Identifier: MIT */
/* What a worker may ask of the kernel once the guest runs. */
#include <sys/syscall.h>

#include "hv/host/vmworker/worker.h"
#include "hv/root/ioctl.h"

#define ANY(name, reason)                     \
	{                                     \
		__NR_##name, -1, 0, 0, reason \
	}
#define IOCTL(request, reason)                    \
	{                                         \
		__NR_ioctl, 1, request, 0, reason \
	}

static const struct sandbox_rule rules[] = {
	ANY(epoll_wait, "worker_loop"),
	ANY(epoll_ctl, "worker_watch: what is waited for changes with what is full"),
	IOCTL(RD_IOCTL_RUN, "worker_intercept"),
	IOCTL(RD_IOCTL_INTERCEPT_PORTS, "worker_quick, worker_trace"),
	IOCTL(RD_IOCTL_POST, "post"),
	IOCTL(RD_IOCTL_CREATE_CHANNEL, "tell_open"),
	IOCTL(RD_IOCTL_SET_TARGET, "retarget"),
	IOCTL(RD_IOCTL_STOP, "worker_guest_ended"),
	ANY(read, "worker_posted, worker_vmbus_message, worker_vmbus_timer"),
	ANY(write, "start_log, start_fail"),
	ANY(sendto, "console_send"),
	ANY(recvfrom, "console_receive"),
	ANY(sendmsg, "ipc_send"),
	ANY(recvmsg, "ipc_receive"),
	ANY(timerfd_settime, "post: a full queue is tried again"),
	{ __NR_clock_gettime, 0, 0, 0, "now, where the vDSO cannot answer" },
	ANY(close, "drop_socket, sweep, ipc_drop_fds"),
	ANY(exit_group, "the end"),
	{ SANDBOX_END, -1, 0, 0, 0 },
};

const struct sandbox_policy worker_policy = { "vmworker", rules };
