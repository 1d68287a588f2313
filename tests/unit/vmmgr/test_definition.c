// SPDX-License-Identifier: MIT
/* Definition files: every key at its edges, and of everything that is refused the line, the key and a remedy. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "hv/host/vmmgr/definition.h"

#define BASE "name: a\nmemory: 16\nkernel: /k\n"

static struct definition d;
static struct definition_fault fault;

/* The text in a block of its own size, so that ASan sees a byte too far. */
static bool parse_n(const char *text, size_t size)
{
	char *copy = malloc(size != 0 ? size : 1);
	bool ok;

	assert_non_null(copy);
	memcpy(copy, text, size);
	memset(&fault, 0x5a, sizeof(fault));
	ok = definition_parse(copy, size, &d, &fault);
	free(copy);
	return ok;
}

static void good(const char *text)
{
	if (!parse_n(text, strlen(text))) {
		fail_msg("refused: %u: %s: %s", fault.line, fault.key, fault.text);
	}
}

static void bad(const char *text, uint32_t line, const char *key, const char *what)
{
	if (parse_n(text, strlen(text))) {
		fail_msg("accepted: %s", text);
	}
	assert_int_equal(fault.line, line);
	assert_string_equal(fault.key, key);
	if (strstr(fault.text, what) == NULL) {
		fail_msg("fault is \"%s\", expected \"%s\"", fault.text, what);
	}
	assert_true(fault.remedy[0] != '\0');
	assert_non_null(memchr(fault.remedy, '\0', sizeof(fault.remedy)));
}

/* BASE and one more line, the fourth. */
static void bad_line(const char *more, const char *key, const char *what)
{
	char text[4096];

	(void)snprintf(text, sizeof(text), BASE "%s\n", more);
	bad(text, 4, key, what);
}

static void good_line(const char *more)
{
	char text[4096];

	(void)snprintf(text, sizeof(text), BASE "%s\n", more);
	good(text);
}

static void test_whole(void **state)
{
	static const uint8_t mac[6] = { 2, 0, 0, 0, 0xab, 0xCD };

	(void)state;
	good("# the web server\n"
	     "name: web-1\n"
	     "memory: 1024   # MiB\n"
	     "vps: 2\n"
	     "weight: 200\n"
	     "attest: true\n"
	     "svn: 7\n"
	     "kernel: /srv/vmlinuz\n"
	     "initrd: \"/srv/initrd.img\"\n"
	     "cmdline: console=ttyS0 root=/dev/sda1 x='y'\n"
	     "disks:\n"
	     "  - path: /srv/web.img\n"
	     "  - path: '/srv/data.img'\n"
	     "    read_only: true\n"
	     "nics:\n"
	     "  - mac: 02:00:00:00:ab:CD\n"
	     "    uplink: tap0\n"
	     "  - {}\n");
	assert_string_equal(d.name, "web-1");
	assert_int_equal(d.memory_mib, 1024);
	assert_int_equal(d.vps, 2);
	assert_int_equal(d.weight, 200);
	assert_int_equal(d.attest, DEFINITION_ATTEST_YES);
	assert_int_equal(d.svn, 7);
	assert_string_equal(d.kernel, "/srv/vmlinuz");
	assert_string_equal(d.initrd, "/srv/initrd.img");
	assert_string_equal(d.cmdline, "console=ttyS0 root=/dev/sda1 x='y'");
	assert_int_equal(d.disk_count, 2);
	assert_string_equal(d.disk[0].path, "/srv/web.img");
	assert_false(d.disk[0].read_only);
	assert_string_equal(d.disk[1].path, "/srv/data.img");
	assert_true(d.disk[1].read_only);
	assert_int_equal(d.nic_count, 2);
	assert_memory_equal(d.nic[0].mac, mac, 6);
	assert_string_equal(d.nic[0].uplink, "tap0");
	assert_string_equal(d.nic[1].uplink, "");
	/* Made from the name: local, of one station, not the other's. */
	assert_int_equal(d.nic[1].mac[0] & 3, 2);
	assert_memory_not_equal(d.nic[1].mac, mac, 6);
}

static void test_defaults(void **state)
{
	(void)state;
	good(BASE);
	assert_int_equal(d.vps, 1);
	assert_int_equal(d.weight, 100);
	assert_int_equal(d.attest, DEFINITION_ATTEST_AUTO);
	assert_int_equal(d.svn, 0);
	assert_string_equal(d.initrd, "");
	assert_string_equal(d.cmdline, "");
	assert_int_equal(d.disk_count, 0);
	assert_int_equal(d.nic_count, 0);
	good("{name: a, memory: 16, kernel: /k, disks: [{path: /d}], nics: [{}, {}]}");
	assert_int_equal(d.disk_count, 1);
	assert_int_equal(d.nic_count, 2);
	good_line("disks: []\nnics: []");
	good_line("attest: false");
	assert_int_equal(d.attest, DEFINITION_ATTEST_NO);
	bad_line("attest: maybe", "attest", "neither true nor false");
	good("---\n" BASE "...\n");
	good(BASE "\r\n");
}

static void test_missing(void **state)
{
	(void)state;
	bad("memory: 16\nkernel: /k\n", 0, "name", "missing");
	bad("name: a\nkernel: /k\n", 0, "memory", "missing");
	bad("name: a\nmemory: 16\n", 0, "kernel", "missing");
	bad("# nothing\n", 2, "", "empty");
	bad_line("disks: [{read_only: true}]", "path", "missing");
}

static void test_unknown(void **state)
{
	(void)state;
	bad_line("memori: 4", "memori", "unknown key");
	bad_line("Name: 4", "Name", "unknown key");
	bad_line("<<: {vps: 2}", "<<", "unknown key");
	bad_line("\"\": 4", "", "unknown key");
	bad_line("disks: [{path: /d, size: 4}]", "size", "unknown key");
	bad(BASE "nics:\n  - mac: 02:00:00:00:00:01\n    vlan: 3\n", 6, "vlan", "unknown key");
	/* A hostile key stays in the message, but not as it is. */
	bad_line("\"a\\x1b[2J\": 1", "a?[2J", "unknown key");
}

static void test_twice(void **state)
{
	(void)state;
	bad_line("name: b", "name", "twice");
	bad_line("disks: [{path: /d, path: /e}]", "path", "twice");
	bad(BASE "nics: []\nnics: []\n", 5, "nics", "twice");
}

static void test_names(void **state)
{
	static const char *const names[] = {
		"/x",  "..",  "-a",       ".a",        "a/b",
		"a b", "a:b", "\"a\\n\"", "a\xc3\xa4", "abcdefghijklmnopqrstuvwxyz012345"
	};

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		char text[128];

		(void)snprintf(text, sizeof(text), "memory: 16\nname: %s\nkernel: /k\n", names[i]);
		assert_false(parse_n(text, strlen(text)));
		assert_int_equal(fault.line, 2);
		assert_string_equal(fault.key, "name");
	}
	good("name: abcdefghijklmnopqrstuvwxyz01234\nmemory: 16\nkernel: /k\n");
	good("name: 9.A_z-\nmemory: 16\nkernel: /k\n");
	assert_false(definition_name_good(""));
}

static void bad_memory(const char *value, const char *what)
{
	char text[128];

	(void)snprintf(text, sizeof(text), "name: a\nmemory: %s\nkernel: /k\n", value);
	bad(text, 2, "memory", what);
}

static void test_numbers(void **state)
{
	(void)state;
	bad_memory("14", "not within 16 to 1048576");
	bad_memory("1048578", "not within");
	bad_memory("17", "multiple of 2");
	bad_memory("0", "not within");
	bad_memory("-16", "whole number");
	bad_memory("+16", "whole number");
	bad_memory("0x10", "whole number");
	bad_memory("016", "whole number");
	bad_memory("16.0", "whole number");
	bad_memory("16M", "whole number");
	bad_memory("1_6", "whole number");
	bad_memory("\"16\"", "whole number");
	bad_memory("", "whole number");
	bad_memory("4294967312", "not within");
	bad_memory("18446744073709551632", "not within");
	bad_memory("[16]", "single value");
	bad_memory("{a: 1}", "single value");
	good("name: a\nmemory: 1048576\nkernel: /k\n");
	assert_int_equal(d.memory_mib, 1048576);
	bad_line("vps: 0", "vps", "not within 1 to 8");
	bad_line("vps: 9", "vps", "not within 1 to 8");
	good_line("vps: 8");
	bad_line("weight: 0", "weight", "not within");
	bad_line("weight: 1001", "weight", "not within");
	good_line("weight: 1000");
	bad_line("svn: 1000000000", "svn", "not within");
	bad_line("svn: -1", "svn", "not a whole number");
	good_line("svn: 0");
}

static void test_texts(void **state)
{
	char text[2048];
	int used;

	(void)state;
	bad_line("initrd: boot/initrd", "initrd", "absolute");
	bad_line("initrd: ''", "initrd", "no value");
	bad_line("initrd:", "initrd", "no value");
	bad_line("cmdline: \"a\\nb\"", "cmdline", "0x0a");
	bad_line("cmdline: \"a\\x00b\"", "cmdline", "longer");
	bad_line("cmdline: \"a\\x1b\"", "cmdline", "0x1b");
	bad_line("cmdline: a\xc3\xa4", "cmdline", "0xc3");
	good_line("initrd: /srv/\xc3\xa4");
	/* 511 bytes of a path, 1023 of a command line. */
	used = snprintf(text, sizeof(text), BASE "initrd: /%0510d\n", 0);
	assert_true(used > 0);
	good(text);
	(void)snprintf(text, sizeof(text), BASE "initrd: /%0511d\n", 0);
	bad(text, 4, "initrd", "512 bytes, at most 511");
	(void)snprintf(text, sizeof(text), BASE "cmdline: x%01022d\n", 0);
	good(text);
	assert_int_equal(strlen(d.cmdline), 1023);
	(void)snprintf(text, sizeof(text), BASE "cmdline: x%01023d\n", 0);
	bad(text, 4, "cmdline", "longer than 1023");
}

static void test_lists(void **state)
{
	(void)state;
	bad_line("disks: /d", "disks", "not a list");
	bad_line("disks: {path: /d}", "disks", "not a list");
	bad_line("disks: [/d]", "disks", "entry 1");
	bad_line("disks: [[{path: /d}]]", "disks", "entry 1");
	bad_line("nics: 1", "nics", "not a list");
	bad_line("disks: [{path: /d}, {path: /d}]", "path", "same file as disk 1");
	bad_line("disks: [{path: /1},{path: /2},{path: /3},{path: /4},{path: /5},{path: /6},{path: "
		 "/7},{path: /8},{path: /9}]",
		 "disks", "more than 8");
	bad_line("nics: [{},{},{},{},{}]", "nics", "more than 4");
	good_line("nics: [{},{},{},{}]");
	bad_line("disks: [{path: /d, read_only: yes}]", "read_only", "neither");
	bad_line("disks: [{path: /d, read_only: 'true'}]", "read_only", "neither");
	good_line("disks: [{path: /d, read_only: false}]");
	bad_line("disks: [{path: {a: b}}]", "path", "single value");
}

static void test_macs(void **state)
{
	static const char *const macs[] = { "02:00:00:00:00",
					    "02:00:00:00:00:1",
					    "02:00:00:00:00:0g",
					    "'02:00:00:00:00:01:'",
					    "02-00-00-00-00-01",
					    "020:00:00:00:00:01",
					    "'02:00:00:00:00:01 '",
					    "' 2:00:00:00:00:01'",
					    "0",
					    "''",
					    "x" };
	char text[128];

	(void)state;
	for (size_t i = 0; i < sizeof(macs) / sizeof(macs[0]); i++) {
		(void)snprintf(text, sizeof(text), "nics: [{mac: %s}]", macs[i]);
		bad_line(text, "mac", "not a MAC address");
	}
	bad_line("nics: [{mac: 01:00:00:00:00:01}]", "mac", "one station");
	bad_line("nics: [{mac: ff:ff:ff:ff:ff:ff}]", "mac", "one station");
	bad_line("nics: [{mac: 00:00:00:00:00:00}]", "mac", "one station");
	bad(BASE "nics: [{mac: 02:00:00:00:00:01}, {mac: 02:00:00:00:00:01}]\n", 0, "mac",
	    "NICs 1 and 2");
	bad_line("nics: [{uplink: abcdefghijklmnop}]", "uplink", "16 bytes, at most 15");
	bad_line("nics: [{uplink: a/b}]", "uplink", "interface");
}

static void test_yaml(void **state)
{
	(void)state;
	bad("name: &n a\nmemory: 16\nkernel: /k\n", 1, "name", "anchor");
	bad("name: a\nmemory: 16\nkernel: *n\n", 3, "kernel", "single value");
	bad("name: !!str a\nmemory: 16\nkernel: /k\n", 1, "name", "tag");
	bad_line("disks: &d []", "disks", "anchor");
	bad_line("disks: [&d {path: /d}]", "disks", "anchor");
	bad("&m {name: a}\n", 1, "", "anchor");
	bad(BASE "---\n" BASE, 4, "", "another document");
	bad("- a\n", 1, "", "not key: value");
	bad("a\n", 1, "", "not key: value");
	bad_line("[a, b]: c", "", "single value");
	assert_false(parse_n(BASE "disks: [\n#\n", strlen(BASE "disks: [\n#\n")));
	assert_true(fault.line >= 4 && fault.line <= 6);
	assert_false(parse_n("name: \"a\n", 9));
}

static void test_bytes(void **state)
{
	static char text[DEFINITION_BYTES_MAX + 2];

	(void)state;
	assert_false(parse_n("", 0));
	assert_int_equal(fault.line, 0);
	bad("name: a\nmemory: 16\nkernel: /k\x1b\n", 3, "", "0x1b");
	assert_false(parse_n("name: a\n\0", 9));
	assert_int_equal(fault.line, 2);
	bad("name: a\x7f\n", 1, "", "0x7f");
	assert_false(parse_n("name: \xff\xfe\n", 9));
	memset(text, '#', sizeof(text));
	memcpy(text, BASE, strlen(BASE));
	assert_true(parse_n(text, DEFINITION_BYTES_MAX));
	assert_false(parse_n(text, DEFINITION_BYTES_MAX + 1));
	assert_non_null(strstr(fault.text, "32769 bytes"));
}

/* Every text that ends too early is refused or a smaller definition, and never worse. */
static void test_cut(void **state)
{
	static const char text[] = "name: a\nmemory: 16\nkernel: /k\ndisks:\n  - path: \"/d\"\n"
				   "    read_only: true\nnics: [{mac: 02:00:00:00:00:01}]\n";

	(void)state;
	for (size_t n = 0; n < strlen(text); n++) {
		if (!parse_n(text, n)) {
			assert_true(fault.text[0] != '\0' && fault.remedy[0] != '\0');
		} else {
			assert_string_equal(d.name, "a");
			assert_int_equal(d.memory_mib, 16);
			assert_int_equal(d.kernel[0], '/');
		}
	}
}

static void test_derive(void **state)
{
	static const uint8_t fixed[16] = { 0xa4, 0x3a, 0xdd, 0x4c, 0x06, 0xc8, 0xf3, 0xc3,
					   0x37, 0xa0, 0x33, 0x6c, 0x7e, 0x88, 0x90, 0xb8 };
	uint8_t one[16], two[16];

	(void)state;
	definition_derive("a", 1, 2, one);
	definition_derive("a", 1, 2, two);
	assert_memory_equal(one, two, 16);
	definition_derive("a", 2, 1, two);
	assert_memory_not_equal(one, two, 16);
	assert_memory_not_equal(one, two, 8);
	assert_memory_not_equal(one + 8, two + 8, 8);
	definition_derive("b", 1, 2, two);
	assert_memory_not_equal(one, two, 8);
	assert_memory_not_equal(one, one + 8, 8);
	/* Over releases, too: guests know their disks and cards by it. */
	definition_derive("web-1", 0x1000, 0, one);
	assert_memory_equal(one, fixed, 16);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_whole),   cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_missing), cmocka_unit_test(test_unknown),
		cmocka_unit_test(test_twice),   cmocka_unit_test(test_names),
		cmocka_unit_test(test_numbers), cmocka_unit_test(test_texts),
		cmocka_unit_test(test_lists),   cmocka_unit_test(test_macs),
		cmocka_unit_test(test_yaml),    cmocka_unit_test(test_bytes),
		cmocka_unit_test(test_cut),     cmocka_unit_test(test_derive),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
