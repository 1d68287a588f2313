/* SPDX-License-Identifier: MIT */
/*
 * Options: every key at its edges, both syntaxes, quoting, and what must be refused with the right
 * place.
 */
#include "tests/unit/wire/wire_test.h"

#include "hv/wire/options.h"

static struct hv_options o;
static struct wire_fault why;

static bool run(bool config, const char *text, size_t n)
{
	char *copy = (char *)exact(text, n);
	bool ok;

	why = poison();
	ok = config ? options_parse_config(copy, n, &o, &why)
		    : options_parse_cmdline(copy, n, &o, &why);
	free(copy);
	assert_non_null(memchr(o.root_cmdline, 0, sizeof(o.root_cmdline)));
	if (!ok) {
		assert_fault(&why, NULL);
	} else {
		assert_null(why.what);
	}
	return ok;
}

static bool cmdline(const char *text)
{
	options_defaults(&o);
	return run(false, text, strlen(text));
}

static bool config(const char *text)
{
	options_defaults(&o);
	return run(true, text, strlen(text));
}

static void test_defaults(void **state)
{
	(void)state;
	memset(&o, 0xff, sizeof(o));
	options_defaults(&o);
	assert_int_equal(o.pool_bytes, 0);
	assert_int_equal(o.root_cpus, 0);
	assert_false(o.debugcon);
	assert_int_equal(o.loglevel, OPTIONS_LOG_INFO);
	assert_int_equal(o.iommu, OPTIONS_IOMMU_AUTO);
	assert_true(o.serial);
	assert_int_equal(o.serial_port, 0x3f8);
	assert_false(o.root_cmdline_set);
	assert_int_equal(o.root_cmdline[0], 0);
	assert_true(cmdline(""));
	assert_true(cmdline("  \t "));
	assert_true(config(""));
	assert_true(config("\n\r\n#redoubt\n  # x\n"));
}

static void test_all_keys(void **state)
{
	(void)state;
	assert_true(cmdline(
		"/boot/redoubt.elf pool=512M cpus=3 debugcon=on loglevel=debug iommu=require "
		"serial=off serial_port=0x2f8 root_cmdline=\"a b=c  d\""));
	assert_true(o.pool_bytes == 512ull << 20);
	assert_int_equal(o.root_cpus, 3);
	assert_true(o.debugcon);
	assert_int_equal(o.loglevel, OPTIONS_LOG_DEBUG);
	assert_int_equal(o.iommu, OPTIONS_IOMMU_REQUIRE);
	assert_false(o.serial);
	assert_int_equal(o.serial_port, 0x2f8);
	assert_true(o.root_cmdline_set);
	assert_string_equal(o.root_cmdline, "a b=c  d");
	assert_true(
		config("#redoubt\r\npool = 1G\r\ncpus=1\n\tdebugcon =on # why\nloglevel= error\n"
		       "iommu=off\nserial=on\nserial_port=760\n"
		       "root_cmdline = root=/dev/sda1 a#b ro  # x"));
	assert_true(o.pool_bytes == 1ull << 30);
	assert_int_equal(o.root_cpus, 1);
	assert_true(o.debugcon);
	assert_int_equal(o.loglevel, OPTIONS_LOG_ERROR);
	assert_int_equal(o.iommu, OPTIONS_IOMMU_OFF);
	assert_int_equal(o.serial_port, 760);
	assert_string_equal(o.root_cmdline, "root=/dev/sda1 a#b ro");
	/* Texts merge: the second changes only what it names. */
	assert_true(run(false, "cpus=7", 6));
	assert_int_equal(o.root_cpus, 7);
	assert_true(o.debugcon);
}

static const struct {
	const char *text;
	uint64_t bytes;
} pools[] = {
	{ "pool=0", 0 },
	{ "pool=2M", 2ull << 20 },
	{ "pool=2048K", 2ull << 20 },
	{ "pool=0x200000", 2ull << 20 },
	{ "pool=0x2M", 2ull << 20 },
	{ "pool=0xaM", 10ull << 20 },
	{ "pool=0xFEM", 254ull << 20 },
	{ "pool=18446744073707454464", 18446744073707454464ull }, /* 2^64 - 2 MiB */
	{ "pool=2097152", 2ull << 20 },
	{ "pool=16383G", 16383ull << 30 },
	{ "pool=17179869183G", 17179869183ull << 30 },
	{ "\"pool=4M\"", 4ull << 20 },
	{ "pool=\"4M\"", 4ull << 20 },
	{ "pool=000004M", 4ull << 20 },
};

static void test_pool(void **state)
{
	(void)state;
	assert_true(cmdline("serial_port=0xfff8"));
	assert_int_equal(o.serial_port, 0xfff8);
	for (size_t i = 0; i < sizeof(pools) / sizeof(pools[0]); i++) {
		assert_true(cmdline(pools[i].text));
		assert_true(o.pool_bytes == pools[i].bytes);
	}
}

static const struct {
	const char *text, *field;
	uint64_t where;
} bad_cmdline[] = {
	{ "pool=1", "pool", 0 },
	{ "pool=1M", "pool", 0 },
	{ "pool=3M", "pool", 0 },
	{ "pool=", "pool", 0 },
	{ "pool=M", "pool", 0 },
	{ "pool=0x", "pool", 0 },
	{ "pool=0xM", "pool", 0 },
	{ "pool=-2M", "pool", 0 },
	{ "pool=+2M", "pool", 0 },
	{ "pool=2m", "pool", 0 },
	{ "pool=2MM", "pool", 0 },
	{ "pool=2MB", "pool", 0 },
	{ "pool=2T", "pool", 0 },
	{ "pool=\" 2M\"", "pool", 0 },
	{ "pool=17179869184G", "pool", 0 },         /* 2^64 */
	{ "pool=18446744073709551616", "pool", 0 }, /* 2^64 */
	{ "pool=18446744073711648768", "pool", 0 }, /* 2^64 + 2 MiB */
	{ "pool=0x10000000000200000", "pool", 0 },
	{ "pool=99999999999999999999999999999M", "pool", 0 },
	{ "cpus=", "cpus", 0 },
	{ "cpus=x", "cpus", 0 },
	{ "cpus=1K", "cpus", 0 },
	{ "cpus=4294967296", "cpus", 0 },
	{ "cpus=0x1ffffffff", "cpus", 0 },
	{ "debugcon=1", "debugcon", 0 },
	{ "debugcon=On", "debugcon", 0 },
	{ "debugcon=onn", "debugcon", 0 },
	{ "debugcon=o", "debugcon", 0 },
	{ "loglevel=", "loglevel", 0 },
	{ "loglevel=warning", "loglevel", 0 },
	{ "loglevel=infoo", "loglevel", 0 },
	{ "iommu=on", "iommu", 0 },
	{ "iommu=requir", "iommu", 0 },
	{ "serial=yes", "serial", 0 },
	{ "serial_port=0", "serial_port", 0 },
	{ "serial_port=0xfff9", "serial_port", 0 },
	{ "serial_port=0x103f8", "serial_port", 0 },
	{ "test=", "unknown key", 0 },
	{ "test=protect", "unknown key", 0 },
	{ "test=no-protect", "unknown key", 0 },
	{ "root_cmdline=", "root_cmdline", 0 },
	{ "cpus=1 cpus=1", "cpus given twice", 7 },
	{ "cpus=1 cpus=2", "cpus given twice", 7 },
	{ "serial=on serial=on", "serial given twice", 10 },
	{ "root_cmdline=a \"root_cmdline=b\"", "root_cmdline given twice", 15 },
	{ "nonsense=1", "unknown key", 0 },
	{ "Pool=2M", "unknown key", 0 },
	{ "poo=2M", "unknown key", 0 },
	{ "pools=2M", "unknown key", 0 },
	{ "  cpus=1  x=y", "unknown key", 10 },
	{ "serial_por=1", "unknown key", 0 },
	{ "cpus", "without key", 0 },
	{ "=1", "without key", 0 },
	{ "=", "without key", 0 },
	{ "\"\"", "without key", 0 },
	{ "cpus=1 quiet", "without key", 7 },
	{ "cpus=1 /boot/redoubt", "without key", 7 }, /* a path only as the first word */
	{ "cpus=1 redoubt.elf", "without key", 7 },
	{ ".elf", "without key", 0 },
	{ "/a /b", "without key", 3 },
	{ "x=/a/b", "unknown key", 0 },
	{ "\"", "quote", 0 },
	{ "cpus=\"", "quote", 0 },
	{ "cpus=\"1", "quote", 0 },
	{ "\"cpus=1", "quote", 0 },
	{ "cpus=\"1\"2", "quote", 0 },
	{ "\"cpus=1\"x", "quote", 0 },
	{ "cpus=1\"2\"", "quote", 0 },
	{ "cp\"us=1\"", "quote", 0 },
	{ "\"cpus\"=1", "quote", 0 },
	{ "cpus=1=\"2\"", "quote", 0 },
	{ "root_cmdline=\"a\\\"", "quote", 0 },
	{ "cpus=1\ncpus=2", "control", 6 },
	{ "cpus=1\x01", "control", 6 },
	{ "cpus=1\x7f", "control", 6 },
};

static void test_bad_cmdline(void **state)
{
	(void)state;
	assert_true(cmdline("redoubt.elf cpus=1")); /* QEMU: the file name first */
	assert_int_equal(o.root_cpus, 1);
	for (size_t i = 0; i < sizeof(bad_cmdline) / sizeof(bad_cmdline[0]); i++) {
		if (cmdline(bad_cmdline[i].text)) {
			fail_msg("accepted: %s", bad_cmdline[i].text);
		}
		assert_fault(&why, bad_cmdline[i].field);
		if (why.value != bad_cmdline[i].where) {
			fail_msg("%s: at %d", bad_cmdline[i].text, (int)why.value);
		}
	}
	options_defaults(&o);
	assert_false(run(false, "cpus=1\0", 7));
	assert_fault(&why, "control");
}

static const struct {
	const char *text, *field;
	uint64_t line;
} bad_config[] = {
	{ "cpus", "without key", 1 },
	{ "\n\n= 1", "without key", 3 },
	{ "cpus =", "cpus", 1 },
	{ "cpus = # none", "cpus", 1 },
	{ "root_cmdline =#none", "root_cmdline", 1 },
	{ "cpus=1\ncpus=1\n", "given twice", 2 },
	{ "cpus=1 serial=on", "cpus", 1 },
	{ "cp us=1", "unknown key", 1 },
	{ "#\n[redoubt]\n", "without key", 2 },
	{ "/boot/redoubt", "without key", 1 },
	{ "cpus=\"1", "unclosed", 1 },
	{ "root_cmdline=\"a\nb\"", "unclosed", 1 },
	{ "cpus=\"1\" 2", "behind", 1 },
	{ "cpus=1\"", "misplaced", 1 },
	{ "root_cmdline=a \"b\" c", "misplaced", 1 },
	{ "\"cpus\"=1", "unknown", 1 },
	{ "# fine\n# not\x02", "control", 2 },
	{ "pool=3M", "pool", 1 },
	{ "cpus=1\n\nbad=2", "unknown", 3 },
	{ "cpus=1\rserial=on", "cpus", 1 },
};

static void test_bad_config(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(bad_config) / sizeof(bad_config[0]); i++) {
		if (config(bad_config[i].text)) {
			fail_msg("accepted: %s", bad_config[i].text);
		}
		assert_fault(&why, bad_config[i].field);
		assert_int_equal(why.value, bad_config[i].line);
	}
	options_defaults(&o);
	assert_false(run(true, "cpus=1\n\0", 8));
	assert_fault(&why, "control");
}

static void test_root_cmdline(void **state)
{
	static const struct {
		bool config;
		const char *text, *value;
	} t[] = {
		{ false, "root_cmdline=\"\"", "" },
		{ false, "\"root_cmdline=\"", "" },
		{ false, "root_cmdline=a", "a" },
		{ false, "root_cmdline=a=b=c", "a=b=c" },
		{ false, "\"root_cmdline=a b c\"", "a b c" },
		{ false, "root_cmdline=\"x=\\\"1 2\\\" \\\\ \\' \\n\"", "x=\"1 2\" \\ ' \\n" },
		{ false, "root_cmdline=\\\\a", "\\\\a" }, /* no escapes outside quotes */
		{ false, "root_cmdline=\"a # b\"", "a # b" },
		{ false, "root_cmdline=\"a\tb\"", "a\tb" },
		{ false, "root_cmdline=\"\\\"\"", "\"" },
		{ true, "root_cmdline = \"a # b\" # c", "a # b" },
		{ true, "root_cmdline = a\\\\b", "a\\\\b" },
		{ true, "root_cmdline=  a  b  ", "a  b" },
		{ true, "root_cmdline=\"  a\"", "  a" },
		{ true, "root_cmdline=a=1 b=2", "a=1 b=2" },
		{ true, "root_cmdline=\"a\\\"b\"", "a\"b" },
	};
	static char text[4096];

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		assert_true(t[i].config ? config(t[i].text) : cmdline(t[i].text));
		assert_true(o.root_cmdline_set);
		assert_string_equal(o.root_cmdline, t[i].value);
	}
	/* 2047 bytes fit, 2048 do not; a later, shorter one leaves nothing of the longer. */
	memset(text, 'x', sizeof(text));
	memcpy(text, "root_cmdline=", 13);
	options_defaults(&o);
	assert_true(run(false, text, 13 + 2047));
	assert_int_equal(strlen(o.root_cmdline), 2047);
	assert_true(run(true, "root_cmdline=y", 14));
	assert_string_equal(o.root_cmdline, "y");
	assert_false(run(false, text, 13 + 2048));
	assert_fault(&why, "root_cmdline");
	assert_false(run(true, text, 13 + 2048));
	assert_string_equal(o.root_cmdline, "y"); /* what is refused changes nothing */
}

/* Cut anywhere, a text either parses or is refused; nothing is read behind its end. */
static void test_truncated(void **state)
{
	static const char sample[] =
		"/b/r pool=512M \"cpus=3\" root_cmdline=\"a \\\" b\" serial=off";

	(void)state;
	for (size_t n = 0; n < sizeof(sample); n++) {
		options_defaults(&o);
		(void)run(false, sample, n);
		options_defaults(&o);
		(void)run(true, sample, n);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults),   cmocka_unit_test(test_all_keys),
		cmocka_unit_test(test_pool),       cmocka_unit_test(test_bad_cmdline),
		cmocka_unit_test(test_bad_config), cmocka_unit_test(test_root_cmdline),
		cmocka_unit_test(test_truncated),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
