/* SPDX-License-Identifier: MIT */
#ifndef HV_HOST_LIB_USAGE_H
#define HV_HOST_LIB_USAGE_H
/* Faults of a command line, said in one form: "PROGRAM: fault word: see PROGRAM --help". */

#define USAGE_WRONG 2 /* exit status */

/* program: as it is called, "vmmgr" or with its verb, "hvctl attest". word: what the fault is about, or "". Returns USAGE_WRONG. */
int usage_fault(const char *program, const char *fault, const char *word);
/* getopt_long() has returned `option`, which the program does not know: an option without its value, or none of its options. */
int usage_option(const char *program, int option, char *const *argv);

#endif
