// SPDX-License-Identifier: MIT
/*
 * The path of frames from a guest. Input: bytes 0, 1: where to cut; then what is in the driver's transfer. It is sent three times: in
 * a section, in ranges, and cut between both. Checked: the same frames come out each time, each of a legal size; and what
 * rndis_packet_parse says lies within the bytes.
 */
#include <stdlib.h>

#include "fuzz/script.h"
#include "tests/guest/nvsp_guest.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

FUZZ_QUIET_BEGIN

static uint8_t memory[GUEST_BYTES];
static struct nvsp_guest g;
static struct nvsp_session s;
static struct nvsp_batch b;
static struct nvsp_io io;
static struct ring in, out;

struct outcome {
	uint32_t status, count, length[NVSP_FRAMES_PER_PACKET];
	uint64_t hash[NVSP_FRAMES_PER_PACKET];
};

static void connect_driver(void)
{
	static const uint8_t mac[6] = { 2 };

	guest_init(&g, memory);
	CHECK_FUZZ(guest_io(&g, &io, &in, &out));
	nvsp_session_start(&s, mac);
	nvsp_session_open(&s, &io);
	nvsp_batch_clear(&b);
	guest_message(&g, NVSP_INIT, NVSP_VERSION_61, NVSP_VERSION_61, 0, true);
	guest_message(&g, NVSP_SEND_RECEIVE_BUFFER, GUEST_GPADL_RECEIVE, 0xcafe, 0, true);
	guest_message(&g, NVSP_SEND_SEND_BUFFER, GUEST_GPADL_SEND, 0, 0, true);
	guest_initialize(&g, 1);
	CHECK_FUZZ(nvsp_serve(&s, &io, &b, 100) == NVSP_EMPTY);
	while (guest_take(&g)) {
	}
}

static struct outcome outcome(uint64_t transaction)
{
	struct outcome o = { 0 };

	CHECK_FUZZ(transaction != 0);
	CHECK_FUZZ(nvsp_serve(&s, &io, &b, 100) == NVSP_EMPTY);
	CHECK_FUZZ(guest_take(&g) && g.p.transaction == transaction);
	o.status = le32(guest_payload(&g) + 4);
	CHECK_FUZZ(b.count <= NVSP_FRAMES_PER_PACKET);
	o.count = b.count;
	for (uint32_t i = 0; i < b.count; i++) {
		const struct nvsp_frame *f = &b.frame[i];

		CHECK_FUZZ(range_within(f->offset, f->length, b.used));
		CHECK_FUZZ(rndis_frame_fits(b.pool + f->offset, f->length));
		o.length[i] = f->length;
		o.hash[i] = 14695981039346656037ull;
		for (uint32_t k = 0; k < f->length; k++) {
			o.hash[i] = (o.hash[i] ^ b.pool[f->offset + k]) * 1099511628211ull;
		}
	}
	nvsp_batch_clear(&b);
	return o;
}

static void check_parse(const uint8_t *bytes, uint32_t n)
{
	uint8_t *exact = malloc(n == 0 ? 1 : n);
	struct rndis_packet p;
	uint32_t at = 0;

	CHECK_FUZZ(exact != NULL);
	if (n != 0) {
		memcpy(exact, bytes, n);
	}
	while (at < n && rndis_packet_parse(exact + at, n - at, &p)) {
		CHECK_FUZZ(p.length >= RNDIS_PACKET_HEADER && p.length <= n - at);
		CHECK_FUZZ(p.data_offset >= RNDIS_PACKET_HEADER && p.data_length != 0);
		CHECK_FUZZ(range_within(p.data_offset, p.data_length, p.length));
		at += p.length;
	}
	free(exact);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct guest_range r[2];
	struct outcome a, c;
	uint32_t cut, n;
	const uint8_t *bytes = data + 2;

	if (size < 3 || size - 2 > NVSP_SEND_SECTION_BYTES) {
		return 0;
	}
	n = (uint32_t)(size - 2);
	cut = le16(data) % n;
	check_parse(bytes, n);
	connect_driver();
	guest_fill_send(&g, 0, bytes, n);
	a = outcome(guest_send_section(&g, NVSP_DATA, 0, n));
	CHECK_FUZZ(a.status == NVSP_SUCCESS || a.status == NVSP_INVALID_RNDIS);

	/* pages in a row, from the middle of the first */
	r[0] = (struct guest_range){ n, 1000, GUEST_SCRATCH };
	memcpy(guest_page(&g, GUEST_SCRATCH) + 1000, bytes, n);
	c = outcome(guest_send_ranges(&g, NVSP_DATA, NVSP_SECTION_NONE, 0, r, 1));
	CHECK_FUZZ(memcmp(&a, &c, sizeof(a)) == 0);
	if (cut != 0) {
		r[0] = (struct guest_range){ cut, 1000, GUEST_SCRATCH };
		r[1] = (struct guest_range){ n - cut, (1000 + cut) % 4096,
					     GUEST_SCRATCH + (1000 + cut) / 4096 };
		c = outcome(guest_send_ranges(&g, NVSP_DATA, NVSP_SECTION_NONE, 0, r, 2));
		CHECK_FUZZ(memcmp(&a, &c, sizeof(a)) == 0);
	}
	/* as a driver that has room for the header only */
	c = outcome(guest_send_ranges(&g, NVSP_DATA, 0, cut, cut != 0 ? &r[1] : &r[0], 1));
	CHECK_FUZZ(memcmp(&a, &c, sizeof(a)) == 0);
	return 0;
}

FUZZ_QUIET_END
