// SPDX-License-Identifier: MIT
/* The VMBus messages, byte by byte. */
#include "tests/unit/wire/wire_test.h"

#include "tests/guest/vmbus_model.h"

#define GPADL 0xe1e10u

static uint8_t m[VMBUS_MESSAGE_MAX];

static void test_parse(void **state)
{
	static const struct {
		uint32_t type, size;
	} fixed[] = {
		{ VMBUS_REQUEST_OFFERS, 8 },
		{ VMBUS_UNLOAD, 8 },
		{ VMBUS_OPEN, 148 },
		{ VMBUS_CLOSE, 12 },
		{ VMBUS_RELID_RELEASED, 12 },
		{ VMBUS_GPADL_TEARDOWN, 16 },
		{ VMBUS_MODIFY_CHANNEL, 16 },
		{ VMBUS_TL_CONNECT, 40 },
		{ VMBUS_INITIATE_CONTACT, 40 },
	};
	struct vmbus_message out;

	(void)state;
	for (unsigned i = 0; i < sizeof(fixed) / sizeof(fixed[0]); i++) {
		for (uint32_t size = 0; size <= VMBUS_MESSAGE_MAX; size++) {
			uint8_t *copy;
			bool longer = fixed[i].type == VMBUS_INITIATE_CONTACT && size > 40;

			(void)guest_words(m, fixed[i].type, 1, 2, 0);
			copy = exact(m, size);
			assert_int_equal(vmbus_parse(copy, size, &out),
					 size == fixed[i].size || longer);
			if (size >= 8) {
				copy[5] = 1; /* padding */
				assert_false(vmbus_parse(copy, size, &out));
			}
			free(copy);
		}
	}
	/* What only a host sends, what is reserved, what does not exist. */
	for (uint32_t type = 0; type < 64; type++) {
		bool guest = type == 3 || type == 5 || (type >= 7 && type <= 9) || type == 11 ||
			     type == 13 || type == 14 || type == 16 || type == 21 || type == 22;
		bool any = false;

		(void)guest_words(m, type, 1, 2, 0);
		for (uint32_t size = 0; size <= VMBUS_MESSAGE_MAX; size++) {
			any |= vmbus_parse(m, size, &out);
		}
		assert_int_equal(any, guest);
	}
	assert_false(vmbus_parse(m, VMBUS_MESSAGE_MAX + 1, &out));
}

static void test_parse_gpadl(void **state)
{
	struct vmbus_message out;

	(void)state;
	for (uint32_t size = 8; size <= VMBUS_MESSAGE_MAX; size++) {
		uint8_t *copy;

		(void)guest_gpadl(m, 7, GPADL, 200, 26, 0x3456);
		copy = exact(m, size);
		assert_int_equal(vmbus_parse(copy, size, &out), size >= 16);
		free(copy);
		if (size < 16) {
			continue;
		}
		assert_int_equal(out.gpadl_header.relid, 7);
		assert_int_equal(out.gpadl_header.gpadl, GPADL);
		assert_int_equal(out.gpadl_header.range_count,
				 size >= 28 && size <= 236 && size % 8 == 4);
		if (out.gpadl_header.range_count == 1) {
			assert_int_equal(out.gpadl_header.buffer_length, 1608);
			assert_int_equal(out.gpadl_header.length, 200 * 4096);
			assert_int_equal(out.gpadl_header.count, (size - 28) / 8);
			assert_true(size == 28 || out.pfn[0] == 0x3456);
		}
	}
	for (uint32_t size = 8; size <= VMBUS_MESSAGE_MAX; size++) {
		uint8_t *copy;

		(void)guest_body(m, GPADL, 28, 0x9876);
		copy = exact(m, size);
		assert_int_equal(vmbus_parse(copy, size, &out), size >= 16 && size % 8 == 0);
		free(copy);
	}
	assert_int_equal(out.gpadl_body.count, 28);
	assert_int_equal(out.pfn[27], 0x9876 + 27);
}

static void test_build(void **state)
{
	struct vmbus_offer o;
	struct vmbus_guid a, b;
	uint8_t zero[16] = { 0 };

	(void)state;
	memset(&o, 0, sizeof(o));
	memset(o.class_id.b, 0xaa, 16);
	memset(o.instance.b, 0xbb, 16);
	o.relid = 0x103;
	o.sub = 0x204;
	o.pipe = true;
	memset(m, 0xff, sizeof(m));
	assert_int_equal(vmbus_build_offer(m, &o), 196);
	assert_int_equal(le64(m), VMBUS_OFFER);
	assert_memory_equal(m + 8, o.class_id.b, 16);
	assert_memory_equal(m + 24, o.instance.b, 16);
	assert_memory_equal(m + 40, zero, 16);
	assert_int_equal(le16(m + 56), 0x11);
	assert_int_equal(le16(m + 58), 0);
	assert_int_equal(le32(m + 60), 4);
	assert_int_equal(le16(m + 180), 0x204);
	assert_int_equal(le16(m + 182), 0);
	assert_int_equal(le32(m + 184), 0x103);
	assert_int_equal(m[189], 0); /* trap 41: no monitor */
	assert_int_equal(le16(m + 190), 1);
	assert_int_equal(le32(m + 192), 0x2103);
	o.pipe = false;
	(void)vmbus_build_offer(m, &o);
	assert_int_equal(le16(m + 56), 1);
	assert_int_equal(le32(m + 60), 0);

	memset(m, 0xff, sizeof(m));
	assert_int_equal(vmbus_build_version(m, true, 4), 16);
	assert_int_equal(le64(m), VMBUS_VERSION_RESPONSE);
	assert_int_equal(le32(m + 8), 1); /* supported, state 0 */
	assert_int_equal(le32(m + 12), 4);
	assert_int_equal(vmbus_build_version(m, false, 1), 16);
	assert_int_equal(le32(m + 8), 0);
	assert_int_equal(vmbus_build_plain(m, VMBUS_ALL_OFFERS), 8);
	assert_int_equal(le64(m), VMBUS_ALL_OFFERS);
	assert_int_equal(vmbus_build_id(m, VMBUS_RESCIND, 9), 12);
	assert_int_equal(le32(m + 8), 9);
	assert_int_equal(vmbus_build_open_result(m, 1, 2, 3), 20);
	assert_int_equal(le64(m), VMBUS_OPEN_RESULT);
	assert_int_equal(le64(m + 8), 1 | 2ull << 32);
	assert_int_equal(le32(m + 16), 3);
	assert_int_equal(vmbus_build_gpadl_created(m, 1, 2, 3), 20);
	assert_int_equal(le64(m), VMBUS_GPADL_CREATED);
	assert_int_equal(vmbus_build_modify_response(m, 5, 6), 16);
	assert_int_equal(le64(m), VMBUS_MODIFY_RESPONSE);
	assert_int_equal(le64(m + 8), 5 | 6ull << 32);
	memset(a.b, 1, 16);
	memset(b.b, 2, 16);
	assert_int_equal(vmbus_build_connect_result(m, &a, &b, 7), 44);
	assert_memory_equal(m + 8, a.b, 16);
	assert_memory_equal(m + 24, b.b, 16);
	assert_int_equal(le32(m + 40), 7);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse),
		cmocka_unit_test(test_parse_gpadl),
		cmocka_unit_test(test_build),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
