/* SPDX-License-Identifier: MIT */
#include "hv/core/intercept.h"

#include "hv/core/arch.h"
#include "hv/core/connect.h"
#include "hv/core/log.h"
#include "hv/core/mmio.h"
#include "hv/core/owner.h"
#include "hv/core/time.h"
#include "hv/core/vp.h"

#define SLOT_WINDOW 2
#define POSTED_HALF (HV_POSTED_ENTRIES / 2)
#define POSTED_PER_SECOND 1000 /* how often the parent is told at least */

_Static_assert(HV_POSTED_OFFSET >= sizeof(struct hv_message) &&
		       HV_POSTED_OFFSET + sizeof(struct hv_posted) <= PAGE_SIZE,
	       "beside the message");
_Static_assert((HV_POSTED_ENTRIES & (HV_POSTED_ENTRIES - 1)) == 0, "indices run over");

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
 * [owner] The order matters: the message, then the suspension, after which the parent may touch the VP, then the message's type,
 * for which the parent may look at any time, then the notice. A VP without a page stays suspended for ever, which is its
 * parent's doing.
 */
static void send(struct vp *vp, uint32_t type, const void *payload, size_t size)
{
	hpa_t page = vp->intercept_page;
	struct hv_message *to = NULL;
	struct hv_message m = { .payload_size = (uint8_t)size, .sender = vp->partition->id };

	__builtin_memcpy(m.payload, payload, size);
	__atomic_fetch_add(&vp->partition->intercepts, 1, __ATOMIC_RELAXED);
	if (page.v != 0) {
		to = arch_window_open(SLOT_WINDOW, page);
		__builtin_memcpy(to, &m, sizeof(m));
	}
	__atomic_fetch_or(&vp->suspended, VP_SUSPEND_INTERCEPT, __ATOMIC_SEQ_CST);
	if (to != NULL) {
		__atomic_store_n(&to->type, type, __ATOMIC_RELEASE);
		arch_window_close(SLOT_WINDOW);
		connect_notify_root(vp->intercept_flag);
	}
}

/* What the parent wants of this access; 0: nothing. */
static uint32_t wanted(const struct partition *p, uint32_t port, uint32_t size)
{
	uint32_t n = __atomic_load_n(&p->port_ranges, __ATOMIC_ACQUIRE);

	for (uint32_t i = n; i > 0; i--) {
		if (port >= p->port_range[i - 1].first &&
		    port + size - 1 <= p->port_range[i - 1].last) {
			return __atomic_load_n(&p->port_range[i - 1].how, __ATOMIC_ACQUIRE);
		}
	}
	return 0;
}

/*
 * [owner] One ring for all VPs, since guests hand a device from one to another. entry: NULL where the parent shall be told of what
 * waits. Trust: the consumer's index is the root's; any value of it makes a ring that is full or has room. Returns how many
 * entries waited; HV_POSTED_ENTRIES or more: the ring is full.
 */
static uint32_t post(struct vp *vp, const struct hv_posted_write *entry)
{
	struct partition *p = vp->partition;
	hpa_t page = p->vp[0]->intercept_page;
	struct hv_posted *ring;
	uint32_t used;

	if (page.v == 0) {
		return UINT32_MAX;
	}
	lock_acquire(&p->posted_lock);
	ring = (void *)((uint8_t *)arch_window_open(SLOT_WINDOW, page) + HV_POSTED_OFFSET);
	used = p->posted - __atomic_load_n(&ring->consumer, __ATOMIC_ACQUIRE);
	if (entry != NULL && used < HV_POSTED_ENTRIES) {
		ring->entry[p->posted % HV_POSTED_ENTRIES] = *entry;
		p->posted++;
		__atomic_store_n(&ring->producer, p->posted, __ATOMIC_RELEASE);
	}
	arch_window_close(SLOT_WINDOW);
	lock_release(&p->posted_lock);
	if (entry != NULL ? used == POSTED_HALF : used != 0) {
		connect_notify_root(p->vp[0]->intercept_flag);
	}
	return used;
}

void intercept_posted_due(struct vp *vp)
{
	(void)post(vp, NULL);
}

/* [owner] False: no room. */
static bool post_write(struct vp *vp, const struct exit_info *e)
{
	uint64_t mask = e->port.size == 4 ? 0xffffffffull : (1ull << (e->port.size * 8)) - 1;
	const struct hv_posted_write w = { .port = e->port.port,
					   .size = (uint8_t)e->port.size,
					   .value = (uint32_t)(vp->regs[REG_RAX] & mask) };

	if (post(vp, &w) >= HV_POSTED_ENTRIES) {
		return false;
	}
	if (vp->deadline[VP_TIMER_POSTED] == UINT64_MAX) {
		vp_timer_set(vp, VP_TIMER_POSTED, arch_tsc() + time_tsc_hz() / POSTED_PER_SECOND);
	}
	return true;
}

/* [owner] What the parent has said in advance. False: it must be asked. */
static bool answered(struct vp *vp, const struct exit_info *e, uint32_t how)
{
	if (e->port.in && (how & HV_INTERCEPT_CONSTANT_READ) != 0) { /* of one port: of one byte */
		vp->regs[REG_RAX] = (vp->regs[REG_RAX] & ~0xffull) | how >> 24;
	} else if (e->port.in || (how & HV_INTERCEPT_POSTED_WRITE) == 0 || !post_write(vp, e)) {
		return false;
	}
	arch_vp_advance(vp, e->length);
	return true;
}

/* Trust: port, size and data are the guest's. String instructions have no user among stock guests: #GP. */
void intercept_port(struct vp *vp, const struct exit_info *e)
{
	unsigned size = e->port.size;
	uint64_t mask = size == 4 ? 0xffffffffull : (1ull << (size * 8)) - 1;
	struct hv_io_port_intercept io = { .port = e->port.port, .rax = vp->regs[REG_RAX] };
	uint32_t how;

	if (e->port.string || size + (uint32_t)e->port.port > 0x10000) {
		partition_count(&vp->partition->denied_port);
		log_guest(vp, "string I/O on port %x: #GP", e->port.port);
		vp_inject_gp(vp);
		return;
	}
	how = wanted(vp->partition, e->port.port, size);
	if (how == 0) {
		if (e->port.in) {
			vp->regs[REG_RAX] = size == 4 ? mask : vp->regs[REG_RAX] | mask;
		}
		arch_vp_advance(vp, e->length);
		return;
	}
	if (answered(vp, e, how)) {
		return;
	}
	header(vp, &io.header, e->length, !e->port.in);
	io.access_info = (uint8_t)size;
	send(vp, HV_MESSAGE_IO_PORT, &io, sizeof(io));
}

/*
 * Nothing is there. Data are ones, as where a kernel looks for a device; the parent hears of code and page tables out there, after
 * which no guest can go on.
 */
void intercept_memory(struct vp *vp, const struct exit_info *e)
{
	struct hv_memory_intercept mi = { .gpa = e->memory.gpa.v };

	partition_count(&vp->partition->denied_memory);
	log_guest(vp, "no memory at %lx, rip %lx", e->memory.gpa.v, vp->rip);
	if (!e->memory.fetch && !e->memory.walk) {
		mmio_absent(vp, e);
		return;
	}
	header(vp, &mi.header, 0, e->memory.write);
	if (e->memory.fetch) {
		mi.header.access = 2;
	}
	send(vp, HV_MESSAGE_UNMAPPED_GPA, &mi, sizeof(mi));
}

void intercept_traced(struct vp *vp, const uint8_t *input)
{
	struct hv_traced_intercept t = { .rax = vp->regs[REG_RAX],
					 .rcx = vp->regs[REG_RCX],
					 .rdx = vp->regs[REG_RDX],
					 .r8 = vp->regs[REG_R8] };

	if (__atomic_load_n(&vp->partition->traced, __ATOMIC_RELAXED) == 0) {
		return;
	}
	header(vp, &t.header, 0, true);
	if (input != NULL) {
		__builtin_memcpy(t.input, input, sizeof(t.input));
	}
	send(vp, input != NULL ? HV_MESSAGE_HYPERCALL : HV_MESSAGE_MSR, &t, sizeof(t));
}

/* Message without more than the header. */
static void tell(struct vp *vp, uint32_t type)
{
	struct hv_intercept_header h = { 0 };

	header(vp, &h, 0, false);
	send(vp, type, &h, sizeof(h));
}

void intercept_halt(struct vp *vp)
{
	log_guest(vp, "halted with interrupts off, as are all others: rip %lx", vp->rip);
	tell(vp, HV_MESSAGE_HALT);
}

void intercept_dead(struct vp *vp, const char *why)
{
	log_guest(vp, "%s at rip %lx; stopped", why, vp->rip);
	vp->state = VP_DEAD;
	tell(vp, HV_MESSAGE_UNRECOVERABLE);
}
