/* SPDX-License-Identifier: MIT */
/* What vmmgr does for the processes that it starts, attestd does for itself: it is needed where there is no vmmgr, too. */
#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "hv/host/attestd/attestd.h"

#define EMPTY "/run/redoubt/root" /* as vmmgr's: mounted in our mount namespace only */

static bool fail(const char *step)
{
	(void)fprintf(stderr, "attestd: cannot confine itself: %s: %s: start it as root\n", step,
		      strerror(errno));
	return false;
}

/* The old root goes out of sight: by pivot_root, or where the root is the initial ramfs, under the new one. */
static bool empty_root(void)
{
	if ((mkdir(EMPTY, 0755) != 0 && errno != EEXIST) ||
	    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0) {
		return fail("private mounts");
	}
	if (mount("none", EMPTY, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_RDONLY,
		  "size=4096,nr_inodes=2,mode=0555") != 0 ||
	    chdir(EMPTY) != 0) {
		return fail(EMPTY);
	}
	if (syscall(__NR_pivot_root, ".", ".") == 0) {
		if (umount2(".", MNT_DETACH) != 0) {
			return fail("umount of the old root");
		}
	} else if (mount(".", "/", NULL, MS_MOVE, NULL) != 0 || chroot(".") != 0) {
		return fail("chroot");
	}
	return chdir("/") == 0 || fail("chdir");
}

static bool drop_identity(uid_t uid)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = { { 0 } };

	for (unsigned long cap = 0; cap < 64; cap++) {
		if (prctl(PR_CAPBSET_READ, cap, 0, 0, 0) == 1 &&
		    prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) != 0) {
			return fail("bounding set");
		}
	}
	if (prctl(PR_SET_SECUREBITS,
		  SECBIT_NOROOT | SECBIT_NOROOT_LOCKED | SECBIT_KEEP_CAPS_LOCKED |
			  SECBIT_NO_CAP_AMBIENT_RAISE | SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED,
		  0, 0, 0) != 0) {
		return fail("securebits");
	}
	if (setgroups(0, NULL) != 0 || setresgid(uid, uid, uid) != 0 ||
	    setresuid(uid, uid, uid) != 0) {
		return fail("identity");
	}
	return syscall(__NR_capset, &header, none) == 0 || fail("capset");
}

bool confine(uid_t uid)
{
	if (unshare(CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP) !=
	    0) {
		return fail("namespaces");
	}
	return empty_root() && drop_identity(uid);
}
