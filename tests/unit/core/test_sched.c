// SPDX-License-Identifier: MIT
/* Which VP runs: shares by weight, the root's interrupts, sleepers, timers. One CPU, so that all are on it; guests are played. */
#include "tests/unit/core/core_child.h"

#include "hv/core/time.h"

#define US (FAKE_TSC_HZ / 1000000)
#define MS (FAKE_TSC_HZ / 1000)
#define PLAYERS 9 /* 0: the root */
#define SPIN UINT64_MAX

/* What a VP does whenever it is entered: runs for so long at most, then halts. */
static struct {
	struct vp *vp;
	uint64_t burst, left; /* SPIN: never halts */
	uint64_t ran, entries, turns;
} player[PLAYERS];
static uint64_t end;   /* of the play */
static uint64_t every; /* an interrupt of the root each so often; 0: none */
static uint64_t next_irq;
static uint64_t latency; /* from an interrupt to the root's entry, longest */
static uint64_t irq_at;  /* 0: none under way */
static struct vp *first, *last;
static uint64_t longest_turn, turn;

static int boot(void **state)
{
	(void)state;
	fake_boot(&(struct fake_config){ .cpus = 1 });
	return 0;
}

static int fresh(void **state)
{
	child_setup(state);
	memset(player, 0, sizeof(player));
	player[0].vp = root_vp(0);
	player[0].burst = SPIN;
	every = 0;
	latency = 0;
	irq_at = 0;
	last = NULL;
	turn = longest_turn = 0;
	memset(root_vp(0)->apic.irr, 0, sizeof(root_vp(0)->apic.irr));
	memset(root_vp(0)->apic.isr, 0, sizeof(root_vp(0)->apic.isr));
	root_vp(0)->apic.irr_words = root_vp(0)->apic.isr_words = 0;
	root_vp(0)->apic.svr = 0x1ff;
	cpu_table[0].boost_end = cpu_table[0].boost_next = 0;
	return 0;
}

static unsigned number(const struct vp *vp)
{
	for (unsigned i = 0; i < PLAYERS; i++) {
		if (player[i].vp == vp) {
			return i;
		}
	}
	fail_msg("a VP that nobody knows is entered");
	return 0;
}

static bool play(struct vp *vp, struct fake_step *step)
{
	unsigned n = number(vp);
	uint64_t stay = 100 * US;

	if (fake.tsc >= end) {
		return false;
	}
	assert_true(fake.timer[0] <=
		    cpu_table[0].timer_first); /* the hardware knows the first deadline */
	first = first == NULL ? vp : first;
	if (vp != last) {
		player[n].turns++;
		turn = 0;
		last = vp;
	}
	if (n == 0 && irq_at != 0) {
		latency = fake.tsc - irq_at > latency ? fake.tsc - irq_at : latency;
		irq_at = 0;
	}
	if (fake.timer[0] > fake.tsc && fake.timer[0] - fake.tsc < stay) {
		stay = fake.timer[0] - fake.tsc;
	} else if (fake.timer[0] <= fake.tsc) {
		stay = 1; /* it fires at once */
	}
	if (every != 0 && next_irq <= fake.tsc + stay) {
		stay = next_irq > fake.tsc ? next_irq - fake.tsc : 1;
		next_irq = fake.tsc + stay + every;
		fake_raise(0x55, false);
		irq_at = fake.tsc + stay;
	}
	vlapic_eoi(vp); /* of the interrupt that it took when it was entered last */
	if (vp->arch->offered >= 0) {
		step->take = true;
		stay = stay < US ? stay : US;
	} else if (player[n].left <= stay && player[n].burst != SPIN) {
		stay = player[n].left;
		player[n].left = player[n].burst;
		step->exit.kind = EXIT_HLT;
		step->exit.length = 1;
	} else {
		player[n].left -= player[n].burst == SPIN ? 0 : stay;
	}
	step->tsc = stay;
	player[n].ran += stay;
	player[n].entries++;
	turn += stay;
	longest_turn = turn > longest_turn ? turn : longest_turn;
	return true;
}

/* Plays until then; over times in which nobody has anything to do. */
static void run_for(uint64_t tsc)
{
	end = fake.tsc + tsc;
	first = NULL;
	next_irq = fake.tsc + every;
	for (unsigned i = 0; i < PLAYERS; i++) {
		player[i].ran = player[i].turns = player[i].entries = 0;
		player[i].left = player[i].burst;
	}
	fake_play(play);
	while (fake.tsc < end && fake_run(0) == FAKE_IDLE) {
		fake.tsc = fake.timer[0] < end ? fake.timer[0] : end;
	}
	fake_play(NULL);
	fake_check_partitions(false);
}

static struct vp *add(unsigned n, uint64_t weight, uint64_t burst)
{
	uint64_t id = child_create();
	const struct hv_set_property set = { id, HV_PROPERTY_WEIGHT, 0, weight };
	struct vp *vp;

	assert_int_equal(root_call(0x45, &set, sizeof(set), NULL, 0), HV_SUCCESS);
	assert_int_equal(child_vp(id, 0), HV_SUCCESS);
	assert_int_equal(child_simple(0x41, id), HV_SUCCESS);
	vp = child_find(id)->vp[0];
	vp->rflags = 0x202;
	vp->apic.svr = 0x1ff;
	player[n].vp = vp;
	player[n].burst = burst;
	assert_int_equal(child_set(id, 0, HV_REG_EXPLICIT_SUSPEND, 0), HV_SUCCESS);
	return vp;
}

static void root_sleeps(void)
{
	root_vp(0)->state = VP_HALTED;
	root_vp(0)->rflags = 0x202;
}

/* n gets so many thousandths of what the players ran together, within 3 percent of all. */
static void assert_share(unsigned n, uint64_t thousandths)
{
	uint64_t sum = 0, got;

	for (unsigned i = 0; i < PLAYERS; i++) {
		sum += player[i].ran;
	}
	got = player[n].ran * 1000 / sum;
	if (got + 30 < thousandths || got > thousandths + 30) {
		fail_msg("player %u got %llu, not %llu", n, (unsigned long long)got,
			 (unsigned long long)thousandths);
	}
}

static void test_equal(void **state)
{
	(void)state;
	for (unsigned i = 1; i < 5; i++) {
		add(i, 100, SPIN);
	}
	root_sleeps();
	run_for(1000 * MS);
	for (unsigned i = 1; i < 5; i++) {
		assert_share(i, 250);
		assert_true(player[i].turns >= 70 && player[i].turns <= 100); /* 3 ms each */
	}
	assert_true(longest_turn <= 4 * MS);
}

static void test_weights(void **state)
{
	(void)state;
	add(1, 100, SPIN);
	add(2, 300, SPIN);
	add(3, 600, SPIN);
	root_sleeps();
	run_for(2000 * MS);
	assert_share(1, 100);
	assert_share(2, 300);
	assert_share(3, 600);
}

/* The heaviest and the lightest: a thousandth is not nothing. */
static void test_extreme_weights(void **state)
{
	(void)state;
	add(1, 1, SPIN);
	add(2, 1000, SPIN);
	root_sleeps();
	run_for(10000 * MS);
	assert_true(player[1].ran > 0 && player[1].turns > 1);
	assert_share(2, 999);
}

static void test_root_share(void **state)
{
	(void)state;
	add(1, 100, SPIN);
	run_for(1000 * MS);
	assert_share(0, 800); /* a root that hangs does not stop the children */
	add(2, 100, SPIN);
	add(3, 200, SPIN);
	run_for(1000 * MS);
	assert_share(0, 500);
	assert_share(3, 250);
}

/* A slice is 3 ms and the root's interrupts do not wait for its end. */
static void test_preempts(void **state)
{
	(void)state;
	add(1, 100, SPIN);
	add(2, 100, SPIN);
	player[0].burst = 50 * US;
	every = 5 * MS + 137 * US;
	root_sleeps();
	run_for(1000 * MS);
	assert_true(player[0].turns >= 180);
	assert_true(latency <= 2 * US); /* at the next entry */
	assert_true(player[1].ran + player[2].ran >= 980 * MS);
}

/* Nor do they wait for its turn, where it has used all of its share. */
static void test_preempts_busy(void **state)
{
	(void)state;
	add(1, 100, SPIN);
	add(2, 100, SPIN);
	every = 5 * MS + 137 * US;
	run_for(1000 * MS);
	assert_true(latency <= 2 * US);
	assert_true(player[1].ran >= 50 * MS && player[2].ran >= 50 * MS);
}

/* A device that interrupts without end, and a root that never halts: at most 1 ms in 2 beyond its share. */
static void test_boost_bounded(void **state)
{
	(void)state;
	for (unsigned i = 1; i < PLAYERS; i++) {
		add(i, 100, SPIN);
	}
	every = 20 * US;
	run_for(2000 * MS);
	assert_true(player[0].ran <= 1100 * MS);
	for (unsigned i = 1; i < PLAYERS; i++) {
		assert_true(player[i].ran >= 80 * MS);
	}
}

/* Who sleeps for long comes soon when it wakes, and has not saved up all of the time. */
static void test_sleeper(void **state)
{
	struct vp *sleeper;

	(void)state;
	add(1, 100, SPIN);
	root_sleeps();
	run_for(5 * MS);
	sleeper = add(2, 100, 1 * US);
	run_for(1000 * MS); /* it halts at once */
	assert_true(player[2].ran <= 2 * US);
	player[2].burst = SPIN;
	vlapic_post(sleeper, 0x80, false);
	run_for(8 * MS);
	assert_true(player[2].ran >= 3 * MS && player[2].ran <= 7 * MS);
	run_for(500 * MS);
	assert_share(1, 500);
}

/* Waking often does not buy more than the share either. */
static void test_short_sleeps(void **state)
{
	struct vp *vp;

	(void)state;
	add(1, 100, SPIN);
	vp = add(2, 100, 900 * US);
	root_sleeps();
	vp->apic.lvt[0] = 0x20081; /* a timer that wakes it each millisecond */
	vp->apic.tdcr = 0xb;
	fake_select(0);
	assert_true(msr_write(vp, 0x80b, 0));
	assert_true(msr_write(vp, 0x838, (uint32_t)MS));
	run_for(2000 * MS);
	/* The other's slice of 3 ms is finished first: served each 4 ms at least. */
	assert_true(player[1].ran >= 900 * MS);
	assert_true(player[2].ran >= 400 * MS);
	assert_true(player[2].turns >= 480);
}

static void test_stop_removes(void **state)
{
	struct vp *vp[4];

	(void)state;
	for (unsigned i = 1; i < 4; i++) {
		vp[i] = add(i, 100, SPIN);
	}
	root_sleeps();
	run_for(20 * MS);
	assert_true(player[2].ran != 0);
	child_delete(vp[2]->partition->id);
	player[2].vp = NULL;
	run_for(100 * MS);
	assert_share(1, 500);
	assert_share(3, 500);
	assert_int_equal(cpu_table[0].children, 2);
}

static void test_suspended_does_not_run(void **state)
{
	struct vp *vp = add(1, 100, SPIN);

	(void)state;
	add(2, 100, SPIN);
	root_sleeps();
	run_for(20 * MS);
	vp->suspended = VP_SUSPEND_INTERCEPT; /* as at the end of its exit */
	cpu_table[0].resched = 1;
	run_for(20 * MS);
	assert_true(player[1].ran == 0);
	assert_int_equal(child_set(vp->partition->id, 0, HV_REG_INTERCEPT_SUSPEND, 0), HV_SUCCESS);
	root_sleeps();
	run_for(20 * MS);
	assert_true(player[1].ran >= 8 * MS && player[1].ran <= 16 * MS);
}

/* As a worker that answers an intercept of `vp`, while the root runs. */
static void answer(struct vp *vp)
{
	struct cpu *c = &cpu_table[0];

	if (c->current != NULL) { /* what a choice would have charged it */
		c->current->vruntime += (fake.tsc - c->charged) * c->current->inverse >> 10;
		c->charged = fake.tsc;
	}
	c->current = root_vp(0);
	vp->suspended = VP_SUSPEND_INTERCEPT;
	assert_int_equal(child_set(vp->partition->id, 0, HV_REG_INTERCEPT_SUSPEND, 0), HV_SUCCESS);
}

/* Who was answered goes at once, although the root has more to do; not for long. */
static void test_handover(void **state)
{
	struct vp *vp = add(1, 100, SPIN);

	(void)state;
	run_for(100 * MS);
	for (unsigned i = 0; i < 20; i++) {
		answer(vp);
		turn = longest_turn = 0;
		last = NULL;
		run_for(300 * US);
		assert_ptr_equal(first, vp);
		assert_true(player[1].ran >= 249 * US && player[1].ran <= 251 * US);
		assert_true(player[0].ran >= 49 * US);
	}
}

/* An interrupt of the root does not wait for that. */
static void test_handover_interrupted(void **state)
{
	struct vp *vp = add(1, 100, SPIN);

	(void)state;
	run_for(100 * MS);
	every = 140 * US;
	answer(vp);
	run_for(150 * US);
	assert_ptr_equal(first, vp);
	assert_true(player[1].ran >= 139 * US && player[1].ran <= 141 * US && latency <= 2 * US);
	cpu_table[0].boost_end = fake.tsc + MS; /* and one that is under way is finished first */
	every = 0;
	answer(vp);
	run_for(100 * US);
	assert_ptr_equal(first, root_vp(0));
}

/* Asking often does not buy more than the share of those who do not ask. */
static void test_handover_fair(void **state)
{
	struct vp *vp = add(1, 100, SPIN);
	uint64_t ran = 0;

	(void)state;
	add(2, 100, SPIN);
	root_sleeps();
	run_for(20 * MS);
	for (unsigned i = 0; i < 800; i++) {
		answer(vp);
		root_sleeps();
		run_for(250 * US);
		ran += player[2].ran;
	}
	assert_true(ran >= 90 * MS && ran <= 110 * MS); /* of 200 */
}

/* As a device process that has put something into a ring: only what is news to the guest. */
static void test_handover_signal(void **state)
{
	struct vp *vp = add(1, 100, SPIN);
	const struct hv_signal_event_direct q = { .partition = vp->partition->id, .sint = 2 };
	uint32_t unit = free_unit();
	uint64_t newly;

	(void)state;
	assert_int_equal(STATUS(child_map(q.partition, 0, &unit, 1)), HV_SUCCESS);
	fake_select(0);
	assert_true(msr_write(vp, 0x40000092, 0x80));
	assert_true(msr_write(vp, 0x40000082, 0x1001));
	assert_true(msr_write(vp, 0x40000080, 1));
	run_for(100 * MS);
	for (unsigned i = 0; i < 2; i++) {
		cpu_table[0].current = root_vp(0);
		assert_int_equal(root_call(0xc0, &q, sizeof(q), &newly, sizeof(newly)), HV_SUCCESS);
		assert_int_equal(newly, i == 0);
		assert_ptr_equal(cpu_table[0].handover, i == 0 ? vp : NULL);
		run_for(100 * US);
		assert_ptr_equal(first, i == 0 ? vp : root_vp(0));
	}
}

/* It is gone before its turn. */
static void test_handover_stopped(void **state)
{
	struct vp *vp = add(1, 100, SPIN);

	(void)state;
	add(2, 100, SPIN);
	run_for(20 * MS);
	answer(vp);
	child_delete(vp->partition->id);
	player[1].vp = NULL;
	assert_null(cpu_table[0].handover);
	run_for(20 * MS);
}

/* The timers of a VP that is not current fire when they are due. */
static void test_timer_of_another(void **state)
{
	struct vp *vp;
	uint64_t before, t;

	(void)state;
	add(1, 100, SPIN);
	vp = add(2, 100, 10 * US);
	root_sleeps();
	run_for(10 * MS);
	assert_int_equal(vp->state, VP_HALTED);
	vp->arch->mode = 64;
	assert_true(msr_write(vp, 0x400000b0, 1 | 8 | 1ull << 12 | 0xedull << 4));
	for (unsigned i = 0; i < 5; i++) {
		assert_true(msr_read(vp, 0x40000020, &t));
		before = fake.tsc;
		assert_true(msr_write(vp, 0x400000b1, t + 70000)); /* 7 ms */
		vp->state = VP_HALTED;
		run_for(6900 * US - (fake.tsc - before));
		assert_true(player[2].ran == 0);
		run_for(3200 * US); /* at its time, and entered when the other's slice is over */
		assert_true(player[2].ran > 0);
		assert_int_equal(vp->state, VP_HALTED); /* did its work and sleeps again */
	}
}

/* Nobody has anything to do: the CPU waits for the first deadline, not for a slice. */
static void test_idle(void **state)
{
	struct vp *vp = add(1, 100, 10 * US);
	uint64_t t;

	(void)state;
	root_sleeps();
	run_for(10 * MS);
	vp->arch->mode = 64;
	assert_true(msr_write(vp, 0x400000b0, 1 | 8 | 1ull << 12 | 0xedull << 4));
	assert_true(msr_read(vp, 0x40000020, &t));
	assert_true(msr_write(vp, 0x400000b1, t + 50000));
	vp->state = VP_HALTED;
	fake_queue(NULL, 0);
	assert_int_equal(fake_run(0), FAKE_IDLE);
	assert_true(fake.timer[0] == vp->deadline_first);
	fake.tsc = fake.timer[0];
	assert_int_equal(fake_run(0), FAKE_RAN_OUT); /* it runs */
	assert_ptr_equal(cpu_table[0].current, vp);
}

/* One that is alone is not interrupted for nothing. */
static void test_alone(void **state)
{
	(void)state;
	add(1, 100, SPIN);
	root_sleeps();
	run_for(50 * MS);
	assert_true(cpu_table[0].slice_end == UINT64_MAX);
	assert_true(cpu_table[0].timer[CPU_TIMER_SLICE] == UINT64_MAX);
	add(2, 100, SPIN);
	root_sleeps();
	run_for(50 * MS);
	assert_true(cpu_table[0].slice_end != UINT64_MAX);
	assert_true(player[2].ran >= 15 * MS);
}

static void test_runtime(void **state)
{
	struct vp *vp = add(1, 100, SPIN), *two = add(2, 100, SPIN);
	uint64_t before = vp->runtime + two->runtime, v;

	(void)state;
	root_sleeps();
	run_for(100 * MS);
	assert_true(vp->runtime + two->runtime - before >= 96 * MS &&
		    vp->runtime + two->runtime - before <= 101 * MS);
	vp->suspended = VP_SUSPEND_EXPLICIT;
	assert_int_equal(child_get(vp->partition->id, 0, HV_REG_VP_RUNTIME, &v), HV_SUCCESS);
	assert_true(v >= 450000 && v <= 550000);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, fresh, child_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_equal),
		TEST(test_weights),
		TEST(test_extreme_weights),
		TEST(test_root_share),
		TEST(test_preempts),
		TEST(test_preempts_busy),
		TEST(test_boost_bounded),
		TEST(test_sleeper),
		TEST(test_short_sleeps),
		TEST(test_stop_removes),
		TEST(test_suspended_does_not_run),
		TEST(test_handover),
		TEST(test_handover_interrupted),
		TEST(test_handover_fair),
		TEST(test_handover_signal),
		TEST(test_handover_stopped),
		TEST(test_timer_of_another),
		TEST(test_idle),
		TEST(test_alone),
		TEST(test_runtime),
	};

	return cmocka_run_group_tests(tests, boot, NULL);
}
