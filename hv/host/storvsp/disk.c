/* SPDX-License-Identifier: MIT */
/* The ring: all that the process waits for ends here, so that one system call hands over a batch and waits for the next. */
#include "hv/host/storvsp/storvsp.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define ENTRIES 128u /* all slots, watches and the timer at once */
#define RETRIES_MAX 16
#define DIRECT_ALIGN 512u

_Static_assert(STORVSP_SLOTS + 2 * WATCH_COUNT + 1 <= ENTRIES, "a batch always fits");

enum tag { TAG_DISK, TAG_WATCH, TAG_TIMER, TAG_IGNORED };

static uint64_t user_data(enum tag tag, uint32_t which)
{
	return (uint64_t)tag << 32 | which;
}

/* How the kernel may run it: the best that it knows. */
static int setup(struct io_uring *ring)
{
	static const unsigned int flags[] = {
		IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN,
		IORING_SETUP_COOP_TASKRUN,
		0,
	};
	int result = -EINVAL;

	for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]) && result == -EINVAL; i++) {
		struct io_uring_params p = { .flags = flags[i] | IORING_SETUP_R_DISABLED };

		result = io_uring_queue_init_params(ENTRIES, ring, &p);
	}
	return result;
}

/* seccomp does not see what is asked for through a ring: this is its allow-list, and it cannot be loosened. */
static int restrict_ring(struct io_uring *ring)
{
	static const uint8_t ops[] = {
		IORING_OP_READV,        /* submit_transfer */
		IORING_OP_WRITEV,       /* submit_transfer */
		IORING_OP_FSYNC,        /* submit */
		IORING_OP_FALLOCATE,    /* submit */
		IORING_OP_POLL_ADD,     /* disk_watch */
		IORING_OP_ASYNC_CANCEL, /* disk_unwatch */
		IORING_OP_TIMEOUT,      /* disk_timer */
	};
	struct io_uring_restriction r[sizeof(ops) + 1];

	memset(r, 0, sizeof(r));
	for (size_t i = 0; i < sizeof(ops); i++) {
		r[i].opcode = IORING_RESTRICTION_SQE_OP;
		r[i].sqe_op = ops[i];
	}
	r[sizeof(ops)].opcode = IORING_RESTRICTION_SQE_FLAGS_ALLOWED;
	r[sizeof(ops)].sqe_flags = IOSQE_FIXED_FILE;
	return io_uring_register_restrictions(ring, r, sizeof(ops) + 1);
}

bool disk_queue_init(struct storvsp *s)
{
	struct io_uring *ring = &s->queue.ring;
	unsigned int workers[2] = { 8, 2 }; /* for regular files, for others */
	int fds[PM_DISKS_MAX], result;
	void *bounce;

	memset(&s->queue, 0, sizeof(s->queue));
	bounce = mmap(NULL, (size_t)STORVSP_SLOTS * STORVSP_TRANSFER_MAX, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (bounce == MAP_FAILED) {
		return false;
	}
	s->queue.bounce = bounce;
	for (uint32_t i = 0; i < s->disk_count; i++) {
		fds[i] = s->disk[i].fd;
	}
	result = setup(ring);
	if (result == 0 && s->disk_count != 0) {
		result = io_uring_register_files(ring, fds, s->disk_count);
	}
	if (result == 0) {
		result = io_uring_register_iowq_max_workers(ring, workers);
	}
	if (result == 0) {
		result = restrict_ring(ring);
	}
	if (result == 0) {
		result = io_uring_enable_rings(ring);
	}
	for (uint32_t i = 0; result == 0 && i < s->disk_count; i++) {
		(void)close(s->disk[i].fd); /* the ring has it, and is the only way to it */
		s->disk[i].fd = -1;
	}
	errno = -result;
	return result == 0;
}

/* What direct I/O asks of the memory; 1: it asks for more of the offset than a guest promises, so there is none. */
static uint32_t direct_align(int fd)
{
	uint32_t align = DIRECT_ALIGN;
	struct statx x;

	memset(&x, 0, sizeof(x));
#ifdef STATX_DIOALIGN
	if (statx(fd, "", AT_EMPTY_PATH, STATX_DIOALIGN, &x) == 0 &&
	    (x.stx_mask & STATX_DIOALIGN) != 0 && x.stx_dio_offset_align != 0) {
		if (x.stx_dio_offset_align > SCSI_BLOCK) {
			return 1;
		}
		align = x.stx_dio_mem_align;
	}
#endif
	/* A power of two; a block's worth is never wrong. */
	return align > DIRECT_ALIGN ? align : DIRECT_ALIGN;
}

bool disk_examine(struct disk *d)
{
	int flags = fcntl(d->fd, F_GETFL);
	struct stat st;

	if (flags < 0 || fstat(d->fd, &st) != 0) {
		return false;
	}
	d->align = (flags & O_DIRECT) != 0 ? direct_align(d->fd) : 1;
	/* O_NONBLOCK: where the ring would have to wait, it would not try. */
	flags &= ~(O_NONBLOCK | (d->align == 1 ? O_DIRECT : 0));
	if (fcntl(d->fd, F_SETFL, flags) != 0) {
		return false;
	}
	d->unit.unmap = false;
	/* Behind the end: changes nothing, but says whether the file system knows holes. */
	if (!d->unit.read_only && S_ISREG(st.st_mode)) {
		off_t end = (st.st_size + 0xfffff) & ~(off_t)0xfffff;

		d->unit.unmap = fallocate(d->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, end,
					  0x1000) == 0;
	}
	return true;
}

/* Never NULL: a full queue is handed over. */
static struct io_uring_sqe *next_entry(struct storvsp *s)
{
	struct io_uring_sqe *e = io_uring_get_sqe(&s->queue.ring);

	while (e == NULL) {
		(void)io_uring_submit(&s->queue.ring);
		e = io_uring_get_sqe(&s->queue.ring);
	}
	return e;
}

static void submit_transfer(const struct disk_io *io, struct io_uring_sqe *e)
{
	const struct iovec *from = io->bounced ? &io->bounce : &io->piece[io->first];
	uint32_t count = io->bounced ? 1 : io->count;

	if (io->op == DISK_READ) {
		io_uring_prep_readv(e, (int)io->disk, from, count, io->offset + io->done);
	} else {
		io_uring_prep_writev(e, (int)io->disk, from, count, io->offset + io->done);
		e->rw_flags = io->fua ? RWF_DSYNC : 0;
	}
}

static void submit(struct storvsp *s, uint32_t slot)
{
	const struct disk_io *io = &s->request[slot].io;
	struct io_uring_sqe *e = next_entry(s);

	switch (io->op) {
	case DISK_READ:
	case DISK_WRITE:
		submit_transfer(io, e);
		break;
	case DISK_FLUSH:
		io_uring_prep_fsync(e, (int)io->disk, IORING_FSYNC_DATASYNC);
		break;
	case DISK_UNMAP:
		io_uring_prep_fallocate(e, (int)io->disk,
					FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
					(off_t)io->offset, (off_t)io->length);
		break;
	}
	e->flags |= IOSQE_FIXED_FILE;
	io_uring_sqe_set_data64(e, user_data(TAG_DISK, slot));
}

static bool aligned(const struct disk_io *io, uint32_t align)
{
	for (uint32_t i = 0; i < io->count; i++) {
		if ((((uintptr_t)io->piece[i].iov_base | io->piece[i].iov_len) & (align - 1)) !=
		    0) {
			return false;
		}
	}
	return true;
}

/* Between the guest's pieces and the bounce buffer. */
static void bounce_copy(const struct disk_io *io, uint8_t *buffer, bool to_guest)
{
	uint32_t at = 0;

	for (uint32_t i = 0; i < io->count && at < io->length; i++) {
		size_t n = io->piece[i].iov_len;

		n = n < io->length - at ? n : io->length - at;
		if (to_guest) {
			memcpy(io->piece[i].iov_base, buffer + at, n);
		} else {
			memcpy(buffer + at, io->piece[i].iov_base, n);
		}
		at += (uint32_t)n;
	}
}

void disk_submit(struct storvsp *s, uint32_t slot)
{
	struct disk_io *io = &s->request[slot].io;
	const struct disk *d = &s->disk[io->disk];

	io->done = 0;
	io->retries = 0;
	io->bounced = false;
	if (io->op == DISK_READ || io->op == DISK_WRITE) {
		uint8_t *buffer = s->queue.bounce + (size_t)slot * STORVSP_TRANSFER_MAX;

		io->bounced = !aligned(io, d->align);
		if (io->bounced) {
			io->bounce = (struct iovec){ buffer, io->length };
			if (io->op == DISK_WRITE) {
				bounce_copy(io, buffer, false);
			}
		}
	}
	submit(s, slot);
}

/* `n` bytes were moved: the pieces that are left. */
static void advance(struct disk_io *io, uint32_t n)
{
	io->done += n;
	if (io->bounced) {
		io->bounce.iov_base = (uint8_t *)io->bounce.iov_base + n;
		io->bounce.iov_len -= n;
		return;
	}
	while (n != 0 && io->count != 0) {
		struct iovec *v = &io->piece[io->first];
		size_t part = v->iov_len < n ? v->iov_len : n;

		v->iov_base = (uint8_t *)v->iov_base + part;
		v->iov_len -= part;
		n -= (uint32_t)part;
		if (v->iov_len == 0) {
			io->first++;
			io->count--;
		}
	}
}

/* true: over, with *result; false: it goes on. */
static bool transfer_ended(struct storvsp *s, uint32_t slot, int got, int *result)
{
	struct disk_io *io = &s->request[slot].io;

	if (got == -EAGAIN || got == -EINTR) {
		*result = got;
		return ++io->retries > RETRIES_MAX;
	}
	if (got < 0) {
		*result = got;
		return true;
	}
	if ((io->op != DISK_READ && io->op != DISK_WRITE)) {
		*result = 0;
		return true;
	}
	if (got == 0 || (uint32_t)got > io->length - io->done) {
		*result = -EIO; /* the file is shorter than its disk */
		return true;
	}
	advance(io, (uint32_t)got);
	if (io->done < io->length) {
		return false;
	}
	if (io->bounced && io->op == DISK_READ) {
		bounce_copy(io, s->queue.bounce + (size_t)slot * STORVSP_TRANSFER_MAX, true);
	}
	*result = 0;
	return true;
}

void disk_watch(struct storvsp *s, enum watch w, int fd)
{
	struct io_uring_sqe *e;

	if (s->queue.watching[w]) {
		return;
	}
	e = next_entry(s);
	io_uring_prep_poll_add(e, fd, POLLIN);
	io_uring_sqe_set_data64(e, user_data(TAG_WATCH, w));
	s->queue.watching[w] = true;
}

void disk_unwatch(struct storvsp *s, enum watch w)
{
	struct io_uring_sqe *e;

	if (s->queue.watching[w]) {
		e = next_entry(s);
		io_uring_prep_cancel64(e, user_data(TAG_WATCH, w), 0);
		io_uring_sqe_set_data64(e, user_data(TAG_IGNORED, 0));
	}
}

void disk_timer(struct storvsp *s)
{
	static struct __kernel_timespec second = { .tv_sec = 1 };
	struct io_uring_sqe *e;

	if (s->queue.timer) {
		return;
	}
	e = next_entry(s);
	io_uring_prep_timeout(e, &second, 0, 0);
	io_uring_sqe_set_data64(e, user_data(TAG_TIMER, 0));
	s->queue.timer = true;
}

bool disk_wait(struct storvsp *s, bool block)
{
	int result = block ? io_uring_submit_and_wait(&s->queue.ring, 1)
			   : io_uring_submit_and_get_events(&s->queue.ring);

	/* Busy: what has ended must be taken first, and it is. */
	return result >= 0 || result == -EINTR || result == -EBUSY || result == -EAGAIN;
}

/* true: an event for the caller. */
static bool serve(struct storvsp *s, uint64_t data, int got, struct disk_event *e)
{
	uint32_t which = (uint32_t)data;

	e->which = which;
	e->result = 0;
	switch ((enum tag)(data >> 32)) {
	case TAG_DISK:
		e->kind = EVENT_DISK;
		if (transfer_ended(s, which, got, &e->result)) {
			return true;
		}
		submit(s, which);
		return false;
	case TAG_WATCH:
		e->kind = EVENT_WATCH;
		s->queue.watching[which] = false;
		return true;
	case TAG_TIMER:
		e->kind = EVENT_TIMER;
		s->queue.timer = false;
		return true;
	case TAG_IGNORED:
		return false;
	}
	return false;
}

bool disk_next(struct storvsp *s, struct disk_event *e)
{
	struct io_uring_cqe *c;

	while (io_uring_peek_cqe(&s->queue.ring, &c) == 0) {
		uint64_t data = io_uring_cqe_get_data64(c);
		int got = c->res;

		io_uring_cqe_seen(&s->queue.ring, c);
		if (serve(s, data, got, e)) {
			return true;
		}
	}
	return false;
}
