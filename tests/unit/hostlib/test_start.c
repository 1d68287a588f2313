/* SPDX-License-Identifier: MIT */
/*
 * How a process starts, each in a child of its own: arguments, the first message, the memory, what is written. (start_done is in
 * the system tests: a sandbox does not fit around the sanitizers.)
 */
#include "tests/unit/hostlib/hostlib_test.h"

#include <sys/mman.h>
#include <sys/wait.h>

#include "hv/host/lib/start.h"

static char said[4096]; /* by the child, on standard output and error */

/* Runs a child with `control` as its descriptor 3 (-1: none); answers its exit status. */
static int run(void (*child)(void), int control)
{
	int ends[2], status;
	size_t n = 0;
	ssize_t more;
	pid_t pid;

	assert_int_equal(pipe(ends), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		dup2(ends[1], 1);
		dup2(ends[1], 2);
		control = control < 0 ? -1 : fcntl(control, F_DUPFD, 20);
		for (int i = 3; i < 20; i++) {
			close(i);
		}
		if (control >= 0) {
			dup2(control, IPC_CONTROL_FD);
		}
		child();
		_exit(0);
	}
	close(ends[1]);
	while ((more = read(ends[0], said + n, sizeof(said) - 1 - n)) > 0) {
		n += (size_t)more;
	}
	said[n] = 0;
	close(ends[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void arguments(const char *word)
{
	char *argv[] = { (char *)(uintptr_t) "x", (char *)(uintptr_t)word, NULL };

	start_arguments(word == NULL ? 1 : 2, argv, "storvsp",
			"Serves the disks of a virtual machine.");
}

static void no_argument(void)
{
	arguments(NULL);
}

static void help(void)
{
	arguments("--help");
}

static void version(void)
{
	arguments("--version");
}

static void unknown(void)
{
	arguments("--disk\n\033[2J");
}

static void test_arguments(void **state)
{
	int ends[2], other[2];

	(void)state;
	pair(SOCK_SEQPACKET, ends);
	pair(SOCK_STREAM, other);
	assert_int_equal(run(help, -1), 0);
	assert_non_null(strstr(said, "usage: storvsp\n"));
	assert_non_null(strstr(said, "Serves the disks"));
	assert_int_equal(run(version, -1), 0);
	assert_ptr_equal(strstr(said, "storvsp (Redoubt) "), said);
	assert_int_equal(run(unknown, ends[0]), 2);
	assert_string_equal(said, "storvsp: unexpected argument --disk??[2J: see storvsp --help\n");
	assert_int_equal(run(no_argument, -1), 2);
	assert_int_equal(run(no_argument, other[0]),
			 2); /* a socket, but not of the manager's kind */
	assert_non_null(strstr(said, "vmmgr"));
	assert_int_equal(run(no_argument, ends[0]), 0);
	assert_string_equal(said, "");
	close(ends[0]);
	close(ends[1]);
	close(other[0]);
	close(other[1]);
}

static void configure(void)
{
	struct ipc_message *m = start_config(PM_CONFIG_IC);

	start_log("%u descriptors, %llu bytes", m->fd_count,
		  (unsigned long long)m->ic.memory_bytes);
	free(m);
}

static int configured(const void *bytes, size_t size, int fd, unsigned fds)
{
	int ends[2], status;

	pair(SOCK_SEQPACKET, ends);
	if (bytes != NULL) {
		send_raw(ends[0], bytes, size, fd, fds);
	}
	close(ends[0]);
	status = run(configure, ends[1]);
	close(ends[1]);
	return status;
}

static void test_config(void **state)
{
	struct pm_config_ic c = { { PM_CONFIG_IC, sizeof(c) }, 8192, 0, 0 };
	struct pm_link other = { { PM_LINK, sizeof(other) }, 0, 0 };

	(void)state;
	assert_int_equal(configured(&c, sizeof(c), 0, 2), 0);
	assert_string_equal(said, "redoubt: 2 descriptors, 8192 bytes\n");
	assert_int_equal(configured(NULL, 0, -1, 0), 1); /* the manager is gone */
	assert_non_null(strstr(said, "gone"));
	assert_int_equal(configured(&other, sizeof(other), -1, 0), 1);
	assert_non_null(strstr(said, "type 12 instead of 4"));
	assert_int_equal(configured(&c, sizeof(c), 0, 1), 1);
	assert_non_null(strstr(said, "malformed: number of descriptors"));
}

static int memory_fd;

static void map(void)
{
	struct gmem m;

	start_map_memory(&m, memory_fd, 8192);
	if (m.size != 8192 || m.base[4096] != 'r' || fcntl(memory_fd, F_GETFD) >= 0) {
		start_fail("wrong memory");
	}
	m.base[4097] = 's';
}

static void map_nothing(void)
{
	struct gmem m;

	start_map_memory(&m, -1, 8192);
}

static void test_memory(void **state)
{
	int fd = memfd_create("memory", 0);
	char byte = 'r';

	(void)state;
	memory_fd = fcntl(fd, F_DUPFD, 30);
	assert_int_equal(ftruncate(fd, 8192), 0);
	assert_int_equal(pwrite(fd, &byte, 1, 4096), 1);
	assert_int_equal(run(map, -1), 0);
	assert_int_equal(pread(fd, &byte, 1, 4097), 1);
	assert_int_equal(byte, 's'); /* shared, not a copy */
	assert_int_equal(run(map_nothing, -1), 1);
	assert_non_null(strstr(said, "guest memory (8192 bytes)"));
	close(fd);
	close(memory_fd);
}

static void long_line(void)
{
	char text[2000];

	memset(text, 'a', sizeof(text) - 1);
	text[sizeof(text) - 1] = 0;
	text[100] = '\r';
	start_log("%s", text);
	start_log("an end\n");
	start_fail("%s", "");
}

static void test_log(void **state)
{
	(void)state;
	assert_int_equal(run(long_line, -1), 1);
	assert_int_equal(said[510], '\n'); /* cut, and still a line */
	assert_int_equal(said[109], '?');
	assert_string_equal(said + 511, "redoubt: an end\nredoubt: \n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_arguments),
		cmocka_unit_test(test_config),
		cmocka_unit_test(test_memory),
		cmocka_unit_test(test_log),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
