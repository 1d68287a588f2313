// SPDX-License-Identifier: MIT
#include "tests/unit/wire/wire_test.h"
#include "tests/unit/vmworker/fake.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <unistd.h>

#define STEPS_MAX 20000

struct fake fake;
static struct ipc_message received;
static struct pm_status_worker status;
static bool have_status;
static bool posted_told;
static void *keep[64];
static unsigned kept;

static int refused(int error)
{
	errno = error;
	return -1;
}

static int run(int fd, const struct rd_run *request)
{
	uint64_t count;

	fake.run = *request;
	fake.runs++;
	if (fake.run_error != 0) {
		return refused(fake.run_error);
	}
	for (unsigned i = 0; i < fake.w.vp_count; i++) {
		if (fake.w.vp[i].fd == fd) {
			assert_int_equal(syscall(SYS_read, fd, &count, 8), 8); /* it waited */
			fake.page[i].type = HV_MESSAGE_NONE;
		}
	}
	return 0;
}

static int ports(const struct rd_intercept_ports *q)
{
	if (fake.ports_error != 0) {
		return refused(fake.ports_error);
	}
	if (q->how == RD_PORTS_TRACE) {
		assert_true(q->first == 0 && q->last == 0 && q->reserved == 0 && q->value <= 1);
		fake.traced = q->value;
		fake.trace_calls++;
		return 0;
	}
	assert_true(q->first == q->last && (q->first == 0x3f8 || q->first == 0x3fd));
	*(q->first == 0x3f8 ? &fake.data : &fake.status) = *q;
	fake.port_calls++;
	return 0;
}

/* VP 0's descriptor gives what was posted. */
ssize_t read(int fd, void *to, size_t size)
{
	struct hv_posted *r = &fake.posted;
	size_t n = 0;

	if (fake.w.vp_count == 0 || fd != fake.w.vp[0].fd) {
		return syscall(SYS_read, fd, to, size);
	}
	while (n < size / sizeof(r->entry[0]) && r->consumer != r->producer) {
		memcpy((uint8_t *)to + n++ * sizeof(r->entry[0]),
		       &r->entry[r->consumer++ % HV_POSTED_ENTRIES], sizeof(r->entry[0]));
	}
	return n != 0 ? (ssize_t)(n * sizeof(r->entry[0])) : refused(EAGAIN);
}

int ioctl(int fd, unsigned long request, ...)
{
	__builtin_va_list list;
	const void *argument;

	__builtin_va_start(list, request);
	argument = __builtin_va_arg(list, const void *);
	__builtin_va_end(list);
	switch (request) {
	case RD_IOCTL_RUN:
		return run(fd, argument);
	case RD_IOCTL_INTERCEPT_PORTS:
		return ports(argument);
	case RD_IOCTL_STOP:
		assert_int_equal(fd, fake.w.partition);
		fake.stops++;
		return 0;
	case RD_IOCTL_POST:
		if (fake.post_errors != 0) {
			fake.post_errors--;
			return refused(fake.post_error);
		}
		assert_true(fake.posts < FAKE_POSTS);
		memcpy(&fake.post[fake.posts++], argument, sizeof(struct rd_post));
		return 0;
	case RD_IOCTL_CREATE_CHANNEL:
		if (fake.channel_error != 0) {
			return refused(fake.channel_error);
		}
		assert_true(fake.channels < FAKE_CHANNELS);
		memcpy(&fake.channel[fake.channels++], argument, sizeof(struct rd_create_channel));
		return eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	case RD_IOCTL_SET_TARGET:
		memcpy(&fake.target, argument, sizeof(fake.target));
		fake.targets++;
		return 0;
	default:
		fail_msg("ioctl %#lx", request);
		return -1;
	}
}

int epoll_wait(int fd, struct epoll_event *events, int max, int timeout)
{
	long n;

	if (++fake.steps > STEPS_MAX) {
		fail_msg("the loop does not come to an end");
	}
	fake.step();
	if (posted_told && max > 0) {
		posted_told = false;
		events[0] = (struct epoll_event){ .events = EPOLLPRI, .data.u32 = KIND_VP << 8 };
		return 1;
	}
	/* Nothing but the test makes events: a wait for ever would be one for nothing. */
	n = syscall(SYS_epoll_pwait, fd, events, max, timeout < 0 ? 3000 : timeout, NULL, 8);
	if (n == 0 && timeout < 0) {
		fail_msg("the worker waits for something that does not come");
	}
	return (int)n;
}

static void pair(int type, int *ours, int *theirs)
{
	int fd[2];

	assert_int_equal(socketpair(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fd), 0);
	*ours = fd[0];
	*theirs = fd[1];
}

/* Out of the way of IPC_CONTROL_FD. */
static int moved(int fd)
{
	int new = fcntl(fd, F_DUPFD_CLOEXEC, 16);

	assert_true(new >= 0);
	(void)close(fd);
	return new;
}

void fake_start(unsigned vps)
{
	struct worker *w = &fake.w;
	int control, console, message;

	memset(&fake, 0, sizeof(fake));
	have_status = false;
	posted_told = false;
	w->posted = &fake.posted;
	pair(SOCK_SEQPACKET, &fake.manager, &control);
	fake.manager = moved(fake.manager);
	control = moved(control);
	assert_int_equal(dup2(control, IPC_CONTROL_FD), IPC_CONTROL_FD);
	(void)close(control);
	pair(SOCK_STREAM, &fake.console, &console);
	pair(SOCK_SEQPACKET, &fake.message, &message);
	w->partition = eventfd(0, EFD_CLOEXEC);
	w->epoll = epoll_create1(EPOLL_CLOEXEC);
	w->timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	w->message = message;
	w->vp_count = vps;
	w->m = calloc(1, sizeof(*w->m));
	assert_non_null(w->m);
	ports_init(&w->ports);
	worker_quick(w);
	console_init(&w->console, console);
	for (unsigned i = 0; i < vps; i++) {
		w->vp[i].fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		w->vp[i].page = &fake.page[i];
		worker_watch(w, EPOLL_CTL_ADD, w->vp[i].fd, KIND_VP, i, EPOLLIN);
	}
	worker_watch(w, EPOLL_CTL_ADD, console, KIND_CONSOLE, 0, EPOLLIN);
	w->console_watched = EPOLLIN;
	worker_watch(w, EPOLL_CTL_ADD, IPC_CONTROL_FD, KIND_CONTROL, 0, EPOLLIN);
}

void fake_end(void)
{
	struct worker *w = &fake.w;

	for (unsigned i = 0; i < w->vp_count; i++) {
		(void)close(w->vp[i].fd);
	}
	(void)close(w->epoll);
	(void)close(w->timer);
	(void)close(w->partition);
	(void)close(w->message);
	(void)close(w->console.fd);
	(void)close(fake.message);
	(void)close(fake.console);
	(void)close(fake.manager);
	ipc_drop_fds(w->m);
	free(w->m);
	assert_true(kept < sizeof(keep) / sizeof(keep[0]));
	keep[kept++] = w->vmbus; /* a worker frees nothing: its end is the process's */
	(void)close(IPC_CONTROL_FD);
}

void fake_loop(void (*step)(void))
{
	fake.step = step;
	worker_loop(&fake.w);
}

void fake_stop(void)
{
	struct pm_plain stop = { { 0, 0 } };

	assert_int_equal(ipc_send(fake.manager, PM_STOP, &stop, sizeof(stop), NULL, 0), 0);
}

void fake_intercept(unsigned vp, uint32_t type, const void *payload, uint32_t size)
{
	struct hv_message *m = &fake.page[vp];
	uint64_t one = 1;

	assert_int_equal(m->type, HV_MESSAGE_NONE);
	memset(m, 0, sizeof(*m));
	m->type = type;
	m->payload_size = (uint8_t)size;
	memcpy(m->payload, payload, size);
	assert_int_equal(write(fake.w.vp[vp].fd, &one, 8), 8);
}

void fake_port(unsigned vp, bool write, uint16_t port, uint64_t rax)
{
	struct hv_io_port_intercept a;

	memset(&a, 0, sizeof(a));
	a.header.vp = vp;
	a.header.length = 1;
	a.header.access = write;
	a.header.rip = 0xffffffff81000000ull;
	a.port = port;
	a.access_info = 1;
	a.rax = rax;
	fake_intercept(vp, HV_MESSAGE_IO_PORT, &a, sizeof(a));
}

void fake_posted(uint8_t value)
{
	struct hv_posted *r = &fake.posted;

	assert_true(fake.data.how == RD_PORTS_POSTED_WRITE);
	assert_true(r->producer - r->consumer < HV_POSTED_ENTRIES);
	r->entry[r->producer++ % HV_POSTED_ENTRIES] =
		(struct hv_posted_write){ .port = 0x3f8, .size = 1, .value = value };
}

void fake_posted_told(void)
{
	posted_told = true;
}

bool fake_waits(unsigned vp)
{
	return fake.page[vp].type != HV_MESSAGE_NONE;
}

void fake_guest_says(const void *payload, uint32_t size)
{
	struct hv_message m;

	memset(&m, 0, sizeof(m));
	m.type = 1;
	m.payload_size = (uint8_t)size;
	memcpy(m.payload, payload, size);
	assert_int_equal(send(fake.message, &m, sizeof(m), 0), sizeof(m));
}

const struct pm_status_worker *fake_status(void)
{
	while (ipc_receive(fake.manager, &received) > 0) {
		assert_int_equal(received.type, PM_STATUS_WORKER);
		assert_false(have_status); /* one is enough */
		status = received.status_worker;
		have_status = true;
	}
	return have_status ? &status : NULL;
}

uint32_t fake_console(char *to, uint32_t room)
{
	ssize_t n = recv(fake.console, to, room, MSG_DONTWAIT);

	return n > 0 ? (uint32_t)n : 0;
}
