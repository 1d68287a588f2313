/* SPDX-License-Identifier: MIT */
/*
 * Checks of devices, CPUs and memory from inside the root.
 *
 *   roottest NAME [argument ...]      prints RT pass|fail|skip NAME text
 */
#define _GNU_SOURCE
#include "tests/system/guest/rt.h"

#include <arpa/inet.h>
#include <linux/fs.h>
#include <netinet/in.h>
#include <pthread.h>
#include <regex.h>
#include <sys/ioctl.h>
#include <sys/klog.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <termios.h>

#define MIB (1024 * 1024ul)

/* --- CPUs ---------------------------------------------------------------- */

static void cpus(int want)
{
	int n = cpu_count();
	unsigned cpu, node;
	char buf[64];

	slurp("/sys/devices/system/cpu/online", buf, sizeof buf);
	buf[strcspn(buf, "\n")] = 0;
	if (n != want)
		fail("%d CPUs online (%s), expected %d", n, buf, want);
	for (int i = 0; i < n; i++) {
		if (pin(i))
			fail("cannot run on CPU %d: %s", i, strerror(errno));
		getcpu(&cpu, &node);
		if ((int)cpu != i)
			fail("pinned to CPU %d but runs on %u", i, cpu);
	}
	pass("%d online (%s)", n, buf);
}

static void offline(void)
{
	const char *path = "/sys/devices/system/cpu/cpu1/online";
	int n = cpu_count();
	volatile unsigned long x = 0;

	if (n < 2)
		skip("one CPU");
	for (int round = 0; round < 3; round++) {
		double t = now();

		if (spew(path, "0"))
			fail("round %d: offline: %s", round, strerror(errno));
		if (cpu_count() != n - 1)
			fail("round %d: %d CPUs after taking one away", round, cpu_count());
		for (int i = 0; i < 3000000; i++)
			x += i;
		usleep(20000);
		if (spew(path, "1"))
			fail("round %d: online: %s", round, strerror(errno));
		if (cpu_count() != n)
			fail("round %d: %d CPUs after giving it back", round, cpu_count());
		if (pin(1))
			fail("round %d: cannot run on cpu1 again", round);
		usleep(20000);
		pin(0);
		info("round %d took %.2f s", round, now() - t);
	}
	pass("cpu1 went and came back 3 times");
}

/* --- disks ---------------------------------------------------------------- */

struct reader {
	const char *dev;
	uint32_t seed;
	size_t blocks;
	char error[160];
};

static void *random_reader(void *arg)
{
	struct reader *r = arg;
	int fd = open(r->dev, O_RDONLY | O_DIRECT);
	uint32_t s = r->seed;
	void *buf;

	if (fd < 0 || posix_memalign(&buf, 4096, 4096)) {
		snprintf(r->error, sizeof r->error, "open: %s", strerror(errno));
		return NULL;
	}
	for (int i = 0; i < 150 && !r->error[0]; i++) {
		size_t b = xorshift(&s) % r->blocks;
		long bad;

		if (pread(fd, buf, 4096, b * 4096) != 4096)
			snprintf(r->error, sizeof r->error, "read of block %zu: %s", b,
				 strerror(errno));
		else if ((bad = pattern_check(buf, 4096, b)) >= 0)
			snprintf(r->error, sizeof r->error, "block %zu differs at byte %ld", b,
				 bad);
	}
	free(buf);
	close(fd);
	return NULL;
}

static void disk(const char *kind)
{
	const char *dev = NULL;
	size_t size, total = 16 * MIB, bs = 256 * 1024;
	struct reader rd[3] = { 0 };
	pthread_t th[3];
	double t0, tw, tr;
	char *buf;
	int fd;

	for (int i = 0; i < 100 && !(dev = find_disk(kind)); i++)
		usleep(50000);
	if (!dev)
		fail("no %s disk appeared", kind);
	fd = open(dev, O_RDWR | O_DIRECT);
	if (fd < 0 || posix_memalign((void **)&buf, 4096, bs))
		fail("%s: %s", dev, strerror(errno));
	size = lseek(fd, 0, SEEK_END);
	if (size < total)
		fail("%s: only %zu bytes", dev, size);

	t0 = now();
	for (size_t off = 0; off < total; off += bs) {
		for (size_t b = 0; b < bs; b += 4096)
			pattern_fill(buf + b, 4096, (off + b) / 4096);
		if (pwrite(fd, buf, bs, off) != (ssize_t)bs)
			fail("%s: write at %zu: %s", dev, off, strerror(errno));
	}
	if (fsync(fd))
		fail("%s: fsync: %s", dev, strerror(errno));
	tw = now() - t0;
	ioctl(fd, BLKFLSBUF, 0);
	t0 = now();
	for (size_t off = 0; off < total; off += bs) {
		if (pread(fd, buf, bs, off) != (ssize_t)bs)
			fail("%s: read at %zu: %s", dev, off, strerror(errno));
		for (size_t b = 0; b < bs; b += 4096) {
			long bad = pattern_check(buf + b, 4096, (off + b) / 4096);

			if (bad >= 0)
				fail("%s: differs at %zu", dev, off + b + bad);
		}
	}
	tr = now() - t0;
	for (int i = 0; i < 3; i++) {
		rd[i] = (struct reader){ .dev = dev, .seed = 77 + i, .blocks = total / 4096 };
		pthread_create(&th[i], NULL, random_reader, &rd[i]);
	}
	for (int i = 0; i < 3; i++)
		pthread_join(th[i], NULL);
	for (int i = 0; i < 3; i++)
		if (rd[i].error[0])
			fail("%s: parallel readers: %s", dev, rd[i].error);
	pass("%s 16 MiB written %.2f s, compared %.2f s, 450 random reads by 3 threads", dev, tw,
	     tr);
}

/* --- network -------------------------------------------------------------- */

static void tcp(const char *host, int port)
{
	enum { TOTAL = 1 << 20, STEP = 4096 };
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(port) };
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	char buf[STEP];
	size_t got = 0;
	double t0 = now();
	pid_t child;

	inet_pton(AF_INET, host, &a.sin_addr);
	if (connect(fd, (struct sockaddr *)&a, sizeof a))
		fail("connect to %s:%d: %s", host, port, strerror(errno));
	child = fork();
	if (child == 0) {
		for (int i = 0; i < TOTAL / STEP; i++) {
			char *p = buf;

			pattern_fill(buf, STEP, i);
			while (p < buf + STEP) {
				ssize_t n = write(fd, p, buf + STEP - p);

				if (n <= 0)
					_exit(1);
				p += n;
			}
		}
		_exit(0);
	}
	alarm(120);
	while (got < TOTAL) {
		size_t in = got % STEP;
		ssize_t n = read(fd, buf + in, STEP - in);

		if (n <= 0)
			fail("echo ended after %zu bytes: %s", got, n ? strerror(errno) : "closed");
		got += n;
		if (got % STEP == 0 && pattern_check(buf, STEP, got / STEP - 1) >= 0)
			fail("echo differs in block %zu", got / STEP - 1);
	}
	waitpid(child, NULL, 0);
	pass("1 MiB to the host and back in %.2f s", now() - t0);
}

/* Prints the network interface of a driver. */
static int iface(const char *driver)
{
	char path[PATH_MAX], target[PATH_MAX];
	struct dirent *e;
	DIR *d = opendir("/sys/class/net");

	while (d && (e = readdir(d))) {
		ssize_t n;

		snprintf(path, sizeof path, "/sys/class/net/%s/device/driver", e->d_name);
		n = readlink(path, target, sizeof target - 1);
		if (n <= 0)
			continue;
		target[n] = 0;
		if (!strcmp(strrchr(target, '/') + 1, driver))
			return puts(e->d_name) < 0;
	}
	return 1;
}

/* --- serial --------------------------------------------------------------- */

static void serial(size_t want)
{
	int fd = open("/dev/ttyS0", O_RDWR | O_NOCTTY);
	struct termios raw, old;
	size_t got = 0;
	char c;

	if (fd < 0 || tcgetattr(fd, &old))
		fail("/dev/ttyS0: %s", strerror(errno));
	raw = old;
	cfmakeraw(&raw);
	raw.c_oflag |= OPOST | ONLCR;
	raw.c_cc[VMIN] = 0;
	raw.c_cc[VTIME] = 100; /* tenths of a second */
	tcsetattr(fd, TCSAFLUSH, &raw);
	info("ready for %zu bytes", want);
	while (got < want) {
		ssize_t n = read(fd, &c, 1);

		if (n <= 0) {
			tcsetattr(fd, TCSANOW, &old);
			fail("only %zu of %zu bytes came", got, want);
		}
		if (c != (char)('a' + got % 23)) {
			tcsetattr(fd, TCSANOW, &old);
			fail("byte %zu is 0x%02x", got, c & 0xff);
		}
		got++;
	}
	tcsetattr(fd, TCSANOW, &old);
	pass("%zu bytes received by interrupt", got);
}

/* --- PCI ------------------------------------------------------------------ */

static int dmesg_has(const char *pattern);

static void pci(const char *machine)
{
	int q35 = !strcmp(machine, "q35"), count = 0, extended = 0;
	static unsigned char cfg[4096];
	char path[PATH_MAX], text[64];
	struct dirent *e;
	DIR *d = opendir("/sys/bus/pci/devices");

	if (!d)
		fail("no /sys/bus/pci");
	while ((e = readdir(d))) {
		unsigned vendor, device;
		ssize_t n;
		int fd;

		if (e->d_name[0] == '.')
			continue;
		snprintf(path, sizeof path, "/sys/bus/pci/devices/%s/vendor", e->d_name);
		slurp(path, text, sizeof text);
		vendor = strtoul(text, NULL, 16);
		snprintf(path, sizeof path, "/sys/bus/pci/devices/%s/device", e->d_name);
		slurp(path, text, sizeof text);
		device = strtoul(text, NULL, 16);
		snprintf(path, sizeof path, "/sys/bus/pci/devices/%s/config", e->d_name);
		fd = open(path, O_RDONLY);
		n = fd < 0 ? -1 : pread(fd, cfg, sizeof cfg, 0);
		close(fd);
		if (n < 64)
			fail("%s: %zd bytes of configuration", e->d_name, n);
		if ((cfg[0] | cfg[1] << 8) != (int)vendor || (cfg[2] | cfg[3] << 8) != (int)device)
			fail("%s: configuration space disagrees with its identity", e->d_name);
		if (n == 4096) {
			uint32_t cap = cfg[0x100] | cfg[0x101] << 8 | (uint32_t)cfg[0x103] << 24;

			if (cap && cap != 0xffffffff)
				extended++;
		}
		info("%s %04x:%04x class %02x%02x config %zd", e->d_name, vendor, device, cfg[11],
		     cfg[10], n);
		count++;
	}
	closedir(d);
	if (count < 4)
		fail("only %d devices", count);
	if (q35 && !dmesg_has("(MMCONFIG|ECAM) (at )?\\[mem.*(reserved|for domain)"))
		fail("%d devices, but the kernel does not use ECAM", count);
	if (q35 && !extended)
		fail("%d devices, none with extended configuration space", count);
	pass("%d devices, %d with extended configuration space", count, extended);
}

/* --- kernel log ----------------------------------------------------------- */

static const char *bad_lines[] = {
	"rcu.*(stall|starved)",
	"clocksource: timekeeping watchdog",
	"Marking clocksource .* unstable",
	"BUG[: ]",
	"WARNING: (CPU|at )",
	"Oops",
	"general protection",
	"unchecked MSR",
	"(soft|hard) ?lockup",
	"LOCKUP",
	"[Ll]ost interrupt",
	"nobody cared",
	"No irq handler",
	"exception Emask",
	"failed command",
	"APIC error",
	"APIC timer",
	"blocked for more than",
	"Kernel panic",
	"Call Trace",
	"page allocation failure",
	"Clock.*(skew|backwards)",
	"I/O error",
	"Transmit timed out|NETDEV WATCHDOG|Tx Unit Hang",
	"spurious .*interrupt",
	"TSC_DEADLINE disabled",
	"check_tsc.*fail",
	"hrtimer: interrupt took [0-9]{9,}",
	"invalid opcode",
	"double fault",
	"MCE|Machine check events logged|mce:.*error",
	"Failed to|failed to boot",
};

/* Seen without any hypervisor on these machines too, or harmless by its meaning. */
static const char *fine_lines[] = {
	"Speculative Return Stack Overflow",
	"MCE banks",
	"mce: CPU supports",
	"debug: unmapping",
	"Failed to find module",
	"systemd",
	"RT ",
};

static char klog[1 << 20];

static void read_klog(void)
{
	int n = klogctl(3 /* SYSLOG_ACTION_READ_ALL */, klog, sizeof klog - 1);

	klog[n > 0 ? n : 0] = 0;
}

static int matches(const char *pattern, const char *text)
{
	regex_t re;
	int r;

	if (regcomp(&re, pattern, REG_EXTENDED | REG_NOSUB))
		fail("bad pattern %s", pattern);
	r = !regexec(&re, text, 0, NULL, 0);
	regfree(&re);
	return r;
}

static int dmesg_has(const char *pattern)
{
	read_klog();
	for (char *line = strtok(klog, "\n"); line; line = strtok(NULL, "\n"))
		if (matches(pattern, line))
			return 1;
	return 0;
}

static void dmesg(void)
{
	int bad = 0, lines = 0;

	read_klog();
	for (char *line = strtok(klog, "\n"); line; line = strtok(NULL, "\n"), lines++) {
		int hit = 0;

		for (size_t i = 0; i < sizeof bad_lines / sizeof *bad_lines && !hit; i++)
			hit = matches(bad_lines[i], line);
		for (size_t i = 0; i < sizeof fine_lines / sizeof *fine_lines && hit; i++)
			hit = !matches(fine_lines[i], line);
		if (hit && bad++ < 12)
			info("%s", line);
	}
	if (lines < 100)
		fail("only %d lines in the kernel log", lines);
	if (bad)
		fail("%d of %d lines tell of trouble", bad, lines);
	pass("%d lines, none tells of trouble", lines);
}

/* --- interrupts ----------------------------------------------------------- */

struct irqs {
	unsigned long msi, ioapic, loc[64], tlb, cal, err, serial_cpu1;
};

static struct irqs read_irqs(void)
{
	static char text[1 << 17];
	struct irqs r = { 0 };
	int n = cpu_count();

	slurp("/proc/interrupts", text, sizeof text);
	for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
		char *colon = strchr(line, ':'), *p;
		unsigned long sum = 0, v[64] = { 0 };

		if (!colon)
			continue;
		p = colon + 1;
		for (int i = 0; i < n && i < 64; i++)
			sum += v[i] = strtoul(p, &p, 10);
		while (*line == ' ')
			line++;
		if (strstr(p, "IO-APIC"))
			r.ioapic += sum;
		if (strstr(p, "PCI-MSI"))
			r.msi += sum;
		if (strstr(p, "ttyS0"))
			r.serial_cpu1 += v[1];
		if (!strncmp(line, "LOC:", 4))
			memcpy(r.loc, v, sizeof v);
		if (!strncmp(line, "TLB:", 4))
			r.tlb += sum;
		if (!strncmp(line, "CAL:", 4))
			r.cal += sum;
		if (!strncmp(line, "ERR:", 4) || !strncmp(line, "MIS:", 4))
			r.err += strtoul(colon + 1, NULL, 10);
	}
	return r;
}

static void *spin_and_touch(void *stop)
{
	while (!*(volatile int *)stop)
		sched_yield();
	return NULL;
}

static void disk_activity(const char *kind)
{
	const char *dev = find_disk(kind);
	int fd = dev ? open(dev, O_RDONLY | O_DIRECT) : -1;
	void *buf;

	if (fd < 0 || posix_memalign(&buf, 4096, 4096))
		return;
	for (int i = 0; i < 60; i++)
		if (pread(fd, buf, 4096, i * 65536) != 4096)
			break;
	free(buf);
	close(fd);
}

static void interrupts(void)
{
	struct irqs a = read_irqs(), b;
	int n = cpu_count(), stop = 0;
	pthread_t th;

	disk_activity("ahci");
	disk_activity("virtio");
	info("some text to send by interrupts: ...........................................................");
	pthread_create(&th, NULL, spin_and_touch, &stop);
	for (int i = 0; i < 200; i++) { /* TLB shoot-downs to the other thread's CPU */
		char *p = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
			       0);

		memset(p, i, 65536);
		munmap(p, 65536);
	}
	for (int i = 0; i < n; i++) {
		pin(i);
		usleep(100000);
	}
	stop = 1;
	pthread_join(th, NULL);
	tcdrain(1);
	b = read_irqs();
	info("MSI +%lu, IO-APIC +%lu, TLB +%lu, CAL +%lu, LOC0 +%lu, LOC1 +%lu, errors %lu",
	     b.msi - a.msi, b.ioapic - a.ioapic, b.tlb - a.tlb, b.cal - a.cal, b.loc[0] - a.loc[0],
	     b.loc[1] - a.loc[1], b.err);
	if (b.msi <= a.msi)
		fail("no MSI came (%lu)", b.msi);
	if (b.ioapic <= a.ioapic)
		fail("no IO-APIC interrupt came (%lu)", b.ioapic);
	for (int i = 0; i < n && i < 64; i++)
		if (b.loc[i] <= a.loc[i])
			fail("no local timer interrupt on CPU %d (%lu)", i, b.loc[i]);
	if (n > 1 && b.tlb + b.cal <= a.tlb + a.cal)
		fail("no inter-processor interrupt came");
	if (b.err)
		fail("%lu errors counted", b.err);
	pass("MSI +%lu, IO-APIC +%lu, local timers on %d CPUs, IPIs +%lu", b.msi - a.msi,
	     b.ioapic - a.ioapic, n, b.tlb + b.cal - a.tlb - a.cal);
}

/* Moves the serial interrupt to CPU 1 and back. */
static void irqmove(void)
{
	struct irqs a, b;

	if (cpu_count() < 2)
		skip("one CPU");
	a = read_irqs();
	if (spew("/proc/irq/4/smp_affinity", "2"))
		fail("cannot move interrupt 4: %s", strerror(errno));
	for (int i = 0; i < 6; i++) {
		info("text to send while interrupt 4 belongs to CPU 1 ..............................");
		tcdrain(1);
	}
	b = read_irqs();
	spew("/proc/irq/4/smp_affinity", "1");
	info("and after it went back");
	if (b.serial_cpu1 <= a.serial_cpu1)
		fail("interrupt 4 was not delivered to CPU 1");
	pass("interrupt 4 delivered to CPU 1 %lu times", b.serial_cpu1 - a.serial_cpu1);
}

/* --- memory --------------------------------------------------------------- */

/* limit_mib: RAM the root may see at most; 0 = any. Entries are printed for the host to check. */
static void memmap(unsigned long limit_mib)
{
	unsigned long long ram = 0;
	char path[PATH_MAX], s[64], e[64], type[64];
	int n = 0;

	for (;; n++) {
		snprintf(path, sizeof path, "/sys/firmware/memmap/%d/start", n);
		if (!slurp(path, s, sizeof s))
			break;
		snprintf(path, sizeof path, "/sys/firmware/memmap/%d/end", n);
		slurp(path, e, sizeof e);
		snprintf(path, sizeof path, "/sys/firmware/memmap/%d/type", n);
		slurp(path, type, sizeof type);
		type[strcspn(type, "\n")] = 0;
		if (!strcmp(type, "System RAM"))
			ram += strtoull(e, NULL, 16) - strtoull(s, NULL, 16) + 1;
		info("%#llx %#llx %s", strtoull(s, NULL, 16), strtoull(e, NULL, 16), type);
	}
	if (!n)
		fail("no /sys/firmware/memmap");
	if (limit_mib && ram > limit_mib * MIB)
		fail("%llu MiB of RAM, at most %lu allowed", ram / MIB, limit_mib);
	if (ram < 64 * MIB)
		fail("only %llu MiB of RAM", ram / MIB);
	pass("%llu KiB of RAM in %d ranges", ram / 1024, n);
}

/* --- what the root must not see ------------------------------------------- */

static void hidden_svm(void)
{
	static char text[1 << 16];
	uint64_t efer = 0, other;
	int fd;

	slurp("/proc/cpuinfo", text, sizeof text);
	if (matches("flags.*[ \t]svm( |$)",
		    strtok(strstr(text, "flags") ? strstr(text, "flags") : text, "\n")))
		fail("the root sees SVM in CPUID");
	if (!access("/sys/firmware/acpi/tables/IVRS", F_OK))
		fail("the root sees the IOMMU's ACPI table (IVRS)");
	fd = open("/dev/cpu/0/msr", O_RDONLY);
	if (fd < 0)
		fail("/dev/cpu/0/msr: %s", strerror(errno));
	if (pread(fd, &efer, 8, 0xc0000080) != 8)
		fail("EFER cannot be read: %s", strerror(errno));
	if (efer & 1 << 12)
		fail("EFER.SVME is set for the root");
	if (pread(fd, &other, 8, 0xc0010117) == 8)
		fail("VM_HSAVE_PA can be read: %#llx", (unsigned long long)other);
	close(fd);
	pass("no SVM in CPUID, no IVRS, EFER.SVME clear, VM_HSAVE_PA refused");
}

int main(int argc, char **argv)
{
	const char *cmd = argc > 1 ? argv[1] : "";
	const char *a1 = argc > 2 ? argv[2] : "", *a2 = argc > 3 ? argv[3] : "";

	if (getenv("RT_NAME"))
		rt_name = getenv("RT_NAME");
	else
		rt_name = cmd;
	if (!strcmp(cmd, "cpus"))
		cpus(atoi(a1));
	if (!strcmp(cmd, "offline"))
		offline();
	if (!strcmp(cmd, "disk"))
		disk(a1);
	if (!strcmp(cmd, "tcp"))
		tcp(a1, atoi(a2));
	if (!strcmp(cmd, "iface"))
		return iface(a1);
	if (!strcmp(cmd, "serial"))
		serial(atoi(a1));
	if (!strcmp(cmd, "pci"))
		pci(a1);
	if (!strcmp(cmd, "dmesg"))
		dmesg();
	if (!strcmp(cmd, "interrupts"))
		interrupts();
	if (!strcmp(cmd, "irqmove"))
		irqmove();
	if (!strcmp(cmd, "hidden-svm"))
		hidden_svm();
	if (!strcmp(cmd, "memmap"))
		memmap(strtoul(a1, NULL, 0));
	fail("no check of this name in roottest");
}
