// SPDX-License-Identifier: MIT
/*
 * The disk process without its sandbox: its session, its SCSI and its io_uring on temporary files, with a guest (rings in a page of
 * memory here and there) and a worker (a socket) that are this program.
 */
#include "tests/unit/hostlib/hostlib_test.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "tests/guest/ring_guest.h"
#include "hv/host/storvsp/storvsp.h"

#define MEMORY 0x400000u
#define DISK_BYTES 0x200000u
#define DATA_PAGE 512u /* of the guest's buffers */
#define GPADL 0xe1e10u
#define DOWNSTREAM 5u

/* Rings are anywhere: 4 pages of data to the host, one page back, which is full after 46 answers. */
static uint64_t ring_pfn[7] = { 20, 7, 33, 8, 90, 41, 40 };

static struct storvsp s;
static struct world {
	uint8_t *memory;
	struct kept *kept;
	struct ring_guest to_host, from_host;
	int worker, channel[2]; /* our end; channel: the guest's end, the process's */
	int file[3];            /* LUN 0 read and write, 1 read-only, 2 always full */
	int plain;              /* file[0] once more, through the page cache */
	uint32_t completions;
	uint64_t last;
	uint8_t reply[64];
} w;

/* ---- the process's loop, without its control descriptor ---- */

static bool step(bool block)
{
	struct disk_event e;
	bool any = false, more;

	assert_true(disk_wait(&s, block));
	while (disk_next(&s, &e)) {
		any = true;
		if (e.kind == EVENT_DISK) {
			session_disk_done(&s, e.which, e.result);
		} else if (e.kind == EVENT_WATCH && e.which == WATCH_WORKER) {
			assert_true(chan_worker(&s.chans));
			disk_watch(&s, WATCH_WORKER, s.chans.worker);
		} else if (e.kind == EVENT_WATCH) {
			session_channel_event(&s);
		}
	}
	more = session_run(&s);
	return any || more;
}

static void settle(void)
{
	unsigned quiet = 0;

	while (quiet < 3 || s.running != 0) {
		quiet = step(s.running != 0) ? 0 : quiet + 1;
	}
}

static void add_disk(int fd, uint64_t bytes, bool read_only)
{
	struct disk *d = &s.disk[s.disk_count++];

	memset(d, 0, sizeof(*d));
	d->fd = dup(fd);
	d->unit.blocks = bytes / 512;
	d->unit.max_blocks = STORVSP_TRANSFER_MAX / 512;
	d->unit.read_only = read_only;
	(void)snprintf(d->unit.serial, sizeof(d->unit.serial), "test-%u", s.disk_count - 1);
	assert_true(disk_examine(d));
}

/* What main.c does. */
static void start_process(int worker, bool restarted)
{
	memset(&s, 0, sizeof(s));
	s.mem = (struct gmem){ w.memory, MEMORY };
	add_disk(w.file[0], DISK_BYTES, false);
	add_disk(w.file[1], DISK_BYTES, true);
	add_disk(w.file[2], DISK_BYTES, false);
	assert_true(disk_queue_init(&s));
	chan_init(&s.chans, &s.mem, worker);
	session_init(&s, w.kept, restarted);
	disk_watch(&s, WATCH_WORKER, worker);
}

/* Without another look at anything. */
static void stop_process(void)
{
	assert_true(s.running == 0);
	io_uring_queue_exit(&s.queue.ring);
	assert_int_equal(munmap(s.queue.bounce, (size_t)STORVSP_SLOTS * STORVSP_TRANSFER_MAX), 0);
	for (uint32_t i = 0; i < CHAN_MAX; i++) {
		if (s.chans.chan[i].open) {
			close(s.chans.chan[i].fd);
		}
	}
	close(s.chans.worker);
}

/* ---- the worker ---- */

static void tell(enum pm_type type, void *m, uint32_t size, int fd)
{
	assert_int_equal(ipc_send(w.worker, type, m, size, &fd, fd >= 0 ? 1 : 0), 0);
}

static struct pm_channel heard(enum pm_type type)
{
	static struct ipc_message m;
	int n;

	do {
		n = ipc_receive(w.worker, &m);
	} while (n < 0 && errno == EAGAIN && usleep(100) == 0);
	assert_int_equal(n, 1);
	assert_int_equal(m.type, type);
	return m.channel;
}

static void tell_open(void)
{
	union {
		struct pm_gpadl m;
		uint8_t bytes[sizeof(struct pm_gpadl) + sizeof(ring_pfn)];
	} g = { 0 };
	struct pm_open o = { .gpadl = GPADL, .downstream = DOWNSTREAM };

	g.m.gpadl = GPADL;
	g.m.length = sizeof(ring_pfn) / 8 * 4096;
	g.m.pages = sizeof(ring_pfn) / 8;
	memcpy(g.m.pfn, ring_pfn, sizeof(ring_pfn));
	tell(PM_GPADL, &g, sizeof(g), -1);
	tell(PM_OPEN, &o, sizeof(o), w.channel[1]);
}

/* ---- the guest ---- */

static void send_packet(uint16_t type, uint16_t flags, uint64_t id, const void *head,
			uint32_t head_length, const void *payload, uint32_t length)
{
	uint8_t p[2048] = { 0 };
	uint16_t header8 = (uint16_t)(2 + head_length / 8);
	uint16_t total8 = (uint16_t)(header8 + length / 8);
	bool signal;
	char eight[8] = { 1 };

	memcpy(p, &type, 2);
	memcpy(p + 2, &header8, 2);
	memcpy(p + 4, &total8, 2);
	memcpy(p + 6, &flags, 2);
	memcpy(p + 8, &id, 8);
	memcpy(p + 16, head, head_length);
	memcpy(p + header8 * 8u, payload, length);
	assert_true(ring_guest_put(&w.to_host, p, total8 * 8u, &signal));
	if (signal) {
		assert_int_equal(send(w.channel[0], eight, 8, 0), 8);
	}
}

/* An operation without an SRB. */
static void send_operation(uint32_t operation, uint16_t version)
{
	uint8_t v[64] = { 0 };

	memcpy(v, &operation, 4);
	v[4] = 1;
	memcpy(v + 12, &version, 2);
	send_packet(RING_DATA_INBAND, 1, 0xfffffffffffffffdull, "", 0, v, sizeof(v));
}

struct buffer { /* pages of guest memory; count 0: none */
	uint32_t offset, length, count;
	uint64_t pfn[STORVSP_PAGES];
};

static const struct buffer no_buffer;

/* Pages in turn: neighbours (stride 1) or not. */
static struct buffer buffer(uint32_t offset, uint32_t length, uint32_t stride)
{
	struct buffer b = { offset, length, (offset + length + 4095) / 4096, { 0 } };

	for (uint32_t i = 0; i < b.count; i++) {
		b.pfn[i] = DATA_PAGE + i * stride;
	}
	return b;
}

static uint8_t *buffer_byte(const struct buffer *b, uint32_t at)
{
	at += b->offset;
	return w.memory + b->pfn[at / 4096] * 4096 + at % 4096;
}

static void fill(const struct buffer *b, uint32_t seed)
{
	for (uint32_t i = 0; i < b->length; i++) {
		*buffer_byte(b, i) = (uint8_t)(seed + i * 7 + (i >> 9));
	}
}

static void check(const struct buffer *b, uint32_t seed, uint32_t length)
{
	for (uint32_t i = 0; i < length; i++) {
		if (*buffer_byte(b, i) != (uint8_t)(seed + i * 7 + (i >> 9))) {
			fail_msg("byte %u of the buffer is %02x", i, *buffer_byte(b, i));
		}
	}
}

struct srb {
	uint8_t path, target, lun, direction;
	uint8_t cdb[16], cdb_length;
	uint32_t transfer;
};

static void send_srb(uint64_t id, const struct srb *r, const struct buffer *b)
{
	uint8_t v[64] = { 3, 0, 0, 0, 1 }, head[8 + 8 + STORVSP_PAGES * 8] = { 0, 0, 0, 0, 1 };

	v[12] = 52;
	v[17] = r->path;
	v[18] = r->target;
	v[19] = r->lun;
	v[20] = r->cdb_length;
	v[21] = 20;
	v[22] = r->direction;
	memcpy(v + 24, &r->transfer, 4);
	memcpy(v + 28, r->cdb, 16);
	if (b->count == 0) {
		send_packet(RING_DATA_INBAND, 1, id, "", 0, v, sizeof(v));
		return;
	}
	memcpy(head + 8, &b->length, 4);
	memcpy(head + 12, &b->offset, 4);
	memcpy(head + 16, b->pfn, b->count * 8);
	send_packet(RING_DATA_GPA_DIRECT, 1, id, head, 16 + b->count * 8, v, sizeof(v));
}

/* The next answer: its transaction in w.last. false: none. */
static bool take_reply(void)
{
	uint8_t p[256];
	char eight[8] = { 1 };
	bool signal;
	uint32_t n = ring_guest_take(&w.from_host, p, sizeof(p), &signal);

	if (n == 0) {
		return false;
	}
	assert_int_equal(n, 16 + 64);
	assert_int_equal(p[0], RING_COMPLETION);
	memcpy(&w.last, p + 8, 8);
	memcpy(w.reply, p + 16, 64);
	w.completions++;
	if (signal) {
		assert_int_equal(send(w.channel[0], eight, 8, 0), 8);
	}
	return true;
}

/* Exactly one answer is there, or comes. */
static void one_reply(uint64_t id)
{
	settle();
	assert_true(take_reply());
	assert_true(w.last == id);
	assert_int_equal(w.reply[0], VSTOR_COMPLETE_IO);
	assert_false(take_reply());
}

static uint32_t reply32(uint32_t at)
{
	uint32_t v;

	memcpy(&v, w.reply + at, 4);
	return v;
}

#define REPLY_SRB w.reply[14]
#define REPLY_SCSI w.reply[15]
#define REPLY_MOVED reply32(24)
#define REPLY_STATUS reply32(8)

static void good(uint32_t moved)
{
	assert_int_equal(REPLY_STATUS, 0);
	assert_int_equal(REPLY_SRB, VSTOR_SRB_SUCCESS);
	assert_int_equal(REPLY_SCSI, 0);
	assert_int_equal(REPLY_MOVED, moved);
	assert_int_equal(w.reply[21], 0);
}

static void sense(uint32_t want)
{
	assert_int_equal(REPLY_STATUS, 0);
	assert_int_equal(REPLY_SRB, 0x84);
	assert_int_equal(REPLY_SCSI, 2);
	assert_int_equal(REPLY_MOVED, 0);
	assert_int_equal(w.reply[21], 18);
	assert_int_equal(w.reply[28], 0x70);
	assert_int_equal(w.reply[30] << 16 | w.reply[40] << 8 | w.reply[41], want);
}

static void refused(uint8_t srb_status)
{
	assert_int_equal(REPLY_SRB, srb_status);
	assert_int_equal(REPLY_SCSI, 0);
	assert_int_equal(REPLY_MOVED, 0);
}

static void run(const struct srb *r, const struct buffer *b)
{
	static uint64_t id = 100;

	send_srb(++id, r, b);
	one_reply(id);
}

static struct srb rw10(uint8_t lun, bool write, uint32_t lba, uint16_t blocks)
{
	struct srb r = { .lun = lun,
			 .direction = write ? 0 : 1,
			 .cdb = { write ? 0x2a : 0x28, 0, (uint8_t)(lba >> 24),
				  (uint8_t)(lba >> 16), (uint8_t)(lba >> 8), (uint8_t)lba, 0,
				  (uint8_t)(blocks >> 8), (uint8_t)blocks },
			 .cdb_length = 10,
			 .transfer = blocks * 512u };
	return r;
}

static const struct srb flush = { .direction = 2, .cdb = { 0x35 }, .cdb_length = 10 };

static void negotiate(void)
{
	static const uint32_t steps[] = { VSTOR_BEGIN_INITIALIZATION, VSTOR_QUERY_PROTOCOL_VERSION,
					  VSTOR_QUERY_PROPERTIES, VSTOR_END_INITIALIZATION };

	for (unsigned i = 0; i < 4; i++) {
		send_operation(steps[i], VSTOR_VERSION_WIN10);
		one_reply(0xfffffffffffffffdull);
		assert_int_equal(REPLY_STATUS, 0);
	}
}

/* ---- before and after each test ---- */

static int make_file(int flags, int *plain)
{
	char name[] = "/tmp/test-storvsp-XXXXXX";
	int fd;

	*plain = mkstemp(name);
	assert_true(*plain >= 0);
	assert_int_equal(ftruncate(*plain, DISK_BYTES), 0);
	/* As the manager does: direct where the file system can. */
	fd = open(name, O_RDWR | O_CLOEXEC | flags);
	if (fd < 0) {
		fd = open(name, O_RDWR | O_CLOEXEC);
	}
	assert_true(fd >= 0);
	unlink(name);
	return fd;
}

static int make_world(void **state)
{
	int ends[2], memory = memfd_create("memory", MFD_CLOEXEC);

	(void)state;
	memset(&w, 0, sizeof(w));
	alarm(120); /* a lost completion is a test that hangs */
	assert_int_equal(ftruncate(memory, MEMORY), 0);
	w.memory = mmap(NULL, MEMORY, PROT_READ | PROT_WRITE, MAP_SHARED, memory, 0);
	w.kept = mmap(NULL, sizeof(*w.kept), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	assert_true(w.memory != MAP_FAILED && w.kept != MAP_FAILED);
	close(memory);
	w.to_host = (struct ring_guest){ w.memory, ring_pfn, DOWNSTREAM };
	w.from_host = (struct ring_guest){ w.memory, ring_pfn + DOWNSTREAM, 2 };
	ring_guest_init(&w.to_host);
	ring_guest_init(&w.from_host);
	w.file[1] = make_file(0, &w.plain);
	close(w.plain);
	w.file[0] = make_file(O_DIRECT | O_NONBLOCK, &w.plain);
	w.file[2] = open("/dev/full", O_RDWR | O_CLOEXEC);
	pair(SOCK_SEQPACKET | SOCK_NONBLOCK, w.channel);
	pair(SOCK_SEQPACKET, ends);
	w.worker = ends[0];
	start_process(ends[1], false);
	return 0;
}

static int unmake_world(void **state)
{
	(void)state;
	settle();
	stop_process();
	for (unsigned i = 0; i < 3; i++) {
		close(w.file[i]);
	}
	close(w.plain);
	close(w.worker);
	close(w.channel[0]);
	close(w.channel[1]);
	munmap(w.memory, MEMORY);
	munmap(w.kept, sizeof(*w.kept));
	alarm(0);
	return 0;
}

static int make_ready(void **state)
{
	make_world(state);
	tell_open();
	settle();
	assert_int_equal(heard(PM_OPENED).status, 0);
	negotiate();
	return 0;
}

/* ---- tests ---- */

static void test_negotiation(void **state)
{
	struct buffer b = buffer(0, 512, 1);
	struct srb r = rw10(0, false, 0, 1);

	(void)state;
	tell_open();
	settle();
	assert_int_equal(heard(PM_OPENED).status, 0);
	/* Nothing out of its order. */
	send_operation(VSTOR_END_INITIALIZATION, 0);
	one_reply(0xfffffffffffffffdull);
	assert_int_equal(REPLY_STATUS, VSTOR_STATUS_INVALID_STATE);
	run(&r, &b);
	assert_int_equal(REPLY_STATUS, VSTOR_STATUS_INVALID_STATE);
	refused(VSTOR_SRB_INVALID_REQUEST);
	send_operation(VSTOR_BEGIN_INITIALIZATION, 0);
	one_reply(0xfffffffffffffffdull);
	assert_int_equal(REPLY_STATUS, 0);
	/* Newer than we know, then one that we do. */
	send_operation(VSTOR_QUERY_PROTOCOL_VERSION, 0x0700);
	one_reply(0xfffffffffffffffdull);
	assert_int_equal(REPLY_STATUS, VSTOR_STATUS_REVISION_MISMATCH);
	send_operation(VSTOR_QUERY_PROPERTIES, 0);
	one_reply(0xfffffffffffffffdull);
	assert_int_equal(REPLY_STATUS, VSTOR_STATUS_INVALID_STATE);
	send_operation(VSTOR_QUERY_PROTOCOL_VERSION, VSTOR_VERSION_WIN8);
	one_reply(0xfffffffffffffffdull);
	assert_int_equal(REPLY_STATUS, 0);
	send_operation(VSTOR_QUERY_PROPERTIES, 0);
	one_reply(0xfffffffffffffffdull);
	assert_int_equal(REPLY_STATUS, 0);
	assert_int_equal(reply32(24), 0x40000);
	assert_int_equal(reply32(16), 0);
	run(&r, &b);
	assert_int_equal(REPLY_STATUS, VSTOR_STATUS_INVALID_STATE);
	send_operation(VSTOR_END_INITIALIZATION, 0);
	one_reply(0xfffffffffffffffdull);
	assert_int_equal(REPLY_STATUS, 0);
	run(&r, &b);
	good(512);
	send_operation(VSTOR_BEGIN_INITIALIZATION, 0);
	one_reply(0xfffffffffffffffdull);
	assert_int_equal(REPLY_STATUS, VSTOR_STATUS_INVALID_STATE);
	assert_int_equal(w.kept->version, VSTOR_VERSION_WIN8);
}

static void test_luns(void **state)
{
	struct buffer b = buffer(8, 36, 1), big = buffer(0, 512, 1);
	struct srb inquiry = {
		.direction = 1, .cdb = { 0x12, 0, 0, 0, 36 }, .cdb_length = 6, .transfer = 36
	};
	struct srb luns = {
		.direction = 1, .cdb = { 0xa0, [8] = 2 }, .cdb_length = 12, .transfer = 512
	};
	struct srb r = rw10(0, false, 0, 1);

	(void)state;
	run(&inquiry, &b);
	good(36);
	assert_memory_equal(buffer_byte(&b, 0), "\0\0\6\2\x1f\0\0\2REDOUBT ", 16);
	/* Absent: by LUN, by target, by path. */
	for (unsigned i = 0; i < 3; i++) {
		fill(&b, 1);
		inquiry.lun = r.lun = i == 0 ? 3 : 0;
		inquiry.target = r.target = i == 1;
		inquiry.path = r.path = i == 2;
		run(&inquiry, &b);
		good(36);
		assert_memory_equal(buffer_byte(&b, 0), "\x7f\0\6\2\x1f\0\0\0", 8);
		run(&r, &big);
		/* Linux takes the LUN of path 0 away for an "invalid LUN" of any path. */
		refused(i == 0 ? VSTOR_SRB_INVALID_LUN : VSTOR_SRB_ERROR);
	}
	luns.path = 1;
	fill(&big, 1);
	run(&luns, &big);
	good(8);
	assert_memory_equal(buffer_byte(&big, 0), "\0\0\0\0\0\0\0\0", 8);
	luns.path = 0;
	run(&luns, &big);
	good(32);
	assert_memory_equal(buffer_byte(&big, 0), "\0\0\0\x18\0\0\0\0\0\0\0\0\0\0\0\0\0\1", 18);
	/* A shorter buffer than the answer, and none. */
	inquiry = (struct srb){
		.direction = 1, .cdb = { 0x12, 0, 0, 0, 36 }, .cdb_length = 6, .transfer = 5
	};
	fill(&b, 1);
	run(&inquiry, &b);
	good(5);
	assert_memory_equal(buffer_byte(&b, 0), "\0\0\6\2\x1f", 5);
	assert_int_equal(*buffer_byte(&b, 5), (uint8_t)(1 + 5 * 7));
	run(&inquiry, &no_buffer);
	good(0);
	inquiry.direction = 0;
	run(&inquiry, &b);
	refused(VSTOR_SRB_INVALID_REQUEST);
}

/* The last entries of the ring are still there: one of them wrote this block, and through. */
static bool was_written_through(uint32_t lba)
{
	const struct io_uring_sq *q = &s.queue.ring.sq;

	for (uint32_t i = 0; i < q->ring_entries; i++) {
		const struct io_uring_sqe *e = &q->sqes[i];

		if (e->opcode == IORING_OP_WRITEV && e->off == lba * 512ull &&
		    (uint32_t)e->rw_flags == RWF_DSYNC) {
			return true;
		}
	}
	return false;
}

/* Through every way to cut a buffer: the file has what the guest wrote, and the guest reads it back. */
static void test_read_write(void **state)
{
	static const struct {
		uint32_t offset, length, stride;
	} cut[] = { { 0, 512, 1 },        { 0, 4096, 1 },       { 512, 8192, 1 },
		    { 0, 0x40000, 1 },    { 3584, 0x40000, 1 }, { 0, 0x40000, 3 },
		    { 1024, 0x3fe00, 3 }, { 4, 4096, 2 },       { 4092, 0x40000, 2 },
		    { 100, 512, 1 },      { 0xdfc, 0x10000, 1 } };
	static uint8_t disk[0x40000];

	(void)state;
	for (unsigned i = 0; i < sizeof(cut) / sizeof(cut[0]); i++) {
		struct buffer b = buffer(cut[i].offset, cut[i].length, cut[i].stride);
		uint32_t lba = 8 * i + i, n = cut[i].length;
		struct srb r = rw10(0, true, lba, (uint16_t)(n / 512));

		r.cdb[1] = (i & 1) != 0 ? 0x08 : 0; /* FUA */
		fill(&b, i);
		run(&r, &b);
		good(n);
		assert_int_equal(was_written_through(lba), i & 1);
		assert_int_equal(s.request[0].io.bounced,
				 s.disk[0].align > 1 && cut[i].offset % 512 != 0);
		/* By another way than the process's. */
		assert_int_equal(pread(w.plain, disk, n, (off_t)lba * 512), n);
		for (uint32_t k = 0; k < n; k++) {
			assert_int_equal(disk[k], (uint8_t)(i + k * 7 + (k >> 9)));
		}
		r = rw10(0, false, lba, (uint16_t)(n / 512));
		fill(&b, 99);
		run(&r, &b);
		good(n);
		check(&b, i, n);
		/* Into fewer pieces than were written. */
		b = buffer(0, n, 1);
		fill(&b, 99);
		run(&r, &b);
		good(n);
		check(&b, i, n);
	}
	run(&flush, &no_buffer);
	good(0);
	assert_int_equal(s.status.flushes, 1);
	assert_int_equal(s.status.writes, sizeof(cut) / sizeof(cut[0]));
}

/* Pages that follow each other are one piece for the disk, in the guest's order; none of them lies outside. */
static void test_pieces(void **state)
{
	static const uint16_t at[] = { 0, 1, 2, 9, 8, 10, 11, 3 };
	struct buffer b = buffer(1536, 8 * 4096 - 2048, 1), end = buffer(0, 3 * 4096, 1);
	struct srb r = rw10(0, true, 77, (uint16_t)(b.length / 512));
	uint32_t length = b.length;

	(void)state;
	for (uint32_t i = 0; i < 8; i++) {
		b.pfn[i] = DATA_PAGE + at[i];
	}
	fill(&b, 3);
	run(&r, &b);
	good(length);
	assert_int_equal(s.request[0].io.first, 5);
	r = rw10(0, false, 77, (uint16_t)(length / 512));
	b = buffer(0, length, 1);
	run(&r, &b);
	good(length);
	assert_int_equal(s.request[0].io.first, 1);
	check(&b, 3, length);
	/* The command may want less than the pages that follow each other. */
	r = rw10(0, false, 77, 9);
	b = buffer(512, length, 1);
	fill(&b, 4);
	run(&r, &b);
	good(9 * 512);
	check(&(struct buffer){ 512, 9 * 512, 2, { DATA_PAGE, DATA_PAGE + 1 } }, 3, 9 * 512);
	assert_int_equal(*buffer_byte(&b, 9 * 512), (uint8_t)(4 + 9 * 512 * 7 + 9));
	/* A piece that begins in the guest's memory and ends behind it. */
	for (uint32_t i = 0; i < 3; i++) {
		end.pfn[i] = MEMORY / 4096 - 2 + i;
	}
	r = rw10(0, false, 0, 24);
	run(&r, &end);
	assert_int_equal(REPLY_STATUS, VSTOR_STATUS_INVALID_PARAMETER);
}

static void test_longer_buffer(void **state)
{
	struct buffer b = buffer(0, 8192, 1);
	struct srb r = rw10(0, true, 9, 1);

	(void)state;
	fill(&b, 5);
	r.transfer = 8192;
	run(&r, &b);
	good(512);
	fill(&b, 6);
	r = rw10(0, false, 9, 1);
	r.transfer = 8192;
	run(&r, &b);
	good(512);
	check(&b, 5, 512);
	assert_int_equal(*buffer_byte(&b, 512), (uint8_t)(6 + 512 * 7 + 1));
}

static void test_errors(void **state)
{
	struct buffer b = buffer(0, 4096, 1), outside = buffer(0, 4096, 1),
		      two = buffer(0, 8192, 1);
	struct srb r = rw10(1, true, 0, 8);

	(void)state;
	run(&r, &b);
	sense(0x072700);
	r = rw10(1, false, 0, 8);
	run(&r, &b);
	good(4096);
	r = rw10(0, false, DISK_BYTES / 512 - 7, 8);
	run(&r, &b);
	sense(0x052100);
	r = rw10(0, false, DISK_BYTES / 512 - 8, 8);
	run(&r, &b);
	good(4096);
	/* Buffers shorter than the command: by the range, by the SRB, none. */
	r = rw10(0, false, 0, 16);
	run(&r, &b);
	refused(VSTOR_SRB_DATA_OVERRUN);
	r.transfer = 4096;
	run(&r, &two);
	refused(VSTOR_SRB_DATA_OVERRUN);
	run(&r, &no_buffer);
	refused(VSTOR_SRB_DATA_OVERRUN);
	/* The other direction. */
	r = rw10(0, false, 0, 8);
	r.direction = 0;
	run(&r, &b);
	refused(VSTOR_SRB_INVALID_REQUEST);
	/* Not guest memory. */
	r = rw10(0, false, 0, 8);
	outside.pfn[0] = MEMORY / 4096;
	run(&r, &outside);
	assert_int_equal(REPLY_STATUS, VSTOR_STATUS_INVALID_PARAMETER);
	refused(VSTOR_SRB_INVALID_REQUEST);
	outside.pfn[0] = 0xfffffffffffffull;
	run(&r, &outside);
	refused(VSTOR_SRB_INVALID_REQUEST);
	/* Unknown. */
	r.cdb[0] = 0x41;
	run(&r, &b);
	sense(0x052000);
	/* The host's faults: no room for a write, no such data. */
	r = rw10(2, true, 0, 8);
	run(&r, &b);
	sense(0x030c00);
	r = flush;
	r.lun = 2;
	run(&r, &no_buffer);
	sense(0x030c00);
	assert_int_equal(ftruncate(w.file[1], 4096), 0);
	r = rw10(1, false, 8, 8);
	run(&r, &b);
	sense(0x031100);
	r = rw10(1, false, 0, 16); /* half of it is there */
	run(&r, &two);
	sense(0x031100);
	assert_int_equal(s.status.errors, 4);
	/* Memory that the kernel cannot write to. */
	assert_int_equal(mprotect(w.memory + DATA_PAGE * 4096, 4096, PROT_NONE), 0);
	r = rw10(0, false, 0, 8);
	run(&r, &b);
	refused(VSTOR_SRB_ERROR);
	assert_int_equal(mprotect(w.memory + DATA_PAGE * 4096, 4096, PROT_READ | PROT_WRITE), 0);
	run(&r, &b);
	good(4096);
}

static void test_unmap(void **state)
{
	static const uint8_t list[24] = { 0, 0x16, 0, 0x10, [15] = 64, [19] = 128 };
	struct buffer b = buffer(4084, 24, 2), data = buffer(0, 0x20000, 1);
	struct srb r = rw10(0, true, 0, 256),
		   u = { .cdb = { 0x42, [8] = 24 }, .cdb_length = 10, .transfer = 24 };
	struct stat before, after;

	(void)state;
	if (!s.disk[0].unit.unmap) {
		print_message("the file system of /tmp does not know holes\n");
		skip();
	}
	fill(&data, 3);
	run(&r, &data);
	good(0x20000);
	run(&flush, &no_buffer);
	assert_int_equal(fstat(w.file[0], &before), 0);
	for (unsigned i = 0; i < 24; i++) {
		*buffer_byte(&b, i) = list[i];
	}
	run(&u, &b);
	good(24);
	assert_int_equal(fstat(w.file[0], &after), 0);
	assert_int_equal(after.st_size, DISK_BYTES);
	assert_int_equal(before.st_blocks - after.st_blocks, 128);
	r = rw10(0, false, 63, 2);
	data = buffer(0, 1024, 1);
	run(&r, &data);
	good(1024);
	assert_int_not_equal(*buffer_byte(&data, 511), 0);
	assert_int_equal(*buffer_byte(&data, 512), 0);
	u.transfer = 23;
	run(&u, &b);
	refused(VSTOR_SRB_DATA_OVERRUN);
	u.transfer = 24;
	u.lun = 1;
	run(&u, &b);
	sense(0x052000);
}

static void test_malformed(void **state)
{
	uint8_t v[72] = { 3, 0, 0, 0, 1 }, two[48] = { 0, 0, 0, 0, 2 };

	(void)state;
	/* An SRB that says that it is shorter; a packet that is; an unknown operation; an unknown type of packet. */
	v[12] = 51;
	send_packet(RING_DATA_INBAND, 1, 7, "", 0, v, 64);
	one_reply(7);
	assert_int_equal(REPLY_STATUS, VSTOR_STATUS_INVALID_PARAMETER);
	refused(VSTOR_SRB_INVALID_REQUEST);
	send_packet(RING_DATA_INBAND, 1, 8, "", 0, v, 56);
	one_reply(8);
	assert_int_equal(REPLY_STATUS, VSTOR_STATUS_INVALID_PARAMETER);
	send_packet(RING_DATA_INBAND, 1, 9, "", 0, v, 0);
	one_reply(9);
	assert_int_equal(REPLY_STATUS, VSTOR_STATUS_INVALID_PARAMETER);
	v[0] = 13;
	send_packet(RING_DATA_INBAND, 1, 10, "", 0, v, 64);
	one_reply(10);
	assert_int_equal(REPLY_STATUS, VSTOR_STATUS_INVALID_REQUEST);
	send_packet(RING_DATA_XFER_PAGES, 1, 11, "", 0, v, 64);
	one_reply(11);
	assert_int_equal(REPLY_STATUS, VSTOR_STATUS_INVALID_REQUEST);
	/* Two ranges. */
	v[0] = 3;
	v[12] = 52;
	v[20] = 6;
	two[8] = two[24] = 16;
	send_packet(RING_DATA_GPA_DIRECT, 1, 12, two, 40, v, 64);
	one_reply(12);
	assert_int_equal(REPLY_STATUS, VSTOR_STATUS_INVALID_PARAMETER);
	/* A range without its pages. */
	two[4] = 1;
	send_packet(RING_DATA_GPA_DIRECT, 1, 13, two, 16, v, 64);
	one_reply(13);
	assert_int_equal(REPLY_STATUS, VSTOR_STATUS_INVALID_PARAMETER);
	/* One that wants no answer has none; the next one has. */
	send_packet(RING_DATA_INBAND, 0, 14, "", 0, v, 64);
	send_packet(RING_DATA_INBAND, 1, 15, "", 0, v, 64);
	one_reply(15);
	good(0);
	assert_false(s.chan->broken);
	/* Larger than any packet of the protocol: the channel is over, the process is not. */
	send_packet(RING_DATA_INBAND, 1, 16, "", 0, (uint8_t[1200]){ 0 }, 1200);
	settle();
	assert_false(take_reply());
	assert_true(s.chan->broken);
	send_packet(RING_DATA_INBAND, 1, 17, "", 0, v, 64);
	settle();
	assert_false(take_reply());
}

/* More requests than slots and more answers than the ring has room for: each is answered once. */
static void test_many(void **state)
{
	struct buffer b = buffer(0, 4096, 1);
	struct srb r = rw10(0, false, 0, 8);
	bool seen[400] = { false };
	uint64_t sent = 0;

	(void)state;
	while (w.completions < 4 + 400) {
		/* Send as long as the ring takes it, then let answers pile up. */
		while (sent < 400 && ring_guest_room(&w.to_host) > 1000) {
			r.cdb[5] = (uint8_t)sent;
			send_srb(1000 + sent++, &r, &b);
		}
		settle();
		assert_true(__builtin_popcountll(s.used) <= 64);
		while (take_reply()) {
			assert_true(w.last >= 1000 && w.last < 1000 + sent && !seen[w.last - 1000]);
			seen[w.last - 1000] = true;
			good(4096);
		}
	}
	assert_int_equal(sent, 400);
	settle();
	assert_false(take_reply());
	assert_true(s.used == 0 && s.waiting == 0);
}

static void test_full_ring_waits(void **state)
{
	struct buffer b = buffer(0, 512, 1);
	struct srb r = rw10(0, false, 0, 1);
	uint32_t before;

	(void)state;
	for (uint64_t i = 0; i < 120; i++) {
		send_srb(1000 + i, &r, &b);
	}
	settle();
	/* 46 answers fit; 64 requests wait for room, the others are left in the ring. */
	assert_int_equal(__builtin_popcountll(s.waiting), 64);
	before = w.completions;
	for (unsigned i = 0; i < 20; i++) {
		assert_true(take_reply());
	}
	settle();
	assert_int_equal(ring_guest_get(&w.from_host, RING_GUEST_PENDING) != 0, 1);
	while (w.completions < before + 120) {
		assert_true(take_reply());
		settle();
	}
	assert_false(take_reply());
	assert_int_equal(ring_guest_get(&w.from_host, RING_GUEST_PENDING), 0);
}

static void test_reset_bus(void **state)
{
	struct buffer b = buffer(0, 4096, 1);
	struct srb r = rw10(0, false, 0, 8);
	uint8_t v[64] = { VSTOR_RESET_BUS, 0, 0, 0, 1 };

	(void)state;
	for (uint64_t i = 0; i < 10; i++) {
		send_srb(i + 1, &r, &b);
	}
	send_packet(RING_DATA_INBAND, 1, 0xfffffffffffffffcull, "", 0, v, sizeof(v));
	send_srb(11, &r, &b);
	settle();
	for (unsigned i = 0; i < 10; i++) {
		assert_true(take_reply());
		assert_true(w.last >= 1 && w.last <= 10);
		good(4096);
	}
	assert_true(take_reply());
	assert_true(w.last == 0xfffffffffffffffcull);
	assert_int_equal(REPLY_STATUS, 0);
	assert_true(take_reply());
	assert_true(w.last == 11);
	assert_false(take_reply());
}

/* A channel is closed only when nothing moves any more; what is opened after it is new. */
static void test_close(void **state)
{
	struct buffer b = buffer(0, 0x40000, 1);
	struct srb r = rw10(0, true, 0, 512);
	struct pm_channel close_it = { .unit = 0 };
	struct pm_gpadl_free free_it = { .gpadl = GPADL };

	(void)state;
	for (unsigned round = 0; round < 3; round++) {
		for (uint64_t i = 0; i < 4; i++) {
			send_srb(i + 1, &r, &b);
		}
		assert_int_equal(send(w.channel[0], "\1\0\0\0\0\0\0", 8, 0), 8);
		tell(PM_CLOSE, &close_it, sizeof(close_it), -1);
		tell(PM_GPADL_FREE, &free_it, sizeof(free_it), -1);
		settle();
		(void)heard(PM_CLOSED);
		(void)heard(PM_GPADL_FREED);
		assert_null(s.chan);
		assert_true(s.used == 0 && s.running == 0);
		assert_int_equal(w.kept->open, 0);
		assert_false(s.queue.watching[WATCH_CHANNEL]);
		ring_guest_init(&w.to_host);
		ring_guest_init(&w.from_host);
		tell_open();
		settle();
		assert_int_equal(heard(PM_OPENED).status, 0);
		run(&r, &b); /* not negotiated */
		assert_int_equal(REPLY_STATUS, VSTOR_STATUS_INVALID_STATE);
		negotiate();
		run(&r, &b);
		good(0x40000);
	}
}

static void test_worker_reset(void **state)
{
	struct pm_plain reset = { { 0, 0 } };
	struct buffer b = buffer(0, 512, 1);
	struct srb r = rw10(0, false, 0, 1);

	(void)state;
	send_srb(1, &r, &b);
	tell(PM_RESET, &reset, sizeof(reset), -1);
	settle();
	(void)heard(PM_RESET_DONE);
	assert_null(s.chan);
}

/* ---- the death of the process ---- */

static void start_again(void)
{
	int ends[2];

	close(w.worker);
	pair(SOCK_SEQPACKET, ends);
	w.worker = ends[0];
	start_process(ends[1], true);
	tell_open();
	settle();
	assert_int_equal(heard(PM_OPENED).status, 0);
}

static void restart(void)
{
	stop_process();
	start_again();
}

/* Takes the last packet of the guest into a slot as a process does that dies in `state`. */
static void die_in(enum slot_state state, bool freed, bool published)
{
	struct slot *slot = &w.kept->slot[5];
	struct ring in, out;
	struct ring_packet p;
	struct ring_send reply = { .type = RING_COMPLETION,
				   .transaction = 77,
				   .payload_length = 64 };
	bool signal;

	assert_true(ring_open_in(&in, &s.mem, ring_pfn, DOWNSTREAM));
	assert_true(ring_open_out(&out, &s.mem, ring_pfn + DOWNSTREAM, 2));
	slot->index = in.own;
	slot->state = SLOT_TAKING;
	if (freed) {
		assert_int_equal(ring_take(&in, slot->packet, sizeof(slot->packet), &p, &signal),
				 RING_OK);
	}
	if (state == SLOT_TAKING) {
		return;
	}
	slot->state = SLOT_TAKEN;
	if (state == SLOT_TAKEN) {
		return;
	}
	vstor_build_status(slot->reply, 0);
	slot->reply[50] = 0x77; /* this answer and no other */
	slot->phase = 0;
	slot->state = SLOT_DONE;
	if (state == SLOT_DONE) {
		return;
	}
	slot->index = out.own;
	slot->state = SLOT_PUTTING;
	if (published) {
		reply.payload = slot->reply;
		assert_int_equal(ring_put(&out, &reply, &signal), RING_OK);
	}
}

static void test_death_everywhere(void **state)
{
	static const struct {
		enum slot_state state;
		bool freed, published, same;
	} point[] = { { SLOT_TAKING, false, false, false }, { SLOT_TAKING, true, false, false },
		      { SLOT_TAKEN, true, false, false },   { SLOT_DONE, true, false, true },
		      { SLOT_PUTTING, true, false, true },  { SLOT_PUTTING, true, true, true } };
	struct buffer b = buffer(0, 512, 1);
	struct srb r = rw10(0, false, 3, 1);
	char eight[8];

	(void)state;
	for (unsigned i = 0; i < sizeof(point) / sizeof(point[0]); i++) {
		send_srb(77, &r, &b);
		die_in(point[i].state, point[i].freed, point[i].published);
		while (recv(w.channel[0], eight, 8, MSG_DONTWAIT) > 0) {
		}
		restart();
		/* The dead one may have put an answer and not signalled. */
		assert_int_equal(recv(w.channel[0], eight, 8, MSG_DONTWAIT), 8);
		one_reply(77);
		if (point[i].same) {
			assert_int_equal(w.reply[50], 0x77);
		} else {
			good(512);
		}
		assert_int_equal(w.kept->slot[5].state, SLOT_FREE);
		/* The session goes on without negotiation. */
		run(&r, &b);
		good(512);
	}
}

/* What a process leaves is not believed. */
static void test_kept_is_hostile(void **state)
{
	struct buffer b = buffer(0, 512, 1);
	struct srb r = rw10(0, false, 3, 1);
	uint64_t random = 88172645463325252ull;

	(void)state;
	for (unsigned round = 0; round < 200; round++) {
		for (unsigned i = 0; i < 64; i++) {
			struct slot *slot = &w.kept->slot[i];
			uint8_t *bytes = (uint8_t *)slot;

			for (unsigned n = 0; n < sizeof(*slot); n++) {
				random ^= random << 13;
				random ^= random >> 7;
				random ^= random << 17;
				bytes[n] = (uint8_t)(round % 2 == 0 ? random
								    : random & (random >> 8) & 7);
			}
			slot->state = (uint32_t)(random % 6);
		}
		restart();
		while (take_reply()) {
			settle();
		}
		assert_true(s.used == 0);
		w.kept->phase = PHASE_READY;
		w.kept->version = VSTOR_VERSION_WIN10;
	}
	w.kept->gpadl++; /* of other rings: a new session */
	restart();
	run(&r, &b);
	assert_int_equal(REPLY_STATUS, VSTOR_STATUS_INVALID_STATE);
	negotiate();
	w.kept->phase = 17;
	restart();
	negotiate();
	w.kept->version = 0x0700;
	restart();
	negotiate();
	w.kept->magic++;
	restart();
	negotiate();
	run(&r, &b);
	good(512);
}

/* The process for real, in a process, until it is killed. */
static pid_t fork_process(bool restarted)
{
	int ends[2];
	pid_t pid;

	pair(SOCK_SEQPACKET, ends);
	close(w.worker);
	w.worker = ends[0];
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		start_process(ends[1], restarted);
		for (;;) {
			(void)step(true);
		}
	}
	close(ends[1]);
	tell_open();
	return pid;
}

#define STORM_REQUESTS 4000u
#define STORM_LIVE 24u

/* Killed at any instruction, again and again: every write arrives, every request is answered once. */
static void test_kill_storm(void **state)
{
	static uint8_t disk[DISK_BYTES];
	static uint32_t owner[STORM_REQUESTS]; /* slot of ours + 1; 0: not under way */
	uint64_t random = 1181783497276652981ull;
	uint32_t sent = 0, answered = 0, kills = 0, used = 0;
	pid_t pid;

	(void)state;
	stop_process();
	pid = fork_process(true);
	while (answered < STORM_REQUESTS) {
		struct timespec nap = { 0, 0 };

		random ^= random << 13;
		random ^= random >> 7;
		random ^= random << 17;
		/* Request n writes its block n % 4000 from page n % 24 of ours. */
		while (sent < STORM_REQUESTS && used != (1u << STORM_LIVE) - 1) {
			uint32_t mine = (uint32_t)__builtin_ctz(~used);
			struct buffer b = { 0, 512, 1, { DATA_PAGE + mine } };
			struct srb r = rw10(0, true, sent, 1);

			for (unsigned i = 0; i < 512; i++) {
				*buffer_byte(&b, i) = (uint8_t)(sent * 31 + i);
			}
			owner[sent] = mine + 1;
			used |= 1u << mine;
			__atomic_thread_fence(__ATOMIC_SEQ_CST);
			send_srb(1 + sent++, &r, &b);
			(void)send(w.channel[0], "\1\0\0\0\0\0\0", 8, 0);
		}
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
		while (take_reply()) {
			uint32_t n = (uint32_t)w.last - 1;

			good(512);
			assert_true(n < sent && owner[n] != 0);
			used &= ~(1u << (owner[n] - 1));
			owner[n] = 0;
			answered++;
		}
		nap.tv_nsec = (long)(random % 1500) * 1000;
		nanosleep(&nap, NULL);
		if (random % 3 == 0 && kills < 400) {
			int status;

			assert_int_equal(kill(pid, SIGKILL), 0);
			assert_int_equal(waitpid(pid, &status, 0), pid);
			assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
			kills++;
			pid = fork_process(true);
		}
	}
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	assert_false(take_reply());
	assert_true(kills > 20);
	print_message("%u kills\n", kills);
	assert_int_equal(pread(w.plain, disk, sizeof(disk), 0), DISK_BYTES);
	for (unsigned n = 0; n < STORM_REQUESTS; n++) {
		for (unsigned i = 0; i < 512; i++) {
			assert_int_equal(disk[n * 512 + i], (uint8_t)(n * 31 + i));
		}
	}
	start_again();
}

/* What seccomp does not see: the ring itself refuses all but what the disks need. */
static void test_ring_is_closed(void **state)
{
	struct io_uring_sqe *e = io_uring_get_sqe(&s.queue.ring);
	struct io_uring_cqe *c = NULL;
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	(void)state;
	io_uring_prep_nop(e);
	io_uring_sqe_set_data64(e, 3ull << 32);
	assert_true(io_uring_submit_and_wait(&s.queue.ring, 1) >= 0);
	assert_int_equal(io_uring_peek_cqe(&s.queue.ring, &c), 0);
	assert_int_equal(c->res, -EACCES);
	io_uring_cqe_seen(&s.queue.ring, c);
	assert_true(io_uring_register_files_update(&s.queue.ring, 0, &fd, 1) < 0);
	for (unsigned i = 0; i < s.disk_count; i++) {
		assert_int_equal(s.disk[i].fd, -1);
	}
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_negotiation, make_world, unmake_world),
		cmocka_unit_test_setup_teardown(test_luns, make_ready, unmake_world),
		cmocka_unit_test_setup_teardown(test_read_write, make_ready, unmake_world),
		cmocka_unit_test_setup_teardown(test_pieces, make_ready, unmake_world),
		cmocka_unit_test_setup_teardown(test_longer_buffer, make_ready, unmake_world),
		cmocka_unit_test_setup_teardown(test_errors, make_ready, unmake_world),
		cmocka_unit_test_setup_teardown(test_unmap, make_ready, unmake_world),
		cmocka_unit_test_setup_teardown(test_malformed, make_ready, unmake_world),
		cmocka_unit_test_setup_teardown(test_many, make_ready, unmake_world),
		cmocka_unit_test_setup_teardown(test_full_ring_waits, make_ready, unmake_world),
		cmocka_unit_test_setup_teardown(test_reset_bus, make_ready, unmake_world),
		cmocka_unit_test_setup_teardown(test_close, make_ready, unmake_world),
		cmocka_unit_test_setup_teardown(test_worker_reset, make_ready, unmake_world),
		cmocka_unit_test_setup_teardown(test_death_everywhere, make_ready, unmake_world),
		cmocka_unit_test_setup_teardown(test_kept_is_hostile, make_ready, unmake_world),
		cmocka_unit_test_setup_teardown(test_kill_storm, make_ready, unmake_world),
		cmocka_unit_test_setup_teardown(test_ring_is_closed, make_ready, unmake_world),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
