// SPDX-License-Identifier: MIT
/*
 * Input: records (fuzz/script.h), a call each: flags; the call (low byte of its code, + 0x60 from 0x8e00 on); repetitions; the input.
 *   flags: 1 its first 8 bytes become the number of a child (2: which), 4 fast, 8 and 16 who calls (0, 1 root; 2, 3 a child);
 *   1 with 8: the number of the newest partition;
 *   32 the control word is XORed with 8 more bytes, 64 time passes and the CPUs run afterwards, 128 addresses or mode that are wrong
 *   repetitions: 7 how many (of 8) of a list, 3 from which on, 5 and 6 words of a variable header; of a plain call, they are XORed
 *   into the last word of its input, which a record may be too short for
 * Sources of memory are the number of a unit, and pages into it from bit 32 on; with bit 63 a frame as it is.
 * Two child partitions exist at first. A refused call changes nothing, the invariants of partitions hold after each, and when
 * all is deleted all memory is back.
 */
#include <string.h>

#include "fuzz/oracle.h"
#include "fuzz/script.h"
#include "hv/arch/fake/fake.h"
#include "hv/arch/fake/fake_page.h"
#include "hv/core/arch.h"
#include "hv/core/heap.h"
#include "hv/core/hypercall.h"
#include "hv/core/pfn.h"
#include "hv/core/report_key.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

FUZZ_QUIET_BEGIN

#define CALLS 64
#define EATEN 512
#define ASK 0xfe /* in the place of a call: whose a frame is */
#define EAT 0xff /* in the place of a call: repetitions - 1 frames are left; 0: all */
#define ROUNDS 1000
#define AS_IT_IS (1ull << 63)
#define RD_CODES 0x8e00 /* the project's own calls */
#define STATUS(rax) ((rax)&0xffff)
#define LARGE (HV_MAP_READ | HV_MAP_WRITE | HV_MAP_EXECUTE | HV_MAP_LARGE)

enum form { FORM_SIMPLE = 0, FORM_REP = 1, FORM_VAR = 2, FORM_REPVAR = 3 };

static const struct {
	uint16_t code;
	enum form form;
	size_t in, out, element_in, element_out;
	enum { CALLERS_ROOT, CALLERS_CHILD, CALLERS_ANY } callers;
} rows[] = {
#define HYPERCALL(code, Name, handler, form, insize, outsize, elin, elout, callers, spec) \
	{ code, FORM_##form, insize, outsize, elin, elout, CALLERS_##callers },
#include "hv/abi/hypercalls.def"
#undef HYPERCALL
};

static uint64_t child[2]; /* numbers */
static uint8_t port_made[RD_PORT_MAX];
static uint8_t before[2 * PAGE_SIZE] __attribute__((aligned(64))); /* a caller's pages */
static uint64_t before_lines[2];

static struct vp *root(void)
{
	return partition_root->vp[0];
}

static void run_cpus(void)
{
	for (uint32_t i = 0; i < cpu_count; i++) {
		fake_queue(NULL, 0);
		(void)fake_run(i);
	}
	fake_select(0);
	fake_check_partitions(false);
}

/* A call of the harness itself. */
static uint64_t own(uint64_t control, const void *in, size_t n, void *out, size_t m)
{
	uint64_t rax = FAKE_AGAIN;

	for (unsigned i = 0; i < ROUNDS && rax == FAKE_AGAIN; i++) {
		rax = fake_hypercall(root(), control, in, n, out, m);
		/* The CPUs have to give up the VPs, once; cleaning goes on without them. */
		if (rax == FAKE_AGAIN && (i < 2 || i % 64 == 0)) {
			run_cpus();
		}
	}
	CHECK_FUZZ(rax != FAKE_AGAIN);
	return rax;
}

static uint64_t make(uint32_t vps, uint32_t unit)
{
	const struct hv_create_partition q = { 0 };
	struct {
		struct hv_map_gpa_pages q;
		uint64_t source;
	} map = { { 0, 0, LARGE, 0 }, pfn_address(unit).v >> PAGE_SHIFT };
	struct partition *p;
	uint64_t id = 0;

	CHECK_FUZZ(own(0x40, &q, sizeof(q), &id, 8) == HV_SUCCESS);
	map.q.partition = id;
	CHECK_FUZZ(own(0x4b | 1ull << 32, &map, sizeof(map), NULL, 0) == 1ull << 32);
	p = partition_find(id);
	for (uint32_t i = 0; i < vps; i++) {
		const struct hv_create_vp vp = { .partition = id, .vp = i };

		CHECK_FUZZ(own(0x4e, &vp, sizeof(vp), NULL, 0) == HV_SUCCESS);
		p->vp[i]->arch->mode = 64;
	}
	for (uint64_t at = PFN_UNIT / 4; at <= PFN_UNIT; at += PFN_UNIT / 4) {
		fake_taint(p, at - PAGE_SIZE);
	}
	CHECK_FUZZ(own(0x41, &id, 8, NULL, 0) == HV_SUCCESS);
	return id;
}

static void delete_all(void)
{
	struct partition *p;

	while ((p = partition_next(0)) != NULL) {
		uint64_t id = p->id;

		CHECK_FUZZ(own(0x42, &id, 8, NULL, 0) == HV_SUCCESS);
		CHECK_FUZZ(own(0x43, &id, 8, NULL, 0) == HV_SUCCESS);
	}
	for (uint32_t i = 0; i < RD_PORT_MAX; i++) {
		const struct hv_delete_port q = { HV_SELF, i, 0 };

		if (port_made[i] != 0) { /* may have gone with its child */
			(void)own(0x58, &q, sizeof(q), NULL, 0);
			port_made[i] = 0;
		}
	}
}

/* Numbers that the fuzzer cannot know. */
static void improve(uint16_t code, unsigned flags, uint8_t *in, size_t n)
{
	uint64_t id = child[flags >> 1 & 1];
	const struct partition *p;
	bool port = code == 0x95 || code == 0x96;

	if ((flags & 1) == 0 || n < 8) {
		return;
	}
	if ((flags & 24) == 8) { /* the newest */
		while ((p = partition_next(id + 1)) != NULL) {
			id = p->id;
		}
	}
	if (!port) {
		memcpy(in, &id, 8);
	} else if (code == 0x96) {
		memcpy(in, &id, 8);
	} else if (n >= sizeof(struct hv_create_port)) {
		struct hv_create_port q;

		memcpy(&q, in, sizeof(q));
		q.port_partition = HV_SELF;
		q.connection_partition = id;
		q.sint = RD_ROOT_SINT;
		q.vp = (q.vp & 3) == 0 ? 0 : HV_ANY_VP;
		q.flag_count = 1;
		memcpy(in, &q, sizeof(q));
	}
	for (size_t at = 24; code == 0x4b && at + 8 <= n; at += 8) {
		uint64_t source;

		memcpy(&source, in + at, 8);
		source = (source & AS_IT_IS) != 0
				 ? source & ~AS_IT_IS
				 : (pfn_address((uint32_t)(source % pfn_units())).v >> PAGE_SHIFT) +
					   (source >> 32 & 511);
		memcpy(in + at, &source, 8);
	}
}

/* Memory that a child got is zero; from now on it has something in it that nobody else may see. */
static void judge_map(uint32_t start, uint32_t done, const uint8_t *in)
{
	struct hv_map_gpa_pages q;
	struct partition *p;

	memcpy(&q, in, sizeof(q));
	p = partition_find(q.partition);
	for (uint32_t i = start; p != NULL && i < done; i++) {
		uint64_t at = (q.base << PAGE_SHIFT) + i * PFN_UNIT;

		CHECK_FUZZ(fake_zero(p, at, PFN_UNIT));
		fake_taint(p, at + (i + 1) * 5 * PAGE_SIZE);
		fake_taint(p, at + PFN_UNIT - PAGE_SIZE);
	}
}

static void judge(struct vp *vp, uint64_t control, uint64_t rax, const uint8_t *in, size_t n)
{
	uint32_t start = control >> 48 & 0xfff, done = (uint32_t)(rax >> 32);

	CHECK_FUZZ(STATUS(rax) <= HV_NO_RESOURCES && rax >> 44 == 0);
	CHECK_FUZZ(done <= (control >> 32 & 0xfff));
	if (STATUS(rax) != HV_SUCCESS && STATUS(rax) != HV_INSUFFICIENT_MEMORY && done <= start) {
		CHECK_FUZZ(fake_unchanged(vp));
	}
	/* A list that goes on without going on would keep its caller for ever. */
	CHECK_FUZZ(STATUS(rax) != HV_SUCCESS || (control >> 32 & 0xfff) == 0 || done > start);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		if (rows[i].code == (uint16_t)control && STATUS(rax) == HV_SUCCESS) {
			CHECK_FUZZ(rows[i].callers == CALLERS_ANY ||
				   (rows[i].callers == CALLERS_ROOT) == vp->partition->root);
		}
	}
	if ((uint16_t)control == 0x4b && n != 0 && done > start && (control >> 16 & 1) == 0) {
		judge_map(start, done, in);
	}
	if ((uint16_t)control == 0x95 && STATUS(rax) == HV_SUCCESS && n >= 12) {
		uint32_t port;

		memcpy(&port, in + 8, 4);
		CHECK_FUZZ(port < RD_PORT_MAX);
		port_made[port] = 1;
	}
}

/* What the parent records of a call of a child that is done: its registers, and no more than what it copied in. */
static void judge_trace(struct vp *vp, uint64_t control, const uint8_t *in)
{
	struct hv_message *m = (struct hv_message *)(void *)fake_ram(vp->intercept_page.v);
	const uint64_t fast[2] = { vp->regs[REG_RDX], vp->regs[REG_R8] };
	struct hv_traced_intercept t;
	size_t n = 0, most = sizeof(t.input);

	if (vp->partition->traced == 0) {
		return;
	}
	CHECK_FUZZ((vp->suspended & VP_SUSPEND_INTERCEPT) != 0);
	vp->suspended &= ~VP_SUSPEND_INTERCEPT;
	vp->partition->intercepts--;
	if (vp->intercept_page.v == 0) {
		return;
	}
	memcpy(&t, m->payload, sizeof(t));
	CHECK_FUZZ(m->type == HV_MESSAGE_HYPERCALL && t.rax == vp->regs[REG_RAX]);
	CHECK_FUZZ(t.rcx == control && t.rdx == fast[0] && t.r8 == fast[1]);
	CHECK_FUZZ(t.header.rip == vp->rip);
	if ((control >> 16 & 1) != 0) {
		in = (const uint8_t *)fast;
		most = sizeof(fast);
	}
	while (in != NULL && n < most && t.input[n] == in[n]) {
		n++;
	}
	for (; in != NULL && n < sizeof(t.input); n++) {
		CHECK_FUZZ(t.input[n] == 0);
	}
	m->type = HV_MESSAGE_NONE;
}

static struct vp *caller_of(unsigned flags)
{
	struct partition *p = (flags & 16) == 0 ? NULL : partition_find(child[flags >> 3 & 1]);

	if (p == NULL || p->state == RD_PARTITION_DYING || p->vp[0] == NULL) {
		return root();
	}
	return p->vp[0];
}

/* The caller is not at CPL 0 in 64-bit mode: no call at all. */
static void wrong_mode(struct vp *vp, unsigned flags, uint64_t control)
{
	const struct exit_info e = { .kind = EXIT_HYPERCALL, .length = 3 };

	vp->arch->cpl = (flags & 64) != 0 ? 3 : 0;
	vp->arch->mode = (flags & 64) != 0 ? 64 : 32;
	vp->regs[REG_RCX] = control;
	CHECK_FUZZ(fake_exit(vp, &e) == FAKE_RETURNED);
	CHECK_FUZZ(vp->arch->pending.kind == FAKE_EXCEPTION && vp->arch->pending.vector == 6);
	CHECK_FUZZ(fake_unchanged(vp));
	vp->arch->cpl = 0;
	vp->arch->mode = 64;
}

/* Parameters in two pages, or at an odd address, are refused as such (TLFS 3.5): in the next page is what is anybody's. */
static void judge_place(const struct vp *vp, uint64_t control, uint64_t rax)
{
	size_t count = control >> 32 & 0xfff, var = control >> 17 & 0x3ff, n[2] = { 0 };
	const uint64_t at[2] = { vp->regs[REG_RDX], vp->regs[REG_R8] };

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		if (rows[i].code == (uint16_t)control) {
			n[0] = rows[i].in + var * 8 + count * rows[i].element_in;
			n[1] = rows[i].out + count * rows[i].element_out;
		}
	}
	for (unsigned i = 0; i < 2; i++) {
		bool placed = (at[i] & 7) == 0 && (at[i] & (PAGE_SIZE - 1)) + n[i] <= PAGE_SIZE;

		CHECK_FUZZ(n[i] == 0 || placed || STATUS(rax) == HV_INVALID_ALIGNMENT ||
			   STATUS(rax) == HV_INVALID_HYPERCALL_INPUT);
	}
}

/* Addresses of the fuzzer's choice, which are mostly bad ones. */
static void wrong_address(struct script *s, struct vp *vp, uint64_t control)
{
	const struct exit_info e = { .kind = EXIT_HYPERCALL, .length = 3 };
	uint64_t rip = vp->rip;

	vp->regs[REG_RCX] = control & ~(1ull << 16);
	vp->regs[REG_RDX] = script_take(s, 8);
	vp->regs[REG_R8] = script_take(s, 8);
	CHECK_FUZZ(fake_exit(vp, &e) == FAKE_RETURNED && vp->arch->pending.kind == FAKE_NONE);
	if (vp->rip != rip) {
		judge_place(vp, vp->regs[REG_RCX], vp->regs[REG_RAX]);
		judge_trace(vp, vp->regs[REG_RCX], NULL);
		judge(vp, vp->regs[REG_RCX], vp->regs[REG_RAX], NULL, 0);
	}
}

/* A byte that means the same when rows are added. */
static unsigned row_of(unsigned key)
{
	for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
		if ((rows[i].code >= RD_CODES ? (rows[i].code & 0xff) + 0x60u : rows[i].code) ==
		    key) {
			return i;
		}
	}
	return key % ARRAY_SIZE(rows);
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

/* Behind the answer nothing was written. */
static bool output_same(const uint8_t *page, size_t out)
{
	uint8_t *was = before + PAGE_SIZE;

	for (size_t line = 0; line * PAGE_LINE < out; line++) {
		if ((before_lines[1] >> line & 1) == 0) {
			memset(was + line * PAGE_LINE, 0, PAGE_LINE);
			before_lines[1] |= 1ull << line;
		}
	}
	memcpy(was, page, out);
	return page_same(was, before_lines[1], page, PAGE_LINES);
}

/* Frames of the pool, of no pool, and owners of any number. No unit is had twice, nor at an address that no table could name. */
static void ask(struct script *s, unsigned slot)
{
	uint64_t frame = script_take(s, 2);
	hpa_t at = hpa((frame & 0x8000) != 0 ? frame << PAGE_SHIFT
					     : FAKE_POOL_BASE + frame * (PFN_UNIT / 16));
	uint32_t unit = pfn_unit(at);
	bool owned = unit != PFN_NONE && pfn_state(unit) == PFN_OWNED;

	CHECK_FUZZ(pfn_is_of(at, slot) == (owned && pfn_slot(unit) == slot));
	CHECK_FUZZ((unit != PFN_NONE) == (at.v - FAKE_POOL_BASE < FAKE_POOL_SIZE));
	if (unit != PFN_NONE && pfn_state(unit) != PFN_CLEAN) {
		CHECK_FUZZ(!pfn_claim(unit, slot, gpa(0)));
	} else if (unit != PFN_NONE) {
		CHECK_FUZZ(!pfn_claim(unit, slot, gpa(1ull << 53)));
	}
}

static void call(struct script *s)
{
	unsigned flags = (unsigned)script_take(s, 1), row = (unsigned)script_take(s, 1);
	unsigned reps = (unsigned)script_take(s, 1);
	size_t out;
	struct vp *vp = caller_of(flags);
	uint64_t control, rax;
	uint8_t in[512] = { 0 }, *page;
	uint64_t at;

	if (row == EAT) {
		eat(reps);
		return;
	}
	if (row == ASK) {
		ask(s, reps);
		return;
	}
	row = row_of(row);
	control = rows[row].code;
	if ((rows[row].form & FORM_REP) != 0) {
		control |= (uint64_t)(1 + (reps & 7)) << 32 | (uint64_t)(reps >> 3 & 3) << 48;
	}
	if ((rows[row].form & FORM_VAR) != 0) {
		control |= (uint64_t)(reps >> 5 & 3) << 17;
	}
	control |= (flags & 4) != 0 ? 1ull << 16 : 0;
	control ^= (flags & 32) != 0 ? script_take(s, 8) : 0;
	for (size_t i = 0; (flags & 128) == 0 && i < sizeof(in) && script_more(s); i++) {
		in[i] = oracle_tame((uint8_t)script_take(s, 1));
	}
	if (rows[row].form == FORM_SIMPLE && rows[row].in >= 4) {
		in[rows[row].in - 4] ^= (uint8_t)reps;
	}
	improve((uint16_t)control, flags, in, sizeof(in));
	vp->arch->mode = 64; /* its parent may have set other registers */
	vp->arch->cpl = 0;
	at = vp->partition->root ? FAKE_CALL_PAGE : FAKE_CHILD_CALL_PAGE;
	page = fake_guest_page(vp->partition, at);
	(void)fake_guest_page(vp->partition, at + PAGE_SIZE); /* read and written behind it */
	fake_remember();
	if ((flags & 128) != 0) {
		if ((reps & 128) != 0) {
			wrong_mode(vp, flags, control);
		} else {
			wrong_address(s, vp, control);
		}
	} else {
		if (page != NULL) {
			memcpy(page, in, sizeof(in));
			before_lines[0] = page_copy(before, page, PAGE_LINES);
			before_lines[1] =
				page_copy(before + PAGE_SIZE, page + PAGE_SIZE, PAGE_LINES);
		}
		rax = fake_hypercall(vp, control, in, sizeof(in), NULL, 0);
		CHECK_FUZZ(vp->arch->pending.kind == FAKE_NONE);
		if (rax != FAKE_AGAIN) {
			judge_trace(vp, control, in);
			judge(vp, control, rax, in, sizeof(in));
		}
		out = rows[row].out + (reps & 7) * rows[row].element_out + rows[row].element_out;
		/* Of a list that is refused in its middle, what was done is there. */
		if (rax == FAKE_AGAIN || (STATUS(rax) != HV_SUCCESS && rax >> 32 == 0)) {
			out = 0;
		}
		if (page != NULL && (flags & 32) == 0 && rows[row].code != 0x4c) {
			if (rows[row].code < RD_CODES + 0x10) { /* the others are random */
				oracle_clean(page + PAGE_SIZE, out);
			}
			CHECK_FUZZ(page_same(before, before_lines[0], page, PAGE_LINES));
			CHECK_FUZZ(output_same(page + PAGE_SIZE, out));
		}
	}
	fake_check_partitions(false);
	if ((flags & 64) != 0) {
		fake.tsc += FAKE_TSC_HZ * 3 / 2;
		run_cpus();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct script s = { data, size, 0 }, record;
	uint64_t heap;

	if (partition_root == NULL) {
		fake_boot(&(struct fake_config){ .cpus = 2, .heap_bytes = 1ull << 20 });
		CHECK_FUZZ(report_key_make(NULL, 0) == ATTEST_OK);
	}
	fake.tsc &= (1ull << 60) - 1;
	heap = heap_available();
	child[0] = make(2, 0);
	child[1] = make(1, 1);
	for (unsigned i = 0; i < CALLS && script_action(&s, &record); i++) {
		call(&record);
	}
	eat(0);
	delete_all();
	fake_check_partitions(true);
	CHECK_FUZZ(heap_available() == heap);
	return 0;
}

FUZZ_QUIET_END
