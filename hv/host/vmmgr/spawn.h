/* SPDX-License-Identifier: MIT */
#ifndef HV_HOST_VMMGR_SPAWN_H
#define HV_HOST_VMMGR_SPAWN_H
/*
 * A new process with nothing: own namespaces, an empty root folder, an identity of its own, no capability, no environment,
 * and the descriptors 0 (empty), 1 (void), 2 (log), 3 (the manager).
 */
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Where the empty root folders are mounted, each in its own mount namespace. */
#define SPAWN_ROOT "/run/redoubt/root"

struct spawn {
	const char *name; /* argv[0] */
	int program;      /* open for reading */
	int log, control; /* the new process's ends */
	uid_t uid;        /* and gid */
	int cgroup;       /* folder of a version 2 hierarchy, or -1 */
	int without;      /* tests: the sandbox rule to leave out, or -1 */
};

/* Needs a single-threaded caller. -1 with errno; what fails in the new process is said on its log, and it ends with 127. */
pid_t spawn_process(const struct spawn *s, int *pidfd);

#endif
