/* SPDX-License-Identifier: MIT */
#ifndef HV_HOST_HVCTL_MANAGER_H
#define HV_HOST_HVCTL_MANAGER_H
/* Verbs that the manager of virtual machines serves: JSON lines over its socket. */
#include "hv/host/hvctl/hvctl.h"

#define MANAGER_SOCKET "/run/redoubt/manager.sock"
#define MANAGER_FDS 2

struct manager_answer {
	json_t *object; /* never NULL after success */
	bool ok;
	int fd[MANAGER_FDS]; /* -1: none */
};

/* manager.c: takes the request. false after telling the user. */
bool manager_ask(const char *path, json_t *request, struct manager_answer *answer);
void manager_drop(struct manager_answer *answer);

/* machine.c: argv[0] is the verb. */
bool machine_verb(const char *word);
int machine_run(int argc, char **argv);

/* machine_text.c: tables for people. */
void machine_print_list(const json_t *answer);
void machine_print_show(const json_t *answer);
void machine_print_ps(const json_t *answer);

/* record.c */
int record_run(int argc, char **argv);

/* console.c: until detached or the machine is off. */
int console_run(int terminal, int log, const char *name);

#endif
