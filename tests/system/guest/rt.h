/* SPDX-License-Identifier: MIT */
/* What the root's test programs share: how results are printed, small helpers. */
#pragma once

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const char *rt_name = "?";

/* One line in one write, so that other writers cannot split it. */
__attribute__((format(printf, 2, 0))) static inline void rt_vline(const char *verb, const char *fmt,
								  va_list ap)
{
	char buf[900];
	int n = snprintf(buf, sizeof buf, "RT %s %s ", verb, rt_name);

	n += vsnprintf(buf + n, sizeof buf - n - 2, fmt, ap);
	if (n > (int)sizeof buf - 2)
		n = sizeof buf - 2;
	buf[n++] = '\n';
	if (write(1, buf, n) < 0)
		exit(3);
}

__attribute__((format(printf, 1, 2))) static inline void info(const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	rt_vline("info", fmt, ap);
	va_end(ap);
}

__attribute__((format(printf, 1, 2), noreturn)) static inline void pass(const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	rt_vline("pass", fmt, ap);
	va_end(ap);
	exit(0);
}

__attribute__((format(printf, 1, 2), noreturn)) static inline void fail(const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	rt_vline("fail", fmt, ap);
	va_end(ap);
	exit(1);
}

__attribute__((format(printf, 1, 2), noreturn)) static inline void skip(const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	rt_vline("skip", fmt, ap);
	va_end(ap);
	exit(0);
}

static inline double now_of(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return t.tv_sec + t.tv_nsec * 1e-9;
}

static inline double now(void)
{
	return now_of(CLOCK_MONOTONIC);
}

static inline uint64_t rdtsc(void)
{
	uint32_t lo, hi;

	__asm__ volatile("lfence; rdtsc" : "=a"(lo), "=d"(hi)::"memory");
	return (uint64_t)hi << 32 | lo;
}

static inline int cpu_count(void)
{
	return sysconf(_SC_NPROCESSORS_ONLN);
}

static inline int pin(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	return sched_setaffinity(0, sizeof set, &set);
}

static inline uint32_t xorshift(uint32_t *s)
{
	*s ^= *s << 13;
	*s ^= *s >> 17;
	return *s ^= *s << 5;
}

/* Fills or checks a buffer whose content follows from seed; returns the first wrong offset or -1. */
static inline void pattern_fill(void *buf, size_t len, uint32_t seed)
{
	uint32_t *w = buf, s = seed * 2654435761u | 1;

	for (size_t i = 0; i < len / 4; i++)
		w[i] = xorshift(&s);
}

static inline long pattern_check(const void *buf, size_t len, uint32_t seed)
{
	const uint32_t *w = buf;
	uint32_t s = seed * 2654435761u | 1;

	for (size_t i = 0; i < len / 4; i++)
		if (w[i] != xorshift(&s))
			return (long)(i * 4);
	return -1;
}

/* Whole small file as a string; empty when it cannot be read. */
static inline size_t slurp(const char *path, char *buf, size_t size)
{
	size_t got = 0;
	ssize_t n;
	int fd = open(path, O_RDONLY);

	if (fd >= 0) {
		while (got < size - 1 && (n = read(fd, buf + got, size - 1 - got)) > 0)
			got += n;
		close(fd);
	}
	buf[got] = 0;
	return got;
}

static inline int spew(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY), ok;

	if (fd < 0)
		return -1;
	ok = write(fd, text, strlen(text)) == (ssize_t)strlen(text) ? 0 : -1;
	close(fd);
	return ok;
}

/* Device file of the first disk on a kind of controller ("ahci", "virtio"), or NULL. */
static inline const char *find_disk(const char *kind)
{
	static char found[64];
	char path[PATH_MAX], target[PATH_MAX];
	struct dirent *e;
	DIR *d = opendir("/sys/block");

	found[0] = 0;
	while (d && (e = readdir(d))) {
		ssize_t n;

		snprintf(path, sizeof path, "/sys/block/%s", e->d_name);
		n = readlink(path, target, sizeof target - 1);
		if (n <= 0)
			continue;
		target[n] = 0;
		if ((!strcmp(kind, "ahci") && !strncmp(e->d_name, "sd", 2) &&
		     strstr(target, "/ata")) ||
		    (!strcmp(kind, "virtio") && !strncmp(e->d_name, "vd", 2))) {
			snprintf(found, sizeof found, "/dev/%.40s", e->d_name);
			break;
		}
	}
	if (d)
		closedir(d);
	return found[0] ? found : NULL;
}
