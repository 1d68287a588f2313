// SPDX-License-Identifier: MIT
/* Definitions on disk: what was saved comes back, and what is not one is left where it is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "hv/host/vmmgr/keep.h"
#include "hv/host/vmmgr/vm.h"

static char top[64], folder[128], why[400];
static struct definition created[4];
static uint32_t creations, lines;
static char said[8][512];

void say(const char *format, ...)
{
	va_list list;

	va_start(list, format);
	(void)vsnprintf(said[lines++ % 8], sizeof(said[0]), format, list);
	va_end(list);
}

bool vm_create(const struct definition *d, bool again, char *text, size_t room)
{
	assert_false(again);
	if (creations == 4) {
		(void)snprintf(text, room, "no room");
		return false;
	}
	created[creations++] = *d;
	return true;
}

static const char *path_of(const char *file)
{
	static char path[256];

	(void)snprintf(path, sizeof(path), "%s/%s", folder, file);
	return path;
}

static void put(const char *file, const char *text)
{
	FILE *f = fopen(path_of(file), "w");

	assert_non_null(f);
	assert_int_equal(fputs(text, f) >= 0, 1);
	assert_int_equal(fclose(f), 0);
}

static bool opens(void)
{
	creations = lines = 0;
	memset(said, 0, sizeof(said));
	return keep_open(folder);
}

static int set_up(void **state)
{
	(void)state;
	(void)snprintf(top, sizeof(top), "/tmp/redoubt-keep-XXXXXX");
	assert_non_null(mkdtemp(top));
	(void)snprintf(folder, sizeof(folder), "%s/lib/vms", top);
	return 0;
}

static int tear_down(void **state)
{
	char command[160];

	(void)state;
	(void)snprintf(command, sizeof(command), "rm -rf '%s'", top);
	return system(command);
}

#define TEXT "# mine\nname: web-1\nmemory: 64\nkernel: /k\n"

static void test_comes_back(void **state)
{
	struct stat s;

	(void)state;
	assert_true(opens());
	assert_int_equal(creations, 0);
	assert_true(keep_save("web-1", TEXT, strlen(TEXT), why, sizeof(why)));
	assert_int_equal(stat(path_of("web-1.yaml"), &s), 0);
	assert_int_equal(s.st_mode & 0777, 0600);
	assert_int_equal((size_t)s.st_size, strlen(TEXT)); /* with its comments */
	assert_int_equal(stat(path_of(".new"), &s), -1);
	assert_true(opens());
	assert_int_equal(creations, 1);
	assert_int_equal(lines, 0);
	assert_string_equal(created[0].name, "web-1");
	assert_int_equal(created[0].memory_mib, 64);
	/* A shorter one in its place. */
	assert_true(keep_save("web-1", &TEXT[7], strlen(TEXT) - 7, why, sizeof(why)));
	assert_true(opens());
	assert_int_equal(creations, 1);
	assert_true(keep_remove("web-1", why, sizeof(why)));
	assert_true(keep_remove("web-1", why, sizeof(why)));
	assert_true(opens());
	assert_int_equal(creations, 0);
}

static void test_order(void **state)
{
	(void)state;
	assert_true(opens());
	put("b.yaml", "name: b\nmemory: 16\nkernel: /k\n");
	put("a.yaml", "name: a\nmemory: 16\nkernel: /k\n");
	put(".new", "half of a");
	assert_true(opens());
	assert_int_equal(creations, 2);
	assert_int_equal(lines, 0);
	assert_string_equal(created[0].name, "a");
	assert_string_equal(created[1].name, "b");
}

static void refused(const char *file, const char *text, const char *word)
{
	put(file, text);
	assert_true(opens());
	assert_int_equal(creations, 0);
	assert_int_equal(lines, 1);
	if (strstr(said[0], word) == NULL || strstr(said[0], file) == NULL) {
		fail_msg("\"%s\" does not say %s", said[0], word);
	}
	assert_int_equal(unlink(path_of(file)), 0);
}

static void test_rotten(void **state)
{
	static char large[40000];

	(void)state;
	assert_true(opens());
	refused("a.yaml", "name: a\nmemory: banana\nkernel: /k\n", ":2: memory:");
	refused("a.yaml", "name: b\nmemory: 16\nkernel: /k\n", "rename");
	refused("a.txt", "name: a\nmemory: 16\nkernel: /k\n", "not NAME.yaml");
	refused("-a.yaml", "name: a\nmemory: 16\nkernel: /k\n", "not NAME.yaml");
	refused("abcdefghijklmnopqrstuvwxyz012345.yaml", "", "not NAME.yaml");
	refused("a.yaml", "", "not taken");
	memset(large, '#', sizeof(large) - 1);
	refused("a.yaml", large, "not taken");
	/* Not followed, and not waited for. */
	assert_int_equal(symlink("/etc/passwd", path_of("l.yaml")), 0);
	assert_int_equal(mkfifo(path_of("p.yaml"), 0600), 0);
	assert_true(opens());
	assert_int_equal(creations, 0);
	assert_int_equal(lines, 2);
}

static void test_no_folder(void **state)
{
	FILE *f;

	(void)state;
	lines = 0;
	(void)snprintf(folder, sizeof(folder), "%s/file", top);
	f = fopen(folder, "w");
	assert_non_null(f);
	assert_int_equal(fclose(f), 0);
	assert_false(opens());
	assert_non_null(strstr(said[0], "--state-dir"));
	(void)snprintf(folder, sizeof(folder), "%s/vms", top);
	assert_true(opens());
	assert_int_equal(rmdir(folder), 0);
	assert_false(keep_save("a", TEXT, strlen(TEXT), why, sizeof(why)));
	assert_non_null(strstr(why, "a.yaml"));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_comes_back),
		TEST(test_order),
		TEST(test_rotten),
		TEST(test_no_folder),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
