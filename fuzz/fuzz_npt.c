// SPDX-License-Identifier: MIT
/*
 * Input: records (fuzz/script.h). The first: 1 no 1 GiB leaves, 2 a heap of 3 frames and as many as its upper bits say; then maps, unmaps, look-ups and changes of ownership, compared
 * with a plain array (npt) and checked for order and overlap (owner).
 */
#include <string.h>

#include "fuzz/script.h"
#include "hv/arch/fake/fake.h"
#include "hv/core/arch.h"
#include "hv/core/heap.h"
#include "hv/core/npt.h"
#include "hv/core/owner.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Two 4 MiB stretches of guest memory, each around a 1 GiB border. */
#define STRETCH 1024u
#define ACTIONS 140u /* more than there is room for owners */
static const uint64_t stretch_base[2] = { 0x3fe00000, 0x7fffe00000 };

static struct {
	uint64_t to;
	unsigned access; /* 0: not mapped */
} model[2][STRETCH];

static struct npt npt;
static struct { /* pages that an action named: [first, end) */
	unsigned first, end;
} named[2];

static void check_page(unsigned where, unsigned page)
{
	uint64_t at = stretch_base[where] + (uint64_t)page * PAGE_SIZE, span = 0;
	unsigned access = 99;
	hpa_t h;

	CHECK_FUZZ(
		!npt_lookup(&npt, gpa(at + GPA_LIMIT), &h, NULL, NULL)); /* no other name of it */
	if (!npt_lookup(&npt, gpa(at + 5), &h, &access, &span)) {
		CHECK_FUZZ(model[where][page].access == 0);
		return;
	}
	CHECK_FUZZ(model[where][page].access == access && h.v == model[where][page].to + 5);
	CHECK_FUZZ(span == PAGE_SIZE || span == PAGE_SIZE_2M ||
		   (span == PAGE_SIZE_1G && fake.npt_1g));
}

/* After a refusal for lack of memory: what is there must still be the old or the new translation. */
static void adopt(unsigned where, unsigned first, unsigned n, uint64_t to, unsigned access)
{
	for (unsigned i = first; i < first + n; i++) {
		uint64_t at = stretch_base[where] + (uint64_t)i * PAGE_SIZE;
		uint64_t fresh = to + (uint64_t)(i - first) * PAGE_SIZE;
		unsigned have = 0;
		hpa_t h = hpa(0);

		if (!npt_lookup(&npt, gpa(at), &h, &have, NULL)) {
			have = 0;
		}
		CHECK_FUZZ((have == model[where][i].access &&
			    (have == 0 || h.v == model[where][i].to)) ||
			   (have == access && (have == 0 || h.v == fresh)));
		model[where][i].access = have;
		model[where][i].to = h.v;
	}
}

static void change(struct script *s, unsigned op)
{
	unsigned where = op >> 4 & 1;
	unsigned first = (unsigned)script_take(s, 2) % STRETCH;
	unsigned n = (unsigned)script_take(s, 2) % (STRETCH - first + 1);
	uint64_t to = (script_take(s, 3) << PAGE_SHIFT) &
		      ((op & 0x20) != 0 ? ~(PAGE_SIZE_2M - 1) : ~0ull);
	unsigned access = 1 + (op >> 5 & 7) % 7;
	uint64_t at = stretch_base[where] + (uint64_t)first * PAGE_SIZE;
	bool ok;

	if ((op & 0x40) != 0) { /* the same place within 2 MiB, so that large leaves fit */
		first &= ~511u;
		n = n > 512 ? 1024 - first : n;
		n = n > STRETCH - first ? STRETCH - first : n;
		at = stretch_base[where] + (uint64_t)first * PAGE_SIZE;
		to &= ~(PAGE_SIZE_2M - 1);
	}
	named[where].first = first < named[where].first ? first : named[where].first;
	named[where].end = first + n > named[where].end ? first + n : named[where].end;
	if ((op & 7) < 4) {
		ok = npt_map(&npt, gpa(at), hpa(to), (uint64_t)n * PAGE_SIZE, access);
	} else {
		ok = npt_unmap(&npt, gpa(at), (uint64_t)n * PAGE_SIZE);
		access = 0;
	}
	if (!ok) {
		CHECK_FUZZ(heap_available() == 0);
		adopt(where, first, n, to, access);
		return;
	}
	for (unsigned i = 0; i < n; i++) {
		model[where][first + i].access = access;
		model[where][first + i].to = to + (uint64_t)i * PAGE_SIZE;
	}
}

static bool near(const struct owner_range *r, uint64_t base, uint64_t size)
{
	return r->base == base || r->base == base + size || r->base + r->size == base ||
	       base - r->base < r->size;
}

/* Of each range that is near what was changed, or of all, the two questions give the same answer. */
static void check_owners(bool all, uint64_t base, uint64_t size)
{
	uint64_t sum = 0, sums = 0;

	for (uint32_t i = 0; i < owner_count(); i++) {
		const struct owner_range *r = owner_get(i);

		CHECK_FUZZ(r != NULL && r->base + r->size >= r->base &&
			   r->owner <= RD_OWNER_FIRMWARE);
		CHECK_FUZZ(i == 0 || owner_get(i - 1)->base + owner_get(i - 1)->size <= r->base);
		sum += r->size;
		if (r->size == 0 || (!all && !near(r, base, size))) {
			continue;
		}
		CHECK_FUZZ(owner_is_root_ram(r->base, r->size) == (r->owner == RD_OWNER_ROOT));
		CHECK_FUZZ(owner_root_may_map(r->base, r->size) ==
			   (r->owner == RD_OWNER_ROOT || r->owner == RD_OWNER_FIRMWARE));
	}
	CHECK_FUZZ(owner_get(owner_count()) == NULL && owner_count() <= OWNER_RANGES_MAX);
	for (unsigned o = 0; o <= RD_OWNER_FIRMWARE; o++) {
		sums += owner_bytes((enum rd_owner)o);
	}
	CHECK_FUZZ(sum == sums);
}

static void own(struct script *s, unsigned op)
{
	uint64_t base = script_take(s, 2) << 8, size = script_take(s, 2);
	uint64_t before[4], after;

	if ((op & 0x40) != 0) {
		base = UINT64_MAX - base;
	}
	for (unsigned o = 0; o < 4; o++) {
		before[o] = owner_bytes((enum rd_owner)o);
	}
	if ((op & 0x20) == 0) {
		bool ok = owner_add(base, size,
				    (op & 0x10) != 0 ? RD_OWNER_FIRMWARE : RD_OWNER_ROOT, 1);

		after = owner_bytes(RD_OWNER_ROOT) + owner_bytes(RD_OWNER_FIRMWARE);
		CHECK_FUZZ(after == before[0] + before[3] + (ok ? size : 0));
	} else {
		bool all = size != 0 && owner_is_root_ram(base, size);
		bool ok = owner_take(base, size,
				     (op & 0x10) != 0 ? RD_OWNER_POOL : RD_OWNER_HYPERVISOR);

		CHECK_FUZZ(!ok || (all && !owner_root_may_map(base, size)));
		CHECK_FUZZ(owner_bytes(RD_OWNER_ROOT) == before[0] - (ok ? size : 0));
	}
	check_owners(false, base, size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct script s = { data, size, 0 }, one = { NULL, 0, 0 };
	static bool started;
	unsigned flags;

	if (!started) {
		started = true;
		fake_bare();
	}
	(void)script_action(&s, &one);
	flags = (unsigned)script_take(&one, 1);
	fake.npt_1g = (flags & 1) == 0;
	heap_init(hpa(FAKE_REGION_BASE),
		  (flags & 2) != 0 ? (3 + (flags >> 2)) * PAGE_SIZE : FAKE_REGION_SIZE);
	owner_reset();
	for (unsigned w = 0; w < 2; w++) {
		if (named[w].end > named[w].first) {
			memset(&model[w][named[w].first], 0,
			       (named[w].end - named[w].first) * sizeof(model[0][0]));
		}
		named[w].first = STRETCH;
		named[w].end = 0;
	}
	memset(&npt, 0, sizeof(npt));
	CHECK_FUZZ(npt_create(&npt));
	for (unsigned i = 0; i < ACTIONS && script_action(&s, &one); i++) {
		unsigned op = (unsigned)script_take(&one, 1);

		if ((op & 7) == 7) {
			own(&one, op);
		} else {
			change(&one, op);
			check_page(op >> 4 & 1, (unsigned)(op * 37u) % STRETCH);
		}
	}
	for (unsigned w = 0; w < 2; w++) {
		for (unsigned i = named[w].first; i < named[w].end; i++) {
			check_page(w, i);
		}
		check_page(w, 0);
		check_page(w, STRETCH - 1);
	}
	check_owners(true, 0, 0);
	CHECK_FUZZ(heap_total() - heap_available() >= npt.tables * PAGE_SIZE);
	return 0;
}
