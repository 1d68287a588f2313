/* SPDX-License-Identifier: MIT */
#ifndef HV_HOST_VMWORKER_VMBUS_H
#define HV_HOST_VMWORKER_VMBUS_H
/* Between the guest's messages, the VMBus server (hv/wire/vmbus_server.h) and the sockets of the device processes. */
#include "hv/host/vmworker/worker.h"

/* Before the sandbox. sockets: count of them, this module's from now on. */
void worker_vmbus_init(struct worker *w, const struct pm_config_worker *config, const int *sockets);
/* Something can be read from the message descriptor. */
void worker_vmbus_message(struct worker *w);
/* Something happened to the socket of device process `index`. */
void worker_vmbus_device(struct worker *w, uint32_t index, uint32_t events);
/* The time has come to post to the guest again. */
void worker_vmbus_timer(struct worker *w);
/* w->m is a PM_DEVICE_AGAIN. */
void worker_vmbus_again(struct worker *w);
/* The guest has ended: neither it nor the devices are heard any more. */
void worker_vmbus_stop(struct worker *w);

#endif
