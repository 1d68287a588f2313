/* SPDX-License-Identifier: MIT */
/* attestd: the agent of a host that fetches reports. See docs/man/attestd.8. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "hv/host/attestd/attestd.h"
#include "hv/host/attestd/tpm.h"
#include "hv/host/lib/attest.h"
#include "hv/host/lib/heap.h"
#include "hv/host/lib/usage.h"

#ifndef REDOUBT_VERSION
#define REDOUBT_VERSION "unknown"
#endif

#define TPM_DEVICE "/dev/tpmrm0"
#define LOG_FILE "/sys/kernel/security/tpm0/binary_bios_measurements"
#define LOG_MOST (ATTEST_BUNDLE_MAX - 65536u)
#define BACKLOG 8

static const char usage_text[] =
	"usage: attestd [--socket PATH] [--tpm PATH] [--event-log PATH]\n"
	"       attestd --help | --version\n"
	"\n"
	"Serves reports of this host and its virtual machines to hvctl attest, signed by the TPM and\n"
	"by the hypervisor; activates credentials for the enrolment of the host.\n"
	"\n"
	"  --socket PATH     where clients find it (" ATTESTD_SOCKET ")\n"
	"  --tpm PATH        device, or socket of a software TPM (" TPM_DEVICE ")\n"
	"  --event-log PATH  (" LOG_FILE ")\n"
	"\n"
	"Exit status: 0 good, 1 error, 2 wrong usage.\n";

struct arguments {
	const char *socket, *tpm, *log;
};

/* 0 go on, 1 done (help), 2 wrong. */
static int parse(int argc, char **argv, struct arguments *a)
{
	static const struct option options[] = { { "socket", required_argument, NULL, 's' },
						 { "tpm", required_argument, NULL, 't' },
						 { "event-log", required_argument, NULL, 'l' },
						 { "help", no_argument, NULL, 'h' },
						 { "version", no_argument, NULL, 'v' },
						 { 0 } };
	int option;

	opterr = 0;
	while ((option = getopt_long(argc, argv, "+:", options, NULL)) != -1) {
		switch (option) {
		case 's':
			a->socket = optarg;
			break;
		case 't':
			a->tpm = optarg;
			break;
		case 'l':
			a->log = optarg;
			break;
		case 'h':
			return fputs(usage_text, stdout) >= 0 ? 1 : 2;
		case 'v':
			return printf("attestd %s\n", REDOUBT_VERSION) >= 0 ? 1 : 2;
		default:
			return usage_option("attestd", option, argv);
		}
	}
	return optind == argc ? 0 : usage_fault("attestd", "unexpected word", argv[optind]);
}

static bool address_of(const char *path, struct sockaddr_un *address)
{
	*address = (struct sockaddr_un){ .sun_family = AF_UNIX };
	if (strlen(path) >= sizeof(address->sun_path)) {
		(void)fprintf(stderr, "attestd: %s: too long for the name of a socket\n", path);
		return false;
	}
	memcpy(address->sun_path, path, strlen(path) + 1);
	return true;
}

static bool open_listener(const char *path, int *fd)
{
	struct sockaddr_un address;

	if (!address_of(path, &address)) {
		return false;
	}
	*fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	(void)unlink(path);
	(void)umask(0177); /* for root alone */
	if (*fd < 0 || bind(*fd, (struct sockaddr *)&address, sizeof(address)) != 0 ||
	    listen(*fd, BACKLOG) != 0) {
		(void)fprintf(stderr, "attestd: %s: %s\n", path, strerror(errno));
		return false;
	}
	return true;
}

static int open_tpm(const char *path)
{
	struct sockaddr_un address;
	struct stat facts;
	int fd;

	if (stat(path, &facts) == 0 && S_ISSOCK(facts.st_mode)) {
		fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
		if (fd >= 0 && address_of(path, &address) &&
		    connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0) {
			return fd;
		}
		return -1;
	}
	return open(path, O_RDWR | O_CLOEXEC);
}

/* Files of securityfs say no size: read to the end. */
static void read_log(const char *path, struct agent *a)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t got = -1;

	a->log = malloc(LOG_MOST + 1);
	if (fd >= 0 && a->log != NULL) {
		while ((got = read(fd, a->log + a->log_n, LOG_MOST + 1 - a->log_n)) > 0) {
			a->log_n += (size_t)got;
		}
	}
	if (fd < 0 || got < 0) {
		(void)fprintf(stderr, "attestd: %s: %s: is securityfs mounted?\n", path,
			      strerror(errno));
		a->log_n = 0;
	} else if (a->log_n > LOG_MOST) {
		(void)fprintf(stderr, "attestd: %s: larger than %u bytes\n", path, LOG_MOST);
		a->log_n = 0;
	}
	if (fd >= 0) {
		(void)close(fd);
	}
}

static void open_all(const struct arguments *w, struct agent *a)
{
	a->device = attest_open();
	if (a->device < 0) {
		(void)fprintf(stderr, "attestd: /dev/redoubt: %s: load redoubt.ko\n",
			      strerror(-a->device));
		a->device = -1;
	}
	a->tpm_fd = open_tpm(w->tpm);
	if (a->tpm_fd < 0) {
		a->tpm_why = "there is no TPM for attestd, or it cannot be opened: see its log";
		(void)fprintf(stderr, "attestd: %s: %s\n", w->tpm, strerror(errno));
	} else {
		a->tpm_why = tpm_open(a->tpm_fd, &a->tpm);
		if (a->tpm_why != NULL) {
			(void)fprintf(stderr, "attestd: %s: %s\n", w->tpm, a->tpm_why);
			a->tpm = NULL;
		}
	}
	read_log(w->log, a);
}

int main(int argc, char **argv)
{
	struct arguments words = { ATTESTD_SOCKET, TPM_DEVICE, LOG_FILE };
	static struct agent agent;
	int code = parse(argc, argv, &words);

	if (code != 0) {
		return code == 1 && fflush(stdout) == 0 ? 0 : 2;
	}
	/* What it has open must not be read out of it by another process of its owner. */
	(void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	(void)signal(SIGPIPE, SIG_IGN);
	if (mkdir("/run/redoubt", 0755) != 0 && errno != EEXIST) {
		(void)fprintf(stderr, "attestd: /run/redoubt: %s: start it as root\n",
			      strerror(errno));
		return 1;
	}
	(void)setenv("TSS2_LOG", "all+none", 1); /* refusals are told to the client */
	json_object_seed(0);                     /* opens /dev/urandom */
	open_all(&words, &agent);
	if (!open_listener(words.socket, &agent.listener) || !confine(ATTESTD_UID)) {
		return 1;
	}
	heap_alone();
	(void)fprintf(stderr, "attestd: ready\n");
	if (!sandbox_enter(&attestd_policy)) {
		(void)fprintf(stderr, "attestd: sandbox: %s\n", strerror(errno));
		return 1;
	}
	for (;;) {
		serve(&agent);
	}
}
