/* SPDX-License-Identifier: MIT */
/* Input: what a client sent to attestd. Beside the answer itself: no shorter piece of a good request is refused or complete. */
#include "fuzz/guard.h"
#include "fuzz/heap.h"
#include "hv/host/attestd/http.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static enum http_step parse(const uint8_t *data, size_t size, struct request *r)
{
	const char *bytes = guard_bytes(data, size);
	const char *why = NULL;
	int status = 0;
	enum http_step step;

	heap_begin();
	step = http_parse(bytes, size, r, &status, &why);
	heap_end();
	CHECK_FUZZ((step == HTTP_REFUSED) == (why != NULL));
	CHECK_FUZZ((step == HTTP_REFUSED) == (status >= 400 && status < 600));
	return step;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct request r, shorter;

	if (size > HTTP_REQUEST_MAX || parse(data, size, &r) != HTTP_DONE) {
		return 0;
	}
	CHECK_FUZZ(r.verb <= REQUEST_ACTIVATE);
	CHECK_FUZZ((r.verb == REQUEST_REPORT) ==
		   (r.nonce_n >= REQUEST_NONCE_MIN && r.nonce_n <= REQUEST_NONCE_MAX));
	CHECK_FUZZ(r.credential_n <= REQUEST_BLOB_MAX && r.secret_n <= REQUEST_BLOB_MAX);
	CHECK_FUZZ((r.verb == REQUEST_ACTIVATE) == (r.credential_n != 0 && r.secret_n != 0));
	CHECK_FUZZ(!r.has_partition || (r.verb == REQUEST_REPORT && r.partition != 0));
	for (size_t n = 0; n < size; n += size / 8 + 1) {
		CHECK_FUZZ(parse(data, n, &shorter) == HTTP_MORE);
	}
	CHECK_FUZZ(parse(data, size - 1, &shorter) == HTTP_MORE);
	return 0;
}
