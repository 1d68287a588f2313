// SPDX-License-Identifier: MIT
/*
 * The switch's decisions. Input: a record: 1 with uplink; then a script of ports that come and go and of frames. Checked against rules
 * written down a second time: never back to where it came from, never with a false source address, to each at most once, to ports that are there.
 */
#include <stdlib.h>
#include <string.h>

#include "fuzz/script.h"
#include "hv/wire/ethsw.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The model: addresses by index. */
static struct {
	bool there;
	uint32_t id;
	uint8_t mac[6];
} model[ETHSW_PORTS_MAX];
static bool uplink;

/* Few addresses, so that they meet. */
static void take_mac(struct script *s, uint8_t mac[6])
{
	uint8_t kind = (uint8_t)script_take(s, 1);

	memset(mac, 0, 6);
	if (kind >= 0xf0) {
		for (uint32_t i = 0; i < 6; i++) {
			mac[i] = (uint8_t)script_take(s, 1);
		}
	} else if (kind >= 0xe0) {
		memset(mac, 0xff, 6);
	} else if (kind >= 0xc0) { /* reserved below 0xd0 */
		memcpy(mac, "\x01\x80\xc2\x00\x00", 5);
		mac[5] = kind & 0x1f;
	} else if (kind != 0) {
		mac[0] = 0x02 | (kind >> 6 & 1);
		mac[5] = kind & 0x3f;
	}
}

static uint32_t model_of(const uint8_t *mac)
{
	for (uint32_t i = 0; i < ETHSW_PORTS_MAX; i++) {
		if (model[i].there && memcmp(model[i].mac, mac, 6) == 0) {
			return i;
		}
	}
	return ETHSW_PORTS_MAX;
}

static bool zero(const uint8_t *mac)
{
	static const uint8_t none[6];

	return memcmp(mac, none, 6) == 0;
}

static void add(struct ethsw *sw, struct script *s)
{
	uint32_t id = (uint32_t)script_take(s, 1), index;
	uint8_t mac[6];

	take_mac(s, mac);
	index = ethsw_add(sw, id, mac);
	if (index == ETHSW_PORTS_MAX) {
		return;
	}
	CHECK_FUZZ(index < ETHSW_PORTS_MAX && !model[index].there);
	CHECK_FUZZ((mac[0] & 1) == 0 && !zero(mac) && model_of(mac) == ETHSW_PORTS_MAX);
	model[index].there = true;
	model[index].id = id;
	memcpy(model[index].mac, mac, 6);
	CHECK_FUZZ(ethsw_find(sw, id) == index);
}

static void check_forwarded(uint32_t from, const uint8_t *f, uint32_t n, uint64_t to)
{
	bool tagged = f[12] == 0x81 && f[13] == 0;
	uint32_t owner = model_of(f + 6);

	CHECK_FUZZ(n >= 14 && n <= (tagged ? 1518u : 1514u));
	CHECK_FUZZ((to >> from & 1) == 0 && to != 0);
	CHECK_FUZZ((f[6] & 1) == 0 && !zero(f + 6));
	CHECK_FUZZ(from == ETHSW_UPLINK ? owner == ETHSW_PORTS_MAX : owner == from);
	CHECK_FUZZ(memcmp(f, "\x01\x80\xc2\x00\x00", 5) != 0 || f[5] > 15);
	for (uint32_t i = 0; i < ETHSW_PORTS_MAX; i++) {
		CHECK_FUZZ((to >> i & 1) == 0 || model[i].there);
	}
	CHECK_FUZZ(uplink || to >> ETHSW_UPLINK == 0);
	if ((f[0] & 1) == 0) {
		uint32_t target = model_of(f);

		/* to one, and to nobody but whom it is for */
		CHECK_FUZZ((to & (to - 1)) == 0);
		CHECK_FUZZ(to == 1ull << (target == ETHSW_PORTS_MAX ? ETHSW_UPLINK : target));
	}
}

static void frame(struct ethsw *sw, struct script *s)
{
	uint32_t from = (uint32_t)script_take(s, 1) % 66, n = (uint32_t)script_take(s, 2) % 1600;
	uint8_t head[14], *f = calloc(1, n == 0 ? 1 : n);
	uint64_t to = 0x5555;

	CHECK_FUZZ(f != NULL);
	take_mac(s, head);
	take_mac(s, head + 6);
	head[12] = (uint8_t)script_take(s, 1);
	head[13] = 0;
	memcpy(f, head, n < 14 ? n : 14);
	if (ethsw_decide(sw, from, f, n, &to) == ETHSW_FORWARD) {
		CHECK_FUZZ(from == ETHSW_UPLINK ? uplink
						: from < ETHSW_PORTS_MAX && model[from].there);
		check_forwarded(from, f, n, to);
	} else {
		CHECK_FUZZ(to == 0);
	}
	free(f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct script all = { data, size, 0 }, s = { NULL, 0, 0 };
	struct ethsw sw;

	memset(model, 0, sizeof(model));
	(void)script_action(&all, &s);
	uplink = (script_take(&s, 1) & 1) != 0;
	ethsw_init(&sw, uplink);
	while (script_action(&all, &s)) {
		uint32_t op = (uint32_t)script_take(&s, 1) % 4;

		if (op == 0) {
			add(&sw, &s);
		} else if (op == 1) {
			uint32_t index = (uint32_t)script_take(&s, 1) % 64;

			ethsw_remove(&sw, index);
			if (index < ETHSW_PORTS_MAX) {
				model[index].there = false;
			}
		} else {
			frame(&sw, &s);
		}
	}
	return 0;
}
