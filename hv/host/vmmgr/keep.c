/* SPDX-License-Identifier: MIT */
#include "hv/host/vmmgr/keep.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "hv/host/vmmgr/vm.h"

#define SUFFIX ".yaml"
#define UNFINISHED ".new" /* no machine has a name that begins with a dot */

static const char *folder_name;
static int folder = -1;

static void file_name(const char *name, char to[DEFINITION_NAME_MAX + sizeof(SUFFIX)])
{
	(void)snprintf(to, DEFINITION_NAME_MAX + sizeof(SUFFIX), "%s%s", name, SUFFIX);
}

/* The name of the machine whose file this is, or false: not one of ours. */
static bool machine_name(const char *file, char name[DEFINITION_NAME_MAX + 1])
{
	size_t length = strlen(file), suffix = sizeof(SUFFIX) - 1;

	if (length <= suffix || length - suffix > DEFINITION_NAME_MAX ||
	    strcmp(file + length - suffix, SUFFIX) != 0) {
		return false;
	}
	memcpy(name, file, length - suffix);
	name[length - suffix] = '\0';
	return definition_name_good(name);
}

/* Bytes of the file, one more than a definition may have; -1 with errno. */
static ssize_t read_file(const char *file, char bytes[DEFINITION_BYTES_MAX + 1])
{
	int fd = openat(folder, file, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	ssize_t used = 0, n = 1;
	int error;

	if (fd < 0) {
		return -1;
	}
	while (n > 0 && used <= DEFINITION_BYTES_MAX) {
		n = read(fd, bytes + used, (size_t)(DEFINITION_BYTES_MAX + 1 - used));
		used += n > 0 ? n : 0;
	}
	error = errno;
	(void)close(fd);
	errno = error;
	return n < 0 ? -1 : used;
}

/* Trust: whoever may write to the folder is root, but files rot: checked as what a client hands in. */
static void take(const char *file, const char *name)
{
	static char bytes[DEFINITION_BYTES_MAX + 1];
	static struct definition d;
	struct definition_fault fault;
	ssize_t size = read_file(file, bytes);
	char why[256];

	if (size < 0) {
		say("%s/%s: %s: not taken", folder_name, file, strerror(errno));
	} else if (!definition_parse(bytes, (size_t)size, &d, &fault)) {
		say("%s/%s:%u: %s: %s: %s: not taken", folder_name, file, fault.line, fault.key,
		    fault.text, fault.remedy);
	} else if (strcmp(d.name, name) != 0) {
		say("%s/%s: name: is %s: rename the file or the machine: not taken", folder_name,
		    file, d.name);
	} else if (!vm_create(&d, false, why, sizeof(why))) {
		say("%s/%s: %s: not taken", folder_name, file, why);
	}
}

/* mkdir -p */
static bool make_folder(const char *path)
{
	char part[DEFINITION_PATH_MAX];

	if (strlen(path) >= sizeof(part)) {
		errno = ENAMETOOLONG;
		return false;
	}
	for (size_t i = 1; i <= strlen(path); i++) {
		if (path[i] != '/' && path[i] != '\0') {
			continue;
		}
		memcpy(part, path, i);
		part[i] = '\0';
		if (mkdir(part, 0755) != 0 && errno != EEXIST) {
			return false;
		}
	}
	return true;
}

static int not_hidden(const struct dirent *e)
{
	return e->d_name[0] != '.';
}

bool keep_open(const char *path)
{
	struct dirent **list = NULL;
	int count = -1;

	folder_name = path;
	if (make_folder(path)) {
		folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	}
	if (folder >= 0) {
		count = scandir(path, &list, not_hidden, alphasort);
	}
	if (count < 0) {
		say("%s: %s: definitions are kept there: name another folder with --state-dir",
		    path, strerror(errno));
		return false;
	}
	for (int i = 0; i < count; i++) {
		char name[DEFINITION_NAME_MAX + 1];

		if (machine_name(list[i]->d_name, name)) {
			take(list[i]->d_name, name);
		} else {
			say("%s/%s: not NAME%s: not taken", path, list[i]->d_name, SUFFIX);
		}
		free(list[i]);
	}
	free(list);
	return true;
}

static bool write_all(int fd, const char *text, size_t size)
{
	while (size != 0) {
		ssize_t n = write(fd, text, size);

		if (n <= 0) {
			return false;
		}
		text += n;
		size -= (size_t)n;
	}
	return fsync(fd) == 0;
}

bool keep_save(const char *name, const char *text, size_t size, char *why, size_t room)
{
	char file[DEFINITION_NAME_MAX + sizeof(SUFFIX)];
	int fd = openat(folder, UNFINISHED, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW,
			0600);
	bool good = fd >= 0 && write_all(fd, text, size);

	file_name(name, file);
	good = good && renameat(folder, UNFINISHED, folder, file) == 0 && fsync(folder) == 0;
	if (!good) {
		(void)snprintf(why, room, "%s/%s: %s: the definition cannot be kept", folder_name,
			       file, strerror(errno));
		(void)unlinkat(folder, UNFINISHED, 0);
	}
	if (fd >= 0) {
		(void)close(fd);
	}
	return good;
}

bool keep_remove(const char *name, char *why, size_t room)
{
	char file[DEFINITION_NAME_MAX + sizeof(SUFFIX)];

	file_name(name, file);
	if ((unlinkat(folder, file, 0) == 0 && fsync(folder) == 0) || errno == ENOENT) {
		return true;
	}
	(void)snprintf(why, room, "%s/%s: %s: remove it, or the machine comes back", folder_name,
		       file, strerror(errno));
	return false;
}
