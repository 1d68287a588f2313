/* SPDX-License-Identifier: MIT */
/*
 * Starts one guest by hand, without the manager: for the first steps in a root that has nothing but busybox, and for tests of one
 * process. The guest's console comes out on standard output; with --input, standard input goes to it.
 *
 * Exit status: 0 the guest powered off, 2 wrong usage or a failure here, 3 it asked for a reset, 4 it crashed, 5 its worker died, 6 out of time.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "hv/host/lib/ipc.h"
#include "hv/root/ioctl.h"

#define DEVICES 2
#define STATE_BYTES 65536
#define GUID_SCSI                                                                               \
	{                                                                                       \
		{                                                                               \
			0xd9, 0x63, 0x61, 0xba, 0xa1, 0x04, 0x29, 0x4d, 0xb6, 0x05, 0x72, 0xe2, \
				0xff, 0xb1, 0xdc, 0x7f                                          \
		}                                                                               \
	}
#define GUID_SHUTDOWN                                                                           \
	{                                                                                       \
		{                                                                               \
			0x31, 0x60, 0x0b, 0x0e, 0x13, 0x52, 0x34, 0x49, 0x81, 0x8b, 0x38, 0xd9, \
				0x0c, 0xed, 0x39, 0xdb                                          \
		}                                                                               \
	}
#define GUID_HEARTBEAT                                                                          \
	{                                                                                       \
		{                                                                               \
			0x39, 0x4f, 0x16, 0x57, 0x15, 0x91, 0x78, 0x4e, 0xab, 0x55, 0x38, 0x2f, \
				0x3b, 0xd5, 0x42, 0x2d                                          \
		}                                                                               \
	}
#define GUID_TIMESYNC                                                                           \
	{                                                                                       \
		{                                                                               \
			0x30, 0xe6, 0x27, 0x95, 0xae, 0xd0, 0x7b, 0x49, 0xad, 0xce, 0xe8, 0x0a, \
				0xb0, 0x17, 0x5c, 0xaf                                          \
		}                                                                               \
	}

struct child {
	const char *name;
	pid_t pid;
	int control;
};

static struct {
	const char *worker, *kernel, *initrd, *cmdline, *storvsp, *ic;
	const char *disk[PM_DISKS_MAX];
	unsigned disks, mem, vps, timeout;
	bool read_only, input;
} option = { .worker = "/bin/vmworker", .cmdline = "console=ttyS0", .mem = 256, .vps = 1 };

static struct child child[1 + DEVICES];
static unsigned children;
static struct ipc_message message;

static void die(const char *what)
{
	(void)fprintf(stderr, "vmstart: %s: %s\n", what, strerror(errno));
	exit(2);
}

static int checked(int result, const char *what)
{
	if (result < 0) {
		die(what);
	}
	return result;
}

static int open_file(const char *path, int flags)
{
	return checked(open(path, flags | O_CLOEXEC), path);
}

static void pair(int type, int fd[2])
{
	checked(socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, fd), "socketpair");
}

static struct child *spawn(const char *path)
{
	struct child *c = &child[children++];
	int fd[2];

	pair(SOCK_SEQPACKET, fd);
	c->name = path;
	c->control = fd[0];
	c->pid = fork();
	checked(c->pid, "fork");
	if (c->pid == 0) {
		char *argv[] = { (char *)(uintptr_t)path, NULL };
		int own = fcntl(fd[1], F_DUPFD,
				16); /* so that dup2 makes a new one, without close-on-exec */

		if (own < 0 || dup2(own, IPC_CONTROL_FD) < 0) {
			die("dup2");
		}
		(void)close(own);
		(void)execv(path, argv);
		die(path);
	}
	(void)close(fd[1]);
	return c;
}

static void config(struct child *c, enum pm_type type, void *m, uint32_t size, const int *fds,
		   uint32_t count)
{
	if (ipc_send(c->control, type, m, size, fds, count) != 0) {
		die(c->name);
	}
}

static void add_device(struct pm_config_worker *w, const struct pm_guid *class_id, uint32_t unit)
{
	struct pm_device *d = &w->device[w->device_count];

	d->class_id = *class_id;
	d->instance = *class_id;
	d->instance.b[15] ^= (uint8_t)(w->device_count + 1);
	d->socket = w->socket_count;
	d->unit = unit;
	w->device_count++;
}

static int start_storvsp(struct pm_config_worker *w, int memory)
{
	static const struct pm_guid scsi = GUID_SCSI;
	struct pm_config_storvsp c = { .memory_bytes = w->memory_bytes,
				       .disk_count = option.disks };
	int fds[3 + PM_DISKS_MAX], socket[2];

	pair(SOCK_SEQPACKET, socket);
	fds[0] = memory;
	fds[1] = socket[0];
	fds[2] = checked(memfd_create("storvsp-state", MFD_CLOEXEC), "memfd_create");
	checked(ftruncate(fds[2], STATE_BYTES), "ftruncate");
	for (unsigned i = 0; i < option.disks; i++) {
		int mode = option.read_only ? O_RDONLY : O_RDWR;
		off_t end;

		fds[3 + i] = open(option.disk[i], mode | O_DIRECT | O_CLOEXEC);
		if (fds[3 + i] < 0) { /* tmpfs has no O_DIRECT */
			fds[3 + i] = open_file(option.disk[i], mode);
		}
		end = lseek(fds[3 + i], 0, SEEK_END);
		if (end <= 0) {
			die(option.disk[i]);
		}
		c.disk[i].bytes = (uint64_t)end & ~511ull;
		c.disk[i].read_only = option.read_only;
		(void)snprintf(c.disk[i].serial, sizeof(c.disk[i].serial), "vmstart%u", i);
	}
	config(spawn(option.storvsp), PM_CONFIG_STORVSP, &c, sizeof(c), fds, 3 + option.disks);
	add_device(w, &scsi, 0);
	w->socket_count++;
	return socket[1];
}

static int start_ic(struct pm_config_worker *w, int memory)
{
	static const struct pm_guid class_id[] = { GUID_SHUTDOWN, GUID_HEARTBEAT, GUID_TIMESYNC };
	struct pm_config_ic c = { .memory_bytes = w->memory_bytes };
	int fds[2], socket[2];

	pair(SOCK_SEQPACKET, socket);
	fds[0] = memory;
	fds[1] = socket[0];
	config(spawn(option.ic), PM_CONFIG_IC, &c, sizeof(c), fds, 2);
	for (uint32_t i = 0; i < 3; i++) {
		add_device(w, &class_id[i], i);
	}
	w->socket_count++;
	return socket[1];
}

/* Returns our end of the console. */
static int start_all(void)
{
	struct rd_create_partition create = { .memory_bytes = (uint64_t)option.mem << 20,
					      .vp_count = option.vps };
	struct pm_config_worker w = { .memory_bytes = create.memory_bytes, .vp_count = option.vps };
	int device = open_file(RD_DEVICE, O_RDWR), fds[PM_FDS_MAX], console[2];
	uint32_t n = 0, console_at;
	struct child *worker;

	fds[n++] = checked(ioctl(device, RD_IOCTL_CREATE_PARTITION, &create), "create partition");
	fds[n++] = checked(ioctl(fds[0], RD_IOCTL_MEMORY), "guest memory");
	(void)fprintf(stderr, "vmstart: partition %llu\n", (unsigned long long)create.partition);
	fds[n++] = open_file(option.kernel, O_RDONLY);
	if (option.initrd != NULL) {
		fds[n++] = open_file(option.initrd, O_RDONLY);
		w.has_initrd = 1;
	}
	pair(SOCK_STREAM, console);
	console_at = n;
	fds[n++] = console[1];
	if (snprintf(w.cmdline, sizeof(w.cmdline), "%s", option.cmdline) >=
	    (int)sizeof(w.cmdline)) {
		errno = E2BIG;
		die("command line");
	}
	worker = spawn(option.worker); /* first of all, so that it is child[0] */
	if (option.storvsp != NULL) {
		fds[n++] = start_storvsp(&w, fds[1]);
	}
	if (option.ic != NULL) {
		fds[n++] = start_ic(&w, fds[1]);
	}
	config(worker, PM_CONFIG_WORKER, &w, sizeof(w), fds, n);
	(void)close(fds[console_at]);
	(void)close(fds[0]);
	(void)close(fds[1]);
	(void)close(device);
	return console[0];
}

/* Copies what is there. false: no more will come. */
static bool copy(int from, int to, bool socket)
{
	char bytes[4096];
	ssize_t n = socket ? recv(from, bytes, sizeof(bytes), MSG_DONTWAIT)
			   : read(from, bytes, sizeof(bytes));

	if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
		return false;
	}
	for (ssize_t done = 0; done < n;) {
		ssize_t wrote = write(to, bytes + done, (size_t)(n - done));

		if (wrote <= 0 && errno != EINTR) {
			die("console");
		}
		done += wrote > 0 ? wrote : 0;
	}
	return n > 0;
}

static int end(int console, int status)
{
	struct pm_plain stop = { 0 };

	for (unsigned i = 0; i < children; i++) {
		(void)ipc_send(child[i].control, PM_STOP, &stop, sizeof(stop), NULL, 0);
	}
	while (copy(console, 1, true)) {
	}
	for (unsigned i = 0; i < children; i++) {
		int how = 0;

		for (int t = 0; t < 50 && waitpid(child[i].pid, &how, WNOHANG) == 0; t++) {
			(void)usleep(100000);
		}
		if (waitpid(child[i].pid, &how, WNOHANG) == 0) {
			(void)fprintf(stderr, "vmstart: %s does not end\n", child[i].name);
			(void)kill(child[i].pid, SIGKILL);
		}
	}
	return status;
}

/* -1: go on; otherwise the exit status. */
static int worker_said(void)
{
	switch (message.status_worker.guest) {
	case PM_GUEST_OFF:
		return 0;
	case PM_GUEST_RESET:
		return 3;
	case PM_GUEST_CRASHED:
	case PM_GUEST_FAILED:
	case PM_GUEST_HALTED:
		return 4;
	default:
		return -1;
	}
}

static int hear(struct child *c)
{
	int got = ipc_receive(c->control, &message), how = 0;

	if (got < 0) {
		return -1;
	}
	if (got == 0) {
		(void)waitpid(c->pid, &how, 0);
		(void)fprintf(stderr, "\nvmstart: %s died: %s %d\n", c->name,
			      WIFSIGNALED(how) ? "signal" : "status",
			      WIFSIGNALED(how) ? WTERMSIG(how) : WEXITSTATUS(how));
		(void)close(c->control);
		c->control = -1;
		return c == &child[0] ? 5 : -1;
	}
	ipc_drop_fds(&message);
	if (message.type == PM_READY) {
		(void)fprintf(stderr, "vmstart: %s is ready\n", c->name);
	}
	if (message.type != PM_STATUS_WORKER || c != &child[0]) {
		return -1;
	}
	(void)fprintf(stderr, "\nvmstart: guest state %u: %s\n", message.status_worker.guest,
		      message.status_worker.text);
	return worker_said();
}

static int loop(int console)
{
	time_t start = time(NULL);

	for (;;) {
		struct pollfd p[3 + DEVICES] = { { console, POLLIN, 0 } };
		int status;

		for (unsigned i = 0; i < children; i++) {
			p[1 + i].fd = child[i].control;
			p[1 + i].events = POLLIN;
		}
		p[1 + children].fd = option.input ? 0 : -1;
		p[1 + children].events = POLLIN;
		if (poll(p, 2 + children, 1000) < 0 && errno != EINTR) {
			die("poll");
		}
		if (p[0].revents != 0) {
			(void)copy(console, 1, true);
		}
		if (p[1 + children].revents != 0 && !copy(0, console, false)) {
			option.input = false;
		}
		for (unsigned i = 0; i < children; i++) {
			status = p[1 + i].revents != 0 ? hear(&child[i]) : -1;
			if (status >= 0) {
				return end(console, status);
			}
		}
		if (option.timeout != 0 && time(NULL) - start >= (time_t)option.timeout) {
			(void)fprintf(stderr, "\nvmstart: out of time\n");
			return end(console, 6);
		}
	}
}

static int usage(void)
{
	(void)fprintf(
		stderr,
		"usage: vmstart --kernel FILE [--initrd FILE] [--cmdline TEXT] [--mem MIB] [--vps N]\n"
		"               [--worker PROGRAM] [--storvsp PROGRAM --disk FILE... [--read-only]]\n"
		"               [--ic PROGRAM] [--timeout SECONDS] [--input]\n");
	return 2;
}

int main(int argc, char **argv)
{
	static const struct option names[] = {
		{ "kernel", 1, NULL, 'k' },    { "initrd", 1, NULL, 'i' },
		{ "cmdline", 1, NULL, 'c' },   { "mem", 1, NULL, 'm' },
		{ "vps", 1, NULL, 'v' },       { "worker", 1, NULL, 'w' },
		{ "storvsp", 1, NULL, 's' },   { "disk", 1, NULL, 'd' },
		{ "read-only", 0, NULL, 'r' }, { "ic", 1, NULL, 'a' },
		{ "timeout", 1, NULL, 't' },   { "input", 0, NULL, 'n' },
		{ NULL, 0, NULL, 0 },
	};
	int o;

	while ((o = getopt_long(argc, argv, "", names, NULL)) != -1) {
		switch (o) {
		case 'k':
			option.kernel = optarg;
			break;
		case 'i':
			option.initrd = optarg;
			break;
		case 'c':
			option.cmdline = optarg;
			break;
		case 'm':
			option.mem = (unsigned)atoi(optarg);
			break;
		case 'v':
			option.vps = (unsigned)atoi(optarg);
			break;
		case 'w':
			option.worker = optarg;
			break;
		case 's':
			option.storvsp = optarg;
			break;
		case 'd':
			if (option.disks == PM_DISKS_MAX) {
				return usage();
			}
			option.disk[option.disks++] = optarg;
			break;
		case 'r':
			option.read_only = true;
			break;
		case 'a':
			option.ic = optarg;
			break;
		case 't':
			option.timeout = (unsigned)atoi(optarg);
			break;
		case 'n':
			option.input = true;
			break;
		default:
			return usage();
		}
	}
	if (option.kernel == NULL || optind != argc) {
		return usage();
	}
	(void)signal(SIGPIPE, SIG_IGN);
	return loop(start_all());
}
