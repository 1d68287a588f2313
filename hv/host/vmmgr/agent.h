/* SPDX-License-Identifier: MIT */
#ifndef HV_HOST_VMMGR_AGENT_H
#define HV_HOST_VMMGR_AGENT_H
/* Reports that guests want of themselves: asked of attestd, by the manager, which knows who is who. */
#include "hv/host/vmmgr/process.h"

/* Where attestd listens. */
void agent_socket(const char *path);
/*
 * Asks for a report of the partition with the nonce of *m, a checked message. Returns a descriptor on which the answer comes, at
 * which nothing more can be asked; or -1 and *error. Never waits.
 */
int agent_ask(uint64_t partition, const struct pm_report_wanted *m, enum pm_report_error *error);

#endif
