// SPDX-License-Identifier: MIT
/*
 * The worker of a machine behind its sandbox: the loop, intercepts, ports, console, and the glue of its VMBus server. Input: a script of
 * what the guest, redoubt.ko, the device processes, the console and the manager do; system calls that fail are among it. All descriptors
 * are this file's. Checked: a VP that stopped is run again exactly once, with no bits of RAX that its instruction does not write, unless
 * the guest is over; then nobody hears anything but the manager; messages are well-formed; descriptors are closed once.
 */
#include "fuzz/worker_world.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

FUZZ_QUIET_BEGIN

/* ---- epoll, which is where the script goes on ---- */

int epoll_ctl(int epoll, int op, int fd, struct epoll_event *e)
{
	bool control = fd == IPC_CONTROL_FD;
	bool *used = control ? &watched_control.used : &watched[fd - FD_FIRST].used;

	ORACLE(epoll == FD_EPOLL && (control || is_open[fd - FD_FIRST]), "another descriptor");
	ORACLE(*used == (op != EPOLL_CTL_ADD), "a descriptor is watched twice, or was not");
	*used = op != EPOLL_CTL_DEL;
	oracle_said_number((uint64_t)op << 32 | e->events);
	if (control) {
		watched_control.data = e->data.u32;
	} else {
		watched[fd - FD_FIRST].events = e->events;
		watched[fd - FD_FIRST].data = e->data.u32;
	}
	return 0;
}

/* A channel's descriptor is open for as long as the channel has its number. */
static void check_channels(void)
{
	const struct glue_front *glue = (const void *)w.vmbus;

	for (unsigned i = FD_FREE - FD_FIRST; i < FD_END - FD_FIRST && channel_count != 0; i++) {
		ORACLE(channel[i] == 0 || glue->server.channel[channel[i] - 1].device_state !=
						  VMBUS_DEVICE_NONE,
		       "the descriptor of a channel that is gone");
	}
}

static void check_round(void)
{
	check_channels();
	for (unsigned i = 0; i < VPS; i++) {
		ORACLE(!waits[i] || halted[i] || w.ended, "a VP that stopped is forgotten");
	}
	/* EPOLLHUP cannot be masked: the loop would turn without end. */
	ORACLE(!watched[FD_CONSOLE - FD_FIRST].used || watched[FD_CONSOLE - FD_FIRST].events != 0,
	       "a stream is watched for nothing but its end");
	ORACLE(w.console.count <= CONSOLE_OUT_BYTES && w.console.head < CONSOLE_OUT_BYTES,
	       "the console's buffer");
	ORACLE(posted.consumer == posted.producer || w.ended || !watched[FD_VP - FD_FIRST].used,
	       "posted writes are forgotten");
}

/* Enters the event where it is watched for. */
static int tell(struct epoll_event *to, int fd, uint32_t events)
{
	uint32_t mask = watched[fd - FD_FIRST].events | EPOLLHUP | EPOLLERR;

	if (!is_open[fd - FD_FIRST] || !watched[fd - FD_FIRST].used || (events & mask) == 0) {
		return 0;
	}
	*to = (struct epoll_event){ .events = events & mask,
				    .data.u32 = watched[fd - FD_FIRST].data };
	return 1;
}

static void take_bytes(struct script *s, void *to, size_t n)
{
	for (size_t i = 0; i < n && script_more(s); i++) {
		((uint8_t *)to)[i] = oracle_tame((uint8_t)script_take(s, 1));
	}
}

static int intercept(struct script *s, unsigned arg, struct epoll_event *to)
{
	static const uint16_t port[] = { 0x3f8, 0x3fa, 0x3fb, 0x3fc, 0x3fd, 0x70,
					 0x71,  0x600, 0x602, 0x3f9, 0x3ff, 0x601 };
	static const uint32_t other[] = { HV_MESSAGE_UNMAPPED_GPA, HV_MESSAGE_UNRECOVERABLE,
					  HV_MESSAGE_HALT, HV_MESSAGE_MSR };
	unsigned i = arg % VPS;
	struct hv_message *p = &page[i];
	struct hv_io_port_intercept a;

	if (waits[i] || tell(to, FD_VP + (int)i, EPOLLIN) == 0) {
		return 0;
	}
	memset(p, 0, sizeof(*p));
	waits[i] = true;
	if ((arg & 0xc0) == 0xc0) {
		p->type = (arg & 0x20) == 0 ? other[arg >> 2 & 3] : HV_MESSAGE_HYPERCALL;
		p->payload_size = sizeof(struct hv_memory_intercept);
		take_bytes(s, p->payload, sizeof(p->payload));
		halted[i] = p->type == HV_MESSAGE_HALT;
		return 1;
	}
	memset(&a, 0, sizeof(a));
	a.header.length = 1;
	a.header.access = arg >> 2 & 1;
	a.access_info = (arg & 0x10) != 0 ? (uint8_t)script_take(s, 1) : 1;
	a.port = (arg & 0x20) != 0 ? (uint16_t)oracle_tame_number(script_take(s, 2))
				   : port[script_take(s, 1) % (sizeof(port) / sizeof(port[0]))];
	a.rax = oracle_tame_number(script_take(s, 8));
	if ((arg & 8) != 0) {
		a.header.length = script_take(s, 1) & 15;
		a.header.access = (uint8_t)script_take(s, 1) & 3;
	}
	p->type = HV_MESSAGE_IO_PORT;
	p->payload_size = sizeof(a);
	memcpy(p->payload, &a, sizeof(a));
	return 1;
}

static int posts(struct script *s, unsigned arg, struct epoll_event *to)
{
	for (unsigned i = 0; i <= arg % 64 && posted.producer - posted.consumer < HV_POSTED_ENTRIES;
	     i++) {
		struct hv_posted_write *e = &posted.entry[posted.producer++ % HV_POSTED_ENTRIES];

		*e = (struct hv_posted_write){ .port = PORT_UART, .size = 1, .value = 'a' + i };
		if (script_more(s)) {
			e->value = oracle_tame((uint8_t)script_take(s, 1));
		}
		if ((arg & 0x80) != 0) {
			e->port = (uint16_t)script_take(s, 2);
			e->size = (uint8_t)script_take(s, 1);
		}
	}
	return tell(to, FD_VP, EPOLLPRI);
}

static int guest_says(struct script *s, unsigned arg, struct epoll_event *to)
{
	static const int errors[] = { EAGAIN, EINTR, ENODEV, EIO };
	uint32_t type;

	if (!watched[FD_MESSAGE - FD_FIRST].used || (arg & 0xf0) == 0xf0) {
		next.message_size = -errors[arg & 3];
		return tell(to, FD_MESSAGE, EPOLLIN);
	}
	memset(&next.message, 0, sizeof(next.message));
	next.message.type = (arg & 0x40) == 0 ? 1 : (uint32_t)script_take(s, 1);
	type = (uint32_t)script_take(s, 1);
	next.message.payload_size = (uint8_t)script_take(s, 1);
	memcpy(next.message.payload, &type, 4);
	take_bytes(s, next.message.payload + 8, HV_MESSAGE_PAYLOAD - 8);
	next.message_size = (arg & 0x20) == 0 ? (ssize_t)sizeof(next.message) : (ssize_t)(arg & 15);
	return tell(to, FD_MESSAGE, EPOLLIN);
}

/* A message, malformed where it is not what its type has. */
static void message_from(int socket, const void *bytes, uint32_t size, int fd)
{
	if (next.bytes != NULL || next.gone) {
		if (fd >= 0) {
			(void)close(fd);
		}
		return;
	}
	next.bytes = malloc(size);
	CHECK_FUZZ(next.bytes != NULL);
	memcpy(next.bytes, bytes, size);
	next.size = size;
	next.from = socket;
	next.fd = fd;
}

static int device_says(struct script *s, unsigned arg, struct epoll_event *to)
{
	static const uint32_t types[] = { PM_OPENED, PM_CLOSED, PM_GPADL_FREED, PM_RESET_DONE,
					  PM_READY,  PM_HANGUP, PM_CLOSED,      PM_GPADL_FREED };
	struct pm_channel c = { .header = { types[arg >> 2 & 7], sizeof(c) } };
	struct pm_gpadl_free f = { .header = { PM_GPADL_FREED, sizeof(f) } };
	int fd = -1;

	for (int i = FD_FREE; i < FD_END; i++) { /* that process's socket, if it has one */
		if (is_open[i - FD_FIRST] && watched[i - FD_FIRST].used &&
		    watched[i - FD_FIRST].data == (KIND_DEVICE << 8 | arg % SOCKETS)) {
			fd = i;
		}
	}
	if (fd < 0) {
		return 0;
	}
	if ((arg & 0xe0) == 0xe0) {
		return tell(to, fd, EPOLLOUT);
	}
	if ((arg & 0xe0) == 0x80) { /* nothing, after all */
		return tell(to, fd, EPOLLIN);
	}
	if ((arg & 0xe0) == 0xc0) {
		next.gone = next.bytes == NULL;
		next.from = fd;
		return tell(to, fd, EPOLLIN | EPOLLHUP);
	}
	c.unit = f.unit = (uint32_t)script_take(s, 1);
	c.sub = (uint32_t)script_take(s, 1);
	f.gpadl = (uint32_t)script_take(s, 4);
	c.status = (uint32_t)script_take(s, 1);
	if (c.header.type == PM_GPADL_FREED) {
		message_from(fd, &f, sizeof(f), -1);
	} else if (c.header.type == PM_RESET_DONE || c.header.type == PM_READY) {
		c.header.size = sizeof(struct pm_plain);
		message_from(fd, &c, sizeof(struct pm_plain), -1);
	} else {
		message_from(fd, &c, sizeof(c) - ((arg & 0xe0) == 0xa0), -1);
	}
	return tell(to, fd, EPOLLIN | EPOLLOUT);
}

static int manager_says(struct script *s, unsigned arg, struct epoll_event *to)
{
	struct pm_device_again again = { .header = { PM_DEVICE_AGAIN, sizeof(again) },
					 .socket = (uint32_t)script_take(s, 1) };
	struct pm_record record_to = { .header = { PM_RECORD, sizeof(record_to) } };
	struct pm_plain plain = { { PM_STOP, sizeof(plain) } };

	*to = (struct epoll_event){ .events = EPOLLIN, .data.u32 = watched_control.data };
	switch (arg & 7) {
	case 0:
	case 1:
	case 2:
		message_from(IPC_CONTROL_FD, &again, sizeof(again), new_fd());
		break;
	case 3:
		message_from(IPC_CONTROL_FD, &record_to, sizeof(record_to), new_fd());
		break;
	case 4:
		plain.header.type = PM_RESET;
		message_from(IPC_CONTROL_FD, &plain, sizeof(plain), -1);
		break;
	case 5: /* nothing, after all */
		break;
	case 6:
		if ((arg & 0xf0) == 0xf0) {
			next.gone = next.bytes == NULL;
			next.from = IPC_CONTROL_FD;
		}
		break;
	default:
		if ((arg & 0xf0) == 0xf0) {
			message_from(IPC_CONTROL_FD, &plain, (arg & 8) != 0 ? 3 : sizeof(plain),
				     -1);
		}
		break;
	}
	return 1;
}

static int console_says(struct script *s, unsigned arg, struct epoll_event *to)
{
	static const int errors[] = { EINTR, EAGAIN, EIO, ENOBUFS };

	switch (arg & 7) {
	case 0:
		next.typed_size = 0;
		return tell(to, FD_CONSOLE, EPOLLIN | EPOLLHUP);
	case 1:
		next.typed_size = -errors[arg >> 3 & 3];
		return tell(to, FD_CONSOLE, EPOLLIN);
	case 2:
		next.room += arg << 4;
		return tell(to, FD_CONSOLE, EPOLLOUT);
	case 3:
		next.room = arg >> 3;
		return 0;
	default:
		next.typed_size = 1 + arg % (unsigned)sizeof(next.typed);
		memset(next.typed, 'x', sizeof(next.typed));
		take_bytes(s, next.typed, sizeof(next.typed));
		return tell(to, FD_CONSOLE, EPOLLIN);
	}
}

static int act(struct script *s, struct epoll_event *to)
{
	static const int errors[] = { EAGAIN, EIO, ENODEV, ENOMEM, EINTR, ENOBUFS, EPIPE };
	unsigned op = (unsigned)script_take(s, 1) % 16, arg = (unsigned)script_take(s, 1);

	switch (op) {
	case 0:
	case 1:
	case 2:
		return intercept(s, arg, to);
	case 3:
		return posts(s, arg, to);
	case 4:
	case 5:
	case 6:
		return guest_says(s, arg, to);
	case 7:
	case 8:
		return device_says(s, arg, to);
	case 9:
		return manager_says(s, arg, to);
	case 10:
	case 11:
		return console_says(s, arg, to);
	case 12:
		next.timer = (arg & 1) == 0;
		return tell(to, FD_TIMER, EPOLLIN);
	case 13:
		fail_error[arg % FAILS] = errors[(arg >> 4) % 7];
		fail_times[arg % FAILS] = arg < 0x70 ? 1 : 3;
		return 0;
	case 14:
		for (uint32_t i = 0; (arg & 0xf0) == 0xe0 && i < CONSOLE_OUT_BYTES - 32; i++) {
			console_put(&w.console, 'y'); /* long ago */
		}
		return (arg & 0xf0) == 0xf0 ? tell(to, FD_VP + (int)(arg % VPS), EPOLLHUP) : 0;
	default:
		return -1; /* time passes */
	}
}

int epoll_wait(int epoll, struct epoll_event *events, int most, int timeout_ms)
{
	struct script s;
	int count = 0;

	ORACLE(epoll == FD_EPOLL && most > 0, "another descriptor");
	check_round();
	while (actions++ < ACTIONS && script_action(&all, &s)) {
		bool more = script_left(&s) != 0 && (s.data[0] & 0x80) != 0; /* in one round */
		int n = act(&s, events + count);

		for (int i = 0; i < count && n > 0; i++) {
			if (events[i].data.u32 == events[count].data.u32) {
				events[i].events |= events[count].events;
				n = 0;
			}
		}
		count += n > 0;
		if (count == most || (count != 0 && !more)) {
			return count;
		}
		if (n < 0 && timeout_ms >= 0 && count == 0) {
			return 0;
		}
		if (n < 0 && count == 0) {
			errno = EINTR;
			return -1;
		}
	}
	if (count != 0) {
		return count;
	}
	/* The manager says stop. */
	next.gone = true;
	next.from = IPC_CONTROL_FD;
	events[0] = (struct epoll_event){ .events = EPOLLIN, .data.u32 = watched_control.data };
	return 1;
}

FUZZ_QUIET_END

/* ---- a machine ---- */

static void start(void)
{
	static struct pm_config_worker config;
	static const uint8_t class[2][16] = {
		{ 0xd9, 0x63, 0x61, 0xba, 0xa1, 0x04, 0x29, 0x4d, 0xb6, 0x05, 0x72, 0xe2, 0xff,
		  0xb1, 0xdc, 0x7f },
		{ 0x63, 0x51, 0x61, 0xf8, 0x3e, 0xdf, 0xc5, 0x46, 0x91, 0x3f, 0xf2, 0xd2, 0xf9,
		  0x65, 0xed, 0x0e },
	};
	int sockets[SOCKETS];

	memset(&w, 0, sizeof(w));
	memset(&config, 0, sizeof(config));
	memset(channel, 0, sizeof(channel));
	channel_count = 0;
	for (int fd = FD_FIRST; fd < FD_END; fd++) {
		is_open[fd - FD_FIRST] = fd < FD_FREE;
	}
	config.memory_bytes = 64 << 20;
	config.vp_count = VPS;
	config.socket_count = SOCKETS;
	config.device_count = DEVICES;
	config.service_count = 1;
	config.service[0].socket = DEVICES;
	config.service[0].id.b[0] = 0x77;
	for (uint32_t i = 0; i < SOCKETS; i++) {
		sockets[i] = new_fd();
	}
	for (uint32_t i = 0; i < DEVICES; i++) {
		config.device[i].socket = i;
		memcpy(&config.device[i].class_id, class[i & 1], sizeof(class[0]));
		config.device[i].class_id.b[15] ^= (uint8_t)(i & 2);
		config.device[i].instance.b[0] = (uint8_t)(i + 1);
	}
	w.partition = FD_PARTITION;
	w.epoll = FD_EPOLL;
	w.message = FD_MESSAGE;
	w.timer = FD_TIMER;
	w.vp_count = VPS;
	w.m = &m;
	w.posted = &posted;
	ports_init(&w.ports);
	worker_quick(&w);
	console_init(&w.console, FD_CONSOLE);
	for (uint32_t i = 0; i < VPS; i++) {
		w.vp[i].fd = FD_VP + (int)i;
		w.vp[i].page = &page[i];
		worker_watch(&w, EPOLL_CTL_ADD, w.vp[i].fd, KIND_VP, i,
			     i == 0 ? EPOLLIN | EPOLLPRI : EPOLLIN);
	}
	worker_vmbus_init(&w, &config, sockets);
	worker_watch(&w, EPOLL_CTL_ADD, FD_CONSOLE, KIND_CONSOLE, 0, EPOLLIN);
	w.console_watched = EPOLLIN;
	worker_watch(&w, EPOLL_CTL_ADD, IPC_CONTROL_FD, KIND_CONTROL, 0, EPOLLIN);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct glue_front *glue;

	all = (struct script){ data, size, 0 };
	actions = 0;
	said_over = 0;
	memset(waits, 0, sizeof(waits));
	memset(halted, 0, sizeof(halted));
	memset(watched, 0, sizeof(watched));
	memset(&watched_control, 0, sizeof(watched_control));
	memset(&next, 0, sizeof(next));
	memset(fail_error, 0, sizeof(fail_error));
	memset(&posted, 0, sizeof(posted));
	next.fd = next.from = -1;
	next.message_size = next.typed_size = -EAGAIN;
	next.room = 65536;
	start();
	worker_loop(&w);
	ipc_drop_fds(&m);
	free(next.bytes);
	record_socket = -1;
	glue = (void *)w.vmbus; /* which its process's end frees */
	free(glue->pool);
	free(glue);
	return 0;
}
