/* SPDX-License-Identifier: MIT */
/* Messages over real sockets: what is sent arrives, what is malformed does not, and no descriptor is ever left open. */
#include "tests/unit/hostlib/hostlib_test.h"

#include <sys/stat.h>

#include "hv/host/lib/ipc.h"

static struct ipc_message m;
static int ends[2];
static unsigned before;

static int setup(void **state)
{
	(void)state;
	memset(&m, 0, sizeof(m));
	before = open_descriptors();
	pair(SOCK_SEQPACKET, ends);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	close(ends[0]);
	close(ends[1]);
	ipc_drop_fds(&m);
	return open_descriptors() == before ? 0 : -1;
}

static bool same_file(int a, int b)
{
	struct stat x, y;

	return fstat(a, &x) == 0 && fstat(b, &y) == 0 && x.st_dev == y.st_dev &&
	       x.st_ino == y.st_ino;
}

static void test_message(void **state)
{
	struct pm_link link = { .up = 1 };

	(void)state;
	assert_int_equal(ipc_receive(ends[1], &m), -1);
	assert_int_equal(errno, EAGAIN);
	assert_int_equal(ipc_send(ends[0], PM_LINK, &link, sizeof(link), NULL, 0), 0);
	assert_int_equal(ipc_receive(ends[1], &m), 1);
	assert_int_equal(m.type, PM_LINK);
	assert_int_equal(m.size, sizeof(link));
	assert_int_equal(m.link.up, 1);
	assert_int_equal(m.fd_count, 0);
	assert_int_equal(ipc_receive(ends[1], &m), -1);
	assert_int_equal(errno, EAGAIN);
	assert_int_equal(m.type, PM_NONE);
}

static void test_largest(void **state)
{
	static struct ipc_message big;

	(void)state;
	big.gpadl.pages = PM_GPADL_PAGES_MAX;
	big.gpadl.length = PM_GPADL_PAGES_MAX * 4096u;
	for (uint32_t i = 0; i < PM_GPADL_PAGES_MAX; i++) {
		big.gpadl.pfn[i] = i * 3;
	}
	assert_int_equal(ipc_send(ends[0], PM_GPADL, &big.gpadl, PM_BYTES_MAX, NULL, 0), 0);
	assert_int_equal(ipc_receive(ends[1], &m), 1);
	assert_int_equal(m.size, PM_BYTES_MAX);
	assert_memory_equal(m.bytes, big.bytes, PM_BYTES_MAX);
	assert_int_equal(ipc_send(ends[0], PM_GPADL, &big.gpadl, PM_BYTES_MAX + 1, NULL, 0), -1);
	assert_int_equal(errno, EINVAL);
}

static void test_descriptors(void **state)
{
	struct pm_config_console c = { 0 };
	int pipes[2], fds[3], taken;

	(void)state;
	assert_int_equal(pipe(pipes), 0);
	fds[0] = pipes[0];
	fds[1] = ends[0];
	fds[2] = pipes[1];
	assert_int_equal(ipc_send(ends[0], PM_CONFIG_CONSOLE, &c, sizeof(c), fds, 3), 0);
	assert_int_equal(ipc_receive(ends[1], &m), 1);
	assert_int_equal(m.fd_count, 3);
	assert_true(same_file(m.fds[0], pipes[0]));
	assert_true(same_file(m.fds[1], ends[0]));
	for (int i = 0; i < 3; i++) {
		assert_int_equal(fcntl(m.fds[i], F_GETFD), FD_CLOEXEC);
	}
	taken = ipc_take_fd(&m, 2);
	assert_true(taken >= 0 && same_file(taken, pipes[1]));
	assert_int_equal(ipc_take_fd(&m, 2), -1);
	assert_int_equal(ipc_take_fd(&m, 3), -1);
	assert_int_equal(ipc_take_fd(&m, UINT32_MAX), -1);
	/* The next message drops what was not taken, and only that. */
	assert_int_equal(ipc_receive(ends[1], &m), -1);
	assert_int_equal(open_descriptors(), before + 2 + 2 + 1);
	assert_true(fcntl(taken, F_GETFD) >= 0);
	close(taken);
	close(pipes[0]);
	close(pipes[1]);
}

static void receive_bad(void)
{
	assert_int_equal(ipc_receive(ends[1], &m), -1);
	assert_int_equal(errno, EBADMSG);
	assert_non_null(m.why);
	assert_int_equal(m.type, PM_NONE);
	assert_int_equal(m.fd_count, 0);
	assert_int_equal(open_descriptors(), before + 2);
}

static void test_malformed(void **state)
{
	static uint8_t big[PM_BYTES_MAX + 1] __attribute__((aligned(8)));
	struct pm_gpadl *g = (struct pm_gpadl *)(void *)big;
	struct pm_link link = { { PM_LINK, sizeof(link) }, 1, 0 };
	struct pm_device_again again = { .socket = 1 };

	(void)state;
	send_raw(ends[0], &link, sizeof(link) - 1, -1, 0);
	receive_bad();
	send_raw(ends[0], &link, 1, -1, 0);
	receive_bad();
	link.reserved = 1;
	send_raw(ends[0], &link, sizeof(link), -1, 0);
	receive_bad();
	link.reserved = 0;
	send_raw(ends[0], &link, sizeof(link), ends[0], 1); /* a descriptor too many */
	receive_bad();
	send_raw(ends[0], &link, sizeof(link), ends[0], PM_FDS_MAX);
	receive_bad();
	send_raw(ends[0], &link, sizeof(link), ends[0],
		 PM_FDS_MAX + 1); /* more than we have room for */
	receive_bad();
	send_raw(ends[0], &link, sizeof(link), ends[0], 253);
	receive_bad();
	assert_int_equal(ipc_send(ends[0], PM_DEVICE_AGAIN, &again, sizeof(again), NULL, 0), 0);
	receive_bad();
	send_raw(ends[0], big, sizeof(big), -1, 0); /* cut off by the receiver's buffer */
	receive_bad();
	send_raw(ends[0], big, sizeof(big), ends[0], 3);
	receive_bad();
	g->header.type = PM_GPADL; /* all but the last byte would be good */
	g->header.size = PM_BYTES_MAX;
	g->pages = PM_GPADL_PAGES_MAX;
	g->length = PM_GPADL_PAGES_MAX * 4096u;
	send_raw(ends[0], big, sizeof(big), -1, 0);
	receive_bad();
	send_raw(ends[0], big, sizeof(big) - 1, -1, 0);
	assert_int_equal(ipc_receive(ends[1], &m), 1);
	/* The next good one is not harmed. */
	send_raw(ends[0], &link, sizeof(link), -1, 0);
	assert_int_equal(ipc_receive(ends[1], &m), 1);
	assert_int_equal(m.link.up, 1);
}

static void test_gone(void **state)
{
	struct pm_link link = { .up = 1 };
	int other[2];

	(void)state;
	assert_int_equal(ipc_send(ends[0], PM_LINK, &link, sizeof(link), NULL, 0), 0);
	close(ends[0]);
	assert_int_equal(ipc_receive(ends[1], &m), 1); /* what was sent still arrives */
	assert_int_equal(ipc_receive(ends[1], &m), 0);
	assert_int_equal(ipc_send(ends[1], PM_LINK, &link, sizeof(link), NULL, 0), -1);
	assert_int_equal(errno, EPIPE);
	/* An empty datagram ends it, too, and leaves nothing. */
	pair(SOCK_SEQPACKET, other);
	send_raw(other[0], "", 0, ends[1], 2);
	assert_int_equal(ipc_receive(other[1], &m), 0);
	assert_int_equal(open_descriptors(), before + 1 + 2);
	/* The peer goes with messages unread: a reset. */
	assert_int_equal(ipc_send(other[1], PM_LINK, &link, sizeof(link), NULL, 0), 0);
	close(other[0]);
	assert_int_equal(ipc_receive(other[1], &m), 0);
	close(other[1]);
	assert_int_equal(ipc_receive(other[1], &m), 0); /* not a socket */
	ends[0] = open("/dev/null", O_RDONLY);
}

static void test_full(void **state)
{
	struct pm_link link = { .up = 1 };
	struct timeval limit = { 0, 50000 };
	unsigned n = 0;

	(void)state;
	while (ipc_send(ends[0], PM_LINK, &link, sizeof(link), NULL, 0) == 0) {
		n++;
		assert_true(n < 100000);
	}
	assert_int_equal(errno, EAGAIN);
	assert_true(n > 16);
	setsockopt(ends[0], SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	assert_int_equal(ipc_send_wait(ends[0], PM_LINK, &link, sizeof(link), NULL, 0), -1);
	assert_int_equal(errno, EAGAIN);
	for (unsigned i = 0; i < n; i++) {
		assert_int_equal(ipc_receive(ends[1], &m), 1);
	}
	assert_int_equal(ipc_receive(ends[1], &m), -1);
	assert_int_equal(ipc_send_wait(ends[0], PM_LINK, &link, sizeof(link), NULL, 0), 0);
}

static void test_wrong_use(void **state)
{
	struct pm_link link = { .up = 1 };
	int fds[PM_FDS_MAX + 1] = { 0 };

	(void)state;
	assert_int_equal(ipc_send(ends[0], PM_LINK, &link, 7, NULL, 0), -1);
	assert_int_equal(errno, EINVAL);
	assert_int_equal(ipc_send(ends[0], PM_LINK, &link, sizeof(link), fds, PM_FDS_MAX + 1), -1);
	assert_int_equal(errno, EINVAL);
	assert_int_equal(ipc_receive(ends[1], &m), -1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_message),   TEST(test_largest), TEST(test_descriptors),
		TEST(test_malformed), TEST(test_gone),    TEST(test_full),
		TEST(test_wrong_use),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
