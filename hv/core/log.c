/* SPDX-License-Identifier: MIT */
/* The log ring: fixed records, read by the root through RedoubtReadLog, and the consoles. */
#include "hv/core/log.h"

#include "hv/core/arch.h"
#include "hv/core/cpu.h"
#include "hv/core/format.h"
#include "hv/core/lock.h"
#include "hv/core/time.h"
#include "hv/core/vp.h"

#define LOG_RING 512
#define GUEST_BURST 64
#define GUEST_PER_SECOND 8

static struct rd_log_record ring[LOG_RING];
static uint64_t ring_next; /* sequence of the next record */
static uint64_t dropped;
static struct lock ring_lock;
static enum log_level console_level = LOG_INFO;
static bool use_serial = true;
static bool use_debugcon;

static const char *const level_name[] = { "error", "warning", "info", "debug" };

void log_configure(enum log_level level, bool serial, bool debugcon)
{
	console_level = level;
	use_serial = serial;
	use_debugcon = debugcon;
}

void log_release_serial(void)
{
	use_serial = false;
}

static void console_line(enum log_level level, const char *text)
{
	char line[RD_LOG_TEXT_MAX + 32];
	size_t n;

	if (level == LOG_INFO) {
		n = format(line, sizeof(line), "redoubt: %s\r\n", text);
	} else {
		n = format(line, sizeof(line), "redoubt: %s: %s\r\n", level_name[level], text);
	}
	if (use_serial) {
		arch_console_write(line, n);
	}
	if (use_debugcon) {
		arch_debugcon_write(line, n);
	}
}

static void log_va(enum log_level level, const char *fmt, va_list ap)
{
	struct rd_log_record *r;
	char text[RD_LOG_TEXT_MAX];
	size_t n = format_va(text, sizeof(text), fmt, ap);

	lock_acquire(&ring_lock);
	r = &ring[ring_next % LOG_RING];
	r->sequence = ring_next++;
	r->time_ns = time_ns();
	r->cpu = arch_cpu_index();
	r->level = (uint8_t)level;
	r->length = (uint8_t)n;
	r->reserved = 0;
	__builtin_memset(r->text, 0, sizeof(r->text)); /* no stale tail for the reader */
	__builtin_memcpy(r->text, text, n);
	if (level <= console_level) {
		console_line(level, text);
	}
	lock_release(&ring_lock);
}

/* Locks: takes the log lock. Text beyond RD_LOG_TEXT_MAX - 1 bytes is cut. */
void log_write(enum log_level level, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	log_va(level, fmt, ap);
	va_end(ap);
}

/* True where the partition's budget allows one more line now: one that is noisy does not silence the others. */
static bool guest_may_log(struct partition *p)
{
	uint64_t now = time_ns();
	uint64_t refill;
	bool ok;

	lock_acquire(&ring_lock);
	refill = p->log_time == 0 ? GUEST_BURST
				  : (now - p->log_time) * GUEST_PER_SECOND / 1000000000ull;
	if (refill > 0) {
		p->log_tokens = refill > GUEST_BURST - p->log_tokens
					? GUEST_BURST
					: p->log_tokens + (uint32_t)refill;
		p->log_time = now | 1;
	}
	ok = p->log_tokens > 0;
	if (ok) {
		p->log_tokens--;
	} else {
		dropped++;
	}
	lock_release(&ring_lock);
	return ok;
}

/* For everything that a partition can trigger. Trust: the arguments may hold guest values, never guest strings. */
void log_guest(struct vp *vp, const char *fmt, ...)
{
	char text[RD_LOG_TEXT_MAX];
	va_list ap;

	if (!guest_may_log(vp->partition)) {
		return;
	}
	va_start(ap, fmt);
	format_va(text, sizeof(text), fmt, ap);
	va_end(ap);
	log_write(LOG_WARN, "partition %lu vp %u: %s", vp->partition->id, vp->index, text);
}

/* Fills *out with up to RD_LOG_RECORDS records from `sequence` on; returns their number. */
uint64_t log_read(uint64_t sequence, struct rd_log *out)
{
	uint64_t oldest;

	lock_acquire(&ring_lock);
	oldest = ring_next > LOG_RING ? ring_next - LOG_RING : 0;
	if (sequence < oldest) {
		sequence = oldest;
	}
	out->count = 0;
	while (out->count < RD_LOG_RECORDS && sequence < ring_next) {
		out->record[out->count++] = ring[sequence++ % LOG_RING];
	}
	out->next = sequence;
	lock_release(&ring_lock);
	return out->count;
}

uint64_t log_dropped(void)
{
	return __atomic_load_n(&dropped, __ATOMIC_RELAXED);
}

void panic(const char *fmt, ...)
{
	char text[200];
	char line[256];
	va_list ap;
	size_t n;

	va_start(ap, fmt);
	format_va(text, sizeof(text), fmt, ap);
	va_end(ap);
	n = format(line, sizeof(line), "\r\nredoubt: panic: cpu %u: %s; halted\r\n",
		   arch_cpu_index(), text);
	/* No lock: the holder may be the one that failed. */
	arch_console_write(line, n);
	arch_debugcon_write(line, n);
	arch_stop_machine();
}
