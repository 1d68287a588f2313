/* SPDX-License-Identifier: MIT */
#ifndef HV_HOST_LIB_START_H
#define HV_HOST_LIB_START_H
/*
 * How every process of the root but the manager starts, eight steps: arguments; configuration from IPC_CONTROL_FD with its
 * descriptors; mappings; nothing else is opened; sandbox_enter; READY; the loop.
 */
#include "hv/host/lib/ipc.h"
#include "hv/wire/gmem.h"
#include "mitigations/sandbox/sandbox.h"

/* --help and --version; anything else on the command line, or a missing manager, ends the process with status 2. */
void start_arguments(int argc, char **argv, const char *name, const char *purpose);
/* The first message; ends the process where it is not of this type. */
struct ipc_message *start_config(enum pm_type want);
/* Maps a memory descriptor of redoubt.ko and closes it; ends the process where that fails. */
void start_map_memory(struct gmem *m, int fd, uint64_t bytes);
/*
 * Maps a device's state, a memfd of the manager that outlives the process, and closes it. The first process of a machine
 * gives it its size (bytes). Ends the process where that fails. Hostile: what an earlier process left in it.
 */
void *start_map_state(int fd, size_t bytes);
/* Closes what nobody took, enters the sandbox, says READY. */
void start_done(struct ipc_message *m, const struct sandbox_policy *policy);
/* One line on standard error (the manager's log), then exit status 1. Never after start_done's sandbox without write. */
__attribute__((noreturn, format(printf, 1, 2))) void start_fail(const char *format, ...);
__attribute__((format(printf, 1, 2))) void start_log(const char *format, ...);

#endif
