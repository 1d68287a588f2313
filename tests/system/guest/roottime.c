/* SPDX-License-Identifier: MIT */
/*
 * Checks of clocks and timers from inside the root, and the soak.
 *
 *   roottime sleep | clocks | rtc | timerfd | soak SECONDS
 */
#define _GNU_SOURCE
#include "tests/system/guest/rt.h"

#include <linux/rtc.h>
#include <math.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/ioctl.h>
#include <sys/timerfd.h>

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

/* A sleep never ends early and, in the middle of many, not much late. */
static void sleeps(void)
{
	enum { N = 200 };
	static const long wanted[] = { 200000, 1000000, 5000000 };
	char text[300] = "";

	for (int w = 0; w < 3; w++) {
		struct timespec t = { 0, wanted[w] };
		double late[N];
		int n = w == 2 ? N / 4 : N;

		for (int i = 0; i < n; i++) {
			double s = now();

			clock_nanosleep(CLOCK_MONOTONIC, 0, &t, NULL);
			late[i] = (now() - s) * 1e6 - wanted[w] / 1e3;
			if (late[i] < -1)
				fail("a sleep of %ld us ended %.0f us early", wanted[w] / 1000,
				     -late[i]);
		}
		qsort(late, n, sizeof *late, by_value);
		snprintf(text + strlen(text), sizeof text - strlen(text),
			 "%s%ld us: median +%.0f us, worst +%.0f us", w ? "; " : "",
			 wanted[w] / 1000, late[n / 2], late[n - 1]);
		if (late[n / 2] > 3000 || late[n - 1] > 700000)
			fail("%s", text);
	}
	pass("%s", text);
}

/* --- clocks across CPUs --------------------------------------------------- */

static atomic_int turn;
static atomic_int stop;
static double shared_time;

struct pingpong {
	int me, cpu, rounds;
	double worst; /* most that a later reading lay before an earlier one */
	clockid_t clock;
};

static void *clock_player(void *arg)
{
	struct pingpong *p = arg;

	pin(p->cpu);
	for (int i = 0; i < p->rounds; i++) {
		double t;
		int spins = 0;

		while (atomic_load(&turn) != p->me) {
			/* An emulator with one thread for all CPUs runs the other now. */
			__builtin_ia32_pause();
			if (++spins > 2000)
				sched_yield();
		}
		t = now_of(p->clock);
		if (shared_time - t > p->worst)
			p->worst = shared_time - t;
		shared_time = t;
		atomic_store(&turn, !p->me);
	}
	return NULL;
}

static void clocks(void)
{
	clockid_t which[] = { CLOCK_MONOTONIC, CLOCK_BOOTTIME, CLOCK_REALTIME };
	char source[64];
	int n = cpu_count();

	slurp("/sys/devices/system/clocksource/clocksource0/current_clocksource", source,
	      sizeof source);
	source[strcspn(source, "\n")] = 0;
	if (n < 2)
		skip("one CPU, clock source %s", source);
	for (int other = 1; other < n; other++) {
		for (int c = 0; c < 3; c++) {
			struct pingpong p[2] = {
				{ 0, 0, 4000, 0, which[c] },
				{ 1, other, 4000, 0, which[c] },
			};
			pthread_t th;

			atomic_store(&turn, 0);
			shared_time = 0;
			pthread_create(&th, NULL, clock_player, &p[1]);
			clock_player(&p[0]);
			pthread_join(th, NULL);
			for (int i = 0; i < 2; i++)
				if (p[i].worst > 0)
					fail("clock %d (source %s) went back %.0f ns between CPU 0 and %d",
					     which[c], source, p[i].worst * 1e9, other);
		}
	}
	pass("3 clocks, 8000 hand-overs to each other CPU, none went back; source %s", source);
}

/* --- RTC ------------------------------------------------------------------ */

static void rtc(void)
{
	int fd = open("/dev/rtc0", O_RDONLY);
	struct rtc_time t;
	struct tm tm = { 0 };
	unsigned long data;
	enum { EDGES = 4 };
	double sys, card, end, worst, rate, lasted[EDGES];

	if (fd < 0)
		fail("/dev/rtc0: %s", strerror(errno));
	if (ioctl(fd, RTC_RD_TIME, &t))
		fail("RTC_RD_TIME: %s", strerror(errno));
	sys = now_of(CLOCK_REALTIME);
	tm = (struct tm){ .tm_sec = t.tm_sec,
			  .tm_min = t.tm_min,
			  .tm_hour = t.tm_hour,
			  .tm_mday = t.tm_mday,
			  .tm_mon = t.tm_mon,
			  .tm_year = t.tm_year };
	card = timegm(&tm);
	if (fabs(card - sys) > 3)
		fail("RTC and system time are %.1f s apart", card - sys);
	if (ioctl(fd, RTC_UIE_ON, 0))
		fail("RTC_UIE_ON: %s", strerror(errno));
	alarm(60);
	if (read(fd, &data, sizeof data) != sizeof data)
		fail("no update interrupt: %s", strerror(errno));
	end = now_of(CLOCK_MONOTONIC_RAW);
	for (int i = 0; i < EDGES; i++) {
		double before = end;

		if (read(fd, &data, sizeof data) != sizeof data)
			fail("update interrupt %d: %s", i, strerror(errno));
		end = now_of(CLOCK_MONOTONIC_RAW);
		lasted[i] = end - before;
	}
	ioctl(fd, RTC_UIE_OFF, 0);
	/* One interrupt that comes late makes one second long and the next one short: the middle ones count. */
	qsort(lasted, EDGES, sizeof *lasted, by_value);
	rate = (lasted[EDGES / 2 - 1] + lasted[EDGES / 2]) / 2;
	worst = lasted[EDGES - 1] - 1 > 1 - lasted[0] ? lasted[EDGES - 1] - 1 : 1 - lasted[0];
	if (fabs(rate - 1) > 0.03 || worst > 0.7)
		fail("a second of the RTC takes %.3f s of the system, one of them %.1f s more or less",
		     rate, worst);
	pass("read, %d update interrupts, one second = %.4f s, worst off by %.0f ms", EDGES + 1,
	     rate, worst * 1e3);
}

/*
 * Expirations of a non-blocking timerfd that were not read yet, and the time at which that was so: read again
 * when this thread was not running for long enough in between to blur it.
 */
static uint64_t ticks_at(int fd, double *when)
{
	uint64_t n, total = 0;
	double before;

	do {
		before = now();
		if (read(fd, &n, sizeof n) == sizeof n)
			total += n;
		*when = now();
	} while (*when - before > 0.001);
	return total;
}

/*
 * Expirations at absolute times: their number follows from the clock alone, not from when the timer could be set.
 * An interrupt that comes late makes the count late, not wrong, so the best of some looks right behind an
 * expiration is taken; a count ahead of the clock is wrong at once.
 */
static void periodic(void)
{
	struct itimerspec its = { { 0, 4000000 }, { 0, 0 } };
	int fd = timerfd_create(CLOCK_MONOTONIC, 0);
	uint64_t n, total = 0, sum = 0;
	double start, gap = 0, last, took = 0;

	if (fd < 0 || clock_gettime(CLOCK_MONOTONIC, &its.it_value))
		fail("timerfd: %s", strerror(errno));
	/* The first expiration is at it_value itself. */
	start = last = its.it_value.tv_sec + its.it_value.tv_nsec / 1e9 - 0.004;
	if (timerfd_settime(fd, TFD_TIMER_ABSTIME, &its, NULL))
		fail("timerfd: %s", strerror(errno));
	for (int looks = 0; looks < 20;) {
		double t, since;

		alarm(30);
		if (read(fd, &n, sizeof n) != sizeof n)
			fail("timerfd: %s", strerror(errno));
		sum += n;
		t = now();
		if (t - last > gap)
			gap = t - last;
		last = t;
		since = t - start;
		if (sum > since / 0.004 + 0.01)
			fail("%lu expirations in %.4f s, which has not that many",
			     (unsigned long)sum, since);
		if (since < 2)
			continue;
		if (looks++ == 0 || since / 0.004 - sum < took / 0.004 - total) {
			total = sum;
			took = since;
		}
	}
	if (gap > 0.7)
		fail("a timer of 4 ms did not expire for %.3f s", gap);
	if (took / 0.004 - total > 2)
		fail("%lu expirations in %.3f s, expected %.0f", (unsigned long)total, took,
		     took / 0.004);
	pass("%lu expirations of 4 ms in %.3f s, longest gap %.1f ms", (unsigned long)total, took,
	     gap * 1e3);
}

/* --- soak ----------------------------------------------------------------- */

static struct {
	atomic_ulong cpu_rounds, disk_ops, ticks, sleeps;
	_Atomic double disk_worst, tick_worst, sleep_worst, clock_gap;
	char error[200];
	atomic_int failed;
} soak_state;

static void soak_fail(const char *what, double value)
{
	if (!atomic_exchange(&soak_state.failed, 1))
		snprintf(soak_state.error, sizeof soak_state.error, what, value);
	atomic_store(&stop, 1);
}

static void keep_max(_Atomic double *p, double v)
{
	if (v > *p)
		*p = v;
}

static void *soak_cpu(void *arg)
{
	uint64_t first = 0;

	pin((int)(intptr_t)arg);
	while (!stop) {
		uint64_t h = 1469598103934665603ull;
		double f = 1.0;

		for (int i = 1; i < 400000; i++) {
			h = (h ^ i) * 1099511628211ull;
			f += 1.0 / i;
		}
		h ^= (uint64_t)(f * 1e9);
		if (!first)
			first = h;
		if (h != first)
			soak_fail("a CPU loop gave a different result", 0);
		soak_state.cpu_rounds++;
	}
	return NULL;
}

static void *soak_disk(void *arg)
{
	const char *dev = arg;
	int fd = open(dev, O_RDWR | O_DIRECT);
	uint32_t seed = 1, s = 99;
	void *buf;

	if (fd < 0 || posix_memalign(&buf, 4096, 32768)) {
		soak_fail("disk does not open", 0);
		return NULL;
	}
	while (!stop) {
		off_t at = (off_t)(xorshift(&s) % 512) * 32768;
		double t = now();

		pattern_fill(buf, 32768, ++seed);
		if (pwrite(fd, buf, 32768, at) != 32768 || (seed % 16 == 0 && fsync(fd)))
			soak_fail("disk write failed", 0);
		memset(buf, 0, 32768);
		if (pread(fd, buf, 32768, at) != 32768)
			soak_fail("disk read failed", 0);
		if (pattern_check(buf, 32768, seed) >= 0)
			soak_fail("disk gave back other data", 0);
		keep_max(&soak_state.disk_worst, now() - t);
		soak_state.disk_ops += 2;
	}
	free(buf);
	close(fd);
	return NULL;
}

static void *soak_timer(void *arg)
{
	struct itimerspec its = { { 0, 10000000 }, { 0, 10000000 } };
	int fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
	double before = now(), start, last;
	uint64_t n, total = 0;

	(void)arg;
	/* The other threads may take the CPU here for more than two ticks: the timer began somewhere in between. */
	timerfd_settime(fd, 0, &its, NULL);
	start = last = now();
	while (!stop) {
		double t;

		struct pollfd p = { fd, POLLIN, 0 };

		poll(&p, 1, 30000);
		total += n = ticks_at(fd, &t);
		if (!n)
			soak_fail("a timer of 10 ms did not expire in 30 s", 0);
		keep_max(&soak_state.tick_worst, t - last);
		last = t;
		soak_state.ticks = total;
		if (total > (t - before) / 0.01 + 2)
			soak_fail("the timer is %.1f ticks ahead of the clock",
				  total - (t - before) / 0.01);
		if (total < (t - start) / 0.01 - 2)
			soak_fail("the timer is %.1f ticks behind the clock",
				  (t - start) / 0.01 - total);
	}
	return NULL;
}

static void *soak_sleep(void *arg)
{
	pin((int)(intptr_t)arg);
	while (!stop) {
		struct timespec t = { 0, 1000000 };
		double s = now();

		clock_nanosleep(CLOCK_MONOTONIC, 0, &t, NULL);
		s = now() - s;
		if (s < 0.001 - 1e-6)
			soak_fail("a sleep of 1 ms lasted %.6f s", s);
		keep_max(&soak_state.sleep_worst, s - 0.001);
		soak_state.sleeps++;
	}
	return NULL;
}

/* Clock never goes back; a jump forward shows against the RTC at the end. */
static void *soak_clock(void *arg)
{
	double last = now();

	pin((int)(intptr_t)arg);
	while (!stop) {
		for (int i = 0; i < 200; i++) {
			double t = now();

			if (t < last)
				soak_fail("clock went back %.9f s", last - t);
			if (t - last > soak_state.clock_gap)
				soak_state.clock_gap = t - last;
			last = t;
		}
		usleep(2000);
		last = now();
	}
	return NULL;
}

static double rtc_edge(double *card)
{
	int fd = open("/dev/rtc0", O_RDONLY);
	struct rtc_time t;
	unsigned long data;
	struct tm tm;
	double at;

	if (fd < 0 || ioctl(fd, RTC_UIE_ON, 0) || read(fd, &data, sizeof data) != sizeof data)
		fail("/dev/rtc0: %s", strerror(errno));
	at = now_of(CLOCK_MONOTONIC_RAW);
	ioctl(fd, RTC_RD_TIME, &t);
	ioctl(fd, RTC_UIE_OFF, 0);
	close(fd);
	tm = (struct tm){ .tm_sec = t.tm_sec,
			  .tm_min = t.tm_min,
			  .tm_hour = t.tm_hour,
			  .tm_mday = t.tm_mday,
			  .tm_mon = t.tm_mon,
			  .tm_year = t.tm_year };
	*card = timegm(&tm);
	return at;
}

static void local_timers(unsigned long *counts, int n)
{
	static char text[1 << 17];
	char *p;

	slurp("/proc/interrupts", text, sizeof text);
	p = strstr(text, "LOC:");
	p = p ? p + 4 : text;
	for (int i = 0; i < n; i++)
		counts[i] = strtoul(p, &p, 10);
}

static void soak(int seconds)
{
	int n = cpu_count(), threads = 0;
	pthread_t th[256];
	char *ahci = find_disk("ahci") ? strdup(find_disk("ahci")) : NULL;
	char *virtio = find_disk("virtio") ? strdup(find_disk("virtio")) : NULL;
	double start, mono0, mono1, rtc0, rtc1, next = 30, drift;
	unsigned long before[64], after[64];

	if (n > 32)
		n = 32;
	mono0 = rtc_edge(&rtc0);
	start = now();
	for (int i = 0; i < n; i++) {
		pthread_create(&th[threads++], NULL, soak_cpu, (void *)(intptr_t)i);
		pthread_create(&th[threads++], NULL, soak_sleep, (void *)(intptr_t)i);
		pthread_create(&th[threads++], NULL, soak_clock, (void *)(intptr_t)i);
	}
	if (ahci)
		pthread_create(&th[threads++], NULL, soak_disk, ahci);
	if (virtio)
		pthread_create(&th[threads++], NULL, soak_disk, virtio);
	pthread_create(&th[threads++], NULL, soak_timer, NULL);
	local_timers(before, n);
	while (!stop && now() - start < seconds) {
		usleep(1000000);
		local_timers(after, n);
		for (int i = 0; i < n; i++) {
			if (after[i] == before[i])
				soak_fail("no local timer interrupt in a second on CPU %.0f", i);
			before[i] = after[i];
		}
		if (now() - start > next) {
			info("%.0f of %d s: %lu CPU rounds, %lu disk operations, %lu ticks, %lu sleeps",
			     now() - start, seconds, soak_state.cpu_rounds, soak_state.disk_ops,
			     soak_state.ticks, soak_state.sleeps);
			next += 30;
		}
	}
	atomic_store(&stop, 1);
	alarm(60);
	for (int i = 0; i < threads; i++)
		pthread_join(th[i], NULL);
	mono1 = rtc_edge(&rtc1);
	drift = (mono1 - mono0) - (rtc1 - rtc0);
	info("worst: disk %.0f ms, tick %.0f ms, sleep +%.1f ms, clock gap %.1f ms, drift against RTC %+.0f ms",
	     soak_state.disk_worst * 1e3, soak_state.tick_worst * 1e3, soak_state.sleep_worst * 1e3,
	     soak_state.clock_gap * 1e3, drift * 1e3);
	if (soak_state.failed)
		fail("after %.0f s: %s", now() - start, soak_state.error);
	if (fabs(drift) > 0.25 + 0.002 * seconds)
		fail("clock and RTC went %.3f s apart in %d s", drift, seconds);
	if (soak_state.disk_worst > 10 || soak_state.tick_worst > 1 || soak_state.sleep_worst > 1)
		fail("waits of %.2f s for the disk, %.2f s for a tick, %.2f s for a sleep",
		     soak_state.disk_worst, soak_state.tick_worst, soak_state.sleep_worst);
	if (!soak_state.cpu_rounds || !soak_state.ticks ||
	    ((ahci || virtio) && !soak_state.disk_ops))
		fail("some load did not run: %lu CPU rounds, %lu ticks, %lu disk operations",
		     soak_state.cpu_rounds, soak_state.ticks, soak_state.disk_ops);
	pass("%d s: %lu CPU rounds, %lu disk operations, %lu ticks, %lu sleeps, drift %+.0f ms",
	     seconds, soak_state.cpu_rounds, soak_state.disk_ops, soak_state.ticks,
	     soak_state.sleeps, drift * 1e3);
}

int main(int argc, char **argv)
{
	const char *cmd = argc > 1 ? argv[1] : "";

	rt_name = getenv("RT_NAME") ? getenv("RT_NAME") : cmd;
	if (!strcmp(cmd, "sleep"))
		sleeps();
	if (!strcmp(cmd, "clocks"))
		clocks();
	if (!strcmp(cmd, "rtc"))
		rtc();
	if (!strcmp(cmd, "timerfd"))
		periodic();
	if (!strcmp(cmd, "soak"))
		soak(argc > 2 ? atoi(argv[2]) : 20);
	fail("no check of this name in roottime");
}
