/* SPDX-License-Identifier: MIT */
#ifndef HV_CORE_INTERCEPT_H
#define HV_CORE_INTERCEPT_H
/* Exits of a child that its parent answers: a message in the VP's page of the root, the VP suspended, a flag for the root. */
#include "hv/core/exit.h"

struct vp;
void intercept_port(struct vp *vp, const struct exit_info *e);
/* [owner] VP_TIMER_POSTED: writes that were posted have waited long enough. */
void intercept_posted_due(struct vp *vp);
/* [owner] What the VP has done, where the parent records: a call with its input, or (NULL) a write of a synthetic register. */
void intercept_traced(struct vp *vp, const uint8_t *input);
void intercept_memory(struct vp *vp, const struct exit_info *e);
/* No VP of the partition will ever go on (vp_parked). */
void intercept_halt(struct vp *vp);
/* Triple fault, a state that the CPU refuses: the VP does not go on. */
void intercept_dead(struct vp *vp, const char *why);

#endif
