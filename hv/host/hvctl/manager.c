/* SPDX-License-Identifier: MIT */
#include "hv/host/hvctl/manager.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define ANSWER_BYTES_MAX (8u << 20)

static const char *connect_remedy(int error)
{
	switch (error) {
	case ENOENT:
	case ECONNREFUSED:
		return "start vmmgr";
	case EACCES:
	case EPERM:
		return "run as root";
	default:
		return "see the log of vmmgr";
	}
}

static bool tell(const char *path, const char *what, int error)
{
	(void)fprintf(stderr, "hvctl: %s: %s: %s: %s\n", path, what, strerror(error),
		      connect_remedy(error));
	return false;
}

static bool connect_to(const char *path, int *fd)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	if (strlen(path) >= sizeof(address.sun_path)) {
		(void)fprintf(stderr, "hvctl: %s: too long for the name of a socket\n", path);
		return false;
	}
	memcpy(address.sun_path, path, strlen(path) + 1);
	*fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (*fd < 0) {
		return tell(path, "socket", errno);
	}
	if (connect(*fd, (struct sockaddr *)&address, sizeof(address)) != 0) {
		int error = errno;

		(void)close(*fd);
		return tell(path, "manager", error);
	}
	return true;
}

static bool send_all(int fd, const char *text, size_t size)
{
	while (size != 0) {
		ssize_t count = send(fd, text, size, MSG_NOSIGNAL);

		if (count < 0 && errno == EINTR) {
			continue;
		}
		if (count <= 0) {
			return false;
		}
		text += count;
		size -= (size_t)count;
	}
	return true;
}

static void take_fds(struct msghdr *h, struct manager_answer *answer)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(h); c != NULL; c = CMSG_NXTHDR(h, c)) {
		size_t count;

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS) {
			continue;
		}
		count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < count; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
			if (i < MANAGER_FDS && answer->fd[i] < 0) {
				answer->fd[i] = fd;
			} else {
				(void)close(fd);
			}
		}
	}
}

static ssize_t receive_some(int fd, char *to, size_t room, struct manager_answer *answer)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(MANAGER_FDS * sizeof(int))];
	} control;
	struct iovec v = { to, room };
	struct msghdr h = { .msg_iov = &v,
			    .msg_iovlen = 1,
			    .msg_control = &control,
			    .msg_controllen = sizeof(control) };
	ssize_t count;

	do {
		count = recvmsg(fd, &h, MSG_CMSG_CLOEXEC);
	} while (count < 0 && errno == EINTR);
	if (count >= 0) {
		take_fds(&h, answer);
	}
	return count;
}

/* A line, allocated; its length without the newline. NULL: no whole line came. */
static char *receive_line(int fd, size_t *length, struct manager_answer *answer)
{
	size_t room = 0, used = 0;
	char *line = NULL;

	for (;;) {
		ssize_t count;

		if (used == room) {
			char *more;

			room = room == 0 ? 65536 : room * 2;
			more = room <= ANSWER_BYTES_MAX ? realloc(line, room) : NULL;
			if (more == NULL) {
				break;
			}
			line = more;
		}
		count = receive_some(fd, line + used, room - used, answer);
		if (count <= 0) {
			break;
		}
		used += (size_t)count;
		if (line[used - 1] == '\n') {
			*length = used - 1;
			return line;
		}
	}
	free(line);
	return NULL;
}

static bool converse(const char *path, int fd, const char *text, struct manager_answer *answer)
{
	json_error_t error;
	size_t length = 0;
	char *line;

	if (!send_all(fd, text, strlen(text)) || !send_all(fd, "\n", 1)) {
		return tell(path, "send", errno);
	}
	line = receive_line(fd, &length, answer);
	if (line == NULL) {
		(void)fprintf(stderr, "hvctl: %s: the manager ended the connection: see its log\n",
			      path);
		return false;
	}
	answer->object = json_loadb(line, length, JSON_REJECT_DUPLICATES, &error);
	free(line);
	if (!json_is_object(answer->object)) {
		(void)fprintf(stderr,
			      "hvctl: %s: not an answer of vmmgr: is another program there?\n",
			      path);
		return false;
	}
	answer->ok = json_is_true(json_object_get(answer->object, "ok"));
	return true;
}

bool manager_ask(const char *path, json_t *request, struct manager_answer *answer)
{
	char *text = request != NULL ? json_dumps(request, JSON_COMPACT) : NULL;
	bool good = false;
	int fd;

	*answer = (struct manager_answer){ .fd = { -1, -1 } };
	json_decref(request);
	if (text == NULL) {
		(void)fprintf(stderr, "hvctl: cannot make the request: not UTF-8, or no memory\n");
		return false;
	}
	if (connect_to(path, &fd)) {
		good = converse(path, fd, text, answer);
		(void)close(fd);
	}
	free(text);
	if (!good) {
		manager_drop(answer);
	}
	return good;
}

void manager_drop(struct manager_answer *answer)
{
	for (unsigned int i = 0; i < MANAGER_FDS; i++) {
		if (answer->fd[i] >= 0) {
			(void)close(answer->fd[i]);
			answer->fd[i] = -1;
		}
	}
	json_decref(answer->object);
	answer->object = NULL;
}
