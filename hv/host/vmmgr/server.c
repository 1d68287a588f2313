/* SPDX-License-Identifier: MIT */
#include "hv/host/vmmgr/server.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <termios.h>
#include <unistd.h>

#include "hv/host/vmmgr/keep.h"
#include "hv/host/vmmgr/request.h"

#define CLIENTS_MAX 16
/* A client that does not read its answers is cut off. */
#define OUT_BYTES_MAX (4u << 20)

enum wait { WAIT_NOTHING, WAIT_RUNNING, WAIT_OFF };

struct client {
	struct source source;
	char *out;
	size_t out_size, out_done;
	enum wait wait;
	unsigned int fd_count;
	uint32_t in_used;
	int fds[2]; /* go with the first byte of out */
	bool used;
	char waits_for[DEFINITION_NAME_MAX + 1];
	char in[REQUEST_BYTES_MAX + 1];
};

static struct client clients[CLIENTS_MAX];
static struct source listener = { .fd = -1 };

static void close_fds(struct client *c)
{
	for (unsigned int i = 0; i < c->fd_count; i++) {
		(void)close(c->fds[i]);
	}
	c->fd_count = 0;
}

static void drop(struct client *c)
{
	close_fds(c);
	source_remove(&c->source);
	free(c->out);
	memset(c, 0, offsetof(struct client, in));
	c->out = NULL;
	c->out_size = c->out_done = 0;
	c->source.fd = -1;
}

static ssize_t send_some(struct client *c)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(c->fds))];
	} control;
	struct iovec v = { c->out + c->out_done, c->out_size - c->out_done };
	struct msghdr h = { .msg_iov = &v, .msg_iovlen = 1 };
	size_t bytes = c->fd_count * sizeof(int);

	if (c->fd_count != 0) {
		struct cmsghdr *head;

		memset(&control, 0, sizeof(control));
		h.msg_control = &control;
		h.msg_controllen = CMSG_SPACE(bytes);
		head = CMSG_FIRSTHDR(&h);
		head->cmsg_level = SOL_SOCKET;
		head->cmsg_type = SCM_RIGHTS;
		head->cmsg_len = CMSG_LEN(bytes);
		memcpy(CMSG_DATA(head), c->fds, bytes);
	}
	return sendmsg(c->source.fd, &h, MSG_DONTWAIT | MSG_NOSIGNAL);
}

/*
 * While an answer waits, no more requests are read: answers do not pile up. A request that is here already is served as soon
 * as the socket takes an answer, which is at once.
 */
static uint32_t wanted(const struct client *c)
{
	if (c->out != NULL) {
		return EPOLLOUT;
	}
	if (c->wait != WAIT_NOTHING) {
		return EPOLLRDHUP;
	}
	return memchr(c->in, '\n', c->in_used) != NULL ? EPOLLIN | EPOLLOUT : EPOLLIN;
}

/* false: the client was dropped. */
static bool flush(struct client *c)
{
	while (c->out_done < c->out_size) {
		ssize_t count = send_some(c);

		if (count > 0) {
			close_fds(c);
			c->out_done += (size_t)count;
		} else if (errno == EAGAIN) {
			break;
		} else if (errno != EINTR) {
			drop(c);
			return false;
		}
	}
	if (c->out_done == c->out_size) {
		free(c->out);
		c->out = NULL;
		c->out_size = c->out_done = 0;
	}
	source_change(&c->source, wanted(c));
	return true;
}

/* Takes the object. false: the client was dropped. */
static bool answer(struct client *c, json_t *object)
{
	char *text = object != NULL ? json_dumps(object, JSON_COMPACT) : NULL;
	size_t size = text != NULL ? strlen(text) : 0;
	char *out;

	json_decref(object);
	if (text == NULL || size >= OUT_BYTES_MAX ||
	    (out = realloc(c->out, c->out_size + size + 1)) == NULL) {
		say("an answer does not fit into memory");
		free(text);
		drop(c);
		return false;
	}
	c->out = out;
	memcpy(c->out + c->out_size, text, size);
	c->out[c->out_size + size] = '\n';
	c->out_size += size + 1;
	free(text);
	return flush(c);
}

static json_t *good(const struct vm *vm)
{
	json_t *object = json_object();

	json_object_set_new(object, "ok", json_true());
	if (vm != NULL) {
		json_object_set_new(object, "name", json_string(vm->definition.name));
		json_object_set_new(object, "state", json_string(vm_state_name(vm->state)));
		json_object_set_new(object, "forced", json_boolean(vm->forced));
		json_object_set_new(object, "reason", json_string(vm->reason));
	}
	return object;
}

/* ---- verbs ---- */

static json_t *create(const struct request *r)
{
	static struct definition definition, old;
	struct definition_fault fault;
	struct vm *vm;
	char why[400], ignored[64];

	if (!definition_parse(r->definition, r->definition_size, &definition, &fault)) {
		return answer_definition_fault(r->file, &fault);
	}
	vm = vm_find(definition.name);
	if (vm != NULL) {
		old = vm->definition;
	}
	if (!vm_create(&definition, r->again, why, sizeof(why))) {
		return answer_error(why);
	}
	if (keep_save(definition.name, r->definition, r->definition_size, why, sizeof(why))) {
		return good(vm_find(definition.name));
	}
	if (vm != NULL) {
		vm->definition = old;
	} else {
		(void)vm_delete(vm_find(definition.name), ignored, sizeof(ignored));
	}
	return answer_error(why);
}

/* The terminal side of the console and its log, opened anew for this client. */
static bool console(struct client *c, struct vm *vm, char *why, size_t room)
{
	char path[DEFINITION_PATH_MAX];
	int terminal, log;

	if (vm->files.pty_master < 0) {
		(void)snprintf(why, room, "%s: is off: hvctl start %s", vm->definition.name,
			       vm->definition.name);
		return false;
	}
	terminal = ioctl(vm->files.pty_master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
	log = open(vm_files_log_path(vm, path, sizeof(path)), O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (terminal < 0 || log < 0) {
		(void)snprintf(why, room, "%s: console: %s", vm->definition.name, strerror(errno));
		if (terminal >= 0) {
			(void)close(terminal);
		}
		if (log >= 0) {
			(void)close(log);
		}
		return false;
	}
	/* What nobody read is old, and in the log. */
	(void)tcflush(terminal, TCIFLUSH);
	c->fds[0] = terminal;
	c->fds[1] = log;
	c->fd_count = 2;
	return true;
}

/* The end at which the records of the guest's traffic arrive. */
static bool record(struct client *c, struct vm *vm, char *why, size_t room)
{
	int records;

	if (!vm_record(vm, &records, why, room)) {
		return false;
	}
	c->fds[0] = records;
	c->fd_count = 1;
	return true;
}

/* A verb about one machine. NULL: the answer comes when the machine is there. */
static json_t *machine_verb(struct client *c, const struct request *r, struct vm *vm)
{
	char why[400];
	bool done;

	switch (r->verb) {
	case REQUEST_DELETE:
		done = vm_delete(vm, why, sizeof(why)) && keep_remove(r->name, why, sizeof(why));
		return done ? good(NULL) : answer_error(why);
	case REQUEST_SHOW:
		return answer_show(vm);
	case REQUEST_CONSOLE:
		return console(c, vm, why, sizeof(why)) ? good(vm) : answer_error(why);
	case REQUEST_RECORD:
		return record(c, vm, why, sizeof(why)) ? good(vm) : answer_error(why);
	case REQUEST_START:
		c->wait = WAIT_RUNNING;
		done = vm_start(vm, why, sizeof(why));
		break;
	case REQUEST_STOP:
		c->wait = WAIT_OFF;
		done = vm_stop(vm, r->timeout_s, why, sizeof(why));
		break;
	default:
		c->wait = WAIT_OFF;
		done = vm_kill(vm, why, sizeof(why));
		break;
	}
	if (!done) {
		c->wait = WAIT_NOTHING;
		return answer_error(why);
	}
	(void)snprintf(c->waits_for, sizeof(c->waits_for), "%s", vm->definition.name);
	return NULL;
}

static json_t *dispatch(struct client *c, const struct request *r)
{
	struct vm *vm = r->name[0] != '\0' ? vm_find(r->name) : NULL;
	char why[128];

	if (r->name[0] != '\0' && vm == NULL) {
		(void)snprintf(why, sizeof(why), "%s: no such machine: see hvctl list", r->name);
		return answer_error(why);
	}
	switch (r->verb) {
	case REQUEST_CREATE:
		return create(r);
	case REQUEST_LIST:
		return answer_list();
	case REQUEST_PS:
		return answer_ps(vm);
	default:
		return machine_verb(c, r, vm);
	}
}

/* ---- what a client waits for ---- */

/* The answer to a client that waits for this machine, or NULL: not yet. */
static json_t *outcome(const struct client *c, const struct vm *vm)
{
	bool rest = vm->state == VM_OFF || vm->state == VM_FAILED;
	char why[400];

	if (c->wait == WAIT_RUNNING && vm->state == VM_RUNNING) {
		return good(vm);
	}
	if (c->wait == WAIT_RUNNING && rest) {
		(void)snprintf(why, sizeof(why), "%s: did not start: %s", vm->definition.name,
			       vm->reason);
		return answer_error(why);
	}
	return c->wait == WAIT_OFF && rest ? good(vm) : NULL;
}

static void look(struct client *c)
{
	struct vm *vm = vm_find(c->waits_for);
	json_t *object = vm != NULL ? outcome(c, vm) : answer_error("the machine was deleted");

	if (object != NULL) {
		c->wait = WAIT_NOTHING;
		(void)answer(c, object);
	}
}

void server_vm_changed(struct vm *vm)
{
	for (unsigned int i = 0; i < CLIENTS_MAX; i++) {
		struct client *c = &clients[i];

		/* The name is written last, when a request was taken: not before its own answer. */
		if (c->used && c->wait != WAIT_NOTHING &&
		    strcmp(c->waits_for, vm->definition.name) == 0) {
			look(c);
		}
	}
}

/* ---- lines ---- */

/* One request. false: the client was dropped. */
static bool serve(struct client *c, const char *line, size_t size)
{
	static struct request request;
	const char *why;
	json_t *object;
	char text[128];

	if (!request_parse(line, size, &request, &why)) {
		(void)snprintf(text, sizeof(text), "request refused: %s", why);
		return answer(c, answer_error(text));
	}
	c->waits_for[0] = '\0';
	object = dispatch(c, &request);
	if (object != NULL) {
		return answer(c, object);
	}
	source_change(&c->source, wanted(c));
	look(c);
	return c->used;
}

static void serve_lines(struct client *c)
{
	while (c->used && c->wait == WAIT_NOTHING && c->out == NULL) {
		char *end = memchr(c->in, '\n', c->in_used);
		size_t size, line = end != NULL ? (size_t)(end - c->in) : 0;

		if (end == NULL) {
			break;
		}
		if (!serve(c, c->in, line)) {
			return;
		}
		size = line + 1;
		c->in_used -= (uint32_t)size;
		memmove(c->in, c->in + size, c->in_used);
	}
}

static void client_ready(struct source *s, uint32_t events)
{
	struct client *c = OWNER(s, struct client, source);
	ssize_t count;

	if ((events & (EPOLLERR | EPOLLHUP | EPOLLRDHUP)) != 0 && (events & EPOLLIN) == 0) {
		drop(c);
		return;
	}
	if ((events & EPOLLOUT) != 0) {
		(void)flush(c);
	}
	if (c->used && (events & EPOLLIN) != 0) {
		count = recv(s->fd, c->in + c->in_used, sizeof(c->in) - c->in_used, MSG_DONTWAIT);
		if (count == 0 || (count < 0 && errno != EAGAIN && errno != EINTR)) {
			drop(c);
			return;
		}
		c->in_used += count > 0 ? (uint32_t)count : 0;
	}
	serve_lines(c);
	if (c->used && c->in_used == sizeof(c->in) && c->wait == WAIT_NOTHING && c->out == NULL) {
		/* A line without end. */
		drop(c);
	}
}

static bool is_root(int fd)
{
	struct ucred peer;
	socklen_t size = sizeof(peer);

	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 && peer.uid == 0;
}

static void client_new(struct source *s, uint32_t events)
{
	int fd = accept4(s->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	(void)events;
	if (fd < 0) {
		return;
	}
	for (unsigned int i = 0; is_root(fd) && i < CLIENTS_MAX; i++) {
		struct client *c = &clients[i];

		if (!c->used) {
			c->used = true;
			c->in_used = 0;
			c->source.ready = client_ready;
			if (!source_add(&c->source, fd, EPOLLIN)) {
				c->used = false;
			}
			return;
		}
	}
	(void)close(fd);
}

bool server_init(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	mode_t mask;
	int fd, probe;
	bool bound;

	if (strlen(path) >= sizeof(address.sun_path)) {
		say("%s: longer than the name of a socket may be", path);
		return false;
	}
	memcpy(address.sun_path, path, strlen(path) + 1);
	probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (probe >= 0 && connect(probe, (struct sockaddr *)&address, sizeof(address)) == 0) {
		say("%s: another manager serves it: stop that one", path);
		(void)close(probe);
		return false;
	}
	(void)close(probe);
	(void)unlink(path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	mask = umask(0177);
	bound = fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0;
	(void)umask(mask);
	if (!bound || listen(fd, CLIENTS_MAX) != 0) {
		say("%s: %s: is its folder there?", path, strerror(errno));
		return false;
	}
	for (unsigned int i = 0; i < CLIENTS_MAX; i++) {
		clients[i].source.fd = -1;
	}
	listener.ready = client_new;
	return source_add(&listener, fd, EPOLLIN);
}
