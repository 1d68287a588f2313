// SPDX-License-Identifier: MIT
/* The door to guest memory with a look-out: see fuzz/oracle.h. */
#include "fuzz/oracle.h"

#define gmem_check real_check
#define gmem_copy_in real_copy_in
#define gmem_copy_out real_copy_out
#define gmem_direct real_direct
#define gmem_load32 real_load32
#define gmem_store32 real_store32
bool real_check(const struct gmem *m, uint64_t gpa, uint64_t len);
bool real_copy_in(const struct gmem *m, uint64_t gpa, void *to, size_t len);
bool real_copy_out(const struct gmem *m, uint64_t gpa, const void *from, size_t len);
void *real_direct(const struct gmem *m, uint64_t gpa, uint64_t len);
uint32_t real_load32(const struct gmem *m, uint64_t gpa);
void real_store32(const struct gmem *m, uint64_t gpa, uint32_t v);
#include "hv/wire/gmem.c" // NOLINT(bugprone-suspicious-include)
FUZZ_QUIET_BEGIN

#undef gmem_check
#undef gmem_copy_in
#undef gmem_copy_out
#undef gmem_direct
#undef gmem_load32
#undef gmem_store32

#define FETCHES_MAX 512u
#define RINGS_MAX 8u
#define READ_INDEX 4u

struct watch_state watch;
static struct {
	uint64_t gpa, len;
} fetched[FETCHES_MAX];
static uint64_t ring[RINGS_MAX];
static uint32_t rings;
static uint64_t writable[WATCH_PAGES / 64];
static bool guarded;

void watch_clear(void)
{
	memset(&watch, 0, sizeof(watch));
	rings = 0;
	guarded = false;
	memset(writable, 0, sizeof(writable));
}

void watch_writable(uint64_t pfn)
{
	guarded = true;
	writable[pfn % WATCH_PAGES / 64] |= 1ull << (pfn % 64);
}

static void check_write(uint64_t gpa, uint64_t len)
{
	for (uint64_t pfn = gpa >> 12; guarded && len != 0 && pfn <= (gpa + len - 1) >> 12; pfn++) {
		ORACLE(pfn < WATCH_PAGES && (writable[pfn / 64] >> (pfn % 64) & 1) != 0,
		       "the host wrote where it must not");
	}
}

void watch_host(uint32_t budget)
{
	watch.on = true;
	watch.accesses = 0;
	watch.bytes = 0;
	watch.budget = budget;
	watch.fetches = 0;
}

void watch_guest(void)
{
	watch.on = false;
}

void watch_request(void)
{
	watch.fetches = 0;
}

void watch_ring(uint64_t pfn)
{
	ring[rings++ % RINGS_MAX] = pfn;
	rings = rings < RINGS_MAX ? rings : RINGS_MAX;
}

void watch_adapter(uint64_t up, uint64_t down, uint32_t ring_pages, uint64_t receive,
		   uint32_t receive_pages)
{
	watch_ring(up);
	watch_ring(down);
	for (uint32_t i = 1; i < ring_pages; i++) {
		watch_writable(down + i);
	}
	for (uint32_t i = 0; i < receive_pages; i++) {
		watch_writable(receive + i);
	}
}

void watch_race_arm(struct script *s, uint64_t memory)
{
	struct watch_race *r = &watch.race;

	r->countdown = 1 + (uint32_t)script_take(s, 1) % 16;
	r->gpa = script_take(s, 3) % memory;
	r->length = 0;
	while (script_more(s) && r->length < sizeof(r->bytes) && r->gpa + r->length < memory) {
		r->bytes[r->length++] = oracle_tame((uint8_t)script_take(s, 1));
	}
}

static void death(void)
{
	if (watch.on && watch.kill != 0 && --watch.kill == 0) {
		longjmp(watch.death, 1);
	}
}

static bool is_ring(uint64_t pfn)
{
	for (uint32_t i = 0; i < rings; i++) {
		if (ring[i] == pfn) {
			return true;
		}
	}
	return false;
}

static void count(size_t len)
{
	watch.accesses++;
	watch.bytes += len;
	ORACLE(watch.budget == 0 || watch.accesses <= watch.budget, "unbounded work");
}

static void race(const struct gmem *m)
{
	struct watch_race *r = &watch.race;

	if (r->countdown != 0 && --r->countdown == 0) {
		(void)real_copy_out(m, r->gpa, r->bytes, r->length);
		watch.raced = true;
	}
}

static void fetch(const struct gmem *m, uint64_t gpa, uint64_t len)
{
	count(len);
	if (!watch.twice && len != 0) {
		for (uint32_t i = 0; i < watch.fetches; i++) {
			ORACLE(!range_overlaps(gpa, len, fetched[i].gpa, fetched[i].len),
			       "double fetch of guest memory");
		}
		if (watch.fetches < FETCHES_MAX) {
			fetched[watch.fetches].gpa = gpa;
			fetched[watch.fetches++].len = len;
		}
	}
	race(m);
}

bool gmem_check(const struct gmem *m, uint64_t gpa, uint64_t len)
{
	return real_check(m, gpa, len);
}

bool gmem_copy_in(const struct gmem *m, uint64_t gpa, void *to, size_t len)
{
	bool good = real_copy_in(m, gpa, to, len);

	if (watch.on && good) {
		fetch(m, gpa, len);
		death();
	}
	return good;
}

bool gmem_copy_out(const struct gmem *m, uint64_t gpa, const void *from, size_t len)
{
	bool good;

	if (watch.on) {
		count(len);
		check_write(gpa, gmem_check(m, gpa, len) ? len : 0); /* the others are refused */
		if (!watch.stale) {
			oracle_clean(from, len);
		}
	}
	good = real_copy_out(m, gpa, from, len);
	death();
	return good;
}

void *gmem_direct(const struct gmem *m, uint64_t gpa, uint64_t len)
{
	return real_direct(m, gpa, len);
}

/* Words of a ring's header change all the time and are read as often as it takes; others are fetches. */
uint32_t gmem_load32(const struct gmem *m, uint64_t gpa)
{
	uint32_t v = real_load32(m, gpa);

	if (watch.on) {
		if (is_ring(gpa >> 12)) {
			count(4);
			race(m);
		} else {
			fetch(m, gpa, 4);
		}
		death();
	}
	return v;
}

void gmem_store32(const struct gmem *m, uint64_t gpa, uint32_t v)
{
	real_store32(m, gpa, v);
	if (watch.on) {
		count(4);
		oracle_said_number(gpa << 32 | v);
		ORACLE(rings == 0 || is_ring(gpa >> 12), "the host wrote where it must not");
		if ((gpa & 4095) == READ_INDEX && is_ring(gpa >> 12)) {
			watch_request();
		}
	}
	death();
}

FUZZ_QUIET_END
