/* SPDX-License-Identifier: MIT */
/*
 * Everything that a machine's processes are handed is opened here, once for each start: a process that starts again gets
 * the same open files, and a path that changed meanwhile means nothing.
 */
#include "hv/host/vmmgr/vm.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

static const char *log_folder = "/run/redoubt";

void vm_files_folder(const char *folder)
{
	log_folder = folder;
}

const char *vm_files_log_path(const struct vm *vm, char *to, size_t room)
{
	(void)snprintf(to, room, "%s/%s.console", log_folder, vm->definition.name);
	return to;
}

void vm_files_none(struct vm *vm)
{
	struct vm_files *f = &vm->files;

	f->kernel = f->initrd = f->log = f->pty_master = f->pty_slave = -1;
	f->console_process = f->console_worker = -1;
	for (uint32_t i = 0; i < DEFINITION_DISKS_MAX; i++) {
		f->disk[i] = -1;
		f->disk_bytes[i] = 0;
	}
}

static void drop(int fd)
{
	if (fd >= 0) {
		(void)close(fd);
	}
}

void vm_files_close(struct vm *vm)
{
	struct vm_files *f = &vm->files;

	drop(f->kernel);
	drop(f->initrd);
	drop(f->log);
	drop(f->pty_slave);
	drop(f->pty_master);
	drop(f->console_process);
	drop(f->console_worker);
	for (uint32_t i = 0; i < DEFINITION_DISKS_MAX; i++) {
		drop(f->disk[i]);
	}
	vm_files_none(vm);
}

static bool refuse(char *why, size_t room, const char *path, const char *what, const char *remedy)
{
	(void)snprintf(why, room, "%s: %s: %s", path, what, remedy);
	return false;
}

/* The type of an open file; a FIFO or a terminal must not be waited for, so it was opened without blocking. */
static bool image_open(const char *path, int *fd, char *why, size_t room)
{
	struct stat st;

	*fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (*fd < 0) {
		return refuse(why, room, path, strerror(errno), "correct the definition");
	}
	if (fstat(*fd, &st) != 0 || !S_ISREG(st.st_mode)) {
		return refuse(why, room, path, "not an ordinary file", "correct the definition");
	}
	return true;
}

/*
 * Two bytes of a disk are locked, each through an open file: byte 0 as long as the machine has it, byte 1 as long as a storvsp
 * process, or I/O that it has begun, has it.
 */
enum { LOCK_MACHINE, LOCK_PROCESS };

static struct flock lock_of(bool read_only, off_t byte)
{
	struct flock lock = {
		.l_type = read_only ? F_RDLCK : F_WRLCK,
		.l_whence = SEEK_SET,
		.l_start = byte,
		.l_len = 1,
	};

	return lock;
}

static bool disk_lock(int fd, bool read_only, off_t byte)
{
	struct flock lock = lock_of(read_only, byte);

	return fcntl(fd, F_OFD_SETLK, &lock) == 0;
}

static int disk_descriptor(const char *path, bool read_only)
{
	int flags = (read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
	struct stat st;

	/* A block device that is mounted, or another's. */
	if (!read_only && stat(path, &st) == 0 && S_ISBLK(st.st_mode)) {
		flags |= O_EXCL;
	}
	return open(path, flags);
}

static bool disk_open(const struct definition_disk *disk, int *to, uint64_t *bytes, char *why,
		      size_t room)
{
	int fd = disk_descriptor(disk->path, disk->read_only);
	struct stat st;

	if (fd < 0) {
		return refuse(why, room, disk->path, strerror(errno), "correct the definition");
	}
	*to = fd;
	if (fstat(fd, &st) != 0 || (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))) {
		return refuse(why, room, disk->path, "neither an ordinary file nor a block device",
			      "correct the definition");
	}
	*bytes = (uint64_t)st.st_size;
	if (S_ISBLK(st.st_mode) && ioctl(fd, BLKGETSIZE64, bytes) != 0) {
		return refuse(why, room, disk->path, strerror(errno), "its size is unknown");
	}
	if (*bytes == 0 || *bytes % 512 != 0) {
		return refuse(why, room, disk->path, "its size is not a multiple of 512 bytes",
			      "truncate --size=%512 it");
	}
	if (!disk_lock(fd, disk->read_only, LOCK_MACHINE)) {
		return refuse(why, room, disk->path, "in use by another machine or program",
			      "stop that one, or give this machine another file");
	}
	return true;
}

/* Through /proc, so that it is the file that was opened at the start, whatever has its path now. */
int vm_files_disk(const struct vm *vm, uint32_t disk)
{
	bool read_only = vm->definition.disk[disk].read_only;
	int flags = (read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
	char path[32];
	int fd;

	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", vm->files.disk[disk]);
	fd = open(path, flags | O_DIRECT);
	if (fd < 0 && errno == EINVAL) {
		fd = open(path, flags);
	}
	if (fd >= 0 && !disk_lock(fd, read_only, LOCK_PROCESS)) {
		int error = errno;

		(void)close(fd);
		errno = error;
		return -1;
	}
	return fd;
}

bool vm_files_disks_quiet(const struct vm *vm)
{
	for (uint32_t i = 0; i < vm->definition.disk_count; i++) {
		struct flock lock = lock_of(false, LOCK_PROCESS);

		/* A disk that nobody writes may be other machines', too. */
		if (vm->files.disk[i] >= 0 && !vm->definition.disk[i].read_only &&
		    fcntl(vm->files.disk[i], F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK) {
			return false;
		}
	}
	return true;
}

static bool console_open(struct vm *vm, char *why, size_t room)
{
	struct vm_files *f = &vm->files;
	int pair[2], unlocked = 0;
	struct termios raw;

	f->pty_master = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
	if (f->pty_master < 0) {
		f->pty_master = open("/dev/pts/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
	}
	if (f->pty_master < 0 || ioctl(f->pty_master, TIOCSPTLCK, &unlocked) != 0) {
		return refuse(why, room, "/dev/ptmx", strerror(errno), "mount devpts on /dev/pts");
	}
	f->pty_slave = ioctl(f->pty_master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (f->pty_slave < 0 || tcgetattr(f->pty_slave, &raw) != 0) {
		return refuse(why, room, "pseudo-terminal", strerror(errno),
			      "mount devpts on /dev/pts");
	}
	cfmakeraw(&raw);
	if (tcsetattr(f->pty_slave, TCSANOW, &raw) != 0) {
		return refuse(why, room, "pseudo-terminal", strerror(errno), "see the kernel log");
	}
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) != 0) {
		return refuse(why, room, "console stream", strerror(errno), "see ulimit -n");
	}
	f->console_process = pair[0];
	f->console_worker = pair[1];
	return true;
}

static bool log_open(struct vm *vm, char *why, size_t room)
{
	char path[DEFINITION_PATH_MAX];

	vm_files_log_path(vm, path, sizeof(path));
	vm->files.log = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
	if (vm->files.log < 0) {
		return refuse(why, room, path, strerror(errno),
			      "make the folder, or name another with --log-dir");
	}
	return true;
}

bool vm_files_open(struct vm *vm, char *why, size_t room)
{
	const struct definition *d = &vm->definition;
	struct vm_files *f = &vm->files;

	if (!image_open(d->kernel, &f->kernel, why, room) ||
	    (d->initrd[0] != '\0' && !image_open(d->initrd, &f->initrd, why, room)) ||
	    !console_open(vm, why, room) || !log_open(vm, why, room)) {
		return false;
	}
	for (uint32_t i = 0; i < d->disk_count; i++) {
		if (!disk_open(&d->disk[i], &f->disk[i], &f->disk_bytes[i], why, room)) {
			return false;
		}
	}
	return true;
}
