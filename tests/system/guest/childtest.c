// SPDX-License-Identifier: MIT OR GPL-2.0
/*
 * Child partitions through redoubt.ko, as processes of the root use them. Run on Redoubt with a pool of 64 MiB or more:
 *   childtest args | memory | direct DISK | vp | channel | messages | storm | attest
 *   childtest measurement NUMBER: prints the launch measurement of this partition
 * The guest is a page of machine code at 0x1000, which runs in 64-bit mode with its first 16 MiB mapped.
 */
#define _GNU_SOURCE
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include "hv/root/ioctl.h"

#include "tests/system/guest/rt.h"

#define MIB (1ull << 20)
#define GUEST_BYTES (16 * MIB)
#define PATIENCE 10000 /* ms that anything may take on a busy machine */

#define WANT(condition) \
	((condition) ? (void)0 : fail("line %d: %s: errno %d", __LINE__, #condition, errno))
#define WANT_ERROR(call, error) WANT((call) == -1 && errno == (error))

static int device;

/* --- the guest --- */

#define MODE_PORTS \
	1ull /* IN 0x510, OUT what came to 0x511, until that was 3; then count at 0x8008 */
#define MODE_ECHO \
	2ull /* OUT 0x510 when ready; flag 7: signal 0x2007; a message: post it to connection 4 */

#define MODE_REPORT \
	3ull /* RedoubtGetOwnReport from 0x7000 to 0x8000, then OUT of its status to 0x510, for ever */

__asm__(".pushsection .rodata\n"
	"guest_code:\n"
	"	mov $0x40000000, %ecx; mov $1, %eax; mov $0x81000000, %edx; wrmsr\n" /* GUEST_OS_ID */
	"	cmp $1, %rdi; je 5f; cmp $3, %rdi; je 8f\n"
	"	mov $0x40000083, %ecx; mov $0x5001, %eax; xor %edx, %edx; wrmsr\n" /* SIMP */
	"	mov $0x40000082, %ecx; mov $0x6001, %eax; wrmsr\n"                 /* SIEFP */
	"	mov $0x40000092, %ecx; mov $0x40, %eax; wrmsr\n"                   /* SINT2 */
	"	mov $0x40000080, %ecx; mov $1, %eax; wrmsr\n"                      /* SCONTROL */
	"	mov $0x510, %edx; out %al, (%dx)\n"
	"1:	pause; lock btrl $7, 0x6200; jnc 2f\n"
	"	mov $0x1005d, %ecx; mov $0x2007, %edx; xor %r8d, %r8d; vmmcall\n" /* SignalEvent */
	"2:	cmpl $0, 0x5200; je 1b\n"
	"	movl $4, 0x7000; movl $0, 0x7004; movl $1, 0x7008; movl $8, 0x700c\n"
	"	mov 0x5210, %rax; mov %rax, 0x7010; xor %eax, %eax; xchg %eax, 0x5200\n"
	"	testb $1, 0x5205; jz 3f\n"
	"	mov $0x40000084, %ecx; xor %eax, %eax; xor %edx, %edx; wrmsr\n" /* EOM */
	"3:	mov $0x5c, %ecx; mov $0x7000, %edx; xor %r8d, %r8d; vmmcall\n"  /* PostMessage */
	"	cmp $19, %ax; je 3b\n"
	"	jmp 1b\n"
	"5:	xor %ebx, %ebx; mov $0x510, %edx\n"
	"6:	in (%dx), %al; mov $0x511, %edx; out %al, (%dx); dec %edx; inc %rbx; cmp $3, %al; jne 6b\n"
	"7:	incq 0x8008; jmp 7b\n"
	"8:	mov $0x8e14, %ecx; mov $0x7000, %edx; mov $0x8000, %r8d; vmmcall\n"
	"	mov $0x510, %edx; out %al, (%dx); jmp 8b\n"
	"guest_end:\n"
	".popsection\n");
extern const unsigned char guest_code[], guest_end[];

static int create(uint64_t mib, uint32_t vps)
{
	struct rd_create_partition q = { .memory_bytes = mib * MIB, .vp_count = vps };
	int fd = ioctl(device, RD_IOCTL_CREATE_PARTITION, &q);

	WANT(fd >= 0 && q.partition > 1);
	return fd;
}

static int create_vp(int partition, uint32_t index)
{
	struct rd_create_vp q = { .vp = index };
	int fd = ioctl(partition, RD_IOCTL_CREATE_VP, &q);

	WANT(fd >= 0);
	return fd;
}

static unsigned char *map_memory(int partition, uint64_t bytes)
{
	int fd = ioctl(partition, RD_IOCTL_MEMORY);
	unsigned char *memory;

	WANT(fd >= 0);
	memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	WANT(memory != MAP_FAILED);
	close(fd);
	return memory;
}

static int registers(int vp, unsigned long request, struct hv_register_assoc *list, uint32_t count)
{
	struct rd_regs q = { .count = count, .assoc = (uintptr_t)list };

	return ioctl(vp, request, &q);
}

static unsigned char *load_guest(int partition, int vp, uint64_t mode)
{
	const uint64_t code = 0xffffffffull | 0x10ull << 32 | 0xa09bull << 48;
	const uint64_t data = 0xffffffffull | 0x18ull << 32 | 0xc093ull << 48;
	struct hv_register_assoc list[] = {
		{ .name = HV_REG_RIP, .value.low = 0x1000 },
		{ .name = HV_REG_RAX + 7, .value.low = mode }, /* RDI */
		{ .name = HV_REG_RFLAGS, .value.low = 2 },
		{ .name = HV_REG_CR0, .value.low = 0x80000011 },
		{ .name = HV_REG_CR3, .value.low = 0x2000 },
		{ .name = HV_REG_CR4, .value.low = 0x20 },
		{ .name = HV_REG_EFER, .value.low = 0x500 },
		{ .name = HV_REG_CS, .value.high = code },
		{ .name = HV_REG_DS, .value.high = data },
		{ .name = HV_REG_ES, .value.high = data },
		{ .name = HV_REG_SS, .value.high = data },
	};
	struct rd_intercept_ports ports = { .first = 0x510, .last = 0x51f };
	unsigned char *memory = map_memory(partition, GUEST_BYTES);
	uint64_t *table = (uint64_t *)(memory + 0x2000);

	memcpy(memory + 0x1000, guest_code, guest_end - guest_code);
	table[0] = 0x3003;
	table[512] = 0x4003;
	for (uint64_t i = 0; i < GUEST_BYTES / (2 * MIB); i++)
		table[1024 + i] = i << 21 | 0x83;
	WANT(registers(vp, RD_IOCTL_SET_REGS, list, sizeof(list) / sizeof(*list)) == 0);
	WANT(ioctl(partition, RD_IOCTL_INTERCEPT_PORTS, &ports) == 0);
	return memory;
}

static int run(int vp, uint32_t flags, uint32_t length, uint64_t rax)
{
	struct rd_run q = { .flags = flags, .length = length, .rax = rax };

	return ioctl(vp, RD_IOCTL_RUN, &q);
}

static short ready(int fd, int ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, ms) == 1 ? p.revents : 0;
}

/* --- what is left --- */

static int partitions(void)
{
	struct rd_ioctl_partition_info q = { 0 };
	int count = 0;

	while (ioctl(device, RD_IOCTL_PARTITION_INFO, &q) == 0) {
		q.in.partition = q.out.partition + 1;
		count++;
	}
	WANT(errno == ENOENT);
	return count;
}

static void want_none_left(void)
{
	for (int i = 0; i < PATIENCE / 10 && partitions() != 0; i++)
		usleep(10000);
	WANT(partitions() == 0);
}

/* How many descriptors and others keep the module in place. */
static int module_users(void)
{
	FILE *f = fopen("/sys/module/redoubt/refcnt", "re");
	int users = -1;

	WANT(f && fscanf(f, "%d", &users) == 1);
	fclose(f);
	return users;
}

/* --- checks --- */

static void check_args(void)
{
	static const struct {
		struct rd_create_partition q;
		int error;
	} bad[] = {
		{ { .memory_bytes = 14 * MIB, .vp_count = 1 }, EINVAL },
		{ { .memory_bytes = 16 * MIB + 4096, .vp_count = 1 }, EINVAL },
		{ { .memory_bytes = ~0ull << 21, .vp_count = 1 }, ENOMEM },
		{ { .memory_bytes = 16 * MIB, .vp_count = 0 }, EINVAL },
		{ { .memory_bytes = 16 * MIB, .vp_count = HV_VP_MAX + 1 }, EINVAL },
		{ { .memory_bytes = 16 * MIB, .vp_count = 1, .weight = 1001 }, EINVAL },
	};
	struct rd_create_channel channel = { .connection = 1u << 24, .sint = 2 };
	struct rd_create_message message = { { 0 } };
	struct rd_intercept_ports ports = { .first = 2, .last = 1 };
	struct rd_create_vp vp = { .vp = 1 };
	struct rd_post post = { .sint = 2, .message = { .type = 1, .payload_size = 8 } };
	int p, v, users;

	for (unsigned i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		struct rd_create_partition q = bad[i].q;

		if (ioctl(device, RD_IOCTL_CREATE_PARTITION, &q) != -1 || errno != bad[i].error)
			fail("bad partition %u: errno %d", i, errno);
	}
	WANT_ERROR(ioctl(device, RD_IOCTL_MEMORY), ENOTTY);
	users = module_users();
	p = create(16, 1);
	WANT(module_users() == users + 1);
	WANT(fcntl(p, F_GETFD) & FD_CLOEXEC);
	WANT_ERROR(ioctl(p, RD_IOCTL_RUN), ENOTTY);
	WANT_ERROR(ioctl(p, RD_IOCTL_CREATE_VP, &vp), EINVAL);
	WANT_ERROR(ioctl(p, RD_IOCTL_CREATE_CHANNEL, &channel), EINVAL);
	channel.connection = 1;
	channel.flag = HV_EVENT_FLAGS;
	WANT_ERROR(ioctl(p, RD_IOCTL_CREATE_CHANNEL, &channel), EINVAL);
	WANT_ERROR(ioctl(p, RD_IOCTL_CREATE_MESSAGE, &message), EINVAL);
	WANT_ERROR(ioctl(p, RD_IOCTL_INTERCEPT_PORTS, &ports), EINVAL);
	ports = (struct rd_intercept_ports){ .first = 1, .last = 2, .reserved = 1 };
	WANT_ERROR(ioctl(p, RD_IOCTL_INTERCEPT_PORTS, &ports), EINVAL);
	ports = (struct rd_intercept_ports){ .first = 1, .last = 2, .how = 0x80 };
	WANT_ERROR(ioctl(p, RD_IOCTL_INTERCEPT_PORTS, &ports), EINVAL);
	ports = (struct rd_intercept_ports){ .last = 2, .how = RD_PORTS_TRACE };
	WANT_ERROR(ioctl(p, RD_IOCTL_INTERCEPT_PORTS, &ports), EINVAL);
	ports = (struct rd_intercept_ports){ .how = RD_PORTS_TRACE, .value = 2 };
	WANT_ERROR(ioctl(p, RD_IOCTL_INTERCEPT_PORTS, &ports), EINVAL);
	ports = (struct rd_intercept_ports){ .how = RD_PORTS_TRACE | RD_PORTS_POSTED_WRITE };
	WANT_ERROR(ioctl(p, RD_IOCTL_INTERCEPT_PORTS, &ports), EINVAL);
	WANT_ERROR(ioctl(p, RD_IOCTL_POST, NULL), EFAULT);
	vp.vp = 0;
	v = ioctl(p, RD_IOCTL_CREATE_VP, &vp);
	WANT(v >= 0);
	WANT(module_users() == users + 2);
	WANT(ioctl(p, RD_IOCTL_POST, &post) == 0);
	post.message.flags = 1;
	WANT_ERROR(ioctl(p, RD_IOCTL_POST, &post), EINVAL);
	post.message.flags = 0;
	post.vp = 1;
	WANT_ERROR(ioctl(p, RD_IOCTL_POST, &post), EINVAL);
	close(v);
	WANT(ioctl(p, RD_IOCTL_STOP) == 0);
	WANT_ERROR(ioctl(p, RD_IOCTL_CREATE_VP, &vp), ENODEV);
	WANT_ERROR(ioctl(p, RD_IOCTL_MEMORY), ENODEV);
	close(p);
	want_none_left();
	pass("wrong requests are refused");
}

static bool child_faults(const volatile unsigned char *at)
{
	int status = 0;
	pid_t pid = fork();

	if (pid == 0) {
		signal(SIGSEGV, SIG_DFL);
		(void)*at;
		_exit(0);
	}
	WANT(waitpid(pid, &status, 0) == pid);
	return WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV;
}

static void check_memory(void)
{
	const size_t bytes = 32 * MIB;
	int p = create(32, 1), m = ioctl(p, RD_IOCTL_MEMORY);
	unsigned char *a, *b;

	WANT(m >= 0);
	WANT(mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, m, 0) == MAP_FAILED && errno == EINVAL);
	WANT(mmap(NULL, 4096, PROT_EXEC, MAP_SHARED, m, 0) == MAP_FAILED && errno == EPERM);
	WANT(mmap(NULL, 8192, PROT_READ, MAP_SHARED, m, bytes - 4096) == MAP_FAILED);
	a = map_memory(p, bytes);
	b = mmap(NULL, 4096, PROT_READ, MAP_SHARED, m, bytes - 4096);
	WANT(b != MAP_FAILED);
	WANT_ERROR(mprotect(a, 4096, PROT_READ | PROT_EXEC), EACCES);
	WANT(mremap(a, bytes, 2 * bytes, MREMAP_MAYMOVE) == MAP_FAILED);
	for (size_t i = 0; i < bytes; i += 4096) {
		if (*(uint64_t *)(a + i) != 0)
			fail("memory at %zx is not zero", i);
		*(uint64_t *)(a + i) = i + 1;
	}
	WANT(madvise(a, bytes, MADV_DONTNEED) == 0);
	for (size_t i = 0; i < bytes; i += 4096)
		if (*(uint64_t *)(a + i) != i + 1)
			fail("memory at %zx differs", i);
	WANT(*(uint64_t *)b == bytes - 4096 + 1);
	WANT(child_faults(a));
	close(m);
	close(p);
	munmap(a, bytes);
	usleep(50000);
	WANT(partitions() == 1); /* one mapping is left: the page is still the guest's */
	WANT(*(uint64_t *)b == bytes - 4096 + 1);
	munmap(b, 4096);
	want_none_left();
	p = create(32, 1);
	a = map_memory(p, bytes);
	for (size_t i = 0; i < bytes; i += 4096)
		if (*(uint64_t *)(a + i) != 0)
			fail("the next partition finds memory of the last one at %zx", i);
	pass("shared, never executable, not inherited, zeroed, kept while mapped");
}

/* O_DIRECT on guest memory; and what is in flight or in a pipe keeps the memory. */
static void check_direct(const char *disk)
{
	int fd = open(disk, O_RDWR | O_DIRECT), p = create(32, 1), pipes[2], status;
	unsigned char *a = map_memory(p, 32 * MIB), copy[4096];
	struct iovec page = { a + 4096, 4096 };
	pid_t pid;

	WANT(fd >= 0);
	for (size_t i = 0; i < 4 * MIB; i++)
		a[i] = i * 7 + (i >> 12);
	WANT(pwrite(fd, a, 4 * MIB, 0) == 4 * MIB);
	WANT(pread(fd, a + 8 * MIB, 4 * MIB, 0) == 4 * MIB);
	WANT(memcmp(a, a + 8 * MIB, 4 * MIB) == 0);
	WANT(pipe(pipes) == 0 && vmsplice(pipes[1], &page, 1, SPLICE_F_GIFT) == 4096);
	munmap(a, 32 * MIB);
	close(p);
	usleep(200000);
	WANT(partitions() == 1);
	WANT(read(pipes[0], copy, sizeof(copy)) == sizeof(copy));
	WANT(copy[5] == (unsigned char)((4096 + 5) * 7 + 1));
	want_none_left();
	pid = fork();
	if (pid == 0) {
		p = create(32, 1);
		a = map_memory(p, 32 * MIB);
		while (pread(fd, a, 32 * MIB, 0) > 0)
			;
		_exit(1);
	}
	usleep(400000);
	kill(pid, SIGKILL);
	WANT(waitpid(pid, &status, 0) == pid && WIFSIGNALED(status));
	want_none_left();
	pass("direct I/O, a pipe, and a process killed in the midst of it");
}

static void step_ports(int vp, const struct hv_message *message, int rounds)
{
	const struct hv_io_port_intercept *io = (const void *)message->payload;

	for (int i = 0; i < rounds; i++) {
		uint64_t value = i + 1 < rounds ? 0x50 : 3;

		WANT(ready(vp, PATIENCE) == POLLIN && message->type == HV_MESSAGE_IO_PORT);
		WANT(io->port == 0x510 && io->header.access == 0);
		WANT(run(vp, RD_RUN_RAX, io->header.length, value) == 0);
		WANT(ready(vp, PATIENCE) == POLLIN);
		WANT(io->port == 0x511 && io->header.access == 1 && (io->rax & 0xff) == value);
		if (i + 1 < rounds)
			WANT(run(vp, 0, io->header.length, 0) == 0);
	}
}

/* Without a time limit: poll() looks again when one ends, and would find what nobody told it. */
static void *blocked_poll(void *fd)
{
	return (void *)(intptr_t)ready(*(int *)fd, -1);
}

static void *join_soon(pthread_t thread)
{
	struct timespec limit;
	void *result;

	WANT(clock_gettime(CLOCK_REALTIME, &limit) == 0);
	limit.tv_sec += PATIENCE / 1000;
	errno = pthread_timedjoin_np(thread, &result, &limit);
	WANT(errno == 0);
	return result;
}

static void check_vp(void)
{
	const int rounds = 1000;
	int p = create(16, 2), vp = create_vp(p, 0), second = create_vp(p, 1);
	struct hv_message *message = mmap(NULL, 4096, PROT_READ, MAP_SHARED, vp, 0);
	struct hv_register_assoc list[] = { { .name = HV_REG_RAX + 3 }, { .name = HV_REG_CR3 } };
	struct hv_register_assoc suspend = { .name = HV_REG_INTERCEPT_SUSPEND };
	struct rd_create_vp again = { .vp = 0 };
	volatile uint64_t *counter;
	unsigned char *memory;
	pthread_t reader;
	uint64_t seen;

	WANT(message != MAP_FAILED);
	WANT_ERROR(mprotect(message, 4096, PROT_READ | PROT_WRITE), EACCES);
	WANT_ERROR(ioctl(p, RD_IOCTL_CREATE_VP, &again), EEXIST);
	memory = load_guest(p, vp, MODE_PORTS);
	WANT_ERROR(run(second, 0, 0, 0), EBUSY); /* the guest starts it */
	WANT_ERROR(run(vp, 0, 1, 0), EINVAL);
	WANT_ERROR(registers(vp, RD_IOCTL_SET_REGS, &suspend, 1), EINVAL);
	WANT(ready(vp, 0) == 0);
	WANT(run(vp, 0, 0, 0) == 0);
	step_ports(vp, message, rounds);
	WANT(registers(vp, RD_IOCTL_GET_REGS, list, 2) == 0);
	WANT(list[0].value.low == (uint64_t)rounds - 1 && list[1].value.low == 0x2000);
	WANT(run(vp, 0, 1, 0) == 0);
	counter = (volatile uint64_t *)(memory + 0x8008);
	for (int i = 0; i < PATIENCE / 10 && *counter == 0; i++)
		usleep(10000);
	WANT_ERROR(run(vp, 0, 1, 0), EBUSY);
	WANT_ERROR(registers(vp, RD_IOCTL_GET_REGS, list, 2), EBUSY);
	WANT(ready(vp, 0) == 0);
	WANT(pthread_create(&reader, NULL, blocked_poll, &vp) == 0);
	usleep(200000); /* it waits by then */
	WANT(ioctl(p, RD_IOCTL_STOP) == 0);
	WANT(join_soon(reader) == (void *)POLLHUP);
	seen = *counter;
	usleep(100000);
	WANT(seen != 0 && *counter == seen);
	WANT(ready(vp, 0) == POLLHUP);
	WANT_ERROR(run(vp, 0, 0, 0), ENODEV);
	munmap(memory, GUEST_BYTES);
	close(p);
	want_none_left();
	WANT(message->type == HV_MESSAGE_NONE); /* the page is still ours to read */
	pass("%d intercepts, registers, stop", 2 * rounds);
}

/* A guest in MODE_ECHO that is ready. */
static unsigned char *start_echo(int partition, int vp)
{
	unsigned char *memory = load_guest(partition, vp, MODE_ECHO);

	WANT(run(vp, 0, 0, 0) == 0);
	WANT(ready(vp, PATIENCE) == POLLIN);
	WANT(run(vp, 0, 1, 0) == 0);
	return memory;
}

static void *blocked_read(void *fd)
{
	char buffer[sizeof(struct hv_message)];

	return (void *)(intptr_t)(read(*(int *)fd, buffer, sizeof(buffer)) < 0 ? -errno : 0);
}

static void check_channel(void)
{
	const int rounds = 1000;
	struct rd_create_channel q = { .connection = 0x2007, .sint = 2, .flag = 7 };
	int p = create(16, 1), vp = create_vp(p, 0), c = ioctl(p, RD_IOCTL_CREATE_CHANNEL, &q);
	struct rd_set_target target = { .vp = 1 };
	pthread_t thread;
	void *result;
	uint64_t n = 1;

	WANT(c >= 0);
	WANT_ERROR(ioctl(p, RD_IOCTL_CREATE_CHANNEL, &q), EEXIST);
	WANT_ERROR(ioctl(c, RD_IOCTL_SET_TARGET, &target), EINVAL);
	WANT(write(c, &n, 8) == 8); /* nobody listens yet */
	munmap(start_echo(p, vp), GUEST_BYTES);
	WANT(fcntl(c, F_SETFL, O_NONBLOCK | O_RDWR) == 0);
	for (int i = 0; i < rounds; i++) {
		WANT(write(c, &n, 8) == 8);
		WANT(ready(c, PATIENCE) == POLLIN);
		WANT(read(c, &n, 8) == 8 && n == 1);
	}
	WANT_ERROR(read(c, &n, 8), EAGAIN);
	WANT_ERROR(read(c, &n, 4), EINVAL);
	WANT(fcntl(c, F_SETFL, O_RDWR) == 0);
	WANT(pthread_create(&thread, NULL, blocked_read, &c) == 0);
	usleep(100000);
	close(p);
	WANT(pthread_join(thread, &result) == 0 && (intptr_t)result == -ENODEV);
	WANT(ready(c, 0) == POLLHUP);
	WANT_ERROR(write(c, &n, 8), ENODEV);
	want_none_left();
	pass("%d signals there and back", rounds);
}

static int receive_all(int fd, int got)
{
	struct hv_message message;

	while (read(fd, &message, sizeof(message)) == sizeof(message)) {
		WANT(message.type == 1 && message.payload_size == 8);
		WANT(*(uint64_t *)message.payload == (uint64_t)got);
		got++;
	}
	WANT(errno == EAGAIN);
	return got;
}

static void check_messages(void)
{
	const int rounds = 1000;
	struct rd_create_message q = { { 1, 0, 0, 4 } }, taken = { { 9, 4, 0, 0 } };
	struct rd_post post = { .sint = 2, .message = { .type = 1, .payload_size = 8 } };
	int p = create(16, 1), vp = create_vp(p, 0), m = ioctl(p, RD_IOCTL_CREATE_MESSAGE, &q);
	int sent = 0, got = 0, full = 0;

	WANT(m >= 0);
	WANT_ERROR(ioctl(p, RD_IOCTL_CREATE_MESSAGE, &taken), EEXIST);
	taken.connection[1] = 0; /* 9 was given back */
	WANT(close(ioctl(p, RD_IOCTL_CREATE_MESSAGE, &taken)) == 0);
	WANT(fcntl(m, F_SETFL, O_NONBLOCK | O_RDWR) == 0);
	munmap(start_echo(p, vp), GUEST_BYTES);
	while (got < rounds) {
		*(uint64_t *)post.message.payload = sent;
		while (sent < rounds && ioctl(p, RD_IOCTL_POST, &post) == 0)
			*(uint64_t *)post.message.payload = ++sent;
		WANT(sent == rounds || errno == EAGAIN);
		full += sent < rounds;
		WANT(ready(m, PATIENCE) == POLLIN);
		got = receive_all(m, got);
	}
	WANT(ready(m, 0) == 0);
	post.message.payload_size = HV_MESSAGE_PAYLOAD + 1;
	WANT_ERROR(ioctl(p, RD_IOCTL_POST, &post), EINVAL);
	close(p);
	WANT(ready(m, 0) == POLLHUP);
	want_none_left();
	pass("%d messages there and back in order, queue full %d times", rounds, full);
}

static atomic_bool storm_over;

static void *storm(void *partition)
{
	struct rd_create_channel q = { .sint = 2, .flag = 1 };
	uint64_t n = 1;

	for (uint32_t i = 0; !storm_over; i++) {
		int c;

		q.connection = 0x100 + i % 4;
		c = ioctl(*(int *)partition, RD_IOCTL_CREATE_CHANNEL, &q);
		if (c < 0)
			continue;
		fcntl(c, F_SETFL, O_NONBLOCK | O_RDWR);
		if (write(c, &n, 8) == 8 && read(c, &n, 8) == 8)
			fail("a signal from nobody");
		close(c);
	}
	return NULL;
}

/* Channels come and go on three threads while the partition ends. */
static void check_storm(void)
{
	const int rounds = 10;

	for (int i = 0; i < rounds; i++) {
		int p = create(16, 1), vp = create_vp(p, 0);
		pthread_t thread[3];

		storm_over = false;
		for (int t = 0; t < 3; t++)
			WANT(pthread_create(&thread[t], NULL, storm, &p) == 0);
		usleep(60000);
		WANT(ioctl(p, RD_IOCTL_STOP) == 0);
		storm_over = true;
		for (int t = 0; t < 3; t++)
			WANT(pthread_join(thread[t], NULL) == 0);
		close(p);
		close(vp);
	}
	want_none_left();
	pass("%d partitions ended under load", rounds);
}

static struct rd_measurement measurement(uint64_t partition)
{
	struct rd_ioctl_measurement q = { .in = { .partition = partition } };

	WANT(ioctl(device, RD_IOCTL_GET_MEASUREMENT, &q) == 0);
	return q.out;
}

static void print_measurement(uint64_t partition)
{
	struct rd_measurement m = measurement(partition);

	for (size_t i = 0; i < sizeof(m.digest); i++)
		printf("%02x", m.digest[i]);
	printf(" %s %llu pages\n", m.sealed ? "sealed" : "open", (unsigned long long)m.pages);
	exit(0);
}

/* The token has what was asked for: the text may stand anywhere in it. */
static void want_in(const struct rd_report *r, const void *bytes, size_t n)
{
	WANT(r->size > 400 && r->size <= sizeof(r->token) && memmem(r->token, r->size, bytes, n));
}

/* One guest that is measured: another one, loaded otherwise, has another value; and each gets its own token, until it has had enough. */
static void check_attest(void)
{
	struct rd_create_partition create_request = { .memory_bytes = GUEST_BYTES, .vp_count = 1 };
	struct rd_measure range = { .gpa = 0x1000, .bytes = 0x4000 };
	struct rd_seal seal = { .svn = 7, .disks = 1 };
	struct rd_get_own_report *q;
	struct rd_report *token;
	struct rd_ioctl_report asked = { .in = { .nonce_size = 32,
						 .nonce = "the root asks for it, with nonce" } };
	struct rd_ioctl_report_key key;
	struct rd_measurement m[2];
	unsigned char *memory = NULL;
	struct hv_message *message = NULL;
	const struct hv_io_port_intercept *io = NULL;
	int p, vp = -1, made = 0;

	for (int i = 0; i < 2; i++) {
		p = ioctl(device, RD_IOCTL_CREATE_PARTITION, &create_request);
		WANT(p >= 0);
		vp = create_vp(p, 0);
		memory = load_guest(p, vp, MODE_REPORT);
		memory[0x3fff] = i;
		message = mmap(NULL, 4096, PROT_READ, MAP_SHARED, vp, 0);
		WANT(message != MAP_FAILED);
		range.gpa = 0x1001;
		WANT_ERROR(ioctl(p, RD_IOCTL_MEASURE, &range), EINVAL);
		range.gpa = GUEST_BYTES - 0x1000;
		WANT_ERROR(ioctl(p, RD_IOCTL_MEASURE, &range), EINVAL);
		asked.in.partition = create_request.partition;
		WANT_ERROR(ioctl(device, RD_IOCTL_GET_REPORT, &asked), EBUSY);
	}
	/* The last page of the range above was measured before the refusal: this one starts clean. */
	p = ioctl(device, RD_IOCTL_CREATE_PARTITION, &create_request);
	WANT(p >= 0);
	vp = create_vp(p, 0);
	memory = load_guest(p, vp, MODE_REPORT);
	message = mmap(NULL, 4096, PROT_READ, MAP_SHARED, vp, 0);
	WANT(message != MAP_FAILED);
	range.gpa = 0x1000;
	WANT(ioctl(p, RD_IOCTL_MEASURE, &range) == 0);
	m[0] = measurement(create_request.partition);
	WANT(!m[0].sealed && m[0].pages == 4);
	WANT(ioctl(p, RD_IOCTL_SEAL, &seal) == 0);
	WANT_ERROR(ioctl(p, RD_IOCTL_SEAL, &seal), EBUSY);
	WANT_ERROR(ioctl(p, RD_IOCTL_MEASURE, &range), EBUSY);
	m[1] = measurement(create_request.partition);
	WANT(m[1].sealed && memcmp(m[0].digest, m[1].digest, 48) != 0);
	q = (void *)(memory + 0x7000);
	token = (void *)(memory + 0x8000);
	*q = (struct rd_get_own_report){ .nonce_size = 16,
					 .nonce = "nonce of a guest",
					 .report_data = "and its own words, up to 64 bytes" };
	WANT(run(vp, 0, 0, 0) == 0);
	io = (const void *)message->payload;
	for (;; made++) {
		WANT(ready(vp, PATIENCE) == POLLIN && message->type == HV_MESSAGE_IO_PORT &&
		     io->port == 0x510);
		if ((io->rax & 0xff) != 0)
			break;
		want_in(token, q->nonce, 16);
		want_in(token, q->report_data, 64);
		want_in(token, m[1].digest, 48);
		want_in(token, m[1].instance, 16);
		WANT(made < 100);
		q->nonce[0]++;
		memset(token, 0, sizeof(*token));
		WANT(run(vp, 0, io->header.length, 0) == 0);
	}
	WANT((io->rax & 0xff) == HV_STATUS_NO_RESOURCES && made >= 8);
	asked.in.partition = create_request.partition;
	WANT(ioctl(device, RD_IOCTL_GET_REPORT, &asked) == 0);
	want_in(&asked.out, asked.in.nonce, 32);
	want_in(&asked.out, m[1].digest, 48);
	WANT(ioctl(device, RD_IOCTL_GET_REPORT_KEY, &key) == 0 && key.out.size == 107);
	want_in(&asked.out, key.out.bootseed, 32);
	asked.in.nonce_size = 15;
	WANT_ERROR(ioctl(device, RD_IOCTL_GET_REPORT, &asked), EINVAL);
	pass("%d tokens by hypercall, then no more; one for the root", made);
}

int main(int argc, char **argv)
{
	const char *name = argc > 1 ? argv[1] : "";

	rt_name = getenv("RT_NAME") ? getenv("RT_NAME") : name;
	device = open(RD_DEVICE, O_RDWR | O_CLOEXEC);
	if (device < 0)
		fail("%s: %s", RD_DEVICE, strerror(errno));
	if (!strcmp(name, "args"))
		check_args();
	if (!strcmp(name, "memory"))
		check_memory();
	if (!strcmp(name, "direct") && argc == 3)
		check_direct(argv[2]);
	if (!strcmp(name, "vp"))
		check_vp();
	if (!strcmp(name, "channel"))
		check_channel();
	if (!strcmp(name, "messages"))
		check_messages();
	if (!strcmp(name, "storm"))
		check_storm();
	if (!strcmp(name, "attest"))
		check_attest();
	if (!strcmp(name, "measurement") && argc == 3)
		print_measurement(strtoull(argv[2], NULL, 0));
	fail("usage: childtest args | memory | direct DISK | vp | channel | messages | storm | attest | measurement NUMBER");
}
