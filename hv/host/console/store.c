/* SPDX-License-Identifier: MIT */
#include "hv/host/console/store.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

static bool write_at(int fd, const uint8_t *bytes, size_t count, uint32_t at)
{
	while (count != 0) {
		ssize_t n = pwrite(fd, bytes, count, (off_t)at);

		if (n < 0 && errno == EINTR) {
			continue;
		}
		if (n <= 0) {
			return false;
		}
		bytes += n;
		count -= (size_t)n;
		at += (uint32_t)n;
	}
	return true;
}

/* The later half becomes the first. */
static bool turn(struct store *s)
{
	static uint8_t half[STORE_HALF];
	uint32_t from = s->size - STORE_HALF, done = 0;

	while (done < STORE_HALF) {
		ssize_t n = pread(s->fd, half + done, STORE_HALF - done, (off_t)(from + done));

		if (n < 0 && errno == EINTR) {
			continue;
		}
		if (n <= 0) {
			return false;
		}
		done += (uint32_t)n;
	}
	if (!write_at(s->fd, half, STORE_HALF, 0) || ftruncate(s->fd, STORE_HALF) != 0) {
		return false;
	}
	s->size = STORE_HALF;
	return true;
}

bool store_open(struct store *s, int fd)
{
	struct stat st;

	*s = (struct store){ .fd = fd };
	if (fstat(fd, &st) != 0) {
		return false;
	}
	if (st.st_size > (off_t)STORE_BYTES_MAX) {
		/* Of another release, or not ours: begin anew. */
		return ftruncate(fd, 0) == 0;
	}
	s->size = (uint32_t)st.st_size;
	return true;
}

void store_add(struct store *s, const uint8_t *bytes, size_t count)
{
	while (count != 0 && !s->failed) {
		uint32_t room = STORE_BYTES_MAX - s->size;
		uint32_t part = count < room ? (uint32_t)count : room;

		if (room == 0) {
			s->failed = !turn(s);
			continue;
		}
		if (!write_at(s->fd, bytes, part, s->size)) {
			s->failed = true;
			return;
		}
		s->size += part;
		bytes += part;
		count -= part;
	}
}
