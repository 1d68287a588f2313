/* SPDX-License-Identifier: MIT */
#ifndef HV_HOST_VMMGR_SERVER_H
#define HV_HOST_VMMGR_SERVER_H
/* The manager's socket: JSON lines of clients, which are root. */
#include <jansson.h>
#include <stdbool.h>

#include "hv/host/vmmgr/vm.h"

#define SERVER_SOCKET "/run/redoubt/manager.sock"

bool server_init(const char *path);

/* answer.c: each takes no reference; the caller owns the result. */
json_t *answer_error(const char *text);
json_t *answer_definition_fault(const char *file, const struct definition_fault *fault);
json_t *answer_list(void);
json_t *answer_show(const struct vm *vm);

/* ps.c: facts about the processes, read from /proc. vm NULL: all. */
json_t *answer_ps(const struct vm *vm);

#endif
