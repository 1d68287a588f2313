/* SPDX-License-Identifier: MIT */
/* Input: byte 0: bit 0 configuration module rather than command line; the rest is the text. */
#include <stdlib.h>
#include <string.h>

#include "hv/wire/options.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(x)                          \
	do {                              \
		if (!(x)) {               \
			__builtin_trap(); \
		}                         \
	} while (0)

/* Without a quote in the whole text nothing is an escape: the value is there as it is. */
static void check_plain(const struct hv_options *o, const char *text, size_t len)
{
	size_t n = strlen(o->root_cmdline), at = 0;

	if (n == 0 || memchr(text, '"', len) != NULL) {
		return;
	}
	while (at + n <= len && memcmp(text + at, o->root_cmdline, n) != 0) {
		at++;
	}
	CHECK(at + n <= len);
}

static void check(const struct hv_options *o)
{
	CHECK(o->pool_bytes % (2u << 20) == 0);
	CHECK(o->loglevel >= OPTIONS_LOG_ERROR && o->loglevel <= OPTIONS_LOG_DEBUG);
	CHECK(o->iommu >= OPTIONS_IOMMU_AUTO && o->iommu <= OPTIONS_IOMMU_REQUIRE);
	CHECK(o->serial_port != 0 && o->serial_port <= 0xfff8);
	CHECK(memchr(o->root_cmdline, 0, sizeof(o->root_cmdline)) != NULL);
	CHECK(o->root_cmdline_set || o->root_cmdline[0] == 0);
	for (const char *p = o->root_cmdline; *p != 0; p++) {
		CHECK(*p == '\t' || *p == '\r' || ((unsigned char)*p >= 0x20 && *p != 0x7f));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct hv_options o, again;
	struct wire_fault why = { NULL, NULL, NULL, 0 };
	size_t len = size - 1;
	bool config, ok;
	char *text;

	if (size < 1) {
		return 0;
	}
	text = malloc(len);
	if (text == NULL) {
		return 0;
	}
	memcpy(text, data + 1, len);
	config = (data[0] & 1) != 0;
	options_defaults(&o);
	ok = config ? options_parse_config(text, len, &o, &why)
		    : options_parse_cmdline(text, len, &o, &why);
	/* Whatever a refused text has set so far is sane, too. */
	check(&o);
	check_plain(&o, text, len);
	if (!ok) {
		CHECK(why.what != NULL && why.field != NULL && why.remedy != NULL);
		CHECK(why.value <= len + 1);
	} else {
		CHECK(why.what == NULL);
		/* The same text once more changes nothing. */
		again = o;
		ok = config ? options_parse_config(text, len, &again, &why)
			    : options_parse_cmdline(text, len, &again, &why);
		CHECK(ok && memcmp(&again, &o, sizeof(o)) == 0);
	}
	free(text);
	return 0;
}
