/* SPDX-License-Identifier: MIT */
#include "hv/host/vmworker/console.h"

#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>

void console_init(struct console *c, int fd)
{
	c->fd = fd;
}

void console_put(struct console *c, uint8_t byte)
{
	if (c->count == CONSOLE_OUT_BYTES) {
		c->head = (c->head + 1) % CONSOLE_OUT_BYTES;
		c->count--;
		c->lost++;
	}
	c->out[(c->head + c->count) % CONSOLE_OUT_BYTES] = byte;
	c->count++;
	c->line = c->line || byte == '\n';
}

bool console_due(const struct console *c)
{
	return !c->full && (c->line || c->count >= CONSOLE_BATCH);
}

/* Returns how much the stream took; marks it full or gone. */
static uint32_t give(struct console *c, const void *bytes, uint32_t count)
{
	ssize_t n;

	do {
		n = send(c->fd, bytes, count, MSG_DONTWAIT | MSG_NOSIGNAL);
	} while (n < 0 && errno == EINTR);
	if (n >= 0) {
		c->full = (uint32_t)n < count;
		return (uint32_t)n;
	}
	if (errno == EAGAIN || errno == ENOBUFS || errno == ENOMEM) {
		c->full = true;
	} else {
		c->gone = true;
	}
	return 0;
}

/* The gap is where the oldest bytes were: before all that is kept. */
static void tell_lost(struct console *c)
{
	char text[64];
	int n = snprintf(text, sizeof(text), "\r\n[%llu bytes of output lost]\r\n",
			 (unsigned long long)c->lost);

	if (give(c, text, (uint32_t)n) != 0) {
		c->lost = 0;
	}
}

void console_send(struct console *c)
{
	c->line = false;
	c->full = false;
	if (c->lost != 0 && !c->gone) {
		tell_lost(c);
	}
	while (c->count != 0 && !c->full && !c->gone) {
		uint32_t run = CONSOLE_OUT_BYTES - c->head, n;

		n = give(c, c->out + c->head, run < c->count ? run : c->count);
		c->head = (c->head + n) % CONSOLE_OUT_BYTES;
		c->count -= n;
	}
	if (c->gone) {
		c->count = 0;
		c->lost = 0;
	}
}

void console_receive(struct console *c)
{
	ssize_t n;

	if (c->in_count != 0 || c->gone) {
		return;
	}
	do {
		n = recv(c->fd, c->in, sizeof(c->in), MSG_DONTWAIT);
	} while (n < 0 && errno == EINTR);
	if (n > 0) {
		c->in_at = 0;
		c->in_count = (uint32_t)n;
	} else if (n == 0 || errno != EAGAIN) {
		c->gone = true;
	}
}
