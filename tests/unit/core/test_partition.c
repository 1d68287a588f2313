// SPDX-License-Identifier: MIT
/* Life of child partitions, through hypercalls of the root; the invariants are looked at after each. */
#include "tests/unit/core/core_child.h"

#define LARGE (HV_MAP_READ | HV_MAP_WRITE | HV_MAP_EXECUTE | HV_MAP_LARGE)
#define CREATE 0x40
#define INITIALIZE 0x41
#define FINALIZE 0x42
#define DELETE 0x43
#define GET_PROPERTY 0x44
#define SET_PROPERTY 0x45
#define MAP REP(0x4b, 1)
#define UNMAP REP(0x4c, 1)
#define INTERCEPT 0x4d
#define CREATE_VP 0x4e
#define INFO 0x8e03
#define NOBODY 0xdeadull

struct map {
	struct hv_map_gpa_pages q;
	uint64_t source[2];
};

static struct map map_of(uint64_t id, uint64_t base, uint32_t unit)
{
	return (struct map){ { id, base, LARGE, 0 }, { pfn_address(unit).v >> PAGE_SHIFT, 0 } };
}

static uint64_t state_of(uint64_t id)
{
	const struct hv_get_property q = { id, HV_PROPERTY_STATE, 0 };
	uint64_t v = 0;

	assert_int_equal(root_call(GET_PROPERTY, &q, sizeof(q), &v, 8), HV_SUCCESS);
	return v;
}

static void test_life(void **state)
{
	uint64_t id = child_create(), other;
	struct partition *p = child_find(id);
	uint32_t units[2] = { 6, 2 };

	(void)state;
	assert_int_equal(state_of(id), RD_PARTITION_CREATED);
	assert_int_equal(child_map(id, 0x800, units, 2), 2ull << 32);
	assert_true(fake_guest(p, 0x800000) == fake_ram(pfn_address(6).v));
	assert_true(fake_guest(p, 0xa00000) == fake_ram(pfn_address(2).v));
	assert_null(fake_guest(p, 0x7fffff));
	assert_null(fake_guest(p, 0xc00000));
	assert_true(state_of(id) == (RD_PARTITION_CREATED | 2 * UNIT_PAGES << 32));
	assert_int_equal(child_simple(INITIALIZE, id), HV_SUCCESS);
	assert_int_equal(STATUS(state_of(id)), RD_PARTITION_ACTIVE);
	root_refused(HV_INVALID_PARTITION_STATE, INITIALIZE, &id, 8);
	root_refused(HV_INVALID_PARTITION_STATE, DELETE, &id, 8); /* not while it may run */
	assert_int_equal(child_simple(FINALIZE, id), HV_SUCCESS);
	assert_int_equal(STATUS(state_of(id)), RD_PARTITION_DYING);
	root_refused(HV_INVALID_PARTITION_STATE, INITIALIZE, &id, 8);
	assert_int_equal(child_simple(FINALIZE, id), HV_SUCCESS); /* again: it is so already */
	assert_int_equal(child_simple(DELETE, id), HV_SUCCESS);
	for (uint64_t code = INITIALIZE; code <= DELETE; code++) {
		root_refused(HV_INVALID_PARTITION_ID, code, &id, 8);
	}
	other = child_create();
	assert_true(other > id); /* a number is never used twice */
}

static void test_ids(void **state)
{
	static const uint64_t bad[] = { 0, PARTITION_ID_ROOT, NOBODY, HV_SELF, 1ull << 63 };
	uint32_t unit = free_unit();

	(void)state;
	child_create();
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		const struct hv_get_property get = { bad[i], HV_PROPERTY_STATE, 0 };
		const struct hv_set_property set = { bad[i], HV_PROPERTY_WEIGHT, 0, 100 };
		const struct hv_unmap_gpa_pages unmap = { bad[i], 0, HV_MAP_LARGE, 0 };
		const struct hv_install_intercept install = { bad[i], 3, HV_INTERCEPT_IO_PORT_RANGE,
							      0x3ff03f8 };
		const struct hv_create_vp vp = { .partition = bad[i] };
		const struct hv_assert_interrupt assert = { .partition = bad[i], .vector = 0x40 };
		const struct hv_map_state_page page = { .partition = bad[i],
							.type = HV_STATE_PAGE_INTERCEPT,
							.pfn = 0x700 };
		const struct {
			struct hv_vp_registers q;
			struct hv_register_assoc a;
		} regs = { { .partition = bad[i] }, { .name = HV_REG_RAX } };
		struct map map = map_of(bad[i], 0, unit);

		for (uint64_t code = INITIALIZE; code <= DELETE; code++) {
			root_refused(HV_INVALID_PARTITION_ID, code, &bad[i], 8);
		}
		root_refused(HV_INVALID_PARTITION_ID, GET_PROPERTY, &get, sizeof(get));
		root_refused(HV_INVALID_PARTITION_ID, SET_PROPERTY, &set, sizeof(set));
		root_refused(HV_INVALID_PARTITION_ID, MAP, &map, sizeof(map));
		root_refused(HV_INVALID_PARTITION_ID, UNMAP, &unmap, sizeof(unmap));
		root_refused(HV_INVALID_PARTITION_ID, INTERCEPT, &install, sizeof(install));
		root_refused(HV_INVALID_PARTITION_ID, CREATE_VP, &vp, sizeof(vp));
		root_refused(HV_INVALID_PARTITION_ID, 0x94, &assert, sizeof(assert));
		root_refused(HV_INVALID_PARTITION_ID, 0xe1, &page, sizeof(page));
		root_refused(HV_INVALID_PARTITION_ID, REP(0x50, 1), &regs, sizeof(regs));
		root_refused(HV_INVALID_PARTITION_ID, REP(0x51, 1), &regs, sizeof(regs));
	}
}

static void test_create_refused(void **state)
{
	struct hv_create_partition q;

	(void)state;
	for (unsigned i = 0; i < 6; i++) {
		memset(&q, 0, sizeof(q));
		q.flags = i == 0;
		q.pad = i == 1;
		q.isolation = i == 2;
		q.disabled_features[0] = i == 3;
		q.disabled_features[1] = i == 4;
		q.disabled_xsave = i == 5;
		root_refused(HV_INVALID_PARAMETER, CREATE, &q, sizeof(q));
	}
}

/* Neither slots nor memory are for ever, and both come back. */
static void test_many(void **state)
{
	const struct hv_create_partition q = { 0 };
	unsigned n = 0;
	uint64_t id;

	(void)state;
	for (n = 1; n < PARTITION_SLOTS; n++) {
		id = child_create();
	}
	root_refused(HV_INSUFFICIENT_MEMORY, CREATE, &q, sizeof(q));
	child_delete(id);
	assert_true(child_create() > id);
	root_refused(HV_INSUFFICIENT_MEMORY, CREATE, &q, sizeof(q));
}

static void test_map_refused(void **state)
{
	uint64_t id = child_create(), other = child_create();
	uint32_t taken = free_unit(), unit;
	struct map m;

	(void)state;
	assert_int_equal(STATUS(child_map(id, 0, &taken, 1)), HV_SUCCESS);
	unit = free_unit();
	for (unsigned bit = 0; bit < 32; bit++) { /* the only access there is */
		m = map_of(id, UNIT_PAGES, unit);
		m.q.flags ^= 1u << bit;
		root_refused(HV_INVALID_PARAMETER, MAP, &m, sizeof(m));
	}
	m = map_of(id, UNIT_PAGES, unit);
	m.q.pad = 1;
	root_refused(HV_INVALID_PARAMETER, MAP, &m, sizeof(m));
	for (unsigned bit = 0; bit < 9; bit++) { /* units only */
		m = map_of(id, UNIT_PAGES + (1u << bit), unit);
		root_refused(HV_INVALID_PARAMETER, MAP, &m, sizeof(m));
		m = map_of(id, UNIT_PAGES, unit);
		m.source[0] += 1u << bit;
		root_refused(HV_INVALID_PARAMETER, MAP, &m, sizeof(m));
	}
	{
		static const uint64_t base[] = { GPA_LIMIT >> PAGE_SHIFT, 1ull << 51, 1ull << 52,
						 1ull << 63, UINT64_MAX << 9 };
		static const uint64_t source[] = {
			0,
			FAKE_CALL_PAGE >> PAGE_SHIFT,
			FAKE_REGION_BASE >> PAGE_SHIFT,
			(FAKE_POOL_BASE + FAKE_POOL_SIZE) >> PAGE_SHIFT,
			(FAKE_POOL_BASE >> PAGE_SHIFT) - UNIT_PAGES,
			GPA_LIMIT >> PAGE_SHIFT,
			(1ull << 52) + (FAKE_POOL_BASE >> PAGE_SHIFT), /* the shift would lose it */
			UINT64_MAX,
		};

		for (size_t i = 0; i < ARRAY_SIZE(base); i++) {
			m = map_of(id, base[i], unit);
			root_refused(HV_INVALID_PARAMETER, MAP, &m, sizeof(m));
		}
		for (size_t i = 0; i < ARRAY_SIZE(source); i++) {
			m = map_of(id, UNIT_PAGES, unit);
			m.source[0] = source[i];
			root_refused(HV_INVALID_PARAMETER, MAP, &m, sizeof(m));
		}
	}
	m = map_of(id, 0, unit); /* the address is in use */
	root_refused(HV_OBJECT_IN_USE, MAP, &m, sizeof(m));
	m = map_of(id, UNIT_PAGES, taken); /* the unit is: its own, and another's */
	root_refused(HV_OBJECT_IN_USE, MAP, &m, sizeof(m));
	m = map_of(other, 0, taken);
	root_refused(HV_OBJECT_IN_USE, MAP, &m, sizeof(m));
	/* The last unit that a table reaches, and the second element beyond it. */
	m = map_of(id, (GPA_LIMIT - PFN_UNIT) >> PAGE_SHIFT, unit);
	assert_int_equal(root_call(REP(0x4b, 2), &m, sizeof(m), NULL, 0), 1ull << 32);
	m.source[1] = pfn_address(free_unit()).v >> PAGE_SHIFT;
	root_refused(HV_INVALID_PARAMETER, REP(0x4b, 2) | 1ull << 48, &m, sizeof(m));
}

static void test_unmap(void **state)
{
	uint64_t id = child_create(), other = child_create();
	uint32_t unit = free_unit(), u;
	struct hv_unmap_gpa_pages q = { id, UNIT_PAGES, HV_MAP_LARGE, 0 };

	(void)state;
	assert_int_equal(STATUS(child_map(id, UNIT_PAGES, &unit, 1)), HV_SUCCESS);
	u = unit;
	memset(fake_ram(pfn_address(u).v), 0x42, PFN_UNIT);
	for (unsigned bit = 0; bit < 32; bit++) {
		q.flags = HV_MAP_LARGE ^ 1u << bit;
		root_refused(HV_INVALID_PARAMETER, UNMAP, &q, sizeof(q));
	}
	q.flags = HV_MAP_LARGE;
	q.pad = 1;
	root_refused(HV_INVALID_PARAMETER, UNMAP, &q, sizeof(q));
	q.pad = 0;
	for (unsigned bit = 0; bit < 9; bit++) {
		q.base = UNIT_PAGES + (1u << bit);
		root_refused(HV_INVALID_PARAMETER, UNMAP, &q, sizeof(q));
	}
	q.base = 0; /* nothing there */
	root_refused(HV_INVALID_PARAMETER, UNMAP, &q, sizeof(q));
	q.base = 1ull << 63;
	root_refused(HV_INVALID_PARAMETER, UNMAP, &q, sizeof(q));
	q.base = UNIT_PAGES;
	q.partition = other; /* another's address space */
	root_refused(HV_INVALID_PARAMETER, UNMAP, &q, sizeof(q));
	/* Every CPU that may have it cached has dropped it before the memory is zeroed and free. */
	cpu_table[2].in_guest = 1;
	cpu_table[2].tlb_seen = 0;
	u = fake.kicks[2];
	assert_int_equal(child_unmap(id, UNIT_PAGES, 1), 1ull << 32);
	assert_int_equal(fake.kicks[2], u + 1);
	assert_int_equal(cpu_table[2].in_guest, 0);
	assert_int_equal(pfn_state(unit), PFN_CLEAN);
	fake_check_partitions(true);
	assert_int_equal(STATUS(child_unmap(id, UNIT_PAGES, 1)), HV_INVALID_PARAMETER);
	assert_int_equal(STATUS(child_map(other, 0, &unit, 1)), HV_SUCCESS);
}

static void exhaust(uint64_t leave, void *list[], unsigned *n, unsigned max)
{
	*n = 0;
	while (heap_available() > leave * PAGE_SIZE) {
		list[*n] = heap_alloc(1);
		assert_non_null(list[*n]);
		assert_true(++*n < max);
	}
}

/*
 * Memory ends between the child's table and the root's, which has to split a large leaf here. What the child saw for a moment is taken
 * away as every mapping is: the CPUs drop it, or a child that runs keeps a way into memory that will be somebody else's.
 */
static void test_map_without_memory(void **state)
{
	static void *list[4096];
	struct npt real = partition_root->npt;
	unsigned failed = 0;

	(void)state;
	for (unsigned leave = 0; leave < 3; leave++) {
		uint64_t id = child_create(), tables;
		struct partition *p = child_find(id);
		uint32_t unit = free_unit(), kicks, n;
		struct map m = map_of(id, 0, unit);
		hpa_t h;

		assert_true(npt_create(&partition_root->npt));
		assert_true(npt_map(&partition_root->npt, gpa(0), hpa(0), PAGE_SIZE_1G, NPT_RWX));
		exhaust(leave, list, &n, ARRAY_SIZE(list));
		cpu_table[3].in_guest = 1;
		cpu_table[3].tlb_seen = 0;
		kicks = fake.kicks[3];
		tables = p->npt.tables;
		assert_int_equal(fake_hypercall(root_vp(0), MAP, &m, sizeof(m), NULL, 0),
				 HV_INSUFFICIENT_MEMORY);
		kicks = fake.kicks[3] - kicks;
		cpu_table[3].in_guest = 0;
		tables = p->npt.tables - tables;
		npt_free(&partition_root->npt);
		partition_root->npt = real;
		assert_int_equal(tables, leave);
		assert_false(npt_lookup(&p->npt, gpa(0), &h, NULL, NULL));
		if (tables == 2 && kicks == 0) { /* the child's leaf was there */
			failed++;
		}
		while (n > 0) {
			heap_free(list[--n], 1);
		}
		fake_check_partitions(true);
		child_delete(id);
	}
	assert_int_equal(failed, 0);
}

static void test_create_without_memory(void **state)
{
	static void *list[4096];
	const struct hv_create_partition q = { 0 };
	unsigned n;
	uint64_t id = child_create(), rax = 0;

	(void)state;
	for (unsigned leave = 0; leave < 2; leave++) {
		exhaust(leave, list, &n, ARRAY_SIZE(list));
		root_refused(HV_INSUFFICIENT_MEMORY, CREATE, &q, sizeof(q));
		while (n > 0) {
			heap_free(list[--n], 1);
		}
	}
	for (unsigned leave = 0; leave < 16 && rax != HV_SUCCESS + 1; leave++) {
		const struct hv_create_vp vp = { .partition = id };
		uint64_t have;

		exhaust(leave, list, &n, ARRAY_SIZE(list));
		have = heap_available();
		rax = root_call(CREATE_VP, &vp, sizeof(vp), NULL, 0);
		if (rax == HV_SUCCESS) {
			rax++;
		} else {
			assert_int_equal(rax, HV_INSUFFICIENT_MEMORY);
			assert_int_equal(heap_available(), have); /* nothing is half made */
			assert_int_equal(child_find(id)->vp_count, 0);
		}
		while (n > 0) {
			heap_free(list[--n], 1);
		}
	}
	assert_int_equal(rax, HV_SUCCESS + 1);
}

static void test_vps(void **state)
{
	uint64_t id = child_create();
	struct hv_create_vp q = { .partition = id };
	uint32_t on[4] = { 0 };

	(void)state;
	q.vp = 1; /* in order */
	root_refused(HV_INVALID_VP_INDEX, CREATE_VP, &q, sizeof(q));
	q.vp = 0;
	for (unsigned i = 0; i < 3; i++) {
		q.pad[i] = 1;
		root_refused(HV_INVALID_PARAMETER, CREATE_VP, &q, sizeof(q));
		q.pad[i] = 0;
	}
	q.flags = 1;
	root_refused(HV_INVALID_PARAMETER, CREATE_VP, &q, sizeof(q));
	q.flags = 0;
	for (uint32_t i = 0; i < HV_VP_MAX; i++) {
		assert_int_equal(child_vp(id, i), HV_SUCCESS);
		on[child_find(id)->vp[i]->cpu]++;
		q.vp = i;
		root_refused(HV_OBJECT_IN_USE, CREATE_VP, &q, sizeof(q));
	}
	for (unsigned i = 0; i < 4; i++) { /* spread over the CPUs */
		assert_int_equal(on[i], HV_VP_MAX / 4);
	}
	q.vp = HV_VP_MAX;
	root_refused(HV_INVALID_VP_INDEX, CREATE_VP, &q, sizeof(q));
	q.vp = UINT32_MAX;
	root_refused(HV_INVALID_VP_INDEX, CREATE_VP, &q, sizeof(q));
	assert_int_equal(child_find(id)->vp[0]->suspended, VP_SUSPEND_EXPLICIT);
	assert_int_equal(child_find(id)->vp[1]->state, VP_WAIT_SIPI);
}

static void test_properties(void **state)
{
	uint64_t id = child_create(), v = 0;
	struct hv_get_property get = { id, HV_PROPERTY_WEIGHT, 0 };
	struct hv_set_property set = { id, HV_PROPERTY_WEIGHT, 0, 1000 };
	static const uint64_t bad[] = { 0, 1001, 1ull << 32, UINT64_MAX };

	(void)state;
	assert_int_equal(root_call(GET_PROPERTY, &get, sizeof(get), &v, 8), HV_SUCCESS);
	assert_int_equal(v, 100);
	assert_int_equal(root_call(SET_PROPERTY, &set, sizeof(set), NULL, 0), HV_SUCCESS);
	assert_int_equal(root_call(GET_PROPERTY, &get, sizeof(get), &v, 8), HV_SUCCESS);
	assert_int_equal(v, 1000);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		set.value = bad[i];
		root_refused(HV_INVALID_PARAMETER, SET_PROPERTY, &set, sizeof(set));
	}
	set.value = 1;
	set.reserved = 1;
	root_refused(HV_INVALID_PARAMETER, SET_PROPERTY, &set, sizeof(set));
	set.reserved = 0;
	set.code = HV_PROPERTY_STATE; /* is only read */
	root_refused(HV_INVALID_PARAMETER, SET_PROPERTY, &set, sizeof(set));
	get.code = 0x12345;
	root_refused(HV_INVALID_PARAMETER, GET_PROPERTY, &get, sizeof(get));
	get.code = HV_PROPERTY_STATE;
	get.reserved = 1;
	root_refused(HV_INVALID_PARAMETER, GET_PROPERTY, &get, sizeof(get));
	get.reserved = 0;
	get.code = HV_PROPERTY_REFERENCE_TIME;
	assert_int_equal(root_call(GET_PROPERTY, &get, sizeof(get), &v, 8), HV_SUCCESS);
	fake.tsc += FAKE_TSC_HZ;
	{
		uint64_t w = 0;

		assert_int_equal(root_call(GET_PROPERTY, &get, sizeof(get), &w, 8), HV_SUCCESS);
		assert_true(w - v >= 9999999 && w - v <= 10000001);
	}
}

static void test_info(void **state)
{
	struct partition *p = child_make(2, 3), *q = child_make(1, 1);
	struct rd_partition_info info;
	uint64_t at = 0;

	(void)state;
	p->denied_msr = 7;
	p->vp[1]->exits = 5;
	assert_int_equal(root_call(INFO, &at, 8, &info, sizeof(info)), HV_SUCCESS);
	assert_true(info.partition == p->id && info.state == RD_PARTITION_ACTIVE &&
		    info.vp_count == 2 && info.pages == 3 * UNIT_PAGES);
	assert_true(info.denied_msr == 7 && info.exits == 5);
	assert_true(info.vp[0].suspended == VP_SUSPEND_EXPLICIT && info.vp[1].cpu == p->vp[1]->cpu);
	for (unsigned i = 2; i < RD_VP_INFO; i++) {
		assert_true(info.vp[i].runtime_ns == 0 && info.vp[i].cpu == 0 &&
			    info.vp[i].suspended == 0);
	}
	at = p->id + 1;
	assert_int_equal(root_call(INFO, &at, 8, &info, sizeof(info)), HV_SUCCESS);
	assert_true(info.partition == q->id);
	at = q->id + 1;
	root_refused(HV_NOT_FOUND, INFO, &at, 8);
}

/* A partition that is going takes nothing new, at any step of its end. */
static void dying_refuses(uint64_t id)
{
	const struct hv_unmap_gpa_pages unmap = { id, 0, HV_MAP_LARGE, 0 };
	const struct hv_install_intercept install = { id, 3, HV_INTERCEPT_IO_PORT_RANGE,
						      0x3ff03f8 };
	const struct hv_create_vp vp = { .partition = id, .vp = 1 };
	const struct hv_assert_interrupt assert = { .partition = id, .vector = 0x40 };
	const struct hv_map_state_page page = { .partition = id,
						.type = HV_STATE_PAGE_INTERCEPT,
						.pfn = 0x700 };
	const struct {
		struct hv_vp_registers q;
		struct hv_register_assoc a;
	} regs = { { .partition = id }, { .name = HV_REG_EXPLICIT_SUSPEND } };
	struct map map = map_of(id, 0x4000, free_unit());

	root_refused(HV_INVALID_PARTITION_STATE, INITIALIZE, &id, 8);
	root_refused(HV_INVALID_PARTITION_STATE, MAP, &map, sizeof(map));
	root_refused(HV_INVALID_PARTITION_STATE, UNMAP, &unmap, sizeof(unmap));
	root_refused(HV_INVALID_PARTITION_STATE, INTERCEPT, &install, sizeof(install));
	root_refused(HV_INVALID_PARTITION_STATE, CREATE_VP, &vp, sizeof(vp));
	root_refused(HV_INVALID_PARTITION_STATE, 0x94, &assert, sizeof(assert));
	root_refused(HV_INVALID_PARTITION_STATE, 0xe1, &page, sizeof(page));
	root_refused(HV_INVALID_PARTITION_STATE, REP(0x50, 1), &regs, sizeof(regs));
	root_refused(HV_INVALID_PARTITION_STATE, REP(0x51, 1), &regs, sizeof(regs));
}

/* Nothing may be made for it that its end has passed already. */
static void dying_refuses_ports(uint64_t id)
{
	const struct hv_create_port port = { .port_partition = HV_SELF,
					     .port = 9,
					     .connection_partition = id,
					     .type = HV_PORT_MESSAGE,
					     .sint = RD_ROOT_SINT,
					     .vp = HV_ANY_VP,
					     .flag_count = 1 };

	root_refused(HV_INVALID_PARTITION_STATE, 0x95, &port, sizeof(port));
}

static void test_dying(void **state)
{
	struct partition *p = child_make(1, 2);
	uint64_t id = p->id;

	(void)state;
	p->vp[0]->suspended = VP_SUSPEND_EXPLICIT;
	assert_int_equal(fake_hypercall(root_vp(0), FINALIZE, &id, 8, NULL, 0), FAKE_AGAIN);
	dying_refuses(id);
	dying_refuses_ports(id);
	run_all_cpus();
	assert_int_equal(fake_hypercall(root_vp(0), FINALIZE, &id, 8, NULL, 0), HV_SUCCESS);
	dying_refuses(id);
	while (fake_hypercall(root_vp(0), DELETE, &id, 8, NULL, 0) == FAKE_AGAIN) {
		fake_check_partitions(true);
		dying_refuses(id);
		dying_refuses_ports(id);
	}
	assert_null(child_find(id));
}

/* --- the end, at any moment --- */

static bool guest_waits(struct vp *vp, struct fake_step *step)
{
	static unsigned n;

	(void)vp;
	step->tsc = 1000;
	return ++n % 3 != 0;
}

/* Other CPUs are in the child's guests when it goes. Not before they have left is anything taken, and they are made to leave. */
static void test_delete_running(void **state)
{
	uint64_t rax;

	(void)state;
	for (unsigned first = 0; first < 4; first++) {
		struct partition *p = child_make(HV_VP_MAX, 3);
		uint64_t id = p->id;
		uint32_t kicks[4];

		for (unsigned i = 0; i < 3; i++) {
			memset(fake_ram(pfn_address(i).v), 0x61 + (int)i, PFN_UNIT);
		}
		child_start(p);
		fake_play(guest_waits);
		for (uint32_t c = 1; c < 4; c++) {
			root_vp(c)->state = VP_HALTED;
			fake_run(c);
			assert_non_null(cpu_table[c].current);
			assert_ptr_equal(cpu_table[c].current->partition, p);
			cpu_table[c].in_guest = 1; /* it is in there now */
		}
		memcpy(kicks, fake.kicks, sizeof(kicks));
		rax = fake_hypercall(root_vp(0), FINALIZE, &id, 8, NULL, 0);
		assert_int_equal(rax, FAKE_AGAIN);
		for (uint32_t c = 1; c < 4; c++) {
			assert_true(fake.kicks[c] > kicks[c]);
		}
		fake_play(NULL);
		fake_queue(NULL, 0);
		for (unsigned i = 0; i < 4; i++) { /* in any order */
			assert_int_equal(fake_hypercall(root_vp(0), FINALIZE, &id, 8, NULL, 0),
					 FAKE_AGAIN);
			fake_run((first + i) % 4);
			fake_check_partitions(false);
			assert_null(i < 3 ? NULL : cpu_table[(first + i) % 4].arrivals);
		}
		for (uint32_t c = 0; c < 4; c++) {
			assert_true(cpu_table[c].current == NULL ||
				    cpu_table[c].current->partition == partition_root);
			assert_int_equal(cpu_table[c].children, 0);
		}
		assert_int_equal(child_simple(FINALIZE, id), HV_SUCCESS);
		assert_int_equal(child_simple(DELETE, id), HV_SUCCESS);
		for (uint32_t u = 0; u < pfn_units(); u++) {
			assert_true(pfn_state(u) == PFN_CLEAN || pfn_state(u) == PFN_DIRTY);
		}
		fake_check_partitions(true);
	}
}

/* Deleted without having been finalised: created only, with VPs that have not been looked at by their CPUs. */
static void test_delete_created(void **state)
{
	uint64_t id = child_create();
	uint32_t units[3] = { 0, 1, 2 };

	(void)state;
	assert_int_equal(STATUS(child_map(id, 0, units, 3)), HV_SUCCESS);
	for (uint32_t i = 0; i < HV_VP_MAX; i++) {
		assert_int_equal(child_vp(id, i), HV_SUCCESS);
	}
	assert_int_equal(child_simple(DELETE, id), HV_SUCCESS);
	assert_null(child_find(id));
	fake_check_partitions(true);
}

/* After each single step of a life, the end. */
static void test_delete_after_each_step(void **state)
{
	(void)state;
	for (unsigned steps = 0; steps < 8; steps++) {
		uint64_t id = child_create(), heap = heap_available();
		uint32_t unit = free_unit();

		if (steps > 0) {
			assert_int_equal(STATUS(child_map(id, 0, &unit, 1)), HV_SUCCESS);
		}
		if (steps > 1) {
			assert_int_equal(child_vp(id, 0), HV_SUCCESS);
		}
		if (steps > 2) {
			run_all_cpus();
		}
		if (steps > 3) {
			assert_int_equal(child_simple(INITIALIZE, id), HV_SUCCESS);
		}
		if (steps > 4) {
			assert_int_equal(child_set(id, 0, HV_REG_EXPLICIT_SUSPEND, 0), HV_SUCCESS);
		}
		if (steps > 5) {
			run_all_cpus();
		}
		if (steps > 6) { /* not under a VP that may be using it */
			assert_int_equal(STATUS(child_unmap(id, 0, 1)), HV_INVALID_VP_STATE);
		}
		assert_int_equal(child_simple(FINALIZE, id), HV_SUCCESS);
		assert_int_equal(child_simple(DELETE, id), HV_SUCCESS);
		fake_check_partitions(true);
		assert_true(heap_available() > heap);
	}
}

/* Two partitions live and die beside each other; the memory of one is never that of the other. */
static void test_two(void **state)
{
	struct partition *a = child_make(2, 2), *b = child_make(2, 2);
	uint64_t b_id = b->id;

	(void)state;
	child_start(a);
	child_start(b);
	memset(fake_guest(a, 0), 0xaa, PFN_UNIT);
	memset(fake_guest(b, 0), 0xbb, PFN_UNIT);
	run_all_cpus();
	child_delete(a->id);
	assert_int_equal(*fake_guest(b, 0x1234), 0xbb);
	assert_int_equal(cpu_table[0].children + cpu_table[1].children + cpu_table[2].children +
				 cpu_table[3].children,
			 2);
	a = child_make(1, 3);
	for (uint64_t at = 0; at < 3 * PFN_UNIT; at += PAGE_SIZE) {
		assert_int_equal(*fake_guest(a, at), 0);
		assert_true(fake_guest(a, at) != fake_guest(b, at));
	}
	child_delete(b_id);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, child_setup, child_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_life),
		TEST(test_ids),
		TEST(test_create_refused),
		TEST(test_many),
		TEST(test_map_refused),
		TEST(test_unmap),
		TEST(test_map_without_memory),
		TEST(test_create_without_memory),
		TEST(test_vps),
		TEST(test_properties),
		TEST(test_info),
		TEST(test_dying),
		TEST(test_delete_running),
		TEST(test_delete_created),
		TEST(test_delete_after_each_step),
		TEST(test_two),
	};

	return cmocka_run_group_tests(tests, boot_machine, NULL);
}
