/* SPDX-License-Identifier: MIT */
/* redoubt-report: a program of a guest fetches the guest's own report, over hv_sock. See docs/man/redoubt-report.1. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <linux/vm_sockets.h>

#include "attest/core/format.h"
#include "attest/guest/answer.h"

#ifndef REDOUBT_VERSION
#define REDOUBT_VERSION "unknown"
#endif

#define DATA_BYTES 64u
#define ANSWER_BYTES_MAX (ANSWER_HEAD_MAX + ATTEST_BUNDLE_MAX)
#define PORT_FIRST 512u /* of those that Linux keeps for CAP_NET_BIND_SERVICE */
#define CONNECT_S 15
#define ANSWER_S 90 /* a TPM signs in seconds, and others may be before us */

enum exit_code { EXIT_GOOD, EXIT_USAGE, EXIT_CHANNEL, EXIT_REFUSED, EXIT_FILE };

static const char usage_text[] =
	"usage: redoubt-report (--data HEX | --data-file FILE) [-o FILE]\n"
	"       redoubt-report --help | --version\n"
	"\n"
	"Fetches this virtual machine's own report from the host, for redoubt-verify report. Needs the modules\n"
	"vsock and hv_sock of the guest's kernel, and root (CAP_NET_BIND_SERVICE).\n"
	"\n"
	"  --data HEX        the 64 bytes that the report is for, as 128 hexadecimal digits\n"
	"  --data-file FILE  a file that has them as they are\n"
	"  -o, --out FILE    where the report goes (standard output)\n"
	"\n"
	"Exit status: 0 good, 1 wrong usage, 2 the host cannot be reached, 3 it refuses, 4 a file.\n";

struct arguments {
	const char *hex, *file, *out;
};

static int __attribute__((format(printf, 2, 3))) fail(int code, const char *format, ...)
{
	va_list list;

	va_start(list, format);
	(void)fputs("redoubt-report: ", stderr);
	(void)vfprintf(stderr, format, list);
	(void)fputc('\n', stderr);
	va_end(list);
	return code;
}

/* -1: go on; otherwise the exit status. */
static int parse(int argc, char **argv, struct arguments *a)
{
	static const struct option options[] = { { "data", required_argument, NULL, 'd' },
						 { "data-file", required_argument, NULL, 'f' },
						 { "out", required_argument, NULL, 'o' },
						 { "help", no_argument, NULL, 'h' },
						 { "version", no_argument, NULL, 'v' },
						 { 0 } };
	int option;

	opterr = 0;
	while ((option = getopt_long(argc, argv, "+:o:h", options, NULL)) != -1) {
		switch (option) {
		case 'd':
			a->hex = optarg;
			break;
		case 'f':
			a->file = optarg;
			break;
		case 'o':
			a->out = optarg;
			break;
		case 'h':
			return fputs(usage_text, stdout) >= 0 && fflush(stdout) == 0 ? EXIT_GOOD
										     : EXIT_FILE;
		case 'v':
			return printf("redoubt-report %s\n", REDOUBT_VERSION) >= 0 &&
					       fflush(stdout) == 0
				       ? EXIT_GOOD
				       : EXIT_FILE;
		case ':':
			return fail(EXIT_USAGE, "missing value after %s: see redoubt-report --help",
				    argv[optind - 1]);
		default:
			return fail(EXIT_USAGE, "unknown option %s: see redoubt-report --help",
				    argv[optind - 1]);
		}
	}
	if (optind != argc) {
		return fail(EXIT_USAGE, "unexpected word %s: see redoubt-report --help",
			    argv[optind]);
	}
	if ((a->hex == NULL) == (a->file == NULL)) {
		return fail(EXIT_USAGE, "name the report's 64 bytes by --data or --data-file");
	}
	return -1;
}

static int nibble(char c)
{
	static const char digits[] = "0123456789abcdef";
	const char *at = strchr(digits, c >= 'A' && c <= 'F' ? c - 'A' + 'a' : c);

	return c != '\0' && at != NULL ? (int)(at - digits) : -1;
}

/* The 64 bytes. -1: good; otherwise the exit status. */
static int take_data(const struct arguments *a, uint8_t data[DATA_BYTES])
{
	uint8_t more[DATA_BYTES + 1];
	size_t n = 0;

	if (a->hex != NULL) {
		for (;
		     n < DATA_BYTES && nibble(a->hex[2 * n]) >= 0 && nibble(a->hex[2 * n + 1]) >= 0;
		     n++) {
			data[n] = (uint8_t)(nibble(a->hex[2 * n]) << 4 | nibble(a->hex[2 * n + 1]));
		}
		return n == DATA_BYTES && a->hex[2 * n] == '\0'
			       ? -1
			       : fail(EXIT_USAGE, "--data: not 64 bytes as 128 hexadecimal digits");
	}
	FILE *f = fopen(a->file, "re");

	if (f == NULL) {
		return fail(EXIT_FILE, "%s: %s", a->file, strerror(errno));
	}
	n = fread(more, 1, sizeof(more), f);
	(void)fclose(f);
	if (n != DATA_BYTES) {
		return fail(EXIT_USAGE, "%s: has not exactly 64 bytes (sha512sum -b gives as many)",
			    a->file);
	}
	memcpy(data, more, DATA_BYTES);
	return -1;
}

/* A port that not every program of the guest can have: the host speaks to no other. -1: good. */
static int bind_port(int fd)
{
	struct sockaddr_vm own = { .svm_family = AF_VSOCK, .svm_cid = VMADDR_CID_ANY };

	for (own.svm_port = ATTEST_PORT_GUEST_MAX; own.svm_port >= PORT_FIRST; own.svm_port--) {
		if (bind(fd, (struct sockaddr *)&own, sizeof(own)) == 0) {
			return -1;
		}
		if (errno != EADDRINUSE) {
			break;
		}
	}
	return fail(EXIT_CHANNEL, "a port below 1024: %s: %s", strerror(errno),
		    errno == EACCES ? "run it as root" : "see the kernel's log");
}

static const char *connect_remedy(int error)
{
	switch (error) {
	case ENODEV:
		return "load the module hv_sock; is this a guest on Redoubt?";
	case ETIMEDOUT:
		return "the host has no report service for this guest (attest: in its definition), or "
		       "it is busy";
	case ECONNRESET:
	case ECONNREFUSED:
		return "the host has no such service: is this a guest on Redoubt?";
	default:
		return "see the kernel's log";
	}
}

/* -1: *fd is connected. */
static int connect_host(int *fd)
{
	struct sockaddr_vm host = { .svm_family = AF_VSOCK,
				    .svm_cid = VMADDR_CID_HOST,
				    .svm_port = ATTEST_PORT };
	struct timeval patience = { .tv_sec = CONNECT_S };
	int code;

	*fd = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (*fd < 0) {
		return fail(EXIT_CHANNEL, "AF_VSOCK: %s: %s", strerror(errno),
			    errno == EAFNOSUPPORT ? "load the modules vsock and hv_sock"
						  : "see the kernel's log");
	}
	code = bind_port(*fd);
	if (code >= 0) {
		return code;
	}
	(void)setsockopt(*fd, AF_VSOCK, SO_VM_SOCKETS_CONNECT_TIMEOUT, &patience, sizeof(patience));
	if (connect(*fd, (struct sockaddr *)&host, sizeof(host)) != 0) {
		return fail(EXIT_CHANNEL, "report service of the host: %s: %s", strerror(errno),
			    connect_remedy(errno));
	}
	patience.tv_sec = ANSWER_S;
	(void)setsockopt(*fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	(void)setsockopt(*fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	return -1;
}

static bool send_request(int fd, const uint8_t data[DATA_BYTES])
{
	char text[400], hex[2 * DATA_BYTES + 1];
	size_t at = 0;
	int n;

	for (size_t i = 0; i < DATA_BYTES; i++) {
		(void)snprintf(hex + 2 * i, 3, "%02x", data[i]);
	}
	n = snprintf(text, sizeof(text),
		     "POST /v1/report HTTP/1.1\r\nHost: host\r\nContent-Length: %u\r\n\r\n"
		     "{\"nonce\": \"%s\"}",
		     2 * DATA_BYTES + 13, hex);
	while (n > 0 && at < (size_t)n) {
		ssize_t sent = send(fd, text + at, (size_t)n - at, MSG_NOSIGNAL);

		if (sent < 0 && errno == EINTR) {
			continue;
		}
		if (sent <= 0) {
			return false;
		}
		at += (size_t)sent;
	}
	return n > 0;
}

/* Everything until the host closes. -1: error, in errno. */
static ssize_t receive(int fd, uint8_t *to, size_t room)
{
	size_t n = 0;

	while (n < room) {
		ssize_t got = recv(fd, to + n, room - n, 0);

		if (got < 0 && errno == EINTR) {
			continue;
		}
		if (got < 0) {
			return -1;
		}
		if (got == 0) {
			break;
		}
		n += (size_t)got;
	}
	return (ssize_t)n;
}

/* Whole or not at all. */
static int write_out(const char *path, const struct answer *a)
{
	FILE *f = path != NULL ? fopen(path, "we") : stdout;
	bool good = f != NULL && fwrite(a->body, 1, a->n, f) == a->n && fflush(f) == 0;

	if (!good) {
		(void)fail(EXIT_FILE, "%s: %s", path != NULL ? path : "standard output",
			   strerror(errno));
	}
	if (path != NULL && f != NULL) {
		good = fclose(f) == 0 && good;
		if (!good) {
			(void)unlink(path);
		}
	}
	return good ? EXIT_GOOD : EXIT_FILE;
}

int main(int argc, char **argv)
{
	static uint8_t bytes[ANSWER_BYTES_MAX + 1];
	struct arguments words = { 0 };
	uint8_t data[DATA_BYTES];
	struct answer a;
	const char *why;
	ssize_t n;
	int fd, code = parse(argc, argv, &words);

	if (code < 0) {
		code = take_data(&words, data);
	}
	if (code < 0 && words.out == NULL && isatty(STDOUT_FILENO) == 1) {
		code = fail(EXIT_USAGE, "a report is not for a terminal: name a file with -o");
	}
	if (code < 0) {
		code = connect_host(&fd);
	}
	if (code >= 0) {
		return code;
	}
	if (!send_request(fd, data)) {
		return fail(EXIT_CHANNEL, "send: %s: ask again", strerror(errno));
	}
	n = receive(fd, bytes, sizeof(bytes));
	if (n < 0) {
		return fail(EXIT_CHANNEL, "no answer: %s: ask again", strerror(errno));
	}
	why = answer_parse(bytes, (size_t)n, &a);
	if (why != NULL) {
		return fail(EXIT_CHANNEL, "the host's answer: %s", why);
	}
	if (a.status != 200) {
		return fail(EXIT_REFUSED, "the host refuses (%d): %s", a.status,
			    a.text[0] != '\0' ? a.text : "without a reason");
	}
	(void)close(fd);
	return write_out(words.out, &a);
}
