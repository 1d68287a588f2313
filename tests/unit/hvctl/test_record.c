// SPDX-License-Identifier: MIT
/* hvctl record with a manager and processes that the test plays: the file to the byte, and whatever else may come. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "hv/host/hvctl/manager.h"
#include "hv/host/lib/record.h"

struct file_head { /* docs/recording.md */
	uint32_t size, uid;
	uint64_t ns;
	struct record_head head;
};

static char folder[64], socket_path[80], out_path[80], said_path[80], said[4096];
static struct file_head head;

static int set_up(void **state)
{
	(void)state;
	(void)snprintf(folder, sizeof(folder), "/tmp/hvctl-record-XXXXXX");
	assert_non_null(mkdtemp(folder));
	(void)snprintf(socket_path, sizeof(socket_path), "%s/s", folder);
	(void)snprintf(out_path, sizeof(out_path), "%s/out.rec", folder);
	(void)snprintf(said_path, sizeof(said_path), "%s/said", folder);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	(void)unlink(socket_path);
	(void)unlink(out_path);
	(void)unlink(said_path);
	return rmdir(folder);
}

/* The manager's answer, with the socket's other end. */
static void answer(int to, const char *text, int fd)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control;
	struct iovec v = { (void *)(uintptr_t)text, strlen(text) };
	struct msghdr h = { .msg_iov = &v, .msg_iovlen = 1 };

	memset(&control, 0, sizeof(control));
	if (fd >= 0) {
		h.msg_control = &control;
		h.msg_controllen = sizeof(control.bytes);
		CMSG_FIRSTHDR(&h)->cmsg_level = SOL_SOCKET;
		CMSG_FIRSTHDR(&h)->cmsg_type = SCM_RIGHTS;
		CMSG_FIRSTHDR(&h)->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(CMSG_FIRSTHDR(&h)), &fd, sizeof(fd));
	}
	(void)sendmsg(to, &h, MSG_NOSIGNAL);
}

/* play: what the processes send on `fd`, in a process of its own; its end is the machine's. */
static pid_t manager(const char *text, bool with, void (*play)(int fd))
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int wait = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), pair[2], yes = 1;
	pid_t pid;

	(void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", socket_path);
	(void)unlink(socket_path);
	assert_int_equal(bind(wait, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(wait, 1), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		int fd = accept(wait, NULL, NULL);
		char byte = 0;

		(void)alarm(30);
		while (byte != '\n' && read(fd, &byte, 1) == 1) {
		}
		(void)socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair);
		(void)setsockopt(pair[1], SOL_SOCKET, SO_PASSCRED, &yes, sizeof(yes));
		answer(fd, text, with ? pair[1] : -1);
		(void)close(pair[1]);
		if (play != NULL) {
			play(pair[0]);
		}
		_exit(0);
	}
	(void)close(wait);
	return pid;
}

/* In a process of its own: options and a signal leave marks. What it says is in `said`. */
static int hvctl(const char *a, const char *b, const char *c, const char *d)
{
	const char *argv[] = { "record", "--socket", socket_path, a, b, c, d, NULL };
	int argc = 0, status;
	pid_t pid;
	FILE *f;

	while (argv[argc] != NULL) {
		argc++;
	}
	(void)fflush(NULL);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		int fd = open(said_path, O_WRONLY | O_CREAT | O_TRUNC, 0600), code;

		(void)dup2(fd, STDOUT_FILENO);
		(void)dup2(fd, STDERR_FILENO);
		code = record_run(argc, (char **)(uintptr_t)argv);
		(void)fflush(NULL);
		_exit(code);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	f = fopen(said_path, "r");
	assert_non_null(f);
	said[fread(said, 1, sizeof(said) - 1, f)] = '\0';
	(void)fclose(f);
	return WEXITSTATUS(status);
}

static int recorded(const char *text, bool with, void (*play)(int fd), const char *c, const char *d)
{
	pid_t pid = manager(text, with, play);
	char to[90];
	int code, status;

	(void)snprintf(to, sizeof(to), "--out=%s", out_path);
	code = hvctl("web", to, c, d);
	(void)kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return code;
}

static const char ok[] = "{\"ok\":true}\n";

static void tell(int fd, uint16_t device, uint16_t kind, uint32_t length, const void *bytes,
		 size_t n, uint32_t lost)
{
	const struct record_head h = { device, 3, kind, 7, length, lost };
	struct iovec v[2] = { { (void *)(uintptr_t)&h, sizeof(h) },
			      { (void *)(uintptr_t)bytes, n } };
	struct msghdr m = { .msg_iov = v, .msg_iovlen = 2 };

	(void)sendmsg(fd, &m, MSG_NOSIGNAL);
}

/* --- what is right --- */

static void good(int fd)
{
	static const uint8_t large[RECORD_BYTES_MAX] = { 0x77 };

	tell(fd, RECORD_WORKER, RECORD_MESSAGE, 5, "hello", 5, 0);
	tell(fd, RECORD_NETVSP, RECORD_RNDIS, 9000, large, sizeof(large), 2); /* was cut */
	tell(fd, RECORD_IC, RECORD_POSTED, 0, "", 0, 1);
}

static void next(FILE *f, uint16_t device, uint16_t kind, uint32_t length, uint32_t n)
{
	uint8_t bytes[RECORD_BYTES_MAX];

	assert_int_equal(fread(&head, sizeof(head), 1, f), 1);
	assert_true(head.size == 32 + n && head.uid == getuid() && head.ns < 30000000000u);
	assert_true(head.head.device == device && head.head.index == 3 && head.head.kind == kind);
	assert_true(head.head.unit == 7 && head.head.length == length);
	assert_int_equal(fread(bytes, 1, n, f), n);
	assert_true(n == 0 || bytes[0] == (n == 5 ? 'h' : 0x77));
}

static void test_file(void **state)
{
	char magic[16];
	struct stat s;
	FILE *f;

	(void)state;
	assert_int_equal(sizeof(head), 32);
	assert_int_equal(recorded(ok, true, good, "--json", NULL), EXIT_OK);
	assert_non_null(strstr(said, "\"end\": \"the machine is off\""));
	assert_non_null(strstr(said, "\"bytes\": 8309"));
	assert_non_null(strstr(said, "\"malformed\": 0"));
	assert_non_null(strstr(said, "\"netvsp\": 2")); /* lost */
	assert_int_equal(stat(out_path, &s), 0);
	assert_true((s.st_mode & 07777) == 0600 && s.st_size == 8309);
	f = fopen(out_path, "rb");
	assert_non_null(f);
	assert_int_equal(fread(magic, sizeof(magic), 1, f), 1);
	assert_memory_equal(magic, "RDRECORD\1\0\0\0\0\0\0", 16);
	next(f, RECORD_WORKER, RECORD_MESSAGE, 5, 5);
	next(f, RECORD_NETVSP, RECORD_RNDIS, 9000, RECORD_BYTES_MAX);
	assert_int_equal(head.head.lost, 2);
	next(f, RECORD_IC, RECORD_POSTED, 0, 0);
	assert_int_equal(fgetc(f), EOF);
	(void)fclose(f);
}

/* --- what is none --- */

static void odd(int fd)
{
	static const uint8_t large[RECORD_BYTES_MAX + 1];
	const struct record_head h = { RECORD_WORKER, 0, RECORD_MESSAGE, 0, 0, 0 };

	(void)send(fd, &h, sizeof(h) - 1, MSG_NOSIGNAL);
	tell(fd, 0, RECORD_MESSAGE, 5, "hello", 5, 0);
	tell(fd, RECORD_DEVICES, RECORD_MESSAGE, 5, "hello", 5, 0);
	tell(fd, RECORD_WORKER, 0, 5, "hello", 5, 0);
	tell(fd, RECORD_WORKER, RECORD_KINDS, 5, "hello", 5, 0);
	tell(fd, RECORD_WORKER, RECORD_MESSAGE, 4, "hello", 5, 0); /* more than there was */
	tell(fd, RECORD_WORKER, RECORD_MESSAGE, sizeof(large), large, sizeof(large), 0);
	answer(fd, "a descriptor beside enough bytes", 0);
	tell(fd, RECORD_WORKER, RECORD_MESSAGE, 5, "hello", 5, 0);
}

static void test_malformed(void **state)
{
	struct stat s;

	(void)state;
	assert_int_equal(recorded(ok, true, odd, NULL, NULL), EXIT_OK);
	assert_non_null(
		strstr(said, "1 records, 53 bytes, 0 lost, 8 malformed; the machine is off"));
	assert_int_equal(stat(out_path, &s), 0);
	assert_int_equal(s.st_size, 53);
}

/* --- its ends --- */

static void on_and_on(int fd)
{
	for (;;) {
		tell(fd, RECORD_WORKER, RECORD_MESSAGE, 5, "hello", 5, 0);
		(void)usleep(1000);
	}
}

static void quiet(int fd)
{
	(void)fd;
	(void)pause();
}

static void interrupts(int fd)
{
	tell(fd, RECORD_WORKER, RECORD_MESSAGE, 5, "hello", 5, 0);
	for (struct stat s; stat(out_path, &s) != 0 || s.st_size < 53;) {
		(void)usleep(1000);
	}
	(void)kill(0, SIGINT); /* the group has this process, which ignores it, and hvctl */
	(void)pause();
}

static void test_ends(void **state)
{
	struct stat s;

	(void)state;
	assert_int_equal(recorded(ok, true, on_and_on, "--max-bytes", "100"), EXIT_OK);
	assert_non_null(strstr(said, "the file is full"));
	assert_int_equal(stat(out_path, &s), 0);
	assert_true(s.st_size >= 100 &&
		    s.st_size < 100 + 37); /* the record that reached it is whole */
	assert_int_equal(unlink(out_path), 0);
	assert_int_equal(recorded(ok, true, quiet, "--seconds", "1"), EXIT_OK);
	assert_non_null(strstr(said, "0 records, 16 bytes, 0 lost, 0 malformed; the time is over"));
	assert_int_equal(unlink(out_path), 0);
	(void)setpgid(0, 0);
	(void)signal(SIGINT, SIG_IGN);
	assert_int_equal(recorded(ok, true, interrupts, NULL, NULL), EXIT_OK);
	(void)signal(SIGINT, SIG_DFL);
	assert_non_null(strstr(said, "1 records, 53 bytes, 0 lost, 0 malformed; interrupted"));
}

/* --- refusals --- */

static void test_refused(void **state)
{
	FILE *f;

	(void)state;
	assert_int_equal(recorded("{\"ok\":false,\"error\":\"web: is \\u001b[31m recorded\"}\n",
				  false, NULL, NULL, NULL),
			 EXIT_ERROR);
	assert_non_null(strstr(said, "hvctl: web: is \\x1b[31m recorded"));
	assert_int_equal(access(out_path, F_OK), -1);
	assert_int_equal(recorded(ok, false, NULL, NULL, NULL), EXIT_ERROR);
	assert_non_null(strstr(said, "no socket"));
	assert_int_equal(access(out_path, F_OK), -1);
	f = fopen(out_path, "w");
	assert_non_null(f);
	assert_true(fputs("mine", f) >= 0);
	(void)fclose(f);
	assert_int_equal(recorded(ok, true, good, NULL, NULL), EXIT_ERROR);
	assert_non_null(strstr(said, "File exists: name a new file"));
	f = fopen(out_path, "r");
	assert_non_null(f);
	assert_int_equal(fread(said, 1, 5, f), 4);
	assert_memory_equal(said, "mine", 4);
	(void)fclose(f);
}

static void test_usage(void **state)
{
	static const char *const wrong[][4] = {
		{ NULL },
		{ "--out=x" },
		{ "web" },
		{ "web", "more", "--out=x" },
		{ "web", "--out=x", "--seconds=0" },
		{ "web", "--out=x", "--seconds=86401" },
		{ "web", "--out=x", "--seconds=-1" },
		{ "web", "--out=x", "--seconds=1s" },
		{ "web", "--out=x", "--seconds=" },
		{ "web", "--out=x", "--max-bytes=1099511627777" },
		{ "web", "--out=x", "--max-bytes=99999999999999999999" },
		{ "web", "--out=x", "--nonsense" },
		{ "web", "--out" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		assert_int_equal(hvctl(wrong[i][0], wrong[i][1], wrong[i][2], wrong[i][3]),
				 EXIT_USAGE);
		assert_non_null(strstr(said, "see hvctl record --help"));
	}
	assert_int_equal(hvctl("--help", NULL, NULL, NULL), EXIT_OK);
	assert_non_null(strstr(said, "usage: hvctl record NAME --out FILE"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_file),    TEST(test_malformed), TEST(test_ends),
		TEST(test_refused), TEST(test_usage),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
