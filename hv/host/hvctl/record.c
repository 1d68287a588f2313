/* SPDX-License-Identifier: MIT */
/* hvctl record: the traffic of a guest into a file (docs/recording.md). Trust: none of the processes that send the records. */
#include "hv/host/hvctl/manager.h"
#include "hv/host/lib/record.h"
#include "hv/host/lib/usage.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define SECONDS_MAX 86400
#define SECONDS_DEFAULT 60
#define BYTES_DEFAULT (64ull << 20)
#define BYTES_MAX (1ull << 40)

struct arguments {
	const char *name, *out, *socket;
	uint64_t seconds, max_bytes;
	bool json, help;
};

struct file_record {   /* of the file, before the bytes; host byte order, little-endian */
	uint32_t size; /* with this */
	uint32_t uid;  /* of the process, by the kernel */
	uint64_t ns;   /* of CLOCK_MONOTONIC, since the recording began */
	struct record_head head;
};

struct recording {
	FILE *file;
	uint64_t records, bytes, odd; /* odd: not a record */
	uint64_t of[RECORD_DEVICES], lost[RECORD_DEVICES];
	uint64_t start_ns;
	const char *end;
};

static const char magic[16] = "RDRECORD\1"; /* and the version */
static const char *const devices[RECORD_DEVICES] = { "", "vmworker", "storvsp", "netvsp", "ic" };
static volatile sig_atomic_t interrupted;

static const char usage_text[] =
	"usage: hvctl record NAME --out FILE [--seconds N] [--max-bytes N] [--json]\n"
	"\n"
	"Writes what the guest of a machine sends - channel messages, packets of its rings, port\n"
	"accesses, hypercalls, for which it waits - to FILE, which is new and for root alone: it\n"
	"holds data of the guest. Ends after N seconds (60; at most 86400), at N bytes (64 MiB), with\n"
	"the machine, or with Ctrl-C. Of a machine that is off: from its start on. Nothing is recorded\n"
	"at any other time.\n"
	"fuzz/seeds/from-recording makes inputs for the fuzzers of it.\n";

static bool number(const char *text, uint64_t max, uint64_t *to)
{
	char *end;

	errno = 0;
	*to = strtoull(text, &end, 10);
	return errno == 0 && end != text && *end == '\0' && text[0] != '-' && *to >= 1 &&
	       *to <= max;
}

static int take_option(int option, char **argv, struct arguments *a)
{
	switch (option) {
	case 'h':
		a->help = true;
		return EXIT_OK;
	case 'j':
		a->json = true;
		return EXIT_OK;
	case 'o':
		a->out = optarg;
		return EXIT_OK;
	case 'k':
		a->socket = optarg;
		return EXIT_OK;
	case 's':
		return number(optarg, SECONDS_MAX, &a->seconds)
			       ? EXIT_OK
			       : usage_fault("hvctl record",
					     "--seconds: not a number from 1 to 86400:", optarg);
	case 'b':
		return number(optarg, BYTES_MAX, &a->max_bytes)
			       ? EXIT_OK
			       : usage_fault("hvctl record",
					     "--max-bytes: not a number from 1 to 2^40:", optarg);
	default:
		return usage_option("hvctl record", option, argv);
	}
}

static int parse(int argc, char **argv, struct arguments *a)
{
	static const struct option options[] = { { "help", no_argument, NULL, 'h' },
						 { "json", no_argument, NULL, 'j' },
						 { "out", required_argument, NULL, 'o' },
						 { "socket", required_argument, NULL, 'k' },
						 { "seconds", required_argument, NULL, 's' },
						 { "max-bytes", required_argument, NULL, 'b' },
						 { 0 } };
	int option;

	opterr = 0;
	while ((option = getopt_long(argc, argv, ":", options, NULL)) != -1) {
		int code = take_option(option, argv, a);

		if (code != EXIT_OK) {
			return code;
		}
	}
	if (a->help) {
		return EXIT_OK;
	}
	if (optind == argc) {
		return usage_fault("hvctl record", "NAME is missing", "");
	}
	a->name = argv[optind++];
	if (optind < argc) {
		return usage_fault("hvctl record", "unexpected word", argv[optind]);
	}
	return a->out != NULL ? EXIT_OK : usage_fault("hvctl record", "--out FILE is missing", "");
}

static void on_signal(int number)
{
	(void)number;
	interrupted = 1;
}

static uint64_t now_ns(void)
{
	struct timespec t = { 0, 0 };

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static bool write_failed(const char *path)
{
	(void)fprintf(stderr, "hvctl: %s: %s\n", path, strerror(errno));
	return false;
}

/* One datagram of `n` bytes behind r->head. false: the file cannot be written. */
static bool keep(struct recording *k, struct file_record *r, size_t n, const uint8_t *bytes)
{
	const struct record_head *h = &r->head;

	if (n < sizeof(*h) || h->device == 0 || h->device >= RECORD_DEVICES || h->kind == 0 ||
	    h->kind >= RECORD_KINDS || h->length < n - sizeof(*h)) {
		k->odd++;
		return true;
	}
	n -= sizeof(*h);
	r->size = (uint32_t)(sizeof(*r) + n);
	r->ns = now_ns() - k->start_ns;
	k->records++;
	k->of[h->device]++;
	if (k->lost[h->device] < h->lost) { /* several NICs: the one that lost most */
		k->lost[h->device] = h->lost;
	}
	k->bytes += r->size;
	return fwrite(r, sizeof(*r), 1, k->file) == 1 &&
	       (n == 0 || fwrite(bytes, n, 1, k->file) == 1);
}

/* 1: one was taken; 0: none is there; -1: the end. */
static int take(struct recording *k, int socket, const char *path)
{
	static uint8_t bytes[RECORD_BYTES_MAX];
	struct file_record r = { 0 };
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(struct ucred))]; /* and no descriptors */
	} control;
	struct iovec v[2] = { { &r.head, sizeof(r.head) }, { bytes, sizeof(bytes) } };
	struct msghdr h = { .msg_iov = v,
			    .msg_iovlen = 2,
			    .msg_control = &control,
			    .msg_controllen = sizeof(control) };
	ssize_t n = recvmsg(socket, &h, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	struct cmsghdr *c;
	struct ucred from;

	if (n <= 0) {
		k->end = "the machine is off";
		return n < 0 && (errno == EAGAIN || errno == EINTR) ? 0 : -1;
	}
	c = CMSG_FIRSTHDR(&h);
	if ((h.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0 || c == NULL ||
	    c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_CREDENTIALS) {
		k->odd++;
		return 1;
	}
	memcpy(&from, CMSG_DATA(c), sizeof(from));
	r.uid = from.uid;
	if (!keep(k, &r, (size_t)n, bytes)) {
		k->end = NULL;
		(void)write_failed(path);
		return -1;
	}
	return 1;
}

static void progress(const struct recording *k, uint64_t seconds)
{
	if (isatty(STDERR_FILENO)) {
		(void)fprintf(stderr, "\r%llu s: %llu records, %llu bytes ",
			      (unsigned long long)seconds, (unsigned long long)k->records,
			      (unsigned long long)k->bytes);
	}
}

static void listen_to(struct recording *k, int socket, const struct arguments *a)
{
	uint64_t told = 0;

	for (;;) {
		struct pollfd p = { socket, POLLIN, 0 };
		uint64_t seconds = (now_ns() - k->start_ns) / 1000000000u;
		int got = 1;

		k->end = "interrupted";
		if (interrupted) {
			return;
		}
		k->end = "the time is over";
		if (seconds >= a->seconds) {
			return;
		}
		if (seconds != told) {
			told = seconds;
			progress(k, seconds);
		}
		(void)poll(&p, 1, 200);
		for (int i = 0; i < 256 && got > 0; i++) {
			got = take(k, socket, a->out);
			k->end = k->bytes >= a->max_bytes ? "the file is full" : k->end;
			if (k->bytes >= a->max_bytes) {
				return;
			}
		}
		if (got < 0) {
			return;
		}
		(void)fflush(k->file); /* what came can be read; an error shows at the end */
	}
}

static int report(const struct recording *k, const struct arguments *a)
{
	json_t *object = json_object(), *records = json_object(), *lost = json_object();
	uint64_t missing = 0;

	for (unsigned int i = 1; i < RECORD_DEVICES; i++) {
		json_object_set_new(records, devices[i], json_u64(k->of[i]));
		json_object_set_new(lost, devices[i], json_u64(k->lost[i]));
		missing += k->lost[i];
	}
	if (a->json) {
		json_object_set_new(object, "ok", json_true());
		json_object_set_new(object, "name", json_string(a->name));
		json_object_set_new(object, "file", json_string(a->out));
		json_object_set_new(object, "end", json_string(k->end));
		json_object_set_new(object, "bytes", json_u64(k->bytes));
		json_object_set_new(object, "malformed", json_u64(k->odd));
		json_object_set_new(object, "records", records);
		json_object_set_new(object, "lost", lost);
		return json_print(object, JSON_INDENT(2)) ? EXIT_OK : EXIT_ERROR;
	}
	printf("%s: %llu records, %llu bytes, %llu lost, %llu malformed; %s\n", a->out,
	       (unsigned long long)k->records, (unsigned long long)k->bytes,
	       (unsigned long long)missing, (unsigned long long)k->odd, k->end);
	for (unsigned int i = 1; i < RECORD_DEVICES; i++) {
		printf("  %-9s %llu\n", devices[i], (unsigned long long)k->of[i]);
	}
	json_decref(object);
	json_decref(records);
	json_decref(lost);
	return EXIT_OK;
}

static int record_into(FILE *file, const struct arguments *a)
{
	struct sigaction action = { .sa_handler = on_signal }; /* poll ends */
	struct recording k = { .file = file, .end = "" };
	struct manager_answer answer;
	json_t *request = json_object();

	json_object_set_new(request, "verb", json_string("record"));
	json_object_set_new(request, "name", json_string(a->name));
	if (!manager_ask(a->socket, request, &answer)) {
		return EXIT_ERROR;
	}
	if (!answer.ok || answer.fd[0] < 0) {
		const char *text = json_string_value(json_object_get(answer.object, "error"));
		char error[TEXT_SIZE(400)];

		text = text != NULL ? text : "the manager gave no socket: see its log";
		text_escape(error, sizeof(error), text, strnlen(text, 400));
		(void)fprintf(stderr, "hvctl: %s\n", error);
		manager_drop(&answer);
		return EXIT_ERROR;
	}
	(void)sigaction(SIGINT, &action, NULL);
	(void)sigaction(SIGTERM, &action, NULL);
	k.start_ns = now_ns();
	k.bytes = sizeof(magic);
	if (fwrite(magic, sizeof(magic), 1, file) == 1 && fflush(file) == 0) {
		listen_to(&k, answer.fd[0], a);
	}
	manager_drop(&answer);
	if (isatty(STDERR_FILENO)) {
		(void)fputc('\n', stderr);
	}
	if (k.end == NULL) {
		return EXIT_ERROR;
	}
	if (fflush(file) != 0 || ferror(file) != 0) {
		(void)write_failed(a->out);
		return EXIT_ERROR;
	}
	return report(&k, a);
}

int record_run(int argc, char **argv)
{
	struct arguments a = { .socket = MANAGER_SOCKET,
			       .seconds = SECONDS_DEFAULT,
			       .max_bytes = BYTES_DEFAULT };
	int code = parse(argc, argv, &a), fd;
	FILE *file;

	if (code != EXIT_OK) {
		return code;
	}
	if (a.help) {
		return fputs(usage_text, stdout) >= 0 ? EXIT_OK : EXIT_ERROR;
	}
	/* NOLINTNEXTLINE(clang-analyzer-core.NonNullParamChecker): parse() has set it, or returned another code. */
	fd = open(a.out, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	file = fd >= 0 ? fdopen(fd, "wb") : NULL;
	if (file == NULL) {
		(void)fprintf(stderr, "hvctl: %s: %s%s\n", a.out, strerror(errno),
			      errno == EEXIST ? ": name a new file" : "");
		return EXIT_ERROR;
	}
	code = record_into(file, &a);
	if (ftell(file) <= 0) { /* nothing began */
		(void)unlink(a.out);
	}
	(void)fclose(file);
	return code;
}
