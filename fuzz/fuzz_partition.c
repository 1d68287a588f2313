// SPDX-License-Identifier: MIT
/*
 * Input: records (fuzz/script.h) of what a parent does with its children (create, map, run, interrupt, delete, in any order and at
 * any moment), of exits that their VPs take on three CPUs, and of time. After each action the invariants of partitions are looked
 * at; at the end all is deleted and all memory is back. A run's record goes on with 6 bytes for each exit: play() has them.
 */
#include <string.h>

#include "fuzz/script.h"
#include "hv/abi/regs_x86.h"
#include "hv/arch/fake/fake.h"
#include "hv/core/arch.h"
#include "hv/core/heap.h"
#include "hv/core/hypercall.h"
#include "hv/core/pfn.h"
#include "hv/core/report_key.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

FUZZ_QUIET_BEGIN

#define CPUS 3
#define CHILDREN 3
#define PORTS 8
#define ACTIONS 100
#define EATEN 512
#define ROUNDS 1000
#define STATUS(rax) ((unsigned)((rax)&0xffff))
#define LARGE (HV_MAP_READ | HV_MAP_WRITE | HV_MAP_EXECUTE | HV_MAP_LARGE)
#define PAGE 0x700000ull /* of the root: intercepts; then a page of flags for each VP */

static uint64_t child[CHILDREN]; /* 0: none */
static struct script *script;    /* for play */
static unsigned entries;
static const struct vp *asked; /* for leaf 7, behind its first part */

static uint64_t call(uint64_t control, const void *in, size_t n)
{
	uint64_t rax;

	fake_select(0);
	fake_remember();
	rax = fake_hypercall(partition_root->vp[0], control, in, n, NULL, 0);
	CHECK_FUZZ(partition_root->vp[0]->arch->pending.kind == FAKE_NONE);
	if (rax != FAKE_AGAIN && STATUS(rax) != HV_SUCCESS &&
	    STATUS(rax) != HV_INSUFFICIENT_MEMORY && rax >> 32 == 0) {
		CHECK_FUZZ(fake_unchanged(partition_root->vp[0]));
	}
	return rax;
}

static void create(struct script *s)
{
	const struct hv_create_partition q = { 0 };
	unsigned n = (unsigned)(script_take(s, 1) & 3) % CHILDREN;
	uint64_t rax;

	if (child[n] == 0) {
		fake_select(0);
		rax = fake_hypercall(partition_root->vp[0], 0x40, &q, sizeof(q), &child[n], 8);
		CHECK_FUZZ(rax == HV_SUCCESS || rax == HV_INSUFFICIENT_MEMORY);
	}
}

static uint64_t any(unsigned n)
{
	return child[(n & 3) % CHILDREN];
}

static void map(struct script *s)
{
	unsigned n = (unsigned)script_take(s, 1), count = 1 + (n >> 6);
	struct {
		struct hv_map_gpa_pages q;
		uint64_t source[4];
	} in = { { any(n), (n >> 2 & 3) * (PFN_UNIT / PAGE_SIZE), LARGE, 0 }, { 0 } };

	for (unsigned i = 0; i < count; i++) {
		in.source[i] = (FAKE_POOL_BASE >> PAGE_SHIFT) +
			       script_take(s, 1) % (FAKE_POOL_UNITS + 1) * (PFN_UNIT / PAGE_SIZE);
	}
	for (uint64_t rax = 0; STATUS(rax) == 0 && rax >> 32 < count;) {
		rax = call(0x4b | (uint64_t)count << 32 | (rax >> 32) << 48, &in, sizeof(in));
		fake_check_partitions(false);
	}
}

static void unmap(struct script *s)
{
	unsigned n = (unsigned)script_take(s, 1);
	const struct hv_unmap_gpa_pages q = { any(n), (n >> 2 & 3) * (PFN_UNIT / PAGE_SIZE),
					      HV_MAP_LARGE, 0 };

	(void)call(0x4c | (uint64_t)(1 + (n >> 6)) << 32, &q, sizeof(q));
}

static void create_vp(struct script *s)
{
	unsigned n = (unsigned)script_take(s, 1);
	const struct hv_create_vp q = { .partition = any(n), .vp = n >> 2 & 15 };
	struct partition *p;

	if (call(0x4e, &q, sizeof(q)) == HV_SUCCESS) {
		p = partition_find(q.partition);
		p->vp[q.vp]->arch->mode = 64;
		p->vp[q.vp]->apic.svr = 0x1ff;
	}
}

/* One step of a call of the life cycle: it may have to be made again, or never is. */
static void life(struct script *s)
{
	unsigned n = (unsigned)script_take(s, 1);
	uint64_t id = any(n), rax = call(0x41 + (n >> 2) % 3, &id, 8);

	if ((n >> 2) % 3 == 2 && rax == HV_SUCCESS) {
		CHECK_FUZZ(partition_find(id) == NULL);
		child[(n & 3) % CHILDREN] = 0;
	}
}

static void set_register(struct script *s)
{
	static const uint32_t names[] = { HV_REG_EXPLICIT_SUSPEND,
					  HV_REG_INTERCEPT_SUSPEND,
					  HV_REG_RIP,
					  HV_REG_RAX,
					  HV_REG_RFLAGS,
					  HV_REG_CR8,
					  HV_REG_CR0,
					  HV_REG_CR4,
					  HV_REG_EFER,
					  HV_REG_CS,
					  HV_REG_APIC_BASE,
					  HV_REG_GUEST_OS_ID,
					  HV_REG_VP_INDEX,
					  HV_REG_VP_RUNTIME,
					  HV_REG_R15,
					  0x99999 };
	unsigned n = (unsigned)script_take(s, 1), what = (unsigned)script_take(s, 1);
	const struct {
		struct hv_vp_registers q;
		struct hv_register_assoc a;
	} in = { { .partition = any(n), .vp = n >> 2 & 7 },
		 { .name = names[what % ARRAY_SIZE(names)],
		   .value = { what >> 4 | script_take(s, 4) << 4, 0 } } };

	(void)call(0x51 | 1ull << 32, &in, sizeof(in));
	(void)call(0x50 | 1ull << 32, &in, sizeof(in.q) + 4);
}

static void parent(struct script *s)
{
	unsigned n = (unsigned)script_take(s, 1), what = (unsigned)script_take(s, 1);
	unsigned how = (unsigned)script_take(s, 1); /* 1 posted, 2 constant; 4 traced, 5 no more */
	const struct hv_install_intercept install = { any(n), 3 | (how & 3) << 8,
						      HV_INTERCEPT_IO_PORT_RANGE,
						      what | (what + ((how & 3) > 1 ? 0 : 7u))
								      << 16 };
	const struct hv_install_intercept trace = { any(n),
						    (how & 1) != 0 ? 0 : HV_INTERCEPT_EXECUTE,
						    HV_INTERCEPT_TRACE, 0 };
	const struct hv_map_state_page page = { .partition = any(n),
						.vp = n >> 2 & 7,
						.type = HV_STATE_PAGE_INTERCEPT,
						.pfn = PAGE >> PAGE_SHIFT,
						.notify_flag = what };
	const struct hv_assert_interrupt assert = { .partition = any(n),
						    .destination = n >> 2 & 7,
						    .vector = what };
	const struct hv_signal_event_direct signal = { .partition = any(n),
						       .vp = n >> 2 & 7,
						       .sint = what & 15,
						       .flag = (uint16_t)(what * 8) };
	const struct hv_create_port port = { .port_partition = HV_SELF,
					     .port = what % PORTS,
					     .connection_partition = any(n),
					     .type = 1 + (what >> 4 & 1),
					     .sint = RD_ROOT_SINT,
					     .vp = HV_ANY_VP,
					     .base_flag = (uint16_t)what,
					     .flag_count = 1 };
	const struct hv_delete_port drop = { HV_SELF, what % PORTS, 0 };
	const struct hv_connect_port join = { .connection_partition = any(n),
					      .connection = what >> 5,
					      .port_partition = HV_SELF,
					      .port = what % PORTS,
					      .type = 1 + (what >> 4 & 1) };
	const struct rd_receive_message receive = { what % PORTS, 0 };

	switch (n >> 5) {
	case 0:
		(void)call(0x4d, (how & 4) != 0 ? &trace : &install, sizeof(install));
		break;
	case 1:
		(void)call(0xe1, &page, sizeof(page));
		break;
	case 2:
		(void)call(0x94, &assert, sizeof(assert));
		break;
	case 3:
		(void)call(0xc0, &signal, sizeof(signal));
		break;
	case 4:
		(void)call(0x95, &port, sizeof(port));
		break;
	case 5:
		(void)call(0x58, &drop, sizeof(drop));
		break;
	case 6:
		(void)call(0x96, &join, sizeof(join));
		break;
	default:
		(void)call(0x8e02, &receive, sizeof(receive));
		break;
	}
}

/* Measuring, sealing and asking for a token, in any order; what is sealed never changes again. */
static void launch(struct script *s)
{
	unsigned n = (unsigned)script_take(s, 1), what = (unsigned)script_take(s, 1);
	uint64_t id = any(n);
	struct {
		struct rd_measure_pages q;
		uint64_t page[8];
	} pages = { { any(n) }, { what, what + 1, what * 512ull } };
	const struct rd_seal_launch seal = { .partition = any(n), .flags = what & 3 };
	const struct rd_get_report report = { .partition = any(n), .nonce_size = what >> 1 };
	struct partition *p = partition_find(any(n));
	struct launch before = { .sealed = false };

	if (p != NULL) {
		before = p->launch;
	}
	if ((n >> 2 & 3) == 0) {
		(void)call(0x8e11, &seal, sizeof(seal));
	} else if ((n >> 2 & 3) == 2) {
		(void)call(0x8e12, &id, sizeof(id));
	} else if ((n >> 2 & 3) == 1) {
		for (unsigned i = 0; i < 30 && call(0x8e13, &report, sizeof(report)) == FAKE_AGAIN;
		     i++) {
		}
	} else {
		(void)call(0x8e10 | (uint64_t)(1 + (n >> 4 & 7)) << 32, &pages, sizeof(pages));
	}
	if (before.sealed) {
		CHECK_FUZZ(memcmp(before.digest, p->launch.digest, sizeof(before.digest)) == 0);
	}
}

static void message(struct script *s)
{
	unsigned n = (unsigned)script_take(s, 1);
	struct hv_post_message_direct q = { .partition = any(n), .vp = n >> 2 & 7, .sint = 2 };

	q.message[0] = 1;
	q.message[4] = 16;
	(void)call(0xc1, &q, sizeof(q));
}

/* The call page of a child's VP, for the calls that it makes. */
static void child_hypercall(struct vp *vp, unsigned what, uint32_t v)
{
	static const uint16_t codes[] = { 0x5d, 0x5c, 0x02, 0x03,   0x13,
					  0x14, 0x0b, 0x15, 0x8e14, 0x40 };
	uint64_t in[34] = { 0 };
	uint16_t code = codes[what % ARRAY_SIZE(codes)];
	uint8_t *page = fake_guest_page(vp->partition, FAKE_CHILD_CALL_PAGE);

	vp->regs[REG_RDX] = FAKE_CHILD_CALL_PAGE;
	vp->regs[REG_R8] = FAKE_CHILD_CALL_PAGE + PAGE_SIZE;
	vp->regs[REG_RCX] = code;
	in[0] = v & 0xff;
	in[1] = v >> 8 & 0xff;
	in[2] = v >> 16 & 0xff;
	in[3] = v >> 24;
	switch (code) {
	case 0x5c:
		in[1] = 1 | (uint64_t)(v >> 8 & 0xff) << 32;
		break;
	case 0x13:
	case 0x14:
	case 0x15: /* a sparse set of VPs: one bank */
		vp->regs[REG_RCX] |= (uint64_t)(what >> 5 & 1) << 17;
		in[code == 0x15 ? 1 : 2] = v >> 30; /* the format */
		in[code == 0x15 ? 2 : 3] = what >> 6 & 1;
		in[code == 0x15 ? 3 : 4] = v >> 8 & 0xff;
		break;
	default:
		break;
	}
	if (code == 0x03 || code == 0x14) {
		vp->regs[REG_RCX] |= (uint64_t)(1 + (what >> 6)) << 32;
	}
	if (page != NULL) {
		memcpy(page, in, sizeof(in));
	}
}

static uint32_t msr_of(unsigned n)
{
	static const uint32_t msrs[] = {
		0x40000000, 0x40000001, 0x40000002, 0x40000020, 0x40000021, 0x40000022, 0x40000023,
		0x40000070, 0x40000071, 0x40000072, 0x40000073, 0x40000080, 0x40000081, 0x40000082,
		0x40000083, 0x40000084, 0x40000092, 0x4000009f, 0x400000b0, 0x400000b1, 0x400000b6,
		0x400000b7, 0x400000f0, 0x40000100, 0x40000104, 0x40000105, 0x40000118, 0x10,
		0x1b,       0x6e0,      0x1d9,      0x48,       0xc0000080, 0x49,       0xc0010010,
		0xc0010015, 0x8b,       0x277,      0x17a,      0xc0010140, 0x2ff,      0xdead
	};

	return n < 64 ? 0x800 + n : msrs[n % ARRAY_SIZE(msrs)];
}

/* A nested page fault: its own local APIC, or nothing at all; with an instruction or without. */
static void fault(struct vp *vp, struct fake_step *step, unsigned more, uint32_t v)
{
	static const uint8_t code[][8] = {
		{ 0x89, 0x01 },             /* mov %eax,(%rcx) */
		{ 0x8b, 0x01 },             /* mov (%rcx),%eax */
		{ 0xc7, 0x01, 0x34, 0x12 }, /* movl $0x1234,(%rcx) */
		{ 0x8a, 0x21 },             /* mov (%rcx),%ah */
		{ 0x0f, 0xb7, 0x01 },       /* movzwl (%rcx),%eax */
		{ 0x0f, 0xbe, 0x01 },       /* movsbl (%rcx),%eax */
		{ 0x81, 0x09, 0x34, 0x12 }, /* orl $0x1234,(%rcx) */
		{ 0x23, 0x01 },             /* and (%rcx),%eax */
		{ 0x48, 0x8b, 0x01 },       /* mov (%rcx),%rax */
		{ 0x66, 0x8b, 0x01 },       /* mov (%rcx),%ax */
		{ 0x88, 0x21 },             /* mov %ah,(%rcx) */
		{ 0x81, 0x21, 0x34, 0x12 }, /* andl $0x1234,(%rcx) */
		{ 0x81, 0x31, 0x34, 0x12 }, /* xorl $0x1234,(%rcx) */
		{ 0xf4 },                   /* hlt */
		{ 0x83, 0x01, 0x01 },       /* addl $1,(%rcx) */
		{ 0x48, 0x0f, 0xbe, 0x01 }, /* movsbq (%rcx),%rax */
	};
	struct exit_info *e = &step->exit;
	uint64_t at = (v & 1) != 0 ? APIC_BASE_ADDR + (v >> 20 & 0xfff)
				   : (uint64_t)more << 21 | (v >> 20);
	uint8_t *page = fake_guest_page(vp->partition, 0x1000);

	e->kind = EXIT_MEMORY;
	e->length = 0;
	e->memory.gpa = gpa(at);
	e->memory.write = (v & 2) != 0;
	e->memory.fetch = (v & 0x70) == 0x70;
	e->memory.walk = (v & 0x70) == 0x60;
	vp->regs[REG_RCX] = at;
	if ((v & 4) != 0) { /* the CPU has not saved them: they are read from the guest's memory */
		vp->arch->cr0 &= ~0x80000000ull;
		vp->rip = 0x1000;
		if (page != NULL) {
			memcpy(page, code[more % ARRAY_SIZE(code)], sizeof(code[0]));
		}
	} else {
		e->memory.byte_count = (v & 8) != 0 ? 15 : 3;
		memcpy(e->memory.bytes, code[more % ARRAY_SIZE(code)], sizeof(code[0]));
	}
}

static void play_port(struct vp *vp, struct fake_step *step, unsigned what, unsigned more,
		      uint32_t v)
{
	step->exit.kind = EXIT_PORT;
	step->exit.port.port = (uint16_t)(more | (v & 0x80000000 ? 0xff00 : 0));
	step->exit.port.size = (uint8_t)(1u << (what >> 5) % 3);
	step->exit.port.in = (what & 64) != 0;
	step->exit.port.string = (v & 0x60000000) == 0x60000000;
	vp->regs[REG_RAX] = v;
}

/* Anything else that a CPU says. */
static void play_other(struct vp *vp, struct fake_step *step, unsigned more, uint32_t v)
{
	static const uint8_t vectors[] = { 1, 17, 18 };

	step->exit.kind = (enum exit_kind)(more % EXIT_COUNT);
	step->exit.length = (uint8_t)(v & 3);
	if (step->exit.kind == EXIT_PORT || step->exit.kind == EXIT_MEMORY) {
		step->exit.kind = EXIT_HLT;
	}
	if (step->exit.kind == EXIT_EXCEPTION) {
		step->exit.exception.vector = vectors[v % 3];
		step->exit.exception.has_error = vectors[v % 3] == 17;
	}
	if (step->exit.length == 0) {
		uint8_t *page = fake_guest_page(vp->partition, 0x1000);

		vp->arch->cr0 &= ~0x80000000ull;
		vp->rip = 0x1000;
		if (page != NULL) {
			memcpy(page, &v, sizeof(v));
		}
	}
}

static void play_mode(struct vp *vp, unsigned more, uint32_t v)
{
	static const unsigned modes[] = { 64, 64, 32, 16 };

	vp->arch->mode = modes[more & 3];
	vp->arch->cpl = (more & 0xc) == 0xc ? 3 : 0;
	vp->arch->cr0 = (more & 0x10) != 0 ? 0x80000011 : 0x11;
	vp->arch->cr4 = (more & 0x20) != 0 ? CR4_PAE : (more & 0x40) != 0 ? CR4_OSXSAVE : 0;
	vp->arch->cr3 = v & 0x1ff000;
	vp->arch->tpr = (uint8_t)(more & 0x80) >> (v & 3);
}

/* What the guest does that is entered now. The rules of being entered are judged here. */
static bool play(struct vp *vp, struct fake_step *step)
{
	static const uint32_t leaves[] = { 0, 1, 4, 5, 6, 7, 0xa, 0xb, 0xd, 0x40000000 };
	unsigned what = (unsigned)script_take(script, 1), more = (unsigned)script_take(script, 1);
	uint32_t v = (uint32_t)script_take(script, 4);

	if (asked == vp) { /* no part of leaf 7 but the first is a child's to know */
		CHECK_FUZZ((vp->regs[REG_RAX] | vp->regs[REG_RBX] | vp->regs[REG_RCX] |
			    vp->regs[REG_RDX]) == 0);
	}
	asked = NULL;
	CHECK_FUZZ(vp->cpu == arch_cpu_index() && cpu_table[vp->cpu].current == vp);
	CHECK_FUZZ(vp->state == VP_RUNNABLE && vp->suspended == 0 && vp->detached == 0);
	CHECK_FUZZ((vp->events & ~0u) == 0 && vp->arch->loaded);
	CHECK_FUZZ(vp->partition->root || vp->partition->state != RD_PARTITION_CREATED);
	CHECK_FUZZ(!vp->partition->revoked);
	if (entries-- == 0) {
		return false;
	}
	step->take = (what & 16) != 0;
	step->tsc = more * 1000ull;
	step->exit.length = 2;
	if (vp->partition->root) {
		step->exit.kind = (what & 32) != 0   ? EXIT_HLT
				  : (what & 64) != 0 ? EXIT_NMI
						     : EXIT_INTERRUPT;
		vp->rflags = 0x202;
		return true;
	}
	vp->rflags = (what & 128) != 0 ? 2 : 0x202;
	switch (what & 15) {
	case 0:
	case 1:
		play_port(vp, step, what, more, v);
		break;
	case 2:
	case 3:
		fault(vp, step, more, v);
		break;
	case 4:
		step->exit.kind = EXIT_CPUID;
		vp->regs[REG_RAX] = more < 64    ? 0x80000000 + more
				    : more < 128 ? 0x40000000 + (more & 15)
						 : leaves[more % ARRAY_SIZE(leaves)];
		vp->regs[REG_RCX] = v & 3;
		asked = vp->regs[REG_RAX] == 7 && (v & 3) != 0 ? vp : NULL;
		break;
	case 5:
	case 6:
	case 7:
		step->exit.kind = EXIT_MSR_WRITE;
		vp->regs[REG_RCX] = msr_of(more);
		vp->regs[REG_RAX] = v;
		vp->regs[REG_RDX] = (what & 64) != 0 ? script_take(script, 4) : 0;
		break;
	case 8:
		step->exit.kind = EXIT_MSR_READ;
		vp->regs[REG_RCX] = msr_of(more);
		break;
	case 9:
	case 10:
		step->exit.kind = EXIT_HYPERCALL;
		step->exit.length = 3;
		child_hypercall(vp, more, v);
		break;
	case 11:
		play_other(vp, step, more, v);
		break;
	case 12:
		play_mode(vp, more, v);
		break;
	case 13:
		step->exit.kind = EXIT_HLT;
		step->exit.length = 1;
		break;
	default:
		break;
	}
	return true;
}

static void run(struct script *s, unsigned op)
{
	enum fake_end end;

	entries = (unsigned)script_take(s, 1) & 63;
	asked = NULL;
	script = s;
	fake_play(play);
	end = fake_run((op >> 4) % CPUS);
	fake_play(NULL);
	fake_select(0);
	CHECK_FUZZ(end == FAKE_RAN_OUT || end == FAKE_IDLE);
}

/* All but this many frames of the heap are taken, until the next time. */
static void eat(unsigned frames)
{
	static void *eaten[EATEN];
	static unsigned n;

	while (n > 0) {
		heap_free(eaten[--n], 1);
	}
	while (frames != 0 && n < EATEN && heap_available() > (frames - 1) * PAGE_SIZE) {
		eaten[n++] = heap_alloc(1);
	}
}

static void action(struct script *s)
{
	unsigned op = (unsigned)script_take(s, 1);

	switch (op & 15) {
	case 0:
		create(s);
		break;
	case 1:
		map(s);
		break;
	case 2:
		unmap(s);
		break;
	case 3:
		create_vp(s);
		break;
	case 4:
		life(s);
		break;
	case 5:
		set_register(s);
		break;
	case 6:
		launch(s);
		break;
	case 7:
	case 8:
		parent(s);
		break;
	case 9:
		message(s);
		break;
	case 10:
		fake.tsc += script_take(s, 1 + (op >> 4 & 3));
		if ((op & 128) != 0) {
			eat((unsigned)script_take(s, 1));
		}
		break;
	default:
		run(s, op);
		break;
	}
	fake_check_partitions(false);
}

static void delete_all(void)
{
	struct partition *p;

	while ((p = partition_next(0)) != NULL) {
		uint64_t id = p->id, rax = FAKE_AGAIN;

		for (uint64_t code = 0x42; code <= 0x43; code++) {
			rax = FAKE_AGAIN;
			for (unsigned i = 0; i < ROUNDS && rax == FAKE_AGAIN; i++) {
				rax = call(code, &id, 8);
				/* They have to give up the VPs, once; cleaning goes on without them. */
				for (uint32_t c = 0;
				     c < CPUS && rax == FAKE_AGAIN && (i < 2 || i % 64 == 0); c++) {
					fake_queue(NULL, 0);
					(void)fake_run(c);
				}
			}
			CHECK_FUZZ(rax == HV_SUCCESS);
		}
	}
	for (uint32_t i = 0; i < PORTS; i++) {
		const struct hv_delete_port q = { HV_SELF, i, 0 };

		/* Ports that were made for a child go with it. */
		CHECK_FUZZ(call(0x58, &q, sizeof(q)) == HV_INVALID_PORT_ID);
	}
	memset(child, 0, sizeof(child));
}

static void boot(void)
{
	fake_boot(&(struct fake_config){ .cpus = CPUS, .heap_bytes = 1ull << 20 });
	CHECK_FUZZ(report_key_make(NULL, 0) == ATTEST_OK);
	for (uint32_t i = 0; i < CPUS; i++) {
		struct vp *r = partition_root->vp[i];

		r->state = VP_RUNNABLE;
		r->arch->mode = 64;
		r->apic.svr = 0x1ff;
		fake_select(i);
		CHECK_FUZZ(synic_msr_write(r, 0x40000082, (PAGE + (1 + i) * PAGE_SIZE) | 1));
		CHECK_FUZZ(synic_msr_write(r, 0x40000090 + RD_ROOT_SINT, 0x52));
		CHECK_FUZZ(synic_msr_write(r, 0x40000080, 1));
		fake_queue(NULL, 0);
		(void)fake_run(i);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct script s = { data, size, 0 }, record;
	uint64_t heap;

	if (partition_root == NULL) {
		boot();
	}
	fake.tsc &= (1ull << 60) - 1;
	heap = heap_available();
	for (unsigned i = 0; i < ACTIONS && script_action(&s, &record); i++) {
		action(&record);
	}
	eat(0);
	delete_all();
	fake_check_partitions(true);
	CHECK_FUZZ(heap_available() == heap);
	return 0;
}

FUZZ_QUIET_END
