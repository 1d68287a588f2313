/* SPDX-License-Identifier: MIT */
#ifndef HV_WIRE_ETHSW_H
#define HV_WIRE_ETHSW_H
/*
 * Where an Ethernet frame goes. A switch of ports, each with the one address that the manager gave it, and an uplink. It learns
 * nothing: no frame changes where the next one goes. Trust: no port and not the uplink.
 */
#include "hv/wire/view.h"

#define ETHSW_PORTS_MAX 63u
#define ETHSW_UPLINK 63u /* bit and index of the uplink */

#define ETHSW_FRAME_MIN 14u
#define ETHSW_FRAME_MAX 1514u /* 4 more with an 802.1Q tag */
#define ETHSW_BYTES_MAX 1518u

struct ethsw_port {
	bool used;
	uint32_t id; /* the manager's */
	uint8_t mac[6];
};

struct ethsw {
	struct ethsw_port port[ETHSW_PORTS_MAX];
	bool uplink;
};

enum ethsw_verdict {
	ETHSW_FORWARD,
	ETHSW_BAD_PORT, /* from a port that is not there */
	ETHSW_BAD_SIZE, /* too short or too long */
	ETHSW_SPOOFED, /* not the port's own source address; a port's address from the uplink; no station's address */
	ETHSW_RESERVED, /* to 01-80-C2-00-00-0x (802.1D: never forwarded) or to no address */
	ETHSW_NOWHERE,  /* nobody is there to have it */
	ETHSW_VERDICTS,
};

void ethsw_init(struct ethsw *sw, bool uplink);
/*
 * A port for the station `mac`. Answers its index, ETHSW_PORTS_MAX where it is refused: no room, an address that is a group's, zero
 * or another port's, an id that is taken.
 */
uint32_t ethsw_add(struct ethsw *sw, uint32_t id, const uint8_t mac[6]);
/* Index of the port, ETHSW_PORTS_MAX: none. */
uint32_t ethsw_find(const struct ethsw *sw, uint32_t id);
void ethsw_remove(struct ethsw *sw, uint32_t index);

/*
 * Decides about a frame of `length` bytes from port `from` (or ETHSW_UPLINK). *to is the set of ports that get it, each once, never
 * `from`; 0 unless ETHSW_FORWARD. Trust: frame and length are hostile; length bytes are readable.
 */
enum ethsw_verdict ethsw_decide(const struct ethsw *sw, uint32_t from, const uint8_t *frame,
				uint32_t length, uint64_t *to);

#endif
