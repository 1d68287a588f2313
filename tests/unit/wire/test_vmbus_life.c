// SPDX-License-Identifier: MIT
/* The VMBus server over the lives of its guest and of its processes: contact anew, unload, restart, removal. */
#include "tests/unit/wire/vmbus_guest.h"

static const struct vmbus_channel *channel(uint32_t relid)
{
	return &w.s.channel[relid - 1];
}

/* ---- the guest begins anew ---- */

/* Trap 35: from any state, and the answer only when no process remembers anything. */
static void test_contact_again(void **state)
{
	(void)state;
	connected(VMBUS_5_3);
	channel_open(3, GPADL);
	channel_open(4, GPADL + 1);
	say(guest_gpadl(m, 1, GPADL + 2, 30, 26, 1));
	words(VMBUS_GPADL_TEARDOWN, 3, GPADL, 16);
	words(VMBUS_CLOSE, 4, 0, 12);
	contact(VMBUS_5_2);
	assert_int_equal(w.s.state, VMBUS_RESETTING);
	assert_int_equal(w.s.pool_used, 0);
	words(VMBUS_REQUEST_OFFERS, 0, 0, 8); /* too early */
	silent();
	assert_false(w.proc[0].resetting); /* it was told of nothing */
	assert_true(w.proc[1].resetting && w.proc[2].resetting);
	world_reset_done(&w, 1);
	silent();
	world_closed(&w, 2, 0, 0); /* of before */
	world_reset_done(&w, 2);
	world_drain(&w);
	heard(VMBUS_VERSION_RESPONSE, 1);
	assert_int_equal(w.s.version, VMBUS_5_2);
	/* The same ids again, and all of it works. */
	words(VMBUS_REQUEST_OFFERS, 0, 0, 8);
	world_settle(&w);
	assert_int_equal(le32(w.message), VMBUS_ALL_OFFERS);
	channel_open(3, GPADL);
	channel_open(4, GPADL + 1);
	/* A contact that is refused takes all away as well. */
	contact(VMBUS_VERSION(3, 0));
	world_settle(&w);
	heard(VMBUS_VERSION_RESPONSE, 0);
	assert_int_equal(w.s.state, VMBUS_DISCONNECTED);
	assert_int_equal(w.proc[1].channel[3], PC_CLOSED);
}

/* What waits for a guest that is no more is not said to the next one. */
static void test_stale_messages(void **state)
{
	unsigned sent;

	(void)state;
	connected(VMBUS_5_3);
	for (unsigned i = 0; i < 50; i++) {
		words(VMBUS_GPADL_TEARDOWN, 1, i, 16);
	}
	contact(VMBUS_5_3);
	sent = w.sent;
	world_settle(&w);
	assert_int_equal(w.sent, sent + 1);
	heard(VMBUS_VERSION_RESPONSE, 1);
}

/* The newest of several is answered, once. */
static void test_contact_while_resetting(void **state)
{
	unsigned sent;

	(void)state;
	connected(VMBUS_5_3);
	channel_open(3, GPADL);
	sent = w.sent;
	words(VMBUS_UNLOAD, 0, 0, 8);
	silent();
	contact(VMBUS_5_3);
	words(VMBUS_UNLOAD, 0, 0, 8);
	contact(VMBUS_4_1);
	silent();
	world_settle(&w);
	assert_int_equal(w.sent, sent + 1);
	heard(VMBUS_VERSION_RESPONSE, 1);
	assert_int_equal(le32(w.message + 12), 1);
	assert_int_equal(w.s.state, VMBUS_CONNECTED);
	words(VMBUS_UNLOAD, 0, 0, 8); /* nobody knows anything: at once */
	world_drain(&w);
	assert_int_equal(le32(w.message), VMBUS_UNLOAD_RESPONSE);
}

/* Trap 45. */
static void test_unload(void **state)
{
	(void)state;
	connected(VMBUS_5_3);
	channel_open(1, GPADL);
	channel_open(3, GPADL + 1);
	words(VMBUS_UNLOAD, 0, 0, 8);
	silent();
	words(VMBUS_UNLOAD, 0, 0, 8); /* the panic notifier and kexec both do */
	world_reset_done(&w, 0);
	silent();
	world_reset_done(&w, 1);
	world_drain(&w);
	assert_int_equal(le32(w.message), VMBUS_UNLOAD_RESPONSE);
	assert_int_equal(w.s.state, VMBUS_DISCONNECTED);
	assert_int_equal(w.s.pool_used, 0);
	say(guest_gpadl(m, 1, GPADL, 1, 1, 1));
	words(VMBUS_REQUEST_OFFERS, 0, 0, 8);
	silent();
	contact(VMBUS_5_3);
	world_settle(&w);
	heard(VMBUS_VERSION_RESPONSE, 1);
}

/* A message that moves things about while a reset is asked for and not yet done, or a process dies in it. */
static void test_reset_and_restart(void **state)
{
	(void)state;
	connected(VMBUS_5_3);
	channel_open(1, GPADL);
	channel_open(3, GPADL + 1);
	w.proc[0].dead = true;
	contact(VMBUS_5_3);
	world_drain(&w);
	assert_true(w.proc[1].resetting && !w.proc[0].resetting);
	world_reset_done(&w, 1);
	silent();
	world_restarted(&w, 0); /* it remembers nothing */
	world_drain(&w);
	heard(VMBUS_VERSION_RESPONSE, 1);
	assert_false(w.proc[0].resetting);
	assert_int_equal(w.s.touched, 0);
	/* Asked, then dead. */
	words(VMBUS_REQUEST_OFFERS, 0, 0, 8);
	world_settle(&w);
	channel_open(1, GPADL);
	words(VMBUS_UNLOAD, 0, 0, 8);
	silent();
	world_restarted(&w, 0);
	world_drain(&w);
	assert_int_equal(le32(w.message), VMBUS_UNLOAD_RESPONSE);
}

/* ---- a process is started again ---- */

static void test_restart(void **state)
{
	unsigned sent;

	(void)state;
	connected(VMBUS_5_3);
	channel_open(3, GPADL);
	gpadl(3, GPADL + 1, 100);
	gpadl(3, GPADL + 2, 5);
	channel_open(1, GPADL + 3);
	words(VMBUS_MODIFY_CHANNEL, 3, 3, 16);
	world_settle(&w);
	sent = w.sent;
	w.proc[1].dead = true;
	world_drain(&w);
	words(VMBUS_GPADL_TEARDOWN, 3, GPADL + 2, 16);
	world_restarted(&w, 1);
	world_drain(&w);
	/* It has all of it again, as it was before the guest's last words; the guest heard nothing but the answer. */
	assert_non_null(proc_find(&w.proc[1], 0, GPADL));
	assert_non_null(proc_find(&w.proc[1], 0, GPADL + 1));
	assert_null(proc_find(&w.proc[1], 0, GPADL + 2));
	assert_int_equal(w.proc[1].channel[3], PC_OPENING);
	assert_int_equal(w.proc[1].vp[3], 3);
	assert_int_equal(w.sent, sent + 1);
	heard(VMBUS_GPADL_TORNDOWN, GPADL + 2);
	world_settle(&w);
	assert_int_equal(w.sent, sent + 1);
	assert_int_equal(w.proc[1].channel[3], PC_OPEN);
	assert_int_equal(channel(3)->state, VMBUS_CH_OPEN);
	/* The other process was not bothered. */
	assert_int_equal(w.proc[0].channel[1], PC_OPEN);
	/* And the guest closes it as ever. */
	words(VMBUS_CLOSE, 3, 0, 12);
	words(VMBUS_GPADL_TEARDOWN, 3, GPADL, 16);
	world_settle(&w);
	heard(VMBUS_GPADL_TORNDOWN, GPADL);
}

/* It dies while something is under way: each is answered, once. */
static void test_restart_under_way(void **state)
{
	(void)state;
	connected(VMBUS_5_3);
	gpadl(3, GPADL, 64);
	gpadl(3, GPADL + 1, 4);
	say(guest_open(m, 3, GPADL, 0, 32));
	world_drain(&w); /* opening */
	words(VMBUS_GPADL_TEARDOWN, 3, GPADL + 1, 16);
	world_drain(&w); /* freeing */
	world_restarted(&w, 1);
	world_drain(&w);
	heard(VMBUS_GPADL_TORNDOWN, GPADL + 1);
	world_settle(&w);
	heard_status(VMBUS_OPEN_RESULT, 3, 3, true);
	/* Closing, and opened again by the guest. */
	words(VMBUS_CLOSE, 3, 0, 12);
	world_drain(&w);
	say(guest_open(m, 3, GPADL, 1, 32));
	silent();
	world_restarted(&w, 1);
	silent();
	assert_int_equal(w.proc[1].channel[3], PC_OPENING);
	world_settle(&w);
	heard_status(VMBUS_OPEN_RESULT, 3, 3, true);
	/* Closing. */
	words(VMBUS_CLOSE, 3, 0, 12);
	words(VMBUS_GPADL_TEARDOWN, 3, GPADL, 16);
	silent();
	world_restarted(&w, 1);
	world_drain(&w);
	heard(VMBUS_GPADL_TORNDOWN, GPADL);
	assert_int_equal(channel(3)->state, VMBUS_CH_CLOSED);
	assert_int_equal(w.s.pool_used, 0);
}

/* While it is away the guest's OPEN waits; a close before that leaves nothing to open. */
static void test_restart_away(void **state)
{
	(void)state;
	connected(VMBUS_5_3);
	channel_open(3, GPADL);
	channel_open(4, GPADL + 1);
	w.proc[1].dead = true;
	words(VMBUS_CLOSE, 3, 0, 12);
	say(guest_open(m, 3, GPADL, 0, 32));
	silent();
	world_restarted(&w, 1);
	world_settle(&w);
	heard_status(VMBUS_OPEN_RESULT, 3, 3, true);
	world_restarted(&w, 1);
	words(VMBUS_CLOSE, 3, 0, 12); /* silently being opened */
	world_settle(&w);
	assert_int_equal(w.proc[1].channel[3], PC_CLOSED);
	assert_int_equal(channel(3)->state, VMBUS_CH_CLOSED);
}

/* The new process cannot serve it: the guest must not believe it open. */
static void test_restart_fails(void **state)
{
	unsigned released;

	(void)state;
	connected(VMBUS_5_3);
	channel_open(3, GPADL);
	world_restarted(&w, 1);
	world_drain(&w);
	world_opened(&w, 1, 0, 0, 1);
	world_drain(&w);
	heard(VMBUS_RESCIND, 3);
	world_settle(&w);
	assert_int_equal(w.s.pool_used, 0);
	released = w.released;
	words(VMBUS_RELID_RELEASED, 3, 0, 12);
	world_settle(&w);
	assert_int_equal(w.released, released + 1);
	assert_int_equal(channel(3)->device_state, VMBUS_DEVICE_NONE);
}

/* ---- a device goes, and comes ---- */

static void test_remove(void **state)
{
	struct vmbus_device d = world_device(2, 0);

	(void)state;
	connected(VMBUS_5_3);
	channel_open(3, GPADL);
	gpadl(3, GPADL + 1, 4);
	say(guest_gpadl(m, 3, GPADL + 2, 30, 26, 1));
	assert_true(vmbus_server_remove(&w.s, 3));
	assert_false(vmbus_server_remove(&w.s, 3));
	assert_false(vmbus_server_remove(&w.s, 0));
	assert_false(vmbus_server_remove(&w.s, 7));
	assert_false(vmbus_server_remove(&w.s, 33));
	world_check(&w);
	words(VMBUS_RELID_RELEASED, 3, 0, 12); /* it cannot know yet */
	assert_int_equal(channel(3)->offer, VMBUS_RESCINDED);
	world_drain(&w);
	heard(VMBUS_RESCIND, 3);
	assert_int_equal(w.created_owed, 0); /* the half assembled one was refused */
	/* What the guest says of it before it has heard. */
	words(VMBUS_CLOSE, 3, 0, 12);
	say(guest_open(m, 3, GPADL, 0, 32));
	silent(); /* OPEN of a rescinded channel is not answered */
	say(guest_gpadl(m, 3, GPADL + 3, 1, 1, 1));
	world_drain(&w);
	heard_status(VMBUS_GPADL_CREATED, 3, GPADL + 3, false);
	words(VMBUS_MODIFY_CHANNEL, 3, 0, 16);
	world_drain(&w);
	assert_int_not_equal(le32(w.message + 12), 0);
	words(VMBUS_GPADL_TEARDOWN, 3, GPADL + 1, 16);
	assert_int_equal(w.rescinded_done, 0);
	world_settle(&w);
	heard(VMBUS_GPADL_TORNDOWN, GPADL + 1);
	assert_int_equal(w.s.pool_used, 0);
	assert_int_equal(w.rescinded_done, 1);
	assert_int_equal(w.released, 0);
	assert_int_equal(vmbus_server_add(&w.s, &d), 0); /* its name is still in use */
	words(VMBUS_RELID_RELEASED, 3, 0, 12);
	words(VMBUS_RELID_RELEASED, 3, 0, 12);
	world_settle(&w);
	assert_int_equal(w.released, 1);
	words(VMBUS_RELID_RELEASED, 1, 0, 12); /* nobody asked for that */
	words(VMBUS_RELID_RELEASED, 0xffffffff, 0, 12);
	assert_int_equal(channel(1)->offer, VMBUS_OFFERED);
	/* It comes back. */
	assert_int_equal(vmbus_server_add(&w.s, &d), 3);
	world_settle(&w);
	assert_int_equal(le32(w.message), VMBUS_OFFER);
	assert_int_equal(le32(w.message + 184), 3);
	channel_open(3, GPADL);
	assert_int_equal(w.s.counts.lost, 0);
}

/* Under way: OPEN, and a teardown of the ring, are answered. */
static void test_remove_under_way(void **state)
{
	(void)state;
	connected(VMBUS_5_3);
	gpadl(3, GPADL, 64);
	say(guest_open(m, 3, GPADL, 0, 32));
	world_drain(&w);
	assert_true(vmbus_server_remove(&w.s, 3));
	world_settle(&w); /* counts */
	assert_int_equal(w.s.pool_used, 0);
	assert_int_equal(w.proc[1].channel[3], PC_CLOSED);
	channel_open(4, GPADL);
	words(VMBUS_GPADL_TEARDOWN, 4, GPADL, 16);
	assert_true(vmbus_server_remove(&w.s, 4));
	world_settle(&w);
	assert_int_equal(w.rescinded_done, 2);
	/* The guest releases while its process still closes. */
	channel_open(5, GPADL);
	assert_true(vmbus_server_remove(&w.s, 5));
	world_drain(&w);
	words(VMBUS_RELID_RELEASED, 5, 0, 12);
	world_drain(&w);
	assert_int_equal(w.released, 0);
	world_settle(&w);
	assert_int_equal(w.released, 1);
}

/* The guest never released it, or never knew it: a new contact is the end of it. */
static void test_remove_and_contact(void **state)
{
	(void)state;
	connected(VMBUS_5_3);
	channel_open(3, GPADL);
	assert_true(vmbus_server_remove(&w.s, 3));
	contact(VMBUS_5_3);
	world_drain(&w);
	assert_int_equal(w.released, 0); /* its process has still to forget */
	world_settle(&w);
	assert_int_equal(w.rescinded_done, 1);
	assert_int_equal(w.released, 1);
	assert_true(vmbus_server_remove(&w.s, 4)); /* not offered */
	world_settle(&w);
	heard(VMBUS_VERSION_RESPONSE, 1);
	assert_int_equal(w.released, 2);
	words(VMBUS_REQUEST_OFFERS, 0, 0, 8);
	world_settle(&w);
	assert_false(w.told[3] || w.told[4]);
	assert_true(w.told[1] && w.told[6]);
}

static void test_add(void **state)
{
	struct vmbus_device d = world_device(0, 0);

	(void)state;
	connected(VMBUS_5_3);
	assert_int_equal(vmbus_server_add(&w.s, &d), 0); /* is there */
	d.unit = 77;
	assert_int_equal(vmbus_server_add(&w.s, &d), 0); /* so is this name */
	d.instance.b[0] ^= 1;
	d.socket = VMBUS_SOCKETS_MAX;
	assert_int_equal(vmbus_server_add(&w.s, &d), 0);
	d.socket = 3;
	for (uint32_t relid = WORLD_DEVICES + 1; relid <= VMBUS_CHANNELS_MAX; relid++) {
		d.unit = relid;
		d.instance.b[1] = (uint8_t)relid;
		assert_int_equal(vmbus_server_add(&w.s, &d), relid);
		world_settle(&w);
		assert_int_equal(le32(w.message + 184), relid); /* hot-added */
	}
	d.unit = 99;
	d.instance.b[1] = 99;
	assert_int_equal(vmbus_server_add(&w.s, &d), 0);
	channel_open(VMBUS_CHANNELS_MAX, GPADL);
	/* All of them at once. */
	contact(VMBUS_5_3);
	world_settle(&w);
	words(VMBUS_REQUEST_OFFERS, 0, 0, 8);
	world_settle(&w);
	assert_true(w.told[VMBUS_CHANNELS_MAX]);
}

static void test_sub_channels(void **state)
{
	struct vmbus_device d = world_device(2, 1), other = world_device(2, 2);

	(void)state;
	world_init(&w);
	assert_int_equal(vmbus_server_add(&w.s, &d), 0); /* nobody can have asked */
	connected(VMBUS_5_3);
	channel_open(3, GPADL);
	assert_int_equal(vmbus_server_add(&w.s, &d), 7);
	assert_int_equal(vmbus_server_add(&w.s, &d), 0);
	assert_int_equal(vmbus_server_add(&w.s, &other), 8);
	world_settle(&w);
	assert_int_equal(le16(w.message + 180), 2);
	channel_open(7, GPADL + 1);
	assert_int_equal(w.last.what, VMBUS_DO_OPEN);
	assert_int_equal(w.last.unit, 0);
	assert_int_equal(w.last.sub, 1);
	/* With their primary they go. */
	assert_true(vmbus_server_remove(&w.s, 3));
	world_settle(&w);
	assert_true(w.rescinded[3] && w.rescinded[7] && w.rescinded[8]);
	words(VMBUS_RELID_RELEASED, 7, 0, 12);
	words(VMBUS_RELID_RELEASED, 8, 0, 12);
	words(VMBUS_RELID_RELEASED, 3, 0, 12);
	world_settle(&w);
	assert_int_equal(w.released, 3);
	/* And with the connection: the driver asks anew. */
	d = world_device(2, 0);
	assert_int_equal(vmbus_server_add(&w.s, &d), 3);
	d.sub = 1;
	assert_int_equal(vmbus_server_add(&w.s, &d), 7);
	world_settle(&w);
	channel_open(7, GPADL);
	contact(VMBUS_5_3);
	world_settle(&w);
	assert_int_equal(w.released, 4);
	words(VMBUS_REQUEST_OFFERS, 0, 0, 8);
	world_settle(&w);
	assert_true(w.told[3] && !w.told[7]);
}

/* Words of a process that fit nothing, and of one about another's device. */
static void test_device_faults(void **state)
{
	(void)state;
	connected(VMBUS_5_3);
	channel_open(3, GPADL);
	gpadl(4, GPADL + 1, 64);
	say(guest_open(m, 4, GPADL + 1, 0, 32));
	words(VMBUS_CLOSE, 3, 0, 12);
	words(VMBUS_GPADL_TEARDOWN, 3, GPADL, 16);
	world_drain(&w);
	world_opened(&w, 1, 0, 0, 0); /* it is closing: late, no fault */
	world_opened(&w, 0, 0, 0, 0);
	world_opened(&w, 2, 1, 0, 0);
	world_opened(&w, 77, 0, 0, 0);
	world_closed(&w, 2, 0, 0); /* it is opening */
	world_closed(&w, 1, 1, 0);
	world_closed(&w, 1, 0, 1);
	world_freed(&w, 1, 0, GPADL); /* in use */
	world_freed(&w, 1, 0, 12345);
	world_reset_done(&w, 1);
	world_reset_done(&w, 32);
	world_reset_done(&w, 0xffffffff);
	assert_int_equal(w.s.counts.device, 11);
	world_closed(&w, 1, 0, 0);
	world_drain(&w);              /* freeing */
	world_freed(&w, 2, 0, GPADL); /* another process, another unit */
	world_freed(&w, 1, 1, GPADL);
	assert_int_equal(w.s.counts.device, 13);
	assert_non_null(ring_of(&w.s, GPADL));
	world_settle(&w); /* counts the answers */
	assert_null(ring_of(&w.s, GPADL));
	vmbus_server_restarted(&w.s, 32);
	world_check(&w);
}

/* A process that does not read holds up nobody else, and what it was not told can still be taken back. */
static void test_blocked_process(void **state)
{
	(void)state;
	connected(VMBUS_5_3);
	say(guest_gpadl(m, 3, GPADL, 4, 4, 1));
	say(guest_open(m, 3, GPADL, 0, 2));
	say(guest_gpadl(m, 4, GPADL + 1, 4, 4, 1));
	say(guest_open(m, 4, GPADL + 1, 0, 2));
	while (world_step(&w, ~2u, true)) {
	}
	assert_int_equal(w.proc[2].channel[4], PC_OPENING);
	assert_int_equal(w.proc[1].channel[3], PC_CLOSED);
	words(VMBUS_CLOSE, 3, 0, 12);
	words(VMBUS_GPADL_TEARDOWN, 3, GPADL, 16);
	world_settle(&w);
	assert_int_equal(w.s.touched, 4);
	contact(VMBUS_5_3);
	world_drain(&w);
	assert_false(w.proc[1].resetting);
}

/* All that can be owed at once finds room, though the guest takes nothing: the worst that VMBUS_MESSAGES_RESERVED is for. */
static void test_reserve(void **state)
{
	struct vmbus_device d = world_device(0, 0);
	uint32_t filled;

	(void)state;
	connected(VMBUS_5_3);
	for (uint32_t relid = WORLD_DEVICES + 1; relid <= VMBUS_CHANNELS_MAX; relid++) {
		d.socket = relid % WORLD_SOCKETS;
		d.unit = relid;
		d.instance.b[1] = (uint8_t)relid;
		assert_int_equal(vmbus_server_add(&w.s, &d), relid);
	}
	world_settle(&w);
	for (uint32_t i = 0; i < VMBUS_GPADLS_MAX; i++) {
		gpadl(1 + i % VMBUS_CHANNELS_MAX, GPADL + i, 4);
	}
	say(guest_gpadl(m, 1, GPADL + VMBUS_GPADLS_MAX, 1, 1, 1)); /* no place for one more */
	world_drain(&w);
	heard_status(VMBUS_GPADL_CREATED, 1, GPADL + VMBUS_GPADLS_MAX, false);
	for (uint32_t relid = 1; relid <= VMBUS_CHANNELS_MAX; relid++) {
		say(guest_open(m, relid, GPADL + relid - 1, 0, 2));
	}
	for (uint32_t i = 0; i < VMBUS_GPADLS_MAX; i++) {
		words(VMBUS_GPADL_TEARDOWN, 1 + i % VMBUS_CHANNELS_MAX, GPADL + i, 16);
	}
	world_drain(&w);
	assert_int_equal(w.s.message_count, 0);
	(void)guest_words(m, VMBUS_GPADL_TEARDOWN, 1, 5, 0);
	while (world_message(&w, 1, m, 16)) {
	}
	filled = w.s.message_count;
	while (world_step(&w, ~0u, false) || world_answer(&w, 0, 0)) {
	}
	for (uint32_t relid = 1; relid <= VMBUS_CHANNELS_MAX; relid++) {
		assert_true(vmbus_server_remove(&w.s, relid));
	}
	while (world_step(&w, ~0u, false) || world_answer(&w, 0, 0)) {
	}
	assert_int_equal(w.s.message_count, filled + 2 * VMBUS_CHANNELS_MAX + VMBUS_GPADLS_MAX);
	assert_int_equal(w.s.counts.lost, 0);
	world_settle(&w);
	assert_int_equal(w.s.pool_used, 0);
}

/* Done of what has lost its reason changes nothing. */
static void test_done_late(void **state)
{
	struct vmbus_action a;

	(void)state;
	connected(VMBUS_5_3);
	for (enum vmbus_do what = VMBUS_DO_NOTHING; what <= VMBUS_DO_RELEASED; what++) {
		memset(&a, 0, sizeof(a));
		a.what = what;
		a.relid = what % 2 == 0 ? 3 : 0xffffffff;
		a.gpadl = GPADL;
		world_mark(&w);
		vmbus_server_done(&w.s, &a);
		world_unchanged(&w, false);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_contact_again),
		cmocka_unit_test(test_stale_messages),
		cmocka_unit_test(test_contact_while_resetting),
		cmocka_unit_test(test_unload),
		cmocka_unit_test(test_reset_and_restart),
		cmocka_unit_test(test_restart),
		cmocka_unit_test(test_restart_under_way),
		cmocka_unit_test(test_restart_away),
		cmocka_unit_test(test_restart_fails),
		cmocka_unit_test(test_remove),
		cmocka_unit_test(test_remove_under_way),
		cmocka_unit_test(test_remove_and_contact),
		cmocka_unit_test(test_add),
		cmocka_unit_test(test_sub_channels),
		cmocka_unit_test(test_device_faults),
		cmocka_unit_test(test_blocked_process),
		cmocka_unit_test(test_reserve),
		cmocka_unit_test(test_done_late),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
