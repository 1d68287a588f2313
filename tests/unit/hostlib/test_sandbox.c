// SPDX-License-Identifier: MIT
/*
 * The sandbox, from inside: each test forks, enters, does something, and the parent looks at how it ended.
 */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "mitigations/sandbox/sandbox.h"

#define ENTERED 40 /* exit status: all went well */
#define REFUSED 50 /* + errno: sandbox_enter did not succeed */

#define ANY(name)                         \
	{                                 \
		__NR_##name, -1, 0, 0, "" \
	}
#define LAST                                \
	{                                   \
		SANDBOX_END, -1, 0, 0, NULL \
	}

/* Enters and does; the wait status of it. */
static int run(const struct sandbox_rule *rules, const char *without, void (*act)(void))
{
	struct sandbox_policy policy = { "test", rules };
	int status = 0;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		if (without != NULL) {
			(void)setenv("REDOUBT_SANDBOX_WITHOUT", without, 1);
		}
		if (!sandbox_enter(&policy)) {
			_exit(REFUSED + errno);
		}
		act();
		/* Not _exit: a sanitizer's has more to do than one system call. */
		(void)syscall(__NR_exit_group, ENTERED);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static void assert_passes(int status)
{
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), ENTERED);
}

static void assert_killed(int status)
{
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGSYS);
}

static void assert_refused(int status, int error)
{
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), REFUSED + error);
}

static void act_nothing(void)
{
}

static void act_getpid(void)
{
	(void)syscall(__NR_getpid);
}

static void act_getuid(void)
{
	(void)syscall(__NR_getuid);
}

static void act_unknown(void)
{
	(void)syscall(4000);
}

/* ---- the list ---- */

static void test_allowed(void **state)
{
	static const struct sandbox_rule rules[] = { ANY(getpid), ANY(exit_group), LAST };

	(void)state;
	assert_passes(run(rules, NULL, act_nothing));
	assert_passes(run(rules, NULL, act_getpid));
}

static void act_openat(void)
{
	(void)syscall(__NR_openat, -100, "/etc/passwd", 0);
}

static void act_socket(void)
{
	(void)syscall(__NR_socket, 1, 1, 0);
}

static void act_execve(void)
{
	char *argv[] = { (char *)(uintptr_t) "/bin/true", NULL };

	(void)syscall(__NR_execve, argv[0], argv, NULL);
}

static void act_fork(void)
{
	(void)syscall(__NR_fork);
}

static void act_ptrace(void)
{
	(void)syscall(__NR_ptrace, 0, 0, 0, 0);
}

static void act_io_uring_setup(void)
{
	(void)syscall(__NR_io_uring_setup, 1, NULL);
}

static void act_prctl(void)
{
	(void)syscall(__NR_prctl, PR_GET_DUMPABLE, 0, 0, 0, 0);
}

static void test_forbidden(void **state)
{
	static const struct sandbox_rule rules[] = { ANY(getpid), ANY(exit_group), LAST };
	static void (*const acts[])(void) = { act_getuid, act_unknown, act_openat,
					      act_socket, act_execve,  act_fork,
					      act_ptrace, act_prctl,   act_io_uring_setup };

	(void)state;
	for (size_t i = 0; i < sizeof(acts) / sizeof(acts[0]); i++) {
		assert_killed(run(rules, NULL, acts[i]));
	}
}

/* The 32-bit entry and the x32 numbers are other doors to the same calls. */
static void act_int80(void)
{
	long result = 20; /* getpid */

	__asm__ volatile("int $0x80" : "+a"(result) : : "memory", "r8", "r9", "r10", "r11");
}

static void act_x32(void)
{
	(void)syscall(0x40000000 + __NR_getpid);
}

static void test_other_doors(void **state)
{
	static const struct sandbox_rule rules[] = { ANY(getpid), ANY(exit_group), LAST };
	int status = run(rules, NULL, act_int80);

	(void)state;
	/* A kernel without the 32-bit entry says SIGSEGV. */
	assert_true(WIFSIGNALED(status));
	assert_true(WTERMSIG(status) == SIGSYS || WTERMSIG(status) == SIGSEGV);
	assert_killed(run(rules, NULL, act_x32));
}

/* ---- each rule is needed: without it the process that needs it dies ---- */

static void act_write(void)
{
	(void)syscall(__NR_write, 1, "", 0);
}

static void act_read(void)
{
	(void)syscall(__NR_read, -1, NULL, 0);
}

static void act_pread(void)
{
	(void)syscall(__NR_pread64, -1, NULL, 0, 0);
}

static void act_ioctl(void)
{
	(void)syscall(__NR_ioctl, -1, TIOCGWINSZ, 0);
}

static void act_mmap(void)
{
	if (mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) ==
	    MAP_FAILED) {
		_exit(1);
	}
}

static void test_without_each(void **state)
{
	static const struct sandbox_rule rules[] = {
		ANY(getpid), ANY(getuid),     ANY(write),
		ANY(read),   ANY(pread64),    { __NR_ioctl, 1, TIOCGWINSZ, 0, "" },
		ANY(mmap),   ANY(exit_group), LAST,
	};
	static void (*const acts[])(void) = { act_getpid, act_getuid, act_write, act_read,
					      act_pread,  act_ioctl,  act_mmap,  act_nothing };
	size_t count = sizeof(acts) / sizeof(acts[0]);

	(void)state;
	for (size_t i = 0; i < count; i++) {
		char number[8];

		(void)snprintf(number, sizeof(number), "%zu", i);
		assert_passes(run(rules, NULL, acts[i]));
		assert_killed(run(rules, number, acts[i]));
		/* And only that: another act still passes, but where its end is forbidden. */
		if (i + 1 < count) {
			assert_passes(run(rules, number, acts[(i + 1) % (count - 1)]));
		}
	}
}

static void test_without_nonsense(void **state)
{
	static const struct sandbox_rule rules[] = { ANY(getpid), ANY(exit_group), LAST };
	static const char *const texts[] = { "", "x", "2", "-1", "0x", "99999999999999999999" };

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		assert_refused(run(rules, texts[i], act_nothing), EINVAL);
	}
}

/* ---- arguments ---- */

static void act_ioctl_other(void)
{
	(void)syscall(__NR_ioctl, -1, TIOCSTI, 0);
}

/* The same low half: the whole register is compared. */
static void act_ioctl_high(void)
{
	(void)syscall(__NR_ioctl, -1, TIOCGWINSZ | 1ull << 32, 0);
}

static void act_lseek_even(void)
{
	(void)syscall(__NR_lseek, -1, 6, 0);
}

static void act_lseek_odd(void)
{
	(void)syscall(__NR_lseek, -1, 7, 0);
}

static void test_arguments(void **state)
{
	static const struct sandbox_rule rules[] = {
		{ __NR_ioctl, 1, TIOCGWINSZ, 0, "" },
		{ __NR_ioctl, 1, TIOCSWINSZ, 0, "" },
		{ __NR_lseek, 1, 0, 1, "" },
		ANY(exit_group),
		LAST,
	};

	(void)state;
	assert_passes(run(rules, NULL, act_ioctl));
	assert_killed(run(rules, NULL, act_ioctl_other));
	assert_killed(run(rules, NULL, act_ioctl_high));
	assert_passes(run(rules, NULL, act_lseek_even));
	assert_killed(run(rules, NULL, act_lseek_odd));
}

/* ---- nothing becomes executable ---- */

static void act_mmap_exec(void)
{
	(void)syscall(__NR_mmap, NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		      0);
}

static void act_mprotect_exec(void)
{
	(void)syscall(__NR_mprotect, (uintptr_t)&act_mprotect_exec & ~4095ul, 4096,
		      PROT_READ | PROT_EXEC);
}

static void act_pkey_exec(void)
{
	(void)syscall(__NR_pkey_mprotect, (uintptr_t)&act_pkey_exec & ~4095ul, 4096, PROT_EXEC, -1);
}

static void test_executable(void **state)
{
	static const struct sandbox_rule any[] = { ANY(mmap), ANY(mprotect), ANY(pkey_mprotect),
						   ANY(exit_group), LAST };
	/* A rule about another argument, and about the same one under a mask. */
	static const struct sandbox_rule flags[] = {
		{ __NR_mmap, 3, MAP_PRIVATE | MAP_ANONYMOUS, 0, "" },
		{ __NR_mprotect, 2, PROT_READ, PROT_READ, "" },
		ANY(exit_group),
		LAST,
	};

	(void)state;
	assert_passes(run(any, NULL, act_mmap));
	assert_killed(run(any, NULL, act_mmap_exec));
	assert_killed(run(any, NULL, act_mprotect_exec));
	assert_killed(run(any, NULL, act_pkey_exec));
	assert_passes(run(flags, NULL, act_mmap));
	assert_killed(run(flags, NULL, act_mmap_exec));
	assert_killed(run(flags, NULL, act_mprotect_exec));
}

/* ---- policies that are mistakes ---- */

static void test_bad_policies(void **state)
{
	static const struct sandbox_rule bad[][3] = {
		{ ANY(exit_group), ANY(execve), LAST },
		{ ANY(exit_group), ANY(openat), LAST },
		{ ANY(exit_group), ANY(ptrace), LAST },
		{ ANY(exit_group), ANY(fork), LAST },
		{ ANY(exit_group), { __NR_mmap, 2, PROT_READ | PROT_EXEC, 0, "" }, LAST },
		{ ANY(exit_group), { __NR_lseek, 6, 0, 0, "" }, LAST },
		{ ANY(exit_group), { __NR_lseek, 1, 2, 1, "" }, LAST },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_refused(run(bad[i], NULL, act_nothing), EINVAL);
	}
}

/* ---- what the kernel says of a process inside ---- */

static void read_proc(pid_t pid, const char *name, char *to, size_t room)
{
	char path[64];
	FILE *file;

	(void)snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
	file = fopen(path, "r");
	assert_non_null(file);
	to[fread(to, 1, room - 1, file)] = '\0';
	(void)fclose(file);
}

static void assert_line(const char *text, const char *line)
{
	if (strstr(text, line) == NULL) {
		fail_msg("missing: %s", line);
	}
}

static void assert_limit(const char *text, const char *name, const char *value)
{
	const char *line = strstr(text, name);
	char soft[32], hard[32];

	assert_non_null(line);
	assert_int_equal(sscanf(line + 26, "%31s %31s", soft, hard), 2);
	assert_string_equal(soft, value);
	assert_string_equal(hard, value);
}

/* Starts a process that says that it is inside and waits to be killed. */
static pid_t inside(const struct sandbox_rule *rules)
{
	struct sandbox_policy policy = { "test", rules };
	int ready[2];
	char byte;
	pid_t pid;

	assert_int_equal(pipe(ready), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		if (!sandbox_enter(&policy)) {
			_exit(1);
		}
		(void)syscall(__NR_write, ready[1], "x", 1);
		(void)syscall(__NR_pause);
		_exit(1);
	}
	(void)close(ready[1]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	(void)close(ready[0]);
	return pid;
}

static void finish(pid_t pid)
{
	int status;

	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
}

static void test_facts(void **state)
{
	static const struct sandbox_rule rules[] = { ANY(write), ANY(pause), LAST };
	char text[8192];
	pid_t pid = inside(rules);

	(void)state;
	read_proc(pid, "status", text, sizeof(text));
	assert_line(text, "NoNewPrivs:\t1\n");
	assert_line(text, "Seccomp:\t2\n");
	assert_line(text, "CapInh:\t0000000000000000\n");
	assert_line(text, "CapPrm:\t0000000000000000\n");
	assert_line(text, "CapEff:\t0000000000000000\n");
	assert_line(text, "CapAmb:\t0000000000000000\n");
	if (geteuid() == 0) {
		assert_line(text, "CapBnd:\t0000000000000000\n");
	}
	read_proc(pid, "limits", text, sizeof(text));
	assert_limit(text, "Max core file size", "0");
	assert_limit(text, "Max processes", "0");
	assert_limit(text, "Max file size", "0");
	assert_limit(text, "Max open files", "256");
	finish(pid);
}

/* Who may write a file at an offset may make it larger; who has an io_uring needs its threads. */
static void test_limits_by_policy(void **state)
{
	static const struct sandbox_rule writer[] = { ANY(write), ANY(pwrite64), ANY(pause), LAST };
	static const struct sandbox_rule ring[] = { ANY(write), ANY(io_uring_enter), ANY(pause),
						    LAST };
	char text[8192];
	pid_t pid = inside(writer);

	(void)state;
	read_proc(pid, "limits", text, sizeof(text));
	assert_limit(text, "Max file size", "unlimited");
	assert_limit(text, "Max processes", "0");
	finish(pid);
	pid = inside(ring);
	read_proc(pid, "limits", text, sizeof(text));
	assert_limit(text, "Max file size", "unlimited");
	assert_limit(text, "Max processes", "32");
	finish(pid);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_allowed),
		cmocka_unit_test(test_forbidden),
		cmocka_unit_test(test_other_doors),
		cmocka_unit_test(test_without_each),
		cmocka_unit_test(test_without_nonsense),
		cmocka_unit_test(test_arguments),
		cmocka_unit_test(test_executable),
		cmocka_unit_test(test_bad_policies),
		cmocka_unit_test(test_facts),
		cmocka_unit_test(test_limits_by_policy),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
