/* SPDX-License-Identifier: MIT */
/*
 * Order matters: everything that asks the kernel for something happens before the filter is loaded;
 * after that the process can only do what its policy names.
 */
#include "mitigations/sandbox/sandbox.h"

#include <errno.h>
#include <linux/capability.h>
#include <linux/landlock.h>
#include <seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Linux 6.3; not in the C library's headers of the build machine. */
#define SANDBOX_SET_MDWE 65
#define SANDBOX_MDWE_REFUSE_EXEC_GAIN 1ul

#define DESCRIPTORS_MAX 256
#define RING_THREADS_MAX 32
#define NO_RULE (-1)

/* What no device process has a use for after its start: a policy that names one is a mistake. */
static const int never[] = {
	__NR_execve,
	__NR_execveat,
	__NR_fork,
	__NR_vfork,
	__NR_open,
	__NR_openat,
	__NR_openat2,
	__NR_creat,
	__NR_socket,
	__NR_ptrace,
	__NR_process_vm_readv,
	__NR_process_vm_writev,
	__NR_mount,
	__NR_bpf,
	__NR_prctl,
	__NR_setrlimit,
	__NR_prlimit64,
	__NR_shmat,
	__NR_remap_file_pages,
	__NR_memfd_create,
};

/* A process whose policy has none of these makes no file larger. */
static const int file_writers[] = {
	__NR_pwrite64,  __NR_pwritev,   __NR_pwritev2,        __NR_io_uring_enter, __NR_io_submit,
	__NR_fallocate, __NR_ftruncate, __NR_copy_file_range, __NR_sendfile,       __NR_splice,
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static bool listed(int number, const int *list, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (list[i] == number) {
			return true;
		}
	}
	return false;
}

static bool limit(int resource, rlim_t most)
{
	struct rlimit now;

	if (getrlimit((__rlimit_resource_t)resource, &now) != 0) {
		return false;
	}
	/* Never upwards: the program may have set a tighter one. */
	now.rlim_max = now.rlim_max < most ? now.rlim_max : most;
	now.rlim_cur = now.rlim_cur < now.rlim_max ? now.rlim_cur : now.rlim_max;
	return setrlimit((__rlimit_resource_t)resource, &now) == 0;
}

/*
 * No new process or thread, but for the kernel's own threads of an io_uring: they count as the
 * process's, and without them a flush cannot be done.
 */
static bool set_limits(const struct sandbox_policy *policy)
{
	bool grows = false, ring = false;

	for (const struct sandbox_rule *r = policy->rules; r->syscall != SANDBOX_END; r++) {
		grows = grows || listed(r->syscall, file_writers, COUNT(file_writers));
		ring = ring || r->syscall == __NR_io_uring_enter;
	}
	return limit(RLIMIT_CORE, 0) && limit(RLIMIT_NPROC, ring ? RING_THREADS_MAX : 0) &&
	       limit(RLIMIT_NOFILE, DESCRIPTORS_MAX) && limit(RLIMIT_MSGQUEUE, 0) &&
	       (grows || limit(RLIMIT_FSIZE, 0));
}

static bool drop_capabilities(void)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = { { 0 } };

	/* The manager emptied the bounding set; by hand it may be full and ours to empty. */
	for (unsigned long cap = 0; cap < 64; cap++) {
		if (prctl(PR_CAPBSET_READ, cap, 0, 0, 0) == 1 &&
		    prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) != 0 && errno != EPERM) {
			return false;
		}
	}
	/* Kernels without ambient capabilities say EINVAL and have none. */
	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) != 0 && errno != EINVAL) {
		return false;
	}
	return syscall(__NR_capset, &header, none) == 0;
}

/* No path may be opened, made, removed or executed, though the root folder is empty anyway. */
static bool landlock(void)
{
	struct landlock_ruleset_attr attr = {
		.handled_access_fs = (LANDLOCK_ACCESS_FS_MAKE_SYM << 1) - 1,
	};
	long fd = syscall(__NR_landlock_create_ruleset, &attr, sizeof(attr), 0);
	bool good;

	if (fd < 0) {
		/* The kernel was built or booted without it. */
		return errno == ENOSYS || errno == EOPNOTSUPP;
	}
	good = syscall(__NR_landlock_restrict_self, (int)fd, 0) == 0;
	return close((int)fd) == 0 && good;
}

static bool maps_memory(int number)
{
	return number == __NR_mmap || number == __NR_mprotect || number == __NR_pkey_mprotect;
}

static bool same_arg(const struct sandbox_rule *rule, unsigned int arg)
{
	return rule->arg >= 0 && (unsigned int)rule->arg == arg;
}

/* Adds one rule. Rules of the same system call are alternatives; a mapping never is executable. */
static bool add_rule(scmp_filter_ctx filter, const struct sandbox_rule *rule)
{
	struct scmp_arg_cmp compare[2];
	unsigned int count = 0;
	uint64_t mask = rule->mask != 0 ? rule->mask : UINT64_MAX;
	uint64_t value = rule->value;
	int result;

	if (listed(rule->syscall, never, COUNT(never)) || rule->arg > 5 ||
	    (rule->arg >= 0 && (value & ~mask) != 0)) {
		errno = EINVAL;
		return false;
	}
	if (maps_memory(rule->syscall)) {
		if (same_arg(rule, 2)) {
			if ((value & PROT_EXEC) != 0) {
				errno = EINVAL;
				return false;
			}
			mask |= PROT_EXEC;
		} else {
			compare[count++] = (struct scmp_arg_cmp){
				.arg = 2,
				.op = SCMP_CMP_MASKED_EQ,
				.datum_a = PROT_EXEC,
				.datum_b = 0,
			};
		}
	}
	if (rule->arg >= 0) {
		compare[count++] = (struct scmp_arg_cmp){
			.arg = (unsigned int)rule->arg,
			.op = SCMP_CMP_MASKED_EQ,
			.datum_a = mask,
			.datum_b = value,
		};
	}
	result = seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, rule->syscall, count, compare);
	if (result != 0 && result != -EEXIST) {
		errno = -result;
		return false;
	}
	return true;
}

static bool load_filter(const struct sandbox_policy *policy, int without)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_KILL_PROCESS);
	int result = -ENOMEM;

	if (filter == NULL) {
		errno = ENOMEM;
		return false;
	}
	if (seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS) != 0 ||
	    seccomp_attr_set(filter, SCMP_FLTATR_CTL_NNP, 1) != 0 ||
	    seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1) != 0) {
		errno = EINVAL;
		goto fail;
	}
	for (int i = 0; policy->rules[i].syscall != SANDBOX_END; i++) {
		if (i != without && !add_rule(filter, &policy->rules[i])) {
			goto fail;
		}
	}
	result = seccomp_load(filter);
	if (result != 0) {
		errno = result < 0 ? -result : EINVAL;
		goto fail;
	}
	/*
	 * Not released: nothing may be asked of the kernel now but what the policy names, and
	 * free() may ask.
	 */
	return true;
fail:
	result = errno;
	seccomp_release(filter);
	errno = result;
	return false;
}

/* The rule that a test wants to miss; false: nonsense. */
static bool rule_left_out(const struct sandbox_policy *policy, int *without)
{
	const char *text = getenv("REDOUBT_SANDBOX_WITHOUT");
	long number, count = 0;
	char *end;

	*without = NO_RULE;
	if (text == NULL) {
		return true;
	}
	while (policy->rules[count].syscall != SANDBOX_END) {
		count++;
	}
	errno = 0;
	number = strtol(text, &end, 10);
	if (errno != 0 || end == text || *end != '\0' || number < 0 || number >= count) {
		errno = EINVAL;
		return false;
	}
	*without = (int)number;
	return true;
}

bool sandbox_enter(const struct sandbox_policy *policy)
{
	int without;

	if (!rule_left_out(policy, &without)) {
		return false;
	}
	/* A log line into a file beyond RLIMIT_FSIZE is lost; that is no reason to die. */
	if (signal(SIGXFSZ, SIG_IGN) == SIG_ERR) {
		return false;
	}
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0 ||
	    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
		return false;
	}
	if (!set_limits(policy) || !drop_capabilities() || !landlock()) {
		return false;
	}
	/* Older kernels say EINVAL; there the filter alone refuses executable mappings. */
	if (prctl(SANDBOX_SET_MDWE, SANDBOX_MDWE_REFUSE_EXEC_GAIN, 0, 0, 0) != 0 &&
	    errno != EINVAL) {
		return false;
	}
	return load_filter(policy, without);
}
