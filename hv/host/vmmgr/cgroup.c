/* SPDX-License-Identifier: MIT */
#include "hv/host/vmmgr/cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#define TOP "/sys/fs/cgroup"

static const char *missing = "not looked for yet";
static int base = -1;

static bool write_file(int folder, const char *name, const char *text)
{
	int fd = openat(folder, name, O_WRONLY | O_CLOEXEC);
	bool good = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

	if (fd >= 0) {
		(void)close(fd);
	}
	return good;
}

const char *cgroup_missing(void)
{
	return missing;
}

const char *cgroup_init(void)
{
	struct statfs fs;
	int top;

	if (statfs(TOP, &fs) != 0 || (unsigned long)fs.f_type != CGROUP2_SUPER_MAGIC) {
		missing = "no cgroup2 on " TOP;
		return missing;
	}
	top = open(TOP, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (top < 0) {
		missing = "cannot open " TOP;
		return missing;
	}
	missing = NULL;
	if (!write_file(top, "cgroup.subtree_control", "+memory +pids") ||
	    (mkdirat(top, "redoubt", 0755) != 0 && errno != EEXIST)) {
		missing = "no memory and pids controllers in " TOP;
	} else {
		base = openat(top, "redoubt", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (base < 0 || !write_file(base, "cgroup.subtree_control", "+memory +pids")) {
			missing = "no memory and pids controllers in " TOP "/redoubt";
		}
	}
	(void)close(top);
	return missing;
}

int cgroup_create(uint32_t number, uint64_t memory_bytes, uint32_t tasks)
{
	char name[16], memory[24], count[16];
	int folder;

	errno = 0;
	if (missing != NULL) {
		return -1;
	}
	(void)snprintf(name, sizeof(name), "p%" PRIu32, number);
	(void)snprintf(memory, sizeof(memory), "%" PRIu64, memory_bytes);
	(void)snprintf(count, sizeof(count), "%" PRIu32, tasks);
	if (mkdirat(base, name, 0755) != 0 && errno != EEXIST) {
		return -1;
	}
	folder = openat(base, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (folder < 0) {
		return -1;
	}
	/* Without swap there is no memory.swap.max. */
	(void)write_file(folder, "memory.swap.max", "0");
	if (!write_file(folder, "memory.max", memory) || !write_file(folder, "pids.max", count)) {
		int error = errno;

		(void)close(folder);
		errno = error;
		return -1;
	}
	return folder;
}

void cgroup_remove(uint32_t number)
{
	char name[16];

	if (missing == NULL) {
		(void)snprintf(name, sizeof(name), "p%" PRIu32, number);
		(void)unlinkat(base, name, AT_REMOVEDIR);
	}
}
