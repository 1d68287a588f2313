// SPDX-License-Identifier: MIT
/* The 16550A: what Linux's 8250 driver asks of it, then each register. */
#include "tests/unit/wire/wire_test.h"

#include "hv/wire/uart.h"

enum { DATA, IER, IIR, LCR, MCR, LSR, MSR, SCR };
#define FCR IIR

static struct uart u;

static void fresh(void)
{
	memset(&u, 0xa5, sizeof(u));
	uart_init(&u);
}

static uint8_t in(uint32_t reg)
{
	return uart_read(&u, reg);
}

static void out(uint32_t reg, uint8_t v)
{
	assert_false(uart_write(&u, reg, v));
}

static void arrive(const char *text, uint32_t taken)
{
	assert_int_equal(uart_receive(&u, (const uint8_t *)text, (uint32_t)strlen(text)), taken);
}

/* drivers/tty/serial/8250/8250_port.c: autoconfig() and autoconfig_16550a(). */
static void test_linux_probe(void **state)
{
	uint8_t mcr, lcr;

	(void)state;
	fresh();
	out(IER, 0);
	assert_int_equal(in(IER)&0x0f, 0);
	out(IER, 0x0f);
	assert_int_equal(in(IER)&0x0f, 0x0f);
	out(IER, 0);
	mcr = in(MCR);
	lcr = in(LCR);
	out(MCR, 0x10 | 0x0a);
	assert_int_equal(in(MSR)&0xf0, 0x90);
	out(MCR, mcr);
	out(LCR, 0xbf); /* an EFR at register 2 would be a 16650 */
	out(2, 0);
	out(LCR, 0);
	out(FCR, 1);
	assert_int_equal(in(IIR) >> 6, 3); /* FIFOs that work: 16550A */
	out(LCR, 0x80);
	assert_int_not_equal(in(2), 0); /* no EFR */
	out(LCR, 0xbf);
	assert_int_not_equal(in(2), 0);
	/* The 64-byte FIFO of a 16750 does not answer. */
	out(LCR, 0);
	out(FCR, 0x21);
	assert_int_equal(in(IIR) >> 5, 6);
	out(LCR, 0x80);
	out(FCR, 0x21);
	assert_int_equal(in(IIR) >> 5, 6);
	out(LCR, lcr);
}

static void test_transmit(void **state)
{
	(void)state;
	fresh();
	assert_int_equal(in(LSR), 0x60);
	assert_true(uart_write(&u, DATA, 'x'));
	assert_int_equal(in(LSR), 0x60);
	assert_true(uart_write(&u, 8 + DATA, 'x')); /* only three address lines */
	/* The divisor latch takes the place of data and IER. */
	out(LCR, 0x83);
	assert_int_equal(in(DATA), 1);
	assert_int_equal(in(IER), 0);
	out(DATA, 0x0c);
	out(IER, 0x12);
	assert_int_equal(in(DATA), 0x0c);
	assert_int_equal(in(IER), 0x12);
	out(LCR, 3);
	assert_int_equal(in(IER), 0);
	assert_true(uart_write(&u, DATA, 'y'));
}

static void test_receive(void **state)
{
	static const char many[] =
		"0123456789012345678901234567890123456789012345678901234567890123456789";

	(void)state;
	fresh();
	/* Character mode: one byte. */
	assert_int_equal(uart_room(&u), 1);
	arrive("ab", 1);
	assert_int_equal(uart_room(&u), 0);
	arrive("c", 0);
	assert_int_equal(in(LSR), 0x61);
	assert_int_equal(in(DATA), 'a');
	assert_int_equal(in(LSR), 0x60);
	assert_int_equal(in(DATA), 0);
	/* FIFO mode; switching clears. */
	arrive("z", 1);
	out(FCR, 1);
	assert_int_equal(in(LSR), 0x60);
	for (int round = 0; round < 3; round++) { /* around the end of the buffer */
		arrive(many, UART_RX_BYTES);
		assert_int_equal(uart_room(&u), 0);
		for (int i = 0; i < UART_RX_BYTES; i++) {
			assert_int_equal(in(LSR), 0x61);
			assert_int_equal(in(DATA), many[i]);
			if (i == 10) {
				arrive("!", 1);
			}
		}
		assert_int_equal(in(DATA), '!');
		assert_int_equal(in(LSR), 0x60);
	}
	arrive("abc", 3);
	out(FCR, 0x03);
	assert_int_equal(in(LSR), 0x60);
	arrive("abc", 3);
	out(FCR, 0x05); /* clearing the transmitter is not clearing the receiver */
	assert_int_equal(in(LSR), 0x61);
	out(FCR, 0x02); /* without the enabling bit: off, and so empty */
	assert_int_equal(in(LSR), 0x60);
	assert_int_equal(in(IIR), 0x01);
}

static void test_interrupts(void **state)
{
	static const struct {
		uint8_t fcr;
		uint32_t level;
	} trigger[] = { { 0x01, 1 }, { 0x41, 4 }, { 0x81, 8 }, { 0xc1, 14 } };

	(void)state;
	fresh();
	assert_int_equal(in(IIR), 0x01);
	/* Transmitter: raised by enabling, by emptying; taken back by reading IIR. */
	out(IER, 2);
	assert_int_equal(in(IIR), 0x02);
	assert_int_equal(in(IIR), 0x01);
	out(IER, 2);
	assert_int_equal(in(IIR), 0x01);
	assert_true(uart_write(&u, DATA, 'x'));
	assert_int_equal(in(IIR), 0x02);
	out(IER, 0);
	out(IER, 2);
	assert_int_equal(in(IIR), 0x02);
	/* Receiver before transmitter; reading IIR then does not take the transmitter's back. */
	out(IER, 0);
	out(IER, 3);
	arrive("a", 1);
	assert_int_equal(in(IIR), 0x04);
	assert_int_equal(in(IIR), 0x04);
	assert_int_equal(in(DATA), 'a');
	assert_int_equal(in(IIR), 0x02);
	/* Trigger levels; below them the timeout. */
	out(IER, 1);
	for (size_t i = 0; i < sizeof(trigger) / sizeof(trigger[0]); i++) {
		out(FCR, trigger[i].fcr | 2);
		assert_int_equal(in(IIR), 0xc1);
		for (uint32_t n = 1; n <= 16; n++) {
			arrive("q", 1);
			assert_int_equal(in(IIR), n >= trigger[i].level ? 0xc4 : 0xcc);
		}
	}
	out(IER, 0);
	assert_int_equal(in(IIR), 0xc1);
}

static void test_loopback(void **state)
{
	(void)state;
	fresh();
	out(MCR, 0x10);
	assert_int_equal(uart_room(&u), 0);
	arrive("a", 0);
	out(DATA, 'l'); /* stays inside */
	assert_int_equal(in(LSR), 0x61);
	/* Overrun: the newer byte wins in character mode. */
	out(IER, 4);
	out(DATA, 'm');
	assert_int_equal(in(IIR), 0x06);
	assert_int_equal(in(LSR), 0x63);
	assert_int_equal(in(IIR), 0x01);
	assert_int_equal(in(DATA), 'm');
	/* In FIFO mode the older ones stay. */
	out(FCR, 1);
	for (int i = 0; i < UART_RX_BYTES; i++) {
		out(DATA, (uint8_t)i);
	}
	assert_int_equal(in(LSR), 0x61);
	out(DATA, 0xff);
	assert_int_equal(in(LSR), 0x63);
	for (int i = 0; i < UART_RX_BYTES; i++) {
		assert_int_equal(in(DATA), i);
	}
	assert_int_equal(in(LSR), 0x60);
	out(MCR, 0);
	assert_int_equal(uart_room(&u), UART_RX_BYTES);
	assert_true(uart_write(&u, DATA, 'o'));
}

static void test_modem(void **state)
{
	(void)state;
	fresh();
	assert_int_equal(in(MSR), 0xb0); /* CTS, DSR, DCD: somebody is there */
	out(MCR, 0xff);
	assert_int_equal(in(MCR), 0x1f);
	assert_int_equal(in(MSR), 0xf0); /* loop-back with all four: RI rose, which is not noted */
	out(IER, 8);
	assert_int_equal(in(IIR), 0x01);
	out(MCR, 0x10);
	assert_int_equal(in(IIR), 0x00);
	assert_int_equal(in(MSR), 0x0f);
	assert_int_equal(in(MSR), 0x00);
	assert_int_equal(in(IIR), 0x01);
	for (uint8_t bit = 0; bit < 4; bit++) {
		static const uint8_t status[4] = { 0x20, 0x10, 0x40,
						   0x80 }; /* DTR, RTS, OUT1, OUT2 */

		out(MCR, (uint8_t)(0x10 | 1 << bit));
		assert_int_equal(in(MSR), status[bit] | (bit == 2 ? 0 : status[bit] >> 4));
		out(MCR, 0x10);
		assert_int_equal(in(MSR), status[bit] >> 4);
	}
}

static void test_scratch(void **state)
{
	(void)state;
	fresh();
	out(SCR, 0x5a);
	assert_int_equal(in(SCR), 0x5a);
	out(LSR, 0xff);
	out(MSR, 0xff);
	assert_int_equal(in(LSR), 0x60);
	assert_int_equal(in(MSR), 0xb0);
	out(LCR, 0x7f);
	assert_int_equal(in(LCR), 0x7f);
	out(IER, 0xff);
	assert_int_equal(in(IER), 0x0f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_linux_probe), cmocka_unit_test(test_transmit),
		cmocka_unit_test(test_receive),     cmocka_unit_test(test_interrupts),
		cmocka_unit_test(test_loopback),    cmocka_unit_test(test_modem),
		cmocka_unit_test(test_scratch),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
