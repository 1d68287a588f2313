/* SPDX-License-Identifier: MIT */
/*
 * The root's view of physical addresses: everything is mapped to itself, on demand, except what the hypervisor keeps:
 * its own frames and the pool (absent), the local APIC (virtual), IO-APICs (checked), protected PCI functions (read-only).
 */
#include "hv/core/mmio.h"

#include "hv/abi/regs_tpm.h"
#include "hv/abi/regs_x86.h"
#include "hv/core/arch.h"
#include "hv/core/gpa.h"
#include "hv/core/lock.h"
#include "hv/core/log.h"
#include "hv/core/owner.h"
#include "hv/core/port.h"
#include "hv/core/protect.h"
#include "hv/core/vp.h"
#include "hv/wire/insn.h"

#define CLOSED_MAX 64
#define ABSENT (-1)
#define MSI_WINDOW 0x100000ull
#define IOAPIC_SELECT 0x00
#define IOAPIC_WINDOW 0x10
#define IOAPIC_EOI 0x40   /* version 0x20 and later */
#define IOAPIC_ENTRY 0x10 /* first redirection entry's index */
#define ENTRY_MASKED (1u << 16)
#define FIRST_DEVICE_VECTOR 32 /* below are the exceptions, also the hypervisor's own */

enum closed_kind { CLOSED_DENY, CLOSED_LAPIC, CLOSED_IOAPIC, CLOSED_PCI, CLOSED_TPM };

static struct {
	uint64_t base, size;
	enum closed_kind kind;
	uint16_t device; /* CLOSED_PCI */
} closed[CLOSED_MAX] RO_AFTER_INIT;
static uint32_t closed_count RO_AFTER_INIT;

static struct lock ioapic_lock;
static uint32_t ioapic_select[CLOSED_MAX]; /* [ioapic_lock] */

static bool close_range(uint64_t base, uint64_t size, enum closed_kind kind, uint16_t device)
{
	if (closed_count >= CLOSED_MAX) {
		return false;
	}
	closed[closed_count].base = align_down(base, PAGE_SIZE);
	closed[closed_count].size = align_up(size + (base & (PAGE_SIZE - 1)), PAGE_SIZE);
	closed[closed_count].kind = kind;
	closed[closed_count].device = device;
	closed_count++;
	return true;
}

bool mmio_close(uint64_t base, uint64_t size)
{
	return close_range(base, size, CLOSED_DENY, 0);
}

/* The configuration pages of protected functions in every ECAM window that holds them. */
static bool close_ecam(const struct acpi_info *acpi)
{
	for (uint32_t i = 0; i < acpi->ecam_count; i++) {
		for (uint32_t d = 0; d < port_pci_protected_count(); d++) {
			uint16_t device = port_pci_protected_device(d);
			uint8_t bus = (uint8_t)(device >> 8);
			uint64_t at = acpi->ecam[i].base + ((uint64_t)device << 12);

			if (acpi->ecam[i].segment == 0 && bus >= acpi->ecam[i].bus_start &&
			    bus <= acpi->ecam[i].bus_end &&
			    !close_range(at, PAGE_SIZE, CLOSED_PCI, device)) {
				return false;
			}
		}
	}
	return true;
}

void mmio_init(const struct acpi_info *acpi)
{
	bool ok = close_range(APIC_BASE_ADDR, PAGE_SIZE, CLOSED_LAPIC, 0);

	/* A store to the rest of the interrupt window is an MSI of any mode and vector, from the CPU itself. */
	ok = ok && close_range(APIC_BASE_ADDR + PAGE_SIZE, MSI_WINDOW - PAGE_SIZE, CLOSED_DENY, 0);
	for (uint32_t i = 0; i < acpi->ioapic_count; i++) {
		ok = ok && close_range(acpi->ioapic[i].addr, PAGE_SIZE, CLOSED_IOAPIC, 0);
	}
	ok = ok && close_ecam(acpi);
	/* The TPM's localities above 0 are the hypervisor's, whether a TPM was found or not. */
	ok = ok && close_range(TIS_BASE + TIS_LOCALITY_BYTES,
			       (TIS_LOCALITIES - 1) * TIS_LOCALITY_BYTES, CLOSED_TPM, 0);
	CHECK(ok);
}

/* Index of the closed range that touches [base, base + size), or -1. */
static int closed_find(uint64_t base, uint64_t size)
{
	for (uint32_t i = 0; i < closed_count; i++) {
		if (range_overlaps(closed[i].base, closed[i].size, base, size)) {
			return (int)i;
		}
	}
	return -1;
}

static bool may_map(uint64_t base, uint64_t size)
{
	return (owner_root_may_map(base, size) || !protect_enforced()) &&
	       closed_find(base, size) < 0;
}

/* Maps the largest aligned block around an address that holds nothing closed. */
static bool map_around(struct partition *p, uint64_t at)
{
	uint64_t span = arch_npt_1g() ? PAGE_SIZE_1G : PAGE_SIZE_2M;

	for (; span >= PAGE_SIZE; span >>= 9) {
		uint64_t base = align_down(at, span);

		if (may_map(base, span)) {
			return npt_map(&p->npt, gpa(base), hpa(base), span, NPT_RWX);
		}
	}
	return false;
}

/* RAM is mapped before the root starts; device registers follow on the first touch. */
bool mmio_map_root(struct partition *p)
{
	for (uint32_t i = 0; i < owner_count(); i++) {
		const struct owner_range *r = owner_get(i);
		uint64_t at = align_down(r->base, PAGE_SIZE);
		uint64_t end = align_up(r->base + r->size, PAGE_SIZE);

		if ((r->owner == RD_OWNER_HYPERVISOR || r->owner == RD_OWNER_POOL) &&
		    protect_enforced()) {
			continue;
		}
		while (at < end) {
			uint64_t span = PAGE_SIZE;
			hpa_t h;

			if (npt_lookup(&p->npt, gpa(at), &h, NULL, &span)) {
				at = align_down(at, span) + span;
			} else if (may_map(at, PAGE_SIZE) && !map_around(p, at)) {
				return false;
			} else if (!may_map(at, PAGE_SIZE)) {
				at += PAGE_SIZE;
			}
		}
	}
	for (uint32_t i = 0; i < closed_count; i++) {
		if (closed[i].kind == CLOSED_PCI &&
		    !npt_map(&p->npt, gpa(closed[i].base), hpa(closed[i].base), PAGE_SIZE, NPT_R)) {
			return false;
		}
	}
	return true;
}

/* --- emulated accesses --- */

static uint32_t ioapic_read(int which, uint64_t offset)
{
	uint32_t v = 0xffffffff;

	lock_acquire(&ioapic_lock);
	if (offset == IOAPIC_SELECT) {
		v = ioapic_select[which];
	} else if (offset == IOAPIC_WINDOW) {
		arch_mmio_write(hpa(closed[which].base + IOAPIC_SELECT), 4, ioapic_select[which]);
		v = (uint32_t)arch_mmio_read(hpa(closed[which].base + IOAPIC_WINDOW), 4);
	}
	lock_release(&ioapic_lock);
	return v;
}

/*
 * A redirection entry may send only fixed or lowest-priority interrupts (ExtINT is delivered to nobody), with vectors below
 * the hypervisor's: INIT, SMI and NMI would go straight to a physical CPU.
 */
static uint32_t ioapic_clean(struct vp *vp, uint32_t index, uint32_t v)
{
	uint32_t mode = (v >> 8) & 7;
	bool fixed = mode == APIC_DM_FIXED || mode == APIC_DM_LOWEST;

	if (index < IOAPIC_ENTRY || (index & 1) != 0 || (v & ENTRY_MASKED) != 0) {
		return v;
	}
	if (mode == APIC_DM_EXTINT) {
		return v | ENTRY_MASKED; /* the 8259's way; the root uses the IO-APIC proper */
	}
	if (fixed && (v & 0xff) >= FIRST_DEVICE_VECTOR && (v & 0xff) < HV_VECTOR_FIRST) {
		return v;
	}
	partition_count(&vp->partition->denied_memory);
	log_guest(vp, "IO-APIC entry %x <- %x refused: masked", index, v);
	return (v | ENTRY_MASKED) & ~0x700u;
}

static void ioapic_write(struct vp *vp, int which, uint64_t offset, uint32_t v)
{
	lock_acquire(&ioapic_lock);
	if (offset == IOAPIC_SELECT) {
		ioapic_select[which] = v & 0xff;
	} else if (offset == IOAPIC_WINDOW) {
		v = ioapic_clean(vp, ioapic_select[which], v);
		arch_mmio_write(hpa(closed[which].base + IOAPIC_SELECT), 4, ioapic_select[which]);
		arch_mmio_write(hpa(closed[which].base + IOAPIC_WINDOW), 4, v);
	} else if (offset == IOAPIC_EOI) {
		arch_mmio_write(hpa(closed[which].base + IOAPIC_EOI), 4, v);
	} else { /* the chips decode few address bits: elsewhere the same registers may show again, unchecked */
		partition_count(&vp->partition->denied_memory);
		log_guest(vp, "IO-APIC write %lx refused: no such register", offset);
	}
	lock_release(&ioapic_lock);
}

static uint64_t access_read(struct vp *vp, int which, uint64_t at, unsigned size)
{
	uint64_t offset;

	if (which == ABSENT) {
		return UINT64_MAX;
	}
	offset = at - closed[which].base;
	switch (closed[which].kind) {
	case CLOSED_LAPIC:
		return (vp->apic.base & APIC_BASE_EXTD) == 0
			       ? vlapic_mmio_read(vp, (uint32_t)offset)
			       : UINT64_MAX;
	case CLOSED_IOAPIC:
		return size == 4 ? ioapic_read(which, offset) : UINT64_MAX;
	case CLOSED_TPM: /* as where no such locality is */
		return UINT64_MAX;
	default:
		return arch_mmio_read(hpa(at), size);
	}
}

static void access_write(struct vp *vp, int which, uint64_t at, unsigned size, uint64_t v)
{
	uint64_t offset;

	if (which == ABSENT) {
		return;
	}
	offset = at - closed[which].base;
	switch (closed[which].kind) {
	case CLOSED_LAPIC:
		if ((vp->apic.base & APIC_BASE_EXTD) == 0) {
			vlapic_mmio_write(vp, (uint32_t)offset, (uint32_t)v);
		}
		break;
	case CLOSED_IOAPIC:
		if (size == 4) {
			ioapic_write(vp, which, offset, (uint32_t)v);
		}
		break;
	case CLOSED_PCI:
		if (size <= 4 &&
		    !port_pci_write_denied(closed[which].device, (uint16_t)offset, size)) {
			arch_mmio_write(hpa(at), size, v);
			break;
		}
		partition_count(&vp->partition->denied_port);
		port_pci_log(vp, closed[which].device, (uint16_t)offset);
		break;
	default:
		break;
	}
}

static void register_write(struct vp *vp, const struct insn *i, uint64_t v)
{
	uint64_t *r = &vp->regs[i->reg & 15];

	if (i->sign_extend && i->mem_size < 8) {
		unsigned shift = 64u - i->mem_size * 8u;

		v = (uint64_t)((int64_t)(v << shift) >> shift);
	}
	switch (i->reg_size) {
	case 1:
		if (i->reg_high) {
			*r = (*r & ~0xff00ull) | (v & 0xff) << 8;
		} else {
			*r = (*r & ~0xffull) | (v & 0xff);
		}
		break;
	case 2:
		*r = (*r & ~0xffffull) | (v & 0xffff);
		break;
	case 4:
		*r = v & 0xffffffff;
		break;
	default:
		*r = v;
		break;
	}
}

static uint64_t register_read(struct vp *vp, const struct insn *i)
{
	uint64_t v = vp->regs[i->reg & 15];

	return i->reg_high ? v >> 8 : v;
}

static bool rmw(const struct insn *i, uint64_t old, uint64_t operand, uint64_t *out)
{
	switch (i->alu) {
	case INSN_ALU_OR:
		*out = old | operand;
		return true;
	case INSN_ALU_AND:
		*out = old & operand;
		return true;
	case INSN_ALU_XOR:
		*out = old ^ operand;
		return true;
	default: /* the others need flags: no driver uses them on these registers */
		return false;
	}
}

/* The instruction at RIP: the bytes that the CPU saved, where it has decode assists, else those in memory. */
static bool decode(struct vp *vp, const struct exit_info *e, struct insn *insn)
{
	uint64_t linear = vp->rip;
	uint8_t bytes[INSN_MAX];
	size_t n = e->memory.byte_count;

	if (n != 0) {
		return insn_decode(e->memory.bytes, n, arch_vp_mode(vp), insn);
	}
	if (arch_vp_mode(vp) != 64) {
		linear = (arch_vp_segment_base(vp, 1) + vp->rip) & 0xffffffff;
	}
	n = gva_fetch(vp, (gva_t){ linear }, bytes, sizeof(bytes));
	return insn_decode(bytes, n, arch_vp_mode(vp), insn);
}

/* Carries out the instruction at RIP on a closed page, or where nothing is; #GP for what the decoder does not know. */
static void emulate(struct vp *vp, int which, const struct exit_info *e)
{
	uint64_t at = e->memory.gpa.v, mask, v = 0;
	struct insn insn;

	if (!decode(vp, e, &insn) || !insn.has_mem ||
	    (at & (PAGE_SIZE - 1)) + insn.mem_size > PAGE_SIZE) {
		log_guest(vp, "unknown instruction on device page %lx, rip %lx: #GP", at, vp->rip);
		vp_inject_gp(vp);
		return;
	}
	if (which >= 0 && closed[which].kind == CLOSED_TPM) {
		partition_count(&vp->partition->denied_memory);
		log_guest(vp, "%s of closed memory %lx: a locality of the TPM",
			  insn.op == INSN_LOAD ? "read" : "write", at);
	}
	mask = insn.mem_size >= 8 ? UINT64_MAX : (1ull << (insn.mem_size * 8)) - 1;
	if (insn.op == INSN_LOAD) {
		register_write(vp, &insn, access_read(vp, which, at, insn.mem_size) & mask);
	} else if (insn.op == INSN_STORE) {
		v = (insn.has_imm ? insn.imm : register_read(vp, &insn)) & mask;
		access_write(vp, which, at, insn.mem_size, v);
	} else if (insn.op == INSN_RMW) {
		uint64_t old = access_read(vp, which, at, insn.mem_size) & mask;

		if (!rmw(&insn, old, insn.has_imm ? insn.imm : register_read(vp, &insn), &v)) {
			vp_inject_gp(vp);
			return;
		}
		access_write(vp, which, at, insn.mem_size, v & mask);
	} else {
		vp_inject_gp(vp);
		return;
	}
	arch_vp_advance(vp, insn.length);
}

void mmio_absent(struct vp *vp, const struct exit_info *e)
{
	emulate(vp, ABSENT, e);
}

static void deny(struct vp *vp, const struct exit_info *e)
{
	partition_count(&vp->partition->denied_memory);
	log_guest(vp, "%s of closed memory %lx, rip %lx: #GP",
		  e->memory.write   ? "write"
		  : e->memory.fetch ? "fetch"
				    : "read",
		  e->memory.gpa.v, vp->rip);
	vp_inject_gp(vp);
}

/* Trust: the address is the guest's. Locks: takes the partition's lock. */
void mmio_guest_fault(struct vp *vp, const struct exit_info *e)
{
	uint64_t at = e->memory.gpa.v;
	int which = closed_find(at, 1);
	bool ok;

	if (at >= GPA_LIMIT || (!owner_root_may_map(at, 1) && protect_enforced())) {
		deny(vp, e);
		return;
	}
	if (which >= 0) {
		if (closed[which].kind == CLOSED_DENY || e->memory.fetch || e->memory.walk) {
			deny(vp, e);
		} else {
			emulate(vp, which, e);
		}
		return;
	}
	lock_acquire(&vp->partition->lock);
	ok = map_around(vp->partition, at);
	lock_release(&vp->partition->lock);
	if (!ok) {
		log_guest(vp, "no memory for the root's page tables");
		vp_inject_gp(vp);
	}
}
