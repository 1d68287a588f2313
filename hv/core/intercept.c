/* SPDX-License-Identifier: MIT */
#include "hv/core/intercept.h"

#include "hv/core/arch.h"
#include "hv/core/connect.h"
#include "hv/core/log.h"
#include "hv/core/owner.h"
#include "hv/core/vp.h"

#define SLOT_WINDOW 2

static void header(struct vp *vp, struct hv_intercept_header *h, unsigned length, bool write)
{
	h->vp = vp->index;
	h->length = length & 15;
	h->cr8 = (arch_vp_tpr(vp) >> 4) & 15;
	h->access = write ? 1 : 0;
	h->cs_base = arch_vp_segment_base(vp, 1);
	h->rip = vp->rip;
	h->rflags = vp->rflags;
}

/*
 * [owner] The order matters: the message first, then the suspension, after which the parent may touch the VP, then the notice. A VP
 * without a page stays suspended for ever, which is its parent's doing.
 */
static void send(struct vp *vp, struct hv_message *m, size_t payload)
{
	hpa_t page = vp->intercept_page;

	m->payload_size = (uint8_t)payload;
	m->sender = vp->partition->id;
	__atomic_fetch_add(&vp->partition->intercepts, 1, __ATOMIC_RELAXED);
	if (page.v != 0) {
		__builtin_memcpy(arch_window_open(SLOT_WINDOW, page), m, sizeof(*m));
		arch_window_close(SLOT_WINDOW);
	}
	__atomic_fetch_or(&vp->suspended, VP_SUSPEND_INTERCEPT, __ATOMIC_SEQ_CST);
	if (page.v != 0) {
		connect_notify_root(vp->intercept_flag);
	}
}

static bool wanted(const struct partition *p, uint32_t port, uint32_t size)
{
	uint32_t n = __atomic_load_n(&p->port_ranges, __ATOMIC_ACQUIRE);

	for (uint32_t i = 0; i < n && i < PARTITION_PORT_RANGES; i++) {
		if (port >= p->port_range[i].first && port + size - 1 <= p->port_range[i].last) {
			return true;
		}
	}
	return false;
}

/* Trust: port, size and data are the guest's. String instructions have no user among stock guests: #GP. */
void intercept_port(struct vp *vp, const struct exit_info *e)
{
	unsigned size = e->port.size;
	uint64_t mask = size == 4 ? 0xffffffffull : (1ull << (size * 8)) - 1;
	struct hv_message m = { .type = HV_MESSAGE_IO_PORT };
	struct hv_io_port_intercept io = { .port = e->port.port, .rax = vp->regs[REG_RAX] };

	if (e->port.string || size + (uint32_t)e->port.port > 0x10000) {
		partition_count(&vp->partition->denied_port);
		log_guest(vp, "string I/O on port %x: #GP", e->port.port);
		vp_inject_gp(vp);
		return;
	}
	if (!wanted(vp->partition, e->port.port, size)) {
		if (e->port.in) {
			vp->regs[REG_RAX] = size == 4 ? mask : vp->regs[REG_RAX] | mask;
		}
		arch_vp_advance(vp, e->length);
		return;
	}
	header(vp, &io.header, e->length, !e->port.in);
	io.access_info = (uint8_t)size;
	__builtin_memcpy(m.payload, &io, sizeof(io));
	send(vp, &m, sizeof(io));
}

/* Nothing is there. The parent hears of it; a stock guest does not do this. */
void intercept_memory(struct vp *vp, const struct exit_info *e)
{
	struct hv_message m = { .type = HV_MESSAGE_UNMAPPED_GPA };
	struct hv_memory_intercept mi = { .gpa = e->memory.gpa.v };

	partition_count(&vp->partition->denied_memory);
	log_guest(vp, "no memory at %lx, rip %lx", e->memory.gpa.v, vp->rip);
	header(vp, &mi.header, 0, e->memory.write);
	if (e->memory.fetch) {
		mi.header.access = 2;
	}
	__builtin_memcpy(m.payload, &mi, sizeof(mi));
	send(vp, &m, sizeof(mi));
}

void intercept_dead(struct vp *vp, const char *why)
{
	struct hv_message m = { .type = HV_MESSAGE_UNRECOVERABLE };
	struct hv_intercept_header h = { 0 };

	log_guest(vp, "%s at rip %lx; stopped", why, vp->rip);
	vp->state = VP_DEAD;
	header(vp, &h, 0, false);
	__builtin_memcpy(m.payload, &h, sizeof(h));
	send(vp, &m, sizeof(h));
}
