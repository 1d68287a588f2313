/* SPDX-License-Identifier: MIT */
/*
 * Launch measurement and VM tokens. A token takes about a dozen calls of one slice of a signature each: the call asks to be made again
 * (HV_CONTINUE) and says the same each time, so that nothing is kept between them but the signature.
 */
#include "attest/core/cose.h"
#include "attest/core/token.h"
#include "hv/core/attest.h"
#include "hv/core/hypercall.h"
#include "hv/core/report.h"
#include "hv/core/report_key.h"
#include "hv/core/sha384.h"
#include "hv/core/vp.h"

#define PAGES_AT_ONCE 4u /* about as long as a slice of a signature */
#define SIGNED_MAX (ATTEST_TOKEN_MAX + 96u)

/* The rest of the output page, behind the answer, is scratch. */
#define SCRATCH_PAYLOAD 1024u
#define SCRATCH_SIGNED (SCRATCH_PAYLOAD + ATTEST_TOKEN_MAX)
_Static_assert(sizeof(struct rd_report) <= SCRATCH_PAYLOAD, "the answer first");
_Static_assert(SCRATCH_SIGNED + SIGNED_MAX <= PAGE_SIZE, "one page");
_Static_assert(RD_REPORT_TOKEN >= ATTEST_TOKEN_MAX, "a token fits");
_Static_assert(RD_NONCE_MAX == ATTEST_NONCE_MAX && RD_REPORT_DATA == ATTEST_REPORT_DATA, "sizes");

static uint8_t hypervisor[ATTEST_DIGEST];
static uint64_t hypervisor_svn;

void report_set_hypervisor(const uint8_t digest[ATTEST_DIGEST], uint64_t svn)
{
	__builtin_memcpy(hypervisor, digest, sizeof(hypervisor));
	hypervisor_svn = svn;
}

/* Locks: partitions_lock. Why nothing may be measured any more; NULL in *out then. */
static enum hv_status open_launch(uint64_t id, struct partition **out)
{
	struct partition *p = partition_find(id);

	*out = NULL;
	if (p == NULL) {
		return HV_INVALID_PARTITION_ID;
	}
	if (p->state == RD_PARTITION_DYING || p->launch.sealed) {
		return HV_INVALID_PARTITION_STATE;
	}
	*out = p;
	return HV_SUCCESS;
}

enum hv_status hc_measure_pages(struct vp *vp, struct hcall *h)
{
	enum hv_status s;
	struct rd_measure_pages q;
	struct partition *p;

	(void)vp;
	__builtin_memcpy(&q, h->in, sizeof(q));
	lock_acquire(&partitions_lock);
	s = open_launch(q.partition, &p);
	for (uint32_t i = 0; i < PAGES_AT_ONCE && s == HV_SUCCESS && h->done < h->count; i++) {
		uint64_t page;

		__builtin_memcpy(&page, h->list + (size_t)h->done * 8, sizeof(page));
		if (page >= GPA_LIMIT >> PAGE_SHIFT ||
		    !launch_page(p, gpa(page << PAGE_SHIFT), h->out)) {
			s = HV_INVALID_PARAMETER;
		}
		h->done += s == HV_SUCCESS ? 1 : 0;
	}
	lock_release(&partitions_lock);
	return s;
}

enum hv_status hc_seal_launch(struct vp *vp, struct hcall *h)
{
	enum hv_status s;
	struct rd_seal_launch q;
	struct partition *p;

	(void)vp;
	__builtin_memcpy(&q, h->in, sizeof(q));
	if ((q.flags & ~ATTEST_POLICY_DEBUG) != 0 || (q.reserved[0] | q.reserved[1]) != 0) {
		return HV_INVALID_PARAMETER; /* there are no isolated partitions yet */
	}
	lock_acquire(&partitions_lock);
	s = open_launch(q.partition, &p);
	if (s == HV_SUCCESS) {
		struct attest_policy policy = { .flags = q.flags,
						.svn = q.svn,
						.disks = q.disks,
						.networks = q.networks,
						.devices = q.devices };

		launch_seal(p, &policy);
	}
	lock_release(&partitions_lock);
	return s;
}

enum hv_status hc_get_measurement(struct vp *vp, struct hcall *h)
{
	struct rd_measurement *o = (struct rd_measurement *)h->out;
	struct partition *p;
	uint64_t id;

	(void)vp;
	__builtin_memcpy(&id, h->in, sizeof(id));
	lock_acquire(&partitions_lock);
	p = partition_find(id);
	if (p != NULL) {
		o->sealed = p->launch.sealed;
		o->pages = p->launch.pages;
		__builtin_memcpy(o->digest, p->launch.digest, sizeof(o->digest));
		__builtin_memcpy(o->instance, p->launch.instance, sizeof(o->instance));
		attest_policy_write(&p->launch.policy, o->policy);
	}
	lock_release(&partitions_lock);
	return p == NULL ? HV_INVALID_PARTITION_ID : HV_SUCCESS;
}

enum hv_status hc_get_report_key(struct vp *vp, struct hcall *h)
{
	struct rd_report_key *o = (struct rd_report_key *)h->out;

	(void)vp;
	o->state = attest_state();
	o->size = (uint32_t)report_key_cose(o->cose, sizeof(o->cose));
	if (o->size != 0) {
		__builtin_memcpy(o->bootseed, report_key_bootseed(), sizeof(o->bootseed));
	}
	return HV_SUCCESS;
}

struct asked {
	const uint8_t *nonce;
	uint32_t nonce_n;
	const uint8_t *data; /* NULL: zeros */
	uint32_t origin;
};

/* The payload, at its place in the scratch; 0: the nonce has a wrong length. Locks: partitions_lock. */
static size_t payload_write(const struct partition *p, const struct asked *a, uint8_t *to)
{
	struct attest_claims c = { .nonce_n = a->nonce_n,
				   .policy = p->launch.policy,
				   .svn = hypervisor_svn,
				   .origin = a->origin };

	if (a->nonce_n < ATTEST_NONCE_MIN || a->nonce_n > ATTEST_NONCE_MAX) {
		return 0;
	}
	__builtin_memcpy(c.nonce, a->nonce, a->nonce_n);
	__builtin_memcpy(c.instance, p->launch.instance, sizeof(c.instance));
	__builtin_memcpy(c.bootseed, report_key_bootseed(), sizeof(c.bootseed));
	__builtin_memcpy(c.launch, p->launch.digest, sizeof(c.launch));
	__builtin_memcpy(c.hypervisor, hypervisor, sizeof(c.hypervisor));
	if (a->data != NULL) {
		__builtin_memcpy(c.report_data, a->data, sizeof(c.report_data));
	}
	c.dbgstat = (c.policy.flags & ATTEST_POLICY_DEBUG) != 0 ? ATTEST_DBG_ENABLED
								: ATTEST_DBG_DISABLED;
	return attest_claims_write(&c, to, ATTEST_TOKEN_MAX);
}

/* Locks: partitions_lock. The guest pays for a report, the root does not and does not wait for guests either. */
static enum hv_status report(struct partition *p, const struct asked *a, struct hcall *h)
{
	struct rd_report *o = (struct rd_report *)h->out;
	uint8_t *payload = h->out + SCRATCH_PAYLOAD, *message = h->out + SCRATCH_SIGNED;
	uint8_t header[COSE_PROTECTED_MAX], digest[ATTEST_DIGEST], signature[REPORT_SIGNATURE];
	size_t n, header_n, message_n;

	if (p->state == RD_PARTITION_DYING || !p->launch.sealed) {
		return HV_INVALID_PARTITION_STATE;
	}
	if (!report_key_exists()) {
		return HV_NOT_FOUND;
	}
	header_n = cose_protected_write(report_key_kid(), header, sizeof(header));
	n = payload_write(p, a, payload);
	message_n = n == 0 ? 0
			   : cose_signed_write(header, header_n, payload, n, message, SIGNED_MAX);
	if (message_n == 0) {
		return HV_INVALID_PARAMETER;
	}
	sha384(message, message_n, digest);
	if (a->origin == ATTEST_ORIGIN_GUEST && !launch_report_allowed(p, digest)) {
		return HV_NO_RESOURCES;
	}
	switch (report_key_sign(digest, a->origin == ATTEST_ORIGIN_ROOT, signature)) {
	case REPORT_DONE:
		o->size = (uint32_t)cose_sign1_write(header, header_n, payload, n, signature,
						     o->token, sizeof(o->token));
		return o->size == 0 ? HV_NO_RESOURCES : HV_SUCCESS;
	case REPORT_AGAIN:
		return HV_CONTINUE;
	default:
		return HV_NOT_FOUND;
	}
}

enum hv_status hc_get_report(struct vp *vp, struct hcall *h)
{
	enum hv_status s = HV_INVALID_PARTITION_ID;
	struct rd_get_report q;
	struct partition *p;

	(void)vp;
	__builtin_memcpy(&q, h->in, sizeof(q));
	if (q.reserved != 0) {
		return HV_INVALID_PARAMETER;
	}
	lock_acquire(&partitions_lock);
	p = partition_find(q.partition);
	if (p != NULL) {
		const struct asked a = { q.nonce, q.nonce_size, NULL, ATTEST_ORIGIN_ROOT };

		s = report(p, &a, h);
	}
	lock_release(&partitions_lock);
	return s;
}

enum hv_status hc_get_own_report(struct vp *vp, struct hcall *h)
{
	enum hv_status s;
	struct rd_get_own_report q;

	__builtin_memcpy(&q, h->in, sizeof(q));
	if (q.reserved != 0) {
		return HV_INVALID_PARAMETER;
	}
	lock_acquire(&partitions_lock);
	{
		const struct asked a = { q.nonce, q.nonce_size, q.report_data,
					 ATTEST_ORIGIN_GUEST };

		s = report(vp->partition, &a, h);
	}
	lock_release(&partitions_lock);
	return s;
}
