/* SPDX-License-Identifier: MIT */
#ifndef TESTS_UNIT_HOSTLIB_TEST_H
#define TESTS_UNIT_HOSTLIB_TEST_H
/* For the tests of hv/host/lib: socket pairs, and a count of open descriptors, so that a leak is seen. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static inline unsigned open_descriptors(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned count = 0;

	assert_non_null(dir);
	while (readdir(dir) != NULL) {
		count++;
	}
	closedir(dir);
	return count;
}

static inline void pair(int type, int ends[2])
{
	assert_int_equal(socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, ends), 0);
}

/* A datagram as it is, with a descriptor `count` times beside it. */
static inline void send_raw(int socket, const void *bytes, size_t size, int fd, unsigned count)
{
	union {
		struct cmsghdr align;
		uint8_t bytes[CMSG_SPACE(253 * sizeof(int))];
	} control = { 0 };
	struct iovec v = { (void *)(uintptr_t)bytes, size };
	struct msghdr h = { .msg_iov = &v, .msg_iovlen = 1 };

	if (count != 0) {
		struct cmsghdr *c;

		h.msg_control = &control;
		h.msg_controllen = CMSG_SPACE(count * sizeof(int));
		c = CMSG_FIRSTHDR(&h);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(count * sizeof(int));
		for (unsigned i = 0; i < count; i++) {
			memcpy(CMSG_DATA(c) + i * sizeof(int), &fd, sizeof(int));
		}
	}
	assert_int_equal(sendmsg(socket, &h, MSG_NOSIGNAL), (ssize_t)size);
}

#endif
