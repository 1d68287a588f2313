// SPDX-License-Identifier: MIT
/*
 * Input: a script. Byte: 0-7 read that register, 8-15 write it (next byte), 16-31 that many bytes (less 16) arrive, others: as modulo 32. What
 * is received is compared with a plain queue.
 */
#include <string.h>

#include "fuzz/script.h"
#include "hv/wire/uart.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct {
	uint8_t bytes[8192];
	uint32_t from, to;
} model;

static void check(const struct uart *u)
{
	CHECK_FUZZ(u->rx_count <= UART_RX_BYTES && u->rx_head < UART_RX_BYTES);
	CHECK_FUZZ(u->rx_count == model.to - model.from);
	CHECK_FUZZ(uart_room(u) + u->rx_count <= UART_RX_BYTES);
	CHECK_FUZZ((u->fcr & 1) != 0 || u->rx_count <= 1);
	CHECK_FUZZ(u->ier <= 0x0f && u->mcr <= 0x1f && u->delta <= 0x0f);
}

/* IIR 3:0 by the order of the data sheet's table 5. */
static uint8_t due(const struct uart *u)
{
	static const uint8_t level[] = { 1, 4, 8, 14 };

	if ((u->ier & 4) != 0 && u->overrun) {
		return 6;
	}
	if ((u->ier & 1) != 0 && u->rx_count != 0) {
		return (u->fcr & 1) == 0 || u->rx_count >= level[u->fcr >> 6] ? 4 : 12;
	}
	if ((u->ier & 2) != 0 && u->thr_empty) {
		return 2;
	}
	return (u->ier & 8) != 0 && u->delta != 0 ? 0 : 1;
}

static void read_one(struct uart *u, uint32_t reg)
{
	bool dlab = (u->lcr & 0x80) != 0;
	uint8_t want = due(u), v = uart_read(u, reg);

	if (reg == 0 && !dlab && model.from != model.to) {
		CHECK_FUZZ(v == model.bytes[model.from++]);
	} else if (reg == 0 && !dlab) {
		CHECK_FUZZ(v == 0);
	}
	if (reg == 2) {
		CHECK_FUZZ((v & 0x0f) == want);
		CHECK_FUZZ(want != 2 || due(u) != 2);
		CHECK_FUZZ((v & 0xc0) == ((u->fcr & 1) != 0 ? 0xc0 : 0) && (v & 0x30) == 0);
	}
	if (reg == 5) {
		CHECK_FUZZ((v & 0x60) == 0x60 && ((v & 1) != 0) == (model.from != model.to));
	}
}

static void write_one(struct uart *u, uint32_t reg, uint8_t v)
{
	bool data = reg == 0 && (u->lcr & 0x80) == 0, loop = (u->mcr & 0x10) != 0;
	bool fifo = (u->fcr & 1) != 0, divisor = (u->lcr & 0x80) != 0;
	uint8_t ier = u->ier;
	uint32_t room = (fifo ? UART_RX_BYTES : 1) - u->rx_count;

	CHECK_FUZZ(uart_write(u, reg, v) == (data && !loop));
	if (reg == 1) {
		CHECK_FUZZ(u->ier == (divisor ? ier : v & 0x0f) && (!divisor || u->dlm == v));
	}
	if (data && loop && room != 0) {
		model.bytes[model.to++] = v;
	} else if (data && loop && !fifo) {
		model.bytes[model.from] = v;
	}
	if (reg == 2 && (((v & 1) != 0) != fifo || (v & 3) == 3)) {
		model.from = model.to;
	}
}

static void arrive(struct uart *u, struct script *s, uint32_t n)
{
	uint8_t bytes[16];
	uint32_t room = uart_room(u), taken;

	for (uint32_t i = 0; i < n; i++) {
		bytes[i] = (uint8_t)script_take(s, 1);
	}
	taken = uart_receive(u, bytes, n);
	CHECK_FUZZ(taken == (n < room ? n : room));
	memcpy(model.bytes + model.to, bytes, taken);
	model.to += taken;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct script all = { data, size, 0 }, s;
	struct uart u;

	memset(&model, 0, sizeof(model));
	memset(&u, 0xa5, sizeof(u));
	uart_init(&u);
	for (int i = 0; i < 500 && script_action(&all, &s); i++) {
		uint32_t op = (uint32_t)script_take(&s, 1) % 32;

		if (op < 8) {
			read_one(&u, op);
		} else if (op < 16) {
			write_one(&u, op - 8, (uint8_t)script_take(&s, 1));
		} else {
			arrive(&u, &s, op - 16);
		}
		check(&u);
	}
	return 0;
}
