/* SPDX-License-Identifier: MIT */
#include "hv/core/launch.h"

#include "attest/core/launch.h"
#include "hv/core/gpa.h"
#include "hv/core/log.h"
#include "hv/core/report_key.h"
#include "hv/core/sha384.h"
#include "hv/core/time.h"
#include "hv/core/vp.h"

#define REPORTS_MOST 8u
#define REPORT_EVERY_NS 1000000000ull /* one more of them each second */

void launch_begin(struct partition *p)
{
	struct launch *l = &p->launch;

	if (!report_key_random(l->instance, sizeof(l->instance))) {
		__builtin_memset(l->instance, 0, sizeof(l->instance));
	}
	l->reports = REPORTS_MOST;
	l->reports_ns = time_ns();
}

static void extend(struct launch *l, const struct attest_record *r)
{
	sha384(r, sizeof(*r), l->digest);
}

/* The access is what the nested table says, not what the parent claims. */
bool launch_page(struct partition *p, gpa_t at, uint8_t *page)
{
	struct launch *l = &p->launch;
	uint8_t contents[ATTEST_DIGEST];
	struct attest_record r;
	unsigned access = 0;
	hpa_t frame;

	if (!npt_lookup(&p->npt, at, &frame, &access, NULL) ||
	    !gpa_copy_in(p, at, page, PAGE_SIZE)) {
		return false;
	}
	sha384(page, PAGE_SIZE, contents);
	r = attest_record_make(ATTEST_RECORD_PAGE, l->digest, contents);
	r.gpa = at.v;
	r.access = access;
	extend(l, &r);
	l->pages++;
	return true;
}

/* A VP that has never run: its registers are in memory, whatever keeps it from running. */
static void measure_vp(struct launch *l, struct vp *v)
{
	static const uint32_t names[ATTEST_REGISTER_COUNT] = ATTEST_REGISTERS;
	uint8_t contents[ATTEST_DIGEST];
	struct attest_record r;
	struct sha384 s;

	sha384_start(&s);
	for (uint32_t i = 0; i < ATTEST_REGISTER_COUNT; i++) {
		struct attest_register reg = { .name = names[i] };
		struct hv_register_value value = { 0, 0 };

		CHECK(vp_get_register(v, names[i], &value));
		reg.low = value.low;
		reg.high = value.high;
		sha384_add(&s, &reg, sizeof(reg));
	}
	sha384_end(&s, contents);
	r = attest_record_make(ATTEST_RECORD_VP, l->digest, contents);
	r.vp = v->index;
	extend(l, &r);
}

/* Locks: partitions_lock. Trust: policy is the parent's word, but for the number of VPs and the memory. */
void launch_seal(struct partition *p, const struct attest_policy *policy)
{
	struct launch *l = &p->launch;
	uint8_t contents[ATTEST_DIGEST];
	struct attest_record r;

	CHECK(!l->sealed);
	for (uint32_t i = 0; i < p->vp_count; i++) {
		measure_vp(l, p->vp[i]);
	}
	l->policy = *policy;
	l->policy.version = 1;
	l->policy.vps = (uint16_t)p->vp_count;
	l->policy.reserved = 0;
	l->policy.memory_bytes = p->pages * PAGE_SIZE;
	sha384(&l->policy, sizeof(l->policy), contents);
	r = attest_record_make(ATTEST_RECORD_POLICY, l->digest, contents);
	extend(l, &r);
	l->sealed = true;
}

bool launch_report_allowed(struct partition *p, const uint8_t digest[ATTEST_DIGEST])
{
	struct launch *l = &p->launch;
	uint64_t now = time_ns();
	uint64_t which;

	__builtin_memcpy(&which, digest, sizeof(which));
	while (l->reports < REPORTS_MOST && now - l->reports_ns >= REPORT_EVERY_NS) {
		l->reports++;
		l->reports_ns += REPORT_EVERY_NS;
	}
	if (which == l->report_charged) {
		return true;
	}
	if (l->reports == 0) {
		return false;
	}
	if (l->reports == REPORTS_MOST) {
		l->reports_ns = now;
	}
	l->reports--;
	l->report_charged = which;
	return true;
}
