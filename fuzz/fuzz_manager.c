// SPDX-License-Identifier: MIT
/*
 * The manager's socket: bytes of clients to requests to answers (hv/host/vmmgr/server.c). Input: a script of what clients send, in what
 * pieces and how slowly they read, of what machines do, of what fails. Machines and descriptors are this file's. Checked: each line has
 * one answer, a JSON object of one line, in order; what is refused changes no machine; descriptors are closed once and go to the
 * client who asked; nobody but root is heard; a client that goes leaves nothing.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <termios.h>
#include <unistd.h>

#include "fuzz/fds.h"
#include "fuzz/oracle.h"
#include "hv/host/vmmgr/keep.h"
#include "hv/host/vmmgr/server.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define LARGE ((4u << 20) + 2) /* more than the manager keeps for a client */
#define LOG_PATH "/nowhere/redoubt/fuzz.log"
#define CLIENTS 18u
#define MACHINES 3u
enum {
	FD_FIRST = 3000,
	FD_LISTENER = FD_FIRST,
	FD_CLIENT,
	FD_FREE = FD_CLIENT + CLIENTS,
	FD_END = FD_FREE + 64
};

static bool is_open[FD_END - FD_FIRST];
static struct {
	struct source *source; /* NULL: not watched */
	uint32_t events;
} watched[FD_END - FD_FIRST];
static struct { /* a client's end */
	bool accepted, gone;
	uid_t uid;
	uint8_t *in; /* sent, not yet received */
	size_t in_size, in_room;
	uint32_t lines, answers; /* sent whole; received */
	size_t line_size;        /* of an answer that is not whole */
	bool line_long;
	size_t room; /* of the socket */
} client[CLIENTS];
static uint8_t line[CLIENTS][1 << 16];
static int accepting = -1; /* the client that connects; -1: none */
static struct vm machine[MACHINES];
static bool exists[MACHINES];
/* What each machine was made of, and that was written down; written: definitions, since the last look at them. */
static struct definition kept[MACHINES];
static bool written;
static uint32_t fail_vm, fail_keep, fail_open, fail_send, fail_watch, fail_text, large_ps,
	fail_memory;                  /* countdowns */
static int send_error, receive_error; /* receive_error: of the next; 0: none */
static bool large_text;               /* of the next answer */
static bool in_manager;               /* its code runs, not this file's */
static unsigned
	start_fails; /* 1 a name too long, 2 another manager is there, 3 bind, 4 listen, 5 and 6 no socket */

FUZZ_QUIET_BEGIN

static int new_fd(void)
{
	return fds_open(is_open, FD_FIRST, FD_FREE, FD_END);
}

/* ---- system calls ---- */

int close(int fd)
{
	if (fd < FD_FIRST || fd >= FD_END) {
		return (int)syscall(SYS_close, fd);
	}
	ORACLE(is_open[fd - FD_FIRST], "a descriptor is closed twice");
	is_open[fd - FD_FIRST] = false;
	return 0;
}

int accept4(int fd, struct sockaddr *address, socklen_t *size, int flags)
{
	int n = accepting;

	(void)address;
	(void)size;
	ORACLE(fd == FD_LISTENER && (flags & SOCK_CLOEXEC) != 0, "another descriptor");
	accepting = -1;
	if (n < 0) {
		errno = EAGAIN;
		return -1;
	}
	is_open[FD_CLIENT - FD_FIRST + n] = true;
	return FD_CLIENT + n;
}

int getsockopt(int fd, int level, int name, void *value, socklen_t *size)
{
	struct ucred peer = { .uid = client[fd - FD_CLIENT].uid };

	ORACLE(level == SOL_SOCKET && name == SO_PEERCRED && *size == sizeof(peer),
	       "another option");
	if (peer.uid == 2000) { /* fails: what it leaves behind means nothing */
		memset(value, 0, sizeof(peer));
		return -1;
	}
	memcpy(value, &peer, sizeof(peer));
	return 0;
}

ssize_t recv(int fd, void *to, size_t size, int flags)
{
	unsigned i = (unsigned)(fd - FD_CLIENT);
	size_t n = client[i].in_size < size ? client[i].in_size : size;

	(void)flags;
	ORACLE(i < CLIENTS && client[i].uid == 0, "somebody is heard who is not root");
	oracle_room(to, size);
	if (receive_error != 0) {
		errno = receive_error;
		receive_error = 0;
		return -1;
	}
	if (n == 0) {
		errno = EAGAIN;
		return client[i].gone ? 0 : -1;
	}
	memcpy(to, client[i].in, n);
	client[i].in_size -= n;
	memmove(client[i].in, client[i].in + n, client[i].in_size);
	return (ssize_t)n;
}

/* Each answer is one line with one object, and no more lines come than were asked. */
static void take_answer(unsigned i, const uint8_t *bytes, size_t n)
{
	for (size_t at = 0; at < n; at++) {
		json_t *object;

		if (bytes[at] != '\n') {
			client[i].line_long |= client[i].line_size == sizeof(line[i]);
			if (!client[i].line_long) {
				line[i][client[i].line_size++] = bytes[at];
			}
			continue;
		}
		object = json_loadb((const char *)line[i], client[i].line_size,
				    JSON_REJECT_DUPLICATES, NULL);
		ORACLE(client[i].line_long || json_is_boolean(json_object_get(object, "ok")),
		       "an answer that is none");
		json_decref(object);
		client[i].line_size = 0;
		client[i].line_long = false;
		ORACLE(++client[i].answers <= client[i].lines, "an answer that nobody asked for");
	}
}

ssize_t sendmsg(int fd, const struct msghdr *h, int flags)
{
	unsigned i = (unsigned)(fd - FD_CLIENT);
	size_t n = h->msg_iov->iov_len < client[i].room ? h->msg_iov->iov_len : client[i].room;

	(void)flags;
	ORACLE(i < CLIENTS && is_open[fd - FD_FIRST], "an answer to nobody");
	oracle_clean(h->msg_iov->iov_base, h->msg_iov->iov_len);
	if (fails(&fail_send)) {
		errno = send_error;
		return -1;
	}
	if (client[i].gone || n == 0) {
		errno = client[i].gone ? EPIPE : EAGAIN;
		return -1;
	}
	if (h->msg_controllen != 0) {
		const struct cmsghdr *c = CMSG_FIRSTHDR(h);
		int passed;

		for (size_t at = 0; at < (c->cmsg_len - CMSG_LEN(0)) / sizeof(int); at++) {
			memcpy(&passed, CMSG_DATA(c) + at * sizeof(int), sizeof(int));
			ORACLE(passed >= FD_FREE && is_open[passed - FD_FIRST],
			       "another descriptor");
		}
	}
	client[i].room -= n;
	take_answer(i, h->msg_iov->iov_base, n);
	return (ssize_t)n;
}

int ioctl(int fd, unsigned long request, ...)
{
	ORACLE(request == TIOCGPTPEER && fd >= FD_FREE, "another request");
	errno = EMFILE;
	return fails(&fail_open) ? -1 : new_fd();
}

int open(const char *path, int flags, ...)
{
	va_list list;
	int mode;

	va_start(list, flags);
	mode = va_arg(list, int);
	va_end(list);
	if (strcmp(path, LOG_PATH) != 0) {
		return (int)syscall(SYS_open, path, flags, mode);
	}
	ORACLE((flags & (O_CLOEXEC | O_NOFOLLOW)) == (O_CLOEXEC | O_NOFOLLOW), "open");
	errno = ENOENT;
	return fails(&fail_open) ? -1 : new_fd();
}

int tcflush(int fd, int queue)
{
	ORACLE(fd >= FD_FREE && queue == TCIFLUSH, "another terminal");
	return 0;
}

int socket(int domain, int type, int protocol)
{
	(void)domain;
	(void)protocol;
	errno = EMFILE;
	if ((type & SOCK_NONBLOCK) == 0) {
		return start_fails == 6 ? -1 : new_fd();
	}
	is_open[0] = start_fails != 5;
	return is_open[0] ? FD_LISTENER : -1;
}

int connect(int fd, const struct sockaddr *address, socklen_t size)
{
	(void)fd;
	(void)address;
	(void)size;
	errno = ECONNREFUSED;
	return start_fails == 2 ? 0 : -1;
}

int bind(int fd, const struct sockaddr *address, socklen_t size)
{
	(void)address;
	(void)size;
	return fd == FD_LISTENER && start_fails != 3 ? 0 : -1;
}

int listen(int fd, int most)
{
	(void)most;
	return fd == FD_LISTENER && start_fails != 4 ? 0 : -1;
}

void *__real_realloc(void *p, size_t n);
void *__wrap_realloc(void *p, size_t n);

void *__wrap_realloc(void *p, size_t n)
{
	return in_manager && fails(&fail_memory) ? NULL : __real_realloc(p, n);
}

char *__real_json_dumps(const json_t *json, size_t flags);
char *__wrap_json_dumps(const json_t *json, size_t flags);

/* The text of a large answer is made here: jansson would be at it for a hundred times as long. */
char *__wrap_json_dumps(const json_t *json, size_t flags)
{
	char *text;

	if (fails(&fail_text)) {
		return NULL;
	}
	if (!large_text) {
		return __real_json_dumps(json, flags);
	}
	large_text = false;
	text = malloc(LARGE);
	if (text != NULL) {
		memset(text, 'x', LARGE - 1);
		text[LARGE - 1] = '\0';
	}
	return text;
}

/* ---- the manager's other parts ---- */

void say(const char *format, ...)
{
	(void)format;
}

uint64_t loop_now_ms(void)
{
	return 5000;
}

bool source_add(struct source *s, int fd, uint32_t events)
{
	ORACLE(watched[fd - FD_FIRST].source == NULL && is_open[fd - FD_FIRST], "watched twice");
	if (fails(&fail_watch)) {
		(void)close(fd);
		return false;
	}
	s->fd = fd;
	watched[fd - FD_FIRST].source = s;
	watched[fd - FD_FIRST].events = events;
	return true;
}

void source_change(struct source *s, uint32_t events)
{
	ORACLE(watched[s->fd - FD_FIRST].source == s, "not watched");
	watched[s->fd - FD_FIRST].events = events;
}

void source_remove(struct source *s)
{
	if (s->fd >= 0) {
		ORACLE(watched[s->fd - FD_FIRST].source == s, "not watched");
		watched[s->fd - FD_FIRST].source = NULL;
		(void)close(s->fd);
		s->fd = -1;
	}
}

const char *vm_state_name(enum vm_state s)
{
	ORACLE(s <= VM_FAILED, "no state");
	return "some";
}

static void link_machines(void)
{
	struct vm *last = NULL;

	for (unsigned i = 0; i < MACHINES; i++) {
		machine[i].next = last;
		last = exists[i] ? &machine[i] : last;
	}
}

struct vm *vm_first(void)
{
	link_machines();
	for (unsigned i = MACHINES; i-- > 0;) {
		if (exists[i]) {
			return &machine[i];
		}
	}
	return NULL;
}

struct vm *vm_find(const char *name)
{
	for (unsigned i = 0; i < MACHINES; i++) {
		if (exists[i] && strcmp(machine[i].definition.name, name) == 0) {
			return &machine[i];
		}
	}
	return NULL;
}

static bool refuse(char *why, size_t room)
{
	(void)snprintf(why, room, "%.*s", 300,
		       "machine: refused, for a long reason \xff that is no UTF-8");
	return false;
}

bool vm_create(const struct definition *d, bool again, char *why, size_t room)
{
	struct vm *vm = vm_find(d->name);

	if (fails(&fail_vm) || (vm != NULL && !again)) {
		return refuse(why, room);
	}
	for (unsigned i = 0; i < MACHINES && vm == NULL; i++) {
		if (!exists[i]) {
			exists[i] = true;
			vm = &machine[i];
			memset(vm, 0, sizeof(*vm));
			vm->files.pty_master = -1;
			vm->partition.fd = -1;
		}
	}
	if (vm == NULL) {
		return refuse(why, room);
	}
	vm->definition = *d;
	written = true;
	return true;
}

bool vm_delete(struct vm *vm, char *why, size_t room)
{
	if (vm->state != VM_OFF) { /* for no other reason: create() relies on it */
		return refuse(why, room);
	}
	exists[vm - machine] = false;
	if (vm->files.pty_master >= 0) {
		(void)close(vm->files.pty_master);
	}
	server_vm_changed(vm);
	return true;
}

static bool change(struct vm *vm, enum vm_state to, char *why, size_t room)
{
	if (fails(&fail_vm)) {
		return refuse(why, room);
	}
	vm->state = to;
	server_vm_changed(vm);
	return true;
}

bool vm_start(struct vm *vm, char *why, size_t room)
{
	return change(vm, VM_STARTING, why, room);
}

bool vm_stop(struct vm *vm, uint32_t timeout_s, char *why, size_t room)
{
	ORACLE(timeout_s <= 3600, "a timeout that is none");
	return change(vm, timeout_s == 0 ? VM_OFF : VM_STOPPING, why, room);
}

bool vm_kill(struct vm *vm, char *why, size_t room)
{
	return change(vm, VM_ENDING, why, room);
}

bool vm_record(struct vm *vm, int *listener, char *why, size_t room)
{
	(void)vm;
	if (fails(&fail_vm) || (*listener = new_fd()) < 0) {
		return refuse(why, room);
	}
	return true;
}

bool vm_recorded(const struct vm *vm)
{
	return vm->recorder != 0;
}

const char *vm_files_log_path(const struct vm *vm, char *to, size_t room)
{
	(void)vm;
	(void)snprintf(to, room, "%s", LOG_PATH);
	return to;
}

bool keep_save(const char *name, const char *text, size_t size, char *why, size_t room)
{
	const struct vm *vm = vm_find(name);

	ORACLE(vm != NULL && strlen(text) == size, "what is kept");
	if (fails(&fail_keep)) {
		return refuse(why, room);
	}
	kept[vm - machine] = vm->definition;
	return true;
}

bool keep_remove(const char *name, char *why, size_t room)
{
	ORACLE(vm_find(name) == NULL, "what is forgotten");
	return !fails(&fail_keep) || refuse(why, room);
}

json_t *answer_ps(const struct vm *vm)
{
	large_text = fails(&large_ps);
	return json_pack("{s:b, s:b}", "ok", 1, "one", vm != NULL);
}

FUZZ_QUIET_END

/* ---- the script ---- */

/* A refused request left no machine with a definition of its own. */
static void check_kept(void)
{
	for (unsigned i = 0; i < MACHINES && written; i++) {
		ORACLE(!exists[i] || memcmp(&machine[i].definition, &kept[i], sizeof(kept[i])) == 0,
		       "a machine is not what was kept of it");
	}
	written = false;
}

/* The loop, until nothing is ready: each turn one event for each descriptor. */
static void run(void)
{
	for (unsigned turn = 0; turn < 64; turn++) {
		bool busy = false;

		for (unsigned i = 0; i < FD_FREE - FD_FIRST; i++) {
			struct source *s = watched[i].source;
			uint32_t ready = i == 0 ? (accepting >= 0 ? EPOLLIN : 0) : 0;

			if (i != 0) {
				ready |= client[i - 1].in_size != 0 || client[i - 1].gone ? EPOLLIN
											  : 0;
				ready |= client[i - 1].gone ? EPOLLHUP | EPOLLRDHUP : 0;
				ready |= client[i - 1].room != 0 ? EPOLLOUT : 0;
			}
			ready &= s != NULL ? watched[i].events | EPOLLHUP | EPOLLERR : 0;
			if (ready != 0) {
				in_manager = true;
				s->ready(s, ready);
				in_manager = false;
				busy = true;
			}
		}
		if (!busy) {
			check_kept();
			return;
		}
	}
	ORACLE(false, "the loop does not come to rest");
}

static void send_bytes(unsigned i, const void *bytes, size_t n)
{
	if (!client[i].accepted || client[i].gone || n == 0) {
		return;
	}
	if (client[i].in_size + n > client[i].in_room) {
		client[i].in_room = 2 * (client[i].in_size + n);
		client[i].in = realloc(client[i].in, client[i].in_room);
		CHECK_FUZZ(client[i].in != NULL);
	}
	memcpy(client[i].in + client[i].in_size, bytes, n);
	client[i].in_size += n;
	for (size_t at = 0; at < n; at++) {
		client[i].lines += ((const uint8_t *)bytes)[at] == '\n';
	}
}

static void send_request(struct script *s, unsigned i, unsigned arg)
{
	static const char *const verbs[] = { "create", "delete", "start",   "stop", "kill",
					     "list",   "show",   "console", "ps",   "record" };
	static const char *const names[] = { "a", "b", "c", "none" };
	char text[600];
	unsigned verb = arg % 10, more = (unsigned)script_take(s, 1);
	const char *name = names[more & 3];
	int n;

	if (verb == 0) {
		n = snprintf(
			text, sizeof(text),
			"{\"verb\":\"create\",\"definition\":\"name: %s\\nmemory: %u\\nkernel: /k\\n%s\"%s%s}",
			name, 64 + arg / 10 + (more >> 2 & 1),
			(more & 8) != 0 ? "colour: red\\n" : "",
			(more & 16) != 0 ? ",\"again\":true" : "",
			(more & 32) != 0 ? ",\"file\":\"/f\"" : "");
	} else if (verb == 5 || (verb == 8 && (more & 4) != 0)) {
		n = snprintf(text, sizeof(text), "{\"verb\":\"%s\"}", verbs[verb]);
	} else {
		n = snprintf(text, sizeof(text), "{\"verb\":\"%s\",\"name\":\"%s\"%s}", verbs[verb],
			     name, verb == 3 && (more & 4) != 0 ? ",\"timeout\":0" : "");
	}
	text[n++] = '\n';
	/* In two pieces where the script says so. */
	if ((more & 0x80) != 0) {
		send_bytes(i, text, (size_t)n / 2);
		run();
		send_bytes(i, text + n / 2, (size_t)(n - n / 2));
	} else {
		send_bytes(i, text, (size_t)n);
	}
}

static void machine_does(struct script *s, unsigned arg)
{
	struct vm *vm = &machine[arg % MACHINES];

	if (!exists[arg % MACHINES]) {
		return;
	}
	vm->state = (arg >> 2) % (VM_FAILED + 1);
	for (unsigned i = 0; i < 40 && script_more(s); i++) {
		vm->reason[i] = vm->status.worker.text[i] = oracle_tame((char)script_take(s, 1));
	}
	vm->definition.disk_count = (uint32_t)script_take(s, 1) % (DEFINITION_DISKS_MAX + 1);
	vm->definition.nic_count = (uint32_t)script_take(s, 1) % (DEFINITION_NICS_MAX + 1);
	kept[vm - machine] = vm->definition;
	vm->process_count = (uint32_t)script_take(s, 1) % (VM_PROCESSES + 1);
	vm->status.console.bytes = script_take(s, 8);
	vm->started_ms = script_take(s, 1);
	vm->port[0].used = vm->started_ms & 1;
	if (vm->files.pty_master < 0 && (arg & 0x80) != 0) {
		vm->files.pty_master = vm->partition.fd = new_fd();
	}
	server_vm_changed(vm);
}

static void fail(unsigned arg)
{
	static const int errors[] = { EINTR, EPIPE, EAGAIN, ENOMEM };
	uint32_t n = 1 + (arg >> 3) % 4;

	switch (arg & 7) {
	case 0:
		fail_vm = n;
		break;
	case 1:
		fail_keep = n;
		break;
	case 2:
		fail_open = n;
		break;
	case 3:
		if ((arg & 0x40) != 0) { /* the answer of ps */
			fail_text = (arg & 0x18) == 0;
			large_ps = (arg & 0x18) == 8;
			fail_memory = (arg & 0x18) == 0x10;
		} else if ((arg & 0x80) != 0 && watched[0].source != NULL) { /* nobody, after all */
			watched[0].source->ready(watched[0].source, EPOLLIN);
		} else {
			fail_watch = 1;
		}
		break;
	case 7:
		receive_error = errors[n - 1];
		break;
	default:
		fail_send = n;
		send_error = errors[arg & 3];
		break;
	}
}

static void act(struct script *s)
{
	unsigned op = (unsigned)script_take(s, 1) % 12, arg = (unsigned)script_take(s, 1);
	unsigned i = (unsigned)script_take(s, 1) % CLIENTS;
	uint8_t bytes[256];
	unsigned more;
	size_t n = 0;

	switch (op) {
	case 0: /* somebody connects */
		if (!client[i].accepted) {
			client[i].accepted = true;
			client[i].uid = arg == 0xff ? 1000 : arg == 0xfe ? 2000 : 0;
			client[i].room = 1 << 20;
			accepting = (int)i;
			run();
		}
		break;
	case 1:
		client[i].room = arg * 16u; /* reads slowly */
		break;
	case 2:
		client[i].gone = client[i].accepted;
		break;
	case 3:
	case 4:
		machine_does(s, arg);
		break;
	case 5:
		fail(arg);
		break;
	case 6: /* anything, up to a line without end */
		while (n < sizeof(bytes) && script_more(s)) {
			bytes[n++] = (uint8_t)script_take(s, 1);
		}
		/* A line without end is long at once; many whole ones are only slow. */
		more = (arg & 0x80) != 0 && memchr(bytes, '\n', n) == NULL ? 300 : arg % 4;
		for (unsigned times = 0; times <= more; times++) {
			send_bytes(i, bytes, n);
		}
		break;
	default:
		send_request(s, i, arg);
		break;
	}
	run();
}

static void finish(void)
{
	receive_error = 0;
	fail_send = fail_open = fail_vm = fail_keep = fail_watch = 0;
	fail_text = large_ps = fail_memory = 0;
	large_text = false;
	for (unsigned i = 0; i < CLIENTS; i++) {
		client[i].room = 16u << 20;
	}
	run();
	for (uint32_t before = 1, now = 0; before != now;) { /* nobody waits any more */
		before = now;
		now = 1;
		for (unsigned i = 0; i < MACHINES; i++) {
			if (exists[i]) {
				machine[i].state = VM_FAILED;
				server_vm_changed(&machine[i]);
			}
		}
		run();
		for (unsigned i = 0; i < CLIENTS; i++) {
			now += client[i].answers;
		}
	}
	for (unsigned i = 0; i < CLIENTS; i++) {
		bool there = watched[FD_CLIENT - FD_FIRST + i].source != NULL;

		ORACLE(!there || client[i].in_size == 0, "a request that nobody reads");
		ORACLE(!there || client[i].answers == client[i].lines,
		       "a request without an answer");
		client[i].gone = true;
	}
	run();
	for (unsigned i = 0; i < MACHINES; i++) {
		if (exists[i] && machine[i].files.pty_master >= 0) {
			(void)close(machine[i].files.pty_master);
		}
	}
	is_open[0] = false;
	for (unsigned i = 0; i < FD_END - FD_FIRST; i++) {
		ORACLE(!is_open[i], "a descriptor was not closed");
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct script all = { data, size, 0 }, s;

	memset(is_open, 0, sizeof(is_open));
	memset(watched, 0, sizeof(watched));
	memset(exists, 0, sizeof(exists));
	memset(client, 0, sizeof(client));
	accepting = -1;
	receive_error = 0;
	start_fails = size == 2 && data[0] == 0xff ? data[1] % 7 : 0;
	if (start_fails != 0) {
		static char path[200];

		memset(path, 0, sizeof(path));
		memset(path, 'a', start_fails == 1 ? sizeof(path) - 1 : 20);
		ORACLE(!server_init(path) || start_fails == 6, "a manager without its socket");
		return 0; /* its process ends */
	}
	CHECK_FUZZ(server_init("/nowhere/redoubt/fuzz.sock"));
	for (unsigned i = 0; i < 200 && script_action(&all, &s); i++) {
		act(&s);
	}
	finish();
	for (unsigned i = 0; i < CLIENTS; i++) {
		free(client[i].in);
	}
	return 0;
}
