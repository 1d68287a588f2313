/* SPDX-License-Identifier: MIT */
#include "hv/host/hvctl/agent.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#define ANSWER_BYTES_MAX ((1u << 20) + 4096)
#define PATIENCE_S 60 /* a discrete TPM signs in seconds, and others may be before us */

static bool tell(const char *path, const char *what, const char *remedy)
{
	(void)fprintf(stderr, "hvctl: %s: %s: %s\n", path, what, remedy);
	return false;
}

static bool connect_to(const char *path, int *fd)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct timeval patience = { .tv_sec = PATIENCE_S };

	if (strlen(path) >= sizeof(address.sun_path)) {
		return tell(path, "too long for the name of a socket", "see --agent");
	}
	memcpy(address.sun_path, path, strlen(path) + 1);
	*fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (*fd < 0) {
		return tell(path, "socket", strerror(errno));
	}
	if (connect(*fd, (struct sockaddr *)&address, sizeof(address)) == 0) {
		(void)setsockopt(*fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
		return true;
	}
	(void)tell(path, strerror(errno),
		   errno == EACCES || errno == EPERM ? "run as root" : "start attestd");
	(void)close(*fd);
	return false;
}

static bool send_all(int fd, const char *text, size_t size)
{
	while (size != 0) {
		ssize_t count = send(fd, text, size, MSG_NOSIGNAL);

		if (count <= 0 && errno != EINTR) {
			return false;
		}
		if (count > 0) {
			text += count;
			size -= (size_t)count;
		}
	}
	return true;
}

/* Everything up to the end of the connection, and a NUL behind it. NULL: nothing, or too much. */
static char *receive_all(int fd, size_t *n)
{
	char *all = malloc(ANSWER_BYTES_MAX + 1);

	*n = 0;
	while (all != NULL && *n < ANSWER_BYTES_MAX) {
		ssize_t count = recv(fd, all + *n, ANSWER_BYTES_MAX - *n, 0);

		if (count < 0 && errno == EINTR) {
			continue;
		}
		if (count <= 0) {
			break;
		}
		*n += (size_t)count;
	}
	if (all != NULL) {
		all[*n] = '\0';
	}
	return all;
}

static bool refused(const char *path, const char *body)
{
	json_t *object = json_loads(body, JSON_REJECT_DUPLICATES, NULL);
	const char *text = json_string_value(json_object_get(object, "error"));
	char safe[TEXT_SIZE(400)] = "attestd refuses without a reason";

	if (text != NULL) {
		text_escape(safe, sizeof(safe), text, strnlen(text, 400));
	}
	json_decref(object);
	return tell(path, "attestd", safe);
}

/* Status 200 and a body of the length that the header says. */
static bool take_answer(const char *path, size_t n, struct agent_answer *answer)
{
	static const char good[] = "HTTP/1.1 200 ", name[] = "\r\nContent-Length: ";
	char *end = strstr(answer->whole, "\r\n\r\n");
	const char *length;

	if (end == NULL || strncmp(answer->whole, "HTTP/1.1 ", 9) != 0) {
		return tell(path, "no answer", "see the log of attestd");
	}
	answer->body = (uint8_t *)end + 4;
	answer->n = n - (size_t)(end + 4 - answer->whole);
	end[2] = '\0';
	length = strstr(answer->whole, name);
	if (length == NULL ||
	    strtoul(length + sizeof(name) - 1, NULL, 10) != (unsigned long)answer->n) {
		return tell(path, "attestd ended the connection early", "see its log");
	}
	if (strncmp(answer->whole, good, sizeof(good) - 1) != 0) {
		return refused(path, end + 4);
	}
	return true;
}

static bool converse(const char *path, int fd, const char *verb, const char *body,
		     struct agent_answer *answer)
{
	char head[200];
	int n = snprintf(head, sizeof(head),
			 "%s %s HTTP/1.1\r\nHost: attestd\r\nContent-Length: %zu\r\n\r\n",
			 body != NULL ? "POST" : "GET", verb, body != NULL ? strlen(body) : 0);
	size_t got = 0;

	if (n <= 0 || !send_all(fd, head, (size_t)n) ||
	    (body != NULL && !send_all(fd, body, strlen(body)))) {
		return tell(path, "send", strerror(errno));
	}
	answer->whole = receive_all(fd, &got);
	if (answer->whole == NULL) {
		return tell(path, "no memory", "free some");
	}
	return take_answer(path, got, answer);
}

bool agent_ask(const char *path, const char *verb, json_t *request, struct agent_answer *answer)
{
	char *body = request != NULL ? json_dumps(request, JSON_COMPACT) : NULL;
	bool good = false;
	int fd;

	*answer = (struct agent_answer){ 0 };
	json_decref(request);
	if (connect_to(path, &fd)) {
		good = converse(path, fd, verb, body, answer);
		(void)close(fd);
	}
	free(body);
	if (!good) {
		agent_drop(answer);
	}
	return good;
}

void agent_drop(struct agent_answer *answer)
{
	free(answer->whole);
	*answer = (struct agent_answer){ 0 };
}
