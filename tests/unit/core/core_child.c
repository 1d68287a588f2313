// SPDX-License-Identifier: MIT
#include "tests/unit/core/core_child.h"

#define TRIES 1000

static uint64_t heap_before;

void run_all_cpus(void)
{
	fake_play(NULL);
	for (uint32_t i = 0; i < cpu_count; i++) {
		fake_queue(NULL, 0);
		fake_run(i);
	}
	fake_select(0);
}

uint64_t root_call(uint64_t control, const void *in, size_t in_size, void *out, size_t out_size)
{
	uint64_t rax;

	for (unsigned i = 0; i < TRIES; i++) {
		rax = fake_hypercall(root_vp(0), control, in, in_size, out, out_size);
		fake_check_partitions(false);
		if (rax != FAKE_AGAIN) {
			return rax;
		}
		run_all_cpus();
		fake_check_partitions(false);
	}
	fail_msg("the call %llx never ends", (unsigned long long)control);
	return FAKE_AGAIN;
}

void root_refused(unsigned status, uint64_t control, const void *in, size_t in_size)
{
	uint64_t rax;

	fake_remember();
	rax = fake_hypercall(root_vp(0), control, in, in_size, NULL, 0);
	if (STATUS(rax) != status || (rax >> 32 & 0xfff) != (control >> 48 & 0xfff)) {
		fail_msg("call %llx: %llx, not %u", (unsigned long long)control,
			 (unsigned long long)rax, status);
	}
	if (!fake_unchanged(root_vp(0))) {
		fail_msg("call %llx: refused, but something changed", (unsigned long long)control);
	}
	fake_check_partitions(false);
}

uint64_t child_create(void)
{
	const struct hv_create_partition in = { 0 };
	uint64_t id = 0;

	assert_int_equal(root_call(0x40, &in, sizeof(in), &id, sizeof(id)), HV_SUCCESS);
	assert_true(id > PARTITION_ID_ROOT);
	return id;
}

struct partition *child_find(uint64_t id)
{
	return partition_find(id);
}

unsigned child_simple(uint16_t code, uint64_t id)
{
	return STATUS(root_call(code, &id, sizeof(id), NULL, 0));
}

uint64_t child_map(uint64_t id, uint64_t base, const uint32_t *unit, uint32_t count)
{
	struct {
		struct hv_map_gpa_pages q;
		uint64_t source[FAKE_POOL_UNITS];
	} in = { .q = { id, base, HV_MAP_READ | HV_MAP_WRITE | HV_MAP_EXECUTE | HV_MAP_LARGE, 0 } };
	uint64_t rax = 0;

	for (uint32_t i = 0; i < count; i++) {
		in.source[i] = pfn_address(unit[i]).v >> PAGE_SHIFT;
	}
	for (uint32_t start = 0; start < count; start = DONE(rax)) {
		rax = root_call(REP(0x4b, count) | (uint64_t)start << 48, &in,
				sizeof(in.q) + count * 8, NULL, 0);
		if (STATUS(rax) != HV_SUCCESS) {
			break;
		}
		assert_true(DONE(rax) > start); /* or the caller would spin */
	}
	return rax;
}

uint64_t child_unmap(uint64_t id, uint64_t base, uint32_t count)
{
	const struct hv_unmap_gpa_pages q = { id, base, HV_MAP_LARGE, 0 };
	uint64_t rax = 0;

	for (uint32_t start = 0; start < count; start = DONE(rax)) {
		rax = root_call(REP(0x4c, count) | (uint64_t)start << 48, &q, sizeof(q), NULL, 0);
		if (STATUS(rax) != HV_SUCCESS) {
			break;
		}
		assert_true(DONE(rax) > start);
	}
	return rax;
}

unsigned child_vp(uint64_t id, uint32_t index)
{
	const struct hv_create_vp q = { .partition = id, .vp = index };

	return STATUS(root_call(0x4e, &q, sizeof(q), NULL, 0));
}

unsigned child_set(uint64_t id, uint32_t vp, uint32_t name, uint64_t value)
{
	const struct {
		struct hv_vp_registers q;
		struct hv_register_assoc a;
	} in = { { .partition = id, .vp = vp }, { .name = name, .value = { value, 0 } } };

	return STATUS(root_call(REP(0x51, 1), &in, sizeof(in), NULL, 0));
}

unsigned child_get(uint64_t id, uint32_t vp, uint32_t name, uint64_t *value)
{
	const struct {
		struct hv_vp_registers q;
		uint32_t name;
	} in = { { .partition = id, .vp = vp }, name };
	struct hv_register_value out = { 0, 0 };
	uint64_t rax = root_call(REP(0x50, 1), &in, sizeof(in.q) + 4, &out, sizeof(out));

	*value = out.low;
	return STATUS(rax);
}

uint32_t free_unit(void)
{
	for (uint32_t u = 0; u < pfn_units(); u++) {
		if (pfn_state(u) == PFN_CLEAN || pfn_state(u) == PFN_DIRTY) {
			return u;
		}
	}
	fail_msg("no unit is free");
	return PFN_NONE;
}

struct partition *child_make(uint32_t vps, uint32_t units)
{
	uint64_t id = child_create();
	struct partition *p = child_find(id);

	assert_non_null(p);
	for (uint32_t i = 0; i < units; i++) {
		uint32_t unit = free_unit();

		assert_int_equal(STATUS(child_map(id, i * UNIT_PAGES, &unit, 1)), HV_SUCCESS);
	}
	for (uint32_t i = 0; i < vps; i++) {
		assert_int_equal(child_vp(id, i), HV_SUCCESS);
		p->vp[i]->arch->mode = 64;
		p->vp[i]->arch->cpl = 0;
		p->vp[i]->rflags = 0x202;
		p->vp[i]->rip = 0x100000;
		p->vp[i]->apic.svr = 0x1ff;
	}
	assert_int_equal(child_simple(0x41, id), HV_SUCCESS);
	return p;
}

void child_start(struct partition *p)
{
	for (uint32_t i = 1; i < p->vp_count; i++) {
		p->vp[i]->state = VP_RUNNABLE;
		p->vp[i]->parked = 0;
		fake_select(p->vp[i]->cpu == 0 ? 1 : 0);
		vp_wake(p->vp[i]);
	}
	fake_select(0);
	assert_int_equal(child_set(p->id, 0, HV_REG_EXPLICIT_SUSPEND, 0), HV_SUCCESS);
}

void child_delete(uint64_t id)
{
	struct partition *p = child_find(id);

	assert_non_null(p);
	assert_int_equal(child_simple(0x42, id), HV_SUCCESS);
	assert_int_equal(child_simple(0x43, id), HV_SUCCESS);
	assert_null(child_find(id));
}

void child_delete_all(void)
{
	struct partition *p;

	while ((p = partition_next(0)) != NULL) {
		child_delete(p->id);
	}
	fake_check_partitions(true);
}

uint64_t child_call(struct vp *vp, uint64_t control, const void *in, size_t in_size)
{
	uint64_t rax = fake_hypercall(vp, control, in, in_size, NULL, 0);

	assert_int_not_equal(rax, FAKE_AGAIN);
	fake_check_partitions(false);
	return rax;
}

int child_setup(void **state)
{
	(void)state;
	fake_play(NULL);
	fake_select(0);
	for (uint32_t i = 0; i < cpu_count; i++) {
		struct vp *vp = root_vp(i);

		vp->state = VP_RUNNABLE;
		vp->parked = 0;
		vp->arch->mode = 64;
		vp->arch->cpl = 0;
		vp->rip = 0x300000;
		vp->rflags = 0x202;
		vp->vruntime = cpu_table[i].vclock;
	}
	run_all_cpus();
	heap_before = heap_available();
	return 0;
}

int child_teardown(void **state)
{
	(void)state;
	child_delete_all();
	for (uint32_t i = 1; i < RD_PORT_MAX; i++) {
		const struct hv_delete_port q = { HV_SELF, i, 0 };

		/* What was made for a child has gone with it. */
		assert_int_equal(root_call(0x58, &q, sizeof(q), NULL, 0), HV_INVALID_PORT_ID);
	}
	assert_int_equal(heap_available(), heap_before);
	return 0;
}
