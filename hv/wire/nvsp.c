/* SPDX-License-Identifier: MIT */
#include "hv/wire/nvsp.h"

#include "hv/wire/mem.h"

#define MDL_CHAIN_MAX 34u

static uint32_t field32(const uint8_t *bytes, uint32_t at)
{
	return le32(bytes + at);
}

static void put32(uint8_t *out, uint32_t at, uint32_t v)
{
	out[at] = (uint8_t)v;
	out[at + 1] = (uint8_t)(v >> 8);
	out[at + 2] = (uint8_t)(v >> 16);
	out[at + 3] = (uint8_t)(v >> 24);
}

/* Bytes that a message of this type needs, 0: not a guest's. */
static uint32_t bytes_of(uint32_t type)
{
	switch (type) {
	case NVSP_INIT:
	case NVSP_NDIS_VERSION:
	case NVSP_SUBCHANNEL:
		return 12;
	case NVSP_SEND_RECEIVE_BUFFER:
	case NVSP_SEND_SEND_BUFFER:
		return 10;
	case NVSP_REVOKE_RECEIVE_BUFFER:
	case NVSP_REVOKE_SEND_BUFFER:
		return 6;
	case NVSP_RNDIS:
		return 16;
	case NVSP_RNDIS_COMPLETE:
	case NVSP_SWITCH_DATA_PATH:
		return 8;
	case NVSP_NDIS_CONFIG:
		return 20;
	default:
		return 0;
	}
}

static void parse_fields(const uint8_t *bytes, struct nvsp_message *out)
{
	switch (out->type) {
	case NVSP_INIT:
		out->init.min = field32(bytes, 4);
		out->init.max = field32(bytes, 8);
		break;
	case NVSP_NDIS_VERSION:
		out->ndis_version.major = field32(bytes, 4);
		out->ndis_version.minor = field32(bytes, 8);
		break;
	case NVSP_SEND_RECEIVE_BUFFER:
	case NVSP_SEND_SEND_BUFFER:
		out->buffer.gpadl = field32(bytes, 4);
		out->buffer.id = le16(bytes + 8);
		break;
	case NVSP_REVOKE_RECEIVE_BUFFER:
	case NVSP_REVOKE_SEND_BUFFER:
		out->revoke.id = le16(bytes + 4);
		break;
	case NVSP_RNDIS:
		out->rndis.channel = field32(bytes, 4);
		out->rndis.section = field32(bytes, 8);
		out->rndis.length = field32(bytes, 12);
		break;
	case NVSP_RNDIS_COMPLETE:
		out->complete.status = field32(bytes, 4);
		break;
	case NVSP_NDIS_CONFIG:
		out->ndis_config.mtu = field32(bytes, 4);
		out->ndis_config.capabilities = le64(bytes + 12);
		break;
	case NVSP_SWITCH_DATA_PATH:
		out->data_path.active = field32(bytes, 4);
		break;
	default: /* NVSP_SUBCHANNEL */
		out->subchannel.operation = field32(bytes, 4);
		out->subchannel.count = field32(bytes, 8);
		break;
	}
}

bool nvsp_parse(const uint8_t *bytes, uint32_t size, struct nvsp_message *out)
{
	uint32_t need;

	memset(out, 0, sizeof(*out));
	if (size < 4) {
		return false;
	}
	need = bytes_of(field32(bytes, 0));
	if (need == 0 || size < need) {
		return false;
	}
	out->type = field32(bytes, 0);
	parse_fields(bytes, out);
	return true;
}

enum nvsp_status nvsp_choose_version(uint32_t min, uint32_t max, uint32_t *version)
{
	static const uint32_t known[] = { NVSP_VERSION_61, NVSP_VERSION_6, NVSP_VERSION_5 };

	*version = 0;
	for (uint32_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		if (min <= known[i] && known[i] <= max) {
			*version = known[i];
			return NVSP_SUCCESS;
		}
	}
	if (max < NVSP_VERSION_5) {
		return NVSP_TOO_OLD;
	}
	return min > NVSP_VERSION_61 ? NVSP_TOO_NEW : NVSP_UNSUPPORTED;
}

static void begin(uint8_t out[NVSP_BYTES], enum nvsp_type type)
{
	memset(out, 0, NVSP_BYTES);
	put32(out, 0, type);
}

void nvsp_build_init_complete(uint8_t out[NVSP_BYTES], enum nvsp_status status, uint32_t version)
{
	begin(out, NVSP_INIT_COMPLETE);
	put32(out, 4, version);
	put32(out, 8, MDL_CHAIN_MAX);
	put32(out, 12, status);
}

void nvsp_build_receive_buffer_complete(uint8_t out[NVSP_BYTES], enum nvsp_status status,
					uint32_t sections, uint32_t section_bytes)
{
	begin(out, NVSP_SEND_RECEIVE_BUFFER_COMPLETE);
	put32(out, 4, status);
	if (status != NVSP_SUCCESS) {
		return;
	}
	put32(out, 8, 1);  /* section arrays */
	put32(out, 12, 0); /* its offset */
	put32(out, 16, section_bytes);
	put32(out, 20, sections);
	put32(out, 24, (uint32_t)((uint64_t)sections * section_bytes)); /* its end */
}

void nvsp_build_send_buffer_complete(uint8_t out[NVSP_BYTES], enum nvsp_status status,
				     uint32_t section_bytes)
{
	begin(out, NVSP_SEND_SEND_BUFFER_COMPLETE);
	put32(out, 4, status);
	put32(out, 8, section_bytes);
}

void nvsp_build_rndis_complete(uint8_t out[NVSP_BYTES], enum nvsp_status status)
{
	begin(out, NVSP_RNDIS_COMPLETE);
	put32(out, 4, status);
}

void nvsp_build_subchannel_complete(uint8_t out[NVSP_BYTES], enum nvsp_status status,
				    uint32_t count)
{
	begin(out, NVSP_SUBCHANNEL);
	put32(out, 4, status);
	put32(out, 8, count);
}

void nvsp_build_rndis(uint8_t out[NVSP_BYTES], enum nvsp_channel channel)
{
	begin(out, NVSP_RNDIS);
	put32(out, 4, channel);
	put32(out, 8, NVSP_SECTION_NONE);
}
