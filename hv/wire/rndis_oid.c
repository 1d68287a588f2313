/* SPDX-License-Identifier: MIT */
/* What a guest may ask and set of its adapter: a closed list; nothing of it is an address, a handle or a text. */
#include "hv/wire/mem.h"
#include "hv/wire/rndis.h"

#define MTU 1500u
#define LINK_SPEED \
	100000000u /* in 100 bit/s: 10 Gbit/s, what the queue between processes may carry */

#define NDIS_OBJECT_OFFLOAD 0xa7u
#define NDIS_OBJECT_DEFAULT 0x80u
#define NDIS_HEADER 4u

/* struct ndis_offload, by revision; without a single offload only its header is not zero. */
#define OFFLOAD_BYTES_1 112u
#define OFFLOAD_BYTES_2 144u
#define OFFLOAD_BYTES_3 156u

/* struct ndis_offload_params: the bytes that switch something. */
#define PARAMETERS_MIN 22u /* of the oldest guests */
#define PARAMETERS_FLAGS 16u
#define PARAMETERS_FLAGS_END 20u
#define PARAMETERS_SWITCHES_MAX 26u
#define PARAMETER_DISABLED 1u /* 0: no change; above: on */

#define FILTERS_KNOWN                                                                  \
	(RNDIS_FILTER_DIRECTED | RNDIS_FILTER_MULTICAST | RNDIS_FILTER_ALL_MULTICAST | \
	 RNDIS_FILTER_BROADCAST | RNDIS_FILTER_PROMISCUOUS)

static uint32_t answer32(uint8_t *out, uint32_t *out_length, uint32_t v)
{
	out[0] = (uint8_t)v;
	out[1] = (uint8_t)(v >> 8);
	out[2] = (uint8_t)(v >> 16);
	out[3] = (uint8_t)(v >> 24);
	*out_length = 4;
	return RNDIS_STATUS_SUCCESS;
}

/* The guest says which revision it reads by the header of the structure that it sends along. */
static uint32_t offload_caps(const uint8_t *in, uint32_t length, uint8_t *out, uint32_t *out_length)
{
	uint32_t size = OFFLOAD_BYTES_1;
	uint8_t revision = 1;

	if (length >= NDIS_HEADER) {
		if (in[0] != NDIS_OBJECT_OFFLOAD || in[1] == 0 || le16(in + 2) > length) {
			return RNDIS_STATUS_INVALID_DATA;
		}
		if (in[1] >= 3 && le16(in + 2) >= OFFLOAD_BYTES_3) {
			revision = 3;
			size = OFFLOAD_BYTES_3;
		} else if (in[1] >= 2 && le16(in + 2) >= OFFLOAD_BYTES_2) {
			revision = 2;
			size = OFFLOAD_BYTES_2;
		}
	}
	memset(out, 0, size);
	out[0] = NDIS_OBJECT_OFFLOAD;
	out[1] = revision;
	out[2] = (uint8_t)size;
	*out_length = size;
	return RNDIS_STATUS_SUCCESS;
}

uint32_t rndis_query(const struct rndis_adapter *a, uint32_t oid, const uint8_t *in,
		     uint32_t length, uint8_t out[RNDIS_INFO_MAX], uint32_t *out_length)
{
	*out_length = 0;
	switch (oid) {
	case RNDIS_OID_MAXIMUM_FRAME_SIZE:
		return answer32(out, out_length, MTU);
	case RNDIS_OID_MAXIMUM_TOTAL_SIZE:
		return answer32(out, out_length, RNDIS_FRAME_MAX);
	case RNDIS_OID_LINK_SPEED:
		return answer32(out, out_length, LINK_SPEED);
	case RNDIS_OID_MEDIA_CONNECT_STATUS:
		return answer32(out, out_length, a->link_down);
	case RNDIS_OID_CURRENT_PACKET_FILTER:
		return answer32(out, out_length, a->filter);
	case RNDIS_OID_PERMANENT_ADDRESS:
	case RNDIS_OID_CURRENT_ADDRESS:
		memcpy(out, a->mac, sizeof(a->mac));
		*out_length = sizeof(a->mac);
		return RNDIS_STATUS_SUCCESS;
	case RNDIS_OID_OFFLOAD_HW_CAPS:
		return offload_caps(in, length, out, out_length);
	default:
		return RNDIS_STATUS_NOT_SUPPORTED;
	}
}

/* Nothing was offered, so nothing may be switched on; a guest that only says what it does without is told yes. */
static uint32_t offload_parameters(const uint8_t *in, uint32_t length)
{
	if (length < PARAMETERS_MIN) {
		return RNDIS_STATUS_INVALID_LENGTH;
	}
	if (in[0] != NDIS_OBJECT_DEFAULT || in[1] == 0 || le16(in + 2) > length) {
		return RNDIS_STATUS_INVALID_DATA;
	}
	for (uint32_t i = NDIS_HEADER; i < length && i < PARAMETERS_SWITCHES_MAX; i++) {
		bool is_switch = i < PARAMETERS_FLAGS || i >= PARAMETERS_FLAGS_END;

		if (is_switch && in[i] > PARAMETER_DISABLED) {
			return RNDIS_STATUS_NOT_SUPPORTED;
		}
	}
	return RNDIS_STATUS_SUCCESS;
}

uint32_t rndis_set(struct rndis_adapter *a, uint32_t oid, const uint8_t *in, uint32_t length)
{
	switch (oid) {
	case RNDIS_OID_CURRENT_PACKET_FILTER:
		if (length < 4) {
			return RNDIS_STATUS_INVALID_LENGTH;
		}
		if ((le32(in) & ~FILTERS_KNOWN) != 0) {
			return RNDIS_STATUS_NOT_SUPPORTED;
		}
		a->filter = le32(in);
		return RNDIS_STATUS_SUCCESS;
	case RNDIS_OID_OFFLOAD_PARAMETERS:
		return offload_parameters(in, length);
	default:
		return RNDIS_STATUS_NOT_SUPPORTED;
	}
}
