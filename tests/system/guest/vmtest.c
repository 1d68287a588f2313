// SPDX-License-Identifier: MIT
/*
 * Checks inside a test guest that a shell cannot make, and two for the root. usage:
 *   vmtest disk DEVICE | work DEVICE | ioerror DEVICE read|write | clock | smp | spin SECONDS | count SECONDS ROUNDS |
 *          serve FILE | fetch ADDRESS FILE | absent | drain | hvsock | hvdeep
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include <linux/vm_sockets.h>

#include "attest/core/format.h"

#define BLOCK 65536u
#define BLOCKS 64u

static int fail(const char *name, const char *what)
{
	printf("VM fail %s %s: %s\n", name, what, strerror(errno));
	return 1;
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void pattern(uint64_t *to, uint64_t seed)
{
	for (unsigned i = 0; i < BLOCK / 8; i++) {
		seed ^= seed << 13;
		seed ^= seed >> 7;
		seed ^= seed << 17;
		to[i] = seed;
	}
}

/* Blocks in a scattered order, written directly, flushed, read back directly. */
static int disk_round(const char *name, int fd, void *buffer, uint64_t seed)
{
	static uint64_t want[BLOCK / 8];

	for (unsigned pass = 0; pass < 2; pass++) {
		for (unsigned i = 0; i < BLOCKS; i++) {
			unsigned block = i * 37 % BLOCKS;

			pattern(want, seed + block + 1);
			if (pass == 0) {
				memcpy(buffer, want, BLOCK);
				if (pwrite(fd, buffer, BLOCK, (off_t)block * BLOCK) != BLOCK) {
					return fail(name, "write");
				}
			} else {
				if (pread(fd, buffer, BLOCK, (off_t)block * BLOCK) != BLOCK) {
					return fail(name, "read");
				}
				if (memcmp(buffer, want, BLOCK) != 0) {
					printf("VM fail %s block %u came back different\n", name,
					       block);
					return 1;
				}
			}
		}
		if (fsync(fd) != 0) {
			return fail(name, "flush");
		}
	}
	return 0;
}

/* rounds: 0: for ever, with a line for each. */
static int disk(const char *name, const char *path, unsigned rounds)
{
	void *buffer;
	int fd = open(path, O_RDWR | O_DIRECT);

	if (fd < 0) {
		return fail(name, path);
	}
	if (posix_memalign(&buffer, 4096, BLOCK) != 0) {
		return fail(name, "memory");
	}
	for (unsigned i = 0; rounds == 0 || i < rounds; i++) {
		if (disk_round(name, fd, buffer, (uint64_t)i * BLOCKS) != 0) {
			return 1;
		}
		if (rounds == 0) {
			printf("VM %s round %u\n", name, i + 1);
			usleep(200000); /* others want the CPU too */
		}
	}
	close(fd);
	printf("VM pass %s %s %u KiB written, flushed, read back\n", name, path,
	       BLOCK * BLOCKS / 1024);
	return 0;
}

/* The disk must fail within two minutes, by an I/O error and not by silence. */
static int io_error(const char *path, int write_it)
{
	void *buffer;
	int fd = open(path, O_RDWR | O_DIRECT);
	double began = now();
	ssize_t n;

	if (fd < 0) {
		return fail("ioerror", path);
	}
	if (posix_memalign(&buffer, 4096, BLOCK) != 0) {
		return fail("ioerror", "memory");
	}
	memset(buffer, 0x5a, BLOCK);
	for (unsigned i = 0; i % BLOCKS != 0 || now() - began < 120; i++) {
		off_t at = (off_t)(i % BLOCKS) * BLOCK;

		n = write_it ? pwrite(fd, buffer, BLOCK, at) : pread(fd, buffer, BLOCK, at);
		if (n == BLOCK) {
			continue;
		}
		/* ENODATA is what Linux makes of a medium error */
		if (n >= 0 || (errno != EIO && errno != ENOSPC && errno != ENODATA)) {
			return fail("ioerror", "neither data nor an I/O error");
		}
		printf("VM pass ioerror %s after %u blocks: %s\n", path, i, strerror(errno));
		return 0;
	}
	printf("VM fail ioerror %s no error in two minutes\n", path);
	return 1;
}

/* Sleeps last as long as asked for and the clocks agree. */
static int clocks(void)
{
	double worst = 0;

	for (int i = 0; i < 20; i++) {
		double t = now(), late;

		usleep(20000);
		late = now() - t - 0.02;
		if (late < 0) {
			printf("VM fail clock a sleep of 20 ms ended %.6f s early\n", -late);
			return 1;
		}
		worst = late > worst ? late : worst;
	}
	printf("VM pass clock 20 sleeps of 20 ms, at most %.3f ms late\n", worst * 1e3);
	return 0;
}

static volatile int stop;
static uint64_t turns[64];

static void *turn(void *argument)
{
	long cpu = (long)argument;
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET((size_t)cpu, &set);
	sched_setaffinity(0, sizeof(set), &set);
	while (!stop) {
		__atomic_store_n(&turns[cpu], turns[cpu] + 1, __ATOMIC_RELAXED);
	}
	return NULL;
}

/* Every CPU makes progress at the same time. */
static int smp(int seconds)
{
	long n = sysconf(_SC_NPROCESSORS_ONLN);
	pthread_t thread[64];

	for (long i = 0; i < n; i++) {
		pthread_create(&thread[i], NULL, turn, (void *)i);
	}
	sleep((unsigned)seconds);
	stop = 1;
	for (long i = 0; i < n; i++) {
		pthread_join(thread[i], NULL);
		if (turns[i] == 0) {
			printf("VM fail smp cpu %ld did nothing\n", i);
			return 1;
		}
	}
	printf("VM pass smp %ld cpus\n", n);
	return 0;
}

/* What all CPUs get done in a second, a line for each round; the clock is this machine's own. */
static int count(int seconds, int rounds)
{
	long n = sysconf(_SC_NPROCESSORS_ONLN);
	pthread_t thread[64];
	uint64_t before = 0;
	double began;

	for (long i = 0; i < n; i++) {
		pthread_create(&thread[i], NULL, turn, (void *)i);
	}
	began = now();
	for (int r = 0; r < rounds; r++) {
		uint64_t all = 0;
		double t;

		sleep((unsigned)seconds);
		for (long i = 0; i < n; i++) {
			all += __atomic_load_n(&turns[i], __ATOMIC_RELAXED);
		}
		t = now();
		printf("VM count %llu\n",
		       (unsigned long long)((double)(all - before) / (t - began)));
		before = all;
		began = t;
	}
	stop = 1;
	return 0;
}

#define PORT 7000

static struct sockaddr_in address_of(const char *text)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(PORT) };

	a.sin_addr.s_addr = text != NULL ? inet_addr(text) : INADDR_ANY;
	return a;
}

static int copy(int from, int to)
{
	static char buffer[65536];
	ssize_t n;

	while ((n = read(from, buffer, sizeof(buffer))) > 0) {
		for (ssize_t done = 0; done < n;) {
			ssize_t wrote = write(to, buffer + done, (size_t)(n - done));

			if (wrote < 0) {
				return -1;
			}
			done += wrote;
		}
	}
	return n < 0 ? -1 : 0;
}

/* A file over TCP to whoever connects, for ever. */
static int serve(const char *path)
{
	struct sockaddr_in a = address_of(NULL);
	int one = 1, s = socket(AF_INET, SOCK_STREAM, 0);

	setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(s, (struct sockaddr *)&a, sizeof(a)) != 0 || listen(s, 4) != 0) {
		return fail("serve", "listen");
	}
	for (;;) {
		int c = accept(s, NULL, NULL), fd = open(path, O_RDONLY);

		if (c >= 0 && fd >= 0) {
			copy(fd, c);
		}
		close(fd);
		close(c);
	}
}

static int fetch(const char *from, const char *path)
{
	struct sockaddr_in a = address_of(from);

	for (unsigned i = 0; i < 100; i++) { /* the other guest may still be booting */
		int s = socket(AF_INET, SOCK_STREAM, 0);

		if (connect(s, (struct sockaddr *)&a, sizeof(a)) == 0) {
			int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

			return copy(s, fd) == 0 ? 0 : fail("fetch", "copy");
		}
		close(s);
		usleep(200000);
	}
	return fail("fetch", "connect");
}

/* Where the guest has neither memory nor a device: ones, and what is written is gone. */
static int absent(void)
{
	int fd = open("/dev/mem", O_RDWR | O_SYNC);
	volatile unsigned char *at;
	unsigned long long got;

	if (fd < 0) {
		return fail("absent", "/dev/mem");
	}
	at = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)0xf0000000);
	if (at == MAP_FAILED) {
		return fail("absent", "mmap");
	}
	for (unsigned i = 0; i < 64; i += 8) {
		*(volatile uint32_t *)(volatile void *)(at + i) = 0x12345678;
		at[i] = 0;
		got = *(volatile uint64_t *)(volatile void *)(at + i);
		got &= *(volatile uint32_t *)(volatile void *)(at + i) | 0xffffffffull << 32;
		got &= *(volatile uint16_t *)(volatile void *)(at + i) | ~0xffffull;
		got &= at[i] | ~0xffull;
		if (got != UINT64_MAX) {
			printf("VM fail absent byte %u: %llx\n", i, got);
			return 1;
		}
	}
	printf("VM pass absent memory reads as ones\n");
	return 0;
}

/* A connection of hv_sock that the host does not give: the guest's port, the host's. */
static int hvsock_refused(const char *what, uint32_t own, uint32_t port)
{
	struct sockaddr_vm from = { .svm_family = AF_VSOCK,
				    .svm_cid = VMADDR_CID_ANY,
				    .svm_port = own };
	struct sockaddr_vm to = { .svm_family = AF_VSOCK,
				  .svm_cid = VMADDR_CID_HOST,
				  .svm_port = port };
	struct timeval patience = { .tv_sec = 1 };
	int fd = socket(AF_VSOCK, SOCK_STREAM, 0), error;

	if (fd < 0 || bind(fd, (struct sockaddr *)&from, sizeof(from)) != 0) {
		return fail("hvsock", what);
	}
	setsockopt(fd, AF_VSOCK, SO_VM_SOCKETS_CONNECT_TIMEOUT, &patience, sizeof(patience));
	error = connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0 ? 0 : errno;
	close(fd);
	if (error != ETIMEDOUT) {
		errno = error;
		return fail("hvsock", what);
	}
	return 0;
}

static int hvsock(void)
{
	if (hvsock_refused("a service that there is not", 700, ATTEST_PORT + 1) != 0 ||
	    hvsock_refused("a port that every program can have", 70000, ATTEST_PORT) != 0) {
		return 1;
	}
	printf("VM pass hvsock other services and ports are refused\n");
	return 0;
}

/* A request whose reading takes memory and stack in the host's process: it is refused, and the process lives. */
static int hvsock_deep(void)
{
	struct sockaddr_vm from = { .svm_family = AF_VSOCK,
				    .svm_cid = VMADDR_CID_ANY,
				    .svm_port = 701 };
	struct sockaddr_vm to = { .svm_family = AF_VSOCK,
				  .svm_cid = VMADDR_CID_HOST,
				  .svm_port = ATTEST_PORT };
	struct timeval patience = { .tv_sec = 30 };
	static char text[8192 + 64], answer[600];
	int fd = socket(AF_VSOCK, SOCK_STREAM, 0);
	size_t at = 0, got = 0;
	ssize_t n;

	at = (size_t)sprintf(text, "POST /v1/report HTTP/1.1\r\nContent-Length: 8192\r\n\r\n");
	memset(text + at, '[', 8192);
	at += 8192;
	if (fd < 0 || bind(fd, (struct sockaddr *)&from, sizeof(from)) != 0) {
		return fail("hvdeep", "socket");
	}
	setsockopt(fd, AF_VSOCK, SO_VM_SOCKETS_CONNECT_TIMEOUT, &patience, sizeof(patience));
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	if (connect(fd, (struct sockaddr *)&to, sizeof(to)) != 0 ||
	    send(fd, text, at, 0) != (ssize_t)at) {
		return fail("hvdeep", "request");
	}
	while ((n = recv(fd, answer + got, sizeof(answer) - 1 - got, 0)) > 0) {
		got += (size_t)n;
	}
	close(fd);
	if (n < 0 || strncmp(answer, "HTTP/1.1 400 ", 13) != 0) {
		return fail("hvdeep", "answer");
	}
	printf("VM pass hvdeep refused\n");
	return 0;
}

int main(int argc, char **argv)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc >= 3 && strcmp(argv[1], "disk") == 0) {
		return disk("disk", argv[2], 1);
	}
	if (argc >= 3 && strcmp(argv[1], "work") == 0) {
		return disk("work", argv[2], 0);
	}
	if (argc >= 4 && strcmp(argv[1], "ioerror") == 0) {
		return io_error(argv[2], strcmp(argv[3], "write") == 0);
	}
	if (argc >= 4 && strcmp(argv[1], "count") == 0) {
		return count(atoi(argv[2]), atoi(argv[3]));
	}
	if (argc >= 2 && strcmp(argv[1], "drain") == 0) { /* what the console has not sent yet */
		return tcdrain(1) == 0 ? 0 : 1;
	}
	if (argc >= 3 && strcmp(argv[1], "serve") == 0) {
		return serve(argv[2]);
	}
	if (argc >= 4 && strcmp(argv[1], "fetch") == 0) {
		return fetch(argv[2], argv[3]);
	}
	if (argc >= 2 && strcmp(argv[1], "clock") == 0) {
		return clocks();
	}
	if (argc >= 2 && strcmp(argv[1], "absent") == 0) {
		return absent();
	}
	if (argc >= 2 && strcmp(argv[1], "hvdeep") == 0) {
		return hvsock_deep();
	}
	if (argc >= 2 && strcmp(argv[1], "hvsock") == 0) {
		return hvsock();
	}
	if (argc >= 2 && strcmp(argv[1], "smp") == 0) {
		return smp(2);
	}
	if (argc >= 3 && strcmp(argv[1], "spin") == 0) {
		return smp(atoi(argv[2]));
	}
	printf("VM fail %s no check of this name\n", argc > 1 ? argv[1] : "-");
	return 2;
}
