/* SPDX-License-Identifier: MIT */
#include "hv/host/vmworker/ports.h"

#include <string.h>
#include <time.h>

#include "hv/host/vmworker/acpi.h"

#define ACCESS_STRING 0x08u
#define LCR_DLAB 0x80u
#define MCR_LOOP 0x10u

void ports_init(struct ports *p)
{
	rtc_init(&p->rtc);
	uart_init(&p->uart);
}

/* Before 1970 is a host without a clock: the guest gets the beginning. */
static uint64_t now(void)
{
	struct timespec t = { 0, 0 };

	(void)clock_gettime(CLOCK_REALTIME, &t);
	return t.tv_sec > 0 ? (uint64_t)t.tv_sec : 0;
}

bool ports_quick(const struct ports *p)
{
	const struct uart *u = &p->uart;

	return (u->lcr & LCR_DLAB) == 0 && (u->mcr & MCR_LOOP) == 0 && u->rx_count == 0 &&
	       !u->overrun;
}

static uint8_t read_byte(struct ports *p, uint32_t port)
{
	if (port - PORT_UART < UART_PORTS) {
		return uart_read(&p->uart, port - PORT_UART);
	}
	if (port - PORT_RTC < RTC_PORTS) {
		return rtc_read(&p->rtc, port - PORT_RTC, now());
	}
	switch (port) {
	case ACPI_PORT_SLEEP_CONTROL: /* SLP_EN reads as 0 */
	case ACPI_PORT_SLEEP_STATUS:  /* never woken: WAK_STS is clear */
	case ACPI_PORT_RESET:
		return 0;
	default:
		return 0xff; /* a wide access that reaches past a device */
	}
}

static void write_byte(struct ports *p, uint32_t port, uint8_t v, struct ports_result *out)
{
	if (port - PORT_UART < UART_PORTS) {
		if (uart_write(&p->uart, port - PORT_UART, v)) {
			out->bytes[out->sent++] = v;
		}
	} else if (port - PORT_RTC < RTC_PORTS) {
		rtc_write(&p->rtc, port - PORT_RTC, v);
	} else if (port == ACPI_PORT_SLEEP_CONTROL) {
		/* No other state is offered: the guest that asks for one goes on, awake. */
		if ((v & ACPI_SLEEP_ENABLE) != 0 && ACPI_SLEEP_TYPE(v) == ACPI_S5_TYPE) {
			out->event = PORTS_OFF;
		}
	} else if (port == ACPI_PORT_RESET && v == ACPI_RESET_VALUE) {
		out->event = PORTS_RESET;
	}
}

static void refuse(struct ports_result *out, const char *text)
{
	out->event = PORTS_REFUSED;
	out->text = text;
}

/* A wide access to these byte-wide devices is one access to each port, as on the bus of a PC. */
void ports_access(struct ports *p, const struct hv_io_port_intercept *a, struct ports_result *out)
{
	uint32_t size = a->access_info & 7u;

	memset(out, 0, sizeof(*out));
	if ((a->access_info & ACCESS_STRING) != 0) {
		refuse(out, "string I/O to a port");
		return;
	}
	if ((size != 1 && size != 2 && size != 4) || a->header.length == 0 ||
	    a->header.access > 1) {
		refuse(out, "malformed port access");
		return;
	}
	if (a->header.access == 1) {
		for (uint32_t i = 0; i < size; i++) {
			write_byte(p, a->port + i, (uint8_t)(a->rax >> (8 * i)), out);
		}
		if (out->event == PORTS_NOTHING && out->sent != 0) {
			out->event = PORTS_TRANSMITTED;
		}
		return;
	}
	/* IN to EAX clears the upper half, as every 32-bit result does; the narrower ones keep the rest. */
	out->read = true;
	out->rax = size == 4 ? 0 : a->rax & ~0ull << (8 * size);
	for (uint32_t i = 0; i < size; i++) {
		out->rax |= (uint64_t)read_byte(p, a->port + i) << (8 * i);
	}
}

void ports_posted(struct ports *p, const struct hv_posted_write *write, struct ports_result *out)
{
	const struct hv_io_port_intercept a = { .header = { .length = 1, .access = 1 },
						.port = write->port,
						.access_info = write->size & 7u,
						.rax = write->value };

	ports_access(p, &a, out);
}
