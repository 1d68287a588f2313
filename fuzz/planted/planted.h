/* SPDX-License-Identifier: MIT */
#ifndef FUZZ_PLANTED_H
#define FUZZ_PLANTED_H
/*
 * Counters of a planted defect. Only the edited copy of a source sees this file (clang -include); no source of the product names it.
 * The fuzzers run the defect without counters, so that these say nothing to them; what they find is run again with counters.
 */
#ifdef PLANTED_COUNT
extern unsigned long *planted_counters;
/* The planted lines run. */
#define PLANTED_REACHED() ((void)planted_counters[0]++)
/* The defect makes a difference: cond says when. */
#define PLANTED_TRIGGERED(cond) ((void)(planted_counters[1] += (cond) ? 1 : 0))
#else
#define PLANTED_REACHED() ((void)0)
#define PLANTED_TRIGGERED(cond) ((void)0)
#endif
#endif
