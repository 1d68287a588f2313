/* SPDX-License-Identifier: MIT */
#ifndef HV_WIRE_HVSOCK_H
#define HV_WIRE_HVSOCK_H
/*
 * Packets of a connection of hv_sock, in-band in its ring (Linux: net/vmw_vsock/hyperv_transport.c): u32 type 1, u32 size, bytes,
 * zeros up to a multiple of 8. Size 0 says that no more bytes come.
 */
#include "hv/wire/view.h"

#define HVSOCK_HEADER 8u
#define HVSOCK_DATA_MAX 16384u

struct hvsock_packet {
	const uint8_t *data; /* in the payload */
	uint32_t size;       /* 0: the end of the stream */
};

/* Trust: payload[0..length) is the guest's, copied out of the ring. false: not such a packet. */
bool hvsock_parse(const uint8_t *payload, uint32_t length, struct hvsock_packet *p);
/* The header of a packet with `size` bytes, at most HVSOCK_DATA_MAX. */
void hvsock_header(uint8_t to[HVSOCK_HEADER], uint32_t size);

#endif
