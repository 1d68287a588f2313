/* SPDX-License-Identifier: MIT */
/* One connection: a request, an answer, the end. A client that is slow or silent costs at most SERVE_MS. */
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "hv/host/attestd/attestd.h"
#include "hv/host/lib/clock.h"

#define SERVE_MS 5000

/* Waits until the socket can do it, but not beyond `end`. */
static bool wait_for(int fd, short what, int64_t end)
{
	struct pollfd p = { .fd = fd, .events = what };
	int64_t left = end - (int64_t)clock_now_ms();

	return left > 0 && poll(&p, 1, (int)left) == 1;
}

static bool send_all(int fd, const uint8_t *bytes, size_t n, int64_t end)
{
	while (n != 0) {
		ssize_t sent;

		if (!wait_for(fd, POLLOUT, end)) {
			return false;
		}
		sent = sendto(fd, bytes, n, MSG_NOSIGNAL | MSG_DONTWAIT, NULL, 0);
		if (sent <= 0) {
			return false;
		}
		bytes += sent;
		n -= (size_t)sent;
	}
	return true;
}

static const char *phrase(int status)
{
	switch (status) {
	case 200:
		return "OK";
	case 404:
		return "Not Found";
	case 405:
		return "Method Not Allowed";
	case 413:
		return "Content Too Large";
	case 503:
		return "Service Unavailable";
	default:
		return status < 500 ? "Bad Request" : "Internal Server Error";
	}
}

static void send_answer(int fd, const struct answer *a)
{
	char head[200];
	int n = snprintf(head, sizeof(head),
			 "HTTP/1.1 %d %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\n"
			 "Cache-Control: no-store\r\nConnection: close\r\n\r\n",
			 a->status, phrase(a->status), a->type, a->n);
	int64_t end = (int64_t)clock_now_ms() + SERVE_MS;

	if (n > 0 && send_all(fd, (const uint8_t *)head, (size_t)n, end)) {
		(void)send_all(fd, a->body, a->n, end);
	}
}

/* The request into *r. false: the client went away, or *to says what is wrong with it. */
static bool receive(int fd, struct request *r, struct answer *to)
{
	static char bytes[HTTP_REQUEST_MAX];
	int64_t end = (int64_t)clock_now_ms() + SERVE_MS;
	size_t n = 0;

	to->status = 0;
	for (;;) {
		const char *why = NULL;
		int status = 0;
		ssize_t got;

		switch (http_parse(bytes, n, r, &status, &why)) {
		case HTTP_DONE:
			return true;
		case HTTP_REFUSED:
			answer_error(to, status, why);
			return false;
		case HTTP_MORE:
			break;
		}
		if (n == sizeof(bytes)) {
			answer_error(to, 413, "the request is too long");
			return false;
		}
		if (!wait_for(fd, POLLIN, end)) {
			return false;
		}
		got = recvfrom(fd, bytes + n, sizeof(bytes) - n, MSG_DONTWAIT, NULL, NULL);
		if (got <= 0) {
			return false;
		}
		n += (size_t)got;
	}
}

void serve(const struct agent *a)
{
	static struct request r;
	struct pollfd p = { .fd = a->listener, .events = POLLIN };
	struct answer answer;
	int fd;

	if (poll(&p, 1, -1) != 1) {
		return;
	}
	fd = accept4(a->listener, NULL, NULL, SOCK_CLOEXEC);
	if (fd < 0) {
		return;
	}
	if (receive(fd, &r, &answer)) {
		answer_request(a, &r, &answer);
	}
	if (answer.status != 0) {
		send_answer(fd, &answer);
	}
	(void)close(fd);
}
