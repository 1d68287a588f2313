/* SPDX-License-Identifier: MIT */
#include "hv/host/vmmgr/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/sched.h>
#include <linux/securebits.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#define EXEC_FD 4
#define OUT_OF_THE_WAY 64

#define NAMESPACES \
	(CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP)

/* What follows runs in the new process, which has a copy of the manager's memory until it executes. */

__attribute__((noreturn)) static void give_up(int log, const char *step)
{
	(void)dprintf(log, "cannot start: %s: %s\n", step, strerror(errno));
	_exit(127);
}

/* Sources may be where targets go: first all out of the way, then into place. */
static void arrange_descriptors(const struct spawn *s)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	int from[EXEC_FD + 1] = { null, null, s->log, s->control, s->program };

	for (int i = 0; i <= EXEC_FD; i++) {
		from[i] = fcntl(from[i], F_DUPFD_CLOEXEC, OUT_OF_THE_WAY);
		if (from[i] < 0) {
			give_up(s->log, "descriptors");
		}
	}
	for (int i = 0; i <= EXEC_FD; i++) {
		if (dup3(from[i], i, i == EXEC_FD ? O_CLOEXEC : 0) != i) {
			give_up(from[2], "descriptors");
		}
	}
	if (syscall(__NR_close_range, EXEC_FD + 1, ~0u, 0) != 0) {
		give_up(2, "close_range");
	}
}

/* The old root goes out of sight: by pivot_root, or where the root is the initial ramfs, under the new one. */
static void empty_root(void)
{
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0) {
		give_up(2, "private mounts");
	}
	if (mount("none", SPAWN_ROOT, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC,
		  "size=4096,nr_inodes=2,mode=0555") != 0 ||
	    mount(NULL, SPAWN_ROOT, NULL, MS_REMOUNT | MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC,
		  "size=4096,nr_inodes=2") != 0) {
		give_up(2, "mount " SPAWN_ROOT);
	}
	if (chdir(SPAWN_ROOT) != 0) {
		give_up(2, "chdir " SPAWN_ROOT);
	}
	if (syscall(__NR_pivot_root, ".", ".") == 0) {
		if (umount2(".", MNT_DETACH) != 0) {
			give_up(2, "umount of the old root");
		}
	} else if (mount(".", "/", NULL, MS_MOVE, NULL) != 0 || chroot(".") != 0) {
		give_up(2, "chroot");
	}
	if (chdir("/") != 0) {
		give_up(2, "chdir");
	}
}

static void set_limit(__rlimit_resource_t resource, rlim_t most)
{
	struct rlimit limit = { most, most };

	if (setrlimit(resource, &limit) != 0) {
		give_up(2, "setrlimit");
	}
}

static void drop_identity(uid_t uid)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = { { 0 } };

	for (unsigned long cap = 0; cap < 64; cap++) {
		if (prctl(PR_CAPBSET_READ, cap, 0, 0, 0) == 1 &&
		    prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) != 0) {
			give_up(2, "bounding set");
		}
	}
	if (prctl(PR_SET_SECUREBITS,
		  SECBIT_NOROOT | SECBIT_NOROOT_LOCKED | SECBIT_KEEP_CAPS_LOCKED |
			  SECBIT_NO_CAP_AMBIENT_RAISE | SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED,
		  0, 0, 0) != 0) {
		give_up(2, "securebits");
	}
	if (setgroups(0, NULL) != 0 || setresgid(uid, uid, uid) != 0 ||
	    setresuid(uid, uid, uid) != 0) {
		give_up(2, "identity");
	}
	if (syscall(__NR_capset, &header, none) != 0) {
		give_up(2, "capset");
	}
}

__attribute__((noreturn)) static void child(const struct spawn *s)
{
	char *argv[] = { (char *)(uintptr_t)s->name, NULL };
	char without[48];
	char *envp[] = { NULL, NULL };
	sigset_t none;

	arrange_descriptors(s);
	(void)setsid();
	empty_root();
	if (sethostname("redoubt", 7) != 0) {
		give_up(2, "sethostname");
	}
	set_limit(RLIMIT_CORE, 0);
	set_limit(RLIMIT_NOFILE, 256);
	drop_identity(s->uid);
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
		give_up(2, "no_new_privs");
	}
	/* After the identity, whose change clears it. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0) {
		give_up(2, "pdeathsig");
	}
	(void)sigemptyset(&none);
	if (sigprocmask(SIG_SETMASK, &none, NULL) != 0) {
		give_up(2, "signals");
	}
	if (s->without >= 0) {
		(void)snprintf(without, sizeof(without), "REDOUBT_SANDBOX_WITHOUT=%d", s->without);
		envp[0] = without;
	}
	(void)syscall(__NR_execveat, EXEC_FD, "", argv, envp, AT_EMPTY_PATH);
	give_up(2, s->name);
}

pid_t spawn_process(const struct spawn *s, int *pidfd)
{
	int fd = -1;
	struct clone_args arguments = {
		.flags = NAMESPACES | CLONE_PIDFD,
		.pidfd = (uint64_t)(uintptr_t)&fd,
		.exit_signal = SIGCHLD,
	};
	long pid;

	if (s->cgroup >= 0) {
		arguments.flags |= CLONE_INTO_CGROUP;
		arguments.cgroup = (uint64_t)s->cgroup;
	}
	pid = syscall(__NR_clone3, &arguments, sizeof(arguments));
	if (pid == 0) {
		child(s);
	}
	if (pid > 0) {
		*pidfd = fd;
	}
	return (pid_t)pid;
}
