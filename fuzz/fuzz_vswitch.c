// SPDX-License-Identifier: MIT
/*
 * The switch's process, with real sockets for its ports and its uplink. Input: a record: bit 0 with uplink, others: what fails at the start; then a script of what the manager
 * and the ports do; ports come, are replaced, go and die with frames under way. Each frame carries who sent it: nobody gets his own back,
 * nor what is for another, nor one with a false source, nor more than were sent; descriptors are closed once.
 */
#include <fcntl.h>
#include <sys/socket.h>

#include "fuzz/proc.h"
#include "fuzz/sys.h"
#include "hv/host/vswitch/vswitch.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define PORTS 5u /* numbers 0..; the uplink is the last */
#define UPLINK PORTS
#define FRAME_MAX 1700u

static struct vswitch v;
static bool alive, uplink;
static unsigned
	start_fails; /* 1: there is no epoll set; 2: its first member cannot be watched, 3: the second */

int epoll_create1(int flags)
{
	errno = EMFILE;
	return start_fails == 1 ? -1 : (int)syscall(SYS_epoll_create1, flags);
}

int epoll_ctl(int epoll, int op, int fd, struct epoll_event *e)
{
	errno = ENOSPC;
	return start_fails >= 2 && --start_fails == 1
		       ? -1
		       : (int)syscall(SYS_epoll_ctl, epoll, op, fd, e);
}
static struct {
	int fd;     /* the other end; -1: there is none */
	bool added; /* as far as the manager has said */
	uint32_t received;
} end[PORTS + 1];
static uint32_t sent;

static void proc_heard(uint32_t socket, enum pm_type type, const void *message)
{
	(void)message;
	CHECK_FUZZ(socket == PROC_CONTROL && type == PM_STATUS_NET);
}

static void step_for(unsigned arg)
{
	static const int timeouts[] = { 0, -1, 5000 };

	if (alive) {
		alive = vswitch_step(&v, timeouts[arg % 3]);
	}
}

static void step(void)
{
	step_for(0);
}

/* Addresses by number; 0xff.. for everyone, others for nobody. */
static void put_mac(uint8_t *to, unsigned who)
{
	memset(to, who < 0xf0 ? 0 : who < 0xf8 ? 0xff : 0x01, 6);
	if (who < 0xf0) {
		to[0] = 2;
		to[5] = (uint8_t)(who % 8);
	}
}

static void add(unsigned number, unsigned mac, unsigned arg)
{
	struct pm_port m = { .port = number };
	int pair[2], fd = proc_fd();

	put_mac(m.mac, mac);
	if (fd < 0 || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, pair) != 0) {
		return;
	}
	if ((arg & 0x78) == 0x78) { /* what epoll does not take */
		int file = open("/dev/null", O_RDWR | O_CLOEXEC);

		CHECK_FUZZ(dup2(file, fd) == fd);
		(void)close(file);
	} else {
		CHECK_FUZZ(dup2(pair[0], fd) == fd);
	}
	(void)close(pair[0]);
	if (end[number].fd >= 0) {
		(void)close(end[number].fd);
	}
	end[number].fd = pair[1];
	end[number].added = true;
	proc_say(PROC_CONTROL, (arg & 0xf0) == 0xf0 ? PM_PORT_REMOVE : PM_PORT_ADD, &m, sizeof(m),
		 fd);
}

static void remove_port(unsigned number)
{
	struct pm_port m = { .port = number };

	proc_say(PROC_CONTROL, PM_PORT_REMOVE, &m, sizeof(m), -1);
}

static void say_other(unsigned arg)
{
	struct pm_link link = { .up = 1 };
	struct pm_plain plain = { { 0, 0 } };
	uint8_t raw[12] = { (uint8_t)arg, 0, 0, 0, sizeof(raw) };

	if ((arg & 0xf0) == 0xf0) {
		proc_say(PROC_CONTROL, PM_STOP, &plain, sizeof(plain), -1);
	} else if ((arg & 1) != 0) {
		proc_say(PROC_CONTROL, PM_LINK, &link, sizeof(link), -1);
	} else if ((arg & 2) != 0) {
		proc_socket[PROC_CONTROL].full = 1;
	} else if ((arg & 0x0c) == 0x0c) {
		proc_gone(PROC_CONTROL);
	} else {
		proc_push(PROC_CONTROL, raw, sizeof(raw), -1);
	}
}

static void send_frames(struct script *s, unsigned number, unsigned count)
{
	uint8_t f[FRAME_MAX] = { 0 };
	uint32_t n = (uint32_t)script_take(s, 2) % sizeof(f);

	put_mac(f, (unsigned)script_take(s, 1));
	put_mac(f + 6, (unsigned)script_take(s, 1));
	f[12] = (script_take(s, 1) & 1) != 0 ? 0x81 : 8;
	f[14] = (uint8_t)number;
	f[15] = (uint8_t)n; /* and how long it was */
	f[16] = (uint8_t)(n >> 8);
	for (unsigned i = 0; i < count && end[number].fd >= 0; i++) {
		sent += send(end[number].fd, f, n, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0;
	}
}

static void receive(unsigned number)
{
	static uint8_t f[FRAME_MAX];
	ssize_t n;

	while (end[number].fd >= 0 && (n = recv(end[number].fd, f, sizeof(f), MSG_DONTWAIT)) > 0) {
		ORACLE(++end[number].received <= sent, "more frames than were sent");
		oracle_said(f, (size_t)n);
		CHECK_FUZZ(n >= 14 && n <= (f[12] == 0x81 ? 1518 : 1514));
		ORACLE(n < 15 || f[14] != number || number == UPLINK || !end[number].added,
		       "a frame came back to its sender");
		ORACLE((f[6] & 1) == 0, "a frame from no station");
		ORACLE(n < 17 || (f[15] | f[16] << 8) == n, "a piece of a frame");
	}
}

static void act(struct script *s)
{
	unsigned op = (unsigned)script_take(s, 1) % 12, arg = (unsigned)script_take(s, 1);
	unsigned number = arg % (PORTS + uplink), port = arg % PORTS;

	switch (op) {
	case 0:
	case 1:
		add(port, op == 0 ? port : (unsigned)script_take(s, 1), arg);
		step();
		break;
	case 2:
		remove_port(port + (arg >> 6));
		step();
		break;
	case 3: /* the other end dies; a system call fails */
		if ((arg & 0x20) != 0) {
			sys_fail(arg & 0xcf);
		} else if ((arg & 0x10) != 0 && end[UPLINK].fd >= 0) {
			(void)close(end[UPLINK].fd);
			end[UPLINK].fd = -1;
		} else if (end[port].fd >= 0) {
			(void)close(end[port].fd);
			end[port].fd = -1;
		}
		break;
	case 4:
	case 5:
	case 6:
		send_frames(s, number, 1 + (arg >> 5));
		break;
	case 7:
		send_frames(s, number, 40);
		break;
	case 8:
		receive(number);
		break;
	case 9:
		say_other(arg);
		step();
		break;
	default:
		step_for(arg);
		break;
	}
}

static void finish(void)
{
	for (unsigned i = 0; i <= PORTS; i++) {
		receive(i);
		if (end[i].fd >= 0) {
			(void)close(end[i].fd);
		}
	}
	for (unsigned i = 0; i < VSWITCH_TARGETS; i++) {
		CHECK_FUZZ(v.port[i].fd < 0 || i >= PORTS + 4 || v.port[i].fd >= PROC_FD_BASE);
		vswitch_drop_port(&v, i);
	}
	(void)close(v.epoll);
	proc_init();
	ORACLE(proc_fds_left() == 0, "a descriptor was not closed");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct script all = { data, size, 0 }, s = { NULL, 0, 0 };
	int pair[2] = { -1, -1 };

	proc_init();
	sys_init();
	(void)script_action(&all, &s);
	start_fails = (unsigned)script_take(&s, 1);
	uplink = (start_fails & 1) != 0;
	start_fails = start_fails >> 1 & 3;
	memset(&v, 0, sizeof(v));
	memset(end, 0, sizeof(end));
	for (unsigned i = 0; i <= PORTS; i++) {
		end[i].fd = -1;
	}
	if (uplink) {
		CHECK_FUZZ(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, pair) == 0);
		end[UPLINK].fd = pair[1];
	}
	alive = true;
	sent = 0;
	if (start_fails != 0 && (start_fails < 3 || uplink)) {
		ORACLE(!vswitch_init(&v, proc_socket[PROC_CONTROL].ready, pair[0]),
		       "a switch that is not told of anything");
		alive = false; /* its process ends */
	} else {
		start_fails = 0;
		CHECK_FUZZ(vswitch_init(&v, proc_socket[PROC_CONTROL].ready, pair[0]));
	}
	start_fails = 0;
	for (unsigned i = 0; i < 100 && script_action(&all, &s); i++) {
		act(&s);
	}
	step();
	finish();
	return 0;
}
