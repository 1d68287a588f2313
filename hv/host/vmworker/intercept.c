/* SPDX-License-Identifier: MIT */
/* Why a VP stopped, and how it goes on. The path of a port access is a copy, a switch and one ioctl. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "hv/host/lib/record.h"
#include "hv/host/vmworker/worker.h"
#include "hv/root/ioctl.h"

static void run(struct worker *w, uint32_t index, struct rd_run *run)
{
	if (w->ended) { /* meanwhile: what the hypervisor was to be told failed */
		return;
	}
	if (ioctl(w->vp[index].fd, RD_IOCTL_RUN, run) != 0) {
		worker_guest_ended(w, PM_GUEST_FAILED, "VP %u cannot be run: error %d", index,
				   errno);
	}
}

/* Bytes that the guest transmitted. */
static void transmit(struct worker *w, const struct ports_result *r)
{
	for (uint32_t i = 0; i < r->sent; i++) {
		console_put(&w->console, r->bytes[i]);
	}
}

void worker_posted(struct worker *w)
{
	struct hv_posted_write list[HV_POSTED_ENTRIES];
	struct ports_result r;

	while (__atomic_load_n(&w->posted->producer, __ATOMIC_ACQUIRE) !=
	       __atomic_load_n(&w->posted->consumer, __ATOMIC_ACQUIRE)) {
		ssize_t n = read(w->vp[0].fd, list, sizeof(list));

		if (n <= 0) {
			break; /* there was no time between the look and the read when it could go */
		}
		for (size_t i = 0; i < (size_t)n / sizeof(list[0]); i++) {
			record(RECORD_POSTED, 0, &list[i], sizeof(list[i]));
			ports_posted(&w->ports, &list[i], &r);
			transmit(w, &r);
		}
	}
}

void worker_quick(struct worker *w)
{
	bool quick = ports_quick(&w->ports);
	struct rd_intercept_ports data = { .first = PORT_UART,
					   .last = PORT_UART,
					   .how = quick ? RD_PORTS_POSTED_WRITE : 0 };
	struct rd_intercept_ports status = { .first = PORT_UART_STATUS,
					     .last = PORT_UART_STATUS,
					     .how = quick ? RD_PORTS_CONSTANT_READ : 0,
					     .value = quick ? PORTS_QUICK_STATUS : 0 };

	if (quick == w->quick || w->ended) {
		return;
	}
	w->quick = quick;
	if ((ioctl(w->partition, RD_IOCTL_INTERCEPT_PORTS, &data) != 0 ||
	     ioctl(w->partition, RD_IOCTL_INTERCEPT_PORTS, &status) != 0) &&
	    errno != ENODEV) { /* the manager has stopped it: we are told so */
		worker_guest_ended(w, PM_GUEST_FAILED, "ports cannot be set: error %d", errno);
	}
}

void worker_trace(struct worker *w, bool on)
{
	const struct rd_intercept_ports calls = { .how = RD_PORTS_TRACE, .value = on ? 1 : 0 };

	if (!w->ended && ioctl(w->partition, RD_IOCTL_INTERCEPT_PORTS, &calls) != 0 &&
	    errno != ENODEV) {
		worker_guest_ended(w, PM_GUEST_FAILED, "its calls cannot be %s: error %d",
				   on ? "traced" : "left alone", errno);
	}
}

/* It has been recorded; the guest's call is done. */
static void traced(struct worker *w, uint32_t index)
{
	struct rd_run go = { .flags = 0 };

	if (!record_on()) {
		worker_trace(w, false);
	}
	run(w, index, &go);
}

static void io_port(struct worker *w, uint32_t index, const struct hv_message *m)
{
	struct hv_io_port_intercept a;
	struct ports_result r;
	struct rd_run go;

	memcpy(&a, m->payload, sizeof(a));
	ports_access(&w->ports, &a, &r);
	transmit(w, &r);
	worker_quick(w);
	switch (r.event) {
	case PORTS_OFF:
		worker_guest_ended(w, PM_GUEST_OFF, "VP %u powered the guest off", index);
		return;
	case PORTS_RESET:
		worker_guest_ended(w, PM_GUEST_RESET, "VP %u asked for a reset", index);
		return;
	case PORTS_REFUSED:
		worker_guest_ended(w, PM_GUEST_CRASHED, "VP %u: %s %#x at rip %#llx", index, r.text,
				   a.port, (unsigned long long)a.header.rip);
		return;
	default:
		break;
	}
	memset(&go, 0, sizeof(go));
	go.flags = r.read ? RD_RUN_RAX : 0;
	go.length = a.header.length;
	go.rax = r.rax;
	run(w, index, &go);
}

static void unmapped(struct worker *w, uint32_t index, const struct hv_message *m)
{
	static const char *const verb[] = { "read", "wrote", "executed" };
	struct hv_memory_intercept a;

	memcpy(&a, m->payload, sizeof(a));
	worker_guest_ended(w, PM_GUEST_CRASHED,
			   "VP %u %s outside its memory: address %#llx at rip %#llx", index,
			   a.header.access < 3 ? verb[a.header.access] : "was",
			   (unsigned long long)a.gpa, (unsigned long long)a.header.rip);
}

static void crashed(struct worker *w, uint32_t index, const struct hv_message *m, const char *what)
{
	struct hv_intercept_header h;

	memcpy(&h, m->payload, sizeof(h));
	worker_guest_ended(w, PM_GUEST_CRASHED, "VP %u: %s at rip %#llx", index, what,
			   (unsigned long long)h.rip);
}

/* As on hardware: the machine is there, and what it said last can be read. The VP stays where it is. */
static void halted(struct worker *w, uint32_t index, const struct hv_message *m)
{
	struct hv_intercept_header h;

	memcpy(&h, m->payload, sizeof(h));
	/* The intercept stays: only EPOLLHUP, which cannot be masked, and posted writes of all VPs are news. */
	worker_watch(w, EPOLL_CTL_MOD, w->vp[index].fd, KIND_VP, index, index == 0 ? EPOLLPRI : 0);
	worker_guest_halted(w, "VP %u: halted for ever, interrupts off at rip %#llx", index,
			    (unsigned long long)h.rip);
}

void worker_intercept(struct worker *w, uint32_t index)
{
	struct hv_message m;
	char text[48];

	if (w->ended) {
		return;
	}
	worker_posted(w);
	memcpy(&m, w->vp[index].page,
	       sizeof(m)); /* once: another intercept may replace it after RUN */
	record(RECORD_INTERCEPT, index, &m, sizeof(m));
	switch (m.type) {
	case HV_MESSAGE_IO_PORT:
		io_port(w, index, &m);
		break;
	case HV_MESSAGE_HYPERCALL:
	case HV_MESSAGE_MSR:
		traced(w, index);
		break;
	case HV_MESSAGE_UNMAPPED_GPA:
		unmapped(w, index, &m);
		break;
	case HV_MESSAGE_UNRECOVERABLE:
		crashed(w, index, &m, "triple fault or impossible state");
		break;
	case HV_MESSAGE_HALT:
		halted(w, index, &m);
		break;
	default:
		(void)snprintf(text, sizeof(text), "unexpected intercept %#x", m.type);
		crashed(w, index, &m, text);
		break;
	}
}
