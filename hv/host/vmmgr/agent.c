/* SPDX-License-Identifier: MIT */
/*
 * The request to attestd is written here, whole, and the descriptor then reads only: whoever gets it gets a report of this
 * machine and no other. docs/attestation.md section 8.
 */
#include "hv/host/vmmgr/agent.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static const char *socket_path = "/run/redoubt/attestd.sock";

void agent_socket(const char *path)
{
	socket_path = path;
}

static size_t request(uint64_t partition, const struct pm_report_wanted *m, char *to, size_t room)
{
	char body[64 + 2 * PM_NONCE_MAX];
	int n = snprintf(body, sizeof(body), "{\"partition\": %llu, \"nonce\": \"",
			 (unsigned long long)partition);
	size_t at = (size_t)n;

	for (uint32_t i = 0; i < m->nonce_size; i++) {
		at += (size_t)snprintf(body + at, sizeof(body) - at, "%02x", m->nonce[i]);
	}
	at += (size_t)snprintf(body + at, sizeof(body) - at, "\"}");
	n = snprintf(to, room,
		     "POST /v1/report HTTP/1.1\r\nHost: attestd\r\nContent-Length: %zu\r\n\r\n%s",
		     at, body);
	return at < sizeof(body) && n > 0 && (size_t)n < room ? (size_t)n : 0;
}

int agent_ask(uint64_t partition, const struct pm_report_wanted *m, enum pm_report_error *error)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	char text[512];
	size_t n = request(partition, m, text, sizeof(text));
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	*error = PM_REPORT_NO_AGENT;
	if (n != 0 && fd >= 0 && strlen(socket_path) < sizeof(address.sun_path)) {
		memcpy(address.sun_path, socket_path, strlen(socket_path) + 1);
		if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0) {
			/* A new socket has room for it. */
			if (send(fd, text, n, MSG_NOSIGNAL) == (ssize_t)n &&
			    shutdown(fd, SHUT_WR) == 0) {
				*error = PM_REPORT_GOOD;
				return fd;
			}
		} else if (errno == EAGAIN) {
			*error = PM_REPORT_BUSY; /* as many wait as it lets wait */
		}
	}
	if (fd >= 0) {
		(void)close(fd);
	}
	return -1;
}
