/* SPDX-License-Identifier: MIT */
/* I/O ports of the root: port_list.def, and the filters for ports through which the hypervisor could be reached. */
#include "hv/core/port.h"

#include "hv/core/arch.h"
#include "hv/core/lock.h"
#include "hv/core/log.h"
#include "hv/core/vp.h"

#define PORT_KBC_DATA 0x60
#define PORT_KBC_COMMAND 0x64
#define PORT_SYSCTL_A 0x92
#define PORT_PCI_ADDRESS 0xcf8
#define PORT_RESET 0xcf9
#define PORT_PCI_DATA 0xcfc

#define SYSCTL_A_RESET 1u
#define SYSCTL_A_A20 2u
#define KBC_WRITE_OUTPUT 0xd1
#define KBC_A20_OFF 0xdd
#define KBC_PULSE 0xf0
#define KBC_OUT_RESET 1u
#define KBC_OUT_A20 2u
/* PM1 control, second byte: SLP_TYP 4:2, SLP_EN 5 (ACPI 6.5, 4.8.3.2.1) */
#define PM1_SLP_EN 0x20u
/* PM1 status, second byte: WAK_STS (4.8.3.1.1) */
#define PM1_WAK_STS 0x80u
#define PM1_SLP_TYP(b) (((b) >> 2) & 7u)

#define PCI_HEADER_SIZE 0x40

enum policy { POLICY_ALLOW, POLICY_FILTER };

static const struct {
	uint16_t first, last;
	enum policy policy;
} rows[] = {
#define PORT(first, last, policy, reason) { first, last, POLICY_##policy },
#include "hv/core/port_list.def"
#undef PORT
};

static struct {
	uint16_t device, first, last;
} pci_protect[PORT_PCI_PROTECT_MAX] RO_AFTER_INIT;
static uint32_t pci_protect_count RO_AFTER_INIT;
static uint16_t pm1_cnt[2] RO_AFTER_INIT;
static uint16_t pm1_sts[2] RO_AFTER_INIT;
static uint8_t s5_typ[2] RO_AFTER_INIT;
static bool s5_found RO_AFTER_INIT;
static uint16_t smi_cmd RO_AFTER_INIT;

static struct lock port_lock;
static uint32_t pci_address; /* [port_lock] what the root wrote to 0xcf8 */
static bool kbc_output_next; /* [port_lock] the next data byte is the controller's output port */
static bool
	wake_pending; /* [port_lock] a sleep was refused: the status shows a wake-up until the root clears it */

bool port_pci_protect(uint16_t device, uint16_t first, uint16_t last)
{
	if (pci_protect_count >= PORT_PCI_PROTECT_MAX) {
		return false;
	}
	pci_protect[pci_protect_count].device = device;
	pci_protect[pci_protect_count].first = first;
	pci_protect[pci_protect_count].last = last;
	pci_protect_count++;
	return true;
}

bool port_pci_write_denied(uint16_t device, uint16_t offset, unsigned size)
{
	for (uint32_t i = 0; i < pci_protect_count; i++) {
		if (pci_protect[i].device == device && offset <= pci_protect[i].last &&
		    offset + size > pci_protect[i].first) {
			return true;
		}
	}
	return false;
}

/* Not for the standard header: every kernel probes the base address registers there. */
void port_pci_log(struct vp *vp, uint16_t device, uint16_t offset)
{
	if (offset >= PCI_HEADER_SIZE) {
		log_guest(vp, "PCI configuration write %x+%x dropped", device, offset);
	}
}

uint32_t port_pci_protected_count(void)
{
	return pci_protect_count;
}

uint16_t port_pci_protected_device(uint32_t i)
{
	return pci_protect[i].device;
}

static uint32_t pci_id(uint16_t device)
{
	arch_port_out(PORT_PCI_ADDRESS, 4, 0x80000000u | (uint32_t)device << 8);
	return arch_port_in(PORT_PCI_DATA, 4);
}

/* Configuration registers that move memory or the ACPI ports that are filtered here. */
static void protect_chipset(void)
{
	bool ok = port_pci_protect(0x0000, 0x00, 0xfff); /* host bridge: memory map, ECAM base */

	if (pci_id(0x00f8) == 0x29188086) { /* ICH9 LPC: PMBASE, ACPI_CNTL */
		ok = ok && port_pci_protect(0x00f8, 0x40, 0x47);
	}
	if (pci_id(0x000b) == 0x71138086) { /* PIIX4 PM: PMBA, PMREGMISC */
		ok = ok && port_pci_protect(0x000b, 0x40, 0x43) &&
		     port_pci_protect(0x000b, 0x80, 0x80);
	}
	for (uint16_t f = 0; f < 8;
	     f++) { /* AMD northbridge functions 00:18.x: DRAM map, MMIO routing */
		uint16_t device = (uint16_t)(0x00c0 + f);

		if ((pci_id(device) & 0xffff) == 0x1022) {
			ok = ok && port_pci_protect(device, 0x00, 0xfff);
		}
	}
	CHECK(ok);
}

void port_init(const struct acpi_info *acpi)
{
	pm1_cnt[0] = acpi->pm1a_cnt;
	pm1_cnt[1] = acpi->pm1b_cnt;
	pm1_sts[0] = acpi->pm1a_evt;
	pm1_sts[1] = acpi->pm1b_evt;
	s5_typ[0] = acpi->s5_typ_a;
	s5_typ[1] = acpi->s5_typ_b;
	s5_found = acpi->s5_found;
	smi_cmd = acpi->smi_cmd;
	protect_chipset();
}

static bool in_word(uint16_t port, uint16_t base)
{
	return base != 0 && port >= base && port - base < 2;
}

/* Ports that stay intercepted although a list row allows them. */
static bool filtered(uint16_t port)
{
	return in_word(port, pm1_cnt[0]) || in_word(port, pm1_cnt[1]) ||
	       in_word(port, pm1_sts[0]) || in_word(port, pm1_sts[1]);
}

/* The second byte of a PM1 status register. */
static bool is_wake_byte(uint16_t port)
{
	return (pm1_sts[0] != 0 && port == pm1_sts[0] + 1) ||
	       (pm1_sts[1] != 0 && port == pm1_sts[1] + 1);
}

static bool allowed(uint16_t port)
{
	if (filtered(port) || (smi_cmd != 0 && port == smi_cmd)) {
		return false;
	}
	if (port >= 0x1000) {
		return true;
	}
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		if (port >= rows[i].first && port <= rows[i].last) {
			return rows[i].policy == POLICY_ALLOW;
		}
	}
	return false;
}

void port_setup(struct vp *vp)
{
	for (uint32_t p = 0; p <= 0xffff; p++) {
		if (allowed((uint16_t)p)) {
			arch_port_allow(vp, (uint16_t)p, (uint16_t)p);
		}
	}
}

static void reset(struct vp *vp, uint16_t port)
{
	log_info("partition %lu vp %u: restarts the machine through port %x", vp->partition->id,
		 vp->index, port);
	arch_reset_machine();
}

/* Never: SLP_EN with a sleep state other than S5, which would resume below the hypervisor. */
static uint8_t pm1_byte(struct vp *vp, unsigned block, uint8_t b)
{
	if ((b & PM1_SLP_EN) == 0 || (s5_found && PM1_SLP_TYP(b) == s5_typ[block])) {
		return b;
	}
	partition_count(&vp->partition->denied_port);
	log_guest(vp, "sleep state %u refused: only power off is allowed", PM1_SLP_TYP(b));
	wake_pending = true; /* Linux polls for the wake-up of a sleep that never was */
	return (uint8_t)(b & ~PM1_SLP_EN);
}

/* Locks: port_lock held. What may really be written for one byte of an OUT; false: nothing. */
static bool filter_byte(struct vp *vp, uint16_t port, uint8_t *b)
{
	for (unsigned i = 0; i < 2; i++) {
		if (pm1_cnt[i] != 0 && port == pm1_cnt[i] + 1) {
			*b = pm1_byte(vp, i, *b);
			return true;
		}
	}
	if (is_wake_byte(port) && (*b & PM1_WAK_STS) != 0) {
		wake_pending = false;
	}
	switch (port) {
	case PORT_SYSCTL_A:
		if ((*b & SYSCTL_A_RESET) != 0) {
			reset(vp, port);
		}
		if ((*b & SYSCTL_A_A20) == 0) {
			partition_count(&vp->partition->denied_port);
			log_guest(vp, "A20 off through port 92 refused");
		}
		*b |= SYSCTL_A_A20;
		return true;
	case PORT_KBC_COMMAND:
		kbc_output_next = *b == KBC_WRITE_OUTPUT;
		if (kbc_output_next) {
			return false; /* held back until its data byte is known: see PORT_KBC_DATA */
		}
		if (*b == KBC_A20_OFF) {
			partition_count(&vp->partition->denied_port);
			log_guest(vp, "A20 off through the keyboard controller refused");
			return false;
		}
		if ((*b & 0xf1) == KBC_PULSE) {
			reset(vp, port);
		}
		return true;
	case PORT_KBC_DATA:
		if (kbc_output_next) {
			kbc_output_next = false;
			if ((*b & KBC_OUT_RESET) == 0) {
				reset(vp, port);
			}
			if ((*b & KBC_OUT_A20) == 0) {
				partition_count(&vp->partition->denied_port);
				log_guest(vp, "A20 off through the keyboard controller refused");
			}
			*b |= KBC_OUT_A20;
			arch_port_out(PORT_KBC_COMMAND, 1, KBC_WRITE_OUTPUT);
		}
		return true;
	case PORT_RESET:
		if ((*b & 4) != 0) {
			reset(vp,
			      port); /* also the soft reset, which would send INIT to the CPUs */
		}
		return true;
	default:
		return true;
	}
}

/* Registers with a filter of their own, which only byte accesses reach. */
static bool is_byte_register(uint16_t port)
{
	return port == PORT_SYSCTL_A || port == PORT_KBC_DATA || port == PORT_KBC_COMMAND ||
	       port == PORT_RESET;
}

static bool writable(uint16_t port)
{
	return allowed(port) || filtered(port) || is_byte_register(port);
}

/* Locks: port_lock held. Configuration mechanism 1 (PCI 3.0, 3.2.2.3.2): the address is latched here, not in hardware. */
static uint32_t pci_data(struct vp *vp, uint16_t port, unsigned size, bool in, uint32_t v)
{
	uint16_t offset = (uint16_t)((pci_address & 0xfc) | (port & 3));
	uint16_t device = (uint16_t)(pci_address >> 8);

	if ((pci_address & 0x80000000u) == 0) {
		return 0xffffffff;
	}
	if (!in && port_pci_write_denied(device, offset, size)) {
		partition_count(&vp->partition->denied_port);
		port_pci_log(vp, device, offset);
		return 0;
	}
	arch_port_out(PORT_PCI_ADDRESS, 4, pci_address);
	if (in) {
		return arch_port_in(port, size);
	}
	arch_port_out(port, size, v);
	return 0;
}

static uint32_t port_read(struct vp *vp, uint16_t port, unsigned size)
{
	uint32_t v = 0;

	if (port == PORT_PCI_ADDRESS && size == 4) {
		return pci_address;
	}
	if (port >= PORT_PCI_DATA && port + size <= PORT_PCI_DATA + 4) {
		return pci_data(vp, port, size, true, 0);
	}
	for (unsigned i = 0; i < size; i++) {
		uint16_t p = (uint16_t)(port + i);

		if (!writable(p)) {
			partition_count(&vp->partition->denied_port);
			log_guest(vp, "IN %x refused: all ones", p);
			return 0xffffffff;
		}
	}
	v = arch_port_in(port, size);
	for (unsigned i = 0; wake_pending && i < size; i++) {
		if (is_wake_byte((uint16_t)(port + i))) {
			v |= PM1_WAK_STS << (8 * i);
		}
	}
	return v;
}

static void port_write(struct vp *vp, uint16_t port, unsigned size, uint32_t v)
{
	uint32_t clean = 0;

	if (port == PORT_PCI_ADDRESS && size == 4) {
		pci_address = v;
		return;
	}
	if (port >= PORT_PCI_DATA && port + size <= PORT_PCI_DATA + 4) {
		pci_data(vp, port, size, false, v);
		return;
	}
	for (unsigned i = 0; i < size; i++) {
		uint16_t p = (uint16_t)(port + i);

		/* Looked at before any filter changes its state: all of an access is done, or nothing. */
		if (!writable(p) || (size > 1 && is_byte_register(p))) {
			partition_count(&vp->partition->denied_port);
			log_guest(vp, "OUT %x <- %x refused", port, v);
			return;
		}
	}
	for (unsigned i = 0; i < size; i++) {
		uint8_t b = (uint8_t)(v >> (8 * i));

		if (!filter_byte(vp, (uint16_t)(port + i), &b)) {
			return;
		}
		clean |= (uint32_t)b << (8 * i);
	}
	arch_port_out(port, size, clean);
}

/* Trust: port, size and data are the guest's. INS and OUTS on a filtered port have no user: #GP. */
void port_guest_access(struct vp *vp, const struct exit_info *e)
{
	unsigned size = e->port.size;
	uint64_t mask = size == 4 ? 0xffffffffull : (1ull << (size * 8)) - 1;
	uint64_t *rax = &vp->regs[REG_RAX];

	if (e->port.string || size + (uint32_t)e->port.port > 0x10000) {
		partition_count(&vp->partition->denied_port);
		log_guest(vp, "string I/O on port %x refused: #GP", e->port.port);
		vp_inject_gp(vp);
		return;
	}
	lock_acquire(&port_lock);
	if (e->port.in) {
		uint64_t v = port_read(vp, e->port.port, size) & mask;

		*rax = size == 4 ? v : (*rax & ~mask) | v;
	} else {
		port_write(vp, e->port.port, size, (uint32_t)(*rax & mask));
	}
	lock_release(&port_lock);
	arch_vp_advance(vp, e->length);
}
