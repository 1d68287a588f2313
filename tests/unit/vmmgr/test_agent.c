// SPDX-License-Identifier: MIT
/* What the manager asks of attestd for a guest: every byte of it, and nothing can be added to it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "hv/host/vmmgr/agent.h"

static char path[64];
static int listener;

static int setup(void **state)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	(void)state;
	(void)snprintf(path, sizeof(path), "/tmp/redoubt-test-agent.%d", (int)getpid());
	(void)unlink(path);
	memcpy(address.sun_path, path, strlen(path) + 1);
	listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(listener, 0), 0);
	agent_socket(path);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	(void)close(listener);
	(void)unlink(path);
	return 0;
}

static void test_request(void **state)
{
	struct pm_report_wanted m = { .nonce_size = 16 };
	enum pm_report_error error = PM_REPORT_BUSY;
	char got[600] = "";
	int fd, client;
	ssize_t n;

	(void)state;
	for (unsigned int i = 0; i < 16; i++) {
		m.nonce[i] = (uint8_t)(0xf0 + i);
	}
	fd = agent_ask(7, &m, &error);
	assert_true(fd >= 0);
	assert_int_equal(error, PM_REPORT_GOOD);
	client = accept(listener, NULL, NULL);
	assert_true(client >= 0);
	n = recv(client, got, sizeof(got) - 1, 0);
	assert_true(n > 0);
	assert_string_equal(
		got, "POST /v1/report HTTP/1.1\r\nHost: attestd\r\nContent-Length: 61\r\n\r\n"
		     "{\"partition\": 7, \"nonce\": \"f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff\"}");
	/* Whoever is handed the descriptor can read and no more. */
	assert_int_equal(recv(client, got, sizeof(got), MSG_DONTWAIT), 0);
	errno = 0;
	assert_int_equal(send(fd, "x", 1, MSG_NOSIGNAL), -1);
	assert_int_equal(errno, EPIPE);
	assert_int_equal(send(client, "answer", 6, 0), 6);
	assert_int_equal(recv(fd, got, sizeof(got), 0), 6);
	(void)close(client);
	(void)close(fd);
}

static void test_largest(void **state)
{
	struct pm_report_wanted m = { .nonce_size = 64 };
	enum pm_report_error error;
	char got[600] = "", *body;
	int fd = agent_ask(UINT64_MAX, &m, &error), client = accept(listener, NULL, NULL);

	(void)state;
	assert_true(fd >= 0 && client >= 0);
	assert_true(recv(client, got, sizeof(got) - 1, 0) > 0);
	body = strstr(got, "\r\n\r\n") + 4;
	assert_int_equal(strlen(body), strtoul(strstr(got, "Length: ") + 8, NULL, 10));
	assert_string_equal(body + strlen(body) - 4, "00\"}");
	(void)close(client);
	(void)close(fd);
}

static void test_no_agent(void **state)
{
	struct pm_report_wanted m = { .nonce_size = 16 };
	enum pm_report_error error = PM_REPORT_GOOD;

	(void)state;
	agent_socket("/nonexistent/attestd.sock");
	assert_int_equal(agent_ask(7, &m, &error), -1);
	assert_int_equal(error, PM_REPORT_NO_AGENT);
}

/* As many wait as it lets wait: the manager does not. */
static void test_busy(void **state)
{
	struct pm_report_wanted m = { .nonce_size = 16 };
	enum pm_report_error error = PM_REPORT_GOOD;
	int fd[8], n = 0;

	(void)state;
	while (n < 8 && (fd[n] = agent_ask(7, &m, &error)) >= 0) {
		n++;
	}
	assert_in_range(n, 1, 7);
	assert_int_equal(error, PM_REPORT_BUSY);
	while (n > 0) {
		(void)close(fd[--n]);
	}
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_request),
		TEST(test_largest),
		TEST(test_no_agent),
		TEST(test_busy),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
