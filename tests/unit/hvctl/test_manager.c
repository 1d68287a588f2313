// SPDX-License-Identifier: MIT
/* hvctl and a manager that answers well, badly, in pieces, or not at all. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "hv/host/hvctl/manager.h"

static char path[64];

/* With so many descriptors beside the first byte. */
static void send_part(int fd, const char *text, size_t size, int count)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(8 * sizeof(int))];
	} control;
	struct iovec v = { (void *)(uintptr_t)text, size };
	struct msghdr h = { .msg_iov = &v, .msg_iovlen = 1 };
	size_t bytes = (size_t)count * sizeof(int);

	if (count != 0) {
		struct cmsghdr *c;
		int fds[8];

		for (int i = 0; i < 8; i++) {
			fds[i] = 1;
		}
		memset(&control, 0, sizeof(control));
		h.msg_control = &control;
		h.msg_controllen = CMSG_SPACE(bytes);
		c = CMSG_FIRSTHDR(&h);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(bytes);
		memcpy(CMSG_DATA(c), fds, bytes);
	}
	(void)sendmsg(fd, &h, MSG_NOSIGNAL);
}

/* One connection: reads a line, answers in pieces of so many bytes. */
static pid_t serve(const char *answer, size_t size, size_t piece, int fds)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	pid_t pid;

	(void)snprintf(path, sizeof(path), "/tmp/hvctl-test-%d.sock", (int)getpid());
	(void)unlink(path);
	(void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(listener, 1), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		int fd = accept(listener, NULL, NULL);
		char byte = 0;

		while (byte != '\n' && read(fd, &byte, 1) == 1) {
		}
		for (size_t at = 0; at < size; at += piece) {
			send_part(fd, answer + at, piece < size - at ? piece : size - at,
				  at == 0 ? fds : 0);
		}
		_exit(0);
	}
	(void)close(listener);
	return pid;
}

static int open_files(void)
{
	int count = 0;

	for (int fd = 0; fd < 256; fd++) {
		count += fcntl(fd, F_GETFD) >= 0;
	}
	return count;
}

static bool ask(const char *answer, size_t size, size_t piece, int fds, struct manager_answer *a)
{
	pid_t pid = serve(answer, size, piece, fds);
	json_t *request = json_pack("{s:s}", "verb", "list");
	bool good = manager_ask(path, request, a);
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	(void)unlink(path);
	return good;
}

static void test_good(void **state)
{
	static const char text[] = "{\"ok\":true,\"name\":\"a\"}\n";
	size_t size = strlen(text);
	int before = open_files();
	struct manager_answer a;

	(void)state;
	for (size_t piece = 1; piece <= size; piece += 7) {
		assert_true(ask(text, size, piece, 0, &a));
		assert_true(a.ok);
		assert_string_equal(json_string_value(json_object_get(a.object, "name")), "a");
		assert_int_equal(a.fd[0], -1);
		manager_drop(&a);
	}
	assert_int_equal(open_files(), before);
}

static void test_descriptors(void **state)
{
	static const char text[] = "{\"ok\":true}\n";
	int before = open_files();
	struct manager_answer a;

	(void)state;
	assert_true(ask(text, strlen(text), 5, 2, &a));
	assert_true(a.fd[0] >= 0 && a.fd[1] >= 0 && a.fd[0] != a.fd[1]);
	assert_int_equal(fcntl(a.fd[0], F_GETFD), FD_CLOEXEC);
	assert_int_equal(open_files(), before + 2);
	manager_drop(&a);
	assert_int_equal(open_files(), before);
	/* More than it may send: none of them stays. */
	assert_true(ask(text, strlen(text), 5, 7, &a));
	assert_true(open_files() <= before + 2);
	manager_drop(&a);
	assert_int_equal(open_files(), before);
}

static void test_not_ok(void **state)
{
	static const char *const texts[] = { "{\"ok\":false,\"error\":\"x\"}\n", "{}\n",
					     "{\"ok\":1}\n", "{\"ok\":\"true\"}\n" };
	struct manager_answer a;

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		assert_true(ask(texts[i], strlen(texts[i]), 100, 0, &a));
		assert_false(a.ok);
		manager_drop(&a);
	}
}

static void test_bad(void **state)
{
	static const char *const texts[] = { "",
					     "{\"ok\":true}",
					     "\n",
					     "[]\n",
					     "x\n",
					     "{\"ok\":true,\"ok\":true}\n",
					     "{\"ok\":true\n" };
	int before = open_files();
	struct manager_answer a;

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		assert_false(ask(texts[i], strlen(texts[i]), 100, 2, &a));
		assert_null(a.object);
	}
	assert_int_equal(open_files(), before);
}

/* An answer without end is given up. */
static void test_endless(void **state)
{
	size_t size = 9u << 20;
	char *text = malloc(size);
	struct manager_answer a;

	(void)state;
	assert_non_null(text);
	memset(text, ' ', size);
	assert_false(ask(text, size, 1u << 16, 0, &a));
	free(text);
}

static void test_nobody(void **state)
{
	struct manager_answer a;
	char name[200];

	(void)state;
	assert_false(manager_ask("/nonexistent/socket", json_object(), &a));
	assert_false(manager_ask("/etc/passwd", json_object(), &a));
	memset(name, 'x', sizeof(name));
	name[sizeof(name) - 1] = '\0';
	assert_false(manager_ask(name, json_object(), &a));
	assert_false(manager_ask("/nonexistent/socket", NULL, &a));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),    cmocka_unit_test(test_descriptors),
		cmocka_unit_test(test_not_ok),  cmocka_unit_test(test_bad),
		cmocka_unit_test(test_endless), cmocka_unit_test(test_nobody),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
