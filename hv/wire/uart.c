/* SPDX-License-Identifier: MIT */
/* National Semiconductor PC16550D, registers and interrupts in FIFO and character mode. */
#include "hv/wire/uart.h"
#include "hv/wire/mem.h"

enum { REG_DATA, REG_IER, REG_IIR_FCR, REG_LCR, REG_MCR, REG_LSR, REG_MSR, REG_SCR };

#define IER_RX 0x01u
#define IER_TX 0x02u
#define IER_LINE 0x04u
#define IER_MODEM 0x08u

#define IIR_MODEM 0x00u
#define IIR_NONE 0x01u
#define IIR_TX 0x02u
#define IIR_RX 0x04u
#define IIR_LINE 0x06u
#define IIR_RX_TIMEOUT 0x0cu
#define IIR_FIFO 0xc0u

#define FCR_ENABLE 0x01u
#define FCR_CLEAR_RX 0x02u
#define FCR_KEPT 0xc9u /* enable, DMA mode, trigger level */

#define LCR_DLAB 0x80u

#define MCR_LOOP 0x10u

#define LSR_DATA 0x01u
#define LSR_OVERRUN 0x02u
#define LSR_TX_EMPTY 0x60u /* holding register and shifter */

#define MSR_CTS 0x10u
#define MSR_DSR 0x20u
#define MSR_RI 0x40u
#define MSR_DCD 0x80u

void uart_init(struct uart *u)
{
	memset(u, 0, sizeof(*u));
	u->lcr = 3; /* 8n1 at 115200: what firmware leaves */
	u->dll = 1;
}

/* The modem's lines: a terminal that is ready, or the guest's own outputs in loop-back. */
static uint8_t lines(uint8_t mcr)
{
	uint8_t l = 0;

	if ((mcr & MCR_LOOP) == 0) {
		return MSR_CTS | MSR_DSR | MSR_DCD;
	}
	l |= (mcr & 0x01) != 0 ? MSR_DSR : 0; /* DTR */
	l |= (mcr & 0x02) != 0 ? MSR_CTS : 0; /* RTS */
	l |= (mcr & 0x04) != 0 ? MSR_RI : 0;  /* OUT1 */
	l |= (mcr & 0x08) != 0 ? MSR_DCD : 0; /* OUT2 */
	return l;
}

static uint32_t capacity(const struct uart *u)
{
	return (u->fcr & FCR_ENABLE) != 0 ? UART_RX_BYTES : 1;
}

static uint32_t trigger(const struct uart *u)
{
	if ((u->fcr & FCR_ENABLE) == 0) {
		return 1;
	}
	switch (u->fcr >> 6) {
	case 0:
		return 1;
	case 1:
		return 4;
	case 2:
		return 8;
	default:
		return 14;
	}
}

static void clear_rx(struct uart *u)
{
	u->rx_head = 0;
	u->rx_count = 0;
}

static void push(struct uart *u, uint8_t v)
{
	if (u->rx_count >= capacity(u)) {
		u->overrun = true;
		if ((u->fcr & FCR_ENABLE) == 0) {
			u->rx[u->rx_head] =
				v; /* character mode: the new byte takes the old one's place */
		}
		return;
	}
	u->rx[(u->rx_head + u->rx_count) % UART_RX_BYTES] = v;
	u->rx_count++;
}

static uint8_t pop(struct uart *u)
{
	uint8_t v = u->rx[u->rx_head];

	if (u->rx_count == 0) {
		return 0;
	}
	u->rx_head = (u->rx_head + 1) % UART_RX_BYTES;
	u->rx_count--;
	return v;
}

/* The interrupt of highest priority, without the FIFO bits. */
static uint8_t pending(const struct uart *u)
{
	if ((u->ier & IER_LINE) != 0 && u->overrun) {
		return IIR_LINE;
	}
	if ((u->ier & IER_RX) != 0 && u->rx_count != 0) {
		/* Fewer than the trigger level: time passes, no more comes, the timeout is reached. */
		return u->rx_count >= trigger(u) ? IIR_RX : IIR_RX_TIMEOUT;
	}
	if ((u->ier & IER_TX) != 0 && u->thr_empty) {
		return IIR_TX;
	}
	if ((u->ier & IER_MODEM) != 0 && u->delta != 0) {
		return IIR_MODEM;
	}
	return IIR_NONE;
}

static uint8_t read_iir(struct uart *u)
{
	uint8_t id = pending(u);

	if (id == IIR_TX) {
		u->thr_empty = false;
	}
	return (uint8_t)(id | ((u->fcr & FCR_ENABLE) != 0 ? IIR_FIFO : 0));
}

static uint8_t read_lsr(struct uart *u)
{
	uint8_t v = LSR_TX_EMPTY;

	v |= u->rx_count != 0 ? LSR_DATA : 0;
	v |= u->overrun ? LSR_OVERRUN : 0;
	u->overrun = false;
	return v;
}

/* Trust: see the header. */
uint8_t uart_read(struct uart *u, uint32_t reg)
{
	uint8_t v;

	switch (reg % UART_PORTS) {
	case REG_DATA:
		return (u->lcr & LCR_DLAB) != 0 ? u->dll : pop(u);
	case REG_IER:
		return (u->lcr & LCR_DLAB) != 0 ? u->dlm : u->ier;
	case REG_IIR_FCR:
		return read_iir(u);
	case REG_LCR:
		return u->lcr;
	case REG_MCR:
		return u->mcr;
	case REG_LSR:
		return read_lsr(u);
	case REG_MSR:
		v = (uint8_t)(lines(u->mcr) | u->delta);
		u->delta = 0;
		return v;
	default:
		return u->scr;
	}
}

static bool write_data(struct uart *u, uint8_t v)
{
	if ((u->lcr & LCR_DLAB) != 0) {
		u->dll = v;
		return false;
	}
	u->thr_empty = true;
	if ((u->mcr & MCR_LOOP) != 0) {
		push(u, v);
		return false;
	}
	return true;
}

static void write_ier(struct uart *u, uint8_t v)
{
	if ((u->lcr & LCR_DLAB) != 0) {
		u->dlm = v;
		return;
	}
	if ((v & IER_TX) != 0 && (u->ier & IER_TX) == 0) {
		u->thr_empty = true; /* enabling it while the transmitter is empty raises it */
	}
	u->ier = v & 0x0f;
}

static void write_fcr(struct uart *u, uint8_t v)
{
	if (((v ^ u->fcr) & FCR_ENABLE) != 0 ||
	    (v & (FCR_ENABLE | FCR_CLEAR_RX)) == (FCR_ENABLE | FCR_CLEAR_RX)) {
		clear_rx(u);
	}
	/* The other bits can be programmed only together with the enabling one. */
	u->fcr = (v & FCR_ENABLE) != 0 ? v & FCR_KEPT : 0;
}

static void write_mcr(struct uart *u, uint8_t v)
{
	uint8_t before = lines(u->mcr), now, changed;

	u->mcr = v & 0x1f;
	now = lines(u->mcr);
	changed = before ^ now;
	if ((before & MSR_RI) == 0) {
		changed &= (uint8_t)~MSR_RI; /* only the trailing edge of RI is noted */
	}
	u->delta |= changed >> 4;
}

/* Trust: see the header. */
bool uart_write(struct uart *u, uint32_t reg, uint8_t v)
{
	switch (reg % UART_PORTS) {
	case REG_DATA:
		return write_data(u, v);
	case REG_IER:
		write_ier(u, v);
		break;
	case REG_IIR_FCR:
		write_fcr(u, v);
		break;
	case REG_LCR:
		u->lcr = v;
		break;
	case REG_MCR:
		write_mcr(u, v);
		break;
	case REG_SCR:
		u->scr = v;
		break;
	default: /* LSR and MSR: factory tests only */
		break;
	}
	return false;
}

uint32_t uart_room(const struct uart *u)
{
	return (u->mcr & MCR_LOOP) != 0 ? 0 : capacity(u) - u->rx_count;
}

uint32_t uart_receive(struct uart *u, const uint8_t *from, uint32_t count)
{
	uint32_t room = uart_room(u), n = count < room ? count : room;

	for (uint32_t i = 0; i < n; i++) {
		push(u, from[i]);
	}
	return n;
}
