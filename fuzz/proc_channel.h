/* SPDX-License-Identifier: MIT */
#ifndef FUZZ_PROC_CHANNEL_H
#define FUZZ_PROC_CHANNEL_H
/* What the worker says of a channel whose rings are one GPADL, and the end of a process with channels. */
#include "fuzz/proc.h"
#include "hv/host/lib/chan.h"

#define PROC_CHANNEL_PAGES 8u

FUZZ_QUIET_BEGIN

/* Pages of o->gpadl, both rings; then the opening, with the channel's descriptor. */
static inline void proc_open(struct pm_open *o, const uint64_t *pfn, uint32_t pages, int fd)
{
	union {
		struct pm_gpadl m;
		uint8_t bytes[sizeof(struct pm_gpadl) + PROC_CHANNEL_PAGES * sizeof(uint64_t)];
	} g;

	CHECK_FUZZ(pages <= PROC_CHANNEL_PAGES);
	memset(&g, 0, sizeof(g));
	g.m.unit = o->unit;
	g.m.gpadl = o->gpadl;
	g.m.pages = pages;
	g.m.length = pages * 4096;
	memcpy(g.m.pfn, pfn, pages * sizeof(*pfn));
	proc_say(PROC_WORKER, PM_GPADL, &g,
		 (uint32_t)(sizeof(struct pm_gpadl) + pages * sizeof(*pfn)), -1);
	proc_say(PROC_WORKER, PM_OPEN, o, sizeof(*o), fd);
}

static inline void proc_close(uint32_t unit, uint32_t gpadl)
{
	struct pm_channel c = { .unit = unit };
	struct pm_gpadl_free f = { .unit = unit, .gpadl = gpadl };

	proc_say(PROC_WORKER, PM_CLOSE, &c, sizeof(c), -1);
	proc_say(PROC_WORKER, PM_GPADL_FREE, &f, sizeof(f), -1);
}

/* Channels that the guest has left open end with the process; then no descriptor is left, unless it ended itself. */
static inline void proc_channels_end(struct chan_set *set, bool alive)
{
	for (uint32_t i = 0; i < CHAN_MAX; i++) {
		if (set->chan[i].open) {
			(void)close(set->chan[i].fd);
		}
	}
	proc_init();
	ORACLE(proc_fds_left() == 0 || !alive, "a descriptor was not closed");
	(void)proc_fds_left();
}

FUZZ_QUIET_END

#endif
