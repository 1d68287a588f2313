// SPDX-License-Identifier: MIT
// Launch measurement and VM tokens, through the hypercalls of the root and of the child.
#include "attest/core/cose.h"
#include "attest/core/launch.h"
#include "attest/core/token.h"
#include "hv/core/report.h"
#include "hv/core/report_key.h"
#include "hv/core/sha384.h"
#include "hv/core/vp.h"
#include "tests/unit/core/core_child.h"
#include "tests/unit/core/core_verify.h"

#define MEASURE 0x8e10
#define SEAL 0x8e11
#define MEASUREMENT 0x8e12
#define REPORT 0x8e13
#define OWN_REPORT 0x8e14
#define REPORT_KEY 0x8e15
#define CREATE_VP 0x4e
#define NOBODY 0xdeadull
#define PAGES 6u

static const uint8_t hypervisor[48] = "the digest that the boot code found";

static unsigned measure(uint64_t id, const uint64_t *page, uint32_t count)
{
	struct {
		struct rd_measure_pages q;
		uint64_t page[16];
	} in = { .q = { id } };
	uint64_t rax = 0;

	memcpy(in.page, page, count * 8);
	for (uint32_t start = 0; start < count; start = DONE(rax)) {
		rax = root_call(REP(MEASURE, count) | (uint64_t)start << 48, &in, 8 + count * 8,
				NULL, 0);
		if (STATUS(rax) != HV_SUCCESS) {
			break;
		}
		assert_true(DONE(rax) > start && DONE(rax) <= start + 4);
	}
	return STATUS(rax);
}

static unsigned seal(uint64_t id, uint32_t svn)
{
	const struct rd_seal_launch q = {
		.partition = id, .svn = svn, .disks = 1, .networks = 2, .devices = 5
	};

	return STATUS(root_call(SEAL, &q, sizeof(q), NULL, 0));
}

static struct rd_measurement measurement(uint64_t id)
{
	struct rd_measurement m;

	assert_int_equal(root_call(MEASUREMENT, &id, 8, &m, sizeof(m)), HV_SUCCESS);
	return m;
}

// A child with numbers in its first pages.
static struct partition *loaded(void)
{
	struct partition *p = child_make(2, 1);

	for (uint32_t i = 0; i < PAGES; i++) {
		memset(fake_guest(p, i * PAGE_SIZE), (int)i + 1, PAGE_SIZE);
	}
	p->vp[0]->regs[REG_RSI] = 0x7000;
	return p;
}

static void extend(uint8_t ld[48], struct attest_record r)
{
	memcpy(r.digest, ld, 48);
	sha384(&r, sizeof(r), ld);
}

// The document's rules once more, from what this test put there.
static void expected(struct partition *p, const uint64_t *page, uint32_t count,
		     const struct attest_policy *policy, uint8_t ld[48])
{
	static const uint32_t names[] = ATTEST_REGISTERS;

	assert_int_equal(ARRAY_SIZE(names), ATTEST_REGISTER_COUNT);
	memset(ld, 0, 48);
	for (uint32_t i = 0; i < count; i++) {
		struct attest_record r = { .type = 1, .gpa = page[i] * PAGE_SIZE, .access = 7 };

		sha384(fake_guest(p, r.gpa), PAGE_SIZE, r.contents);
		extend(ld, r);
	}
	for (uint32_t v = 0; v < p->vp_count; v++) {
		struct attest_register reg[ATTEST_REGISTER_COUNT];
		struct attest_record r = { .type = 2, .vp = v };

		for (uint32_t i = 0; i < ATTEST_REGISTER_COUNT; i++) {
			struct hv_register_value value = { 0, 0 };

			assert_true(vp_get_register(p->vp[v], names[i], &value));
			reg[i] = (struct attest_register){ names[i], 0, value.low, value.high };
		}
		assert_true(v != 0 || reg[6].low == 0x7000);
		sha384(reg, sizeof(reg), r.contents);
		extend(ld, r);
	}
	struct attest_record r = { .type = 3 };

	sha384(policy, sizeof(*policy), r.contents);
	extend(ld, r);
}

static const struct attest_policy policy_wanted = { .version = 1,
						    .svn = 3,
						    .vps = 2,
						    .memory_bytes = PFN_UNIT,
						    .disks = 1,
						    .networks = 2,
						    .devices = 5 };

static void measured(void **state)
{
	static const uint64_t page[PAGES] = { 0, 1, 2, 3, 4, 5 };
	struct partition *p = loaded();
	struct rd_measurement m = measurement(p->id);
	struct attest_policy policy;
	uint8_t want[48] = { 0 };

	(void)state;
	assert_int_equal(m.sealed, 0);
	assert_memory_equal(m.digest, want, 48);
	assert_int_equal(measure(p->id, page, PAGES), HV_SUCCESS);
	assert_int_equal(measurement(p->id).pages, PAGES);
	assert_int_equal(seal(p->id, 3), HV_SUCCESS);
	m = measurement(p->id);
	assert_int_equal(m.sealed, 1);
	expected(p, page, PAGES, &policy_wanted, want);
	assert_memory_equal(m.digest, want, 48);
	assert_true(attest_policy_parse(m.policy, &policy));
	assert_memory_equal(&policy, &policy_wanted, sizeof(policy));
	// Running it changes nothing.
	child_start(p);
	assert_memory_equal(measurement(p->id).digest, want, 48);
}

struct launch_case {
	const char *what;
	uint64_t page[8];
	uint32_t count;
	bool write;
	uint64_t rip;
	uint32_t svn;
};

static void digest_of(const struct launch_case *c, uint8_t digest[48])
{
	struct partition *p = loaded();
	struct rd_measurement m;

	if (c->write) {
		fake_guest(p, 2 * PAGE_SIZE)[4095] ^= 1;
	}
	p->vp[1]->rip = c->rip;
	assert_int_equal(measure(p->id, c->page, c->count), HV_SUCCESS);
	assert_int_equal(seal(p->id, c->svn), HV_SUCCESS);
	m = measurement(p->id);
	memcpy(digest, m.digest, 48);
	child_delete(p->id);
}

// A root that loads something else, elsewhere, in another order, or starts it elsewhere gets another measurement.
static void lies(void **state)
{
	static const struct launch_case honest = { "honest", { 0, 1, 2, 3 }, 4, false, 7, 3 };
	static const struct launch_case lie[] = {
		{ "one bit", { 0, 1, 2, 3 }, 4, true, 7, 3 },
		{ "order", { 0, 2, 1, 3 }, 4, false, 7, 3 },
		{ "a page less", { 0, 1, 2 }, 3, false, 7, 3 },
		{ "a page more", { 0, 1, 2, 3, 4 }, 5, false, 7, 3 },
		{ "a page twice", { 0, 1, 2, 3, 3 }, 5, false, 7, 3 },
		{ "another address", { 0, 1, 2, 5 }, 4, false, 7, 3 },
		{ "a VP's register", { 0, 1, 2, 3 }, 4, false, 8, 3 },
		{ "security version", { 0, 1, 2, 3 }, 4, false, 7, 2 },
		{ "nothing declared", { 0 }, 0, false, 7, 3 },
	};
	uint8_t seen[ARRAY_SIZE(lie) + 1][48];

	(void)state;
	digest_of(&honest, seen[0]);
	digest_of(&honest, seen[1]);
	assert_memory_equal(seen[0], seen[1], 48);
	for (uint32_t i = 0; i < ARRAY_SIZE(lie); i++) {
		digest_of(&lie[i], seen[i + 1]);
		for (uint32_t n = 0; n <= i; n++) {
			if (memcmp(seen[n], seen[i + 1], 48) == 0) {
				fail_msg("%s: the same measurement as %s", lie[i].what,
					 n == 0 ? "honest" : lie[n - 1].what);
			}
		}
	}
}

static void refused(void **state)
{
	static const uint64_t page[] = { 0, 1, 2, 3 };
	struct partition *p = loaded();
	struct rd_seal_launch q = { .partition = p->id };
	struct rd_get_report g = { .partition = p->id, .nonce_size = 16 };
	struct {
		uint64_t partition, page;
	} m = { p->id, 1ull << 40 };
	struct hv_create_vp vp = { .partition = p->id, .vp = 2 };
	const struct rd_get_own_report own_report = { .nonce_size = 16 };
	uint64_t nobody = NOBODY;

	(void)state;
	root_refused(HV_INVALID_PARAMETER, REP(MEASURE, 1), &m, sizeof(m));
	m.page = UINT64_MAX;
	root_refused(HV_INVALID_PARAMETER, REP(MEASURE, 1), &m, sizeof(m));
	m.page = UNIT_PAGES; // just behind its memory
	root_refused(HV_INVALID_PARAMETER, REP(MEASURE, 1), &m, sizeof(m));
	m.partition = NOBODY;
	root_refused(HV_INVALID_PARTITION_ID, REP(MEASURE, 1), &m, sizeof(m));
	root_refused(HV_INVALID_PARTITION_ID, MEASUREMENT, &nobody, 8);
	q.flags = ATTEST_POLICY_ISOLATED;
	root_refused(HV_INVALID_PARAMETER, SEAL, &q, sizeof(q));
	q = (struct rd_seal_launch){ .partition = p->id, .reserved = { 0, 1 } };
	root_refused(HV_INVALID_PARAMETER, SEAL, &q, sizeof(q));
	q = (struct rd_seal_launch){ .partition = NOBODY };
	root_refused(HV_INVALID_PARTITION_ID, SEAL, &q, sizeof(q));
	root_refused(HV_INVALID_PARTITION_STATE, REPORT, &g, sizeof(g)); // not before the seal
	assert_int_equal(measure(p->id, page, 4), HV_SUCCESS);
	child_start(p); // the first entry seals
	assert_int_equal(measurement(p->id).sealed, 1);
	m.partition = p->id;
	m.page = 4;
	root_refused(HV_INVALID_PARTITION_STATE, REP(MEASURE, 1), &m, sizeof(m));
	q.partition = p->id;
	root_refused(HV_INVALID_PARTITION_STATE, SEAL, &q, sizeof(q));
	root_refused(HV_INVALID_PARTITION_STATE, CREATE_VP, &vp, sizeof(vp));
	g.nonce_size = 15;
	root_refused(HV_INVALID_PARAMETER, REPORT, &g, sizeof(g));
	g.nonce_size = 65;
	root_refused(HV_INVALID_PARAMETER, REPORT, &g, sizeof(g));
	g.nonce_size = 16;
	g.reserved = 1;
	root_refused(HV_INVALID_PARAMETER, REPORT, &g, sizeof(g));
	g = (struct rd_get_report){ .partition = NOBODY, .nonce_size = 16 };
	root_refused(HV_INVALID_PARTITION_ID, REPORT, &g, sizeof(g));
	// What is the root's is not the child's, and the other way round.
	assert_int_equal(STATUS(child_call(p->vp[0], REPORT, &g, sizeof(g))), HV_ACCESS_DENIED);
	assert_int_equal(STATUS(child_call(p->vp[0], SEAL, &q, sizeof(q))), HV_ACCESS_DENIED);
	root_refused(HV_ACCESS_DENIED, OWN_REPORT, &own_report, sizeof(own_report));
}

// A token is what the claims of its partition say, signed by the key that the root is told.
static void check_token(const struct rd_report *r, const struct partition *p, const uint8_t *nonce,
			size_t nonce_n, const uint8_t data[64], uint32_t origin)
{
	struct rd_measurement m = measurement(p->id);
	struct rd_report_key key;
	struct wire_fault why = { 0 };
	struct cose_sign1 c;
	struct attest_claims claims;
	struct attest_policy policy;
	uint8_t message[1024], digest[48], kid[32];
	size_t n;

	assert_int_equal(root_call(REPORT_KEY, NULL, 0, &key, sizeof(key)), HV_SUCCESS);
	crypto_sha256(key.cose, key.size, kid);
	assert_in_range(r->size, 400, sizeof(r->token));
	if (!cose_sign1_parse(r->token, r->size, &c, &why) ||
	    !attest_claims_parse(c.payload.at, c.payload.n, &claims, &why)) {
		fail_msg("token refused: %s", why.field);
	}
	assert_memory_equal(c.kid, kid, 32);
	n = cose_signed_write(c.protected_header.at, c.protected_header.n, c.payload.at,
			      c.payload.n, message, sizeof(message));
	assert_true(n > 0);
	sha384(message, n, digest);
	assert_true(core_verifies(digest, c.signature));
	assert_int_equal(claims.nonce_n, nonce_n);
	assert_memory_equal(claims.nonce, nonce, nonce_n);
	assert_memory_equal(claims.instance, m.instance, 16);
	assert_memory_equal(claims.bootseed, key.bootseed, 32);
	assert_memory_equal(claims.launch, m.digest, 48);
	assert_memory_equal(claims.hypervisor, hypervisor, 48);
	assert_memory_equal(claims.report_data, data, 64);
	assert_true(attest_policy_parse(m.policy, &policy));
	assert_memory_equal(&claims.policy, &policy, sizeof(policy));
	assert_int_equal(claims.svn, 9);
	assert_int_equal(claims.origin, origin);
	assert_int_equal(claims.dbgstat, ATTEST_DBG_DISABLED);
}

static void root_asks(void **state)
{
	static const uint8_t zero[64], none[16];
	struct partition *p = loaded(), *other = loaded();
	struct rd_get_report q = { .partition = p->id,
				   .nonce_size = 32,
				   .nonce = "a nonce of thirty-two bytes. 32." };
	struct rd_report r, again;

	(void)state;
	assert_int_equal(seal(p->id, 3), HV_SUCCESS);
	assert_int_equal(root_call(REPORT, &q, sizeof(q), &r, sizeof(r)), HV_SUCCESS);
	check_token(&r, p, q.nonce, 32, zero, ATTEST_ORIGIN_ROOT);
	for (unsigned i = 0; i < 20; i++) { // the root has no quota
		q.nonce[0]++;
		assert_int_equal(root_call(REPORT, &q, sizeof(q), &again, sizeof(again)),
				 HV_SUCCESS);
		assert_memory_not_equal(r.token, again.token, r.size);
	}
	assert_int_equal(seal(other->id, 3), HV_SUCCESS);
	assert_memory_not_equal(measurement(p->id).instance, measurement(other->id).instance, 16);
	assert_memory_not_equal(measurement(p->id).instance, none, 16);
}

// Until it is made; the number of calls in *calls.
static uint64_t own(struct vp *vp, const struct rd_get_own_report *q, struct rd_report *r,
		    unsigned *calls)
{
	uint64_t rax;

	*calls = 0;
	do {
		rax = fake_hypercall(vp, OWN_REPORT, q, sizeof(*q), r, sizeof(*r));
		fake_check_partitions(false);
		(*calls)++;
		assert_in_range(*calls, 1, 100);
	} while (rax == FAKE_AGAIN);
	return rax;
}

static void guest_asks(void **state)
{
	struct partition *p = loaded();
	struct rd_get_own_report q = { .nonce_size = 64,
				       .nonce = "n",
				       .report_data = "what the guest says" };
	struct rd_report r;
	unsigned calls;

	(void)state;
	child_start(p);
	assert_int_equal(own(p->vp[1], &q, &r, &calls), HV_SUCCESS);
	assert_in_range(calls, 4, 40); // in pieces
	check_token(&r, p, q.nonce, 64, q.report_data, ATTEST_ORIGIN_GUEST);
	// Eight in a row, the first included; then one a second.
	for (unsigned i = 1; i < 8; i++) {
		q.nonce[1] = (uint8_t)i;
		assert_int_equal(own(p->vp[0], &q, &r, &calls), HV_SUCCESS);
	}
	q.nonce[1] = 100;
	assert_int_equal(STATUS(own(p->vp[0], &q, &r, &calls)), HV_NO_RESOURCES);
	fake.tsc += FAKE_TSC_HZ + FAKE_TSC_HZ / 10;
	assert_int_equal(own(p->vp[0], &q, &r, &calls), HV_SUCCESS);
	q.nonce[1] = 101;
	assert_int_equal(STATUS(own(p->vp[0], &q, &r, &calls)), HV_NO_RESOURCES);
	// The root is not kept from asking.
	const struct rd_get_report g = { .partition = p->id, .nonce_size = 16 };

	assert_int_equal(root_call(REPORT, &g, sizeof(g), &r, sizeof(r)), HV_SUCCESS);
}

// The nonce changes while the signature is being made: the token is of the last one, and right.
static void double_fetch(void **state)
{
	struct partition *p = loaded();
	struct rd_get_own_report q = { .nonce_size = 16, .nonce = "a" };
	struct rd_report r;
	unsigned calls;

	(void)state;
	child_start(p);
	for (unsigned i = 0; i < 3; i++) {
		assert_true(fake_hypercall(p->vp[0], OWN_REPORT, &q, sizeof(q), &r, sizeof(r)) ==
			    FAKE_AGAIN);
	}
	q.nonce[0] = 'b';
	assert_true(fake_hypercall(p->vp[0], OWN_REPORT, &q, sizeof(q), &r, sizeof(r)) ==
		    FAKE_AGAIN);
	fake.tsc += FAKE_TSC_HZ / 1000 * (REPORT_PATIENCE_NS / 1000000 + 1);
	assert_int_equal(own(p->vp[0], &q, &r, &calls), HV_SUCCESS);
	check_token(&r, p, q.nonce, 16, q.report_data, ATTEST_ORIGIN_GUEST);
}

static void without_key(void **state)
{
	struct partition *p = loaded();
	struct rd_get_report g = { .partition = p->id, .nonce_size = 16 };
	struct rd_report_key key;

	(void)state;
	fake.no_random = true;
	assert_int_equal(report_key_make(NULL, 0), ATTEST_NO_RANDOM);
	fake.no_random = false;
	assert_int_equal(seal(p->id, 3), HV_SUCCESS);
	root_refused(HV_NOT_FOUND, REPORT, &g, sizeof(g));
	assert_int_equal(root_call(REPORT_KEY, NULL, 0, &key, sizeof(key)), HV_SUCCESS);
	assert_int_equal(key.size, 0);
	assert_int_equal(key.state, ATTEST_NO_LOADER); /* nothing was measured */
}

static int with_key(void **state)
{
	report_set_hypervisor(hypervisor, 9);
	assert_int_equal(report_key_make(NULL, 0), ATTEST_OK);
	return child_setup(state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(measured, with_key, child_teardown),
		cmocka_unit_test_setup_teardown(lies, with_key, child_teardown),
		cmocka_unit_test_setup_teardown(refused, with_key, child_teardown),
		cmocka_unit_test_setup_teardown(root_asks, with_key, child_teardown),
		cmocka_unit_test_setup_teardown(guest_asks, with_key, child_teardown),
		cmocka_unit_test_setup_teardown(double_fetch, with_key, child_teardown),
		cmocka_unit_test_setup_teardown(without_key, with_key, child_teardown),
	};

	return cmocka_run_group_tests(tests, boot_machine, NULL);
}
