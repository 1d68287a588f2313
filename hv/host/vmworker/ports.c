/* SPDX-License-Identifier: MIT */
#include "hv/host/vmworker/ports.h"

#include <string.h>

#include "hv/host/vmworker/acpi.h"

#define ACCESS_STRING 0x08u

void ports_init(struct ports *p)
{
	uart_init(&p->uart);
}

static uint8_t read_byte(struct ports *p, uint32_t port)
{
	if (port - PORT_UART < UART_PORTS) {
		return uart_read(&p->uart, port - PORT_UART);
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
