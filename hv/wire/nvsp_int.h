/* SPDX-License-Identifier: MIT */
#ifndef HV_WIRE_NVSP_INT_H
#define HV_WIRE_NVSP_INT_H
/* Between nvsp_session.c (state, journal, packets) and nvsp_data.c (buffers, sections, frames). */
#include "hv/wire/nvsp_session.h"

/* What a kill must find in this order: the compiler keeps stores before it and after it apart. */
static inline void nvsp_store(uint32_t *at, uint32_t v)
{
	__atomic_store_n(at, v, __ATOMIC_RELEASE);
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
}

/* The GPADL of that number, NULL: none. */
const struct nvsp_gpadl *nvsp_find(const struct nvsp_io *io, uint32_t id);

/*
 * Serves the RNDIS message that packet p, of which m is the parsed NVSP message, points to: frames go to *b, the answer to a
 * control message to the replies. Answers the status for the guest. Trust: p, m, guest memory.
 */
enum nvsp_status nvsp_receive_rndis(struct nvsp_session *s, struct nvsp_io *io,
				    struct nvsp_batch *b, const struct ring_packet *p,
				    const struct nvsp_message *m);

/* The guest gave a section back. Trust: transaction. */
void nvsp_section_return(struct nvsp_session *s, uint64_t transaction);
void nvsp_sections_forget(struct nvsp_session *s);

/* Sends what waits for the guest, as far as there are sections and room. NVSP_OK or NVSP_BROKEN. */
enum nvsp_result nvsp_flush(struct nvsp_session *s, struct nvsp_io *io);
/* After a restart: was the push under way put into the ring? */
void nvsp_push_settle(struct nvsp_session *s, const struct ring *out);

#endif
