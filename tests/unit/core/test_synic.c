// SPDX-License-Identifier: MIT
/* The synthetic interrupt controller and its timers, as a child programs them and as its parent uses them. */
#include "tests/unit/core/core_child.h"

#include "hv/core/time.h"

#define SCONTROL 0x40000080
#define SVERSION 0x40000081
#define SIEFP 0x40000082
#define SIMP 0x40000083
#define EOM 0x40000084
#define SINT(n) (0x40000090 + (n))
#define CONFIG(n) (0x400000b0 + 2 * (n))
#define COUNT(n) (0x400000b1 + 2 * (n))

#define SIM 0x20000ull
#define SIEF 0x21000ull
#define VECTOR 0xf3
#define DIRECT_VECTOR 0xed

#define ST_ENABLE 1ull
#define ST_PERIODIC 2ull
#define ST_AUTO 8ull
#define ST_DIRECT (1ull << 12 | (uint64_t)DIRECT_VECTOR << 4)
#define ST_MESSAGE ((uint64_t)HV_VMBUS_SINT << 16)

#define TICKS (FAKE_TSC_HZ / 10000000) /* of the TSC in 100 ns */

static struct partition *p;
static struct vp *vp;

static int fresh(void **state)
{
	child_setup(state);
	p = child_make(2, 1);
	vp = p->vp[0];
	fake.tsc += 1000 * TICKS;          /* the partition's clock has left 0 */
	for (uint32_t i = 0; i < 4; i++) { /* its VPs are in their CPUs' lists */
		fake_queue(NULL, 0);
		fake_run(i);
	}
	return 0;
}

/* As Linux does, in its order. */
static void enable(void)
{
	assert_true(msr_write(vp, SIMP, SIM | 1));
	assert_true(msr_write(vp, SIEFP, SIEF | 1));
	assert_true(msr_write(vp, SINT(HV_VMBUS_SINT), VECTOR));
	assert_true(msr_write(vp, SCONTROL, 1));
}

static struct hv_message *slot(uint32_t sint)
{
	return (struct hv_message *)(void *)(fake_guest(p, SIM) + sint * 256);
}

static bool pending(unsigned vector)
{
	return (vp->apic.irr[vector / 32] >> (vector % 32) & 1) != 0;
}

static bool take(unsigned vector)
{
	bool was = pending(vector);

	vlapic_claim(vp, (uint8_t)vector);
	return was;
}

static struct hv_message message(uint32_t type)
{
	struct hv_message m = { .type = type, .payload_size = 16, .sender = 0xabc };

	memset(m.payload, (int)type, sizeof(m.payload));
	return m;
}

static unsigned post(uint32_t sint, uint32_t type)
{
	struct hv_post_message_direct q = { .partition = p->id, .sint = sint };
	struct hv_message m = message(type);

	memcpy(q.message, &m, sizeof(m));
	return STATUS(root_call(0xc1, &q, sizeof(q), NULL, 0));
}

static unsigned signal_flag(uint32_t sint, uint32_t flag, uint64_t *newly)
{
	const struct hv_signal_event_direct q = { .partition = p->id,
						  .sint = (uint8_t)sint,
						  .flag = (uint16_t)flag };

	*newly = 77;
	return STATUS(root_call(0xc0, &q, sizeof(q), newly, 8));
}

/* What Linux does with a message: vmbus_signal_eom. */
static uint32_t consume(uint32_t sint)
{
	uint32_t type = slot(sint)->type;
	bool more;

	slot(sint)->type = 0;
	more = (slot(sint)->flags & 1) != 0;
	if (type != 0 && more) {
		assert_true(msr_write(vp, EOM, 0));
	}
	return type;
}

static uint64_t reference(void)
{
	uint64_t t;

	assert_true(msr_read(vp, 0x40000020, &t));
	return t;
}

/* Time passes, and the CPU does what is due. */
static void wait_ticks(uint64_t tsc)
{
	fake.tsc += tsc;
	fake_select(vp->cpu);
	cpu_timers_expire();
	fake_select(0);
}

/* --- registers --- */

static void test_reset_values(void **state)
{
	uint64_t v;

	(void)state;
	for (uint32_t m = SCONTROL; m <= EOM; m++) {
		assert_true(msr_read(vp, m, &v));
		assert_true(v == (m == SVERSION ? 1 : 0));
	}
	for (uint32_t i = 0; i < HV_SINT_COUNT; i++) {
		assert_true(msr_read(vp, SINT(i), &v));
		assert_true(v == HV_SINT_MASKED);
		assert_true(msr_write(vp, SINT(i), v)); /* vector 0, but masked: as it was read */
	}
	for (uint32_t i = 0; i < HV_STIMER_COUNT; i++) {
		assert_true(msr_read(vp, CONFIG(i), &v) && v == 0);
		assert_true(msr_read(vp, COUNT(i), &v) && v == 0);
	}
}

static void test_gp(void **state)
{
	uint64_t v;

	(void)state;
	assert_false(msr_write(vp, SVERSION, 1));
	for (uint32_t m = EOM + 1; m < SINT(0); m++) {
		assert_false(msr_read(vp, m, &v) || msr_write(vp, m, 0));
	}
	for (uint32_t m = SINT(16); m < CONFIG(0); m++) {
		assert_false(msr_read(vp, m, &v) || msr_write(vp, m, 0));
	}
	for (uint32_t m = CONFIG(4); m < 0x400000f0; m++) {
		assert_false(msr_read(vp, m, &v) || msr_write(vp, m, 0));
	}
	for (uint32_t i = 0; i < 16; i++) { /* reserved vectors, unless masked */
		assert_false(msr_write(vp, SINT(2), i));
		assert_true(msr_write(vp, SINT(2), i | HV_SINT_MASKED));
	}
	assert_true(msr_write(vp, SINT(2), 16));
	assert_false(msr_write(vp, SINT(2), VECTOR | HV_SINT_AUTO_EOI));
	assert_true(msr_read(vp, SINT(2), &v) && v == 16);
	for (unsigned bit = 13; bit < 64; bit++) {
		bool known = bit >= 16 && bit < 20;

		assert_int_equal(msr_write(vp, CONFIG(1), 1ull << bit), known);
	}
	for (uint64_t vector = 0; vector < 16; vector++) {
		assert_false(msr_write(vp, CONFIG(0), ST_ENABLE | 1ull << 12 | vector << 4));
	}
	assert_true(msr_read(vp, CONFIG(0), &v) && v == 0);
}

static void test_read_back(void **state)
{
	static const uint32_t msrs[] = { SCONTROL, SIEFP, SIMP };
	uint64_t v;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(msrs); i++) {
		assert_true(msr_write(vp, msrs[i], 0x123000 | 0xa00));
		assert_true(msr_read(vp, msrs[i], &v));
		assert_true(v == (0x123000 | 0xa00)); /* what Linux preserves is preserved */
	}
	assert_true(msr_read(p->vp[1], SIMP, &v) && v == 0); /* each VP its own */
}

/* --- messages --- */

static void test_message(void **state)
{
	struct hv_message want = message(0x17);

	(void)state;
	enable();
	assert_int_equal(post(HV_VMBUS_SINT, 0x17), HV_SUCCESS);
	assert_memory_equal(slot(HV_VMBUS_SINT), &want, sizeof(want));
	assert_true(take(VECTOR));
	for (uint32_t i = 0; i < HV_SINT_COUNT; i++) {
		assert_true(i == HV_VMBUS_SINT || slot(i)->type == 0);
	}
	assert_int_equal(consume(HV_VMBUS_SINT), 0x17);
	assert_false(pending(VECTOR));
}

/* Flags and reserved fields of the poster are not the guest's to see. */
static void test_message_clean(void **state)
{
	struct hv_post_message_direct q = { .partition = p->id, .sint = HV_VMBUS_SINT };
	struct hv_message m = message(3);

	(void)state;
	enable();
	m.flags = 0xff;
	m.reserved = 0xffff;
	memcpy(q.message, &m, sizeof(m));
	assert_int_equal(root_call(0xc1, &q, sizeof(q), NULL, 0), HV_SUCCESS);
	assert_true(slot(HV_VMBUS_SINT)->flags == 0 && slot(HV_VMBUS_SINT)->reserved == 0);
}

static void test_queue(void **state)
{
	(void)state;
	enable();
	assert_int_equal(post(HV_VMBUS_SINT, 1), HV_SUCCESS);
	assert_int_equal(slot(HV_VMBUS_SINT)->flags, 0);
	for (uint32_t i = 2; i < 2 + SYNIC_QUEUE; i++) {
		assert_int_equal(post(HV_VMBUS_SINT, i), HV_SUCCESS);
		assert_int_equal(slot(HV_VMBUS_SINT)->flags, 1); /* so that the guest writes EOM */
	}
	assert_int_equal(post(HV_VMBUS_SINT, 99), HV_INSUFFICIENT_BUFFERS);
	assert_int_equal(slot(HV_VMBUS_SINT)->type, 1);
	for (uint32_t i = 1; i < 2 + SYNIC_QUEUE; i++) {
		struct hv_message want = message(i);

		assert_true(take(VECTOR)); /* each one with an interrupt of its own */
		assert_memory_equal(slot(HV_VMBUS_SINT)->payload, want.payload, 240);
		assert_int_equal(slot(HV_VMBUS_SINT)->flags, i == 1 + SYNIC_QUEUE ? 0 : 1);
		assert_int_equal(consume(HV_VMBUS_SINT), i);
	}
	assert_false(pending(VECTOR));
	assert_int_equal(slot(HV_VMBUS_SINT)->type, 0);
	assert_int_equal(post(HV_VMBUS_SINT, 50), HV_SUCCESS);
	assert_int_equal(consume(HV_VMBUS_SINT), 50);
}

/* The guest empties the slot at the very moment at which the next message finds it full: nothing waits for an EOM that never comes. */
static void test_slot_emptied_by_eoi(void **state)
{
	(void)state;
	enable();
	assert_int_equal(post(HV_VMBUS_SINT, 1), HV_SUCCESS);
	assert_int_equal(post(HV_VMBUS_SINT, 2), HV_SUCCESS);
	slot(HV_VMBUS_SINT)->type = 0; /* without EOM */
	take_vector(vp, VECTOR);
	fake_select(vp->cpu);
	vlapic_eoi(vp); /* the end of the interrupt serves as well (TLFS 11.10) */
	fake_select(0);
	assert_int_equal(slot(HV_VMBUS_SINT)->type, 2);
	assert_true(pending(VECTOR));
}

/* Each of the switches that keep a message back, and delivery at the moment at which the last one opens. */
static void test_switched_off(void **state)
{
	static const struct {
		uint32_t msr;
		uint64_t off, on;
	} table[] = {
		{ SCONTROL, 0, 1 },
		{ SIMP, SIM, SIM | 1 },
		{ SINT(HV_VMBUS_SINT), VECTOR | HV_SINT_MASKED, VECTOR },
		{ SIMP, (1ull << 46) | 1, SIM | 1 }, /* on a page that is not there */
		{ SIMP, UINT64_MAX, SIM | 1 },
	};

	(void)state;
	enable();
	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		assert_true(msr_write(vp, table[i].msr, table[i].off));
		assert_int_equal(post(HV_VMBUS_SINT, 5), HV_SUCCESS);
		assert_int_equal(post(HV_VMBUS_SINT, 6), HV_SUCCESS);
		assert_int_equal(slot(HV_VMBUS_SINT)->type, 0);
		assert_false(pending(VECTOR));
		assert_true(msr_write(vp, table[i].msr, table[i].on));
		assert_true(take(VECTOR));
		assert_int_equal(consume(HV_VMBUS_SINT), 5);
		assert_true(take(VECTOR));
		assert_int_equal(consume(HV_VMBUS_SINT), 6);
	}
}

/* One SINT that is not served does not hold up another, and each keeps its order. */
static void test_several_sints(void **state)
{
	(void)state;
	enable();
	assert_true(msr_write(vp, SINT(7), 0x77));
	assert_int_equal(post(HV_VMBUS_SINT, 1), HV_SUCCESS);
	assert_int_equal(post(7, 100), HV_SUCCESS);
	for (uint32_t i = 1; i < 4; i++) {
		assert_int_equal(post(HV_VMBUS_SINT, 1 + i), HV_SUCCESS);
		assert_int_equal(post(7, 100 + i), HV_SUCCESS);
	}
	for (uint32_t i = 0; i < 4; i++) {
		assert_true(take(0x77));
		assert_int_equal(slot(7)->flags, i == 3 ? 0 : 1);
		assert_int_equal(consume(7), 100 + i);
		assert_int_equal(slot(HV_VMBUS_SINT)->type, 1);
	}
	for (uint32_t i = 0; i < 4; i++) {
		assert_int_equal(consume(HV_VMBUS_SINT), 1 + i);
	}
	assert_int_equal(vp->synic.waiting, 0);
}

static void test_polling(void **state)
{
	uint64_t newly;

	(void)state;
	enable();
	assert_true(msr_write(vp, SINT(HV_VMBUS_SINT), VECTOR | HV_SINT_POLLING));
	assert_int_equal(post(HV_VMBUS_SINT, 1), HV_SUCCESS);
	assert_int_equal(slot(HV_VMBUS_SINT)->type, 1);
	assert_int_equal(signal_flag(HV_VMBUS_SINT, 9, &newly), HV_SUCCESS);
	assert_int_equal(newly, 1);
	assert_false(pending(VECTOR));
}

static void test_post_refused(void **state)
{
	struct hv_post_message_direct q, good = { .partition = p->id, .sint = HV_VMBUS_SINT };
	struct hv_message m = message(1);

	(void)state;
	enable();
	memcpy(good.message, &m, sizeof(m));
	for (unsigned i = 0; i < 8; i++) {
		m = message(i == 0 ? 0 : 1);
		m.payload_size = i == 1 ? HV_MESSAGE_PAYLOAD + 1 : 16;
		q = good;
		memcpy(q.message, &m, sizeof(m));
		q.sint = i == 2 ? HV_SINT_COUNT : HV_VMBUS_SINT;
		q.vtl = i == 3;
		q.pad[0] = i == 4;
		q.pad[2] = i == 5;
		q.pad2 = i == 6;
		q.sint = i == 7 ? UINT32_MAX : q.sint;
		root_refused(HV_INVALID_PARAMETER, 0xc1, &q, sizeof(q));
	}
	q = good;
	q.vp = 2;
	root_refused(HV_INVALID_VP_INDEX, 0xc1, &q, sizeof(q));
	q.vp = HV_ANY_VP;
	root_refused(HV_INVALID_VP_INDEX, 0xc1, &q, sizeof(q));
	q.vp = 0;
	q.partition = PARTITION_ID_ROOT;
	root_refused(HV_INVALID_PARTITION_ID, 0xc1, &q, sizeof(q));
}

/* --- event flags --- */

static void test_flags(void **state)
{
	static const uint16_t flags[] = { 0, 1, 7, 8, 31, 32, 33, 1023, 2046, 2047 };
	uint8_t *page = fake_guest(p, SIEF);
	uint64_t newly;

	(void)state;
	enable();
	for (size_t i = 0; i < ARRAY_SIZE(flags); i++) {
		uint8_t *at = page + HV_VMBUS_SINT * 256 + flags[i] / 8;

		memset(page, 0, PAGE_SIZE);
		assert_int_equal(signal_flag(HV_VMBUS_SINT, flags[i], &newly), HV_SUCCESS);
		assert_int_equal(newly, 1);
		assert_int_equal(*at, 1u << (flags[i] % 8));
		assert_true(take(VECTOR));
		assert_int_equal(signal_flag(HV_VMBUS_SINT, flags[i], &newly), HV_SUCCESS);
		assert_int_equal(newly, 0);
		assert_false(pending(VECTOR)); /* it was set already */
		*at = 0;
		for (unsigned k = 0; k < PAGE_SIZE; k++) {
			assert_int_equal(page[k], 0);
		}
	}
}

static void test_flags_refused(void **state)
{
	struct hv_signal_event_direct q = { .partition = p->id, .sint = HV_VMBUS_SINT };
	static const struct {
		uint32_t msr;
		uint64_t off, on;
	} table[] = {
		{ SCONTROL, 0, 1 },
		{ SIEFP, SIEF, SIEF | 1 },
		{ SINT(HV_VMBUS_SINT), VECTOR | HV_SINT_MASKED, VECTOR },
		{ SIEFP, 1ull << 46 | 1, SIEF | 1 },
		{ SIEFP, UINT64_MAX, SIEF | 1 },
	};
	uint64_t newly;

	(void)state;
	root_refused(HV_INVALID_SYNIC_STATE, 0xc0, &q, sizeof(q));
	enable();
	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		assert_true(msr_write(vp, table[i].msr, table[i].off));
		root_refused(HV_INVALID_SYNIC_STATE, 0xc0, &q, sizeof(q));
		assert_true(msr_write(vp, table[i].msr, table[i].on));
		assert_false(pending(VECTOR)); /* an event that was refused does not come later */
	}
	for (unsigned i = 0; i < 4; i++) {
		struct hv_signal_event_direct bad = q;

		bad.vtl = i == 0;
		bad.sint = i == 1 ? HV_SINT_COUNT : HV_VMBUS_SINT;
		bad.flag = i == 2 ? HV_EVENT_FLAGS : i == 3 ? UINT16_MAX : 0;
		root_refused(HV_INVALID_PARAMETER, 0xc0, &bad, sizeof(bad));
	}
	q.vp = 2;
	root_refused(HV_INVALID_VP_INDEX, 0xc0, &q, sizeof(q));
	assert_int_equal(signal_flag(HV_VMBUS_SINT, 0, &newly), HV_SUCCESS);
}

/* --- timers --- */

static void test_one_shot(void **state)
{
	uint64_t t, v;

	(void)state;
	assert_true(msr_write(vp, CONFIG(0), ST_ENABLE | ST_AUTO | ST_DIRECT));
	assert_int_equal(vp->deadline[VP_TIMER_SYNIC], UINT64_MAX);
	for (unsigned again = 0; again < 3; again++) {
		t = reference() + 1000;
		assert_true(msr_write(vp, COUNT(0), t));
		wait_ticks(900 * TICKS);
		assert_false(pending(DIRECT_VECTOR));
		while (!pending(DIRECT_VECTOR)) { /* never early, and at once */
			assert_true(reference() <= t);
			wait_ticks(TICKS / 3);
		}
		assert_true(reference() >= t && reference() <= t + 1);
		assert_true(take(DIRECT_VECTOR));
		assert_true(msr_read(vp, CONFIG(0), &v));
		assert_true(v == (ST_AUTO | ST_DIRECT)); /* only the enable bit is gone */
		wait_ticks(10000 * TICKS);
		assert_false(pending(DIRECT_VECTOR));
	}
	assert_true(msr_write(vp, COUNT(0), reference() - 5)); /* in the past: now */
	assert_true(take(DIRECT_VECTOR));
	assert_true(msr_write(vp, COUNT(0), 1));
	assert_true(take(DIRECT_VECTOR));
}

static void test_stop(void **state)
{
	uint64_t v;

	(void)state;
	for (unsigned how = 0; how < 2; how++) {
		assert_true(msr_write(vp, CONFIG(3), ST_ENABLE | ST_AUTO | ST_DIRECT));
		assert_true(msr_write(vp, COUNT(3), reference() + 100));
		assert_true(vp->deadline[VP_TIMER_SYNIC + 3] != UINT64_MAX);
		assert_true(how == 0 ? msr_write(vp, COUNT(3), 0) : msr_write(vp, CONFIG(3), 0));
		assert_true(vp->deadline[VP_TIMER_SYNIC + 3] == UINT64_MAX);
		assert_true(msr_read(vp, CONFIG(3), &v) && (v & ST_ENABLE) == 0);
		wait_ticks(1000 * TICKS);
		assert_false(pending(DIRECT_VECTOR));
	}
	/* Without AutoEnable a count arms nothing; the enable bit does. */
	assert_true(msr_write(vp, CONFIG(3), ST_DIRECT));
	assert_true(msr_write(vp, COUNT(3), reference() + 100));
	wait_ticks(1000 * TICKS);
	assert_false(pending(DIRECT_VECTOR));
	assert_true(msr_write(vp, CONFIG(3), ST_DIRECT | ST_ENABLE));
	assert_true(take(DIRECT_VECTOR));
}

/* Not direct, and no SINT: the enable bit is not taken (10.1, 6). */
static void test_no_sint(void **state)
{
	uint64_t v;

	(void)state;
	assert_true(msr_write(vp, CONFIG(1), ST_ENABLE | ST_AUTO));
	assert_true(msr_read(vp, CONFIG(1), &v) && v == ST_AUTO);
}

/* AutoEnable does not start what the enable bit may not: no SINT, or a vector that no interrupt has. */
static void test_auto_enable_target(void **state)
{
	uint64_t v;

	(void)state;
	assert_true(msr_write(vp, CONFIG(1), ST_AUTO));
	assert_true(msr_write(vp, COUNT(1), 1));
	assert_true(msr_read(vp, CONFIG(1), &v) && v == ST_AUTO);
	assert_true(msr_write(vp, CONFIG(2), ST_AUTO | 1ull << 12 | 0xdull << 4));
	assert_true(msr_write(vp, COUNT(2), 1));
	assert_int_equal(vp->apic.irr[0], 0);
}

static void test_four_timers(void **state)
{
	uint64_t now = reference();

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		uint64_t config = ST_ENABLE | ST_AUTO | 1ull << 12 | (uint64_t)(0x40 + i) << 4;

		assert_true(msr_write(vp, CONFIG(i), config));
		assert_true(msr_write(vp, COUNT(i), now + 1000 * (4 - i)));
	}
	for (unsigned i = 4; i-- > 0;) {
		assert_true(vp->deadline_first == vp->deadline[VP_TIMER_SYNIC + i]);
		wait_ticks(1001 * TICKS);
		assert_true(take(0x40 + i));
		for (unsigned k = 0; k < 4; k++) {
			assert_false(pending(0x40 + k));
		}
	}
	assert_true(vp->deadline_first == UINT64_MAX);
}

static void test_periodic(void **state)
{
	uint64_t start, v;

	(void)state;
	assert_true(msr_write(vp, CONFIG(2), ST_ENABLE | ST_PERIODIC | ST_DIRECT));
	start = reference();
	assert_true(msr_write(vp, COUNT(2), 1000));
	for (unsigned i = 1; i < 5; i++) {
		wait_ticks(998 * TICKS);
		assert_false(pending(DIRECT_VECTOR));
		wait_ticks(2 * TICKS + 2);
		assert_true(take(DIRECT_VECTOR));
	}
	wait_ticks(10 * 1000 * TICKS); /* missed altogether: one interrupt, and the phase stays */
	assert_true(take(DIRECT_VECTOR));
	v = time_tsc_from_reference(start + 15 * 1000 + p->time_base);
	assert_true(vp->deadline[VP_TIMER_SYNIC + 2] >= v - 2 * TICKS &&
		    vp->deadline[VP_TIMER_SYNIC + 2] <= v + 2 * TICKS);
	assert_true(msr_read(vp, CONFIG(2), &v));
	assert_true((v & ST_ENABLE) != 0);
}

/* No timer keeps its CPU from anything else, in whatever order it is programmed. */
static void test_period_floor(void **state)
{
	(void)state;
	assert_true(msr_write(vp, CONFIG(0), ST_ENABLE | ST_PERIODIC | ST_DIRECT));
	assert_true(msr_write(vp, COUNT(0), 1));
	assert_true(vp->deadline[VP_TIMER_SYNIC] >= fake.tsc + 190 * TICKS);
	assert_true(msr_write(vp, COUNT(0), 0));
	assert_true(msr_write(vp, CONFIG(1), ST_DIRECT));
	assert_true(msr_write(vp, COUNT(1), 1));
	assert_true(msr_write(vp, CONFIG(1), ST_ENABLE | ST_PERIODIC | ST_DIRECT));
	assert_true(vp->deadline[VP_TIMER_SYNIC + 1] >= fake.tsc + 190 * TICKS);
}

/* Times that no clock reaches: they are never due, and do not wrap to the past. */
static void never(unsigned i)
{
	assert_false(pending(DIRECT_VECTOR));
	if (vp->deadline[VP_TIMER_SYNIC + i] < fake.tsc + FAKE_TSC_HZ) {
		fail_msg("timer %u is due at %llx, now %llx", i,
			 (unsigned long long)vp->deadline[VP_TIMER_SYNIC + i],
			 (unsigned long long)fake.tsc);
	}
	wait_ticks(FAKE_TSC_HZ);
	assert_false(pending(DIRECT_VECTOR));
}

static void test_one_shot_far(void **state)
{
	static const uint64_t below[] = {
		0, 1, 100, 4000, 10000, 1ull << 32, 1ull << 40, 1ull << 63
	};

	(void)state;
	fake.tsc += 100 * FAKE_TSC_HZ;
	p->time_base = time_reference() - 1000000;
	assert_true(msr_write(vp, CONFIG(0), ST_ENABLE | ST_AUTO | ST_DIRECT));
	for (size_t i = 0; i < ARRAY_SIZE(below); i++) {
		assert_true(msr_write(vp, COUNT(0), UINT64_MAX - below[i]));
		never(0);
		assert_true(msr_write(vp, COUNT(0), UINT64_MAX - p->time_base - below[i]));
		never(0);
	}
}

static void test_periodic_far(void **state)
{
	static const uint64_t below[] = { 0, 1, 100, 1ull << 32, 1ull << 63 };

	(void)state;
	fake.tsc += 100 * FAKE_TSC_HZ;
	assert_true(msr_write(vp, CONFIG(0), ST_ENABLE | ST_PERIODIC | ST_DIRECT));
	for (size_t i = 0; i < ARRAY_SIZE(below); i++) {
		assert_true(msr_write(vp, COUNT(0), UINT64_MAX - below[i]));
		never(0);
	}
}

struct timer_payload {
	uint32_t index, reserved;
	uint64_t expiration, delivery;
};

static void test_timer_message(void **state)
{
	struct timer_payload t;
	uint64_t at;

	(void)state;
	enable();
	assert_true(msr_write(vp, CONFIG(3), ST_ENABLE | ST_AUTO | ST_MESSAGE));
	at = reference() + 500;
	assert_true(msr_write(vp, COUNT(3), at));
	wait_ticks(600 * TICKS);
	assert_true(take(VECTOR));
	assert_true(slot(2)->type == HV_MESSAGE_TIMER && slot(2)->payload_size == sizeof(t));
	memcpy(&t, slot(2)->payload, sizeof(t));
	assert_true(t.index == 3 && t.reserved == 0 && t.expiration == at && t.delivery >= at);
	assert_int_equal(consume(2), HV_MESSAGE_TIMER);
}

/* The slot is full: one message per timer waits, says so, and comes with the EOM; so does what was posted before it. */
static void test_timer_message_waits(void **state)
{
	(void)state;
	enable();
	assert_int_equal(post(2, 1), HV_SUCCESS);
	assert_true(take(VECTOR));
	assert_true(msr_write(vp, CONFIG(0), ST_ENABLE | ST_AUTO | ST_MESSAGE));
	assert_true(msr_write(vp, CONFIG(1), ST_ENABLE | ST_AUTO | ST_MESSAGE));
	assert_true(msr_write(vp, COUNT(0), 1));
	assert_true(msr_write(vp, COUNT(1), 1));
	assert_int_equal(slot(2)->flags, 1);
	assert_int_equal(consume(2), 1);
	assert_true(take(VECTOR));
	assert_int_equal(slot(2)->payload[0], 0);
	assert_int_equal(slot(2)->flags, 1); /* the other timer's */
	assert_int_equal(consume(2), HV_MESSAGE_TIMER);
	assert_true(take(VECTOR));
	assert_int_equal(slot(2)->payload[0], 1);
	assert_int_equal(slot(2)->flags, 0);
	assert_int_equal(consume(2), HV_MESSAGE_TIMER);
	assert_int_equal(slot(2)->type, 0);
	/* Mixed with messages of the parent: nothing is lost. */
	assert_int_equal(post(2, 1), HV_SUCCESS);
	assert_int_equal(post(2, 2), HV_SUCCESS);
	assert_true(msr_write(vp, COUNT(0), 1));
	assert_int_equal(post(2, 3), HV_SUCCESS);
	assert_int_equal(consume(2), 1);
	assert_int_equal(consume(2), 2);
	{
		uint32_t a = consume(2), b = consume(2);

		assert_true((a == 3 && b == HV_MESSAGE_TIMER) || (b == 3 && a == HV_MESSAGE_TIMER));
	}
	assert_int_equal(consume(2), 0);
}

/* A timer that expires while the message page is off is not lost (10.1, 5). */
static void test_timer_message_off(void **state)
{
	(void)state;
	assert_true(msr_write(vp, CONFIG(0), ST_ENABLE | ST_AUTO | ST_MESSAGE));
	assert_true(msr_write(vp, COUNT(0), reference() + 10));
	wait_ticks(100 * TICKS);
	assert_false(pending(VECTOR));
	enable();
	assert_true(take(VECTOR));
	assert_int_equal(consume(2), HV_MESSAGE_TIMER);
}

/* The end of the interrupt is a moment to look again, for timers as for messages (10.2, 11). */
static void test_timer_message_eoi(void **state)
{
	(void)state;
	enable();
	assert_int_equal(post(2, 1), HV_SUCCESS);
	assert_true(msr_write(vp, CONFIG(0), ST_ENABLE | ST_AUTO | ST_MESSAGE));
	assert_true(msr_write(vp, COUNT(0), 1));
	slot(2)->type = 0;
	take_vector(vp, VECTOR);
	fake_select(vp->cpu);
	vlapic_eoi(vp);
	fake_select(0);
	assert_int_equal(slot(2)->type, HV_MESSAGE_TIMER);
}

/* The count register, the reference page and the timers are one clock. */
static void test_one_clock(void **state)
{
	struct {
		uint32_t sequence, reserved;
		uint64_t scale, offset;
	} page;

	(void)state;
	assert_true(
		msr_write(vp, 0x40000021, 0x30000 | 1)); /* before the guest has said who it is */
	memcpy(&page, fake_guest(p, 0x30000), sizeof(page));
	assert_true(page.sequence != 0 && page.sequence != UINT32_MAX);
	for (unsigned i = 0; i < 100; i++) {
		uint64_t of_page =
			(uint64_t)((unsigned __int128)fake.tsc * page.scale >> 64) + page.offset;

		assert_true(reference() == of_page);
		fake.tsc += 123456789ull * i;
	}
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, fresh, child_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_reset_values),
		TEST(test_gp),
		TEST(test_read_back),
		TEST(test_message),
		TEST(test_message_clean),
		TEST(test_queue),
		TEST(test_slot_emptied_by_eoi),
		TEST(test_switched_off),
		TEST(test_several_sints),
		TEST(test_polling),
		TEST(test_post_refused),
		TEST(test_flags),
		TEST(test_flags_refused),
		TEST(test_one_shot),
		TEST(test_stop),
		TEST(test_no_sint),
		TEST(test_auto_enable_target),
		TEST(test_four_timers),
		TEST(test_periodic),
		TEST(test_period_floor),
		TEST(test_one_shot_far),
		TEST(test_periodic_far),
		TEST(test_timer_message),
		TEST(test_timer_message_waits),
		TEST(test_timer_message_off),
		TEST(test_timer_message_eoi),
		TEST(test_one_clock),
	};

	return cmocka_run_group_tests(tests, boot_machine, NULL);
}
