/* SPDX-License-Identifier: MIT */
/* Input: the payload of a packet of hv_sock. What is taken lies in it, and with our own header is the same packet again. */
#include <stdlib.h>
#include <string.h>

#include "fuzz/script.h"
#include "hv/wire/hvsock.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *payload = malloc(size != 0 ? size : 1), header[HVSOCK_HEADER];
	struct hvsock_packet p;

	CHECK_FUZZ(payload != NULL);
	memcpy(payload, data, size);
	if (hvsock_parse(payload, (uint32_t)size, &p)) {
		CHECK_FUZZ(p.size <= HVSOCK_DATA_MAX && p.data == payload + HVSOCK_HEADER);
		CHECK_FUZZ(size % 8 == 0 && size - HVSOCK_HEADER - p.size < 8);
		hvsock_header(header, p.size);
		CHECK_FUZZ(memcmp(header, payload, sizeof(header)) == 0);
		for (size_t i = HVSOCK_HEADER + p.size; i < size; i++) {
			CHECK_FUZZ(payload[i] == 0);
		}
	}
	free(payload);
	return 0;
}
