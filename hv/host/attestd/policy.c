/* SPDX-License-Identifier: MIT */
/* What attestd may ask of the kernel once everything is open. */
#include <sys/syscall.h>

#include "hv/host/attestd/attestd.h"
#include "hv/root/ioctl.h"

static const struct sandbox_rule rules[] = {
	SANDBOX_ANY(poll, "serve, read_answer"),
	SANDBOX_ANY(accept4, "serve"),
	SANDBOX_ANY(recvfrom, "receive"),
	SANDBOX_ANY(sendto, "send_all"),
	SANDBOX_ANY(close, "serve"),
	SANDBOX_ANY(write, "transmit: a command to the TPM; a last word on standard error"),
	SANDBOX_ANY(read, "read_answer: the TPM's answer"),
	SANDBOX_IOCTL(RD_IOCTL_GET_REPORT_KEY, "attest_key"),
	SANDBOX_IOCTL(RD_IOCTL_GET_REPORT, "attest_token"),
	SANDBOX_ANY(getrandom, "nonces of sessions, by the TPM's library"),
	SANDBOX_ANY(brk, "memory: main leaves mmap out"),
	SANDBOX_ANY(getpid, "random numbers of the TPM's library"),
	SANDBOX_ANY(clock_gettime, "now_ms, where the clock is not read without the kernel"),
	{ SANDBOX_END, -1, 0, 0, 0 },
};

const struct sandbox_policy attestd_policy = { "attestd", rules };
