/* SPDX-License-Identifier: MIT */
/* What attestd may ask of the kernel once everything is open. */
#include <sys/syscall.h>

#include "hv/host/attestd/attestd.h"
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
	ANY(poll, "serve, read_answer"),
	ANY(accept4, "serve"),
	ANY(recvfrom, "receive"),
	ANY(sendto, "send_all"),
	ANY(close, "serve"),
	ANY(write, "transmit: a command to the TPM; a last word on standard error"),
	ANY(read, "read_answer: the TPM's answer"),
	IOCTL(RD_IOCTL_GET_REPORT_KEY, "attest_key"),
	IOCTL(RD_IOCTL_GET_REPORT, "attest_token"),
	ANY(getrandom, "nonces of sessions, by the TPM's library"),
	ANY(brk, "memory of the TPM's library"),
	ANY(mmap, "memory of the TPM's library"),
	ANY(munmap, "memory of the TPM's library"),
	ANY(futex, "locks of the TPM's library"),
	ANY(getpid, "random numbers of the TPM's library"),
	ANY(clock_gettime, "now_ms, where the clock is not read without the kernel"),
	ANY(exit_group, "the end"),
	{ SANDBOX_END, -1, 0, 0, 0 },
};

const struct sandbox_policy attestd_policy = { "attestd", rules };
