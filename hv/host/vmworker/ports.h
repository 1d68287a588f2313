/* SPDX-License-Identifier: MIT */
#ifndef HV_HOST_VMWORKER_PORTS_H
#define HV_HOST_VMWORKER_PORTS_H
/* What the guest finds at its I/O ports. Everything else reads as ones: the hypervisor does not even tell us. */
#include "hv/abi/tlfs.h"
#include "hv/wire/rtc.h"
#include "hv/wire/uart.h"

#define PORT_RTC 0x70u
#define PORT_UART 0x3f8u
#define PORT_UART_STATUS (PORT_UART + 5)
#define PORTS_QUICK_STATUS 0x60u

struct ports {
	struct rtc rtc;
	struct uart uart;
};

enum ports_event {
	PORTS_NOTHING,
	PORTS_TRANSMITTED, /* `bytes` holds what the guest sent */
	PORTS_OFF,         /* S5 */
	PORTS_RESET,
	PORTS_REFUSED, /* string instruction, or an access that no instruction makes: `text` */
};

struct ports_result {
	enum ports_event event;
	bool read; /* RAX becomes `rax` */
	uint64_t rax;
	uint32_t sent; /* bytes that the guest transmitted */
	uint8_t bytes[4];
	const char *text;
};

void ports_init(struct ports *p);
/* The UART is an output that is always ready: a byte to its data port is sent, its line status is PORTS_QUICK_STATUS. */
bool ports_quick(const struct ports *p);
/* One IN or OUT. Trust: all of *a is the guest's, and it is the caller's own copy. */
void ports_access(struct ports *p, const struct hv_io_port_intercept *a, struct ports_result *out);
/* A write that did not stop its VP. Trust: as above. */
void ports_posted(struct ports *p, const struct hv_posted_write *write, struct ports_result *out);

#endif
