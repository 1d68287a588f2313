// SPDX-License-Identifier: MIT
/* Exits of a child that its parent answers, and those that it does not hear of. */
#include "tests/unit/core/core_child.h"

#include "hv/core/cpu.h"
#include "hv/core/time.h"

#define PAGE 0x710000ull
#define FLAG 321
#define SIEF 0x720000ull
#define VECTOR 0x52
#define INSTALL 0x4d
#define STATE_PAGE 0xe1

static struct partition *p;
static struct vp *vp;

static struct hv_map_state_page page_of(void)
{
	return (struct hv_map_state_page){ .partition = p->id,
					   .type = HV_STATE_PAGE_INTERCEPT,
					   .pfn = PAGE >> PAGE_SHIFT,
					   .notify_flag = FLAG };
}

static int bare(void **state)
{
	child_setup(state);
	for (uint32_t i = 0; i < 4; i++) {
		struct vp *r = root_vp(i);

		assert_true(msr_write(r, 0x40000082, (SIEF + i * PAGE_SIZE) | 1));
		assert_true(msr_write(r, 0x40000090 + RD_ROOT_SINT, VECTOR));
		assert_true(msr_write(r, 0x40000080, 1));
	}
	memset(fake_ram(SIEF), 0, 4 * PAGE_SIZE);
	memset(fake_ram(PAGE), 0, PAGE_SIZE);
	fake_select(0);
	p = child_make(2, 1);
	vp = p->vp[0];
	return 0;
}

static int fresh(void **state)
{
	struct hv_map_state_page q;

	bare(state);
	q = page_of();
	assert_int_equal(root_call(STATE_PAGE, &q, sizeof(q), NULL, 0), HV_SUCCESS);
	child_start(p);
	assert_int_equal(vp->suspended, 0);
	return 0;
}

static bool told(void)
{
	bool any = false;

	for (uint32_t i = 0; i < 4; i++) {
		uint8_t *at = fake_ram(SIEF + i * PAGE_SIZE + RD_ROOT_SINT * 256 + FLAG / 8);

		any = any || (*at & 1u << FLAG % 8) != 0;
		*at = 0;
	}
	return any;
}

static unsigned install_how(uint16_t first, uint16_t last, uint32_t how, uint8_t value)
{
	const struct hv_install_intercept q = { p->id, 3 | how, HV_INTERCEPT_IO_PORT_RANGE,
						first | (uint64_t)last << 16 |
							(uint64_t)value << 32 };

	return STATUS(root_call(INSTALL, &q, sizeof(q), NULL, 0));
}

static unsigned install(uint16_t first, uint16_t last)
{
	return install_how(first, last, 0, 0);
}

static struct hv_message *message(void)
{
	return (struct hv_message *)(void *)fake_ram(PAGE);
}

static void resume(void)
{
	assert_int_equal(child_set(p->id, 0, HV_REG_INTERCEPT_SUSPEND, 0), HV_SUCCESS);
	memset(fake_ram(PAGE), 0, PAGE_SIZE);
}

static bool entered_suspended;
static unsigned entries;

static bool watch(struct vp *v, struct fake_step *step)
{
	step->tsc = 1000;
	entered_suspended = entered_suspended || v == vp;
	return ++entries < 50;
}

/* Its CPU has other things to do, and events for it come: it is not entered, and nothing of it moves. */
static void assert_stays_out(void)
{
	uint64_t rip = vp->rip, regs[REG_COUNT];

	memcpy(regs, vp->regs, sizeof(regs));
	entered_suspended = false;
	entries = 0;
	vlapic_post(vp, 0x99, false);
	vp_event(vp, VP_EVENT_NMI | VP_EVENT_INIT | VP_EVENT_SIPI);
	fake_play(watch);
	fake_run(vp->cpu);
	fake_play(NULL);
	assert_false(entered_suspended);
	assert_true(vp->rip == rip);
	assert_memory_equal(regs, vp->regs, sizeof(regs));
	vp->events = 0;
	vlapic_claim(vp, 0x99);
	fake_check_partitions(false);
}

static void test_wanted(void **state)
{
	static const unsigned sizes[] = { 1, 2, 4 };

	(void)state;
	assert_int_equal(install(0x3f8, 0x3ff), HV_SUCCESS);
	for (size_t i = 0; i < 6; i++) {
		const struct hv_io_port_intercept *io = (const void *)message()->payload;
		bool in = i >= 3;
		unsigned size = sizes[i % 3];
		uint64_t rax;

		assert_int_equal(exit_port(vp, in, 0x3f8, size, 0xa5a5a5a5), FAKE_RETURNED);
		rax = vp->regs[REG_RAX];
		assert_int_equal(vp->suspended, VP_SUSPEND_INTERCEPT);
		assert_int_equal(vp->arch->pending.kind, FAKE_NONE);
		assert_int_equal(vp->rip, 0x300000); /* the parent moves it */
		assert_true(message()->type == HV_MESSAGE_IO_PORT &&
			    message()->payload_size == sizeof(*io) && message()->sender == p->id);
		assert_true(io->port == 0x3f8 && io->access_info == size && io->rax == rax);
		assert_true(io->header.vp == 0 && io->header.length == 1 &&
			    io->header.access == (in ? 0 : 1) && io->header.rip == 0x300000 &&
			    io->header.rflags == vp->rflags);
		assert_true(told());
		assert_stays_out();
		assert_int_equal(child_set(p->id, 0, HV_REG_RAX, 0x77), HV_SUCCESS);
		assert_int_equal(child_set(p->id, 0, HV_REG_RIP, 0x300001), HV_SUCCESS);
		resume();
		assert_int_equal(vp->suspended, 0);
		entered_suspended = false;
		entries = 0;
		root_vp(vp->cpu)->state = VP_HALTED; /* has nothing to do */
		fake_play(watch);
		fake_run(vp->cpu);
		fake_play(NULL);
		assert_true(entered_suspended); /* now it runs again */
	}
	assert_int_equal(p->intercepts, 6);
}

static void test_unwanted(void **state)
{
	static const struct {
		unsigned size;
		uint64_t in;
	} table[] = {
		{ 1, 0x11223344000000ffull },
		{ 2, 0x112233440000ffffull },
		{ 4, 0x00000000ffffffffull },
	};

	(void)state;
	assert_int_equal(install(0x3f8, 0x3ff), HV_SUCCESS);
	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		assert_int_equal(exit_port(vp, true, 0x2f8, table[i].size, 0), FAKE_RETURNED);
		assert_injected(vp, -1);
		assert_true(vp->regs[REG_RAX] == table[i].in);
		assert_int_equal(exit_port(vp, false, 0x2f8, table[i].size, 0x99), FAKE_RETURNED);
		assert_injected(vp, -1);
		assert_true(vp->regs[REG_RAX] == 0x1122334400000099ull);
	}
	/* At the edges: all of the access is wanted, or it is not. */
	exit_port(vp, true, 0x3f7, 2, 0);
	assert_int_equal(vp->suspended, 0);
	exit_port(vp, true, 0x3ff, 2, 0);
	assert_int_equal(vp->suspended, 0);
	exit_port(vp, true, 0x3fd, 4, 0);
	assert_int_equal(vp->suspended, 0);
	assert_int_equal(p->intercepts, 0);
	exit_port(vp, true, 0x3fc, 4, 0);
	assert_int_equal(vp->suspended, VP_SUSPEND_INTERCEPT);
	resume();
	exit_port(vp, true, 0x3ff, 1, 0);
	assert_int_equal(vp->suspended, VP_SUSPEND_INTERCEPT);
	resume();
	/* No real port was touched. */
	fake.out_count = 0;
	exit_port(vp, false, 0xcf9, 1, 6);
	exit_port(vp, false, 0xcf8, 4, 0x80000000);
	assert_injected(vp, -1);
	assert_int_equal(fake.out_count, 0);
}

static void test_string(void **state)
{
	(void)state;
	assert_int_equal(install(0, 0xffff), HV_SUCCESS);
	for (unsigned i = 0; i < 4; i++) {
		struct exit_info e = { .kind = EXIT_PORT, .length = 2 };
		uint64_t denied = p->denied_port;

		e.port.port = i < 3 ? 0x3f8 : 0xffff;
		e.port.size = i < 3 ? 1 : 2; /* also: beyond the last port */
		e.port.string = i < 3;
		e.port.rep = i == 1;
		e.port.in = i == 2;
		vp->rip = 0x300000;
		assert_int_equal(fake_exit(vp, &e), FAKE_RETURNED);
		assert_true(vp->arch->pending.kind == FAKE_EXCEPTION &&
			    vp->arch->pending.vector == VECTOR_GP && vp->rip == 0x300000);
		assert_int_equal(p->denied_port, denied + 1);
		assert_int_equal(vp->suspended, 0);
	}
}

static void test_ranges(void **state)
{
	struct hv_install_intercept q = { p->id, 3, HV_INTERCEPT_IO_PORT_RANGE, 0x00200021 };

	(void)state;
	root_refused(HV_INVALID_PARAMETER, INSTALL, &q, sizeof(q)); /* first after last */
	q.parameter = 0x1003ff03f8ull;
	root_refused(HV_INVALID_PARAMETER, INSTALL, &q, sizeof(q));
	q.parameter = 0x03ff03f8;
	for (uint32_t access = 1; access < 8; access++) {
		q.access = access;
		if (access != 3) {
			root_refused(HV_INVALID_PARAMETER, INSTALL, &q, sizeof(q));
		}
	}
	q.access = 3;
	for (uint32_t type = 0; type < 0x10000; type = type < 32 ? type + 1 : type * 2) {
		q.type = type;
		if (type != HV_INTERCEPT_IO_PORT_RANGE) {
			root_refused(HV_INVALID_PARAMETER, INSTALL, &q, sizeof(q));
		}
	}
	q.type = HV_INTERCEPT_IO_PORT_RANGE;
	for (uint16_t i = 0; i < PARTITION_PORT_RANGES; i++) {
		assert_int_equal(install(i * 16, i * 16), HV_SUCCESS);
	}
	root_refused(HV_NO_RESOURCES, INSTALL, &q, sizeof(q));
	for (uint16_t i = 0; i < PARTITION_PORT_RANGES * 16; i++) {
		exit_port(vp, false, i, 1, 0);
		assert_int_equal(vp->suspended != 0, i % 16 == 0);
		if (vp->suspended != 0) {
			resume();
		}
	}
}

/* --- posted writes and constant reads --- */

#define POSTED HV_INTERCEPT_POSTED_WRITE
#define CONSTANT HV_INTERCEPT_CONSTANT_READ

static struct hv_posted *ring(void)
{
	return (struct hv_posted *)(void *)fake_ram(PAGE + HV_POSTED_OFFSET);
}

static void posts(struct vp *v, unsigned size, uint32_t rax)
{
	exit_port(v, false, 0x3f8, size, rax);
	assert_int_equal(v->suspended, 0);
	assert_int_equal(v->rip, 0x300001);
	assert_injected(v, -1);
}

static void assert_entry(uint32_t i, unsigned size, uint32_t value)
{
	const struct hv_posted_write *w = &ring()->entry[i % HV_POSTED_ENTRIES];

	assert_true(w->port == 0x3f8 && w->size == size && w->reserved == 0 && w->value == value);
}

static void test_posted(void **state)
{
	uint64_t rax;

	(void)state;
	assert_int_equal(install(0x3f8, 0x3ff), HV_SUCCESS);
	assert_int_equal(install_how(0x3f8, 0x3fb, POSTED, 0), HV_SUCCESS);
	posts(vp, 1, 0xa1b2c3d4);
	rax = vp->regs[REG_RAX];
	posts(vp, 2, 0xa1b2c3d4);
	posts(vp, 4, 0xa1b2c3d4);
	assert_true(vp->regs[REG_RAX] == rax);
	assert_int_equal(ring()->producer, 3);
	assert_entry(0, 1, 0xd4);
	assert_entry(1, 2, 0xc3d4);
	assert_entry(2, 4, 0xa1b2c3d4);
	assert_false(told());
	assert_int_equal(p->intercepts, 0);
	/* Reads, and writes that only the wider range has, stop as ever; the message leaves the ring alone. */
	exit_port(vp, true, 0x3f8, 1, 0);
	assert_int_equal(vp->suspended, VP_SUSPEND_INTERCEPT);
	assert_int_equal(message()->type, HV_MESSAGE_IO_PORT);
	assert_int_equal(ring()->producer, 3);
	assert_entry(2, 4, 0xa1b2c3d4);
	assert_int_equal(child_set(p->id, 0, HV_REG_INTERCEPT_SUSPEND, 0), HV_SUCCESS);
	exit_port(vp, false, 0x3fb, 2, 0);
	assert_int_equal(vp->suspended, VP_SUSPEND_INTERCEPT);
	assert_int_equal(child_set(p->id, 0, HV_REG_INTERCEPT_SUSPEND, 0), HV_SUCCESS);
	/* The other VP's are in the same ring, in the order in which they came. */
	fake_select(p->vp[1]->cpu);
	posts(p->vp[1], 1, 0x55);
	fake_select(0);
	posts(vp, 1, 0x66);
	assert_int_equal(ring()->producer, 5);
	assert_entry(3, 1, 0x55);
	assert_entry(4, 1, 0x66);
	assert_int_equal(ring()->consumer, 0); /* not ours */
	/* As before, once it is asked for. */
	assert_int_equal(install(0x3f8, 0x3fb), HV_SUCCESS);
	exit_port(vp, false, 0x3f8, 1, 0);
	assert_int_equal(vp->suspended, VP_SUSPEND_INTERCEPT);
	assert_int_equal(ring()->producer, 5);
	assert_int_equal(p->port_ranges, 2);
}

static void test_posted_full(void **state)
{
	static const uint32_t bad[] = { 1, 1000, 0x80000000 };
	uint32_t n = 0;

	(void)state;
	assert_int_equal(install_how(0x3f8, 0x3f8, POSTED, 0), HV_SUCCESS);
	for (uint32_t turn = 0; turn < 3; turn++) {
		while (n - ring()->consumer < HV_POSTED_ENTRIES) {
			bool half = n - ring()->consumer == HV_POSTED_ENTRIES / 2;

			posts(vp, 1, n % 251);
			assert_entry(n, 1, n % 251);
			n++;
			assert_int_equal(told(), half);
		}
		/* Nothing is lost: now it stops. */
		exit_port(vp, false, 0x3f8, 1, 0x77);
		assert_int_equal(vp->suspended, VP_SUSPEND_INTERCEPT);
		assert_int_equal(vp->rip, 0x300000);
		assert_int_equal(((struct hv_io_port_intercept *)(void *)message()->payload)->rax &
					 0xff,
				 0x77);
		assert_true(told());
		assert_int_equal(ring()->producer, n);
		for (uint32_t i = n - HV_POSTED_ENTRIES; i < n; i++) {
			assert_entry(i, 1, i % 251);
		}
		assert_int_equal(child_set(p->id, 0, HV_REG_INTERCEPT_SUSPEND, 0), HV_SUCCESS);
		ring()->consumer = n - turn * 40;
	}
	/* An index that cannot be is a full ring; nothing is written outside it. */
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		uint8_t before[PAGE_SIZE];

		ring()->consumer = n + bad[i];
		memcpy(before, ring(), sizeof(struct hv_posted));
		exit_port(vp, false, 0x3f8, 1, 0x77);
		assert_int_equal(vp->suspended, VP_SUSPEND_INTERCEPT);
		assert_memory_equal(before, ring(), sizeof(struct hv_posted));
		assert_int_equal(child_set(p->id, 0, HV_REG_INTERCEPT_SUSPEND, 0), HV_SUCCESS);
	}
	/* The hypervisor does not read its own index. */
	ring()->consumer = n;
	ring()->producer = 0x12345;
	posts(vp, 1, 0x42);
	assert_int_equal(ring()->producer, n + 1);
	assert_entry(n, 1, 0x42);
}

/* A millisecond after it, whether the VP runs, is halted or is suspended. */
static void test_posted_time(void **state)
{
	uint64_t ms = time_tsc_hz() / 1000, due;

	(void)state;
	assert_int_equal(install_how(0x3f8, 0x3f8, POSTED, 0), HV_SUCCESS);
	fake_select(vp->cpu);
	fake_queue(NULL, 0);
	fake_run(vp->cpu); /* the VP is in its CPU's list */
	for (unsigned i = 0; i < 3; i++) {
		posts(vp, 1, 'a');
		due = vp->deadline[VP_TIMER_POSTED];
		assert_true(due >= fake.tsc && due <= fake.tsc + ms);
		fake.tsc += ms / 2;
		posts(vp, 1, 'b');
		assert_true(vp->deadline[VP_TIMER_POSTED] == due); /* the first one counts */
		vp_timers_expire(vp, due - 1);
		assert_false(told());
		vp->state = i == 1 ? VP_HALTED : VP_RUNNABLE;
		vp->suspended = i == 2 ? VP_SUSPEND_INTERCEPT : 0;
		fake.tsc = due;
		cpu_timers_expire();
		assert_true(told());
		assert_true(vp->deadline[VP_TIMER_POSTED] == UINT64_MAX);
		vp->suspended = 0;
		vp->state = VP_RUNNABLE;
	}
	/* Where all is taken, there is nothing to tell. */
	posts(vp, 1, 'c');
	ring()->consumer = ring()->producer;
	fake.tsc += 2 * ms;
	cpu_timers_expire();
	assert_false(told());
	assert_true(vp->deadline[VP_TIMER_POSTED] == UINT64_MAX);
	fake_select(0);
}

static void test_constant(void **state)
{
	(void)state;
	assert_int_equal(install(0x3f8, 0x3ff), HV_SUCCESS);
	assert_int_equal(install_how(0x3fd, 0x3fd, CONSTANT, 0x60), HV_SUCCESS);
	exit_port(vp, true, 0x3fd, 1, 0);
	assert_int_equal(vp->suspended, 0);
	assert_int_equal(vp->rip, 0x300001);
	assert_true(vp->regs[REG_RAX] == 0x1122334400000060ull);
	assert_int_equal(install_how(0x3fd, 0x3fd, CONSTANT, 0xe1), HV_SUCCESS);
	exit_port(vp, true, 0x3fd, 1, 0xffffff00);
	assert_true(vp->regs[REG_RAX] == 0x11223344ffffffe1ull);
	assert_int_equal(p->intercepts, 0);
	/* Wider reads, and writes, are the parent's. */
	exit_port(vp, true, 0x3fd, 2, 0);
	assert_int_equal(vp->suspended, VP_SUSPEND_INTERCEPT);
	resume();
	exit_port(vp, false, 0x3fd, 1, 0);
	assert_int_equal(vp->suspended, VP_SUSPEND_INTERCEPT);
	resume();
	assert_int_equal(install(0x3fd, 0x3fd), HV_SUCCESS);
	exit_port(vp, true, 0x3fd, 1, 0);
	assert_int_equal(vp->suspended, VP_SUSPEND_INTERCEPT);
}

/* What may be asked for. */
static void test_access(void **state)
{
	struct hv_install_intercept q = { p->id, 3, HV_INTERCEPT_IO_PORT_RANGE, 0x03ff03f8 };

	(void)state;
	for (uint32_t bit = 0; bit < 32; bit++) {
		q.access = 3 | 1u << bit;
		if (bit >= 2 && q.access != (3 | POSTED)) { /* CONSTANT: more than one port */
			root_refused(HV_INVALID_PARAMETER, INSTALL, &q, sizeof(q));
		}
		q.access = POSTED | CONSTANT | (1u << bit & 3);
		root_refused(HV_INVALID_PARAMETER, INSTALL, &q, sizeof(q));
	}
	q.access = 3 | CONSTANT;
	q.parameter = 0x10003fd03fdull;
	root_refused(HV_INVALID_PARAMETER, INSTALL, &q,
		     sizeof(q)); /* a value of more than a byte */
	q.access = 3 | POSTED;
	q.parameter = 0x103fd03fdull;
	root_refused(HV_INVALID_PARAMETER, INSTALL, &q, sizeof(q)); /* a value for nothing */
}

/* Posted to a VP without a page: an intercept, as if the ring were full. */
static void test_posted_no_page(void **state)
{
	(void)state;
	assert_int_equal(install_how(0x3f8, 0x3ff, POSTED, 0), HV_SUCCESS);
	child_start(p);
	exit_port(vp, false, 0x3f8, 1, 0);
	assert_int_equal(vp->suspended, VP_SUSPEND_INTERCEPT);
	assert_false(told());
	assert_int_equal(ring()->producer, 0);
	assert_true(vp->deadline[VP_TIMER_POSTED] == UINT64_MAX);
}

/* What a guest does where it has no memory, with the CPU's copy of the instruction. */
static enum fake_end touch(uint64_t at, bool write, const char *code, size_t n)
{
	struct exit_info e = { .kind = EXIT_MEMORY };

	vp->rip = 0x4444;
	e.memory.gpa = gpa(at);
	e.memory.write = write;
	e.memory.byte_count = (uint8_t)n;
	memcpy(e.memory.bytes, code, n);
	return fake_exit(vp, &e);
}
#define TOUCH(at, write, code) touch(at, write, code, sizeof(code) - 1)

/* Data are ones and what is written is gone; the guest goes on and its parent does not hear of it. */
static void test_absent(void **state)
{
	(void)state;
	fake.mmio_count = 0;
	vp->regs[REG_RAX] = 0x1122334455667788;
	assert_int_equal(TOUCH(0xfee00300, false, "\x8a\x00"), FAKE_RETURNED); /* mov (%rax), %al */
	assert_true(vp->regs[REG_RAX] == 0x11223344556677ff && vp->rip == 0x4446);
	assert_int_equal(TOUCH(0xf0000000, false, "\x66\x8b\x00"), FAKE_RETURNED);
	assert_true(vp->regs[REG_RAX] == 0x112233445566ffff && vp->rip == 0x4447);
	assert_int_equal(TOUCH(0xf0000000, false, "\x8b\x00"), FAKE_RETURNED);
	assert_true(vp->regs[REG_RAX] == 0xffffffff);
	assert_int_equal(TOUCH(1ull << 40, false, "\x48\x8b\x00"), FAKE_RETURNED);
	assert_true(vp->regs[REG_RAX] == UINT64_MAX);
	vp->regs[REG_RAX] = 0;
	assert_int_equal(TOUCH(FAKE_IOAPIC, false, "\x0f\xb6\x00"), FAKE_RETURNED); /* movzbl */
	assert_true(vp->regs[REG_RAX] == 0xff);
	vp->regs[REG_RAX] = 0x77;
	assert_int_equal(TOUCH(FAKE_IOAPIC, true, "\x89\x00"), FAKE_RETURNED);
	assert_true(vp->regs[REG_RAX] == 0x77 && vp->rip == 0x4446);
	assert_int_equal(TOUCH(FAKE_IOAPIC, true, "\xc7\x00\x01\x02\x03\x04"), FAKE_RETURNED);
	assert_int_equal(vp->rip, 0x444a);
	assert_int_equal(vp->suspended, 0);
	assert_false(told());
	assert_int_equal(message()->type, HV_MESSAGE_NONE);
	assert_int_equal(p->denied_memory, 7);
	/* The fault is the guest's where the decoder gives up. */
	assert_int_equal(TOUCH(0xf0000000, false, "\x0f\x10\x00"), FAKE_RETURNED); /* movups */
	assert_true(vp->arch->pending.kind == FAKE_EXCEPTION &&
		    vp->arch->pending.vector == VECTOR_GP && vp->rip == 0x4444);
	assert_int_equal(vp->suspended, 0);
	/* Nothing of the root's or of the machine's is reached that way. */
	assert_int_equal(fake.mmio_count, 0);
}

/* Code and page tables out there: the guest cannot go on. */
static void test_memory(void **state)
{
	const struct hv_memory_intercept *mi = (const void *)message()->payload;
	struct exit_info e = { .kind = EXIT_MEMORY };

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		e.memory.gpa = gpa(0xfee00300);
		e.memory.write = i == 1;
		e.memory.fetch = i == 2;
		e.memory.walk = i != 2;
		vp->rip = 0x4444;
		assert_int_equal(fake_exit(vp, &e), FAKE_RETURNED);
		assert_int_equal(vp->suspended, VP_SUSPEND_INTERCEPT);
		assert_true(message()->type == HV_MESSAGE_UNMAPPED_GPA &&
			    message()->payload_size == sizeof(*mi));
		assert_true(mi->gpa == 0xfee00300 && mi->header.access == i && mi->gva == 0 &&
			    mi->header.rip == 0x4444);
		assert_true(told());
		assert_int_equal(p->denied_memory, i + 1);
		assert_stays_out();
		resume();
	}
}

static bool halts(struct vp *v, uint64_t rflags)
{
	struct exit_info e = { .kind = EXIT_HLT, .length = 1 };

	v->state = VP_RUNNABLE;
	v->parked = 0;
	v->rflags = rflags;
	v->rip = 0x6666;
	assert_int_equal(fake_exit(v, &e), FAKE_RETURNED);
	assert_int_equal(v->state, VP_HALTED);
	return told();
}

/* The parent hears of a halt that nothing will end: interrupts off, on all VPs. */
static void test_halt(void **state)
{
	struct vp *ap = p->vp[1];

	(void)state;
	ap->arch->mode = 64;
	assert_false(halts(vp, 0x202));
	assert_int_equal(vp->suspended, 0);
	assert_false(halts(ap, 2)); /* the other may start it again */
	assert_false(halts(vp, 0x202));
	vp_event(ap, VP_EVENT_INIT);
	assert_false(halts(vp, 2)); /* it has sent INIT, which is not taken yet */
	fake_select(ap->cpu);
	assert_false(vp_prepare(ap)); /* now it is, and is the last that could have gone on */
	assert_int_equal(ap->state, VP_WAIT_SIPI);
	assert_true(ap->parked != 0 && ap->suspended == VP_SUSPEND_INTERCEPT && vp->suspended == 0);
	fake_select(0);
	ap->suspended = 0;
	assert_true(halts(vp, 2));
	assert_int_equal(vp->suspended, VP_SUSPEND_INTERCEPT);
	assert_int_equal(message()->type, HV_MESSAGE_HALT);
	assert_int_equal(((const struct hv_intercept_header *)(void *)message()->payload)->rip,
			 0x6667);
	resume();
	/* An NMI is on its way. */
	vp->nmi_pending = true;
	assert_false(halts(vp, 2));
	vp->nmi_pending = false;
	/* SIPI: it lives again. */
	fake_select(ap->cpu);
	ap->sipi_vector = 0x10;
	vp_event(ap, VP_EVENT_SIPI);
	assert_true(vp_prepare(ap));
	assert_int_equal(ap->parked, 0);
	fake_select(0);
	assert_false(halts(vp, 2));
	assert_int_equal(vp->suspended, 0);
}

static void dead(enum exit_kind kind)
{
	struct exit_info e = { .kind = kind };
	const struct {
		struct hv_vp_registers q;
		struct hv_register_assoc a;
	} regs = { { .partition = p->id }, { .name = HV_REG_INTERCEPT_SUSPEND } };

	vp->rip = 0x5555;
	assert_int_equal(fake_exit(vp, &e), FAKE_RETURNED); /* the machine goes on */
	assert_int_equal(vp->state, VP_DEAD);
	assert_int_equal(vp->suspended, VP_SUSPEND_INTERCEPT);
	assert_int_equal(message()->type, HV_MESSAGE_UNRECOVERABLE);
	assert_true(((const struct hv_intercept_header *)(void *)message()->payload)->rip ==
		    0x5555);
	assert_true(told());
	assert_stays_out();
	root_refused(HV_INVALID_PARAMETER, REP(0x51, 1), &regs, sizeof(regs));
	vp_event(vp, VP_EVENT_INIT | VP_EVENT_SIPI); /* by a sibling */
	vp->suspended = 0;
	fake_select(vp->cpu);
	assert_false(vp_prepare(vp));
	assert_int_equal(vp->state, VP_DEAD);
	fake_select(0);
}

static void test_triple_fault(void **state)
{
	(void)state;
	dead(EXIT_SHUTDOWN);
}

static void test_invalid_state(void **state)
{
	(void)state;
	dead(EXIT_INVALID);
}

static void test_unknown_exit(void **state)
{
	(void)state;
	dead(EXIT_UNKNOWN);
}

/* The parent never said where: the VP is out, and nothing is written anywhere. */
static void test_no_page(void **state)
{
	(void)state;
	assert_int_equal(install(0x3f8, 0x3ff), HV_SUCCESS);
	child_start(p);
	exit_port(vp, true, 0x3f8, 1, 0);
	assert_int_equal(vp->suspended, VP_SUSPEND_INTERCEPT);
	assert_false(told());
	assert_int_equal(message()->type, 0);
	assert_int_equal(*fake_ram(0), 0);
	assert_stays_out();
}

static void test_page_refused(void **state)
{
	struct hv_map_state_page q;
	static const uint64_t bad[] = { FAKE_REGION_BASE >> 12,
					FAKE_POOL_BASE >> 12,
					FAKE_FIRMWARE_BASE >> 12,
					FAKE_RAM_SIZE >> 12,
					FAKE_IOAPIC >> 12,
					1ull << 36,
					1ull << 52,
					UINT64_MAX };

	(void)state;
	for (unsigned i = 0; i < 7; i++) {
		q = page_of();
		q.type = i == 0 ? 0 : i == 1 ? 2 : HV_STATE_PAGE_INTERCEPT;
		q.vtl = i == 2;
		q.flags = i == 3;
		q.reserved = i == 4;
		q.notify_flag = i == 5 ? HV_EVENT_FLAGS : i == 6 ? UINT32_MAX : FLAG;
		root_refused(HV_INVALID_PARAMETER, STATE_PAGE, &q, sizeof(q));
	}
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) { /* the root's own memory only */
		q = page_of();
		q.pfn = bad[i];
		root_refused(HV_INVALID_PARAMETER, STATE_PAGE, &q, sizeof(q));
	}
	q = page_of(); /* not the child's, although it is granted */
	q.pfn = (uint64_t)(fake_guest(p, 0) - fake_ram(0)) >> PAGE_SHIFT;
	root_refused(HV_INVALID_PARAMETER, STATE_PAGE, &q, sizeof(q));
	q = page_of();
	q.vp = 2;
	root_refused(HV_INVALID_VP_INDEX, STATE_PAGE, &q, sizeof(q));
	q.vp = 1;
	assert_int_equal(root_call(STATE_PAGE, &q, sizeof(q), NULL, 0), HV_SUCCESS);
	root_refused(HV_OBJECT_IN_USE, STATE_PAGE, &q, sizeof(q));
}

/* Page 0 stands for "none": accepting it would be a promise that is not kept. */
static void test_page_zero(void **state)
{
	struct hv_map_state_page q = page_of();

	(void)state;
	q.pfn = 0;
	root_refused(HV_INVALID_PARAMETER, STATE_PAGE, &q, sizeof(q));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, fresh, child_teardown)
#define BARE(f) cmocka_unit_test_setup_teardown(f, bare, child_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_wanted),         TEST(test_unwanted),     TEST(test_string),
		TEST(test_ranges),         TEST(test_memory),       TEST(test_absent),
		TEST(test_halt),           TEST(test_triple_fault), TEST(test_invalid_state),
		TEST(test_unknown_exit),   BARE(test_no_page),      BARE(test_page_refused),
		BARE(test_page_zero),      TEST(test_posted),       TEST(test_posted_full),
		TEST(test_posted_time),    TEST(test_constant),     TEST(test_access),
		BARE(test_posted_no_page),
	};

	return cmocka_run_group_tests(tests, boot_machine, NULL);
}
