/* SPDX-License-Identifier: MIT */
/*
 * Measurements inside the root, run as its first process. Times come from the TSC, which counts virtual
 * nanoseconds under QEMU's -icount shift=1 (one instruction = 2 ns, TSC 1 GHz), from power-on.
 *
 * Prints "RB <name> <unit> <min> <median> <max>" for each, "RB note ..." and "RB done".
 */
#define _GNU_SOURCE
#include "tests/system/guest/rt.h"

#include <linux/rtc.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define MIB (1024 * 1024ul)
#define BATCHES 15

static uint64_t tsc_now(void)
{
	uint32_t lo, hi;

	__asm__ volatile("rdtsc" : "=a"(lo), "=d"(hi)::"memory");
	return (uint64_t)hi << 32 | lo;
}

static void say(const char *fmt, ...)
{
	char buf[512];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(buf, sizeof buf, fmt, ap);
	va_end(ap);
	if (write(1, buf, n) != n)
		_exit(1);
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static void report(const char *name, const char *unit, double *v, int n)
{
	qsort(v, n, sizeof *v, by_value);
	say("RB %s %s %.3f %.3f %.3f\n", name, unit, v[0], v[n / 2], v[n - 1]);
}

static void load_modules(void)
{
	char list[4096], path[128];

	slurp("/m/list", list, sizeof list);
	for (char *m = strtok(list, "\n"); m; m = strtok(NULL, "\n")) {
		int fd;

		snprintf(path, sizeof path, "/m/%s.ko", m);
		fd = open(path, O_RDONLY);
		if (fd < 0 || syscall(SYS_finit_module, fd, "", 0))
			say("RB note module %s: %s\n", m, strerror(errno));
		close(fd);
	}
}

/* --- processor ------------------------------------------------------------ */

static void cpu_loop(void)
{
	enum { ROUNDS = 2000000 };
	double v[7];

	for (int b = 0; b < 7; b++) {
		uint64_t x = 88172645463325252ull, t = tsc_now();

		for (int i = 0; i < ROUNDS; i++) {
			x ^= x << 13;
			x ^= x >> 7;
			x ^= x << 17;
		}
		__asm__ volatile("" ::"r"(x));
		v[b] = (double)(tsc_now() - t) / ROUNDS;
	}
	report("cpu_loop", "ns", v, 7);
}

static void cpuid_leaf(const char *name, uint32_t leaf)
{
	double v[BATCHES];

	for (int b = 0; b < BATCHES; b++) {
		uint64_t t = tsc_now();

		for (int i = 0; i < 400; i++) {
			uint32_t a = leaf, c = 0;

			__asm__ volatile("cpuid" : "+a"(a), "+c"(c)::"ebx", "edx", "memory");
		}
		v[b] = (tsc_now() - t) / 400.0;
	}
	report(name, "ns", v, BATCHES);
}

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

static void fork_exec(void)
{
	enum { N = 40 };
	double v[N];

	for (int i = -5; i < N; i++) {
		uint64_t t = tsc_now();
		int status;
		pid_t child = fork();

		if (child == 0) {
			execl("/init", "init", "--exit", (char *)NULL);
			_exit(1);
		}
		waitpid(child, &status, 0);
		if (i >= 0)
			v[i] = (tsc_now() - t) / 1e3;
		if (status)
			say("RB note fork+exec: status %d\n", status);
	}
	report("fork_exec", "us", v, N);
}

static void page_touch(void)
{
	enum { N = 5 };
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
			report("page_touch_first", "ns", v,
			       1); /* memory the kernel has not used since boot */
		munmap(p, 64 * MIB);
	}
	report("page_touch", "ns", v, N);
}

static void sleeping(void)
{
	enum { N = 60 };
	double v[N];
	struct timespec w = { 0, 200000 };

	for (int i = 0; i < N; i++) {
		uint64_t t = tsc_now();

		nanosleep(&w, NULL);
		v[i] = (tsc_now() - t) / 1e3;
	}
	report("sleep_200us", "us", v, N);
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

/* --- disks ---------------------------------------------------------------- */

/*
 * QEMU's disk answers in the host's own time, which has nothing to do with virtual time, and an idle CPU makes
 * virtual time jump. So a process of the lowest priority keeps the CPU busy and counts; what it did not get in
 * the time of N requests is what they cost in instructions: submission, exits, interrupt, wake-up.
 */
static volatile uint64_t *spins;
static pid_t spinner;
static double spin_cost; /* ns of one count, timer ticks included */

static void start_spinner(void)
{
	struct sched_param none = { 0 };
	struct timespec w = { 0, 400000000 };
	uint64_t t, n;

	spins = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	spinner = fork();
	if (spinner == 0) {
		sched_setscheduler(0, SCHED_IDLE, &none);
		for (;;)
			++*spins;
	}
	nanosleep(&(struct timespec){ 0, 50000000 }, NULL);
	t = tsc_now();
	n = *spins;
	nanosleep(&w, NULL);
	n = *spins - n;
	t = tsc_now() - t;
	spin_cost = n ? (double)t / n : 0;
}

static void disk_reads(const char *kind, const char *what, size_t size, int random, int count)
{
	enum { N = 9 };
	const char *dev = NULL;
	char name[64];
	double v[N];
	uint32_t s = 99;
	void *buf;
	int fd;

	for (int i = 0; i < 100 && !(dev = find_disk(kind)); i++)
		usleep(20000);
	fd = dev ? open(dev, O_RDONLY | O_DIRECT) : -1;
	if (fd < 0 || posix_memalign(&buf, 4096, size)) {
		say("RB note no %s disk\n", kind);
		return;
	}
	for (int b = 0; b < N; b++) {
		size_t at = 0;
		uint64_t n = 0, t = 0;

		for (int i = -4; i < count; i++) {
			if (i == 0) {
				n = *spins;
				t = tsc_now();
			}
			at = random ? xorshift(&s) % (48 * MIB / size) * size
				    : (at + size) % (48 * MIB);
			if (pread(fd, buf, size, at) != (ssize_t)size) {
				say("RB note %s: %s\n", dev, strerror(errno));
				return;
			}
		}
		t = tsc_now() - t;
		n = *spins - n;
		v[b] = (t - n * spin_cost) / count / 1e3;
	}
	snprintf(name, sizeof name, "disk_%s_%s", kind, what);
	report(name, "us", v, N);
	free(buf);
	close(fd);
}

/* --- the hypervisor's own word -------------------------------------------- */

static void run(const char *const argv[])
{
	pid_t child = fork();

	if (child == 0) {
		execv(argv[0], (char *const *)argv);
		_exit(127);
	}
	waitpid(child, NULL, 0);
}

static void ask_hypervisor(void)
{
	int fd = open("/x/redoubt.ko", O_RDONLY);

	if (fd < 0 || access("/x/hvctl", X_OK))
		return;
	if (syscall(SYS_finit_module, fd, "", 0)) {
		if (errno != ENODEV) /* bare: there is no hypervisor to ask */
			say("RB note redoubt.ko: %s\n", strerror(errno));
		close(fd);
		return;
	}
	close(fd);
	say("RB json ");
	run((const char *const[]){ "/bin/sh", "-c", "/x/hvctl info --json | tr -d '\\n'", NULL });
	say("\n");
}

/*
 * The emulated RTC starts with the machine at 2026-01-01 and follows virtual time: a TSC that does not count
 * from power-on, or not at 1 GHz, shows here.
 */
static void check_tsc(void)
{
	int fd = open("/dev/rtc0", O_RDONLY);
	struct rtc_time t;
	double tsc = tsc_now() / 1e9, card;

	if (fd < 0 || ioctl(fd, RTC_RD_TIME, &t)) {
		say("RB note /dev/rtc0: %s\n", strerror(errno));
		return;
	}
	close(fd);
	card = ((t.tm_mday - 1) * 24 + t.tm_hour) * 3600.0 + t.tm_min * 60 + t.tm_sec;
	if (t.tm_year != 126 || t.tm_mon || card - tsc > 1.2 || tsc - card > 1.2)
		say("RB note WRONG CLOCK: TSC says %.2f s since power-on, the RTC %.0f s: times are not to be trusted\n",
		    tsc, card);
}

int main(int argc, char **argv)
{
	double at_init = tsc_now() / 1e6, ratio;
	uint64_t tsc0, tsc1;
	double mono0, mono1;
	int fd;

	if (argc > 1 && !strcmp(argv[1], "--exit"))
		return 0;
	fd = open("/dev/console", O_RDWR);
	if (fd >= 0) {
		dup2(fd, 0);
		dup2(fd, 1);
		dup2(fd, 2);
	}
	say("\nRB init\n");
	at_init = at_init > 0 ? at_init : 0;
	say("RB time_to_init ms %.3f %.3f %.3f\n", at_init, at_init, at_init);
	mount("proc", "/proc", "proc", 0, NULL);
	mount("sys", "/sys", "sysfs", 0, NULL);
	mount("dev", "/dev", "devtmpfs", 0, NULL);
	setenv("PATH", "/bin", 1);
	check_tsc();
	/* let the kernel's own work after boot end: idle time costs nothing here */
	nanosleep(&(struct timespec){ 10, 0 }, NULL);
	mono0 = now();
	tsc0 = tsc_now();

	cpu_loop();
	cpuid_leaf("cpuid_0", 0);
	cpuid_leaf("cpuid_40000000", 0x40000000);
	system_call();
	pipes();
	fork_exec();
	page_touch();
	sleeping();
	load_modules();
	start_spinner();
	disk_reads("virtio", "read_4k", 4096, 1, 200);
	disk_reads("virtio", "read_128k", 128 * 1024, 0, 60);
	disk_reads("ahci", "read_4k", 4096, 1, 200);
	disk_reads("ahci", "read_128k", 128 * 1024, 0, 60);
	if (spinner > 0) {
		kill(spinner, 9);
		waitpid(spinner, NULL, 0);
	}

	tsc1 = tsc_now();
	mono1 = now();
	ratio = (mono1 - mono0) / ((tsc1 - tsc0) / 1e9);
	say("RB clock_ratio - %.5f %.5f %.5f\n", ratio, ratio, ratio);
	ask_hypervisor();
	say("RB done\n");
	sync();
	reboot(RB_POWER_OFF);
	for (;;)
		pause();
}
