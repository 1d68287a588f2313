/* SPDX-License-Identifier: MIT */
#ifndef HV_HOST_VMWORKER_WORKER_H
#define HV_HOST_VMWORKER_WORKER_H
/*
 * The process of one VM: it loads the guest, answers its port accesses, and is its VMBus server. It trusts neither the guest
 * nor the device processes. After the start it has no mapping of guest memory: nothing that it does then needs any.
 */
#include "hv/host/lib/ipc.h"
#include "hv/host/vmworker/console.h"
#include "hv/host/vmworker/ports.h"
#include "mitigations/sandbox/sandbox.h"

struct vmbus_glue;

struct worker_vp {
	int fd;
	const struct hv_message *
		page; /* of the last intercept; redoubt.ko writes it before the descriptor is ready */
};

struct worker {
	int partition, epoll, message, timer;
	uint32_t vp_count;
	struct worker_vp vp[HV_VP_MAX];
	const struct hv_posted *posted; /* in VP 0's page: to look whether something waits */
	bool quick;                     /* the UART's ports are told to work without us */
	struct ports ports;
	struct console console;
	uint32_t console_watched; /* events asked for */
	uint32_t console_waits;   /* intercepts since there is something to send */
	struct ipc_message *m;    /* for whatever is received next */
	struct vmbus_glue *vmbus;
	bool ended; /* the guest is off, reset or crashed; only the manager is heard */
	bool status_due;
	struct pm_status_worker status;
};

/* What a descriptor in the epoll set is: epoll_data is kind << 8 | index. */
enum worker_kind { KIND_VP, KIND_MESSAGE, KIND_CONSOLE, KIND_DEVICE, KIND_CONTROL, KIND_TIMER };

extern const struct sandbox_policy worker_policy;

/* operation: EPOLL_CTL_*. Ends the process where the kernel refuses. */
void worker_watch(struct worker *w, int operation, int fd, enum worker_kind kind, uint32_t index,
		  uint32_t events);
/* The guest will not run any more: stops it and tells the manager. Only the first call counts. */
__attribute__((format(printf, 3, 4))) void worker_guest_ended(struct worker *w, enum pm_guest how,
							      const char *format, ...);
/* The guest does nothing any more, but is not over: tells the manager. */
__attribute__((format(printf, 2, 3))) void worker_guest_halted(struct worker *w, const char *format,
							       ...);
/* The manager has stopped the partition: nothing is reported, only the manager is heard. */
void worker_partition_gone(struct worker *w);
/* What the VPs wrote without a stop. Before an intercept of any VP is handled. */
void worker_posted(struct worker *w);
/* Tells the hypervisor what it may answer for the UART; after each change of the UART, before the VP goes on. */
void worker_quick(struct worker *w);
/* The guest's hypercalls and synthetic registers come as intercepts from now on, for the recording. */
void worker_trace(struct worker *w, bool on);
/* An intercept of VP `index`. */
void worker_intercept(struct worker *w, uint32_t index);
/* Until the manager says stop, or is gone. */
void worker_loop(struct worker *w);

#endif
