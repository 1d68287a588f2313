// SPDX-License-Identifier: MIT
/*
 * What hvctl reads from the manager and shows. Input: byte 0: descriptors in the first two pieces; byte 1: bytes of a piece; byte 2: what is
 * printed, how the connection fails, whether the line ends; then the answer. Checked: every descriptor is closed once; what is printed
 * is text, so that nothing in an answer reaches the terminal as a command.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "fuzz/heap.h"
#include "hv/host/hvctl/manager.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { SOCKET = 5000, PASSED, FDS = 16 };

static bool is_open[FDS];
static const uint8_t *answer_bytes, *line;
static size_t line_bytes;
static size_t left, piece;
static unsigned pieces, passed[2], how;

int close(int fd)
{
	if (fd < SOCKET || fd >= SOCKET + FDS) {
		return (int)syscall(SYS_close, fd);
	}
	ORACLE(is_open[fd - SOCKET], "a descriptor is closed twice");
	is_open[fd - SOCKET] = false;
	return 0;
}

int socket(int domain, int type, int protocol)
{
	(void)domain;
	(void)protocol;
	ORACLE((type & SOCK_CLOEXEC) != 0, "a descriptor that programs inherit");
	if ((how & 0xf0) == 0x10) {
		errno = EMFILE;
		return -1;
	}
	is_open[0] = true;
	return SOCKET;
}

int connect(int fd, const struct sockaddr *address, socklen_t n)
{
	static const int errors[] = { ENOENT, EACCES, EIO, ECONNREFUSED, EPERM };

	(void)address;
	(void)n;
	errno = errors[how % 5];
	return fd == SOCKET && (how & 0xf0) != 0x20 ? 0 : -1;
}

ssize_t send(int fd, const void *bytes, size_t n, int flags)
{
	static unsigned turn;

	(void)bytes;
	(void)flags;
	ORACLE(fd == SOCKET, "another socket");
	if ((how & 0xf0) == 0x30 || ((how & 0xf0) == 0x90 && n == 1)) {
		errno = EPIPE;
		return -1;
	}
	if ((how & 0xf0) == 0x40) {
		errno = EINTR;
		return ++turn % 2 != 0 ? -1 : (ssize_t)(n + 1) / 2;
	}
	return (ssize_t)n;
}

/* A piece, with descriptors as far as there is room for them, as the kernel does it. */
ssize_t recvmsg(int fd, struct msghdr *h, int flags)
{
	size_t n = left < piece ? left : piece, count = pieces < 2 ? passed[pieces] : 0;
	size_t most = (h->msg_controllen - CMSG_LEN(0)) / sizeof(int);

	ORACLE(fd == SOCKET && (flags & MSG_CMSG_CLOEXEC) != 0, "another socket");
	oracle_room(h->msg_iov->iov_base, h->msg_iov->iov_len);
	oracle_room(h->msg_control, h->msg_controllen);
	if ((how & 0xf0) == 0x50 && pieces % 2 == 1) {
		pieces++;
		errno = (how & 1) != 0 ? EINTR : EIO;
		return -1;
	}
	count = count < most ? count : most;
	pieces++;
	if (n == 0) {
		count = 0;
	}
	if (count != 0) {
		struct cmsghdr *c = CMSG_FIRSTHDR(h);

		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = (how & 0xf0) == 0x60 ? SCM_CREDENTIALS : SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(count * sizeof(int));
		for (size_t i = 0; i < count && c->cmsg_type == SCM_RIGHTS; i++) {
			int one = PASSED;

			while (is_open[one - SOCKET]) {
				one++;
			}
			is_open[one - SOCKET] = true;
			memcpy(CMSG_DATA(c) + i * sizeof(int), &one, sizeof(one));
		}
		h->msg_controllen = CMSG_SPACE(count * sizeof(int));
	} else {
		h->msg_controllen = 0;
	}
	n = n < h->msg_iov->iov_len ? n : h->msg_iov->iov_len;
	memcpy(h->msg_iov->iov_base, answer_bytes, n);
	answer_bytes += n;
	left -= n;
	return (ssize_t)n;
}

/* What other verbs print with: texts cut to their room, numbers; there may be nothing to print. */
static void print_parts(void)
{
	char text[12];
	uint64_t number = 0;

	memcpy(&number, line, line_bytes < 8 ? line_bytes : 8);
	text_escape(text, sizeof(text), (const char *)line, line_bytes);
	ORACLE(strlen(text) < sizeof(text), "a text without an end");
	printf("%s\n", text);
	(void)json_print(json_u64(number), JSON_ENCODE_ANY);
	ORACLE(!json_print(NULL, 0), "nothing is printed");
}

static void print(const struct manager_answer *a)
{
	FILE *real = stdout;
	char *text = NULL;
	size_t n = 0;

	stdout = open_memstream(&text, &n);
	CHECK_FUZZ(stdout != NULL);
	switch (how & 3) {
	case 0:
		machine_print_list(a->object);
		break;
	case 1:
		machine_print_show(a->object);
		break;
	case 2:
		machine_print_ps(a->object);
		break;
	default:
		if ((how & 4) != 0) {
			print_parts();
			break;
		}
		(void)json_print(json_incref(a->object), JSON_ENSURE_ASCII);
		break;
	}
	(void)fclose(stdout);
	stdout = real;
	for (size_t i = 0; i < n; i++) {
		ORACLE(text[i] == '\n' || (text[i] >= 0x20 && text[i] < 0x7f + ((how & 3) == 3)),
		       "no text is printed");
	}
	oracle_said(text, n);
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char buffer[4096], said[8192], said_buffer[4096];
	static FILE *null;
	FILE *real = stderr, *errors = NULL;
	struct manager_answer a;
	char path[200] = "/run/fuzz";

	if (size < 3) {
		return 0;
	}
	if (null == NULL) {
		null = fopen("/dev/null", "w");
		CHECK_FUZZ(null != NULL && setvbuf(null, buffer, _IOFBF, sizeof(buffer)) == 0);
	}
	memset(is_open, 0, sizeof(is_open));
	passed[0] = data[0] & 3;
	passed[1] = data[0] >> 2 & 3;
	piece = data[1] == 0 ? 1 << 20 : data[1];
	how = data[2];
	answer_bytes = data + 3;
	left = size - 3;
	line = answer_bytes;
	line_bytes = left;
	pieces = 0;
	if ((how & 0xf0) == 0x70) {
		memset(path, 'a', sizeof(path) - 1);
	}
	if (oracle_verdict != NULL) { /* what it says against an answer */
		memset(said, 0, sizeof(said));
		errors = fmemopen(said, sizeof(said), "w");
		CHECK_FUZZ(errors != NULL &&
			   setvbuf(errors, said_buffer, _IOFBF, sizeof(said_buffer)) == 0);
	}
	stderr = errors != NULL ? errors : null;
	heap_begin();
	if (manager_ask(path, (how & 0xf0) == 0x80 ? NULL : json_pack("{s:s}", "verb", "list"),
			&a)) {
		stderr = real;
		ORACLE(json_is_object(a.object), "an answer that is none");
		print(&a);
		manager_drop(&a);
	}
	stderr = real;
	heap_end();
	if (errors != NULL) {
		(void)fclose(errors);
		oracle_said(said, sizeof(said));
	}
	for (unsigned i = 0; i < FDS; i++) {
		ORACLE(!is_open[i], "a descriptor was not closed");
	}
	return 0;
}
