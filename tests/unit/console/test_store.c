// SPDX-License-Identifier: MIT
/* The log of a console: whatever comes in whatever pieces, the file is the end of it, and neither too short nor too long. */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "hv/host/console/store.h"

#define ALL (4u << 20)

static uint8_t all[ALL], file[2 * STORE_HALF + 1];
static struct store s;

static int setup(void **state)
{
	uint32_t x = 1;

	(void)state;
	for (uint32_t i = 0; i < ALL; i++) {
		x = x * 1103515245 + 12345;
		all[i] = (uint8_t)(x >> 16);
	}
	assert_true(store_open(&s, memfd_create("log", MFD_CLOEXEC)));
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	return close(s.fd);
}

/* The file is the last bytes of all[0..count): everything while it fits, else at least one half and at most two. */
static void check(uint32_t count)
{
	ssize_t size = pread(s.fd, file, sizeof(file), 0);

	assert_true(size >= 0);
	assert_int_equal(size, s.size);
	assert_true((uint32_t)size <= 2 * STORE_HALF);
	assert_true((uint32_t)size >= (count < STORE_HALF ? count : STORE_HALF));
	assert_memory_equal(file, all + count - size, (size_t)size);
	if (count <= 2 * STORE_HALF) {
		assert_int_equal(size, count);
	}
}

static void add_in(uint32_t piece)
{
	uint32_t done = 0;

	while (done < ALL) {
		uint32_t part = piece < ALL - done ? piece : ALL - done;

		store_add(&s, all + done, part);
		done += part;
		assert_false(s.failed);
		if (done % (7 * piece) == 0 || done == ALL) {
			check(done);
		}
	}
}

static void test_pieces(void **state)
{
	static const uint32_t pieces[] = {
		4096, 1000, 4093, STORE_HALF, STORE_HALF + 1, 2 * STORE_HALF, 3 * STORE_HALF + 5,
		ALL
	};

	for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
		add_in(pieces[i]);
		(void)teardown(state);
		(void)setup(state);
	}
}

static void test_edges(void **state)
{
	(void)state;
	store_add(&s, all, 0);
	check(0);
	store_add(&s, all, 2 * STORE_HALF - 1);
	check(2 * STORE_HALF - 1);
	store_add(&s, all + 2 * STORE_HALF - 1, 1);
	check(2 * STORE_HALF);
	store_add(&s, all + 2 * STORE_HALF, 1);
	check(2 * STORE_HALF + 1);
	assert_int_equal(s.size, STORE_HALF + 1);
}

/* A new console process goes on where the one before was. */
static void test_again(void **state)
{
	int fd = s.fd;

	(void)state;
	store_add(&s, all, 1000);
	assert_true(store_open(&s, fd));
	store_add(&s, all + 1000, 1000);
	check(2000);
	/* A file that cannot be ours. */
	assert_int_equal(ftruncate(fd, 2 * STORE_HALF + 1), 0);
	assert_true(store_open(&s, fd));
	check(0);
	assert_false(store_open(&s, -1));
	s.fd = fd;
}

/* A disk that is full ends the log, not the console. */
static void test_refused(void **state)
{
	int fd = s.fd, closed = open("/dev/null", O_RDONLY | O_CLOEXEC);

	(void)state;
	assert_true(closed >= 0);
	assert_true(store_open(&s, closed));
	store_add(&s, all, 10);
	assert_true(s.failed);
	store_add(&s, all, 10);
	(void)close(closed);
	s.fd = fd;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_pieces, setup, teardown),
		cmocka_unit_test_setup_teardown(test_edges, setup, teardown),
		cmocka_unit_test_setup_teardown(test_again, setup, teardown),
		cmocka_unit_test_setup_teardown(test_refused, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
