// SPDX-License-Identifier: MIT
/*
 * Input: a script of what a parent does with its children (create, map, run, interrupt, delete, in any order and at any moment),
 * of exits that their VPs take on three CPUs, and of time. After each action the invariants of partitions are looked at; at the
 * end all is deleted and all memory is back.
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

#define CPUS 3
#define CHILDREN 3
#define PORTS 8
#define ACTIONS 100
#define ROUNDS 1000
#define STATUS(rax) ((unsigned)((rax)&0xffff))
#define LARGE (HV_MAP_READ | HV_MAP_WRITE | HV_MAP_EXECUTE | HV_MAP_LARGE)
#define PAGE 0x700000ull /* of the root: intercepts; then a page of flags for each VP */

static uint64_t child[CHILDREN]; /* 0: none */
static struct script *script;    /* for play */
static unsigned entries;

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
	unsigned n = (unsigned)script_take(s, 1) % CHILDREN;
	uint64_t rax;

	if (child[n] == 0) {
		fake_select(0);
		rax = fake_hypercall(partition_root->vp[0], 0x40, &q, sizeof(q), &child[n], 8);
		CHECK_FUZZ(rax == HV_SUCCESS || rax == HV_INSUFFICIENT_MEMORY);
	}
}

static uint64_t any(unsigned n)
{
	return child[n % CHILDREN];
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
		child[n % CHILDREN] = 0;
	}
}

static void set_register(struct script *s)
{
	static const uint32_t names[] = { HV_REG_EXPLICIT_SUSPEND,
					  HV_REG_INTERCEPT_SUSPEND,
					  HV_REG_RIP,
					  HV_REG_RAX,
					  HV_REG_RFLAGS,
					  HV_REG_CR8 };
	unsigned n = (unsigned)script_take(s, 1), what = (unsigned)script_take(s, 1);
	const struct {
		struct hv_vp_registers q;
		struct hv_register_assoc a;
	} in = { { .partition = any(n), .vp = n >> 2 & 7 },
		 { .name = names[what % ARRAY_SIZE(names)], .value = { what >> 4, 0 } } };

	(void)call(0x51 | 1ull << 32, &in, sizeof(in));
	(void)call(0x50 | 1ull << 32, &in, sizeof(in.q) + 4);
}

static void parent(struct script *s)
{
	unsigned n = (unsigned)script_take(s, 1), what = (unsigned)script_take(s, 1);
	const struct hv_install_intercept install = { any(n), 3, HV_INTERCEPT_IO_PORT_RANGE,
						      what | (what + 7) << 16 };
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
		(void)call(0x4d, &install, sizeof(install));
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
static void child_hypercall(struct vp *vp, unsigned what)
{
	uint64_t in[34] = { 0 };
	uint8_t *page = fake_guest(vp->partition, FAKE_CHILD_CALL_PAGE);

	vp->regs[REG_RDX] = FAKE_CHILD_CALL_PAGE;
	vp->regs[REG_R8] = FAKE_CHILD_CALL_PAGE + PAGE_SIZE;
	switch (what & 3) {
	case 0:
		vp->regs[REG_RCX] = 0x5d;
		in[0] = what >> 5;
		break;
	case 1:
		vp->regs[REG_RCX] = 0x5c;
		in[0] = what >> 5;
		in[1] = 1 | 100ull << 32;
		break;
	case 2:
		vp->regs[REG_RCX] = 0x02;
		in[2] = what >> 2;
		break;
	default:
		vp->regs[REG_RCX] = what >= 0xf0 ? 0x8e14 : 0x0b;
		in[0] = what >= 0xf0 ? what & 0x3f : what; /* of 0x8e14: the nonce's size */
		in[1] = what >> 2;
		break;
	}
	if (page != NULL) {
		memcpy(page, in, sizeof(in));
	}
}

/* What the guest does that is entered now. The rules of being entered are judged here. */
static bool play(struct vp *vp, struct fake_step *step)
{
	static const uint32_t msrs[] = { 0x40000000, 0x40000001, 0x40000080, 0x40000082,
					 0x40000083, 0x40000092, 0x400000b0, 0x400000b1,
					 0x400000f0, 0x830,      0x80b,      0x832,
					 0x838,      0x1b,       0x40000084, 0x40000021 };
	unsigned what = (unsigned)script_take(script, 1), more = (unsigned)script_take(script, 1);

	CHECK_FUZZ(vp->cpu == arch_cpu_index() && cpu_table[vp->cpu].current == vp);
	CHECK_FUZZ(vp->state == VP_RUNNABLE && vp->suspended == 0 && vp->detached == 0);
	CHECK_FUZZ((vp->events & ~0u) == 0 && vp->arch->loaded);
	CHECK_FUZZ(vp->partition->root || vp->partition->state != RD_PARTITION_CREATED);
	CHECK_FUZZ(!vp->partition->revoked);
	if (entries-- == 0) {
		return false;
	}
	step->take = (what & 1) != 0;
	step->tsc = more * 1000ull;
	step->exit.length = 2;
	if (vp->partition->root) {
		step->exit.kind = (what & 2) != 0 ? EXIT_HLT : EXIT_INTERRUPT;
		vp->rflags = 0x202;
		return true;
	}
	vp->rflags = (what & 128) != 0 ? 2 : 0x202;
	switch (what >> 1 & 15) {
	case 0:
	case 1:
		step->exit.kind = EXIT_PORT;
		step->exit.port.port = (uint16_t)more;
		step->exit.port.size = (uint8_t)(1u << (what >> 5) % 3);
		step->exit.port.in = (what & 64) != 0;
		break;
	case 2:
		step->exit.kind = EXIT_MEMORY;
		step->exit.memory.gpa = gpa((uint64_t)more << 21);
		break;
	case 3:
		step->exit.kind = more < 8 ? EXIT_SHUTDOWN : EXIT_HLT;
		break;
	case 4:
		step->exit.kind = EXIT_CPUID;
		vp->regs[REG_RAX] = more;
		break;
	case 5:
	case 6:
	case 7:
	case 8:
		step->exit.kind = EXIT_MSR_WRITE;
		vp->regs[REG_RCX] = msrs[more % ARRAY_SIZE(msrs)];
		vp->regs[REG_RAX] = script_take(script, 4);
		vp->regs[REG_RDX] = (what & 64) != 0 ? more >> 4 & 7 : 0;
		break;
	case 9:
		step->exit.kind = EXIT_MSR_READ;
		vp->regs[REG_RCX] = msrs[more % ARRAY_SIZE(msrs)];
		break;
	case 10:
	case 11:
		step->exit.kind = EXIT_HYPERCALL;
		child_hypercall(vp, more);
		break;
	case 12:
		step->exit.kind = EXIT_FORBIDDEN;
		break;
	default:
		break;
	}
	return true;
}

static void run(struct script *s, unsigned op)
{
	enum fake_end end;

	entries = (unsigned)script_take(s, 1) & 15;
	script = s;
	fake_play(play);
	end = fake_run((op >> 4) % CPUS);
	fake_play(NULL);
	fake_select(0);
	CHECK_FUZZ(end == FAKE_RAN_OUT || end == FAKE_IDLE);
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
				for (uint32_t c = 0; c < CPUS && rax == FAKE_AGAIN; c++) {
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
	struct script s = { data, size, 0 };
	uint64_t heap;

	if (partition_root == NULL) {
		boot();
	}
	fake.tsc &= (1ull << 60) - 1;
	heap = heap_available();
	for (unsigned i = 0; i < ACTIONS && script_more(&s); i++) {
		action(&s);
	}
	delete_all();
	fake_check_partitions(true);
	CHECK_FUZZ(heap_available() == heap);
	return 0;
}
