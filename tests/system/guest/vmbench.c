/* SPDX-License-Identifier: MIT */
/*
 * Measurements inside a guest, and its counterpart in the root. Times come from the TSC, which counts virtual nanoseconds
 * under QEMU's -icount shift=1 (one instruction = 2 ns, TSC 1 GHz), from power-on; a guest's TSC is the machine's.
 *
 * As first process: measures, prints "VB NAME UNIT MIN MEDIAN MAX" for each at the end, so that the console is still while it
 * measures, then "VB done", stays for a moment to be looked at, and powers off.
 * In the root:
 *   vmbench mark TEXT          "VB at TSC TEXT"
 *   vmbench follow FILE        the lines of a growing file as they come, "VB at TSC line", up to "VB done"
 *   vmbench disk DEVICE        what the disk gives without a guest in between
 *   vmbench memory NAME...     "VB memory NAME KIB" for each such process: its share without guest memory, and page tables
 *   vmbench free               "VB free KIB"
 */
#define _GNU_SOURCE
#include "tests/system/guest/rt.h"

#include <linux/aio_abi.h>
#include <sys/inotify.h>
#include <sys/io.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <termios.h>

#define MIB (1024 * 1024ul)
#define BATCHES 15
#define DEPTH 8
#define HOLD_MS 2000

static char results[8192];
static size_t results_length;

static uint64_t tsc_now(void)
{
	uint32_t lo, hi;

	__asm__ volatile("rdtsc" : "=a"(lo), "=d"(hi)::"memory");
	return (uint64_t)hi << 32 | lo;
}

static void put(const char *text, size_t length)
{
	while (length > 0) {
		ssize_t n = write(1, text, length);

		if (n <= 0)
			_exit(1);
		text += n;
		length -= n;
	}
}

__attribute__((format(printf, 1, 2))) static void say(const char *fmt, ...)
{
	char buf[2048];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(buf, sizeof buf, fmt, ap);
	va_end(ap);
	put(buf, n < (int)sizeof buf ? n : (int)sizeof buf - 1);
}

__attribute__((format(printf, 1, 2))) static void later(const char *fmt, ...)
{
	size_t room = sizeof results - results_length;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(results + results_length, room, fmt, ap);
	va_end(ap);
	if (n < 0 || (size_t)n >= room)
		_exit(1);
	results_length += n;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static void report(const char *name, const char *unit, double *v, int n)
{
	qsort(v, n, sizeof *v, by_value);
	later("VB %s %s %.3f %.3f %.3f\n", name, unit, v[0], v[n / 2], v[n - 1]);
}

/* --- processor ------------------------------------------------------------ */

static void cpu_loop(void)
{
	enum { ROUNDS = 2000000 };
	double v[5];

	for (int b = 0; b < 5; b++) {
		uint64_t x = 88172645463325252ull, t = tsc_now();

		for (int i = 0; i < ROUNDS; i++) {
			x ^= x << 13;
			x ^= x >> 7;
			x ^= x << 17;
		}
		__asm__ volatile("" ::"r"(x));
		v[b] = (double)(tsc_now() - t) / ROUNDS;
	}
	report("cpu_loop", "ns", v, 5);
}

static void cpuid_exit(void)
{
	double v[BATCHES];

	for (int b = 0; b < BATCHES; b++) {
		uint64_t t = tsc_now();

		for (int i = 0; i < 400; i++) {
			uint32_t a = 0, c = 0;

			__asm__ volatile("cpuid" : "+a"(a), "+c"(c)::"ebx", "edx", "memory");
		}
		v[b] = (tsc_now() - t) / 400.0;
	}
	report("cpuid", "ns", v, BATCHES);
}

static void port_read(const char *name, int port)
{
	double v[BATCHES];

	for (int b = 0; b < BATCHES; b++) {
		uint64_t t = tsc_now();

		for (int i = 0; i < 50; i++)
			(void)inb(port);
		v[b] = (tsc_now() - t) / 50.0;
	}
	report(name, "ns", v, BATCHES);
}

/* The kernel's way to the register and back is in it, and is what it costs without a hypervisor. */
static void msr_read(const char *name, uint32_t msr)
{
	double v[BATCHES];
	uint64_t value;
	int fd = open("/dev/cpu/0/msr", O_RDONLY);

	if (fd < 0) {
		later("VB note no /dev/cpu/0/msr: %s\n", strerror(errno));
		return;
	}
	for (int b = 0; b < BATCHES; b++) {
		uint64_t t = tsc_now();

		for (int i = 0; i < 50; i++)
			if (pread(fd, &value, sizeof value, msr) != sizeof value) {
				later("VB note MSR %x: %s\n", msr, strerror(errno));
				close(fd);
				return;
			}
		v[b] = (tsc_now() - t) / 50.0;
	}
	close(fd);
	report(name, "ns", v, BATCHES);
}

/* --- kernel --------------------------------------------------------------- */

static void system_call(void)
{
	double v[BATCHES];

	for (int b = 0; b < BATCHES; b++) {
		uint64_t t = tsc_now();

		for (int i = 0; i < 2000; i++)
			syscall(SYS_getppid);
		v[b] = (tsc_now() - t) / 2000.0;
	}
	report("syscall", "ns", v, BATCHES);
}

static void fork_exit(void)
{
	enum { N = 20 };
	double v[N];

	for (int i = 0; i < N; i++) {
		uint64_t t = tsc_now();
		pid_t child = fork();

		if (child == 0)
			_exit(0);
		waitpid(child, NULL, 0);
		v[i] = (tsc_now() - t) / 1e3;
	}
	report("fork_exit", "us", v, N);
}

static void pipes(void)
{
	enum { N = 300 };
	int a[2], b[2];
	double v[BATCHES];
	char c = 0;
	pid_t child;

	if (pipe(a) || pipe(b))
		return;
	child = fork();
	if (child == 0) {
		close(a[1]);
		while (read(a[0], &c, 1) == 1 && write(b[1], &c, 1) == 1)
			;
		_exit(0);
	}
	for (int i = 0; i < BATCHES; i++) {
		uint64_t t = tsc_now();

		for (int j = 0; j < N; j++)
			if (write(a[1], &c, 1) != 1 || read(b[0], &c, 1) != 1)
				break;
		v[i] = (double)(tsc_now() - t) / N;
	}
	close(a[1]);
	waitpid(child, NULL, 0);
	report("pipe_round_trip", "ns", v, BATCHES);
}

static void sleeping(void)
{
	enum { N = 40 };
	double v[N];
	struct timespec w = { 0, 200000 };

	for (int i = 0; i < N; i++) {
		uint64_t t = tsc_now();

		nanosleep(&w, NULL);
		v[i] = (tsc_now() - t) / 1e3;
	}
	report("sleep_200us", "us", v, N);
}

static void page_touch(void)
{
	enum { N = 4 };
	double v[N];

	for (int b = 0; b < N; b++) {
		uint64_t t = tsc_now();
		char *p = mmap(NULL, 64 * MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			       -1, 0);

		if (p == MAP_FAILED)
			return;
		madvise(p, 64 * MIB, MADV_NOHUGEPAGE);
		for (size_t o = 0; o < 64 * MIB; o += 4096)
			p[o] = 1;
		v[b] = (double)(tsc_now() - t) / (64 * MIB / 4096);
		if (b == 0)
			report("page_touch_first", "ns", v, 1);
		munmap(p, 64 * MIB);
	}
	report("page_touch", "ns", v + 1, N - 1);
}

/* --- disk ----------------------------------------------------------------- */

struct disk {
	const char *name; /* of the figures */
	int fd;
	uint8_t *buffer;
	size_t size;
};

static void disk_sequential(const struct disk *d)
{
	enum { PIECE = 128 * 1024, ROUNDS = 3 };
	char name[64];
	double v[ROUNDS];

	for (int r = 0; r < ROUNDS; r++) {
		uint64_t t = tsc_now();
		size_t at = 0;

		while (at < d->size && pread(d->fd, d->buffer, PIECE, at) == PIECE)
			at += PIECE;
		v[r] = at * 1e3 / (tsc_now() - t);
	}
	snprintf(name, sizeof name, "%s_sequential", d->name);
	report(name, "MB/s", v, ROUNDS);
}

static void disk_random(const struct disk *d, const char *what, int writing)
{
	enum { PER = 64 };
	char name[64];
	double v[BATCHES];
	uint32_t s = 99;

	for (int b = 0; b < BATCHES; b++) {
		uint64_t t = tsc_now();

		for (int i = 0; i < PER; i++) {
			off_t at = (off_t)(xorshift(&s) % (d->size / 4096)) * 4096;
			ssize_t n = writing ? pwrite(d->fd, d->buffer, 4096, at)
					    : pread(d->fd, d->buffer, 4096, at);

			if (n != 4096) {
				later("VB note %s %s: %s\n", d->name, what, strerror(errno));
				return;
			}
		}
		v[b] = (tsc_now() - t) / 1e3 / PER;
	}
	snprintf(name, sizeof name, "%s_%s", d->name, what);
	report(name, "us", v, BATCHES);
}

/* DEPTH requests are under way; a new one for each that ends. */
static void disk_queued(const struct disk *d)
{
	enum { PER = 128 };
	struct iocb request[DEPTH], *list[DEPTH];
	struct io_event event[DEPTH];
	aio_context_t context = 0;
	char name[64];
	double v[BATCHES];
	uint32_t s = 7;
	int ready = DEPTH;

	if (syscall(SYS_io_setup, DEPTH, &context)) {
		later("VB note io_setup: %s\n", strerror(errno));
		return;
	}
	for (int i = 0; i < DEPTH; i++)
		list[i] = &request[i];
	for (int b = 0; b < BATCHES; b++) {
		uint64_t t = tsc_now();

		for (int ended = 0; ended < PER; ended += ready) {
			for (int i = 0; i < ready; i++) {
				struct iocb *q = list[i];

				*q = (struct iocb){
					.aio_lio_opcode = IOCB_CMD_PREAD,
					.aio_fildes = d->fd,
					.aio_buf = (uintptr_t)(d->buffer + (q - request) * 4096),
					.aio_nbytes = 4096,
					.aio_offset =
						(off_t)(xorshift(&s) % (d->size / 4096)) * 4096,
					.aio_data = (uintptr_t)q,
				};
			}
			if (syscall(SYS_io_submit, context, ready, list) != ready)
				_exit(1);
			ready = syscall(SYS_io_getevents, context, 1, DEPTH, event, NULL);
			if (ready < 1)
				_exit(1);
			for (int i = 0; i < ready; i++) {
				if (event[i].res != 4096)
					_exit(1);
				list[i] = (struct iocb *)(uintptr_t)event[i].data;
			}
		}
		v[b] = (tsc_now() - t) / 1e3 / PER;
	}
	syscall(SYS_io_destroy, context);
	snprintf(name, sizeof name, "%s_read_4k_depth_%d", d->name, DEPTH);
	report(name, "us", v, BATCHES);
}

static void disk_all(const char *name, const char *device)
{
	struct disk d = { .name = name };
	off_t end;

	d.fd = open(device, O_RDWR | O_DIRECT);
	end = d.fd < 0 ? 0 : lseek(d.fd, 0, SEEK_END);
	if (end < (off_t)MIB || posix_memalign((void **)&d.buffer, 4096, 128 * 1024)) {
		later("VB note %s: %s\n", device, strerror(errno));
		return;
	}
	memset(d.buffer, 0x5a, 128 * 1024);
	d.size = end > (off_t)(64 * MIB) ? 64 * MIB : (size_t)end & ~(MIB - 1);
	disk_sequential(&d);
	disk_random(&d, "read_4k", 0);
	disk_random(&d, "write_4k", 1);
	disk_queued(&d);
	free(d.buffer);
	close(d.fd);
}

/*
 * Where the kernel and its modules lie, then sequential reads for a long time: bench_profile.py looks at the instructions
 * meanwhile. The memory is used before, as in the benchmark: fresh memory comes in other pieces.
 */
__attribute__((noreturn)) static void profiled(size_t piece)
{
	struct disk d = { .size = 64 * MIB };
	static char line[512];
	FILE *f;

	page_touch();
	d.fd = open("/dev/sda", O_RDWR | O_DIRECT);
	if (posix_memalign((void **)&d.buffer, 4096, piece))
		_exit(1);
	memset(d.buffer, 0x5a, piece);
	for (f = fopen("/proc/kallsyms", "r"); f && fgets(line, sizeof line, f);)
		if (strstr(line, " T _text\n") || strstr(line, " T _end\n") ||
		    strstr(line, " B _end\n"))
			say("VB symbol %s", line);
	for (f = fopen("/proc/modules", "r"); f && fgets(line, sizeof line, f);)
		say("VB module %s", line);
	say("VB profile\n");
	usleep(500000);
	for (unsigned long i = 0;; i++)
		if (pread(d.fd, d.buffer, piece, i * piece % d.size) != (ssize_t)piece)
			_exit(1);
}

/* --- the guest ------------------------------------------------------------ */

/* tell: bare, most of them do not find their hardware. */
static void load_modules(int tell)
{
	char list[4096], path[128];

	slurp("/m/list", list, sizeof list);
	for (char *m = strtok(list, "\n"); m; m = strtok(NULL, "\n")) {
		int fd;

		snprintf(path, sizeof path, "/m/%s.ko", m);
		fd = open(path, O_RDONLY);
		if ((fd < 0 || syscall(SYS_finit_module, fd, "", 0)) && tell)
			later("VB note module %s: %s\n", m, strerror(errno));
		close(fd);
	}
}

__attribute__((noreturn)) static void guest(void)
{
	static char words[4096];
	int fd = open("/dev/console", O_RDWR);

	if (fd >= 0) {
		dup2(fd, 0);
		dup2(fd, 1);
		dup2(fd, 2);
	}
	say("\nVB init %llu\n", (unsigned long long)tsc_now());
	mount("proc", "/proc", "proc", 0, NULL);
	mount("sys", "/sys", "sysfs", 0, NULL);
	mount("dev", "/dev", "devtmpfs", 0, NULL);
	slurp("/proc/cmdline", words, sizeof words);
	load_modules(strstr(words, "vbdisk") != NULL);
	/* the kernel's own work after boot ends, and the console is silent */
	usleep(500000);
	if (strstr(words, "vbprofile=")) {
		for (int i = 0; i < 200 && access("/dev/sda", F_OK); i++)
			usleep(20000);
		profiled(strtoul(strstr(words, "vbprofile=") + 10, NULL, 10));
	}
	cpu_loop();
	cpuid_exit();
	if (iopl(3)) {
		later("VB note iopl: %s\n", strerror(errno));
	} else {
		port_read("port_worker",
			  0x3ff); /* the UART's scratch register: only the device knows it */
		port_read("port_uart_status", 0x3fd);
		port_read("port_none", 0x80);
	}
	msr_read("msr_apic_base", 0x1b);
	system_call();
	pipes();
	fork_exit();
	sleeping();
	page_touch();
	if (strstr(words, "vbdisk")) {
		for (int i = 0; i < 200 && access("/dev/sda", F_OK); i++)
			usleep(20000);
		disk_all("disk", "/dev/sda");
	}
	put(results, results_length);
	say("VB done\n");
	tcdrain(1);
	usleep(HOLD_MS * 1000);
	sync();
	reboot(RB_POWER_OFF);
	for (;;)
		pause();
}

/* --- the root ------------------------------------------------------------- */

static int follow(const char *path)
{
	static char line[4096], bytes[512];
	size_t length = 0;
	int watch = inotify_init1(0), fd = open(path, O_RDONLY);

	if (fd < 0 || watch < 0 || inotify_add_watch(watch, path, IN_MODIFY) < 0) {
		say("VB note %s: %s\n", path, strerror(errno));
		return 1;
	}
	for (;;) {
		char events[4096];
		ssize_t n = read(fd, bytes, sizeof bytes);
		uint64_t t = tsc_now();

		if (n < 0 || (n == 0 && read(watch, events, sizeof events) <= 0))
			return 1;
		for (ssize_t i = 0; i < n; i++) {
			if (bytes[i] != '\n') {
				if (bytes[i] != '\r' && length < sizeof line - 1)
					line[length++] = bytes[i];
				continue;
			}
			line[length] = 0;
			length = 0;
			say("VB at %llu %s\n", (unsigned long long)t, line);
			if (!strcmp(line, "VB done"))
				return 0;
		}
	}
}

/* Of one process, in KiB: its share of all it maps but guest memory, and its page tables. */
static unsigned long process_memory(const char *pid)
{
	char path[300], line[512];
	unsigned long share = 0, value;
	int guest_memory = 0;
	FILE *f;

	snprintf(path, sizeof path, "/proc/%s/smaps", pid);
	f = fopen(path, "r");
	while (f && fgets(line, sizeof line, f)) {
		unsigned long from, to;

		if (sscanf(line, "%lx-%lx ", &from, &to) == 2)
			guest_memory = strstr(line, "redoubt-memory") != NULL;
		else if (!guest_memory && sscanf(line, "Pss: %lu kB", &value) == 1)
			share += value;
	}
	if (f)
		fclose(f);
	snprintf(path, sizeof path, "/proc/%s/status", pid);
	f = fopen(path, "r");
	while (f && fgets(line, sizeof line, f))
		if (sscanf(line, "VmPTE: %lu kB", &value) == 1)
			share += value;
	if (f)
		fclose(f);
	return share;
}

static void memory(const char *name)
{
	char path[300], comm[64];
	DIR *d = opendir("/proc");
	struct dirent *e;

	while (d && (e = readdir(d))) {
		snprintf(path, sizeof path, "/proc/%s/comm", e->d_name);
		if (e->d_name[0] < '0' || e->d_name[0] > '9' || !slurp(path, comm, sizeof comm))
			continue;
		comm[strcspn(comm, "\n")] = 0;
		if (!strcmp(comm, name))
			say("VB memory %s %lu\n", name, process_memory(e->d_name));
	}
	if (d)
		closedir(d);
}

/* Of the lines of a file that begin with `word` and a number: the sum. */
static unsigned long sum_of(const char *path, const char *word)
{
	unsigned long sum = 0, value;
	char line[256];
	FILE *f = fopen(path, "r");

	while (f && fgets(line, sizeof line, f)) {
		const char *at = line + strspn(line, " ");

		if (!strncmp(at, word, strlen(word)) &&
		    sscanf(at + strlen(word), "%lu", &value) == 1)
			sum += value;
	}
	if (f)
		fclose(f);
	return sum;
}

/* What the kernel could still give: guest memory is not the root's and has no part in it. */
static void free_memory(void)
{
	static const char *const names[] = { "MemFree:", "Buffers:", "Cached:", "SReclaimable:" };
	unsigned long sum =
		4 * sum_of("/proc/zoneinfo", "count:"); /* free pages that a CPU keeps */

	for (int i = 0; i < 4; i++)
		sum += sum_of("/proc/meminfo", names[i]);
	say("VB free %lu\n", sum);
}

int main(int argc, char **argv)
{
	if (getpid() == 1)
		guest();
	if (argc == 3 && !strcmp(argv[1], "mark")) {
		say("VB at %llu %s\n", (unsigned long long)tsc_now(), argv[2]);
		return 0;
	}
	if (argc == 3 && !strcmp(argv[1], "follow"))
		return follow(argv[2]);
	if (argc == 3 && !strcmp(argv[1], "disk")) {
		disk_all("host", argv[2]);
		put(results, results_length);
		return 0;
	}
	if (argc >= 2 && !strcmp(argv[1], "memory")) {
		for (int i = 2; i < argc; i++)
			memory(argv[i]);
		return 0;
	}
	if (argc == 2 && !strcmp(argv[1], "free")) {
		free_memory();
		return 0;
	}
	say("usage: vmbench mark TEXT | follow FILE | disk DEVICE | memory NAME... | free\n");
	return 2;
}
