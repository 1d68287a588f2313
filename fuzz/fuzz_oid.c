// SPDX-License-Identifier: MIT
/*
 * RNDIS control messages. Input: a message in each record. Checked: an answer has the size that it says and
 * belongs to the request; what is refused changes nothing; no message changes the address or the link.
 */
#include <stdlib.h>
#include <string.h>

#include "fuzz/script.h"
#include "hv/wire/rndis.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_reply(const struct rndis_adapter *a, const uint8_t *m, const uint8_t *reply,
			uint32_t length)
{
	uint32_t type = le32(m);

	if (type == RNDIS_HALT) {
		CHECK_FUZZ(length == 0 && a->initialized == 0 && a->filter == 0);
		return;
	}
	CHECK_FUZZ(length >= 16 && length <= RNDIS_REPLY_MAX);
	CHECK_FUZZ(le32(reply) == (type | RNDIS_COMPLETE) && le32(reply + 4) == length);
	CHECK_FUZZ(le32(reply + 8) == le32(m + 8));
	if (type == RNDIS_QUERY) {
		CHECK_FUZZ(length == 24 + le32(reply + 16) && le32(reply + 20) == 16);
		CHECK_FUZZ(le32(reply + 12) == 0 || le32(reply + 16) == 0);
	}
}

static void one(struct rndis_adapter *a, const uint8_t *bytes, uint32_t n)
{
	struct rndis_adapter before = *a;
	uint8_t *m = malloc(n == 0 ? 1 : n), *reply = malloc(RNDIS_REPLY_MAX);
	uint32_t length = 99;

	CHECK_FUZZ(m != NULL && reply != NULL);
	if (n != 0) {
		memcpy(m, bytes, n);
	}
	if (rndis_control(a, m, n, reply, &length)) {
		CHECK_FUZZ(n >= 12);
		check_reply(a, m, reply, length);
		if (le32(m) == RNDIS_QUERY || le32(m) == RNDIS_KEEPALIVE) {
			CHECK_FUZZ(memcmp(&before, a, sizeof(before)) == 0);
		}
	} else {
		CHECK_FUZZ(length == 0 && memcmp(&before, a, sizeof(before)) == 0);
	}
	CHECK_FUZZ(memcmp(before.mac, a->mac, 6) == 0 && before.link_down == a->link_down);
	CHECK_FUZZ(a->initialized <= 1 && (a->filter & ~0x2fu) == 0);
	CHECK_FUZZ(a->filter == 0 || a->initialized == 1);
	free(m);
	free(reply);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rndis_adapter a = { .mac = { 2, 1, 2, 3, 4, 5 } };
	struct script s = { data, size, 0 }, m;

	while (script_action(&s, &m)) {
		one(&a, m.data, (uint32_t)m.size);
	}
	return 0;
}
