/* SPDX-License-Identifier: MIT */
#ifndef MITIGATIONS_SANDBOX_SANDBOX_H
#define MITIGATIONS_SANDBOX_SANDBOX_H
/*
 * The last step of a process's start: what it may still ask of the kernel. Identity, namespaces, the empty root folder and
 * cgroup were set by the manager before exec (hv/host/vmmgr); here: no_new_privs, no capabilities, resource limits, no new
 * executable mapping (PR_SET_MDWE where the kernel has it, and by seccomp), a seccomp allow-list that ends in KILL_PROCESS.
 */
#include <stdbool.h>
#include <stdint.h>

struct sandbox_rule {
	int syscall;     /* __NR_*, or SANDBOX_END */
	int arg;         /* argument that is checked, -1: none */
	uint64_t value;  /* what it must be (under mask) */
	uint64_t mask;   /* 0: all bits */
	const char *why; /* the function that needs it */
};

#define SANDBOX_END (-2)
/* A rule of a policy: any arguments; an ioctl of this request alone. With <sys/syscall.h>. */
#define SANDBOX_ANY(name, reason)             \
	{                                     \
		__NR_##name, -1, 0, 0, reason \
	}
#define SANDBOX_IOCTL(request, reason)            \
	{                                         \
		__NR_ioctl, 1, request, 0, reason \
	}

struct sandbox_policy {
	const char *name;
	const struct sandbox_rule *rules; /* ends with SANDBOX_END */
};

/*
 * Rules that every process needs for its loop and its end (exit_group, ...) are not implied: each policy names
 * all that it allows. Environment REDOUBT_SANDBOX_WITHOUT=n (tests only, honoured only when the manager passed it) leaves rule n
 * out. Fails: false with errno; the caller must then exit.
 */
bool sandbox_enter(const struct sandbox_policy *policy);

#endif
