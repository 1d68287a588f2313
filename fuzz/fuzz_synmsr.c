// SPDX-License-Identifier: MIT
/*
 * Input: records (fuzz/script.h) for one VP of a child: accesses to its synthetic registers, messages and flags of the parent, what a guest does with
 * messages, time. Messages of a SINT come in order and none is left behind without a sign; a timer is never early, and never due
 * again and again.
 */
#include <string.h>

#include "fuzz/script.h"
#include "hv/arch/fake/fake.h"
#include "hv/core/arch.h"
#include "hv/core/heap.h"
#include "hv/core/hypercall.h"
#include "hv/core/msr.h"
#include "hv/core/pfn.h"
#include "hv/core/time.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define SIM 0x20000ull
#define SIEF 0x21000ull
#define ACTIONS 200
#define LARGE (HV_MAP_READ | HV_MAP_WRITE | HV_MAP_EXECUTE | HV_MAP_LARGE)
#define ST_ENABLE 1ull
#define ST_PERIODIC 2ull
#define PERIOD_MIN 200 /* 100 ns */

static struct partition *p;
static struct vp *vp;
static uint32_t posted, seen[HV_SINT_COUNT];
static uint64_t heap;
static bool eom_owed; /* the guest has emptied a slot, and has not said so yet */

static uint64_t own(uint64_t control, const void *in, size_t n, void *out, size_t m)
{
	uint64_t rax = FAKE_AGAIN;

	while (rax == FAKE_AGAIN) {
		rax = fake_hypercall(partition_root->vp[0], control, in, n, out, m);
		if (rax == FAKE_AGAIN) {
			fake_queue(NULL, 0);
			(void)fake_run(0);
		}
	}
	fake_select(0);
	return rax;
}

static void make(void)
{
	const struct hv_create_partition q = { 0 };
	struct {
		struct hv_map_gpa_pages q;
		uint64_t source;
	} map = { { 0, 0, LARGE, 0 }, pfn_address(0).v >> PAGE_SHIFT };
	struct hv_create_vp v = { 0 };
	uint64_t id = 0;

	fake.tsc &= (1ull << 60) - 1; /* some inputs let much time pass */
	heap = heap_available();
	CHECK_FUZZ(own(0x40, &q, sizeof(q), &id, 8) == HV_SUCCESS);
	map.q.partition = v.partition = id;
	CHECK_FUZZ(own(0x4b | 1ull << 32, &map, sizeof(map), NULL, 0) == 1ull << 32);
	CHECK_FUZZ(own(0x4e, &v, sizeof(v), NULL, 0) == HV_SUCCESS);
	p = partition_find(id);
	vp = p->vp[0];
	vp->arch->mode = 64;
	vp->apic.svr = 0x1ff;
	fake_queue(NULL, 0);
	(void)fake_run(0); /* its CPU takes it into its list */
	posted = 0;
	eom_owed = false;
	memset(seen, 0, sizeof(seen));
	/* Most scripts begin where Linux ends. */
	CHECK_FUZZ(msr_guest_write(vp, 0x40000083, SIM | 1));
	CHECK_FUZZ(msr_guest_write(vp, 0x40000082, SIEF | 1));
	CHECK_FUZZ(msr_guest_write(vp, 0x40000092, 0xf3));
	CHECK_FUZZ(msr_guest_write(vp, 0x40000080, 1));
}

static struct hv_message *slot(unsigned sint)
{
	return (struct hv_message *)(void *)(fake_guest_page(p, SIM) +
					     sint * sizeof(struct hv_message));
}

static bool on(unsigned sint)
{
	return (vp->synic.scontrol & 1) != 0 && vp->synic.simp == (SIM | 1) &&
	       (vp->synic.sint[sint] & HV_SINT_MASKED) == 0;
}

/* What waits for a slot that is open: the slot is full and says so, or the guest is about to say that it is empty. */
static void check_waiting(unsigned sint)
{
	CHECK_FUZZ(!on(sint) || eom_owed ||
		   (slot(sint)->type != 0 && (slot(sint)->flags & 1) != 0));
}

static void check(void)
{
	const struct synic *s = &vp->synic;

	CHECK_FUZZ(s->waiting <= SYNIC_QUEUE);
	for (uint32_t i = 0; i < s->waiting; i++) {
		check_waiting(s->queue->sint[i]);
	}
	for (unsigned i = 0; i < HV_SINT_COUNT; i++) {
		CHECK_FUZZ((s->sint[i] & HV_SINT_MASKED) != 0 || (s->sint[i] & 0xff) >= 16);
		CHECK_FUZZ((s->sint[i] & HV_SINT_AUTO_EOI) == 0);
	}
	for (unsigned i = 0; i < HV_STIMER_COUNT; i++) {
		bool runs = (s->timer[i].config & ST_ENABLE) != 0 && s->timer[i].count != 0;
		uint64_t at = vp->deadline[VP_TIMER_SYNIC + i], c = s->timer[i].config;

		if ((s->undelivered >> i & 1) != 0) {
			check_waiting((unsigned)(c >> 16) & 15);
		}
		CHECK_FUZZ(runs || at == UINT64_MAX);
		CHECK_FUZZ((c & ~0xf1fffull) == 0);
		CHECK_FUZZ((c & ST_ENABLE) == 0 || (c & 1ull << 12) != 0 || (c >> 16 & 15) != 0);
		CHECK_FUZZ((c & ST_ENABLE) == 0 || (c & 1ull << 12) == 0 || (c >> 4 & 0xff) >= 16);
		/* However short the period: 20 us at least, so that its CPU gets to something else. */
		CHECK_FUZZ(!runs || (c & ST_PERIODIC) == 0 ||
			   at >= time_tsc_from_reference(s->timer[i].expired + PERIOD_MIN +
							 p->time_base));
	}
	CHECK_FUZZ((vp->apic.irr[0] & 0xffff) == 0);
}

static void end_of_message(void)
{
	CHECK_FUZZ(msr_guest_write(vp, 0x40000084, 0));
	eom_owed = false;
}

/* As Linux: cmpxchg of the type, EOM if another waits; now, or after something else has happened. */
static void consume(unsigned sint, bool later)
{
	struct hv_message m = *slot(sint);
	uint32_t number;

	if (m.type == 0 || !on(sint)) {
		return;
	}
	CHECK_FUZZ(m.payload_size <= HV_MESSAGE_PAYLOAD && m.reserved == 0 && m.flags <= 1);
	if (m.type == HV_MESSAGE_TIMER) {
		uint64_t expiration, delivery;

		memcpy(&number, m.payload, 4);
		memcpy(&expiration, m.payload + 8, 8);
		memcpy(&delivery, m.payload + 16, 8);
		CHECK_FUZZ(number < HV_STIMER_COUNT && delivery >= expiration);
	} else {
		memcpy(&number, m.payload, 4);
		CHECK_FUZZ(number > seen[sint] && number <= posted);
		seen[sint] = number;
	}
	slot(sint)->type = 0;
	if ((m.flags & 1) != 0 && later) {
		eom_owed = true;
	} else if ((m.flags & 1) != 0) {
		end_of_message();
	}
}

static void post(unsigned sint, unsigned size)
{
	struct hv_post_message_direct q = { .partition = p->id, .sint = sint };
	struct hv_message m = {
		.type = 1, .payload_size = (uint8_t)size, .flags = 3, .reserved = 9
	};
	uint64_t rax;
	uint32_t waiting = vp->synic.waiting;

	posted++;
	memcpy(m.payload, &posted, 4);
	memcpy(q.message, &m, sizeof(m));
	rax = own(0xc1, &q, sizeof(q), NULL, 0);
	CHECK_FUZZ(rax == HV_SUCCESS ||
		   (rax == HV_INVALID_PARAMETER && size > HV_MESSAGE_PAYLOAD) ||
		   (rax == HV_INSUFFICIENT_BUFFERS && waiting == SYNIC_QUEUE));
}

static void signal_flag(unsigned sint, uint16_t flag)
{
	const struct hv_signal_event_direct q = { .partition = p->id,
						  .sint = (uint8_t)sint,
						  .flag = flag % HV_EVENT_FLAGS };
	uint64_t newly = 7, rax = own(0xc0, &q, sizeof(q), &newly, 8);

	CHECK_FUZZ(rax == HV_SUCCESS ? newly <= 1 : rax == HV_INVALID_SYNIC_STATE);
}

/* Time passes, and what is due is done once: nothing may be due still. */
static void let_pass(uint64_t tsc)
{
	uint64_t enabled[HV_STIMER_COUNT], now;

	for (unsigned i = 0; i < HV_STIMER_COUNT; i++) {
		enabled[i] = vp->synic.timer[i].config & (ST_ENABLE | ST_PERIODIC);
	}
	fake.tsc += tsc;
	fake_select(0);
	cpu_timers_expire();
	now = time_reference() - p->time_base;
	for (unsigned i = 0; i < HV_STIMER_COUNT; i++) {
		bool one_shot = enabled[i] == ST_ENABLE;
		bool gone = (vp->synic.timer[i].config & ST_ENABLE) == 0;

		CHECK_FUZZ(vp->deadline[VP_TIMER_SYNIC + i] > fake.tsc);
		if (one_shot && vp->synic.timer[i].count != 0) {
			CHECK_FUZZ(gone == (now >= vp->synic.timer[i].count));
		}
	}
}

static void write_msr(struct script *s, unsigned op)
{
	static const uint32_t known[] = { 0x40000080, 0x40000082, 0x40000083, 0x40000084,
					  0x40000092, 0x40000093, 0x4000009f, 0x400000b0,
					  0x400000b1, 0x400000b2, 0x400000b3, 0x400000b6,
					  0x400000b7, 0x40000021, 0x40000070, 0x40000118 };
	uint32_t msr = known[script_take(s, 1) % ARRAY_SIZE(known)];
	uint64_t v = script_take(s, (op & 16) != 0 ? 8 : 3), back;

	if ((op & 32) != 0) {
		msr = 0x40000080 + (uint32_t)(v >> 56 & 0x3f);
	}
	if ((op & 64) != 0 && msr >= 0x400000b0 && msr <= 0x400000b7 && (msr & 1) != 0) {
		v = time_reference() - p->time_base + (uint64_t)(int64_t)(int32_t)(uint32_t)v;
	}
	if (msr == 0x40000083 && (op & 128) == 0) {
		v = SIM | (v & 1);
	}
	if (msr == 0x40000082) {
		v = v & 2 ? v : SIEF | (v & 1);
		v = (v & ~0xfffull) == SIM ? SIEF | 1 : v; /* not two pages in one */
	}
	if (msr == 0x40000021) {
		v = 0x22000 | (v & 1);
	}
	(void)!msr_guest_write(vp, msr, v);
	(void)!msr_guest_read(vp, msr, &back);
}

static void action(struct script *s)
{
	unsigned op = (unsigned)script_take(s, 1);
	uint64_t v;

	fake_select(0);
	switch (op & 15) {
	case 0:
	case 1:
	case 2:
	case 3:
		write_msr(s, op);
		break;
	case 4:
		(void)!msr_guest_read(vp, 0x40000000 + (uint32_t)script_take(s, 2) % 0x200, &v);
		vp->state = VP_RUNNABLE; /* it may have gone idle */
		break;
	case 5:
	case 6:
		post(op >> 4, (unsigned)script_take(s, 1));
		break;
	case 7:
		signal_flag(op >> 4, (uint16_t)script_take(s, 2));
		break;
	case 8:
	case 9:
		consume(op >> 4, false);
		break;
	case 10:
	case 11:
		let_pass(script_take(s, 1 + (op >> 4 & 3)));
		break;
	case 12:
		vlapic_eoi(vp);
		break;
	case 13:
		if (vlapic_highest(vp) >= 0) {
			take_vector(vp, (uint8_t)vlapic_highest(vp));
		}
		break;
	case 14:
		if (eom_owed) {
			end_of_message();
		}
		let_pass(0);
		break;
	default:
		consume(op >> 4, true);
		break;
	}
	check();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct script s = { data, size, 0 }, one;
	uint64_t id;

	if (partition_root == NULL) {
		fake_boot(&(struct fake_config){ .cpus = 1, .heap_bytes = 1ull << 20 });
	}
	make();
	for (unsigned i = 0; i < ACTIONS && script_action(&s, &one); i++) {
		action(&one);
	}
	id = p->id;
	CHECK_FUZZ(own(0x43, &id, 8, NULL, 0) == HV_SUCCESS);
	fake_check_partitions(true);
	CHECK_FUZZ(heap_available() == heap);
	return 0;
}
