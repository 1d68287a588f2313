/* SPDX-License-Identifier: MIT */
/* A 16550 by polling, and QEMU's debug port. */
#include "hv/arch/x86/x86.h"
#include "hv/core/arch.h"
#include "hv/core/handoff.h"

#define LSR 5
#define LSR_THRE 0x20

void arch_console_write(const char *text, size_t n)
{
	uint16_t port = boot_handoff.options.serial_port;

	if (port == 0 || x86_inb((uint16_t)(port + LSR)) == 0xff) {
		return; /* no UART there */
	}
	for (size_t i = 0; i < n; i++) {
		for (unsigned spin = 0;
		     spin < 100000 && (x86_inb((uint16_t)(port + LSR)) & LSR_THRE) == 0; spin++) {
			arch_cpu_relax();
		}
		x86_outb(port, (uint8_t)text[i]);
	}
}

void arch_debugcon_write(const char *text, size_t n)
{
	if (!boot_handoff.options.debugcon) {
		return;
	}
	for (size_t i = 0; i < n; i++) {
		x86_outb(0xe9, (uint8_t)text[i]);
	}
}
