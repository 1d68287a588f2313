// SPDX-License-Identifier: MIT
/*
 * The log of a console: what a guest writes, without end, into one file of bounded size. Input: a record: bytes that the file has; then
 * records of bytes that are added, and of calls that fail or do less. Checked against a model: the file is never larger than it may be,
 * holds what was written last, at least half of what fits, in order, and nothing else; after a failure nothing more is written.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "fuzz/oracle.h"
#include "hv/host/console/store.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define LOG_FD 4000
#define ROOM (STORE_BYTES_MAX + 4096u)

static uint8_t file[ROOM];
static uint64_t file_size;
static struct store s;
static uint64_t written;
static uint32_t countdown; /* to a call that fails; 0: none does */
static int error;          /* 0: it does a part */
static bool broken;        /* a call failed for good */

#define GUEST_MAX (STORE_BYTES_MAX + 40 * 65536u)
static uint8_t guest[GUEST_MAX]; /* all that it may write */

static uint8_t byte_of(uint64_t n)
{
	return guest[n];
}

/* -2: it does not fail; else what the call answers. */
static ssize_t fails(size_t n)
{
	if (countdown == 0 || --countdown != 0) {
		return -2;
	}
	if (error == 0 && n > 1) {
		return (ssize_t)(n / 2);
	}
	broken |= error != EINTR;
	errno = error;
	return error == 0 ? 0 : -1;
}

ssize_t pwrite(int fd, const void *from, size_t n, off_t at)
{
	ssize_t part;

	if (fd != LOG_FD) {
		return syscall(SYS_pwrite64, fd, from, n, at);
	}
	ORACLE(!broken && !s.failed && at >= 0 && (uint64_t)at + n <= STORE_BYTES_MAX,
	       "behind the end of the log");
	oracle_said_number((uint64_t)at);
	oracle_said(from, n < 64 ? n : 64);
	part = fails(n);
	if (part != -2) {
		n = part > 0 ? (size_t)part : 0;
	}
	memcpy(file + at, from, n);
	file_size = (uint64_t)at + n > file_size ? (uint64_t)at + n : file_size;
	return part == -2 ? (ssize_t)n : part;
}

ssize_t pread(int fd, void *to, size_t n, off_t at)
{
	ssize_t part;

	if (fd != LOG_FD) {
		return syscall(SYS_pread64, fd, to, n, at);
	}
	oracle_room(to, n);
	part = fails(n);
	if (part != -2) {
		n = part > 0 ? (size_t)part : 0;
	}
	n = (uint64_t)at + n <= file_size ? n : (size_t)(file_size - (uint64_t)at);
	memcpy(to, file + at, n);
	return part < 0 && part != -2 ? part : (ssize_t)n;
}

int ftruncate(int fd, off_t size)
{
	if (fd != LOG_FD) {
		return (int)syscall(SYS_ftruncate, fd, size);
	}
	oracle_said_number((uint64_t)size);
	if (fails(0) != -2) {
		broken = true;
		return -1;
	}
	file_size = (uint64_t)size;
	return 0;
}

int fstat(int fd, struct stat *st)
{
	if (fd != LOG_FD) {
		return (int)syscall(SYS_fstat, fd, st);
	}
	memset(st, 0, sizeof(*st));
	st->st_size = (off_t)file_size;
	return fails(0) == -2 ? 0 : -1;
}

static void check(void)
{
	uint64_t kept = written < STORE_HALF ? written : STORE_HALF;

	ORACLE(file_size <= STORE_BYTES_MAX, "the log grows");
	if (broken) {
		return;
	}
	ORACLE(!s.failed && s.size == file_size && file_size >= kept,
	       "what was written last is lost");
	/* The end, the beginning and a place between. */
	for (uint64_t back = 1; back <= file_size && back <= written;
	     back = back < 64 ? back + 1 : back * 2) {
		ORACLE(file[file_size - back] == byte_of(written - back), "another byte");
	}
}

static void add(uint32_t n)
{
	store_add(&s, guest + written, n);
	written += n;
	check();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const int errors[] = { EINTR, 0, ENOSPC, EIO };
	struct script all = { data, size, 0 }, action;

	file_size = written = 0;
	countdown = 0;
	broken = false;
	memset(&s, 0, sizeof(s));
	(void)script_action(&all, &action);
	file_size = script_take(&action, 3) % ROOM;
	for (uint64_t i = 0; guest[1] == 0 && i < GUEST_MAX; i++) {
		guest[i] = (uint8_t)(i * 7 + i / 251);
	}
	memcpy(file, guest, file_size); /* of an earlier run */
	written = file_size <= STORE_BYTES_MAX ? file_size : 0;
	if (script_take(&action, 1) != 0) {
		countdown = 1;
		error = EIO;
	}
	if (!store_open(&s, LOG_FD)) {
		return 0;
	}
	countdown = 0;
	check();
	for (unsigned i = 0; i < 40 && script_action(&all, &action); i++) {
		uint32_t n = (uint32_t)script_take(&action, 2),
			 how = (uint32_t)script_take(&action, 1);

		if (how != 0) {
			countdown = 1 + how / 4 % 8;
			error = errors[how % 4];
		}
		add(n);
	}
	return 0;
}
