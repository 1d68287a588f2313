/* SPDX-License-Identifier: MIT */
#ifndef HV_HOST_VMMGR_KEEP_H
#define HV_HOST_VMMGR_KEEP_H
/* Definitions outlive the manager: NAME.yaml in one folder, each as it was handed in. */
#include <stdbool.h>
#include <stddef.h>

/*
 * Makes the folder where it is missing and creates a machine for each file in it. A file that does not parse stays where it is, with
 * a line in the log that names file, line, key and remedy. false after saying why: the folder cannot be used.
 */
bool keep_open(const char *folder);
/* As a whole or not at all, also through a power cut. false: *why is a line for people. Trust: text was parsed, name is its. */
bool keep_save(const char *name, const char *text, size_t size, char *why, size_t room);
/* A file that is not there is good. */
bool keep_remove(const char *name, char *why, size_t room);

#endif
