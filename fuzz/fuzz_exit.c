// SPDX-License-Identifier: MIT
/*
 * Input: records (fuzz/script.h), an action each: registers, control registers, guest memory, time, interrupts, and exits of every kind, on
 * two of the root's VPs. After each exit nothing may be open or held, and nothing forbidden may have reached the
 * hardware; a CHECK ends the process.
 */
#include <string.h>

#include "fuzz/script.h"
#include "hv/abi/regs_x86.h"
#include "hv/arch/fake/fake.h"
#include "hv/core/arch.h"
#include "hv/core/partition.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define VPS 2
#define ACTIONS 64

static struct vp saved_vp[VPS];
static struct arch_vp saved_arch[VPS];
static struct partition saved_partition;
static uint64_t outs, mmios;

static void start(void)
{
	static bool booted;

	if (!booted) {
		booted = true;
		fake_boot(&(struct fake_config){ .cpus = VPS });
		for (unsigned i = 0; i < VPS; i++) {
			saved_vp[i] = *partition_root->vp[i];
			saved_arch[i] = *partition_root->vp[i]->arch;
		}
		saved_partition = *partition_root;
	}
	for (unsigned i = 0; i < VPS; i++) {
		*partition_root->vp[i] = saved_vp[i];
		*partition_root->vp[i]->arch = saved_arch[i];
		partition_root->vp[i]->arch->loaded = cpu_table[i].loaded == partition_root->vp[i];
		for (unsigned t = 0; t < CPU_TIMER_COUNT; t++) {
			cpu_table[i].timer[t] = UINT64_MAX;
		}
		cpu_table[i].timer_first = cpu_table[i].timer_armed = fake.timer[i] = UINT64_MAX;
		cpu_table[i].nmi_pending = 0;
	}
	partition_root->guest_os_id = partition_root->hypercall_msr = 0;
	fake_ram_clear();
	memset(fake.ioapic, 0, sizeof(fake.ioapic));
	outs = fake.out_count;
	mmios = fake.mmio_count;
}

/* One byte that went out to a port. */
static void check_port(uint32_t port, uint8_t b)
{
	CHECK_FUZZ(port != 0x92 || (b & 3) == 2);
	CHECK_FUZZ(port != 0x64 || (b != 0xdd && (b & 0xf1) != 0xf0));
	CHECK_FUZZ(port != 0xcf9 || (b & 4) == 0);
	CHECK_FUZZ(port != FAKE_PM1A + 1 || (b & 0x20) == 0 || (b >> 2 & 7) == 5);
	CHECK_FUZZ(port != FAKE_PM1B + 1 || (b & 0x20) == 0 || (b >> 2 & 7) == 6);
	CHECK_FUZZ(port < 0x512 || port > 0x51b); /* fw_cfg DMA */
	CHECK_FUZZ(port < 0x22 || port > 0x2d);
	CHECK_FUZZ(port < 0xd00 || port > 0xfff);
}

static void check_hardware(void)
{
	CHECK_FUZZ(fake.out_count - outs <= FAKE_LOG && fake.mmio_count - mmios <= FAKE_LOG);
	for (; outs < fake.out_count; outs++) {
		const struct fake_access *a = &fake.out[outs % FAKE_LOG];
		uint32_t device = a->pci >> 8 & 0xffff, reg = (a->pci & 0xfc) + (a->addr & 3);

		/* Four bytes to 0xcf8 are the address of a configuration register, and 0xcf9 sees none of them. */
		for (unsigned i = 0; i < a->size && (a->addr != 0xcf8 || a->size != 4); i++) {
			check_port((uint32_t)a->addr + i, (uint8_t)(a->value >> (8 * i)));
		}
		if (a->addr >= 0xcfc && a->addr < 0xd00) {
			CHECK_FUZZ(device != 0);
			CHECK_FUZZ(device != 0xf8 || reg >= 0x48 || reg + a->size <= 0x40);
		}
	}
	for (; mmios < fake.mmio_count; mmios++) {
		const struct fake_access *a = &fake.mmio[mmios % FAKE_LOG];
		uint64_t reg = a->addr & 0xfff;

		CHECK_FUZZ((a->addr & ~0xfffull) == FAKE_IOAPIC ||
			   (a->addr & ~0xfffull) == FAKE_ECAM + 0xf8000);
		CHECK_FUZZ((a->addr & ~0xfffull) == FAKE_IOAPIC || reg >= 0x48 ||
			   reg + a->size <= 0x40);
	}
	CHECK_FUZZ(!fake_ioapic_bad());
}

static void check_closed(uint64_t at, unsigned allowed)
{
	unsigned access = 0;
	hpa_t h;

	if (npt_lookup(&partition_root->npt, gpa(at), &h, &access, NULL)) {
		CHECK_FUZZ(h.v == at && (access & ~allowed) == 0);
	}
}

static void check_state(void)
{
	for (uint64_t at = FAKE_REGION_BASE; at < FAKE_POOL_BASE + FAKE_POOL_SIZE; at += 0x40000) {
		check_closed(at, NPT_NONE);
	}
	check_closed(APIC_BASE_ADDR, NPT_NONE);
	check_closed(APIC_BASE_ADDR + 0x1000, NPT_NONE);
	check_closed(FAKE_IOAPIC, NPT_NONE);
	check_closed(FAKE_ECAM, NPT_R);
	check_closed(FAKE_ECAM + 0xf8000, NPT_R);
	for (unsigned i = 0; i < VPS; i++) {
		const struct vp *vp = partition_root->vp[i];

		CHECK_FUZZ(vp->state <= VP_DEAD && vp->irq_offered >= -1 && vp->irq_offered < 256);
		CHECK_FUZZ((vp->apic.base & ~0xd00ull) == APIC_BASE_ADDR);
		CHECK_FUZZ((vp->arch->efer & EFER_SVME) == 0);
		CHECK_FUZZ((vp->apic.irr[0] & 0xffff) == 0);
	}
}

static struct exit_info take_exit(struct script *s)
{
	static const uint8_t vectors[] = { 1, 17, 18 };
	struct exit_info e = { .kind = (enum exit_kind)(script_take(s, 1) % EXIT_COUNT) };
	uint64_t v = script_take(s, 1);

	e.length = (uint8_t)(v & 15);
	switch (e.kind) {
	case EXIT_PORT:
		e.port.port = (uint16_t)script_take(s, 2);
		e.port.size = (uint8_t)(1u << (v >> 4) % 3);
		e.port.in = (v & 0x40) != 0;
		e.port.string = (v & 0x81) == 0x81;
		e.port.rep = e.port.string;
		e.length = (uint8_t)(1 + (v & 1));
		break;
	case EXIT_MEMORY:
		e.memory.gpa = gpa(script_take(s, 7) & 0xfffffffffffffull);
		e.memory.write = (v & 0x10) != 0;
		e.memory.fetch = (v & 0xe0) == 0xe0;
		e.memory.walk = (v & 0xe0) == 0xc0;
		e.length = 0;
		e.memory.byte_count = (v & 0xe0) == 0xa0 ? (uint8_t)(v & 15) : 0;
		for (unsigned i = 0; i < e.memory.byte_count; i++) {
			e.memory.bytes[i] = (uint8_t)script_take(s, 1);
		}
		break;
	case EXIT_EXCEPTION:
		e.exception.vector = vectors[(v >> 4) % 3];
		e.exception.has_error = e.exception.vector == 17;
		break;
	default:
		break;
	}
	return e;
}

static void action_memory(struct script *s, struct vp *vp)
{
	uint64_t at = script_take(s, 4) % (FAKE_REGION_BASE - 64);
	unsigned n = 1 + (unsigned)script_take(s, 1) % 16;

	for (unsigned i = 0; i < n; i++) {
		*fake_ram(at + i) = (uint8_t)script_take(s, 1);
	}
	vp->rip = at;
}

static void action_control(struct script *s, struct vp *vp)
{
	static const unsigned modes[] = { 16, 32, 64, 64 };
	uint64_t v = script_take(s, 1);

	vp->arch->mode = modes[v & 3];
	vp->arch->cpl = (v & 0xc) == 0xc ? 3 : 0;
	vp->arch->cr0 = (v & 0x10) != 0 ? 0x80000011ull : 0x11;
	vp->arch->cr4 = (v & 0x20) != 0 ? CR4_PAE : (v & 0x40) != 0 ? CR4_PAE | CR4_LA57 : 0;
	vp->arch->efer = vp->arch->mode == 64 ? EFER_LME | EFER_LMA : 0;
	vp->arch->cr3 = script_take(s, 3) << 8;
	vp->rflags = (v & 0x80) != 0 ? 0x202 : 2;
}

static enum fake_end leave(struct vp *vp, const struct exit_info *e)
{
	enum fake_end end = fake_exit(vp, e);

	CHECK_FUZZ(end == FAKE_RETURNED || end == FAKE_RESET);
	return end;
}

/* IN or OUT, with what it says. */
static void action_port(struct script *s, struct vp *vp)
{
	uint64_t v = script_take(s, 1);
	struct exit_info e = { .kind = EXIT_PORT, .length = 1 };

	e.port.size = (uint8_t)(1u << v % 3);
	e.port.in = (v & 0x80) != 0;
	e.port.port = (uint16_t)script_take(s, 2);
	vp->regs[REG_RAX] = script_take(s, 4);
	(void)leave(vp, &e);
}

/* An instruction on a page of a device, or on one that is nobody's. */
static void action_device(struct script *s, struct vp *vp, bool write)
{
	static const uint64_t page[] = { FAKE_IOAPIC,    FAKE_ECAM + 0xf8000, FAKE_ECAM,
					 APIC_BASE_ADDR, 0xfed40000,          FAKE_REGION_BASE };
	/* MOV of all sizes, with an immediate; MOVZX, MOVSX; OR, AND, XOR */
	static const uint8_t code[][6] = {
		{ 0x89, 1 },           { 0x8b, 1 },
		{ 0x88, 0x21 },        { 0x8a, 1 },
		{ 0x66, 0x89, 1 },     { 0x48, 0x89, 1 },
		{ 0x48, 0x8b, 1 },     { 0xc7, 1, 0x34, 0x12 },
		{ 0x0f, 0xb7, 1 },     { 0x0f, 0xbe, 1 },
		{ 0x81, 9, 0x34, 18 }, { 0x83, 0x21, 1 },
		{ 0x23, 1 },           { 0x09, 1 },
		{ 0x31, 1 },           { 0xa5 },
	};
	struct exit_info e = { .kind = EXIT_MEMORY };
	uint64_t at = page[script_take(s, 1) % ARRAY_SIZE(page)];

	e.memory.gpa = gpa(at + script_take(s, 2) % PAGE_SIZE);
	e.memory.write = write;
	e.memory.byte_count = sizeof(e.memory.bytes);
	memcpy(e.memory.bytes, code[script_take(s, 1) % ARRAY_SIZE(code)], sizeof(code[0]));
	vp->regs[REG_RAX] = script_take(s, 4);
	(void)leave(vp, &e);
}

static void action(struct script *s)
{
	uint64_t op = script_take(s, 1), which;
	struct vp *vp = partition_root->vp[op >> 7];
	struct exit_info e;
	enum fake_end end;

	switch (op & 15) {
	case 0:
	case 1:
		which = script_take(s, 1) & 15;
		vp->regs[which] = script_take(s, 8);
		break;
	case 2:
		which = script_take(s, 1) & 15;
		vp->regs[which] = script_take(s, 4);
		break;
	case 3:
		action_control(s, vp);
		break;
	case 4:
	case 5:
		action_memory(s, vp);
		break;
	case 6:
		fake.tsc += script_take(s, 5);
		break;
	case 7:
		fake_raise((uint8_t)script_take(s, 1), (op & 0x10) != 0);
		fake_select(vp->cpu);
		arch_take_interrupts();
		break;
	case 8:
	case 9:
		e = take_exit(s);
		fake_queue(&(struct fake_step){ .exit = e,
						.take = (op & 0x10) != 0,
						.tsc = op & 0x60 },
			   1);
		end = fake_run(vp->cpu);
		CHECK_FUZZ(end == FAKE_RAN_OUT || end == FAKE_IDLE || end == FAKE_RESET);
		break;
	case 14:
		action_port(s, vp);
		break;
	case 15:
		action_device(s, vp, (op & 0x10) != 0);
		break;
	default:
		e = take_exit(s);
		(void)leave(vp, &e);
		break;
	}
	check_hardware();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct script s = { data, size, 0 }, one;

	start();
	for (unsigned i = 0; i < ACTIONS && script_action(&s, &one); i++) {
		action(&one);
	}
	check_state();
	return 0;
}
