/* SPDX-License-Identifier: MIT */
#ifndef HV_WIRE_UART_H
#define HV_WIRE_UART_H
/*
 * A 16550A as its registers show it. What is transmitted leaves at once, so the transmitter is always empty. The receiver
 * holds more than the 16 bytes of the chip, which a guest cannot tell from a fast line; the caller puts in no more than there
 * is room, so nothing is lost but what a guest loops back to itself.
 */
#include "hv/wire/view.h"

#define UART_PORTS 8
#define UART_RX_BYTES 64

struct uart {
	uint8_t ier, fcr, lcr, mcr, scr, dll, dlm;
	uint8_t delta;  /* MSR 3:0: what changed since it was read */
	bool thr_empty; /* that interrupt was not acknowledged yet */
	bool overrun;   /* LSR 1 */
	uint8_t rx[UART_RX_BYTES];
	uint32_t rx_head, rx_count;
};

void uart_init(struct uart *u);
/* Trust: reg (its low three bits count) and v are hostile. */
uint8_t uart_read(struct uart *u, uint32_t reg);
/* true: the guest transmitted v. */
bool uart_write(struct uart *u, uint32_t reg, uint8_t v);
/* How many bytes uart_receive would take now; 0 in loop-back. */
uint32_t uart_room(const struct uart *u);
/* Bytes from outside arrive; returns how many were taken. */
uint32_t uart_receive(struct uart *u, const uint8_t *from, uint32_t count);

#endif
